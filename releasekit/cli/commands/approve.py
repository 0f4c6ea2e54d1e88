"""`releasekit approve`."""

from __future__ import annotations

import logging
from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import DONE, RELEASE, RunModeOption
from releasekit.cli.help import examples
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.options import (
    Members,
)

log = logging.getLogger("releasekit")

command = App(
    name="approve",
    group=RELEASE,
    help_epilogue=examples(
        "releasekit approve                      # those that wait",
        "releasekit approve brave-otter --drop plugin-x",
        'releasekit approve brave-otter --reject "after the holidays"',
    ),
)


@command.default
def approve(run: str = "", /, *, reject: Annotated[str | None, RunModeOption] = None, drop: Members = ()) -> int:
    """Answer a release that waits for it (`publish --approve`) on a Prefect server; or list those that do.

    Parameters
    ----------
    run
        Its name, its id or the beginning of that; none: list the runs that wait.
    reject
        Say no, for this reason.
    drop
        Say yes, but release all but these packages; the plan is made again, and asked again if more has changed.
    """
    import asyncio

    from releasekit.cli import runner
    from releasekit.cli.render import tables, terminal

    if not run and (drop or reject is not None):
        raise Refusal(ErrorCode.USAGE, "which run? `releasekit approve` lists those that wait")
    if drop and reject is not None:
        raise Refusal(ErrorCode.USAGE, "one of --drop and --reject")
    if run:
        name = asyncio.run(runner.approve(run, reject=reject, drop=drop))
        log.info("%s: %s", name, "approved" if reject is None else "rejected")
    else:
        terminal.print_parts(tables.waiting_table(asyncio.run(runner.waiting_releases())))
    return DONE
