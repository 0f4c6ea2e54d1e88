"""Hold, tags, push, forge and fast-forward: the release becomes visible, so far as it is out."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from releasekit.core.errors import Code, Refusal, ReleaseError, Warn
from releasekit.core.history.tags import in_pushes
from releasekit.core.release.release_manifest import manifest_text
from releasekit.formats.pr_text import draft_body
from releasekit.integrations.forge_factory import forge_of
from releasekit.integrations.git import RUNNING
from releasekit.integrations.notes_sources import commits_told, gather, rendered, rewritten
from releasekit.integrations.process import mask
from releasekit.store.record import MANIFEST
from releasekit.store.remote_lock import held_at, held_in, wrapped
from tasks.context import error_of
from tasks.decorators import lazy_task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prefect.client.schemas.objects import State, TaskRun
    from prefect.tasks import Task

    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_manifest import ReleaseManifest
    from releasekit.core.release.release_notes import Pull
    from releasekit.integrations.git import Ref, Repo
    from releasekit.integrations.protocols import Forge, ForgeRelease
    from tasks.context import Release

log = logging.getLogger("releasekit.announce")


def unless_rejected(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a failed push may be tried again: not when the remote has looked at it and said no."""
    error = error_of(state)
    return not (isinstance(error, ReleaseError) and (error.code is Code.BRANCH_MOVED or "rejected]" in error.output))


def record_index(release: Release, manifest: ReleaseManifest) -> ReleaseManifest:
    """Return *manifest* with the index that the release is about to go to, so that a rollback asks that one.

    An address that holds a secret of the environment, as a token in its path, is not put on record.
    """
    address = release.target.address
    holds_secret = any(mask(url) != url for url in (address.check_url, address.publish_url))
    return manifest if holds_secret else manifest.bound_for(address)


@lazy_task("hold", "hold-{release.plan.title}")
def hold(release: Release, repo: Repo, manifest: ReleaseManifest, *, out: bool = False) -> ReleaseManifest:
    """Let the remote hold the release before the first upload; returns the manifest with what it holds.

    From then on the release outlives this machine, and no other clone can begin one. A remote that takes no such
    reference is a warning. One that is *out*, and has all its tags there, is done and needs no hold.
    Raises Refusal RK-RELEASE-ELSEWHERE, RK-RELEASE-TAKEN-OVER.
    """
    mine = wrapped(repo, release.plan, manifest)
    repo.keep(manifest.release, mine)
    if not release.settings.push:
        return manifest
    remote = release.settings.remote
    there = repo.refs_at(remote, RUNNING).get(RUNNING)
    if there is None and not manifest.held and out and _is_tagged(release, repo.refs_at(remote)):
        return manifest
    if there is None and manifest.held:
        what = f"{remote} holds {release.plan.title} for this clone no longer"
        raise Refusal(Code.RELEASE_TAKEN_OVER, what, f"{RUNNING} of {remote}")
    if there is None or there.object != mine:
        _refuse_others(repo, remote, manifest, there)
        if not _take(repo, remote, mine, there):
            return manifest
        if not manifest.held:
            _refuse_stale(release, repo, mine)
    return manifest.model_copy(update={"held": mine})


def _is_tagged(release: Release, there: Mapping[str, Ref]) -> bool:
    return all(_commit(there, f"{_TAGS}{name}") == release.commit for name in release.plan.all_tags)


def _refuse_others(repo: Repo, remote: str, manifest: ReleaseManifest, there: Ref | None) -> None:
    if there is None or there.object == manifest.held:
        return
    held = held_at(repo, remote)
    if held and held.manifest.holder() != manifest.holder():  # else it is from this very run, killed at this point
        if manifest.held:
            what = f"{release_of(held.manifest, manifest)} by {held.manifest}"
            raise Refusal(Code.RELEASE_TAKEN_OVER, what, f"{RUNNING} of {remote}")
        raise held.elsewhere(remote)


