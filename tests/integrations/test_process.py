"""Child processes: what is raised, what is killed, what is shown."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.integrations.process import (
    Command,
    background,
    kill_with_block,
    last_lines,
    mask,
    register_address,
    run,
    run_async,
    stream,
)
from tests.support.processes import eventually, is_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    from releasekit.integrations.process import Result
    from tests.support.git_scene import GitScene

SECRET = "pypi-AgEIcHlwaS5vcmc"
FAMILY = 'sleep 60 & echo $! > grandchild; echo "about to wait"; wait'
"""A shell script that leaves the number of a grandchild behind and waits for it."""


def run_on_a_loop(command: Command) -> Result:
    """Do what `run` does, through `run_async`."""
    return asyncio.run(run_async(command))


def consumed(command: Command) -> list[bytes]:
    """Do what `run` does, through `stream`."""
    return list(stream(command))


ROOT = Path(__file__).parents[2]
DOORS = [run, run_on_a_loop, consumed]


def python(script: str, *argv: str) -> tuple[str, ...]:
    """Return the command line of a Python script."""
    return (sys.executable, "-c", textwrap.dedent(script), *argv)


FOREGROUND = "run_in_foreground(command.argv, path)"
BACKGROUND = "background(command, path / 'output').__enter__()"


def number_in(path: Path) -> int:
    """Wait for the number that a child writes to *path*."""
    assert eventually(lambda: path.is_file() and path.read_text().endswith("\n"))
    return int(path.read_text())


def test_one_module_starts_programs() -> None:
    """Only `integrations/process.py` starts other programs: there they get a time limit, a log line and masks."""
    start = re.compile(r"\bsubprocess\b|\bos\.(exec|fork|popen|posix_spawn|spawn|system)")
    sources = [
        path for room in ("flows", "releasekit", "tasks") for path in (ROOT / room).rglob("*.py")
    ]

    doors = {path.name for path in sources if start.search(path.read_text(encoding="utf-8"))}
    assert doors == {"process.py"}


class TestResult:
    """What a command that ends gives back."""

    def test_command_output_is_text(self, tmp_path: Path) -> None:
        """Both outputs come back as text, undecodable bytes replaced; input and directory are passed on."""
        script = r"cat; printf '\377'; pwd; echo bad >&2"

        for door in (run, run_on_a_loop):
            result = door(Command(("sh", "-c", script), tmp_path, stdin=b"given "))

            assert result.code == 0
            assert result.stdout == f"given \ufffd{tmp_path}\n"
            assert result.stderr == "bad\n"
            assert 0 <= result.seconds < 20

    def test_command_gets_adjusted_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A command gets this process's variables, those it adds, and not those it removes."""
        monkeypatch.setenv("RK_KEPT", "kept")
        monkeypatch.setenv("RK_REMOVED", "removed")
        script = "echo $RK_KEPT,$RK_ADDED,$RK_REMOVED"
        command = Command(("sh", "-c", script), env={"RK_ADDED": "+", "RK_REMOVED": None})

        assert run(command).stdout == "kept,+,\n"
        assert run_on_a_loop(command).stdout == "kept,+,\n"
        assert consumed(command) == [b"kept,+,\n"]

    def test_a_killed_command_fails(self) -> None:
        """A command that dies of a signal did not succeed."""
        for door in DOORS:
            with pytest.raises(ReleaseError, match="SIGKILL ended"):
                door(Command(("sh", "-c", "kill -9 $$")))

    def test_each_command_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        """Each call is logged with its words, exit code and duration, also as fields."""
        caplog.set_level(logging.DEBUG, "releasekit")

        for door in DOORS:
            caplog.clear()
            door(Command(("sh", "-c", "exit 3"), ok_codes=frozenset({3})))

            (record,) = caplog.records
            assert record.__dict__["argv"] == ["sh", "-c", "exit 3"]
            assert record.__dict__["exit_code"] == 3
            assert 0 <= record.__dict__["seconds"] < 20
            assert record.getMessage().startswith("ran sh -c 'exit 3': exit 3 in ")


