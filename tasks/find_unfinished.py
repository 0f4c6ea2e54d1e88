"""Find traces of unfinished releases: here, on the remote and on the index. Nothing is changed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from releasekit.core.errors import ReleaseError
from releasekit.core.picking import drop
from releasekit.core.release.unfinished_release import ReleaseTraces
from releasekit.integrations.git import LOCK_REF, NO_REF, tags_among
from releasekit.store.record import list_records, releases_with_manifest
from releasekit.store.remote_lock import NO_LOCK, local_copy, read_lock_commit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_manifest import ReleaseManifest
    from releasekit.core.release.unfinished_release import LockState
    from releasekit.integrations.git import Ref, Repo
    from releasekit.integrations.protocols import Index, IndexFile
    from releasekit.integrations.secrets import Secrets
    from releasekit.store.record import Record
    from releasekit.store.remote_lock import RemoteLock

_SAVED_REFS = "refs/releasekit/"
_LOCK_NAME = LOCK_REF.removeprefix(_SAVED_REFS)


def read_records(repo: Repo) -> list[ReleaseTraces]:
    """Return the unfinished releases that are on record in this repository, and those whose record is lost."""
    from_records = (_from_record(record, repo) for record in list_records(repo.common_dir))
    all_traces = [*filter(None, from_records)]
    releases = {traces.release for traces in all_traces}
    known_names = {*releases, *releases_with_manifest(repo.common_dir), _LOCK_NAME}
    saved_releases = [name for name in repo.saved_refs() if "/" not in name]
    all_traces += [_from_copy(name, repo) for name in drop(saved_releases, known_names)]
    return all_traces


def _from_copy(release: str, repo: Repo) -> ReleaseTraces:
    """Return the traces of a *release* whose record is lost."""
    plan, manifest = _plan_and_manifest(local_copy(repo, release))
    return ReleaseTraces(
        source="copy",
        release=release,
        location=f"{_SAVED_REFS}{release}",
        plan=plan,
        manifest=manifest,
    )


def _plan_and_manifest(copy: RemoteLock | None) -> tuple[Plan | None, ReleaseManifest | None]:
    if copy is None:
        return None, None
    return copy.plan, copy.manifest


def _from_record(record: Record, repo: Repo) -> ReleaseTraces | None:
    """Return what *record* says; None if the release has ended. Damaged parts come from the copy in git."""
    traces = ReleaseTraces(
        "record", record.release, str(record.directory), has_plan=record.has_plan()
    )
    try:
        manifest = record.manifest()
        if manifest and manifest.finished:
            return None
        plan = record.plan() if traces.has_plan else None
    except ReleaseError as error:
        if not record.exists():  # the release has ended in the meantime
            return None
        damage = f"{error.message} ({error.location})"
        plan, manifest = _plan_and_manifest(local_copy(repo, record.release))
        return replace(traces, damage=damage, plan=plan, manifest=manifest)
    traces = replace(traces, plan=plan, manifest=manifest)
    missing_files = frozenset(chain.from_iterable(map(record.missing_files, traces.packages)))
    ahead = _count_commits_ahead(repo, plan, manifest)
    return replace(traces, missing_files=missing_files, ahead=ahead)


def _count_commits_ahead(repo: Repo, plan: Plan | None, manifest: ReleaseManifest | None) -> int:
    """Return how many commits of HEAD the release lacks; 0 if its commits are not known here."""
    if plan is None:
        return 0
    release_commits = [plan.commit, manifest.release_commit] if manifest else [plan.commit]
    known_commits = [*filter(repo.has_commit, release_commits)]
    return repo.count_commits_since(*known_commits) if known_commits else 0


def read_remote(
    repo: Repo, remote: str, refs: Mapping[str, Ref], local_traces: Sequence[ReleaseTraces]
) -> tuple[list[ReleaseTraces], str]:
    """Return *local_traces* with what the *refs* of *remote* add, and the release of another clone, if there is one.

    The second value says what cannot be read on the remote; it is empty if there is no problem. The commit of the
    remote lock is fetched if it is not here. No reference is changed.
    """
    remote_lock, problem = _read_lock_ref(repo, remote, refs)
    tags = _commits_of(tags_among(refs))
    lock_ref = refs.get(LOCK_REF, NO_REF)
    all_traces: list[ReleaseTraces] = []
    for local in local_traces:
        lock = _lock_owner(local, lock_ref, remote_lock)
        traces = _with_lock_content(local, remote_lock)
        moved = traces.manifest is not None and _has_moved(repo, refs, traces.manifest)
        all_traces.append(replace(traces, remote=remote, tags_there=tags, lock=lock, moved=moved))
    known_releases = {NO_LOCK.plan.release, *(traces.release for traces in local_traces)}
    if remote_lock.plan.release not in known_releases:
        foreign = ReleaseTraces(
            source="remote",
            release=remote_lock.plan.release,
            location=f"{LOCK_REF} of {remote}",
            plan=remote_lock.plan,
            manifest=remote_lock.manifest,
            remote=remote,
            lock="other",
            tags_there=tags,
        )
        all_traces.append(foreign)
    return all_traces, problem


def _with_lock_content(traces: ReleaseTraces, remote_lock: RemoteLock) -> ReleaseTraces:
    """Return *traces* with plan and manifest of *remote_lock*, if it is of the same release and only it is readable."""
    is_unreadable_here = traces.damage and traces.plan is None
    if is_unreadable_here and remote_lock.plan.release == traces.release:
        return replace(traces, plan=remote_lock.plan, manifest=remote_lock.manifest)
    return traces


def _read_lock_ref(repo: Repo, remote: str, refs: Mapping[str, Ref]) -> tuple[RemoteLock, str]:
    """Return the release that has locked the remote, `NO_LOCK` if there is none, and what cannot be read of it."""
    if LOCK_REF not in refs:
        return NO_LOCK, ""
    commit = refs[LOCK_REF].commit
    try:
        repo.fetch_missing(remote, LOCK_REF, commit)
        return read_lock_commit(repo, commit), ""
    except ReleaseError as error:
        return NO_LOCK, f"{LOCK_REF} of {remote}: {error.message}"


def _commits_of(refs: Mapping[str, Ref]) -> dict[str, str]:
    return {name: ref.commit for name, ref in refs.items()}


def _lock_owner(traces: ReleaseTraces, lock_ref: Ref, remote_lock: RemoteLock) -> LockState:
    """Return who holds the remote lock, from the view of the release of *traces*."""
    if lock_ref == NO_REF:
        return "none"
    manifest = traces.manifest
    if manifest is None:
        return "other"
    is_ours = lock_ref.object == manifest.held or remote_lock.belongs_to(manifest)
    return "mine" if is_ours else "other"


def _has_moved(repo: Repo, refs: Mapping[str, Ref], manifest: ReleaseManifest) -> bool:
    """Return whether the release's branch on the remote cannot be fast-forwarded to the release commit."""
    tip = _branch_tip(refs, manifest)
    commit = manifest.release_commit
    if not tip or not repo.has_commit(commit):
        return False
    if not repo.has_commit(tip):
        return True
    can_fast_forward = repo.contains(tip, commit) or repo.contains(commit, tip)
    return not can_fast_forward


