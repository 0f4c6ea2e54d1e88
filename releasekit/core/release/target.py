"""Where a release goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from urllib.parse import SplitResult

    from packaging.version import Version


class IndexAddress(BaseModel):
    """An index as a release puts it on record: no user name, password or query, for everybody may read it."""

    model_config = ConfigDict(frozen=True)

    name: str = ""
    check_url: str
    publish_url: str = ""

    def as_target(self) -> Target:
        """Return where this is, for somebody who has no credentials for it.

        The name is left out: uv reads credentials by it, and they must not go to an address that somebody else wrote.
        """
        return Target(self.check_url, self.publish_url)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a release goes: the simple root that confirms it, and the upload address (empty: uv's own, PyPI's).

    *name* is that of the [[tool.uv.index]], if there is one; *is_default* says that installers look there anyway.
    """

    check_url: str
    publish_url: str
    name: str = ""
    is_default: bool = False

    @property
    def install_index(self) -> str:
        """What an installer must be told to find the release; nothing for the default index."""
        return "" if self.is_default else self.check_url

    @property
    def is_pypi(self) -> bool:
        """Whether uploads go where uv sends them when it is told nothing: to PyPI."""
        return not self.publish_url

    @property
    def closes_versions(self) -> bool:
        """Whether the index takes no new files for a version once it is 14 days old: PyPI, and what is built like it.

        Their upload addresses end in "/legacy/" (warehouse).
        """
        return self.is_pypi or urlsplit(self.publish_url).path.rstrip("/") == "/legacy"

    @property
    def has_project_pages(self) -> bool:
        """Whether the index is PyPI or Test PyPI, which alone have pages for people.

        They are reached by https without a port, with "/simple/" and "/legacy/" at the root. That the upload address
        ends in "/legacy/" is not enough: so it does for other indexes too.
        """
        simple, upload = urlsplit(self.check_url), urlsplit(self.publish_url)
        if not _is_public(simple, "/simple"):
            return False
        same_site = upload.hostname in (simple.hostname, f"upload.{simple.hostname}")
        return self.is_pypi or (_is_public(upload, "/legacy") and same_site)

    @property
    def address(self) -> IndexAddress:
        """What is put on record of it."""
        return IndexAddress(
            name=self.name, check_url=strip_credentials(self.check_url), publish_url=strip_credentials(self.publish_url)
        )

    @property
    def title(self) -> str:
        """How people know it: by the name that the workspace gives it and the host, or by its address, or PyPI."""
        if self.is_pypi:
            return "PyPI"
        parts = urlsplit(self.publish_url)
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        return f"{self.name} ({address.hostname})" if self.name else address.geturl()

    def package_url(self, name: str, version: Version) -> str:
        """Return where people see *version* of the package *name* (normalised): PyPI's page, elsewhere the simple one.

        User names and passwords are left out.
        """
        root = urlsplit(strip_credentials(self.check_url))
        if self.has_project_pages:
            return root._replace(path=f"/project/{name}/{version}/").geturl()
        return root._replace(path=f"{root.path.rstrip('/')}/{name}/").geturl()


def strip_credentials(address: str) -> str:
    """Return *address* without user info, query and fragment, where credentials may stand."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def recorded_targets(addresses: Iterable[IndexAddress], configured: Sequence[Target]) -> tuple[Target, ...]:
    """Return where the *addresses* on record are.

    Those that the workspace knows are asked with the credentials that it has for them, all others without any.
    """
    by_url = {_simple_root(target.check_url): target for target in reversed(configured)}
    return tuple(by_url.get(_simple_root(address.check_url), address.as_target()) for address in addresses)


def _simple_root(address: str) -> str:
    return strip_credentials(address).rstrip("/")


def _is_public(parts: SplitResult, path: str) -> bool:
    """Return whether this is *path* at the root of a site that has a name and no port of its own."""
    domain = (parts.hostname or "").rpartition(".")
    has_domain = bool(domain[0]) and not domain[2].isdigit()
    has_port = ":" in parts.netloc.rpartition("@")[2]
    return parts.scheme == "https" and has_domain and not has_port and parts.path.rstrip("/") == path
