"""Paths in a repository, with `/`, as git writes them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def is_member(path: str, patterns: Iterable[str], excluded: Iterable[str]) -> bool:
    """Return whether the directory *path* matches one of the *patterns* of `[tool.uv.workspace]`, and none *excluded*.

    The patterns are globs that a `*` in them does not carry beyond a `/`, as uv reads them.
    """
    return _matches(path, patterns) and not _matches(path, excluded)


def _matches(path: str, patterns: Iterable[str]) -> bool:
    parts = PurePosixPath(path).parts
    globs = map(PurePosixPath, patterns)
    return any(
        len(glob.parts) == len(parts) and PurePosixPath(path).match(str(glob)) for glob in globs
    )
