"""The result of a release, package by package. Only what is confirmed counts as success."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.artifacts.problems import ArtifactFinding
from releasekit.core.errors import ERRORS
from releasekit.core.release.release_manifest import BuiltFile
from releasekit.core.release.timeline import StageSpan
from releasekit.core.text import count_as, list_names, minute_text
from releasekit.core.version_numbers import PyVersion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from releasekit.core.artifacts.differences import Difference
    from releasekit.core.errors import ReleaseError
    from releasekit.core.planning.model import Step
    from releasekit.core.release.release_manifest import BuiltPackage


class PackageOutcome(StrEnum):
    """The result for a package.

    *built* is built and verified, but not uploaded; *versioned* is not built yet. *waiting* is on the first of several
    indexes, and waits until somebody allows the next one.
    """

    CONFIRMED = "confirmed"
    BUILT = "built"
    VERSIONED = "versioned"
    WAITING = "waiting"
    FAILED = "failed"
    BLOCKED = "blocked"


class PackageReport(BaseModel):
    """One package. *error* and *hint* say why it is not published; *output* has the last lines of the failure.

    *files* are those that were built, *findings* are those of their verification. *retry_at* is when the index accepts
    it, if the index says that. *indexes* are the names of those on which it is confirmed, if it goes to several.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    version: PyVersion
    tag: str
    outcome: PackageOutcome
    error: str = ""
    hint: str = ""
    output: str = ""
    files: tuple[BuiltFile, ...] = ()
    findings: tuple[ArtifactFinding, ...] = ()
    retry_at: datetime | None = None
    indexes: tuple[str, ...] = ()

    @property
    def outcome_text(self) -> str:
        """The outcome, with the indexes that have the package, if it goes to several."""
        indexes = f" ({', '.join(self.indexes)})" if self.indexes else ""
        return f"{self.outcome}{indexes}"

    @property
    def is_confirmed(self) -> bool:
        """Whether the package is published and confirmed."""
        return self.outcome is PackageOutcome.CONFIRMED

    def with_findings(self, built: Mapping[str, BuiltPackage]) -> PackageReport:
        """Return the report with the findings of the *built* package of this name, if there is one."""
        if self.name not in built:
            return self
        return self.model_copy(update={"findings": built[self.name].findings})


def failed_package_report(step: Step, error: ReleaseError | None) -> PackageReport:
    """Return the report of the built package of *step*; it failed if there is an *error*."""
    report = PackageReport(
        name=step.name, version=step.version, tag=step.tag, outcome=PackageOutcome.BUILT
    )
    if error is None:
        return report
    failure = {
        "outcome": PackageOutcome.FAILED,
        "error": str(error),
        "hint": error.hint,
        "output": error.output,
    }
    return report.model_copy(update=failure)


def stopped_package_report(step: Step, stopping: Sequence[Difference]) -> PackageReport:
    """Return the report of the built package of *step*; it failed if any of the differences *stopping* is its own."""
    report = PackageReport(
        name=step.name, version=step.version, tag=step.tag, outcome=PackageOutcome.BUILT
    )
    own = [difference for difference in stopping if difference.package == step.name]
    if not own:
        return report
    first = own[0]
    more = f", and {count_as('more difference', own[1:])}" if own[1:] else ""
    failure = {
        "outcome": PackageOutcome.FAILED,
        "error": f"{first}{more}",
        "hint": ERRORS[first.rule].hint,
        "output": "\n".join(map(str, own[1:])),
    }
    return report.model_copy(update=failure)


class ReleaseReport(BaseModel):
    """The result of one `publish` run.

    *problems* are failures that belong to no single package, *notes* are remarks for the reader. *page* is the URL of
    the release on the forge. *goal* is the outcome that each package should reach: less than confirmed if the
    release is set to stop earlier. *timeline* is what this run did, and when: without what an
    earlier run of the release did.
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
    timeline: tuple[StageSpan, ...] = ()

    def with_built(self, built: Mapping[str, BuiltPackage]) -> ReleaseReport:
        """Return the report with the files of *built* packages, and the findings of their verification."""
        packages = [
            package.with_findings(built).model_copy(update={"files": built[package.name].files})
            if package.name in built
            else package
            for package in self.packages
        ]
        return self.model_copy(update={"packages": tuple(packages)})

    @property
    def confirmed_packages(self) -> tuple[PackageReport, ...]:
        """The packages that are published and confirmed."""
        return tuple(package for package in self.packages if package.is_confirmed)

    @property
    def is_successful(self) -> bool:
        """Whether every package has reached the goal, and nothing else went wrong."""
        outcomes = {package.outcome for package in self.packages}
        reached_goal = outcomes <= {self.goal, PackageOutcome.CONFIRMED}
        return reached_goal and not self.problems

    @property
    def continues_at(self) -> datetime | None:
        """When the rest can be published. None if there is no rest, or if it fails for another reason than the time."""
        failed = [package for package in self.packages if package.outcome is PackageOutcome.FAILED]
        times = [package.retry_at for package in failed if package.retry_at]
        is_only_time = len(times) == len(failed) and not self.problems
        return max(times, default=None) if is_only_time else None

    @property
    def headline(self) -> str:
        """One line with the counts by outcome. Use it where the problems follow."""
        counts = Counter(package.outcome for package in self.packages)
        parts = [f"{counts[outcome]} {outcome}" for outcome in PackageOutcome if counts[outcome]]
        if self.problems:
            parts.append(count_as("problem", self.problems))
        result = list_names(parts, "nothing to release")
        return f"{self.title}: {result}"

    @property
    def summary(self) -> str:
        """One line with the counts and the problems. Use it where nothing follows."""
        first_lines = [problem.splitlines()[0] for problem in self.problems]
        return "; ".join([self.headline, *first_lines, *self._outlook()])

    def _outlook(self) -> list[str]:
        when = self.continues_at
        if when is None:
            return []
        share = f"{len(self.confirmed_packages)} of {len(self.packages)} published"
        return [f"{share}, the rest continues at {minute_text(when)}"]
