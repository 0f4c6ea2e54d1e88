"""The throwaway index of a rehearsal."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.integrations.peryx import PERYX, EmbeddedIndex, Request, embedded_index
from releasekit.integrations.process import Command, run
from releasekit.integrations.upload_relay import without_refused_fields
from releasekit.integrations.uv import find_uv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def upload(index: EmbeddedIndex, *files: Path, code: int = 0, **env: str | None) -> str:
    """Upload as a release does, and return what uv says; *env* is added to the index's, *code* is expected."""
    argv = ("publish", "--trusted-publishing", "never", *map(str, files))
    return run(
        find_uv().command(*argv, env={**index.environment, **env}, ok_codes=frozenset({code}))
    ).stderr


def test_uploads_are_logged_in_order(
    index: EmbeddedIndex, built: Callable[..., tuple[Path, ...]]
) -> None:
    """The log tells which file came when, and that the index was asked about it before."""
    files = built("logged", "1.2.0")
    before = len(index.requests())

    for file in files:
        upload(index, file)

    page, order = "/rehearsal/simple/logged/", "/rehearsal/"
    assert index.requests()[before:] == (
        Request("GET", page, 404),
        Request("POST", order, 200, files[0].name),
        Request("GET", page, 200),
        Request("POST", order, 200, files[1].name),
    )


def test_uploads_can_be_installed(
    index: EmbeddedIndex, built: Callable[..., tuple[Path, ...]], tmp_path: Path
) -> None:
    """What was just uploaded installs at once, together with what it needs."""
    upload(index, *built("lower-part"), *built("upper-part", needs=("lower-part==1.0.0",)))
    uv = find_uv()
    # Away from this repository, whose exclude-newer would hide what is newer.
    argv = (
        "pip",
        "install",
        "--no-config",
        "--no-cache",
        "--python",
        sys.executable,
        "--target",
        str(tmp_path),
    )

    run(uv.command(*argv, "--default-index", index.simple_url, "upper-part"))

    assert (tmp_path / "lower_part" / "__init__.py").read_text() == '__version__ = "1.0.0"\n'


def test_files_cannot_be_replaced(
    index: EmbeddedIndex, built: Callable[..., tuple[Path, ...]], tmp_path: Path
) -> None:
    """The same bytes again are accepted, others under that name are refused, as on PyPI."""
    wheel = built("kept")[0]
    other = tmp_path / wheel.name
    other.write_bytes(built("kept", needs=("another",))[0].read_bytes())
    upload(index, wheel)

    upload(index, wheel, UV_PUBLISH_CHECK_URL=None)
    said = upload(index, other, code=2, UV_PUBLISH_CHECK_URL=None)

    assert "File already exists" in said
    assert [request.status for request in index.requests() if request.method == "POST"][-2:] == [
        200,
        400,
    ]


def test_only_its_own_token_uploads(
    index: EmbeddedIndex, built: Callable[..., tuple[Path, ...]]
) -> None:
    """Nobody else on the machine can put a file there, and the token is not in what is printed of the index."""
    before = len(index.requests())

    upload(index, built("foreign")[0], code=2, UV_PUBLISH_TOKEN="wrong")

    # uv shows the status only if it has sent the whole file before the answer comes.
    answers = {request.status for request in index.requests()[before:] if request.method == "POST"}
    assert answers == {401}
    assert str(index.environment["UV_PUBLISH_TOKEN"]) not in repr(index)
    assert str(index.environment["UV_PUBLISH_TOKEN"]) not in index.log.read_text()


