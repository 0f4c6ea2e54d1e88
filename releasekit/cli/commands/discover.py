"""`releasekit discover`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App

from releasekit.cli.command_types import DONE, LOOK, Flat, Printed
from releasekit.cli.help import examples
from releasekit.options import (
    Place,
)

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
    options: Annotated[Place, Flat] = Place(),  # noqa: B008  a frozen value
    format: Annotated[Literal["table", "json", "csv"], Printed] = "table",  # noqa: A002
) -> int:
    """List the members of the workspace, as uv sees them.

    Parameters
    ----------
    format
        How the list is printed.
    """
    from releasekit.cli.render import tables, terminal
    from releasekit.formats.csv import members_csv
    from releasekit.formats.json import discover_json
    from tasks.read_workspace import read_workspace

    workspace = read_workspace(options.directory, {}).workspace
    if format == "table":
        terminal.show(tables.members_table(workspace))
    else:
        terminal.answer({"json": discover_json, "csv": members_csv}[format](workspace))
    return DONE
