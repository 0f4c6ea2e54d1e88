"""One decision, one answer: what is released, from what, and what stands in the way.

`plan`, `publish` with and without `--dry-run` or `--approve`, the deployments and `prepare` all take `compute_plan`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from releasekit.core.errors import Code, ReleaseError
from releasekit.core.planning.model import Obstructed, distinct
from releasekit.operations.draft import draft, open_index
from releasekit.options import PrepareOptions, PublishOptions
from releasekit.store.bundle import check_room
from releasekit.store.record import begin, record_of
from tasks import pr_steps, preflight, read_workspace, resume
from tasks.preflight import Findings, obstacle_of

if TYPE_CHECKING:
    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.integrations.git import Repo
    from releasekit.operations.draft import Draft
    from releasekit.options import Options
    from releasekit.store.bundle import Exported
    from releasekit.store.record import Record
    from tasks.project import Project

log = logging.getLogger("releasekit")

_NO_READING = frozenset({Code.INDEX_UNREACHABLE, Code.INDEX_RESPONSE, Code.INDEX_CREDENTIALS})
"""Why an index may not say what it has; the plan is then what git knows."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is asked about a release.

    *rights* are those to upload and to push, which only the place needs that does so. *commits* says that this place
    makes the release commit. The *audit* is slow, so it is made where its findings count. With *branch*, a branch has
    to be checked out. *carries_on* says that a release that has begun here would be carried on, and nothing else be
    begun; with *afresh*, not if it is only staged.
    """

    rights: bool
    commits: bool
    audit: bool
    branch: bool = False
    carries_on: bool = True
    afresh: bool = False


def scope_of(options: Options, settings: Settings) -> Scope:
    """Return what is asked about the release that *options* ask for."""
    if isinstance(options, PrepareOptions):  # what is merged is uploaded elsewhere
        return Scope(rights=False, commits=True, audit=True, carries_on=False)
    if isinstance(options, PublishOptions):
        return Scope(
            rights=not options.private,
            commits=True,
            audit=True,
            branch=options.version_only,
            carries_on=not options.resume_from_registry,
            afresh=options.private,
        )
    here = settings.publish_from != "ci"
    return Scope(rights=here, commits=here, audit=settings.strict_audit)


@dataclass(frozen=True, slots=True)
class PendingRelease:
    """What `publish` would carry out: an unfinished release of this repository, one in a manifest, or a new plan."""

    plan: Plan
    record: Record | None = None
    manifest_bundle: Exported | None = None
    drafted: Draft | None = None

    def refuse_obstacles(self) -> None:
        """Raise Refusal with the code of the first obstacle, if there are any: see `Obstructed`."""
        if self.plan.obstacles:
            raise Obstructed(self.plan)

    def recorded_files(self) -> int:
        """Return how many files are built already."""
        if self.manifest_bundle:
            manifest = self.manifest_bundle.manifest
        else:
            manifest = self.record.manifest() if self.record else None
        return sum(len(package.files) for package in manifest.packages) if manifest else 0

    def begin(self, repo: Repo, settings: Settings, *, publishing: bool) -> Record:
        """Return it on record; a plan without packages is not written there."""
        if self.manifest_bundle:
            return resume.take(repo, settings, self.manifest_bundle, self.record, publishing=publishing)
        if self.record:
            return self.record
        if not self.plan.steps:
            return record_of(repo.common_dir, self.plan.release)
        return begin(repo.common_dir, self.plan)


async def compute_plan(options: Options, project: Project, repo: Repo, *, half_out: bool = False) -> Draft:
    """Decide what is released, from what, and find all that stands in the way; changes nothing.

    The obstacles of the plan are in the order in which `publish` minds them. An error is raised only where it leaves no
    plan: history or workspace cannot be read, or a version cannot be decided. For *half_out* see `draft`.
    """
    scope = scope_of(options, project.settings)
    begun, findings = _begun_here(repo, scope)
    drafted, unread = await _draft(options, project, repo, half_out=half_out)
    if not begun:
        asked = drafted.published is not None or bool(unread.obstacles)
        findings += unread + await _preflight(drafted, scope, asked=asked)
    plan = drafted.plan
    obstacles = distinct((*plan.obstacles, *findings.obstacles))
    warnings = (*plan.warnings, *findings.warnings)
    return replace(drafted, plan=plan.model_copy(update={"obstacles": obstacles, "warnings": warnings}))


def _begun_here(repo: Repo, scope: Scope) -> tuple[bool, Findings]:
    """Return whether a release has begun here that would be carried on, and what keeps `publish` from doing so."""
    if not scope.carries_on:
        return False, Findings()
    try:
        record = resume.look(repo, afresh=scope.afresh)
        if record and scope.branch and (known := record.manifest()) and known.packages:
            raise resume.not_ended(record)
    except ReleaseError as error:
        return True, Findings((obstacle_of(error),))
    return record is not None, Findings()


async def _draft(options: Options, project: Project, repo: Repo, *, half_out: bool) -> tuple[Draft, Findings]:
    """Return the draft; where the index cannot be read, what git knows, and the reason as an obstacle."""
    try:
        return await draft(options, project, repo, half_out=half_out), Findings()
    except ReleaseError as error:
        if error.code not in _NO_READING:
            raise
        unread = Findings((obstacle_of(error),))
    return await draft(options.model_copy(update={"offline": True}), project, repo), unread


async def _preflight(drafted: Draft, scope: Scope, *, asked: bool) -> Findings:
    """Find what would go wrong later; unless the index was *asked*, nobody outside is.

    A release that ends while it is private needs no rights: neither the remote nor the forge is asked, nor credentials.
    """
    project, repo, plan, target = drafted.project, drafted.repo, drafted.plan, drafted.target
    rights = asked and scope.rights
    found = preflight.others(project, repo) if rights else Findings()
    found += preflight.workspace(
        project,
        repo,
        plan,
        target,
        drafted.published,
        audit=asked and scope.audit,
        commits=scope.commits,
        needs_branch=scope.branch,
    )
    found += preflight.notes(project, repo, plan, target)
    if rights:
        found += await preflight.forge_access(project, repo, plan)
        async with open_index(project, target) as index:
            found += await preflight.credentials(project, target, index)
        found += preflight.remote(project, repo)
    return found


async def select_release(options: PublishOptions, project: Project, repo: Repo) -> PendingRelease:
    """Return what `publish` would carry out; what it cannot carry out has obstacles in its plan.

    A dry run makes a new plan, whether a release is unfinished here or not, unless there is a manifest.
    """
    if options.output.name:
        check_room(options.output)
    settings, adopt, record = project.settings, options.resume_from_registry, None
    handed = options.handed_over
    if handed:
        handed = await pr_steps.manifest_at_hand(repo, settings, project.uv.secrets, handed)
    if not options.dry_run:
        record = resume.to_carry_on(repo, settings, options.kept_record, handed, adopt=adopt, afresh=options.private)
    if record and options.version_only and (known := record.manifest()) and known.packages:
        raise resume.not_ended(record)
    if handed:
        given = resume.given(repo, settings, handed, record)
        return PendingRelease(await _with_rights(options, project, given.plan), record, given)
    if record:
        return PendingRelease(record.plan(), record)
    drafted = await compute_plan(options, project, repo, half_out=adopt)
    return PendingRelease(drafted.plan, drafted=drafted)


async def show_standing(record: Record, project: Project, repo: Repo) -> None:
    """Say which release is carried on, and which of its versions must be completed soon."""
    log.info("%s", resume.how_it_stands(record, repo))
    target = read_workspace.target_of(project)
    if not target.closes_versions:
        return
    try:
        async with open_index(project, target) as index:
            warnings = await resume.find_closing(record, index, datetime.now(UTC))
    except ReleaseError as error:
        log.debug("nobody knows how old the uploads are: %s", error)  # the upload itself will meet it again
        return
    for warning in warnings:
        log.warning("warning %s", warning)


async def _with_rights(options: PublishOptions, project: Project, plan: Plan) -> Plan:
    """Return a *plan* that was handed over, with what keeps this place from publishing it."""
    if options.private or options.offline:
        return plan
    target = read_workspace.target_of(project)
    async with open_index(project, target) as index:
        found = await preflight.credentials(project, target, index)
    return plan.model_copy(update={"obstacles": distinct(found.obstacles)})
