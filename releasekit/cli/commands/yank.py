"""`releasekit yank`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import (
    DONE,
    RELEASE,
    Flatten,
    Format,
    Packages,
    RunModeOption,
    Yes,
)
from releasekit.cli.help import examples
from releasekit.options import YankOptions

command = App(
    name="yank",
    group=RELEASE,
    help_epilogue=examples(
        'releasekit yank core 1.3.0 --reason "it deletes files" --dry-run',
        'releasekit yank core 1.3.0 --reason "it deletes files"',
    ),
)


@command.default
def yank(
    name: Packages,
    version: str,
    /,
    *,
    reason: Annotated[str, RunModeOption],
    options: Annotated[YankOptions, Flatten] = YankOptions(),  # noqa: B008
    yes: Yes = False,
    format: Format = "table",  # noqa: A002
) -> int:
    """Yank a version: show who requires it and what installers choose without it, then record why.

    The reason goes into the changelog, and into the release on the forge. If the index has an interface for
    it, the version is yanked there; otherwise the page to open is shown, as for PyPI.

    Parameters
    ----------
    name
        The package.
    version
        The version.
    reason
        Why nobody should install it; users see it.
    yes
        Yank without asking.
    format
        The output format.
    """
    import asyncio

    from releasekit.cli.render import repair_tables, terminal
    from releasekit.cli.terminal_confirmation import TerminalConfirmation
    from releasekit.operations import yank_version

    confirmation = TerminalConfirmation(yes=yes)
    report = asyncio.run(yank_version.yank_version(options, name, version, reason, confirmation))
    terminal.write_result(format, report, repair_tables.yank_table(report))
    return DONE
