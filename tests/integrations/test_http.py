"""The run's HTTP client, against a real server on this machine that answers as it is told."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import httpx
import pytest

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.integrations import http
from releasekit.integrations.process import mask
from tests.support.certificates import write_certificate
from tests.support.fault_index import SLOW, fault_index

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path
    from ssl import SSLContext


@dataclass(frozen=True)
class Answer:
    """What the server does with one request; *kept* bytes of the body are promised and not sent."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b"here"
    kept: int = 0
    reset: bool = False


RESET = Answer(reset=True)


@dataclass
class Server:
    """A server that gives *answers* in turn and the last one for ever, and what it was asked."""

    answers: list[Answer]
    asked: list[str] = field(default_factory=list[str])
    url: str = ""

    def answer(self, method: str) -> Answer:
        self.asked.append(method)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


@contextmanager
def serving(*answers: Answer, tls: SSLContext | None = None) -> Generator[Server]:
    """Run a server inside the block, with *tls* over HTTPS."""
    server = Server(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = server.answer(self.command)
            if answer.reset:
                self.connection.close()
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body) + answer.kept))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_POST = do_HEAD = do_GET  # noqa: N815  the names are the library's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the library's
            """Keep the test's output clean."""

        def finish(self) -> None:
            if not self.wfile.closed and self.connection.fileno() >= 0:
                super().finish()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        server.url = f"{'https' if tls else 'http'}://127.0.0.1:{httpd.server_port}/"
        if tls:
            httpd.socket = tls.wrap_socket(httpd.socket, server_side=True)
        thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            httpd.shutdown()
            thread.join()


@dataclass
class Asked:
    """What came of a request: the answer or the error, and the seconds waited between attempts."""

    status: int | None
    error: httpx.HTTPError | None
    pauses: list[float]
    body: bytes = b""


def ask(
    url: str, method: str = "GET", *, attempts: int = 5, timeout: float = 30, longest: float = 300
) -> Asked:
    """Send one request with a client that notes its pauses instead of making them."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async def send() -> Asked:
        async with http.client(
            attempts=attempts, timeout=timeout, total_timeout=longest, sleep=pause
        ) as web:
            try:
                response = await web.request(method, url, headers={"Accept": "text/html"})
            except httpx.HTTPError as error:
                return Asked(None, error, pauses)
            return Asked(response.status_code, None, pauses, response.content)

    return asyncio.run(send())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_question_repeats_until_answer(method: str) -> None:
    """A server that is down for two requests costs two pauses, the second longer than the first."""
    with serving(Answer(503), Answer(502), Answer()) as server:
        asked = ask(server.url, method)

    assert asked.status == 200
    assert server.asked == [method] * 3
    assert 0 < asked.pauses[0] <= asked.pauses[1]
    assert len(asked.pauses) == 2


def test_delays_grow_to_a_limit() -> None:
    """However often it asks, the client never waits longer than LONGEST_DELAY, and rarely the same time twice."""
    with serving(Answer(500)) as server:
        asked = ask(server.url, attempts=12)

    assert asked.status == 500
    assert len(server.asked) == 12
    assert asked.pauses == sorted(asked.pauses)
    assert asked.pauses[-1] == http.MAX_DELAY


@pytest.mark.parametrize("seconds", ["7", "0"])
def test_retry_after_in_seconds(seconds: str) -> None:
    """The client waits as long as the server asks, and not less than it would by itself."""
    with serving(Answer(429, {"Retry-After": seconds}), Answer()) as server:
        asked = ask(server.url)

    assert asked.status == 200
    assert asked.pauses == [7.0] if seconds == "7" else 0 < asked.pauses[0] <= http.FIRST_DELAY


def test_retry_after_as_a_date() -> None:
    """A date in Retry-After (RFC 9110) is waited for."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    with serving(Answer(503, {"Retry-After": date}), Answer()) as server:
        asked = ask(server.url)

    assert 20 < asked.pauses[0] <= 30


@pytest.mark.parametrize(
    "value", ["86400", "Fri, 01 Jan 2100 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 -0000"]
)
def test_retry_after_is_capped(value: str) -> None:
    """A server that asks for a day gets a minute: a release must not hang unseen."""
    with serving(Answer(429, {"Retry-After": value}), Answer()) as server:
        assert ask(server.url).pauses == [http.MAX_DELAY]


