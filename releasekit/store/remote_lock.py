"""The lock of a running release on the remote. All clones can read who makes it, its plan, and its built files.

The lock is a commit on top of the release commit, with the files plan.json and manifest.json. One reference, which is
no branch and no tag, names it. A remote can have a reference only once, so it is a lock between machines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.release.release_manifest import (
    EMPTY_MANIFEST,
    parse_manifest,
    parse_plan,
    plan_text,
)
from releasekit.integrations.git import LOCK_REF, NO_REF
from releasekit.store.record import MANIFEST, NO_PLAN, PLAN, releases_with_manifest

if TYPE_CHECKING:
    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_manifest import ReleaseManifest
    from releasekit.integrations.git import Ref, Repo


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

    def belongs_to(self, manifest: ReleaseManifest) -> bool:
        """Return whether this is the lock of the release in *manifest*, and no other clone has taken that over."""
        return self.manifest.lock_identity() == manifest.lock_identity()


NO_LOCK = RemoteLock("", NO_PLAN, EMPTY_MANIFEST)
"""Stands for a lock that does not exist, or cannot be read."""


def read_lock_commit(repo: Repo, sha: str) -> RemoteLock:
    """Return the release in the lock commit *sha*; raises ReleaseError RK-RECORD-INVALID if it contains none."""
    texts = repo.texts([(sha, PLAN), (sha, MANIFEST)])
    plan = parse_plan(texts.get((sha, PLAN), ""), f"{PLAN} in {sha[:12]}")
    manifest = parse_manifest(texts.get((sha, MANIFEST), ""), f"{MANIFEST} in {sha[:12]}")
    return RemoteLock(sha, plan, manifest)


def read_lock_ref(repo: Repo, remote: str) -> Ref:
    """Return the reference of the lock on *remote*, `NO_REF` if no release is running."""
    return repo.ls_remote(remote, LOCK_REF).get(LOCK_REF, NO_REF)


def fetch_remote_lock(repo: Repo, remote: str) -> RemoteLock | None:
    """Return the lock on *remote*, None if no release is running.

    Raises ReleaseError RK-RECORD-INVALID if a newer releasekit wrote it, RK-REMOTE-UNREACHABLE without an answer.
    """
    lock_ref = read_lock_ref(repo, remote)
    if lock_ref == NO_REF:
        return None
    repo.fetch_missing(remote, LOCK_REF, lock_ref.commit)
    return read_lock_commit(repo, lock_ref.commit)


def remote_for_releases(repo: Repo, settings: Settings) -> str:
    """Return the remote to which releases are pushed, empty if they are not pushed or *repo* has no such remote."""
    is_pushed = settings.push and settings.remote in repo.remotes()
    return settings.remote if is_pushed else ""


def read_remote_lock(repo: Repo, settings: Settings) -> RemoteLock | None:
    """Return the lock on the remote of *settings*, None if releases are not pushed; see `fetch_remote_lock`."""
    remote = remote_for_releases(repo, settings)
    return fetch_remote_lock(repo, remote) if remote else None


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
    recorded = releases_with_manifest(repo.common_dir)
    for name in repo.saved_refs():
        lock_copy = local_copy(repo, name)
        if lock_copy and lock_copy.plan.release not in recorded:
            return lock_copy
    return None


def write_lock_commit(repo: Repo, plan: Plan, manifest: ReleaseManifest) -> str:
    """Create the lock commit of a release, and return its sha. The same release gets the same commit."""
    files = {PLAN: plan_text(plan), MANIFEST: manifest.lock_text()}
    message = f"{plan.title} is being released by {manifest}\n"
    return repo.commit_files(
        manifest.release_commit,
        files,
        message,
        author=manifest.by,
        date=manifest.begun,
    )
