"""Decide what is released, and find all obstacles. This is the only place that does so.

`plan`, `publish` with and without `--dry-run` or `--approve`, the deployments and `prepare` all use `compute_plan`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, did_you_mean
from releasekit.core.planning.first_releases import first_release_refusal
from releasekit.core.planning.model import PlanRefusal, unique_obstacles
from releasekit.operations.draft import create_plan_context, open_index
from releasekit.options import PrepareOptions, PublishOptions
from releasekit.store.bundle import check_output_directory
from releasekit.store.record import create_record, record_for
from tasks import preflight, read_workspace, resume
from tasks.preflight import PreflightFindings, obstacle_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.integrations.git import Repo
    from releasekit.operations.draft import PlanContext
    from releasekit.options import Options
    from releasekit.store.bundle import ReleaseBundle
    from releasekit.store.record import Record
    from tasks.project import Project

log = logging.getLogger("releasekit")

_UNREADABLE_INDEX = frozenset(
    {ErrorCode.INDEX_UNREACHABLE, ErrorCode.INDEX_RESPONSE, ErrorCode.INDEX_CREDENTIALS}
)
"""Errors because of which the versions on the index are unknown. The plan is then made from git alone."""


@dataclass(frozen=True, slots=True)
class PreflightScope:
    """Which preflight checks are made for a release.

    *needs_rights*: check the rights to upload and to push, because this machine does both; *uploads_next*: this run
    goes on to do it, so the check may ask the CI and the index for a token. *makes_commit*: this machine
    makes the release commit. *audit*: run the audit, which is slow, so only if its findings count. *needs_branch*: a
    branch must be checked out. *resumes*: a release that has begun here is resumed, and no other one begins; with
    *ignores_staged*, not if it is only staged. *asks_nobody*: nobody is asked, so first releases need permission.
    """

    needs_rights: bool
    makes_commit: bool
    audit: bool
    uploads_next: bool = False
    needs_branch: bool = False
    resumes: bool = True
    ignores_staged: bool = False
    asks_nobody: bool = False


def preflight_scope(options: Options, settings: Settings) -> PreflightScope:
    """Return the preflight checks for the release that *options* describe."""
    if isinstance(options, PrepareOptions):  # a merged release is uploaded elsewhere
        return PreflightScope(
            needs_rights=False, makes_commit=True, audit=True, resumes=False, asks_nobody=True
        )
    if isinstance(options, PublishOptions):
        return PreflightScope(
            needs_rights=not options.stops_before_publishing,
            makes_commit=True,
            audit=True,
            uploads_next=not options.dry_run,
            needs_branch=options.version_only,
            resumes=not options.resume_from_registry,
            ignores_staged=options.stops_before_publishing,
        )
    publishes_here = settings.publish_from != "ci"
    return PreflightScope(
        needs_rights=publishes_here, makes_commit=publishes_here, audit=settings.strict_audit
    )


@dataclass(frozen=True, slots=True)
class PendingRelease:
    """The release that `publish` runs: the unfinished one of this repository, one from a manifest, or a new plan."""

    plan: Plan
    record: Record | None = None
    manifest_bundle: ReleaseBundle | None = None
    plan_context: PlanContext | None = None

    def refuse_obstacles(self) -> None:
        """Raise PlanRefusal, with the code of the first obstacle, if the plan has obstacles."""
        if self.plan.obstacles:
            raise PlanRefusal(self.plan)

    def recorded_files(self) -> int:
        """Return how many built files are on record."""
        bundle = self.manifest_bundle
        packages = bundle.manifest.packages if bundle else _recorded_packages(self.record)
        return sum(len(package.files) for package in packages)

    def begin(self, repo: Repo, settings: Settings, *, publishing: bool) -> Record:
        """Put the release on record and return the record. A plan without packages is not written to disk."""
        if self.manifest_bundle:
            return resume.import_release(
                repo, settings, self.manifest_bundle, self.record, publishing=publishing
            )
        if self.record:
            return self.record
        if not self.plan.steps:
            return record_for(repo.common_dir, self.plan.release)
        return create_record(repo.common_dir, self.plan)


def _recorded_packages(record: Record | None) -> Sequence[BuiltPackage]:
    """Return the built packages on *record*; none if nothing is built, or if there is no record."""
    return record.manifest_or_empty().packages if record else ()


async def compute_plan(
    options: Options, project: Project, repo: Repo, *, partially_published: bool = False
) -> PlanContext:
    """Decide what is released, and find all obstacles; change nothing.

    The obstacles are in the order in which `publish` checks them. An error is raised only if there can be no plan: the
    history or the workspace cannot be read, or a version cannot be decided. For *partially_published*, see
    `create_plan_context`.
    """
    scope = preflight_scope(options, project.settings)
    has_begun, findings = _find_resumable(repo, scope)
    context, index_findings = await _create_context(
        options, project, repo, partially_published=partially_published
    )
    if not has_begun:
        asked = context.published is not None or bool(index_findings.obstacles)
        findings += index_findings + await _run_preflight(
            context, scope, asked=asked, partially_published=partially_published
        )
    plan = context.plan
    if scope.asks_nobody and plan.unallowed_new:
        findings += PreflightFindings(
            (obstacle_of(first_release_refusal(plan.unallowed_new, "prepare")),)
        )
    all_findings = {
        "obstacles": unique_obstacles((*plan.obstacles, *findings.obstacles)),
        "warnings": (*plan.warnings, *findings.warnings),
    }
    return replace(context, plan=plan.model_copy(update=all_findings))


def _find_resumable(repo: Repo, scope: PreflightScope) -> tuple[bool, PreflightFindings]:
    """Return whether `publish` would resume a release that has begun here, and the obstacle that prevents it."""
    if not scope.resumes:
        return False, PreflightFindings()
    try:
        record = resume.peek_resumable(repo, discard_staged=scope.ignores_staged)
        if record and scope.needs_branch and _recorded_packages(record):
            raise resume.unfinished_error(record)
    except ReleaseError as error:
        return True, PreflightFindings((obstacle_of(error),))
    return record is not None, PreflightFindings()


async def _create_context(
    options: Options, project: Project, repo: Repo, *, partially_published: bool
) -> tuple[PlanContext, PreflightFindings]:
    """Return the plan; if the index cannot be read, the plan from git alone, with the reason as an obstacle."""
    try:
        context = await create_plan_context(
            options, project, repo, partially_published=partially_published
        )
    except ReleaseError as error:
        if error.code not in _UNREADABLE_INDEX:
            raise
        index_findings = PreflightFindings((obstacle_of(error),))
    else:
        return context, PreflightFindings()
    offline_options = options.model_copy(update={"offline": True})
    context = await create_plan_context(offline_options, project, repo)
    return context, index_findings


async def _run_preflight(
    context: PlanContext, scope: PreflightScope, *, asked: bool, partially_published: bool
) -> PreflightFindings:
    """Find the problems that a release would meet. Unless the index was *asked*, no other server is contacted either.

    If the release is *partially_published*, later indexes may have its versions.

    A release that stops before anything is public needs no rights: credentials, the remote and the forge are not
    checked.
    """
    project, repo, plan, target = context.project, context.repo, context.plan, context.target
    later_indexes = read_workspace.later_indexes(project)
    rights = asked and scope.needs_rights
    findings = preflight.other_clones(project, repo) if rights else PreflightFindings()
    findings += preflight.workspace(
        project,
        repo,
        plan,
        target,
        context.published,
        audit=asked and scope.audit,
        commits=scope.makes_commit,
        needs_branch=scope.needs_branch,
        publishes=scope.needs_rights or not scope.resumes,
    )
    findings += preflight.notes(project, repo, plan, target)
    if rights:
        findings += await preflight.forge_access(project, repo, plan)
        async with open_index(project, target) as index:
            findings += await preflight.credentials(
                project, target, index, plan, uploads_next=scope.uploads_next
            )
            findings += await preflight.project_names(plan, target, index, context.published or {})
        for later in later_indexes:
            async with open_index(project, later.target) as index:
                findings += await preflight.later_index(
                    project,
                    plan,
                    later,
                    index,
                    partially_published=partially_published,
                    uploads_next=scope.uploads_next,
                )
        findings += preflight.remote(project, repo, plan, partially_published=partially_published)
    return findings


async def select_release(options: PublishOptions, project: Project, repo: Repo) -> PendingRelease:
    """Return the release that `publish` runs. If it cannot run, its plan has obstacles.

    A dry run ignores an unfinished release and makes a new plan, unless there is a manifest.
    """
    if options.output.name:
        check_output_directory(options.output)
    settings = project.settings
    if options.platform not in ("", *settings.platform_table):
        suggestion = did_you_mean(options.platform, settings.platform_table)
        message = f"no platform is named {options.platform}{suggestion}"
        raise Refusal(ErrorCode.USAGE, message, "[tool.releasekit.platforms]")
    adopt = options.resume_from_registry
    record = None
    staged_manifest = options.staged_manifest
    if staged_manifest:
        from tasks import pr_steps

        staged_manifest = await pr_steps.fetch_manifest(
            repo, settings, project.uv.secrets, staged_manifest
        )
    if not options.dry_run:
        record = resume.find_resumable(
            repo,
            settings,
            options.recovery_manifest,
            staged_manifest,
            recover=adopt,
            discard_staged=options.stops_before_publishing,
        )
    if record and options.version_only and _recorded_packages(record):
        raise resume.unfinished_error(record)
    if staged_manifest:
        bundle = resume.load_manifest(repo, settings, staged_manifest, record)
        plan = await _check_rights(options, project, bundle.plan)
        return PendingRelease(plan, record, bundle)
    if record:
        plan = record.plan()
        resume.refuse_other_requests(plan, options.version_options())
        return PendingRelease(plan, record)
    context = await compute_plan(options, project, repo, partially_published=adopt)
    return PendingRelease(context.plan, plan_context=context)


async def log_resume_summary(record: Record, project: Project, repo: Repo) -> None:
    """Log which release is resumed, and which of its versions must be completed soon."""
    log.info("%s", resume.resume_summary(record, repo))
    target = read_workspace.target_of(project)
    if not target.closes_versions:
        return
    try:
        async with open_index(project, target) as index:
            warnings = await resume.find_closing(record, index, datetime.now(UTC))
    except ReleaseError as error:
        # The upload will report the error again.
        log.debug("the age of the uploads is unknown: %s", error)
        return
    for warning in warnings:
        log.warning("warning %s", warning)


async def _check_rights(options: PublishOptions, project: Project, plan: Plan) -> Plan:
    """Return a *plan* from a manifest, with the obstacles because of which this machine cannot publish it."""
    if options.stops_before_publishing or options.offline:
        return plan
    parts = {read_workspace.target_of(project): plan} | {
        later.target: later.part_of(plan)
        for later in read_workspace.later_indexes(project)
        if not later.needs_approval
    }
    findings = PreflightFindings()
    for target, part in parts.items():
        async with open_index(project, target) as index:
            findings += await preflight.credentials(
                project, target, index, part, uploads_next=not options.dry_run
            )
    return plan.model_copy(update={"obstacles": unique_obstacles(findings.obstacles)})
