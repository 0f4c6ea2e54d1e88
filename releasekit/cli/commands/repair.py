"""`releasekit repair`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import DONE, FAILED, RELEASE, Flatten, Format, Yes
from releasekit.cli.help import examples
from releasekit.options import RepairOptions

command = App(
    name="repair",
    group=RELEASE,
    help_epilogue=examples(
        "releasekit repair                       # the last release of each package",
        "releasekit repair --all --format json",
        "releasekit repair v0.6.0 --apply",
    ),
)


@command.default
def repair(
    release: str = "",
    /,
    *,
    options: Annotated[RepairOptions, Flatten] = RepairOptions(),  # noqa: B008
    yes: Yes = False,
    format: Format = "table",  # noqa: A002
) -> int:
    """Compare tags, index, forge, changelogs and records, and show how to complete what is half done.

    Each finding has one command. Nothing that is public is deleted. Exit code 1 if something is to be done.

    Parameters
    ----------
    release
        The tag of a release, or of a package; default: the last release of each package.
    yes
        Repair without asking.
    format
        The output format.
    """
    import asyncio

    from releasekit.cli.render import repair_tables, terminal
    from releasekit.cli.terminal_confirmation import TerminalConfirmation
    from releasekit.operations import repair_releases

    chosen = options.model_copy(update={"release": release})
    report = asyncio.run(repair_releases.repair(chosen, TerminalConfirmation(yes=yes)))
    terminal.write_result(format, report, repair_tables.repair_table(report))
    return DONE if report.is_clean else FAILED
