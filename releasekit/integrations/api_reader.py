"""Finds breaking changes of a Python API in its source. griffe reads the source, and imports nothing."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from releasekit.core.artifacts.api_changes import ApiChange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

log = logging.getLogger("releasekit.detail")

READER_VERSION = "1"
"""Raise it whenever the same source gives other changes: cached ones are then read again."""


def find_api_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[ApiChange, ...]:
    """Return the changes between two sources that break users, in the order of the old source.

    *before* and *after* have the text of each Python file by its path from the directory of the import packages. What
    griffe cannot read counts as unchanged.
    """
    # Importing it takes 0.2 s, and most plans have nothing to compare.
    import griffe

    # It reports what it cannot resolve, such as other packages, which are not here.
    logging.getLogger("griffe").setLevel(logging.CRITICAL)
    changes: dict[str, ApiChange] = {}
    with tempfile.TemporaryDirectory(prefix="releasekit-api-") as directory:
        old_root, new_root = Path(directory, "before"), Path(directory, "after")
        _write(old_root, before)
        _write(new_root, after)
        tops = _top_modules(before) & _top_modules(after)
        for top in sorted(tops):
            old, new = _load(griffe, old_root, top), _load(griffe, new_root, top)
            if old is not None and new is not None:
                changes |= {str(change): change for change in _breaking_changes(griffe, old, new)}
    return tuple(changes.values())


def _write(root: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        if ".." in PurePosixPath(path).parts:
            continue
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8", "surrogateescape")


def _top_modules(files: Iterable[str]) -> set[str]:
    tops = {PurePosixPath(path).parts[0].removesuffix(".pyi").removesuffix(".py") for path in files}
    return {top for top in tops if top.isidentifier() and not top.startswith("_")}


def _load(griffe: Any, root: Path, top: str) -> Any:  # noqa: ANN401  griffe is imported late
    """Return the module *top* below *root*; None if it cannot be read."""
    loader = griffe.GriffeLoader(search_paths=[root], allow_inspection=False, store_source=False)
    try:
        module = loader.load(top, try_relative_path=False)
        loader.resolve_aliases(implicit=False, external=False)
    except Exception as error:  # noqa: BLE001  source that griffe cannot read stops no plan
        log.info("the API of %s is not compared: %r", top, error)
        return None
    return module


def _breaking_changes(griffe: Any, old: Any, new: Any) -> Iterator[ApiChange]:  # noqa: ANN401  griffe is imported late
    names = _public_names(new)
    try:
        for breakage in griffe.find_breaking_changes(old, new):
            describe = _texts(griffe).get(breakage.kind)
            # A new default or another annotation is a matter of judgement; most of them break nobody.
            is_wildcard = "*" in str(breakage.obj.path)  # of a module that is not here
            if describe is None or is_wildcard or _is_harmless(breakage, new):
                continue
            yield ApiChange(
                path=_public_path(str(breakage.obj.path), names),
                text=describe(breakage.old_value, breakage.new_value),
                was_deprecated=_is_deprecated(breakage.obj),
                is_removal=breakage.kind is griffe.BreakageKind.OBJECT_REMOVED,
            )
    except Exception as error:  # noqa: BLE001  source that griffe cannot compare stops no plan
        log.info("the API of %s is compared in part: %r", old.path, error)


def _texts(griffe: Any) -> dict[Any, Callable[[Any, Any], str]]:  # noqa: ANN401  griffe is imported late
    """Return by kind of breakage how to describe it, from the old and the new value."""
    kinds = griffe.BreakageKind
    return {
        kinds.OBJECT_REMOVED: lambda _old, _new: "removed",
        kinds.OBJECT_CHANGED_KIND: lambda old, new: f"the {old.value} becomes a {new.value}",
        kinds.PARAMETER_REMOVED: lambda old, _new: f"the parameter {old.name} is removed",
        kinds.PARAMETER_MOVED: lambda old, _new: f"the parameter {old.name} moves",
        kinds.PARAMETER_CHANGED_KIND: lambda old, new: (
            f"the parameter {old.name} becomes {new.kind.value}"
        ),
        kinds.PARAMETER_CHANGED_REQUIRED: lambda old, _new: (
            f"the parameter {old.name} has no default any more"
        ),
        kinds.PARAMETER_ADDED_REQUIRED: lambda _old, new: (
            f"the new parameter {new.name} has no default"
        ),
        kinds.CLASS_REMOVED_BASE: lambda _old, _new: "a base class is removed",
    }


def _public_names(package: Any) -> dict[str, str]:  # noqa: ANN401  griffe is imported late
    """Return the names under which public modules of *package* offer the objects of private modules."""
    names: dict[str, str] = {}
    modules = [package]
    while modules:
        module = modules.pop()
        for member in module.members.values():
            if member.is_alias:
                is_offered = member.is_public and "._" in str(member.target_path)
                names |= {str(member.target_path): str(member.path)} if is_offered else {}
            elif member.is_module and not member.name.startswith("_"):
                modules.append(member)
    return names


def _public_path(path: str, names: Mapping[str, str]) -> str:
    """Return *path*, with the public name of the longest beginning that has one."""
    beginning = path
    while beginning:
        if beginning in names:
            return names[beginning] + path.removeprefix(beginning)
        beginning = beginning.rpartition(".")[0]
    return path


def _is_harmless(breakage: Any, new: Any) -> bool:  # noqa: ANN401  griffe is imported late
    """Return whether a removed object is still there in another way."""
    if breakage.new_value is not None or breakage.old_value is not breakage.obj:
        return False
    obj = breakage.obj
    if obj.parent.is_class and hasattr(object, obj.name):
        has_parameters = obj.is_function and len(obj.parameters) > 1
        return not has_parameters or obj.name != "__init__"
    # A `__getattr__` (PEP 562) may still answer for names that were deprecated.
    parent = _find(new, obj.parent.path)
    return parent is not None and "__getattr__" in parent.members


def _find(package: Any, path: str) -> Any:  # noqa: ANN401  griffe is imported late
    """Return the object *path* of *package*; None if it does not exist."""
    member = package
    for name in path.split(".")[1:]:
        member = member.members.get(name)
        if member is None or member.is_alias:
            return None
    return member


def _is_deprecated(obj: Any) -> bool:  # noqa: ANN401  griffe is imported late
    """Return whether the object, or what contains it, was deprecated: by a decorator (PEP 702) or in its docstring."""
    while obj is not None and not obj.is_alias and not obj.is_module:
        decorators = (str(decorator.value) for decorator in getattr(obj, "decorators", ()))
        is_marked = any(
            text.partition("(")[0].rpartition(".")[2] == "deprecated" for text in decorators
        )
        docstring = obj.docstring.value if obj.docstring else ""
        if is_marked or ".. deprecated::" in docstring:
            return True
        obj = obj.parent
    return False
