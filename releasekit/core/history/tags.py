"""The one place that knows how tags are written and read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from releasekit.core.config.ref_names import is_tag_name
from releasekit.core.errors import ErrorCode, Refusal

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from releasekit.core.config.settings import Settings

_PLACEHOLDER = re.compile(r"\{(name|version|label)\}")
# What may stand for a release as a whole, and what names a package besides a version.
_UMBRELLA_TAG = re.compile(r"v?\d[^/]*|release-\d{4}\.\d\d\.\d\d(\.\d+)?")
_PACKAGE_TAG = re.compile(r".*\D\d[\w.+!]*")


@dataclass(frozen=True)
class TagScheme:
    """How a package's tag is made from its name and version, and how both are found in a tag again.

    Of several formats the first is written and all are read.
    Raises Refusal RK-TAG-INVALID for a format that git would refuse, or from which name and version cannot be told.
    """

    pattern: str | tuple[str, ...]
    label: str = ""

    def __post_init__(self) -> None:
        if not self.patterns:
            raise Refusal(ErrorCode.TAG_INVALID, "there is no tag format")
        for pattern in self.patterns:
            placeholders = _PLACEHOLDER.findall(pattern)
            if (
                placeholders.count("version") != 1
                or placeholders.count("name") > 1
                or re.search("[{}]", _PLACEHOLDER.sub("", pattern))
            ):
                raise Refusal(
                    ErrorCode.TAG_INVALID, f"{pattern!r} must hold {{version}}, and may hold {{name}} and {{label}}"
                )
            name, version = "name" if "name" in placeholders else "", Version("1.0")
            tag = self._write(pattern, name, version)
            if _read(self._regex(pattern), tag) != (name, version):
                raise Refusal(
                    ErrorCode.TAG_INVALID, f"{pattern!r} makes {tag!r}, from which nobody can tell the version"
                )

    @property
    def patterns(self) -> tuple[str, ...]:
        """All formats, that which is written first."""
        return (self.pattern,) if isinstance(self.pattern, str) else self.pattern

    @property
    def names_packages(self) -> bool:
        """Whether the tags that are written name a package; else one tag stands for all of them."""
        return "{name}" in self.patterns[0]

    def tag(self, name: str, version: Version) -> str:
        """Return the tag of *version* of the package *name*."""
        return self._write(self.patterns[0], name, version)

    def read(self, tag: str) -> tuple[str, Version] | None:
        """Return the normalised name (empty if the format holds none) and the version in *tag*, if it is one."""
        return next(self.readings(tag), None)

    def readings(self, tag: str) -> Iterator[tuple[str, Version]]:
        """Yield what *tag* is in each of the formats that it fits."""
        return (reading for regex in self._regexes if (reading := _read(regex, tag)))

    def without_umbrellas(self, tags: Mapping[str, str], umbrellas: Container[str]) -> dict[str, str]:
        """Return *tags* without those *umbrellas* that are no package's, though one of the formats reads them.

        Where the format that is written names no package, a release as a whole and its packages share their tag.
        """
        shared = not self.names_packages
        return {
            tag: commit
            for tag, commit in tags.items()
            if tag not in umbrellas or (shared and _read(self._regexes[0], tag))
        }

    def _write(self, pattern: str, name: str, version: Version) -> str:
        values = {"name": name, "version": str(version), "label": self.label}
        tag = _PLACEHOLDER.sub(lambda match: values[match[1]], pattern)
        if not is_tag_name(tag):
            raise Refusal(ErrorCode.TAG_INVALID, f"{pattern!r} makes {tag!r}, which git refuses as a tag")
        return tag

    @cached_property
    def _regexes(self) -> tuple[re.Pattern[str], ...]:
        return tuple(map(self._regex, self.patterns))

    def _regex(self, pattern: str) -> re.Pattern[str]:
        parts = re.split(r"(\{\w+\})", pattern)
        # A version as packaging writes it has no hyphen, so where a name follows, the first one ends it.
        replacements = {"{name}": r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)", "{version}": r"(?P<version>v?\d[^/]*?)"}
        replacements["{label}"] = re.escape(self.label)
        return re.compile("".join(replacements.get(part, re.escape(part)) for part in parts))


@dataclass(frozen=True, slots=True)
class TagSchemes:
    """The tags of a workspace: *common* are those of all packages but for those that have *own* ones, by name."""

    common: TagScheme
    own: Mapping[str, TagScheme] = field(default_factory=dict[str, TagScheme])

    def of(self, name: str) -> TagScheme:
        """Return how the tags of the package *name* are written and read."""
        return self.own.get(name, self.common)

    def readings(self, tag: str) -> list[tuple[str, Version]]:
        """Return all that *tag* may be: a version of a package, or a version alone."""
        return [reading for scheme in (self.common, *self.own.values()) for reading in scheme.readings(tag)]

    def is_ambiguous(self, tag: str) -> bool:
        """Tell whether *tag*, of a release as a whole, would be read as that of one package, or of each."""
        return any(not name for name, _ in self.readings(tag))


def schemes_of(settings: Settings, own: Mapping[str, Mapping[str, Any]]) -> TagSchemes:
    """Return the tag formats of the *settings*, and of what members say for themselves in *own*, by name.

    Raises Refusal RK-TAG-INVALID.
    """
    own_schemes: dict[str, TagScheme] = {}
    for name, overrides in own.items():
        if "tag_format" in overrides:
            try:
                own_schemes[name] = TagScheme(overrides["tag_format"], settings.label)
            except Refusal as error:
                raise Refusal(error.code, error.message, f"[tool.releasekit] of {name}") from None
    return TagSchemes(TagScheme(settings.tag_format, settings.label), own_schemes)


def _read(regex: re.Pattern[str], tag: str) -> tuple[str, Version] | None:
    match = regex.fullmatch(tag)
    if not match:
        return None
    try:
        return canonicalize_name(match.groupdict().get("name") or ""), Version(match["version"])
    except InvalidVersion:
        return None


TAGS_PER_PUSH = 3
"""With more than three tags in one push, GitHub starts no workflow for any of them."""


def push_batches(tags: Iterable[str], umbrella: Container[str]) -> tuple[tuple[str, ...], ...]:
    """Return *tags* in the groups that they are pushed in: three at a time, the umbrella tag last and alone.

    So that whatever an umbrella tag starts finds all the others there.
    """
    names = list(dict.fromkeys(tags))
    single, last = [n for n in names if n not in umbrella], [n for n in names if n in umbrella]
    groups = [single[start : start + TAGS_PER_PUSH] for start in range(0, len(single), TAGS_PER_PUSH)]
    return tuple(tuple(group) for group in (*groups, last) if group)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The last release of a package: its tag, its version, and the commit that the tag points to.

    *stable* is the last release that was no prerelease, often this one; where there is none, *first* is the first
    prerelease. *taken* are all versions that have a tag. *tag* is empty for what only the index knows.
    """

    tag: str
    version: Version
    commit: str
    stable: Baseline | None = None
    taken: frozenset[Version] = frozenset()
    first: Baseline | None = None

    @property
    def begin(self) -> Baseline:
        """The release since which a stable one tells its changes: the last stable one, or the first prerelease."""
        return self.stable or self.first or self