def release_of(theirs: ReleaseManifest, ours: ReleaseManifest) -> str:
    """Say what another clone has done with the remote's hold on a release of ours."""
    return "this release was taken over" if theirs.release == ours.release else "another release was begun"


def _refuse_stale(release: Release, repo: Repo, mine: str) -> None:
    """Refuse a release that another clone has made from its first step to its last since we looked.

    It is looked at now, for from now on nobody else can.
    """
    remote = release.settings.remote
    there = repo.refs_at(remote)
    taken = [name for name in release.plan.all_tags if _commit(there, f"{_TAGS}{name}") not in ("", release.commit)]
    if taken:
        repo.push(remote, [f":{RUNNING}"], leases={RUNNING: mine})
        what = f"another clone has made this release meanwhile: {remote} has {taken[0]}"
        raise Refusal(
            Code.RELEASE_ELSEWHERE, what, remote, "`git pull --tags`, then run again: what is left is planned."
        )


def _take(repo: Repo, remote: str, mine: str, there: Ref | None) -> bool:
    """Tell whether *remote* holds *mine* now."""
    lease = {RUNNING: there.object if there else ""}
    try:
        repo.push(remote, [f"{mine}:{RUNNING}"], leases=lease)
    except ReleaseError as error:
        now = repo.refs_at(remote, RUNNING).get(RUNNING)  # who was faster?
        if now and now.object != mine and now != there:
            if not repo.has(now.commit):
                repo.fetch(remote, RUNNING)
            raise held_in(repo, now.commit).elsewhere(remote) from None
        if now is None or now.object != mine:
            said = next((line for line in error.output.splitlines() if "rejected" in line), error.what)
            log.warning("warning %s", Warn(Code.RELEASE_NOT_HELD, said.strip(), remote))
            return False
    return True


@lazy_task("tag", "tag-{release.plan.title}")
def tag(release: Release, repo: Repo, tags: Sequence[str]) -> None:
    """Make annotated *tags* on the release commit, and put on record first which of them are this release's own.

    Made only now, for packages that are confirmed: a tag that is there means that the package is out, so that
    neither a crash nor somebody's `git push --tags` can make it a lie.
    """
    manifest, there = release.record.require_manifest(), repo.tag_refs()
    own = dict.fromkeys([*manifest.tags, *(name for name in tags if name not in there)])
    if tuple(own) != manifest.tags:
        release.record.amend(tags=tuple(own))
    for name in tags:
        repo.make_tag(name, release.commit)


@lazy_task(
    "push",
    "push-{release.plan.title}",
    retries=2,
    retry_delay_seconds=3,
    retry_condition_fn=unless_rejected,
)
def push(release: Release, repo: Repo, tags: Sequence[str], *, ended: bool = False) -> None:
    """Push the release commit and *tags* by name, and read them back; with the last push the remote holds it no more.

    More than three tags in one push would start no workflow on GitHub, so they go in groups; see `in_pushes`.

    Where the branch does not take the commit the tags go alone: what they name is out. Raises ReleaseError
    RK-PUSH-REJECTED, and RK-BRANCH-MOVED if the branch has moved on there without the release commit.
    """
    remote = release.settings.remote
    branch = f"refs/heads/{release.branch}" if release.branch else ""
    there = repo.refs_at(remote)
    sources = {f"{_TAGS}{name}": f"{_TAGS}{name}" for name in tags}
    # What another clone has tagged or merged meanwhile is there, and another object of that name would be refused.
    wanted = {name: source for name, source in sources.items() if _commit(there, name) != release.commit}
    moved = False
    if branch and not (has := _has_release(release, repo, remote, branch, there.get(branch))):
        moved = has is None
        wanted |= {} if moved else {branch: release.commit}
    leases = _letting_go(release, there) if ended and not moved else {}
    _push_in_groups(release, repo, wanted, branch, leases)
    there = repo.refs_at(remote)
    astray = [name for name in wanted if _commit(there, name) != release.commit]
    if astray:
        raise ReleaseError(Code.PUSH_REJECTED, f"pushed, but not found there: {', '.join(astray)}", remote)
    if moved:
        what = f"{release.branch} on {remote} has moved on, without the release commit {release.commit[:12]}"
        raise ReleaseError(Code.BRANCH_MOVED, what, remote)


