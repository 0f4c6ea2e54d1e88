"""Versions, lock file and release commit, made in the release's own worktree."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from releasekit.core.changelog.changelog import insert
from releasekit.core.errors import Code, Refusal
from releasekit.core.planning.model import RELEASE_COMMIT
from releasekit.core.release.release_manifest import ReleaseManifest
from releasekit.core.workspace.siblings import raised_by_file, write_raised
from releasekit.integrations.filesystem import changelog_path, read_text, read_toml, replace_text
from releasekit.integrations.process import run
from releasekit.integrations.version_files import new_texts
from releasekit.store.record import maker
from tasks.decorators import lazy_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from packaging.version import Version

    from releasekit.integrations.git import Repo
    from tasks.context import Release

log = logging.getLogger("releasekit.prepare")


@lazy_task("prove-commit", "prove-commit-{release.plan.title}")
def prove_commit(release: Release, repo: Repo) -> None:
    """Refuse a release commit that was handed over and is more than a release makes.

    It will be pushed with the rights of this job. So the plan is written once more, onto the frozen commit, and but for
    uv.lock the same must come out; unless the branch has that commit already, or hooks of the repository may change it.
    Raises Refusal RK-RECORD-INVALID.
    """
    manifest, tree, remote = release.record.require_manifest(), release.record.worktree, release.settings.remote
    made, frozen = manifest.release_commit, release.plan.commit
    if release.settings.hooks or made == frozen or repo.has_on_branch(made, remote, manifest.branch):
        return
    repo.remove_worktree(tree)
    repo.add_worktree(tree, frozen)
    _write_versions(release)
    _raise_requirements(release)
    _write_changelogs(release, repo)
    lock = (PurePosixPath(release.workspace) / "uv.lock").as_posix()
    more = [path for path in repo.differing(tree, made) if path != lock]
    repo.remove_worktree(tree)
    if more:
        what = f"the release commit {made[:12]} changes more than a release does: {', '.join(more[:3])}"
        hint = "Somebody has changed what was handed over, or another releasekit has made it; stage it again."
        raise Refusal(Code.RECORD_INVALID, what, manifest.branch, hint)


@lazy_task("check-out", "check-out-{release.plan.title}")
def check_out(release: Release, repo: Repo) -> Release:
    """Put the frozen commit, or the release commit if it was made already, into the scratch worktree."""
    manifest = release.record.manifest()
    commit = manifest.release_commit if manifest else release.plan.commit
    if not (manifest and repo.has_worktree(release.record.worktree)):
        repo.remove_worktree(release.record.worktree)
        repo.add_worktree(release.record.worktree, commit)
    if manifest is None:
        return release
    return replace(release, commit=commit, epoch=repo.commit_time(commit), branch=manifest.branch)


@lazy_task("write-versions", "write-versions-{release.plan.title}")
def write_versions(release: Release) -> list[str]:
    """Write the new version of each package where it is declared; the tag alone holds that of the others.

    Returns the files, by their paths from the top.
    """
    return _write_versions(release)


def _write_versions(release: Release) -> list[str]:
    tree = release.record.worktree.resolve()
    return [
        path.relative_to(tree).as_posix()
        for step in release.plan.steps
        for path in _write(tree / release.workspace / step.path, step.version, step.path)
    ]


@lazy_task("raise-requirements", "raise-requirements-{release.plan.title}")
def raise_requirements(release: Release) -> list[str]:
    """Raise the requirements on siblings that the new versions do not satisfy, in the files of all members.

    Returns the files, by their paths from the top.
    """
    return _raise_requirements(release)


def _raise_requirements(release: Release) -> list[str]:
    tree = release.record.worktree.resolve()
    written: list[str] = []
    for file, raised in raised_by_file(release.plan.raises).items():
        path = (tree / release.workspace / file).resolve()
        replace_text(path, write_raised(read_text(path), path.name, raised))
        written.append(path.relative_to(tree).as_posix())
    return written


@lazy_task("write-changelogs", "write-changelogs-{release.plan.title}")
def write_changelogs(release: Release, repo: Repo) -> list[str]:
    """Write into each package's changelog what the plan says; packages of which it says nothing keep theirs.

    Returns the files, by their paths from the top.
    """
    return _write_changelogs(release, repo)


def _write_changelogs(release: Release, repo: Repo) -> list[str]:
    tree, written = release.record.worktree.resolve(), list[str]()
    for step in release.plan.steps:
        if section := release.plan.changelogs.get(step.name):
            path = changelog_path((tree / release.workspace / step.path).resolve())
            before = read_text(path, "surrogateescape") if path.is_file() else ""
            if path.is_symlink() or "\0" in before:
                what = "a link" if path.is_symlink() else "in UTF-16 or no text"
                log.warning("%s/%s is %s, and is left as it is", step.path, path.name, what)
                continue
            after = insert(before, step.version, section)
            if after == before:
                log.info("%s/%s tells of %s already, and is left as it is", step.path, path.name, step.version)
            replace_text(path, after)
            written.append(path.relative_to(tree).as_posix())
    repo.add(tree, written)
    return written


@lazy_task("lock", "lock-{release.plan.title}")
def lock(release: Release, repo: Repo) -> list[str]:
    """Bring uv.lock up to date, once for all packages, where the repository tracks it (D-2); returns its path."""
    root = release.record.worktree.resolve() / release.workspace
    if not repo.is_tracked(root / "uv.lock"):
        return []
    run(release.uv.lock_command(root, [step.name for step in release.plan.steps]))
    return [(root / "uv.lock").relative_to(release.record.worktree.resolve()).as_posix()]


@lazy_task("commit", "commit-{release.plan.title}")
def commit(release: Release, repo: Repo, paths: Sequence[str], message: str = "") -> Release:
    """Commit *paths*, which are versions, changelogs and lock file (D-1), and begin the record of who makes what."""
    message = message or f"{RELEASE_COMMIT}{release.plan.title}"
    made = repo.commit(release.record.worktree, message, paths, hooks=release.settings.hooks)
    repo.keep(release.plan.release, made)
    who = maker(repo)
    release.record.save(
        ReleaseManifest(
            release=release.plan.release,
            commit=release.plan.commit,
            release_commit=made,
            branch=release.branch,
            by=who.by,
            host=who.host,
            begun=who.begun,
        )
    )
    return replace(release, commit=made, epoch=repo.commit_time(made))


def _write(package: Path, version: Version, shown: str) -> Iterator[Path]:
    document, _ = read_toml(package / "pyproject.toml", f"{shown}/pyproject.toml")
    for path, text in new_texts(package, document, version, shown).items():
        replace_text(path, text)
        yield path
