"""The only module that starts child processes: logged, with a time limit, and killed with all their children."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import select
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote

from releasekit import __version__
from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.history.commits import CONTROLS
from releasekit.core.secret_forms import secret_forms
from releasekit.integrations.signals import delay_interrupt, immediate_interrupt
from releasekit.integrations.tool_environment import looks_secret
from releasekit.integrations.waits import WAITS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from pathlib import Path

log = logging.getLogger("releasekit.process")
# Lines that Prefect shows in the run of a step, and a terminal only with -v: see releasekit/logging.py.
detail = logging.getLogger("releasekit.detail")

LAST_LINES = 50
_TITLE_WORDS = 2
_OPTIONS_WITH_VALUE = frozenset(
    (
        "-C",
        "-c",
        "--find-links",
        "--index",
        "--out-dir",
        "--package",
        "--python",
        "--target",
        "--upgrade-package",
    )
)
"""Options of git and uv whose value does not say what is done."""
_USER_INFO = re.compile(r"(?<=://)[^/\s]+(?=@)")
_PASSWORD = re.compile(r"://[^/\s:@]*:([^/\s]+)@")


@dataclass(frozen=True, slots=True, repr=False)
class Command:
    """One call of an outside tool, as a value: you can show, log or run it.

    *env* is added to this process's environment (None removes a variable). *timeout* is in seconds. *ok_codes* are the
    exit codes that count as success. The output of a command with *log_output* is part of the step's log.
    """

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    timeout: float = 600
    ok_codes: frozenset[int] = frozenset({0})
    stdin: bytes = b""
    log_output: bool = False

    def __str__(self) -> str:
        return mask(shlex.join(self.argv), self.env)

    @property
    def title(self) -> str:
        """The program and its first words, without options, such as "git ls-remote origin"."""
        program, *arguments = self.argv
        words = [
            word
            for before, word in pairwise(("", *arguments))
            if not word.startswith("-") and before not in _OPTIONS_WITH_VALUE
        ]
        return mask(" ".join([os.path.basename(program), *words[:_TITLE_WORDS]]), self.env)  # noqa: PTH119

    def __repr__(self) -> str:
        return f"Command({self})"  # a log handler or a traceback may show it

    def environment(self) -> dict[str, str]:
        """Return the whole environment that the command runs in."""
        merged: dict[str, str | None] = {**os.environ, **self.env}
        return {name: value for name, value in merged.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a command: exit code, output as text (undecodable bytes replaced), duration in seconds."""

    code: int
    stdout: str
    stderr: str
    seconds: float


def run(command: Command) -> Result:
    """Run *command* to its end.

    Raises ReleaseError RK-COMMAND-FAILED if the command cannot start or its exit code is not in *ok_codes*,
    RK-COMMAND-TIMEOUT if it takes too long.
    """
    started = time.monotonic()
    with _child(command) as child:
        try:
            out, err = child.communicate(command.stdin, timeout=command.timeout)
        except subprocess.TimeoutExpired:
            _kill_group(child.pid)
            out, err = child.communicate()
            raise _timeout_error(command, out, err) from None
    return _collect_result(command, child.returncode, out, err, started)


async def run_async(command: Command) -> Result:
    """Run *command* as `run` does, without blocking the event loop; cancelling kills it and its children."""
    import asyncio  # late: most commands run without it

    started = time.monotonic()
    _watchdog()
    start = asyncio.ensure_future(_start_async(command))
    try:
        child = await asyncio.shield(start)
    except asyncio.CancelledError:
        with contextlib.suppress(ReleaseError):
            _kill_group((await start).pid)
        raise
    with WAITS.wait_for(command.title), _watch_group(child.pid):
        communication = asyncio.ensure_future(child.communicate(command.stdin))
        try:
            out, err = await asyncio.wait_for(asyncio.shield(communication), command.timeout)
        except TimeoutError:
            _kill_group(child.pid)
            raise _timeout_error(command, *await communication) from None
        except BaseException:
            _kill_group(child.pid)
            with contextlib.suppress(Exception):
                await communication
            raise
    return _collect_result(command, child.returncode or 0, out, err, started)


def stream(command: Command, separator: bytes = b"\0") -> Iterator[bytes]:
    """Yield the output of *command*, split at *separator* (one byte), and never keep it all; raises like `run`."""
    started = time.monotonic()
    timed_out = threading.Event()
    # Files, not pipes: the command must not wait until we write its input or read its error output.
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
        stdin.write(command.stdin)
        stdin.seek(0)
        with _child(command, stdin, stderr) as child:
            clock = threading.Timer(
                command.timeout, lambda: (timed_out.set(), _kill_group(child.pid))
            )
            clock.start()
            try:
                assert child.stdout, "opened as a pipe"  # noqa: S101
                yield from _pieces(child.stdout, separator)
                child.wait()
            finally:
                clock.cancel()
        stderr.seek(0)
        err = stderr.read()
    if timed_out.is_set():
        raise _timeout_error(command, b"", err)
    _collect_result(command, child.returncode, b"", err, started)


