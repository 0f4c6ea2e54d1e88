"""Fixes of findings: small edits of files, each with exactly one right result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.workspace.toml_edits import edit_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class SetKey:
    """Set the key *path* of the TOML file *file* to the string *value*."""

    file: str
    path: tuple[str, ...]
    value: str


@dataclass(frozen=True, slots=True)
class AddItem:
    """Add *item* to the array *path* of the TOML file *file*; create the array if it is missing."""

    file: str
    path: tuple[str, ...]
    item: str


@dataclass(frozen=True, slots=True)
class DropItem:
    """Remove *item* from the array *path* of the TOML file *file*."""

    file: str
    path: tuple[str, ...]
    item: str


@dataclass(frozen=True, slots=True)
class NewFile:
    """Create the file *file* with *text*, unless it exists."""

    file: str
    text: str = ""


Fix: TypeAlias = SetKey | AddItem | DropItem | NewFile


def affected_files(fixes: Iterable[Fix]) -> tuple[str, ...]:
    """Return the files that *fixes* change, each once."""
    return tuple(dict.fromkeys(fix.file for fix in fixes))


def fixed_texts(texts: Mapping[str, str | None], fixes: Iterable[Fix]) -> dict[str, str]:
    """Return the new texts of the files, by path; *texts* are the current ones, None for a missing file.

    Raises Refusal RK-CHECK-FIX if a file cannot be edited in the form in which it is written.
    """
    after: dict[str, str] = {}
    for fix in dict.fromkeys(fixes):
        before = after.get(fix.file, texts[fix.file])
        if not isinstance(fix, NewFile):
            after[fix.file] = _edit(before or "", fix)
        elif before is None:
            after[fix.file] = fix.text
    return after


def _edit(text: str, fix: SetKey | AddItem | DropItem) -> str:
    """Return the TOML *text* with *fix* applied; `edit_toml` verifies that nothing else changes."""
    after = edit_toml(text, lambda document: _apply(document, fix))
    if after is None:
        raise Refusal(
            ErrorCode.CHECK_FIX, f"{'.'.join(fix.path)} cannot be edited as it is written", fix.file
        )
    return after


def _apply(document: Any, fix: SetKey | AddItem | DropItem) -> None:  # noqa: ANN401  tomlkit's types do not nest
    table = document
    for key in fix.path[:-1]:
        table = table[key]
    last = fix.path[-1]
    match fix:
        case SetKey(value=value):
            table[last] = value
        case AddItem(item=item):
            table.setdefault(last, []).append(item)
        case DropItem(item=item):
            table[last].remove(item)
