"""Steps that make a release visible: lock the remote, tag, push, release on the forge, and fast-forward."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, ReleaseWarning
from releasekit.core.history.tags import push_batches
from releasekit.core.picking import drop, drop_empty, drop_keys, pick
from releasekit.core.planning.release_messages import tag_message
from releasekit.core.release.release_manifest import manifest_text, sums_text
from releasekit.core.release.sboms import sbom_names
from releasekit.formats.pr_text import draft_release_body
from releasekit.integrations.filesystem import read_text_if_exists
from releasekit.integrations.forge_factory import connect_forge
from releasekit.integrations.git import LOCK_REF, NO_REF, TAGS
from releasekit.integrations.notes_sources import (
    commits_in_notes,
    gather_notes,
    render_notes,
    rewrite_notes,
)
from releasekit.integrations.process import mask
from releasekit.store.bundle import SUMS
from releasekit.store.record import MANIFEST
from releasekit.store.remote_lock import (
    fetch_remote_lock,
    read_lock_commit,
    read_lock_ref,
    write_lock_commit,
)
from tasks.context import exception_of
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prefect.client.schemas.objects import State, TaskRun
    from prefect.tasks import Task

    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_manifest import ReleaseManifest
    from releasekit.core.release.release_notes import PullRequest
    from releasekit.integrations.git import Ref, Repo
    from releasekit.integrations.protocols import Forge, ForgeRelease
    from releasekit.store.record import Record
    from tasks.context import ReleaseContext

log = logging.getLogger("releasekit.announce")


def retry_unless_rejected(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether a failed push is tried again: not if the remote has examined and rejected it."""
    error = exception_of(state)
    if not isinstance(error, ReleaseError):
        return True
    is_final = error.code is ErrorCode.BRANCH_MOVED or "rejected]" in error.output
    return not is_final


def record_index(release: ReleaseContext, manifest: ReleaseManifest) -> ReleaseManifest:
    """Return *manifest* with the indexes that the release is about to be published to, so that a rollback asks them.

    An address that contains a secret of the environment, such as a token in its path, is not recorded.
    """
    for target in (release.target, *(later.target for later in release.later_indexes)):
        address = target.address
        urls = [address.check_url, address.publish_url]
        holds_secret = [*map(mask, urls)] != urls
        manifest = manifest if holds_secret else manifest.with_index(address)
    return manifest


@flow_task("hold", "hold-{release.plan.title}", stage="publish")
def acquire_remote_lock(
    release: ReleaseContext, repo: Repo, manifest: ReleaseManifest, *, published: bool = False
) -> ReleaseManifest:
    """Lock the remote before the first upload; returns the manifest with the object of the lock.

    From then on the release survives the loss of this machine, and no other clone can begin one. A remote that does
    not accept the lock causes a warning. A release that is *published* and has all its tags on the remote is done and
    needs no lock. Raises Refusal RK-RELEASE-ELSEWHERE, RK-RELEASE-TAKEN-OVER.
    """
    own_lock = write_lock_commit(repo, release.plan, manifest)
    repo.save_ref(manifest.release, own_lock)
    if not release.settings.push:
        return manifest
    remote = release.settings.remote
    lock_ref = read_lock_ref(repo, remote)
    is_free = lock_ref == NO_REF
    if is_free and manifest.held:
        message = f"{remote} is no longer locked for {release.plan.title} of this clone"
        raise Refusal(ErrorCode.RELEASE_TAKEN_OVER, message, f"{LOCK_REF} of {remote}")
    is_done = is_free and published and _is_tagged(release, repo.ls_remote(remote))
    if is_done:
        return manifest
    if lock_ref.object != own_lock:
        _refuse_others(repo, remote, manifest, lock_ref)
        if not _push_lock(repo, remote, own_lock, lock_ref):
            return manifest
        if not manifest.held:
            _refuse_stale(release, repo, own_lock)
    return manifest.model_copy(update={"held": own_lock})


def _is_tagged(release: ReleaseContext, remote_refs: Mapping[str, Ref]) -> bool:
    return not _not_at_release(release, remote_refs, _tag_refs(release.plan.all_tags))


def _tag_refs(tags: Iterable[str]) -> list[str]:
    return [f"{TAGS}{name}" for name in tags]


