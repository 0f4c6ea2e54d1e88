"""Print `-h`: help on one screen. `--help` has everything."""

from __future__ import annotations

import inspect
from textwrap import shorten
from typing import TYPE_CHECKING, cast, get_origin

from releasekit.cli.command_types import LOOK, RELEASE, SET_UP
from releasekit.options import INDEX, PACKAGES, RELEASE_GROUP, RUN_MODE, option_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cyclopts import App, Argument, Group

MAX_OPTIONS = 15
"""How many options fit on a screen of 24 lines, below usage and summary."""

_ORDER = (RUN_MODE, PACKAGES, RELEASE_GROUP, INDEX)
"""The groups of options, the most important first."""


def wants_short_help(words: Sequence[str]) -> bool:
    """Return whether `-h` is among *words*; words after `--` belong to another command."""
    ours = words[: words.index("--")] if "--" in words else words
    return "-h" in ours


def short_help(app: App, words: Iterable[str], width: int) -> str:
    """Return the help of the first command in *words*, or of the program; no line is longer than *width*."""
    names = [name for name in app if not name.startswith("-")]
    name = next((word for word in words if word in names), "")
    lines = _command_help(app[name], name, width) if name else _program_help(app, names, width)
    return "\n".join(lines)


def _program_help(app: App, names: Sequence[str], width: int) -> Iterator[str]:
    yield "Usage: releasekit COMMAND [OPTIONS]"
    for group in (LOOK, RELEASE, SET_UP):
        yield f"{group.name}:"
        members = sorted(name for name in names if group in groups_of(app[name]) and name != "help")
        yield from _columns([(name, summary_of(app[name])) for name in members], width)
    yield "More: `releasekit COMMAND -h`, or `releasekit --help`"


def _command_help(command: App, name: str, width: int) -> Iterator[str]:
    arguments = command.assemble_argument_collection(parse_docstring=True)
    positional = [argument for argument in arguments if is_positional(argument)]
    yield " ".join(["Usage: releasekit", name, *map(usage_of, positional), "[OPTIONS]"])
    yield ""
    yield shorten(summary_of(command), width, placeholder=" …")
    yield ""
    options = sorted((argument for argument in arguments if option_name(argument)), key=_rank)
    rows = [(", ".join(flags_of(option)), option.parameter.help or "") for option in options]
    yield from _columns(rows[:MAX_OPTIONS], width)
    yield ""
    hidden = len(rows) - MAX_OPTIONS
    more = f"{hidden} more options, defaults" if hidden > 0 else "Defaults"
    yield f"{more}, variables and examples: `releasekit {name} --help`"


def _columns(rows: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """Yield a line for each label and its text. The text is cut between two words where it does not fit."""
    column = max((len(label) for label, _ in rows), default=0)
    for label, text in rows:
        start = f"  {label:<{column}}  "
        yield start + shorten(text, max(width - len(start), 10), placeholder=" …")


def _rank(option: Argument) -> int:
    groups = cast("tuple[Group, ...]", option.parameter.group or ())
    return next((rank for rank, group in enumerate(_ORDER) if group in groups), len(_ORDER))


def groups_of(command: App) -> tuple[Group, ...]:
    """Return the groups that the help of the program shows *command* in."""
    groups: object = command.group
    return tuple(cast("Iterable[Group]", groups if isinstance(groups, (tuple, list)) else (groups,)))


def summary_of(command: App) -> str:
    """Return the first paragraph of a command's help, on one line."""
    document = inspect.getdoc(command.default_command) or ""
    return " ".join(document.partition("\n\n")[0].split())


def is_positional(argument: Argument) -> bool:
    """Return whether *argument* is given by its position, and not by a flag."""
    return not argument.names[0].startswith(("-", "*")) and bool(argument.show)


def usage_of(argument: Argument) -> str:
    """Return how a positional *argument* is written in a usage line."""
    name = argument.names[0]
    is_list = get_origin(argument.hint) is tuple
    return f"[{name}{'...' if is_list else ''}]" if is_list or not argument.required else name


def flags_of(argument: Argument) -> list[str]:
    """Return the flags of an option. If it is a switch that is on by default, the flag for off comes first."""
    names = sorted(argument.names, key=lambda name: not name.startswith("--"))
    negatives = [name for name in names if name in argument.negatives]
    positives = [name for name in names if name not in argument.negatives]
    return [*negatives, *positives] if argument.field_info.default is True else positives
