"""Find what a release resumes from: its record here, or the remote lock; and restore files that are lost."""

from __future__ import annotations

import logging
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, as_refusal
from releasekit.core.picking import drop
from releasekit.core.release.release_manifest import parse_manifest, parse_plan
from releasekit.core.release.upload_window import closing_warnings, find_partial_uploads
from releasekit.core.text import list_names
from releasekit.integrations.filesystem import make_directory, read_text, wrap_os_errors
from releasekit.store.bundle import read_bundle, read_manifest
from releasekit.store.record import (
    PLAN,
    Record,
    current_owner,
    record_for,
    remove_leftovers,
    unfinished_record,
)
from releasekit.store.remote_lock import RemoteLock, orphaned_copy, read_remote_lock
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from releasekit.core.config.settings import Settings, VersionOptions
    from releasekit.core.errors import ReleaseWarning
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_manifest import BuiltPackage, ReleaseManifest
    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import Index, IndexFile
    from releasekit.store.bundle import ReleaseBundle

log = logging.getLogger("releasekit.resume")


@flow_task("find-unfinished", stage="resume")
def find_resumable(
    repo: Repo,
    settings: Settings,
    manifest: Path | None = None,
    staged_manifest: Path | None = None,
    *,
    recover: bool = False,
    discard_staged: bool = False,
) -> Record | None:
    """Return the unfinished release, None if there is none; with *recover* also one whose record is lost or damaged.

    *manifest* is the copy of a record to take over, with its plan.json beside it. With *discard_staged*, a release that
    was only staged is discarded: nothing of it is public. *staged_manifest* is the manifest of a staged release: if a
    run with it was killed while it wrote the record here, that release begins again. Raises Refusal RK-RECORD-INVALID,
    RK-ROLLBACK-UNFINISHED.
    """
    remove_leftovers(repo)
    try:
        record = unfinished_record(repo.common_dir)
        if record and discard_staged and _is_staged(record):
            record.discard(repo)
            record = None
        if record and staged_manifest and _begins_again(record, staged_manifest):
            return None
        if record:
            _refuse_unusable(record)
            return record
    except ReleaseError as error:
        is_recoverable = recover and error.code is ErrorCode.RECORD_INVALID
        recovered = _recover(repo, settings, manifest) if is_recoverable else None
        if recovered is None:
            raise Refusal(*error.args) from None
        return recovered
    if recover:
        with as_refusal():
            return _recover(repo, settings, manifest)
    _refuse_lost(repo)
    return None


def _is_staged(record: Record) -> bool:
    """Return whether the release of *record* was only staged, so that nothing of it is public."""
    return record.manifest_or_empty().staged


def _begins_again(record: Record, staged_manifest: Path) -> bool:
    """Return whether a run with *staged_manifest* was killed while it wrote *record*."""
    if record.has_plan():
        return False
    manifest, _, _ = read_manifest(staged_manifest)
    return manifest.release == record.release


@flow_task("look-for-unfinished", stage="resume")
def peek_resumable(repo: Repo, *, discard_staged: bool = False) -> Record | None:
    """Return the release that `publish` would resume here instead of beginning a new one. Nothing is changed.

    With *discard_staged*, a release that was only staged does not count: `publish` would discard it.
    Raises Refusal RK-RECORD-INVALID, RK-ROLLBACK-UNFINISHED.
    """
    with as_refusal():
        record = unfinished_record(repo.common_dir)
        if record is None:
            _refuse_lost(repo)
            return None
        if discard_staged and _is_staged(record):
            return None
        _refuse_unusable(record)
        return record


def _refuse_unusable(record: Record) -> None:
    """Refuse a record that cannot be read, or whose release is being rolled back."""
    plan = record.plan()
    manifest = record.manifest_or_empty()
    if manifest.undoing:
        message = f"{plan.title} is being rolled back"
        raise Refusal(ErrorCode.ROLLBACK_UNFINISHED, message, str(record.directory))


def _refuse_lost(repo: Repo) -> None:
    """Refuse to continue if the record of a release is lost here, but git still has a copy of it."""
    lost = orphaned_copy(repo)
    if lost:
        directory = record_for(repo.common_dir, lost.plan.release).directory
        message = f"the record of {lost.plan.title} is lost"
        raise Refusal(ErrorCode.RECORD_INVALID, message, str(directory))


