"""Finds the last release of each package among the tags, and asks as little as possible about them.

A tag counts only if it can be a release of the package (see `tag_evidence`). To know that, somebody must read files at
its commit. So the search begins with the highest version, and names the tags that must be read next.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING

from releasekit.core.history.tag_evidence import TagReading
from releasekit.core.history.tags import Baseline
from releasekit.core.picking import drop, map_values, pick, pick_keys

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from packaging.version import Version

    from releasekit.core.history.tag_evidence import Declarations
    from releasekit.core.history.tags import TagScheme, TagSchemes

    Objections = Mapping[TagReading, str]
    """Why each tag is no release of its package, empty if it is one; a tag that nobody has looked at is missing."""


@dataclass(frozen=True, slots=True)
class PackageTags:
    """The tags that look like releases of the package *name*, the highest version first.

    *own* are those of no other package. *nameless* contain no name, so other packages read them too. *is_shared*: new
    tags of the package are nameless. *limit* is the version that it declares now, None if it declares none.
    """

    name: str
    own: tuple[TagReading, ...]
    nameless: tuple[TagReading, ...]
    is_shared: bool
    limit: Version | None

    def all(self) -> tuple[TagReading, ...]:
        """Return all tags, the highest version first."""
        return _highest_first((*self.own, *self._shared_tags()))

    def current(self) -> tuple[TagReading, ...]:
        """Return the tags that look like those that the package gets now."""
        return self.all() if self.is_shared else self.own

    def _shared_tags(self) -> list[TagReading]:
        """Return the nameless tags, without those of releases as a whole.

        Such a tag is where the package has its own tag of another version, on the same commit. If the package gets
        nameless tags now, they are its own.
        """
        shared = [reading._replace(name=self.name, is_own=False) for reading in self.nameless]
        if self.is_shared:
            return shared
        own_versions: defaultdict[str, set[Version]] = defaultdict(set)
        for reading in self.own:
            own_versions[reading.commit].add(reading.version)
        return [reading for reading in shared if not _is_umbrella(reading, own_versions)]

    def pools(self, reachable: Container[str] | None) -> Iterator[Sequence[TagReading]]:
        """Yield the tags among which the last release may be; a later pool counts only if an earlier one has none.

        Shared tags are from a time before the packages had their own, unless new tags are shared too. If the package
        declares no version, tags in *reachable* come first.
        """
        limit = self.limit
        for tags_now_or_ever in (self.current, self.all):
            readings = tags_now_or_ever()
            if limit is not None:
                yield [reading for reading in readings if reading.version <= limit]
                continue
            if reachable is not None:
                yield [reading for reading in readings if reading.tag in reachable]
            yield readings


def _is_umbrella(reading: TagReading, own_versions: Mapping[str, Container[Version]]) -> bool:
    """Return whether only other versions, by commit, have a tag of the package itself where *reading* is."""
    versions = own_versions.get(reading.commit)
    return versions is not None and reading.version not in versions


@dataclass(frozen=True, slots=True)
class LastRelease:
    """What the tags say about the last release of a package: the *last* one, None if there is none.

    If *unread* is not empty, nothing is said until somebody has looked at these tags.
    """

    last: Baseline | None = None
    unread: tuple[TagReading, ...] = ()


def package_tags(
    tags: Mapping[str, str],
    schemes: TagSchemes,
    declared: Mapping[str, Version | None],
    umbrellas: Container[str] = frozenset(),
) -> dict[str, PackageTags]:
    """Return the *tags* (tag to commit) that look like releases of each package of *declared* (name to version).

    *umbrellas* are tags of releases as a whole. They belong to a package only if its format names no package.
    """
    ordered = sorted(tags)
    readings: dict[TagScheme, dict[str, tuple[TagReading, ...]]] = {}
    for scheme in (schemes.common, *schemes.own.values()):
        # A workspace can have hundreds of schemes, and each reads a few of many thousand tags.
        begun = chain.from_iterable(map(partial(_tags_with, ordered), scheme.prefixes))
        readings[scheme] = _read_tags(pick_keys(tags, begun), scheme, umbrellas)
    of_all_packages = frozenset(readings[schemes.common].get("", ()))
    by_name: dict[str, PackageTags] = {}
    for name, limit in declared.items():
        scheme = schemes.of(name)
        named = readings[scheme].get(name, ())
        nameless = readings[scheme].get("", ())
        has_own_scheme = name in schemes.own
        if has_own_scheme:  # its tags need no name, unless all packages have their form, too
            own = drop(nameless, of_all_packages)
            renamed = [reading._replace(name=name) for reading in own]
            named = _highest_first((*named, *renamed))
            nameless = tuple(pick(nameless, of_all_packages))
        by_name[name] = PackageTags(
            name=name,
            own=named,
            nameless=nameless,
            is_shared=not any((scheme.names_packages, has_own_scheme)),
            limit=limit,
        )
    return by_name


def _tags_with(ordered: Sequence[str], prefix: str) -> Sequence[str]:
    """Return those of the *ordered* tags that begin with *prefix*."""
    return ordered[bisect_left(ordered, prefix) : bisect_right(ordered, f"{prefix}\U0010ffff")]


def _read_tags(
    tags: Mapping[str, str], scheme: TagScheme, umbrellas: Container[str]
) -> dict[str, tuple[TagReading, ...]]:
    """Return what *scheme* reads from *tags*, by name, the highest version first; tags without a name are under ""."""
    by_name: defaultdict[str, list[TagReading]] = defaultdict(list)
    for tag, commit in scheme.without_umbrellas(tags, umbrellas).items():
        for name, version in scheme.readings(tag):
            by_name[name].append(TagReading(name, tag, version, commit))
    return map_values(_highest_first, by_name)


def _highest_first(readings: Iterable[TagReading]) -> tuple[TagReading, ...]:
    """Return *readings* with the highest version first; of equal versions, the package's own tag comes first."""
    return tuple(
        sorted(readings, key=lambda reading: (reading.version, reading.is_own), reverse=True)
    )


