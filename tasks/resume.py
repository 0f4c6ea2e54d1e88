"""What a release is carried on from: its record here, or what the remote holds; and its files, if they are lost."""

from __future__ import annotations

import logging
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, as_refusal
from releasekit.core.release.release_manifest import parse_manifest, parse_plan
from releasekit.core.release.upload_window import closing_warnings, find_partial_uploads
from releasekit.integrations.filesystem import make_directory, read_text, wrap_os_errors
from releasekit.store.bundle import read_bundle, read_manifest
from releasekit.store.record import PLAN, Record, current_owner, remove_leftovers, unfinished_record
from releasekit.store.remote_lock import RemoteLock, orphaned_copy, read_remote_lock
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from releasekit.core.config.settings import Settings
    from releasekit.core.errors import ReleaseWarning
    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import Index, IndexFile
    from releasekit.store.bundle import ReleaseBundle

log = logging.getLogger("releasekit.resume")


@flow_task("find-unfinished")
def find_resumable(
    repo: Repo,
    settings: Settings,
    manifest: Path | None = None,
    staged_manifest: Path | None = None,
    *,
    recover: bool = False,
    discard_staged: bool = False,
) -> Record | None:
    """Return the release that was begun and not ended; with *recover* also one whose record is lost or damaged.

    *manifest* is the copy of a record to adopt, with its plan.json beside it. With *discard_staged* one that was only
    to be staged is dropped, for nothing of it is public. *staged_manifest* is a manifest that was handed over: if a run
    with it was killed while it put the release on record here, that is begun again. Raises Refusal RK-RECORD-INVALID,
    RK-ROLLBACK-UNFINISHED.
    """
    remove_leftovers(repo)
    try:
        record = unfinished_record(repo.common_dir)
        if record and discard_staged and (recorded := record.manifest()) and recorded.staged:
            record.discard(repo)
            record = None
        if (
            record
            and staged_manifest
            and not record.has_plan()
            and read_manifest(staged_manifest)[0].release == record.release
        ):
            return None
        if record:
            _refuse_unusable(record)
            return record
    except ReleaseError as error:
        recovered = _recover(repo, settings, manifest) if recover and error.code is ErrorCode.RECORD_INVALID else None
        if recovered is None:
            raise Refusal(*error.args) from None
        return recovered
    if recover:
        with as_refusal():
            return _recover(repo, settings, manifest)
    _refuse_lost(repo)
    return None


@flow_task("look-for-unfinished")
def peek_resumable(repo: Repo, *, discard_staged: bool = False) -> Record | None:
    """Return the release that `publish` would carry on here instead of beginning one; changes nothing.

    With *discard_staged* one that was only to be staged does not count: `publish` would drop it.
    Raises Refusal RK-RECORD-INVALID, RK-ROLLBACK-UNFINISHED.
    """
    with as_refusal():
        record = unfinished_record(repo.common_dir)
        if record and discard_staged and (manifest := record.manifest()) and manifest.staged:
            return None
        if record:
            _refuse_unusable(record)
        else:
            _refuse_lost(repo)
        return record


def _refuse_unusable(record: Record) -> None:
    """Refuse a record that cannot be read, or whose release is being rolled back."""
    plan, manifest = record.plan(), record.manifest()
    if manifest and manifest.undoing:
        raise Refusal(ErrorCode.ROLLBACK_UNFINISHED, f"{plan.title} is being rolled back", str(record.directory))


def _refuse_lost(repo: Repo) -> None:
    """Refuse to go on beside a release whose record is lost here, but not the copy that git keeps of it."""
    if lost := orphaned_copy(repo):
        where = repo.common_dir / "releasekit" / lost.plan.release
        raise Refusal(ErrorCode.RECORD_INVALID, f"the record of {lost.plan.title} is lost", str(where))


@flow_task("read-manifest")
def load_manifest(repo: Repo, settings: Settings, path: Path, resumable: Record | None) -> ReleaseBundle:
    """Return the release that is handed over in the file *path*, with its commit in this clone.

    *resumable* is the release of this clone that has not ended: it must be the same, with the same files.
    Raises Refusal RK-RECORD-INVALID, RK-COMMIT-MISSING, RK-RELEASE-ELSEWHERE.
    """
    bundle = read_bundle(path)
    if resumable:
        if resumable.release != bundle.plan.release:
            raise unfinished_error(resumable)
        manifest = resumable.manifest()
        if manifest and manifest.packages and bundle.manifest.packages not in ((), manifest.packages):
            message = f"{resumable.plan().title} was begun here with other files"
            raise Refusal(ErrorCode.RECORD_INVALID, message, str(path))
    bundle.ensure_commits(repo, settings.remote)
    return bundle


def unfinished_error(resumable: Record) -> Refusal:
    """Return the refusal to do something else while the release *resumable* here has not ended."""
    hint = "`releasekit publish`, without more, carries it on; `releasekit rollback` gives it up."
    message = f"{resumable.plan().title} was begun here, and has not ended"
    return Refusal(ErrorCode.RELEASE_ELSEWHERE, message, str(resumable.directory), hint)


