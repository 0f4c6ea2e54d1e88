"""A package index, read through its Simple API: JSON (PEP 691) if the index has it, else HTML (PEP 503)."""

from __future__ import annotations

import asyncio
import logging
import netrc
import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

import httpx
from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.integrations.process import mask
from releasekit.integrations.protocols import IndexFile
from releasekit.integrations.secrets import Secrets
from releasekit.integrations.uv import trusted_publishing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.version import Version

    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.integrations.protocols import Index

log = logging.getLogger("releasekit.index")

_JSON, _HTML = "application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.v1+html"
_HEADERS = {
    "Accept": f"{_JSON}, {_HTML};q=0.2, text/html;q=0.01",
    # Proxies may cache the page for 10 minutes, but a release needs the current state.
    "Cache-Control": "no-cache",
}
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz", ".egg", ".exe", ".msi", ".rpm")
_DENIED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_WRONG_ADDRESS = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


class SimpleIndex:
    """The index whose simple root is *url*; one instance can serve many requests at once.

    *http_client* is the run's client (see `http.client`). *name* is the index's name in `[[tool.uv.index]]`.
    Credentials come from the same sources as in uv: `UV_INDEX_<NAME>_USERNAME` and `UV_INDEX_<NAME>_PASSWORD`, then the
    user info of the URL, then netrc. *env* is added to the environment of this process (None hides a variable), and so
    are the *secrets* that the configuration names. The attribute `url` never contains credentials.
    """

    def __init__(
        self,
        url: str,
        http_client: httpx.AsyncClient,
        *,
        name: str = "",
        env: Mapping[str, str | None] | None = None,
        secrets: Secrets | None = None,
    ) -> None:
        self.url, url_user = _split_user(url.rstrip("/"))
        self._http = http_client
        self._secrets = secrets or Secrets()
        self._env: dict[str, str | None] = {**os.environ, **self._secrets.environment("UV_INDEX_"), **(env or {})}
        self._user = self._env_user(name) or url_user or _netrc_user(self.url, self._env)

    async def files(self, project: str) -> tuple[IndexFile, ...] | None:
        """Return the files of *project*, uncached, as the index lists them; None if the index does not know it.

        Raises ReleaseError RK-INDEX-UNREACHABLE (also if 429 or 5xx persists), RK-INDEX-RESPONSE (also if the page has
        a later major version of the API, PEP 629), Refusal RK-INDEX-CREDENTIALS.
        """
        # The slash at the end avoids a redirect (PEP 503).
        page = f"{self.url}/{canonicalize_name(project)}/"
        try:
            response = await self._http.get(page, headers=_HEADERS, auth=self._user)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable_error(ReleaseError, page, error) from error
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        _check_status(response, page)
        return tuple(_parse_page(response))

    async def versions(self, project: str) -> frozenset[Version]:
        """Return the versions for which *project* has files, also yanked; empty if the index does not know it."""
        listed = await self.files(project) or ()
        versions = {_file_version(file.name) for file in listed}
        return frozenset(version for version in versions if version is not None)

    async def requirements(self, project: str, version: Version) -> tuple[Requirement, ...] | None:
        """Return all requirements of any wheel of *version* (PEP 658).

        Empty if the index has no wheel of it, so that no requirement is a conflict. None if the index does not give
        the requirements. Raises as `files` does.
        """
        requirements: list[Requirement] = []
        for file in await self.files(project) or ():
            if not file.name.endswith(".whl") or _file_version(file.name) != version:
                continue
            required = await self._wheel_requirements(file)
            if required is None:
                return None
            requirements += required
        return tuple(requirements)

    async def _wheel_requirements(self, wheel: IndexFile) -> list[Requirement] | None:
        try:
            content = await self.content(replace(wheel, url=f"{wheel.url}.metadata"))
        except ReleaseError as error:
            if error.code is ErrorCode.INDEX_RESPONSE:
                return None
            raise
        metadata, _ = parse_email(content)
        try:
            return [Requirement(text) for text in metadata.get("requires_dist", [])]
        except InvalidRequirement:  # uploaded before indexes rejected these
            return None

    async def content(self, file: IndexFile) -> bytes:
        """Return the bytes of *file*.

        Raises ReleaseError RK-INDEX-UNREACHABLE, RK-INDEX-CREDENTIALS, RK-INDEX-RESPONSE.
        """
        try:
            response = await self._http.get(file.url, auth=self._user)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable_error(ReleaseError, file.url, error) from error
        _check_status(response, file.url)
        return response.content

    async def check_credentials(self, publish_url: str) -> None:
        """Send an upload without a file to *publish_url*, with the credentials that `uv publish` would find.

        They are `UV_PUBLISH_TOKEN`, or `UV_PUBLISH_USERNAME` and `UV_PUBLISH_PASSWORD`, or the user info of the URL, or
        netrc. Every status except 401 and 403 means that they are valid: the index rejects the empty upload for another
        reason. Without credentials no request is sent if uv gets them from the CI (trusted publishing), from a keyring
        or from `uv auth login`.

        Raises Refusal RK-INDEX-CREDENTIALS if they are rejected, missing or contradictory, RK-INDEX-UNREACHABLE if no
        server answers.
        """
        address, user = self._upload_credentials(publish_url)
        if user is None and self._uv_has_credentials():
            log.info("credentials for %s not checked: uv gets them itself", mask(address))
            return
        try:
            response = await self._send_empty_upload(address, user)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable_error(Refusal, address, error) from error
        if response.status_code in _DENIED:
            message = "the index rejects the credentials" if user else "no credentials, but the index requires them"
            raise Refusal(ErrorCode.INDEX_CREDENTIALS, f"{message} ({response.status_code})", mask(address))
        _warn_about_upload(response, address, user)

    def has_credentials(self, publish_url: str) -> bool:
        """Return whether an upload to *publish_url* would have credentials, valid or not; sends no request."""
        return self._upload_credentials(publish_url)[1] is not None or self._uv_has_credentials()

    def _upload_credentials(self, publish_url: str) -> tuple[str, tuple[str, str] | None]:
        """Return the address for uploads, and the user name and password that `uv publish` would find for it."""
        address, url_user = _split_user(publish_url)
        env = {**self._env, **self._secrets.environment("UV_PUBLISH_")}
        return address, _publish_user(url_user, env) or _netrc_user(address, self._env)

    async def _send_empty_upload(self, address: str, user: tuple[str, str] | None) -> httpx.Response:
        auth = user or httpx.USE_CLIENT_DEFAULT
        try:
            # Some indexes treat a form that is not multipart as XML-RPC, and answer 200 to everyone.
            return await self._http.post(address, files=_EMPTY_UPLOAD, auth=auth, follow_redirects=False)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            # A server that rejects the credentials may answer after the headers and close the connection. Sending the
            # body then resets the connection, and the response is lost. So send only the headers, which were enough.
            return await self._http.post(address, headers=_FORM, auth=auth, follow_redirects=False)

    def _env_user(self, name: str) -> tuple[str, str] | None:
        prefix = f"UV_INDEX_{re.sub('[^A-Z0-9]', '_', name.upper())}_"
        credentials = _variable(self._env, f"{prefix}USERNAME"), _variable(self._env, f"{prefix}PASSWORD")
        return credentials if name and any(credentials) else None

    def _uv_has_credentials(self) -> bool:
        keyring = self._env.get("UV_KEYRING_PROVIDER") or "disabled"
        data = self._env.get("XDG_DATA_HOME") or Path("~/.local/share").expanduser()
        store = self._env.get("UV_CREDENTIALS_DIR") or Path(data, "uv", "credentials")
        if trusted_publishing(self._secrets) != "never":
            return True
        return keyring != "disabled" or Path(store, "credentials.toml").exists()


