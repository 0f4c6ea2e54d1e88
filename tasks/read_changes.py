"""Step: find out which change files count for the next release of each package. Nothing is changed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import chain, product
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.change_files import packages_in, parse_change_file
from releasekit.core.history.counted_paths import (
    IncludedPaths,
    compile_excluded,
    compile_included,
)
from releasekit.core.history.pending_changes import ReleasedFiles, pending_changes

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from releasekit.core.history.change_files import ChangeDirectory, FileChange
    from releasekit.core.history.commits import Commit
    from releasekit.core.history.pending_changes import PendingChanges
    from releasekit.core.history.tags import Baseline
    from releasekit.integrations.git import Repo
    from tasks.project import Project


class ChangeFilePaths:
    """The paths of all change files, from the top of the repository. They are no part of a package."""

    def __init__(self, repo: Repo, project: Project) -> None:
        """Take the directories of *project*, which is somewhere in *repo*."""
        self.prefix = workspace_prefix(repo, project)
        self._directories = {
            self.prefix + directory.path: directory for directory in project.change_directories
        }

    def __contains__(self, path: object) -> bool:
        """Return whether *path* is a change file."""
        return isinstance(path, str) and self.directory_of(path) is not None

    def directory_of(self, path: str) -> ChangeDirectory | None:
        """Return the directory of the change file *path*; None for other files."""
        # This is asked for every file of the history.
        directory = self._directories.get(path.rpartition("/")[0])
        if directory is None or not directory.contains(path.removeprefix(self.prefix)):
            return None
        return directory

    def packages_in(self, path: str, text: str | None) -> frozenset[str]:
        """Return the packages that the change file *path* names in this *text*; None: it is not there."""
        directory = self.directory_of(path)
        if directory is None or text is None:
            return frozenset()
        return packages_in(directory, path, text)

    def is_consumed_by(self, commit: Commit) -> bool:
        """Return whether *commit* is a release commit that edits or deletes change files."""
        return bool(commit.release) and any(map(self.__contains__, commit.files))


class WorkspaceFiles(ChangeFilePaths):
    """The files that releases keep up to date for the whole workspace: the change files and the lock file."""

    def __init__(self, repo: Repo, project: Project) -> None:
        """Take the directories of *project*, which is somewhere in *repo*."""
        super().__init__(repo, project)
        self._lock_file = f"{self.prefix}{project.uv.lock_name}"

    def __contains__(self, path: object) -> bool:
        """Return whether *path* is such a file."""
        return path == self._lock_file or super().__contains__(path)


class NonPackageFiles(WorkspaceFiles):
    """The files that are no part of a package: those of the workspace, and what `exclude_paths` names."""

    def __init__(self, repo: Repo, project: Project) -> None:
        """Take the directories of *project*, which is somewhere in *repo*."""
        super().__init__(repo, project)
        self._excluded = compile_excluded(_stated_paths(project, "exclude_paths"))

    def __contains__(self, path: object) -> bool:
        """Return whether *path* is such a file."""
        return super().__contains__(path) or bool(
            self._excluded.fullmatch(str(path).removeprefix(self.prefix))
        )


def read_included(repo: Repo, project: Project) -> IncludedPaths:
    """Return which files outside of a package count for it, as `include_paths` says.

    Raises Refusal RK-CONFIG-INVALID-VALUE for a path that is nowhere in the repository.
    """
    stated = _stated_paths(project, "include_paths")
    if not any(stated.values()):
        return IncludedPaths({}, ())
    prefix = workspace_prefix(repo, project)
    files = repo.git("ls-tree", "-r", "-z", "--name-only", "--full-tree", "HEAD").split("\0")[:-1]
    of_root = list(_compile(prefix, ".", stated["."], files))
    patterns = {
        member.name: [*of_root, *_compile(prefix, member.path, stated[member.path], files)]
        for member in project.workspace.publishable
    }
    return IncludedPaths(patterns, WorkspaceFiles(repo, project))


def _stated_paths(project: Project, key: str) -> dict[str, Sequence[str]]:
    """Return what the setting *key* lists, by the directory of the pyproject.toml that has it."""
    own = {
        member.path: project.member_settings.get(member.name, {}).get(key, ())
        for member in project.workspace
    }
    return {**own, ".": getattr(project.settings, key)}


def _compile(
    prefix: str, path: str, texts: Iterable[str], files: Sequence[str]
) -> Iterator[re.Pattern[str]]:
    """Yield what each of *texts* in the pyproject.toml of the member at *path* matches; refuse it if no file does."""
    for text in texts:
        pattern = compile_included(f"{prefix}{path}", text)
        if pattern is None or not any(map(pattern.fullmatch, files)):
            message = f"{text} in `include_paths` matches no file in git"
            file = f"{path}/pyproject.toml".removeprefix("./")
            location = f"{file}, include_paths in [tool.releasekit]"
            hint = "Paths are relative to the pyproject.toml that names them, such as ../../crates."
            raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, location, hint)
        yield pattern


def workspace_prefix(repo: Repo, project: Project) -> str:
    """Return the path of the workspace from the top of the repository, with "/" at its end; empty for the top."""
    relative = project.root.resolve().relative_to(repo.top).as_posix()
    return "" if relative == "." else f"{relative}/"


def read_pending_changes(
    repo: Repo,
    project: Project,
    baselines: Mapping[str, Baseline],
    consumptions: Mapping[str, Sequence[Commit]],
) -> dict[str, PendingChanges]:
    """Return the pending changes of each published package.

    *consumptions* are by package the release commits since its last stable release that change change files.
    """
    if project.settings.changes == "commits":
        return {}
    published = project.workspace.publishable_names
    files = ChangeFilePaths(repo, project)
    texts = _read_texts_around(repo, files, consumptions)
    removed = {
        name: [*_find_removed(project, files, name, consumptions.get(name, ()), texts)]
        for name in published
    }
    paths = {name: _paths_naming(project, name, removed[name]) for name in published}
    released = _released_files(repo, project, baselines, paths)
    return pending_changes(project.change_files, removed, released)


def _paths_naming(project: Project, name: str, removed: Sequence[FileChange]) -> list[str]:
    """Return the change files that name the package *name*, here or in a release commit."""
    here = [file.path for file in project.change_files if name in file.bumps]
    return sorted({*here, *(change.path for change in removed)})


def _released_files(
    repo: Repo,
    project: Project,
    baselines: Mapping[str, Baseline],
    paths: Mapping[str, Sequence[str]],
) -> dict[str, ReleasedFiles]:
    """Return which of the *paths* of each package named it in the trees of its last releases."""
    files = ChangeFilePaths(repo, project)
    commits = {name: _release_commits(baselines.get(name)) for name in paths}
    positions: dict[tuple[str, str], None] = {}
    for name, pair in commits.items():
        own_paths = [files.prefix + path for path in paths[name]]
        positions |= dict.fromkeys(product(filter(None, pair), own_paths))
    texts = repo.texts(list(positions))

    def files_at(name: str, commit: str) -> frozenset[str]:
        def names_package(path: str) -> bool:
            place = f"{files.prefix}{path}"
            return name in files.packages_in(place, texts.get((commit, place)))

        return frozenset(filter(names_package, paths[name]))

    return {
        name: ReleasedFiles(files_at(name, stable), files_at(name, last))
        for name, (stable, last) in commits.items()
    }


def _release_commits(baseline: Baseline | None) -> tuple[str, str]:
    """Return the commits of the last stable release and of the last release; empty where there is none."""
    if baseline is None:
        return "", ""
    stable = baseline.stable
    return stable.commit if stable else "", baseline.commit


Texts = dict[tuple[str, str], str]
"""The texts of files, by commit and path."""


def _read_texts_around(
    repo: Repo, files: ChangeFilePaths, consumptions: Mapping[str, Sequence[Commit]]
) -> Texts:
    """Return the texts of the change files that release commits touch, before and after each of them."""
    positions: dict[tuple[str, str], None] = {}
    for commit in chain.from_iterable(consumptions.values()):
        paths = filter(files.__contains__, commit.files)
        positions |= dict.fromkeys(product((f"{commit.sha}^", commit.sha), paths))
    return repo.texts(list(positions))


def _find_removed(
    project: Project, files: ChangeFilePaths, name: str, commits: Sequence[Commit], texts: Texts
) -> Iterator[FileChange]:
    """Yield what *commits* have removed about the package *name* from change files."""
    for commit in commits:
        for path in filter(files.__contains__, commit.files):
            earlier = texts.get((f"{commit.sha}^", path), "")
            packages_before = files.packages_in(path, earlier)
            packages_after = files.packages_in(path, texts.get((commit.sha, path)))
            if name in packages_before - packages_after:
                yield from _parse_removed(project, files, path, earlier, name)


def _parse_removed(
    project: Project, files: ChangeFilePaths, path: str, text: str, name: str
) -> Iterator[FileChange]:
    """Yield what an earlier *text* of a change file says about the package *name*; nothing if it cannot be read."""
    directory = files.directory_of(path)
    assert directory is not None, path  # noqa: S101  the caller looks at change files only
    lenient = replace(directory, is_shared=True)  # another package may have a new name now
    with suppress(Refusal):
        file = parse_change_file(
            lenient, path.removeprefix(files.prefix), text, project.workspace.members.keys()
        )
        yield file.change_of(name)
