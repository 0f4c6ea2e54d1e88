"""`releasekit status`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import DONE, LOOK, Flatten, Format
from releasekit.cli.help import examples
from releasekit.options import StatusOptions

command = App(
    name="status",
    group=LOOK,
    help_epilogue=examples(
        "releasekit status",
        "releasekit status --offline --format json",
    ),
)


@command.default
def status(
    *,
    options: Annotated[StatusOptions, Flatten] = StatusOptions(),  # noqa: B008
    format: Format = "table",  # noqa: A002
) -> int:
    """Show which releases are unfinished, here and on the remote, how far they are, and what to run next.

    It changes nothing and takes no lock. You can run it during a release.

    Parameters
    ----------
    format
        The output format.
    """
    import asyncio

    from releasekit.cli.render import tables, terminal
    from releasekit.operations import preview

    releases = asyncio.run(preview.release_status(options))
    terminal.write_result(format, releases, tables.status_table(releases))
    return DONE