async def files_on_index(
    packages: Sequence[BuiltPackage], index: Index, *, strict: bool = True
) -> dict[str, dict[str, IndexFile]]:
    """Return, by package and file name, the files of *packages* that *index* lists with our sha256.

    If *index* lists a file with a different sha256: with *strict*, raises Refusal RK-PUBLISH-CHECKSUM-MISMATCH; else
    the file is left out.
    """
    matches: dict[str, dict[str, IndexFile]] = {}
    pages = await asyncio.gather(*(index.files(package.name) for package in packages))
    for package, page in zip(packages, pages, strict=True):
        listed = {file.name: file for file in page or ()}
        matches[package.name] = {}
        for file in package.files:
            index_file = listed.get(file.name)
            if index_file is None:
                continue
            if index_file.sha256 in ("", file.sha256):
                matches[package.name][file.name] = index_file
            elif strict:
                message = f"{file.name} on the index has different content than the file built here"
                raise Refusal(ErrorCode.PUBLISH_CHECKSUM_MISMATCH, message, f"{index.url}: sha256 {index_file.sha256}")
    return matches


def upload_times(listed: Mapping[str, Mapping[str, IndexFile]]) -> dict[str, dict[str, datetime | None]]:
    """Return, by package and file name, the upload time of each file in *listed*, the result of `files_on_index`."""
    return {package: {name: file.upload_time for name, file in files.items()} for package, files in listed.items()}


