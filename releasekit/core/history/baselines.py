"""Finds the last release of each package among the tags, and asks as little as possible about them.

A tag counts only if it can be a release of the package (see `tag_evidence`). To know that, somebody must read files at
its commit. So the search begins with the highest version, and names the tags that must be read next.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING

from releasekit.core.history.tag_evidence import TagReading
from releasekit.core.history.tags import Baseline

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from packaging.version import Version

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

    def _shared_tags(self) -> Iterator[TagReading]:
        """Yield the nameless tags, without those of releases as a whole.

        Such a tag is where the package has its own tag of another version, on the same commit. If the package gets
        nameless tags now, they are its own.
        """
        versions: defaultdict[str, set[Version]] = defaultdict(set)
        for reading in () if self.is_shared else self.own:
            versions[reading.commit].add(reading.version)
        for reading in self.nameless:
            is_umbrella = reading.commit in versions and reading.version not in versions[reading.commit]
            if not is_umbrella:
                yield reading._replace(name=self.name, is_own=False)

    def pools(self, reachable: Container[str] | None) -> Iterator[Sequence[TagReading]]:
        """Yield the tags among which the last release may be; a later pool counts only if an earlier one has none.

        Shared tags are from a time before the packages had their own, unless new tags are shared too. If the package
        declares no version, tags in *reachable* come first.
        """
        for tags_now_or_ever in (self.current, self.all):
            readings = tags_now_or_ever()
            if self.limit is not None:
                yield tuple(reading for reading in readings if reading.version <= self.limit)
                continue
            if reachable is not None:
                yield tuple(reading for reading in readings if reading.tag in reachable)
            yield readings


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
    readings = {scheme: _read_tags(tags, scheme, umbrellas) for scheme in (schemes.common, *schemes.own.values())}
    by_name: dict[str, PackageTags] = {}
    for name, limit in declared.items():
        scheme = schemes.of(name)
        named, nameless = readings[scheme].get(name, ()), readings[scheme].get("", ())
        if name in schemes.own:  # no other package has this form, so its tags need no name
            renamed = (reading._replace(name=name) for reading in nameless)
            named, nameless = _highest_first((*named, *renamed)), ()
        by_name[name] = PackageTags(name, named, nameless, is_shared=not scheme.names_packages, limit=limit)
    return by_name


def _read_tags(
    tags: Mapping[str, str], scheme: TagScheme, umbrellas: Container[str]
) -> dict[str, tuple[TagReading, ...]]:
    """Return what *scheme* reads from *tags*, by name, the highest version first; tags without a name are under ""."""
    by_name: defaultdict[str, list[TagReading]] = defaultdict(list)
    for tag, commit in scheme.without_umbrellas(tags, umbrellas).items():
        for name, version in scheme.readings(tag):
            by_name[name].append(TagReading(name, tag, version, commit))
    return {name: _highest_first(readings) for name, readings in by_name.items()}


def _highest_first(readings: Iterable[TagReading]) -> tuple[TagReading, ...]:
    """Return *readings* with the highest version first; of equal versions, the package's own tag comes first."""
    return tuple(sorted(readings, key=lambda reading: (reading.version, reading.is_own), reverse=True))


def find_last_release(
    tags: PackageTags, objections: Objections | None = None, reachable: Container[str] | None = None
) -> LastRelease:
    """Return the last release of the package with these *tags*, as far as the *objections* say; None: there are none.

    The last release is the highest version not above the declared one. So on a maintenance branch of 1.x, a tag of 2.0
    does not count; and tags on release branches count on the main branch too. If a package declares no version, the
    tags in *reachable* (from HEAD) count, and all tags if none of them is.
    """
    judge = _Judge(objections)
    for pool in tags.pools(reachable):
        last = judge.first_release(pool)
        if judge.unread:
            break
        if last is not None:
            return _with_earlier_releases(last, pool, tags, judge)
    return LastRelease(unread=judge.unread)


def _with_earlier_releases(
    last: TagReading, pool: Sequence[TagReading], tags: PackageTags, judge: _Judge
) -> LastRelease:
    """Return the *last* release with the last stable one, or the first prerelease, in the *pool* of its tags."""
    stable = judge.first_release([reading for reading in pool if not reading.version.is_prerelease])
    first = None if stable or judge.unread else judge.first_release(pool[::-1])
    begin = stable or first or last
    # A shared tag above the declared version needs no look if the package gets tags of its own.
    seen = dict.fromkeys((*tags.current(), *pool))
    since_begin = [reading for reading in seen if reading.version >= begin.version]
    judge.read_all(since_begin)
    if judge.unread:
        return LastRelease(unread=judge.unread)
    taken = frozenset(reading.version for reading in since_begin if judge.is_release(reading))
    return LastRelease(
        replace(
            _baseline(last),
            stable=_baseline(stable) if stable else None,
            first=_baseline(first) if first else None,
            taken=taken,
        )
    )


def _baseline(reading: TagReading) -> Baseline:
    return Baseline(reading.tag, reading.version, reading.commit)


class _Judge:
    """Decides with *objections* which tags are releases, and collects the *unread* ones that it needs to know."""

    def __init__(self, objections: Objections | None) -> None:
        self._objections = objections
        self.unread: tuple[TagReading, ...] = ()

    def first_release(self, readings: Sequence[TagReading]) -> TagReading | None:
        """Return the first of *readings* that is a release; None if there is none, or a tag must be read before."""
        for number, reading in enumerate(readings):
            if self._is_unread(reading):
                # Each round reads twice as many tags: a package with many strays needs few rounds.
                unread = filter(self._is_unread, readings[number:])
                self.unread = tuple(unread)[: number + 1]
                return None
            if self.is_release(reading):
                return reading
        return None

    def read_all(self, readings: Iterable[TagReading]) -> None:
        """Ask for all of *readings* that nobody has looked at."""
        self.unread = self.unread or tuple(filter(self._is_unread, readings))

    def is_release(self, reading: TagReading) -> bool:
        """Return whether somebody has looked at the tag, and it is a release."""
        return self._objections is None or self._objections.get(reading) == ""

    def _is_unread(self, reading: TagReading) -> bool:
        return self._objections is not None and reading not in self._objections


def find_baselines(
    tags: Mapping[str, PackageTags], objections: Objections | None = None, reachable: Container[str] | None = None
) -> tuple[dict[str, Baseline], tuple[TagReading, ...]]:
    """Return the last releases that are known, by package, and the tags that must be read to know the others."""
    last_releases = {name: find_last_release(of_package, objections, reachable) for name, of_package in tags.items()}
    known = {name: last_release.last for name, last_release in last_releases.items() if last_release.last}
    unread = chain.from_iterable(last_release.unread for last_release in last_releases.values())
    return known, tuple(unread)


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
        last = baselines.get(name)
        for reading in of_package.current():
            reason = objections.get(reading, "")
            is_later = last is None or reading.version > last.version
            if reason and is_later and reading.tag not in releases:
                strays.setdefault(reading.tag, StrayTag(reading.tag, reading.version, reason))
    return tuple(sorted(strays.values(), key=attrgetter("version"), reverse=True))
