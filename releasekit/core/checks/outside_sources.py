"""The check for packages that are built from files outside of their directories."""

from __future__ import annotations

import posixpath
import re
from functools import partial
from itertools import chain, filterfalse, product, starmap
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from releasekit.core.checks.facts import CRATE, Check, Severity
from releasekit.core.checks.metadata import LICENSES, matches_any
from releasekit.core.config.command_lines import ROOT
from releasekit.core.history.attribution import is_documentation
from releasekit.core.history.counted_paths import IncludedPaths, compile_included
from releasekit.core.workspace.declarations import parse_document
from releasekit.core.workspace.dynamic_version import table_at, texts_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from releasekit.core.checks.facts import Found, Package, WorkspaceFacts


Named = tuple[str, tuple[str, ...]]
"""A path, relative to the directory of a package, and the key of pyproject.toml that names it."""


def outside_sources(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages whose build takes files from elsewhere in the repository: a change there does not release them.

    Licenses and documentation do not count: their changes need no release.
    """
    for package in facts.presented:
        outside = dict.fromkeys(_outside_paths(package, facts))
        for path, key in filterfalse(partial(_is_included, package, facts), outside):
            message = f"{package.name} is built with {path}, whose changes do not release it"
            hint = f'Let them: add "{path}" to `include_paths` in its [tool.releasekit].'
            yield package.found(message, *key, hint=hint)


def _is_included(package: Package, facts: WorkspaceFacts, named: Named) -> bool:
    """Return whether `include_paths` of *package* or of the root has the path *named*."""
    own = texts_in(_own_settings(package).get("include_paths", []))
    places = chain(
        product([_FAR_ABOVE], facts.settings.include_paths),
        product([_FAR_ABOVE + package.member.path], own),
    )
    compiled = filter(None, starmap(compile_included, places))
    path = posixpath.normpath(f"{_FAR_ABOVE}{package.member.path}/{named[0]}")
    return bool(IncludedPaths({package.name: compiled}, ()).packages_of(path))


def _own_settings(package: Package) -> Mapping[str, Any]:
    return table_at(package.document, "tool", "releasekit")


_FAR_ABOVE: str = "above/" * 32
"""The path of a workspace in its repository: how deep it lies does not matter here."""


def _outside_paths(package: Package, facts: WorkspaceFacts) -> Iterator[Named]:
    """Yield what settings of build backends, and `pre_build` commands, name outside of the directory of *package*."""
    named = chain(
        _paths_of_backend(package), _paths_of_crate(package), _copied_paths(package, facts)
    )
    for path, key in named:
        normal = posixpath.normpath(path)
        if normal.startswith("../") and not _is_document(PurePosixPath(normal).name):
            yield normal, key


def _is_document(name: str) -> bool:
    return is_documentation(name) or matches_any(name.upper(), LICENSES)


def _paths_of_backend(package: Package) -> Iterator[Named]:
    """Yield paths that hatchling, setuptools or maturin take files from."""
    hatch = ("tool", "hatch", "build")
    targets = product([(*hatch, "targets")], table_at(package.document, *hatch, "targets"))
    for table in (hatch, *starmap(_append, targets)):
        key = (*table, "force-include")
        yield from product(table_at(package.document, *key), [key])
    key = ("tool", "setuptools", "package-dir")
    yield from product(texts_in([*table_at(package.document, *key).values()]), [key])
    maturin = table_at(package.document, "tool", "maturin")
    for name in ("manifest-path", "python-source"):
        yield from product(texts_in(maturin.get(name, [])), [("tool", "maturin", name)])


def _append(path: tuple[str, ...], key: str) -> tuple[str, ...]:
    return (*path, key)


def _paths_of_crate(package: Package) -> Iterator[Named]:
    """Yield the crates in the repository that the Cargo.toml of a package requires by their paths."""
    cargo = parse_document(package.texts.get(CRATE, ""))
    tables = (table_at(cargo, "dependencies"), table_at(cargo, "build-dependencies"))
    for crate in map(table_at, chain.from_iterable(table.values() for table in tables)):
        yield from product(texts_in(crate.get("path", [])), [()])


def _copied_paths(package: Package, facts: WorkspaceFacts) -> Iterator[Named]:
    """Yield the files below {root} that `pre_build` commands name."""
    of_root = list(map(" ".join, facts.settings.pre_build))
    commands: Sequence[Any] = _own_settings(package).get("pre_build", of_root)
    key = () if commands is of_root else ("tool", "releasekit", "pre_build")
    words = " ".join(chain.from_iterable(map(texts_in, commands)))
    for path in re.findall(rf"{re.escape(ROOT)}/([\w./-]+)", words):
        yield posixpath.relpath(path, package.member.path), key


CHECKS = (
    Check(
        "outside_sources",
        Severity.NOTE,
        "A package is built from files outside of its directory, whose changes do not release it.",
        "Name these files in `include_paths`.",
        outside_sources,
    ),
)
