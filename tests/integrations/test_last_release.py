"""The last release of a package on an index: which one it is, and that it is fetched once."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from releasekit.core.errors import ErrorCode
from releasekit.core.release.release_manifest import BuiltPackage
from releasekit.integrations import http
from releasekit.integrations.index import SimpleIndex
from releasekit.integrations.last_release import IndexedRelease, read_last_release
from tasks.compare_release import skipped_warning

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

ANY = "py3-none-any"


def wheel_bytes(*modules: str) -> bytes:
    """Return a wheel with these modules."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for module in modules:
            archive.writestr(module, "x = 1\n")
        archive.writestr("shop-1.0.dist-info/METADATA", "Name: shop\nProvides-Extra: fast\n")
        archive.writestr(
            "shop-1.0.dist-info/entry_points.txt", "[console_scripts]\nshop = shop:main\n"
        )
    return content.getvalue()


class StaticIndex(BaseHTTPRequestHandler):
    """Lists the files of its server, and counts how often each one is fetched."""

    def do_GET(self) -> None:
        """Answer with the page of the project, or with a file."""
        name = self.path.rpartition("/")[2]
        server = self.server
        assert isinstance(server, StaticServer)
        if name:
            server.fetched.append(name)
            return self._answer("application/octet-stream", server.files[name])
        rows = [
            {"filename": file, "url": f"/files/{file}", "hashes": {"sha256": sha256(content).hexdigest()},
             "yanked": file in server.yanked}
            for file, content in server.files.items()
        ]  # fmt: skip
        page = {"meta": {"api-version": "1.0"}, "name": "shop", "files": rows}
        return self._answer("application/vnd.pypi.simple.v1+json", json.dumps(page).encode())

    def _answer(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that the library gives
        """Print nothing."""


class StaticServer(ThreadingHTTPServer):
    """An index of one project."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), StaticIndex)
        self.files: dict[str, bytes] = {}
        self.yanked: set[str] = set()
        self.fetched: list[str] = []


@pytest.fixture
def static_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[StaticServer]:
    """Run an index of one project, and begin with an empty cache."""
    monkeypatch.setenv("RELEASEKIT_CACHE_DIR", str(tmp_path / "cache"))
    with StaticServer() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def last_before(port: int, target: str) -> IndexedRelease:
    """Return the last release before *target* on the index at *port*."""

    async def ask() -> IndexedRelease:
        async with http.client(attempts=1, timeout=10) as web:
            index = SimpleIndex(f"http://127.0.0.1:{port}/simple", web)
            return await read_last_release(index, "shop", Version(target))

    return asyncio.run(ask())


def test_last_stable_release_counts(static_index: StaticServer) -> None:
    """The highest stable version below the next one counts; without one, the highest prerelease. Yanked ones do not."""
    for version in ("1.0", "1.1", "1.2", "2.0", "2.1rc1"):
        static_index.files[f"shop-{version}-{ANY}.whl"] = wheel_bytes("shop/__init__.py")
    static_index.files["shop-1.9.tar.gz"] = b"no wheel"
    static_index.yanked.add(f"shop-1.2-{ANY}.whl")
    port = static_index.server_port

    assert last_before(port, "1.3").version == Version("1.1")
    assert last_before(port, "2.1").version == Version("2.0")
    assert last_before(port, "1.0") == IndexedRelease()
    static_index.yanked.update(static_index.files)
    assert last_before(port, "2.1") == IndexedRelease(
        missing="all wheels of earlier releases are yanked"
    )


def test_wheel_is_fetched_once(static_index: StaticServer) -> None:
    """One wheel stands for the release, and its facts are kept."""
    linux, mac = (
        "shop-1.0-cp312-cp312-manylinux_2_17_x86_64.whl",
        "shop-1.0-cp312-cp312-macosx_11_0_arm64.whl",
    )
    static_index.files |= {linux: wheel_bytes("shop/a.py"), mac: wheel_bytes("shop/b.py")}

    first, second = (last_before(static_index.server_port, "1.1").facts for _ in range(2))

    assert first is not None
    assert first == second
    assert static_index.fetched == [mac]
    assert first.files == {"shop/b.py": 6}
    assert (first.scripts, first.extras) == ({"shop"}, {"fast"})


def test_unreadable_release_is_said(static_index: StaticServer) -> None:
    """A broken wheel, or an index that does not answer, stops nothing: a warning says why nothing is compared."""
    static_index.files[f"shop-1.0-{ANY}.whl"] = b"no archive"
    broken = last_before(static_index.server_port, "1.1")
    down = last_before(9, "1.1")

    assert broken.version == Version("1.0")
    assert broken.missing.startswith("RK-VERIFY-FAILED: not a wheel: ")
    assert down.version is None
    assert down.missing.startswith("RK-INDEX-UNREACHABLE: ")
    package = BuiltPackage(name="shop", version=Version("1.1"), tag="", files=())
    warning = skipped_warning(
        package, down, SimpleIndex("https://upload.example/simple", http.client())
    )
    assert warning.code is ErrorCode.COMPARE_SKIPPED
    assert "shop 1.1 is not compared with its last release: RK-INDEX-UNREACHABLE" in str(warning)
