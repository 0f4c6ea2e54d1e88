"""`releasekit smoke-test`: install and import the packages of a published release, in a job of its own."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.picking import by_name, names_of, pick_named
from releasekit.core.release.smoke_report import SmokeOutcome, SmokeReport, SmokeTest
from releasekit.integrations.process import mask
from releasekit.integrations.uv import failure
from releasekit.operations.draft import checkout_workspace, open_index, open_project
from releasekit.store.bundle import read_manifest
from tasks.ask_index import ask_index
from tasks.read_workspace import later_indexes, target_of

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.release.later_index import LaterIndex
    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.core.release.target import Target
    from releasekit.options import IndexOptions
    from tasks.project import Project

log = logging.getLogger("releasekit")

_PAUSE = 5.0
"""Seconds before the second attempt: a mirror of the index may be late."""


async def smoke_test_release(options: IndexOptions, file: Path) -> SmokeReport:
    """Install each package of the release with the manifest *file* from the index, as a user would, and import it.

    With `publish_to`, each package is installed from each of its indexes that has the release. The built files are not
    needed. Nothing is written, and nothing is told to the forge.
    Raises Refusal RK-RECORD-INVALID, RK-FILE-SYSTEM, and those of `read_workspace`. A failed test is in the report.
    """
    manifest, plan, _ = read_manifest(file)
    with checkout_workspace(options) as local_options:
        project, _ = open_project(local_options)
        target = target_of(project)
        slots = asyncio.Semaphore(project.settings.concurrency)
        built = by_name(manifest.packages)

        async def take_turn(job: _Job) -> SmokeTest:
            async with slots:
                return await _smoke_test(project, job, built[job.step.name])

        jobs = [_Job(target, plan, step) for step in pick_named(plan.steps, built)]
        for later in later_indexes(project):
            part = later.part_of(plan)
            if await _is_released(project, later, part):
                jobs += [_Job(later.target, part, step) for step in pick_named(part.steps, built)]
        tests = await asyncio.gather(*map(take_turn, jobs))
    return SmokeReport(
        release=manifest.release, index=mask(target.check_url), packages=tuple(tests)
    )


@dataclass(frozen=True, slots=True)
class _Job:
    """The smoke test of the package of *step* on the index *target*, which gets the packages of *plan*."""

    target: Target
    plan: Plan
    step: Step


async def _is_released(project: Project, later: LaterIndex, plan: Plan) -> bool:
    """Return whether the release was published to the index *later*: before one that needs approval it stops."""
    if not later.needs_approval:
        return True
    async with open_index(project, later.target) as index:
        published = await ask_index(index, names_of(plan.steps))
    is_released = any(step.version in published[step.name] for step in plan.steps)
    if not is_released:
        log.info("%s has no package of this release: it waits for approval", later.target.title)
    return is_released


async def _smoke_test(project: Project, job: _Job, package: BuiltPackage) -> SmokeTest:
    is_wanted = job.step.is_smoke_tested(default=project.settings.smoke_test)
    test = SmokeTest(
        name=package.name,
        version=package.version,
        outcome=SmokeOutcome.PASSED if is_wanted else SmokeOutcome.SKIPPED,
        index=job.target.index_name if project.settings.publish_to else "",
        imports=package.imports,
    )
    if not is_wanted:
        return test
    if await _problem(project, job, package):
        await asyncio.sleep(_PAUSE)
        problem = await _problem(project, job, package)
        if problem:
            return _failed_test(test, problem)
    log.info("%s is installed from %s and imported", package.requirement, job.target.title)
    return test


async def _problem(project: Project, job: _Job, package: BuiltPackage) -> ReleaseError | None:
    """Return why *package* cannot be installed and imported; None if it can."""
    try:
        await project.uv.smoke_test(
            project.root,
            requirement=package.requirement,
            imports=package.imports,
            indexes=job.target.install_indexes,
            fresh=job.plan.install_closure(package.name),
            constraints=[package.hashed_requirement],
        )
    except ReleaseError as error:
        return error
    return None


def _failed_test(test: SmokeTest, error: ReleaseError) -> SmokeTest:
    origin = f" from {test.index}" if test.index else ""
    message = f"{test.name} {test.version} cannot be installed{origin} and imported"
    told = failure(ErrorCode.SMOKE_TEST_FAILED, error, message, ", ".join(test.imports))
    log.error("%s: %s", told.code, told.message)
    update = {
        "outcome": SmokeOutcome.FAILED,
        "error": mask(f"{told.code}: {told.message}"),
        "output": mask(told.output),
    }
    return test.model_copy(update=update)
