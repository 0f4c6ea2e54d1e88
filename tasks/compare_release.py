"""Step: compare the built packages with their last releases, before anything is uploaded."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from releasekit.core.artifacts.differences import find_losses, rate_losses, replace_losses
from releasekit.core.errors import ErrorCode, ReleaseWarning
from releasekit.integrations.archives import read_archive
from releasekit.integrations.last_release import read_built_facts, read_last_release
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from releasekit.core.artifacts.differences import Difference
    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.integrations.last_release import IndexedRelease
    from releasekit.integrations.protocols import Index
    from tasks.context import ReleaseContext

log = logging.getLogger("releasekit")


@flow_task("compare", "compare-{release.plan.title}", stage="stage")
async def compare(
    release: ReleaseContext, built: Sequence[BuiltPackage], index: Index
) -> tuple[Difference, ...]:
    """Return what the *built* packages lack of their last releases on *index*, and what the plan says about their APIs.

    Where the index has no release to compare with, what the source lacks counts. That an index does not answer is a
    warning.
    """
    slots = asyncio.Semaphore(release.settings.concurrency)

    async def compare_package(package: BuiltPackage) -> tuple[Difference, ...]:
        async with slots:
            return await _compare_package(release, package, index)

    results = await asyncio.gather(*map(compare_package, built))
    differences = tuple(difference for result in results for difference in result)
    _log_differences(differences)
    return differences


async def _compare_package(
    release: ReleaseContext, package: BuiltPackage, index: Index
) -> tuple[Difference, ...]:
    in_source = [
        difference for difference in release.plan.differences if difference.package == package.name
    ]
    last = await read_last_release(index, package.name, package.version)
    paths = [release.record.dist(package.name) / file.name for file in package.files]
    facts = read_built_facts(paths)
    if last.missing:
        log.warning("warning %s", skipped_warning(package, last, index))
    if last.version is None or last.facts is None or facts is None:
        return tuple(in_source)
    has_lost_files = not last.facts.files.keys() <= facts.files.keys()
    # Only for a lost file it matters whether it has a source.
    sources = _source_files(paths) if has_lost_files else []
    losses = find_losses(last.facts, facts, sources)
    in_wheel = rate_losses(
        package.name, last.version, package.version, losses, release.settings.verify_ignore
    )
    return replace_losses(in_source, in_wheel)


def _source_files(paths: Sequence[Path]) -> list[str]:
    """Return the files in the built sdist, by their path below its top directory."""
    sdists = [read_archive(path) for path in paths if path.suffix == ".gz"]
    return [file.partition("/")[2] for sdist in sdists for file in sdist.files]


def skipped_warning(package: BuiltPackage, last: IndexedRelease, index: Index) -> ReleaseWarning:
    """Return the warning that *package* is not compared with its *last* release on *index*."""
    message = (
        f"{package.name} {package.version} is not compared with its last release: {last.missing}"
    )
    return ReleaseWarning(ErrorCode.COMPARE_SKIPPED, message, index.url)


def _log_differences(differences: Sequence[Difference]) -> None:
    """Log the differences that do not stop the release. The report has the others."""
    for difference in differences:
        if difference.stops:
            continue
        level = (
            logging.WARNING
            if difference.severity == "warning" and not difference.waived
            else logging.INFO
        )
        log.log(level, "%s %s", difference.verdict, difference)
