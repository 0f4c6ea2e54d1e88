"""Attributes commits to packages, in one walk over the history for all packages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from releasekit.core.history.commits import Commit
from releasekit.core.picking import map_values

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet


@dataclass(frozen=True, slots=True)
class Attribution:
    """The commits since the last releases, newest first.

    *commits* are all commits that at least one last release does not contain. They have no gaps, because a revert of a
    merge undoes everything between its parents; commits that touch no package have an empty message. *by_package* maps
    each package to the shas of the commits that touch it and that its last release does not contain.
    *since_prerelease* maps each package with a later prerelease to those of its shas that the prerelease does not
    contain either. *pyproject_changes* maps directories to the shas of the commits that touch their pyproject.toml.
    *unmatched_release_as* are the commits since all last releases that mention Release-As but touch no package.
    *consumptions* maps packages to the commits that use up change files and that its last release does not contain.
    *documents* maps packages to the shas of commits that touch only their changelog or other documentation.
    """

    commits: tuple[Commit, ...]
    by_package: Mapping[str, Sequence[str]]
    since_prerelease: Mapping[str, AbstractSet[str]]
    pyproject_changes: Mapping[str, Sequence[str]]
    unmatched_release_as: Sequence[Commit] = ()
    consumptions: Mapping[str, Sequence[Commit]] = field(
        default_factory=dict[str, "Sequence[Commit]"]
    )
    documents: Mapping[str, AbstractSet[str]] = field(default_factory=dict[str, "AbstractSet[str]"])


def attribute_commits(
    walk: Iterable[Commit],
    head: str,
    since: Mapping[str, str],
    owner_of: Mapping[str, str],
    *,
    latest: Mapping[str, str] = MappingProxyType({}),
    ignored: Container[str] = frozenset(),
    layouts: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    is_consumption: Callable[[Commit], bool] = lambda _: False,
    included_by: Callable[[str], Iterable[str]] = lambda _: (),
) -> Attribution:
    """Return for each package the commits that its last release does not contain.

    *walk* has every commit that is reachable from *head* or from a commit in *since* or *latest*, children before
    parents. *since* maps a package to the commit of its last release, *latest* to the commit of a later prerelease.
    *owner_of* maps directories (relative to the root of the repository, "" for the root itself) to packages. A file
    belongs to the deepest directory that *owner_of* names; files in *ignored* belong to none. Each file counts for the
    packages *included_by* too. *layouts* maps commits to owners, for the commit and its ancestors up to the next one.
    *is_consumption*: which use up change files.

    The walk computes reachability as a set of bits, one for *head* and one for each release commit. A commit has the
    bits of all its children, so git needs no query besides the walk.
    """
    releases = _ReleaseBits(since, latest)
    owners = _DirectoryHistory(owner_of, layouts, ignored, included_by)
    collector = _Collector(releases, owners, packages=owner_of.values(), prereleased=latest)
    bits = {head: _HEAD}
    for commit in walk:
        reached = _pass_to_parents(commit, bits, releases.of(commit))
        owned = owners.of(commit)
        if not reached & _HEAD:
            continue
        collector.add(commit, reached, owned)
        if is_consumption(commit):
            collector.add_consumption(commit, reached)
    return collector.result()


def owners_of(
    files: Sequence[str],
    owner_of: Mapping[str, str],
    ignored: Container[str],
    included_by: Callable[[str], Iterable[str]],
) -> set[str]:
    """Return the packages for which *files* count; the other parameters are as `attribute_commits` has them."""
    return _Owners(owner_of, ignored, included_by).of(files)


_HEAD = 1
"""The bit of the commits that are reachable from HEAD."""


class _ReleaseBits:
    """A bit for each release commit, other than that of HEAD; *last* has the bits of all last releases."""

    def __init__(self, since: Mapping[str, str], latest: Mapping[str, str]) -> None:
        commits = sorted({*since.values(), *latest.values()})
        self._bits = {sha: _HEAD << number for number, sha in enumerate(commits, start=1)}
        self._released = map_values(self._bits.__getitem__, since)
        self._prereleased = map_values(self._bits.__getitem__, latest)
        last_releases = set(since.values())
        self.last = sum(map(self._bits.__getitem__, last_releases))

    def of(self, commit: Commit) -> int:
        """Return the bit of *commit*, 0 if it is no release."""
        return self._bits.get(commit.sha, 0)

    def last_contains(self, reached: int, package: str) -> bool:
        """Return whether a commit with the bits *reached* is in the last release of *package*."""
        return bool(reached & self._released.get(package, 0))

    def prerelease_contains(self, reached: int, package: str) -> bool:
        """Return whether a commit with the bits *reached* is in the later prerelease of *package*."""
        return bool(reached & self._prereleased[package])


def _pass_to_parents(commit: Commit, bits: dict[str, int], own: int) -> int:
    """Return the bits of *commit*, its *own* and those of its children, and add them to its parents in *bits*."""
    reached = bits.pop(commit.sha, 0) | own
    for parent in commit.parents:
        bits[parent] = bits.get(parent, 0) | reached
    return reached


def _mentions_release_as(commit: Commit) -> bool:
    message = commit.message.lower()
    return "release-as" in message


class _Collector:
    """Collects the commits of a walk, by the packages whose last releases do not contain them."""

    def __init__(
        self,
        releases: _ReleaseBits,
        owners: _DirectoryHistory,
        packages: Iterable[str],
        prereleased: Iterable[str],
    ) -> None:
        self._releases = releases
        self._owners = owners
        self._commits: list[Commit] = []
        self._by_package: dict[str, list[str]] = {package: [] for package in packages}
        self._since_prerelease: dict[str, set[str]] = {package: set() for package in prereleased}
        self._pyproject_changes: dict[str, list[str]] = {}
        self._unmatched_release_as: list[Commit] = []
        self._consumptions: dict[str, list[Commit]] = {package: [] for package in self._by_package}

    def add(self, commit: Commit, reached: int, owned: Iterable[str]) -> None:
        """Add *commit*, which has the bits *reached* and touches the packages *owned*."""
        packages = [
            package for package in owned if not self._releases.last_contains(reached, package)
        ]
        for package in packages:
            self._add_change(commit, reached, package)
        releases_with_it = reached & self._releases.last
        in_all_releases = releases_with_it == self._releases.last
        if packages:
            self._add_commit(commit, commit.message)
        elif not in_all_releases:
            # A merge is read even if it touches no package: its message says which pull request it is.
            message = commit.message if commit.is_merge else ""
            self._add_commit(commit, message)
        is_unmatched = not packages and not releases_with_it
        if is_unmatched and _mentions_release_as(commit):
            self._unmatched_release_as.append(commit)

    def add_consumption(self, commit: Commit, reached: int) -> None:
        """Add *commit*, which has the bits *reached* and uses up change files."""
        for package, commits in self._consumptions.items():
            if not self._releases.last_contains(reached, package):
                commits.append(commit)

    def result(self) -> Attribution:
        """Return all that was added."""
        return Attribution(
            commits=tuple(self._commits),
            by_package=self._by_package,
            since_prerelease=self._since_prerelease,
            pyproject_changes=self._pyproject_changes,
            unmatched_release_as=self._unmatched_release_as,
            consumptions=self._consumptions,
            documents=self._owners.documents,
        )

    def _add_change(self, commit: Commit, reached: int, package: str) -> None:
        self._by_package[package].append(commit.sha)
        fresh = self._since_prerelease.get(package)
        if fresh is not None and not self._releases.prerelease_contains(reached, package):
            fresh.add(commit.sha)

    def _add_commit(self, commit: Commit, message: str) -> None:
        self._commits.append(
            Commit(commit.sha, commit.parents, message, files=(), release=commit.release)
        )
        for directory in self._owners.pyproject_directories(commit):
            self._pyproject_changes.setdefault(directory, []).append(commit.sha)


class _DirectoryHistory:
    """Knows for each commit of a walk which package was in which directory."""

    def __init__(
        self,
        now: Mapping[str, str],
        layouts: Mapping[str, Mapping[str, str]],
        ignored: Container[str],
        included_by: Callable[[str], Iterable[str]],
    ) -> None:
        self._now = _Owners(now, ignored, included_by)
        self._ignored = ignored
        self._included_by = included_by
        self._layouts = layouts
        self._cache: dict[int, _Owners] = {}
        self._of: dict[str, _Owners] = {}
        # By package, the commits that touch only its documentation.
        self.documents: dict[str, set[str]] = {}

    def of(self, commit: Commit) -> set[str]:
        """Return the packages that *commit* touches. Call it for children before their parents."""
        layouts = self._layouts_around(commit)
        owned = set[str]().union(*(layout.of(commit.files) for layout in layouts))
        if any(map(is_documentation, commit.files)):
            code = set[str]().union(*(layout.of_code(commit.files) for layout in layouts))
            for package in owned - code:
                self.documents.setdefault(package, set()).add(commit.sha)
        return owned

    def _layouts_around(self, commit: Commit) -> list[_Owners]:
        """Return the layout at *commit* and those of its parents: a move also touches the package at the old place."""
        if not self._layouts:
            return [self._now]
        here = self._at(commit.sha, self._of.pop(commit.sha, self._now))
        layouts = [here]
        for parent in commit.parents:
            # A parent with several children: any layout will do, because if they differ, the parent has its own.
            self._of[parent] = before = self._at(parent, here)
            if before is not here:
                layouts.append(before)
        return layouts

    @staticmethod
    def pyproject_directories(commit: Commit) -> list[str]:
        """Return the directories whose pyproject.toml *commit* touches."""
        return [path.rpartition("/")[0] for path in commit.files if f"/{path}".endswith(_PYPROJECT)]

    def _at(self, sha: str, otherwise: _Owners) -> _Owners:
        if sha not in self._layouts:
            return otherwise
        layout = self._layouts[sha]
        if id(layout) not in self._cache:
            self._cache[id(layout)] = _Owners(layout, self._ignored, self._included_by)
        return self._cache[id(layout)]


_PYPROJECT = "/pyproject.toml"
_KEPT_PATHS = 1 << 16
"""For how many paths an answer is kept: most commits change files that others have changed."""

_DOCUMENT = re.compile(
    r"(.*/)?(docs?/.*|(changelog|changes|history|news|readme)(\.txt)?|.*\.(md|rst|adoc))",
    re.IGNORECASE,
)


@lru_cache(_KEPT_PATHS)
def is_documentation(path: str) -> bool:
    """Return whether the file *path*, relative to its package, is a changelog or other documentation."""
    return _DOCUMENT.fullmatch(path) is not None


class _Owners:
    """Looks up the packages of a file; computes each directory only once."""

    def __init__(
        self,
        owner_of: Mapping[str, str],
        ignored: Container[str],
        included_by: Callable[[str], Iterable[str]],
    ) -> None:
        self._named = owner_of
        self._ignored = ignored
        self._included_by = included_by
        self._cache: dict[str, str] = dict(owner_of)
        self._cache.setdefault("", "")

    def of(self, files: Sequence[str]) -> set[str]:
        owners = {self._of_file(file) for file in files if file not in self._ignored}
        owners.discard("")
        return owners.union(*map(self._included_by, files))

    def of_code(self, files: Sequence[str]) -> set[str]:
        """Return the owners of those of *files* that are not documentation."""
        code = [file for file in files if not is_documentation(self._in_package(file))]
        return self.of(code)

    def _in_package(self, file: str) -> str:
        """Return the path of *file* inside its package."""
        directory, _, _ = file.rpartition("/")
        while directory and directory not in self._named:
            directory, _, _ = directory.rpartition("/")
        if not directory:
            return file
        return file.removeprefix(f"{directory}/")

    def _of_file(self, file: str) -> str:
        # Git lists a submodule as a file, but a package may be in it.
        submodule_owner = self._named.get(file)
        return submodule_owner or self._of_directory(file.rpartition("/")[0])

    def _of_directory(self, directory: str) -> str:
        if directory not in self._cache:
            self._cache[directory] = self._of_directory(directory.rpartition("/")[0])
        return self._cache[directory]
