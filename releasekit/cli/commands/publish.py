"""`releasekit publish`."""

from __future__ import annotations

import logging
from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import DONE, FAILED, RELEASE, Flat, Tables, Yes, report_obstacles
from releasekit.cli.help import examples
from releasekit.core.errors import Code, Refusal
from releasekit.options import (
    PublishOptions,
)

log = logging.getLogger("releasekit")

command = App(
    name="publish",
    group=RELEASE,
    help_epilogue=examples(
        "releasekit publish --dry-run              # the plan, and what would be run",
        'releasekit publish -p core -p "plugin-*"  # these, and what they need',
        "releasekit publish --rehearse             # for real, on a throwaway index",
    ),
)


@command.default
def publish(
    *,
    options: Annotated[PublishOptions, Flat] = PublishOptions(),  # noqa: B008  a frozen value
    yes: Yes = False,
    format: Tables = "table",  # noqa: A002  the name of the flag
) -> int:
    """Release every changed package: build, verify, upload, confirm and smoke-test it, then tag and push.

    Parameters
    ----------
    yes
        Don't ask before the release begins.
    format
        How the plan of a dry run, or the report, is printed: csv for spreadsheets, markdown for pull requests.
    """
    options.refuse_contradictions()
    if options.approve and yes:
        raise Refusal(Code.USAGE, "--approve leaves the yes to somebody else, and --yes does not")
    import asyncio

    from releasekit.cli import runner
    from releasekit.cli.render import tables, terminal
    from releasekit.core.release.pr_status import ReleasePull
    from releasekit.formats.csv import plan_csv, report_csv
    from releasekit.formats.markdown import COMMENT_LIMIT, plan_markdown, report_markdown

    if options.dry_run:
        decided = asyncio.run(runner.dry_run(options))
        if isinstance(decided, ReleasePull):
            terminal.answer_with(format, decided, tables.pull_table(decided))
            return report_obstacles(decided.obstacles)
        terminal.answer_with(
            format,
            decided.plan,
            tables.plan_table(decided.plan),
            csv=lambda: plan_csv(decided.plan),
            markdown=lambda: plan_markdown(decided.plan, limit=COMMENT_LIMIT),
        )
        if format == "table" and decided.commands:
            terminal.answer("would run:\n" + "\n".join(f"  {command}" for command in decided.commands))
        return report_obstacles(decided.plan.obstacles)
    released = asyncio.run(runner.publish(options, yes=yes))
    if isinstance(released, ReleasePull):
        terminal.answer_with(format, released, tables.pull_table(released))
        return DONE
    terminal.answer_with(
        format,
        released.report,
        tables.report_table(released.report),
        tables.pins_table(released.pins),
        csv=lambda: report_csv(released.report),
        markdown=lambda: report_markdown(released.report),
    )
    if options.rehearse:
        log.info("that was a rehearsal: index, clone and tags are gone; `publish` does it for real")
    return DONE if released.report.done else FAILED
