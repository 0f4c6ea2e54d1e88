"""Start a release: decide what is released, ask for confirmation, put it on record. Only this module does so."""

from __future__ import annotations

from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, did_you_mean
from releasekit.core.picking import drop
from releasekit.core.planning.first_releases import (
    first_release_question,
    first_release_refusal,
    without_allowed,
)
from releasekit.core.release.later_index import approval_question
from releasekit.core.release.listing_delay import describe_delay
from releasekit.core.release.new_projects import new_project_names
from releasekit.core.text import count_as, count_packages, summarize
from releasekit.integrations.listing_delays import read_delays
from releasekit.operations.confirmation import Proposal
from releasekit.operations.draft import open_project
from releasekit.operations.planning import log_resume_summary, select_release
from releasekit.store.record import release_lock
from tasks.context import ReleaseContext
from tasks.read_workspace import later_indexes, target_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from releasekit.core.planning.model import Plan
    from releasekit.core.release.observer import Observer
    from releasekit.integrations.git import Repo
    from releasekit.operations.confirmation import Confirmation
    from releasekit.operations.planning import PendingRelease
    from releasekit.options import PublishOptions
    from releasekit.store.record import Record
    from tasks.project import Project

_MAX_NAMES = 5
"""How many packages or tags a question names at most."""


@dataclass(frozen=True, slots=True)
class StartedRelease:
    """A release that is approved, locked and on record. Nothing about it is decided again."""

    options: PublishOptions
    project: Project
    repo: Repo
    release: ReleaseContext

    @property
    def plan(self) -> Plan:
        """The plan of the release."""
        return self.release.plan

    def with_observer(self, observer: Observer) -> StartedRelease:
        """Return a copy with *observer*, which is notified of every phase and stage."""
        return replace(self, release=replace(self.release, observer=observer))


@dataclass(frozen=True, slots=True)
class _Approval:
    """A yes to *plan* without the *excluded* packages; without a plan, nobody has said yes yet."""

    plan: Plan | None = None
    excluded: tuple[str, ...] = ()

    def covers(self, plan: Plan) -> bool:
        """Return whether the yes is valid for *plan* too."""
        return self.plan is not None and plan.matches_approved(self.plan, self.excluded)

    def has_shown(self, plan: Plan) -> bool:
        """Return whether *plan* is the one that was shown."""
        return self.covers(plan) and not self.excluded

    @property
    def repeat_reason(self) -> str:
        """Why the question is asked again; empty if it was not asked."""
        return "the plan has changed since it was approved" if self.plan else ""


async def start_release(
    options: PublishOptions,
    project: Project,
    repo: Repo,
    confirmation: Confirmation,
    stack: AsyncExitStack,
) -> StartedRelease:
    """Return the release to run: the unfinished one of this repository, else a new one.

    The *stack* releases the release lock at its end. If the answer can take hours, nothing is locked while it is
    pending. Then the workspace is read and the plan is made again; if the plan has changed, the question is repeated.
    A plan without packages needs no confirmation, and is not put on record.

    Raises Refusal RK-FIRST-RELEASE, RK-NOT-CONFIRMED, RK-LOCK-ACQUISITION-FAILED, and PlanRefusal for a plan that has
    obstacles.
    """
    approval = _Approval()
    selected_options = options
    while True:
        with ExitStack() as lock:
            lock.enter_context(release_lock(repo.common_dir))
            pending = await select_release(selected_options, project, repo)
            plan = pending.plan
            if plan.obstacles or not approval.has_shown(plan):
                await confirmation.show(plan)
            pending.refuse_obstacles()
            pending = await _confirm_first_releases(pending, project, options, confirmation)
            plan = pending.plan
            if pending.record and plan.steps:
                await log_resume_summary(pending.record, project, repo)
            if await _allow_later_index(pending, project, options, confirmation):
                approval = _Approval(plan)
            proposal = _make_proposal(pending, project, repo, options, approval.repeat_reason)
            needs_yes = bool(plan.steps) and not approval.covers(plan)
            waits_unlocked = needs_yes and confirmation.can_take_hours(proposal)
            if not waits_unlocked:
                if needs_yes:
                    answer = await confirmation.ask(proposal)
                    answer.require_yes()
                record = pending.begin(
                    repo, project.settings, publishing=not options.stops_before_publishing
                )
                stack.push(lock.pop_all())
                release = release_context(plan, record, project, repo)
                return StartedRelease(options, project, repo, release)
        answer = await confirmation.ask(proposal)
        answer.require_yes()
        approval = _Approval(plan, answer.excluded)
        if answer.excluded:
            exclude = (*selected_options.exclude, *answer.excluded)
            selected_options = selected_options.model_copy(update={"exclude": exclude})
        project, repo = open_project(options)


