"""Checks that built files must pass before they are uploaded."""

from __future__ import annotations

from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from releasekit.core.workspace.pins import pin_mismatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from email.message import Message

    from releasekit.core.workspace.pins import Pins


@dataclass(frozen=True, slots=True)
class Wheel:
    """The contents of a wheel.

    *metadata* is the text of METADATA. *hashes* has the sha256 of each file (urlsafe base64), *record* the hash of each
    file as RECORD lists it (`sha256=...`).
    """

    name: str
    metadata: str
    hashes: Mapping[str, str]
    record: Mapping[str, str]


def built_file_problems(
    project: str,
    version: Version,
    names: Sequence[str],
    wheels: Sequence[Wheel],
    pins: Pins,
    sources: Iterable[str] = (),
) -> tuple[str, ...]:
    """Return the problems of the built files *names* of *project*; empty if they may be uploaded.

    *pins* are the requirements on siblings that the wheels must have. *sources* are the files in the sdist.
    """
    messages = list(file_name_problems(project, version, names))
    if version.local:
        messages.append(f"{version} is a local version, which PyPI refuses")
    sdist_files = tuple(sources)
    is_metadata_only = bool(sdist_files) and not any(map(_is_code, sdist_files))
    for wheel in wheels:
        messages += _wheel_problems(wheel, project, version, pins)
        if _is_empty(wheel) and not (is_metadata_only and metadata_of(wheel).get_all("Requires-Dist")):
            messages.append(f"{wheel.name}: has no module")
    return tuple(messages)


def metadata_of(wheel: Wheel) -> Message:
    """Return the fields of the wheel's METADATA (core metadata specification)."""
    return HeaderParser().parsestr(wheel.metadata)


def extras_of(wheel: Wheel) -> tuple[str, ...]:
    """Return the extras that the wheel's METADATA provides, with normalised names (PEP 685)."""
    return tuple(sorted({canonicalize_name(str(name)) for name in metadata_of(wheel).get_all("Provides-Extra", [])}))


def import_names(files: Iterable[str]) -> tuple[str, ...]:
    """Return the names under which Python imports a wheel with these *files*: its top-level packages and modules.

    In a namespace package (PEP 420: no `__init__.py`), these are the first regular packages or modules below it.
    """
    modules = [
        PurePosixPath(file)
        for file in files
        if file.endswith((".py", ".pyi", ".so", ".pyd")) and ".dist-info/" not in file
    ]
    modules = [path for path in modules if ".data/" not in f"{path}" and path.suffix != ".pyi"]
    packages = {path.parent for path in modules if path.name.split(".")[0] == "__init__" and path.parent.name}
    tops = {_top(path, packages) for path in modules}
    return tuple(sorted(".".join(path.parts) for path in tops if path.parts and _is_name(path)))


def _top(path: PurePosixPath, packages: set[PurePosixPath]) -> PurePosixPath:
    for parent in reversed(path.parents):
        if parent in packages:
            return parent
    return path.parent / path.name.split(".")[0]


def _is_name(path: PurePosixPath) -> bool:
    return all(part.isidentifier() for part in path.parts) and path.name not in {"__main__", "__init__"}


def file_name_problems(project: str, version: Version, names: Sequence[str]) -> Iterator[str]:
    """Yield the problems of the file *names* of *project*: expected are one sdist and its wheels, of *version*."""
    sdists = [name for name in names if name.endswith(".tar.gz")]
    wheels = [name for name in names if name.endswith(".whl")]
    if len(sdists) != 1 or not wheels:
        yield f"expected one sdist and a wheel, found: {', '.join(names) or 'nothing'}"
    for name in (*sdists, *wheels):
        try:
            file_project, file_version = (parse_sdist_filename(name) if name in sdists else parse_wheel_filename(name))[
                :2
            ]
        except (InvalidSdistFilename, InvalidWheelFilename, InvalidVersion) as error:
            yield f"{name}: {error}"
            continue
        if file_project != project:
            yield f"{name} is named after {file_project}, not {project}"
        if file_version != version:
            yield f"{name} has the version {file_version}, {_planned_version_note(str(file_version), version)}"


def _wheel_problems(wheel: Wheel, project: str, version: Version, pins: Pins) -> Iterator[str]:
    metadata = metadata_of(wheel)
    if canonicalize_name(metadata.get("Name", "")) != project:
        yield f"{wheel.name}: METADATA names {metadata.get('Name')}, not {project}"
    if metadata.get("Version") != str(version):
        built_version = str(metadata.get("Version"))
        yield f"{wheel.name}: METADATA has the version {built_version}, {_planned_version_note(built_version, version)}"
    for written in metadata.get_all("Requires-Dist", []):
        try:
            requirement = Requirement(str(written))
        except InvalidRequirement:
            yield f"{wheel.name}: Requires-Dist {written!r} is not a valid requirement"
            continue
        if requirement.url:
            yield f"{wheel.name}: requires {requirement} by URL, which PyPI refuses"
        elif expected := pin_mismatch(requirement, pins):
            yield f"{wheel.name}: requires {requirement}, but {expected} is planned"
    yield from _record_problems(wheel)


def _planned_version_note(built_version: str, version: Version) -> str:
    planned = f"but {version} is planned"
    by_git = "+" in built_version or (".dev" in built_version and not version.is_devrelease)
    return f"{planned}: the build backend derived another version from the state of git" if by_git else planned


def _is_empty(wheel: Wheel) -> bool:
    stubs = (".pyi", "/py.typed")  # a stub package has only types for another package (PEP 561)
    return not import_names(wheel.hashes) and not any(".data/" in n or n.endswith(stubs) for n in wheel.hashes)


def _is_code(file: str) -> bool:
    """Return whether *file* of an sdist is code that belongs in a wheel.

    Files for tests, documentation and the build do not count. A package that consists of requirements only has no code.
    """
    path = PurePosixPath(file)
    is_support_file = path.parts[0] in _SUPPORT_DIRECTORIES or path.parts[0].startswith(".")
    return path.suffix in _CODE_SUFFIXES and not is_support_file and file not in _BUILD_SCRIPTS


_CODE_SUFFIXES = frozenset({".py", ".pyx", ".c", ".cc", ".cpp", ".rs", ".so", ".pyd"})
_SUPPORT_DIRECTORIES = frozenset({"tests", "test", "docs", "doc", "examples", "benchmarks", "scripts", "tools"})
_BUILD_SCRIPTS = frozenset({"setup.py", "hatch_build.py", "pdm_build.py", "build.py", "noxfile.py", "conftest.py"})


def _record_problems(wheel: Wheel) -> Iterator[str]:
    for name, digest in wheel.hashes.items():
        if name.endswith((".dist-info/RECORD", ".dist-info/RECORD.jws", ".dist-info/RECORD.p7s")):
            continue
        if name not in wheel.record:
            yield f"{wheel.name}: {name} is not in RECORD"
        elif wheel.record[name] != f"sha256={digest}":
            yield f"{wheel.name}: {name} does not match its hash in RECORD"
    for name in sorted(wheel.record.keys() - wheel.hashes.keys()):
        yield f"{wheel.name}: RECORD lists {name}, which is not in the wheel"