def _push_in_groups(
    release: Release, repo: Repo, wanted: Mapping[str, str], branch: str, leases: Mapping[str, str]
) -> None:
    """Push what is *wanted* (source by name), the branch with the first group and what is let go of with the last."""
    remote = release.settings.remote
    tags = [name.removeprefix(_TAGS) for name in wanted if name != branch]
    groups = [[f"{_TAGS}{name}" for name in group] for group in in_pushes(tags, release.plan.tags)]
    pushes = [[branch, *group] if branch in wanted and not n else group for n, group in enumerate(groups or [[]])]
    for n, names in enumerate(pushes):
        letting = leases if n == len(pushes) - 1 else dict[str, str]()
        refspecs = [*(f"{wanted[name]}:{name}" for name in names), *(f":{name}" for name in letting)]
        try:
            if refspecs:
                repo.push(remote, refspecs, leases=letting)
        except ReleaseError as error:
            if branch not in names or error.code is not Code.PUSH_REJECTED or not _take_alone(repo, remote, groups):
                raise
            what = f"{release.branch} was refused; the tags were then pushed without it"
            raise ReleaseError(error.code, what, remote, output=error.output) from None


def _take_alone(repo: Repo, remote: str, groups: Sequence[Sequence[str]]) -> bool:
    """Push the tags without the branch, for what they name is out; tells whether there are any, and all are taken."""
    with suppress(ReleaseError):
        for group in groups:
            repo.push(remote, [f"{name}:{name}" for name in group])
        return bool(groups)
    return False


_TAGS = "refs/tags/"


def _commit(refs: Mapping[str, Ref], name: str) -> str:
    return refs[name].commit if name in refs else ""


def _has_release(release: Release, repo: Repo, remote: str, branch: str, there: Ref | None) -> bool | None:
    """Tell whether *branch* of *remote* holds the release commit; None if it cannot simply step forward to it."""
    if there is None:
        return False
    if not repo.has(there.commit):
        repo.fetch(remote, branch)
    if repo.contains(there.commit, release.commit):
        if not repo.is_at(remote, release.commit, release.branch):  # a push that was killed has not noted its success
            repo.fetch(remote, branch)
        return True
    return False if repo.contains(release.commit, there.commit) else None


def _letting_go(release: Release, there: Mapping[str, Ref]) -> dict[str, str]:
    """Return what the remote still holds for this release, and forget that it does: from here on it may be gone."""
    held = release.record.require_manifest().held
    if held:
        release.record.amend(held="")
    return {RUNNING: held} if held and RUNNING in there and there[RUNNING].object == held else {}


@lazy_task("let-go", "let-go-{release.plan.title}")
def let_go(release: Release, repo: Repo) -> None:
    """Let the remote hold the release no more, though nothing is pushed: it was held in a run that did push."""
    remote = release.settings.remote
    if release.record.require_manifest().held and (leases := _letting_go(release, repo.refs_at(remote, RUNNING))):
        repo.push(remote, [f":{name}" for name in leases], leases=leases)


