"""Steps of preparing: write versions, changelogs and lock file, and commit them in the release's own worktree."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from releasekit.core.artifacts.package_facts import missing_sources
from releasekit.core.changelog.changelog import insert_section
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.picking import drop
from releasekit.core.planning.release_messages import commit_message
from releasekit.core.release.release_manifest import ReleaseManifest
from releasekit.core.text import summarize
from releasekit.core.workspace.siblings import group_by_file, write_raised_requirements
from releasekit.integrations.change_texts import consume_change_file
from releasekit.integrations.filesystem import (
    changelog_path,
    read_text,
    read_text_if_exists,
    read_toml,
    wrap_os_errors,
    write_atomic,
)
from releasekit.integrations.process import run
from releasekit.integrations.version_files import cargo_lock_text, new_texts
from releasekit.integrations.whole_checkout import (
    add_whole_worktree,
    missing_files,
    remove_whole_worktree,
)
from releasekit.store.record import current_owner
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.version import Version

    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import PackageManager
    from tasks.context import ReleaseContext

log = logging.getLogger("releasekit.prepare")


@flow_task("prove-commit", "prove-commit-{release.plan.title}", stage="commit")
def prove_commit(release: ReleaseContext, repo: Repo) -> None:
    """Refuse a staged release commit that changes more than a release does.

    This job pushes it with its own rights. So the plan is written once more, onto the frozen commit, and the result
    must be the same except for the lock file, and for the files that `pre_release` commands changed. This is skipped
    if the branch has that commit already, or if hooks of the repository may change it.
    Raises Refusal RK-RECORD-INVALID.
    """
    manifest = release.record.require_manifest()
    tree = release.record.worktree
    release_sha, base_sha = manifest.release_commit, release.plan.commit
    if release.settings.hooks or release_sha == base_sha:
        return
    if repo.has_on_branch(release_sha, release.settings.remote, manifest.branch):
        return
    _renew_worktree(repo, tree, base_sha)
    _write_versions(release)
    _raise_requirements(release)
    _write_changelogs(release, repo)
    _consume_change_files(release)
    lock_file = (PurePosixPath(release.workspace) / release.uv.lock_name).as_posix()
    command_changes = manifest.command_changes if release.settings.pre_release else ()
    explained = {lock_file, *command_changes}
    extra_paths = drop(repo.differing_paths(tree, release_sha), explained)
    remove_whole_worktree(repo, tree)
    if extra_paths:
        paths = ", ".join(extra_paths[:3])
        message = f"the release commit {release_sha[:12]} changes more than a release does: {paths}"
        hint = "Somebody has changed the staged release, or another version of releasekit made it. Stage it again."
        raise Refusal(ErrorCode.RECORD_INVALID, message, manifest.branch, hint)


@flow_task("check-out", "check-out-{release.plan.title}", stage="commit")
def check_out(release: ReleaseContext, repo: Repo) -> ReleaseContext:
    """Check out the frozen commit, or the release commit if it exists already, in the scratch worktree.

    A worktree of an earlier run is not used again: a power failure can have emptied its files.
    """
    manifest = release.record.manifest()
    tree = release.record.worktree
    if manifest is None:
        _renew_worktree(repo, tree, release.plan.commit)
        _require_whole_packages(release, repo)
        return release
    commit = manifest.release_commit
    _renew_worktree(repo, tree, commit)
    _require_whole_packages(release, repo)
    return replace(release, commit=commit, epoch=repo.commit_time(commit), branch=manifest.branch)


def _require_whole_packages(release: ReleaseContext, repo: Repo) -> None:
    """Refuse to build a package without files that the commit has; raises Refusal RK-CHECKOUT-INCOMPLETE."""
    tree = release.record.worktree
    missing = missing_files(repo, tree)
    packages: list[tuple[str, PurePosixPath, Mapping[str, Any]]] = []
    for step in release.plan.steps if missing else ():
        directory = PurePosixPath(release.workspace) / step.path
        file = tree / directory / "pyproject.toml"
        document = read_toml(file, str(directory))[0] if file.exists() else {}
        packages.append((step.name, directory, document))
    needed = missing_sources(missing, packages)
    if needed:
        message = f"the release cannot have all files of its commit: {summarize(needed, 5)}"
        raise Refusal(ErrorCode.CHECKOUT_INCOMPLETE, message, str(repo.top))


def _renew_worktree(repo: Repo, tree: Path, commit: str) -> None:
    """Check out *commit* in *tree*, in place of what is there."""
    remove_whole_worktree(repo, tree)
    add_whole_worktree(repo, tree, commit)


@flow_task("write-versions", "write-versions-{release.plan.title}", stage="commit")
def write_versions(release: ReleaseContext) -> list[str]:
    """Write the new version of each package into the file that declares it. Other versions exist only in tags.

    Returns the files, as paths from the top of the repository.
    """
    return _write_versions(release)


def _write_versions(release: ReleaseContext) -> list[str]:
    tree = release.record.worktree.resolve()
    return [
        path.relative_to(tree).as_posix()
        for step in release.plan.steps
        for path in _write(tree, tree / release.workspace / step.path, step.version, step.path)
    ]


@flow_task("raise-requirements", "raise-requirements-{release.plan.title}", stage="commit")
def raise_requirements(release: ReleaseContext) -> list[str]:
    """Raise the requirements on siblings that the new versions do not satisfy, in the files of all members.

    Returns the files, as paths from the top of the repository.
    """
    return _raise_requirements(release)


def _raise_requirements(release: ReleaseContext) -> list[str]:
    tree = release.record.worktree.resolve()
    written: list[str] = []
    for file, raised in group_by_file(release.plan.raises).items():
        path = (tree / release.workspace / file).resolve()
        text = write_raised_requirements(read_text(path), path.name, raised)
        write_atomic(path, text, durable=False)
        written.append(path.relative_to(tree).as_posix())
    return written


@flow_task("write-changelogs", "write-changelogs-{release.plan.title}", stage="commit")
def write_changelogs(release: ReleaseContext, repo: Repo) -> list[str]:
    """Write the sections of the plan into the changelogs. Without a section, a changelog stays unchanged.

    Returns the files, as paths from the top of the repository.
    """
    return _write_changelogs(release, repo)


def _write_changelogs(release: ReleaseContext, repo: Repo) -> list[str]:
    tree, written = release.record.worktree.resolve(), list[str]()
    for directory, version, section in release.plan.sections:
        path = changelog_path((tree / release.workspace / directory).resolve(), section.path)
        display_path = f"{directory}/{section.path}".removeprefix("./")
        before = read_text_if_exists(path)
        reason = _skip_reason(path, before)
        if reason:
            log.warning("%s is %s; it stays unchanged", display_path, reason)
            continue
        after = insert_section(before, version, section)
        if after == before:
            log.info("%s already has a section for %s; it stays unchanged", display_path, version)
        with wrap_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, after, durable=False)
        written.append(path.relative_to(tree).as_posix())
    repo.add(tree, written)
    return written


def _skip_reason(changelog: Path, text: str) -> str:
    """Return why the *changelog* with this *text* cannot be changed; empty if it can."""
    if changelog.is_symlink():
        return "a symbolic link"
    return "in UTF-16 or not text" if "\0" in text else ""


@flow_task("consume-change-files", "consume-change-files-{release.plan.title}", stage="commit")
def consume_change_files(release: ReleaseContext) -> list[str]:
    """Remove the released packages from their change files, and delete the files that wait for no other package.

    Returns the files, as paths from the top of the repository.
    """
    return _consume_change_files(release)


def _consume_change_files(release: ReleaseContext) -> list[str]:
    tree = release.record.worktree.resolve()
    root = (tree / release.workspace).resolve()
    paths = [consume_change_file(root, file) for file in release.plan.consumes]
    return [path.relative_to(tree).as_posix() for path in paths if path]


@flow_task("lock", "lock-{release.plan.title}", stage="commit")
def update_lock_file(release: ReleaseContext, repo: Repo) -> list[str]:
    """Write the new versions into the lock file, if the repository tracks it; returns its path.

    Locking anew would also change other entries if another version of the package manager wrote the file, and ask all
    their indexes. So it is done only if the file with the new versions does not fit.
    """
    tree = release.record.worktree.resolve()
    root = tree / release.workspace
    lock_file = root / release.uv.lock_name
    if not repo.is_tracked(lock_file):
        return []
    before = read_text_if_exists(lock_file)
    versions = {step.name: step.version for step in release.plan.steps}
    text = release.uv.lock_versions(before, versions)
    if text != before:
        write_atomic(lock_file, text, durable=False)
    if not _is_current(release.uv, root):
        run(release.uv.lock_command(root, list(versions)))
    return [lock_file.relative_to(tree).as_posix()]


def _is_current(uv: PackageManager, root: Path) -> bool:
    """Return whether the lock file fits the manifests; also false if that cannot be found out."""
    with suppress(Refusal):
        return uv.lock_is_current(root)
    return False


@flow_task("commit", "commit-{release.plan.title}", stage="commit")
def commit(
    release: ReleaseContext,
    repo: Repo,
    paths: Sequence[str],
    changed: Sequence[str] = (),
    message: str = "",
) -> ReleaseContext:
    """Commit *paths* (versions, changelogs, lock file and so on, D-1), and begin the record: who releases what.

    The commit also contains the files that pre-release commands *changed*; what else they left is removed, because the
    packages are built from the commit alone.
    """
    message = message or commit_message(release.plan, release.settings.commit_templates[0])
    sha = repo.commit(
        release.record.worktree, message, [*paths, *changed], hooks=release.settings.hooks
    )
    if release.plan.pre_release:
        _renew_worktree(repo, release.record.worktree, sha)
    repo.save_ref(release.plan.release, sha)
    release.record.save_manifest(
        ReleaseManifest(
            release=release.plan.release,
            commit=release.plan.commit,
            release_commit=sha,
            branch=release.branch,
            command_changes=tuple(changed),
            **current_owner(repo)._asdict(),
        )
    )
    return replace(release, commit=sha, epoch=repo.commit_time(sha))


def _write(top: Path, package: Path, version: Version, display_path: str) -> Iterator[Path]:
    document, _ = read_toml(package / "pyproject.toml", f"{display_path}/pyproject.toml")
    texts = new_texts(package, document, version, display_path)
    texts |= cargo_lock_text(package, document, version, top)
    for path, text in texts.items():
        write_atomic(path, text, durable=False)
        yield path
