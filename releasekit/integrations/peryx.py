"""The throwaway index of a rehearsal: a real one (peryx) on this machine, which runs as long as a block."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.integrations.process import Command, background, last_lines
from releasekit.integrations.proxies import direct_loopback
from releasekit.integrations.upload_relay import relay_uploads
from releasekit.integrations.uv import find_uv

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

PERYX = "2026.1010.0"
"""The version that `uv tool run` downloads: the configuration format changes between releases."""

_DOWNLOAD_TIMEOUT = 300.0  # seconds; `uv tool run` may have to download it
_START_TIMEOUT = 30.0  # seconds; measured: 0.05 to 0.3
_STOP_TIMEOUT = 5.0  # seconds
_ROUTE = "rehearsal"
_LOG_LEVELS = "info,tantivy=warn"  # this coarse, because method and path of a request are logged under several targets
_LISTENING = re.compile(r'"message":"peryx listening","addr":"(?P<address>[^"]+)"')


@dataclass(frozen=True, slots=True)
class Request:
    """A request that the index has logged; *uploaded_file* is the name of the file that it accepted, if any."""

    method: str
    path: str
    status: int
    uploaded_file: str = ""


@dataclass(frozen=True, slots=True)
class EmbeddedIndex:
    """A running index.

    *environment* makes `uv publish` upload to it (None removes a variable that would contradict it). *log* is the log
    file of the server, with one JSON object a line.
    """

    simple_url: str
    publish_url: str
    environment: Mapping[str, str | None] = field(repr=False)
    log: Path

    def addresses(self, name: str) -> tuple[str, str]:
        """Return the address of the simple index and the upload address of the further index *name*."""
        root = self.simple_url.removesuffix("/simple/")
        return f"{root}-{name}/simple/", f"{self.publish_url.removesuffix('/')}-{name}/"

    def requests(self) -> tuple[Request, ...]:
        """Return every request that got a response, in the order of the responses."""
        return tuple(_requests(self.log.read_text("utf-8", "replace").splitlines()))


@contextmanager
def embedded_index(directory: Path, others: Iterable[str] = ()) -> Generator[EmbeddedIndex]:
    """Run an index inside the block, on 127.0.0.1 and a free port, with all its files in the empty *directory*.

    The server has a further index for each name of *others*, with files of its own and the same token. They are names
    that uv accepts for an index; in a route of their own some would be pages of peryx.

    It responds as PyPI does: JSON and core metadata (PEP 691, PEP 714), 400 for different bytes under an existing file
    name, 200 for the same bytes. It has only the files that are uploaded to it, and contacts no other index. The peryx
    beside the Python executable is used, else `uv tool run`, which needs the network once.

    Raises ReleaseError RK-INDEX-UNREACHABLE with its last output if it does not start, Refusal RK-UV-MISSING.
    """
    token, log = secrets.token_urlsafe(24), directory / "access.log"
    config = directory / "peryx.toml"
    config.touch(mode=0o600)
    routes = (_ROUTE, *(f"{_ROUTE}-{name}" for name in others))
    config.write_text("\n".join(_configuration(route, token) for route in routes), "utf-8")
    program, timeout = _peryx()
    argv = (
        *program, "serve", "--config", str(config), "--host", "127.0.0.1",
        "--port", "0",  # it takes a free port and logs it: choosing one here would race with other programs
        "--data-dir", str(directory / "data"), "--log-format", "json", "--log-sink", "stdout",
        "--log-level", _LOG_LEVELS,
    )  # fmt: skip
    # A PERYX_ variable of your own server would take precedence over the configuration.
    env = dict.fromkeys(name for name in os.environ if name.startswith("PERYX_"))
    address = ""
    try:
        with background(Command(argv, directory, env), log) as is_alive:
            address = _wait_for_address(log, is_alive, timeout)
            with relay_uploads(address) as uploads:
                simple_url = f"http://{address}/{_ROUTE}/simple/"
                publish_url = f"http://{uploads}/{_ROUTE}/"
                env = _environment(simple_url, publish_url, token)
                yield EmbeddedIndex(simple_url, publish_url, env, log)
    finally:
        _wait_until_gone(address)


def _configuration(route: str, token: str) -> str:
    return f"""\
[[index]]
name = "{route}"
route = "{route}"
ecosystem = "pypi"
hosted = true

[[index.access_token]]
name = "rehearsal"
secret = "{token}"
actions = ["write"]
"""


def _environment(simple_url: str, publish_url: str, token: str) -> dict[str, str | None]:
    # uv rejects a token together with a user name, and an index together with an address.
    others = dict.fromkeys(f"UV_PUBLISH_{word}" for word in ("USERNAME", "PASSWORD", "INDEX"))
    target = {
        "UV_PUBLISH_URL": publish_url,
        "UV_PUBLISH_CHECK_URL": simple_url,
        "UV_PUBLISH_TOKEN": token,
    }
    return {**others, **target, **direct_loopback()}


def _peryx() -> tuple[tuple[str, ...], float]:
    """Return the command that runs peryx, and how many seconds it may need to start."""
    for name in ("peryx", "peryx.exe"):
        if (beside := Path(sys.executable).with_name(name)).exists():
            return (str(beside),), _START_TIMEOUT
    return (
        find_uv().executable,
        "tool",
        "run",
        "--from",
        f"peryx=={PERYX}",
        "peryx",
    ), _DOWNLOAD_TIMEOUT


def _wait_for_address(log: Path, is_alive: Callable[[], bool], timeout: float) -> str:
    """Return "host:port" of the server once it responds there."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        alive = is_alive()  # before the log is read, so that its last lines are not missed
        match = _LISTENING.search(log.read_text("utf-8", "replace"))
        if match and _is_healthy(match["address"]):
            return match["address"]
        if not alive:
            raise _start_error("it stopped", log)
        time.sleep(0.01)
    raise _start_error(f"it did not answer within {timeout:g} s", log)


def _is_healthy(address: str) -> bool:
    # Not with httpx: it may be configured to use a proxy, and its import is slow.
    connection = HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/+health")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _wait_until_gone(address: str) -> None:
    """Return once the killed server is gone: until then its files are in use (measured: up to 7 ms)."""
    deadline = time.monotonic() + _STOP_TIMEOUT
    while address and time.monotonic() < deadline and _is_healthy(address):
        time.sleep(0.001)


def _start_error(why: str, log: Path) -> ReleaseError:
    return ReleaseError(
        ErrorCode.INDEX_UNREACHABLE,
        f"the throwaway index did not start: {why}",
        str(log),
        f"Read its output. Run `uv tool run --from peryx=={PERYX} peryx --version` to see whether it works here.",
        last_lines(log.read_text("utf-8", "replace")),
    )


def _requests(lines: list[str]) -> Iterator[Request]:
    # The line about a request does not name the file. An earlier line says which upload was accepted.
    accepted: deque[str] = deque()
    for line in lines:
        record = _record(line)
        fields = record.get("fields", {})
        if fields.get("action") == "upload" and fields.get("result") == "success":
            accepted.append(fields["artifact"])
        elif record.get("target") == "tower_http::trace::on_response":
            yield _request(record["span"], fields["status"], accepted)


def _request(span: dict[str, str], status: int, accepted: deque[str]) -> Request:
    is_upload = accepted and span["method"] == "POST" and status == HTTPStatus.OK
    return Request(
        span["method"], urlsplit(span["uri"]).path, status, accepted.popleft() if is_upload else ""
    )


def _record(line: str) -> dict[str, Any]:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return {}  # the output of `uv tool run` is in the same file