def unless_refused(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether what the forge did not do may be tried again: only if it did not answer."""
    error = error_of(state)
    return isinstance(error, ReleaseError) and error.code is Code.FORGE_UNREACHABLE


@lazy_task(
    "release",
    "release-{release.plan.title}",
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=unless_refused,
)
async def on_forge(release: Release, repo: Repo) -> tuple[str, tuple[str, ...]]:
    """Make the release of the umbrella tag on the forge, or bring it up to date; returns its page, and remarks.

    Without a forge, or a token that may write, there is no page and a remark that says why, unless a forge is required.
    Raises ReleaseError RK-FORGE-…, RK-NOTES-TEMPLATE.
    """
    try:
        return await _released(release, repo)
    except ReleaseError as error:
        if release.settings.stops_at(error):
            raise
        return "", () if release.settings.expects_no_forge(error) else (f"no release on the forge: {error}",)


async def _released(release: Release, repo: Repo) -> tuple[str, tuple[str, ...]]:
    plan, settings = release.plan, release.settings
    async with forge_of(repo.address(settings.remote), settings, release.uv.secrets) as forge:
        await forge.check_access()
        body, _, remarks = await _told(release, repo, forge)
        early = _is_early(plan)
        made = await forge.create_release(plan.title, release.commit, plan.title, body, prerelease=early)
        if (made.title, made.body) != (plan.title, body):
            made = await forge.update_release(made, title=plan.title, body=body)
        return (await forge.promote(made)).page, remarks


@lazy_task("draft", "draft-{release.plan.title}")
async def draft(release: Release, repo: Repo, forge: Forge, manifest: ReleaseManifest) -> ForgeRelease:
    """Make the release of the umbrella tag as a draft that holds the exported *manifest*.

    One that is announced already stays as it is.
    """
    plan = release.plan
    told, link, _ = await _told(release, repo, forge)
    body = draft_body(told, forge.body_limit, link)
    made = await forge.create_release(
        plan.title, release.commit, plan.title, body, draft=True, prerelease=_is_early(plan)
    )
    if made.draft:
        if (made.title, made.body) != (plan.title, body):
            made = await forge.update_release(made, title=plan.title, body=body)
        await forge.upload_asset(made, MANIFEST, manifest_text(manifest).encode())
    return made


@lazy_task("dispatch", "dispatch-{release.plan.title}")
async def dispatch(release: Release, forge: Forge) -> None:
    """Start the workflow that publishes, on the umbrella tag: so it is the merged commit that it checks out.

    Raises ReleaseError RK-FORGE-….
    """
    workflow, title = release.settings.publish_workflow, release.plan.title
    try:
        await forge.dispatch(workflow, title, {"release": title})
    except ReleaseError as error:
        hint = f"See that there is a workflow {workflow} with the input `release` that the token may start; run again."
        raise ReleaseError(error.code, error.what, error.where, hint, error.output) from None


def _is_early(plan: Plan) -> bool:
    return all(step.version.is_prerelease for step in plan.steps)


async def _told(release: Release, repo: Repo, forge: Forge) -> tuple[str, str, tuple[str, ...]]:
    """Return the release notes, where all of them stand, and remarks; raises ReleaseError RK-NOTES-TEMPLATE."""
    plan, settings = release.plan, release.settings
    pulls = await _pulls(forge, plan)
    tree, place = release.record.worktree, release.workspace
    notes = gather(plan, repo, tree, place, release.target, settings, pulls=pulls, commit=release.commit)
    root, limit, remarks = repo.top / place, forge.body_limit, list[str]()
    body = rendered(notes, root, settings, limit)
    try:
        body = rewritten(body, root, settings.notes_command, limit, notes.all)
    except ReleaseError as error:
        remarks = [str(Warn(error.code, f"{error.what}; the notes are as the template has them", error.where))]
    return body, notes.all, tuple(remarks)


async def _pulls(forge: Forge, plan: Plan) -> dict[str, Pull]:
    try:
        return await forge.pulls_of(commits_told(plan))
    except ReleaseError as error:
        log.info("the notes name no pull requests: %s", error)  # they name the commits then
        return {}


@lazy_task("fast-forward", "fast-forward-{release.branch}")
def fast_forward(release: Release, repo: Repo) -> bool:
    """Bring the user's branch to the release commit if it has not moved since; tells whether it is there.

    One that was merged before it is published is there in any case, also where HEAD is detached, as in a CI.
    """
    if repo.contains(repo.head, release.commit):
        return True
    return repo.branch == release.branch and repo.fast_forward(release.commit)
