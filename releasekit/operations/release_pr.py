"""The story of a release by pull request, with Prefect or without: proposed, found merged, tagged, handed on."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from releasekit.core.errors import Code, Refusal, nothing_changed
from releasekit.core.planning.make_plan import release_id
from releasekit.core.planning.model import Obstructed, distinct
from releasekit.core.release.pr_status import ReleasePull, left_for_later, next_development, outdated, pull_of
from releasekit.formats.pr_text import NEXT_TITLE, next_body
from releasekit.integrations.forge_factory import forge_of
from releasekit.integrations.git import RUNNING
from releasekit.operations.draft import at_hand, draft, open_project
from releasekit.operations.planning import compute_plan
from releasekit.options import Options
from releasekit.store.record import release_lock, scratch
from releasekit.store.remote_lock import held_in
from tasks import announce, pr_steps, read_history, read_workspace, release_commit
from tasks.context import Release
from tasks.preflight import collect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from packaging.version import Version

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import Forge, ForgeRelease
    from releasekit.options import PrepareOptions, PublishOptions
    from releasekit.store.record import Record
    from releasekit.store.remote_lock import Held
    from tasks.pr_steps import Merge, There
    from tasks.project import Project

log = logging.getLogger("releasekit")


@dataclass(frozen=True, slots=True)
class Scene:
    """What both phases work with: the workspace, its repository and forge, and what the remote has."""

    project: Project
    repo: Repo
    forge: Forge
    there: There
    options: Options = field(default_factory=Options)

    @property
    def settings(self) -> Settings:
        """The settings of the workspace."""
        return self.project.settings

    @property
    def place(self) -> str:
        """The workspace's place below the top of the repository."""
        return self.project.root.relative_to(self.repo.top).as_posix()

    def declared(self, names: Sequence[str], commit: str) -> dict[str, Version | None]:
        """Return the versions that packages declare in their files at *commit*."""
        known = {name: commit for name in names if name in self.project.workspace.members}
        return dict.fromkeys(names) | read_history.versions_at(self.repo, self.project, known)

    def release(self, plan: Plan, record: Record, branch: str = "", commit: str = "") -> Release:
        """Return what the steps of a release are given; it has a scratch *record*, for it is published elsewhere."""
        target, uv = read_workspace.target_of(self.project), self.project.uv
        return Release(plan, record, self.settings, target, uv, self.place, branch, commit)


@asynccontextmanager
async def opened(options: Options, project: Project, repo: Repo) -> AsyncGenerator[Scene]:
    """Open the forge, without which there are no pull requests, and look at the remote.

    Raises Refusal RK-FORGE-…, and as `look` does.
    """
    settings = project.settings
    async with AsyncExitStack() as stack:
        with nothing_changed():
            address = repo.address(settings.remote)
            forge = await stack.enter_async_context(forge_of(address, settings, project.uv.secrets))
            await forge.check_access()
        yield Scene(project, repo, forge, pr_steps.look(repo, settings, pr_steps.base_of(repo, settings)), options)


# ---- phase 1: `prepare` ---------------------------------------------------------------------------------------------


async def propose(options: PrepareOptions) -> ReleasePull:
    """Make the release pull request, or bring it up to date; where nothing is to be released it is closed.

    While an earlier release is merged and not out yet nothing is done but to say so.
    """
    with ExitStack() as stack:
        options = stack.enter_context(at_hand(options, keep=not options.dry_run))
        project, repo = open_project(options)
        stack.enter_context(release_lock(repo.common_dir))
        async with opened(options, project, repo) as scene:
            if way := await in_the_way(scene):
                return way
            plan = await plan_to_propose(scene)
            if options.dry_run:
                return pull_of("open" if plan.steps else "none", plan.headline, plan)
            if plan.obstacles:
                raise Obstructed(plan)
            return await (proposed(scene, plan) if plan.steps else withdrawn(scene, plan))


