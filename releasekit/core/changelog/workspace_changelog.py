"""The changelog of a whole workspace: the entries of all packages of a release become one."""

from __future__ import annotations

from itertools import chain, count
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from releasekit.core.changelog.changelog import ChangelogEntry, PreviousRelease, parts_of
from releasekit.core.picking import group_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from releasekit.core.config.settings import Settings


def merge_entries(
    entries: Sequence[ChangelogEntry], settings: Settings, newest_first: Sequence[str]
) -> ChangelogEntry:
    """Return the entry of all packages from their *entries*, of which there is at least one, all of one version.

    Each commit and each change file appears once. *newest_first* are the shas of all commits, in their order. A remark
    such as "First release." stays if it is true of all packages.
    """
    places = dict(zip(newest_first, count(), strict=False))
    changes = dict.fromkeys(_all_of(entries, "changes"))
    in_order = sorted(changes, key=lambda change: places.get(change.sha, 0))
    mentions = group_by(_all_of(entries, "files"), attrgetter("path"))
    # A file can ask for a larger bump of one package than of another, and the heading follows the largest.
    files = [max(same, key=attrgetter("bump")) for same in mentions.values()]
    parts = parts_of(in_order, settings, files)
    remarks = set(map(attrgetter("remark"), entries))
    is_true_of_all = len(remarks) == 1 or not parts
    people = set(_all_of(entries, "contributors"))
    return ChangelogEntry(
        version=entries[0].version,
        date=entries[0].date,
        remark=entries[0].remark if is_true_of_all else "",
        parts=parts,
        contributors=tuple(sorted(people, key=str.casefold)),
    )


def merge_previous(releases: Sequence[PreviousRelease]) -> PreviousRelease:
    """Return what the release is compared with: the last one of all packages, and all prereleases since then."""
    latest = max(releases, key=_version_or_least)
    prereleases = set(_all_of(releases, "prereleases"))
    return PreviousRelease(latest.version, latest.tag, tuple(sorted(prereleases)))


def _version_or_least(release: PreviousRelease) -> Version:
    return release.version or Version("0.dev0")


def _all_of(values: Iterable[object], name: str) -> Iterator[Any]:
    """Return the items of the attribute *name* of all *values*, one after the other."""
    return chain.from_iterable(map(attrgetter(name), values))