def run_in_foreground(argv: Sequence[str], cwd: Path) -> int:
    """Run the user's own command *argv* on our terminal; returns its exit code, 128 + n if signal n ended it.

    If we are interrupted, the command is terminated, and we wait until it ends. If we are killed, it is killed with all
    that it has started: it stays in our group, because a terminal sends a Ctrl-C to that. Raises ReleaseError
    RK-COMMAND-FAILED if it cannot start.
    """
    with contextlib.ExitStack() as guards:
        with delay_interrupt():
            _watchdog()
            try:
                child = guards.enter_context(subprocess.Popen(argv, cwd=cwd))
            except OSError as error:
                raise _start_error(Command(tuple(argv), cwd), error) from None
            guards.enter_context(_watch(str(child.pid)))
            # It has ended if nothing was raised. On a terminal it has received the Ctrl-C too.
            guards.callback(child.terminate)
        code = child.wait()
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def background(command: Command, output: Path) -> Generator[Callable[[], bool]]:
    """Run a server inside the block, with its output in the file *output*; yields a function that tests if it runs.

    The server ends with the block, and also if this process is killed. Raises as `run` does if it cannot start.
    """
    read_end, write_end = os.pipe()  # the last process of the group closes it
    with contextlib.ExitStack() as guards:
        with delay_interrupt():
            _watchdog()
            with output.open("ab") as sink:
                child = _start(command, subprocess.DEVNULL, sink, sink, (write_end,))
            os.close(write_end)
            guards.enter_context(_watch_group(child.pid))
            guards.callback(_wait_for_group_end, child.pid, read_end)
            guards.callback(child.wait)
            guards.callback(_kill_group, child.pid)
        log.debug("started %s", command)
        yield lambda: child.poll() is None


def start_detached(command: Command, output: Path) -> int:
    """Start a server that stays when this process ends, with its output in the file *output*; return its process id.

    It has a session of its own, so a Ctrl-C or a closed terminal does not reach it. Raises as `run` does if it cannot
    start.
    """
    with output.open("wb") as sink:
        child = _start(command, subprocess.DEVNULL, sink, sink)
    log.debug("started %s", command)
    _detached.append(child)
    return child.pid


_detached: list[
    subprocess.Popen[bytes]
] = []  # Python warns of a running child that nobody refers to


def mask(text: str, env: Mapping[str, str | None] | None = None) -> str:
    """Return *text* without credentials: user info in addresses, and values of variables with names like secrets.

    Variables come from this process's environment and from *env*. Passwords in the addresses that they hold, and values
    given to `register_secret`, are masked too. Each is masked in all forms that `secret_forms` knows.
    """
    text = _USER_INFO.sub("***", text)
    secrets = set(_secrets)
    for name, value in (*os.environ.items(), *(env or {}).items()):
        if value and looks_secret(name):
            secrets.add(value)
        elif value and "://" in value:
            secrets.update(_passwords_in(value))
    for form in _all_forms(frozenset(secrets)):
        text = text.replace(form, "***")
    return text


@lru_cache(maxsize=16)
def _all_forms(secrets: frozenset[str]) -> tuple[str, ...]:
    forms = {form for secret in secrets for form in secret_forms(secret)}
    return tuple(sorted(forms, key=len, reverse=True))  # longest first: one may be part of another


def register_secret(value: str) -> None:
    """Mask *value* in all output from now on."""
    _secrets.add(value)


def register_address(address: str) -> str:
    """Mask the passwords in *address*, also where they appear without it, and return *address*."""
    _secrets.update(_passwords_in(address))
    return address


def _passwords_in(text: str) -> set[str]:
    passwords = _PASSWORD.findall(text)
    return {form for password in passwords for form in (password, unquote(password))}


_secrets: set[str] = set()


def last_lines(text: str, env: Mapping[str, str | None] | None = None) -> str:
    """Return the last lines of a command's output, masked as `mask` does, without control characters."""
    plain = CONTROLS.sub("", _SEQUENCE.sub("", text))
    return "\n".join(mask(plain, env).strip().splitlines()[-LAST_LINES:])


# Colours and cursor movements (CSI), titles and links (OSC), and the rest: ECMA-48, 5.4 and 5.6.
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")


def _start(
    command: Command,
    stdin: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
    stdout: int | IO[bytes] = subprocess.PIPE,
    pass_fds: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=command.environment(),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            start_new_session=True,  # its own process group, so that all its children can be killed with it
        )
    except OSError as error:
        raise _start_error(command, error) from None


