"""Finds the packages of a repository that are in no workspace: a release leaves them out."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import partial
from itertools import filterfalse
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from releasekit.core.adoption.internal_packages import INTERNAL_WORDS
from releasekit.core.picking import drop, group_by, map_values, true_keys
from releasekit.core.text import summarize
from releasekit.core.workspace.dynamic_version import table_at, text_at, texts_in
from releasekit.core.workspace.workspace import looks_publishable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from releasekit.core.workspace.dynamic_version import Table

_WORDS = "|".join(sorted(INTERNAL_WORDS))
_ASIDE = re.compile(rf"(^|/)({_WORDS}|templates?)(/|$)|(^|/)\.[^/]|\{{", re.IGNORECASE)
"""Samples, tests, templates, and hidden directories."""
_MAX_PATTERNS = 4


def find_outside(manifests: Mapping[str, Table], members: Collection[str] = ()) -> list[str]:
    """Return the directories of packages among *manifests*, by directory, that are no *members* of the workspace.

    All directories are relative to its root. Those that look like samples, tests or templates are left out, and so is
    what is below a package, what uv is told to exclude, and what is not meant for an index.
    """
    workspace = table_at(manifests.get("."), "tool", "uv", "workspace")
    excluded = texts_in(workspace.get("exclude"))
    known = set(members)
    outside: list[str] = []
    for path in sorted(filterfalse(_ASIDE.search, manifests)):
        around = {path, *map(str, PurePosixPath(path).parents)} - {"."}
        is_excluded = any(map(partial(fnmatchcase, path), excluded))
        is_outside = known.isdisjoint(around) and not is_excluded
        if is_outside and _is_package(manifests[path]):
            known.add(path)
            outside.append(path)
    return drop(outside, ["."])


def _is_package(manifest: Table) -> bool:
    return bool(text_at(table_at(manifest, "project"), "name")) and looks_publishable(manifest)


def member_patterns(
    paths: Sequence[str], subdirectories: Callable[[str], Collection[str]]
) -> list[str]:
    """Return the patterns for [tool.uv.workspace] that match *paths*.

    *subdirectories* returns the directories in a directory. A pattern with `*` must match packages only: uv refuses a
    match without a pyproject.toml.
    """
    by_parent = group_by(paths, lambda path: str(PurePosixPath(path).parent))
    patterns: list[str] = []
    for parent, children in by_parent.items():
        has_only_packages = set(subdirectories(parent)) <= set(children)
        is_group = parent != "." and len(children) > 1 and has_only_packages
        patterns += [f"{parent}/*"] if is_group else children
    return patterns


def outside_notes(outside: Sequence[str], patterns: Sequence[str]) -> Iterator[str]:
    """Yield what `init` says about packages *outside* of the workspace, which *patterns* match."""
    if outside:
        yield (
            f"no members of the workspace: {summarize(outside)}. A release leaves them out. "
            f"To release them too, add to [tool.uv.workspace]: {_members_line(patterns)}"
        )


def workspace_hint(manifests: Mapping[str, Table], patterns: Sequence[str]) -> str:
    """Return where a workspace is below a directory without one, or how to make one; empty without a package.

    *manifests* are by directory, relative to that one; *patterns* match the packages among them.
    """
    roots = sorted(true_keys(map_values(_has_workspace, manifests)))
    outside = find_outside(manifests)
    if len(outside) > 1 and not roots:
        place = "its pyproject.toml" if "." in manifests else "a new pyproject.toml there"
        return (
            f"{len(outside)} packages below it are in no workspace. To release them together, write "
            f"[tool.uv.workspace] with {_members_line(patterns)} into {place}, and run `uv lock`. "
            "For another workspace: --workspace PATH."
        )
    places = roots or outside
    return f"Go to {summarize(places)}, or name it: --workspace {places[0]}." if places else ""


def _has_workspace(manifest: Table) -> bool:
    return "workspace" in table_at(manifest, "tool", "uv")


def _members_line(patterns: Sequence[str]) -> str:
    quoted = map('"{}"'.format, patterns[:_MAX_PATTERNS])
    more = ["…"] if len(patterns) > _MAX_PATTERNS else []
    return f"members = [{', '.join([*quoted, *more])}]"
