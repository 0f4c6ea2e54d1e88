"""Steps that make a release visible: lock the remote, tag, push, release on the forge, and fast-forward."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, ReleaseWarning
from releasekit.core.history.tags import push_batches
from releasekit.core.release.release_manifest import manifest_text
from releasekit.formats.pr_text import draft_release_body
from releasekit.integrations.forge_factory import connect_forge
from releasekit.integrations.git import LOCK_REF
from releasekit.integrations.notes_sources import commits_in_notes, gather_notes, render_notes, rewrite_notes
from releasekit.integrations.process import mask
from releasekit.store.record import MANIFEST
from releasekit.store.remote_lock import fetch_remote_lock, read_lock_commit, write_lock_commit
from tasks.context import exception_of
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prefect.client.schemas.objects import State, TaskRun
    from prefect.tasks import Task

    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_manifest import ReleaseManifest
    from releasekit.core.release.release_notes import PullRequest
    from releasekit.integrations.git import Ref, Repo
    from releasekit.integrations.protocols import Forge, ForgeRelease
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
    """Return *manifest* with the index that the release is about to be published to, so that a rollback asks it.

    An address that contains a secret of the environment, such as a token in its path, is not recorded.
    """
    address = release.target.address
    holds_secret = any(mask(url) != url for url in (address.check_url, address.publish_url))
    return manifest if holds_secret else manifest.with_index(address)


@flow_task("hold", "hold-{release.plan.title}")
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
    lock_ref = repo.ls_remote(remote, LOCK_REF).get(LOCK_REF)
    if lock_ref is None and manifest.held:
        message = f"{remote} is no longer locked for {release.plan.title} of this clone"
        raise Refusal(ErrorCode.RELEASE_TAKEN_OVER, message, f"{LOCK_REF} of {remote}")
    if lock_ref is None and published and _is_tagged(release, repo.ls_remote(remote)):
        return manifest
    if lock_ref is None or lock_ref.object != own_lock:
        _refuse_others(repo, remote, manifest, lock_ref)
        if not _push_lock(repo, remote, own_lock, lock_ref):
            return manifest
        if not manifest.held:
            _refuse_stale(release, repo, own_lock)
    return manifest.model_copy(update={"held": own_lock})


def _is_tagged(release: ReleaseContext, remote_refs: Mapping[str, Ref]) -> bool:
    return all(_commit(remote_refs, f"{_TAGS}{name}") == release.commit for name in release.plan.all_tags)


def _refuse_others(repo: Repo, remote: str, manifest: ReleaseManifest, lock_ref: Ref | None) -> None:
    if lock_ref is None or lock_ref.object == manifest.held:
        return
    remote_lock = fetch_remote_lock(repo, remote)
    if remote_lock is None:
        return
    if remote_lock.manifest.lock_identity() == manifest.lock_identity():
        return  # the lock is from this run, which was killed here
    if manifest.held:
        message = f"{takeover_message(remote_lock.manifest, manifest)} by {remote_lock.manifest}"
        raise Refusal(ErrorCode.RELEASE_TAKEN_OVER, message, f"{LOCK_REF} of {remote}")
    raise remote_lock.conflict_error(remote)


def takeover_message(theirs: ReleaseManifest, ours: ReleaseManifest) -> str:
    """Return what another clone has done that took away the remote lock of our release."""
    return "this release was taken over" if theirs.release == ours.release else "another release was begun"


def _refuse_stale(release: ReleaseContext, repo: Repo, own_lock: str) -> None:
    """Refuse a release that another clone has begun and ended since this clone last read the remote.

    The remote is read now, because from now on the lock keeps others out.
    """
    remote = release.settings.remote
    remote_refs = repo.ls_remote(remote)
    commits = {name: _commit(remote_refs, f"{_TAGS}{name}") for name in release.plan.all_tags}
    taken = [name for name, commit in commits.items() if commit not in ("", release.commit)]
    if taken:
        repo.push(remote, [f":{LOCK_REF}"], leases={LOCK_REF: own_lock})
        message = f"another clone has made this release in the meantime: {remote} has {taken[0]}"
        hint = "Run `git pull --tags`, then run again: the new plan has what is left."
        raise Refusal(ErrorCode.RELEASE_ELSEWHERE, message, remote, hint)


def _push_lock(repo: Repo, remote: str, own_lock: str, lock_ref: Ref | None) -> bool:
    """Push *own_lock* in place of *lock_ref*; returns whether *remote* has it now."""
    lease = {LOCK_REF: lock_ref.object if lock_ref else ""}
    try:
        repo.push(remote, [f"{own_lock}:{LOCK_REF}"], leases=lease)
    except ReleaseError as error:
        current = repo.ls_remote(remote, LOCK_REF).get(LOCK_REF)  # another clone may have been faster
        if current and current.object == own_lock:
            return True
        if current and current != lock_ref:
            if not repo.has_commit(current.commit):
                repo.fetch(remote, LOCK_REF)
            raise read_lock_commit(repo, current.commit).conflict_error(remote) from None
        reason = next((line for line in error.output.splitlines() if "rejected" in line), error.message)
        log.warning("warning %s", ReleaseWarning(ErrorCode.RELEASE_NOT_HELD, reason.strip(), remote))
        return False
    return True


@flow_task("tag", "tag-{release.plan.title}")
def tag(release: ReleaseContext, repo: Repo, tags: Sequence[str]) -> None:
    """Make annotated *tags* on the release commit. Record before which of them belong to this release.

    They are made only now, for packages that are confirmed: a tag means that the package is published, so neither a
    crash nor somebody's `git push --tags` can make it wrong.
    """
    manifest, existing = release.record.require_manifest(), repo.tag_refs()
    own = dict.fromkeys([*manifest.tags, *(name for name in tags if name not in existing)])
    if tuple(own) != manifest.tags:
        release.record.amend(tags=tuple(own))
    for name in tags:
        repo.make_tag(name, release.commit)


@flow_task(
    "push",
    "push-{release.plan.title}",
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
    branch = f"refs/heads/{release.branch}" if release.branch else ""
    remote_refs = repo.ls_remote(remote)
    refs = [f"{_TAGS}{name}" for name in tags]
    # Another clone may have pushed tags in the meantime, and the remote refuses another object of the same name.
    wanted = {name: name for name in refs if _commit(remote_refs, name) != release.commit}
    has_release = _has_release(release, repo, remote, branch, remote_refs.get(branch)) if branch else True
    moved = has_release is None
    if has_release is False:
        wanted[branch] = release.commit
    leases = _unlock_refspecs(release, remote_refs) if final and not moved else {}
    _push_in_groups(release, repo, wanted, branch, leases)
    remote_refs = repo.ls_remote(remote)
    missing = [name for name in wanted if _commit(remote_refs, name) != release.commit]
    if missing:
        message = f"pushed, but not found on the remote: {', '.join(missing)}"
        raise ReleaseError(ErrorCode.PUSH_REJECTED, message, remote)
    if moved:
        message = f"{release.branch} on {remote} has new commits, but not the release commit {release.commit[:12]}"
        raise ReleaseError(ErrorCode.BRANCH_MOVED, message, remote)


def _push_in_groups(
    release: ReleaseContext, repo: Repo, wanted: Mapping[str, str], branch: str, leases: Mapping[str, str]
) -> None:
    """Push *wanted* (source by name): the branch with the first group, and the removal of *leases* with the last."""
    remote = release.settings.remote
    tags = [name.removeprefix(_TAGS) for name in wanted if name != branch]
    groups = [[f"{_TAGS}{name}" for name in group] for group in push_batches(tags, release.plan.tags)]
    pushes = [list(group) for group in groups] or [[]]
    if branch in wanted:
        pushes[0].insert(0, branch)
    for number, names in enumerate(pushes, 1):
        group_leases = leases if number == len(pushes) else dict[str, str]()
        refspecs = [f"{wanted[name]}:{name}" for name in names]
        refspecs += [f":{name}" for name in group_leases]
        if not refspecs:
            continue
        try:
            repo.push(remote, refspecs, leases=group_leases)
        except ReleaseError as error:
            is_branch_refused = branch in names and error.code is ErrorCode.PUSH_REJECTED
            if not is_branch_refused or not _push_tags_alone(repo, remote, groups):
                raise
            message = f"{release.branch} was refused; the tags were then pushed without it"
            raise ReleaseError(error.code, message, remote, output=error.output) from None


def _push_tags_alone(repo: Repo, remote: str, groups: Sequence[Sequence[str]]) -> bool:
    """Push the tags without the branch: their packages are published. Return whether there are any, all accepted."""
    with suppress(ReleaseError):
        for group in groups:
            repo.push(remote, [f"{name}:{name}" for name in group])
        return bool(groups)
    return False


_TAGS = "refs/tags/"


def _commit(refs: Mapping[str, Ref], name: str) -> str:
    return refs[name].commit if name in refs else ""


def _has_release(release: ReleaseContext, repo: Repo, remote: str, branch: str, branch_ref: Ref | None) -> bool | None:
    """Return whether *branch* of *remote* has the release commit; None if it cannot be fast-forwarded to it."""
    if branch_ref is None:
        return False
    if not repo.has_commit(branch_ref.commit):
        repo.fetch(remote, branch)
    if repo.contains(branch_ref.commit, release.commit):
        is_known = repo.remote_branch_contains(remote, release.commit, release.branch)
        if not is_known:  # a killed push has not updated the remote-tracking branch
            repo.fetch(remote, branch)
        return True
    return False if repo.contains(release.commit, branch_ref.commit) else None


def _unlock_refspecs(release: ReleaseContext, remote_refs: Mapping[str, Ref]) -> dict[str, str]:
    """Return this release's lock on the remote, and delete it from the record: from here on it may be gone."""
    lock_object = release.record.require_manifest().held
    if not lock_object:
        return {}
    release.record.amend(held="")
    lock_ref = remote_refs.get(LOCK_REF)
    is_locked = lock_ref is not None and lock_ref.object == lock_object
    return {LOCK_REF: lock_object} if is_locked else {}


