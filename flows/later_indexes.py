"""Publish a release to its later indexes, each with the same files, once the index before has all of them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flows.scheduling import prove_all, publish_all
from releasekit.core.errors import ERRORS, ErrorCode
from releasekit.core.release.later_index import find_blocker
from releasekit.core.release.report import PackageOutcome, PackageReport, ReleaseReport
from releasekit.operations.draft import open_index

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from releasekit.core.planning.model import Plan
    from releasekit.core.release.later_index import LaterIndex
    from releasekit.core.release.release_manifest import BuiltPackage
    from tasks.context import ReleaseContext
    from tasks.project import Project

log = logging.getLogger("releasekit")


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


async def publish_to_later_indexes(
    release: ReleaseContext,
    project: Project,
    built: Mapping[str, BuiltPackage],
    first: tuple[PackageReport, ...],
    allowed: Collection[str],
) -> PublishedPackages:
    """Publish the *built* packages to each later index; *first* are the outcomes on the first index.

    The release does not go to an index that needs approval and is not among *allowed*, nor to those after it.
    """
    if not release.later_indexes:
        return PublishedPackages(first)
    outcomes = {release.target.index_name: {package.name: package for package in first}}
    waits_for = ""
    for later in release.later_indexes:
        earlier = outcomes[later.after]
        plan = later.part_of(release.plan)
        is_waiting = any(package.outcome is PackageOutcome.WAITING for package in earlier.values())
        blocker = find_blocker(later, earlier)
        if is_waiting or (
            later.needs_approval and later.name not in allowed and plan.steps and not blocker
        ):
            waits_for = waits_for or later.name
            outcomes[later.name] = _same_outcome(plan, PackageOutcome.WAITING)
        elif blocker:
            log.warning("nothing is published to %s: blocked by %s", later.name, blocker)
            outcomes[later.name] = _same_outcome(plan, PackageOutcome.BLOCKED, blocker)
        else:
            outcomes[later.name] = await _publish_part(release, project, built, later)
    packages = [_merge_outcomes(package.name, outcomes) for package in first]
    return PublishedPackages(tuple(packages), waits_for)


async def _publish_part(
    release: ReleaseContext,
    project: Project,
    built: Mapping[str, BuiltPackage],
    later: LaterIndex,
) -> dict[str, PackageReport]:
    part = release.for_later_index(later)
    if not part.plan.steps:
        return {}
    log.info("publishing to %s", later.target.title)
    async with open_index(project, later.target) as index:
        packages = await publish_all(part, built, index, index_name=later.name)
    return {package.name: package for package in packages}


async def prove_for_later_index(
    release: ReleaseContext, built: Iterable[BuiltPackage], later: LaterIndex
) -> tuple[PackageReport, ...]:
    """Prove that those of the *built* packages that go to the index *later* can be installed from there.

    Their imports are proven already. Returns nothing if they can be, otherwise the outcome of each package.
    """
    part = release.for_later_index(later)
    if part.settings.overlay == "install":
        part = replace(part, settings=part.settings.model_copy(update={"overlay": "resolve"}))
    packages = [package for package in built if package.name in later.packages]
    return await prove_all(part, packages)


def _same_outcome(
    plan: Plan, outcome: PackageOutcome, blocker: str = ""
) -> dict[str, PackageReport]:
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


def _merge_outcomes(
    name: str, outcomes: Mapping[str, Mapping[str, PackageReport]]
) -> PackageReport:
    """Return the report of the package *name*: the first outcome that is not success, or else success."""
    own = {index: packages[name] for index, packages in outcomes.items() if name in packages}
    confirmed = tuple(index for index, package in own.items() if package.is_confirmed)
    unconfirmed = [package for package in own.values() if not package.is_confirmed]
    package = (unconfirmed or list(own.values()))[0]
    return package.model_copy(update={"indexes": confirmed})


def waiting_report(
    release: ReleaseContext, packages: Iterable[PackageReport], waits_for: str
) -> ReleaseReport:
    """Return the report of a release that stops before the index *waits_for*."""
    command = f"releasekit publish --allow-index {waits_for}"
    note = (
        f"{waits_for} waits for approval: run `releasekit publish` again and answer, or `{command}`"
    )
    return ReleaseReport(
        release=release.plan.release,
        title=release.plan.title,
        commit=release.commit,
        goal=PackageOutcome.WAITING,
        packages=tuple(packages),
        notes=(note,),
    )
