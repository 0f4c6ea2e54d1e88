"""Reads tags in any known form: the package, a version, and the tag format that writes such tags."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from packaging.utils import canonicalize_name

from releasekit.core.version_numbers import parse_version

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from packaging.version import Version

    from releasekit.core.history.tags import TagScheme

# Between name and version; longer ones first.
_SEPARATORS = (
    "-v",
    "==",
    "@v",
    "@",
    "/v",
    "/",
    "_v",
    "-",
)
_VERSION_START = re.compile(r"(?<![A-Za-z0-9.])(?P<v>[vV]?)(?=\d)")

WordKind = Literal["name", "directory", "short", "none"]
"""What names the package in a tag: its name, its directory, its name without the common prefix, or nothing."""


@dataclass(frozen=True, slots=True)
class ParsedTag:
    """A tag read as *version* of the package *name*; *name* is empty for a version without a package.

    *pattern* is the tag format of such tags. It has `{label}` in place of the *label*, unless the tag has another
    *kind* of word than the name: then it is literal text.
    """

    tag: str
    pattern: str
    label: str
    name: str
    version: Version
    kind: WordKind = "name"


@dataclass(frozen=True, slots=True)
class PackageWords:
    """The words that may name a package in a tag, by word: the package, and what kind of word it is."""

    owners: Mapping[str, tuple[str, WordKind]]

    @property
    def pattern(self) -> str:
        """A regular expression that matches each of them, the longest first."""
        longest = sorted(self.owners, key=len, reverse=True)
        alternatives = [re.escape(word).replace(r"\-", "[-_.]+") for word in longest]
        return "|".join(alternatives or ["(?!)"])


def package_words(directories: Mapping[str, str]) -> PackageWords:
    """Return the words that name packages, from the *directories* of all packages by name.

    A word that could be two packages is nobody's. A name comes before all other words.
    """
    owners: dict[str, tuple[str, WordKind]] = {name: (name, "name") for name in directories}
    last_parts = {
        name: canonicalize_name(path.rpartition("/")[2]) for name, path in directories.items()
    }
    words_by_kind: dict[WordKind, Mapping[str, str]] = {
        "directory": last_parts,
        "short": _short_names(directories),
    }
    for kind, words in words_by_kind.items():
        uses = Counter(words.values())
        unique_words = {word: name for name, word in words.items() if uses[word] == 1}
        for word in filter(_is_word, unique_words):
            owners.setdefault(word, (unique_words[word], kind))
    return PackageWords(owners)


def _is_word(word: str) -> bool:
    """Return whether *word* can name a package: it begins like a name, and is no number."""
    return re.match(r"[a-z0-9]", word) is not None and not word.isdecimal()


def _short_names(names: Collection[str]) -> dict[str, str]:
    """Return the names without the first word that all of them share; empty texts if they share no word."""
    first_words = {name.partition("-")[0] for name in names}
    if len(first_words) != 1:
        return {}
    return {name: name.partition("-")[2] for name in names}


def parse_tags(tags: Iterable[str], words: PackageWords) -> dict[str, ParsedTag]:
    """Return the *tags* that have the version of a package, or a version without one, in any known form."""
    separators = "|".join(map(re.escape, _SEPARATORS))
    form = re.compile(
        rf"(?:(?P<label>\S+?)(?P<sep>[/-]))??(?P<name>{words.pattern})(?P<joint>{separators})(?P<version>\d[^/]*)",
        re.IGNORECASE,
    )
    parsed: dict[str, ParsedTag] = {}
    for tag in tags:
        reading = _parse_named(tag, form, words) or parse_nameless(tag)
        if reading is not None:
            parsed[tag] = reading
    return parsed


def _parse_named(tag: str, form: re.Pattern[str], words: PackageWords) -> ParsedTag | None:
    match = form.fullmatch(tag)
    if match is None:
        return None
    version = parse_version(match["version"])
    if version is None:
        return None
    groups = match.groupdict(default="")
    label, separator = groups["label"], groups["sep"]
    joint = groups["joint"].lower()
    name, kind = words.owners[canonicalize_name(groups["name"])]
    if kind != "name":
        literal = f"{label}{separator}{groups['name']}{joint}{{version}}"
        return ParsedTag(tag, literal, "", name, version, kind)
    prefix = f"{{label}}{separator}" if label else ""
    return ParsedTag(tag, f"{prefix}{{name}}{joint}{{version}}", label, name, version)


def parse_nameless(tag: str) -> ParsedTag | None:
    """Return *tag* as a version after any text that names no package, such as `v1.0`, `release-1.0`, `python-v1.0`."""
    for start in _VERSION_START.finditer(tag):
        before, rest = tag[: start.end()], tag[start.end() :]
        version = parse_version(rest)
        if version is None:
            continue
        has_braces = not {"{", "}"}.isdisjoint(before)
        if has_braces:
            return None
        return ParsedTag(
            tag=tag,
            pattern=f"{before}{{version}}",
            label="",
            name="",
            version=version,
            kind="none",
        )
    return None


def with_literal_label(tag: ParsedTag) -> ParsedTag:
    """Return *tag* with its label as literal text in the pattern."""
    return replace(tag, pattern=tag.pattern.replace("{label}", tag.label), label="")


def unclaimed_tags(tags: Iterable[str], own: Mapping[str, TagScheme]) -> tuple[str, ...]:
    """Return the *tags* that belong to no package in *own*, the schemes of packages by name."""
    return tuple(tag for tag in tags if not _belongs_to_one(tag, own))


def _belongs_to_one(tag: str, own: Mapping[str, TagScheme]) -> bool:
    return any(_reads_for(name, tag, scheme) for name, scheme in own.items())


def _reads_for(name: str, tag: str, scheme: TagScheme) -> bool:
    """Return whether *scheme* reads *tag* as a release of the package *name*, or of every package."""
    names = dict(scheme.readings(tag))
    return not names.keys().isdisjoint(("", name))