def _not_at_release(
    release: ReleaseContext, refs: Mapping[str, Ref], names: Iterable[str]
) -> list[str]:
    """Return those of *names* that do not lead to the release commit, or are not among *refs*."""
    return [name for name in names if refs.get(name, NO_REF).commit != release.commit]


def _refuse_others(repo: Repo, remote: str, manifest: ReleaseManifest, lock_ref: Ref) -> None:
    is_free_or_ours = lock_ref.object in ("", manifest.held)
    if is_free_or_ours:
        return
    remote_lock = fetch_remote_lock(repo, remote)
    if remote_lock is None:
        return
    if remote_lock.belongs_to(manifest):
        return  # the lock is from this run, which was killed here
    if manifest.held:
        message = f"{takeover_message(remote_lock.manifest, manifest)} by {remote_lock.manifest}"
        raise Refusal(ErrorCode.RELEASE_TAKEN_OVER, message, f"{LOCK_REF} of {remote}")
    raise remote_lock.conflict_error(remote)


def takeover_message(theirs: ReleaseManifest, ours: ReleaseManifest) -> str:
    """Return what another clone has done that took away the remote lock of our release."""
    return (
        "this release was taken over"
        if theirs.release == ours.release
        else "another release was begun"
    )


def _refuse_stale(release: ReleaseContext, repo: Repo, own_lock: str) -> None:
    """Refuse a release that another clone has begun and ended since this clone last read the remote.

    The remote is read now, because from now on the lock keeps others out.
    """
    remote = release.settings.remote
    remote_refs = repo.ls_remote(remote)
    not_at_release = _not_at_release(release, remote_refs, _tag_refs(release.plan.all_tags))
    taken = pick(not_at_release, remote_refs)
    if taken:
        repo.delete_remote_refs(remote, {LOCK_REF: own_lock})
        tag_name = taken[0].removeprefix(TAGS)
        message = f"another clone has made this release in the meantime: {remote} has {tag_name}"
        hint = "Run `git pull --tags`, then run again: the new plan has what is left."
        raise Refusal(ErrorCode.RELEASE_ELSEWHERE, message, remote, hint)


def _push_lock(repo: Repo, remote: str, own_lock: str, lock_ref: Ref) -> bool:
    """Push *own_lock* in place of *lock_ref*; returns whether *remote* has it now.

    A refused push is tried again, because another clone may be pushing its lock at this moment: git refuses the second
    push at once, and shows the lock of the first only later.
    """
    refusal = _try_lock(repo, remote, own_lock, lock_ref)
    for _ in range(_LOCK_RETRIES):
        if refusal is None:
            break
        time.sleep(_LOCK_RETRY_DELAY)
        refusal = _try_lock(repo, remote, own_lock, lock_ref)
    if refusal is not None:
        _warn_not_held(refusal, remote)
    return refusal is None


_LOCK_RETRIES = 3
_LOCK_RETRY_DELAY = 0.5
"""Seconds; git writes a reference in far less."""


def _try_lock(repo: Repo, remote: str, own_lock: str, lock_ref: Ref) -> ReleaseError | None:
    """Push *own_lock* once; returns the error if *remote* does not have it now, and no other lock either."""
    try:
        repo.push(remote, [f"{own_lock}:{LOCK_REF}"], leases={LOCK_REF: lock_ref.object})
    except ReleaseError as error:
        current = read_lock_ref(repo, remote)
        if current.object == own_lock:
            return None
        if current not in (NO_REF, lock_ref):  # another clone was faster
            repo.fetch_missing(remote, LOCK_REF, current.commit)
            raise read_lock_commit(repo, current.commit).conflict_error(remote) from None
        return error
    return None


def _warn_not_held(error: ReleaseError, remote: str) -> None:
    rejections = [line for line in error.output.splitlines() if "rejected" in line]
    reason = next(iter(rejections), error.message)
    log.warning("warning %s", ReleaseWarning(ErrorCode.RELEASE_NOT_HELD, reason.strip(), remote))


