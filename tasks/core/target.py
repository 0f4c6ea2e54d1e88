"""Where a release goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from packaging.version import Version


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
    def is_like_pypi(self) -> bool:
        """Whether the index is PyPI or of its kind, whose upload address ends in "/legacy/"."""
        return self.is_pypi or urlsplit(self.publish_url).path.rstrip("/") == "/legacy"

    @property
    def title(self) -> str:
        """How people know it: by the name that the workspace gives it and the host, or by its address, or PyPI."""
        if self.is_pypi:
            return "PyPI"
        parts = urlsplit(self.publish_url)
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        return f"{self.name} ({address.hostname})" if self.name else address.geturl()

    def page(self, name: str, version: Version) -> str:
        """Return where people see *version* of the package *name* (normalised): PyPI's page, elsewhere the simple one.

        User names and passwords are left out.
        """
        parts = urlsplit(self.check_url)
        root = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        if self.is_like_pypi:
            return root._replace(path=f"/project/{name}/{version}/").geturl()
        return root._replace(path=f"{root.path.rstrip('/')}/{name}/").geturl()
