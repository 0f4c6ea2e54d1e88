"""Open built files and compare them with the plan."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.workspace.built_files import built_file_problems, extras_of, import_names
from releasekit.integrations.filesystem import describe_file, read_sdist, read_wheel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.core.workspace.built_files import BuiltContents
    from releasekit.core.workspace.pins import Pins

detail = logging.getLogger("releasekit.detail")


def verified_package(
    package: BuiltPackage, pins: Pins, paths: Sequence[Path], contents: BuiltContents = "all"
) -> BuiltPackage:
    """Return *package* with the files *paths*, which must be the *contents* that the plan asks for.

    *pins* is what its wheels must require of its siblings. Raises ReleaseError RK-VERIFY-FAILED.
    """
    wheels = [read_wheel(path) for path in paths if path.suffix == ".whl"]
    sources = [name for path in paths if path.suffix == ".gz" for name in read_sdist(path)]
    mismatches = built_file_problems(
        package.name,
        package.version,
        names=[path.name for path in paths],
        wheels=wheels,
        pins=pins,
        sources=sources,
        contents=contents,
    )
    if mismatches:
        raise ReleaseError(ErrorCode.VERIFY_FAILED, "; ".join(mismatches), f"{package.name} {package.version}")
    files = tuple(describe_file(path) for path in paths)
    for file in files:
        detail.info("%s: name, version, metadata, pins and contents are as planned; sha256 %s", file.name, file.sha256)
    imports = {name for wheel in wheels for name in import_names(wheel.hashes)}
    extras = {name for wheel in wheels for name in extras_of(wheel)}
    update = {"files": files, "imports": tuple(sorted(imports)), "extras": tuple(sorted(extras))}
    return package.model_copy(update=update)
