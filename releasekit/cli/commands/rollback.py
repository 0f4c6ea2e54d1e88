"""`releasekit rollback`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import DONE, RELEASE, Flatten, Format, Yes
from releasekit.cli.help import examples
from releasekit.options import RollbackOptions

command = App(
    name="rollback",
    group=RELEASE,
    help_epilogue=examples(
        "releasekit rollback --dry-run           # what would be removed",
        "releasekit rollback v0.6.0 --no-push",
    ),
)


@command.default
def rollback(
    release: str = "",
    /,
    *,
    options: Annotated[RollbackOptions, Flatten] = RollbackOptions(),  # noqa: B008
    yes: Yes = False,
    format: Format = "table",  # noqa: A002
) -> int:
    """Abandon a release: delete its tags, worktree and record, and show how to continue.

    Tags of packages that are on the index stay.

    Parameters
    ----------
    release
        The id of the release or the beginning of the id, or its title; default: the unfinished release.
    yes
        Remove without asking.
    format
        The output format.
    """
    import asyncio

    from releasekit.cli import runner
    from releasekit.cli.render import tables, terminal

    result = asyncio.run(runner.rollback(options.model_copy(update={"release": release}), yes=yes))
    terminal.write_result(format, result, tables.rollback_table(result))
    return DONE