@contextlib.contextmanager
def _child(
    command: Command,
    stdin: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> Generator[subprocess.Popen[bytes]]:
    """Run *command* beside the block, and wait for it; if the block raises, kill the command and its children.

    A Ctrl-C between the start and the guards would leave the command running, so it is held back until they stand.
    """
    with immediate_interrupt(), contextlib.ExitStack() as guards:
        guards.enter_context(WAITS.wait_for(command.title))
        with delay_interrupt():
            _watchdog()
            child = guards.enter_context(_start(command, stdin, stderr))
            guards.enter_context(_watch_group(child.pid))
            guards.enter_context(_kill_group_on_error(child.pid))
            guards.enter_context(_COMMANDS.get().register(child.pid))
        yield child


class ThreadCommands:
    """The commands that threads run inside the block of `kill_with_block`."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._lock = threading.Lock()
        self._is_killed = False

    @contextlib.contextmanager
    def register(self, group: int) -> Generator[None]:
        """Count the process group *group* inside the block; raises KeyboardInterrupt if it was killed."""
        with self._lock:
            self._groups.add(group)
            is_late = self._is_killed
        try:
            if is_late:
                raise KeyboardInterrupt
            yield
        finally:
            with self._lock:
                self._groups.discard(group)
        if self._is_killed:
            raise KeyboardInterrupt

    def kill(self) -> None:
        """Kill all commands, and those that start later."""
        with self._lock:
            self._is_killed = True
            groups = list(self._groups)
        for group in groups:
            _kill_group(group)


_COMMANDS: ContextVar[ThreadCommands] = ContextVar("commands", default=ThreadCommands())  # noqa: B039  never killed


@contextlib.contextmanager
def kill_with_block() -> Generator[None]:
    """Kill the commands that threads run for this block when an exception, such as a Ctrl-C, ends it.

    A Ctrl-C reaches only the main thread, and would wait for the threads. They belong to the block if they start in a
    copy of its context.
    """
    commands = ThreadCommands()
    token = _COMMANDS.set(commands)
    try:
        yield
    except BaseException:
        commands.kill()
        raise
    finally:
        _COMMANDS.reset(token)


async def _start_async(command: Command) -> asyncio.subprocess.Process:
    import asyncio  # late: most commands run without it

    try:
        return await asyncio.create_subprocess_exec(
            *command.argv,
            cwd=command.cwd,
            env=command.environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise _start_error(command, error) from None


# Reads "+ TARGET" and "- TARGET" until this process ends, then kills the targets that are left. A target is "-GROUP",
# or the number of a process, which is killed with all its descendants. A stopped process starts no more of them.
_WATCHDOG = """
kill_tree() {
    kill -STOP "$1"
    for child in $(cat "/proc/$1/task/"*/children || ps -A -o ppid= -o pid= | sed -n "s/^ *$1 //p"); do
        kill_tree "$child"
    done
    kill -9 "$1"
}
left=" "
while read -r what target; do
    case $what in
        +) left="$left$target " ;;
        -) left="${left%% $target *} ${left#* $target }" ;;
    esac
done
for target in $left; do
    case $target in
        -*) kill -9 "$target" ;;
        *) kill_tree "$target" ;;
    esac
