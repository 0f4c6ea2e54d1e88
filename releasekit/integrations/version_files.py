"""The files of a package that hold its version and its requirements, as they stand on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from releasekit.core.config.settings import bump_files
from releasekit.core.errors import Code, Refusal
from releasekit.core.workspace.dynamic_version import is_dynamic, literal, source_of
from releasekit.core.workspace.toml_edits import write_place, write_version
from releasekit.core.workspace.workspace import PYPROJECT, Declared, requirement_files
from releasekit.integrations.filesystem import read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from packaging.version import Version

    from releasekit.core.workspace.dynamic_version import Place


def declared_version(package: Path, document: Mapping[str, Any], shown: str) -> Declared | None:
    """Return the dynamic version that a file of *package* declares; None if it is not dynamic, or a tag decides.

    Raises Refusal RK-CONFIG-INVALID-….
    """
    place = declaring_place(package, document, shown)
    return Declared(place.find(_text(package / place.path)), place.path) if place else None


def read_requirement_files(package: Path, document: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each requirement file of *package* that lies in it, by its path below."""
    paths = dict.fromkeys(file.path for file in requirement_files(document))
    inside = {path: (package / path).resolve() for path in paths}
    return {path: _text(file) for path, file in inside.items() if file.is_relative_to(package.resolve())}


def rewritten_texts(package: Path, document: Mapping[str, Any], rewrite: Callable[[str, str], str]) -> dict[Path, str]:
    """Return the new text of each file of *package* whose requirements *rewrite* changes; nothing is written here.

    *rewrite* is given the text of a file, and its path below the package.
    """
    before = {PYPROJECT: read_text(package / PYPROJECT), **read_requirement_files(package, document)}
    after = {file: rewrite(text, file) for file, text in before.items() if text}
    return {(package / file).resolve(): text for file, text in after.items() if text != before[file]}


def new_texts(package: Path, document: Mapping[str, Any], version: Version, shown: str) -> dict[Path, str]:
    """Return the new text of every file of *package* that is to hold *version*; nothing is written here.

    *shown* is the package's place in the workspace. Raises Refusal RK-VERSION-PLACE, RK-CONFIG-INVALID-….
    """
    texts: dict[Path, str] = {}
    named = [literal(file.pattern, file.path) for file in bump_files(document, f"{shown}/pyproject.toml")]
    if not is_dynamic(document):
        pyproject = _inside(package, "pyproject.toml", f"{shown}/pyproject.toml")
        texts[pyproject] = write_version(read_text(pyproject), version)
    elif place := declaring_place(package, document, shown):
        named = [place, *(other for other in named if other != place)]
    elif not source_of(document).variables:
        raise _unknown(document, shown)
    for place in named:
        where = f"{shown}/{place.path}"
        path = _inside(package, place.path, where)
        text = texts[path] if path in texts else _text(path)
        texts[path] = write_place(text, place, version, where)
    return texts


def declaring_place(package: Path, document: Mapping[str, Any], shown: str) -> Place | None:
    """Return the place of a dynamic version: where the build backend finds it, else the first that `bump` names."""
    if not is_dynamic(document):
        return None
    source = source_of(document)
    named = () if source.variables else bump_files(document, f"{shown}/pyproject.toml")
    places = (*source.places, *(literal(file.pattern, file.path) for file in named))
    return next((place for place in places if place.find(_text(package / place.path))), None)


def _unknown(document: Mapping[str, Any], shown: str) -> Refusal:
    source = source_of(document)
    looked = ", ".join(dict.fromkeys(place.path for place in source.places)) or "no file that is known here"
    what = f"nobody knows where the version stands: {source.named} means {looked}"
    return Refusal(Code.VERSION_PLACE, what, f"{shown}/pyproject.toml")


def _inside(package: Path, path: str, where: str) -> Path:
    found = (package / path).resolve()
    if not found.is_relative_to(package.resolve()):
        raise Refusal(Code.VERSION_PLACE, "the file lies outside the package", where)
    if not found.is_file():
        raise Refusal(Code.VERSION_PLACE, "there is no such file", where)
    return found


def _text(path: Path) -> str:
    return read_text(path, "surrogateescape") if path.is_file() else ""
