"""A release by pull request, with or without Prefect: propose it, find the merge, tag it, hand it off to CI."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from releasekit.core.config.settings import VersionOptions
from releasekit.core.errors import ErrorCode, Refusal, as_refusal
from releasekit.core.picking import names_of
from releasekit.core.planning.make_plan import release_id
from releasekit.core.planning.model import PlanRefusal, unique_obstacles
from releasekit.core.planning.selection import named_packages
from releasekit.core.release.pr_status import (
    ReleasePullRequest,
    next_development_version,
    not_in_release,
    release_pr_status,
    stale_reasons,
)
from releasekit.formats.pr_text import NEXT_VERSIONS_TITLE, next_versions_body
from releasekit.integrations.forge_factory import connect_forge
from releasekit.integrations.git import LOCK_REF
from releasekit.integrations.whole_checkout import add_whole_worktree
from releasekit.operations.draft import checkout_workspace, create_plan_context, open_project
from releasekit.operations.planning import compute_plan
from releasekit.options import Options
from releasekit.store.record import release_lock, scratch_record
from releasekit.store.remote_lock import read_lock_commit
from tasks import announce, pr_steps, pre_release, read_history, read_workspace, release_commit
from tasks.context import ReleaseContext
from tasks.preflight import collect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from packaging.version import Version

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan, Step
    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import Forge, ForgeRelease
    from releasekit.options import PrepareOptions, PublishOptions
    from releasekit.store.record import Record
    from releasekit.store.remote_lock import RemoteLock
    from tasks.pr_steps import Merge, RemoteState
    from tasks.project import Project

log = logging.getLogger("releasekit")


@dataclass(frozen=True, slots=True)
class PullRequestContext:
    """The inputs of both phases: the workspace, its repository and forge, and the state of the remote."""

    project: Project
    repo: Repo
    forge: Forge
    remote_state: RemoteState
    options: Options = field(default_factory=Options)

    @property
    def settings(self) -> Settings:
        """The settings of the workspace."""
        return self.project.settings

    @property
    def workspace_path(self) -> str:
        """The path of the workspace, relative to the top of the repository."""
        return self.project.root.relative_to(self.repo.top).as_posix()

    def current_proposal(self, plan: Plan) -> RemoteLock | None:
        """Return the proposal on the remote if it is ours and for the release of *plan*; None otherwise."""
        proposal = self.remote_state.proposal
        is_current = proposal is not None and proposal.plan.release == plan.release
        return proposal if is_current and self.remote_state.is_ours else None

    def declared_versions(self, names: Sequence[str], commit: str) -> dict[str, Version | None]:
        """Return the versions that packages declare in their files at *commit*."""
        commits = {name: commit for name in names if name in self.project.workspace.members}
        return dict.fromkeys(names) | read_history.versions_at(self.repo, self.project, commits)

    def release(
        self, plan: Plan, record: Record, branch: str = "", commit: str = ""
    ) -> ReleaseContext:
        """Return the context for the steps of a release. Its *record* is temporary: CI publishes the release."""
        target, uv = read_workspace.target_of(self.project), self.project.uv
        return ReleaseContext(
            plan, record, self.settings, target, uv, self.workspace_path, branch, commit
        )


@asynccontextmanager
async def open_context(
    options: Options, project: Project, repo: Repo
) -> AsyncGenerator[PullRequestContext]:
    """Connect to the forge, which has the pull requests, and read the state of the remote.

    Raises Refusal RK-FORGE-…, and as `read_remote_state` does.
    """
    settings = project.settings
    async with AsyncExitStack() as stack:
        with as_refusal():
            address = repo.address(settings.remote)
            forge = await stack.enter_async_context(
                connect_forge(address, settings, project.uv.secrets)
            )
            await forge.check_access()
        base = pr_steps.base_of(repo, settings)
        remote_state = pr_steps.read_remote_state(repo, settings, base)
        yield PullRequestContext(project, repo, forge, remote_state, options)


# ---- phase 1: `prepare` ---------------------------------------------------------------------------------------------


async def propose(options: PrepareOptions) -> ReleasePullRequest:
    """Create or update the release pull request; close it if there is nothing to release.

    While an earlier release is merged and not published yet, nothing is changed, and the status says so.
    """
    with ExitStack() as stack:
        options = stack.enter_context(checkout_workspace(options, keep=not options.dry_run))
        project, repo = open_project(options)
        stack.enter_context(release_lock(repo.common_dir))
        async with open_context(options, project, repo) as opened_context:
            if blocking := await find_blocking_release(opened_context):
                return blocking
            context = await keep_requests(opened_context)
            plan = await compute_proposal(context)
            if options.dry_run:
                return release_pr_status("open" if plan.steps else "none", plan.headline, plan)
            if plan.obstacles:
                raise PlanRefusal(plan)
            if plan.steps:
                return await update_release_pr(context, plan)
            return await close_release_pr(context, plan)


async def keep_requests(context: PullRequestContext) -> PullRequestContext:
    """Return *context* with the requests of the open pull request, such as `--bump`, unless there are new ones.

    CI runs `prepare` without them after each push. A bump without a name gets the names of the selected packages,
    because later runs do not select them.
    """
    options, proposal = context.options, context.remote_state.proposal
    requested = options.version_options()
    if requested.recorded:
        named = named_packages(context.project.workspace, options.selection(), context.settings)
        bumps = requested.with_names(sorted(named)).bump
        return replace(context, options=options.model_copy(update={"bump": bumps}))
    if proposal is None or not proposal.plan.requested:
        return context
    settings = context.settings
    if (
        await context.forge.find_pull_request(settings.release_branch, context.remote_state.base)
        is None
    ):
        return context
    log.info("kept from the release pull request: %s", ", ".join(proposal.plan.requested))
    kept = VersionOptions.from_recorded(proposal.plan.requested)
    update: dict[str, object] = {
        "bump": kept.bump,
        "set_version": kept.set_version,
        "promote": kept.promote,
    }
    if kept.prerelease:
        update["prerelease"] = kept.prerelease
    return replace(context, options=options.model_copy(update=update))


async def compute_proposal(context: PullRequestContext) -> Plan:
    """Return the plan. Its obstacles include those that prevent a pull request."""
    remote_state, settings = context.remote_state, context.settings
    unfit = collect(pr_steps.pull_request_obstacles(context.repo, settings, remote_state))
    plan = (await compute_plan(context.options, context.project, context.repo)).plan
    conflicts = collect(
        pr_steps.find_foreign_tags(plan, settings, remote_state, context.repo.tags())
    )
    obstacles = unique_obstacles((*unfit.obstacles, *plan.obstacles, *conflicts.obstacles))
    return plan.model_copy(update={"obstacles": obstacles})


async def find_blocking_release(context: PullRequestContext) -> ReleasePullRequest | None:
    """Return the status of the unpublished release or newer pull request because of which none can be proposed now."""
    remote_state, repo = context.remote_state, context.repo
    if LOCK_REF in remote_state.refs:
        running = running_release(context)
        message = f"{running.plan.title} is being released by {running.manifest}"
        return release_pr_status("running", message, running.plan)
    if draft_release := await pr_steps.find_draft(context.forge):
        return draft_status(draft_release)
    if remote_state.proposal is None:
        return None
    plan = remote_state.proposal.plan
    merge = await pr_steps.find_merge(
        repo, context.forge, context.settings, remote_state, context.declared_versions
    )
    if merge:
        return await _merged_status(context, plan, merge)
    is_newer = plan.commit != repo.head and repo.contains(plan.commit, repo.head)
    if remote_state.is_ours and is_newer:
        return release_pr_status(
            "open", "the release pull request is already based on a later commit", plan
        )
    return None


async def _merged_status(
    context: PullRequestContext, plan: Plan, merge: Merge
) -> ReleasePullRequest | None:
    problems, _ = await compare_with_merge(context, merge)
    if problems:  # the merge cannot be released any more, so a new pull request is needed
        return None
    message = f"{plan.title} is merged; run `releasekit publish --publish-from=ci` first"
    fields = {"page": merge.page, "commit": merge.commit}
    return release_pr_status("merged", message, plan).model_copy(update=fields)


def running_release(context: PullRequestContext) -> RemoteLock:
    """Return the release that is locked on the remote, because it is being uploaded."""
    remote_state, repo = context.remote_state, context.repo
    if not repo.has_commit(remote_state.refs[LOCK_REF].commit):
        repo.fetch(context.settings.remote, LOCK_REF)
    return read_lock_commit(repo, remote_state.refs[LOCK_REF].commit)


def draft_status(draft: ForgeRelease) -> ReleasePullRequest:
    """Return the status of a release that is tagged, but not published yet."""
    message = f"{draft.tag} is tagged, and waits to be published"
    return ReleasePullRequest(stage="draft", what=message, title=draft.tag, page=draft.url)


async def update_release_pr(context: PullRequestContext, plan: Plan) -> ReleasePullRequest:
    """Create or update the pull request of *plan*. The branch stays if it has the same commit and versions already."""
    current = context.current_proposal(plan)
    if current:
        plan = current.plan  # keeps its date and the warnings that were shown
        commit = current.manifest.release_commit
    else:
        commit = push_release_branch(context, plan)
    pull_request = await pr_steps.open_pull_request(
        context.forge, plan, context.settings, context.remote_state.base
    )
    message = f"#{pull_request.number} releases {plan.title} when it is merged"
    fields = {"page": pull_request.page, "commit": commit, "changed": current is None}
    return release_pr_status("open", message, plan).model_copy(update=fields)


def push_release_branch(context: PullRequestContext, plan: Plan, message: str = "") -> str:
    """Make the release commit of *plan* in a temporary worktree, push it as the release branch, and return its hash."""
    repo = context.repo
    with scratch_record(repo, plan.release) as record:
        unfinished = context.release(plan, record, context.remote_state.base)
        release = release_commit.check_out(unfinished, repo)
        written = [*release_commit.write_versions(release)]
        written += release_commit.raise_requirements(release)
        written += release_commit.write_changelogs(release, repo)
        written += release_commit.consume_change_files(release)
        written += release_commit.update_lock_file(release, repo)
        changed = pre_release.run_pre_release(release, repo, written)
        release = release_commit.commit(release, repo, written, changed, message)
        pr_steps.push_branch(release, repo, context.remote_state)
    return release.commit


async def close_release_pr(context: PullRequestContext, plan: Plan) -> ReleasePullRequest:
    """Close the release pull request, because there is nothing left to release."""
    pull_request = await pr_steps.close_pull_request(
        context.forge, context.repo, context.settings, context.remote_state
    )
    message = (
        f"{plan.headline}; #{pull_request.number} is closed" if pull_request else plan.headline
    )
    return release_pr_status("none", message, plan).model_copy(
        update={"changed": bool(pull_request)}
    )


# ---- phase 2: `publish --publish-from=ci` ---------------------------------------------------------------------------


async def hand_off(options: PublishOptions, project: Project, repo: Repo) -> ReleasePullRequest:
    """Tag the merge commit of the release pull request, draft the release, and start the workflow that publishes it.

    It can be killed at any point and run again in any clone: the refs of the pull request are deleted last.
    """
    settings = project.settings
    if options.approve or options.offline or not settings.creates_forge_release:
        message = (
            "--publish-from=ci tags, pushes and drafts in one step; "
            "--approve, --offline and --no-… cannot be used"
        )
        raise Refusal(ErrorCode.USAGE, message)
    with release_lock(repo.common_dir):
        repo.committer()
        async with open_context(options, project, repo) as context:
            merge = await pr_steps.find_merge(
                repo, context.forge, settings, context.remote_state, context.declared_versions
            )
            if merge is None:
                return await nothing_to_hand_off(context)
            notes = await check_merge_is_current(context, merge)
            if options.dry_run:
                return hand_off_status(context, merge, notes, changed=False)
            return await tag_and_draft(context, merge, notes)


async def nothing_to_hand_off(context: PullRequestContext) -> ReleasePullRequest:
    """Return a status that says why there is no release to hand off."""
    if context.remote_state.proposal is None:
        if draft_release := await pr_steps.find_draft(context.forge):
            return draft_status(draft_release)
        return ReleasePullRequest(
            stage="none", what="nothing to release: there is no release pull request"
        )
    plan = context.remote_state.proposal.plan
    pull_request = await context.forge.find_pull_request(
        context.settings.release_branch, context.remote_state.base
    )
    if pull_request is None:
        return ReleasePullRequest(
            stage="none", what=f"nothing to release: the pull request of {plan.title} was closed"
        )
    message = f"nothing to release: #{pull_request.number} waits to be merged"
    return release_pr_status("open", message, plan).model_copy(update={"page": pull_request.page})


async def check_merge_is_current(context: PullRequestContext, merge: Merge) -> tuple[str, ...]:
    """Refuse a merge that differs from the pull request, or while another release is running; return remarks.

    Raises Refusal RK-PULL-STALE, RK-TAG-EXISTS, RK-RELEASE-ELSEWHERE, RK-PREFLIGHT-CONCURRENT-RELEASE.
    """
    remote_state = context.remote_state
    proposal = remote_state.proposal
    assert proposal is not None  # noqa: S101  a merge has a proposal
    problems, notes = await compare_with_merge(context, merge)
    if problems:
        raise Refusal(ErrorCode.PULL_STALE, "; ".join(problems), merge.page or merge.commit[:12])
    for name, commit in pr_steps.remote_tags(remote_state, proposal.plan).items():
        if commit != merge.commit:
            raise Refusal(
                ErrorCode.TAG_EXISTS,
                f"{name} exists already, at {commit[:12]}",
                context.settings.remote,
            )
    if LOCK_REF in remote_state.refs:
        running = running_release(context)
        if running.plan.release != proposal.plan.release:
            raise running.conflict_error(context.settings.remote)
    draft_release = await pr_steps.find_draft(context.forge)
    if draft_release and draft_release.tag != proposal.plan.title:
        message = f"{draft_release.tag} waits to be published"
        raise Refusal(ErrorCode.PREFLIGHT_CONCURRENT_RELEASE, message, draft_release.url)
    return notes


async def tag_and_draft(
    context: PullRequestContext, merge: Merge, notes: tuple[str, ...]
) -> ReleasePullRequest:
    """Tag the merge commit, make the draft, start the workflow; then delete the refs of the pull request."""
    remote_state, repo, settings = context.remote_state, context.repo, context.settings
    proposal = remote_state.proposal
    assert proposal is not None  # noqa: S101  see above
    with scratch_record(repo, proposal.plan.release) as record:
        add_whole_worktree(repo, record.worktree, merge.commit)
        release = context.release(proposal.plan, record, commit=merge.commit)
        pr_steps.tag_merge_commit(release, repo)
        announce.push(release, repo, proposal.plan.all_tags)
        manifest = pr_steps.export_manifest(proposal, merge.commit)
        draft_release = await announce.create_draft(release, repo, context.forge, manifest)
        if draft_release.draft and settings.publish_workflow and LOCK_REF not in remote_state.refs:
            await announce.dispatch_workflow(release, context.forge)
        pr_steps.delete_pull_request_refs(
            repo, settings, remote_state, proposal.manifest.release_commit, merge.head
        )
    status = hand_off_status(context, merge, notes, changed=True)
    return status.model_copy(update={"page": draft_release.url})


def hand_off_status(
    context: PullRequestContext, merge: Merge, notes: tuple[str, ...], *, changed: bool
) -> ReleasePullRequest:
    """Return the status of the tagged release; without *changed*, say what would be done."""
    proposal, workflow = context.remote_state.proposal, context.settings.publish_workflow
    assert proposal is not None  # noqa: S101  see above
    title = proposal.plan.title
    verb = "is" if changed else "would be"
    publisher = workflow or f"`releasekit publish --manifest {title}`"
    message = f"{title} {verb} tagged at {merge.commit[:12]} and drafted; {publisher} publishes it"
    fields = {
        "commit": merge.commit,
        "tags": proposal.plan.all_tags,
        "changed": changed,
        "notes": notes,
        "page": merge.page,
    }
    stage = "draft" if changed else "merged"
    return release_pr_status(stage, message, proposal.plan).model_copy(update=fields)


async def compare_with_merge(
    context: PullRequestContext, merge: Merge
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the differences of the merge from the pull request, and remarks on other commits that were merged since.

    Both commits are planned with the same options, so that only the commits make a difference.
    """
    remote_state, repo = context.remote_state, context.repo
    proposal = remote_state.proposal
    assert proposal is not None  # noqa: S101  see above
    # Tags are made after that.
    was_compared = bool(pr_steps.remote_tags(remote_state, proposal.plan))
    if merge.version_mismatches or was_compared:
        return merge.version_mismatches, ()
    proposed_commit = proposal.manifest.release_commit
    if repo.has_same_files(proposed_commit, merge.commit):
        return (), ()
    before = await plan_at_commit(context, proposed_commit)
    after = await plan_at_commit(context, merge.commit)
    titles = repo.commit_titles(proposal.plan.commit, repo.parent(merge.commit))
    notes = [
        f"merged after the pull request was made, and missing in its changelogs: {title}"
        for title in titles
    ]
    if deferred := not_in_release(proposal.plan, after):
        notes.append(f"also changed, but not in this release: {', '.join(deferred)}")
    return tuple(stale_reasons(proposal.plan, before, after)), tuple(notes)


