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
    def is_warehouse(self) -> bool:
        """Whether pages for people stand beside the simple root: PyPI and its like are uploaded to at "/legacy/"."""
        return self.is_pypi or urlsplit(self.publish_url).path.rstrip("/") == "/legacy"

    @property
    def host(self) -> str:
        """The index's address without path, and without the credentials that may stand in it."""
        simple = urlsplit(self.check_url)
        return f"{simple.scheme}://{simple.hostname}{f':{simple.port}' if simple.port else ''}"

    def page(self, name: str, version: Version) -> str:
        """Return where a person sees a package on the index: its page, or what installers read."""
        if self.is_warehouse:
            return f"{self.host}/project/{name}/{version}/"
        return f"{self.host}{urlsplit(self.check_url).path.rstrip('/')}/{name}/"
