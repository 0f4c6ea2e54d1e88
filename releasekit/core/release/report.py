"""What came of a release, package by package: success is proven, or it is not success."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.version_numbers import PyVersion


class PackageOutcome(StrEnum):
    """What became of a package; one that is *built* was verified too, and not uploaded; *versioned* is before that."""

    CONFIRMED = "confirmed"
    BUILT = "built"
    VERSIONED = "versioned"
    FAILED = "failed"
    BLOCKED = "blocked"


class PackageReport(BaseModel):
    """One package: *error* and *hint* say why it is not out, *output* holds the last lines of what failed."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    version: PyVersion
    tag: str
    outcome: PackageOutcome
    error: str = ""
    hint: str = ""
    output: str = ""


class ReleaseReport(BaseModel):
    """One run of publish. *problems* are what went wrong beside the packages, *notes* what a person should know.

    *page* is where the forge shows the release. *goal* is what was to become of each package: where a release was told
    to stop earlier, that is less than confirmed.
    """

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.report/1"] = Field(default="releasekit.report/1", alias="schema")
    release: str
    title: str
    goal: PackageOutcome = PackageOutcome.CONFIRMED
    commit: str = ""
    packages: tuple[PackageReport, ...] = ()
    tags: tuple[str, ...] = ()
    pushed: bool = False
    page: str = ""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def confirmed_packages(self) -> tuple[PackageReport, ...]:
        """The packages that are out."""
        return tuple(package for package in self.packages if package.outcome is PackageOutcome.CONFIRMED)

    @property
    def is_successful(self) -> bool:
        """Whether every planned package is confirmed, or what else was the goal, and everything after it was done."""
        return not self.problems and all(package.outcome is self.goal for package in self.packages)

    @property
    def headline(self) -> str:
        """How it stands in numbers, for where the problems follow."""
        counts = [(outcome, sum(p.outcome is outcome for p in self.packages)) for outcome in PackageOutcome]
        parts = [f"{count} {outcome}" for outcome, count in counts if count]
        if self.problems:
            parts.append(f"{len(self.problems)} problem{'' if len(self.problems) == 1 else 's'}")
        return f"{self.title}: {', '.join(parts) or 'nothing to release'}"

    @property
    def summary(self) -> str:
        """One line that says how it stands, for where nothing follows."""
        return "; ".join([self.headline, *(problem.splitlines()[0] for problem in self.problems)])
