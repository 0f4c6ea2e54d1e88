"""The files in which another tool raises the version, as entries of `bump`."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from posixpath import normpath
from typing import TYPE_CHECKING

from releasekit.core.migration.foreign_setup import (
    VERSION_FILES_ADVICE,
    ForeignKey,
    LeftOut,
    VersionFile,
    merge_keys,
)
from releasekit.core.picking import map_values
from releasekit.core.workspace.dynamic_version import literal_location
from releasekit.core.workspace.workspace import PYPROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.version import Version

    from releasekit.core.migration.foreign_setup import FindParts, ForeignSetup, Places
    from releasekit.core.workspace.workspace import Member, Workspace

_ANY_VERSION = literal_location("{version}", "").pattern
_NO_TEXT = re.compile("[\ud800-\udfff]")
"""What stands for a byte that is not UTF-8 in the text of a file; a TOML file cannot contain it."""
_AROUND = 2
"""The text before a version, and the text behind it."""
_MAX_PARTS = 20
"""A file in which the version occurs more often, such as a lock file of another tool, is not for `bump`."""


def locate_file(
    places: Places, directory: str, path: str, key: str, find_parts: FindParts, what: str
) -> Iterator[VersionFile]:
    """Yield the file *path*, relative to *directory*; both are as a tool's configuration writes them.

    Yields nothing if every release writes the version at *key* of the file: in uv.lock, and as `project.version`.
    """
    name = PurePosixPath(path).name
    is_project = name == PYPROJECT and key in ("", "version", "project.version")
    if not is_project and name != "uv.lock":
        package, own_path = places.owner(normpath(f"{directory}/{path}"))
        yield VersionFile(package, own_path, find_parts, what)


def has_version(line: str) -> bool:
    """Return whether *line* contains a version."""
    return bool(_ANY_VERSION.search(line))


def lines_with_key(key: str) -> FindParts:
    """Return what finds the lines that give *key* a value, in JSON, TOML, YAML or Python."""
    pattern = re.compile(rf"(?<![\w-])[\"']?{re.escape(key)}[\"']?\s*(?::=|[:=])")
    return partial(_matching_lines, pattern)


def _matching_lines(pattern: re.Pattern[str], text: str, _version: Version) -> Iterator[str]:
    yield from filter(pattern.search, text.splitlines())


def with_bump(
    setup: ForeignSetup, texts: Mapping[VersionFile, str], workspace: Workspace
) -> ForeignSetup:
    """Return *setup* with a key `bump` for each package that has version files; *texts* are what the files contain.

    A file is left out aloud if it is in no package, has another version than its package, or if `bump` cannot express
    each part of it that contains the version.
    """
    entries: dict[str, list[dict[str, str]]] = {}
    left_out: list[LeftOut] = []
    for file in setup.version_files:
        member = workspace.members.get(file.package)
        if member and file.path == member.version_file:
            continue
        patterns = _find_patterns(file, texts.get(file, ""), member)
        own_entries = [{"path": file.path, "pattern": pattern} for pattern in patterns]
        if own_entries:
            entries[file.package] = entries.get(file.package, []) + own_entries
        else:
            left_out.append(LeftOut(what=file.what, advice=VERSION_FILES_ADVICE))
    comment = f"The files in which {setup.tool} raised the version."
    bump = map_values(lambda value: (ForeignKey("bump", value, comment),), entries)
    return replace(
        setup,
        member_keys=merge_keys(setup.member_keys, bump),
        not_taken_over=(*setup.not_taken_over, *left_out),
    )


def _find_patterns(file: VersionFile, text: str, member: Member | None) -> Iterable[str]:
    """Return the patterns of `bump` for the parts of *text* with the version of *member*; empty if one has none."""
    if not member or not member.version:
        return ()
    parts = list(islice(file.find_parts(text, member.version), _MAX_PARTS + 1))
    patterns = {part: _pattern_of(part.strip(), text, member.version) for part in parts}
    is_complete = len(parts) <= _MAX_PARTS and all(patterns.values())
    return dict.fromkeys(patterns.values()) if is_complete else ()


def _pattern_of(part: str, text: str, version: Version) -> str:
    """Return *part* with {version} in place of *version*, as short as it occurs once in *text*; empty if it does not.

    A comment behind a version in quotes is left out, so that it can be removed later: it often is for the other tool.
    """
    pieces = re.split(rf"(?<![\d.]){re.escape(str(version))}(?!\.?\d|[\w+!-])", part)
    if len(pieces) != _AROUND or _NO_TEXT.search(part):
        return ""
    before, after = pieces
    quote = after[: after.startswith(('"', "'"))]
    candidates = (f"{before}{{version}}{quote}", f"{before}{{version}}{after}")
    return next(filter(partial(_occurs_once, text), candidates), "")


def _occurs_once(text: str, pattern: str) -> bool:
    matches = literal_location(pattern, "").pattern.finditer(text)
    return len(list(islice(matches, 2))) == 1
