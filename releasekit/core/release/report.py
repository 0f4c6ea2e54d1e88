"""The result of a release, package by package. Only what is confirmed counts as success."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.version_numbers import PyVersion


class PackageOutcome(StrEnum):
    """The result for a package. *built* is built and verified, but not uploaded; *versioned* is not built yet."""

    CONFIRMED = "confirmed"
    BUILT = "built"
    VERSIONED = "versioned"
    FAILED = "failed"
    BLOCKED = "blocked"


class PackageReport(BaseModel):
    """One package. *error* and *hint* say why it is not published; *output* has the last lines of the failure."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    version: PyVersion
    tag: str
    outcome: PackageOutcome
    error: str = ""
    hint: str = ""
    output: str = ""


class ReleaseReport(BaseModel):
    """The result of one `publish` run.

    *problems* are failures that belong to no single package, *notes* are remarks for the reader. *page* is the URL of
    the release on GitHub or GitLab. *goal* is the outcome that each package should reach: less than confirmed if the
    release is set to stop earlier.
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
        """The packages that are published and confirmed."""
        return tuple(package for package in self.packages if package.outcome is PackageOutcome.CONFIRMED)

    @property
    def is_successful(self) -> bool:
        """Whether every package has reached the goal, and nothing else went wrong."""
        return not self.problems and all(package.outcome is self.goal for package in self.packages)

    @property
    def headline(self) -> str:
        """One line with the counts by outcome. Use it where the problems follow."""
        counts = [(outcome, sum(p.outcome is outcome for p in self.packages)) for outcome in PackageOutcome]
        parts = [f"{count} {outcome}" for outcome, count in counts if count]
        if self.problems:
            parts.append(f"{len(self.problems)} problem{'' if len(self.problems) == 1 else 's'}")
        return f"{self.title}: {', '.join(parts) or 'nothing to release'}"

    @property
    def summary(self) -> str:
        """One line with the counts and the problems. Use it where nothing follows."""
        return "; ".join([self.headline, *(problem.splitlines()[0] for problem in self.problems)])