def test_peryx_ignores_foreign_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A maintainer who runs a peryx for his team rehearses on another one all the same."""
    monkeypatch.setenv("PERYX_PORT", "1")
    monkeypatch.setenv("PERYX_READ_ONLY", "true")
    monkeypatch.setenv("UV_PUBLISH_USERNAME", "somebody")

    with embedded_index(tmp_path) as running:
        assert urlsplit(running.publish_url).hostname == "127.0.0.1"
        assert urlsplit(running.publish_url).port != 1
        assert running.environment["UV_PUBLISH_USERNAME"] is None


def test_embedded_index_ends_with_block(tmp_path: Path) -> None:
    """When the block ends, by an error too, nothing listens there any more and nothing is left running."""
    address: list[tuple[str, int]] = []

    def fail() -> None:
        with embedded_index(tmp_path) as running:
            parts = urlsplit(running.simple_url)
            address.append((str(parts.hostname), parts.port or 0))
            socket.create_connection(address[0], timeout=5).close()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address[0], timeout=5)
    assert str(tmp_path) not in run(Command(("ps", "-eo", "args"))).stdout


def test_early_index_death_is_error(tmp_path: Path) -> None:
    """A server that cannot start is an error at once, with what it said."""
    (tmp_path / "data").write_text("a file where it wants a directory")

    with pytest.raises(ReleaseError) as caught, embedded_index(tmp_path):
        pass

    assert caught.value.code is ErrorCode.INDEX_UNREACHABLE
    assert "stopped" in caught.value.message
    assert caught.value.output


def test_uv_fetches_a_missing_peryx(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: Callable[..., tuple[Path, ...]]
) -> None:
    """A user who has only releasekit gets the server through `uv tool run`."""
    argv = ("tool", "run", "--from", f"peryx=={PERYX}", "peryx", "--version")
    if run(find_uv().command(*argv, ok_codes=frozenset({0, 1, 2}))).code:
        pytest.skip("no network")
    wheel = built("fetched")[0]
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    with embedded_index(tmp_path) as running:
        upload(running, wheel)

        assert running.requests()[-1].uploaded_file == "fetched-1.0.0-py3-none-any.whl"


def test_further_indexes_have_own_files(
    tmp_path: Path, built: Callable[..., tuple[Path, ...]]
) -> None:
    """An index of any name can be added, also of one that peryx uses itself; a file on one is not on another."""
    files = built("rk-further")
    with embedded_index(tmp_path, ["upload", "pypi"]) as index:
        simple, order = index.addresses("upload")
        upload(index, *files, UV_PUBLISH_URL=order, UV_PUBLISH_CHECK_URL=simple)
        found = [
            httpx.get(f"{address}rk-further/").status_code
            for address in (simple, index.addresses("pypi")[0], index.simple_url)
        ]

    assert found == [200, 404, 404]


def test_license_text_of_many_lines_is_accepted(tmp_path: Path, index: EmbeddedIndex) -> None:
    """Backends write the text of `license = { file = … }` into the metadata; PyPI accepts it, and so does this."""
    (tmp_path / "LICENSE").write_text('A license\n\n   1. "You" may read it.\n\n   2. Keep it.\n')
    (tmp_path / "told.py").touch()
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "told"\nversion = "1.0"\nlicense = { file = "LICENSE" }\n'
        '[build-system]\nrequires = ["setuptools==80.9.0"]\nbuild-backend = "setuptools.build_meta"\n'
    )
    run(find_uv().command("build", "--quiet", cwd=tmp_path))

    upload(index, *(tmp_path / "dist").glob("told-*"))

    page = httpx.get(f"{index.simple_url}told/").text
    assert page.count("told-1.0") >= 2


def test_package_with_many_extras_is_accepted(tmp_path: Path, index: EmbeddedIndex) -> None:
    """PyPI has packages with hundreds of extras and requirements; so has this index, and it shows them."""
    extras = "".join(f'x{number} = ["core>={number}"]\n' for number in range(100))
    (tmp_path / "many.py").touch()
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\nname = "many"\nversion = "1.0"\n[project.optional-dependencies]\n{extras}'
        '[build-system]\nrequires = ["setuptools==80.9.0"]\nbuild-backend = "setuptools.build_meta"\n'
    )
    run(find_uv().command("build", "--quiet", cwd=tmp_path))

    upload(index, *(tmp_path / "dist").glob("many-*"))

    page = httpx.get(
        f"{index.simple_url}many/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    ).json()
    (wheel,) = (file["url"] for file in page["files"] if file["url"].endswith(".whl"))
    metadata = httpx.get(f"{urljoin(index.simple_url, wheel)}.metadata").text
    assert metadata.count("Provides-Extra: ") == metadata.count("Requires-Dist: ") == 100


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data"])
def test_other_bodies_are_relayed_as_they_are(content_type: str) -> None:
    """Only a form has fields that can be left out."""
    assert without_refused_fields(b'name="license"', content_type) == b'name="license"'


def test_only_the_license_is_left_out_of_a_form() -> None:
    """Fields with similar names stay, and so does a file that has the words in its content."""
    names = ("license_expression", "license", "license_files")
    fields = {
        name: f'\r\nContent-Disposition: form-data; name="{name}"\r\n\r\nMIT\r\n' for name in names
    }
    file = '\r\nContent-Disposition: form-data; name="content"\r\n\r\nname="license"\r\n'
    body = "--b".join(["", *fields.values(), file, "--\r\n"]).encode()

    left = without_refused_fields(body, 'multipart/form-data; boundary="b"')

    expected = ["", fields["license_expression"], fields["license_files"], file, "--\r\n"]
    assert left == "--b".join(expected).encode()


def test_upload_that_breaks_off_is_not_relayed(index: EmbeddedIndex) -> None:
    """A release that is killed while it sends a file leaves nothing on the index."""
    before = len(index.requests())
    parts = urlsplit(index.publish_url)
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=5) as client:
        client.sendall(f"POST {parts.path} HTTP/1.1\r\nContent-Length: 9\r\n\r\nfour".encode())
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""

    assert len(index.requests()) == before
