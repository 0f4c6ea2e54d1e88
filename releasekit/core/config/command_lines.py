"""The commands that settings hold: as words, without a shell."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

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
    shell_words = [word for word in words if word in _SHELL_WORDS]
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
    tuple[str, ...], BeforeValidator(_split_command, str | tuple[str, ...]), AfterValidator(_require_program)
]
"""The words of a command; in the file one text, which is split as a shell splits it, or a list of words."""


def command_texts(commands: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return each of *commands* as you would type it."""
    return tuple(map(shlex.join, commands))