async def plan_to_propose(scene: Scene) -> Plan:
    """Return the plan, with what keeps a pull request from being made of it among its obstacles."""
    there, settings = scene.there, scene.settings
    unfit = collect(pr_steps.unfit(scene.repo, settings, there))
    plan = (await compute_plan(scene.options, scene.project, scene.repo)).plan
    taken = collect(pr_steps.released_elsewhere(plan, settings, there, scene.repo.tags()))
    obstacles = distinct((*unfit.obstacles, *plan.obstacles, *taken.obstacles))
    return plan.model_copy(update={"obstacles": obstacles})


async def in_the_way(scene: Scene) -> ReleasePull | None:
    """Return the release that has to end, or the pull request that is newer, before another one is proposed."""
    there, repo = scene.there, scene.repo
    if RUNNING in there.refs:
        running = under_way(scene)
        return pull_of("running", f"{running.plan.title} is being released by {running.manifest}", running.plan)
    if waiting := await pr_steps.find_draft(scene.forge):
        return waits(waiting)
    if there.held is None:
        return None
    plan = there.held.plan
    merge = await pr_steps.find_merge(repo, scene.forge, scene.settings, there, scene.declared)
    if merge and not (await landed(scene, merge))[0]:  # else it can not be released any more: there has to be another
        what = f"{plan.title} is merged, and `publish --publish-from=ci` comes first"
        return pull_of("merged", what, plan).model_copy(update={"page": merge.page, "commit": merge.commit})
    if not merge and there.is_ours and plan.commit != repo.head and repo.contains(plan.commit, repo.head):
        return pull_of("open", "the release pull request is of a later commit already", plan)
    return None


def under_way(scene: Scene) -> Held:
    """Return the release that the remote holds: somebody is uploading it."""
    there, repo = scene.there, scene.repo
    if not repo.has(there.refs[RUNNING].commit):
        repo.fetch(scene.settings.remote, RUNNING)
    return held_in(repo, there.refs[RUNNING].commit)


def waits(draft: ForgeRelease) -> ReleasePull:
    """Return how a release stands that is tagged, and not published yet."""
    what = f"{draft.tag} is tagged, and waits to be published"
    return ReleasePull(stage="draft", what=what, title=draft.tag, page=draft.page)


async def proposed(scene: Scene, plan: Plan) -> ReleasePull:
    """Return the pull request of *plan*; nothing is made anew if it is of the same commit and versions."""
    held = scene.there.held
    same = held is not None and scene.there.is_ours and held.plan.release == plan.release
    if held and same:
        plan, commit = held.plan, held.manifest.release_commit  # with its date, and the warnings that it was shown with
    else:
        commit = made(scene, plan)
    found = await pr_steps.open_pull(scene.forge, plan, scene.settings, scene.there.base)
    what = f"#{found.number} releases {plan.title} when it is merged"
    told = {"page": found.page, "commit": commit, "changed": not same}
    return pull_of("open", what, plan).model_copy(update=told)


def made(scene: Scene, plan: Plan, message: str = "") -> str:
    """Make the release commit of *plan* in a scratch work tree, and push it as the pull request's branch."""
    repo = scene.repo
    with scratch(repo, plan.release) as record:
        release = release_commit.check_out(scene.release(plan, record, scene.there.base), repo)
        written = [*release_commit.write_versions(release), *release_commit.raise_requirements(release)]
        written += [*release_commit.write_changelogs(release, repo), *release_commit.lock(release, repo)]
        release = release_commit.commit(release, repo, written, message)
        pr_steps.push_branch(release, repo, scene.there)
    return release.commit


async def withdrawn(scene: Scene, plan: Plan) -> ReleasePull:
    """Close a pull request that has nothing left to release."""
    closed = await pr_steps.close_pull(scene.forge, scene.repo, scene.settings, scene.there)
    what = f"{plan.headline}; #{closed.number} is closed" if closed else plan.headline
    return pull_of("none", what, plan).model_copy(update={"changed": bool(closed)})


# ---- phase 2: `publish --publish-from=ci` ---------------------------------------------------------------------------


