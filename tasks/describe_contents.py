"""Step: write an SBOM for each built wheel. On request only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.release.sboms import SBOM_SUFFIX, wheel_sbom
from releasekit.integrations.filesystem import write_atomic
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from releasekit.core.release.release_manifest import BuiltPackage
    from tasks.context import ReleaseContext


@flow_task("write-sboms", "write-sboms-{release.plan.title}", stage="stage")
def write_sboms(release: ReleaseContext, built: Sequence[BuiltPackage]) -> None:
    """Write the SBOM of each wheel beside it; uv.lock says what it requires. Nothing is uploaded to the index."""
    root = release.record.worktree / release.workspace
    for package in built:
        exported = release.uv.export_sbom(root, package.name)
        for file in package.files:
            if file.name in package.wheel_names:
                path = release.record.dist(package.name) / f"{file.name}{SBOM_SUFFIX}"
                write_atomic(path, wheel_sbom(exported, package, file))
