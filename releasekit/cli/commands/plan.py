"""`releasekit plan`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import (
    LOOK,
    Flat,
    Printed,
    Switched,
    Tables,
    report_obstacles,
)
from releasekit.cli.help import examples
from releasekit.core.errors import Code, Refusal
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
    options: Annotated[PlanOptions, Flat] = PlanOptions(),  # noqa: B008  a frozen value
    comment: Switched = False,
    since_last: Switched = False,
    diff: Annotated[Path | None, Printed] = None,
    format: Tables = "table",  # noqa: A002
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
        raise Refusal(Code.USAGE, "one of --since-last and --diff")
    decided = asyncio.run(runner.plan(options, since_last=since_last, diff=diff))
    since = decided.since
    terminal.answer_with(
        format,
        decided,
        tables.plan_table(decided),
        *([tables.difference_list(since)] if since else []),
        json=lambda: decided.model_dump_json(indent=1, exclude=None if since_last or diff else {"since"}),
        csv=lambda: plan_csv(decided, since.by_package if since else None),
        markdown=lambda: plan_markdown(decided, since.sentences if since else None, limit=COMMENT_LIMIT),
    )
    if comment:
        where = asyncio.run(preview.comment(options, decided))
        log.info("%s", f"shown in {where}" if where else "no CI that is known: it is shown nowhere else")
    return report_obstacles(decided.obstacles)
