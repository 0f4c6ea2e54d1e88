"""`releasekit help`."""

from __future__ import annotations

from cyclopts import App

from releasekit.cli.command_types import DONE, LOOK
from releasekit.cli.help import examples
from releasekit.cli.root import app
from releasekit.core.errors import ErrorCode, Refusal, did_you_mean

command = App(name="help", group=LOOK, help_epilogue=examples("releasekit help publish"))


@command.default
def show_help(name: str = "", /) -> int:
    """Show the help of a command, or of the program.

    Parameters
    ----------
    name
        The command; default: list all commands.
    """
    if name and name not in app:
        raise Refusal(ErrorCode.USAGE, f"unknown command {name}{did_you_mean(name, app)}")
    words = [name, "--help"] if name else ["--help"]
    app.meta(words, exit_on_error=False, print_error=False, result_action="return_value")
    return DONE
