"""Steps of a rollback: find a release, inspect what it left behind, and delete what can be deleted."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, as_refusal, did_you_mean
from releasekit.core.picking import drop_keys, names_of, pick
from releasekit.core.release.pr_status import release_pr_ref
from releasekit.core.release.release_manifest import EMPTY_MANIFEST, parse_staged_manifest
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
from releasekit.integrations.git import LOCK_REF, NO_REF, TAGS, tags_among
from releasekit.integrations.index import files_on_index
from releasekit.store.record import (
    MANIFEST,
    NO_PLAN,
    Record,
    list_records,
    remove_leftovers,
)
from releasekit.store.remote_lock import (
    NO_LOCK,
    RemoteLock,
    local_copy,
    orphaned_copy,
    read_lock_commit,
    read_lock_ref,
    read_remote_lock,
    remote_for_releases,
)
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.release.release_manifest import BuiltPackage, ReleaseManifest
    from releasekit.core.release.target import Target
    from releasekit.integrations.git import Ref, Repo
    from releasekit.integrations.protocols import Forge, ForgeRelease, Index
    from releasekit.integrations.secrets import Secrets

log = logging.getLogger("releasekit.undo")


@dataclass(frozen=True, slots=True)
class RollbackCandidate:
    """The release to roll back. *record* is None for another clone's or a lost one.

    *plan* is `NO_PLAN` and *manifest* is `EMPTY_MANIFEST` if it is unknown. *lock* is its lock on the remote, `NO_LOCK`
    if there is none. *intact* means that the record itself can be read.
    """

    release: str
    record: Record | None = None
    plan: Plan = NO_PLAN
    manifest: ReleaseManifest = EMPTY_MANIFEST
    lock: RemoteLock = NO_LOCK
    intact: bool = True

    @property
    def has_plan(self) -> bool:
        """Whether the plan is known."""
        return self.plan != NO_PLAN

    @property
    def has_manifest(self) -> bool:
        """Whether the manifest is known."""
        return self.manifest != EMPTY_MANIFEST

    @property
    def title(self) -> str:
        """The title of the release, empty if the plan is unknown."""
        return self.plan.title if self.has_plan else ""

    @property
    def readable_record(self) -> Record | None:
        """The record, if there is one and it can be read."""
        return self.record if self.intact else None

    @property
    def may_be_public(self) -> bool:
        """Whether files of the release may be on an index. Not if its own record says that none is built yet."""
        return self.readable_record is None or self.manifest.packages != ()

    @property
    def is_finished(self) -> bool:
        """Whether its own record says that the release has ended."""
        return self.intact and self.manifest.finished

    @property
    def packages(self) -> Sequence[BuiltPackage | Step]:
        """The packages of the release: as built, if that is known, otherwise as planned."""
        return self.manifest.packages or self.plan.steps

    @property
    def tag_names(self) -> tuple[str, ...]:
        """The names of the release's own tags: from its record, or for another clone's release from its plan."""
        return self.manifest.tags if self.readable_record else self.plan.all_tags


@dataclass(frozen=True, slots=True)
class UnpublishedRelease:
    """A release that is not published yet: it has a pull request, or a *draft* on the forge.

    *refs* are the references of the pull request on the remote that may be deleted: the object of each, by name.
    """

    plan: Plan
    manifest: ReleaseManifest
    draft: ForgeRelease | None = None
    refs: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def draft_url(self) -> str:
        """The page of the draft, empty for a pull request."""
        return self.draft.url if self.draft else ""


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """What a rollback deletes, for people; and the objects that the tags name now, so that no other is deleted."""

    candidate: RollbackCandidate
    rollback: Rollback
    local_tags: Mapping[str, str]
    remote_tags: Mapping[str, str]
    unpublished: tuple[UnpublishedRelease, ...] = ()


@flow_task("find-proposed", stage="rollback")
async def find_unpublished(
    repo: Repo, settings: Settings, secrets: Secrets
) -> tuple[UnpublishedRelease, ...]:
    """Return the releases that are not published yet: one with a pull request, and those that are drafts.

    If the remote or the forge does not answer, a log line says so: most releases are neither.
    """
    remote = remote_for_releases(repo, settings)
    if not remote:
        return ()
    unpublished: list[UnpublishedRelease] = []
    try:
        unpublished += _read_pull_request(repo, settings)
        async with connect_forge(repo.address(remote), settings, secrets) as forge:
            for draft in await forge.drafts():
                content = await forge.asset(draft, MANIFEST)
                if content:
                    manifest, plan = parse_staged_manifest(
                        content.decode("utf-8", "replace"), draft.url
                    )
                    unpublished.append(UnpublishedRelease(plan, manifest, draft))
    except ReleaseError as error:
        level = logging.DEBUG if settings.expects_no_forge(error) else logging.INFO
        log.log(level, "cannot look for draft releases: %s", error)
    return tuple(unpublished)


def _read_pull_request(repo: Repo, settings: Settings) -> Iterator[UnpublishedRelease]:
    remote = settings.remote
    ref = release_pr_ref(settings.release_branch)
    branch = f"refs/heads/{settings.release_branch}"
    remote_refs = repo.ls_remote(remote, ref, branch)
    if ref not in remote_refs:
        return
    commit = remote_refs[ref].commit
    repo.fetch_missing(remote, ref, commit)
    proposal = read_lock_commit(repo, commit)
    refs = {ref: remote_refs[ref].object}
    branch_ref = remote_refs.get(branch, NO_REF)
    if branch_ref.commit == proposal.manifest.release_commit:
        refs[branch] = branch_ref.object
    yield UnpublishedRelease(proposal.plan, proposal.manifest, refs=refs)


@flow_task("find-release", stage="rollback")
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
    known_releases = {NO_LOCK.plan.release, *(candidate.release for candidate in candidates)}
    foreign = NO_LOCK if remote_lock.plan.release in known_releases else remote_lock
    if name:
        return _match_name(name, _with_remote_releases(candidates, foreign, unpublished))
    unfinished = [candidate for candidate in candidates if not candidate.is_finished]
    if unfinished:
        return max(unfinished, key=_start_key)
    if foreign != NO_LOCK:
        error = foreign.conflict_error(settings.remote)
        hint = f"`releasekit rollback {foreign.plan.release}` rolls it back; or name the release that you mean."
        raise Refusal(error.code, error.message, error.location, hint)
    return None


def _local_candidates(repo: Repo, remote_lock: RemoteLock) -> list[RollbackCandidate]:
    """Return the releases that are on record here, and one whose record is lost but not its copy in git."""
    candidates = _recorded_candidates(repo, remote_lock)
    orphan = orphaned_copy(repo)
    if orphan:
        lock = _own_lock(remote_lock, orphan.plan.release)
        candidates.append(_unrecorded_candidate(orphan, lock))
    return candidates


def _with_remote_releases(
    candidates: Sequence[RollbackCandidate],
    foreign: RemoteLock,
    unpublished: Sequence[UnpublishedRelease],
) -> list[RollbackCandidate]:
    """Return *candidates* with the release of another clone, if there is one, and those that are *unpublished*."""
    by_release = {candidate.release: candidate for candidate in candidates}
    if foreign != NO_LOCK:
        by_release[foreign.plan.release] = _unrecorded_candidate(foreign, foreign)
    # A draft knows the merged commit, a pull request only its own.
    for proposal in reversed(unpublished):
        by_release.setdefault(proposal.plan.release, _unrecorded_candidate(proposal, NO_LOCK))
    return [*by_release.values()]


def _unrecorded_candidate(
    source: RemoteLock | UnpublishedRelease, lock: RemoteLock
) -> RollbackCandidate:
    """Return the release in *source*, which has no record here."""
    return RollbackCandidate(
        release=source.plan.release,
        plan=source.plan,
        manifest=source.manifest,
        lock=lock,
    )


def _own_lock(remote_lock: RemoteLock, release: str) -> RemoteLock:
    """Return *remote_lock* if it belongs to *release*."""
    return remote_lock if remote_lock.plan.release == release else NO_LOCK


def report_nothing(repo: Repo) -> Rollback:
    """Return a rollback of nothing, with a note how to name the last finished release, if there is one."""
    planned = [candidate for candidate in _recorded_candidates(repo, NO_LOCK) if candidate.has_plan]
    if not planned:
        return Rollback(release="", title="")
    name = max(planned, key=_start_key).title
    note = f"{name} is finished; `releasekit rollback {name}` rolls it back"
    return Rollback(release="", title="", notes=(note,))


def _start_key(candidate: RollbackCandidate) -> tuple[str, str]:
    """Return when a release began, to find the latest."""
    return (candidate.manifest.begun, candidate.plan.date)


def _read_lock(repo: Repo, settings: Settings) -> RemoteLock:
    try:
        return read_remote_lock(repo, settings) or NO_LOCK
    except ReleaseError as error:
        unreachable = "Try again when the remote answers, or leave it out with --no-push."
        hint = unreachable if error.code is ErrorCode.REMOTE_UNREACHABLE else error.hint
        raise Refusal(error.code, error.message, error.location, hint, error.output) from None


def _recorded_candidates(repo: Repo, remote_lock: RemoteLock) -> list[RollbackCandidate]:
    """Return the releases that are on record here."""
    return [_read_candidate(record, repo, remote_lock) for record in list_records(repo.common_dir)]


def _read_candidate(record: Record, repo: Repo, remote_lock: RemoteLock) -> RollbackCandidate:
    """Return the release of *record*. Damaged parts come from the copy in git."""
    lock = _own_lock(remote_lock, record.release)
    candidate = RollbackCandidate(record.release, record, lock=lock)
    try:
        return replace(candidate, plan=record.plan(), manifest=record.manifest_or_empty())
    except ReleaseError:
        copy = local_copy(repo, record.release) or lock
        candidate = replace(candidate, intact=False)
    if copy != NO_LOCK:
        return replace(candidate, plan=copy.plan, manifest=copy.manifest)
    with suppress(ReleaseError):
        candidate = replace(candidate, plan=record.plan())
    with suppress(ReleaseError):
        candidate = replace(candidate, manifest=record.manifest_or_empty())
    return candidate


def _match_name(name: str, candidates: list[RollbackCandidate]) -> RollbackCandidate:
    matches = [candidate for candidate in candidates if candidate.title == name]
    if not matches:
        matches = [candidate for candidate in candidates if candidate.release.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        choices = " or ".join(f"{candidate.release} ({candidate.title})" for candidate in matches)
        raise Refusal(ErrorCode.RELEASE_UNKNOWN, f"{name} is ambiguous: {choices}")
    words = chain.from_iterable((candidate.release, candidate.title) for candidate in candidates)
    similar = did_you_mean(name, filter(None, words))
    raise Refusal(ErrorCode.RELEASE_UNKNOWN, f"no release is called {name}{similar}")


@flow_task("look", stage="rollback")
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
    remote = remote_for_releases(repo, settings)
    remote_refs = repo.ls_remote(remote) if remote else {}
    public = await _ask_indexes(candidate, indexes)
    keep_reasons = {} if all_tags else _reasons_to_keep(candidate, public)
    tags = _read_tags(repo, candidate, remote, remote_refs, keep_reasons)
    public = _with_remaining_tags(public, tags.remaining)
    own_unpublished = tuple(
        release for release in unpublished if release.plan.release == candidate.release
    )
    draft_urls = [release.draft_url for release in own_unpublished]
    has_pull_request = any(release.refs for release in own_unpublished)
    notes = [
        *_commit_notes(repo, manifest, remote, remote_refs, public=bool(public)),
        *_unpushed_notes(tags, remote),
        *_untagged_notes(public),
        *_unasked_index_notes(manifest, indexes),
        *_damage_notes(candidate),
    ]
    rollback = Rollback(
        draft=next(filter(None, draft_urls), ""),
        pull=settings.release_branch if has_pull_request else "",
        release=candidate.release,
        title=candidate.title or candidate.release,
        commit=manifest.release_commit,
        finished=manifest.finished,
        tags=tuple(tags.deleted_locally),
        remote_tags=tuple(tags.deleted_remotely),
        kept_tags=tags.kept_tags,
        held=_is_locked_by(candidate, remote_refs.get(LOCK_REF, NO_REF)),
        public=public,
        notes=tuple(notes),
    )
    return RollbackPlan(
        candidate=candidate,
        rollback=rollback,
        local_tags=tags.deleted_locally,
        remote_tags=tags.deleted_remotely,
        unpublished=own_unpublished,
    )


def _read_tags(
    repo: Repo,
    candidate: RollbackCandidate,
    remote: str,
    remote_refs: Mapping[str, Ref],
    keep_reasons: Mapping[str, str],
) -> ReleaseTags:
    names, commit = candidate.tag_names, candidate.manifest.release_commit
    return ReleaseTags(
        local=Tags("here", repo.tag_refs(), names, commit),
        remote=Tags(f"on {remote}", tags_among(remote_refs), names, commit),
        keep_reasons=keep_reasons,
    )


def _with_remaining_tags(
    public: Sequence[PublicPackage], remaining: Container[str]
) -> tuple[PublicPackage, ...]:
    """Return the *public* packages, each with its tag only if that is among the *remaining* ones."""
    updated: list[PublicPackage] = []
    for package in public:
        tag = package.tag if package.tag in remaining else ""
        updated.append(package.model_copy(update={"tag": tag}))
    return tuple(updated)


@dataclass(frozen=True)
class Tags:
    """All tags at one *location*, as *refs*. Tags with these *names* belong to the release if they are on *commit*."""

    location: str
    refs: Mapping[str, Ref]
    names: tuple[str, ...]
    commit: str

    @cached_property
    def _present(self) -> dict[str, Ref]:
        return {name: self.refs[name] for name in self.names if name in self.refs}

    @cached_property
    def own_tags(self) -> dict[str, str]:
        """The object of each tag of the release that is still on its commit."""
        return {
            name: ref.object for name, ref in self._present.items() if ref.commit == self.commit
        }

    def without(self, excluded: Container[str]) -> dict[str, str]:
        """Return the object of each tag of the release, except those *excluded*."""
        return drop_keys(self.own_tags, excluded)

    def moved_tags(self) -> Iterator[KeptTag]:
        """Yield the tags with names of the release that are on another commit now."""
        for name, ref in self._present.items():
            if ref.commit != self.commit:
                reason = f"it is on {ref.commit[:12]} now"
                yield KeptTag(tag=name, places=(self.location,), reason=reason)


@dataclass(frozen=True)
class ReleaseTags:
    """The tags here and on the remote. Those of the release are deleted, except those with a reason to keep them."""

    local: Tags
    remote: Tags
    keep_reasons: Mapping[str, str]

    @cached_property
    def deleted_locally(self) -> dict[str, str]:
        """The object of each tag to delete here."""
        return self.local.without(self.keep_reasons)

    @cached_property
    def deleted_remotely(self) -> dict[str, str]:
        """The object of each tag to delete on the remote."""
        return self.remote.without(self.keep_reasons)

    @property
    def remaining(self) -> set[str]:
        """The names of all tags that stay here or on the remote, also of those that are not of the release."""
        stay_here = self.local.refs.keys() - self.deleted_locally.keys()
        stay_on_remote = self.remote.refs.keys() - self.deleted_remotely.keys()
        return stay_here | stay_on_remote

    @property
    def kept_tags(self) -> tuple[KeptTag, ...]:
        """The tags of the release that stay, with the reasons."""
        return (*self._tags_to_keep(), *self.local.moved_tags(), *self.remote.moved_tags())

    def _tags_to_keep(self) -> Iterator[KeptTag]:
        for name, reason in self.keep_reasons.items():
            locations = tuple(
                tags.location for tags in (self.local, self.remote) if name in tags.own_tags
            )
            if locations:
                yield KeptTag(tag=name, places=locations, reason=reason)


def _reasons_to_keep(
    candidate: RollbackCandidate, public: Sequence[PublicPackage]
) -> dict[str, str]:
    complete = {
        package.name: f"{package.name} {package.version} is on {package.index}"
        for package in public
        if package.complete
    }
    return tag_keep_reasons(candidate.tag_names, candidate.packages, complete, candidate.plan.tags)


def _unpushed_notes(tags: ReleaseTags, remote: str) -> Iterator[str]:
    """Say which tags stay but are missing on the remote, and how to push them."""
    if not remote:
        return
    unpushed = tags.local.own_tags.keys() - tags.remote.refs.keys()
    names = pick(tags.keep_reasons, unpushed)
    if names:
        refs = " ".join(f"{TAGS}{name}" for name in names)
        yield f"{remote} does not have {', '.join(names)}: `git push {remote} {refs}`"


def _untagged_notes(public: Sequence[PublicPackage]) -> Iterator[str]:
    """Say which versions are on an index without a tag."""
    names = dict.fromkeys(
        f"{package.name} {package.version}" for package in public if not package.tag
    )
    if names:
        yield f"on the index without a tag: {', '.join(names)}; the next plan counts these versions as released"


def _is_locked_by(candidate: RollbackCandidate, lock_ref: Ref) -> bool:
    """Return whether the remote lock belongs to this release, and no other clone has taken it over."""
    if lock_ref == NO_REF or candidate.lock == NO_LOCK:
        return False
    is_own_release = candidate.readable_record is not None and candidate.has_manifest
    if not is_own_release:
        return True
    manifest = candidate.manifest
    return lock_ref.object == manifest.held or candidate.lock.belongs_to(manifest)


def _unasked_index_notes(
    manifest: ReleaseManifest, indexes: Sequence[tuple[Target, Index]]
) -> Iterator[str]:
    """Say which indexes are on record but not asked, because another one was named."""
    asked = {target.address.check_url.rstrip("/") for target, _ in indexes}
    for index in manifest.indexes:
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
    packages = candidate.manifest.packages
    has_only_versions = candidate.may_be_public and not packages
    steps = candidate.plan.steps if has_only_versions else ()
    public: list[PublicPackage] = []
    for target, index in indexes:
        public += await _listed_packages(packages, target, index)
        public += await _listed_versions(steps, target, index)
    names = set(names_of(public))
    dependents = public_dependents(candidate.plan, names)
    return tuple(
        package.model_copy(update={"dependents": dependents.get(package.name, ())})
        for package in public
    )


async def _listed_packages(
    packages: Sequence[BuiltPackage], target: Target, index: Index
) -> list[PublicPackage]:
    """Return those of *packages* that the index lists files of, with these files."""
    listed = await files_on_index(packages, index, strict=False)
    return [
        _public_package(package, target, files, complete=len(files) == len(package.files))
        for package in packages
        if (files := listed[package.name])
    ]


async def _listed_versions(
    steps: Sequence[Step], target: Target, index: Index
) -> list[PublicPackage]:
    """Return those of *steps* whose version the index lists. Their files are unknown."""
    versions = await asyncio.gather(*(index.versions(step.name) for step in steps))
    pairs = zip(steps, versions, strict=True)
    return [_public_package(step, target) for step, published in pairs if step.version in published]


def _public_package(
    package: BuiltPackage | Step,
    target: Target,
    files: Iterable[str] = (),
    *,
    complete: bool = True,
) -> PublicPackage:
    return PublicPackage(
        name=package.name,
        version=package.version,
        files=tuple(files),
        complete=complete,
        index=target.title,
        page=yank_url(target, package.name, package.version),
        next=next_version_after(package.version),
        tag=package.tag,
    )


def _commit_notes(
    repo: Repo,
    manifest: ReleaseManifest,
    remote: str,
    remote_refs: Mapping[str, Ref],
    *,
    public: bool,
) -> tuple[str, ...]:
    """Say where the release commit stays: history that others may have is never rewritten."""
    commit = manifest.release_commit
    is_own_commit = commit != manifest.commit
    if not is_own_commit or not repo.has_commit(commit):
        return ()
    branches = [*_branches_with_commit(repo, manifest, remote, remote_refs)]
    if not branches:
        return ()
    message = f"the release commit {commit[:12]} is part of {' and of '.join(branches)}, and stays"
    if public:
        return (f"{message}: it contains versions that are on the index",)
    # For a merge, git needs to know which side stays.
    side = "-m 1 " if repo.parent(commit, 2) else ""
    return (f"{message}; `git revert {side}{commit[:12]}` reverts versions and changelogs",)


def _branches_with_commit(
    repo: Repo, manifest: ReleaseManifest, remote: str, remote_refs: Mapping[str, Ref]
) -> Iterator[str]:
    """Yield which branches contain the release commit: its own on the remote, and the one checked out here."""
    ref = f"refs/heads/{manifest.branch}"
    if ref in remote_refs:
        tip = remote_refs[ref].commit
        repo.fetch_missing(remote, ref, tip)
        if repo.contains(tip, manifest.release_commit):
            yield f"{manifest.branch} on {remote}"
    if repo.contains(repo.head, manifest.release_commit):
        yield f"{repo.branch or 'HEAD'} here"


def _damage_notes(candidate: RollbackCandidate) -> tuple[str, ...]:
    if candidate.intact:
        return ()
    if candidate.has_plan and candidate.has_manifest:
        return ("the record is damaged; the copy in git is used instead",)
    return (
        "the record is damaged, so it is unknown which tags it made and what is public: check that yourself",
    )


@flow_task("mark", stage="rollback")
def mark_rolling_back(rollback_plan: RollbackPlan) -> None:
    """Record that the release is being rolled back: from here on, `publish` does not resume it."""
    candidate = rollback_plan.candidate
    record = candidate.readable_record
    if record and candidate.has_manifest:
        record.amend(undoing=True, finished=False)


@flow_task("delete-draft", stage="rollback")
async def delete_unpublished(
    repo: Repo, settings: Settings, secrets: Secrets, rollback_plan: RollbackPlan
) -> None:
    """Delete the draft release and close the pull request on the forge, before their tags and branch are deleted.

    Raises ReleaseError RK-FORGE-….
    """
    if not rollback_plan.unpublished:
        return
    async with connect_forge(repo.address(settings.remote), settings, secrets) as forge:
        for release in rollback_plan.unpublished:
            if release.draft:
                await _delete_draft(forge, release.draft.tag)
            if release.refs:
                await _close_pull_request(forge, settings.release_branch, release)


async def _delete_draft(forge: Forge, tag: str) -> None:
    """Delete the draft release of *tag*, unless it has been published or deleted since it was inspected."""
    forge_release = await forge.release(tag)
    if forge_release and forge_release.draft:
        await forge.delete_release(forge_release)


async def _close_pull_request(forge: Forge, branch: str, release: UnpublishedRelease) -> None:
    """Close the pull request from *branch* for *release*, if it is still open."""
    pull_request = await forge.find_pull_request(branch, release.manifest.branch)
    if pull_request:
        comment = f"{release.plan.title} was rolled back (`releasekit rollback`).\n"
        await forge.close_pull_request(pull_request, comment)


@flow_task("delete-remote-tags", stage="rollback")
def delete_remote_refs(repo: Repo, settings: Settings, rollback_plan: RollbackPlan) -> None:
    """Delete the release's tags, pull request and lock on the remote, except references that have moved since.

    Raises ReleaseError RK-PUSH-REJECTED.
    """
    remote = settings.remote
    objects = {f"{TAGS}{name}": sha for name, sha in rollback_plan.remote_tags.items()}
    is_locked = rollback_plan.rollback.held and read_lock_ref(repo, remote) != NO_REF
    if is_locked:
        objects[LOCK_REF] = rollback_plan.candidate.lock.sha
    for release in rollback_plan.unpublished:
        objects |= {
            name: sha for name, sha in release.refs.items() if name in repo.ls_remote(remote, name)
        }
    try:
        repo.delete_remote_refs(remote, objects)
    except ReleaseError as error:
        hint = "Allow it on the remote and run `releasekit rollback` again: it resumes. Or use --no-push."
        raise ReleaseError(error.code, error.message, error.location, hint, error.output) from None


@flow_task("delete-tags", stage="rollback")
def delete_local_tags(repo: Repo, rollback_plan: RollbackPlan) -> None:
    """Delete the release's tags here, except those that have changed since they were inspected."""
    for name, sha in rollback_plan.local_tags.items():
        repo.delete_tag(name, sha)


@flow_task("drop-record", stage="rollback")
def delete_record(repo: Repo, rollback_plan: RollbackPlan) -> None:
    """Remove the release's worktree, record and copy in git. This comes last, so that a rollback can resume."""
    if rollback_plan.candidate.record:
        rollback_plan.candidate.record.discard(repo)
    else:
        repo.delete_ref(rollback_plan.candidate.release)