@flow_task("read-manifest", stage="resume")
def load_manifest(
    repo: Repo, settings: Settings, path: Path, resumable: Record | None
) -> ReleaseBundle:
    """Return the staged release in the file *path*, with its commit in this clone.

    *resumable* is the unfinished release of this clone: it must be the same release, with the same files.
    Raises Refusal RK-RECORD-INVALID, RK-COMMIT-MISSING, RK-RELEASE-ELSEWHERE.
    """
    bundle = read_bundle(path)
    if bundle.manifest.platform:
        message = (
            f"this is only the part of the release that was built for {bundle.manifest.platform}"
        )
        raise Refusal(ErrorCode.PLATFORM_MISSING, message, str(path))
    if resumable:
        _refuse_another(bundle, path, resumable)
    bundle.ensure_commits(repo, settings.remote)
    return bundle


def _refuse_another(bundle: ReleaseBundle, path: Path, resumable: Record) -> None:
    """Refuse a *bundle* of another release than *resumable*, or with other files."""
    if resumable.release != bundle.plan.release:
        raise unfinished_error(resumable)
    recorded = resumable.manifest_or_empty().packages
    staged = bundle.manifest.packages
    has_other_files = recorded and staged and staged != recorded
    if has_other_files:
        message = f"{resumable.plan().title} has begun here with other files"
        raise Refusal(ErrorCode.RECORD_INVALID, message, str(path))


def unfinished_error(resumable: Record) -> Refusal:
    """Return the refusal to do something else while the release *resumable* is unfinished here."""
    hint = (
        "`releasekit publish` without other options resumes it; `releasekit rollback` abandons it."
    )
    message = f"{resumable.plan().title} has begun here and is unfinished"
    return Refusal(ErrorCode.RELEASE_ELSEWHERE, message, str(resumable.directory), hint)


def refuse_other_requests(plan: Plan, options: VersionOptions) -> None:
    """Raise Refusal RK-USAGE if *options* request other versions than the release of *plan*, which is resumed."""
    other = sorted(set(options.recorded) - set(plan.requested))
    if not other:
        return
    decided_by = list_names(plan.requested, "no such option")
    message = f"{plan.title} has begun with {decided_by}, and {', '.join(other)} cannot change it"
    hint = (
        "`releasekit publish` without these options resumes it; `releasekit rollback` abandons it."
    )
    raise Refusal(ErrorCode.USAGE, message, hint=hint)


def import_release(
    repo: Repo,
    settings: Settings,
    bundle: ReleaseBundle,
    resumable: Record | None,
    *,
    publishing: bool = True,
) -> Record:
    """Record a staged release here, with its files, unless it is *resumable* or has ended here before.

    For *publishing*, its lock on the remote is taken over: an earlier run with that manifest has died.
    Raises Refusal RK-RELEASE-ELSEWHERE.
    """
    record = resumable or record_for(repo.common_dir, bundle.plan.release)
    recorded = record.manifest() if record.exists() else None
    bundle.copy_missing_files(record)
    staged = bundle.manifest.packages
    if recorded and _is_complete(recorded, staged, resumes=resumable is not None):
        return record
    remote_lock = read_remote_lock(repo, settings) if publishing else None
    _refuse_other_lock(remote_lock, bundle.plan.release, settings.remote)
    earlier = recorded or bundle.manifest
    manifest = bundle.manifest.model_copy(
        update={"tags": earlier.tags, "plan": None, "staged": True}
    )
    return _take_over(repo, record, RemoteLock("", bundle.plan, manifest), remote_lock)


def _is_complete(
    recorded: ReleaseManifest, staged: tuple[BuiltPackage, ...], *, resumes: bool
) -> bool:
    """Return whether the record needs nothing of a staged release: it has the same files, or there are none."""
    has_run_here = resumes or recorded.finished
    return has_run_here and staged in ((), recorded.packages)


def _refuse_other_lock(remote_lock: RemoteLock | None, release: str, remote: str) -> None:
    """Raise Refusal RK-RELEASE-ELSEWHERE if another release than *release* has the lock on *remote*."""
    if remote_lock and remote_lock.plan.release != release:
        raise remote_lock.conflict_error(remote)


def resume_summary(record: Record, repo: Repo) -> str:
    """Return which release resumes, and how far the branch has moved since it began."""
    plan = record.plan()
    manifest = record.manifest_or_empty()
    summary = f"resuming {plan.title}, begun at {plan.commit[:12]}"
    count = repo.count_commits_since(plan.commit, manifest.release_commit)
    if not count:
        return summary
    commits = "1 new commit" if count == 1 else f"{count} new commits"
    branch = repo.branch or "HEAD"
    return (
        f"{summary}; {branch} has {commits} since then; `releasekit rollback` abandons the release"
    )


