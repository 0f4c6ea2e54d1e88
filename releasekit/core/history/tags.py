"""Writes and reads the tags of releases; no other module knows their formats."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from operator import methodcaller
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import Version

from releasekit.core.config.ref_names import is_tag_name
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.picking import drop, drop_keys, pick
from releasekit.core.version_numbers import parse_version

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from releasekit.core.config.settings import Settings

DEFAULT_TAG_FORMAT = "{name}-v{version}"
_DIRECTORY = "{directory}"
_PLACEHOLDER = re.compile(r"\{(name|version|label)\}")
# Tags that may mark a release as a whole, and tags that name a package and a version.
_DATED_TAG = re.compile(r"release-\d{4}\.\d\d\.\d\d(\.\d+)?")
_UMBRELLA_TAG = re.compile(rf"v?\d[^/]*|{_DATED_TAG.pattern}")
_VERSION_TAG = re.compile(r"(.*\D)?\d[\w.+!]*")
_PACKAGE_TAG = re.compile(rf"(?!(?:{_UMBRELLA_TAG.pattern})$).*\D\d[\w.+!]*")


@dataclass(frozen=True)
class TagScheme:
    """Builds the tag of a package from its name and version, and reads both from a tag.

    If there are several formats, it writes the first and reads all.
    Raises Refusal RK-TAG-INVALID for a format that git refuses, or from which name and version cannot be read.
    """

    pattern: str | tuple[str, ...]
    label: str = ""

    def __post_init__(self) -> None:
        if not self.patterns:
            raise Refusal(ErrorCode.TAG_INVALID, "there is no tag format")
        for pattern in self.patterns:
            self._check(pattern)

    def _check(self, pattern: str) -> None:
        placeholders = _PLACEHOLDER.findall(pattern)
        text = _PLACEHOLDER.sub("", pattern)
        has_other_braces = re.search("[{}]", text) is not None
        if has_other_braces or placeholders.count("version") != 1 or placeholders.count("name") > 1:
            message = f"{pattern!r} must contain {{version}}, and may contain {{name}}, {{directory}} and {{label}}"
            raise Refusal(ErrorCode.TAG_INVALID, message)
        self._check_readable(pattern)

    def _check_readable(self, pattern: str) -> None:
        name = "name" if "{name}" in pattern else ""
        version = Version("1.0")
        tag = self._write(pattern, name, version)
        if _read(self._regex(pattern), tag) != (name, version):
            message = f"{pattern!r} makes {tag!r}, from which the version cannot be read"
            raise Refusal(ErrorCode.TAG_INVALID, message)

    @property
    def patterns(self) -> tuple[str, ...]:
        """All formats; the first one is written."""
        return formats_of(self.pattern)

    @property
    def names_packages(self) -> bool:
        """Whether the written tags name a package; otherwise one tag is for all packages."""
        return "{name}" in self.patterns[0]

    def tag(self, name: str, version: Version) -> str:
        """Return the tag of *version* of the package *name*."""
        return self._write(self.patterns[0], name, version)

    def read(self, tag: str) -> tuple[str, Version] | None:
        """Return the normalized name (empty if the format has none) and the version in *tag*; None if none matches."""
        return next(self.readings(tag), None)

    def readings(self, tag: str) -> Iterator[tuple[str, Version]]:
        """Return the name and version that each format reads from *tag*, for the formats that match."""
        readings = (_read(regex, tag) for regex in self._regexes)
        return filter(None, readings)

    def without_umbrellas(
        self, tags: Mapping[str, str], umbrellas: Container[str]
    ) -> dict[str, str]:
        """Return *tags* (tag to commit) without those *umbrellas* that belong to no package.

        If the written format names no package, a release as a whole and its packages share a tag, so it stays.
        """
        unowned = {tag for tag in tags if tag in umbrellas and not self._is_shared(tag)}
        return drop_keys(tags, unowned)

    def _is_shared(self, tag: str) -> bool:
        """Return whether *tag* may be the tag of a release as a whole and also of its packages."""
        reading = _read(self._regexes[0], tag)
        return reading is not None and not self.names_packages

    def _write(self, pattern: str, name: str, version: Version) -> str:
        values = {"name": name, "version": str(version), "label": self.label}
        tag = _PLACEHOLDER.sub(lambda match: values[match[1]], pattern)
        if not is_tag_name(tag):
            raise Refusal(
                ErrorCode.TAG_INVALID, f"{pattern!r} makes {tag!r}, which git refuses as a tag"
            )
        return tag

    @property
    def prefixes(self) -> tuple[str, ...]:
        """How the tags of each format begin: the text before the name or the version."""
        labelled = (pattern.replace("{label}", self.label) for pattern in self.patterns)
        return tuple(pattern.partition("{")[0] for pattern in labelled)

    @cached_property
    def _regexes(self) -> tuple[re.Pattern[str], ...]:
        return tuple(map(self._regex, self.patterns))

    def _regex(self, pattern: str) -> re.Pattern[str]:
        parts = re.split(r"(\{\w+\})", pattern)
        # A version as packaging writes it has no hyphen, so the first hyphen ends it if a name follows.
        replacements = {
            "{name}": r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)",
            "{version}": r"(?P<version>[vV]?\d[^/]*?)",
        }
        replacements["{label}"] = re.escape(self.label)
        patterns = [replacements.get(part, re.escape(part)) for part in parts]
        return re.compile("".join(patterns))


@dataclass(frozen=True, slots=True)
class TagSchemes:
    """The tag schemes of a workspace: *own* are those of single packages, by name; *common* is for all others."""

    common: TagScheme
    own: Mapping[str, TagScheme] = field(default_factory=dict[str, TagScheme])

    def of(self, name: str) -> TagScheme:
        """Return the tag scheme of the package *name*."""
        return self.own.get(name, self.common)

    def readings(self, tag: str) -> list[tuple[str, Version]]:
        """Return all readings of *tag* as a name and a version; the name is empty for a version alone."""
        schemes = (self.common, *self.own.values())
        readings = (scheme.readings(tag) for scheme in schemes)
        return list(chain.from_iterable(readings))

    def is_ambiguous(self, tag: str) -> bool:
        """Return whether a scheme reads the umbrella tag *tag* as the version of one package, or of every package."""
        return "" in dict(self.readings(tag))

    def names_package(self, tag: str, packages: Container[str]) -> bool:
        """Return whether *tag* is the tag of one of *packages*, and not of a release as a whole."""
        is_own = any(scheme.read(tag) for scheme in self.own.values())
        return is_own or any(name in packages for name, _ in self.common.readings(tag))


def blocked_tags(tags: Iterable[str], existing: Iterable[str]) -> dict[str, str]:
    """Return those of the new *tags* that git cannot have, each with the tag beside which it cannot be.

    A reference is a file, so `core` and `core/v1.0` exclude each other. The other tag is one of *existing*, or new too.
    """
    new_tags = dict.fromkeys(tags)
    others = {**dict.fromkeys(existing), **new_tags}
    below = {parent: other for other in others for parent in _parents(other)}
    blocked: dict[str, str] = {}
    for tag in new_tags:
        above = filter(others.__contains__, _parents(tag))
        if blocker := next(above, "") or below.get(tag, ""):
            blocked[tag] = blocker
    return blocked


def _parents(tag: str) -> Iterator[str]:
    parts = tag.split("/")
    return ("/".join(parts[:number]) for number in range(1, len(parts)))


def blocked_tag_refusal(tag: str, blocker: str, location: str) -> Refusal:
    """Return the refusal of a release whose *tag* cannot be made because of the tag *blocker*."""
    message = f"git cannot have the tag {tag} beside the tag {blocker}"
    hint = f"Choose another tag_format; or delete {blocker}, if it is no longer needed."
    return Refusal(ErrorCode.TAG_INVALID, message, location, hint)


def formats_of(tag_format: str | Sequence[str]) -> tuple[str, ...]:
    """Return the value of a key `tag_format` as a tuple."""
    return (tag_format,) if isinstance(tag_format, str) else tuple(tag_format)


def in_directory(tag_format: str | Sequence[str], path: str, name: str) -> tuple[str, ...]:
    """Return the formats in the value of a key `tag_format` for the package *name* in the directory *path*.

    At the root, the name of the package stands for the directory, which has another name in each clone.
    """
    directory = PurePosixPath(path).name or name
    return tuple(map(methodcaller("replace", _DIRECTORY, directory), formats_of(tag_format)))


def uses_directory(tag_format: str | Sequence[str]) -> bool:
    """Return whether a format in the value of a key `tag_format` contains the directory of the package."""
    return _DIRECTORY in "".join(formats_of(tag_format))


def common_formats(tag_format: str | Sequence[str]) -> tuple[str, ...]:
    """Return the formats that are valid without a package, with the default for those that contain its directory."""
    formats = dict.fromkeys(map(_without_directory, formats_of(tag_format)))
    return tuple(formats)


def _without_directory(pattern: str) -> str:
    return DEFAULT_TAG_FORMAT if _DIRECTORY in pattern else pattern


def schemes_of(settings: Settings, own: Mapping[str, Mapping[str, Any]]) -> TagSchemes:
    """Return the tag schemes of the *settings*, and of members that have a `tag_format` in *own*, settings by name.

    If the format of the *settings* contains the directory of a package, each member has its own.
    Raises Refusal RK-TAG-INVALID for an invalid format.
    """
    own_schemes: dict[str, TagScheme] = {}
    for name, overrides in own.items():
        if "tag_format" not in overrides:
            continue
        try:
            own_schemes[name] = TagScheme(overrides["tag_format"], settings.label)
        except Refusal as error:
            location = f"[tool.releasekit] of {name}"
            raise Refusal(error.code, error.message, location) from None
    common = TagScheme(common_formats(settings.tag_format), settings.label)
    return TagSchemes(common, own_schemes)


def _read(regex: re.Pattern[str], tag: str) -> tuple[str, Version] | None:
    match = regex.fullmatch(tag)
    if not match:
        return None
    groups = match.groupdict()
    version = parse_version(groups["version"])
    if version is None:
        return None
    name = canonicalize_name(groups.get("name", ""))
    return name, version


TAGS_PER_PUSH = 3
"""With more than three tags in one push, GitHub starts no workflow for any of them."""


def push_batches(tags: Iterable[str], umbrella: Container[str]) -> tuple[tuple[str, ...], ...]:
    """Return *tags* in groups of one push each: three at a time, the tags in *umbrella* last and separate.

    A workflow that an umbrella tag starts then finds all other tags on the remote.
    """
    distinct = dict.fromkeys(tags)
    single = drop(distinct, umbrella)
    last = tuple(pick(distinct, umbrella))
    starts = range(0, len(single), TAGS_PER_PUSH)
    batches = [tuple(single[start : start + TAGS_PER_PUSH]) for start in starts]
    return tuple(filter(None, [*batches, last]))


@dataclass(frozen=True, slots=True)
class Baseline:
    """The last release of a package: its tag, its version, and the commit that the tag points to.

    *stable* is the last release that is not a prerelease, often this one; if there is none, *first* is the first
    prerelease. *taken* are all versions that have a tag. *tag* is empty if only the index knows the release. Where
    nothing shows the commit of such a release, *commit* is that of an earlier release, whose tag is *since*.
    """

    tag: str
    version: Version
    commit: str
    stable: Baseline | None = None
    taken: frozenset[Version] = frozenset()
    first: Baseline | None = None
    since: str = ""

    @property
    def begin(self) -> Baseline:
        """The release from which a stable release counts its changes: the last stable one, or the first prerelease."""
        return self.stable or self.first or self


def baseline_on_index(versions: Iterable[Version], limit: Version | None) -> Baseline | None:
    """Return the last release of a package without tags from its *versions* on the index; its commit is unknown.

    As with tags, it is the highest version not above *limit*, the declared one. None if there is none.
    """
    taken = candidates = frozenset(versions)
    if limit is not None:
        candidates = frozenset(version for version in taken if version <= limit)
    if not candidates:
        return None
    releases = [Baseline(tag="", version=version, commit="") for version in candidates]
    return last_baseline(releases, taken)


def last_baseline(releases: Sequence[Baseline], taken: frozenset[Version]) -> Baseline:
    """Return the highest of *releases* with the last stable one, or the first prerelease; *taken* are used versions."""
    last = max(releases, key=_version)
    stable_releases = [release for release in releases if not release.version.is_prerelease]
    if stable_releases:
        stable = max(stable_releases, key=_version)
        return replace(last, stable=stable, taken=taken, first=None)
    first = min(releases, key=_version)
    return replace(last, stable=None, taken=taken, first=first)


def _version(release: Baseline) -> Version:
    return release.version


def umbrella_tag(
    pattern: str,
    schemes: TagSchemes,
    version: Version | None,
    date: str,
    taken: Iterable[str],
) -> str:
    """Return the tag of the release as a whole, which has this *version*, or none.

    Without a version, or if the tag is in *taken*, or could be read as the tag of a package, the tag is `release-DATE`;
    if that is taken too, a number from 2 is added. *date* is "YYYY.MM.DD".
    """
    used = frozenset(taken)
    scheme = TagScheme(pattern, schemes.common.label)
    if version is not None:
        tag = scheme.tag("", version)
        if tag not in used and not schemes.is_ambiguous(tag):
            return tag
    return _dated_tag(date, used)


def _dated_tag(date: str, used: Container[str]) -> str:
    tag = f"release-{date}"
    number = 1
    while tag in used:
        number += 1
        tag = f"release-{date}.{number}"
    return tag


def is_dated(tag: str) -> bool:
    """Return whether *tag* has the form of an umbrella tag without a version: `release-DATE`."""
    return _DATED_TAG.fullmatch(tag) is not None


def dated_umbrellas(tags: Mapping[str, str]) -> frozenset[str]:
    """Return the dated *tags* (tag to commit) whose commit has several other tags of versions.

    releasekit makes such a tag only for several packages. So it is recognized without the title of a release commit.
    """
    dated = {tag: commit for tag, commit in tags.items() if is_dated(tag)}
    version_tags = filter(_VERSION_TAG.fullmatch, drop(tags, dated))
    counts = Counter(map(tags.__getitem__, version_tags))
    return frozenset(tag for tag, commit in dated.items() if counts[commit] > 1)


def umbrella_candidates(
    tags: Mapping[str, str], umbrella_format: str, label: str = ""
) -> dict[str, str]:
    """Return the *tags* (tag to commit) that may be umbrella tags of releases by releasekit.

    They have the form of an umbrella tag, and their commit also has the tag of a package. The commit message decides:
    see `umbrellas_among`.
    """
    package_tags: dict[str, set[str]] = defaultdict(set)
    for tag in filter(_PACKAGE_TAG.fullmatch, tags):
        commit = tags[tag]
        package_tags[commit].add(tag)
    scheme = TagScheme(umbrella_format, label)
    candidates: dict[str, str] = {}
    for tag, commit in tags.items():
        other_tags = package_tags[commit] - {tag}
        if not other_tags:
            continue
        has_umbrella_form = _UMBRELLA_TAG.fullmatch(tag) or scheme.read(tag)
        if has_umbrella_form:
            candidates[tag] = commit
    return candidates


def umbrellas_among(
    candidates: Mapping[str, str], titles: Mapping[str, Container[str]]
) -> frozenset[str]:
    """Return the *candidates* that the titles of their commits name as the release; *titles* are by commit."""
    return frozenset(tag for tag, commit in candidates.items() if tag in titles.get(commit, ()))