async def plan_at_commit(context: PullRequestContext, commit: str) -> Plan:
    """Return the plan at *commit*; raises PlanRefusal if it has obstacles."""
    with scratch_record(context.repo, commit[:12]) as record:
        add_whole_worktree(context.repo, record.worktree, commit)
        workspace = record.worktree / context.workspace_path
        options = context.options.model_copy(update={"workspace": str(workspace)})
        project, repo = open_project(options)
        plan = (await create_plan_context(options, project, repo)).plan
    if plan.obstacles:
        raise PlanRefusal(plan)
    return plan


# ---- after the release: the next development versions ---------------------------------------------------------------


async def propose_next_versions(release: ReleaseContext, repo: Repo) -> str:
    """Create the pull request that writes the next development versions of the released packages; return its URL.

    The URL is empty if there is nothing to write: no package declares its version in a file, or all have a newer one.
    Raises ReleaseError RK-FORGE-…, RK-PUSH-REJECTED, and Refusal RK-PULL-MOVED.
    """
    if not release.branch:
        return ""
    next_branch = f"{release.settings.release_branch}-next"
    settings = release.settings.model_copy(update={"release_branch": next_branch})
    current_project = read_workspace.read_workspace(repo.top / release.workspace, {})
    project = replace(current_project, settings=settings)
    async with connect_forge(repo.address(settings.remote), settings, project.uv.secrets) as forge:
        remote_state = pr_steps.read_remote_state(repo, settings, release.branch)
        context = PullRequestContext(project, repo, forge, remote_state)
        plan = next_plan(context, release.plan)
        if not plan.steps:
            return ""
        pr_steps.refuse_moved(repo, settings, remote_state)
        if context.current_proposal(plan) is None:
            push_release_branch(context, plan, NEXT_VERSIONS_TITLE)
        body = next_versions_body(plan)
        pull_request = await forge.open_pull_request(
            next_branch, remote_state.base, NEXT_VERSIONS_TITLE, body
        )
        return pull_request.page


def next_plan(context: PullRequestContext, released: Plan) -> Plan:
    """Return the plan that writes the next development versions, at the branch's current commit."""
    tip = context.remote_state.tip
    declared = context.declared_versions(names_of(released.steps), tip)
    steps: list[Step] = []
    for step in released.steps:
        next_version = next_development_version(step.version)
        if next_version and declared[step.name] == step.version:
            steps.append(step.model_copy(update={"current": step.version, "next": next_version}))
    cleared: dict[str, object] = {
        "changelogs": {},
        "tales": {},
        "tags": (),
        "warnings": (),
        "raises": (),
        "consumes": (),
        "pre_release": (),
    }
    fields = {"commit": tip, "release": release_id(tip, steps), "packages": tuple(steps), **cleared}
    return released.model_copy(update=fields)
