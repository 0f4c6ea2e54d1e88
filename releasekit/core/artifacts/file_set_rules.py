"""Rules about the files of a package: which there are, and whether all of them have the planned name and version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, canonicalize_name
from packaging.version import InvalidVersion

from releasekit.core.artifacts.archive_facts import SDIST_SUFFIX
from releasekit.core.artifacts.problems import Problem, RuleSeverity, printable
from releasekit.core.version_numbers import CODE_VERSION, VERSION_MODULES, parse_version
from releasekit.core.workspace.built_files import (
    file_set_problems,
    parse_file_name,
    planned_version_note,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from releasekit.core.artifacts.archive_facts import Archive, BuiltArtifacts


def file_set(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find builds that left something else than the files that were asked for."""
    for text in file_set_problems(built.names, built.expected):
        yield Problem("", text)


def file_names(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find file names that are not those of the planned package, or not written in the one normalized way."""
    for archive in built.archives:
        yield from _file_name_problems(archive, built)


def _file_name_problems(archive: Archive, built: BuiltArtifacts) -> Iterator[Problem]:
    try:
        project, version = parse_file_name(archive.name)
    except (InvalidSdistFilename, InvalidWheelFilename, InvalidVersion) as error:
        yield Problem(archive.name, str(error))
        return
    if project != built.project:
        yield Problem(archive.name, f"is named after {project}, not {built.project}")
    elif version != built.version:
        note = planned_version_note(str(version), built.version)
        yield Problem(archive.name, f"has the version {version}, {note}")
    elif not _has_normalized_name(archive, built):
        yield Problem(
            archive.name,
            f"the normalized name begins with {built.file_stem}; uv does not upload other names",
        )


def _has_normalized_name(archive: Archive, built: BuiltArtifacts) -> bool:
    if archive.is_wheel:
        return archive.name.startswith(f"{built.file_stem}-")
    return archive.name == f"{built.file_stem}{SDIST_SUFFIX}"


def names_and_versions(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find metadata of another project or version than planned, and versions that PyPI refuses."""
    if built.version.local:
        yield Problem("", f"{built.version} is a local version, which PyPI refuses")
    for archive in built.archives:
        if archive.metadata_path in archive.contents:
            yield from _name_problems(archive, built)
        yield from _info_directory_problems(archive, built)
        yield from _code_version_problems(archive, built)


def _name_problems(archive: Archive, built: BuiltArtifacts) -> Iterator[Problem]:
    file = archive.metadata_path.rpartition("/")[2]
    name, version = archive.value("Name"), archive.value("Version")
    if canonicalize_name(name) != built.project:
        yield Problem(
            archive.name, f"{file} names {printable(name) or 'no project'}, not {built.project}"
        )
    if version != str(built.version):
        note = planned_version_note(version, built.version)
        yield Problem(
            archive.name, f"{file} has the version {printable(version) or 'none'}, {note}"
        )


def _code_version_problems(archive: Archive, built: BuiltArtifacts) -> Iterator[Problem]:
    """Yield the modules of a wheel whose `__version__` is another version."""
    own = built.project.replace("-", "_")
    for name in VERSION_MODULES:
        path = f"{own}/{name}"
        match = CODE_VERSION.search(archive.contents.get(path, b"").decode("utf-8", "replace"))
        if match and parse_version(match[1]) != built.version:
            message = f"{path} has the __version__ {printable(match[1])}, not {built.version}"
            yield Problem(archive.name, message, RuleSeverity.WARNING)


def _info_directory_problems(archive: Archive, built: BuiltArtifacts) -> Iterator[Problem]:
    for directory in archive.info_directories if archive.is_wheel else ():
        if directory != f"{built.file_stem}.dist-info":  # PyPI looks for no other spelling
            yield Problem(
                archive.name, f"{printable(directory)} must be {built.file_stem}.dist-info"
            )
