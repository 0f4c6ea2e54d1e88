"""Checks that built files must pass before they are uploaded."""

from __future__ import annotations

from dataclasses import dataclass
from email.parser import HeaderParser
from itertools import chain, filterfalse
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

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


BuiltContents = Literal["all", "sdist", "wheels"]
"""Which files of a package must be there: an sdist and its wheels, the sdist at least, or wheels only."""
_EXPECTED: Mapping[BuiltContents, str] = {
    "all": "one sdist and a wheel",
    "sdist": "one sdist",
    "wheels": "wheels only",
}


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
    contents: BuiltContents = "all",
) -> tuple[str, ...]:
    """Return the problems of the built files *names* of *project*; empty if they may be uploaded.

    *pins* are the requirements on siblings that the wheels must have. *sources* are the files in the sdist. *contents*
    says which files are expected.
    """
    messages = list(file_name_problems(project, version, names, contents))
    if version.local:
        messages.append(f"{version} is a local version, which PyPI refuses")
    sdist_has_no_code = _has_no_code(tuple(sources))
    for wheel in wheels:
        metadata = metadata_of(wheel)
        problems = chain(
            _metadata_problems(metadata, project, version),
            _requirement_problems(metadata, pins),
            _record_problems(wheel),
            _content_problems(wheel, metadata, sdist_has_no_code=sdist_has_no_code),
        )
        messages += [f"{wheel.name}: {problem}" for problem in problems]
    return tuple(messages)


def _has_no_code(sdist_files: Sequence[str]) -> bool:
    """Return whether the files of an sdist are known, and none of them is code."""
    if not sdist_files:
        return False
    return not any(map(_is_code, sdist_files))


def metadata_of(wheel: Wheel) -> Message:
    """Return the fields of the wheel's METADATA (core metadata specification)."""
    return HeaderParser().parsestr(wheel.metadata)


def extras_of(wheel: Wheel) -> tuple[str, ...]:
    """Return the extras that the wheel's METADATA provides, with normalised names (PEP 685)."""
    provided = map(str, metadata_of(wheel).get_all("Provides-Extra", []))
    names = set(map(canonicalize_name, provided))
    return tuple(sorted(names))


def import_names(files: Iterable[str]) -> tuple[str, ...]:
    """Return the names under which Python imports a wheel with these *files*: its top-level packages and modules.

    In a namespace package (PEP 420: no `__init__.py`), these are the first regular packages or modules below it.
    """
    modules = list(map(PurePosixPath, filter(_is_module, files)))
    packages = {path.parent for path in modules if _module_name(path) == "__init__"}
    packages.discard(PurePosixPath())
    top_level = {_top(path, packages) for path in modules}
    names = (".".join(path.parts) for path in top_level if _is_import_name(path))
    return tuple(sorted(names))


def _is_module(file: str) -> bool:
    """Return whether Python imports the *file* of a wheel from where it is."""
    is_elsewhere = ".dist-info/" in file or ".data/" in file
    return file.endswith(_MODULE_SUFFIXES) and not is_elsewhere


_MODULE_SUFFIXES = (".py", ".so", ".pyd")


def _module_name(path: PurePosixPath) -> str:
    """Return the name of a module without suffixes, such as `.abi3.so`."""
    return path.name.split(".")[0]


def _top(path: PurePosixPath, packages: set[PurePosixPath]) -> PurePosixPath:
    """Return the outermost of *packages* that contains the module *path*, or else the module itself."""
    module = path.parent / _module_name(path)
    outer_packages = filter(packages.__contains__, reversed(path.parents))
    return next(outer_packages, module)


def _is_import_name(path: PurePosixPath) -> bool:
    are_identifiers = all(map(str.isidentifier, path.parts))
    return are_identifiers and path.name not in {"", "__main__", "__init__"}


def file_name_problems(
    project: str, version: Version, names: Sequence[str], contents: BuiltContents = "all"
) -> Iterator[str]:
    """Yield the problems of the file *names* of *project*: expected are the *contents*, of *version*."""
    sdists = [name for name in names if name.endswith(".tar.gz")]
    wheels = [name for name in names if name.endswith(".whl")]
    has_sdists = not sdists if contents == "wheels" else len(sdists) == 1
    has_wheels = bool(wheels) or contents == "sdist"
    if not (has_sdists and has_wheels):
        listed = ", ".join(names) or "nothing"
        yield f"expected {_EXPECTED[contents]}, found: {listed}"
    for name in (*sdists, *wheels):
        yield from _file_name_problems(name, project, version)