async def _confirm_first_releases(
    pending: PendingRelease, project: Project, options: PublishOptions, confirmation: Confirmation
) -> PendingRelease:
    """Return *pending* once somebody has allowed each first release; a release that resumes then asks no more.

    A release that stops before anything is public needs no such yes, and one that resumes from the index has it.

    Raises Refusal RK-FIRST-RELEASE.
    """
    if options.stops_before_publishing or options.resume_from_registry:
        return pending
    plan = pending.plan
    names = without_allowed(plan.unallowed_new, project.settings.allow_new, project.workspace)
    if names:
        answer = await confirmation.ask(
            Proposal(first_release_question(names), plan, needs_person=True)
        )
        if not answer.accepted:
            raise first_release_refusal(names, "publish", answer.reason)
    return replace(pending, plan=plan.model_copy(update={"unallowed_new": ()}))


async def _allow_later_index(
    pending: PendingRelease, project: Project, options: PublishOptions, confirmation: Confirmation
) -> bool:
    """Put on record to which index that it waits for the release may go now; return whether somebody was asked.

    Raises Refusal RK-NOT-CONFIRMED without a yes; RK-USAGE if --allow-index names no such index.
    """
    by_name = {later.name: later for later in later_indexes(project)}
    for name in drop(options.allow_index, by_name):
        message = f"--allow-index {name}: publish_to has no such index after the first{did_you_mean(name, by_name)}"
        raise Refusal(ErrorCode.USAGE, message)
    record = pending.record
    manifest = record.manifest() if record else None
    if not (record and manifest):
        return False
    manifest = manifest.allow_index(options.allow_index)
    name = manifest.waits_for
    later = by_name.get(name)  # None if it was removed from the settings
    if later:
        question = approval_question(later, pending.plan)
        answer = await confirmation.ask(Proposal(question, pending.plan, needs_person=True))
        if not answer.accepted:
            hint = (
                answer.hint
                or f"Run `releasekit publish --allow-index {name}`, or answer on a terminal."
            )
            reason = answer.reason or f"{name} waits for approval, and nobody can answer"
            raise Refusal(ErrorCode.NOT_CONFIRMED, reason, hint=hint)
        manifest = manifest.allow_index([name])
    if manifest != record.manifest():
        record.save_manifest(manifest)
    return later is not None


def release_context(plan: Plan, record: Record, project: Project, repo: Repo) -> ReleaseContext:
    """Return the context that the steps of the release of *plan* need."""
    target = target_of(project)
    secrets = project.uv.secrets.for_uploads(target.credentials)
    return ReleaseContext(
        plan=plan,
        record=record,
        settings=project.settings,
        target=target,
        later_indexes=later_indexes(project),
        uv=project.uv.with_changes(python=project.uv.find_python(project.root), secrets=secrets),
        workspace=project.root.relative_to(repo.top).as_posix(),
        branch=repo.branch,
    )


def _make_proposal(
    pending: PendingRelease,
    project: Project,
    repo: Repo,
    options: PublishOptions,
    repeat_reason: str,
) -> Proposal:
    plan = pending.plan
    if options.version_only:
        question = f"Commit the versions of {count_packages(plan.steps)} to {repo.branch}?"
    else:
        question = f"Publish {count_packages(plan.steps)} to {target_of(project).title}?"
    details = () if options.stops_before_publishing else tuple(_public_effects(pending, project))
    return Proposal(
        question=question,
        subject=plan,
        details=details,
        is_resumed=pending.record is not None,
        repeat_reason=repeat_reason,
        timeout=project.settings.approval_timeout,
    )


def _public_effects(pending: PendingRelease, project: Project) -> Iterator[str]:
    """Yield what a yes makes public: files, new projects, tags; and how long the index makes it wait."""
    plan, settings = pending.plan, project.settings
    files = pending.recorded_files()
    if files:
        yield f"{files} files are on record; files that the index has are not uploaded again"
    else:
        yield f"{2 * len(plan.steps)} files: an sdist and a wheel of each package"
    for later in later_indexes(project):
        part = later.part_of(plan)
        if part.steps:
            condition = "after approval" if later.needs_approval else f"once {later.after} has them"
            yield f"then {count_packages(part.steps)} to {later.target.title}, {condition}"
    new = _new_projects(pending)
    if new:
        yield f"{len(new)} new to the index: {summarize(new, _MAX_NAMES)}"
    if settings.tag:
        package_tags = [step.tag for step in plan.steps]
        tags = list(dict.fromkeys([*plan.tags, *package_tags]))
        destination = f"pushed to {settings.remote} at the end" if settings.push else "not pushed"
        yield f"{count_as('tag', tags)}, {destination}: {summarize(tags, _MAX_NAMES)}"
    wait = describe_delay(read_delays(target_of(project).check_url), plan.steps)
    if wait:
        yield wait


def _new_projects(pending: PendingRelease) -> list[str]:
    """Return the packages that have no version on the index, as far as it was contacted."""
    published = pending.plan_context.published if pending.plan_context else None
    return new_project_names(pending.plan, published)
