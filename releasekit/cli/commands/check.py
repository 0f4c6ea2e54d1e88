"""`releasekit check`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App

from releasekit import __version__
from releasekit.cli.command_types import DONE, FAILED, LOOK, Flat, Printed, Switched, Yes
from releasekit.cli.help import examples
from releasekit.options import (
    CheckOptions,
)

command = App(
    name="check",
    group=LOOK,
    help_epilogue=examples(
        "releasekit check",
        "releasekit check --select cycles --select lock_stale",
        "releasekit check --fix",
    ),
)


@command.default
def check(
    *,
    options: Annotated[CheckOptions, Flat] = CheckOptions(),  # noqa: B008  a frozen value
    fix: Switched = False,
    yes: Yes = False,
    format: Annotated[Literal["table", "json", "sarif"], Printed] = "table",  # noqa: A002
) -> int:
    """Look for what would go wrong in a release, or after it: exit code 1 if there are errors.

    Parameters
    ----------
    fix
        Mend what has one right answer; the difference is shown first.
    yes
        Mend without asking; without it, and without a terminal, nothing is written.
    format
        How the findings are printed; sarif is what code hosts read.
    """
    import asyncio

    from releasekit.cli import runner
    from releasekit.cli.render import tables, terminal
    from releasekit.cli.terminal_confirmation import TerminalConfirmation
    from releasekit.formats.sarif import sarif
    from releasekit.operations import run_checks

    if fix:
        _ = options.directory  # there is nothing to mend in a clone that is thrown away
    found = asyncio.run(runner.check(options))
    if fix and asyncio.run(run_checks.mend(found, TerminalConfirmation(yes=yes))):
        found = run_checks.examine(options)
    if format == "sarif":
        terminal.answer(sarif(found.report, found.checks, __version__, found.prefix))
    else:
        terminal.answer_with(format, found.report, tables.findings_list(found.report))
    return FAILED if found.report.failed else DONE
