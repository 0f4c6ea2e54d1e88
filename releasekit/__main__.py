"""The front door: `releasekit`, `python -m releasekit`, and `python -m flows.COMMAND`, which are the same program."""

import sys

from releasekit.front_door import prefer_own_packages


def main() -> int:
    """Run the command line; returns the exit code.

    All else is imported here, which takes a second: a Ctrl-C in that time is one like any other.
    """
    prefer_own_packages()
    try:
        from releasekit.cli import app
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201  there is nothing else to say it with yet
        return 130
    return app.main(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
