"""Prefect's server for those who run none: started beside us, stopped with us, however we end."""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tasks.adapters.process import Command, background, last_lines
from tasks.core.errors import Code, ReleaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

log = logging.getLogger("releasekit.server")

# Every Prefect setting that we change, and why. They must stand in the environment before Prefect is imported.
SERVER_SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # a release tool does not phone home
    "PREFECT_SERVER_UI_ENABLED": "false",  # nobody opens a page that ends with the release; saves start-up time
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",  # one by one, task runs are lost at the end
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",  # seconds; so that a short run is recorded
}
CLIENT_SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",  # the client's half of it; with a notice on the terminal otherwise
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # the default of 20 s fails on a loaded machine
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # its lines and tracebacks would bury ours
    "PREFECT_LOGGING_EXTRA_LOGGERS": "releasekit",  # ours show up in the run
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # and those before and after it are nobody's
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",  # a step says itself what it keeps
    "PREFECT_CLIENT_METRICS_ENABLED": "false",
}
OWN_SERVER_SETTINGS = {
    **CLIENT_SETTINGS,
    # It is asked by plain HTTP on this machine; without this every client, one a step, reads all certificates first.
    "PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "true",
}
START_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Server:
    """A Prefect server that was started; `wait` returns once it answers."""

    url: str
    wait: Callable[[], None]


def configured_api() -> str:
    """Return the Prefect API that the environment or the active profile names, or nothing.

    Read without importing Prefect; see its documentation on profiles for where they stand.
    """
    if url := os.environ.get("PREFECT_API_URL"):
        return url
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    path = Path(os.environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml"))
    try:
        profiles = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        return ""
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active", "")
    return str(profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL", ""))


def answers(url: str) -> bool:
    """Tell whether anybody listens at the address *url*."""
    place = urlsplit(url)
    try:
        socket.create_connection(
            (place.hostname or "", place.port or (443 if place.scheme == "https" else 80)), 5
        ).close()
    except OSError:
        return False
    return True


def settle(settings: dict[str, str]) -> None:
    """Set each of *settings* that the user has not set."""
    for name, value in settings.items():
        os.environ.setdefault(name, value)


@contextmanager
def prefect_server() -> Generator[Server]:
    """Run a Prefect server of our own inside the block; starting it costs nothing until `wait` is called.

    Its database stands in PREFECT_HOME if that is set, else in a place of ours.
    """
    home = Path(os.environ.get("PREFECT_HOME") or data_home() / "releasekit" / "prefect")
    home.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    url = f"http://127.0.0.1:{port}/api"
    factory = ("--factory", "prefect.server.api.server:create_app")
    argv = (
        sys.executable,
        "-m",
        "uvicorn",
        *factory,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--log-level",
        "warning",
    )
    env = {"PREFECT_HOME": str(home), "PREFECT_API_URL": url, **SERVER_SETTINGS}
    output = home / f"server-{port}.log"
    with background(Command(argv, home, env), output) as alive:
        yield Server(url, lambda: _await(port, alive, output))
    output.unlink(missing_ok=True)


def _await(port: int, alive: Callable[[], bool], output: Path) -> None:
    from http.client import HTTPConnection, HTTPException

    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and alive():
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/api/health")
            if connection.getresponse().status == 200:  # noqa: PLR2004
                return
        except (OSError, HTTPException):
            pass  # not yet
        finally:
            connection.close()
        time.sleep(0.1)
    said = last_lines(output.read_text("utf-8", "replace"))
    raise ReleaseError(Code.SERVER_START, "Prefect's server did not start", str(output), output=said)


def data_home() -> Path:
    """Return where programs keep their data on this machine (XDG)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
