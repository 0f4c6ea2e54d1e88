"""`releasekit notes`."""

from __future__ import annotations

import logging
from typing import Annotated, Literal

from cyclopts import App

from releasekit.cli.command_types import DONE, LOOK, Flatten, RunModeOption, log_warnings
from releasekit.cli.help import examples
from releasekit.options import Options

log = logging.getLogger("releasekit")

command = App(
    name="notes",
    group=LOOK,
    help_epilogue=examples(
        "releasekit notes --offline",
    ),
)


@command.default
def notes(
    *,
    options: Annotated[Options, Flatten] = Options(),  # noqa: B008
    format: Annotated[Literal["markdown", "json"], RunModeOption] = "markdown",  # noqa: A002
) -> int:
    """Print the release notes that a release would have on the forge now; change nothing.

    The index is not contacted. The forge is asked for pull requests, unless --offline is given.

    Parameters
    ----------
    format
        Markdown, as made by the template and the command; or the JSON that a template gets.
    """
    import asyncio

    from releasekit.cli.render import terminal
    from releasekit.formats.json import notes_json
    from releasekit.operations import preview

    release_notes, text, warnings = asyncio.run(preview.notes(options))
    log_warnings(warnings)
    if format == "json":
        terminal.write_json(notes_json(release_notes))
    elif release_notes.packages:
        terminal.write_stdout(text)
    else:
        log.info("no unreleased changes")
    return DONE
