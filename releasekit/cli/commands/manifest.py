"""`releasekit manifest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import (
    DONE,
    RELEASE,
    Flatten,
    RunModeOption,
)
from releasekit.cli.help import examples
from releasekit.options import WorkspaceOptions

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
    options: Annotated[WorkspaceOptions, Flatten] = WorkspaceOptions(),  # noqa: B008
    output: Annotated[Path | None, RunModeOption] = None,
) -> int:
    """Fetch the manifest of a release that is tagged and waits to be published, for `publish --manifest`.

    A draft is visible only with write access to the repository. Run this command in a job that has that access and
    builds nothing.

    Parameters
    ----------
    release
        The tag of the release; default: the only draft.
    output
        Write the manifest to this file instead of printing it.
    """
    import asyncio

    from releasekit.cli.render import terminal
    from releasekit.integrations.filesystem import make_directory, write_atomic
    from releasekit.operations import preview

    text = asyncio.run(preview.fetch_manifest_text(options, release))
    if output:
        make_directory(output.parent)
        write_atomic(output, text)
    else:
        terminal.write_stdout(text.rstrip("\n"))
    return DONE
