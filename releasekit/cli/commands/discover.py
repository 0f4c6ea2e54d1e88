"""`releasekit discover`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App

from releasekit.cli.command_types import DONE, LOOK, Flatten, RunModeOption
from releasekit.cli.help import examples
from releasekit.options import WorkspaceOptions

command = App(
    name="discover",
    group=LOOK,
    help_epilogue=examples(
        "releasekit discover",
        "releasekit discover --format json",
    ),
)


@command.default
def discover(
    *,
    options: Annotated[WorkspaceOptions, Flatten] = WorkspaceOptions(),  # noqa: B008  a frozen value
    format: Annotated[Literal["table", "json", "csv"], RunModeOption] = "table",  # noqa: A002
) -> int:
    """List the members of the workspace, as uv sees them.

    Parameters
    ----------
    format
        The output format.
    """
    from releasekit.cli.render import tables, terminal
    from releasekit.formats.csv import members_csv
    from releasekit.formats.json import discover_json
    from tasks.read_workspace import read_workspace

    workspace = read_workspace(options.directory, {}).workspace
    if format == "table":
        terminal.print_parts(tables.members_table(workspace))
    elif format == "json":
        terminal.write_json(discover_json(workspace))
    else:
        terminal.write_stdout(members_csv(workspace))
    return DONE
