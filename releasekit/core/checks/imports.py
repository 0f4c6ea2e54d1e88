"""The check whether packages require the siblings that they import."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from itertools import accumulate, chain, filterfalse
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, NamedTuple

from releasekit.core.artifacts.consistency_rules import are_identifiers, read_source
from releasekit.core.artifacts.content_rules import is_support_path
from releasekit.core.artifacts.package_facts import import_root
from releasekit.core.checks.contents import modules_of
from releasekit.core.checks.facts import Check, Found, Severity
from releasekit.core.picking import drop_keys, names_of
from releasekit.core.workspace.graph import closure
from releasekit.core.workspace.workspace import PUBLISHED, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from releasekit.core.checks.facts import Package, WorkspaceFacts


def undeclared_imports(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find siblings that a module imports, and that its package does not require, not even in an extra.

    In the workspace all members are installed, so only users notice. A build hook may require each of them.
    """
    owners = _owners_of_modules(facts)
    workspace = facts.workspace
    edges = {member.name: workspace.required_members(member, *PUBLISHED) for member in workspace}
    hooked = names_of(filter(_has_unknown_requirements, facts))
    edges |= dict.fromkeys(hooked, frozenset(edges))
    for package in facts.presented:
        required = closure(edges, [package.name])
        undeclared = {module: owner for module, owner in owners.items() if owner not in required}
        first: dict[str, Found] = {}
        for path, module, line in _imports_of(package, undeclared):
            message = f"{package.name} imports {module}, but does not require {undeclared[module]}"
            finding = Found(package.name, message, file=package.at(path), line=line)
            first.setdefault(undeclared[module], finding)
        yield from first.values()


def _has_unknown_requirements(package: Package) -> bool:
    kinds = map(attrgetter("kind"), package.member.needs)
    return package.is_dynamic("dependencies") and Kind.RUNTIME not in kinds


def _owners_of_modules(facts: WorkspaceFacts) -> dict[str, str]:
    """Return the package of each import package (dotted names). A name that several packages have tells nothing."""
    pairs = [
        (directory.replace("/", "."), package.name)
        for package in facts
        for directory in modules_of(package.installed_paths)
    ]
    names = list(map(itemgetter(0), pairs))
    repeated = Counter(names) - Counter(set(names))
    return drop_keys(dict(pairs), repeated)


class Import(NamedTuple):
    """An imported *module*, by its dotted name; the *path* of the file that does it, and the *line*, from 1."""

    path: str
    module: str
    line: int


def _imports_of(package: Package, modules: Collection[str]) -> Iterator[Import]:
    """Yield the imports of *modules* in *package*. Tests and examples do not count."""
    if package.tree is None:
        return
    tops = set(map(_top_of, modules))
    root = import_root(package.files, package.document)
    paths = filter(_is_module, sorted(package.installed_paths))
    for path in filterfalse(is_support_path, paths):
        file = f"{root}{path}"
        content = package.tree.contents.get(file, b"")
        imported = set(_TOP_IMPORTED.findall(content))
        if b".." in imported:
            imported.add(_top_of(path.replace("/", ".")))
        if not tops.isdisjoint(imported):
            yield from imports_among(content, file, path.split("/")[:-1], modules)


def _is_module(path: str) -> bool:
    """Return whether an import can name the file that is installed at *path*."""
    return path.endswith(".py") and are_identifiers(path.removesuffix(".py").replace("/", "."))


_TOP_IMPORTED = re.compile(rb"^(?:from|import)[ \t]+(\w+|\.\.)", re.MULTILINE)
"""Finds quickly whether a file may import a sibling: the first part of its name, or a relative import from above."""


@cache
def _top_of(module: str) -> bytes:
    return module.partition(".")[0].encode()


def imports_among(
    content: bytes, path: str, directory: Sequence[str], modules: Collection[str]
) -> Iterator[Import]:
    """Yield the imports of *modules* by the statements at the top level of a Python file, not below `if` or `try`.

    *path* is the file, and *directory* has the parts of the directory where it is installed.
    """
    statements: list[ast.stmt] = getattr(read_source(content, ast.parse), "body", [])
    for statement in statements:
        names = map(_with_parents, _imported_names(statement, directory))
        for module in filter(modules.__contains__, chain.from_iterable(names)):
            yield Import(path, module, statement.lineno)


def _with_parents(name: str) -> Iterator[str]:
    """Return "a", "a.b" and "a.b.c" for "a.b.c"."""
    return accumulate(name.split("."), "{}.{}".format)


def _imported_names(statement: ast.stmt, directory: Sequence[str]) -> Iterator[str]:
    """Yield the dotted names that *statement* imports in a module of *directory*: modules, or what is in them."""
    if not isinstance(statement, ast.Import | ast.ImportFrom):
        return
    level: int = getattr(statement, "level", 0)
    base = directory[: len(directory) - level + 1] if level else ()
    start = [*base, *filter(None, [getattr(statement, "module", "")])]
    for alias in statement.names:
        yield ".".join([*start, alias.name])


CHECKS = (
    Check(
        "undeclared_imports",
        Severity.WARNING,
        "A package imports a sibling that it does not require.",
        "Add the sibling to its dependencies, or to an extra if it works without this module.",
        undeclared_imports,
        frozenset({"contents"}),
    ),
)
