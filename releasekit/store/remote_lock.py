"""What the remote holds while a release runs, for all clones to see: who makes it, its plan, and what it has built.

It is a commit on top of the release commit, with plan.json and manifest.json as its files, under one reference that is
neither a branch nor a tag. A reference is there once or not at all, so it is a lock between machines as well.
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
    """One release as the commit *sha* holds it."""

    sha: str
    plan: Plan
    manifest: ReleaseManifest

    def conflict_error(self, remote: str) -> Refusal:
        """Return the refusal to begin a release beside this one."""
        message = f"{self.plan.title} is being released by {self.manifest}"
        return Refusal(ErrorCode.RELEASE_ELSEWHERE, message, f"{LOCK_REF} of {remote}")


def read_lock_commit(repo: Repo, sha: str) -> RemoteLock:
    """Return the release that the commit *sha* holds; raises ReleaseError RK-RECORD-INVALID if it holds none."""
    texts = repo.texts([(sha, PLAN), (sha, MANIFEST)])
    plan = parse_plan(texts.get((sha, PLAN), ""), f"{PLAN} in {sha[:12]}")
    return RemoteLock(sha, plan, parse_manifest(texts.get((sha, MANIFEST), ""), f"{MANIFEST} in {sha[:12]}"))


def fetch_remote_lock(repo: Repo, remote: str) -> RemoteLock | None:
    """Return the release that *remote* holds, None if no release is under way.

    Raises ReleaseError RK-RECORD-INVALID if it is of a newer format, RK-REMOTE-UNREACHABLE if nobody answers.
    """
    lock_ref = repo.ls_remote(remote, LOCK_REF).get(LOCK_REF)
    if lock_ref is None:
        return None
    if not repo.has_commit(lock_ref.commit):
        repo.fetch(remote, LOCK_REF)
    return read_lock_commit(repo, lock_ref.commit)


def read_remote_lock(repo: Repo, settings: Settings) -> RemoteLock | None:
    """Return the release that the remote holds. None if nothing is pushed; see `fetch_remote_lock`."""
    return fetch_remote_lock(repo, settings.remote) if settings.push and settings.remote in repo.remotes() else None


def local_copy(repo: Repo, release: str) -> RemoteLock | None:
    """Return the copy of *release* that this repository keeps beside its record, if it is far enough to have one."""
    try:
        return read_lock_commit(repo, commit) if (commit := repo.saved_commit(release)) else None
    except ReleaseError:
        return None  # the release commit alone is kept


def orphaned_copy(repo: Repo) -> RemoteLock | None:
    """Return a release whose record in this repository is lost, but not the copy that is kept beside it."""
    recorded = {record.release for record in list_records(repo.common_dir) if (record.directory / MANIFEST).is_file()}
    copies = (local_copy(repo, name) for name in repo.saved_refs())
    return next((lock_copy for lock_copy in copies if lock_copy and lock_copy.plan.release not in recorded), None)


def write_lock_commit(repo: Repo, plan: Plan, manifest: ReleaseManifest) -> str:
    """Return the commit that holds the release; the same release makes the same one."""
    files = {PLAN: plan_text(plan), MANIFEST: manifest.lock_text()}
    message = f"{plan.title} is being released by {manifest}\n"
    return repo.commit_files(manifest.release_commit, files, message, manifest.by, manifest.begun)
