"""Steps of a rollback: find a release, inspect what it left behind, and delete what can be deleted."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, as_refusal, did_you_mean
from releasekit.core.release.pr_status import release_pr_ref
from releasekit.core.release.release_manifest import parse_staged_manifest
from releasekit.core.release.rollback_plan import (
    KeptTag,
    PublicPackage,
    Rollback,
    public_dependents,
    tag_keep_reasons,
    yank_url,
)
from releasekit.core.version_numbers import next_version_after
from releasekit.integrations.forge_factory import connect_forge
from releasekit.integrations.git import LOCK_REF
from releasekit.integrations.index import files_on_index
from releasekit.store.record import MANIFEST, Record, list_records, remove_leftovers
from releasekit.store.remote_lock import RemoteLock, local_copy, orphaned_copy, read_lock_commit, read_remote_lock
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.release.release_manifest import BuiltPackage, ReleaseManifest
    from releasekit.core.release.target import Target
    from releasekit.integrations.git import Ref, Repo
    from releasekit.integrations.protocols import ForgeRelease, Index
    from releasekit.integrations.secrets import Secrets

    _IndexMatch: TypeAlias = tuple[BuiltPackage | Step, Target, tuple[str, ...]]
    """A package of the release, the index that has it, and the names of its files there, if they are known."""

log = logging.getLogger("releasekit.undo")


@dataclass(frozen=True, slots=True)
class RollbackCandidate:
    """The release to roll back. *record* is None for another clone's or a lost one; *plan*, *manifest* if unknown.

    *lock* is its lock on the remote, if there is one. *intact* means that the record itself can be read.
    """

    release: str
    record: Record | None = None
    plan: Plan | None = None
    manifest: ReleaseManifest | None = None
    lock: RemoteLock | None = None
    intact: bool = True

    @property
    def may_be_public(self) -> bool:
        """Whether files of the release may be on an index. Not if its own record says that none is built yet."""
        return not (self.record and self.intact) or bool(self.manifest and self.manifest.packages)


@dataclass(frozen=True, slots=True)
class UnpublishedRelease:
    """A release that is not published yet: it has a pull request, or a *draft* on the forge.

    *refs* are the references of the pull request on the remote that may be deleted: the object of each, by name.
    """

    plan: Plan
    manifest: ReleaseManifest
    draft: ForgeRelease | None = None
    refs: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """What a rollback deletes, for people; and the objects that the tags name now, so that no other is deleted."""

    candidate: RollbackCandidate
    rollback: Rollback
    local_tags: Mapping[str, str]
    remote_tags: Mapping[str, str]
    unpublished: tuple[UnpublishedRelease, ...] = ()


@flow_task("find-proposed")
async def find_unpublished(repo: Repo, settings: Settings, secrets: Secrets) -> tuple[UnpublishedRelease, ...]:
    """Return the releases that are not published yet: one with a pull request, and those that are drafts.

    If the remote or the forge does not answer, a log line says so: most releases are neither.
    """
    if not (settings.push and settings.remote in repo.remotes()):
        return ()
    unpublished: list[UnpublishedRelease] = []
    try:
        unpublished += _read_pull_request(repo, settings)
        async with connect_forge(repo.address(settings.remote), settings, secrets) as forge:
            for draft in await forge.drafts():
                content = await forge.asset(draft, MANIFEST)
                if content:
                    manifest, plan = parse_staged_manifest(content.decode("utf-8", "replace"), draft.url)
                    unpublished.append(UnpublishedRelease(plan, manifest, draft))
    except ReleaseError as error:
        level = logging.DEBUG if settings.expects_no_forge(error) else logging.INFO
        log.log(level, "cannot look for draft releases: %s", error)
    return tuple(unpublished)


def _read_pull_request(repo: Repo, settings: Settings) -> Iterator[UnpublishedRelease]:
    ref, branch = release_pr_ref(settings.release_branch), f"refs/heads/{settings.release_branch}"
    remote_refs = repo.ls_remote(settings.remote, ref, branch)
    if ref not in remote_refs:
        return
    if not repo.has_commit(remote_refs[ref].commit):
        repo.fetch(settings.remote, ref)
    proposal = read_lock_commit(repo, remote_refs[ref].commit)
    refs = {ref: remote_refs[ref].object}
    if branch in remote_refs and remote_refs[branch].commit == proposal.manifest.release_commit:
        refs[branch] = remote_refs[branch].object
    yield UnpublishedRelease(proposal.plan, proposal.manifest, refs=refs)


@flow_task("find-release")
def find_release(
    repo: Repo, settings: Settings, name: str, unpublished: Sequence[UnpublishedRelease] = ()
) -> RollbackCandidate | None:
    """Return the release *name*: its id, the beginning of its id, or its title.

    Without a name, return the unfinished release of this clone, None if there is none. A running release of another
    clone must be named, and so must one that is *unpublished* and whose publishing has not begun.

    Raises Refusal RK-RELEASE-UNKNOWN, RK-RELEASE-ELSEWHERE.
    """
    remove_leftovers(repo)
    remote_lock = _read_lock(repo, settings)
    candidates = _local_candidates(repo, remote_lock)
    local_releases = {candidate.release for candidate in candidates}
    foreign = remote_lock if remote_lock and remote_lock.plan.release not in local_releases else None
    if name:
        return _match_name(name, _with_remote_releases(candidates, foreign, unpublished))
    unfinished = [candidate for candidate in candidates if not _is_finished(candidate)]
    if unfinished:
        return max(unfinished, key=_start_key)
    if foreign:
        error = foreign.conflict_error(settings.remote)
        hint = f"`releasekit rollback {foreign.plan.release}` rolls it back; or name the release that you mean."
        raise Refusal(error.code, error.message, error.location, hint)
    return None


def _local_candidates(repo: Repo, remote_lock: RemoteLock | None) -> list[RollbackCandidate]:
    """Return the releases that are on record here, and one whose record is lost but not its copy in git."""
    candidates = [_read_candidate(record, repo, remote_lock) for record in list_records(repo.common_dir)]
    orphan = orphaned_copy(repo)
    if orphan:
        lock = _own_lock(remote_lock, orphan.plan.release)
        candidates.append(RollbackCandidate(orphan.plan.release, None, orphan.plan, orphan.manifest, lock))
    return candidates


def _with_remote_releases(
    candidates: Sequence[RollbackCandidate], foreign: RemoteLock | None, unpublished: Sequence[UnpublishedRelease]
) -> list[RollbackCandidate]:
    """Return *candidates* with the release of another clone, if there is one, and those that are *unpublished*."""
    by_release = {candidate.release: candidate for candidate in candidates}
    if foreign:
        release = foreign.plan.release
        by_release[release] = RollbackCandidate(release, None, foreign.plan, foreign.manifest, foreign)
    for proposal in reversed(unpublished):  # a draft knows the merged commit, a pull request only its own
        release = proposal.plan.release
        by_release.setdefault(release, RollbackCandidate(release, None, proposal.plan, proposal.manifest))
    return [*by_release.values()]


def _own_lock(remote_lock: RemoteLock | None, release: str) -> RemoteLock | None:
    """Return *remote_lock* if it belongs to *release*."""
    return remote_lock if remote_lock and remote_lock.plan.release == release else None


def report_nothing(repo: Repo) -> Rollback:
    """Return a rollback of nothing, with a note how to name the last finished release, if there is one."""
    finished = [_read_candidate(record, repo, None) for record in list_records(repo.common_dir)]
    planned = [candidate for candidate in finished if candidate.plan]
    latest = max(planned, key=_start_key, default=None)
    if latest is None or latest.plan is None:
        return Rollback(release="", title="")
    name = latest.plan.title
    note = f"{name} is finished; `releasekit rollback {name}` rolls it back"
    return Rollback(release="", title="", notes=(note,))


def _read_lock(repo: Repo, settings: Settings) -> RemoteLock | None:
    try:
        return read_remote_lock(repo, settings)
    except ReleaseError as error:
        unreachable = "Try again when the remote answers, or leave it out with --no-push."
        hint = unreachable if error.code is ErrorCode.REMOTE_UNREACHABLE else error.hint
        raise Refusal(error.code, error.message, error.location, hint, error.output) from None


def _read_candidate(record: Record, repo: Repo, remote_lock: RemoteLock | None) -> RollbackCandidate:
    """Return the release of *record*. Damaged parts come from the copy in git."""
    lock = _own_lock(remote_lock, record.release)
    candidate = RollbackCandidate(record.release, record, lock=lock)
    try:
        return replace(candidate, plan=record.plan(), manifest=record.manifest())
    except ReleaseError:
        copy = local_copy(repo, record.release) or lock
        candidate = replace(candidate, intact=False)
    if copy:
        return replace(candidate, plan=copy.plan, manifest=copy.manifest)
    with suppress(ReleaseError):
        candidate = replace(candidate, plan=record.plan())
    with suppress(ReleaseError):
        candidate = replace(candidate, manifest=record.manifest())
    return candidate


def _start_key(candidate: RollbackCandidate) -> tuple[str, str]:
    """Return when a release began, to find the latest."""
    return (candidate.manifest.begun if candidate.manifest else "", candidate.plan.date if candidate.plan else "")


def _is_finished(candidate: RollbackCandidate) -> bool:
    return candidate.intact and candidate.manifest is not None and candidate.manifest.finished


def _match_name(name: str, candidates: list[RollbackCandidate]) -> RollbackCandidate:
    titles = {candidate.release: candidate.plan.title if candidate.plan else "" for candidate in candidates}
    matches = [candidate for candidate in candidates if name == titles[candidate.release]]
    if not matches:
        matches = [candidate for candidate in candidates if candidate.release.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        choices = " or ".join(f"{candidate.release} ({titles[candidate.release]})" for candidate in matches)
        raise Refusal(ErrorCode.RELEASE_UNKNOWN, f"{name} is ambiguous: {choices}")
    words = [word for pair in titles.items() for word in pair if word]
    raise Refusal(ErrorCode.RELEASE_UNKNOWN, f"no release is called {name}{did_you_mean(name, words)}")


@flow_task("look")
async def inspect_release(
    repo: Repo,
    settings: Settings,
    candidate: RollbackCandidate,
    indexes: Sequence[tuple[Target, Index]],
    unpublished: Sequence[UnpublishedRelease] = (),
    *,
    all_tags: bool = False,
) -> RollbackPlan:
    """Return what a rollback of the release deletes, and what stays. Nothing is changed.

    Tags of packages that are on one of the *indexes* stay, unless *all_tags* are deleted.
    Raises Refusal RK-INDEX-… if it is unknown what is public.
    """
    manifest = candidate.manifest
    commit = manifest.release_commit if manifest else ""
    remote = settings.remote if settings.push and settings.remote in repo.remotes() else ""
    remote_refs = repo.ls_remote(remote) if remote else {}
    public = await _ask_indexes(candidate, indexes)
    names = _tag_names(candidate)
    local_tags = Tags("here", repo.tag_refs(), names, commit)
    remote_tags = Tags(f"on {remote}", _tags_among(remote_refs), names, commit)
    keep_reasons = {} if all_tags else _reasons_to_keep(candidate, names, public)
    deleted_here, deleted_remotely = local_tags.without(keep_reasons), remote_tags.without(keep_reasons)
    remaining = {*(local_tags.refs.keys() - deleted_here.keys()), *(remote_tags.refs.keys() - deleted_remotely.keys())}
    public = _with_remaining_tags(candidate, public, remaining)
    own_unpublished = tuple(release for release in unpublished if release.plan.release == candidate.release)
    kept_tags = [*_kept_tags(keep_reasons, local_tags, remote_tags)]
    kept_tags += [*local_tags.moved_tags(), *remote_tags.moved_tags()]
    notes = [*_commit_notes(repo, manifest, remote, remote_refs, public=bool(public))]
    notes += _unpushed_notes(keep_reasons, local_tags, remote_tags, remote)
    notes += _untagged_notes(public)
    notes += _unasked_index_notes(manifest, indexes)
    notes += _damage_notes(candidate)
    rollback = Rollback(
        draft=next((release.draft.url for release in own_unpublished if release.draft), ""),
        pull=settings.release_branch if any(release.refs for release in own_unpublished) else "",
        release=candidate.release,
        title=candidate.plan.title if candidate.plan else candidate.release,
        commit=commit,
        finished=bool(manifest and manifest.finished),
        tags=tuple(deleted_here),
        remote_tags=tuple(deleted_remotely),
        kept_tags=tuple(kept_tags),
        held=_is_ours(candidate, remote_refs.get(LOCK_REF)),
        public=public,
        notes=tuple(notes),
    )
    return RollbackPlan(candidate, rollback, deleted_here, deleted_remotely, own_unpublished)


def _tags_among(refs: Mapping[str, Ref]) -> dict[str, Ref]:
    return {name.removeprefix(_TAGS): ref for name, ref in refs.items() if name.startswith(_TAGS)}


def _with_remaining_tags(
    candidate: RollbackCandidate, public: Sequence[PublicPackage], remaining: Container[str]
) -> tuple[PublicPackage, ...]:
    """Return the *public* packages, each with its tag if that is among the *remaining* ones."""
    tag_of = {package.name: package.tag for package in _packages(candidate)}
    updated: list[PublicPackage] = []
    for package in public:
        tag = tag_of[package.name]
        updated.append(package.model_copy(update={"tag": tag if tag in remaining else ""}))
    return tuple(updated)


_TAGS = "refs/tags/"


@dataclass(frozen=True, slots=True)
class Tags:
    """All tags at one *location*, as *refs*. Tags with these *names* belong to the release if they are on *commit*."""

    location: str
    refs: Mapping[str, Ref]
    names: tuple[str, ...]
    commit: str

    def own_tags(self) -> dict[str, str]:
        """Return the object of each tag of the release that is still on its commit."""
        present = {name: self.refs[name] for name in self.names if name in self.refs}
        return {name: ref.object for name, ref in present.items() if ref.commit == self.commit}

    def without(self, excluded: Container[str]) -> dict[str, str]:
        """Return the object of each tag of the release, except those *excluded*."""
        return {name: sha for name, sha in self.own_tags().items() if name not in excluded}

    def moved_tags(self) -> tuple[KeptTag, ...]:
        """Return the tags with names of the release that are on another commit now."""
        own_tags = self.own_tags()
        return tuple(
            KeptTag(tag=name, places=(self.location,), reason=f"it is on {self.refs[name].commit[:12]} now")
            for name in self.names
            if name in self.refs and name not in own_tags
        )


def _kept_tags(reasons: Mapping[str, str], local_tags: Tags, remote_tags: Tags) -> Iterator[KeptTag]:
    for name, reason in reasons.items():
        locations = tuple(tags.location for tags in (local_tags, remote_tags) if name in tags.own_tags())
        if locations:
            yield KeptTag(tag=name, places=locations, reason=reason)


def _packages(candidate: RollbackCandidate) -> Sequence[BuiltPackage | Step]:
    """Return the packages of the release: as built, if that is known, otherwise as planned."""
    if candidate.manifest and candidate.manifest.packages:
        return candidate.manifest.packages
    return candidate.plan.steps if candidate.plan else ()


def _reasons_to_keep(
    candidate: RollbackCandidate, names: tuple[str, ...], public: Sequence[PublicPackage]
) -> dict[str, str]:
    complete: dict[str, str] = {}
    for package in public:
        if package.complete:
            complete[package.name] = f"{package.name} {package.version} is on {package.index}"
    umbrella_tags = candidate.plan.tags if candidate.plan else ()
    return tag_keep_reasons(names, _packages(candidate), complete, umbrella_tags)


def _unpushed_notes(reasons: Mapping[str, str], local_tags: Tags, remote_tags: Tags, remote: str) -> Iterator[str]:
    """Say which tags stay but are missing on the remote, and how to push them."""
    if not remote:
        return
    own_tags = local_tags.own_tags()
    names = [name for name in reasons if name in own_tags and name not in remote_tags.refs]
    if names:
        refs = " ".join(f"{_TAGS}{name}" for name in names)
        yield f"{remote} does not have {', '.join(names)}: `git push {remote} {refs}`"


def _untagged_notes(public: Sequence[PublicPackage]) -> Iterator[str]:
    """Say which versions are on an index without a tag."""
    names = dict.fromkeys(f"{package.name} {package.version}" for package in public if not package.tag)
    if names:
        yield f"on the index without a tag: {', '.join(names)}; the next plan counts these versions as released"


def _tag_names(candidate: RollbackCandidate) -> tuple[str, ...]:
    """Return the names of the release's own tags: from its record, or for another clone's release from its plan."""
    if candidate.record and candidate.intact:
        return candidate.manifest.tags if candidate.manifest else ()
    return candidate.plan.all_tags if candidate.plan else ()


def _is_ours(candidate: RollbackCandidate, lock_ref: Ref | None) -> bool:
    """Return whether the remote lock belongs to this release, and no other clone has taken it over."""
    if lock_ref is None or candidate.lock is None:
        return False
    manifest = candidate.manifest
    is_recorded = candidate.record is not None and candidate.intact
    if not is_recorded or manifest is None:
        return True
    if lock_ref.object == manifest.held:
        return True
    return candidate.lock.manifest.lock_identity() == manifest.lock_identity()


def _unasked_index_notes(manifest: ReleaseManifest | None, indexes: Sequence[tuple[Target, Index]]) -> Iterator[str]:
    """Say which indexes are on record but not asked, because another one was named."""
    asked = {target.address.check_url.rstrip("/") for target, _ in indexes}
    for index in manifest.indexes if manifest else ():
        if index.check_url.rstrip("/") not in asked:
            yield f"not asked, because you named another index: {index.check_url}, where this release was published"


async def _ask_indexes(
    candidate: RollbackCandidate, indexes: Sequence[tuple[Target, Index]]
) -> tuple[PublicPackage, ...]:
    """Return what the *indexes* have of the release; raises Refusal RK-INDEX-… if one does not answer."""
    try:
        with as_refusal():
            return await _published_packages(candidate, indexes)
    except Refusal as error:
        hint = f"{error.hint} Or name the index to ask: `releasekit rollback --check-url URL`."
        raise Refusal(error.code, error.message, error.location, hint, error.output) from None


async def _published_packages(
    candidate: RollbackCandidate, indexes: Sequence[tuple[Target, Index]]
) -> tuple[PublicPackage, ...]:
    """Return what the *indexes* have of the release.

    If its files are not on record, for example because another machine publishes it, only its versions are checked.
    """
    packages = candidate.manifest.packages if candidate.manifest else ()
    steps = candidate.plan.steps if candidate.plan and not packages and candidate.may_be_public else ()
    matches: list[_IndexMatch] = []
    for target, index in indexes:
        matches += await _listed_packages(packages, target, index)
        matches += await _listed_versions(steps, target, index)
    names = {package.name for package, _, _ in matches}
    dependents = public_dependents(candidate.plan, names) if candidate.plan else {}
    sizes = {package.name: len(package.files) for package in packages}
    public: list[PublicPackage] = []
    for package, target, files in matches:
        row = PublicPackage(
            name=package.name,
            version=package.version,
            files=files,
            complete=len(files) == sizes.get(package.name, 0),
            index=target.title,
            page=yank_url(target, package.name, package.version),
            next=next_version_after(package.version),
            dependents=dependents.get(package.name, ()),
        )
        public.append(row)
    return tuple(public)


async def _listed_packages(packages: Sequence[BuiltPackage], target: Target, index: Index) -> list[_IndexMatch]:
    """Return those of *packages* that the index lists files of, with these files."""
    listed = await files_on_index(packages, index, strict=False)
    return [(package, target, tuple(listed[package.name])) for package in packages if listed[package.name]]


async def _listed_versions(steps: Sequence[Step], target: Target, index: Index) -> list[_IndexMatch]:
    """Return those of *steps* whose version the index lists."""
    versions = await asyncio.gather(*(index.versions(step.name) for step in steps))
    pairs = zip(steps, versions, strict=True)
    return [(step, target, ()) for step, published in pairs if step.version in published]


def _commit_notes(
    repo: Repo, manifest: ReleaseManifest | None, remote: str, remote_refs: Mapping[str, Ref], *, public: bool
) -> tuple[str, ...]:
    """Say where the release commit stays: history that others may have is never rewritten."""
    if manifest is None or manifest.release_commit == manifest.commit:
        return ()
    commit = manifest.release_commit
    if not repo.has_commit(commit):
        return ()
    branches = [*_branches_with_commit(repo, manifest, remote, remote_refs)]
    if not branches:
        return ()
    message = f"the release commit {commit[:12]} is part of {' and of '.join(branches)}, and stays"
    if public:
        return (f"{message}: it contains versions that are on the index",)
    side = "-m 1 " if repo.parent(commit, 2) else ""  # for a merge, git needs to know which side stays
    return (f"{message}; `git revert {side}{commit[:12]}` reverts versions and changelogs",)


def _branches_with_commit(
    repo: Repo, manifest: ReleaseManifest, remote: str, remote_refs: Mapping[str, Ref]
) -> Iterator[str]:
    """Yield which branches contain the release commit: its own on the remote, and the one checked out here."""
    ref = f"refs/heads/{manifest.branch}"
    if remote and ref in remote_refs:
        tip = remote_refs[ref].commit
        if not repo.has_commit(tip):
            repo.fetch(remote, ref)
        if repo.contains(tip, manifest.release_commit):
            yield f"{manifest.branch} on {remote}"
    if repo.contains(repo.head, manifest.release_commit):
        yield f"{repo.branch or 'HEAD'} here"


def _damage_notes(candidate: RollbackCandidate) -> tuple[str, ...]:
    if candidate.intact:
        return ()
    if candidate.plan and candidate.manifest:
        return ("the record is damaged; the copy in git is used instead",)
    return ("the record is damaged, so it is unknown which tags it made and what is public: check that yourself",)


@flow_task("mark")
def mark_rolling_back(rollback_plan: RollbackPlan) -> None:
    """Record that the release is being rolled back: from here on, `publish` does not resume it."""
    candidate = rollback_plan.candidate
    if candidate.record and candidate.intact and candidate.manifest:
        candidate.record.amend(undoing=True, finished=False)


@flow_task("delete-draft")
async def delete_unpublished(repo: Repo, settings: Settings, secrets: Secrets, rollback_plan: RollbackPlan) -> None:
    """Delete the draft release and close the pull request on the forge, before their tags and branch are deleted.

    Raises ReleaseError RK-FORGE-….
    """
    if not rollback_plan.unpublished:
        return
    async with connect_forge(repo.address(settings.remote), settings, secrets) as forge:
        for release in rollback_plan.unpublished:
            if release.draft:
                forge_release = await forge.release(release.draft.tag)
                if forge_release and forge_release.draft:
                    await forge.delete_release(forge_release)
            if release.refs:
                pull_request = await forge.find_pull_request(settings.release_branch, release.manifest.branch)
                if pull_request:
                    comment = f"{release.plan.title} was rolled back (`releasekit rollback`).\n"
                    await forge.close_pull_request(pull_request, comment)


@flow_task("delete-remote-tags")
def delete_remote_refs(repo: Repo, settings: Settings, rollback_plan: RollbackPlan) -> None:
    """Delete the release's tags, pull request and lock on the remote, except references that have moved since.

    Raises ReleaseError RK-PUSH-REJECTED.
    """
    leases = {f"{_TAGS}{name}": sha for name, sha in rollback_plan.remote_tags.items()}
    lock = rollback_plan.candidate.lock
    if rollback_plan.rollback.held:
        lock_ref = repo.ls_remote(settings.remote, LOCK_REF).get(LOCK_REF)
        if lock_ref:
            leases[LOCK_REF] = lock.sha if lock else lock_ref.object
    for release in rollback_plan.unpublished:
        leases |= {name: sha for name, sha in release.refs.items() if name in repo.ls_remote(settings.remote, name)}
    if not leases:
        return
    try:
        repo.push(settings.remote, [f":{name}" for name in leases], leases=leases)
    except ReleaseError as error:
        hint = "Allow it on the remote and run `releasekit rollback` again: it resumes. Or use --no-push."
        raise ReleaseError(error.code, error.message, error.location, hint, error.output) from None


@flow_task("delete-tags")
def delete_local_tags(repo: Repo, rollback_plan: RollbackPlan) -> None:
    """Delete the release's tags here, except those that have changed since they were inspected."""
    for name, sha in rollback_plan.local_tags.items():
        repo.delete_tag(name, sha)


@flow_task("drop-record")
def delete_record(repo: Repo, rollback_plan: RollbackPlan) -> None:
    """Remove the release's worktree, record and copy in git. This comes last, so that a rollback can resume."""
    if rollback_plan.candidate.record:
        rollback_plan.candidate.record.discard(repo)
    else:
        repo.delete_ref(rollback_plan.candidate.release)