@pytest.mark.parametrize("value", ["soon", "Fri, 01 Jan 1999 00:00:00 GMT", ""])
def test_strange_retry_after_is_ignored(value: str) -> None:
    """What is no time to come leaves the client's own delay."""
    with serving(Answer(429, {"Retry-After": value}), Answer()) as server:
        assert ask(server.url).pauses[0] <= http.FIRST_DELAY


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_refusal_is_an_answer(status: int) -> None:
    """What the server does not have or allow is not asked for again."""
    with serving(Answer(status)) as server:
        asked = ask(server.url)

    assert (asked.status, server.asked, asked.pauses) == (status, ["GET"], [])


def test_forge_client_hands_on_limits() -> None:
    """A client for a forge hands a 429 on at once: forges say in more ways than one how long to wait."""

    async def ask(url: str) -> int:
        async with http.client(retry_on_429=False) as web:
            return (await web.get(url)).status_code

    with serving(Answer(429, {"Retry-After": "60"}), Answer()) as server:
        assert asyncio.run(ask(server.url)) == 429


@pytest.mark.parametrize(
    "answer", [Answer(503, {"Retry-After": "1"}), Answer(429), RESET], ids=["503", "429", "reset"]
)
def test_order_is_never_repeated(answer: Answer) -> None:
    """A POST is sent once, whatever comes back: it may have done its work."""
    with serving(answer, Answer()) as server:
        asked = ask(server.url, "POST")

    assert server.asked == ["POST"]
    assert asked.pauses == []
    assert (
        asked.status == answer.status
        if not answer.reset
        else isinstance(asked.error, httpx.TransportError)
    )


def test_broken_connections_are_repeated() -> None:
    """A connection that breaks before or within the answer is one more attempt, and the whole body comes back."""
    with serving(RESET, Answer(kept=100), Answer(body=b"all of it")) as server:
        asked = ask(server.url, timeout=0.5)

    assert (asked.status, asked.body, len(server.asked)) == (200, b"all of it", 3)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "7"}, 7),
        ({"ratelimit": '"project.create.ip";r=3;t=99, "project.create.user";r=0;t=55569'}, 55569),
        ({"ratelimit": '"a";r=0;t=5', "retry-after": "7"}, 7),
        ({"ratelimit": '"a";r=1;t=5'}, 0),
        ({"retry-after": "9" * 400}, 31_622_400),
        ({"ratelimit": f'"a";r=0;t={"9" * 400}'}, 31_622_400),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 31_622_400),
        ({"retry-after": f"Fri, 01 Jan 2100 00:00:00 +{'9' * 20}"}, 0),
    ],
)
def test_response_headers_set_the_wait(headers: dict[str, str], seconds: float) -> None:
    """What is used up counts until it is filled, whatever else is there; nothing asks for more than a year."""
    assert http.requested_delay(headers) == seconds


def test_slow_body_has_time_limit() -> None:
    """A body that comes byte by byte is not waited for without an end."""
    with fault_index() as index:
        index.files["core"] = {f"core-{number}.tar.gz": b"" for number in range(20)}
        index.on_page("core", [replace(SLOW, slow=0.1)])
        asked = ask(f"{index.simple_url}/core/", longest=0.3)

    assert (asked.status, len(asked.pauses)) == (200, 1)


def test_dead_address_gets_every_attempt() -> None:
    """Where nothing listens, every attempt is made and the last error comes through."""
    with serving(Answer()) as server:
        pass

    asked = ask(server.url, attempts=3)

    assert isinstance(asked.error, httpx.ConnectError)
    assert len(asked.pauses) == 2


