"""Find traces of unfinished releases: here, on the remote and on the index. Nothing is changed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from releasekit.core.errors import ReleaseError
from releasekit.core.release.unfinished_release import ReleaseTraces
from releasekit.integrations.git import LOCK_REF
from releasekit.store.record import MANIFEST, list_records
from releasekit.store.remote_lock import local_copy, read_lock_commit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_manifest import ReleaseManifest
    from releasekit.core.release.unfinished_release import LockState
    from releasekit.integrations.git import Ref, Repo
    from releasekit.integrations.protocols import Index
    from releasekit.integrations.secrets import Secrets
    from releasekit.store.record import Record
    from releasekit.store.remote_lock import RemoteLock

_TAGS = "refs/tags/"


def read_records(repo: Repo) -> list[ReleaseTraces]:
    """Return the unfinished releases that are on record in this repository, and those whose record is lost."""
    all_traces: list[ReleaseTraces] = []
    for record in list_records(repo.common_dir):
        traces = _from_record(record, repo)
        if traces:
            all_traces.append(traces)
    recorded = {record.release for record in list_records(repo.common_dir) if (record.directory / MANIFEST).is_file()}
    recorded |= {traces.release for traces in all_traces}
    for name in repo.saved_refs():
        is_release = "/" not in name and f"refs/releasekit/{name}" != LOCK_REF
        if is_release and name not in recorded:
            all_traces.append(_from_copy(name, repo))
    return all_traces


def _from_copy(release: str, repo: Repo) -> ReleaseTraces:
    """Return the traces of a *release* whose record is lost."""
    plan, manifest = _plan_and_manifest(local_copy(repo, release))
    return ReleaseTraces("copy", release, f"refs/releasekit/{release}", plan, manifest)


def _plan_and_manifest(copy: RemoteLock | None) -> tuple[Plan | None, ReleaseManifest | None]:
    if copy is None:
        return None, None
    return copy.plan, copy.manifest


def _from_record(record: Record, repo: Repo) -> ReleaseTraces | None:
    """Return what *record* says; None if the release has ended. Damaged parts come from the copy in git."""
    traces = ReleaseTraces("record", record.release, str(record.directory), has_plan=record.has_plan())
    try:
        manifest = record.manifest()
        if manifest and manifest.finished:
            return None
        plan = record.plan() if traces.has_plan else None
    except ReleaseError as error:
        if not record.exists():  # the release has ended in the meantime
            return None
        plan, manifest = _plan_and_manifest(local_copy(repo, record.release))
        return replace(traces, damage=f"{error.message} ({error.location})", plan=plan, manifest=manifest)
    lost: list[str] = []
    for package in manifest.packages if manifest else ():
        lost += record.missing_files(package)
    ahead = _commits_since(repo, plan, manifest) if plan else 0
    return replace(traces, plan=plan, manifest=manifest, missing_files=frozenset(lost), ahead=ahead)


def _commits_since(repo: Repo, plan: Plan, manifest: ReleaseManifest | None) -> int:
    release_commit = manifest.release_commit if manifest else ""
    commits = [sha for sha in (plan.commit, release_commit) if sha and repo.has_commit(sha)]
    return repo.count_commits_since(*commits) if commits else 0


def read_remote(
    repo: Repo, remote: str, refs: Mapping[str, Ref], local_traces: Sequence[ReleaseTraces]
) -> tuple[list[ReleaseTraces], str]:
    """Return *local_traces* with what the *refs* of *remote* add, and the release of another clone, if there is one.

    The second value says what cannot be read on the remote; it is empty if there is no problem. The commit of the
    remote lock is fetched if it is not here. No reference is changed.
    """
    remote_lock, problem = _read_lock_ref(repo, remote, refs)
    tags = _tag_commits(refs)
    all_traces: list[ReleaseTraces] = []
    for local in local_traces:
        lock = _lock_owner(local, refs.get(LOCK_REF), remote_lock)
        traces = replace(local, remote=remote, tags_there=tags, lock=lock)
        is_unreadable = traces.damage and not traces.plan
        if is_unreadable and remote_lock and remote_lock.plan.release == traces.release:
            traces = replace(traces, plan=remote_lock.plan, manifest=remote_lock.manifest)
        all_traces.append(replace(traces, moved=_has_moved(repo, refs, traces.manifest)))
    if remote_lock and all(traces.release != remote_lock.plan.release for traces in all_traces):
        plan, manifest = remote_lock.plan, remote_lock.manifest
        foreign = ReleaseTraces("remote", plan.release, f"{LOCK_REF} of {remote}", plan, manifest, remote=remote)
        all_traces.append(replace(foreign, lock="other", tags_there=tags))
    return all_traces, problem


def _read_lock_ref(repo: Repo, remote: str, refs: Mapping[str, Ref]) -> tuple[RemoteLock | None, str]:
    """Return the release that has locked the remote, if there is one, and what cannot be read of it."""
    if LOCK_REF not in refs:
        return None, ""
    commit = refs[LOCK_REF].commit
    try:
        if not repo.has_commit(commit):
            repo.fetch(remote, LOCK_REF)
        return read_lock_commit(repo, commit), ""
    except ReleaseError as error:
        return None, f"{LOCK_REF} of {remote}: {error.message}"


def _tag_commits(refs: Mapping[str, Ref]) -> dict[str, str]:
    """Return the commit of each tag among *refs*, by the name of the tag."""
    return {name.removeprefix(_TAGS): ref.commit for name, ref in refs.items() if name.startswith(_TAGS)}


def _lock_owner(traces: ReleaseTraces, ref: Ref | None, remote_lock: RemoteLock | None) -> LockState:
    """Return who holds the remote lock, from the view of the release of *traces*."""
    if ref is None:
        return "none"
    manifest = traces.manifest
    if manifest is None:
        return "other"
    if ref.object == manifest.held:
        return "mine"
    is_ours = remote_lock and remote_lock.manifest.lock_identity() == manifest.lock_identity()
    return "mine" if is_ours else "other"


def _has_moved(repo: Repo, refs: Mapping[str, Ref], manifest: ReleaseManifest | None) -> bool:
    """Return whether the release's branch on the remote cannot be fast-forwarded to the release commit."""
    tip = refs.get(f"refs/heads/{manifest.branch}") if manifest else None
    if manifest is None or tip is None or not repo.has_commit(manifest.release_commit):
        return False
    if not repo.has_commit(tip.commit):
        return True
    commit = manifest.release_commit
    return not (repo.contains(tip.commit, commit) or repo.contains(commit, tip.commit))


