"""What the files of a package declare at one commit: its name, and its version or the tags that its build reads."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from releasekit.core.config.settings import bump_files
from releasekit.core.errors import Refusal
from releasekit.core.picking import map_values
from releasekit.core.version_numbers import parse_version
from releasekit.core.workspace.dynamic_version import (
    build_tag_pattern,
    is_dynamic,
    literal_location,
    table_at,
    texts_in,
    version_source,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.version import Version

    from releasekit.core.user_patterns import UserPattern
    from releasekit.core.workspace.dynamic_version import VersionLocation

PYPROJECT = "pyproject.toml"
SETUP_CFG = "setup.cfg"
SETUP_PY = "setup.py"
OLD_MANIFESTS = (SETUP_CFG, SETUP_PY)
"""The files that name a package whose pyproject.toml does not."""
MANIFESTS = (PYPROJECT, *OLD_MANIFESTS)
NAME_LINE = r"^[^#]*name *= *[\"']?[A-Za-z0-9]"
"""The lines of a manifest that may name its package, as an extended regular expression of POSIX."""

_NAME_IN_LINE = re.compile(r"""name\s*=\s*["']?([A-Za-z0-9][\w.-]*)""")
_DYNAMIC_POETRY = ("tool", "poetry-dynamic-versioning")
_ARGUMENTS = {
    "name": re.compile(r"""\bname\s*=\s*(?P<quote>['"])(?P<value>[^'"]+)(?P=quote)"""),
    "version": re.compile(r"""\bversion\s*=\s*(?P<quote>['"])(?P<value>[^'"]+)(?P=quote)"""),
}
"""The arguments of `setup()` with literal values."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a package declared at a commit.

    *version* is the version in its files. If it is None, only a build knows the version. *build_tags* then matches the
    tags from which the build reads it; None if that is unknown.
    """

    version: Version | None = None
    build_tags: UserPattern | None = None

    def reads(self, tag: str) -> bool:
        """Return whether a build may take the version from *tag*."""
        return self.build_tags is None or self.build_tags.match(tag) is not None


def parse_document(text: str) -> Mapping[str, Any]:
    """Return the pyproject.toml *text* as a document; empty if it is not TOML."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}


def project_name(text: str) -> str:
    """Return the normalized `project.name` in the pyproject.toml *text*; empty if it has none.

    A history has thousands of such files. Nearly all have the name on a line of its own in the table [project]; to read
    only that is twenty times as fast as to parse the file. A text with values over several lines is parsed.
    """
    table = None if _MULTILINE.search(text) else _PROJECT.search(text)
    names = _NAME.findall(table["body"]) if table else []
    if len(names) == 1:
        return canonicalize_name(names[0])
    return canonicalize_name(str(table_at(parse_document(text), "project").get("name", "")))


_PROJECT = re.compile(r"^\[project\][ \t]*(?:#.*)?$(?P<body>(?:\n(?!\[).*)*)", re.MULTILINE)
_NAME = re.compile(r"""^name[ \t]*=[ \t]*["']([\w.-]+)["'][ \t]*(?:#.*)?$""", re.MULTILINE)
_MULTILINE = re.compile(r"""\"{3}|'{3}""")


def declared_name(document: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """Return the normalized name of the package with this parsed pyproject.toml; empty if no file has one.

    *texts* are the other files of its directory, by path: see `OLD_MANIFESTS`.
    """
    name = _static_value(document, "name") or _old_value(texts, "name")
    return canonicalize_name(name)


def directories_by_name(lines: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return the directories of manifests by the names in their *lines* (path and text); see `NAME_LINE`."""
    directories: dict[str, dict[str, None]] = defaultdict(dict)
    for path, line in lines:
        directory, _, _ = path.rpartition("/")
        for name in _NAME_IN_LINE.findall(line):
            package = canonicalize_name(name)
            directories[package][directory] = None
    return map_values(tuple, directories)


def version_paths(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the files, other than pyproject.toml, that may declare the version of the package."""
    if not _may_be_dynamic(document):
        return ()
    locations = _version_locations(document)
    paths = dict.fromkeys(location.path for location in locations)
    return tuple(paths)


def declaration_of(
    document: Mapping[str, Any], texts: Mapping[str, str], later: Mapping[str, Any]
) -> Declaration:
    """Return what the package with this parsed pyproject.toml declares; *texts* are its other files, by path.

    *later* is its pyproject.toml at a later commit. If that one names a file with the version, and *document* says
    nothing about versions, this file counts: a setup.py that computes the version often reads the same file.
    """
    text = _version_text(document, texts)
    if not text and not is_dynamic(document):
        text = _text_in_files(later, texts)
    version = parse_version(text)
    if version is not None:
        return Declaration(version)
    return Declaration(build_tags=build_tag_pattern(document))


def _version_text(document: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """Return the version as a file contains it; empty if only a build knows it."""
    if not _may_be_dynamic(document):
        return _static_value(document, "version")
    declared = _text_in_files(document, texts)
    if declared or is_dynamic(document):
        return declared
    return _old_value(texts, "version")


def _text_in_files(document: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """Return the version in one of the files that pyproject.toml leaves it to; empty if none has it."""
    locations = _version_locations(document) if _may_be_dynamic(document) else ()
    in_files = (location.find(texts.get(location.path, "")) for location in locations)
    return next(filter(None, in_files), "")


def _may_be_dynamic(document: Mapping[str, Any]) -> bool:
    """Return whether pyproject.toml leaves the version to another file or to the build."""
    is_computed = table_at(document, *_DYNAMIC_POETRY).get("enable") is True
    return is_computed or not _static_value(document, "version")


def _static_value(document: Mapping[str, Any], key: str) -> str:
    """Return the *key* of the package's table in pyproject.toml; empty if it has none."""
    tables = (table_at(document, "project"), table_at(document, "tool", "poetry"))
    values = texts_in([table.get(key) for table in tables])
    return next(iter(values), "")


def _version_locations(document: Mapping[str, Any]) -> Iterator[VersionLocation]:
    source = version_source(document)
    yield from source.locations
    if source.variables:
        return
    with suppress(Refusal):  # keys of an earlier configuration may be invalid now
        for file in bump_files(document, PYPROJECT):
            yield literal_location(file.pattern, file.path)


def _old_value(texts: Mapping[str, str], key: str) -> str:
    """Return the *key* of the package in setup.cfg, or else in setup.py; empty if neither has it as text."""
    return _setup_cfg_value(texts, key) or _argument(texts, key)


def _setup_cfg_value(texts: Mapping[str, str], key: str) -> str:
    """Return the *key* of [metadata] in setup.cfg; empty if the value is a reference to another file."""
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(texts.get(SETUP_CFG, ""))
    except ConfigParserError:
        return ""
    value = parser.get("metadata", key, fallback="")
    is_reference = value.startswith(("attr:", "file:"))
    return "" if is_reference else value.strip()


def _argument(texts: Mapping[str, str], key: str) -> str:
    """Return the literal value of the argument *key* in setup.py; empty if only running the file can tell."""
    setup = texts.get(SETUP_PY, "")
    match = _ARGUMENTS[key].search(setup)
    return match["value"] if match else ""
