"""What mends a finding: small edits of files, each with one right outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.workspace.toml_edits import edit_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class SetKey:
    """Give the key *path* of the TOML file *file* the text *value*."""

    file: str
    path: tuple[str, ...]
    value: str


@dataclass(frozen=True, slots=True)
class AddItem:
    """Add *item* to the array *path* of the TOML file *file*, which need not be there yet."""

    file: str
    path: tuple[str, ...]
    item: str


@dataclass(frozen=True, slots=True)
class DropItem:
    """Take *item* out of the array *path* of the TOML file *file*."""

    file: str
    path: tuple[str, ...]
    item: str


@dataclass(frozen=True, slots=True)
class NewFile:
    """Make the file *file*, which is not there."""

    file: str
    text: str = ""


Fix: TypeAlias = SetKey | AddItem | DropItem | NewFile


def affected_files(fixes: Iterable[Fix]) -> tuple[str, ...]:
    """Return the files that *fixes* are about, each once."""
    return tuple(dict.fromkeys(fix.file for fix in fixes))


def fixed_texts(texts: Mapping[str, str | None], fixes: Iterable[Fix]) -> dict[str, str]:
    """Return the new texts of the files, by path; *texts* are those that they have, None for no file.

    Raises Refusal RK-CHECK-FIX if a file is written in a way that nobody foresaw.
    """
    after: dict[str, str] = {}
    for fix in dict.fromkeys(fixes):
        before = after.get(fix.file, texts[fix.file])
        if isinstance(fix, NewFile):
            after |= {fix.file: fix.text} if before is None else {}
        else:
            after[fix.file] = _edit(before or "", fix)
    return after


def _edit(text: str, fix: SetKey | AddItem | DropItem) -> str:
    """Return the TOML *text* with *fix*; all else stays as it is, which is looked at again."""
    after = edit_toml(text, lambda document: _apply(document, fix))
    if after is None:
        raise Refusal(ErrorCode.CHECK_FIX, f"{'.'.join(fix.path)} cannot be edited as it is written", fix.file)
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
            if last in table:
                table[last].append(item)
            else:
                table[last] = [item]
        case DropItem(item=item):
            table[last].remove(item)
