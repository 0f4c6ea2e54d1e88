"""`releasekit check`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App

from releasekit import __version__
from releasekit.cli.command_types import DONE, FAILED, LOOK, Flatten, RunModeOption, Switch, Yes
from releasekit.cli.help import examples
from releasekit.options import CheckOptions

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
    options: Annotated[CheckOptions, Flatten] = CheckOptions(),  # noqa: B008  a frozen value
    fix: Switch = False,
    yes: Yes = False,
    format: Annotated[Literal["table", "json", "sarif"], RunModeOption] = "table",  # noqa: A002
) -> int:
    """Find problems that would break a release, or the published packages. Exit code 1 if there are errors.

    With --releases, the index, the remote and the forge are asked too.

    Parameters
    ----------
    fix
        Fix the findings that have exactly one solution; the changes are shown first.
    yes
        Fix without asking. Without --yes and without a terminal, nothing is written.
    format
        The output format; code hosts such as GitHub read sarif.
    """
    import asyncio

    from releasekit.cli import runner
    from releasekit.cli.render import repair_tables, tables, terminal
    from releasekit.cli.terminal_confirmation import TerminalConfirmation
    from releasekit.formats.sarif import sarif_text
    from releasekit.operations import run_checks

    if fix:
        _ = options.directory  # refuses an address: fixes in a temporary clone would be lost
    check_run = asyncio.run(runner.check(options))
    if fix and asyncio.run(run_checks.apply_fixes(check_run, TerminalConfirmation(yes=yes))):
        check_run = run_checks.run_checks(options)
    if format == "sarif":
        terminal.write_stdout(
            sarif_text(check_run.report, check_run.checks, __version__, check_run.prefix)
        )
    else:
        compared = check_run.report.releases
        parts = [repair_tables.repair_table(compared)] if compared else []
        findings = tables.findings_list(check_run.report)
        terminal.write_result(format, check_run.report, *parts, findings)
    return FAILED if check_run.report.has_errors else DONE
