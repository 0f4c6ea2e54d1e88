"""`releasekit config`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import App, Parameter

from releasekit.cli.command_types import DONE, LOOK, Flatten, Format, Switch
from releasekit.cli.help import examples
from releasekit.cli.root import app
from releasekit.options import (
    InitOptions,
    RemoteWorkspaceOptions,
    WorkspaceOptions,
)

command = App(
    name="config",
    group=LOOK,
    help_epilogue=examples(
        "releasekit config",
        "releasekit config publish --no-push     # as this command would see it",
        "releasekit config --schema > releasekit.schema.json",
    ),
)


@command.default
def config(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    options: Annotated[WorkspaceOptions, Flatten] = WorkspaceOptions(),  # noqa: B008
    schema: Switch = False,
    format: Format = "table",  # noqa: A002
) -> int:
    """Show the value of each setting, and where it comes from: option, variable, file or default.

    Parameters
    ----------
    command
        Show the settings as this command with its options would see them, such as `publish --no-push`.
    schema
        Print the JSON schema of [tool.releasekit] for editors instead.
    format
        The output format.
    """
    from releasekit.cli.render import tables, terminal
    from releasekit.operations.show_config import effective_settings, schema_text

    if schema:
        terminal.write_stdout(schema_text())
        return DONE
    overrides = _command_overrides(command) if command else {}
    settings = effective_settings(options.directory, overrides)
    terminal.write_result(format, settings, tables.settings_table(settings))
    return DONE


def _command_overrides(words: Sequence[str]) -> dict[str, Any]:
    _, arguments, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    options = arguments.arguments.get("options")
    return options.overrides() if isinstance(options, (RemoteWorkspaceOptions, InitOptions)) else {}