async def hand_on(options: PublishOptions, project: Project, repo: Repo) -> ReleasePull:
    """Tag the commit that the release pull request was merged as, draft the release, start the workflow that publishes.

    It can be killed and run again anywhere: what the remote keeps of the pull request goes last.
    """
    settings = project.settings
    if options.approve or options.offline or not settings.on_forge:
        what = "--publish-from=ci tags, pushes and drafts in one go: --approve, --offline and --no-… don't fit"
        raise Refusal(Code.USAGE, what)
    with release_lock(repo.common_dir):
        repo.committer()
        async with opened(options, project, repo) as scene:
            merge = await pr_steps.find_merge(repo, scene.forge, settings, scene.there, scene.declared)
            if merge is None:
                return await not_due(scene)
            notes = await refuse_stale(scene, merge)
            if options.dry_run:
                return handed_on(scene, merge, notes, changed=False)
            return await tagged(scene, merge, notes)


async def not_due(scene: Scene) -> ReleasePull:
    """Say why no release is due."""
    if scene.there.held is None:
        if waiting := await pr_steps.find_draft(scene.forge):
            return waits(waiting)
        return ReleasePull(stage="none", what="no release is due: there is no release pull request")
    plan = scene.there.held.plan
    found = await scene.forge.find_pull(scene.settings.release_branch, scene.there.base)
    if found is None:
        return ReleasePull(stage="none", what=f"no release is due: the pull request of {plan.title} was closed")
    what = f"no release is due: #{found.number} waits to be merged"
    return pull_of("open", what, plan).model_copy(update={"page": found.page})


async def refuse_stale(scene: Scene, merge: Merge) -> tuple[str, ...]:
    """Refuse what was merged if it is not what was shown, or if another release is under way; returns remarks.

    Raises Refusal RK-PULL-STALE, RK-TAG-EXISTS, RK-RELEASE-ELSEWHERE, RK-PREFLIGHT-CONCURRENT-RELEASE.
    """
    there = scene.there
    held = there.held
    assert held is not None  # noqa: S101  what is merged was held
    problems, notes = await landed(scene, merge)
    if problems:
        raise Refusal(Code.PULL_STALE, "; ".join(problems), merge.page or merge.commit[:12])
    for name, commit in pr_steps.tags_at(there, held.plan).items():
        if commit != merge.commit:
            raise Refusal(Code.TAG_EXISTS, f"{name} exists already, at {commit[:12]}", scene.settings.remote)
    if RUNNING in there.refs and (running := under_way(scene)).plan.release != held.plan.release:
        raise running.elsewhere(scene.settings.remote)
    draft = await pr_steps.find_draft(scene.forge)
    if draft and draft.tag != held.plan.title:
        raise Refusal(Code.PREFLIGHT_CONCURRENT_RELEASE, f"{draft.tag} waits to be published", draft.page)
    return notes


async def tagged(scene: Scene, merge: Merge, notes: tuple[str, ...]) -> ReleasePull:
    """Tag the merged commit, make the draft, start the workflow; then forget the pull request."""
    there, repo, settings = scene.there, scene.repo, scene.settings
    held = there.held
    assert held is not None  # noqa: S101  see above
    with scratch(repo, held.plan.release) as record:
        repo.add_worktree(record.worktree, merge.commit)
        release = scene.release(held.plan, record, commit=merge.commit)
        pr_steps.tag(release, repo)
        announce.push(release, repo, held.plan.all_tags)
        drafted = await announce.draft(release, repo, scene.forge, pr_steps.exported(held, merge.commit))
        if drafted.draft and settings.publish_workflow and RUNNING not in there.refs:
            await announce.dispatch(release, scene.forge)
        pr_steps.let_go(repo, settings, there, held.manifest.release_commit, merge.head)
    return handed_on(scene, merge, notes, changed=True).model_copy(update={"page": drafted.page})


