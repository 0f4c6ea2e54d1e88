"""`releasekit config`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import App, Parameter

from releasekit.cli.command_types import DONE, LOOK, Flat, Format, Switched
from releasekit.cli.help import examples
from releasekit.cli.root import app
from releasekit.options import (
    Anywhere,
    InitOptions,
    Place,
)

command = App(
    name="config",
    group=LOOK,
    help_epilogue=examples(
        "releasekit config",
        "releasekit config publish --no-push     # as that would have it",
        "releasekit config --schema > releasekit.schema.json",
    ),
)


@command.default
def config(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    options: Annotated[Place, Flat] = Place(),  # noqa: B008
    schema: Switched = False,
    format: Format = "table",  # noqa: A002
) -> int:
    """Show what each setting is, and where that comes from: option, variable, file or default.

    Parameters
    ----------
    command
        As that command with its options would have it, such as `publish --no-push`.
    schema
        Print the JSON schema of [tool.releasekit] instead, for editors.
    format
        How the settings are printed.
    """
    from releasekit.cli.render import tables, terminal
    from releasekit.operations.show_config import configuration, schema_text

    if schema:
        terminal.answer(schema_text())
        return DONE
    given = _overrides(command) if command else {}
    terminal.answer_with(format, found := configuration(options.directory, given), tables.settings_table(found))
    return DONE


def _overrides(words: Sequence[str]) -> dict[str, Any]:
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    told = bound.arguments.get("options")
    return told.overrides() if isinstance(told, (Anywhere, InitOptions)) else {}
