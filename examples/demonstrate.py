"""Make a repository in which you can try one way to release, with everything that it needs on this machine.

`python examples/demonstrate.py WAY DIRECTORY` makes DIRECTORY/orchard, a workspace of 13 packages with a history, and
its bare remote. WAY is one of:

laptop        a package index runs until you press Ctrl-C; release to it from another terminal
pull-request  the workflows for GitHub Actions are there; push the repository to GitHub and watch
prefect       a package index runs until you press Ctrl-C; deploy the flows, and start releases from Prefect
"""

import argparse
import shlex
import signal
import tempfile
import textwrap
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from orchard_repository import Repository, make

from releasekit.cli.app import main as releasekit
from releasekit.integrations.peryx import embedded_index

LAPTOP = """\
. {environment}
cd {workspace}
releasekit plan
releasekit publish
"""
PULL_REQUEST = """\
cd {workspace}
git remote set-url origin git@github.com:YOU/orchard.git    # an empty repository of yours
git push --set-upstream origin main --tags
"""
PREFECT = """\
. {environment}
releasekit server start
export PREFECT_API_URL=http://127.0.0.1:4200/api
prefect work-pool create releasekit --type process
prefect variable set releasekit_workspace {workspace}
prefect --no-prompt deploy --all    # in your clone of releasekit
prefect worker start --pool releasekit &
prefect deployment run releasekit/dry-run
prefect deployment run releasekit/publish -p allow_new=true    # two packages were never released
"""


def main() -> None:
    """Make the repository, print what to do, and keep the index running if there is one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("way", choices=("laptop", "pull-request", "prefect"))
    parser.add_argument("directory", type=Path)
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    workspace = make(options.directory.resolve())
    if options.way == "pull-request":
        add_workflows(workspace)
        show(PULL_REQUEST, workspace)
        print("Then set up GitHub as docs/guides/github.md says, and push commits to main.")
        return
    with (
        tempfile.TemporaryDirectory(prefix="index-") as scratch,
        embedded_index(Path(scratch)) as index,
    ):
        environment = options.directory / "environment"
        environment.write_text(shell_text(index.environment))
        show(LAPTOP if options.way == "laptop" else PREFECT, workspace, environment)
        print(f"The index {index.simple_url} runs until you press Ctrl-C.", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()


def add_workflows(workspace: Path) -> None:
    """Write and commit what `init --ci github` writes."""
    code = releasekit(["init", "--ci", "github", "--yes", "--workspace", str(workspace)])
    if code:
        raise SystemExit(code)
    repository = Repository(workspace)
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "ci: release with pull requests")


def shell_text(variables: Mapping[str, str | None]) -> str:
    """Return the lines that set or unset *variables* in a shell."""
    lines = (
        f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"
        for name, value in variables.items()
    )
    return "".join(f"{line}\n" for line in lines)


def show(commands: str, workspace: Path, environment: Path = Path()) -> None:
    """Print *commands*, to be run in another terminal."""
    text = commands.format(
        workspace=shlex.quote(str(workspace)), environment=shlex.quote(str(environment.resolve()))
    )
    print(f"Run in another terminal:\n\n{textwrap.indent(text, '    ')}", flush=True)


if __name__ == "__main__":
    main()