def test_requests_wait_outside_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more requests reach the pool than it has connections: it compares each that waits with every connection."""
    sent = httpx.AsyncHTTPTransport.handle_async_request
    inside, most = 0, 0

    async def count(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        try:
            return await sent(transport, request)
        finally:
            inside -= 1

    async def ask_often(url: str) -> list[httpx.Response]:
        async with http.client(pool_size=3) as web:
            return await asyncio.gather(*(web.get(url) for _ in range(30)))

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", count)
    with serving(Answer()) as server:
        responses = asyncio.run(ask_often(server.url))

    assert [response.text for response in responses] == ["here"] * 30
    assert most == 3


def test_attempts_are_logged_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """Each attempt is on record with method, address, status and number; a password in the address is not."""
    caplog.set_level(logging.DEBUG, "releasekit.http")
    with serving(RESET, Answer(503), Answer()) as server:
        ask(server.url.replace("//", "//user:swordfish@") + "simple/")

    records = [record for record in caplog.records if record.name == "releasekit.http"]
    assert [vars(record).get("status") for record in records] == [None, 503, 200]
    assert [vars(record)["attempt"] for record in records] == [1, 2, 3]
    assert {vars(record)["method"] for record in records} == {"GET"}
    assert all(
        "/simple/" in record.getMessage() and "attempt" in record.getMessage() for record in records
    )
    assert "swordfish" not in "".join(f"{record.getMessage()}{vars(record)}" for record in records)


def test_clients_read_certificates_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Clients share the certificates that they read, until `SSL_CERT_FILE` names another file."""
    certificate, tls = write_certificate(tmp_path)
    reads_before = http.ssl_context.cache_info().misses
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))  # no other test has read it
    with serving(Answer(), tls=tls) as server:
        strangers = [ask(server.url, attempts=1) for _ in range(2)]
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        trusting = [ask(server.url, attempts=1) for _ in range(2)]

    assert [type(asked.error) for asked in strangers] == [httpx.ConnectError] * 2
    assert [asked.status for asked in trusting] == [200, 200]
    assert http.ssl_context.cache_info().misses - reads_before == 2


class TestEnvironment:
    """What the variables of the environment say about proxies and certificates."""

    @pytest.fixture(autouse=True)
    def _no_variables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)

    def test_proxy_carries_plain_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A host that nobody exempts is asked through the proxy, with the proxy's user; the password is masked."""
        with serving(Answer(body=b"by proxy")) as proxy:
            address = proxy.url.replace("http://", "http://ada:swordfish@").rstrip("/")
            monkeypatch.setenv("HTTP_PROXY", address)
            asked = ask("http://packages.example/simple/", attempts=1)

        assert asked.body == b"by proxy"
        assert "swordfish" not in mask("the proxy refuses ada:swordfish")

    @pytest.mark.parametrize(
        "exceptions", ["127.0.0.1", "127.0.0.0/8", "[::1],fe80::/10,127.0.0.1", "*"]
    )
    def test_exempt_host_is_asked_directly(
        self, monkeypatch: pytest.MonkeyPatch, exceptions: str
    ) -> None:
        """Addresses and ranges of both versions are read, also those that httpx cannot read."""
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", exceptions)
        with serving(Answer()) as server:
            asked = ask(server.url, attempts=1)

        assert asked.status == 200

    def test_socks_proxy_is_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A SOCKS proxy that does not listen is an error of the network, not of a missing library."""
        monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")

        assert isinstance(ask("http://packages.example/", attempts=1).error, httpx.TransportError)

    @pytest.mark.parametrize("address", ["ftp://proxy.example", "http://proxy.example:port"])
    def test_bad_proxy_is_refused(self, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
        """An address that is no proxy's is refused by the names of the variables."""
        monkeypatch.setenv("HTTPS_PROXY", address)

        with pytest.raises(Refusal) as caught:
            http.client()

        assert caught.value.code is ErrorCode.NETWORK_SETTING
        assert "HTTPS_PROXY" in caught.value.location

    @pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
    @pytest.mark.parametrize("has_file", [False, True])
    def test_bad_certificates_are_named(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, *, has_file: bool
    ) -> None:
        """A path that does not exist, or that has no certificates, is refused with the variable and the path."""
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        monkeypatch.delenv("SSL_CERT_DIR", raising=False)
        path = tmp_path / "company.pem"
        if has_file:
            path.write_text("no certificate")
        monkeypatch.setenv(name, str(path))

        with pytest.raises(Refusal) as caught:
            http.client()

        assert caught.value.code is ErrorCode.NETWORK_SETTING
        assert caught.value.location == f"{name}={path}"