class TestFailure:
    """An exit code that is not fine."""

    @pytest.mark.parametrize("door", DOORS)
    def test_command_error_names_exit_code(
        self, door: Callable[[Command], object], tmp_path: Path
    ) -> None:
        """The error names command, code and directory."""
        with pytest.raises(ReleaseError) as caught:
            door(Command(("sh", "-c", "echo why >&2; exit 7"), tmp_path))

        assert caught.value.code is ErrorCode.COMMAND_FAILED
        assert caught.value.message == "exit code 7 from: sh -c 'echo why >&2; exit 7'"
        assert caught.value.location == str(tmp_path)
        assert caught.value.output == "why"

    @pytest.mark.parametrize("door", DOORS)
    def test_only_ok_codes_succeed(self, door: Callable[[Command], object]) -> None:
        """The exit codes that a call names are no failure; success is one only if it is among them."""
        door(Command(("sh", "-c", "exit 7"), ok_codes=frozenset({0, 7})))

        with pytest.raises(ReleaseError, match="exit code 0"):
            door(Command(("true",), ok_codes=frozenset({7})))

    @pytest.mark.parametrize("door", [run, run_on_a_loop])
    def test_command_error_shows_last_lines(self, door: Callable[[Command], object]) -> None:
        """The error shows the last 50 lines, complaints last."""
        with pytest.raises(ReleaseError) as caught:
            door(Command(("sh", "-c", "seq 200; echo the reason >&2; exit 1")))

        assert caught.value.output.splitlines() == [*map(str, range(152, 201)), "the reason"]

    def test_unknown_program_is_an_error(self) -> None:
        """A program that is not there is an error like any other."""
        for door in DOORS:
            with pytest.raises(ReleaseError) as caught:
                door(Command(("rk-no-such-program",)))

            assert caught.value.code is ErrorCode.COMMAND_FAILED
            assert "rk-no-such-program" in caught.value.message


class TestTimeout:
    """A command that takes too long."""

    @pytest.mark.parametrize("door", DOORS)
    def test_timeout_kills_the_process_group(
        self, door: Callable[[Command], object], tmp_path: Path
    ) -> None:
        """Grandchildren die too, so that no second build can start beside a first; what was said is shown."""
        with pytest.raises(ReleaseError) as caught:
            door(Command(("sh", "-c", f"echo hm >&2; {FAMILY}"), tmp_path, timeout=0.5))

        assert caught.value.code is ErrorCode.COMMAND_TIMEOUT
        assert "killed after 0.5 s: sh -c" in caught.value.message
        assert "hm" in caught.value.output
        assert eventually(lambda: not is_alive(number_in(tmp_path / "grandchild")))

    def test_timeout_logs_a_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        """A killed command leaves a warning."""
        with pytest.raises(ReleaseError):
            run(Command(("sleep", "60"), timeout=0.1))

        assert caplog.messages == ["killed after 0.1s: sleep 60"]


