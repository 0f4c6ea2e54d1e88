"""`releasekit plan`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App

from releasekit.cli.command_types import (
    LOOK,
    Flatten,
    PageFormat,
    RunModeOption,
    Switch,
    log_lost_remarks,
    report_obstacles,
)
from releasekit.cli.help import examples
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.options import PlanOptions

if TYPE_CHECKING:
    from releasekit.core.planning.model import Plan

log = logging.getLogger("releasekit")

_NO_CI = "not running in a known CI: the plan is shown only here"

command = App(
    name="plan",
    group=LOOK,
    help_epilogue=examples(
        "releasekit plan --offline",
        "releasekit plan --prerelease rc --format json",
        "releasekit plan --format html > plan.html",
        "releasekit plan --since-last            # and what changed since then",
    ),
)


@command.default
def plan(
    *,
    options: Annotated[PlanOptions, Flatten] = PlanOptions(),  # noqa: B008  a frozen value
    comment: Switch = False,
    since_last: Switch = False,
    diff: Annotated[Path | None, RunModeOption] = None,
    format: PageFormat = "table",  # noqa: A002
) -> int:
    """Show what would be released, why, and what would stop it (exit code 2); change nothing.

    Parameters
    ----------
    comment
        In a CI job, also show the plan as a comment on the pull request, or in the job's summary.
    since_last
        Also show what has changed since the last plan: the last one on the Prefect server if plans are recorded
        there, else the one that the last `--since-last` stored in the git directory.
    diff
        Also show what has changed since the plan in this file, an output of `plan --format json`.
    format
        The output format: csv for spreadsheets, markdown for pull requests, html for a page in one file.
    """
    import asyncio

    from releasekit.cli import runner
    from releasekit.cli.render import tables, terminal
    from releasekit.formats.csv import plan_csv
    from releasekit.formats.html import plan_html
    from releasekit.formats.markdown import COMMENT_LIMIT, plan_markdown

    if since_last and diff:
        raise Refusal(ErrorCode.USAGE, "use only one of --since-last and --diff")
    compared_plan = asyncio.run(runner.plan(options, since_last=since_last, diff=diff))
    left_out = None if since_last or diff else {"since"}
    difference, by_package, sentences = "", None, None
    if since := compared_plan.since:
        difference = tables.difference_list(since)
        by_package = since.by_package
        sentences = since.sentences
    log_lost_remarks(format, compared_plan)
    terminal.write_result(
        format,
        compared_plan,
        tables.plan_table(compared_plan),
        difference,
        json=lambda: compared_plan.model_dump_json(indent=1, exclude=left_out),
        csv=lambda: plan_csv(compared_plan, by_package),
        markdown=lambda: plan_markdown(compared_plan, sentences, limit=COMMENT_LIMIT),
        html=lambda: plan_html(compared_plan, sentences),
    )
    if comment:
        _show_in_ci(options, compared_plan)
    return report_obstacles(compared_plan.obstacles)


def _show_in_ci(options: PlanOptions, plan: Plan) -> None:
    import asyncio

    from releasekit.operations.preview import post_plan_comment

    location = asyncio.run(post_plan_comment(options, plan))
    log.info("%s", f"shown in {location}" if location else _NO_CI)
