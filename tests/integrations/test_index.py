"""One suite for every kind of index server that runs here, and what a server may answer that is no index."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from shutil import which
from threading import Thread
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.release.release_manifest import BuiltPackage
from releasekit.core.release.upload_response import UploadOutcome, classify_response
from releasekit.integrations import http
from releasekit.integrations.filesystem import describe_file
from releasekit.integrations.index import SimpleIndex, files_on_index
from releasekit.integrations.process import run
from releasekit.integrations.protocols import Index, IndexFile
from releasekit.integrations.uv import find_uv

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping
    from pathlib import Path
    from typing import TypeVar

    from releasekit.integrations.peryx import EmbeddedIndex

    T = TypeVar("T")

NOTHING = {"NETRC": os.devnull, "UV_CREDENTIALS_DIR": os.devnull}
"""Hides what the user of this machine has in files."""

NOBODY = {"UV_PUBLISH_TOKEN": None, "UV_PUBLISH_USERNAME": None, "UV_PUBLISH_PASSWORD": None}


SERVERS = ["index", "pypi_server", *(["devpi_server"] if which("devpi-server") else [])]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> EmbeddedIndex:
    """Return each real server in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def uploaded(
    server: EmbeddedIndex, built: Callable[..., tuple[Path, ...]]
) -> Callable[..., tuple[Path, ...]]:
    """Return a function that builds a package and uploads it with uv."""

    def upload(
        name: str, version: str = "1.0.0", *, needs: tuple[str, ...] = ()
    ) -> tuple[Path, ...]:
        files = built(name, version, needs=needs)
        argv = ("publish", "--trusted-publishing", "never", *map(str, files))
        run(find_uv().command(*argv, env=server.environment))
        return files

    return upload


def ask(
    url: str,
    question: Callable[[Index], Awaitable[T]],
    *,
    name: str = "",
    env: Mapping[str, str | None] | None = None,
) -> T:
    """Ask the index at *url*, with as few attempts as can be."""

    async def answer() -> T:
        async with http.client(attempts=1, timeout=10) as web:
            return await question(SimpleIndex(url, web, name=name, env={**NOTHING, **(env or {})}))

    return asyncio.run(answer())


