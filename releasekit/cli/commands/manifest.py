"""`releasekit manifest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import (
    DONE,
    RELEASE,
    Flat,
    Printed,
)
from releasekit.cli.help import examples
from releasekit.options import (
    Place,
)

command = App(
    name="manifest",
    group=RELEASE,
    help_epilogue=examples(
        "releasekit manifest --output release/manifest.json",
        "releasekit manifest v0.6.0",
    ),
)


@command.default
def manifest(
    release: str = "draft",
    /,
    *,
    options: Annotated[Place, Flat] = Place(),  # noqa: B008
    output: Annotated[Path | None, Printed] = None,
) -> int:
    """Fetch the manifest of a release that is tagged and waits to be published, for `publish --manifest`.

    Only who may write to the repository sees a draft: so it can be fetched in a job that builds nothing.

    Parameters
    ----------
    release
        Its tag; none: the only draft that there is.
    output
        Write it to this file, instead of printing it.
    """
    import asyncio

    from releasekit.cli.render import terminal
    from releasekit.integrations.filesystem import make_directory, replace_text
    from releasekit.operations import preview

    text = asyncio.run(preview.manifest_of(options, release))
    if output:
        make_directory(output.parent)
        replace_text(output, text)
    else:
        terminal.answer(text.rstrip("\n"))
    return DONE
