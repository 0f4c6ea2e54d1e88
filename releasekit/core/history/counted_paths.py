"""Which files count for a package other than those in its directory, and which never count: two settings decide."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from glob import escape
from itertools import chain, product, starmap
from operator import itemgetter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from releasekit.core.picking import drop, group_by

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping


def compile_excluded(patterns: Mapping[str, Iterable[str]]) -> re.Pattern[str]:
    """Return what matches the whole path of an excluded file, relative to the workspace.

    *patterns* are by the directory to which they are relative, "." for the workspace. `*` stands for any characters,
    also for "/", and "**/" also for no directory. A directory stands for all that is in it.
    """
    globs: list[str] = []
    for directory, own_patterns in patterns.items():
        start = f"{directory}/".removeprefix("./")
        globs += chain.from_iterable(starmap(_globs, product([start], own_patterns)))
    return _compile(globs)


def compile_included(directory: str, pattern: str) -> re.Pattern[str] | None:
    """Return what matches the path of an included file from the top of the repository; None: none is in there.

    *pattern* is as for `compile_excluded`, with ".." at its start. It is relative to *directory*, "" for the top.
    """
    parents, parts = PurePosixPath(directory).parts, PurePosixPath(pattern).parts
    kept = len(parents) - parts.count("..")
    if kept < 0:
        return None
    start = "/".join((*parents[:kept], ""))
    below = "/".join(drop(parts, ("..",)))
    return _compile(_globs(start, below or "*"))


def _globs(start: str, pattern: str) -> Iterator[str]:
    """Yield the globs of *pattern* in the directory *start*, which is empty or ends with "/"."""
    written = (pattern, pattern.removeprefix("**/"))
    for text, below in product(written, ("", "/*")):
        yield f"{escape(start)}{text}{below}"


def _compile(globs: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, globs)) or _NOTHING)


_NOTHING = "(?!)"
_KEPT_PATHS = 1 << 16
"""For how many paths an answer is kept: most commits change files that others have changed."""


class IncludedPaths:
    """Knows for which packages a file outside of their directories counts."""

    def __init__(
        self, patterns: Mapping[str, Iterable[re.Pattern[str]]], ignored: Container[str]
    ) -> None:
        """Take the *patterns* of each package, and the files that never count."""
        pairs = chain.from_iterable(product(own, [name]) for name, own in patterns.items())
        self._names = group_by(pairs, itemgetter(0))
        self._ignored = ignored
        find = lru_cache(_KEPT_PATHS)(self._find) if self._names else _find_none
        self.packages_of: Callable[[str], Collection[str]] = find

    def _find(self, path: str) -> Collection[str]:
        if path in self._ignored:
            return ()
        matching = (pairs for pattern, pairs in self._names.items() if pattern.fullmatch(path))
        return frozenset(map(itemgetter(1), chain.from_iterable(matching)))


def _find_none(_path: str) -> Collection[str]:
    return ()