def with_local_tags(repo: Repo, all_traces: Sequence[ReleaseTraces]) -> list[ReleaseTraces]:
    """Return *all_traces* with the tags of this repository."""
    tags = {name: ref.commit for name, ref in repo.tag_refs().items()} if all_traces else {}
    return [replace(traces, tags_here=tags) for traces in all_traces]


async def read_index_files(index: Index, all_traces: Sequence[ReleaseTraces]) -> list[ReleaseTraces]:
    """Return *all_traces* with the files that the index lists for their packages.

    Raises ReleaseError RK-INDEX-….
    """
    names = sorted({package.name for traces in all_traces for package in traces.packages})
    pages = await asyncio.gather(*(index.files(name) for name in names))
    listed: dict[str, dict[str, str]] = {}
    for name, page in zip(names, pages, strict=True):
        listed[name] = {file.name: file.sha256 for file in page or ()}
    return [replace(traces, index_files=listed) if traces.packages else traces for traces in all_traces]


async def read_unpublished(
    repo: Repo,
    settings: Settings,
    secrets: Secrets,
    unpublished: Sequence[tuple[Plan, ReleaseManifest, str]],
    refs: Mapping[str, Ref],
) -> list[ReleaseTraces]:
    """Return the *unpublished* releases: plan, manifest, and the page of the draft (empty for a pull request)."""
    tags = _tag_commits(refs)
    all_traces: list[ReleaseTraces] = []
    for plan, manifest, page in unpublished:
        if page:
            traces = ReleaseTraces("draft", plan.release, page, plan, manifest, page=page)
        else:
            location = f"{settings.release_branch} on {settings.remote}"
            traces = ReleaseTraces("pull", plan.release, location, plan, manifest)
            if _is_merged(repo, refs, manifest):
                traces = replace(traces, pull_state="merged")
            else:
                traces = await _with_pull_request_state(repo, settings, secrets, traces, plan, manifest)
        all_traces.append(replace(traces, remote=settings.remote, tags_there=tags))
    return all_traces


def _is_merged(repo: Repo, refs: Mapping[str, Ref], manifest: ReleaseManifest) -> bool:
    """Return whether the branch on the remote is known to contain the exact commit that was proposed."""
    tip = refs.get(f"refs/heads/{manifest.branch}")
    commit = manifest.release_commit
    return (
        tip is not None
        and repo.has_commit(tip.commit)
        and repo.has_commit(commit)
        and repo.contains(tip.commit, commit)
    )


async def _with_pull_request_state(
    repo: Repo, settings: Settings, secrets: Secrets, traces: ReleaseTraces, plan: Plan, manifest: ReleaseManifest
) -> ReleaseTraces:
    """Return *traces* with the state of the pull request; unchanged if the forge does not answer."""
    from releasekit.integrations.forge_factory import (
        connect_forge,  # imported late: httpx is slow to import, and most releases have no pull request
    )

    branch, base = settings.release_branch, manifest.branch
    try:
        async with connect_forge(repo.address(settings.remote), settings, secrets) as forge:
            if pull_request := await forge.find_pull_request(branch, base):
                return replace(traces, pull_state="open", page=pull_request.page)
            merged = await forge.merged_pull_request(branch, base)
    except ReleaseError:
        return traces
    if merged and not _is_known_before(repo, plan.commit, merged.merge_commit):
        return replace(traces, pull_state="merged", page=merged.page)
    return replace(traces, pull_state="closed")


def _is_known_before(repo: Repo, since: str, commit: str) -> bool:
    """Return whether *commit* is older than the proposal: then it is the merge of an earlier release."""
    return repo.has_commit(commit) and repo.has_commit(since) and repo.contains(since, commit)


def unique_releases(all_traces: Sequence[ReleaseTraces]) -> Iterator[ReleaseTraces]:
    """Yield each release once, by its first trace: records here come before the remote and the forge."""
    seen: set[str] = set()
    for traces in all_traces:
        if traces.release not in seen:
            seen.add(traces.release)
            yield traces
