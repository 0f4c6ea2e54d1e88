"""Versions that are on the index in part, and for how long they can still be completed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from packaging.version import Version

from releasekit.core.release.release_manifest import BuiltFile, BuiltPackage
from releasekit.core.release.upload_window import closing_warnings, find_partial_uploads

BEGUN = datetime(2026, 8, 1, 12, tzinfo=UTC)
CORE = BuiltPackage(
    name="core",
    version=Version("1.1"),
    tag="core-v1.1",
    files=tuple(
        BuiltFile(name=name, sha256="a" * 64, size=1) for name in ("core.whl", "core.tar.gz")
    ),
)


def test_partial_upload_has_start_time() -> None:
    """It is one of which some files are there, and since when is known."""
    later = BEGUN + timedelta(days=2)
    three = CORE.model_copy(
        update={"files": (*CORE.files, BuiltFile(name="other.whl", sha256="b" * 64, size=1))}
    )

    assert list(find_partial_uploads([CORE], {})) == []
    assert list(find_partial_uploads([CORE], {"core": {}})) == []
    assert (
        list(find_partial_uploads([CORE], {"core": {"core.whl": BEGUN, "core.tar.gz": BEGUN}}))
        == []
    )
    assert list(find_partial_uploads([CORE], {"core": {"core.whl": None}})) == [], "nobody knows"
    (half,) = find_partial_uploads([three], {"core": {"core.tar.gz": later, "core.whl": BEGUN}})
    assert (half.name, half.version, half.first_upload) == ("core", Version("1.1"), BEGUN)


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (9.9, None),
        (10.1, "takes no new files for it from 2026-08-15 12:00 UTC"),
        (13.9, "takes no new files for it from 2026-08-15 12:00 UTC"),
        (14.1, "has taken no new files for it since 2026-08-15 12:00 UTC"),
    ],
)
def test_closing_warning_comes_before_deadline(days: float, said: str | None) -> None:
    """Nothing is said at first, then until when it can be completed, and at last that it cannot be."""
    (half,) = find_partial_uploads([CORE], {"core": {"core.whl": BEGUN}})
    now = BEGUN + timedelta(days=days)

    warnings = [str(warning) for warning in closing_warnings([half], now)]

    expected = f"RK-UPLOAD-CLOSED: core 1.1 is only partly on the index; the index {said}"
    assert warnings == ([expected] if said else [])
    assert half.is_closed(now) is (days > 14)
