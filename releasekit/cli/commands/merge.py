"""`releasekit merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import DONE, RELEASE, Flatten, Format
from releasekit.cli.help import examples
from releasekit.options import MergeOptions

command = App(
    name="merge",
    group=RELEASE,
    help_epilogue=examples(
        "releasekit merge base part-linux part-macos --output merged",
        "releasekit merge base part-linux --output merged --offline",
    ),
)


@command.default
def merge(
    *directories: Path,
    options: Annotated[MergeOptions, Flatten] = MergeOptions(),  # noqa: B008  a frozen value
    format: Format = "table",  # noqa: A002  the name of the flag
) -> int:
    """Put the parts of a staged release together: one from `publish --stage-only`, and one from each `--platform`.

    All parts must be of one release and one release commit. Each file is compared with its sha256 and with the plan.
    No wheel may be missing: neither those of a platform, nor one that the last release had.

    Parameters
    ----------
    directories
        The directories of the parts.
    format
        The output format; json is the manifest.
    """
    import asyncio

    from releasekit.cli.render import tables, terminal
    from releasekit.operations.merge_parts import merge_staged

    manifest = asyncio.run(merge_staged(options, directories))
    terminal.write_result(format, manifest, tables.manifest_table(manifest, options.output))
    return DONE
