"""Versions, lock file and release commit, made in the release's own worktree."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.files import changelog_path, read_text, read_toml, replace_text
from tasks.adapters.places import new_texts
from tasks.adapters.process import run
from tasks.core.changelog import insert
from tasks.core.manifest import ReleaseManifest

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.version import Version

    from tasks.adapters.repo import Repo
    from tasks.release import Release

log = logging.getLogger("releasekit.prepare")


@task(name="check-out", task_run_name="check-out-{release.plan.title}", cache_policy=NO_CACHE)
def check_out(release: Release, repo: Repo) -> Release:
    """Put the frozen commit, or the release commit if it was made already, into the scratch worktree."""
    manifest = release.record.manifest()
    commit = manifest.release_commit if manifest else release.plan.commit
    if not (manifest and release.record.worktree.is_dir()):
        repo.remove_worktree(release.record.worktree)
        repo.add_worktree(release.record.worktree, commit)
    if manifest is None:
        return release
    return replace(release, commit=commit, epoch=repo.commit_time(commit), branch=manifest.branch)


@task(name="write-versions", task_run_name="write-versions-{release.plan.title}", cache_policy=NO_CACHE)
def write_versions(release: Release) -> None:
    """Write the new version of each package where it is declared; the tag alone holds that of the others."""
    for step in release.plan.steps:
        _write(release.record.worktree / release.workspace / step.path, step.version, step.path)


@task(name="write-changelogs", task_run_name="write-changelogs-{release.plan.title}", cache_policy=NO_CACHE)
def write_changelogs(release: Release, repo: Repo) -> None:
    """Write into each package's changelog what the plan says; packages of which it says nothing keep theirs."""
    tree, written = release.record.worktree.resolve(), list[str]()
    for step in release.plan.steps:
        if section := release.plan.changelogs.get(step.name):
            path = changelog_path((tree / release.workspace / step.path).resolve())
            if path.is_symlink():
                log.warning("%s/%s is a link, and is left as it is", step.path, path.name)
                continue
            before = read_text(path, "surrogateescape") if path.is_file() else ""
            replace_text(path, insert(before, step.version, section))
            written.append(path.relative_to(tree).as_posix())
    repo.add(tree, written)


@task(name="lock", task_run_name="lock-{release.plan.title}", cache_policy=NO_CACHE)
def lock(release: Release, repo: Repo) -> None:
    """Bring uv.lock up to date, once for all packages, where the repository tracks it (D-2)."""
    root = release.record.worktree / release.workspace
    if repo.is_tracked(root / "uv.lock"):
        run(release.uv.lock_command(root, [step.name for step in release.plan.steps]))


@task(name="commit", task_run_name="commit-{release.plan.title}", cache_policy=NO_CACHE)
def commit(release: Release, repo: Repo) -> Release:
    """Commit versions, changelogs and lock file (D-1) and begin the record; nothing else holds the commit yet."""
    message = f"chore(release): {release.plan.title}"
    made = repo.commit_all(release.record.worktree, message, hooks=release.settings.hooks)
    repo.keep(release.plan.release, made)
    manifest = ReleaseManifest(
        release=release.plan.release, commit=release.plan.commit, release_commit=made, branch=release.branch
    )
    release.record.save(manifest)
    return replace(release, commit=made, epoch=repo.commit_time(made))


def _write(package: Path, version: Version, shown: str) -> None:
    document, _ = read_toml(package / "pyproject.toml", f"{shown}/pyproject.toml")
    for path, text in new_texts(package, document, version, shown).items():
        replace_text(path, text)
