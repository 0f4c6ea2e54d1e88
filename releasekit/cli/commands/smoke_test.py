"""`releasekit smoke-test`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import DONE, FAILED, RELEASE, Flatten, Format
from releasekit.cli.help import examples
from releasekit.options import IndexOptions

command = App(
    name="smoke-test",
    group=RELEASE,
    help_epilogue=examples(
        "releasekit smoke-test staged/manifest.json",
        "releasekit smoke-test staged/manifest.json --format json",
    ),
)


@command.default
def smoke_test(
    manifest: Path,
    /,
    *,
    options: Annotated[IndexOptions, Flatten] = IndexOptions(),  # noqa: B008  a frozen value
    format: Format = "table",  # noqa: A002  the name of the flag
) -> int:
    """Install each package of a published release from the index, and import it.

    With `publish_to`, each package is installed from each of its indexes. `publish` does all this itself. Use this
    command if packages may not run in the job that uploads: skip the smoke test there, and run this command in a job
    without rights after it. It needs only the manifest, and installs only files with the sha256 sums in it.

    Parameters
    ----------
    manifest
        The manifest of the release.
    format
        The output format.
    """
    import asyncio

    from releasekit.cli.render import tables, terminal
    from releasekit.operations.smoke_tests import smoke_test_release

    report = asyncio.run(smoke_test_release(options, manifest))
    terminal.write_result(format, report, tables.smoke_table(report))
    return FAILED if report.has_failures else DONE
