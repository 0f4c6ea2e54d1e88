"""The entry point of `releasekit` and `python -m releasekit`; `python -m flows.COMMAND` is the same program."""

import gc
import sys

from releasekit.front_door import prefer_own_packages

COLLECTION_THRESHOLDS = (200_000, 50, 100)
"""When Python looks for garbage. By default it does so after 700 new objects, which costs a seventh of a plan."""


def main() -> int:
    """Run the command line; return the exit code.

    Everything else is imported inside, which takes a second: Ctrl-C works during that time too.
    """
    gc.set_threshold(*COLLECTION_THRESHOLDS)
    prefer_own_packages()
    try:
        from releasekit.cli import app
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)  # noqa: T201  logging is not set up yet
        return 130
    return app.main(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