class TestCancelling:
    """Whoever stops waiting leaves nothing running."""

    def test_cancelled_coroutine_kills_its_command(self, tmp_path: Path) -> None:
        """Cancelling the coroutine kills the command and its children."""

        async def scene() -> None:
            running = asyncio.create_task(run_async(Command(("sh", "-c", FAMILY), tmp_path)))
            await asyncio.to_thread(number_in, tmp_path / "grandchild")
            running.cancel()
            await running

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(asyncio.wait_for(scene(), 30))
        assert eventually(lambda: not is_alive(number_in(tmp_path / "grandchild")))

    def test_cancelled_start_leaves_nothing(self) -> None:
        """A coroutine that is cancelled at any point of the start leaves no command running."""

        async def cancel_after(steps: int) -> None:
            running = asyncio.create_task(run_async(Command(("sleep", f"600.0{steps}"))))
            for _ in range(steps):
                await asyncio.sleep(0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

        async def cancel_everywhere() -> None:
            for steps in range(12):
                await cancel_after(steps)

        asyncio.run(asyncio.wait_for(cancel_everywhere(), 30))
        assert eventually(lambda: "sleep 600.0" not in run(Command(("ps", "-eo", "args"))).stdout)

    def test_commands_run_side_by_side(self) -> None:
        """The loop is not blocked: commands run side by side."""

        async def both() -> list[str]:
            # Each waits for what the other writes.
            reads, writes = os.pipe()
            echo = Command(("sh", "-c", f"echo over > /proc/{os.getpid()}/fd/{writes}"))
            wait = Command(("head", "-n", "1", f"/proc/{os.getpid()}/fd/{reads}"), timeout=20)
            return [
                result.stdout for result in await asyncio.gather(run_async(wait), run_async(echo))
            ]

        assert asyncio.run(both()) == ["over\n", ""]

    def test_interrupt_kills_the_command(self, tmp_path: Path) -> None:
        """Ctrl-C in this process kills the command and its children, which have not heard of it."""
        script = """
            import os, signal, sys
            from pathlib import Path
            from releasekit.integrations.process import Command, run
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in what it puts behind
            Path(sys.argv[1], "parent").write_text(f"{os.getpid()}\\n")
            run(Command(("sh", "-c", sys.argv[2]), Path(sys.argv[1])))
        """
        with background(
            Command(python(script, str(tmp_path), FAMILY), ROOT), tmp_path / "log"
        ) as alive:
            grandchild = number_in(tmp_path / "grandchild")
            os.kill(number_in(tmp_path / "parent"), signal.SIGINT)

            assert eventually(lambda: not is_alive(grandchild))
            assert eventually(lambda: not alive())
        assert "KeyboardInterrupt" in (tmp_path / "log").read_text()

    def test_interrupt_kills_commands_of_threads(self, tmp_path: Path) -> None:
        """A Ctrl-C of a block kills what its threads run and what they would start then; not what others run."""
        ends: list[str] = []

        def work(name: str, *argv: str) -> None:
            try:
                run(Command(argv, tmp_path))
            except KeyboardInterrupt:
                ends.append(f"{name} was interrupted")
            else:
                ends.append(f"{name} has ended")

        with ThreadPoolExecutor(3) as threads:
            other = threads.submit(
                work, "other", "sh", "-c", "while [ ! -e end ]; do sleep 0.05; done"
            )
            guards = ExitStack()
            guards.enter_context(kill_with_block())
            context = copy_context()
            threads.submit(context.run, work, "own", "sh", "-c", FAMILY)
            grandchild = number_in(tmp_path / "grandchild")
            with pytest.raises(KeyboardInterrupt), guards:
                raise KeyboardInterrupt
            assert eventually(lambda: not is_alive(grandchild))
            assert eventually(lambda: ends == ["own was interrupted"])
            threads.submit(context.run, work, "late", "sleep", "600").result()
            (tmp_path / "end").touch()
            other.result()

        assert ends == ["own was interrupted", "late was interrupted", "other has ended"]

    @pytest.mark.parametrize(
        "call", ["run(command)", "list(stream(command))", BACKGROUND, FOREGROUND]
    )
    def test_interrupt_at_start_kills(self, tmp_path: Path, call: str) -> None:
        """Ctrl-C while a command starts, before anything guards it, kills it too."""
        script = f"""
            import os, signal, subprocess, sys
            from pathlib import Path
            from releasekit.integrations.process import Command, background, run, run_in_foreground, stream
            signal.signal(signal.SIGINT, signal.default_int_handler)
            path = Path(sys.argv[1])

            class InterruptedStart(subprocess.Popen):
                def __init__(self, argv, **options):
                    super().__init__(argv, **options)
                    if argv[0] == "sleep":
                        (path / "child").write_text(f"{{self.pid}}\\n")
                        os.kill(os.getpid(), signal.SIGINT)

            subprocess.Popen = InterruptedStart
            command = Command(("sleep", "600"))
            {call}
        """

        with background(Command(python(script, str(tmp_path)), ROOT), tmp_path / "log") as alive:
            child = number_in(tmp_path / "child")

            assert eventually(lambda: not is_alive(child))
            assert eventually(lambda: not alive())
        assert "KeyboardInterrupt" in (tmp_path / "log").read_text()

    def test_abandoned_stream_kills_its_command(self, tmp_path: Path) -> None:
        """Leaving off in the middle of a stream kills the command."""
        pieces = stream(Command(("sh", "-c", FAMILY), tmp_path), b"\n")

        assert next(pieces) == b"about to wait"
        del pieces

        assert eventually(lambda: not is_alive(number_in(tmp_path / "grandchild")))


class TestStream:
    """Output that is read as it comes."""

    def test_stream_splits_at_separator(self) -> None:
        """Output is cut at the separator; empty pieces count, an unended last one too."""
        assert consumed(Command(("printf", r"a\0\0b\0"))) == [b"a", b"", b"b"]
        assert consumed(Command(("printf", r"a\0b"))) == [b"a", b"b"]
        assert consumed(Command(("true",))) == []
        assert list(stream(Command(("printf", "a;b-c;")), b";")) == [b"a", b"b-c"]

    def test_chunk_borders_split_no_piece(self) -> None:
        """Where the pipe happens to be cut does not show."""
        sizes = [1, 300_000, 0, 262_143, 262_144, 700_001]
        script = "import sys; [sys.stdout.write('x' * int(size) + ';') for size in sys.argv[1:]]"

        pieces = stream(Command(python(script, *map(str, sizes))), b";")

        assert [len(piece) for piece in pieces] == sizes

    def test_large_input_blocks_no_stream(self) -> None:
        """However much it reads and complains, the command is not stuck."""
        script = """
            import sys
            sys.stderr.write("hm" * 500_000)
            sys.stdout.buffer.write(sys.stdin.buffer.read())
        """
        given = b"\\0".join([b"x" * 1000] * 1000)

        assert list(
            stream(Command(python(script), stdin=given, timeout=60), b"\\0")
        ) == given.split(b"\\0")

    def test_stream_raises_after_its_pieces(self) -> None:
        """The pieces before a failure are seen, then it raises."""
        pieces = stream(Command(("sh", "-c", r"printf 'a\0b\0'; echo why >&2; exit 2")))

        assert [next(pieces), next(pieces)] == [b"a", b"b"]
        with pytest.raises(ReleaseError) as caught:
            next(pieces)
        assert caught.value.output == "why"


ODD_SECRET = "pa/ss+w\"o'rd é-0123456789"
ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "basic": lambda secret: base64.b64encode(f"__token__:{secret}".encode()).decode(),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64-for-urls": lambda secret: base64.urlsafe_b64encode(f"u:{secret}".encode()).decode(),
    "percent": lambda secret: quote(secret, safe=""),
    "form": quote_plus,
    "json": lambda secret: json.dumps(secret)[1:-1],
    "json-unicode": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "html": html.escape,
    "repr": repr,
    "shell": shlex.quote,
}


