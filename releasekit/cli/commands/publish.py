"""`releasekit publish`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

from cyclopts import App

from releasekit.cli.command_types import (
    DONE,
    FAILED,
    RELEASE,
    Flatten,
    PageFormat,
    Yes,
    log_lost_problems,
    log_lost_remarks,
    report_obstacles,
)
from releasekit.cli.help import examples
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.options import PublishOptions

if TYPE_CHECKING:
    from releasekit.cli.runner import PublishResult

log = logging.getLogger("releasekit")

command = App(
    name="publish",
    group=RELEASE,
    help_epilogue=examples(
        "releasekit publish --dry-run              # the plan, and the commands",
        'releasekit publish -p core -p "plugin-*"  # these and their dependencies',
        "releasekit publish --rehearse             # everything, on a throwaway index",
    ),
)


@command.default
def publish(
    *,
    options: Annotated[PublishOptions, Flatten] = PublishOptions(),  # noqa: B008  a frozen value
    yes: Yes = False,
    format: PageFormat = "table",  # noqa: A002  the name of the flag
) -> int:
    """Release every changed package: build, verify, upload, confirm and smoke-test it, then tag and push.

    Parameters
    ----------
    yes
        Begin the release without asking.
    format
        The output format of the report, or of the plan with --dry-run: csv for spreadsheets, markdown for pull
        requests, html for a page in one file, with the timeline of the release.
    """
    options.check_conflicts()
    if options.approve:
        _refuse_other_answers(yes=yes, output_format=format)
    if options.dry_run:
        return _dry_run(options, format)
    import asyncio

    from releasekit.cli import runner
    from releasekit.cli.render import tables, terminal
    from releasekit.cli.stage_tracker import StageTracker
    from releasekit.core.release.pr_status import ReleasePullRequest

    tracker = StageTracker()
    try:
        result = asyncio.run(runner.publish(options, yes=yes, tracker=tracker))
    except KeyboardInterrupt:
        next_step = "" if options.rehearse else "Run `releasekit publish` to continue."
        raise KeyboardInterrupt(tracker.summary(), next_step) from None
    if isinstance(result, ReleasePullRequest):
        terminal.write_result(format, result, tables.release_pr_table(result))
        return DONE
    _show_report(format, result)
    if options.rehearse:
        log.info(
            "Rehearsal finished; everything was discarded. Run `releasekit publish` to release."
        )
    return DONE if result.report.is_successful else FAILED


def _refuse_other_answers(*, yes: bool, output_format: str) -> None:
    """Raise Refusal RK-USAGE for what a run that asks for approval cannot do."""
    if yes:
        message = "--approve asks somebody else, and --yes asks nobody: use only one of them"
        raise Refusal(ErrorCode.USAGE, message)
    if output_format == "html":
        message = "--approve releases in a run of its own, whose artifacts are its page"
        raise Refusal(ErrorCode.USAGE, f"{message}; use --format html without it")


def _show_report(output_format: str, result: PublishResult) -> None:
    from releasekit.cli.render import tables, terminal
    from releasekit.formats.csv import report_csv
    from releasekit.formats.html import report_html
    from releasekit.formats.markdown import report_markdown

    report = result.report
    log_lost_problems(output_format, report)
    terminal.write_result(
        output_format,
        report,
        tables.report_table(report),
        tables.pins_table(result.pins),
        csv=lambda: report_csv(report),
        markdown=lambda: report_markdown(report),
        html=lambda: report_html(report, result.plan),
    )


def _dry_run(options: PublishOptions, output_format: str) -> int:
    import asyncio

    from releasekit.cli import runner
    from releasekit.cli.render import tables, terminal
    from releasekit.core.release.pr_status import ReleasePullRequest
    from releasekit.core.similar_texts import calm_commands
    from releasekit.formats.csv import plan_csv
    from releasekit.formats.html import plan_html
    from releasekit.formats.markdown import COMMENT_LIMIT, plan_markdown
    from releasekit.logging import is_verbose

    result = asyncio.run(runner.dry_run(options))
    if isinstance(result, ReleasePullRequest):
        terminal.write_result(output_format, result, tables.release_pr_table(result))
        return report_obstacles(result.obstacles)
    plan = result.plan
    log_lost_remarks(output_format, plan)
    terminal.write_result(
        output_format,
        plan,
        tables.plan_table(plan),
        csv=lambda: plan_csv(plan),
        markdown=lambda: plan_markdown(plan, limit=COMMENT_LIMIT),
        html=lambda: plan_html(plan),
    )
    if output_format == "table" and result.commands:
        lines = [
            f"  {line}"
            for phase in result.commands
            for line in calm_commands(phase, verbose=is_verbose())
        ]
        terminal.write_stdout("\n".join(["would run:", *lines]))
    return report_obstacles(plan.obstacles)
