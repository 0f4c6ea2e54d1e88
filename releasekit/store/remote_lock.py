"""The lock of a running release on the remote. All clones can read who makes it, its plan, and its built files.

The lock is a commit on top of the release commit, with the files plan.json and manifest.json. One reference, which is
no branch and no tag, names it. A remote can have a reference only once, so it is a lock between machines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.release.release_manifest import parse_manifest, parse_plan, plan_text
from releasekit.integrations.git import LOCK_REF
from releasekit.store.record import MANIFEST, PLAN, list_records

if TYPE_CHECKING:
    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_manifest import ReleaseManifest
    from releasekit.integrations.git import Repo


@dataclass(frozen=True, slots=True)
class RemoteLock:
    """The release in the lock commit *sha*."""

    sha: str
    plan: Plan
    manifest: ReleaseManifest

    def conflict_error(self, remote: str) -> Refusal:
        """Return the error for a second release that would begin while *remote* has this lock."""
        message = f"{self.plan.title} is being released by {self.manifest}"
        return Refusal(ErrorCode.RELEASE_ELSEWHERE, message, f"{LOCK_REF} of {remote}")


def read_lock_commit(repo: Repo, sha: str) -> RemoteLock:
    """Return the release in the lock commit *sha*; raises ReleaseError RK-RECORD-INVALID if it contains none."""
    texts = repo.texts([(sha, PLAN), (sha, MANIFEST)])
    plan = parse_plan(texts.get((sha, PLAN), ""), f"{PLAN} in {sha[:12]}")
    return RemoteLock(sha, plan, parse_manifest(texts.get((sha, MANIFEST), ""), f"{MANIFEST} in {sha[:12]}"))


def fetch_remote_lock(repo: Repo, remote: str) -> RemoteLock | None:
    """Return the lock on *remote*, None if no release is running.

    Raises ReleaseError RK-RECORD-INVALID if a newer releasekit wrote it, RK-REMOTE-UNREACHABLE without an answer.
    """
    lock_ref = repo.ls_remote(remote, LOCK_REF).get(LOCK_REF)
    if lock_ref is None:
        return None
    if not repo.has_commit(lock_ref.commit):
        repo.fetch(remote, LOCK_REF)
    return read_lock_commit(repo, lock_ref.commit)


def read_remote_lock(repo: Repo, settings: Settings) -> RemoteLock | None:
    """Return the lock on the remote of *settings*, None if releases are not pushed; see `fetch_remote_lock`."""
    has_remote = settings.push and settings.remote in repo.remotes()
    if not has_remote:
        return None
    return fetch_remote_lock(repo, settings.remote)


def local_copy(repo: Repo, release: str) -> RemoteLock | None:
    """Return the local copy of the lock of *release*, None before there is one."""
    commit = repo.saved_commit(release)
    if not commit:
        return None
    try:
        return read_lock_commit(repo, commit)
    except ReleaseError:
        return None  # the reference names only the release commit


def orphaned_copy(repo: Repo) -> RemoteLock | None:
    """Return the local copy of a lock whose release has no record here any more, None if there is none."""
    records = list_records(repo.common_dir)
    recorded = {record.release for record in records if (record.directory / MANIFEST).is_file()}
    for name in repo.saved_refs():
        lock_copy = local_copy(repo, name)
        if lock_copy and lock_copy.plan.release not in recorded:
            return lock_copy
    return None


def write_lock_commit(repo: Repo, plan: Plan, manifest: ReleaseManifest) -> str:
    """Create the lock commit of a release, and return its sha. The same release gets the same commit."""
    files = {PLAN: plan_text(plan), MANIFEST: manifest.lock_text()}
    message = f"{plan.title} is being released by {manifest}\n"
    return repo.commit_files(manifest.release_commit, files, message, manifest.by, manifest.begun)
