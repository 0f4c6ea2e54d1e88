"""Reads directories of commits from git: which files they have, and which ones differ."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from releasekit.core.picking import map_values
from releasekit.integrations.git import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from releasekit.integrations.git import Repo

Trees = tuple[str, str]
"""The shas of two directories: an old and a new one."""


class TreeChange(NamedTuple):
    """One file that differs between two directories; *kind* is A, D, M or T, as git has it."""

    kind: str
    path: str


def tree_shas(repo: Repo, places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the sha of each directory of *places* (commit, path from the top) that exists."""
    return _objects_at(repo, places, "tree", "objectname")


def blob_sizes(repo: Repo, places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Return the size in bytes of each file of *places* (tree, path from there) that exists."""
    return map_values(int, _objects_at(repo, places, "blob", "objectsize"))


def _objects_at(
    repo: Repo, places: Sequence[tuple[str, str]], kind: str, field: str
) -> dict[tuple[str, str], str]:
    """Return the *field* of each object of this *kind* at *places*, as `git cat-file` has it; others are left out."""
    places = [place for place in places if "\n" not in place[1]]  # git reads a name from each line
    names = [f"{tree}:{path}" for tree, path in places]
    lines = _ask(repo, names, "cat-file", f"--batch-check=%(objecttype) %({field})").split("\n")
    values: dict[tuple[str, str], str] = {}
    for place, line in zip(places, lines, strict=False):
        found, _, value = line.partition(" ")
        if found == kind:
            values[place] = value
    return values


def changed_files(repo: Repo, pairs: Sequence[Trees]) -> dict[Trees, list[TreeChange]]:
    """Return the files that differ between the two directories of each of *pairs*, with one process."""
    names = [f"{old} {new}" for old, new in pairs]
    output = _ask(
        repo, names, "diff-tree", "--stdin", "-r", "-z", "--raw", "--no-renames", "--no-abbrev"
    )
    changes: dict[Trees, list[TreeChange]] = {pair: [] for pair in pairs}
    current: list[TreeChange] = []
    pieces = iter(output.split("\0"))
    for piece in pieces:
        line = piece
        while header := _HEADER.match(line):
            current = changes[header[1], header[2]]
            line = line[header.end() :]
        if line:
            current.append(TreeChange(line[-1], next(pieces)))
    return changes


_HEADER = re.compile(r"([0-9a-f]{40,64}) ([0-9a-f]{40,64})\n")


def list_tree(repo: Repo, tree: str) -> dict[str, int]:
    """Return the size in bytes of each regular file of the directory *tree*, by its path from there.

    A file whose content is missing in this repository has the size 0: git says BAD.
    """
    sizes: dict[str, int] = {}
    for line in repo.git("ls-tree", "-r", "-l", "-z", "--full-tree", tree).split("\0")[:-1]:
        details, _, path = line.partition("\t")
        _, kind, _, size = details.split()
        if kind == "blob":
            sizes[path] = int(size) if size.isdecimal() else 0
    return sizes


def _ask(repo: Repo, names: Iterable[str], *argv: str) -> str:
    """Return what git prints about *names*, one a line of its standard input."""
    stdin = "".join(f"{name}\n" for name in names)
    if not stdin:
        return ""
    return run(repo.command(*argv, stdin=stdin.encode("utf-8", "surrogateescape"))).stdout
