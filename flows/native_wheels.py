"""Wheels of several platforms: build those of one platform as a part of a release, and check that none is missing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flows.scheduling import prove_all, stage_all
from flows.task_runners import on_threads
from releasekit.core.errors import ErrorCode, Refusal, ReleaseWarning
from releasekit.core.release.platform_parts import (
    missing_platforms,
    platforms_missing_error,
    provable_packages,
    with_wheels,
)
from releasekit.core.text import summarize
from releasekit.core.workspace.wheel_tags import plain_linux_wheels
from releasekit.integrations.machine import machine_tags
from releasekit.operations.wheels import refuse_fewer_wheels
from tasks import build

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.core.release.report import PackageReport
    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import Index
    from releasekit.options import PublishOptions
    from tasks.context import ReleaseContext

log = logging.getLogger("releasekit")


async def stage_platform(
    release: ReleaseContext, repo: Repo, options: PublishOptions
) -> tuple[tuple[BuiltPackage, ...], tuple[PackageReport, ...]]:
    """Build the wheels of one platform for a staged release, and write them as a part of it into a directory.

    Returns the packages with these wheels; if one of them failed, the outcome of each. What could not be proven where
    the release was staged is proven now: it needs wheels for this machine. Raises Refusal RK-USAGE, RK-WHEEL-TAG.
    """
    platform = options.platform
    manifest = release.record.require_manifest()
    if not manifest.packages:
        message = "the manifest has no files: stage the release first, without --platform"
        raise Refusal(ErrorCode.USAGE, message, str(options.manifest))
    release.observer.on_phase("staging")
    wheels, failed = await stage_all(on_threads(release), platform)
    if failed:
        return (), failed
    refuse_plain_linux(release, wheels)
    complete = add_wheels(manifest.packages, wheels)
    proven = {package.name for package in provable_here(release, manifest.packages)}
    unproven = [
        package for package in provable_here(release, complete) if package.name not in proven
    ]
    failed = await prove_all(release, unproven, together=release.plan.together)
    if failed:
        return (), failed
    part = manifest.model_copy(
        update={"packages": tuple(wheels), "platform": platform, "staged": True}
    )
    build.export_bundle(release, repo, options.output, part)
    return tuple(wheels), ()


def add_wheels(
    packages: Iterable[BuiltPackage], wheels: Iterable[BuiltPackage]
) -> tuple[BuiltPackage, ...]:
    """Return *packages*, each with those of the *wheels* that belong to it."""
    by_name = {package.name: package for package in packages}
    for package in wheels:
        by_name[package.name] = with_wheels(by_name[package.name], package, package.name)
    return tuple(by_name.values())


def provable_here(
    release: ReleaseContext, packages: Sequence[BuiltPackage]
) -> tuple[BuiltPackage, ...]:
    """Return those of *packages* that can be installed on this machine; log the others."""
    provable = provable_packages(release.plan, packages, machine_tags())
    others = [package.name for package in packages if package not in provable]
    if others:
        log.info("not proven on this machine, for which they have no wheels: %s", summarize(others))
    return provable


def refuse_plain_linux(release: ReleaseContext, packages: Iterable[BuiltPackage]) -> None:
    """Refuse wheels for one Linux machine if PyPI would refuse them; on another index they only cause a warning.

    Raises Refusal RK-WHEEL-TAG.
    """
    names = plain_linux_wheels(name for package in packages for name in package.wheel_names)
    if not names:
        return
    message = f"{summarize(names)}: PyPI accepts only manylinux and musllinux wheels for Linux"
    if release.target.runs_warehouse:
        raise Refusal(ErrorCode.WHEEL_TAG, message, release.target.title)
    log.warning("warning %s", ReleaseWarning(ErrorCode.WHEEL_TAG, message, release.target.title))


async def refuse_incomplete(
    release: ReleaseContext, packages: Sequence[BuiltPackage], index: Index
) -> None:
    """Refuse to publish *packages* if wheels are missing: those of a platform, or some that the last release had.

    Raises Refusal RK-PLATFORM-MISSING, RK-WHEELS-MISSING, RK-WHEEL-TAG, RK-INDEX-….
    """
    missing = missing_platforms(release.plan, packages)
    if missing:
        raise platforms_missing_error(missing)
    refuse_plain_linux(release, packages)
    await refuse_fewer_wheels(packages, index, release.settings.allow_missing_wheels)
