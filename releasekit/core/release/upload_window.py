"""A version that is on the index in part, and for which the index soon takes no new files, or takes none any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from releasekit.core.errors import Code, Warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.version import Version

    from releasekit.core.release.release_manifest import PackageVersion

OPEN_FOR = timedelta(days=14)
"""How long PyPI takes new files for a version, from its first file on (since July 2026)."""

_WARN_AFTER = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class HalfPublished:
    """A version of which the index has some files, the *first* since then, and not all."""

    name: str
    version: Version
    first: datetime

    @property
    def closes(self) -> datetime:
        """When the index takes no new files for it any more."""
        return self.first + OPEN_FOR

    def is_closed(self, now: datetime) -> bool:
        """Return whether that time has passed."""
        return now >= self.closes

    def is_closing(self, now: datetime) -> bool:
        """Return whether that time is near, or has passed."""
        return now >= self.first + _WARN_AFTER

    def describe(self, now: datetime) -> str:
        """Say how it stands."""
        day = f"{self.closes:%Y-%m-%d %H:%M} UTC"
        since = "takes no new files for it any more, since" if self.is_closed(now) else "takes no new files for it from"
        return f"{self.name} {self.version} is on the index in part; the index {since} {day}"


def half_published(
    packages: Iterable[PackageVersion], uploaded: Mapping[str, Mapping[str, datetime | None]]
) -> Iterator[HalfPublished]:
    """Yield those of *packages* that are on the index in part.

    *uploaded* says by package and file what is there, and since when. Where it does not say when, nothing is known.
    """
    for package in packages:
        there = uploaded.get(package.name, {})
        times = [time for time in there.values() if time]
        if times and any(file.name not in there for file in package.files):
            yield HalfPublished(package.name, package.version, min(times))


def closing_warnings(halves: Iterable[HalfPublished], now: datetime) -> list[Warn]:
    """Return what a person should know of *halves* before they go on with a release."""
    return [Warn(Code.UPLOAD_CLOSED, half.describe(now)) for half in halves if half.is_closing(now)]
