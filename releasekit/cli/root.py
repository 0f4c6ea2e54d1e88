"""The cyclopts app that all commands are registered on."""

from __future__ import annotations

from cyclopts import App

from releasekit.cli.help import HelpFormatter
from releasekit.options import Environment


def _version() -> str:
    from releasekit import __version__

    return __version__


app = App(
    name="releasekit",
    version=_version,
    version_flags=("--version", "-V"),
    help_flags=("--help",),  # `-h` is in short_help.py
    help_format="plaintext",
    help_formatter=HelpFormatter(),
    config=Environment(),
    help="Release a uv workspace: publish every changed package, dependencies first, with exact internal pins.",
    help_epilogue="Precedence, highest first: the option, its environment variable, its key in [tool.releasekit], its "
    "default. `releasekit config` shows which one applies. Every switch can be negated, for example --no-dry-run.",
)
