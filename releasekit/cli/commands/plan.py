"""`releasekit plan`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import (
    LOOK,
    Flatten,
    RunModeOption,
    Switch,
    TableFormat,
    report_obstacles,
)
from releasekit.cli.help import examples
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.options import (
    PlanOptions,
)

log = logging.getLogger("releasekit")

command = App(
    name="plan",
    group=LOOK,
    help_epilogue=examples(
        "releasekit plan --offline",
        "releasekit plan --prerelease rc --format json",
        "releasekit plan --since-last            # what has changed since",
    ),
)


@command.default
def plan(
    *,
    options: Annotated[PlanOptions, Flatten] = PlanOptions(),  # noqa: B008  a frozen value
    comment: Switch = False,
    since_last: Switch = False,
    diff: Annotated[Path | None, RunModeOption] = None,
    format: TableFormat = "table",  # noqa: A002
) -> int:
    """Show what would be released, why, and what stands in the way (exit code 2); changes nothing.

    Parameters
    ----------
    comment
        In a CI, show it as a comment on the pull request too, or in the job's summary.
    since_last
        Tell what has changed since the last plan: that on the Prefect server where plans are recorded, else the one
        that the last `--since-last` has left in the git directory.
    diff
        Tell what has changed since the plan in this file, which is the output of `plan --format json`.
    format
        How the plan is printed: csv for spreadsheets, markdown for pull requests.
    """
    import asyncio

    from releasekit.cli import runner
    from releasekit.cli.render import tables, terminal
    from releasekit.formats.csv import plan_csv
    from releasekit.formats.markdown import COMMENT_LIMIT, plan_markdown
    from releasekit.operations import preview

    if since_last and diff:
        raise Refusal(ErrorCode.USAGE, "one of --since-last and --diff")
    compared_plan = asyncio.run(runner.plan(options, since_last=since_last, diff=diff))
    since = compared_plan.since
    terminal.write_result(
        format,
        compared_plan,
        tables.plan_table(compared_plan),
        *([tables.difference_list(since)] if since else []),
        json=lambda: compared_plan.model_dump_json(indent=1, exclude=None if since_last or diff else {"since"}),
        csv=lambda: plan_csv(compared_plan, since.by_package if since else None),
        markdown=lambda: plan_markdown(compared_plan, since.sentences if since else None, limit=COMMENT_LIMIT),
    )
    if comment:
        location = asyncio.run(preview.post_plan_comment(options, compared_plan))
        log.info("%s", f"shown in {location}" if location else "no CI that is known: it is shown nowhere else")
    return report_obstacles(compared_plan.obstacles)
