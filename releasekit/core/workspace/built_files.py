"""What the names of built files, and of the files in them, say."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from releasekit.core.text import list_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

BuiltContents = Literal["all", "sdist", "wheels"]
"""Which files of a package must be there: an sdist and its wheels, the sdist at least, or wheels only."""
_EXPECTED_FILES: Mapping[BuiltContents, tuple[str, int, int]] = {
    "all": ("one sdist (.tar.gz) and a wheel", 1, 1),
    "sdist": ("one sdist (.tar.gz)", 1, 0),
    "wheels": ("wheels only", 0, 1),
}
"""The contents in words, the number of sdists, and the lowest number of wheels."""


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
    yield from file_set_problems(names, contents)
    for name in filter(_is_package_file, names):
        yield from _file_name_problems(name, project, version)


def file_set_problems(names: Sequence[str], contents: BuiltContents) -> Iterator[str]:
    """Yield what is wrong if the files *names* of a package are not the expected *contents*."""
    sdists = [name for name in names if name.endswith(".tar.gz")]
    wheels = [name for name in names if name.endswith(".whl")]
    expected, sdist_count, wheel_count = _EXPECTED_FILES[contents]
    if len(sdists) != sdist_count or len(wheels) < wheel_count:
        listed = list_names(names, "nothing")
        yield f"expected {expected}, found: {listed}"


def _is_package_file(name: str) -> bool:
    return name.endswith((".tar.gz", ".whl"))


def _file_name_problems(name: str, project: str, version: Version) -> Iterator[str]:
    try:
        file_project, file_version = parse_file_name(name)
    except (InvalidSdistFilename, InvalidWheelFilename, InvalidVersion) as error:
        yield f"{name}: {error}"
        return
    if file_project != project:
        yield f"{name} is named after {file_project}, not {project}"
    if file_version != version:
        note = planned_version_note(str(file_version), version)
        yield f"{name} has the version {file_version}, {note}"


def parse_file_name(name: str) -> tuple[str, Version]:
    """Return the project and the version in the file name of an sdist or a wheel."""
    if name.endswith(".whl"):
        project, version, *_ = parse_wheel_filename(name)
        return project, version
    return parse_sdist_filename(name)


def planned_version_note(built_version: str, version: Version) -> str:
    """Return that *version* is planned, and where *built_version* comes from if it shows that."""
    planned = f"but {version} is planned"
    is_local = "+" in built_version
    is_unplanned_dev = ".dev" in built_version and not version.is_devrelease
    if is_local or is_unplanned_dev:
        return f"{planned}: the build backend derived another version from the state of git"
    return planned


def has_no_code(sdist_files: Sequence[str]) -> bool:
    """Return whether the files of an sdist are known, and none of them is code."""
    return bool(sdist_files) and not any(map(_is_code, sdist_files))


def is_content(file: str) -> bool:
    """Return whether *file* of a wheel is something to install that is no module: data, or types."""
    is_data = ".data/" in file
    # A stub package has only types for another package (PEP 561).
    is_stub = file.endswith((".pyi", "/py.typed"))
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
_SUPPORT_DIRECTORIES = frozenset(
    {"tests", "test", "docs", "doc", "examples", "benchmarks", "scripts", "tools"}
)
_BUILD_SCRIPTS = frozenset(
    {"setup.py", "hatch_build.py", "pdm_build.py", "build.py", "noxfile.py", "conftest.py"}
)
