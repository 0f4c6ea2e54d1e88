"""A version that is on the index in part, and for which the index soon takes no new files, or takes none any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, ReleaseWarning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.version import Version

    from releasekit.core.release.release_manifest import BuiltPackage

UPLOAD_WINDOW = timedelta(days=14)
"""How long PyPI takes new files for a version, from its first file on (since July 2026)."""

_WARN_AFTER = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class PartialUpload:
    """A version of which the index has some files, the *first_upload* since then, and not all."""

    name: str
    version: Version
    first_upload: datetime

    @property
    def closing_time(self) -> datetime:
        """When the index takes no new files for it any more."""
        return self.first_upload + UPLOAD_WINDOW

    def is_closed(self, now: datetime) -> bool:
        """Return whether that time has passed."""
        return now >= self.closing_time

    def is_closing(self, now: datetime) -> bool:
        """Return whether that time is near, or has passed."""
        return now >= self.first_upload + _WARN_AFTER

    def describe(self, now: datetime) -> str:
        """Say how it stands."""
        day = f"{self.closing_time:%Y-%m-%d %H:%M} UTC"
        since = "takes no new files for it any more, since" if self.is_closed(now) else "takes no new files for it from"
        return f"{self.name} {self.version} is on the index in part; the index {since} {day}"


def find_partial_uploads(
    packages: Iterable[BuiltPackage], uploaded: Mapping[str, Mapping[str, datetime | None]]
) -> Iterator[PartialUpload]:
    """Yield those of *packages* that are on the index in part.

    *uploaded* says by package and file what is there, and since when. Where it does not say when, nothing is known.
    """
    for package in packages:
        uploaded_files = uploaded.get(package.name, {})
        times = [time for time in uploaded_files.values() if time]
        if times and any(file.name not in uploaded_files for file in package.files):
            yield PartialUpload(package.name, package.version, min(times))


def closing_warnings(partial_uploads: Iterable[PartialUpload], now: datetime) -> list[ReleaseWarning]:
    """Return what a person should know of *partial_uploads* before they go on with a release."""
    return [
        ReleaseWarning(ErrorCode.UPLOAD_CLOSED, partial_upload.describe(now))
        for partial_upload in partial_uploads
        if partial_upload.is_closing(now)
    ]