class TestUsage:
    """A command that a tool does not understand is no answer of an index or a remote."""

    @pytest.mark.parametrize(
        "argv",
        [("uv", "publish", "--of-tomorrow"), ("git", "update-ref", "--of-tomorrow")],
        ids=["uv", "git"],
    )
    def test_usage_error_names_versions(self, argv: tuple[str, ...], scene: GitScene) -> None:
        """The error names both versions, also if the exit code is one that the caller expects."""
        with pytest.raises(ReleaseError) as caught:
            run(Command(argv, scene.top, ok_codes=frozenset({0, 2, 129})))

        assert caught.value.code is ErrorCode.TOOL_USAGE
        assert re.match(
            rf"{argv[0]} .*\d does not take a command of releasekit \d", caught.value.message
        )


class TestSecrets:
    """What nobody may see."""

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("https://user:pass@host/simple", "https://***@host/simple"),
            ("https://token@host and http://a:b@c", "https://***@host and http://***@c"),
            ("https://user:p@ss@host/simple", "https://***@host/simple"),
            ("https://host/@scope and a@b", "https://host/@scope and a@b"),
        ],
    )
    def test_address_credentials_are_masked(self, text: str, shown: str) -> None:
        """User name and password in an address are masked, the address is not."""
        assert mask(text) == shown

    @pytest.mark.parametrize(
        "name",
        [
            "UV_PUBLISH_TOKEN",
            "UV_PUBLISH_PASSWORD",
            "MY_SECRET",
            "PREFECT_API_KEY",
            "PREFECT_API_AUTH_STRING",
        ],
    )
    def test_secret_variables_are_masked(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The value of a variable whose name says that it is secret is masked wherever it stands."""
        monkeypatch.setenv(name, SECRET)

        assert mask(f"with {SECRET}.") == "with ***."

    def test_passwords_of_addresses_are_masked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The password of an address in a variable, or of a remote, is masked without its address too."""
        monkeypatch.setenv("UV_DEFAULT_INDEX", "https://reader:p%40ss-word-1@index.example/simple")
        register_address("https://bot:other-password@git.example/a.git")

        assert mask("p%40ss-word-1 p@ss-word-1 other-password reader") == "*** *** *** reader"

    @pytest.mark.parametrize("encode", ENCODINGS, ids=ENCODINGS.keys())
    def test_encoded_secret_is_masked(self, encode: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A secret in the form of another program is masked too; the test sees what is not masked."""
        monkeypatch.setenv("MY_TOKEN", ODD_SECRET)
        encoded = ENCODINGS[encode](ODD_SECRET)
        core = encoded[6:-6]

        assert core in f"<{encoded}>"
        assert core not in mask(f"<{encoded}>")

    def test_short_secrets_mask_no_words(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Empty and very short values would mask half of all text."""
        monkeypatch.setenv("EMPTY_TOKEN", "")
        monkeypatch.setenv("SHORT_TOKEN", "uv")

        assert mask("uv publish") == "uv publish"

    def test_longer_secret_is_masked_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No rest of a longer secret is left over."""
        monkeypatch.setenv("A_TOKEN", "swordfish")
        monkeypatch.setenv("B_TOKEN", "swordfish-and-more")

        assert mask("swordfish-and-more") == "***"

    def test_output_cannot_control_the_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a build prints cannot colour, move, rename or link anything here, nor hide a secret in such words."""
        monkeypatch.setenv("UV_PUBLISH_TOKEN", "pypi-swordfish")
        said = "\x1b[2J\x1b[1;31mred\x1b[0m \x1b]8;;https://bad.invalid\x1b\\link\x1b]8;;\x07"
        said += " pypi-\x1b[1msword\u202efish\x1bM\x9b3A"

        assert last_lines(said) == "red link ***3A"

    def test_shortened_output_hides_long_secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A secret of many lines does not show because its beginning was cut off."""
        monkeypatch.setenv("SIGNING_SECRET", "\n".join(f"line {number}" for number in range(60)))

        assert last_lines("\n".join(f"line {number}" for number in range(60))) == "***"

    @pytest.mark.parametrize("door", DOORS)
    @pytest.mark.parametrize("where", ["this process", "the command"])
    def test_commands_show_no_secret(
        self,
        door: Callable[[Command], object],
        where: str,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Neither the command as text, nor its log record, nor its error holds a secret."""
        caplog.set_level(logging.DEBUG, "releasekit")
        if where == "this process":
            monkeypatch.setenv("UV_PUBLISH_TOKEN", SECRET)
        env = {"UV_PUBLISH_TOKEN": SECRET} if where == "the command" else {}
        argv = (
            "sh",
            "-c",
            'echo "$UV_PUBLISH_TOKEN $1 $2" >&2; exit 1',
            "sh",
            SECRET,
            "https://u:opensesame@host/",
        )
        command = Command(argv, env=env)

        with pytest.raises(ReleaseError) as caught:
            door(command)

        seen = f"{command}{caught.value}{caught.value.output}{caplog.text}{[vars(record) for record in caplog.records]}"
        assert SECRET not in seen
        assert "opensesame" not in seen
        assert caught.value.output == "*** *** https://***@host/"


class TestBackground:
    """A server beside us."""

    def test_background_process_ends_with_block(self, tmp_path: Path) -> None:
        """It runs inside the block, its output in the file; with the block it ends, children and all."""
        with background(Command(("sh", "-c", FAMILY), tmp_path), tmp_path / "log") as alive:
            grandchild = number_in(tmp_path / "grandchild")
            assert alive()
            assert is_alive(grandchild)
            assert eventually(lambda: (tmp_path / "log").read_text() == "about to wait\n")

        assert not alive()
        assert not is_alive(grandchild)

    def test_block_error_ends_background_process(self, tmp_path: Path) -> None:
        """An error in the block ends it just so."""

        def fail() -> None:
            with background(Command(("sh", "-c", FAMILY), tmp_path), tmp_path / "log"):
                number_in(tmp_path / "grandchild")
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert eventually(lambda: not is_alive(number_in(tmp_path / "grandchild")))

    def test_early_background_death_is_visible(self, tmp_path: Path) -> None:
        """A server that ends at once is noticed, and what it said is there to read."""
        (tmp_path / "log").write_text("before\n")

        with background(Command(("sh", "-c", "echo no >&2; exit 3")), tmp_path / "log") as alive:
            assert eventually(lambda: not alive())

        assert (tmp_path / "log").read_text() == "before\nno\n"

    def test_missing_background_program_is_named(self, tmp_path: Path) -> None:
        """A program that is not there is named."""
        with (
            pytest.raises(ReleaseError, match=r"No such file.*rk-no-such-program"),
            background(Command(("rk-no-such-program",)), tmp_path / "log"),
        ):
            pass

    def test_background_process_gets_its_environment(self, tmp_path: Path) -> None:
        """It gets its variables and directory, and nothing to read."""
        command = Command(("sh", "-c", "cat; echo $RK_ADDED; pwd"), tmp_path, {"RK_ADDED": "+"})

        with background(command, tmp_path / "log") as alive:
            assert eventually(lambda: not alive())

        assert (tmp_path / "log").read_text() == f"+\n{tmp_path}\n"

    def test_background_process_dies_with_parent(self, tmp_path: Path) -> None:
        """When the process that started it is killed outright, it dies too: no orphan keeps a port or a file."""
        script = """
            import os, signal, sys, time
            from pathlib import Path
            from releasekit.integrations.process import Command, background
            here = Path(sys.argv[1])
            with background(Command(("sh", "-c", sys.argv[2]), here), here / "log"):
                while not (here / "grandchild").is_file() or not (here / "grandchild").read_text():
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGKILL)
        """
        parent = Command(
            python(script, str(tmp_path), FAMILY), ROOT, ok_codes=frozenset({-9}), timeout=60
        )

        run(parent)

        assert eventually(lambda: not is_alive(number_in(tmp_path / "grandchild")))


@pytest.mark.parametrize("door", ["run", "run_on_a_loop", "consumed", "run_in_foreground"])
def test_killed_parent_takes_commands_along(tmp_path: Path, door: str) -> None:
    """Killed outright in the middle of a command, we take along what it has started."""
    script = """\
        import sys
        from pathlib import Path
        from releasekit.integrations.process import Command, run, run_in_foreground
        from tests.integrations import test_process as doors

        run(Command(("true",)))  # what has ended is left alone
        command = Command(("sh", "-c", doors.FAMILY), Path(sys.argv[2]))
        if sys.argv[1] == "run_in_foreground":
            run_in_foreground(command.argv, command.cwd)
        getattr(doors, sys.argv[1])(command)
        """
    child = subprocess.Popen(python(script, door, str(tmp_path)), cwd=ROOT)
    grandchild = tmp_path / "grandchild"
    assert eventually(lambda: grandchild.is_file() and grandchild.read_text().endswith("\n"))
    time.sleep(0.5)  # it may take a moment until the watchdog has heard of it

    child.kill()
    child.wait()

    assert eventually(lambda: not is_alive(int(grandchild.read_text())))