def import_release(
    repo: Repo, settings: Settings, bundle: ReleaseBundle, resumable: Record | None, *, publishing: bool = True
) -> Record:
    """Put a staged release on record here, with its files, unless it is *resumable* or ended here before.

    What the remote holds for it is taken over, if it is for *publishing*: an earlier run with that manifest has died.
    Raises Refusal RK-RELEASE-ELSEWHERE.
    """
    record = resumable or Record(repo.common_dir / "releasekit" / bundle.plan.release)
    recorded = record.manifest() if record.exists() else None
    bundle.copy_missing_files(record)
    if resumable and recorded and (recorded.packages or not bundle.manifest.packages):
        return record
    if recorded and recorded.finished and bundle.manifest.packages in ((), recorded.packages):
        return record  # looked at once more, and found done
    remote_lock = read_remote_lock(repo, settings) if publishing else None
    if remote_lock and remote_lock.plan.release != bundle.plan.release:
        raise remote_lock.conflict_error(settings.remote)
    tags = recorded.tags if recorded else bundle.manifest.tags
    manifest = bundle.manifest.model_copy(update={"tags": tags, "plan": None, "staged": True})
    return _take_over(repo, record, RemoteLock("", bundle.plan, manifest), remote_lock)


def resume_summary(record: Record, repo: Repo) -> str:
    """Say which release is carried on, and whether the branch has moved since it was begun."""
    plan, manifest = record.plan(), record.manifest()
    text = f"carrying on with {plan.title}, begun at {plan.commit[:12]}"
    count = repo.count_commits_since(plan.commit, manifest.release_commit if manifest else "")
    if count:
        commits = "1 commit" if count == 1 else f"{count} commits"
        where = repo.branch or "HEAD"
        text += f"; {where} has moved on by {commits} since; `releasekit rollback` gives it up"
    return text


async def find_closing(record: Record, index: Index, now: datetime) -> list[ReleaseWarning]:
    """Return a warning for each version of a release on record that must be completed soon, or cannot be any more.

    Raises ReleaseError as `on_index` does.
    """
    from releasekit.integrations.index import (  # late: httpx is dear, and a plan does without
        files_on_index,
        upload_times,
    )

    manifest = record.manifest()
    packages = manifest.packages if manifest else ()
    listed = await files_on_index(packages, index, strict=False)
    return closing_warnings(find_partial_uploads(packages, upload_times(listed)), now)


def _recover(repo: Repo, settings: Settings, file: Path | None) -> Record | None:
    """Put a release on record here that another clone or a lost record has begun; None if there is none."""
    remote_lock = read_remote_lock(repo, settings)
    snapshot = _read_record_copy(repo, file, remote_lock) if file else remote_lock or orphaned_copy(repo)
    if snapshot is None:
        return None
    record = _take_over(repo, Record(repo.common_dir / "releasekit" / snapshot.plan.release), snapshot, remote_lock)
    if file and (file.parent / "dist").is_dir():
        with wrap_os_errors(file.parent):
            shutil.copytree(file.parent / "dist", record.directory / "dist", dirs_exist_ok=True)
    return record


def _take_over(repo: Repo, record: Record, snapshot: RemoteLock, remote_lock: RemoteLock | None) -> Record:
    """Put *snapshot* on *record*, as from now on made here; *remote_lock* is what the remote holds, perhaps for it."""
    log.info("taking over %s, begun by %s", snapshot.plan.title, snapshot.manifest)
    sha = (
        remote_lock.sha if remote_lock and remote_lock.plan.release == snapshot.plan.release else snapshot.manifest.held
    )
    repo.save_ref(record.release, snapshot.sha or snapshot.manifest.release_commit)
    make_directory(record.directory)
    # The manifest first: without its plan a record is refused, without its manifest it would be begun afresh.
    update = {**current_owner(repo)._asdict(), "held": sha, "undoing": False, "finished": False}
    record.save_manifest(snapshot.manifest.model_copy(update=update))
    record.save_plan(snapshot.plan)
    return record


def _read_record_copy(repo: Repo, file: Path, remote_lock: RemoteLock | None) -> RemoteLock:
    """Return the release in the record whose manifest is *file*; what the remote holds of it may bring its commit."""
    with wrap_os_errors(file):
        manifest = parse_manifest(read_text(file), str(file))
        plan = parse_plan(read_text(file.with_name(PLAN)), str(file.with_name(PLAN)))
    if plan.release != manifest.release:
        raise Refusal(ErrorCode.RECORD_INVALID, f"it is of another release, {plan.release}", str(file.with_name(PLAN)))
    if remote_lock and remote_lock.manifest.release != manifest.release:
        raise remote_lock.conflict_error("the remote")
    if not repo.has_commit(manifest.release_commit):
        hint = "Fetch the branch, tag or reference that holds it; or use the clone that made it."
        message = f"the release commit {manifest.release_commit[:12]} is not in this clone"
        raise Refusal(ErrorCode.RECORD_INVALID, message, str(file), hint)
    return RemoteLock("", plan, manifest)


def unrecoverable_files(
    packages: Iterable[BuiltPackage], record: Record, listed: Mapping[str, Mapping[str, IndexFile]]
) -> dict[str, tuple[str, ...]]:
    """Return by package the files that are neither here as they were recorded nor on the index."""
    lost = {
        p.name: tuple(name for name in record.missing_files(p) if name not in listed.get(p.name, ())) for p in packages
    }
    return {name: files for name, files in lost.items() if files}


async def download_files(record: Record, package: BuiltPackage, listed: Mapping[str, IndexFile], index: Index) -> None:
    """Fetch the files of *package* that are lost here and that the index has: another one needs them to be built.

    Raises ReleaseError RK-PUBLISH-CHECKSUM-MISMATCH if it serves other bytes than it lists.
    """
    checksums = {file.name: file.sha256 for file in package.files}
    for name in record.missing_files(package):
        content = await index.content(listed[name])
        if sha256(content).hexdigest() != checksums[name]:
            raise ReleaseError(ErrorCode.PUBLISH_CHECKSUM_MISMATCH, f"{name} is served with other content", index.url)
        path = record.dist(package.name) / name
        make_directory(path.parent)
        with wrap_os_errors(path):
            path.write_bytes(content)
