"""Change files: write a new one, and tell which packages of a branch lack one."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.config.bump_rules import Bump
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.attribution import owners_of
from releasekit.core.history.change_files import CHANGES_DIRECTORY, render_change_file
from releasekit.core.history.change_names import readable_name
from releasekit.core.text import summarize
from releasekit.integrations.filesystem import make_directory, resolve_inside, write_atomic
from releasekit.integrations.git import Repo
from tasks import read_history, read_workspace
from tasks.read_changes import NonPackageFiles, read_included, workspace_prefix
from tasks.read_declarations import directory_in_repository

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from releasekit.core.history.change_files import ChangeFile
    from releasekit.core.planning.release_messages import ReleaseCommits
    from releasekit.options import WorkspaceOptions
    from tasks.project import Project


@dataclass(frozen=True, slots=True)
class NewChange:
    """A change file to write. *packages* are names, patterns or paths; without a *name*, the file gets a random one.

    *bump* is major, minor, patch or none; empty if nobody has chosen it.
    """

    packages: tuple[str, ...]
    bump: str
    text: str
    name: str = ""


class ChangedPackage(BaseModel):
    """A package that a branch changes, and the change files of the branch that name it."""

    model_config = ConfigDict(frozen=True)

    name: str
    path: str
    files: tuple[str, ...] = ()
    missing: bool


class ChangeStatus(BaseModel):
    """The packages that changed *since* a commit, sorted by name."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.change-status/1"] = Field(
        default="releasekit.change-status/1", alias="schema"
    )
    since: str
    packages: tuple[ChangedPackage, ...] = ()

    @property
    def missing_names(self) -> tuple[str, ...]:
        """The packages without a change file."""
        return tuple(package.name for package in self.packages if package.missing)


# ---- add ------------------------------------------------------------------------------------------------------------


def add_change(options: WorkspaceOptions, change: NewChange) -> Path:
    """Write a change file and return its path.

    Raises Refusal RK-USAGE, RK-WORKSPACE-UNKNOWN-PACKAGE.
    """
    project, _ = _open_workspace(options)
    names = _published_names(project, change.packages)
    if not change.bump:
        raise Refusal(
            ErrorCode.USAGE, "the bump is missing: use --bump major, minor, patch or none"
        )
    text = change.text.strip()
    bump = Bump[change.bump.upper()]
    if bump and not text:
        raise Refusal(ErrorCode.USAGE, "the text for the changelog is missing: use --message")
    file = _new_file(_changes_directory(project.root), change.name)
    make_directory(file.parent)
    bumps = dict.fromkeys(names, bump)
    write_atomic(file, render_change_file(bumps, text))
    return file


