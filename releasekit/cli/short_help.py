"""Print `-h`: help on one screen. `--help` has everything."""

from __future__ import annotations

import inspect
from itertools import takewhile
from textwrap import shorten
from typing import TYPE_CHECKING, cast, get_origin

from releasekit.cli.command_types import LOOK, RELEASE, SET_UP
from releasekit.core.picking import drop, pick
from releasekit.options import INDEX, PACKAGES, RELEASE_GROUP, RUN_MODE, option_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cyclopts import App, Argument, Group

MAX_OPTIONS = 15
"""How many options fit on a screen of 24 lines, below usage and summary."""

RARE_COMMANDS = frozenset(
    {"completion", "help", "manifest", "merge", "smoke-test", "verify", "yank"}
)
"""The commands that the short help of the program leaves out, so that it fits a small terminal."""
_ORDER = (RUN_MODE, PACKAGES, RELEASE_GROUP, INDEX)
"""The groups of options, the most important first."""


def wants_short_help(words: Sequence[str]) -> bool:
    """Return whether `-h` is among *words*; words after `--` belong to another command."""
    ours = takewhile(lambda word: word != "--", words)
    return "-h" in ours


def short_help(app: App, words: Iterable[str], width: int) -> str:
    """Return the help of the first command in *words*, or of the program; no line is longer than *width*."""
    names = command_names(app)
    name = next(filter(names.__contains__, words), "")
    lines = _command_help(app[name], name, width) if name else _program_help(app, names, width)
    return "\n".join(lines)


def command_names(app: App) -> list[str]:
    """Return the names of all commands, without flags such as `--help` that cyclopts lists beside them."""
    return [name for name in app if not name.startswith("-")]


def _program_help(app: App, names: Sequence[str], width: int) -> Iterator[str]:
    listed = sorted({*names} - RARE_COMMANDS)
    for group in (LOOK, RELEASE, SET_UP):
        yield f"{group.name}:"
        rows = [(name, summary_of(app[name])) for name in listed if group in groups_of(app[name])]
        yield from _columns(rows, width)
    yield "Usage: releasekit COMMAND [OPTIONS]. More: `COMMAND -h`, or `releasekit --help`"


def _command_help(command: App, name: str, width: int) -> Iterator[str]:
    arguments = command.assemble_argument_collection(parse_docstring=True)
    positional = filter(is_positional, arguments)
    yield " ".join(["Usage: releasekit", name, *map(usage_of, positional), "[OPTIONS]"])
    yield ""
    yield shorten(summary_of(command), width, placeholder=" …")
    yield ""
    options = sorted(filter(option_name, arguments), key=_rank)
    yield from _columns(list(map(_option_row, options[:MAX_OPTIONS])), width)
    yield ""
    hidden = len(options) - MAX_OPTIONS
    more = f"{hidden} more options, defaults" if hidden > 0 else "Defaults"
    yield f"{more}, variables and examples: `releasekit {name} --help`"


def _option_row(option: Argument) -> tuple[str, str]:
    flags = ", ".join(flags_of(option))
    text = option.parameter.help or ""
    return flags, text


def _columns(rows: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """Yield a line for each label and its text. The text is cut between two words where it does not fit."""
    column = max((len(label) for label, _ in rows), default=0)
    for label, text in rows:
        start = f"  {label:<{column}}  "
        yield start + shorten(text, max(width - len(start), 10), placeholder=" …")


def _rank(option: Argument) -> int:
    groups = cast("tuple[Group, ...]", option.parameter.group or ())
    ranks = (rank for rank, group in enumerate(_ORDER) if group in groups)
    return next(ranks, len(_ORDER))


def groups_of(command: App) -> tuple[Group, ...]:
    """Return the groups that the help of the program shows *command* in."""
    groups: object = command.group
    is_several = isinstance(groups, (tuple, list))
    several = groups if is_several else (groups,)
    return tuple(cast("Iterable[Group]", several))


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
    if get_origin(argument.hint) is tuple:
        return f"[{name}...]"
    return name if argument.required else f"[{name}]"


def flags_of(argument: Argument) -> list[str]:
    """Return the flags of an option. If it is a switch that is on by default, the flag for off comes first."""
    names = sorted(argument.names, key=lambda name: not name.startswith("--"))
    positives = drop(names, argument.negatives)
    if argument.field_info.default is not True:
        return positives
    negatives = pick(names, argument.negatives)
    return [*negatives, *positives]
