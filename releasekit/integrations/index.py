"""A package index, read through its Simple API: JSON (PEP 691) if the index has it, else HTML (PEP 503)."""

from __future__ import annotations

import asyncio
import logging
import netrc
import os
import re
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote, urldefrag, urljoin, urlunsplit

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

from releasekit.core.addresses import split_address
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, ReleaseWarning
from releasekit.core.picking import drop_empty
from releasekit.integrations.process import mask, register_secret
from releasekit.integrations.protocols import IndexFile
from releasekit.integrations.secrets import NO_SECRETS
from releasekit.integrations.trusted_publishing import (
    burn_token,
    find_audience,
    get_identity,
    mint_token,
    speaks_other_protocol,
)
from releasekit.integrations.uv import trusted_publishing
from releasekit.integrations.wheel_texts import read_metadata

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from packaging.version import Version

    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.integrations.protocols import Index
    from releasekit.integrations.secrets import Secrets

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
_WHEEL_END = 64 << 10
"""Bytes at the end of a wheel in which its METADATA is, unless its build backend writes METADATA first."""
_MAX_WHEEL = 64 << 20
"""Bytes of a wheel that is fetched as a whole for its METADATA."""
_UNCHANGED: Mapping[str, str | None] = MappingProxyType({})


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
        env: Mapping[str, str | None] = _UNCHANGED,
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        self.url, url_user = _split_user(url.rstrip("/"))
        self._http = http_client
        self._secrets = secrets
        variables: dict[str, str | None] = {**os.environ, **secrets.environment("UV_INDEX_"), **env}
        # As in uv, an empty variable counts as a missing one.
        self._env = {name: value for name, value in variables.items() if value}
        self._user = _mask_password(
            self._env_user(name) or url_user or _netrc_user(self.url, self._env)
        )

    async def files(self, project: str) -> tuple[IndexFile, ...] | None:
        """Return the files of *project*, uncached, as the index lists them; None if the index does not know it.

        Raises ReleaseError RK-INDEX-UNREACHABLE (also if 429 or 5xx persists), RK-INDEX-RESPONSE (also if the page has
        a later major version of the API, PEP 629), Refusal RK-INDEX-CREDENTIALS.
        """
        # The slash at the end avoids a redirect (PEP 503).
        page = f"{self.url}/{canonicalize_name(project)}/"
        response = await self._get(page, _HEADERS)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        _check_status(response, page)
        return tuple(_parse_page(response))

    async def versions(self, project: str) -> frozenset[Version]:
        """Return the versions for which *project* has files, also yanked; empty if the index does not know it."""
        files = await self.files(project) or ()
        versions = {file_version(file.name) for file in files}
        return frozenset(filter(None, versions))

    async def requirements(self, project: str, version: Version) -> tuple[Requirement, ...] | None:
        """Return all requirements of any wheel of *version*.

        They are in METADATA, which the index gives beside each wheel (PEP 658). If it does not, METADATA of one wheel
        is read, as uv does: nearly always all have the same.
        Empty if the index has no wheel of it, so that no requirement is a conflict. None if that wheel cannot be read,
        or is too large for an index that sends no parts of files. Raises as `files` does.
        """
        files = await self.files(project) or ()
        requirements: list[Requirement] = []
        wheels = [file for file in _files_of(version, files) if file.name.endswith(".whl")]
        for wheel in wheels:
            beside = await self._metadata_beside(wheel)
            if beside is None:
                return _read_requirements(await self._metadata_inside(wheel))
            found = _read_requirements(beside)
            if found is None:
                return None
            requirements += found
        return tuple(requirements)

    async def _metadata_beside(self, wheel: IndexFile) -> bytes | None:
        url = f"{wheel.url}.metadata"
        response = await self._get(url)
        is_metadata = (
            b"Metadata-Version:" in response.content
        )  # some servers answer every address with a page
        if response.status_code == HTTPStatus.OK and is_metadata:
            return response.content
        # Storage without a public listing answers 403 to what it does not have: the wheel shows whether we may read.
        if response.status_code not in _DENIED:
            _check_availability(response, url)
        return None

    async def _metadata_inside(self, wheel: IndexFile) -> str:
        """Return METADATA from *wheel* itself, empty if it is not read. Most build backends write it near the end."""
        try:
            end, size = await self._wheel_end(wheel)
            metadata = read_metadata(end, wheel.name)
            if metadata or len(end) == size or size > _MAX_WHEEL:
                return metadata
            return read_metadata(await self.content(wheel), wheel.name)
        except ReleaseError as error:
            if error.code is ErrorCode.INDEX_RESPONSE:
                return ""
            raise

    async def _wheel_end(self, wheel: IndexFile) -> tuple[bytes, int]:
        """Return the last bytes of *wheel*, and how many it has; all of them if the server sends no parts.

        No bytes if there are too many, and if the server rejects the question because the wheel has fewer (416).
        """
        headers = {"Range": f"bytes=-{_WHEEL_END}", "Accept-Encoding": "identity"}
        with _network_errors_as(ReleaseError, wheel.url):
            request = self._http.stream("GET", wheel.url, headers=headers, auth=self._user)
            async with request as response:
                size = _size_of(response)
                if response.status_code == HTTPStatus.PARTIAL_CONTENT:
                    return await response.aread(), size
                if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    return b"", size
                _check_status(response, wheel.url)
                return (await response.aread() if size <= _MAX_WHEEL else b""), size

    async def content(self, file: IndexFile) -> bytes:
        """Return the bytes of *file*.

        Raises ReleaseError RK-INDEX-UNREACHABLE, RK-INDEX-CREDENTIALS, RK-INDEX-RESPONSE.
        """
        response = await self._get(file.url)
        _check_status(response, file.url)
        return response.content

    async def _get(self, url: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        with _network_errors_as(ReleaseError, url):
            return await self._http.get(url, headers=headers, auth=self._user)

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
        with _network_errors_as(Refusal, address):
            response = await self._send_empty_upload(address, user)
        if response.status_code in _DENIED:
            message = (
                "the index rejects the credentials"
                if user
                else "no credentials, but the index requires them"
            )
            raise Refusal(
                ErrorCode.INDEX_CREDENTIALS, f"{message} ({response.status_code})", mask(address)
            )
        _warn_about_upload(response, address, user)

    async def trusted_audience(self, publish_url: str) -> str:
        """Return for whom an identity must be made out, if uploads to *publish_url* rely on trusted publishing.

        Empty, and without a request, if uv would find other credentials, or asks in a way that only uv knows.
        Raises Refusal RK-INDEX-CREDENTIALS if the index has no trusted publishing, RK-INDEX-UNREACHABLE.
        """
        if not self._relies_on_publisher(publish_url):
            return ""
        with _network_errors_as(Refusal, publish_url):
            return await find_audience(self._http, publish_url)

    async def try_trusted_publishing(self, publish_url: str, audience: str) -> str:
        """Get a token for uploads as uv does, and return it when the index no longer takes it.

        Raises Refusal RK-INDEX-NO-PUBLISHER, RK-INDEX-UNREACHABLE.
        """
        with _network_errors_as(Refusal, publish_url):
            identity = await get_identity(self._http, audience, self._env)
            token = await mint_token(self._http, publish_url, identity)
        await burn_token(self._http, publish_url, token)
        return token

    def _relies_on_publisher(self, publish_url: str) -> bool:
        _, user = self._upload_credentials(publish_url)
        others = user is not None or self._uv_has_stored_credentials()
        return not others and not speaks_other_protocol(publish_url)

    def has_credentials(self, publish_url: str) -> bool:
        """Return whether an upload to *publish_url* would have credentials, valid or not; sends no request."""
        _, user = self._upload_credentials(publish_url)
        return user is not None or self._uv_has_credentials()

    async def can_yank(self, publish_url: str) -> bool:
        """Return whether the index at *publish_url* says that it has an interface to yank a version, as peryx does."""
        address, _ = _split_user(publish_url)
        if not address:
            return False
        url = f"{address.rstrip('/')}/+api"
        with _network_errors_as(ReleaseError, url):
            # Not with redirects: pypiserver redirects here for ever.
            response = await self._http.get(url, auth=self._user, follow_redirects=False)
        if response.is_server_error:
            _check_status(response, url)
        try:
            capabilities = _Discovery.model_validate_json(response.content).index.capabilities
        except ValidationError:
            return False
        return capabilities.yanking

    async def yank(self, publish_url: str, project: str, version: Version, reason: str) -> None:
        """Yank all files of *version* of *project*, with the credentials for uploads.

        Raises ReleaseError RK-YANK-REFUSED, RK-INDEX-UNREACHABLE.
        """
        address, user = self._upload_credentials(publish_url)
        url = f"{address.rstrip('/')}/{canonicalize_name(project)}/{version}/yank"
        with _network_errors_as(ReleaseError, url):
            response = await self._http.put(
                url, params={"reason": reason}, auth=user or httpx.USE_CLIENT_DEFAULT
            )
        if response.is_success:
            return
        is_missing = response.status_code == HTTPStatus.NOT_FOUND  # also if nothing is left to yank
        if is_missing and await self._is_yanked(project, version):
            return
        message = f"the index answers {response.status_code} to the yank of {project} {version}"
        raise ReleaseError(
            ErrorCode.YANK_REFUSED, message, mask(url), output=mask(response.text[:500])
        )

    async def _is_yanked(self, project: str, version: Version) -> bool:
        files = await self.files(project) or ()
        own = _files_of(version, files)
        return bool(own) and all(file.yanked for file in own)

    def _upload_credentials(self, publish_url: str) -> tuple[str, tuple[str, str] | None]:
        """Return the address for uploads, and the user name and password that `uv publish` would find for it."""
        address, url_user = _split_user(publish_url)
        variables = {**self._env, **self._secrets.upload_environment()}
        user = _publish_user(url_user, drop_empty(variables)) or _netrc_user(address, self._env)
        return address, _mask_password(user)

    async def _send_empty_upload(
        self, address: str, user: tuple[str, str] | None
    ) -> httpx.Response:
        auth = user or httpx.USE_CLIENT_DEFAULT
        try:
            # Some indexes treat a form that is not multipart as XML-RPC, and answer 200 to everyone.
            return await self._http.post(
                address, files=_EMPTY_UPLOAD, auth=auth, follow_redirects=False
            )
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            # A server that rejects the credentials may answer after the headers and close the connection. Sending the
            # body then resets the connection, and the response is lost. So send only the headers, which were enough.
            return await self._http.post(address, headers=_FORM, auth=auth, follow_redirects=False)

    def _env_user(self, name: str) -> tuple[str, str] | None:
        if not name:
            return None
        prefix = f"UV_INDEX_{re.sub('[^A-Z0-9]', '_', name.upper())}"
        user = self._env.get(f"{prefix}_USERNAME", "")
        password = self._env.get(f"{prefix}_PASSWORD", "")
        return (user, password) if user or password else None

    def _uv_has_credentials(self) -> bool:
        return trusted_publishing(self._secrets) != "never" or self._uv_has_stored_credentials()

    def _uv_has_stored_credentials(self) -> bool:
        keyring = self._env.get("UV_KEYRING_PROVIDER", "disabled")
        data = self._env.get("XDG_DATA_HOME") or Path("~/.local/share").expanduser()
        store = self._env.get("UV_CREDENTIALS_DIR", Path(data, "uv", "credentials"))
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
        matches[package.name] = _match_files(package, page or (), index.url, strict=strict)
    return matches


def _match_files(
    package: BuiltPackage, page: Sequence[IndexFile], index_url: str, *, strict: bool
) -> dict[str, IndexFile]:
    listed = {file.name: file for file in page}
    matches: dict[str, IndexFile] = {}
    for file in package.files:
        index_file = listed.get(file.name)
        if index_file is None:
            continue
        if index_file.sha256 in ("", file.sha256):
            matches[file.name] = index_file
        elif strict:
            message = f"{file.name} on the index has different content than the file built here"
            location = f"{index_url}: sha256 {index_file.sha256}"
            raise Refusal(ErrorCode.PUBLISH_CHECKSUM_MISMATCH, message, location)
    return matches


def upload_times(
    listed: Mapping[str, Mapping[str, IndexFile]],
) -> dict[str, dict[str, datetime | None]]:
    """Return, by package and file name, the upload time of each file in *listed*, the result of `files_on_index`."""
    times: dict[str, dict[str, datetime | None]] = {}
    for package, files in listed.items():
        times[package] = {name: file.upload_time for name, file in files.items()}
    return times


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
    provenance: str | None = None  # PEP 740
    # PEP 700.
    uploaded: Annotated[datetime | None, BeforeValidator(_parse_time)] = Field(
        None, alias="upload-time"
    )

    def to_index_file(self, page: str) -> IndexFile:
        """Return this file with an absolute address; its own may be relative to *page*."""
        return IndexFile(
            name=self.filename,
            sha256=self.hashes.get("sha256", ""),
            url=urljoin(page, self.url),
            yanked=self.yanked is not False,
            upload_time=self.uploaded,
            provenance=urljoin(page, self.provenance) if self.provenance else "",
        )


class _Meta(BaseModel):
    api_version: str = Field(alias="api-version", pattern=r"^1\.")


class _ProjectPage(BaseModel):
    meta: _Meta
    files: list[_File]


class _Capabilities(BaseModel):
    yanking: bool = False


class _DiscoveredIndex(BaseModel):
    capabilities: _Capabilities


class _Discovery(BaseModel):
    """What peryx says about an index at `+api`. Other indexes answer something else, or nothing."""

    index: _DiscoveredIndex


class _LinkParser(HTMLParser):
    """The links to files of an HTML page, and whether it is a Simple API page."""

    def __init__(self) -> None:
        super().__init__()
        self.base = ""
        self.links: list[tuple[str, bool]] = []
        self.version = ""
        self.title = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        href = attributes.get("href", "")
        if tag == "a" and _file_name(href):
            self.links.append((href, "data-yanked" in attributes))
        elif tag == "base":
            self.base = self.base or href
        elif tag == "meta" and attributes.get("name") == "pypi:repository-version":
            self.version = attributes.get("content", "")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "title":
            self.title += data.lower()

    @property
    def is_simple(self) -> bool:
        """Whether this is a Simple API page; without links to files, its version or title must show it."""
        if self.version:
            return self.version.startswith("1.")
        return bool(self.links) or "links for" in self.title or "simple index" in self.title


def _parse_page(response: httpx.Response) -> Iterator[IndexFile]:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    parse = _PARSERS.get(kind)
    if parse is None:
        raise _page_error(str(response.url), f"the index sent {kind or 'no content type'}")
    return parse(response)


def _parse_json(response: httpx.Response) -> Iterator[IndexFile]:
    page = str(response.url)
    try:
        files = _ProjectPage.model_validate_json(response.content).files
    except ValidationError as error:
        # Only the message of the first error: the full text would show the content of the page.
        raise _page_error(page, error.errors()[0]["msg"]) from None
    return (file.to_index_file(page) for file in files)


def _parse_html(response: httpx.Response) -> Iterator[IndexFile]:
    page = str(response.url)
    parser = _LinkParser()
    parser.feed(response.text)
    if not parser.is_simple:
        raise _page_error(page, "the index sent a different web page")
    base = urljoin(page, parser.base)
    return (_file_from_link(urljoin(base, link), yanked=yanked) for link, yanked in parser.links)


_PARSERS = {
    _JSON: _parse_json,
    "application/json": _parse_json,
    _HTML: _parse_html,
    "text/html": _parse_html,
}


def _file_from_link(link: str, *, yanked: bool) -> IndexFile:
    url, fragment = urldefrag(link)
    kind, _, digest = fragment.partition("=")
    sha256 = digest.lower() if kind == "sha256" else ""
    return IndexFile(_file_name(url), sha256, url, yanked)


def _file_name(link: str) -> str:
    """Return the file name at the end of *link* (PEP 503), empty if it does not lead to a package file."""
    last = unquote(split_address(link).path.rpartition("/")[2])
    return last if last.lower().endswith(_ARCHIVES) else ""


def file_version(file: str) -> Version | None:
    """Return the version in the name of a wheel or sdist; None if it is neither."""
    parse = parse_wheel_filename if file.endswith(".whl") else parse_sdist_filename
    try:
        _, version, *_ = parse(file)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
    return version


def _mask_password(user: tuple[str, str] | None) -> tuple[str, str] | None:
    """Return *user*; its password is masked from now on."""
    if user:
        register_secret(user[1])
    return user


def _split_user(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return *url* without its user info, and the user name and password in it."""
    parts = split_address(url)
    user_info, at, host = parts.netloc.rpartition("@")
    address = urlunsplit(parts._replace(netloc=host))
    if not at:
        return address, None
    name, _, password = user_info.partition(":")
    return address, (unquote(name), unquote(password))


def _netrc_user(url: str, env: Mapping[str, str]) -> tuple[str, str] | None:
    host = split_address(url).hostname or ""
    path = env.get("NETRC") or os.path.expanduser("~/.netrc")  # noqa: PTH111  Path fails without a home
    try:
        entry = netrc.netrc(path).authenticators(host)
    except UnicodeDecodeError:
        _warn_about_encoding(path)
        return None
    except (OSError, netrc.NetrcParseError):
        return None
    if entry is None:
        return None
    login, _, password = entry
    return login, password


@lru_cache
def _warn_about_encoding(path: str) -> None:
    """Warn once about the netrc file *path*: uv reads none that is not UTF-8, so its credentials do not count."""
    message = "this netrc file is not UTF-8, so neither uv nor releasekit reads it"
    log.warning("warning %s", ReleaseWarning(ErrorCode.NETWORK_SETTING, message, path))


def _publish_user(
    url_user: tuple[str, str] | None, env: Mapping[str, str]
) -> tuple[str, str] | None:
    """Return user name and password as uv reads them from *env* and the URL's user info *url_user*, None if none.

    Raises Refusal RK-INDEX-CREDENTIALS if they contradict each other.
    """
    env_user, env_password = _publish_variables(env)
    url_name, url_password = url_user or ("", "")
    user = _single_value("user names", env_user, url_name)
    password = _single_value("passwords", env_password, url_password)
    if user:
        return user, password
    if password:
        raise Refusal(
            ErrorCode.INDEX_CREDENTIALS, "UV_PUBLISH_PASSWORD is set without UV_PUBLISH_USERNAME"
        )
    return None


def _publish_variables(env: Mapping[str, str]) -> tuple[str, str]:
    """Return user name and password as *env* has them, directly or as a token; each is empty if it is not set."""
    token = env.get("UV_PUBLISH_TOKEN", "")
    user = env.get("UV_PUBLISH_USERNAME", "")
    password = env.get("UV_PUBLISH_PASSWORD", "")
    if not token:
        return user, password
    if user or password:
        raise Refusal(
            ErrorCode.INDEX_CREDENTIALS,
            "UV_PUBLISH_TOKEN is set together with a user name or password",
        )
    return "__token__", token


def _single_value(kind: str, *values: str) -> str:
    distinct = set(filter(None, values))
    if len(distinct) > 1:
        raise Refusal(
            ErrorCode.INDEX_CREDENTIALS,
            f"the publish URL and the environment give different {kind}",
        )
    return next(iter(distinct), "")


def _warn_about_upload(
    response: httpx.Response, address: str, user: tuple[str, str] | None
) -> None:
    status = response.status_code
    is_unexpected = status in _WRONG_ADDRESS or response.is_redirect or response.is_server_error
    if is_unexpected:
        log.warning("%s answers %d to an upload; check the address", mask(address), status)
    elif user is None:
        # Measured: uv stops with "Missing credentials for" before it sends a request.
        log.warning(
            "%s needs no credentials, but uv uploads nothing without UV_PUBLISH_USERNAME",
            mask(address),
        )


def _files_of(version: Version, files: Iterable[IndexFile]) -> list[IndexFile]:
    """Return the wheels and sdists of *version* among *files*."""
    return [file for file in files if file_version(file.name) == version]


def _read_requirements(metadata: bytes | str) -> tuple[Requirement, ...] | None:
    """Return the requirements in *metadata*; None if it is empty, or one of them is invalid."""
    if not metadata:
        return None
    fields, _ = parse_email(metadata)
    try:
        return tuple(map(Requirement, fields.get("requires_dist", [])))
    except InvalidRequirement:  # uploaded before indexes rejected these
        return None


def _size_of(response: httpx.Response) -> int:
    """Return the size of the file that *response* has, all of it or a part (RFC 9110, 14.4); 0 if unknown."""
    total = response.headers.get("Content-Range", "").rpartition("/")[2]
    size = total or response.headers.get("Content-Length", "")
    return int(size) if size.isdecimal() else 0


def _check_status(response: httpx.Response, page: str) -> None:
    status = response.status_code
    if status in _DENIED:
        raise Refusal(
            ErrorCode.INDEX_CREDENTIALS,
            f"the index refuses read access ({status})",
            mask(page),
            "Set UV_INDEX_<NAME>_USERNAME and UV_INDEX_<NAME>_PASSWORD, with the name of its [[tool.uv.index]].",
        )
    _check_availability(response, page)
    if status != HTTPStatus.OK:
        raise _page_error(page, f"the index answered {status}")


def _check_availability(response: httpx.Response, page: str) -> None:
    status = response.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS or response.is_server_error:
        raise ReleaseError(
            ErrorCode.INDEX_UNREACHABLE, f"the index keeps answering {status}", mask(page)
        )


def _page_error(page: str, why: str) -> ReleaseError:
    return ReleaseError(ErrorCode.INDEX_RESPONSE, f"not a Simple API page: {why}", mask(page))


@contextmanager
def _network_errors_as(kind: type[ReleaseError], url: str) -> Generator[None]:
    """Inside the block, turn errors of httpx into the *kind* RK-INDEX-UNREACHABLE."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = mask(str(error)) or type(error).__name__
        message = f"the index does not answer: {reason}"
        raise kind(ErrorCode.INDEX_UNREACHABLE, message, mask(url)) from error
