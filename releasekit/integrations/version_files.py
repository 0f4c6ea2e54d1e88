"""Read and rewrite the files of a package that contain its version and its requirements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from releasekit.core.config.settings import bump_files
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.workspace.declarations import parse_document
from releasekit.core.workspace.dynamic_version import (
    is_dynamic,
    literal_location,
    locked_cargo_location,
    table_at,
    text_at,
    version_source,
)
from releasekit.core.workspace.pins import pin_requirements
from releasekit.core.workspace.toml_edits import write_version, write_version_at
from releasekit.core.workspace.workspace import PYPROJECT, DeclaredVersion, requirement_files
from releasekit.integrations.filesystem import (
    read_text,
    read_text_if_exists,
    read_text_inside,
    resolve_inside,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.version import Version

    from releasekit.core.workspace.dynamic_version import VersionLocation
    from releasekit.core.workspace.pins import Pins


def declared_version(
    package: Path, document: Mapping[str, Any], display_path: str
) -> DeclaredVersion | None:
    """Return the dynamic version that a file of *package* declares; None if it is not dynamic, or a tag decides.

    Raises Refusal RK-CONFIG-INVALID-….
    """
    location = version_location(package, document, display_path)
    if not location:
        return None
    text = read_text_if_exists(package / location.path)
    return DeclaredVersion(location.find(text), location.path)


def read_requirement_files(package: Path, document: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each requirement file inside *package*, by its path relative to *package*."""
    return {file.path: read_text_inside(package, file.path) for file in requirement_files(document)}


def pinned_texts(package: Path, document: Mapping[str, Any], pins: Pins) -> dict[Path, str]:
    """Return the new text of each file of *package* whose requirements *pins* change; nothing is written."""
    before = {
        PYPROJECT: read_text(package / PYPROJECT),
        **read_requirement_files(package, document),
    }
    after = {file: pin_requirements(text, pins, file) for file, text in before.items() if text}
    return {
        (package / file).resolve(): text for file, text in after.items() if text != before[file]
    }


def new_texts(
    package: Path, document: Mapping[str, Any], version: Version, display_path: str
) -> dict[Path, str]:
    """Return the new text of every file of *package* that must contain *version*; nothing is written.

    *display_path* is the package's path in the workspace. Raises Refusal RK-VERSION-PLACE, RK-CONFIG-INVALID-….
    """
    texts: dict[Path, str] = {}
    locations = _bump_locations(document, display_path)
    if not is_dynamic(document):
        pyproject = _resolve_inside(package, PYPROJECT, f"{display_path}/{PYPROJECT}")
        texts[pyproject] = write_version(read_text(pyproject), version)
    elif location := version_location(package, document, display_path):
        locations = list(dict.fromkeys((location, *locations)))
    elif not version_source(document).variables:
        raise _unknown_location(document, display_path)
    for location in locations:
        display_file = f"{display_path}/{location.path}"
        path = _resolve_inside(package, location.path, display_file)
        text = texts[path] if path in texts else read_text_if_exists(path)
        texts[path] = write_version_at(text, location, version, display_file)
    return texts


def cargo_lock_text(
    package: Path, document: Mapping[str, Any], version: Version, top: Path
) -> dict[Path, str]:
    """Return the new text of the Cargo.lock with the crate of *package*, if maturin builds it; nothing is written.

    Cargo looks for it beside Cargo.toml and in the directories above; here up to *top*. Empty without such a file, or
    if it does not have the crate: then Cargo writes it anew.
    """
    crates = [location for location in version_source(document).locations if location.is_semver]
    if not (is_dynamic(document) and crates):
        return {}
    manifest = package / crates[0].path
    crate = text_at(table_at(parse_document(read_text_if_exists(manifest)), "package"), "name")
    above = [directory for directory in manifest.parents if directory.is_relative_to(top)]
    locks = [directory / "Cargo.lock" for directory in above]
    lock = next(filter(Path.is_file, locks), locks[0])
    text, location = read_text_if_exists(lock), locked_cargo_location(crate)
    if not location.find(text):
        return {}
    return {lock: write_version_at(text, location, version, str(lock.relative_to(top)))}


def version_location(
    package: Path, document: Mapping[str, Any], display_path: str
) -> VersionLocation | None:
    """Return the location of a dynamic version: where the build backend reads it, else the first in `bump`.

    None if the version is not dynamic, or no file contains it.
    """
    if not is_dynamic(document):
        return None
    source = version_source(document)
    bump_locations = [] if source.variables else _bump_locations(document, display_path)
    locations = (*source.locations, *bump_locations)
    matching = (
        location
        for location in locations
        if location.find(read_text_if_exists(package / location.path))
    )
    return next(matching, None)


def _bump_locations(document: Mapping[str, Any], display_path: str) -> list[VersionLocation]:
    files = bump_files(document, f"{display_path}/{PYPROJECT}")
    return [literal_location(file.pattern, file.path) for file in files]


def _unknown_location(document: Mapping[str, Any], display_path: str) -> Refusal:
    source = version_source(document)
    paths = dict.fromkeys(location.path for location in source.locations)
    listed = ", ".join(paths) or "no known file"
    message = f"cannot find the file that contains the version: {source.description} means {listed}"
    return Refusal(ErrorCode.VERSION_PLACE, message, f"{display_path}/{PYPROJECT}")


def _resolve_inside(package: Path, path: str, display_file: str) -> Path:
    resolved = resolve_inside(package, path)
    if resolved is None:
        raise Refusal(ErrorCode.VERSION_PLACE, "the file is outside the package", display_file)
    if not resolved.is_file():
        raise Refusal(ErrorCode.VERSION_PLACE, "the file does not exist", display_file)
    return resolved