@flow_task("tag", "tag-{release.plan.title}", stage="announce")
def tag(release: ReleaseContext, repo: Repo, tags: Sequence[str]) -> None:
    """Make annotated *tags* on the release commit. Record before which of them belong to this release.

    They are made only now, for packages that are confirmed: a tag means that the package is published, so neither a
    crash nor somebody's `git push --tags` can make it wrong.
    """
    manifest = release.record.require_manifest()
    existing = repo.tag_refs()
    new_tags = drop(tags, existing)
    own_tags = tuple(dict.fromkeys([*manifest.tags, *new_tags]))
    if own_tags != manifest.tags:
        release.record.amend(tags=own_tags)
    for name in tags:
        repo.make_tag(
            name, release.commit, tag_message(release.plan, name, release.settings.tag_message)
        )


@flow_task(
    "push",
    "push-{release.plan.title}",
    stage="announce",
    retries=2,
    retry_delay_seconds=3,
    retry_condition_fn=retry_unless_rejected,
)
def push(release: ReleaseContext, repo: Repo, tags: Sequence[str], *, final: bool = False) -> None:
    """Push the release commit and *tags* by name, and read them back. The *final* push also removes the remote lock.

    GitHub starts no workflow for more than three tags in one push, so tags are pushed in groups; see `push_batches`.

    If the branch does not accept the commit, the tags are pushed alone: their packages are published. Raises
    ReleaseError RK-PUSH-REJECTED, and RK-BRANCH-MOVED if the branch there has new commits but not the release commit.
    """
    remote = release.settings.remote
    remote_refs = repo.ls_remote(remote)
    # Another clone may have pushed tags in the meantime, and the remote refuses another object of the same name.
    missing_tags = _not_at_release(release, remote_refs, _tag_refs(tags))
    branch = f"refs/heads/{release.branch}"
    branch_state = _branch_state(release, repo, remote_refs.get(branch, NO_REF))
    branch_refspecs = {branch: f"{release.commit}:{branch}"} if branch_state == "behind" else {}
    has_moved = branch_state == "moved"
    leases = _unlock_refspecs(release, remote_refs) if final and not has_moved else {}
    _push_in_groups(release, repo, missing_tags, [*branch_refspecs.values()], leases)
    missing = _not_at_release(release, repo.ls_remote(remote), [*missing_tags, *branch_refspecs])
    if missing:
        message = f"pushed, but not found on the remote: {', '.join(missing)}"
        raise ReleaseError(ErrorCode.PUSH_REJECTED, message, remote)
    if has_moved:
        message = f"{release.branch} on {remote} has new commits, but not the release commit {release.commit[:12]}"
        raise ReleaseError(ErrorCode.BRANCH_MOVED, message, remote)


def _push_in_groups(
    release: ReleaseContext,
    repo: Repo,
    tags: Sequence[str],
    branch_refspecs: Sequence[str],
    leases: Mapping[str, str],
) -> None:
    """Push *tags* by full name: *branch_refspecs* with the first group, and the removal of *leases* with the last."""
    remote = release.settings.remote
    umbrella = _refspecs(_tag_refs(release.plan.tags))
    groups = push_batches(_refspecs(tags), umbrella)
    first, *others = groups or [()]
    *earlier, last = [[*branch_refspecs, *first], *others]
    removals = [f":{name}" for name in leases]
    pushes = [*((refspecs, _NO_LEASES) for refspecs in earlier), ([*last, *removals], leases)]
    for refspecs, own_leases in pushes:
        try:
            if refspecs:
                repo.push(remote, refspecs, leases=own_leases)
        except ReleaseError as error:
            has_branch = refspecs[:1] == branch_refspecs
            is_branch_refused = has_branch and error.code is ErrorCode.PUSH_REJECTED
            if not is_branch_refused or not _push_tags_alone(repo, remote, groups):
                raise
            message = f"{release.branch} was refused; the tags were then pushed without it"
            raise ReleaseError(error.code, message, remote, output=error.output) from None


_NO_LEASES: Mapping[str, str] = MappingProxyType({})


def _refspecs(names: Iterable[str]) -> list[str]:
    return [f"{name}:{name}" for name in names]


def _push_tags_alone(repo: Repo, remote: str, groups: Sequence[Sequence[str]]) -> bool:
    """Push the tags without the branch: their packages are published. Return whether there are any, all accepted."""
    with suppress(ReleaseError):
        for refspecs in groups:
            repo.push(remote, refspecs)
        return bool(groups)
    return False


