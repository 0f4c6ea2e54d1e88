"""The storage in which workers leave wheels: a directory, or a bucket on an S3-compatible server."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.integrations.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """Run an S3-compatible server, and return the URL of a bucket on it."""
    if not (find_spec("moto") and find_spec("s3fs")):
        pytest.skip("needs `uv run --with moto[server] --with s3fs`")
    boto3: Any = import_module("boto3")
    moto: Any = import_module("moto.server")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "ada",
        "AWS_SECRET_ACCESS_KEY": "lovelace",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="wheels")
    yield "s3://wheels/of-ours"
    server.stop()


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