_EMPTY_UPLOAD = [(":action", (None, "file_upload")), ("protocol_version", (None, "1"))]
_FORM = {"Content-Type": "multipart/form-data; boundary=end"}


def _parse_time(text: object) -> datetime | None:
    """Return the time that an index gives; None if it is malformed, which does not make the page invalid."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


class _File(BaseModel):
    filename: str
    url: str
    hashes: dict[str, str] = Field(default_factory=dict)
    yanked: bool | str = False  # a string is the reason of a yank (PEP 592)
    uploaded: Annotated[datetime | None, BeforeValidator(_parse_time)] = Field(None, alias="upload-time")  # PEP 700


class _Meta(BaseModel):
    api_version: str = Field(alias="api-version", pattern=r"^1\.")


class _ProjectPage(BaseModel):
    meta: _Meta
    files: list[_File]


class _LinkParser(HTMLParser):
    """The links of an HTML page, and whether it is a Simple API page."""

    def __init__(self) -> None:
        super().__init__()
        self.base = ""
        self.links: list[tuple[str, bool]] = []
        self.version = ""
        self.title = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        href = attributes.get("href") or ""
        if tag == "a" and href:
            self.links.append((href, "data-yanked" in attributes))
        elif tag == "base":
            self.base = self.base or href
        elif tag == "meta" and attributes.get("name") == "pypi:repository-version":
            self.version = attributes.get("content") or ""

    def handle_data(self, data: str) -> None:
        if self.lasttag == "title":
            self.title += data.lower()

    @property
    def is_simple(self) -> bool:
        """Whether this is a Simple API page; without links to files, its version or title must show it."""
        if self.version:
            return self.version.startswith("1.")
        has_title = "links for" in self.title or "simple index" in self.title
        return has_title or any(_file_name(link) for link, _ in self.links)


def _parse_page(response: httpx.Response) -> Iterator[IndexFile]:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    page = str(response.url)
    if kind in {_JSON, "application/json"}:
        return _parse_json(response.content, page)
    if kind in {_HTML, "text/html"}:
        return _parse_html(response.text, page)
    raise _page_error(page, f"the index sent {kind or 'no content type'}")


def _parse_json(content: bytes, page: str) -> Iterator[IndexFile]:
    try:
        files = _ProjectPage.model_validate_json(content).files
    except ValidationError as error:
        # Only the message of the first error: the full text would show the content of the page.
        raise _page_error(page, error.errors()[0]["msg"]) from None
    return (
        IndexFile(
            name=file.filename,
            sha256=file.hashes.get("sha256", ""),
            url=urljoin(page, file.url),
            yanked=file.yanked is not False,
            upload_time=file.uploaded,
        )
        for file in files
    )


def _parse_html(text: str, page: str) -> Iterator[IndexFile]:
    parser = _LinkParser()
    parser.feed(text)
    if not parser.is_simple:
        raise _page_error(page, "the index sent a different web page")
    base = urljoin(page, parser.base)
    return (_file_from_link(urljoin(base, link), yanked=yanked) for link, yanked in parser.links if _file_name(link))


def _file_from_link(link: str, *, yanked: bool) -> IndexFile:
    url, fragment = urldefrag(link)
    kind, _, digest = fragment.partition("=")
    return IndexFile(_file_name(url), digest.lower() if kind == "sha256" else "", url, yanked)


def _file_name(link: str) -> str:
    """Return the file name at the end of *link* (PEP 503), empty if it does not lead to a package file."""
    last = unquote(urlsplit(link).path.rpartition("/")[2])
    return last if last.lower().endswith(_ARCHIVES) else ""


def _file_version(file: str) -> Version | None:
    parse = parse_wheel_filename if file.endswith(".whl") else parse_sdist_filename
    try:
        return parse(file)[1]
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None


def _split_user(url: str) -> tuple[str, tuple[str, str] | None]:
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    credentials = (unquote(name), unquote(password))
    return urlunsplit(parts._replace(netloc=host)), credentials if at else None


def _netrc_user(url: str, env: Mapping[str, str | None]) -> tuple[str, str] | None:
    path = env.get("NETRC") or Path("~/.netrc").expanduser()
    host = urlsplit(url).hostname or ""
    try:
        entry = netrc.netrc(path).authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return (entry[0], entry[2]) if entry else None


def _publish_user(url_user: tuple[str, str] | None, env: Mapping[str, str | None]) -> tuple[str, str] | None:
    """Return user name and password as uv reads them from *env* and the URL's user info *url_user*, None if none.

    Raises Refusal RK-INDEX-CREDENTIALS if they contradict each other.
    """
    token = _variable(env, "UV_PUBLISH_TOKEN")
    env_user = _variable(env, "UV_PUBLISH_USERNAME")
    env_password = _variable(env, "UV_PUBLISH_PASSWORD")
    if token and (env_user or env_password):
        raise Refusal(ErrorCode.INDEX_CREDENTIALS, "UV_PUBLISH_TOKEN is set together with a user name or password")
    if token:
        env_user, env_password = "__token__", token
    url_name, url_password = url_user or ("", "")
    user = _single_value("user names", env_user, url_name)
    password = _single_value("passwords", env_password, url_password)
    if password and not user:
        raise Refusal(ErrorCode.INDEX_CREDENTIALS, "UV_PUBLISH_PASSWORD is set without UV_PUBLISH_USERNAME")
    return (user, password) if user else None


def _variable(values: Mapping[str, str | None], name: str) -> str:
    """Return the value called *name*, empty if it is missing or None."""
    return values.get(name) or ""


def _single_value(kind: str, *values: str) -> str:
    distinct = {value for value in values if value}
    if len(distinct) > 1:
        raise Refusal(ErrorCode.INDEX_CREDENTIALS, f"the publish URL and the environment give different {kind}")
    return next(iter(distinct), "")


def _warn_about_upload(response: httpx.Response, address: str, user: tuple[str, str] | None) -> None:
    if response.status_code in _WRONG_ADDRESS or response.is_redirect or response.is_server_error:
        log.warning("%s answers %d to an upload; check the address", mask(address), response.status_code)
    elif user is None:
        # Measured: uv stops with "Missing credentials for" before it sends a request.
        log.warning("%s needs no credentials, but uv uploads nothing without UV_PUBLISH_USERNAME", mask(address))


def _check_status(response: httpx.Response, page: str) -> None:
    status = response.status_code
    if status in _DENIED:
        raise Refusal(
            ErrorCode.INDEX_CREDENTIALS,
            f"the index refuses read access ({status})",
            mask(page),
            "Set UV_INDEX_<NAME>_USERNAME and UV_INDEX_<NAME>_PASSWORD, with the name of its [[tool.uv.index]].",
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS or response.is_server_error:
        raise ReleaseError(ErrorCode.INDEX_UNREACHABLE, f"the index keeps answering {status}", mask(page))
    if status != HTTPStatus.OK:
        raise _page_error(page, f"the index answered {status}")


def _page_error(page: str, why: str) -> ReleaseError:
    return ReleaseError(ErrorCode.INDEX_RESPONSE, f"not a Simple API page: {why}", mask(page))


def _unreachable_error(kind: type[ReleaseError], url: str, error: Exception) -> ReleaseError:
    reason = mask(str(error)) or type(error).__name__
    return kind(ErrorCode.INDEX_UNREACHABLE, f"the index does not answer: {reason}", mask(url))
