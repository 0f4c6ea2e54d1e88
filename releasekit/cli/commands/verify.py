"""`releasekit verify`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import (
    DONE,
    FAILED,
    REFUSED,
    RELEASE,
    Flatten,
    Format,
    Packages,
)
from releasekit.cli.help import examples
from releasekit.options import VerifyOptions

command = App(
    name="verify",
    group=RELEASE,
    help_epilogue=examples(
        "releasekit verify orchard-core 0.3.0 --format json",
    ),
)


@command.default
def verify(
    name: Packages,
    version: str,
    /,
    *,
    options: Annotated[VerifyOptions, Flatten] = VerifyOptions(),  # noqa: B008
    format: Format = "table",  # noqa: A002
) -> int:
    """Build a published version again from its tag, and compare it with the files on the index, byte by byte.

    SHA256SUMS of the release and attestations are compared too. Exit code 0: all is the same; 1: something differs;
    2: it could not be compared. The checkout is not changed.

    Parameters
    ----------
    name
        The package.
    version
        The version.
    format
        The output format.
    """
    import asyncio

    from releasekit.cli.render import repair_tables, terminal
    from releasekit.operations import verify_version

    result = asyncio.run(verify_version.verify_version(options, name, version))
    terminal.write_result(format, result, repair_tables.verification_table(result))
    if result.is_contradicted:
        return FAILED
    return REFUSED if result.is_incomplete else DONE
