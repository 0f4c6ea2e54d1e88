"""Which commits belong to which package, found in one walk for all packages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tasks.core.commits import Commit


@dataclass(frozen=True, slots=True)
class Unreleased:
    """What has come since the last releases, newest first.

    *commits* are all that some release does not hold, without gaps, for a revert of a merge undoes what lies between
    its parents; *touching* maps each package to the shas of those that touch it and that its own last release lacks.
    """

    commits: tuple[Commit, ...]
    touching: Mapping[str, Sequence[str]]


def unreleased(walk: Iterable[Commit], head: str, since: Mapping[str, str], owner_of: Mapping[str, str]) -> Unreleased:
    """Find for each package the commits that its last release does not hold.

    *walk* has every commit that is reachable from *head* or from a commit in *since*, children before parents;
    *since* maps a package to the commit of its last release; *owner_of* maps directories (from the top of the
    repository, "" for the top itself) to packages. A file belongs to the deepest directory that is named.

    Reachability runs along with the walk as a set of bits, one for *head* and one for each release commit: a commit
    holds the bits of all its children, so nothing but the walk itself is ever asked of git.
    """
    tips = {sha: 2 << number for number, sha in enumerate(sorted(set(since.values())))}
    released = {package: tips[sha] for package, sha in since.items()}
    everywhere = sum(tips.values())
    owners = _Owners(owner_of)
    bits = {head: 1}
    commits: list[Commit] = []
    touching: dict[str, list[str]] = {package: [] for package in owner_of.values()}
    for commit in walk:
        reached = bits.pop(commit.sha, 0) | tips.get(commit.sha, 0)
        for parent in commit.parents:
            bits[parent] = bits.get(parent, 0) | reached
        if not reached & 1:
            continue
        packages = [package for package in owners.of(commit.files) if not reached & released.get(package, 0)]
        for package in packages:
            touching[package].append(commit.sha)
        if packages or reached & everywhere != everywhere:
            commits.append(commit)
    return Unreleased(tuple(commits), touching)


class _Owners:
    """Looks up the package of a file, each directory only once."""

    def __init__(self, owner_of: Mapping[str, str]) -> None:
        self._known: dict[str, str] = dict(owner_of)
        self._known.setdefault("", "")

    def of(self, files: Sequence[str]) -> set[str]:
        return {owner for file in files if (owner := self._of_directory(file.rpartition("/")[0]))}

    def _of_directory(self, directory: str) -> str:
        if directory not in self._known:
            self._known[directory] = self._of_directory(directory.rpartition("/")[0])
        return self._known[directory]
