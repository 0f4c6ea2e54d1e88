"""The command line as a whole: all commands by name."""

from __future__ import annotations

from cyclopts import App

from releasekit.cli.help import HelpFormatter
from releasekit.options import (
    Environment,
)


def _version() -> str:
    from releasekit import __version__

    return __version__


app = App(
    name="releasekit",
    version=_version,
    version_flags=("--version", "-V"),
    help_flags=("--help",),  # `-h` is short_help.py's
    help_format="plaintext",
    help_formatter=HelpFormatter(),
    config=Environment(),
    help="Release a uv workspace: every changed package on the index, dependencies first, with exact internal pins.",
    help_epilogue="An option that is not given has the value of its variable, else that of its key in "
    "[tool.releasekit], else its default: `releasekit config` shows which. Every switch has its opposite, as in "
    "--no-dry-run.",
)
