"""The reference of the command line: every command with its arguments, options and examples."""

from __future__ import annotations

import inspect
import json
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin

from releasekit.cli.app import app
from releasekit.cli.command_types import LOOK, RELEASE, SET_UP
from releasekit.cli.short_help import flags_of, groups_of, is_positional, summary_of, usage_of
from releasekit.core.config.settings import variable
from releasekit.options import is_setting, option_name
from tests.tables.key_reference import cell

if TYPE_CHECKING:
    from cyclopts import App, Argument, ArgumentCollection, Group


def groups() -> dict[str, tuple[str, ...]]:
    """Return the commands of each group, as `--help` shows them."""
    names = sorted(name for name in app if not name.startswith("-"))
    return {
        group.name: tuple(name for name in names if group in groups_of(app[name]))
        for group in (LOOK, RELEASE, SET_UP)
    }


def commands() -> str:
    """Return a section for each command, in groups, and one for the options that all of them share."""
    parts = [_overview()]
    for group, names in groups().items():
        parts.append(f"## {group}")
        parts += [_section(name) for name in names]
    parts += ["## Global options", "Every command takes these options.", _options("")]
    return "\n\n".join(parts)


def documented_commands() -> set[str]:
    """Return the names of the commands that have a section."""
    return {name for names in groups().values() for name in names}


def _overview() -> str:
    rows = ["| Command | What it does |", "|---|---|"]
    for names in groups().values():
        rows += [f"| [`{name}`](#{name}) | {cell(summary_of(app[name]))} |" for name in names]
    return "\n".join(rows)


def _section(name: str) -> str:
    arguments = [argument for argument in _collected(name) if is_positional(argument)]
    usage = " ".join(["releasekit", name, *map(usage_of, arguments), "[OPTIONS]"])
    parts = [f"### {name}", _description(app[name]), f"```text\n{usage}\n```"]
    if arguments:
        parts.append(
            "\n".join(["| Argument | Description |", "|---|---|", *map(_argument, arguments)])
        )
    if any(map(option_name, _collected(name))):
        parts.append(_options(name))
    if examples := _examples(app[name]):
        parts.append(f"```bash\n{examples}\n```")
    return "\n\n".join(parts)


def _options(name: str) -> str:
    """Return the table of the options of a command, in the order of `--help`."""
    rows = ["| Option | Description | Default | Variable | Key |", "|---|---|---|---|---|"]
    options = [argument for argument in _collected(name) if option_name(argument)]
    for argument in sorted(options, key=_panel):
        option = option_name(argument)
        key = f"`{option}`" if is_setting(option) else ""
        flags = ", ".join(f"`{flag}`" for flag in flags_of(argument))
        row = (flags, _help(argument), _default(argument), f"`{variable(option)}`", key)
        rows.append(f"| {' | '.join(row)} |")
    return "\n".join(rows)


@cache
def _collected(name: str) -> ArgumentCollection:
    """Return the arguments and options of a command; of all commands, if *name* is empty."""
    return (app[name] if name else app.meta).assemble_argument_collection(parse_docstring=True)


def _panel(argument: Argument) -> int:
    """Return the place of an option's group in `--help`."""
    groups = cast("tuple[Group, ...]", argument.parameter.group or ())
    return next((group.sort_key for group in groups if isinstance(group.sort_key, int)), 0)


def _help(argument: Argument) -> str:
    choices = argument.get_choices() or ()
    listed = f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""
    text = cell(argument.parameter.help or "")
    repeated = " Can be given several times." if get_origin(argument.hint) is tuple else ""
    return f"{text.rstrip('.')}.{listed}{repeated}"


def _default(argument: Argument) -> str:
    default: Any = argument.field_info.default
    if default in (None, "", (), inspect.Parameter.empty) or default == PurePath():
        return ""
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _argument(argument: Argument) -> str:
    choices = [str(value) for value in get_args(argument.hint) if isinstance(value, str)]
    listed = f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""
    return f"| `{argument.names[0]}` | {cell(argument.parameter.help or '').rstrip('.')}.{listed} |"


def _description(command: App) -> str:
    """Return the text of a command's help, without its parameters."""
    document = inspect.getdoc(command.default_command) or ""
    return document.partition("\n\nParameters\n")[0]


def _examples(command: App) -> str:
    lines = str(command.help_epilogue or "").removeprefix("Examples:").strip("\n").splitlines()
    return "\n".join(line.removeprefix("  ") for line in lines)
