"""Fixes of findings: small edits of files, each with exactly one right result."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from releasekit.core.adoption.configuration import MissingKey, as_toml, configured_text
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
class AddVersionFile:
    """Add *module* and the *pattern* of its version to `bump` of the package with the pyproject.toml *file*."""

    file: str
    module: str
    pattern: str
    path: ClassVar = ("tool", "releasekit", "bump")

    @property
    def item(self) -> dict[str, str]:
        """The new item of the array."""
        return {"path": self.module, "pattern": self.pattern}


@dataclass(frozen=True, slots=True)
class NewFile:
    """Create the file *file* with *text*, unless it exists."""

    file: str
    text: str = ""


_Edit: TypeAlias = SetKey | AddItem | DropItem | AddVersionFile
Fix: TypeAlias = _Edit | NewFile


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


def _edit(text: str, fix: _Edit) -> str:
    """Return the TOML *text* with *fix* applied; `edit_toml` verifies that nothing else changes."""
    if isinstance(fix, AddVersionFile) and "releasekit" not in tomllib.loads(text).get("tool", {}):
        return configured_text(text, [MissingKey("bump", [fix.item])], fix.file)
    after = edit_toml(text, lambda document: _apply(document, fix))
    if after is None:
        raise Refusal(
            ErrorCode.CHECK_FIX, f"{'.'.join(fix.path)} cannot be edited as it is written", fix.file
        )
    return after


def _apply(document: Any, fix: _Edit) -> None:  # noqa: ANN401  tomlkit's types do not nest
    table = document
    for key in fix.path[:-1]:
        table = table[key]
    last = fix.path[-1]
    match fix:
        case SetKey(value=value):
            table[last] = value
        case AddItem(item=item):
            table.setdefault(last, []).append(item)
        case AddVersionFile(item=item):
            from tomlkit import value as parse_value  # late: it is slow to import

            table.setdefault(last, []).append(parse_value(as_toml(item)))
        case DropItem(item=item):
            table[last].remove(item)
