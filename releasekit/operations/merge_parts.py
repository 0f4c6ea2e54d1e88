"""Put the parts of a staged release together, each built on another machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.config.settings import VerifyWaiver
from releasekit.core.errors import ErrorCode, Refusal, as_refusal
from releasekit.core.picking import by_name
from releasekit.core.release.platform_parts import StagedPart, merge_parts
from releasekit.core.release.release_manifest import expected_contents
from releasekit.integrations.verify_files import verified_package
from releasekit.operations.draft import checkout_workspace, open_index, open_project
from releasekit.operations.wheels import refuse_fewer_wheels
from releasekit.store.bundle import DIST, check_output_directory, read_bundle, write_merged
from releasekit.store.record import MANIFEST
from tasks.read_workspace import target_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from releasekit.core.release.release_manifest import ReleaseManifest
    from releasekit.options import MergeOptions
    from releasekit.store.bundle import ReleaseBundle


async def merge_staged(options: MergeOptions, directories: Sequence[Path]) -> ReleaseManifest:
    """Write the release whose parts are in *directories* into the output directory; returns its manifest.

    Each file is compared with its manifest and, opened, with the plan. Unless *options* say not to, the index is asked
    for the wheels of the last release. Raises Refusal RK-PARTS-DIFFER, RK-PLATFORM-MISSING, RK-WHEELS-MISSING,
    RK-WHEEL-TAG, RK-VERIFY-FAILED, RK-RECORD-INVALID.
    """
    if not options.output.name:
        raise Refusal(
            ErrorCode.USAGE, "--output must name a separate directory for the merged release"
        )
    check_output_directory(options.output)
    bundles = [read_bundle(_manifest_in(directory)) for directory in directories]
    parts = [StagedPart(str(bundle.directory), bundle.manifest, bundle.plan) for bundle in bundles]
    manifest = merge_parts(parts)
    with as_refusal():
        for bundle in bundles:
            _verify_files(bundle)
        if not options.offline:
            await _compare_with_last_release(options, manifest)
    write_merged(manifest, [bundle.directory for bundle in bundles], options.output)
    return manifest


def _manifest_in(directory: Path) -> Path:
    """Return the manifest of a staged release, if you name its directory or the manifest itself."""
    return directory if directory.name == MANIFEST else directory / MANIFEST


def _verify_files(bundle: ReleaseBundle) -> None:
    """Open all files of *bundle* and compare them with its plan, by the waivers that were valid when it was staged.

    Raises ReleaseError RK-VERIFY-FAILED.
    """
    steps = by_name(bundle.plan.steps)
    for package in bundle.manifest.packages:
        step = steps[package.name]
        paths = [bundle.directory / DIST / package.name / name for name in package.file_names]
        contents = expected_contents(
            is_part=bool(bundle.manifest.platform), is_native=bool(step.platforms)
        )
        waivers = [
            VerifyWaiver(rule=finding.rule, package=package.name, reason=finding.waived)
            for finding in package.findings
            if finding.waived
        ]
        pins = bundle.plan.pins_of(step)
        verified_package(package, pins, paths, contents, waivers=waivers)


async def _compare_with_last_release(options: MergeOptions, manifest: ReleaseManifest) -> None:
    with checkout_workspace(options) as local_options:
        project, _ = open_project(local_options)
        async with open_index(project, target_of(project)) as index:
            await refuse_fewer_wheels(
                manifest.packages, index, project.settings.allow_missing_wheels
            )
