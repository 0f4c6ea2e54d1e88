"""The real program: on a terminal, with a Prefect server of its own, and killed."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.fault_index import HIDDEN, fault_index
from tests.support.world import World, dated_tag, make_world, relatives

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from releasekit.integrations.peryx import EmbeddedIndex

ROOT = Path(__file__).parents[2]
PYTHONPATH = os.pathsep.join((str(ROOT / "tests" / "support" / "unmeasured_children"), str(ROOT)))
PATIENCE = 60.0
"""Seconds for anything that is going to happen."""

ON_A_TERMINAL = (
    "import os, pty, sys; raise SystemExit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
)


@dataclass
class Program:
    """A running program: *mark* stands in the environment of all its processes, and *heard* is what it said."""

    process: subprocess.Popen[bytes]
    mark: str
    heard: bytearray = field(default_factory=bytearray)

    def hear(self) -> str:
        """Return what it has said, on one line."""
        return " ".join(
            re.sub(r"\x1b\[[0-9;]*m", "", self.heard.decode("utf-8", "replace")).split()
        )

    def type(self, keys: str) -> None:
        """Press *keys* on its keyboard."""
        assert self.process.stdin
        self.process.stdin.write(keys.encode())
        self.process.stdin.flush()

    def end(self) -> int:
        """Return its exit code, once it has ended."""
        return self.process.wait(PATIENCE)

    def relatives(self) -> dict[int, str]:
        """Return the processes that it has started, near and far, whoever their parent is now."""
        return relatives(self.mark)


@pytest.fixture(scope="module")
def home(prefect_home: Callable[[str], Path]) -> Path:
    """Make the directory that the servers of these tests share, one after the other."""
    return prefect_home("home")


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Let the program find no Prefect server."""
    for name in list(os.environ):
        if name.startswith(("PREFECT_", "DO_NOT_TRACK")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(home))


BUILD_ENV = {"RELEASEKIT_BUILD_ENV": '["BREAK", "PREFECT_TEST_MARK"]'}
"""Builds and imports get these two variables of the tests."""


