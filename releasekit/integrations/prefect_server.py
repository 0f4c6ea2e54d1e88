"""A local Prefect server, for one release or in the background, and all Prefect settings that releasekit changes."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import sys
import tempfile
import time
import tomllib
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

from releasekit.core.addresses import split_address
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.integrations.process import (
    Command,
    background,
    last_lines,
    mask,
    run,
    start_detached,
)
from releasekit.integrations.proxies import adapt_to_httpx
from releasekit.integrations.tool_environment import server_variables
from releasekit.integrations.waits import WAITS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

log = logging.getLogger("releasekit.server")

# Every Prefect setting that we change, and why. prefect.yaml and deployments/compose.yaml repeat what workers and a
# team's server need. The settings of a client must be in the environment before Prefect is imported. Values that the
# user has set there stay.
SERVER_SETTINGS = {  # of every server, also a team's: see deployments/compose.yaml
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # a release tool does not phone home
    # By default a server records one by one. It is a minute late after 500 packages, and drops events beyond 10,000.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",  # seconds; by default five, at the end of a run
}
RELEASE_SERVER_SETTINGS = {  # of a server that runs only during a release
    **SERVER_SETTINGS,
    "PREFECT_SERVER_UI_ENABLED": "false",  # saves start-up time; the page would end with the release
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",  # seconds; by default five, which is too late
}
CLIENT_SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",  # the same for the client, which otherwise prints a notice on the terminal
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # its lines and tracebacks would hide ours
    "PREFECT_LOGGING_EXTRA_LOGGERS": "releasekit",  # our log lines appear in the run
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # and lines before and after the run belong to none
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",  # each step declares what it persists
    "PREFECT_CLIENT_METRICS_ENABLED": "false",
}
# Of the processes of Dask and Ray that a client without a server starts. They get an address where no server listens:
# see NO_SERVER_SETTINGS. Each event of a step would print an error.
_WORKER_SETTINGS = {"PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL"}
# Of a client without a server, beside those of `client_settings`.
NO_SERVER_SETTINGS: Mapping[str, object] = {
    # Without an address Prefect starts a server. Each task asks that address where results are stored. An invalid
    # address fails at once; an address where no server listens fails only after three seconds.
    "PREFECT_API_URL": "none://nowhere",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": False,
    "PREFECT_LOGGING_TO_API_ENABLED": False,
}
TERMINAL_STATES = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
"""The types of state in which a run has ended."""
START_TIMEOUT = 300.0
"""Seconds. The first start needs 16 CPU-seconds, 26 s beside two busy programs. A dead server is detected earlier."""
_STARTS = 4
"""How often a server is started during one release; if it dies more often, a restart does not help."""
_PID_FILE = "server.pid"  # as `prefect server start --background` calls it
_LOG_FILE = "server.log"  # of the background server; each start begins it again
_HANG_TIMEOUT = 2.0
"""Seconds. A background server that listens and does not answer for so long hangs."""
_STOP_TIMEOUT = 10.0
"""Seconds that a background server may take to end by itself."""


@dataclass(frozen=True, slots=True)
class Server:
    """A Prefect server on this machine that runs or is starting; `wait` returns once it responds.

    `wait` raises ReleaseError RK-SERVER-START if the server does not start.
    """

    url: str
    wait: Callable[[], None]

    @property
    def ui_url(self) -> str:
        """The address of its web UI."""
        return self.url.removesuffix("/api")

    def count_ended_task_runs(self, flow_run: str) -> int:
        """Return how many task runs of the flow run with the id *flow_run* have ended, as of the server's database.

        Raises OSError if the server does not respond, ValueError if its response is not a number.
        """
        query = {
            "flow_runs": {"id": {"any_": [flow_run]}},
            "task_runs": {"state": {"type": {"any_": TERMINAL_STATES}}},
        }
        return int(_request(self.url, "POST", "/task_runs/count", json.dumps(query)))


def configured_api() -> str:
    """Return the URL of the Prefect API from the environment or the active profile, empty if there is none."""
    return _read_setting("PREFECT_API_URL")


def result_directory(release: str) -> Path:
    """Return the directory where Prefect stores the results of the steps of *release* on this machine."""
    storage = _read_setting("PREFECT_LOCAL_STORAGE_PATH")
    return (Path(storage).expanduser() if storage else _prefect_home() / "storage") / release


def _read_setting(name: str) -> str:
    """Return Prefect's setting *name* from the environment or the active profile, empty if there is none.

    This does not import Prefect; its documentation on profiles says where they are.
    """
    if value := os.environ.get(name):
        return value
    path = Path(os.environ.get("PREFECT_PROFILES_PATH", _prefect_home() / "profiles.toml"))
    try:
        profiles = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        return ""
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active", "")
    return str(profiles.get("profiles", {}).get(active, {}).get(name, ""))


def is_listening(url: str) -> bool:
    """Return whether a server listens at the address *url*."""
    parts = split_address(url)
    try:
        socket.create_connection(
            (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)), 5
        ).close()
    except OSError:
        return False
    return True


def wrap_unexpected(error: object, location: str = "") -> ReleaseError:
    """Return *error*, which is not a ReleaseError, as RK-SERVER-UNREACHABLE or RK-UNEXPECTED, with *location*.

    Our own requests never raise errors of httpx, so such an error comes from a request of Prefect.
    """
    from httpx import TransportError  # late: most commands send no request

    if isinstance(error, TransportError):
        message = f"the Prefect API no longer responds: {error}"
        return ReleaseError(ErrorCode.SERVER_UNREACHABLE, message, mask(configured_api()))
    return ReleaseError(ErrorCode.UNEXPECTED, f"{type(error).__name__}: {error}", location)


def configure_client(url: str) -> None:
    """Set up Prefect's client in this process for the API at *url*, empty for none. Call it before Prefect is imported.

    Settings of the user win.
    """
    for name, value in client_settings(url).items():
        os.environ.setdefault(name, value)
    adapt_to_httpx()


def import_in_thread(module: str) -> Thread:
    """Import *module*, which imports Prefect, in a thread, and return the thread. Prefect takes more than a second.

    Its settings must be in the environment, except for the address of the API: see `flows.event_flush.use_api`.
    """

    def import_quietly() -> None:
        # It fails if this process ends meanwhile, after a "no" for example. Who needs the module sees other errors.
        with suppress(Exception):
            import_module(module)

    thread = Thread(target=import_quietly, name="import-prefect")
    thread.start()
    return thread


def client_settings(url: str) -> dict[str, str]:
    """Return the settings of a client of the Prefect API at *url*, empty for none; they may name a file, written here.

    Prefect makes one to three clients for each step. Each reads all certificates again, 24 to 40 CPU-milliseconds, even
    if its address needs none. A file with one certificate takes half a millisecond.
    """
    if url.startswith("https:"):
        return CLIENT_SETTINGS
    settings = CLIENT_SETTINGS if url else CLIENT_SETTINGS | _WORKER_SETTINGS
    try:
        return {**settings, "PREFECT_API_SSL_CERT_FILE": str(_one_certificate())}
    except OSError as error:  # for example a home directory that is read-only
        log.debug("each client of Prefect reads all certificates: %s", error)
        return settings


def _one_certificate() -> Path:
    import certifi

    path = _server_home() / "one-certificate.pem"
    if not path.is_file():
        end = "-----END CERTIFICATE-----\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, delete=False
        ) as file:  # others may write it now
            file.write(Path(certifi.where()).read_text("utf-8").partition(end)[0] + end)
        Path(file.name).replace(path)
    return path


@contextmanager
def prefect_server() -> Generator[Server]:
    """Run a Prefect server inside the block; it starts in the background until you call `wait`.

    Its database is in PREFECT_HOME if that is set, else in releasekit's data directory. After its first response it is
    restarted if it dies: clients retry for a minute, so nothing is lost.
    """
    home = _server_home()
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    env = {
        **server_variables(),
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": url,
        **RELEASE_SERVER_SETTINGS,
    }
    output = home / f"server-{port}.log"
    command, stopping = Command(_server_command(port), home, env), Event()
    is_first = _is_first_start(home)
    with ExitStack() as stack:
        alive_checks = [stack.enter_context(background(command, output))]

        def restart_if_dead() -> None:
            while not stopping.wait(1):
                if not alive_checks[-1]() and len(alive_checks) < _STARTS:
                    log.warning("the Prefect server stopped unexpectedly and is restarted")
                    alive_checks.append(stack.enter_context(background(command, output)))

        watcher = Thread(target=restart_if_dead, name="tend-server")

        def wait() -> None:
            with WAITS.wait_for("the Prefect server"):
                _wait_until_healthy(url, alive_checks[-1], output, is_first=is_first)
            if watcher.ident is None:
                watcher.start()

        try:
            yield Server(url, wait)
        finally:
            stopping.set()
            if watcher.ident is not None:
                watcher.join()
    output.unlink(missing_ok=True)


_UVICORN = (
    "import gc, runpy; gc.set_threshold(200_000, 50, 100); "
    "runpy.run_module('uvicorn', run_name='__main__', alter_sys=True)"
)
"""`python -m uvicorn` that looks for garbage less often: its start allocates a million objects that stay."""


def _server_command(port: int) -> tuple[str, ...]:
    app = ("--factory", "prefect.server.api.server:create_app")
    return (
        sys.executable,
        "-c",
        _UVICORN,
        *app,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--log-level",
        "warning",
    )


def running_server() -> Server | None:
    """Return the background server on this machine, started by `start_server` or by Prefect's own command, if any.

    Raises Refusal RK-SERVER-UNREACHABLE if it hangs.
    """
    running = _find_background_server()
    if not running:
        return None
    if running.hangs():
        raise Refusal(
            ErrorCode.SERVER_UNREACHABLE,
            f"the Prefect server in the background, process {running.pid}, does not answer",
            running.url,
            hint="Run `releasekit server stop`, then `releasekit server start`.",
        )
    return running.server()


def start_server(port: int) -> Server:
    """Start a background server on *port*, unless one runs already; call its `wait` before you use it.

    It is the server of `prefect server start --background`, and Prefect's own commands find it. But its output goes to
    a file: Prefect connects it to a pipe that nobody reads, and then the first warning ends the server.
    Raises ReleaseError RK-SERVER-START if another program uses the port, and Refusal as `running_server` does.
    """
    from filelock import FileLock

    home = _server_home()
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "server.lock"):
        if running := running_server():
            return running
        url = f"http://127.0.0.1:{port}/api"
        if is_listening(url):
            raise ReleaseError(ErrorCode.SERVER_START, f"another program uses port {port}", url)
        env: dict[str, str | None] = {
            **server_variables(),
            **SERVER_SETTINGS,
            "PREFECT_SERVER_UI_API_URL": url,  # otherwise its web UI always uses port 4200
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": None,
            "PREFECT__SERVER_FINAL": "1",  # as Prefect's own command has it
        }
        is_first = _is_first_start(home)
        pid = start_detached(Command(_server_command(port), home, env), home / _LOG_FILE)
        (home / _PID_FILE).write_text(str(pid))
        started = _BackgroundServer(home, pid, url, is_first).server()
    return replace(started, wait=lambda: _wait_or_stop(started))


def _wait_or_stop(started: Server) -> None:
    try:
        started.wait()
    except BaseException:  # also Ctrl-C: a server that did not start must not stay
        stop_server()
        raise


def stop_server() -> Server | None:
    """Stop the background server and return it, None if there is none."""
    running = _find_background_server()
    if not running:
        return None
    # Not `prefect server stop`: it does not check which process has this number now.
    os.kill(running.pid, signal.SIGTERM)
    (running.home / _PID_FILE).unlink(missing_ok=True)
    deadline = time.monotonic() + _STOP_TIMEOUT
    while running.is_alive():  # it completes its requests first
        if time.monotonic() > deadline:
            os.kill(running.pid, signal.SIGKILL)
        time.sleep(0.1)
    return running.server()


@dataclass(frozen=True, slots=True)
class _BackgroundServer:
    """A server in the background, whose database is in *home*; *is_first* says that it creates the database."""

    home: Path
    pid: int
    url: str
    is_first: bool = False

    def is_alive(self) -> bool:
        return _listening_port(self.pid) != ""

    def hangs(self) -> bool:
        """Return whether it listens and does not answer; a server that is starting does not listen yet."""
        from http.client import HTTPException  # late: most commands need no server

        try:
            _request(self.url, "GET", "/health", timeout=_HANG_TIMEOUT)
        except TimeoutError:
            return True
        except (OSError, HTTPException):
            return False
        return False

    def server(self) -> Server:
        output = self.home / _LOG_FILE
        return Server(
            self.url,
            lambda: _wait_until_healthy(self.url, self.is_alive, output, is_first=self.is_first),
        )


def _find_background_server() -> _BackgroundServer | None:
    for home in dict.fromkeys((_server_home(), _prefect_home())):
        try:
            pid = int((home / _PID_FILE).read_text())
        except (OSError, ValueError):  # no server, or one that is just starting
            continue
        if port := _listening_port(pid):
            return _BackgroundServer(home, pid, f"http://127.0.0.1:{port}/api")
    return None


def _listening_port(pid: int) -> str:
    """Return the port of the process *pid* if it is a Prefect server, else empty: another process may have the pid."""
    argv = run(
        Command(("ps", "-ww", "-o", "args=", "-p", str(pid)), ok_codes=frozenset({0, 1}))
    ).stdout
    match = re.search(r"prefect\.server\.api\.server:create_app.* --port (\d+)", argv)
    return match[1] if match else ""


def _is_first_start(home: Path) -> bool:
    """Return whether a server has still to create its database in *home*, which takes longest."""
    return not (home / "prefect.db").exists()


def _wait_until_healthy(
    url: str, is_alive: Callable[[], bool], output: Path, *, is_first: bool
) -> None:
    from http.client import HTTPException

    started_at = time.monotonic()
    has_logged = False
    while (waited := time.monotonic() - started_at) < START_TIMEOUT and is_alive():
        try:
            if _request(url, "GET", "/health") == b"true":
                return
        except (OSError, HTTPException):
            pass  # not yet
        if waited > _SLOW_START and not has_logged:
            reason = "; its first start takes longest" if is_first else ""
            log.info("waiting for the Prefect server%s", reason)
            has_logged = True
        time.sleep(0.1)
    last_output = last_lines(output.read_text("utf-8", "replace")) if output.is_file() else ""
    raise ReleaseError(
        ErrorCode.SERVER_START, "the Prefect server did not start", str(output), output=last_output
    )


_SLOW_START = 10.0  # seconds


def _request(url: str, method: str, path: str, body: str = "", timeout: float = 30) -> bytes:
    """Send a request to the server at *url* and return the body of the response; *timeout* is in seconds."""
    from http.client import HTTPConnection

    parts = split_address(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request(
            method,
            f"{parts.path}{path}",
            body,
            {"Content-Type": "application/json"} if body else {},
        )
        return connection.getresponse().read()
    finally:
        connection.close()


def _server_home() -> Path:
    return Path(os.environ.get("PREFECT_HOME") or data_home() / "releasekit" / "prefect")


def _prefect_home() -> Path:
    return Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()


def data_home() -> Path:
    """Return the directory for data of programs on this machine (XDG)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def free_port() -> int:
    """Return a port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
