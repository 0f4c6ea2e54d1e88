"""`releasekit approve`."""

from __future__ import annotations

import logging
from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import DONE, RELEASE, RunModeOption
from releasekit.cli.help import examples
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.options import Members

log = logging.getLogger("releasekit")

command = App(
    name="approve",
    group=RELEASE,
    help_epilogue=examples(
        "releasekit approve                      # list the waiting releases",
        "releasekit approve brave-otter --drop plugin-x",
        'releasekit approve brave-otter --reject "after the holidays"',
    ),
)


@command.default
def approve(
    run: str = "", /, *, reject: Annotated[str | None, RunModeOption] = None, drop: Members = ()
) -> int:
    """Approve or reject a release that waits for approval (`publish --approve`); or list the waiting releases.

    The release waits on a Prefect server.

    Parameters
    ----------
    run
        The name of the run, or its id or the beginning of the id; default: list the waiting runs.
    reject
        Reject the release, for this reason.
    drop
        Approve the release without these packages; the plan is made again, and if more has changed, it waits again.
    """
    import asyncio

    from releasekit.cli import runner
    from releasekit.cli.render import tables, terminal

    is_rejected = reject is not None
    if not run and (drop or is_rejected):
        raise Refusal(ErrorCode.USAGE, "name the run; `releasekit approve` lists the waiting ones")
    if drop and is_rejected:
        raise Refusal(ErrorCode.USAGE, "use only one of --drop and --reject")
    if not run:
        waiting = asyncio.run(runner.waiting_releases())
        terminal.print_parts(tables.waiting_table(waiting))
        return DONE
    name = asyncio.run(runner.approve(run, reject=reject, drop=drop))
    answer = "rejected" if is_rejected else "approved"
    log.info("%s: %s", name, answer)
    return DONE
