"""A workspace in a repository elsewhere: real clones, from disk and from a server that wants a token."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from releasekit.core.config.repository_address import RemoteWorkspace
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.integrations.git import Repo
from releasekit.integrations.process import Command, mask, run
from releasekit.integrations.secrets import Secrets
from releasekit.store.clones import clone_directory, workspace_clone
from tasks.decorators import read_secret

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.support.git_scene import GitScene

TOKEN = "swordfish-of-the-forge"


@pytest.fixture
def bare(scene: GitScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a bare repository with the branches main and next and the tag v1 on a commit of main that has passed."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    scene.git("tag", "v1")
    (scene.top / "sub").mkdir()
    (scene.top / "sub" / "file").write_text("main\n")
    scene.git("add", "--all")
    scene.git("commit", "--quiet", "--message", "a file")
    scene.git("branch", "next")
    bare = tmp_path / "remote.git"
    scene.git("clone", "--quiet", "--bare", str(scene.top), str(bare))
    scene.git("remote", "add", "origin", str(bare))
    return bare


def test_clone_checks_out_its_ref(scene: GitScene, bare: Path) -> None:
    """A branch is checked out as such, a tag or commit without one; nothing is the default branch. It is all there."""
    address = f"file://{bare}"
    tagged, head = scene.git("rev-parse", "v1").strip(), scene.git("rev-parse", "main").strip()
    found: dict[str, tuple[str, str]] = {}
    for ref in ("", "next", "v1", tagged[:12]):
        with workspace_clone(RemoteWorkspace(address, ref), "", keep=False) as directory:
            repo = Repo(directory)
            found[ref] = (repo.branch, repo.head)
            assert not repo.is_shallow()
            assert set(repo.tags()) == {"v1"}
        assert not directory.exists(), "a clone of the run's own is gone with it"

    assert found == {
        "": ("main", head),
        "next": ("next", head),
        "v1": ("", tagged),
        tagged[:12]: ("", tagged),
    }
    with workspace_clone(RemoteWorkspace(address, subdirectory="sub"), "", keep=False) as directory:
        assert [path.name for path in directory.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("address", "ref"), [("", "nowhere"), ("/none", "")], ids=["ref", "address"]
)
def test_clone_of_missing_repository_fails(bare: Path, address: str, ref: str) -> None:
    """A repository or reference that is not there is refused."""
    with (
        pytest.raises(Refusal) as refused,
        workspace_clone(RemoteWorkspace(f"file://{bare}{address}", ref), "", keep=False),
    ):
        pass

    assert refused.value.code is ErrorCode.REPOSITORY_UNREACHABLE


def test_kept_clone_is_brought_current(scene: GitScene, bare: Path) -> None:
    """The clone that is kept is brought up to date each time, and what a killed run left in its files is gone."""
    source = RemoteWorkspace(f"file://{bare}")
    with workspace_clone(source, "", keep=True) as directory:
        assert directory.is_relative_to(clone_directory(source))
        Repo(directory).save_ref("a-release", Repo(directory).head)
        Repo(directory).git("tag", "only-here")
        (directory / "sub" / "file").write_text("changed\n")
        (directory / "new").write_text("new\n")
        Repo(directory).git("switch", "--quiet", "--detach")
    scene.git("commit", "--quiet", "--allow-empty", "--message", "later")
    scene.git("push", "--quiet", "origin", "main")

    with workspace_clone(source, "", keep=True) as again:
        repo = Repo(again)
        assert again == directory
        assert (repo.branch, repo.head) == ("main", scene.git("rev-parse", "main").strip())
        assert repo.changed_paths() == ()
        assert set(repo.tags()) == {"v1"}, "what the remote does not have is not released"
        assert repo.saved_commit("a-release"), "what the record needs is kept"


def test_clone_never_exposes_its_token(bare: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The token opens clone and push, and stands in no argument, no file and no log line."""
    caplog.set_level(logging.DEBUG)
    run(Command(("git", "config", "http.receivepack", "true"), bare))
    with git_server(bare, TOKEN) as address:
        with (
            pytest.raises(Refusal, match="REPOSITORY-UNREACHABLE"),
            workspace_clone(RemoteWorkspace(address), "", keep=False),
        ):
            pass
        with workspace_clone(
            RemoteWorkspace(address, token="FORGE_TOKEN"), TOKEN, keep=False
        ) as directory:
            repo = Repo(directory)
            repo.push("origin", ["HEAD:refs/heads/pushed"])
            assert "refs/heads/pushed" in repo.ls_remote("origin")
            written = [
                path
                for path in directory.rglob("*")
                if path.is_file() and TOKEN.encode() in path.read_bytes()
            ]
            assert not written
            seen = repo.command("commit").environment()
            assert TOKEN not in seen.values(), "only what talks with the remote has it"
            assert TOKEN in repo.command("push").environment().values()
            assert TOKEN not in repr(repo.command("push"))
    assert TOKEN not in caplog.text
    assert base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode() not in caplog.text


def test_clone_has_private_submodules(
    scene: GitScene, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token also opens the submodules on the same server, which have relative addresses as forges advise."""
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file:http")
    scene.git("clone", "--quiet", "--bare", str(bare), str(tmp_path / "lib.git"))
    scene.git("submodule", "--quiet", "add", "../lib.git", "vendored")
    scene.git("commit", "--quiet", "--message", "a submodule")
    scene.git("push", "--quiet", "origin", "main")

    with (
        git_server(bare, TOKEN) as address,
        workspace_clone(RemoteWorkspace(address), TOKEN, keep=False) as directory,
    ):
        assert (directory / "vendored" / "sub" / "file").read_text() == "main\n"
        assert Repo(directory).changed_paths() == ()


def test_secrets_are_loaded_on_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret is loaded when it is used, masked from then on, and told of by its name when it is not there."""
    monkeypatch.setenv("COMPANY_PASS", "swordfish-of-the-company")
    monkeypatch.setenv("PREFECT_HOME", os.devnull)
    secrets = Secrets(
        {"UV_PUBLISH_TOKEN": "COMPANY_PASS", "UV_INDEX_IN_PASSWORD": "not-there"}, read_secret
    )

    assert secrets.environment("UV_PUBLISH_") == {"UV_PUBLISH_TOKEN": "swordfish-of-the-company"}
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "another")
    assert secrets.environment("UV_PUBLISH_") == {}, (
        "what the environment has wins, as in a rehearsal"
    )
    monkeypatch.delenv("COMPANY_PASS")
    assert mask("token: swordfish-of-the-company") == "token: ***"
    assert "swordfish" not in repr(secrets)
    with pytest.raises(Refusal, match="block not-there cannot be read: no Prefect API"):
        secrets.environment("UV_INDEX_")
    with pytest.raises(ReleaseError, match="NO_SUCH is not set"):
        read_secret("NO_SUCH")


@contextmanager
def git_server(bare: Path, token: str) -> Generator[str]:
    """Serve a repository by git's own program, to those alone who know the token; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._hand_over()

        def do_POST(self) -> None:
            self._hand_over()

        def _hand_over(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            _, _, given = self.headers.get("Authorization", "").partition(" ")
            if base64.b64decode(given).decode().partition(":")[2] != token:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            env = {
                "GIT_PROJECT_ROOT": str(bare.parent),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "REMOTE_USER": "ada",
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            }
            said = subprocess.run(
                ("git", "http-backend"),
                input=body,
                env={**os.environ, **env},
                stdout=subprocess.PIPE,
                check=True,
            ).stdout
            head, _, content = said.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that it has
            """Keep standard error for the test."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{bare.name}"
        finally:
            server.shutdown()
            thread.join()