def find_baselines(
    tags: Mapping[str, str],
    schemes: TagSchemes,
    declared: Mapping[str, Version | None],
    reachable: Container[str] | None = None,
    umbrellas: Container[str] = frozenset(),
) -> dict[str, Baseline]:
    """Return the last release of each package of *declared* that has a tag; see `scheme_baselines`.

    *umbrellas* are tags of releases as a whole: none of them is a package's, unless its format names no package.
    """
    sharing: dict[TagScheme, dict[str, Version | None]] = {}
    for name, version in declared.items():
        sharing.setdefault(schemes.of(name), {})[name] = version
    last_releases: dict[str, Baseline] = {}
    for scheme, versions in sharing.items():
        last_releases |= scheme_baselines(scheme.without_umbrellas(tags, umbrellas), scheme, versions, reachable)
    return last_releases


def scheme_baselines(
    tags: Mapping[str, str],
    scheme: TagScheme,
    declared: Mapping[str, Version | None],
    reachable: Container[str] | None = None,
) -> dict[str, Baseline]:
    """Return the last release of each package of *declared* that has a tag among *tags* (name to commit).

    That is the highest version not above the declared one: on a maintenance branch of 1.x, a tag of 2.0 is another
    branch's, and where releases are tagged on branches of their own, those tags count on the main branch too. Where
    only tags know the version, those in *reachable* (from HEAD) are asked, and others if there are none.
    A tag without a name is every package's where such tags are written; elsewhere it is, from before each package had
    its own, for those that have none.
    """
    named: dict[str, list[Baseline]] = {name: [] for name in declared}
    bare: list[Baseline] = []
    for tag, commit in tags.items():
        for name, version in scheme.readings(tag):
            if not name:
                bare.append(Baseline(tag, version, commit))
            elif name in named:
                named[name].append(Baseline(tag, version, commit))
    last_releases: dict[str, Baseline] = {}
    for name, limit in declared.items():
        own = _candidates(named[name], limit, reachable)
        if bare and not (own and scheme.names_packages):
            own = _candidates([*named[name], *bare], limit, reachable)
        if own:
            taken = frozenset(release.version for release in (*named[name], *bare))
            last_releases[name] = _last_baseline(own, taken)
    return last_releases


