"""The commands that settings hold: as words, without a shell."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from releasekit.core.picking import pick

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHELL_WORDS = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "2>", "2>&1"})


def _split_command(value: object) -> object:
    """Return the words of a command that is written as one text; other values are for pydantic to check."""
    if not isinstance(value, str):
        return value
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise PydanticCustomError("command", "not a command: {why}", {"why": str(error)}) from None
    shell_words = pick(words, _SHELL_WORDS)
    if shell_words:
        why = f"no shell runs the command, so {shell_words[0]} has no effect; use `sh -c '…'`, or more commands"
        raise PydanticCustomError("command", "{why}", {"why": why})
    return tuple(words)


def _require_program(words: tuple[str, ...]) -> tuple[str, ...]:
    if not words or not words[0].strip():
        raise PydanticCustomError("command", "the command is empty")
    if "\0" in "".join(words):
        raise PydanticCustomError("command", "a command cannot contain a null character")
    return words


CommandLine = Annotated[
    tuple[str, ...],
    BeforeValidator(_split_command, str | tuple[str, ...]),
    AfterValidator(_require_program),
]
"""The words of a command; in the file one text, which is split as a shell splits it, or a list of words."""


ROOT = "{root}"
"""What stands in a `pre_build` command for the root of the workspace."""

OUTPUT, PLATFORM = "{output}", "{platform}"
"""What stands in a build command for the directory of its wheels, and for the platform that it builds for."""


def _require_output(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the *words* of a build command; none stand for `uv build`."""
    if not words:
        return words
    if not any(OUTPUT in word for word in words):
        message = "the command must contain {what}, the directory into which it writes the wheels"
        raise PydanticCustomError("command", message, {"what": OUTPUT})
    return _require_program(words)


BuildCommand = Annotated[
    tuple[str, ...],
    BeforeValidator(_split_command, str | tuple[str, ...]),
    AfterValidator(_require_output),
]
"""The words of a command that builds wheels; none for `uv build`."""


def wheel_command(words: Iterable[str], output: str, platform: str) -> tuple[str, ...]:
    """Return the words of a build command that writes into the directory *output*, on *platform*."""
    return tuple(word.replace(OUTPUT, output).replace(PLATFORM, platform) for word in words)


@dataclass(frozen=True, slots=True)
class PackageCommands:
    """The commands that build one package: *build_command* its wheels, none for uv's; *pre_build* run before."""

    build_command: tuple[str, ...] = ()
    pre_build: tuple[tuple[str, ...], ...] = ()


def rooted_commands(commands: Iterable[tuple[str, ...]], root: str) -> tuple[tuple[str, ...], ...]:
    """Return the words of `pre_build` *commands* with the directory *root* of the workspace in them."""
    return tuple(tuple(word.replace(ROOT, root) for word in words) for words in commands)


def command_texts(commands: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return each of *commands* as you would type it."""
    return tuple(map(shlex.join, commands))
