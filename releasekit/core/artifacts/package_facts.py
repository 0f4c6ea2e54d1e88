"""What one release of a package offers: its modules, files, scripts, extras, types and platforms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import HeaderParser
from itertools import accumulate
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from packaging.utils import canonicalize_name

from releasekit.core.artifacts.entry_points import SCRIPT_GROUPS, parse_entry_points

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """What a release of a package offers to those who install it.

    *files* has the size in bytes of each file, by its path in the wheel. *scripts* are the commands. *entry_points* are
    in the form "group: name".
    """

    files: Mapping[str, int]
    scripts: frozenset[str] = frozenset()
    entry_points: frozenset[str] = frozenset()
    extras: frozenset[str] = frozenset()
    requires_python: str = ""


# ---- a wheel --------------------------------------------------------------------------------------------------------


def wheel_facts(files: Mapping[str, int], metadata: str, entry_points: str) -> PackageFacts:
    """Return the facts of a wheel with these *files*.

    *metadata* is the text of METADATA, *entry_points* that of entry_points.txt.
    """
    headers = HeaderParser().parsestr(metadata)
    declared = _entry_point_tables(entry_points)
    return PackageFacts(
        files={path: size for path, size in files.items() if not _is_metadata(path)},
        scripts=_scripts(declared),
        entry_points=_other_entry_points(declared),
        extras=frozenset(
            canonicalize_name(str(name)) for name in headers.get_all("Provides-Extra", [])
        ),
        requires_python=str(headers.get("Requires-Python", "")),
    )


def _is_metadata(path: str) -> bool:
    """Return whether *path* in a wheel belongs to the installer; its directory has the version in its name."""
    return ".dist-info/" in path


def _entry_point_tables(text: str) -> Mapping[str, Iterable[str]]:
    """Return the names in each group of an entry_points.txt; none if it cannot be read."""
    tables: dict[str, list[str]] = {}
    parsed = parse_entry_points(text, strict=False)
    for entry in parsed if isinstance(parsed, list) else ():
        tables.setdefault(entry.group, []).append(entry.name)
    return tables


def _scripts(tables: Mapping[str, Iterable[str]]) -> frozenset[str]:
    return frozenset(name for group in SCRIPT_GROUPS for name in tables.get(group, ()))


def _other_entry_points(tables: Mapping[str, Iterable[str]]) -> frozenset[str]:
    groups = {group: names for group, names in tables.items() if group not in SCRIPT_GROUPS}
    return frozenset(f"{group}: {name}" for group, names in groups.items() for name in names)


# ---- a source tree --------------------------------------------------------------------------------------------------


def source_facts(files: Mapping[str, int], project: Table, document: Table) -> PackageFacts:
    """Return the facts of a package as its source tree has them: *files* of its directory, with sizes.

    *project* is the table [project] of its pyproject.toml, *document* the whole file. What a build backend adds or
    leaves out is not known here.
    """
    name = canonicalize_name(str(project.get("name", ""))).replace("-", "_")
    root = import_root(files, document)
    tables = _table(project, "entry-points")
    scripts = {*_table(project, "scripts"), *_table(project, "gui-scripts")}
    return PackageFacts(
        files=dict(_files_to_install(_without_excluded(files, document), root, name)),
        scripts=frozenset(map(str, scripts)),
        entry_points=_other_entry_points({str(group): _table(tables, group) for group in tables}),
        extras=frozenset(map(canonicalize_name, _table(project, "optional-dependencies"))),
        requires_python=str(project.get("requires-python", "")),
    )


def files_to_pack(files: Collection[str], document: Table, name: str) -> frozenset[str]:
    """Return those of the tracked *files* of the package *name* that a build packs, as far as the settings tell.

    uv_build packs the module, what is named beside it, and nothing else. Other backends may pack everything.
    """
    sizes = _without_excluded(dict.fromkeys(files, 0), document)
    system = _table(document, "build-system")
    if system.get("build-backend") != "uv_build":
        return frozenset(sizes)
    root = import_root(files, document)
    module = name.replace("-", "_")
    installed = {f"{root}{path}" for path, _ in _files_to_install(sizes, root, module)}
    backend = _table(_table(_table(document, "tool"), "uv"), "build-backend")
    includes = [_glob(str(pattern)) for pattern in backend.get("source-include", ())]
    included = {path for path in sizes if any(pattern.search(path) for pattern in includes)}
    documents = {path for path in sizes if _DOCUMENT.match(path)}
    return frozenset(installed | included | documents)


_DOCUMENT = re.compile(r"(?i)(?:readme|licen[cs]e|copying|notice|authors|pyproject\.toml$)[^/]*$")


def _table(parent: Table, key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def import_root(files: Iterable[str], document: Table) -> str:
    """Return the directory with the import packages of a source tree, with "/" at its end; empty for the top."""
    backend = _table(_table(_table(document, "tool"), "uv"), "build-backend")
    configured = backend.get("module-root")
    if isinstance(configured, str):
        directory = configured.strip("./")
        return f"{directory}/" if directory else ""
    has_src = any(path.startswith("src/") and path.endswith(CODE_SUFFIXES) for path in files)
    return "src/" if has_src else ""


def _without_excluded(files: Mapping[str, int], document: Table) -> Mapping[str, int]:
    """Return *files* without those that the configuration of a known build backend keeps out of wheels."""
    patterns = [_glob(pattern) for pattern in _exclude_patterns(_table(document, "tool"))]
    if not patterns:
        return files
    return {
        path: size
        for path, size in files.items()
        if not any(pattern.search(path) for pattern in patterns)
    }


def _exclude_patterns(tools: Table) -> Iterator[str]:
    backend = _table(_table(tools, "uv"), "build-backend")
    hatch = _table(_table(tools, "hatch"), "build")
    wheel = _table(_table(hatch, "targets"), "wheel")
    lists = (
        backend.get("source-exclude"),
        backend.get("wheel-exclude"),
        hatch.get("exclude"),
        wheel.get("exclude"),
    )
    for patterns in lists:
        if isinstance(patterns, list):
            yield from filter(None, map(str, cast("list[object]", patterns)))


def _glob(pattern: str) -> re.Pattern[str]:
    """Return the regular expression for a glob: anchored by a "/" at its start, and a directory means its content."""
    start = "^" if pattern.startswith("/") else "(?:^|/)"
    parts = _WILDCARD.split(pattern.strip("/"))
    body = "".join(_WILDCARDS.get(part, re.escape(part)) for part in parts)
    return re.compile(f"{start}{body}(?:/|$)")


_WILDCARDS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_WILDCARD = re.compile(r"(\*\*/|\*\*|\*|\?)")


def _files_to_install(files: Mapping[str, int], root: str, name: str) -> Iterator[tuple[str, int]]:
    """Yield the files below *root* that belong to a top-level module, by their path from there."""
    below = {path.removeprefix(root): size for path, size in files.items() if path.startswith(root)}
    tops = {PurePosixPath(path).parts[0] for path in below if path.endswith(CODE_SUFFIXES)}
    for path, size in below.items():
        top, _, rest = path.partition("/")
        if top not in tops or _is_aside(top):
            continue
        # At the top of a repository, a single module is a script, unless the package has its name.
        is_module = bool(rest) or bool(root) or top == f"{name}.py"
        if is_module:
            yield path, size


def _is_aside(top: str) -> bool:
    return top.startswith(".") or top.lower() in ASIDE_DIRECTORIES


CODE_SUFFIXES = (".py", ".pyi", ".pyx", ".so", ".pyd")
"""The files that make a directory an import package."""

ASIDE_DIRECTORIES = frozenset(
    {
        "test",
        "tests",
        "testing",
        "doc",
        "docs",
        "example",
        "examples",
        "benchmarks",
        "scripts",
        "tools",
        "build",
    }
)
"""The directories beside the import packages that no wheel contains."""


def is_source_of(source: str, path: str) -> bool:
    """Return whether *source* in a source tree is what becomes *path* in a wheel."""
    if source == path:
        return True
    directory = source.removesuffix(f"/{path}")
    return directory != source and not any(map(_is_aside, directory.split("/")))


# ---- modules --------------------------------------------------------------------------------------------------------


def public_modules(files: Iterable[str]) -> frozenset[str]:
    """Return the dotted names of the modules that others may import from *files* of a wheel.

    A name with an underscore at its start is private, and so is everything below it. Tests are no part of the API.
    """
    paths = (path for path in files if path.endswith(_MODULE_SUFFIXES) and ".data/" not in path)
    names = filter(_is_public, map(_module_parts, paths))
    return frozenset(name for parts in names for name in accumulate(parts, "{}.{}".format))


_MODULE_SUFFIXES = (".py", ".pyx", ".so", ".pyd")


def _module_parts(path: str) -> tuple[str, ...]:
    """Return the parts of the name of the module at *path*."""
    *parents, file = PurePosixPath(path).parts
    stem = file.split(".")[0]
    return tuple(parents) if stem == "__init__" else (*parents, stem)


def _is_public(parts: tuple[str, ...]) -> bool:
    are_names = all(part.isidentifier() and not part.startswith("_") for part in parts)
    return are_names and _TEST_MODULES.isdisjoint(parts)


_TEST_MODULES = frozenset({"tests", "test", "conftest"})


def is_public_module(path: str) -> bool:
    """Return whether *path* in a wheel is a module that others may import."""
    return bool(public_modules([path]))


def is_api_source(path: str) -> bool:
    """Return whether *path* is source in which the API of a package may be defined: no test, and no script aside."""
    if "\n" in path:
        return False
    parts = PurePosixPath(path).with_suffix("").parts
    return (
        path.endswith((".py", ".pyi"))
        and _TEST_MODULES.isdisjoint(parts)
        and not _is_aside(parts[0])
    )


def outermost(names: Iterable[str]) -> list[str]:
    """Return those of the dotted *names* that are below no other one."""
    selected: list[str] = []
    for name in sorted(names):
        is_below = bool(selected) and name.startswith(f"{selected[-1]}.")
        if not is_below:
            selected.append(name)
    return selected