async def find_closing(record: Record, index: Index, now: datetime) -> list[ReleaseWarning]:
    """Return a warning for each version on record that must be completed soon, or that can no longer be completed.

    Raises ReleaseError as `files_on_index` does.
    """
    from releasekit.integrations.index import (  # imported late: httpx is slow to import, and a plan does not need it
        files_on_index,
        upload_times,
    )

    packages = record.manifest_or_empty().packages
    listed = await files_on_index(packages, index, strict=False)
    partial_uploads = find_partial_uploads(packages, upload_times(listed))
    return closing_warnings(partial_uploads, now)


def _recover(repo: Repo, settings: Settings, file: Path | None) -> Record | None:
    """Record a release here that another clone began, or whose record is lost; None if there is none."""
    remote_lock = read_remote_lock(repo, settings)
    if file:
        return _recover_copy(repo, file, remote_lock)
    snapshot = remote_lock or orphaned_copy(repo)
    if snapshot is None:
        return None
    record = record_for(repo.common_dir, snapshot.plan.release)
    return _take_over(repo, record, snapshot, remote_lock)


def _recover_copy(repo: Repo, file: Path, remote_lock: RemoteLock | None) -> Record:
    """Record the release of the record whose manifest is *file* here, with the built files beside it."""
    snapshot = _read_record_copy(repo, file, remote_lock)
    record = _take_over(
        repo, record_for(repo.common_dir, snapshot.plan.release), snapshot, remote_lock
    )
    built_files = file.parent / "dist"
    if built_files.is_dir():
        with wrap_os_errors(file.parent):
            shutil.copytree(built_files, record.directory / "dist", dirs_exist_ok=True)
    return record


def _take_over(
    repo: Repo, record: Record, snapshot: RemoteLock, remote_lock: RemoteLock | None
) -> Record:
    """Write *snapshot* to *record*, as a release of this clone from now on; *remote_lock* is its lock on the remote."""
    log.info("taking over %s, begun by %s", snapshot.plan.title, snapshot.manifest)
    held = remote_lock.sha if remote_lock else snapshot.manifest.held
    repo.save_ref(record.release, snapshot.sha or snapshot.manifest.release_commit)
    make_directory(record.directory)
    changes = {**current_owner(repo)._asdict(), "held": held, "undoing": False, "finished": False}
    # The manifest first: a record without a plan is refused, but one without a manifest would begin again.
    record.save_manifest(snapshot.manifest.model_copy(update=changes))
    record.save_plan(snapshot.plan)
    return record


def _read_record_copy(repo: Repo, file: Path, remote_lock: RemoteLock | None) -> RemoteLock:
    """Return the release in the record whose manifest is *file*. Reading *remote_lock* may have fetched its commit."""
    plan_file = file.with_name(PLAN)
    with wrap_os_errors(file):
        manifest = parse_manifest(read_text(file), str(file))
        plan = parse_plan(read_text(plan_file), str(plan_file))
    if plan.release != manifest.release:
        message = f"it belongs to another release, {plan.release}"
        raise Refusal(ErrorCode.RECORD_INVALID, message, str(plan_file))
    _refuse_other_lock(remote_lock, plan.release, "the remote")
    if not repo.has_commit(manifest.release_commit):
        hint = "Fetch the branch, tag or reference that contains it, or use the clone that made it."
        message = f"the release commit {manifest.release_commit[:12]} is not in this clone"
        raise Refusal(ErrorCode.RECORD_INVALID, message, str(file), hint)
    return RemoteLock("", plan, manifest)


def unrecoverable_files(
    packages: Iterable[BuiltPackage], record: Record, listed: Mapping[str, Mapping[str, IndexFile]]
) -> dict[str, tuple[str, ...]]:
    """Return, by package, the recorded files that are neither unchanged here nor on the index."""
    lost: dict[str, tuple[str, ...]] = {}
    for package in packages:
        on_index = listed.get(package.name, {})
        files = tuple(drop(record.missing_files(package), on_index))
        if files:
            lost[package.name] = files
    return lost


async def download_files(
    record: Record, package: BuiltPackage, listed: Mapping[str, IndexFile], index: Index
) -> None:
    """Download the files of *package* that are lost here from the index: another package needs them for its build.

    Raises ReleaseError RK-PUBLISH-CHECKSUM-MISMATCH if the index serves other content than was recorded.
    """
    checksums = {file.name: file.sha256 for file in package.files}
    for name in record.missing_files(package):
        content = await index.content(listed[name])
        if sha256(content).hexdigest() != checksums[name]:
            message = f"{name} is served with other content"
            raise ReleaseError(ErrorCode.PUBLISH_CHECKSUM_MISMATCH, message, index.url)
        path = record.dist(package.name) / name
        make_directory(path.parent)
        with wrap_os_errors(path):
            path.write_bytes(content)
