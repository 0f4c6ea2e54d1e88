"""One pooled HTTP client for a run: questions are asked again when the answer is slow to come, orders never are."""

from __future__ import annotations

import asyncio
import logging
import random
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx

from releasekit.integrations.process import mask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

log = logging.getLogger("releasekit.http")

FIRST_DELAY = 0.5
"""Seconds before the second attempt; each further delay is twice as long."""

MAX_DELAY = 60.0
"""Seconds that are waited at most between two attempts, whatever `Retry-After` asks for."""

_A_YEAR = 366 * 24 * 60 * 60.0
"""Seconds that an answer may ask to wait at most: beyond a year it is nonsense, and no date in our calendar."""

_REPEATABLE = frozenset({"GET", "HEAD"})
# Not every TransportError: a malformed address or request of ours stays malformed however often it is sent.
_TRANSIENT_ERRORS = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError, httpx.ProxyError)


def client(
    *,
    pool_size: int = 10,
    attempts: int = 5,
    timeout: float = 30,
    total_timeout: float = 300,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    retry_on_429: bool = True,
) -> httpx.AsyncClient:
    """Return the client of a run, to be used as an async context manager in one event loop.

    *timeout* is in seconds and bounds each step of one attempt (connect, write, read); *total_timeout* bounds all of
    it: a body may come a byte at a time. GET and HEAD are sent up to *attempts* times: on connection errors, timeouts,
    429 and 5xx. Redirects are followed. Certificates and proxies come from the environment as httpx has it
    (`SSL_CERT_FILE`, `SSL_CERT_DIR`, `HTTPS_PROXY`, `NO_PROXY`). *sleep* waits some seconds. Without *retry_on_429* a
    429 is handed on at once: forges say in more ways than one how long to wait.
    """
    return _Client(
        attempts=attempts,
        total_timeout=total_timeout,
        sleep=sleep,
        retry_on_429=retry_on_429,
        follow_redirects=True,
        headers={"User-Agent": "releasekit"},
        limits=httpx.Limits(max_connections=pool_size, max_keepalive_connections=pool_size),
        # Hundreds of packages share the pool: waiting for a free connection is no error.
        timeout=httpx.Timeout(timeout, pool=None),
    )


class _Client(httpx.AsyncClient):
    """Repeats at `send`, not in a transport.

    That covers a body that is cut off half-way, and keeps the proxies of the environment, which httpx ignores once it
    is given a transport.
    """

    def __init__(
        self,
        *,
        attempts: int,
        total_timeout: float,
        sleep: Callable[[float], Awaitable[object]],
        retry_on_429: bool,
        **options: Any,  # noqa: ANN401  handed on to httpx as they are
    ) -> None:
        super().__init__(**options)
        self._attempts, self._total_timeout, self._sleep = attempts, total_timeout, sleep
        self._retry_on_429 = retry_on_429

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:  # noqa: ANN401  as above
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
                wait = max(wait, min(retry_after(response.headers.get("Retry-After", "")), MAX_DELAY))
            await self._sleep(wait)
        return await self._send_last(request, last, options)

    async def _send_last(self, request: httpx.Request, attempt: int, options: dict[str, Any]) -> httpx.Response:
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
            async with asyncio.timeout(self._total_timeout):
                return await super().send(request, **options)
        except TimeoutError:
            raise httpx.ReadTimeout(
                f"not all of the answer within {self._total_timeout:g} s", request=request
            ) from None

    def _delay(self, attempt: int) -> float:
        # Half of it is fixed, so that delays always grow; half is random, so that many clients do not return at once.
        full = FIRST_DELAY * 2 ** (attempt - 1)
        return min(full / 2 + full / 2 * random.random(), MAX_DELAY)  # noqa: S311  nothing depends on it


def requested_delay(headers: Mapping[str, str]) -> float:
    """Return the seconds that the *headers* of an answer (names in lower case) ask to wait; 0 if none.

    PyPI sends no `Retry-After` when a quota is used up but `Ratelimit: "project.create.user";r=0;t=55569`, the seconds
    until it is filled (draft-ietf-httpapi-ratelimit-headers).
    """
    until_filled = (retry_after(match[1]) for match in _QUOTA_RESET.finditer(headers.get("ratelimit", "")))
    return max(retry_after(headers.get("retry-after", "")), *until_filled, 0.0)


_QUOTA_RESET = re.compile(r";r=0;t=(\d+)")


def retry_after(value: str) -> float:
    """Return the seconds that a `Retry-After` of *value* means, a number or a date (RFC 9110, 10.2.3); 0 if none."""
    value = value.strip()
    if value.isdecimal():
        return min(float(value), _A_YEAR)
    try:
        date = parsedate_to_datetime(value)
        # "-0000" in a date gives a naive time, which is UTC too (RFC 5322, 3.3).
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(0.0, seconds), _A_YEAR)


def _log_attempt(request: httpx.Request, attempt: int, last: int, status: int | None, reason: str = "") -> None:
    url = mask(str(request.url))
    log.debug(
        "%s %s: %s (attempt %d of %d)",
        request.method,
        url,
        status or mask(reason),
        attempt,
        last,
        extra={"method": request.method, "url": url, "status": status, "attempt": attempt},
    )
