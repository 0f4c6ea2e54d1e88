"""The storage in which workers leave wheels: a directory, or a bucket on an S3-compatible server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.integrations.storage import Storage

if TYPE_CHECKING:
    from pathlib import Path


def check_storage(directory: Path, url: str) -> None:
    """Write, change and read files of the storage *url*."""
    wheel = directory / "core-1.0-py3-none-any.whl"
    wheel.write_bytes(b"\0wheel")
    storage = Storage(url).below("linux", "core")
    assert storage.read_text("package.json") == ""
    storage.write_file(wheel)
    for text in ("1", "2"):
        storage.write_text("package.json", text)
        assert storage.read_text("package.json") == text
    assert storage.read(wheel.name) == b"\0wheel"


def test_bucket_stores_the_files(tmp_path: Path, bucket: str) -> None:
    """An S3-compatible server is a storage like a directory."""
    check_storage(tmp_path, bucket)


def test_unusable_storage_is_named(tmp_path: Path) -> None:
    """A URL that no library knows, and a directory that cannot be written, are errors with the URL in them."""
    (tmp_path / "file").write_text("")
    for url in ("nowhere://bucket", f"file://{tmp_path}/file"):
        with pytest.raises(ReleaseError) as caught:
            Storage(url).write_text("name", "text")
        assert (caught.value.code, caught.value.location) == (ErrorCode.STAGE_STORAGE, url)


def test_directory_stores_the_files(tmp_path: Path) -> None:
    """What is written is read, also after a change; what was never written is empty."""
    check_storage(tmp_path, f"file://{tmp_path}/storage")