def unreleased_packages(options: WorkspaceOptions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the published packages with commits since their last release, and the other ones, both sorted."""
    project, repo = _open_workspace(options)
    history = read_history.read_history(repo, project)
    names = project.workspace.publishable_names
    changed = tuple(name for name in names if history.changes.get(name))
    unchanged = tuple(name for name in names if not history.changes.get(name))
    return changed, unchanged


def _open_workspace(options: WorkspaceOptions) -> tuple[Project, Repo]:
    """Read the workspace and open its repository; refuse a workspace in which change files do not count."""
    project = read_workspace.read_workspace(options.directory, {})
    if project.settings.changes == "commits":
        message = 'change files do not count in this workspace: changes = "commits"'
        hint = 'Set changes = "both" or "files" in [tool.releasekit].'
        raise Refusal(ErrorCode.USAGE, message, "pyproject.toml, [tool.releasekit]", hint)
    return project, Repo(project.root)


def _published_names(project: Project, patterns: Sequence[str]) -> list[str]:
    if not patterns:
        raise Refusal(ErrorCode.USAGE, "the packages that change are missing: use -p NAME")
    workspace = project.workspace
    names = sorted(workspace.matching_names(patterns))
    published = [name for name in names if workspace[name].publishable]
    if not published:
        raise Refusal(
            ErrorCode.USAGE, f"{summarize(names)} is never published, so it needs no change file"
        )
    return published


_FILE_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def _changes_directory(root: Path) -> Path:
    """Return the directory of the change files; raises Refusal RK-CHANGE-INVALID if it is outside the workspace."""
    directory = resolve_inside(root, CHANGES_DIRECTORY)
    if directory is None:
        message = "the directory is a link that leads out of the workspace"
        raise Refusal(ErrorCode.CHANGE_INVALID, message, CHANGES_DIRECTORY)
    return directory


def _new_file(directory: Path, name: str) -> Path:
    """Return the path of a file that does not exist yet, named *name* or at random."""
    taken = _taken_names(directory)
    stem = name.removesuffix(".md") or readable_name(secrets.choice, taken)
    if stem in taken:
        raise Refusal(
            ErrorCode.USAGE,
            f"{CHANGES_DIRECTORY}/{stem}.md exists already",
            hint="Choose another --name.",
        )
    is_readme = stem.lower() == "readme"
    if is_readme or not _FILE_NAME.fullmatch(stem):
        hint = "Use letters, digits, dots, dashes and underscores, and not README."
        raise Refusal(ErrorCode.USAGE, f"a change file cannot be named {name!r}", hint=hint)
    return directory / f"{stem}.md"


def _taken_names(directory: Path) -> set[str]:
    """Return the names of the files in *directory*, without suffixes; a missing directory has none."""
    if not directory.is_dir():
        return set()
    return {file.stem for file in directory.iterdir()}


# ---- status ---------------------------------------------------------------------------------------------------------


def change_status(options: WorkspaceOptions, since: str = "") -> ChangeStatus:
    """Return which published packages changed since HEAD left *since*, and the change files of those commits.

    Without *since*, it is the default branch of the remote. Release commits do not count: they use up the files that
    others have written. Files that are not committed yet count too.

    Raises Refusal RK-USAGE, RK-PREFLIGHT-SHALLOW-CLONE, RK-CHANGE-INVALID.
    """
    project, repo = _open_workspace(options)
    base = _find_base(repo, since or _default_base(repo, project.settings.remote))
    touched_paths = frozenset(_touched_paths(repo, base, project.release_commits))
    prefix = workspace_prefix(repo, project)
    owners = {
        directory_in_repository(repo, project.root, member.path): member.name
        for member in project.workspace
    }
    touched_names = owners_of(
        sorted(touched_paths),
        owners,
        NonPackageFiles(repo, project),
        read_included(repo, project).packages_of,
    )
    files = [file for file in project.change_files if prefix + file.path in touched_paths]
    packages = [
        _changed_package(member.name, member.path, files)
        for member in project.workspace.publishable
        if member.name in touched_names
    ]
    return ChangeStatus(since=base, packages=tuple(packages))


def _changed_package(name: str, path: str, files: Sequence[ChangeFile]) -> ChangedPackage:
    own_files = tuple(file.path for file in files if name in file.bumps)
    return ChangedPackage(name=name, path=path, files=own_files, missing=not own_files)


def _touched_paths(repo: Repo, base: str, releases: ReleaseCommits) -> Iterator[str]:
    """Yield the files that commits since *base* change, except *releases*, and those not committed yet."""
    commits = repo.history([repo.head, f"^{base}"])
    for commit in releases.mark(commits):
        if not commit.release:
            yield from commit.files
    yield from _uncommitted_paths(repo)


def _uncommitted_paths(repo: Repo) -> Iterator[str]:
    for path in repo.changed_paths():
        if path.endswith("/"):  # a new directory is one entry
            included, _ = repo.list_files(repo.top / path)
            yield from (path + file for file in included)
        else:
            yield path


def _default_base(repo: Repo, remote: str) -> str:
    branch = repo.default_branch(remote)
    if not branch:
        message = f"the default branch of the remote {remote} is not known"
        raise Refusal(
            ErrorCode.USAGE, message, hint="Name the commit to compare with: --since REV."
        )
    return f"refs/remotes/{remote}/{branch}"


def _find_base(repo: Repo, revision: str) -> str:
    base = repo.merge_base(revision)
    if base:
        return base
    if repo.is_shallow():
        raise Refusal(ErrorCode.PREFLIGHT_SHALLOW_CLONE, "the clone is shallow", str(repo.top))
    message = f"HEAD has no commit in common with {revision.removeprefix('refs/remotes/')}, or it does not exist here"
    raise Refusal(ErrorCode.USAGE, message, hint="Fetch it, or name another commit: --since REV.")
