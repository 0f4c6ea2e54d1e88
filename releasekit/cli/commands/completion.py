"""`releasekit completion`."""

from __future__ import annotations

from typing import Literal

from cyclopts import App

from releasekit.cli.command_types import DONE, SET_UP
from releasekit.cli.help import examples
from releasekit.cli.root import app

command = App(
    name="completion",
    group=SET_UP,
    help_epilogue=examples(
        'eval "$(releasekit completion bash)"',
        "releasekit completion zsh > ~/.zfunc/_cyclopts_releasekit",
        "releasekit completion fish > ~/.config/fish/completions/releasekit.fish",
    ),
)


@command.default
def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print a script that completes commands and options in your shell.

    Parameters
    ----------
    shell
        The shell that the script is for.
    """
    from releasekit.cli.render import terminal

    terminal.write_stdout(app.generate_completion(shell=shell))
    return DONE
