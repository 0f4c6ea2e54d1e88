"""`releasekit version`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App

from releasekit.cli.command_types import (
    DONE,
    LOOK,
    Flatten,
    Packages,
    Switch,
    TableFormat,
    log_warnings,
)
from releasekit.cli.help import examples
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.options import SelectionOptions

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
    options: Annotated[SelectionOptions, Flatten] = SelectionOptions(),  # noqa: B008  a frozen value
    explain: Switch = False,
    format: TableFormat = "table",  # noqa: A002
) -> int:
    """Show the next version of each package, and why. Don't contact the index.

    Parameters
    ----------
    packages
        Only these packages (names, patterns or paths).
    explain
        Show each commit since the last release with the rule that applies, or why it does not count; JSON always
        has this.
    format
        The output format.
    """
    from releasekit.cli.render import tables, terminal
    from releasekit.formats.csv import versions_csv
    from releasekit.formats.explained import explanation_text
    from releasekit.formats.markdown import versions_markdown
    from releasekit.operations.preview import explain_versions

    if explain and format in {"csv", "markdown"}:
        raise Refusal(ErrorCode.USAGE, f"--explain works with table and json, not with {format}")
    explanation, warnings = explain_versions(options, packages)
    log_warnings(warnings)
    if format == "table" and explain:
        terminal.write_stdout(explanation_text(explanation))
    else:
        terminal.write_result(
            format,
            explanation,
            tables.versions_table(explanation),
            csv=lambda: versions_csv(explanation),
            markdown=lambda: versions_markdown(explanation),
        )
    return DONE
