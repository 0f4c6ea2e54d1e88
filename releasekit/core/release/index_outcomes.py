"""The outcome of a release over several indexes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from releasekit.core.errors import ERRORS, ErrorCode
from releasekit.core.release.report import PackageOutcome, PackageReport, ReleaseReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from releasekit.core.planning.model import Plan
    from releasekit.core.release.later_index import LaterIndex


@dataclass(frozen=True, slots=True)
class PublishedPackages:
    """The outcome of each package over all indexes. *waits_for* is the first index that needs a yes, if any."""

    packages: tuple[PackageReport, ...]
    waits_for: str = ""

    @property
    def has_no_failure(self) -> bool:
        """Whether each package is confirmed, or waits."""
        outcomes = {package.outcome for package in self.packages}
        return outcomes <= {PackageOutcome.CONFIRMED, PackageOutcome.WAITING}


def find_blocker(later: LaterIndex, earlier: Mapping[str, PackageReport]) -> str:
    """Return why no package may go to the index *later*; empty if the index before has them all.

    *earlier* has the outcome of each package on the index before. One failure there keeps all packages from this index,
    so that nobody finds half a release on it.
    """
    failed = [name for name in earlier if name in later.packages and not earlier[name].is_confirmed]
    return f"{later.after}, which lacks {', '.join(failed)}" if failed else ""


def is_waiting(packages: Mapping[str, PackageReport]) -> bool:
    """Return whether any of *packages* waits until somebody allows an index."""
    return any(package.outcome is PackageOutcome.WAITING for package in packages.values())


def same_outcome(
    plan: Plan, outcome: PackageOutcome, blocker: str = ""
) -> dict[str, PackageReport]:
    """Return the report of each package of *plan*, all with this *outcome*; *blocker* is what blocks them, if any."""
    hint = ERRORS[ErrorCode.BLOCKED].hint if blocker else ""
    return {
        step.name: PackageReport(
            name=step.name,
            version=step.version,
            tag=step.tag,
            outcome=outcome,
            error=f"blocked by {blocker}" if blocker else "",
            hint=hint,
        )
        for step in plan.steps
    }


def merge_outcomes(name: str, outcomes: Mapping[str, Mapping[str, PackageReport]]) -> PackageReport:
    """Return the report of the package *name*: the first outcome that is not success, or else success."""
    own = {index: packages[name] for index, packages in outcomes.items() if name in packages}
    confirmed = tuple(index for index, package in own.items() if package.is_confirmed)
    unconfirmed = [package for package in own.values() if not package.is_confirmed]
    package = (unconfirmed or list(own.values()))[0]
    return package.model_copy(update={"indexes": confirmed})


def waiting_report(
    plan: Plan, commit: str, packages: Iterable[PackageReport], waits_for: str
) -> ReleaseReport:
    """Return the report of the release of *plan* that stops before the index *waits_for*."""
    command = f"releasekit publish --allow-index {waits_for}"
    note = (
        f"{waits_for} waits for approval: run `releasekit publish` again and answer, or `{command}`"
    )
    return ReleaseReport(
        release=plan.release,
        title=plan.title,
        commit=commit,
        goal=PackageOutcome.WAITING,
        packages=tuple(packages),
        notes=(note,),
    )