def _branch_tip(refs: Mapping[str, Ref], manifest: ReleaseManifest) -> str:
    """Return the last commit of the release's branch among the *refs* of the remote, empty if it is not there."""
    return refs.get(f"refs/heads/{manifest.branch}", NO_REF).commit


def with_local_tags(repo: Repo, all_traces: Sequence[ReleaseTraces]) -> list[ReleaseTraces]:
    """Return *all_traces* with the tags of this repository."""
    if not all_traces:
        return []
    tags = _commits_of(repo.tag_refs())
    return [replace(traces, tags_here=tags) for traces in all_traces]


async def read_index_files(
    index: Index, all_traces: Sequence[ReleaseTraces]
) -> list[ReleaseTraces]:
    """Return *all_traces* with the files that the index lists for their packages.

    Raises ReleaseError RK-INDEX-….
    """
    names = sorted({package.name for traces in all_traces for package in traces.packages})
    pages = await asyncio.gather(*map(index.files, names))
    listed = dict(zip(names, map(_sums_by_name, pages), strict=True))
    return [replace(traces, index_files=listed) for traces in all_traces]


def _sums_by_name(page: Iterable[IndexFile] | None) -> dict[str, str]:
    """Return the sha256 of each file on the *page* of a project. A project without a page has no files."""
    return {file.name: file.sha256 for file in page or ()}


async def read_unpublished(
    repo: Repo,
    settings: Settings,
    secrets: Secrets,
    unpublished: Sequence[tuple[Plan, ReleaseManifest, str]],
    refs: Mapping[str, Ref],
) -> list[ReleaseTraces]:
    """Return the *unpublished* releases: plan, manifest, and the page of the draft (empty for a pull request)."""
    tags = _commits_of(tags_among(refs))
    all_traces: list[ReleaseTraces] = []
    for plan, manifest, page in unpublished:
        if page:
            traces = ReleaseTraces(
                source="draft",
                release=plan.release,
                location=page,
                plan=plan,
                manifest=manifest,
                page=page,
            )
        else:
            traces = await _read_pull_request(repo, settings, secrets, plan, manifest, refs)
        all_traces.append(replace(traces, remote=settings.remote, tags_there=tags))
    return all_traces


async def _read_pull_request(
    repo: Repo,
    settings: Settings,
    secrets: Secrets,
    plan: Plan,
    manifest: ReleaseManifest,
    refs: Mapping[str, Ref],
) -> ReleaseTraces:
    """Return the traces of a release with a pull request. The forge is asked unless the remote shows the merge."""
    traces = ReleaseTraces(
        source="pull",
        release=plan.release,
        location=f"{settings.release_branch} on {settings.remote}",
        plan=plan,
        manifest=manifest,
    )
    tip = _branch_tip(refs, manifest)
    is_merged = tip != "" and _is_known_ancestor(repo, manifest.release_commit, tip)
    if is_merged:
        return replace(traces, pull_state="merged")
    return await _with_pull_request_state(repo, settings, secrets, traces, plan, manifest)


def _is_known_ancestor(repo: Repo, commit: str, tip: str) -> bool:
    """Return whether *commit* is *tip* or in its history, as far as both commits are in this repository."""
    return repo.has_commit(tip) and repo.has_commit(commit) and repo.contains(tip, commit)


async def _with_pull_request_state(
    repo: Repo,
    settings: Settings,
    secrets: Secrets,
    traces: ReleaseTraces,
    plan: Plan,
    manifest: ReleaseManifest,
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
    # The merge of an earlier release, from the same branch, is older than the proposal.
    if merged and not _is_known_ancestor(repo, merged.merge_commit, plan.commit):
        return replace(traces, pull_state="merged", page=merged.page)
    return replace(traces, pull_state="closed")


def unique_releases(all_traces: Sequence[ReleaseTraces]) -> list[ReleaseTraces]:
    """Return each release once, by its first trace: records here come before the remote and the forge."""
    first_traces: dict[str, ReleaseTraces] = {}
    for traces in all_traces:
        first_traces.setdefault(traces.release, traces)
    return [*first_traces.values()]
