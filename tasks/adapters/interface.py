"""What an outside tool must offer; one conformance suite runs on every implementation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from packaging.version import Version


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file as an index lists it: *sha256* is empty if the index gives none."""

    name: str
    sha256: str
    url: str
    yanked: bool = False


class Index(Protocol):
    """A package index, read through its Simple API (PEP 503, PEP 691)."""

    url: str

    async def files(self, project: str) -> tuple[IndexFile, ...] | None:
        """Return the files of *project* (a normalised name), uncached; None if the index does not know it.

        Raises ReleaseError RK-INDEX-UNREACHABLE, RK-INDEX-CREDENTIALS, RK-INDEX-RESPONSE.
        """
        ...

    async def versions(self, project: str) -> frozenset[Version]:
        """Return the versions that *project* has files of; empty if the index does not know it."""
        ...

    async def check_credentials(self, publish_url: str) -> None:
        """Ask *publish_url* for nothing, with the credentials of the environment.

        Raises ReleaseError RK-INDEX-CREDENTIALS if they are refused, RK-INDEX-UNREACHABLE if nobody answers.
        """
        ...
