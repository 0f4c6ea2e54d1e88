"""`releasekit version`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import DONE, LOOK, Flat, Packages, Switched, Tables, log_warnings
from releasekit.cli.help import examples
from releasekit.core.errors import Code, Refusal
from releasekit.options import (
    Selected,
)

command = App(
    name="version",
    group=LOOK,
    help_epilogue=examples(
        "releasekit version",
        'releasekit version core "plugin-*" --explain',
    ),
)


@command.default
def next_versions(
    *packages: Packages,
    options: Annotated[Selected, Flat] = Selected(),  # noqa: B008  a frozen value
    explain: Switched = False,
    format: Tables = "table",  # noqa: A002
) -> int:
    """Show which version each package goes to, and why; asks no index.

    Parameters
    ----------
    packages
        Only these packages (names, patterns or paths).
    explain
        Show each commit since the last release with the rule that it met, or why it does not count; JSON always does.
    format
        How the versions are printed.
    """
    from releasekit.cli.render import tables, terminal
    from releasekit.formats.csv import versions_csv
    from releasekit.formats.explained import explanation_text
    from releasekit.formats.markdown import versions_markdown
    from releasekit.operations.preview import explained

    if explain and format in {"csv", "markdown"}:
        raise Refusal(Code.USAGE, f"--explain goes with table and JSON; {format} has no room for commits")
    found, warnings = explained(options, packages)
    log_warnings(warnings)
    if format == "table" and explain:
        terminal.answer(explanation_text(found))
    else:
        terminal.answer_with(
            format,
            found,
            tables.versions_table(found),
            csv=lambda: versions_csv(found),
            markdown=lambda: versions_markdown(found),
        )
    return DONE
