"""`releasekit smoke-test`: install and import the packages of a published release, in a job of its own."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.picking import by_name, pick_named
from releasekit.core.release.smoke_report import SmokeOutcome, SmokeReport, SmokeTest
from releasekit.integrations.process import mask
from releasekit.integrations.uv import failure
from releasekit.operations.draft import checkout_workspace, open_project
from releasekit.store.bundle import read_manifest
from tasks.read_workspace import target_of

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.core.release.target import Target
    from releasekit.options import IndexOptions
    from tasks.project import Project

log = logging.getLogger("releasekit")

_PAUSE = 5.0
"""Seconds before the second attempt: a mirror of the index may be late."""


async def smoke_test_release(options: IndexOptions, file: Path) -> SmokeReport:
    """Install each package of the release with the manifest *file* from the index, as a user would, and import it.

    The built files are not needed. Nothing is written, and nothing is told to the forge.
    Raises Refusal RK-RECORD-INVALID, RK-FILE-SYSTEM, and those of `read_workspace`. A failed test is in the report.
    """
    manifest, plan, _ = read_manifest(file)
    with checkout_workspace(options) as local_options:
        project, _ = open_project(local_options)
        target = target_of(project)
        slots = asyncio.Semaphore(project.settings.concurrency)
        built = by_name(manifest.packages)

        async def take_turn(step: Step) -> SmokeTest:
            async with slots:
                return await _smoke_test(project, target, plan, step, built[step.name])

        steps = pick_named(plan.steps, built)
        tests = await asyncio.gather(*map(take_turn, steps))
    return SmokeReport(
        release=manifest.release, index=mask(target.check_url), packages=tuple(tests)
    )


async def _smoke_test(
    project: Project, target: Target, plan: Plan, step: Step, package: BuiltPackage
) -> SmokeTest:
    is_wanted = step.is_smoke_tested(default=project.settings.smoke_test)
    test = SmokeTest(
        name=package.name,
        version=package.version,
        outcome=SmokeOutcome.PASSED if is_wanted else SmokeOutcome.SKIPPED,
        imports=package.imports,
    )
    if not is_wanted:
        return test
    if await _problem(project, target, plan, package):
        await asyncio.sleep(_PAUSE)
        problem = await _problem(project, target, plan, package)
        if problem:
            return _failed_test(test, problem)
    log.info("%s is installed from the index and imported", package.requirement)
    return test


async def _problem(
    project: Project, target: Target, plan: Plan, package: BuiltPackage
) -> ReleaseError | None:
    """Return why *package* cannot be installed and imported; None if it can."""
    try:
        await project.uv.smoke_test(
            project.root,
            requirement=package.requirement,
            imports=package.imports,
            index=target.install_index,
            fresh=plan.install_closure(package.name),
        )
    except ReleaseError as error:
        return error
    return None


def _failed_test(test: SmokeTest, error: ReleaseError) -> SmokeTest:
    message = f"{test.name} {test.version} cannot be installed and imported"
    told = failure(ErrorCode.SMOKE_TEST_FAILED, error, message, ", ".join(test.imports))
    log.error("%s: %s", told.code, told.message)
    update = {
        "outcome": SmokeOutcome.FAILED,
        "error": mask(f"{told.code}: {told.message}"),
        "output": mask(told.output),
    }
    return test.model_copy(update=update)
