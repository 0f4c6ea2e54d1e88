"""What there is to see of releases that have not ended: here, on the remote and on the index. Changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from releasekit.core.errors import ReleaseError
from releasekit.core.release.unfinished_release import ReleaseTraces
from releasekit.integrations.git import RUNNING
from releasekit.store.record import MANIFEST, records
from releasekit.store.remote_lock import held_here, held_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_manifest import ReleaseManifest
    from releasekit.core.release.unfinished_release import Lock
    from releasekit.integrations.git import Ref, Repo
    from releasekit.integrations.protocols import Index
    from releasekit.integrations.secrets import Secrets
    from releasekit.store.record import Record
    from releasekit.store.remote_lock import Held

_TAGS = "refs/tags/"


def read_records(repo: Repo) -> list[ReleaseTraces]:
    """Return the releases that are on record in this repository and have not ended, and those whose record is lost."""
    found = [traces for record in records(repo.common_dir) if (traces := _from_record(record, repo))]
    known = {record.release for record in records(repo.common_dir) if (record.directory / MANIFEST).is_file()}
    known |= {traces.release for traces in found}
    for name in repo.all_kept():
        if name in known or "/" in name or f"refs/releasekit/{name}" == RUNNING:
            continue
        copy = held_here(repo, name)
        plan, manifest = (copy.plan, copy.manifest) if copy else (None, None)
        found.append(ReleaseTraces("copy", name, f"refs/releasekit/{name}", plan, manifest))
    return found


def _from_record(record: Record, repo: Repo) -> ReleaseTraces | None:
    """Return what *record* says, None if the release has ended; what is damaged is taken from the copy in git."""
    traces = ReleaseTraces("record", record.release, str(record.directory), has_plan=record.has_plan())
    try:
        manifest = record.manifest()
        if manifest and manifest.finished:
            return None
        plan = record.plan() if traces.has_plan else None
    except ReleaseError as error:
        if not record.exists():  # the release has ended while we looked
            return None
        copy = held_here(repo, record.release)
        plan, manifest = (copy.plan, copy.manifest) if copy else (None, None)
        return replace(traces, damage=f"{error.what} ({error.where})", plan=plan, manifest=manifest)
    lost = [name for package in manifest.packages for name in record.lost(package)] if manifest else []
    ahead = _commits_since(repo, plan, manifest) if plan else 0
    return replace(traces, plan=plan, manifest=manifest, lost=frozenset(lost), ahead=ahead)


def _commits_since(repo: Repo, plan: Plan, manifest: ReleaseManifest | None) -> int:
    known = [sha for sha in (plan.commit, manifest.release_commit if manifest else "") if sha and repo.has(sha)]
    return repo.ahead(*known) if known else 0


def read_remote(
    repo: Repo, remote: str, refs: Mapping[str, Ref], here: Sequence[ReleaseTraces]
) -> tuple[list[ReleaseTraces], str]:
    """Return the traces *here* with what the *refs* of *remote* say of them, and the release that another clone makes.

    With them comes what of the remote cannot be read, empty if nothing. The commit that the remote holds is fetched, if
    it is not here; no reference is changed.
    """
    held, problem = None, ""
    if RUNNING in refs:
        try:
            if not repo.has(refs[RUNNING].commit):
                repo.fetch(remote, RUNNING)
            held = held_in(repo, refs[RUNNING].commit)
        except ReleaseError as error:
            problem = f"{RUNNING} of {remote}: {error.what}"
    tags = {name.removeprefix(_TAGS): ref.commit for name, ref in refs.items() if name.startswith(_TAGS)}
    found: list[ReleaseTraces] = []
    for each in here:
        traces = replace(each, remote=remote, tags_there=tags, lock=_lock_of(each, refs.get(RUNNING), held))
        if traces.damage and not traces.plan and held and held.plan.release == traces.release:
            traces = replace(traces, plan=held.plan, manifest=held.manifest)
        found.append(replace(traces, moved=_has_moved(repo, refs, traces.manifest)))
    if held and all(traces.release != held.plan.release for traces in found):
        place = f"{RUNNING} of {remote}"
        elsewhere = ReleaseTraces("remote", held.plan.release, place, held.plan, held.manifest, remote=remote)
        found.append(replace(elsewhere, lock="other", tags_there=tags))
    return found, problem


def _lock_of(traces: ReleaseTraces, ref: Ref | None, held: Held | None) -> Lock:
    """Return whose release the remote holds, as seen from the one of *traces*."""
    if ref is None:
        return "none"
    manifest = traces.manifest
    is_ours = manifest and (ref.object == manifest.held or (held and held.manifest.holder() == manifest.holder()))
    return "mine" if is_ours else "other"


def _has_moved(repo: Repo, refs: Mapping[str, Ref], manifest: ReleaseManifest | None) -> bool:
    """Return whether the release's branch on the remote cannot simply step forward to the release commit."""
    tip = refs.get(f"refs/heads/{manifest.branch}") if manifest else None
    if manifest is None or tip is None or not repo.has(manifest.release_commit):
        return False
    if not repo.has(tip.commit):
        return True
    commit = manifest.release_commit
    return not (repo.contains(tip.commit, commit) or repo.contains(commit, tip.commit))


