"""`releasekit prepare`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import RELEASE, Flatten, Format, report_obstacles
from releasekit.cli.help import examples
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.options import PrepareOptions

command = App(
    name="prepare",
    group=RELEASE,
    help_epilogue=examples(
        "releasekit prepare --dry-run",
        "releasekit prepare --prerelease rc",
    ),
)


@command.default
def prepare(
    *,
    options: Annotated[PrepareOptions, Flatten] = PrepareOptions(),  # noqa: B008
    format: Format = "table",  # noqa: A002
) -> int:
    """Create or update the release pull request; merging it releases the changed packages.

    Parameters
    ----------
    format
        The output format.
    """
    if options.offline and not options.dry_run:
        raise Refusal(ErrorCode.USAGE, "--offline needs --dry-run")
    import asyncio

    from releasekit.cli import runner
    from releasekit.cli.render import tables, terminal

    pr_status = asyncio.run(runner.prepare(options))
    terminal.write_result(format, pr_status, tables.release_pr_table(pr_status))
    return report_obstacles(pr_status.obstacles, "prepare")