@flow_task("let-go", "let-go-{release.plan.title}")
def release_remote_lock(release: ReleaseContext, repo: Repo) -> None:
    """Remove the remote lock although this run pushes nothing: an earlier run that did push has acquired it."""
    if not release.record.require_manifest().held:
        return
    remote = release.settings.remote
    leases = _unlock_refspecs(release, repo.ls_remote(remote, LOCK_REF))
    if leases:
        repo.push(remote, [f":{name}" for name in leases], leases=leases)


def retry_if_unreachable(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether a failed request to the forge is tried again: only if the forge did not answer."""
    error = exception_of(state)
    return isinstance(error, ReleaseError) and error.code is ErrorCode.FORGE_UNREACHABLE


@flow_task(
    "release",
    "release-{release.plan.title}",
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=retry_if_unreachable,
)
async def create_forge_release(release: ReleaseContext, repo: Repo) -> tuple[str, tuple[str, ...]]:
    """Create or update the release of the umbrella tag on the forge; returns its page, and remarks.

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
        return "", (f"no release on GitHub or GitLab: {error}",)


async def _publish_on_forge(release: ReleaseContext, repo: Repo) -> tuple[str, tuple[str, ...]]:
    plan, settings = release.plan, release.settings
    async with connect_forge(repo.address(settings.remote), settings, release.uv.secrets) as forge:
        await forge.check_access()
        body, _, remarks = await _render_notes(release, repo, forge)
        prerelease = _is_prerelease(plan)
        forge_release = await forge.create_release(plan.title, release.commit, plan.title, body, prerelease=prerelease)
        if (forge_release.title, forge_release.body) != (plan.title, body):
            forge_release = await forge.update_release(forge_release, title=plan.title, body=body)
        return (await forge.promote(forge_release)).url, remarks


@flow_task("draft", "draft-{release.plan.title}")
async def create_draft(release: ReleaseContext, repo: Repo, forge: Forge, manifest: ReleaseManifest) -> ForgeRelease:
    """Make the release of the umbrella tag as a draft that contains the exported *manifest*.

    A release that is announced already stays unchanged.
    """
    plan = release.plan
    notes, link, _ = await _render_notes(release, repo, forge)
    body = draft_release_body(notes, forge.body_limit, link)
    forge_release = await forge.create_release(
        plan.title, release.commit, plan.title, body, draft=True, prerelease=_is_prerelease(plan)
    )
    if forge_release.draft:
        if (forge_release.title, forge_release.body) != (plan.title, body):
            forge_release = await forge.update_release(forge_release, title=plan.title, body=body)
        await forge.upload_asset(forge_release, MANIFEST, manifest_text(manifest).encode())
    return forge_release


@flow_task("dispatch", "dispatch-{release.plan.title}")
async def dispatch_workflow(release: ReleaseContext, forge: Forge) -> None:
    """Start the workflow that publishes, on the umbrella tag, so that it checks out the merged commit.

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


async def _render_notes(release: ReleaseContext, repo: Repo, forge: Forge) -> tuple[str, str, tuple[str, ...]]:
    """Return the release notes, the address of the full notes, and remarks; raises ReleaseError RK-NOTES-TEMPLATE."""
    plan, settings = release.plan, release.settings
    pull_requests = await _find_pull_requests(forge, plan)
    tree, workspace = release.record.worktree, release.workspace
    notes = gather_notes(
        plan, repo, tree, workspace, release.target, settings, pulls=pull_requests, commit=release.commit
    )
    root, limit, remarks = repo.top / workspace, forge.body_limit, list[str]()
    body = render_notes(notes, root, settings, limit)
    try:
        body = rewrite_notes(body, root, settings.notes_command, limit, notes.all)
    except ReleaseError as error:
        remarks = [
            str(
                ReleaseWarning(
                    error.code, f"{error.message}; the notes stay as the template makes them", error.location
                )
            )
        ]
    return body, notes.all, tuple(remarks)


async def _find_pull_requests(forge: Forge, plan: Plan) -> dict[str, PullRequest]:
    try:
        return await forge.pull_requests_of(commits_in_notes(plan))
    except ReleaseError as error:
        log.info("the notes name no pull requests: %s", error)  # then they name the commits
        return {}


@flow_task("fast-forward", "fast-forward-{release.branch}")
def fast_forward(release: ReleaseContext, repo: Repo) -> bool:
    """Fast-forward the user's branch to the release commit if it has not moved; returns whether the branch has it.

    A release that was merged before it is published is always there, also if HEAD is detached, as in CI.
    """
    if repo.contains(repo.head, release.commit):
        return True
    return repo.branch == release.branch and repo.fast_forward(release.commit)
