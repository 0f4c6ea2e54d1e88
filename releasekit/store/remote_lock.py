"""What the remote holds while a release runs, for all clones to see: who makes it, its plan, and what it has built.

It is a commit on top of the release commit, with plan.json and manifest.json as its files, under one reference that is
neither a branch nor a tag. A reference is there once or not at all, so it is a lock between machines as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from releasekit.core.errors import Code, Refusal, ReleaseError
from releasekit.core.release.release_manifest import manifest_of, plan_of, plan_text
from releasekit.integrations.git import RUNNING
from releasekit.store.record import MANIFEST, PLAN, records

if TYPE_CHECKING:
    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_manifest import ReleaseManifest
    from releasekit.integrations.git import Repo


@dataclass(frozen=True, slots=True)
class Held:
    """One release as the commit *sha* holds it."""

    sha: str
    plan: Plan
    manifest: ReleaseManifest

    def elsewhere(self, remote: str) -> Refusal:
        """Return the refusal to begin a release beside this one."""
        what = f"{self.plan.title} is being released by {self.manifest}"
        return Refusal(Code.RELEASE_ELSEWHERE, what, f"{RUNNING} of {remote}")


def held_in(repo: Repo, sha: str) -> Held:
    """Return the release that the commit *sha* holds; raises ReleaseError RK-RECORD-INVALID if it holds none."""
    texts = repo.texts([(sha, PLAN), (sha, MANIFEST)])
    plan = plan_of(texts.get((sha, PLAN), ""), f"{PLAN} in {sha[:12]}")
    return Held(sha, plan, manifest_of(texts.get((sha, MANIFEST), ""), f"{MANIFEST} in {sha[:12]}"))


def held_at(repo: Repo, remote: str) -> Held | None:
    """Return the release that *remote* holds, None if no release is under way.

    Raises ReleaseError RK-RECORD-INVALID if it is of a newer format, RK-REMOTE-UNREACHABLE if nobody answers.
    """
    there = repo.refs_at(remote, RUNNING).get(RUNNING)
    if there is None:
        return None
    if not repo.has(there.commit):
        repo.fetch(remote, RUNNING)
    return held_in(repo, there.commit)


def held_there(repo: Repo, settings: Settings) -> Held | None:
    """Return the release that the remote of the *settings* holds, None where none is to be pushed to; see `held_at`."""
    return held_at(repo, settings.remote) if settings.push and settings.remote in repo.remotes() else None


def held_here(repo: Repo, release: str) -> Held | None:
    """Return the copy of *release* that this repository keeps beside its record, if it is far enough to have one."""
    try:
        return held_in(repo, kept) if (kept := repo.kept(release)) else None
    except ReleaseError:
        return None  # the release commit alone is kept


def held_alone(repo: Repo) -> Held | None:
    """Return a release whose record in this repository is lost, but not the copy that is kept beside it."""
    known = {record.release for record in records(repo.common_dir) if (record.directory / MANIFEST).is_file()}
    copies = (held_here(repo, name) for name in repo.all_kept())
    return next((held for held in copies if held and held.plan.release not in known), None)


def wrapped(repo: Repo, plan: Plan, manifest: ReleaseManifest) -> str:
    """Return the commit that holds the release; the same release makes the same one."""
    files = {PLAN: plan_text(plan), MANIFEST: manifest.held_text()}
    message = f"{plan.title} is being released by {manifest}\n"
    return repo.wrap(manifest.release_commit, files, message, manifest.by, manifest.begun)
