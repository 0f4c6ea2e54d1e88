"""A package index on this machine that goes wrong by script: real HTTP, real uploads, and a log of all of them."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator, Iterable, Iterator

OPEN_DAYS = 14
JSON = "application/vnd.pypi.simple.v1+json"
ALL = "*"


@dataclass(frozen=True)
class Fault:
    """What the index does with one request instead of answering it well.

    It answers with *status*, *body* and *headers*; or it resets the connection, or is *silent* until it is over. An
    upload is *stored* first, or is not. A page that is answered with 200 leaves out what is *hidden*, gives a *wrong*
    sha256, comes *slow*ly (seconds between its bytes), is *cut* off in the middle, or is HTML though JSON was wanted.
    """

    status: int = 200
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    stored: bool = False
    reset: bool = False
    silent: bool = False
    hidden: bool = False
    wrong: bool = False
    cut: bool = False
    html: bool = False
    slow: float = 0

    def after(self, seconds: int) -> Fault:
        """Return the same with a Retry-After."""
        return Fault(self.status, self.body, (*self.headers, ("Retry-After", str(seconds))))


STORED = Fault(stored=True)
RESET, RESET_STORED = Fault(reset=True), Fault(reset=True, stored=True)
SILENT, SILENT_STORED = Fault(silent=True), Fault(silent=True, stored=True)
ERROR = Fault(500, "oops")
PAGE = Fault(
    502,
    "<html><style>b {}</style><body><b>Bad Gateway</b></body></html>",
    (("Content-Type", "text/html"),),
)
AWAY = Fault(503, "be back soon")
BUSY = Fault(429, "slow down")
# As PyPI has it (pypi/support#11827); it sends no Retry-After.
QUOTA = Fault(
    429,
    "429 Too many new projects created",
    (
        ("Ratelimit", '"project.create.ip";r=3;t=60, "project.create.user";r=0;t=55569'),
        (
            "Ratelimit-Policy",
            '"project.create.ip";q=4;w=86400;pk=:ip:, "project.create.user";q=4;w=86400;pk=:user:',
        ),
    ),
)
WHO = Fault(401, "who are you?")
FORBIDDEN = Fault(
    403,
    "Invalid or non-existent authentication information. See /help/#invalid-auth for more information.",
)
NOT_YOURS = Fault(
    403,
    "The user 'ada' isn't allowed to upload to project 'core'. See /help/#project-name for more.",
)
EXISTS = Fault(
    400,
    "File already exists ('it', with blake2_256 hash 'ab'). See /help/#file-name-reuse for more.",
)
EXISTS_STORED = Fault(EXISTS.status, EXISTS.body, stored=True)
CLOSED = Fault(400, "Uploading new files to releases older than 14 days is not allowed.")
RETIRED = Fault(400, "This filename has already been used, use a different version.")
INVALID = Fault(400, "Invalid value for classifiers. Error: 'Nonsense' is not a valid classifier.")
TOO_LARGE = Fault(413, "File too large. Limit for project 'core' is 100 MB.")

LOGIN = Fault(200, "<form>Who are you?</form>", (("Content-Type", "text/html"),))
TORN = Fault(200, '{"meta": {"api-vers', (("Content-Type", JSON),))
HIDDEN, WRONG, SLOW, CUT, HTML = (
    Fault(hidden=True),
    Fault(wrong=True),
    Fault(slow=0.001),
    Fault(cut=True),
    Fault(html=True),
)


@dataclass(frozen=True)
class Upload:
    """One upload as it came, and the status that it got: 0 if it got no answer. *at* is in seconds.

    *attested* is what came with it as attestations (PEP 740).
    """

    project: str
    file: str
    sha256: str
    status: int
    stored: bool
    at: float
    attested: str = ""


@dataclass
class FaultIndex:
    """A running index: what has come, what it has stored (project, file name, bytes), and what is to go wrong.

    It has only *html*, or its upload address is *gone*, or single requests go wrong by script. *users* are those who
    have sent a file, or have tried to, each as "name:password". For *max_age* seconds a page may be remembered. *days*
    says of versions ("core-1.1") for how long it has them: like PyPI, it takes no more files for one after 14.
    """

    url: str = ""
    uploads: list[Upload] = field(default_factory=list[Upload])
    files: dict[str, dict[str, bytes]] = field(default_factory=dict[str, "dict[str, bytes]"])
    html: bool = False
    max_age: int = 0
    gone: bool = False
    users: set[str] = field(default_factory=set[str])
    days: dict[str, float] = field(default_factory=dict[str, float])
    over: Event = field(default_factory=Event)
    _script: dict[tuple[str, str], Iterator[Fault]] = field(
        default_factory=dict[tuple[str, str], "Iterator[Fault]"]
    )
    _lock: Lock = field(default_factory=Lock)

    @property
    def simple_url(self) -> str:
        """The root of the Simple API."""
        return f"{self.url}/simple"

    @property
    def publish_url(self) -> str:
        """Where files are sent; nothing listens there when that is *gone*."""
        return nobody() if self.gone else f"{self.url}/upload/"

    def on_upload(self, project: str, faults: Iterable[Fault]) -> None:
        """Let the next uploads of *project* (or of `ALL`, as they come) go so; then they go well."""
        self._script["POST", project] = iter(faults)

    def on_page(self, project: str, faults: Iterable[Fault]) -> None:
        """Let the next looks at the page of *project* go so; then they go well."""
        self._script["GET", project] = iter(faults)

    def heal(self) -> None:
        """Let everything go well from now on."""
        self._script.clear()
        self.gone = False

    def clear(self) -> None:
        """Forget all that has come."""
        self.uploads.clear()
        self.files.clear()

    def next(self, method: str, project: str) -> Fault:
        """Return what is to be done with this request."""
        with self._lock:
            return next(
                chain(self._script.get((method, project), ()), self._script.get((method, ALL), ())),
                STORED,
            )

    def take(
        self, project: str, file: str, content: bytes, fault: Fault, attested: str = ""
    ) -> Fault:
        """Note an upload and store it, if that is to be done; returns how to answer it."""
        with self._lock:
            there = self.files.setdefault(project, {})
            if fault is STORED and there.get(file, content) != content:
                fault = EXISTS
            elif fault is STORED and file not in there and self._is_closed(file, there):
                fault = CLOSED
            stored = fault.stored and there.setdefault(file, content) is content
            if not there:
                del self.files[project]
            status = 0 if fault.reset or fault.silent else fault.status
            digest = sha256(content).hexdigest()
            self.uploads.append(
                Upload(project, file, digest, status, stored, time.monotonic(), attested)
            )
            return fault

    def _is_closed(self, file: str, there: Iterable[str]) -> bool:
        version = _version(file)
        return self.days.get(version, 0) > OPEN_DAYS and any(
            _version(other) == version for other in there
        )

    def sent(self, project: str = "") -> list[str]:
        """Return the names of the files that came, stored or not, as often as they came."""
        return [upload.file for upload in self.uploads if project in ("", upload.project)]


@contextmanager
def fault_index() -> Generator[FaultIndex]:
    """Run an index inside the block."""
    index = FaultIndex()

    class Handler(FaultHandler):
        served = index

    with serving(index, Handler):
        yield index


@contextmanager
def serving(
    index: FaultIndex, handler: type[FaultHandler], tls: ssl.SSLContext | None = None
) -> Generator[None]:
    """Let *handler* answer for *index* inside the block, with *tls* over https."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        index.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            index.over.set()
            server.shutdown()
            thread.join()


