"""Open built files and compare them with the plan."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from releasekit.core.artifacts.content_rules import names_to_import
from releasekit.core.artifacts.verification import verification_error, verify_artifacts
from releasekit.integrations.built_artifacts import read_built
from releasekit.integrations.filesystem import describe_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from releasekit.core.config.settings import VerifyWaiver
    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.core.workspace.built_files import BuiltContents
    from releasekit.core.workspace.pins import Pins

detail = logging.getLogger("releasekit.detail")


def verified_package(
    package: BuiltPackage,
    pins: Pins,
    paths: Sequence[Path],
    contents: BuiltContents = "all",
    siblings: Mapping[str, str] | None = None,
    waivers: Sequence[VerifyWaiver] = (),
) -> BuiltPackage:
    """Return *package* with the files *paths*, which must be the *contents* that the plan asks for.

    *pins* is what its wheels must require of its siblings. *siblings* has the other packages of the workspace by the
    names under which Python imports them. Raises ReleaseError RK-VERIFY-... with all findings that stop the release.
    """
    built = read_built(package.name, package.version, paths, pins, siblings, contents)
    findings = verify_artifacts(built, waivers)
    if any(finding.stops for finding in findings):
        raise verification_error(findings, f"{package.name} {package.version}")
    files = tuple(describe_file(path) for path in paths)
    for file in files:
        detail.info(
            "%s: name, version, metadata, pins and contents are as planned; sha256 %s",
            file.name,
            file.sha256,
        )
    for finding in findings:
        detail.warning("%s", finding)
    extras = {name for wheel in built.wheels for name in wheel.extras}
    update = {
        "files": files,
        "imports": names_to_import(built),
        "extras": tuple(sorted(extras)),
        "findings": findings,
    }
    return package.model_copy(update=update)
