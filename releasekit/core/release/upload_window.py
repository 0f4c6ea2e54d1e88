"""Find versions that the index has in part, and warn before it stops taking new files for them."""

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
"""How long PyPI takes new files for a version, counted from its first file (since July 2026)."""

_WARN_AFTER = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class PartialUpload:
    """A version of which the index has some files, but not all. *first_upload* is when it got the first one (UTC)."""

    name: str
    version: Version
    first_upload: datetime

    @property
    def closing_time(self) -> datetime:
        """The time from which the index takes no new files for the version."""
        return self.first_upload + UPLOAD_WINDOW

    def is_closed(self, now: datetime) -> bool:
        """Return whether `closing_time` has passed at *now*."""
        return now >= self.closing_time

    def is_closing(self, now: datetime) -> bool:
        """Return whether `closing_time` is at most four days away, or has passed."""
        return now >= self.first_upload + _WARN_AFTER

    def describe(self, now: datetime) -> str:
        """Return a sentence on the version: it is incomplete, and when the index closes it."""
        day = f"{self.closing_time:%Y-%m-%d %H:%M} UTC"
        since = (
            "has taken no new files for it since"
            if self.is_closed(now)
            else "takes no new files for it from"
        )
        return f"{self.name} {self.version} is only partly on the index; the index {since} {day}"


def find_partial_uploads(
    packages: Iterable[BuiltPackage], uploaded: Mapping[str, Mapping[str, datetime | None]]
) -> Iterator[PartialUpload]:
    """Yield those of *packages* that are only partly on the index.

    *uploaded* has by package and file name the time of each upload, None if the index does not publish it. Without any
    time, a package is skipped: it is unknown when its version closes.
    """
    for package in packages:
        uploaded_files = uploaded.get(package.name, {})
        upload_times = [time for time in uploaded_files.values() if time]
        missing_files = set(package.file_names) - uploaded_files.keys()
        if upload_times and missing_files:
            yield PartialUpload(package.name, package.version, min(upload_times))


def closing_warnings(
    partial_uploads: Iterable[PartialUpload], now: datetime
) -> list[ReleaseWarning]:
    """Return warnings RK-UPLOAD-CLOSED for those of *partial_uploads* that close soon or are closed at *now*."""
    return [
        ReleaseWarning(ErrorCode.UPLOAD_CLOSED, partial_upload.describe(now))
        for partial_upload in partial_uploads
        if partial_upload.is_closing(now)
    ]
