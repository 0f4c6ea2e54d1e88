"""Where a dynamic version comes from: a file that the build backend reads, or an environment variable."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import VERSION_PATTERN

from releasekit.core.picking import map_values
from releasekit.core.user_patterns import UserPattern, read_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Table: TypeAlias = "Mapping[str, Any]"

# The pattern of hatch itself, plus an optional annotation.
_HATCH = r"""(?i)^(?P<name>__version__|VERSION)(?: ?: ?str)? *= *(?P<quote>['"])v?(?P<version>.+?)(?P=quote)"""
_PDM = r"""^(?:__version__|VERSION)\s*=\s*["'](?P<version>.+?)["']\s*(?:#.*)?$"""
_OWN_PATTERNS = (_HATCH, _PDM)
_WHOLE_FILE = re.compile(r"\A\s*(?P<version>\S+)\s*\Z")
_NO_MATCH = re.compile("(?!)")
_VERSION = rf"v?(?P<version>(?ix:{VERSION_PATTERN}))"


@dataclass(frozen=True, slots=True)
class VersionLocation:
    """A possible location of a version: group *group* of *pattern*, in the file *path* of a package.

    If it *is_semver*, the version there is written by Semantic Versioning.
    """

    path: str
    pattern: re.Pattern[str] | UserPattern
    group: str | int = "version"
    is_semver: bool = False

    def find(self, text: str) -> str:
        """Return the version in *text*; empty if there is none."""
        match = self.pattern.search(text)
        return match[self.group] if match else ""


@dataclass(frozen=True, slots=True)
class VersionSource:
    """Where the version of a package comes from if it is not in `project.version`.

    *locations* are the files that may declare it, in the order in which the build backend reads them. *variables* are
    the environment variables that give the backend a version that only a tag has. *description* names the setting that
    says so, for messages.
    """

    locations: tuple[VersionLocation, ...] = ()
    variables: tuple[str, ...] = ()
    description: str = "no known build backend"


def table_at(value: Any, *path: str) -> Table:  # noqa: ANN401  a value of any TOML type
    """Return the table at *path* of *value*; empty if there is none. The tool that reads it reports errors."""
    table = _as_table(value)
    for key in path:
        table = _as_table(table.get(key))
    return table


def _as_table(value: Any) -> Table:  # noqa: ANN401  a value of any TOML type
    return cast("Table", value) if isinstance(value, dict) else {}


def texts_in(value: Any) -> list[str]:  # noqa: ANN401  a value of any TOML type
    """Return the strings in *value*, which is a list or a single string."""
    items = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [text for text in items if isinstance(text, str)]


def text_at(table: Table, key: str, default: str = "") -> str:
    """Return the text at *key* of *table*; *default* if there is none, or a value of another type."""
    value: object = table.get(key)
    return value if isinstance(value, str) else default


def is_dynamic(document: Table) -> bool:
    """Return whether `project.dynamic` lists the version."""
    return "version" in document.get("project", {}).get("dynamic", ())


def version_source(document: Table) -> VersionSource:
    """Return where the dynamic version of the package with this parsed pyproject.toml comes from."""
    tool = table_at(document, "tool")
    if hatch := table_at(tool, "hatch", "version"):
        return _hatch(hatch, tool)
    if pdm := table_at(tool, "pdm", "version"):
        return _pdm(pdm)
    if directive := table_at(tool, "setuptools", "dynamic", "version"):
        return _setuptools(directive, tool["setuptools"])
    return _source_of_backend(document, tool)


def _source_of_backend(document: Table, tool: Table) -> VersionSource:
    """Return the source that the build system itself implies."""
    system = table_at(document, "build-system")
    backend = str(system.get("build-backend", ""))
    required = _names(system.get("requires", ()))
    if "setuptools_scm" in tool or "setuptools-scm" in required:
        return VersionSource(
            variables=("SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{NAME}",),
            description="setuptools-scm",
        )
    if backend.startswith("flit_core"):
        return VersionSource(tuple(_flit(document)), description="flit")
    if backend == "maturin":
        return VersionSource((_cargo_location(document),), description="maturin")
    if backend:
        return VersionSource(description=f"build-backend = {backend!r}")
    return VersionSource()


def _cargo_location(document: Table) -> VersionLocation:
    """Return where the Cargo.toml of a package that maturin builds has its version; none if it is inherited there."""
    path = text_at(table_at(document, "tool", "maturin"), "manifest-path", "Cargo.toml")
    return VersionLocation(path.removeprefix("./"), _CARGO, is_semver=True)


_IN_TABLE = r"(?:\n(?!\[).*)*?\n"
_CARGO = re.compile(
    rf"""^\[package\][ \t]*(?:#.*)?\r?${_IN_TABLE}version[ \t]*=[ \t]*(?P<quote>["'])(?P<version>.+?)(?P=quote)""",
    re.MULTILINE,
)


def locked_cargo_location(crate: str) -> VersionLocation:
    """Return where Cargo.lock has the version of *crate*, which is a member of its workspace."""
    entry = rf"""^\[\[package\]\]\r?\nname = "{re.escape(crate)}"\r?\nversion = "(?P<version>.+?)"\r?\n(?!source)"""
    return VersionLocation("Cargo.lock", re.compile(entry, re.MULTILINE), is_semver=True)


def version_environment(document: Table, name: str, version: str) -> dict[str, str]:
    """Return the environment variables that give *version* to the build of the package *name*.

    Without them the backend would ask git. Git has a modified tree and no tag yet, so the result would be a local
    version. Some of these variables apply to every build (hatch-vcs does not tell setuptools-scm which package asks),
    so a build gets only those that its own backend reads. Otherwise a requirement that is built along the way could
    take the version for itself.
    """
    hooks = table_at(document, "tool", "hatch", "metadata", "hooks")
    hook_variables = ("UV_DYNAMIC_VERSIONING_BYPASS",) if "uv-dynamic-versioning" in hooks else ()
    source_variables = version_source(document).variables if is_dynamic(document) else ()
    variables = (*source_variables, *hook_variables)
    return {variable.replace("{NAME}", _upper(name)): version for variable in variables}


def build_tag_pattern(document: Table) -> UserPattern | None:
    """Return a pattern that matches the tags from which a build reads its version; None if it is unknown."""
    tool = table_at(document, "tool")
    hatch = table_at(tool, "hatch", "version")
    for family in ("uv-dynamic-versioning", "poetry-dynamic-versioning"):
        table = table_at(tool, family)
        is_used = family == hatch.get("source") or table.get("enable") is True
        if is_used:
            return _dunamai_pattern(table)
    if globs := _described_tags(tool):
        return UserPattern("|".join(map(fnmatch.translate, globs)), _DESCRIBE_KEY)
    settings = _tag_settings(tool)
    key, pattern = next(iter(settings.items()), ("", ""))
    return _pattern_or_none(pattern, key) if key else None


_DESCRIBE_KEY = "git_describe_command"


def _described_tags(tool: Table) -> list[str]:
    """Return the patterns of tags that the `git describe` of setuptools-scm, or of hatch-vcs, considers."""
    scm = table_at(tool, "setuptools_scm")
    commands: list[object] = [
        table_at(tool, "hatch", "version", "raw-options").get(_DESCRIBE_KEY),
        scm.get(_DESCRIBE_KEY),
        table_at(scm, "scm", "git").get("describe_command"),
    ]
    command = next(filter(None, commands), "")
    line = " ".join(texts_in(command)).replace("--match=", "--match ")
    return [pattern.strip("'\"") for pattern in re.findall(r"--match (\S+)", line)]


def _tag_settings(tool: Table) -> dict[str, str]:
    """Return the settings with a regular expression for tags, by key; none of tools that are built on dunamai."""
    hatch = table_at(tool, "hatch", "version")
    settings: dict[str, object] = {
        "tag-pattern": hatch.get("tag-pattern"),
        "raw-options.tag_regex": table_at(hatch, "raw-options").get("tag_regex"),
        "setuptools_scm.tag_regex": table_at(tool, "setuptools_scm").get("tag_regex"),
        "pdm.version.tag_regex": table_at(tool, "pdm", "version").get("tag_regex"),
    }
    return {key: value for key, value in settings.items() if isinstance(value, str)}


@dataclass(frozen=True, slots=True)
class TagRule:
    """The setting that tells a build which tags it reads: its *key* and *value*, and the *pattern* that they mean."""

    key: str
    value: str
    pattern: UserPattern

    def reads(self, tag: str) -> bool:
        """Return whether the build reads *tag*."""
        return self.pattern.match(tag) is not None


def configured_tag_rule(document: Table) -> TagRule | None:
    """Return the setting that tells a dynamic build which tags it reads; None if there is none."""
    pattern = build_tag_pattern(document)
    if pattern is None or not is_dynamic(document):
        return None
    tool = table_at(document, "tool")
    settings = _tag_settings(tool)
    for family in ("uv-dynamic-versioning", "poetry-dynamic-versioning"):
        settings |= {
            key: value for key, value in table_at(tool, family).items() if key in _DUNAMAI_KEYS
        }
    if globs := _described_tags(tool):
        settings = {_DESCRIBE_KEY: f"--match {' --match '.join(globs)}"}
    key, value = next(iter(settings.items()), ("", ""))
    return TagRule(key, value, pattern) if value else None


_DUNAMAI_KEYS = ("pattern-prefix", "pattern")


def build_tag_prefix(document: Table) -> str:
    """Return the `pattern-prefix` with which uv-dynamic-versioning reads tags; empty if it has none."""
    tool = table_at(document, "tool")
    source = table_at(tool, "hatch", "version").get("source")
    reads_tags = is_dynamic(document) and source == "uv-dynamic-versioning"
    prefix = text_at(table_at(tool, "uv-dynamic-versioning"), "pattern-prefix")
    return prefix if reads_tags else ""


def _dunamai_pattern(table: Table) -> UserPattern | None:
    """Return the pattern of a tool that is built on dunamai: its own, or a version alone after the prefix."""
    prefix = str(table.get("pattern-prefix", ""))
    pattern: object = table.get("pattern", "default")
    if isinstance(pattern, str) and not pattern.startswith("default"):
        own_pattern = re.sub(r"^\^?", lambda _: f"^{prefix}", pattern, count=1)
        return _pattern_or_none(own_pattern, "pattern")
    return _pattern_or_none(rf"^{prefix}v?\d", "pattern-prefix")


def _pattern_or_none(pattern: str, key: str) -> UserPattern | None:
    """Return the *pattern* of a *key* as a regular expression; None if it is invalid, which the build reports."""
    try:
        read_pattern(pattern)
    except re.error:
        return None
    return UserPattern(pattern, key)


def literal_location(text: str, path: str) -> VersionLocation:
    """Return the location in *path* that *text* describes: literal text, with `{version}` for any version."""
    # `re.escape` also escapes line breaks; a file may have either line ending.
    parts = [re.escape(part).replace("\\\n", r"\r?\n") for part in text.partition("{version}")]
    before, _, after = parts
    start = r"(?<![\w.+!-])" if text.startswith("{version}") else ""
    end = r"(?![\w+!-])" if text.endswith("{version}") else ""
    pattern = re.compile(f"{before}{start}{_VERSION}{end}{after}")
    return VersionLocation(path, pattern)


def _hatch(table: Table, tool: Table) -> VersionSource:
    """Return the version source that `[tool.hatch.version]` names."""
    source = str(table.get("source", "regex"))
    from_file = table_at(tool, "uv-dynamic-versioning", "from-file")
    locations = {
        "regex": _hatch_regex(table),
        "code": _hatch_code(table),
        "uv-dynamic-versioning": _from_file(from_file),
    }
    variables = {
        "env": (str(table.get("variable", "")),),
        "vcs": ("SETUPTOOLS_SCM_PRETEND_VERSION",),
        "uv-dynamic-versioning": ("UV_DYNAMIC_VERSIONING_BYPASS",),
    }
    return VersionSource(
        locations=tuple(locations.get(source, ())),
        variables=variables.get(source, ()),
        description=f"[tool.hatch.version] source = {source!r}",
    )


def _hatch_regex(table: Table) -> Iterator[VersionLocation]:
    path = str(table.get("path", ""))
    pattern = text_at(table, "pattern", _HATCH)
    if path:
        yield _location(path, pattern)


def _hatch_code(table: Table) -> Iterator[VersionLocation]:
    path = str(table.get("path", ""))
    expression = str(table.get("expression") or "__version__")
    # Any other expression needs evaluation, so it has no text that a release could replace.
    if path and expression.isidentifier():
        yield _assignment_location(path, expression)


def _from_file(table: Table) -> Iterator[VersionLocation]:
    path = str(table.get("source", ""))
    if path:
        yield _configured_location(table, VersionLocation(path, _WHOLE_FILE))


def _configured_location(table: Table, default: VersionLocation) -> VersionLocation:
    """Return the location that the `pattern` of *table* describes in the file of *default*, or else *default*."""
    pattern: object = table.get("pattern")
    if isinstance(pattern, str):
        return _location(default.path, pattern, 1)
    return default


def _pdm(table: Table) -> VersionSource:
    default = "file" if "path" in table else ""
    source = str(table.get("source", default))
    locations = {"file": (_pdm_file(table),)}
    variables = {"scm": ("PDM_BUILD_SCM_VERSION",)}
    return VersionSource(
        locations=locations.get(source, ()),
        variables=variables.get(source, ()),
        description=f"[tool.pdm.version] source = {source!r}",
    )


def _pdm_file(table: Table) -> VersionLocation:
    path = str(table.get("path", ""))
    return _configured_location(table, _location(path, _PDM))


def _setuptools(directive: Table, table: Table) -> VersionSource:
    locations: list[VersionLocation] = []
    paths = texts_in(directive.get("file"))
    if attr := directive.get("attr"):
        module, _, name = str(attr).strip().rpartition(".")
        locations += [_assignment_location(path, name) for path in _modules(module, table)]
    elif len(paths) == 1:
        locations.append(VersionLocation(paths[0], _WHOLE_FILE))
    return VersionSource(
        locations=tuple(locations),
        description=f"[tool.setuptools.dynamic] version = {dict(directive)!r}",
    )


def _modules(module: str, table: Table) -> Iterator[str]:
    """Yield the files in which setuptools looks for *module*: as configured, then in src, then in the package root."""
    directories = map_values(str, table_at(table, "package-dir"))
    search_paths = texts_in(table_at(table, "packages", "find").get("where"))
    parent, rest = module, ""
    while parent:
        if parent in directories:
            parts = (directories[parent], rest)
            yield from _files("/".join(filter(None, parts)))
        parent, _, last = parent.rpartition(".")
        rest = f"{last}/{rest}".rstrip("/")
    bases = [*search_paths, "src", "."]
    if root := directories.get(""):
        bases.insert(0, root)
    for base in dict.fromkeys(bases):
        yield from _files(f"{base}/{rest}".removeprefix("./"))


def _files(module: str) -> tuple[str, str]:
    return f"{module}.py", f"{module}/__init__.py"


def _flit(document: Table) -> Iterator[VersionLocation]:
    project_name = str(table_at(document, "project").get("name", ""))
    default = re.sub("[-.]", "_", project_name)
    module = table_at(document, "tool", "flit", "module").get("name", default)
    name = str(module).replace(".", "/")
    for base in ("", "src/"):
        for file in ("/version.py", "/_version.py", "/__version__.py", "/__init__.py", ".py"):
            yield _assignment_location(f"{base}{name}{file}", "__version__")


def _location(path: str, pattern: str, group: str | int = "version") -> VersionLocation:
    """Return a location that finds nothing if *pattern* is invalid: the build backend reports that."""
    try:
        compiled = read_pattern(pattern, re.MULTILINE)
    except re.error:
        compiled = _NO_MATCH
    groups = {*compiled.groupindex, *range(1, compiled.groups + 1)}
    if group not in groups:
        return VersionLocation(path, _NO_MATCH, group)
    usable = compiled if pattern in _OWN_PATTERNS else UserPattern(pattern, path, multiline=True)
    return VersionLocation(path, usable, group)


def _assignment_location(path: str, name: str) -> VersionLocation:
    """Return the location in a Python file where a version is assigned to *name*."""
    value = r"""(?: *: *[\w.\[\]]+)? *= *(?P<quote>['"])(?P<version>.+?)(?P=quote)"""
    return VersionLocation(path, re.compile(f"^{re.escape(name)}{value}", re.MULTILINE))


def _names(requirements: Any) -> set[str]:  # noqa: ANN401  a value of any TOML type
    names: set[str] = set()
    for written in requirements:
        try:
            requirement = Requirement(str(written))
        except InvalidRequirement:
            continue  # `workspace_of` refuses it
        names.add(canonicalize_name(requirement.name))
    return names


def _upper(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).upper()