@contextmanager
def running(world: World, *argv: str, terminal: bool = False) -> Generator[Program]:
    """Run `publish` inside the block."""
    program = (sys.executable, "-m", "flows.publish", "--skip-audit", *argv)
    mark = f"PREFECT_TEST_MARK={uuid.uuid4()}"  # a server that we start gets variables of Prefect
    name, _, value = mark.partition("=")
    child = subprocess.Popen(
        (sys.executable, "-c", ON_A_TERMINAL, *program) if terminal else program,
        cwd=world.root,
        env={
            **os.environ,
            "PYTHONPATH": PYTHONPATH,
            "TERM": "xterm",
            "COLUMNS": "200",
            **BUILD_ENV,
            name: value,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    found = Program(child, mark)
    listener = threading.Thread(target=listen, args=(found,))
    listener.start()
    try:
        yield found
    finally:
        for pid in found.relatives():
            os.kill(pid, signal.SIGKILL)
        child.wait()
        listener.join()
        assert child.stdin
        child.stdin.close()


def listen(program: Program) -> None:
    """Keep what *program* says."""
    assert program.process.stdout
    with program.process.stdout as said:
        while chunk := os.read(said.fileno(), 1 << 16):
            program.heard += chunk


def until(true: Callable[[], object], program: Program) -> None:
    """Wait until something is *true*."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, program.hear()
        time.sleep(0.05)


def uploads(index: EmbeddedIndex) -> list[str]:
    """Return the names of all files that the index took, in order."""
    return [request.uploaded_file for request in index.requests() if request.uploaded_file]


@pytest.mark.parametrize(("keys", "code"), [("n\r", 2), ("\x03", 130)], ids=["no", "ctrl-c"])
def test_release_without_yes_changes_nothing(
    tmp_path: Path, own_index: EmbeddedIndex, keys: str, code: int
) -> None:
    """A person is asked, and told how much it is; without a yes nothing changes and nothing stays behind."""
    world = make_world(tmp_path, "app: core; core")
    before = world.state()

    with running(world, terminal=True) as program:
        until(
            lambda: f"Publish 2 packages to {own_index.publish_url}? [y/n]" in program.hear(),
            program,
        )
        assert len(program.relatives()) > 2, "the server starts while a person reads"
        assert (
            "4 files: an sdist and a wheel of each package 2 new to the index: core, app"
            in program.hear()
        )
        assert (
            f"3 tags, pushed to origin at the end: {dated_tag()}, core-v0.1.0, app-v0.1.0"
            in program.hear()
        )
        program.type(keys)
        assert program.end() == code, program.hear()
        until(lambda: not program.relatives(), program)

    assert "Traceback" not in program.hear()
    assert ("Run the command again to decide anew" in program.hear()) == (code == 2)
    assert world.state() == before
    assert uploads(own_index) == []


@pytest.mark.usefixtures("whole_proofs")
def test_confirmed_release_records_every_task(
    tmp_path: Path, home: Path, own_index: EmbeddedIndex
) -> None:
    """After a yes all goes out, with a Prefect server of the program's own, which has ended when the program has.

    Its database then holds every task run, to the very last, as ended; also if the server was killed in the middle.
    """
    world = make_world(tmp_path, "app: core; core")

    with running(world, terminal=True) as program:
        until(lambda: "[y/n]" in program.hear(), program)
        program.type("y\r")
        until(lambda: uploads(own_index), program)
        [server] = [pid for pid, line in program.relatives().items() if "uvicorn" in line]
        os.kill(server, signal.SIGKILL)
        assert program.end() == 0, program.hear()
        until(lambda: not program.relatives(), program)

    assert f"{dated_tag()}: 2 confirmed" in program.hear()
    assert program.hear().count("the Prefect server stopped unexpectedly and is restarted") == 1
    assert "telemetry" not in program.hear(), "nobody is told of data that is not collected"
    assert len(uploads(own_index)) == 4
    assert set(world.tags()) == {"app-v0.1.0", "core-v0.1.0", dated_tag()}
    with sqlite3.connect(home / "prefect.db") as database:
        runs = dict(database.execute("select name, state_type from task_run"))
    assert {
        f"{step}-{name}" for name in ("app", "core") for step in ("stage", "prove")
    } < runs.keys()
    assert {
        f"{step}-{name}-0.1.0" for name in ("app", "core") for step in ("upload", "smoke-test")
    } < runs.keys()
    assert "fast-forward-main" in runs, "the last one"
    assert set(runs.values()) == {"COMPLETED"}


@pytest.mark.usefixtures("whole_proofs")
def test_release_works_without_a_server(
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no Prefect server can be had the release is made all the same, and says that it is not recorded.

    What a step has done is known from the disk, so a second run does not do it again.
    """
    world = make_world(
        tmp_path, "app: core; core", app="import os\nassert 'BREAK' not in os.environ\n"
    )
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "prefect.db").write_text("no database")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    # Otherwise it starts no server, because it is no terminal.
    monkeypatch.setenv("RELEASEKIT_RECORD", "always")
    # Else nothing would be uploaded that cannot be imported.
    monkeypatch.setenv("RELEASEKIT_OVERLAY", "resolve")
    said: list[str] = []
    for broken in (True, False):
        monkeypatch.setenv("BREAK", "1") if broken else monkeypatch.delenv("BREAK")
        with running(world, "--yes", "--verbose") as program:
            assert program.end() == int(broken), program.hear()
            until(lambda: not program.relatives(), program)
        said.append(program.hear())

    for heard in said:
        assert (
            "warning RK-SERVER-START: the Prefect server did not start: this release is not recorded"
            in heard
        )
        assert "Prefect has no record of this release" in heard
        assert "Traceback" not in heard.partition("RK-SMOKE-TEST-FAILED")[0]
    assert said[0].count("app==0.1.0: exit") == 3, (
        "resolved, installed, and installed once more as ever on a failure"
    )
    assert "core==0.1.0: exit" in said[0]
    assert "core==0.1.0: exit" not in said[1], "its smoke test was passed"
    assert f"{dated_tag()}: 2 confirmed" in said[1]
    assert len(uploads(own_index)) == 4
    assert set(world.tags()) == {"app-v0.1.0", "core-v0.1.0", dated_tag()}


def test_signal_ends_the_release_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal in the middle ends it soon, says what to do next, leaves nothing running, and is no success."""
    world = make_world(tmp_path, "app: core; core")
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "secret")
    with fault_index() as index:
        index.on_page("core", repeat(HIDDEN))  # it is never confirmed
        where = ("--publish-url", index.publish_url, "--check-url", index.simple_url)
        with running(world, "--yes", *where) as program:
            until(lambda: index.sent("core"), program)
            program.process.send_signal(signal.SIGTERM)
            assert program.end() == 130, program.hear()
            until(lambda: not program.relatives(), program)
        assert not index.sent("app")

    assert "Interrupted. In progress: core. Run `releasekit publish` to continue." in program.hear()
    assert "Traceback" not in program.hear()
    assert world.git("status", "--porcelain") == ""
    assert world.tags() == {}


def test_interrupt_stops_git_at_once(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Ctrl-C is obeyed at once, also while git works; a second one would find nothing to stop."""
    world = make_world(tmp_path, "core")
    whole = (world.root / "pyproject.toml").read_text()
    world.commit("build: hooks", {"pyproject.toml": f"{whole}\n[tool.releasekit]\nhooks = true\n"})
    hook = world.root / ".git" / "hooks" / "pre-commit"
    hook.write_text(f"#!/bin/sh\necho > {tmp_path}/hooked; sleep 60\n")
    hook.chmod(0o755)
    with running(world, "--yes", "--no-push", terminal=True) as program:
        until((tmp_path / "hooked").exists, program)
        program.type("\x03")
        assert program.end() == 130, program.hear()
        until(lambda: not program.relatives(), program)

    assert "Traceback" not in program.hear()
    assert world.git("status", "--porcelain") == ""
    assert uploads(own_index) == []


def test_release_resumes_after_a_kill(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Killed outright in the middle, it leaves nothing running; the next run carries on and sends no file twice."""
    world = make_world(tmp_path, "app: slow; slow; other", slow="import time; time.sleep(2)")
    with running(world, "--yes") as program:
        until(lambda: any(name.startswith("slow") for name in uploads(own_index)), program)
        os.kill(program.process.pid, signal.SIGKILL)
        assert program.end() == -signal.SIGKILL
        until(lambda: not program.relatives(), program)
    assert world.git("status", "--porcelain") == ""
    assert world.tags() == {}

    with running(world, "--yes") as program:
        assert program.end() == 0, program.hear()

    assert f"resuming {dated_tag()}" in program.hear()
    assert len(uploads(own_index)) == len(set(uploads(own_index))) == 6
    assert set(world.tags()) == {"app-v0.1.0", "other-v0.1.0", "slow-v0.1.0", dated_tag()}
    assert len(world.git("worktree", "list").splitlines()) == 1