done
"""
_watchdogs: list[subprocess.Popen[bytes]] = []  # empty, or the one that runs
_watchdog_start = threading.Lock()
os.register_at_fork(after_in_child=_watchdogs.clear)


def _watchdog() -> subprocess.Popen[bytes]:
    """Return the process that kills what this one leaves behind; start it if it does not run yet."""
    with _watchdog_start:
        if not _watchdogs:
            command = Command(("sh", "-c", _WATCHDOG))
            _watchdogs.append(_start(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
        return _watchdogs[0]


def _watch_group(group: int) -> contextlib.AbstractContextManager[None]:
    """Make sure that no process of *group* outlives this process, not even if this one is killed.

    Processes of a killed release must not run beside the next one. A parent-death signal is not enough: it reaches only
    the child and not its children, and exists only on Linux.
    """
    return _watch(f"-{group}")


@contextlib.contextmanager
def _watch(target: str) -> Generator[None]:
    """Inside the block, let the watchdog kill *target* if this process is killed; see `_WATCHDOG`."""
    watchdog_stdin = _watchdog().stdin
    assert watchdog_stdin, "opened as a pipe"  # noqa: S101
    with contextlib.suppress(BrokenPipeError):
        os.write(watchdog_stdin.fileno(), f"+ {target}\n".encode())
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            os.write(watchdog_stdin.fileno(), f"- {target}\n".encode())


def _pieces(output: IO[bytes], separator: bytes) -> Iterator[bytes]:
    """Yield the pieces; one that comes in many chunks is joined once."""
    parts: list[bytes] = []
    while chunk := os.read(output.fileno(), 1 << 18):
        first, *pieces = chunk.split(separator)
        parts.append(first)
        for piece in pieces:
            yield b"".join(parts)
            parts = [piece]
    if rest := b"".join(parts):
        yield rest


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


@contextlib.contextmanager
def _kill_group_on_error(pid: int) -> Generator[None]:
    try:
        yield
    except BaseException:
        _kill_group(pid)
        raise


def _wait_for_group_end(pid: int, read_end: int) -> None:
    """Return once the killed group is gone: until then its processes use their ports and files.

    A dying process closes the pipe *read_end* among its first files, so this also waits for the group, but not long:
    in a container without an init no process reaps orphans, and dead processes stay in the group.
    """
    select.select([read_end], [], [], 5)
    os.close(read_end)
    deadline = time.monotonic() + 0.05
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.killpg(pid, 0)
            time.sleep(0.001)


def _start_error(command: Command, error: OSError) -> ReleaseError:
    return ReleaseError(
        ErrorCode.COMMAND_FAILED, f"{error.strerror}: {command}", str(command.cwd or "")
    )


def _timeout_error(command: Command, out: bytes, err: bytes) -> ReleaseError:
    log.warning("killed after %gs: %s", command.timeout, command)
    return ReleaseError(
        ErrorCode.COMMAND_TIMEOUT,
        f"killed after {command.timeout:g} s: {command}",
        output=last_lines(f"{_text(out).rstrip()}\n{_text(err)}", command.env),
    )


def _collect_result(command: Command, code: int, out: bytes, err: bytes, started: float) -> Result:
    seconds = time.monotonic() - started
    if log.isEnabledFor(logging.DEBUG):
        # In one call, because masking is slow.
        argv = mask("\n\0".join(command.argv), command.env).split("\n\0")
        extra = {"argv": argv, "exit_code": code, "seconds": round(seconds, 3)}
        log.debug("ran %s: exit %d in %.2fs", command, code, seconds, extra=extra)
    result = Result(code, _text(out), _text(err), seconds)
    if command.log_output and detail.isEnabledFor(logging.INFO):
        _log_output(command, result)
    if code in _USAGE_CODES and _USAGE.search(result.stderr):
        raise _usage_error(command, result)
    if code not in command.ok_codes:
        raise ReleaseError(
            ErrorCode.COMMAND_FAILED,
            f"{_end_of(code)} {command}",
            location=str(command.cwd or ""),
            output=last_lines(f"{result.stdout.rstrip()}\n{result.stderr}", command.env),
        )
    return result


def _end_of(code: int) -> str:
    """Return how a command ended, to be followed by the command."""
    if code >= 0:
        return f"exit code {code} from:"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal
        name = f"signal {-code}"
    return f"{name} ended:"


_USAGE_CODES = (2, 129)
_USAGE = re.compile(r"^(?:Usage: uv|usage: git) ", re.MULTILINE)


def _usage_error(command: Command, result: Result) -> ReleaseError:
    """Return the error for a *command* that uv or git does not understand: our mistake, or a version that does not fit.

    Without it, a step would take the exit code for an answer, such as the refusal of an index.
    """
    answer = run(Command((command.argv[0], "--version"), env=command.env)).stdout
    version = answer.partition("(")[0].strip()
    reason = next(filter(None, result.stderr.splitlines()), "").removeprefix("error: ")
    message = f"{mask(version)} does not take a command of releasekit {__version__}: {mask(reason, command.env)}"
    return ReleaseError(
        ErrorCode.TOOL_USAGE, message, str(command), output=last_lines(result.stderr, command.env)
    )


def _log_output(command: Command, result: Result) -> None:
    output = "\n".join(
        line
        for line in f"{result.stdout.rstrip()}\n{result.stderr}".splitlines()
        if not _TRACE.match(line)
    )
    text = f"$ {command}\n{last_lines(output, command.env)}".rstrip()
    detail.info("%s\nexit code %d after %.2f s", text, result.code, result.seconds)


_TRACE = re.compile(r" *(?:TRACE|DEBUG) ")


def _text(raw: bytes) -> str:
    """Return what a tool has said. From now on we mask what it asks GitHub Actions to mask.

    uv prints such a line for the token that it gets by trusted publishing.
    """
    text = raw.decode("utf-8", "replace")
    for secret in _MASK_REQUEST.findall(text):
        register_secret(secret)
    return text


_MASK_REQUEST = re.compile(r"^::add-mask::(\S+)", re.MULTILINE)