def _branch_state(
    release: ReleaseContext, repo: Repo, branch_ref: Ref
) -> Literal["complete", "behind", "moved"]:
    """Return whether the release's branch on the remote has the release commit, or can be fast-forwarded to it."""
    remote, branch = release.settings.remote, f"refs/heads/{release.branch}"
    if not release.branch:
        return "complete"
    if branch_ref == NO_REF:
        return "behind"
    repo.fetch_missing(remote, branch, branch_ref.commit)
    if repo.contains(branch_ref.commit, release.commit):
        is_known = repo.remote_branch_contains(remote, release.commit, release.branch)
        if not is_known:  # a killed push has not updated the remote-tracking branch
            repo.fetch(remote, branch)
        return "complete"
    return "behind" if repo.contains(release.commit, branch_ref.commit) else "moved"


def _unlock_refspecs(release: ReleaseContext, remote_refs: Mapping[str, Ref]) -> dict[str, str]:
    """Return this release's lock on the remote, and delete it from the record: from here on it may be gone."""
    lock_object = release.record.require_manifest().held
    if not lock_object:
        return {}
    release.record.amend(held="")
    is_locked = remote_refs.get(LOCK_REF, NO_REF).object == lock_object
    return {LOCK_REF: lock_object} if is_locked else {}


@flow_task("let-go", "let-go-{release.plan.title}", stage="announce")
def release_remote_lock(release: ReleaseContext, repo: Repo) -> None:
    """Remove the remote lock although this run pushes nothing: an earlier run that did push has acquired it."""
    if not release.record.require_manifest().held:
        return
    remote = release.settings.remote
    leases = _unlock_refspecs(release, repo.ls_remote(remote, LOCK_REF))
    repo.delete_remote_refs(remote, leases)


