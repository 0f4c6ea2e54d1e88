"""Which bump each kind of change asks for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Bump(IntEnum):
    """How far a version moves; the strongest wins."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3

    @property
    def label(self) -> str:
        """The name for people and JSON."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class BumpRules:
    """What the settings say: *types* has lower-case keys; *force* releases a patch where nothing asks for a release.

    *prerelease* is the kind of prerelease to make: "dev", "a", "b", "rc", or "none" for a stable release.
    """

    types: Mapping[str, Bump]
    major_on_zero: bool = False
    force: bool = False
    prerelease: str = "none"
