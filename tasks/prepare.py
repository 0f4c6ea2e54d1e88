"""Versions, lock file and release commit, made in the release's own worktree."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.files import read_text, replace_text
from tasks.adapters.process import run
from tasks.core.edits import write_pattern, write_version
from tasks.core.manifest import ReleaseManifest
from tasks.core.workspace import version_file, version_pattern

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.version import Version

    from tasks.adapters.repo import Repo
    from tasks.release import Release


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
        _write(release.record.worktree / release.workspace / step.path, step.version)


@task(name="lock", task_run_name="lock-{release.plan.title}", cache_policy=NO_CACHE)
def lock(release: Release, repo: Repo) -> None:
    """Bring uv.lock up to date, once for all packages, where the repository tracks it (D-2)."""
    root = release.record.worktree / release.workspace
    if repo.is_tracked(root / "uv.lock"):
        run(release.uv.lock_command(root, [step.name for step in release.plan.steps]))


@task(name="commit", task_run_name="commit-{release.plan.title}", cache_policy=NO_CACHE)
def commit(release: Release, repo: Repo) -> Release:
    """Commit versions and lock file (D-1) and begin the record; nothing else holds the commit yet."""
    message = f"chore(release): {release.plan.title}"
    made = repo.commit_all(release.record.worktree, message, hooks=release.settings.hooks)
    repo.keep(release.plan.release, made)
    manifest = ReleaseManifest(
        release=release.plan.release, commit=release.plan.commit, release_commit=made, branch=release.branch
    )
    release.record.save(manifest)
    return replace(release, commit=made, epoch=repo.commit_time(made))


def _write(package: Path, version: Version) -> None:
    path = package / "pyproject.toml"
    text = read_text(path)
    document = tomllib.loads(text)
    if "version" not in document["project"].get("dynamic", ()):
        replace_text(path, write_version(text, version))
    elif declared := version_file(document):
        target = package / declared
        replace_text(target, write_pattern(read_text(target), version_pattern(document), version, declared))