def baseline_on_index(versions: Iterable[Version], limit: Version | None) -> Baseline | None:
    """Return what the *versions* on the index say of a package without tags, its commits still unknown.

    As with tags, that is the highest version not above *limit*, the declared one.
    """
    taken = frozenset(versions)
    own = _candidates([Baseline("", version, "") for version in taken], limit)
    return _last_baseline(own, taken) if own else None


def _candidates(
    releases: Sequence[Baseline], limit: Version | None, reachable: Container[str] | None = None
) -> Sequence[Baseline]:
    """Return those of *releases* that may be the last one seen from HEAD."""
    if limit is not None:
        return [release for release in releases if release.version <= limit]
    return [release for release in releases if reachable is None or release.tag in reachable] or releases


def _last_baseline(releases: Sequence[Baseline], taken: frozenset[Version]) -> Baseline:
    stable = max((release for release in releases if not release.version.is_prerelease), key=_version, default=None)
    first = None if stable else min(releases, key=_version)
    return replace(max(releases, key=_version), stable=stable, taken=taken, first=first)


def _version(release: Baseline) -> Version:
    return release.version


def umbrella_tag(
    pattern: str,
    schemes: TagSchemes,
    versions: Iterable[Version],
    lead: Version | None,
    date: str,
    taken: Iterable[str],
) -> str:
    """Return the tag of the release as a whole.

    It holds the version that all released packages share, or that of the lead package; where there is neither, or
    that tag is taken or would be read as one package's, it is `release-DATE`, numbered from 2 when that is taken too.
    *date* is "YYYY.MM.DD".
    """
    used = set(taken)
    shared = set(versions)
    version = next(iter(shared)) if len(shared) == 1 else lead
    if version is not None:
        tag = TagScheme(pattern, schemes.common.label).tag("", version)
        if tag not in used and not schemes.is_ambiguous(tag):
            return tag
    tag, number = f"release-{date}", 1
    while tag in used:
        number += 1
        tag = f"release-{date}.{number}"
    return tag


def umbrella_candidates(tags: Mapping[str, str], umbrella_format: str, label: str = "") -> dict[str, str]:
    """Return those of *tags* (name to commit) that may be the umbrella tag of a release of ours, with their commits.

    They have the form of one, and their commit has the tag of a package too. What the commit's message says decides:
    see `umbrellas_among`.
    """
    package_tags: dict[str, set[str]] = {}
    for tag, commit in tags.items():
        if _PACKAGE_TAG.fullmatch(tag) and not _UMBRELLA_TAG.fullmatch(tag):
            package_tags.setdefault(commit, set()).add(tag)
    scheme = TagScheme(umbrella_format, label)
    return {
        tag: commit
        for tag, commit in tags.items()
        if package_tags.get(commit, set[str]()) - {tag} and (_UMBRELLA_TAG.fullmatch(tag) or scheme.read(tag))
    }


def umbrellas_among(candidates: Mapping[str, str], titles: Mapping[str, Container[str]]) -> frozenset[str]:
    """Return those *candidates* whose commit made the release of that title; *titles* are by commit."""
    return frozenset(tag for tag, commit in candidates.items() if tag in titles.get(commit, ()))
