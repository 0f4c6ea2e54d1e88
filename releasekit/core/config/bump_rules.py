"""Which bump each type of change triggers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date


class Bump(IntEnum):
    """The part of the version that a change raises; the largest wins."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3

    @property
    def label(self) -> str:
        """The name in messages and in JSON."""
        return self.name.lower()


SEMANTIC, LAST_NUMBER, CALENDAR = "semver", "pep440-last", "calver:"
"""The values of `versioning_scheme`; the format of calendar versions follows."""


@dataclass(frozen=True, slots=True)
class BumpRules:
    """The settings that decide versions. *types* maps a commit type, in lower case, to its bump.

    With *force*, a package without a change that triggers a release is released as a patch.
    *prerelease* is the kind of prerelease to make: "dev", "a", "b", "rc", or "none" for a stable release. With "stay",
    it is the kind of the last release; *stays* says that it was found in this way. Prereleases are numbered from
    *first_number*. Without *commits_count*, only change files decide, and the Release-As footers of commits. *scheme*
    is the `versioning_scheme`, and *today* the date of the plan, which calendar versions need.
    """

    types: Mapping[str, Bump]
    major_on_zero: bool = False
    force: bool = False
    prerelease: str = "stay"
    stays: bool = False
    first_number: int = 1
    commits_count: bool = True
    scheme: str = SEMANTIC
    today: date | None = None

    @property
    def follows_date(self) -> bool:
        """Whether the date decides the next version."""
        return self.scheme.startswith(CALENDAR)
