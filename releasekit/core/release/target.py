"""The index that a release is uploaded to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from releasekit.core.addresses import split_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from urllib.parse import SplitResult

    from packaging.version import Version


PYPI = "pypi"
"""The name of PyPI in `publish_to`."""


class IndexAddress(BaseModel):
    """An index as the release record has it: without user name, password and query, because records are readable."""

    model_config = ConfigDict(frozen=True)

    name: str = ""
    check_url: str
    publish_url: str = ""

    def as_target(self) -> Target:
        """Return the index as a target without credentials.

        The name is left out, because uv looks up credentials by the name of an index. Your credentials must not go to
        an address that somebody else wrote.
        """
        return Target(self.check_url, self.publish_url)


@dataclass(frozen=True, slots=True)
class Target:
    """The index of a release.

    *check_url* is the root of the simple index on which uploads are confirmed. *publish_url* is the upload address;
    empty means the default of uv, PyPI. *name* is the name of the [[tool.uv.index]], if there is one. *is_default* says
    that installers use this index by default. *credentials* maps the variables from which uv reads credentials for
    uploads to the names of secrets; None means those of the environment and of the key `secrets`. *falls_back_to* is
    the index for packages that this one does not have; only the throwaway index of a rehearsal has one.
    """

    check_url: str
    publish_url: str
    name: str = ""
    is_default: bool = False
    credentials: Mapping[str, str] | None = field(default=None, hash=False)
    falls_back_to: Target | None = None

    @property
    def index_name(self) -> str:
        """The name of the index as `publish_to` has it."""
        return self.name or PYPI

    @property
    def install_indexes(self) -> tuple[str, ...]:
        """The index URLs that an installer needs to find the release; none for the default index."""
        if self.is_default:
            return ()
        others = self.falls_back_to.install_indexes if self.falls_back_to else ()
        return (self.check_url, *others)

    @property
    def is_pypi(self) -> bool:
        """Whether uploads go to PyPI, the default of uv."""
        return not self.publish_url

    @property
    def runs_warehouse(self) -> bool:
        """Whether the index is PyPI, or runs the same software (warehouse): its upload address ends in "/legacy/"."""
        upload_path = split_address(self.publish_url).path
        return self.is_pypi or upload_path.rstrip("/") == "/legacy"

    @property
    def closes_versions(self) -> bool:
        """Whether the index takes no new files for a version that is 14 days old, as warehouse does."""
        return self.runs_warehouse

    @property
    def has_project_pages(self) -> bool:
        """Whether the index is PyPI or Test PyPI: only these have project pages for people.

        Their addresses have https, no port, and "/simple/" and "/legacy/" at the root. An upload address that ends in
        "/legacy/" is not enough, because other indexes have one too.
        """
        simple = split_address(self.check_url)
        upload = split_address(self.publish_url)
        if not _is_public(simple, "/simple"):
            return False
        if self.is_pypi:
            return True
        same_site = upload.hostname in (simple.hostname, f"upload.{simple.hostname}")
        return same_site and _is_public(upload, "/legacy")

    @property
    def address(self) -> IndexAddress:
        """The index as the release record has it, without credentials."""
        return IndexAddress(
            name=self.name,
            check_url=strip_credentials(self.check_url),
            publish_url=strip_credentials(self.publish_url),
        )

    @property
    def title(self) -> str:
        """The name of the index in messages: "PyPI", its name in the workspace with its host, or its address."""
        if self.is_pypi:
            return "PyPI"
        parts = split_address(self.publish_url)
        if self.name:
            return f"{self.name} ({parts.hostname})"
        _, _, host = parts.netloc.rpartition("@")
        return parts._replace(netloc=host).geturl()

    def package_url(self, name: str, version: Version) -> str:
        """Return the URL that shows *version* of the package *name* (normalised): the project page, or the simple page.

        User names and passwords are left out.
        """
        root = split_address(strip_credentials(self.check_url))
        if self.has_project_pages:
            return root._replace(path=f"/project/{name}/{version}/").geturl()
        return root._replace(path=f"{root.path.rstrip('/')}/{name}/").geturl()


def strip_credentials(address: str) -> str:
    """Return *address* without user info, query and fragment, because these may contain credentials."""
    parts = split_address(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def recorded_targets(
    addresses: Iterable[IndexAddress], configured: Sequence[Target]
) -> tuple[Target, ...]:
    """Return the targets for the *addresses* of a release record.

    An index that the workspace has *configured* is contacted with its credentials, any other without credentials.
    """
    # Reversed, so that the first of several targets with the same address counts.
    by_url = {_simple_root(target.check_url): target for target in reversed(configured)}
    targets: list[Target] = []
    for address in addresses:
        url = _simple_root(address.check_url)
        targets.append(by_url.get(url, address.as_target()))
    return tuple(targets)


def _simple_root(address: str) -> str:
    return strip_credentials(address).rstrip("/")


def _is_public(parts: SplitResult, path: str) -> bool:
    """Return whether *parts* are the address of *path* at the root of an https site with a domain and no port."""
    hostname = parts.hostname or ""
    domain, _, top_level = hostname.rpartition(".")
    _, _, host = parts.netloc.rpartition("@")
    is_https = parts.scheme == "https" and ":" not in host
    has_domain = domain and not top_level.isdigit()  # an IP address ends with digits
    if not (is_https and has_domain):
        return False
    return parts.path.rstrip("/") == path
