"""Prefect's server for those who run none: for the time of one release, or kept for the day; and all our settings."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import sys
import time
import tomllib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.integrations.process import Command, background, last_lines, mask, run

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

log = logging.getLogger("releasekit.server")

# Every Prefect setting that we change, and why; prefect.yaml and deployments/compose.yaml repeat what workers and a
# team's server need. Those of a client must stand in the environment before Prefect is imported; there, what the user
# has set stays.
SERVER_SETTINGS = {  # of every server: also of a team's, see deployments/compose.yaml
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # a release tool does not phone home
    # One by one, as it comes, a server is a minute behind after 500 packages, and drops what is beyond 10,000 events.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",  # seconds; five by default, at the end of a run
}
RELEASE_SERVER_SETTINGS = {  # of one that lives as long as a release
    **SERVER_SETTINGS,
    "PREFECT_SERVER_UI_ENABLED": "false",  # nobody opens a page that ends with the release; saves start-up time
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",  # seconds; five by default, and then it is gone
}
CLIENT_SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",  # the client's half of it; with a notice on the terminal otherwise
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # its lines and tracebacks would bury ours
    "PREFECT_LOGGING_EXTRA_LOGGERS": "releasekit",  # ours show up in the run
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # and those before and after it are nobody's
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",  # a step says itself what it keeps
    "PREFECT_CLIENT_METRICS_ENABLED": "false",
}
OWN_SERVER_SETTINGS = {  # of a client of a server on this machine
    **CLIENT_SETTINGS,
    # It is asked by plain HTTP on this machine; without this every client, one a step, reads all certificates first.
    "PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "true",
}
NO_SERVER_SETTINGS = {  # of a client without any
    **OWN_SERVER_SETTINGS,
    # Prefect wants an address, or starts a server. Each task asks there where results are kept: at an address that
    # is none it hears at once that nobody knows, at one where nobody listens only after three seconds.
    "PREFECT_API_URL": "none://nowhere",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
}
TERMINAL_STATES = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
"""The types of state in which a run has ended."""
START_TIMEOUT = 300.0
"""Seconds. The very first start takes 16 CPU-seconds, 26 s beside two other busy programs; one that died is noticed."""
_STARTS = 4
"""How often a server of our own is started in the course of one release; what dies more often has a reason."""
_PID_FILE = "server.pid"  # as `prefect server start --background` calls it


@dataclass(frozen=True, slots=True)
class Server:
    """A Prefect server on this machine, here since a while or being started; `wait` returns once it answers.

    `wait` raises ReleaseError RK-SERVER-START if it does not come to that.
    """

    url: str
    wait: Callable[[], None]

    @property
    def ui_url(self) -> str:
        """Where a person looks at it."""
        return self.url.removesuffix("/api")

    def count_ended_task_runs(self, flow_run: str) -> int:
        """Return how many task runs of a flow run are in the database as ended.

        Raises OSError if the server does not answer, ValueError if it answers something else.
        """
        query = {"flow_runs": {"id": {"any_": [flow_run]}}, "task_runs": {"state": {"type": {"any_": TERMINAL_STATES}}}}
        return int(_request(self.url, "POST", "/task_runs/count", json.dumps(query)))


def configured_api() -> str:
    """Return the Prefect API that the environment or the active profile names, or nothing.

    Read without importing Prefect; see its documentation on profiles for where they stand.
    """
    if url := os.environ.get("PREFECT_API_URL"):
        return url
    path = Path(os.environ.get("PREFECT_PROFILES_PATH", _prefect_home() / "profiles.toml"))
    try:
        profiles = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        return ""
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active", "")
    return str(profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL", ""))


def is_listening(url: str) -> bool:
    """Tell whether anybody listens at the address *url*."""
    parts = urlsplit(url)
    try:
        socket.create_connection(
            (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)), 5
        ).close()
    except OSError:
        return False
    return True


def wrap_unexpected(error: object, location: str = "") -> ReleaseError:
    """Return what *error*, which is none of ours, is told as: Prefect's API is gone, or RK-UNEXPECTED.

    Each request of our own has an error of its own, so what httpx itself raises is of one that Prefect has made.
    """
    from httpx import TransportError  # late: most commands ask nobody

    if isinstance(error, TransportError):
        return ReleaseError(ErrorCode.SERVER_UNREACHABLE, f"the Prefect API is gone: {error}", mask(configured_api()))
    return ReleaseError(ErrorCode.UNEXPECTED, f"{type(error).__name__}: {error}", location)


def apply_settings(settings: dict[str, str]) -> None:
    """Set each of *settings* that the user has not set."""
    for name, value in settings.items():
        os.environ.setdefault(name, value)


@contextmanager
def prefect_server() -> Generator[Server]:
    """Run a Prefect server of our own inside the block; starting it costs nothing until `wait` is called.

    Its database stands in PREFECT_HOME if that is set, else in a place of ours. Once it has answered it is started
    again if it dies: whoever asks it in between asks again for a minute, and loses nothing.
    """
    home = _server_home()
    home.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    url = f"http://127.0.0.1:{port}/api"
    listen_options = ("--host", "127.0.0.1", "--port", str(port))
    argv = (sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", *listen_options)
    env = {"PREFECT_HOME": str(home), "PREFECT_API_URL": url, **RELEASE_SERVER_SETTINGS}
    output = home / f"server-{port}.log"
    command, stopping = Command((*argv, "--log-level", "warning"), home, env), Event()
    with ExitStack() as stack:
        alive_checks = [stack.enter_context(background(command, output))]

        def restart_if_dead() -> None:
            while not stopping.wait(1):
                if not alive_checks[-1]() and len(alive_checks) < _STARTS:
                    log.warning("Prefect's server has died, and is started again")
                    alive_checks.append(stack.enter_context(background(command, output)))

        watcher = Thread(target=restart_if_dead, name="tend-server")

        def wait() -> None:
            _wait_until_healthy(url, alive_checks[-1], output)
            if watcher.ident is None:
                watcher.start()

        try:
            yield Server(url, wait)
        finally:
            stopping.set()
            if watcher.ident is not None:
                watcher.join()
    output.unlink(missing_ok=True)


def running_server() -> Server | None:
    """Return the server that is kept running on this machine by `start_server` or by Prefect's own command, if any."""
    running = _find_background_server()
    return running.server() if running else None


