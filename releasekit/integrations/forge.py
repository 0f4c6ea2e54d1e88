"""What the APIs of the forges (GitHub, GitLab, Gitea) have in common: requests, pages, rate limits and errors."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import httpx

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.integrations.http import retry_after
from releasekit.integrations.process import mask

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping


log = logging.getLogger("releasekit.forge")
T = TypeVar("T")

MAX_WAIT = 180.0
"""The most seconds that one request waits for rate limits; a longer wait is an error."""

DEFAULT_WAIT = 60.0
"""Seconds to wait if a forge limits requests and does not say how long: GitHub asks for at least a minute."""

_LIMITED = (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
_IDEMPOTENT = frozenset({"PUT", "PATCH", "DELETE"})
_RETRIES = 2
BINARY = "application/octet-stream"
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PageSize:
    """The parameter that says how many entries a page of a list has, and the most that the forge gives."""

    name: str = "per_page"
    count: int = 100


class Api:
    """JSON over HTTP, as all forges use it: pages, ETags, rate limits, and errors with codes.

    *base* is the address that paths are relative to. A GET is repeated with the ETag of the last response: such a
    request does not count towards the rate limit if nothing has changed. PUT, PATCH and DELETE are retried after a
    transient error. A POST is retried only if the forge says that it did nothing; otherwise the caller must first
    look whether it had an effect. *sleep* waits a number of seconds.
    """

    def __init__(
        self,
        base: str,
        http_client: httpx.AsyncClient,
        headers: Mapping[str, str],
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        page_size: PageSize = PageSize(),
    ) -> None:
        self.base = base
        self._page_size = page_size
        self._http, self._headers = http_client, dict(headers)
        self._sleep = sleep
        self._cache: dict[str, httpx.Response] = {}

    async def get(self, path: str, **query: str | int) -> Any:  # noqa: ANN401  JSON
        """Return the JSON at *path*, None if it does not exist (404)."""
        response = await self.request("GET", path, query=query, ok_statuses=(HTTPStatus.NOT_FOUND,))
        return None if response.status_code == HTTPStatus.NOT_FOUND else response.json()

    async def get_list(self, path: str, **query: str | int) -> list[Any]:
        """Return the first page of the list at *path*, empty if it does not exist (404)."""
        return await self.get(path, **query) or []

    async def paginate(self, path: str, **query: str | int) -> AsyncGenerator[Any]:
        """Yield the entries of the list at *path*, page by page (RFC 8288, which all forges follow).

        Only the query of the next page is taken from the response: its address can be on another host, for example
        behind a proxy, which must not get the token.
        """
        response = await self.request(
            "GET", path, query={**query, self._page_size.name: self._page_size.count}
        )
        while True:
            for entry in response.json():
                yield entry
            next_url = response.links.get("next", {}).get("url")
            if not next_url:
                return
            next_query = dict(parse_qsl(urlsplit(next_url).query, keep_blank_values=True))
            response = await self.request("GET", path, query=next_query)

    async def find_comment(self, path: str, marker: str) -> Any:  # noqa: ANN401  JSON
        """Return the first comment in the list at *path* that begins with *marker*, None if there is none."""
        async for comment in self.paginate(path):
            if get_nested(comment, "body", default="").startswith(marker):
                return comment
        return None

    async def send(self, method: str, path: str, value: object = None) -> Any:  # noqa: ANN401  JSON
        """Send *value* as JSON and return the JSON of the response, None if its body is empty."""
        response = await self.request(method, path, json=value)
        return response.json() if response.content else None

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        json: object = None,
        content: bytes | None = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
        ok_statuses: tuple[int, ...] = (),
    ) -> httpx.Response:
        """Return the response to one request; *path* can be a URL, *files* are sent as a form, and *headers* too.

        Raises ReleaseError RK-FORGE-… unless the request succeeds or its status is in *ok_statuses*.
        """
        request = self._http.build_request(
            method,
            path if "://" in path else f"{self.base}{path}",
            params=query or None,
            json=json,
            content=content,
            files=files,
            headers={**self._headers, **headers},
            timeout=60,
        )
        response = await self._send_cached(request)
        if not response.is_success and response.status_code not in ok_statuses:
            raise _response_error(response)
        return response

    async def _send_cached(self, request: httpx.Request) -> httpx.Response:
        """Return the response to *request*: that of the last GET if the forge says that nothing has changed."""
        if request.method != "GET":
            return await self._send_within_limits(request)
        url = str(request.url)
        cached = self._cache.get(url)
        if cached:
            request.headers["If-None-Match"] = cached.headers["ETag"]
        response = await self._send_within_limits(request)
        if cached and response.status_code == HTTPStatus.NOT_MODIFIED:
            return cached
        if response.is_success and "ETag" in response.headers:
            self._cache[url] = response
        return response

    async def _send_within_limits(self, request: httpx.Request) -> httpx.Response:
        """Return the response to *request*; wait and repeat it if the forge asks for that."""
        waited = 0.0
        while True:
            try:
                response = await self._send_with_retries(request)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise _unreachable_error(request, error) from None
            wait = self._requested_delay(response)
            if wait is None:
                return response
            if waited + wait > MAX_WAIT:
                message = f"the server asks to wait {wait:.0f} s before {request.method} {request.url.path}"
                raise ReleaseError(
                    ErrorCode.FORGE_RATE_LIMIT,
                    message,
                    request.url.host,
                    output=_error_details(response),
                )
            log.info("%s asks to wait %.0f s", request.url.host, wait)
            waited += wait
            await self._sleep(wait)

    async def _send_with_retries(self, request: httpx.Request) -> httpx.Response:
        """Return the response to *request*, retried after a transient error if its method is idempotent."""
        # The client itself retries a GET.
        retries = _RETRIES if request.method in _IDEMPOTENT else 0
        for delay in range(1, retries + 1):
            with suppress(httpx.TransportError):
                response = await self._http.send(request)
                if not response.is_server_error:
                    return response
            await self._sleep(float(delay))
        return await self._http.send(request)

    def _requested_delay(self, response: httpx.Response) -> float | None:
        """Return how many seconds the forge asks to wait; None if the response is not about a rate limit.

        GitHub answers 403 or 429. It gives a `Retry-After`, or the time when the hourly limit is reset, or nothing
        (secondary limits).
        """
        headers = response.headers
        if response.status_code not in _LIMITED:
            return None
        if "Retry-After" in headers:
            return max(1.0, retry_after(headers["Retry-After"]))
        for prefix in ("x-ratelimit", "ratelimit"):
            if headers.get(f"{prefix}-remaining") == "0":
                reset_time = float(headers.get(f"{prefix}-reset", 0))
                return max(1.0, reset_time - time.time())
        is_secondary = (
            response.status_code == HTTPStatus.TOO_MANY_REQUESTS
            or "rate limit" in response.text.lower()
        )
        return DEFAULT_WAIT if is_secondary else None


def get_nested(value: Any, *path: str, default: Any = None) -> Any:  # noqa: ANN401  JSON
    """Return the JSON value at *path* inside *value*; *default* if it, or a key on the way, is missing or null."""
    for key in path:
        try:
            value = value[key]
        except (TypeError, KeyError):
            return default
    return default if value is None else value


def non_null(**fields: object) -> dict[str, object]:
    """Return the *fields* of a JSON object without those that are None."""
    return {name: value for name, value in fields.items() if value is not None}


def _unreachable_error(request: httpx.Request, error: Exception) -> ReleaseError:
    reason = f"{type(error).__name__} {error}".strip()
    message = f"{request.method} {mask(str(request.url))}: {mask(reason)}"
    return ReleaseError(ErrorCode.FORGE_UNREACHABLE, message)


def _response_error(response: httpx.Response) -> ReleaseError:
    address = str(response.request.url.copy_with(query=None))
    message = f"{response.status_code} for {response.request.method} {mask(address)}"
    codes = {
        HTTPStatus.UNAUTHORIZED: ErrorCode.FORGE_CREDENTIALS,
        HTTPStatus.FORBIDDEN: ErrorCode.FORGE_READ_ONLY,
        HTTPStatus.NOT_FOUND: ErrorCode.FORGE_CREDENTIALS,  # forges answer so to hide what the token may not see
    }
    fallback = ErrorCode.FORGE_UNREACHABLE if response.is_server_error else ErrorCode.FORGE_REFUSED
    code = codes.get(HTTPStatus(response.status_code), fallback)
    return ReleaseError(code, message, output=_error_details(response))


def _error_details(response: httpx.Response) -> str:
    """Return the reasons that the forge gives; all send {"message": ...}, and GitHub adds `errors`."""
    try:
        value: Any = response.json()
    except ValueError:
        return mask(response.text[:500])
    message = get_nested(value, "message") or get_nested(value, "error")
    errors = get_nested(value, "errors") or ()
    reasons = filter(None, (message, *errors))
    return mask("\n".join(map(str, reasons)))


async def find_or_create(
    find: Callable[[], Awaitable[T | None]], create: Callable[[], Awaitable[T]]
) -> T:
    """Return what *find* finds, else what *create* creates.

    A request that failed may still have had an effect, so after such an error this looks again.
    """
    if existing := await find():
        return existing
    try:
        return await create()
    except ReleaseError as error:
        if error.code not in (ErrorCode.FORGE_UNREACHABLE, ErrorCode.FORGE_REFUSED):
            raise
        if existing := await find():
            return existing
        if error.code is ErrorCode.FORGE_REFUSED:
            raise
    return await create()
