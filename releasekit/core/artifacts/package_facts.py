"""What one release of a package offers: its modules, files, scripts, extras, types and platforms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import HeaderParser
from itertools import accumulate, chain
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from releasekit.core.artifacts.entry_points import SCRIPT_GROUPS, parse_entry_points
from releasekit.core.workspace.dynamic_version import table_at, texts_in

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
    tables = table_at(project, "entry-points")
    scripts = {*table_at(project, "scripts"), *table_at(project, "gui-scripts")}
    paths = _paths_to_install(wheel_sources(files, document, name), root, name)
    return PackageFacts(
        files={path: files[f"{root}{path}"] for path in paths},
        scripts=frozenset(map(str, scripts)),
        entry_points=_other_entry_points({str(group): table_at(tables, group) for group in tables}),
        extras=frozenset(map(canonicalize_name, table_at(project, "optional-dependencies"))),
        requires_python=str(project.get("requires-python", "")),
    )


def files_to_pack(files: Collection[str], document: Table, name: str) -> frozenset[str]:
    """Return those of the tracked *files* of the package *name* that a build packs, as far as the settings tell.

    uv_build packs the module, what is named beside it, and nothing else. With hatchling, the settings of the sdist
    decide. Other backends may pack everything.
    """
    root, module = import_root(files, document), name.replace("-", "_")
    packable = _without_excluded(files, document)
    modules = _select(packable, document, module)
    installed = {f"{root}{path}" for path in _paths_to_install(modules, root, module)}
    documents = set(filter(_DOCUMENT.match, packable))
    return frozenset(installed | documents | _files_beside(packable, document))


def missing_sources(
    missing: Iterable[str], packages: Collection[tuple[str, PurePosixPath, Table]]
) -> list[str]:
    """Return those of the *missing* files and submodules that a build of one of *packages* packs.

    Each package has its name, its directory and its pyproject.toml. Paths are relative to the top of the repository. A
    submodule around a whole package counts too.
    """
    return [
        path
        for path in missing
        if any(_needs(PurePosixPath(path), *package) for package in packages)
    ]


def _needs(path: PurePosixPath, name: str, directory: PurePosixPath, document: Table) -> bool:
    if directory.is_relative_to(path):
        return True
    if not path.is_relative_to(directory):
        return False
    file = path.relative_to(directory)
    asked = {str(file), str(file / "of_submodule.py")}
    module = f"src/{name.replace('-', '_')}/__init__.py"  # uv_build expects it there by default
    return not asked.isdisjoint(files_to_pack([module, *asked], document, name))


def _files_beside(files: Collection[str], document: Table) -> set[str]:
    """Return those of *files* that a build packs beside modules and documents."""
    match table_at(document, "build-system").get("build-backend"):
        case "uv_build":
            uv = table_at(document, "tool", "uv", "build-backend")
            return _match(files, uv.get("source-include"))
        case "hatchling.build":
            hatch = table_at(document, "tool", "hatch", "build")
            sdist = {**hatch, **table_at(hatch, "targets", "sdist")}
            wheel = _hatch_wheel(document)
            forced = [*table_at(sdist, "force-include"), *table_at(wheel, "force-include")]
            chosen = _match(files, sdist.get("include"), sdist.get("only-include")) or set(files)
            kept = chosen - _match(files, sdist.get("exclude"))
            return kept | _match(files, forced)
        case _:
            return set(files)


def _match(files: Collection[str], *globs: object) -> set[str]:
    """Return those of *files* that one of the *globs* matches: values of keys that have glob patterns, or None."""
    patterns = list(map(_glob, chain.from_iterable(map(texts_in, globs))))
    return {path for path in files if any(pattern.search(path) for pattern in patterns)}


def wheel_sources(files: Collection[str], document: Table, module: str) -> set[str]:
    """Return those of the source *files* that the settings of the build backend let into a wheel.

    *module* is the import package that has the name of the project.
    """
    uv = table_at(document, "tool", "uv", "build-backend")
    excludes = (uv.get("wheel-exclude"), _hatch_wheel(document).get("exclude"))
    kept = _without_excluded(files, document) - _match(files, *excludes)
    return _select(kept, document, module)


def _select(files: set[str], document: Table, module: str) -> set[str]:
    """Return those of *files* that the settings select for a wheel."""
    selected = selected_paths(document, has_module=f"{module}/__init__.py" in files)
    return {path for path in files if f"{path}/".startswith(selected)}


def selected_paths(document: Table, *, has_module: bool = False) -> tuple[str, ...]:
    """Return the files and directories that a wheel gets, with "/" at their ends; ("",) if the settings don't say.

    With `bypass-selection`, hatchling builds a wheel without modules if it finds none.
    """
    wheel = _hatch_wheel(document)
    chosen = wheel.get("only-include", wheel.get("packages"))
    if isinstance(chosen, list):
        return tuple(f"{path.strip('./')}/" for path in texts_in(chosen))
    finds_nothing = wheel.get("bypass-selection") is True and not has_module
    is_empty = finds_nothing or table_at(document, "tool", "setuptools").get("packages") == []
    return () if is_empty else ("",)


def _hatch_wheel(document: Table) -> Table:
    return table_at(document, "tool", "hatch", "build", "targets", "wheel")


_DOCUMENT = re.compile(r"(?i)(?:readme|licen[cs]e|copying|notice|authors|pyproject\.toml$)[^/]*$")


def import_root(files: Iterable[str], document: Table) -> str:
    """Return the directory with the import packages of a source tree, with "/" at its end; empty for the top."""
    configured = texts_in(table_at(document, "tool", "uv", "build-backend").get("module-root"))
    packages = texts_in(_hatch_wheel(document).get("packages"))
    roots = configured or sorted({path.strip("./").rpartition("/")[0] for path in packages})
    if len(roots) == 1:
        directory = roots[0].strip("./")
        return f"{directory}/" if directory else ""
    has_src = any(path.startswith("src/") and path.endswith(CODE_SUFFIXES) for path in files)
    return "src/" if has_src else ""


def _without_excluded(files: Collection[str], document: Table) -> set[str]:
    """Return *files* without those that the settings of a known build backend keep out of sdists and wheels."""
    uv = table_at(document, "tool", "uv", "build-backend")
    hatch = table_at(document, "tool", "hatch", "build")
    return set(files) - _match(files, uv.get("source-exclude"), hatch.get("exclude"))


def _glob(pattern: str) -> re.Pattern[str]:
    """Return the regular expression for a glob: anchored by a "/" at its start, and a directory means its content."""
    start = "^" if pattern.startswith("/") else "(?:^|/)"
    parts = _WILDCARD.split(pattern.strip("/"))
    body = "".join(_WILDCARDS.get(part, re.escape(part)) for part in parts)
    return re.compile(f"{start}{body}(?:/|$)")


_WILDCARDS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_WILDCARD = re.compile(r"(\*\*/|\*\*|\*|\?)")


def _paths_to_install(files: Collection[str], root: str, name: str) -> Iterator[str]:
    """Yield the paths, from *root*, of the *files* that belong to a top-level module."""
    below = sorted(path.removeprefix(root) for path in files if path.startswith(root))
    tops = {PurePosixPath(path).parts[0] for path in below if path.endswith(CODE_SUFFIXES)}
    for path in below:
        top, _, rest = path.partition("/")
        if top not in tops or _is_aside(top):
            continue
        # At the top of a repository, a single module is a script, unless the package has its name.
        is_module = bool(rest) or bool(root) or top == f"{name}.py"
        if is_module:
            yield path


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