def start_server(port: int) -> Server:
    """Start a server that stays when we go, unless there is one; `wait` for it as for any other.

    Raises ReleaseError RK-SERVER-START if Prefect refuses.
    """
    from filelock import FileLock

    home = _server_home()
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "server.lock"):
        if running := _find_background_server():
            return running.server()
        (home / _PID_FILE).unlink(missing_ok=True)  # of one that was killed; Prefect would refuse to start another
        url = f"http://127.0.0.1:{port}/api"
        listen_options = ("--host", "127.0.0.1", "--port", str(port))
        env: dict[str, str | None] = {
            **SERVER_SETTINGS,
            "PREFECT_SERVER_UI_API_URL": url,  # its page asks port 4200 otherwise, whichever it comes from
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": None,
            "UVICORN_LOG_LEVEL": "warning",  # its lines go to a pipe that nobody reads
        }
        try:
            run(
                Command(
                    (sys.executable, "-m", "prefect", "server", "start", "--background", *listen_options), home, env
                )
            )
        except ReleaseError as error:
            raise ReleaseError(ErrorCode.SERVER_START, "no server was started", url, output=error.output) from None
        started = _BackgroundServer(home, int((home / _PID_FILE).read_text()), url).server()
    return replace(started, wait=lambda: _wait_or_stop(started))


def _wait_or_stop(started: Server) -> None:
    try:
        started.wait()
    except BaseException:  # also a Ctrl-C: what does not come up does not stay
        stop_server()
        raise


def stop_server() -> Server | None:
    """Stop the server that is kept running, and return it, if there is one."""
    running = _find_background_server()
    if not running:
        return None
    os.kill(
        running.pid, signal.SIGTERM
    )  # as `prefect server stop` does, which does not look at who has this number now
    (running.home / _PID_FILE).unlink(missing_ok=True)
    while running.is_alive():  # it brings its requests to an end first
        time.sleep(0.1)
    return running.server()


@dataclass(frozen=True, slots=True)
class _BackgroundServer:
    """A server in the background, whose database stands in *home*."""

    home: Path
    pid: int
    url: str

    def is_alive(self) -> bool:
        return _listening_port(self.pid) != ""

    def server(self) -> Server:
        return Server(self.url, lambda: _wait_until_healthy(self.url, self.is_alive, self.home))


def _find_background_server() -> _BackgroundServer | None:
    for home in dict.fromkeys((_server_home(), _prefect_home())):
        try:
            pid = int((home / _PID_FILE).read_text())
        except (OSError, ValueError):  # none, or one that is being started this very moment
            continue
        if port := _listening_port(pid):
            return _BackgroundServer(home, pid, f"http://127.0.0.1:{port}/api")
    return None


def _listening_port(pid: int) -> str:
    """Return where the process *pid* listens if it is a Prefect server; it may be anything, long after that one."""
    argv = run(Command(("ps", "-ww", "-o", "args=", "-p", str(pid)), ok_codes=frozenset({0, 1}))).stdout
    match = re.search(r"prefect\.server\.api\.server:create_app.* --port (\d+)", argv)
    return match[1] if match else ""


def _wait_until_healthy(url: str, is_alive: Callable[[], bool], output: Path) -> None:
    from http.client import HTTPException  # late: most commands ask no server

    started_at = time.monotonic()
    has_logged = False
    while (waited := time.monotonic() - started_at) < START_TIMEOUT and is_alive():
        try:
            if _request(url, "GET", "/health") == b"true":
                return
        except (OSError, HTTPException):
            pass  # not yet
        if waited > _SLOW_START and not has_logged:
            log.info("waiting for Prefect's server; its very first start takes longest")
            has_logged = True
        time.sleep(0.1)
    last_output = last_lines(output.read_text("utf-8", "replace")) if output.is_file() else ""
    raise ReleaseError(ErrorCode.SERVER_START, "Prefect's server did not start", str(output), output=last_output)


_SLOW_START = 10.0  # seconds


def _request(url: str, method: str, path: str, body: str = "") -> bytes:
    """Ask the server at *url*."""
    from http.client import HTTPConnection

    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request(method, f"{parts.path}{path}", body, {"Content-Type": "application/json"} if body else {})
        return connection.getresponse().read()
    finally:
        connection.close()


def _server_home() -> Path:
    return Path(os.environ.get("PREFECT_HOME") or data_home() / "releasekit" / "prefect")


def _prefect_home() -> Path:
    return Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()


def data_home() -> Path:
    """Return where programs keep their data on this machine (XDG)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
