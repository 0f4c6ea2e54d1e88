"""Only the files on record are uploaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.release.release_manifest import BuiltPackage
from releasekit.integrations.filesystem import describe_file
from releasekit.store.record import Record

if TYPE_CHECKING:
    from pathlib import Path


def test_changed_file_is_not_sent(tmp_path: Path, prefect_client: Path) -> None:
    """A file that was changed after its verification is refused, by its path."""
    assert prefect_client
    from tasks import upload

    record = Record(tmp_path)
    file = record.dist("core") / "core-1.0.tar.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"verified")
    built = BuiltPackage(name="core", version=Version("1.0"), tag="", files=(describe_file(file),))

    assert upload.recorded_path(record, built, file.name) == file
    file.write_bytes(b"replaced")
    with pytest.raises(Refusal) as caught:
        upload.recorded_path(record, built, file.name)

    assert (caught.value.code, caught.value.location) == (ErrorCode.VERIFY_FAILED, str(file))