class TestEveryServer:
    """What holds whatever server is asked."""

    def test_unknown_project_is_not_empty(self, server: EmbeddedIndex) -> None:
        """A project that the index does not know is told from one without files."""
        assert ask(server.simple_url, lambda index: index.files("never-heard-of")) is None
        assert ask(server.simple_url, lambda index: index.versions("never-heard-of")) == frozenset()

    @pytest.mark.parametrize("slash", ["", "/"])
    def test_new_files_have_right_digests(
        self, server: EmbeddedIndex, uploaded: Callable[..., tuple[Path, ...]], slash: str
    ) -> None:
        """Just uploaded files are listed with the sha256 of their bytes, which their address gives out."""
        paths = uploaded(f"listed{len(slash)}")

        async def listed_and_fetched() -> dict[str, tuple[str, str]]:
            async with http.client() as web:
                files = await SimpleIndex(server.simple_url.rstrip("/") + slash, web).files(
                    f"listed{len(slash)}"
                )
                assert files is not None
                fetched = {
                    file.name: sha256((await web.get(file.url)).content).hexdigest()
                    for file in files
                }
                return {file.name: (file.sha256, fetched[file.name]) for file in files}

        digests = {path.name: sha256(path.read_bytes()).hexdigest() for path in paths}
        assert asyncio.run(listed_and_fetched()) == {
            name: (digest, digest) for name, digest in digests.items()
        }

    def test_requirements_come_from_metadata(
        self,
        server: EmbeddedIndex,
        uploaded: Callable[..., tuple[Path, ...]],
    ) -> None:
        """What a release requires is read beside its wheel (PEP 658), or from it: pypiserver has nothing beside it."""
        uploaded("needy", needs=("idna>=3", "certifi==2024.1"))

        found = ask(server.simple_url, lambda index: index.requirements("needy", Version("1")))
        assert found == (Requirement("idna>=3"), Requirement("certifi==2024.1"))
        assert ask(server.simple_url, lambda index: index.requirements("needy", Version("2"))) == ()
        assert (
            ask(server.simple_url, lambda index: index.requirements("never-heard-of", Version("1")))
            == ()
        )

    def test_existing_file_answers_are_understood(
        self,
        server: EmbeddedIndex,
        built: Callable[..., tuple[Path, ...]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Whatever a server answers to a file that it has, we understand; its page says which of the two it was."""
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        nothing_known = (
            f"{server.simple_url.rstrip('/')}-elsewhere/"  # so that uv does not look first
        )
        first, other = built("twice"), built("twice", needs=("idna",))

        answers = [
            asyncio.run(
                find_uv().publish(files[0].parent, files[:1], server.publish_url, nothing_known, 60)
            )
            for files in (first, first, other)
        ]

        assert answers[0] is None
        assert answers[1] is None or classify_response(answers[1]) is UploadOutcome.ALREADY_EXISTS
        assert answers[2]
        assert (classify_response(answers[2]), answers[2].file) == (
            UploadOutcome.ALREADY_EXISTS,
            first[0].name,
        )
        listed = ask(server.simple_url, lambda index: index.files("twice"))
        assert [file.sha256 for file in listed or ()] == [sha256(first[0].read_bytes()).hexdigest()]

    def test_upload_is_visible_at_once(
        self, server: EmbeddedIndex, uploaded: Callable[..., tuple[Path, ...]]
    ) -> None:
        """Nothing on the way keeps an old page; versions are PEP 440 versions, each once."""
        seen: list[frozenset[Version]] = []
        for version in ("1.0.0", "1.1.0rc1", "2.0"):
            uploaded("Dotted.Name", version)
            seen.append(ask(server.simple_url, lambda index: index.versions("dotted-name")))

        assert seen[0] == {Version("1.0")}
        assert seen[1] == {Version("1.0"), Version("1.1.0rc1")}
        assert seen[2] == {Version("1.0"), Version("1.1.0rc1"), Version("2")}

    def test_yank_needs_an_interface(
        self, server: EmbeddedIndex, uploaded: Callable[..., tuple[Path, ...]]
    ) -> None:
        """An index that says that it can yank does it, twice too; the others are not asked to."""
        uploaded("yanked")
        version, reason = Version("1.0.0"), "it deletes files & more"
        can_yank = ask(server.simple_url, lambda index: index.can_yank(server.publish_url))

        assert can_yank == ("rehearsal" in server.publish_url)
        for _ in range(2 if can_yank else 0):
            ask(
                server.simple_url,
                lambda index: index.yank(server.publish_url, "Yanked", version, reason),
                env=server.environment,
            )
        listed = ask(server.simple_url, lambda index: index.files("yanked"))
        assert {file.yanked for file in listed or ()} == {can_yank}
        if can_yank:
            with pytest.raises(ReleaseError) as caught:
                ask(
                    server.simple_url,
                    lambda index: index.yank(server.publish_url, "yanked", version, reason),
                    env=NOBODY,
                )
            assert caught.value.code is ErrorCode.YANK_REFUSED

    def test_right_credentials_pass_the_check(self, server: EmbeddedIndex) -> None:
        """What uploads files passes the check, from the environment or from the address."""
        env = server.environment
        user = env.get("UV_PUBLISH_USERNAME") or "__token__"
        password = env.get("UV_PUBLISH_TOKEN") or env.get("UV_PUBLISH_PASSWORD")
        address = server.publish_url.replace("//", f"//{user}:{password}@")

        ask(
            server.simple_url,
            lambda index: index.check_credentials(server.publish_url),
            env=server.environment,
        )
        ask(server.simple_url, lambda index: index.check_credentials(address), env=NOBODY)

    def test_netrc_credentials_pass_the_check(self, server: EmbeddedIndex, tmp_path: Path) -> None:
        """Where uv uploads with what netrc has, the check does so too."""
        env = server.environment
        user = env.get("UV_PUBLISH_USERNAME") or "__token__"
        password = env.get("UV_PUBLISH_TOKEN") or env.get("UV_PUBLISH_PASSWORD")
        (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login {user} password {password}\n")

        env = {**NOBODY, "NETRC": str(tmp_path / "netrc")}
        ask(server.simple_url, lambda index: index.check_credentials(server.publish_url), env=env)

    @pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
    def test_netrc_encoding_is_named(
        self, encoding: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A netrc file that uv cannot read gives no credentials, and one warning names it."""
        path = tmp_path / "netrc"
        path.write_text("machine index.example login zoë password x\n", encoding)

        for _ in range(2):
            SimpleIndex("https://index.example/", http.client(), env={"NETRC": str(path)})

        (warning,) = caplog.messages
        assert ErrorCode.NETWORK_SETTING in warning
        assert str(path) in warning

    @pytest.mark.parametrize(
        "env",
        [
            {"UV_PUBLISH_TOKEN": "wrong"},
            {"UV_PUBLISH_USERNAME": "releaser", "UV_PUBLISH_PASSWORD": "wrong"},
            {"UV_PUBLISH_USERNAME": "releaser"},
            {},
        ],
        ids=["token", "password", "no password", "none"],
    )
    def test_wrong_credentials_are_refused_unseen(
        self, server: EmbeddedIndex, env: dict[str, str]
    ) -> None:
        """What the index would refuse to upload is refused before the release begins, and not shown."""
        with pytest.raises(Refusal) as caught:
            ask(
                server.simple_url,
                lambda index: index.check_credentials(server.publish_url),
                env={**NOBODY, **env},
            )

        assert caught.value.code is ErrorCode.INDEX_CREDENTIALS
        assert "wrong" not in f"{caught.value}{caught.value.hint}"


class TestCredentials:
    """Credentials that need no answer, or get a special one."""

    def test_open_server_warns_without_user(
        self,
        open_server: EmbeddedIndex,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A server that lets everyone upload passes; without a user name uv would not try, so that is said."""
        monkeypatch.delenv("UV_KEYRING_PROVIDER", raising=False)
        question = open_server.publish_url

        for env in (open_server.environment, {"UV_PUBLISH_TOKEN": "anything"}):
            ask(
                open_server.simple_url,
                lambda index: index.check_credentials(question),
                env={**NOBODY, **env},
            )
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]

        ask(open_server.simple_url, lambda index: index.check_credentials(question), env=NOBODY)
        assert "UV_PUBLISH_USERNAME" in caplog.text

    def test_uv_needs_credentials_to_upload(
        self, open_server: EmbeddedIndex, built: Callable[..., tuple[Path, ...]]
    ) -> None:
        """This is why the warning is there; when it fails, uv has changed and the warning can go."""
        env = {"UV_PUBLISH_URL": open_server.publish_url, "NETRC": os.devnull}
        argv = ("publish", "--trusted-publishing", "never", str(built("unsent")[0]))

        assert (
            "Missing credentials"
            in run(find_uv().command(*argv, env=env, ok_codes=frozenset({2}))).stderr
        )

    @pytest.mark.parametrize(
        ("env", "address"),
        [
            ({"UV_PUBLISH_TOKEN": "t", "UV_PUBLISH_USERNAME": "u"}, "http://index.invalid/"),
            ({"UV_PUBLISH_TOKEN": "t"}, "http://u:p@index.invalid/"),
            ({"UV_PUBLISH_PASSWORD": "other"}, "http://u:p@index.invalid/"),
            ({"UV_PUBLISH_PASSWORD": "p"}, "http://index.invalid/"),
        ],
    )
    def test_contradictory_credentials_are_refused(
        self, env: dict[str, str], address: str, built: Callable[..., tuple[Path, ...]]
    ) -> None:
        """What uv calls a usage error is refused without asking anybody, just as uv does."""
        with pytest.raises(Refusal) as caught:
            ask(address, lambda index: index.check_credentials(address), env={**NOBODY, **env})

        assert caught.value.code is ErrorCode.INDEX_CREDENTIALS
        argv = (
            "publish",
            "--trusted-publishing",
            "never",
            "--publish-url",
            address,
            str(built("unsent")[0]),
        )
        try:
            said = run(
                find_uv().command(*argv, env={**NOBODY, **env}, ok_codes=frozenset({2}))
            ).stderr
        except ReleaseError as error:  # uv calls some of them a usage error
            said = error.output
        assert "Failed to send" not in said

    @pytest.mark.parametrize("name", ["ACTIONS_ID_TOKEN_REQUEST_TOKEN", "PYPI_ID_TOKEN"])
    def test_trusted_publishing_skips_credential_check(
        self, index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """In a CI job that gets its token only when it uploads, there is nothing to check yet."""
        monkeypatch.setenv(name, "from the CI")
        before = len(index.requests())

        ask(index.simple_url, lambda found: found.check_credentials(index.publish_url), env=NOBODY)

        assert len(index.requests()) == before

    def test_keyring_credentials_stay_with_uv(self, index: EmbeddedIndex, tmp_path: Path) -> None:
        """Credentials that only uv can read are left to uv."""
        (tmp_path / "credentials.toml").touch()
        before = len(index.requests())

        for env in ({"UV_KEYRING_PROVIDER": "subprocess"}, {"UV_CREDENTIALS_DIR": str(tmp_path)}):
            ask(
                index.simple_url,
                lambda found: found.check_credentials(index.publish_url),
                env={**NOBODY, **env},
            )

        assert len(index.requests()) == before

    @pytest.mark.parametrize("path", ["nowhere/", "rehearsal/simple/"])
    def test_wrong_address_is_a_warning(
        self, index: EmbeddedIndex, path: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Some indexes answer 404 to a strange upload, so that stops nothing, but it is said."""
        address = index.publish_url.replace("rehearsal/", path)

        ask(index.simple_url, lambda found: found.check_credentials(address), env=index.environment)

        assert "check the address" in caplog.text

    def test_dead_upload_address_is_refused(self) -> None:
        """An upload address where nothing listens is a refusal."""
        with answering(200, "", "text/html") as dead:
            pass
        with pytest.raises(Refusal) as caught:
            ask(dead, lambda index: index.check_credentials(dead), env={"UV_PUBLISH_TOKEN": "any"})

        assert caught.value.code is ErrorCode.INDEX_UNREACHABLE


class QuietHandler(BaseHTTPRequestHandler):
    """A handler that keeps the test's output clean."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the library's
        """Write nothing."""


@contextmanager
def running(handler: type[QuietHandler]) -> Generator[str]:
    """Let *handler* answer inside the block; yields the address of its index."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}/simple"
        finally:
            httpd.shutdown()
            thread.join()


WHEEL = "/files/needy-1.0-py3-none-any.whl"
METADATA = "Metadata-Version: 2.1\nName: needy\nVersion: 1.0\nRequires-Dist: idna>=3\n"


def wheel_bytes(*, first: bool, size: int, metadata: str = METADATA) -> bytes:
    """Return a wheel with *size* bytes of code; its METADATA comes *first*, or last."""
    code = ("needy.py", os.urandom(size))
    text = ("needy-1.0.dist-info/METADATA", metadata.encode())
    content = BytesIO()
    with ZipFile(content, "w") as archive:
        for name, data in (text, code) if first else (code, text):
            archive.writestr(name, data)
    return content.getvalue()


@contextmanager
def storing(
    wheel: bytes, *, sends_parts: bool = True, beside: tuple[int, bytes] = (404, b"")
) -> Generator[str]:
    """Run an index with one *wheel* inside the block, and with the status and body *beside* it; yields its address."""

    class Storage(QuietHandler):
        def do_GET(self) -> None:
            if self.path.endswith(".metadata"):
                self.answer(*beside)
            elif self.path != WHEEL:
                self.answer(200, f'<a href="{WHEEL}">wheel</a>'.encode())
            elif sends_parts and "Range" in self.headers:
                self.answer_part(int(self.headers["Range"].removeprefix("bytes=-")))
            else:
                self.answer(200, wheel)

        def answer_part(self, length: int) -> None:
            if length > len(wheel):  # as Starlette does
                self.answer(416, b"", f"bytes */{len(wheel)}")
                return
            start = len(wheel) - length
            self.answer(206, wheel[start:], f"bytes {start}-{len(wheel) - 1}/{len(wheel)}")

        def answer(self, status: int, body: bytes, content_range: str = "") -> None:
            SENT.append(len(body))
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            if content_range:
                self.send_header("Content-Range", content_range)
            self.end_headers()
            self.wfile.write(body)

    SENT.clear()
    with running(Storage) as address:
        yield address


SENT: list[int] = []


class TestMetadataInWheels:
    """Indexes that give no METADATA beside a wheel: most kinds of storage, and many private indexes."""

    @pytest.mark.parametrize("status", [200, 403, 404, 405])
    @pytest.mark.parametrize("sends_parts", [True, False])
    @pytest.mark.parametrize("first", [True, False])
    @pytest.mark.parametrize("size", [100, 200_000])
    def test_wheel_shows_its_requirements(
        self, status: int, sends_parts: bool, first: bool, size: int
    ) -> None:
        """METADATA is found wherever it is in the wheel, and whatever parts the server sends."""
        wheel = wheel_bytes(first=first, size=size)

        with storing(
            wheel, sends_parts=sends_parts, beside=(status, b"<html>Sign in</html>")
        ) as url:
            found = ask(url, lambda index: index.requirements("needy", Version("1")))

        assert found == (Requirement("idna>=3"),)

    def test_end_of_wheel_is_enough(self) -> None:
        """Only the end of a large wheel is fetched, if METADATA is there."""
        with storing(wheel_bytes(first=False, size=5_000_000)) as url:
            found = ask(url, lambda index: index.requirements("needy", Version("1")))

        assert found == (Requirement("idna>=3"),)
        assert sum(SENT) < 100_000

    @pytest.mark.parametrize(
        "wheel",
        [
            b"no wheel",
            wheel_bytes(first=True, size=9, metadata=""),
            wheel_bytes(first=True, size=9, metadata=f"{METADATA}Requires-Dist: a b"),
        ],
        ids=["no wheel", "empty", "invalid"],
    )
    def test_unreadable_metadata_is_unknown(self, wheel: bytes) -> None:
        """What cannot be read is never taken for a release without requirements."""
        with storing(wheel) as url:
            found = ask(url, lambda index: index.requirements("needy", Version("1")))

        assert found is None

    def test_too_large_wheel_is_not_fetched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server that sends no parts is not asked for the whole of a very large wheel."""
        monkeypatch.setattr("releasekit.integrations.index._MAX_WHEEL", 1_000_000)

        for sends_parts in (True, False):
            with storing(wheel_bytes(first=True, size=9_000_000), sends_parts=sends_parts) as url:
                found = ask(url, lambda index: index.requirements("needy", Version("1")))
            assert found is None

    def test_denied_wheel_is_refused(self) -> None:
        """If neither METADATA nor the wheel may be read, the credentials are missing."""
        with answering(403, "", "text/html") as url, pytest.raises(Refusal) as caught:
            ask(url, lambda index: index.requirements("needy", Version("1")))

        assert caught.value.code is ErrorCode.INDEX_CREDENTIALS


JSON = "application/vnd.pypi.simple.v1+json"
LATER = '<meta name="pypi:repository-version" content="2.0"><a href="a-1.zip">a-1.zip</a>'
HEADERS: list[dict[str, str]] = []


@contextmanager
def answering(status: int, body: str, kind: str) -> Generator[str]:
    """Run a server inside the block that gives this one answer; yields its address, and fills HEADERS."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            HEADERS.append(dict(self.headers))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

    HEADERS.clear()
    with running(Handler) as address:
        yield address


def read(
    body: str, kind: str = "text/html; charset=utf-8", status: int = 200
) -> tuple[IndexFile, ...] | None:
    """Return what is understood of one page, its address cut down to the path."""
    with answering(status, body, kind) as url:
        files = ask(url, lambda index: index.files("some.Project"))
        root = url.removesuffix("/simple")
    return files and tuple(
        IndexFile(f.name, f.sha256, f.url.removeprefix(root), f.yanked) for f in files
    )


class TestPages:
    """What an index may send, and what none does."""

    def test_json_page_lists_files(self) -> None:
        """Addresses may be relative, a digest may be missing, a yank may have a reason (PEP 691, PEP 592)."""
        page = """{"meta": {"api-version": "1.9"}, "name": "some-project", "new": 1, "files": [
            {"filename": "a-1.tar.gz", "url": "../../files/a-1.tar.gz", "hashes": {"sha256": "ab"}, "yanked": "broken"},
            {"filename": "a-2.tar.gz", "url": "https://files.invalid/a-2.tar.gz", "hashes": {}, "yanked": false}]}"""

        assert read(page, JSON) == (
            IndexFile("a-1.tar.gz", "ab", "/files/a-1.tar.gz", yanked=True),
            IndexFile("a-2.tar.gz", "", "https://files.invalid/a-2.tar.gz"),
        )

    def test_upload_time_takes_any_form(self) -> None:
        """Since when a file is there (PEP 700) is known, in whatever form; what is no time is as good as none."""
        times = (
            "2026-08-01T12:00:00.123456Z",
            "2026-08-01T14:00:00+02:00",
            "2026-08-01T12:00:00",
            "long ago",
        )
        files = ", ".join(
            f'{{"filename": "a-{number}.tar.gz", "url": "a", "hashes": {{}}, "upload-time": "{time}"}}'
            for number, time in enumerate(times)
        )

        with answering(
            200, f'{{"meta": {{"api-version": "1.1"}}, "files": [{files}]}}', JSON
        ) as url:
            listed = ask(url, lambda index: index.files("a")) or ()

        noon = datetime(2026, 8, 1, 12, tzinfo=UTC)
        assert [file.upload_time for file in listed] == [
            noon.replace(microsecond=123456),
            noon,
            noon,
            None,
        ]

    def test_html_page_lists_only_files(self) -> None:
        """A page of links is read as installers read it: base, entities, escapes, other links passed over."""
        page = """<!doctype html><base href="/files/"><a href="/">home</a>
            <A HREF='a%2B-1.tar.gz?x=1&amp;y=2#sha256=AB'>a+-1.tar.gz</A>
            <a href="b-1-py3-none-any.whl#md5=00" data-yanked>b</a><a name="here">no link</a>"""

        assert read(page) == (
            IndexFile("a+-1.tar.gz", "ab", "/files/a%2B-1.tar.gz?x=1&y=2"),
            IndexFile("b-1-py3-none-any.whl", "", "/files/b-1-py3-none-any.whl", yanked=True),
        )

    @pytest.mark.parametrize(
        "page",
        [
            "<title>Links for some-project</title>",
            '<meta name="pypi:repository-version" content="1.4">',
        ],
    )
    def test_index_page_may_be_empty(self, page: str) -> None:
        """A page that says what it is may list nothing."""
        assert read(page) == ()

    def test_index_request_prefers_fresh_json(self) -> None:
        """The normalised name is asked for, uncached, JSON first."""
        read("", status=404)

        assert HEADERS[0]["Cache-Control"] == "no-cache"
        assert HEADERS[0]["Accept"].startswith(JSON)

    @pytest.mark.parametrize(
        ("body", "kind", "status", "code"),
        [
            ("<form>Who are you?</form>", "text/html", 200, ErrorCode.INDEX_RESPONSE),
            ('<a href="/login">Log in</a>', "text/html", 200, ErrorCode.INDEX_RESPONSE),
            (LATER, "text/html", 200, ErrorCode.INDEX_RESPONSE),
            ("It works!", "text/plain", 200, ErrorCode.INDEX_RESPONSE),
            ("{", JSON, 200, ErrorCode.INDEX_RESPONSE),
            ('{"message": "hello"}', "application/json", 200, ErrorCode.INDEX_RESPONSE),
            ('{"meta": {"api-version": "2.0"}, "files": []}', JSON, 200, ErrorCode.INDEX_RESPONSE),
            ("gone", "text/html", 410, ErrorCode.INDEX_RESPONSE),
            ("", "text/html", 401, ErrorCode.INDEX_CREDENTIALS),
            ("", "text/html", 403, ErrorCode.INDEX_CREDENTIALS),
            ("", "text/html", 503, ErrorCode.INDEX_UNREACHABLE),
            ("", "text/html", 429, ErrorCode.INDEX_UNREACHABLE),
        ],
    )  # fmt: skip
    def test_foreign_page_is_an_error(
        self, body: str, kind: str, status: int, code: ErrorCode
    ) -> None:
        """What is no page of an index is an error with the address, never "unknown project"."""
        with pytest.raises(ReleaseError) as caught:
            read(body, kind, status)

        assert caught.value.code is code
        assert caught.value.location.endswith("/simple/some-project/")

    def test_dead_index_is_an_error(self) -> None:
        """An index where nothing listens is an error."""
        with answering(200, "", "text/html") as dead:
            pass
        with pytest.raises(ReleaseError) as caught:
            ask(dead, lambda index: index.files("any"))

        assert caught.value.code is ErrorCode.INDEX_UNREACHABLE

    def test_invalid_names_are_no_versions(self) -> None:
        """Old indexes are full of files that no tool understands; they have no version."""
        names = (
            "a-1.0-py3-none-any.whl",
            "a-1.0.tar.gz",
            "a-latest.tar.gz",
            "a-1.whl",
            "a-2.0.exe",
            "a-3.zip",
        )
        with answering(200, "".join(f'<a href="{name}">' for name in names), "text/html") as url:
            assert ask(url, lambda index: index.versions("a")) == {Version("1.0"), Version("3")}


class TestReaders:
    """An index that only its users may read."""

    def test_address_credentials_are_sent_decoded(self) -> None:
        """User info is sent, percent-decoded, and never shown again."""
        with answering(403, "", "text/html") as url:
            address = url.replace("//", "//us%40er:sword%3Afish@")
            with pytest.raises(ReleaseError) as caught:
                ask(address, lambda index: index.files("any"))

        assert HEADERS[0]["Authorization"] == "Basic dXNAZXI6c3dvcmQ6ZmlzaA=="
        assert "fish" not in f"{caught.value}"

    def test_index_variables_win_over_address(self) -> None:
        """The variables that uv reads for an index of this name win over the address."""
        env = {"UV_INDEX_MY_INDEX_USERNAME": "us@er", "UV_INDEX_MY_INDEX_PASSWORD": "sword:fish"}
        with answering(404, "", "text/html") as url:
            ask(
                url.replace("//", "//other:one@"),
                lambda index: index.files("any"),
                name="my-index",
                env=env,
            )

        assert HEADERS[0]["Authorization"] == "Basic dXNAZXI6c3dvcmQ6ZmlzaA=="

    def test_address_shows_no_credentials(self) -> None:
        """What others print of the index is its address alone."""
        shown = ask("https://user:swordfish@index.invalid:8080/simple/", _address)

        assert shown == "https://index.invalid:8080/simple"


async def _address(index: Index) -> str:
    logging.getLogger("releasekit.index").debug("at %s", index.url)
    return index.url


def test_files_on_index_match_digests(
    index: EmbeddedIndex, built: Callable[..., tuple[Path, ...]]
) -> None:
    """What the index lists with our bytes is ours; other bytes of that name are refused, or at least not ours."""
    paths = built("listed-or-not")
    env = {name: value for name, value in index.environment.items() if value is not None}
    run(find_uv().publish_command(paths[:1], index.publish_url, index.simple_url, env))
    package = BuiltPackage(
        name="listed-or-not",
        version=Version("1.0.0"),
        tag="",
        files=tuple(describe_file(path) for path in paths),
    )
    others = tuple(file.model_copy(update={"sha256": "0" * 64}) for file in package.files)
    changed = package.model_copy(update={"files": others})

    async def look(asked: BuiltPackage, *, strict: bool) -> tuple[set[str], bytes]:
        async with http.client() as web:
            simple = SimpleIndex(index.simple_url, web)
            found = (await files_on_index([asked], simple, strict=strict))["listed-or-not"]
            return set(found), b"".join([await simple.content(file) for file in found.values()])

    assert asyncio.run(look(package, strict=True)) == ({paths[0].name}, paths[0].read_bytes())
    assert asyncio.run(look(changed, strict=False)) == (set(), b"")
    with pytest.raises(Refusal) as caught:
        asyncio.run(look(changed, strict=True))
    assert caught.value.code is ErrorCode.PUBLISH_CHECKSUM_MISMATCH
