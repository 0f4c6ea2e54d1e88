"""Which commits belong to which package, found in one walk for all packages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from releasekit.core.history.commits import Commit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Attribution:
    """What has come since the last releases, newest first.

    *commits* are all that some release does not hold, without gaps, for a revert of a merge undoes what lies between
    its parents; those that touch no package come without their messages. *by_package* maps each package to the shas of
    those that touch it and that its own last release lacks, *since_prerelease* those of packages with a later
    prerelease to what that lacks as well. *pyproject_changes* maps each directory to the shas of those that touch its
    pyproject.toml. *unmatched_release_as* are those since all last releases that speak of a Release-As and touch no
    package.
    """

    commits: tuple[Commit, ...]
    by_package: Mapping[str, Sequence[str]]
    since_prerelease: Mapping[str, frozenset[str]]
    pyproject_changes: Mapping[str, Sequence[str]]
    unmatched_release_as: Sequence[Commit] = ()


def attribute_commits(
    walk: Iterable[Commit],
    head: str,
    since: Mapping[str, str],
    owner_of: Mapping[str, str],
    *,
    latest: Mapping[str, str] | None = None,
    ignored: frozenset[str] = frozenset(),
    layouts: Mapping[str, Mapping[str, str]] | None = None,
) -> Attribution:
    """Find for each package the commits that its last release does not hold.

    *walk* has every commit that is reachable from *head* or from a commit in *since* or *latest*, children before
    parents; *since* maps a package to the commit of its last release, *latest* to that of a later prerelease;
    *owner_of* maps directories (from the top of the repository, "" for the top itself) to packages. A file belongs to
    the deepest directory that is named, and those in *ignored* to none. *layouts* maps commits to owners: they hold
    for the commit itself and what lies before it, up to the next one that is named.

    Reachability runs along with the walk as a set of bits, one for *head* and one for each release commit: a commit
    holds the bits of all its children, so nothing but the walk itself is ever asked of git.
    """
    later = latest or {}
    tips = {sha: 2 << number for number, sha in enumerate(sorted({*since.values(), *later.values()}))}
    released = {package: tips[sha] for package, sha in since.items()}
    prereleased = {package: tips[sha] for package, sha in later.items()}
    everywhere = sum(tips[sha] for sha in set(since.values()))
    owners = _DirectoryHistory(owner_of, layouts or {}, ignored)
    bits = {head: 1}
    commits: list[Commit] = []
    touching: dict[str, list[str]] = {package: [] for package in owner_of.values()}
    fresh: dict[str, set[str]] = {package: set() for package in later}
    manifests: dict[str, list[str]] = {}
    unmatched_release_as: list[Commit] = []
    for commit in walk:
        reached = bits.pop(commit.sha, 0) | tips.get(commit.sha, 0)
        for parent in commit.parents:
            bits[parent] = bits.get(parent, 0) | reached
        owned = owners.of(commit)
        if not reached & 1:
            continue
        packages = [package for package in owned if not reached & released.get(package, 0)]
        for package in packages:
            touching[package].append(commit.sha)
            if package in fresh and not reached & prereleased[package]:
                fresh[package].add(commit.sha)
        if packages or reached & everywhere != everywhere:
            message = commit.message if packages or commit.is_merge else ""
            commits.append(Commit(commit.sha, commit.parents, message, ()))
            for directory in owners.pyproject_directories(commit):
                manifests.setdefault(directory, []).append(commit.sha)
        if not (packages or reached & everywhere) and "release-as" in commit.message.lower():
            unmatched_release_as.append(commit)
    frozen = {package: frozenset(shas) for package, shas in fresh.items()}
    return Attribution(tuple(commits), touching, frozen, manifests, unmatched_release_as)


class _DirectoryHistory:
    """Knows at each commit of a walk which package stood where."""

    def __init__(
        self, now: Mapping[str, str], layouts: Mapping[str, Mapping[str, str]], ignored: frozenset[str]
    ) -> None:
        self._now = _Owners(now, ignored)
        self._ignored = ignored
        self._layouts = layouts
        self._cache: dict[int, _Owners] = {}
        self._of: dict[str, _Owners] = {}

    def of(self, commit: Commit) -> set[str]:
        """Return the packages that *commit* touches; must be asked of children before parents."""
        if not self._layouts:
            return self._now.of(commit.files)
        here = self._at(commit.sha, self._of.pop(commit.sha, self._now))
        owned = here.of(commit.files)
        for parent in commit.parents:
            # Of one that is reached in two ways, either will do: where they differ, the parent has a layout itself.
            self._of[parent] = before = self._at(parent, here)
            if before is not here:
                owned |= before.of(commit.files)  # what it moves, it moves out of where it stood before
        return owned

    @staticmethod
    def pyproject_directories(commit: Commit) -> list[str]:
        """Return the directories whose pyproject.toml *commit* touches."""
        paths = (path.rpartition("/") for path in commit.files if path.endswith(_PYPROJECT))
        return [directory for directory, _, name in paths if name == _PYPROJECT]

    def _at(self, sha: str, otherwise: _Owners) -> _Owners:
        if sha not in self._layouts:
            return otherwise
        layout = self._layouts[sha]
        if id(layout) not in self._cache:
            self._cache[id(layout)] = _Owners(layout, self._ignored)
        return self._cache[id(layout)]


_PYPROJECT = "pyproject.toml"


class _Owners:
    """Looks up the package of a file, each directory only once."""

    def __init__(self, owner_of: Mapping[str, str], ignored: frozenset[str]) -> None:
        self._named = owner_of
        self._ignored = ignored
        self._cache: dict[str, str] = dict(owner_of)
        self._cache.setdefault("", "")

    def of(self, files: Sequence[str]) -> set[str]:
        return {owner for file in files if (owner := self._of_file(file)) and file not in self._ignored}

    def _of_file(self, file: str) -> str:
        # A submodule is a file to git, though a package may stand in it.
        return self._named.get(file) or self._of_directory(file.rpartition("/")[0])

    def _of_directory(self, directory: str) -> str:
        if directory not in self._cache:
            self._cache[directory] = self._of_directory(directory.rpartition("/")[0])
        return self._cache[directory]
