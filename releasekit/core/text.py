"""Words and numbers in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence, Sized


def counted(packages: Sized) -> str:
    """Return how many *packages* there are: "1 package", "3 packages"."""
    return f"{len(packages)} package{'' if len(packages) == 1 else 's'}"


_SHOWN = 3


def some(names: Sequence[str], shown: int = _SHOWN) -> str:
    """Name so many of *names*, and say how many more there are: "core, web, api and 4 more"."""
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