def _file_name_problems(name: str, project: str, version: Version) -> Iterator[str]:
    try:
        file_project, file_version = parse_file_name(name)
    except (InvalidSdistFilename, InvalidWheelFilename, InvalidVersion) as error:
        yield f"{name}: {error}"
        return
    if file_project != project:
        yield f"{name} is named after {file_project}, not {project}"
    if file_version != version:
        note = _planned_version_note(str(file_version), version)
        yield f"{name} has the version {file_version}, {note}"


def parse_file_name(name: str) -> tuple[str, Version]:
    """Return the project and the version in the file name of an sdist or a wheel."""
    if name.endswith(".whl"):
        project, version, *_ = parse_wheel_filename(name)
        return project, version
    return parse_sdist_filename(name)


def _metadata_problems(metadata: Message, project: str, version: Version) -> Iterator[str]:
    built_name = metadata.get("Name")
    if canonicalize_name(built_name or "") != project:
        yield f"METADATA names {built_name}, not {project}"
    built_version = str(metadata.get("Version"))
    if built_version != str(version):
        note = _planned_version_note(built_version, version)
        yield f"METADATA has the version {built_version}, {note}"


def _requirement_problems(metadata: Message, pins: Pins) -> Iterator[str]:
    requirements = map(str, metadata.get_all("Requires-Dist", []))
    problems = (_requirement_problem(written, pins) for written in requirements)
    return filter(None, problems)


def _requirement_problem(written: str, pins: Pins) -> str:
    """Return what is wrong with a requirement in METADATA; empty if it is as planned."""
    try:
        requirement = Requirement(written)
    except InvalidRequirement:
        return f"Requires-Dist {written!r} is not a valid requirement"
    if requirement.url:
        return f"requires {requirement} by URL, which PyPI refuses"
    expected = pin_mismatch(requirement, pins)
    if not expected:
        return ""
    return f"requires {requirement}, but {expected} is planned"


def _planned_version_note(built_version: str, version: Version) -> str:
    """Return that *version* is planned, and where *built_version* comes from if it shows that."""
    planned = f"but {version} is planned"
    is_local = "+" in built_version
    is_unplanned_dev = ".dev" in built_version and not version.is_devrelease
    if is_local or is_unplanned_dev:
        return f"{planned}: the build backend derived another version from the state of git"
    return planned


def _content_problems(wheel: Wheel, metadata: Message, *, sdist_has_no_code: bool) -> Iterator[str]:
    is_meta_package = sdist_has_no_code and "Requires-Dist" in metadata
    if not is_meta_package and _is_empty(wheel):
        yield "has no module"


def _is_empty(wheel: Wheel) -> bool:
    """Return whether the wheel has nothing to install: no module, no data and no types."""
    contents = chain(import_names(wheel.hashes), filter(_is_content, wheel.hashes))
    return not any(contents)


def _is_content(file: str) -> bool:
    is_data = ".data/" in file
    is_stub = file.endswith((".pyi", "/py.typed"))  # a stub package has only types for another package (PEP 561)
    return is_data or is_stub


def _is_code(file: str) -> bool:
    """Return whether *file* of an sdist is code that belongs in a wheel.

    Files for tests, documentation and the build do not count. A package that consists of requirements only has no code.
    """
    path = PurePosixPath(file)
    directory = path.parts[0]
    is_support_file = directory in _SUPPORT_DIRECTORIES or directory.startswith(".")
    is_build_script = file in _BUILD_SCRIPTS
    return path.suffix in _CODE_SUFFIXES and not is_support_file and not is_build_script


_CODE_SUFFIXES = frozenset({".py", ".pyx", ".c", ".cc", ".cpp", ".rs", ".so", ".pyd"})
_SUPPORT_DIRECTORIES = frozenset({"tests", "test", "docs", "doc", "examples", "benchmarks", "scripts", "tools"})
_BUILD_SCRIPTS = frozenset({"setup.py", "hatch_build.py", "pdm_build.py", "build.py", "noxfile.py", "conftest.py"})


def _record_problems(wheel: Wheel) -> Iterator[str]:
    for name in filterfalse(_is_outside_record, wheel.hashes):
        digest = wheel.hashes[name]
        recorded = wheel.record.get(name)
        if recorded is None:
            yield f"{name} is not in RECORD"
        elif recorded != f"sha256={digest}":
            yield f"{name} does not match its hash in RECORD"
    missing = wheel.record.keys() - wheel.hashes.keys()
    for name in sorted(missing):
        yield f"RECORD lists {name}, which is not in the wheel"


def _is_outside_record(name: str) -> bool:
    return name.endswith(_FILES_OUTSIDE_RECORD)


_FILES_OUTSIDE_RECORD = (".dist-info/RECORD", ".dist-info/RECORD.jws", ".dist-info/RECORD.p7s")
