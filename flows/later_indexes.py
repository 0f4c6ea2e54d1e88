"""Publish a release to its later indexes, each with the same files, once the index before has all of them."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from flows.scheduling import prove_all, publish_all
from releasekit.core.picking import by_name, pick_named
from releasekit.core.release.index_outcomes import (
    PublishedPackages,
    find_blocker,
    is_waiting,
    merge_outcomes,
    same_outcome,
)
from releasekit.core.release.report import PackageOutcome
from releasekit.operations.draft import open_index

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from releasekit.core.release.later_index import LaterIndex
    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.core.release.report import PackageReport
    from tasks.context import ReleaseContext
    from tasks.project import Project

log = logging.getLogger("releasekit")


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
    outcomes = {release.target.index_name: by_name(first)}
    waits_for = ""
    for later in release.later_indexes:
        earlier = outcomes[later.after]
        plan = later.part_of(release.plan)
        blocker = find_blocker(later, earlier)
        needs_yes = bool(plan.steps) and later.needs_approval and later.name not in allowed
        if is_waiting(earlier) or (needs_yes and not blocker):
            waits_for = waits_for or later.name
            outcomes[later.name] = same_outcome(plan, PackageOutcome.WAITING)
        elif blocker:
            log.warning("nothing is published to %s: blocked by %s", later.name, blocker)
            outcomes[later.name] = same_outcome(plan, PackageOutcome.BLOCKED, blocker)
        else:
            outcomes[later.name] = await _publish_part(release, project, built, later)
    packages = [merge_outcomes(package.name, outcomes) for package in first]
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
    return by_name(packages)


async def prove_for_later_index(
    release: ReleaseContext, built: Iterable[BuiltPackage], later: LaterIndex
) -> tuple[PackageReport, ...]:
    """Prove that those of the *built* packages that go to the index *later* can be installed from there.

    Their imports are proven already. Returns nothing if they can be, otherwise the outcome of each package.
    """
    part = release.for_later_index(later)
    if part.settings.overlay == "install":
        part = replace(part, settings=part.settings.model_copy(update={"overlay": "resolve"}))
    return await prove_all(part, pick_named(built, later.packages))
