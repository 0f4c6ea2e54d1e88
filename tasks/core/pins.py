"""Exact internal pins: what a package is built with, so that it installs beside the siblings it was released with."""

from __future__ import annotations

from copy import deepcopy
from difflib import unified_diff
from typing import TYPE_CHECKING, Any

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tasks.core.workspace import fits, requirement_of, requirement_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableSequence

    from packaging.requirements import Requirement
    from packaging.version import Version


def pinned(requirement: Requirement, versions: Mapping[str, Version]) -> Requirement:
    """Return *requirement* with the exact version of the workspace's package, all else kept.

    Left as it is: a package that is not in *versions* (normalised names), a direct address (PEP 508 URL), and a
    specifier that the version does not satisfy, which asks for the published older one.
    """
    version = versions.get(canonicalize_name(requirement.name))
    if version is None or requirement.url or not fits(requirement.specifier, version):
        return requirement
    exact = deepcopy(requirement)
    exact.specifier = SpecifierSet(f"=={version}")
    return exact


def pin(pyproject: str, versions: Mapping[str, Version]) -> str:
    """Return the text of *pyproject* with its runtime, extra and build requirements pinned; nothing else differs."""
    import tomlkit  # late: who only asks what a pin would be need not pay for it

    document = tomlkit.parse(pyproject)
    for array in _arrays(document):
        for position, written in enumerate(list(array)):
            requirement = requirement_of(str(written))
            exact = pinned(requirement, versions)
            if exact is not requirement:
                array[position] = str(exact)
    return tomlkit.dumps(document)


def changed(before: str, after: str, path: str) -> str:
    """Return how the text of the file *path* differs, as a unified diff; empty if it does not."""
    lines = unified_diff(before.splitlines(), after.splitlines(), f"a/{path}", f"b/{path}", lineterm="", n=1)
    return "".join(f"{line}\n" for line in lines)


def _arrays(document: Any) -> Iterator[MutableSequence[Any]]:  # noqa: ANN401  tomlkit's types do not nest
    """Yield the arrays of published requirements, to be edited in place."""
    for table in requirement_tables(document):
        yield from (table["dependencies"],) if "dependencies" in table else ()
        yield from table.get("optional-dependencies", {}).values()
    yield from (document["build-system"]["requires"],) if "requires" in document.get("build-system", {}) else ()