def handed_on(scene: Scene, merge: Merge, notes: tuple[str, ...], *, changed: bool) -> ReleasePull:
    """Return how the release stands once it is tagged; without *changed*, how it would."""
    held, workflow = scene.there.held, scene.settings.publish_workflow
    assert held is not None  # noqa: S101  see above
    title = held.plan.title
    where = f"tagged at {merge.commit[:12]} and drafted"
    how = f"{workflow} publishes it" if workflow else f"`releasekit publish --manifest {title}` publishes it"
    what = f"{title} {'is' if changed else 'would be'} {where}; {how}"
    told = {"commit": merge.commit, "tags": held.plan.all_tags, "changed": changed, "notes": notes, "page": merge.page}
    return pull_of("draft" if changed else "merged", what, held.plan).model_copy(update=told)


async def landed(scene: Scene, merge: Merge) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return why what was merged is not what the pull request showed, if so; and what has landed beside it.

    Both commits are planned under the very same options, so that nothing but what has landed makes a difference.
    """
    there, repo = scene.there, scene.repo
    held = there.held
    assert held is not None  # noqa: S101  see above
    if merge.wrong or pr_steps.tags_at(there, held.plan):  # with a tag this was looked at before
        return merge.wrong, ()
    proposal = held.manifest.release_commit
    if repo.same_files(proposal, merge.commit):
        return (), ()
    before, after = [await planned_at(scene, commit) for commit in (proposal, merge.commit)]
    titles = repo.titles(held.plan.commit, repo.parent(merge.commit))
    notes = [f"landed beside the pull request, and in none of its changelogs: {title}" for title in titles]
    if left := left_for_later(held.plan, after):
        notes.append(f"changed as well, and not in this release: {', '.join(left)}")
    return tuple(outdated(held.plan, before, after)), tuple(notes)


async def planned_at(scene: Scene, commit: str) -> Plan:
    """Return the plan as it would be with *commit* checked out; raises Refusal if that has obstacles by itself."""
    with scratch(scene.repo, commit[:12]) as record:
        scene.repo.add_worktree(record.worktree, commit)
        there = scene.options.model_copy(update={"workspace": str(record.worktree / scene.place)})
        plan = (await draft(there, *open_project(there))).plan
    if plan.obstacles:
        raise Obstructed(plan)
    return plan


# ---- afterwards: the next development versions -----------------------------------------------------------------------


async def next_versions(release: Release, repo: Repo) -> str:
    """Make the pull request that begins the next development versions of what was released; returns its page.

    Empty if there is nothing to write: no package declares its version in a file, or all have gone on already.
    Raises ReleaseError RK-FORGE-…, RK-PUSH-REJECTED, and Refusal RK-PULL-MOVED.
    """
    if not release.branch:
        return ""
    settings = release.settings.model_copy(update={"release_branch": f"{release.settings.release_branch}-next"})
    project = replace(read_workspace.read_workspace(repo.top / release.workspace, {}), settings=settings)
    async with forge_of(repo.address(settings.remote), settings, project.uv.secrets) as forge:
        scene = Scene(project, repo, forge, pr_steps.look(repo, settings, release.branch))
        plan = next_plan(scene, release.plan)
        if not plan.steps:
            return ""
        pr_steps.refuse_moved(repo, settings, scene.there)
        held = scene.there.held
        if not (held and scene.there.is_ours and held.plan.release == plan.release):
            made(scene, plan, NEXT_TITLE)
        base = scene.there.base
        return (await forge.open_pull(settings.release_branch, base, NEXT_TITLE, next_body(plan))).page


def next_plan(scene: Scene, released: Plan) -> Plan:
    """Return the plan that writes the next development versions, at the commit that the branch is at now."""
    tip = scene.there.tip
    now = scene.declared([step.name for step in released.steps], tip)
    steps = [
        step.model_copy(update={"current": step.version, "next": following})
        for step in released.steps
        if now[step.name] == step.version and (following := next_development(step.version))
    ]
    nothing: dict[str, object] = {"changelogs": {}, "tales": {}, "tags": (), "warnings": (), "raises": ()}
    told = {"commit": tip, "release": release_id(tip, steps), "packages": tuple(steps), **nothing}
    return released.model_copy(update=told)