def nobody() -> str:
    """Return an address at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/upload/"


class FaultHandler(BaseHTTPRequestHandler):
    """Answers for one index."""

    served: FaultIndex

    def do_POST(self) -> None:
        """Take an upload (the legacy API of PyPI)."""
        scheme, _, user = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            self.served.users.add(b64decode(user).decode())
        form = _form(
            self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))
        )
        if "content" not in form:  # somebody tries the credentials
            self._do(Fault(400, "There is no file."))
            return
        project = canonicalize_name(form["name"][1].decode())
        file, content = form["content"]
        fault = self.served.next("POST", project)
        attested = form.get("attestations", ("", b""))[1].decode()
        self._do(self.served.take(project, file, content, fault, attested))

    def do_GET(self) -> None:
        """Show the page of a project (PEP 503, PEP 691), or send a file."""
        if self.path.startswith("/files/"):
            self.wfile.write(self._begin(self.path.rpartition("/")[2]))
            return
        project = self.path.strip("/").rpartition("/")[2]
        fault = self.served.next("GET", project)
        if fault.body or fault.status != 200 or fault.reset or fault.silent:
            self._do(fault)
        elif project not in self.served.files:
            self._do(Fault(404))
        else:
            as_json = JSON in self.headers["Accept"] and not (fault.html or self.served.html)
            files = {} if fault.hidden else self.served.files[project]
            digests = {
                name: sha256(content + fault.wrong * b"!").hexdigest()
                for name, content in files.items()
            }
            body = _json(project, digests, self.served.days) if as_json else _html(digests)
            headers = [("Content-Type", JSON if as_json else "text/html")]
            if self.served.max_age:
                headers.append(("Cache-Control", f"max-age={self.served.max_age}"))
            self._answer(200, body, headers, fault)

    def do_HEAD(self) -> None:
        """Say how long a file is."""
        self._begin(self.path.rpartition("/")[2])

    def _begin(self, name: str) -> bytes:
        content = next((files[name] for files in self.served.files.values() if name in files), None)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        return content or b""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the library's
        """Keep the test's output clean."""

    def _do(self, fault: Fault) -> None:
        if fault.silent:
            self.served.over.wait(60)
        if fault.silent or fault.reset:
            # With nothing to linger for, closing resets the connection.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self._answer(fault.status, fault.body, fault.headers, fault)

    def _answer(
        self, status: int, body: str, headers: Iterable[tuple[str, str]], fault: Fault
    ) -> None:
        content = body.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for byte in content[: len(content) // 2] if fault.cut else content:
            self.wfile.write(bytes([byte]))
            if fault.slow:
                self.wfile.flush()
                time.sleep(fault.slow)

    def finish(self) -> None:
        """Close what is still open."""
        if self.connection.fileno() >= 0:
            super().finish()


def _version(file: str) -> str:
    """Return name and version of *file*: "core-1.1"."""
    return "-".join(file.removesuffix(".tar.gz").split("-")[:2])


def _form(kind: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    """Return the fields of a form (RFC 7578): for each its file name and its content."""
    boundary = b"--" + kind.partition("boundary=")[2].strip('"').encode()
    fields: dict[str, tuple[str, bytes]] = {}
    for part in body.split(boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        named = dict(re.findall(r'(\bname|filename)="([^"]*)"', head.decode()))
        fields[named["name"]] = (named.get("filename", ""), content.removesuffix(b"\r\n"))
    return fields


def _json(project: str, digests: dict[str, str], days: dict[str, float]) -> str:
    files: list[dict[str, object]] = []
    for name, digest in digests.items():
        age = days.get(_version(name))
        time = (
            {}
            if age is None
            else {"upload-time": (datetime.now(UTC) - timedelta(days=age)).isoformat()}
        )
        files.append(
            {"filename": name, "url": f"/files/{name}", "hashes": {"sha256": digest}, **time}
        )
    return json.dumps({"meta": {"api-version": "1.0"}, "name": project, "files": files})


def _html(digests: dict[str, str]) -> str:
    links = "".join(
        f'<a href="/files/{name}#sha256={digest}">{name}</a>' for name, digest in digests.items()
    )
    return f"<!doctype html><title>Links for it</title>{links}"
