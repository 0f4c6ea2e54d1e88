"""Where a dynamic version comes from: a file that the build backend reads, or the environment that it is told by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import VERSION_PATTERN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Table: TypeAlias = "Mapping[str, Any]"

# What hatch itself looks for in a file, and an annotation besides.
_HATCH = r"""(?i)^(?P<name>__version__|VERSION)(?: ?: ?str)? *= *(?P<quote>['"])v?(?P<version>.+?)(?P=quote)"""
_PDM = r"""^(?:__version__|VERSION)\s*=\s*["'](?P<version>.+?)["']\s*(?:#.*)?$"""
_WHOLE_FILE = re.compile(r"\A\s*(?P<version>\S+)\s*\Z")
_NOTHING = re.compile("(?!)")
_VERSION = rf"v?(?P<version>(?ix:{VERSION_PATTERN}))"


@dataclass(frozen=True, slots=True)
class Place:
    """A place where a version may stand: *pattern* finds it, as its group *group*, in the file *path* of a package."""

    path: str
    pattern: re.Pattern[str]
    group: str | int = "version"

    def find(self, text: str) -> str:
        """Return the version that stands in *text*; empty if none does."""
        found = self.pattern.search(text)
        return found[self.group] if found else ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a package's version comes from, besides `project.version`.

    *places* are the files that may declare it, in the order in which the build backend looks. *variables* are those
    of the environment that tell the backend a version which only a tag knows. *named* is what was read, for people.
    """

    places: tuple[Place, ...] = ()
    variables: tuple[str, ...] = ()
    named: str = "no build backend that is known here"


def table_at(value: Any, *path: str) -> Table:  # noqa: ANN401  whatever the file holds
    """Return the table at *path* of *value*; an empty one if it is missing, or no table: who reads it will tell."""
    for key in path:
        value = cast("Table", value).get(key) if isinstance(value, dict) else None
    return cast("Table", value) if isinstance(value, dict) else {}


def is_dynamic(document: Table) -> bool:
    """Tell whether the version does not stand in `project.version`."""
    return "version" in document.get("project", {}).get("dynamic", ())


def source_of(document: Table) -> Source:
    """Return where the dynamic version of the package with this parsed pyproject.toml comes from."""
    tool, system = table_at(document, "tool"), table_at(document, "build-system")
    backend = str(system.get("build-backend", ""))
    if hatch := table_at(tool, "hatch", "version"):
        return _hatch(hatch, tool)
    if pdm := table_at(tool, "pdm", "version"):
        return _pdm(pdm)
    if directive := table_at(tool, "setuptools", "dynamic", "version"):
        return _setuptools(directive, tool["setuptools"])
    if "setuptools_scm" in tool or "setuptools-scm" in _names(system.get("requires", ())):
        return Source(variables=("SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{NAME}",), named="setuptools-scm")
    if backend.startswith("flit_core"):
        return Source(tuple(_flit(document)), named="flit")
    return Source(named=f"build-backend = {backend!r}") if backend else Source()


def environment(document: Table, name: str, version: str) -> dict[str, str]:
    """Return the variables that tell the build of the package *name* its *version*, where a backend would ask git.

    It would find a tree with pins in it and no tag yet, and make that a local version. Some of these variables are
    for whatever is built (hatch-vcs does not tell setuptools-scm whose version it asks for), so a build is given no
    more than its own backend reads: a requirement that is built on the way should not take the version for its own.
    """
    hooks = table_at(document, "tool", "hatch", "metadata", "hooks")
    hooked = ("UV_DYNAMIC_VERSIONING_BYPASS",) if "uv-dynamic-versioning" in hooks else ()
    told = source_of(document).variables if is_dynamic(document) else ()
    return {variable.replace("{NAME}", _upper(name)): version for variable in (*told, *hooked)}


def literal(text: str, path: str) -> Place:
    """Return the place in *path* that *text* describes: as it is written there, but for `{version}`."""
    before, _, after = (re.escape(part).replace("\\\n", r"\r?\n") for part in text.partition("{version}"))
    start = r"(?<![\w.+!-])" if text.startswith("{version}") else ""
    end = r"(?![\w+!-])" if text.endswith("{version}") else ""
    return Place(path, re.compile(f"{before}{start}{_VERSION}{end}{after}"))


def _hatch(table: Table, tool: Table) -> Source:
    source, path = str(table.get("source", "regex")), str(table.get("path", ""))
    named = f"[tool.hatch.version] source = {source!r}"
    if source == "regex" and path:
        pattern: object = table.get("pattern")
        return Source((_place(path, pattern if isinstance(pattern, str) else _HATCH),), named=named)
    if source == "code" and path:
        expression = str(table.get("expression") or "__version__")
        # Any other expression could only be evaluated, and nobody could tell what to write.
        return Source((_assigned(path, expression),) if expression.isidentifier() else (), named=named)
    if source == "env":
        return Source(variables=(str(table.get("variable", "")),), named=named)
    if source == "vcs":
        return Source(variables=("SETUPTOOLS_SCM_PRETEND_VERSION",), named=named)
    if source == "uv-dynamic-versioning":
        from_file = table_at(tool, "uv-dynamic-versioning", "from-file")
        return Source(tuple(_from_file(from_file)), ("UV_DYNAMIC_VERSIONING_BYPASS",), named)
    return Source(named=named)


def _from_file(table: Table) -> Iterator[Place]:
    if path := str(table.get("source", "")):
        pattern: object = table.get("pattern")
        yield _place(path, pattern, 1) if isinstance(pattern, str) else Place(path, _WHOLE_FILE)


def _pdm(table: Table) -> Source:
    source = str(table.get("source", "file" if "path" in table else ""))
    named = f"[tool.pdm.version] source = {source!r}"
    if source == "file":
        path, pattern = str(table.get("path", "")), table.get("pattern")
        return Source((_place(path, pattern, 1) if isinstance(pattern, str) else _place(path, _PDM),), named=named)
    return Source(variables=("PDM_BUILD_SCM_VERSION",) if source == "scm" else (), named=named)


def _setuptools(directive: Table, table: Table) -> Source:
    named = f"[tool.setuptools.dynamic] version = {dict(directive)!r}"
    if attr := directive.get("attr"):
        module, _, name = str(attr).strip().rpartition(".")
        return Source(tuple(_assigned(path, name) for path in _modules(module, table)), named=named)
    paths = _texts(directive.get("file"))
    return Source((Place(paths[0], _WHOLE_FILE),) if len(paths) == 1 else (), named=named)


def _modules(module: str, table: Table) -> Iterator[str]:
    """Yield the files that *module* may be, for setuptools: as configured, else in src or at the top."""
    directories = {package: str(path) for package, path in table_at(table, "package-dir").items()}
    where = _texts(table_at(table, "packages", "find").get("where"))
    parent, rest = module, ""
    while parent:
        if parent in directories:
            yield from _files("/".join(filter(None, (directories[parent], rest))))
        parent, _, last = parent.rpartition(".")
        rest = f"{last}/{rest}".rstrip("/")
    for base in dict.fromkeys((*filter(None, (directories.get(""),)), *where, "src", ".")):
        yield from _files(f"{base}/{rest}".removeprefix("./"))


def _files(module: str) -> tuple[str, str]:
    return f"{module}.py", f"{module}/__init__.py"


def _flit(document: Table) -> Iterator[Place]:
    default = re.sub("[-.]", "_", str(document.get("project", {}).get("name", "")))
    name = str(table_at(document, "tool", "flit", "module").get("name", default)).replace(".", "/")
    for base in ("", "src/"):
        for file in ("/version.py", "/_version.py", "/__version__.py", "/__init__.py", ".py"):
            yield _assigned(f"{base}{name}{file}", "__version__")


def _texts(value: Any) -> list[str]:  # noqa: ANN401  whatever the file holds
    """Return the texts in *value*, which may be one alone."""
    each = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [text for text in each if isinstance(text, str)]


def _place(path: str, pattern: str, group: str | int = "version") -> Place:
    try:
        compiled = re.compile(pattern, re.MULTILINE)
    except re.error:
        compiled = _NOTHING
    held = {*compiled.groupindex, *range(1, compiled.groups + 1)}
    return Place(path, compiled if group in held else _NOTHING, group)  # the backend will say what is wrong with it


def _assigned(path: str, name: str) -> Place:
    """Return the place in a Python file where *name* is given a version."""
    return _place(path, rf"""^{re.escape(name)}(?: *: *[\w.\[\]]+)? *= *(?P<quote>['"])(?P<version>.+?)(?P=quote)""")


def _names(requirements: Any) -> set[str]:  # noqa: ANN401  whatever the file holds
    found: set[str] = set()
    for written in requirements:
        try:
            found.add(canonicalize_name(Requirement(str(written)).name))
        except InvalidRequirement:
            continue  # told elsewhere
    return found


def _upper(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).upper()