def find_last_release(
    tags: PackageTags, objections: Objections | None = None, reachable: Container[str] | None = None
) -> LastRelease:
    """Return the last release of the package with these *tags*, as far as the *objections* say; None: there are none.

    The last release is the highest version not above the declared one. So on a maintenance branch of 1.x, a tag of 2.0
    does not count; and tags on release branches count on the main branch too. If a package declares no version, the
    tags in *reachable* (from HEAD) count, and all tags if none of them is.
    """
    judge = _Judge(objections)
    try:
        for pool in tags.pools(reachable):
            last = judge.first_release(pool)
            if last is not None:
                return LastRelease(_with_earlier_releases(last, pool, tags, judge))
    except _UnreadTagsError as error:
        return LastRelease(unread=error.tags)
    return LastRelease()


def _with_earlier_releases(
    last: TagReading, pool: Sequence[TagReading], tags: PackageTags, judge: _Judge
) -> Baseline:
    """Return the *last* release with the last stable one, or the first prerelease, in the *pool* of its tags."""
    stable = judge.first_release([reading for reading in pool if not reading.version.is_prerelease])
    first = None if stable else judge.first_release(pool[::-1])
    begin = stable or first or last
    # A shared tag above the declared version needs no look if the package gets tags of its own.
    seen = dict.fromkeys((*tags.current(), *pool))
    since_begin = [reading for reading in seen if reading.version >= begin.version]
    releases = judge.releases(since_begin)
    return Baseline(
        tag=last.tag,
        version=last.version,
        commit=last.commit,
        stable=_baseline(stable),
        first=_baseline(first),
        taken=frozenset(reading.version for reading in releases),
    )


def _baseline(reading: TagReading | None) -> Baseline | None:
    if reading is None:
        return None
    return Baseline(reading.tag, reading.version, reading.commit)


class _UnreadTagsError(Exception):
    """The answer depends on *tags* that nobody has looked at."""

    def __init__(self, tags: tuple[TagReading, ...]) -> None:
        super().__init__(tags)
        self.tags = tags