def with_local_tags(repo: Repo, found: Sequence[ReleaseTraces]) -> list[ReleaseTraces]:
    """Return *found* with the tags of this repository."""
    tags = {name: ref.commit for name, ref in repo.tag_refs().items()} if found else {}
    return [replace(traces, tags_here=tags) for traces in found]


async def ask_index_for(index: Index, found: Sequence[ReleaseTraces]) -> list[ReleaseTraces]:
    """Return *found* with the files that the index lists of their packages.

    Raises ReleaseError RK-INDEX-….
    """
    names = sorted({package.name for traces in found for package in traces.packages})
    pages = await asyncio.gather(*(index.files(name) for name in names))
    listed = {name: {file.name: file.sha256 for file in page or ()} for name, page in zip(names, pages, strict=True)}
    return [replace(traces, index_files=listed) if traces.packages else traces for traces in found]


async def read_proposed(
    repo: Repo,
    settings: Settings,
    secrets: Secrets,
    proposed: Sequence[tuple[Plan, ReleaseManifest, str]],
    refs: Mapping[str, Ref],
) -> list[ReleaseTraces]:
    """Return the releases that are *proposed*: plan, manifest, and the page of its draft, empty for a pull request."""
    tags = {name.removeprefix(_TAGS): ref.commit for name, ref in refs.items() if name.startswith(_TAGS)}
    found: list[ReleaseTraces] = []
    for plan, manifest, page in proposed:
        if page:
            traces = ReleaseTraces("draft", plan.release, page, plan, manifest, page=page)
        else:
            place = f"{settings.release_branch} on {settings.remote}"
            traces = ReleaseTraces("pull", plan.release, place, plan, manifest)
            if _is_merged(repo, refs, manifest):
                traces = replace(traces, pull_state="merged")
            else:
                traces = await _with_pull_state(repo, settings, secrets, traces, plan, manifest)
        found.append(replace(traces, remote=settings.remote, tags_there=tags))
    return found


def _is_merged(repo: Repo, refs: Mapping[str, Ref], manifest: ReleaseManifest) -> bool:
    """Return whether the branch of the remote is known to hold the very commit that was proposed."""
    tip = refs.get(f"refs/heads/{manifest.branch}")
    commit = manifest.release_commit
    return tip is not None and repo.has(tip.commit) and repo.has(commit) and repo.contains(tip.commit, commit)


async def _with_pull_state(
    repo: Repo, settings: Settings, secrets: Secrets, traces: ReleaseTraces, plan: Plan, manifest: ReleaseManifest
) -> ReleaseTraces:
    """Return *traces* with what the forge says of the pull request; as they are, if it does not answer."""
    from releasekit.integrations.forge_factory import (
        forge_of,  # late: httpx is dear, and most releases have no pull request
    )

    branch, base = settings.release_branch, manifest.branch
    try:
        async with forge_of(repo.address(settings.remote), settings, secrets) as forge:
            if pull := await forge.find_pull(branch, base):
                return replace(traces, pull_state="open", page=pull.page)
            merged = await forge.merged_pull(branch, base)
    except ReleaseError:
        return traces
    if merged and not _is_known_before(repo, plan.commit, merged.commit):
        return replace(traces, pull_state="merged", page=merged.page)
    return replace(traces, pull_state="closed")


def _is_known_before(repo: Repo, since: str, commit: str) -> bool:
    """Return whether *commit* is older than the proposal: an earlier release was merged as that."""
    return repo.has(commit) and repo.has(since) and repo.contains(since, commit)


def published_first(found: Sequence[ReleaseTraces]) -> Iterator[ReleaseTraces]:
    """Yield each release once: what is on record here, before what only the remote or the forge tells of it."""
    known: set[str] = set()
    for traces in found:
        if traces.release not in known:
            known.add(traces.release)
            yield traces
