"""Files whose changes do not count for a release: the setting `exclude_paths`."""

from __future__ import annotations

import re
from fnmatch import translate
from glob import escape
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


def compile_excluded(patterns: Mapping[str, Iterable[str]]) -> re.Pattern[str]:
    """Return what matches the whole path of an excluded file, relative to the workspace.

    *patterns* are by the directory to which they are relative, "." for the workspace. `*` stands for any characters,
    also for "/", and "**/" also for no directory. A directory stands for all that is in it.
    """
    return re.compile("|".join(map(translate, _globs(patterns))) or _NOTHING)


def _globs(patterns: Mapping[str, Iterable[str]]) -> Iterator[str]:
    for directory, own_patterns in patterns.items():
        prefix = escape(f"{directory}/").removeprefix("./")
        for pattern, below in product(own_patterns, ("", "/*")):
            yield f"{prefix}{pattern}{below}"
            yield f"{prefix}{pattern.removeprefix('**/')}{below}"


_NOTHING = "(?!)"