def retry_if_unreachable(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether a failed request to the forge is tried again: only if the forge did not answer."""
    error = exception_of(state)
    return isinstance(error, ReleaseError) and error.code is ErrorCode.FORGE_UNREACHABLE


@flow_task(
    "release",
    "release-{release.plan.title}",
    stage="announce",
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=retry_if_unreachable,
)
async def create_forge_release(release: ReleaseContext, repo: Repo) -> tuple[str, tuple[str, ...]]:
    """Create or update the release on the forge, at the tag that names it; returns its page, and remarks.

    Without a forge, or a token that may write, the page is empty and a remark says why, unless a forge is required.
    Raises ReleaseError RK-FORGE-…, RK-NOTES-TEMPLATE.
    """
    try:
        return await _publish_on_forge(release, repo)
    except ReleaseError as error:
        if release.settings.stops_at(error):
            raise
        if release.settings.expects_no_forge(error):
            return "", ()
        return "", (f"no release on the forge: {error}",)


async def _publish_on_forge(release: ReleaseContext, repo: Repo) -> tuple[str, tuple[str, ...]]:
    plan, settings = release.plan, release.settings
    async with connect_forge(repo.address(settings.remote), settings, release.uv.secrets) as forge:
        await forge.check_access()
        body, _, remarks = await _render_notes(release, repo, forge)
        forge_release = await forge.create_release(
            tag=plan.title,
            commit=release.commit,
            title=plan.title,
            body=body,
            prerelease=_is_prerelease(plan),
        )
        forge_release = await _update_text(forge, forge_release, plan.title, body)
        remarks += await _attach_files(release, forge, forge_release)
        promoted = await forge.promote(forge_release)
        return promoted.url, remarks


async def _attach_files(
    release: ReleaseContext, forge: Forge, forge_release: ForgeRelease
) -> tuple[str, ...]:
    """Attach the sha256 of all files, and the SBOMs, to *forge_release*, unless it has them.

    Returns a remark for each that is refused.
    """
    manifest = release.record.manifest()
    if manifest is None:
        return ()
    texts = {SUMS: sums_text(manifest)} | _read_sboms(release.record, manifest)
    missing = drop_keys(texts, forge_release.assets)
    remarks = [
        await _attach_file(forge, forge_release, name, text) for name, text in missing.items()
    ]
    return tuple(filter(None, remarks))


async def _attach_file(forge: Forge, forge_release: ForgeRelease, name: str, text: str) -> str:
    """Attach the file *name* to *forge_release*; returns a remark if that is refused, or else nothing."""
    try:
        await forge.upload_asset(forge_release, name, text.encode())
    except ReleaseError as error:
        if error.code is ErrorCode.FORGE_UNREACHABLE:
            raise
        return f"{name} is not attached to the release: {error}"
    return ""


def _read_sboms(record: Record, manifest: ReleaseManifest) -> dict[str, str]:
    """Return the SBOMs on record, by name."""
    paths = {
        name: record.dist(package.name) / name
        for package in manifest.packages
        for name in sbom_names(package)
    }
    texts = {name: read_text_if_exists(path) for name, path in paths.items()}
    return drop_empty(texts)


async def _update_text(
    forge: Forge, forge_release: ForgeRelease, title: str, body: str
) -> ForgeRelease:
    """Return *forge_release* with *title* and *body*, updated only if it has others."""
    if (forge_release.title, forge_release.body) == (title, body):
        return forge_release
    return await forge.update_release(forge_release, title=title, body=body)


@flow_task("draft", "draft-{release.plan.title}", stage="announce")
async def create_draft(
    release: ReleaseContext, repo: Repo, forge: Forge, manifest: ReleaseManifest
) -> ForgeRelease:
    """Make the release on the forge as a draft that contains the exported *manifest*.

    A release that is announced already stays unchanged.
    """
    plan = release.plan
    notes, link, _ = await _render_notes(release, repo, forge)
    body = draft_release_body(notes, forge.body_limit, link)
    forge_release = await forge.create_release(
        tag=plan.title,
        commit=release.commit,
        title=plan.title,
        body=body,
        draft=True,
        prerelease=_is_prerelease(plan),
    )
    if forge_release.draft:
        forge_release = await _update_text(forge, forge_release, plan.title, body)
        await forge.upload_asset(forge_release, MANIFEST, manifest_text(manifest).encode())
    return forge_release


@flow_task("dispatch", "dispatch-{release.plan.title}", stage="announce")
async def dispatch_workflow(release: ReleaseContext, forge: Forge) -> None:
    """Start the workflow that publishes, on the tag that names the release, so that it checks out the merged commit.

    Raises ReleaseError RK-FORGE-….
    """
    workflow, title = release.settings.publish_workflow, release.plan.title
    try:
        await forge.dispatch(workflow, title, {"release": title})
    except ReleaseError as error:
        hint = f"Make sure that a workflow {workflow} has the input `release` and the token may start it. Run again."
        raise ReleaseError(error.code, error.message, error.location, hint, error.output) from None


def _is_prerelease(plan: Plan) -> bool:
    return all(step.version.is_prerelease for step in plan.steps)


async def _render_notes(
    release: ReleaseContext, repo: Repo, forge: Forge
) -> tuple[str, str, tuple[str, ...]]:
    """Return the release notes, the address of the full notes, and remarks; raises ReleaseError RK-NOTES-TEMPLATE."""
    plan, settings = release.plan, release.settings
    pull_requests = await _find_pull_requests(forge, plan)
    notes = gather_notes(
        plan=plan,
        repo=repo,
        tree=release.record.worktree,
        workspace=release.workspace,
        target=release.notes_target,
        settings=settings,
        pulls=pull_requests,
        commit=release.commit,
    )
    root = repo.top / release.workspace
    limit = forge.body_limit
    remarks: list[str] = []
    body = render_notes(notes, root, settings, limit)
    try:
        body = rewrite_notes(body, root, settings.notes_command, limit, notes.all)
    except ReleaseError as error:
        message = f"{error.message}; the notes stay as the template makes them"
        warning = ReleaseWarning(error.code, message, error.location)
        remarks.append(str(warning))
    return body, notes.all, tuple(remarks)


async def _find_pull_requests(forge: Forge, plan: Plan) -> dict[str, PullRequest]:
    try:
        return await forge.pull_requests_of(commits_in_notes(plan))
    except ReleaseError as error:
        log.info("the notes name no pull requests: %s", error)  # then they name the commits
        return {}


@flow_task("fast-forward", "fast-forward-{release.branch}", stage="announce")
def fast_forward(release: ReleaseContext, repo: Repo) -> bool:
    """Fast-forward the user's branch to the release commit if it has not moved; returns whether the branch has it.

    A release that was merged before it is published is always there, also if HEAD is detached, as in CI.
    """
    if repo.contains(repo.head, release.commit):
        return True
    return repo.branch == release.branch and repo.fast_forward(release.commit)
