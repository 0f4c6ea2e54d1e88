"""`releasekit pin`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import DONE, RELEASE, Flatten, Switch
from releasekit.cli.help import examples
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.options import (
    WorkspaceOptions,
)

command = App(
    name="pin",
    group=RELEASE,
    help_epilogue=examples(
        "releasekit pin                          # the difference",
        "releasekit pin --apply -- uv build --package core",
        "releasekit pin --restore",
    ),
)


@command.default
def pin(
    *command: str,
    options: Annotated[WorkspaceOptions, Flatten] = WorkspaceOptions(),  # noqa: B008
    apply: Switch = False,
    restore: Switch = False,
) -> int:
    """Show the exact versions that internal requirements would be pinned to, in your own tree; or pin them.

    Parameters
    ----------
    command
        After `--apply --`: run this while the pins are in place, then put everything back, however it ends.
    apply
        Write the pins; without a command until `--restore`.
    restore
        Put back what `--apply` has changed.
    """
    from releasekit.cli.render import terminal
    from releasekit.operations.pinning import open_tree

    if (apply and restore) or (command and not apply):
        raise Refusal(ErrorCode.USAGE, "one of --apply [-- COMMAND] and --restore")
    with open_tree(options.directory) as tree:
        if command:
            return tree.run(command)
        if apply:
            tree.apply()
        elif not restore:  # which needs no more than that the tree was asked for
            terminal.write_stdout(tree.diff())
    return DONE
