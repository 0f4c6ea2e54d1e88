"""Rules about the package as a whole: modules, entry points and syntax, in the wheel and compared with the sdist."""

from __future__ import annotations

import ast
import re
import symtable
import sys
import warnings
from collections import Counter
from functools import partial
from itertools import chain, filterfalse
from typing import TYPE_CHECKING, Any, TypeVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from releasekit.core.artifacts.content_rules import is_support_path, own_import_names
from releasekit.core.artifacts.package_facts import selected_paths
from releasekit.core.artifacts.problems import Problem, RuleSeverity, list_problem, printable
from releasekit.core.workspace.built_files import has_no_code, import_names, is_content
from releasekit.core.workspace.declarations import parse_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from releasekit.core.artifacts.archive_facts import Archive, BuiltArtifacts
    from releasekit.core.artifacts.entry_points import EntryPoint

T = TypeVar("T")


def empty_wheels(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find wheels without modules, or without the module that the sdist has and the package is named for."""
    for wheel in built.wheels:
        if wheel.is_readable:
            yield from _emptiness_problems(wheel, built)


def _emptiness_problems(wheel: Archive, built: BuiltArtifacts) -> Iterator[Problem]:
    modules = import_names(wheel.files)
    has_content = bool(modules) or any(map(is_content, wheel.files))
    if has_content:
        available = set(import_names(wheel.installed_paths))
        lost = sorted(_modules_of_sdist(built) & own_import_names(built.project) - available)
        yield from list_problem(
            wheel.name, "the module of this name is in the sdist, but not in the wheel", lost
        )
    elif not _is_meta_package(wheel, built):
        yield Problem(wheel.name, "has no module")


def _is_meta_package(wheel: Archive, built: BuiltArtifacts) -> bool:
    """Return whether the package is there for its requirements alone."""
    has_no_code = _sdist_has_no_code(built) or any(map(_asks_for_no_code, built.sdists))
    return has_no_code and bool(wheel.values("Requires-Dist"))


def _sdist_has_no_code(built: BuiltArtifacts) -> bool:
    return any(has_no_code(sdist.sources) for sdist in built.sdists)


def _asks_for_no_code(sdist: Archive) -> bool:
    """Return whether the settings of the build backend say that the wheel gets no modules."""
    text = sdist.contents.get(f"{sdist.top}/pyproject.toml", b"")
    document = parse_document(text[:_MAX_SETTINGS].decode("utf-8", "replace"))
    return selected_paths(document) == ()


_MAX_SETTINGS = 1 << 20
"""Bytes of a pyproject.toml that are parsed."""
_SOURCE_DIRECTORIES = ("src/", "lib/", "python/")


def _modules_of_sdist(built: BuiltArtifacts) -> set[str]:
    """Return the names under which the code in the sdist is imported, if it is at the usual place."""
    names: set[str] = set()
    for sdist in built.sdists:
        names.update(import_names(sdist.sources))
        for directory in _SOURCE_DIRECTORIES:
            below = (
                path.removeprefix(directory) for path in sdist.sources if path.startswith(directory)
            )
            names.update(import_names(below))
    return names


def lost_modules(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find modules, types and data that the sdist has beside the modules of the wheel, and that the wheel lacks."""
    for wheel in built.wheels:
        for sdist in built.sdists if wheel.is_readable else ():
            lost = sorted(set(_lost_files(wheel, sdist)))
            yield from list_problem(wheel.name, f"in {sdist.name}, but not in the wheel", lost)


def changed_modules(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find modules of a wheel that have another content in the sdist, which is what people review."""
    for wheel in built.wheels:
        for sdist in built.sdists:
            changed = sorted(_changed_files(wheel, sdist))
            yield from list_problem(wheel.name, f"not the same as in {sdist.name}", changed)


def _changed_files(wheel: Archive, sdist: Archive) -> Iterator[str]:
    installed = wheel.installed_paths
    for root in _source_roots(installed, sdist.sources):
        for landing, path in installed.items():
            source = sdist.contents.get(f"{sdist.top}/{root}{landing}")
            is_changed = source is not None and wheel.contents.get(path, source) != source
            if is_changed:
                yield landing


def _lost_files(wheel: Archive, sdist: Archive) -> Iterator[str]:
    installed = wheel.installed_paths
    roots = _source_roots(installed, sdist.sources)
    packages = {path.split("/")[0] for path in installed if "/" in path}
    for source in sdist.sources:
        for root in roots:
            path = source.removeprefix(root)
            is_code = source.endswith(_INSTALLED_SUFFIXES) and source.startswith(root)
            if (
                is_code
                and path.split("/")[0] in packages
                and path not in installed
                and not _is_aside(path)
            ):
                yield path


_INSTALLED_SUFFIXES = (
    ".py", ".pyi", "/py.typed", ".html", ".j2", ".jinja", ".jinja2", ".sql", ".mo", ".xsd", ".json", ".yaml", ".yml",
)  # fmt: skip
"""Files in import packages that are for users; sources of other languages stay in the sdist."""


def _source_roots(installed: Mapping[str, str], sources: tuple[str, ...]) -> tuple[str, ...]:
    """Return the directory of the sdist that has most of the files of the wheel; empty if none has."""
    by_name: dict[str, list[str]] = {}
    for path in installed:
        if path.endswith(".py") and "/" in path:
            by_name.setdefault(path.rpartition("/")[2], []).append(path)
    roots: Counter[str] = Counter()
    for source in sources:
        for path in by_name.get(source.rpartition("/")[2], ()):
            if source == path or source.endswith(f"/{path}"):
                roots[source.removesuffix(path)] += 1
    return tuple(root for root, _ in roots.most_common(1))


def _is_aside(path: str) -> bool:
    is_build_script = path.endswith("/setup.py") or "/_build" in path
    return is_support_path(path) or is_build_script


_REFERENCE = re.compile(
    r"(?P<module>[\w.]+)\s*(?::\s*(?P<attr>[\w.]+))?\s*(?:\[(?P<extras>[^\]]*)\])?"
)
_SCRIPT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_NAME_THAT_PYPI_ACCEPTS = re.compile(r"[\w.-]*[\w-][\w.-]*")


def entry_points(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find entry points that cannot be read, or that refer to nothing in the wheel. Nothing is imported."""
    for wheel in built.wheels:
        if wheel.entry_points_error:
            shown = printable(wheel.entry_points_error)
            yield Problem(wheel.name, f"entry_points.txt cannot be read: {shown}")
        for entry in wheel.entry_points:
            yield from _entry_problems(entry, wheel)
        counts = Counter(entry.name.lower() for entry in wheel.entry_points if entry.is_script)
        repeated = [name for name, count in counts.items() if count > 1]
        message = "commands that are one file where case does not count"
        yield from list_problem(wheel.name, message, repeated, RuleSeverity.WARNING)


def _entry_problems(entry: EntryPoint, wheel: Archive) -> Iterator[Problem]:
    shown = f"the entry point {printable(entry.name)} = {printable(entry.value)}"
    is_script = entry.is_script
    if is_script and not _NAME_THAT_PYPI_ACCEPTS.fullmatch(entry.name):
        message = (
            f"{shown}: PyPI accepts letters, digits, '.', '_' and '-' in the name of a command"
        )
        yield Problem(wheel.name, message)
    elif is_script and not _SCRIPT_NAME.fullmatch(entry.name):
        message = f"{shown}: this name is not a usual name of a file"
        yield Problem(wheel.name, message, RuleSeverity.WARNING)
    match = _REFERENCE.fullmatch(entry.value.strip())
    if match is None or not are_identifiers(match["module"]) or (is_script and not match["attr"]):
        yield Problem(wheel.name, f"{shown}: it must refer to module:function")
        return
    extras = set(map(canonicalize_name, re.findall(r"[\w.-]+", match["extras"] or "")))
    unknown = sorted(extras.difference(wheel.extras))
    message = f"{shown}: the wheel has no extra of this name"
    yield from list_problem(wheel.name, message, unknown, RuleSeverity.WARNING)
    yield from _reference_problems(shown, match["module"], match["attr"] or "", wheel)


def are_identifiers(dotted: str) -> bool:
    """Return whether all parts of a *dotted* name are identifiers, so that an import can name it."""
    return all(map(str.isidentifier, dotted.split(".")))


def _reference_problems(
    shown: str, module: str, attribute: str, wheel: Archive
) -> Iterator[Problem]:
    base = module.replace(".", "/")
    installed = wheel.installed_paths
    if not wheel.is_readable or _may_be_elsewhere(module, wheel):
        return
    candidates = [f"{base}.py", f"{base}/__init__.py"]
    source = next((installed[path] for path in candidates if path in installed), "")
    is_compiled = any(path.startswith((f"{base}.", f"{base}/__init__.")) for path in installed)
    is_namespace = any(path.startswith(f"{base}/") for path in installed)
    if not source and not is_compiled and not is_namespace:
        yield Problem(wheel.name, f"{shown}: the module {module} is not in the wheel")
    names = _defined_names(wheel.contents.get(source, b""))
    first = attribute.split(".", maxsplit=1)[0]
    submodule = f"{base}/{first}"
    is_submodule = any(path.startswith((f"{submodule}.", f"{submodule}/")) for path in installed)
    if source and first and names is not None and first not in names and not is_submodule:
        yield Problem(
            wheel.name, f"{shown}: {module} does not define {first}", RuleSeverity.WARNING
        )


def _may_be_elsewhere(module: str, wheel: Archive) -> bool:
    """Return whether *module* may come from Python, or from a requirement: its own package, or a namespace of both."""
    installed = wheel.installed_paths
    parts = module.split(".")
    if not wheel.values("Requires-Dist"):
        return parts[0] in sys.stdlib_module_names
    if not any(name.split(".")[0] == parts[0] for name in import_names(installed)):
        return True
    for number in range(1, len(parts)):
        parent = "/".join(parts[:number])
        child = "/".join(parts[: number + 1])
        if not any(path.startswith((f"{child}.", f"{child}/")) for path in installed):
            return _is_namespace(parent, wheel)
    return False


def _is_namespace(directory: str, wheel: Archive) -> bool:
    """Return whether other packages may add modules to the package in *directory* (PEP 420, and its predecessors)."""
    path = wheel.installed_paths.get(f"{directory}/__init__.py")
    if path is None:
        return not any(path.startswith(f"{directory}/__init__.") for path in wheel.installed_paths)
    return re.search(rb"extend_path|declare_namespace", wheel.contents.get(path, b"")) is not None


def _defined_names(content: bytes) -> frozenset[str] | None:
    """Return the names that a module with *content* defines at its top; None if nobody can tell."""
    tree = read_source(content, ast.parse)
    if not isinstance(tree, ast.Module):
        return None
    names = set(chain.from_iterable(map(_bound_names, ast.walk(tree))))
    return None if names & {"*", "__getattr__"} else frozenset(names)


def _bound_names(node: ast.AST) -> Iterator[str]:
    """Yield what *node* may define; nested scopes count, too, which only hides a problem."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Import() | ast.ImportFrom():
            yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
        case ast.Name(ctx=ast.Store()):
            yield node.id
        case ast.Call(func=ast.Name(id="globals" | "setattr" | "exec")):
            yield "*"
        case _:
            return


def read_source(content: bytes, read: Callable[[bytes], T]) -> T | str:
    """Return what *read* makes of the source of a module, or why Python cannot read it. Nothing is run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(content)
    except SyntaxError as error:
        return f"line {error.lineno or 1}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or type(error).__name__


_MAX_PARSED = 2 << 20
"""Bytes of source in a wheel that are parsed. It takes about half a second."""


def syntax_errors(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find modules that Python cannot read. Templates and tests may be broken on purpose.

    The syntax of a wheel that needs a later Python than this one is not judged here.
    """
    for wheel in filterfalse(partial(_needs_later_python, built=built), built.wheels):
        is_supported = _supports(wheel, built.python)
        suffixes = (".py", ".pyi") if is_supported else (".py",)
        broken = dict(_broken_modules(wheel, suffixes))
        severity = None if is_supported else RuleSeverity.WARNING
        for path, problem in broken.items():
            is_sample = (
                is_support_path(path)
                or re.search(r"template|skeleton|boilerplate|\bpy3?\d\d|_\d\d", path) is not None
            )
            yield Problem(
                wheel.name,
                f"{printable(path)}: {problem}",
                RuleSeverity.WARNING if is_sample else severity,
            )


def _supports(wheel: Archive, python: Version) -> bool:
    """Return whether *wheel* says that it runs on this version of *python*."""
    try:
        return SpecifierSet(wheel.value("Requires-Python")).contains(python, prereleases=True)
    except InvalidSpecifier:
        return False


def _needs_later_python(wheel: Archive, built: BuiltArtifacts) -> bool:
    """Return whether *wheel* runs on later minor versions of Python alone, and not on the one that reads it here."""
    major, minor = built.python.release[:2]
    later = (Version(f"{major}.{number}") for number in range(minor + 1, minor + 20))
    return not _supports(wheel, built.python) and any(map(partial(_supports, wheel), later))


def _broken_modules(wheel: Archive, suffixes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    total = 0
    for landing, path in wheel.installed_paths.items():
        content = wheel.contents.get(path, b"")
        total += len(content)
        module = landing.rpartition(".")[0].replace("/", ".")
        is_module = landing.endswith(suffixes) and are_identifiers(module)
        if is_module and total <= _MAX_PARSED:
            result = read_source(content, _symbols)
            if isinstance(result, str):
                yield path, result


def _symbols(content: bytes) -> symtable.SymbolTable:
    """Return the symbols of a module. This finds the same errors as a syntax tree, in less than half of the time."""
    source: Any = content  # bytes may declare their encoding; the types know only text
    return symtable.symtable(source, "module", "exec")
