"""`releasekit changelog`."""

from __future__ import annotations

import logging
from typing import Annotated, Literal

from cyclopts import App

from releasekit.cli.command_types import DONE, LOOK, Flatten, Packages, RunModeOption, log_warnings
from releasekit.cli.help import examples
from releasekit.options import SelectionOptions

log = logging.getLogger("releasekit")

command = App(
    name="changelog",
    group=LOOK,
    help_epilogue=examples(
        "releasekit changelog",
        "releasekit changelog core --format json",
    ),
)


@command.default
def changelog(
    *packages: Packages,
    options: Annotated[SelectionOptions, Flatten] = SelectionOptions(),  # noqa: B008
    format: Annotated[Literal["markdown", "json"], RunModeOption] = "markdown",  # noqa: A002
) -> int:
    """Print the changelog entries that a release would add now. Don't contact the index; change nothing.

    Parameters
    ----------
    packages
        Only these packages (names, patterns or paths).
    format
        Markdown; or JSON with each change.
    """
    from releasekit.cli.render import terminal
    from releasekit.formats.json import changelog_json
    from releasekit.operations import preview

    unreleased = preview.unreleased_changes(options, packages)
    log_warnings(unreleased.warnings)
    if format == "json":
        rows = ((step, changes.entry, section) for step, changes, section in unreleased.packages)
        terminal.write_json(changelog_json(rows, unreleased.workspace))
    elif unreleased.packages:
        sections = [f"# {step.name}\n\n{section.text}" for step, _, section in unreleased.packages]
        if unreleased.workspace:
            sections.insert(0, f"# All packages\n\n{unreleased.workspace.text}")
        terminal.write_stdout("\n".join(sections))
    else:
        log.info("no unreleased changes")
    return DONE
