"""`releasekit pin`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import DONE, RELEASE, Flatten, Switch
from releasekit.cli.help import examples
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.options import WorkspaceOptions

command = App(
    name="pin",
    group=RELEASE,
    help_epilogue=examples(
        "releasekit pin                          # show the changes",
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
    """Show or write exact pins for the requirements between the packages, in your own working tree.

    Parameters
    ----------
    command
        After `--apply --`: run this command with the pins in place, then restore all files, even if it fails.
    apply
        Write the pins. Without a command they stay until `--restore`.
    restore
        Restore the files that `--apply` changed.
    """
    from releasekit.cli.render import terminal
    from releasekit.operations.pinning import open_tree

    has_two_actions = apply and restore
    has_unused_command = command and not apply
    if has_two_actions or has_unused_command:
        raise Refusal(ErrorCode.USAGE, "use only one of --apply [-- COMMAND] and --restore")
    with open_tree(options.directory) as tree:
        if command:
            return tree.run(command)
        if apply:
            tree.apply()
        elif not restore:  # opening the tree has restored it already
            terminal.write_stdout(tree.diff())
    return DONE
