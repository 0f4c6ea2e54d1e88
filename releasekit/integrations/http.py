"""One pooled HTTP client for a run: it retries requests that only read, and never those that change something."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import random
import re
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import certifi
import httpx
import truststore

from releasekit.core.config.proxy_exceptions import is_exempt
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.integrations.process import mask, register_secret
from releasekit.integrations.proxies import proxy_exceptions, proxy_of
from releasekit.integrations.waits import WAITS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from ssl import SSLContext

log = logging.getLogger("releasekit.http")

FIRST_DELAY = 0.5
"""Seconds before the second attempt; each further delay is twice as long."""

MAX_DELAY = 60.0
"""The most seconds to wait between two attempts, even if `Retry-After` asks for more."""

_A_YEAR = 366 * 24 * 60 * 60.0
"""The most seconds that a response may ask to wait: more than a year is nonsense, and can overflow a date."""

_REPEATABLE = frozenset({"GET", "HEAD"})
# Not every TransportError: a malformed address or request stays malformed on each attempt.
_TRANSIENT_ERRORS = (
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
)


def client(
    *,
    pool_size: int = 10,
    attempts: int = 5,
    timeout: float = 30,
    total_timeout: float = 300,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    retry_on_429: bool = True,
) -> httpx.AsyncClient:
    """Return the client of a run. Use it as an async context manager in one event loop.

    *timeout* is in seconds and limits each step of one attempt (connect, write, read). *total_timeout* limits the whole
    attempt, because a body may come one byte at a time. GET and HEAD are sent up to *attempts* times: on connection
    errors, timeouts, 429 and 5xx. Redirects are followed. Certificates and proxies come from the environment
    (`SSL_CERT_FILE`, `SSL_CERT_DIR`, `HTTPS_PROXY`, `NO_PROXY`). *sleep* waits a number of seconds. Without
    *retry_on_429*, a 429 is returned at once: forges have several ways to say how long to wait.

    Raises Refusal RK-NETWORK-SETTING if certificates or a proxy of the environment cannot be used.
    """
    certificates = ssl_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    limits = httpx.Limits(max_connections=pool_size, max_keepalive_connections=pool_size)
    return _Client(
        pool_size=pool_size,
        attempts=attempts,
        total_timeout=total_timeout,
        sleep=sleep,
        retry_on_429=retry_on_429,
        follow_redirects=True,
        transport=_Transport(certificates, limits),
        headers={"User-Agent": "releasekit"},
        # Hundreds of packages share the pool, so waiting for a free connection is not an error.
        timeout=httpx.Timeout(timeout, pool=None),
    )


@cache
def ssl_context(cert_file: str | None, cert_dir: str | None) -> SSLContext:
    """Return the context that all clients share while *cert_file* and *cert_dir* stay the same.

    To read all certificates takes 40 ms, and a command makes several clients. Without either variable, the certificates
    of the system count, and those of certifi where a system has none. Raises Refusal RK-NETWORK-SETTING.
    """
    settings = {"SSL_CERT_FILE": cert_file, "SSL_CERT_DIR": cert_dir}
    location = " ".join(f"{name}={path}" for name, path in settings.items() if path)
    try:
        if location:
            _require_directory(cert_dir)
            return ssl.create_default_context(cafile=cert_file or None, capath=cert_dir or None)
        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certifi.where())
    except OSError as error:  # also an SSLError: the file has no certificate
        message = f"the certificates cannot be read: {error.strerror or error}"
        raise Refusal(ErrorCode.NETWORK_SETTING, message, location or certifi.where()) from None
    return context


def _require_directory(paths: str | None) -> None:
    """Raise NotADirectoryError if none of *paths*, a list as in PATH, is a directory: OpenSSL ignores those."""
    if paths and not any(map(os.path.isdir, paths.split(os.pathsep))):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


class _Transport(httpx.AsyncBaseTransport):
    """Sends each request directly or by the proxy of the environment.

    httpx could choose by itself, but it cannot read every `NO_PROXY` that uv, git and curl read: brackets around an
    address and ranges of IPv6 addresses raise InvalidURL (httpx 0.28), and ranges of IPv4 addresses fit no host.
    """

    def __init__(self, certificates: SSLContext, limits: httpx.Limits) -> None:
        self._options: dict[str, Any] = {
            "verify": certificates,
            "limits": limits,
            "trust_env": False,
        }
        self._direct = httpx.AsyncHTTPTransport(**self._options)
        self._exceptions = proxy_exceptions()
        addresses = {scheme: proxy_of(scheme) for scheme in ("http", "https")}
        self._proxied = {
            scheme: self._by_proxy(address) for scheme, address in addresses.items() if address
        }

    def _by_proxy(self, address: str) -> httpx.AsyncHTTPTransport:
        """Return a transport by the proxy at *address*; raises Refusal RK-NETWORK-SETTING if httpx cannot use it."""
        with_scheme = address if "://" in address else f"http://{address}"
        try:
            proxy = httpx.Proxy(with_scheme)
            if proxy.raw_auth:
                register_secret(proxy.raw_auth[1].decode())
            return httpx.AsyncHTTPTransport(proxy=proxy, **self._options)
        except (ValueError, httpx.InvalidURL) as error:
            message = f"the proxy of the environment cannot be used: {mask(str(error))}"
            raise Refusal(
                ErrorCode.NETWORK_SETTING, message, "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY"
            ) from None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._transport_of(request.url).handle_async_request(request)

    def _transport_of(self, url: httpx.URL) -> httpx.AsyncHTTPTransport:
        if is_exempt(url.host, url.port, self._exceptions):
            return self._direct
        return self._proxied.get(url.scheme, self._direct)

    async def aclose(self) -> None:
        for transport in (self._direct, *self._proxied.values()):
            await transport.aclose()


class _Client(httpx.AsyncClient):
    """A client that retries in `send`, not in a transport.

    So it also retries if a body is cut off half-way.
    """

    def __init__(
        self,
        *,
        pool_size: int,
        attempts: int,
        total_timeout: float,
        sleep: Callable[[float], Awaitable[object]],
        retry_on_429: bool,
        **options: Any,  # noqa: ANN401  passed to httpx unchanged
    ) -> None:
        super().__init__(**options)
        self._attempts, self._total_timeout, self._sleep = attempts, total_timeout, sleep
        self._retry_on_429 = retry_on_429
        # httpcore compares every request that waits with every connection, again after each response (1.0):
        # 500 requests that wait take 25 CPU-seconds. So they wait here.
        self._slots = asyncio.Semaphore(pool_size)

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:  # noqa: ANN401  as above
        with WAITS.wait_for(request.url.host):
            return await self._send_repeatedly(request, options)

    async def _send_repeatedly(
        self, request: httpx.Request, options: dict[str, Any]
    ) -> httpx.Response:
        last = self._attempts if request.method in _REPEATABLE else 1
        for attempt in range(1, last):
            wait = self._delay(attempt)
            try:
                response = await self._send_once(request, options)
            except _TRANSIENT_ERRORS as error:
                _log_attempt(request, attempt, last, None, f"{type(error).__name__} {error}")
            else:
                _log_attempt(request, attempt, last, response.status_code)
                if not self._is_transient(response.status_code):
                    return response
                await response.aclose()
                wait = max(
                    wait, min(retry_after(response.headers.get("Retry-After", "")), MAX_DELAY)
                )
            await self._sleep(wait)
        return await self._send_last(request, last, options)

    async def _send_last(
        self, request: httpx.Request, attempt: int, options: dict[str, Any]
    ) -> httpx.Response:
        try:
            response = await self._send_once(request, options)
        except httpx.HTTPError as error:
            _log_attempt(request, attempt, attempt, None, f"{type(error).__name__} {error}")
            raise
        _log_attempt(request, attempt, attempt, response.status_code)
        return response

    def _is_transient(self, status: int) -> bool:
        limited = self._retry_on_429 and status == HTTPStatus.TOO_MANY_REQUESTS
        return limited or status >= HTTPStatus.INTERNAL_SERVER_ERROR

    async def _send_once(self, request: httpx.Request, options: dict[str, Any]) -> httpx.Response:
        try:
            async with self._slots, asyncio.timeout(self._total_timeout):
                return await super().send(request, **options)
        except TimeoutError:
            message = f"the response was not complete within {self._total_timeout:g} s"
            raise httpx.ReadTimeout(message, request=request) from None

    def _delay(self, attempt: int) -> float:
        # Half is fixed, so that delays always grow. Half is random, so that many clients do not return at once.
        full = FIRST_DELAY * 2 ** (attempt - 1)
        return min(full / 2 + full / 2 * random.random(), MAX_DELAY)  # noqa: S311  not for security


def requested_delay(headers: Mapping[str, str]) -> float:
    """Return how many seconds the *headers* of a response (names in lower case) ask to wait; 0 if they do not.

    When a quota is used up, PyPI sends no `Retry-After` but `Ratelimit: "project.create.user";r=0;t=55569`: the seconds
    until the quota is refilled (draft-ietf-httpapi-ratelimit-headers).
    """
    until_filled = (
        retry_after(match[1]) for match in _QUOTA_RESET.finditer(headers.get("ratelimit", ""))
    )
    return max(retry_after(headers.get("retry-after", "")), *until_filled, 0.0)


_QUOTA_RESET = re.compile(r";r=0;t=(\d+)")


def retry_after(value: str) -> float:
    """Return the seconds that a `Retry-After` of *value* means, a number or a date (RFC 9110, 10.2.3); else 0."""
    value = value.strip()
    if value.isdecimal():
        return min(float(value), _A_YEAR)
    try:
        date = parsedate_to_datetime(value)
        # "-0000" in a date gives a naive time, which is also in UTC (RFC 5322, 3.3).
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(0.0, seconds), _A_YEAR)


def _log_attempt(
    request: httpx.Request, attempt: int, last: int, status: int | None, reason: str = ""
) -> None:
    url = mask(str(request.url))
    answer = {} if status is None else {"status": status}
    log.debug(
        "%s %s: %s (attempt %d of %d)",
        request.method,
        url,
        status or mask(reason),
        attempt,
        last,
        extra={"method": request.method, "url": url, "attempt": attempt, **answer},
    )
