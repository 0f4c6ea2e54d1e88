"""What hatchling installs for a build besides `build-system.requires`.

Source: "Build configuration" and "Build hook plugins" in the documentation of Hatch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from releasekit.core.workspace.dynamic_version import table_at, texts_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

DEPENDENCIES = ""
"""Stands for the dependencies of the package itself, among its extras."""

_BUILD = ("tool", "hatch", "build")


def hatch_build_tables(document: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the key path of each table of this pyproject.toml that says what hatchling installs for a build.

    These are the tables of the build, of its targets, and of the hooks that run without being asked for.
    """
    targets = table_at(document, *_BUILD, "targets")
    for path in (_BUILD, *((*_BUILD, "targets", target) for target in targets)):
        yield path
        for hook in table_at(document, *path, "hooks"):
            hook_path = (*path, "hooks", hook)
            if table_at(document, *hook_path).get("enable-by-default", True):
                yield hook_path


def extras_at_build(document: Mapping[str, Any]) -> frozenset[str]:
    """Return the extras whose requirements hatchling installs for a build; `DEPENDENCIES` stands for those of none."""
    extras: set[str] = set()
    for path in hatch_build_tables(document):
        table = table_at(document, *path)
        extras.update(map(canonicalize_name, texts_in(table.get("require-runtime-features", []))))
        if table.get("require-runtime-dependencies"):
            extras.add(DEPENDENCIES)
    return frozenset(extras)