class _Judge:
    """Decides with *objections* which tags are releases; raises _UnreadTagsError for tags that it needs to know."""

    def __init__(self, objections: Objections | None) -> None:
        self._objections = objections

    def first_release(self, readings: Sequence[TagReading]) -> TagReading | None:
        """Return the first of *readings* that is a release; None if there is none."""
        for number, reading in enumerate(readings):
            if self._is_unread(reading):
                # Each round reads twice as many tags: a package with many strays needs few rounds.
                unread = filter(self._is_unread, readings[number:])
                raise _UnreadTagsError(tuple(unread)[: number + 1])
            if self._is_release(reading):
                return reading
        return None

    def releases(self, readings: Sequence[TagReading]) -> list[TagReading]:
        """Return those of *readings* that are releases."""
        unread = tuple(filter(self._is_unread, readings))
        if unread:
            raise _UnreadTagsError(unread)
        return list(filter(self._is_release, readings))

    def _is_release(self, reading: TagReading) -> bool:
        return self._objections is None or self._objections.get(reading) == ""

    def _is_unread(self, reading: TagReading) -> bool:
        return self._objections is not None and reading not in self._objections


PLACEHOLDER_TAGS = 3
"""So many of the newest tags decide whether a version in the sources is a placeholder."""


def is_placeholder(tags: Sequence[TagReading], declarations: Declarations) -> bool:
    """Return whether a package declared one and the same version at each of its *tags*, which have higher versions.

    Something else writes the version before each build, such as a workflow that a tag starts. One tag alone is no
    evidence: somebody may have tagged the commit before the one that sets the version. Tags with lower versions may
    belong to something else, whose versions the package happened to have earlier.
    """
    declared = list(filter(None, (declarations[tag.place] for tag in tags)))
    versions = {declaration.version for declaration in declared}
    placeholder = versions.pop() if len(versions) == 1 else None
    if placeholder is None or len(declared) == 1:
        return False
    return all(tag.version > placeholder for tag in tags)


def find_baselines(
    tags: Mapping[str, PackageTags],
    objections: Objections | None = None,
    reachable: Container[str] | None = None,
) -> tuple[dict[str, Baseline], tuple[TagReading, ...]]:
    """Return the last releases that are known, by package, and the tags that must be read to know the others."""
    baselines: dict[str, Baseline] = {}
    unread: list[TagReading] = []
    for name, of_package in tags.items():
        release = find_last_release(of_package, objections, reachable)
        unread += release.unread
        if release.last is not None:
            baselines[name] = release.last
    return baselines, tuple(unread)


@dataclass(frozen=True, slots=True)
class StrayTag:
    """A tag that looks like a release that is later than the last one of its package, and the *reason* against it."""

    tag: str
    version: Version
    reason: str

    def __str__(self) -> str:
        return f"{self.tag} ({self.reason} there)"


def stray_tags(
    tags: Mapping[str, PackageTags], objections: Objections, baselines: Mapping[str, Baseline]
) -> tuple[StrayTag, ...]:
    """Return the tags that would be later releases than *baselines* if nothing spoke against them; newest first.

    A tag that is a release of any package is no stray.
    """
    releases = {reading.tag for reading, reason in objections.items() if not reason}
    strays: dict[str, StrayTag] = {}
    for name, of_package in tags.items():
        for reading in later_tags(of_package, baselines.get(name)):
            reason = objections.get(reading, "")
            if reason and reading.tag not in releases:
                stray = StrayTag(reading.tag, reading.version, reason)
                strays.setdefault(reading.tag, stray)
    return tuple(sorted(strays.values(), key=attrgetter("version"), reverse=True))


def later_tags(of_package: PackageTags, last: Baseline | None) -> Sequence[TagReading]:
    """Return the tags of the package that look like later releases than the *last* one."""
    readings = of_package.current()
    if last is None:
        return readings
    return [reading for reading in readings if reading.version > last.version]
