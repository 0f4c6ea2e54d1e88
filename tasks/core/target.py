"""Where a release goes."""

from __future__ import annotations

from dataclasses import dataclass


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
