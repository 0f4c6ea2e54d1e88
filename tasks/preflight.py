"""Find problems before a release begins. Nothing is changed.

Every probe runs to its end, independently of the others: a finding or a failure of one hides no finding of another.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

from releasekit.core.addresses import is_unencrypted
from releasekit.core.artifacts.package_facts import missing_sources
from releasekit.core.config.settings import CHANGELOG, bump_files
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, ReleaseWarning
from releasekit.core.history.build_tags import unread_tag_warnings
from releasekit.core.history.remote_tags import later_releases
from releasekit.core.history.tags import blocked_tag_refusal, blocked_tags
from releasekit.core.picking import drop, drop_keys, map_values, names_of, pick
from releasekit.core.planning.model import Obstacle, Status
from releasekit.core.release.branches import branch_refusal
from releasekit.core.release.new_projects import describe_days, new_project_names
from releasekit.core.release.project_names import (
    is_of_standard_library,
    similar_pairs,
    spellings,
)
from releasekit.core.release.release_notes import MIN_BODY_LIMIT
from releasekit.core.release.upload_rights import (
    explain_missing_token,
    new_projects_refusal,
    token_warning,
    trusted_publishing_setup,
    uncovered_refusal,
)
from releasekit.core.text import count_as, summarize
from releasekit.core.workspace.dynamic_version import is_dynamic
from releasekit.core.workspace.package_paths import is_member
from releasekit.core.workspace.siblings import group_by_file, write_raised_requirements
from releasekit.integrations.filesystem import changelog_path, find_changelog_problem, read_text
from releasekit.integrations.git import tags_among
from releasekit.integrations.notes_sources import gather_notes, render_notes
from releasekit.integrations.process import mask
from releasekit.integrations.uv import trusted_publishing
from releasekit.integrations.version_files import new_texts
from releasekit.integrations.whole_checkout import sparse_files, unavailable_submodules
from releasekit.store.record import MANIFEST
from releasekit.store.remote_lock import read_remote_lock
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.version import Version

    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.release.later_index import LaterIndex
    from releasekit.core.release.target import Target
    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import Index
    from tasks.project import Project

log = logging.getLogger("releasekit.preflight")

PreflightFinding: TypeAlias = ReleaseError | ReleaseWarning
"""What a probe finds: an error is an obstacle, a warning stops nothing. An error that a probe raises is a finding."""


@dataclass(frozen=True, slots=True)
class PreflightFindings:
    """The findings of probes: obstacles, which make `publish` refuse, and warnings for a maintainer."""

    obstacles: tuple[Obstacle, ...] = ()
    warnings: tuple[str, ...] = ()

    def __add__(self, more: PreflightFindings) -> PreflightFindings:
        return PreflightFindings(self.obstacles + more.obstacles, self.warnings + more.warnings)


def collect(*probes: Iterator[PreflightFinding]) -> PreflightFindings:
    """Run each of *probes* to its end, and return what they find, in order."""
    return _as_findings(chain.from_iterable(map(_with_error, probes)))


def _with_error(probe: Iterator[PreflightFinding]) -> Iterator[PreflightFinding]:
    try:
        yield from probe
    except ReleaseError as error:
        yield error


async def _collect_async(probe: AsyncIterator[PreflightFinding]) -> PreflightFindings:
    return _as_findings([finding async for finding in _with_error_async(probe)])


async def _with_error_async(
    probe: AsyncIterator[PreflightFinding],
) -> AsyncIterator[PreflightFinding]:
    try:
        async for finding in probe:
            yield finding
    except ReleaseError as error:
        yield error


def _as_findings(findings: Iterable[PreflightFinding]) -> PreflightFindings:
    obstacles: list[Obstacle] = []
    warnings: list[str] = []
    for finding in findings:
        if isinstance(finding, ReleaseError):
            obstacles.append(obstacle_of(finding))
        else:
            warnings.append(str(finding))
    return PreflightFindings(tuple(obstacles), tuple(warnings))


def obstacle_of(error: ReleaseError) -> Obstacle:
    """Return *error* as a value without secrets: it goes into files, comments and Prefect's database."""
    return Obstacle(
        code=error.code,
        what=mask(error.message),
        where=mask(error.location),
        hint=mask(error.hint),
        output=mask(error.output),
    )


@flow_task("preflight-others", stage="preflight")
def other_clones(project: Project, repo: Repo) -> PreflightFindings:
    """Find out whether another clone is in the middle of a release. Its effects would look like mistakes of this one.

    Obstacles: RK-RELEASE-ELSEWHERE, RK-REMOTE-UNREACHABLE.
    """
    return collect(_other_clones(project, repo))


@flow_task("preflight", stage="preflight")
def workspace(
    project: Project,
    repo: Repo,
    plan: Plan,
    target: Target,
    published: Mapping[str, frozenset[Version]] | None,
    *,
    audit: bool = True,
    commits: bool = True,
    needs_branch: bool = False,
    publishes: bool = True,
) -> PreflightFindings:
    """Check the checkout and the plan.

    *published* is None if no index was asked. Without *commits*, git needs neither a name nor a key. With
    *needs_branch*, a detached HEAD is an obstacle in CI too. If it *publishes*, the branch must be one that
    is released.
    Obstacles: RK-PREFLIGHT-…, RK-BRANCH-NOT-ALLOWED, RK-GIT-IDENTITY, RK-SIGNING-FAILED, RK-VERSION-PLACE,
    RK-WORKSPACE-INVALID.
    """
    on_index = published or {}
    left_out = _sparse_members(project, repo)
    commit_probes = [_identity(repo), _signing_key(repo)] if commits else []
    probes = [
        _detached_head(repo, needs_branch=needs_branch),
        *([_branch(project, repo)] if publishes else []),
        _dirty_worktree(repo),
        _incomplete_checkout(project, repo, plan, left_out),
        _missing_lock(project, repo),
        *([] if left_out else [_stale_lock(project, repo)]),  # uv takes these members for removed
        *commit_probes,
        _version_locations(project, repo, plan),
        _requirement_locations(project, repo, plan),
        _taken_versions(project, plan, on_index),
        _changelog_paths(project, plan),
        _ignored_changelogs(project, repo, plan),
        _unread_tags(project),
    ]
    if target.is_pypi:
        probes.append(_new_projects(plan, on_index))
    lock_file = project.root / project.uv.lock_name
    is_audited = audit and project.settings.audit and lock_file.is_file()
    if is_audited:
        probes.append(_audit(project))
    return collect(*probes)


@flow_task("preflight-notes", stage="preflight")
def notes(project: Project, repo: Repo, plan: Plan, target: Target) -> PreflightFindings:
    """Render the notes template, which would otherwise fail after the last upload. Obstacle: RK-NOTES-TEMPLATE."""
    return collect(_notes(project, repo, plan, target))


@flow_task("preflight-forge", stage="preflight")
async def forge_access(project: Project, repo: Repo, plan: Plan) -> PreflightFindings:
    """Find out before the first build whether a release on the forge is possible; if not, warn.

    Obstacles: RK-FORGE-… if one is required, and RK-PREFLIGHT-CONCURRENT-RELEASE if there is a draft of this release,
    or any draft that waits to be published: somebody else is making it (D-6).
    """
    return await _collect_async(_forge_access(project, repo, plan))


@flow_task("preflight-credentials", stage="preflight")
async def credentials(
    project: Project, target: Target, index: Index, plan: Plan, *, uploads_next: bool
) -> PreflightFindings:
    """Ask the index whether it accepts uploads of the packages of *plan*.

    If this run *uploads_next*, a CI job also tries to get a token by trusted publishing.
    Obstacles: RK-INDEX-CREDENTIALS, RK-INDEX-NO-PUBLISHER, RK-INDEX-UNREACHABLE.
    """
    probe = _credentials(project, target, index, plan, uploads_next=uploads_next)
    return await _collect_async(probe)


@flow_task("preflight-names", stage="preflight")
async def project_names(
    plan: Plan, target: Target, index: Index, published: Mapping[str, frozenset[Version]]
) -> PreflightFindings:
    """Find new projects whose names warehouse refuses, before the first upload. Obstacle: RK-PREFLIGHT-PROJECT-NAME."""
    if not target.runs_warehouse:
        return PreflightFindings()
    return await _collect_async(_refused_names(plan, index, published))


@flow_task("preflight-{later.name}", stage="preflight")
async def later_index(
    project: Project,
    plan: Plan,
    later: LaterIndex,
    index: Index,
    *,
    partially_published: bool,
    uploads_next: bool,
) -> PreflightFindings:
    """Ask a later index of the release what it has of the packages, and whether it accepts uploads.

    If the release is *partially_published*, its own versions may be there. An index that needs approval is not asked
    about uploads: the credentials may be with the person or job that approves.
    Obstacles: RK-PREFLIGHT-VERSION-EXISTS, RK-INDEX-CREDENTIALS, RK-INDEX-NO-PUBLISHER, RK-INDEX-UNREACHABLE.
    """
    findings = PreflightFindings()
    if not partially_published:
        findings += await _collect_async(_conflicts_on_later_index(plan, later, index))
    if not later.needs_approval:
        part = later.part_of(plan)
        probe = _credentials(project, later.target, index, part, uploads_next=uploads_next)
        findings += await _collect_async(probe)
    return findings


@flow_task("preflight-remote", stage="preflight")
def remote(
    project: Project, repo: Repo, plan: Plan, *, partially_published: bool
) -> PreflightFindings:
    """Find out before the first build whether the git remote would refuse the push at the end, or has unknown tags.

    If the release is *partially_published*, its own tags may be there.
    Obstacles: RK-PREFLIGHT-NO-REMOTE, RK-PUSH-REJECTED, RK-REMOTE-UNREACHABLE, RK-TAG-NOT-FETCHED, RK-TAG-EXISTS,
    RK-TAG-INVALID.
    """
    settings = project.settings
    if not settings.push:
        return PreflightFindings()
    if settings.remote not in repo.remotes():
        message = f"there is no remote {settings.remote}"
        missing = Refusal(ErrorCode.PREFLIGHT_NO_REMOTE, message, str(repo.top))
        return collect(iter([missing]))
    own_tags = plan.all_tags if partially_published else ()
    return collect(_push_access(project, repo), _remote_tags(project, repo, plan, own_tags))


# ---- the probes -----------------------------------------------------------------------------------------------------


def _other_clones(project: Project, repo: Repo) -> Iterator[PreflightFinding]:
    if remote_lock := read_remote_lock(repo, project.settings):
        yield remote_lock.conflict_error(project.settings.remote)


def _detached_head(repo: Repo, *, needs_branch: bool) -> Iterator[PreflightFinding]:
    if repo.branch:
        return
    message = f"HEAD is detached at {repo.head[:12]}"
    if needs_branch:
        message = f"{message}, so there is no branch to fast-forward"
        yield Refusal(ErrorCode.PREFLIGHT_DETACHED_HEAD, message, str(repo.top))
    elif not os.environ.get("CI"):
        yield Refusal(ErrorCode.PREFLIGHT_DETACHED_HEAD, message, str(repo.top))


def _branch(project: Project, repo: Repo) -> Iterator[PreflightFinding]:
    if repo.branch:  # a detached HEAD is a matter of its own
        settings = project.settings
        refusal = branch_refusal(
            repo.branch, settings.allow_branches, repo.local_default_branch(settings.remote)
        )
        if refusal:
            yield refusal


def _changelog_paths(project: Project, plan: Plan) -> Iterator[PreflightFinding]:
    """Find values of `changelog_path` and `workspace_changelog` that name no text file below their directory."""
    with_own_path = {
        project.workspace[name].path
        for name, keys in project.member_settings.items()
        if "changelog_path" in keys
    }
    for directory, _, section in plan.sections:
        is_shared = section is plan.workspace_changelog
        base = (project.root / directory).resolve()
        path = changelog_path(base, section.path)
        is_chosen = is_shared or section.path != CHANGELOG
        problem = find_changelog_problem(base, path) if is_chosen else ""
        if problem:
            key = "workspace_changelog" if is_shared else "changelog_path"
            file = f"{directory}/pyproject.toml" if directory in with_own_path else "pyproject.toml"
            message = f"{key}: {os.path.relpath(path, project.root)} {problem}"
            yield Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, f"{file}, [tool.releasekit]")


def _ignored_changelogs(project: Project, repo: Repo, plan: Plan) -> Iterator[PreflightFinding]:
    """Find changelogs that the release commit cannot contain."""
    changelogs = [
        changelog_path((project.root / directory).resolve(), section.path)
        for directory, _, section in plan.sections
    ]
    ignored = repo.find_ignored(changelogs)
    if ignored:
        names = [os.path.relpath(path, project.root) for path in ignored]
        message = f"git ignores {summarize(names, 5)}, so the release commit does not contain it"
        yield ReleaseWarning(ErrorCode.CHANGELOG_IGNORED, message)


def _unread_tags(project: Project) -> Iterator[PreflightFinding]:
    """Find packages whose build reads other tags than those that the release makes."""
    documents = {path: document for path, (document, _) in project.manifests.items()}
    if project.settings.tag:
        yield from unread_tag_warnings(project.workspace, project.schemes, documents)


def _dirty_worktree(repo: Repo) -> Iterator[PreflightFinding]:
    changed = repo.changed_paths()
    if changed:
        message = f"uncommitted: {summarize(changed, 5)}"
        yield Refusal(ErrorCode.PREFLIGHT_DIRTY_WORKTREE, message, str(repo.top))


def _incomplete_checkout(
    project: Project, repo: Repo, plan: Plan, left_out: Sequence[str]
) -> Iterator[PreflightFinding]:
    """Find members that a sparse checkout has *left out*, and submodules of released packages that are not here."""
    if left_out:
        message = f"the checkout is sparse, without {summarize(left_out, 5)}"
        yield Refusal(ErrorCode.CHECKOUT_INCOMPLETE, message, str(repo.top))
    missing, root = unavailable_submodules(repo), _path_in_repository(project, repo)
    packages = [
        (step.name, root / step.path, project.manifests[step.path][0]) for step in plan.steps
    ]
    submodules = missing_sources(missing, packages)
    if submodules:
        message = f"submodules of released packages are not initialised: {summarize(submodules, 5)}"
        yield Refusal(ErrorCode.CHECKOUT_INCOMPLETE, message, str(repo.top))


def _sparse_members(project: Project, repo: Repo) -> list[str]:
    """Return the members of the workspace that the commit has and a sparse checkout leaves out."""
    root = _path_in_repository(project, repo)
    table = project.document.get("tool", {}).get("uv", {}).get("workspace", {})
    members = [str(root / pattern) for pattern in table.get("members", ())]
    excluded = [str(root / pattern) for pattern in table.get("exclude", ())]
    directories = [str(PurePosixPath(path).parent) for path in sparse_files(repo, "pyproject.toml")]
    return [directory for directory in directories if is_member(directory, members, excluded)]


def _path_in_repository(project: Project, repo: Repo) -> PurePosixPath:
    return PurePosixPath(os.path.relpath(project.root.resolve(), repo.top).replace(os.sep, "/"))


def _stale_lock(project: Project, repo: Repo) -> Iterator[PreflightFinding]:
    is_stale = repo.is_tracked(
        project.root / project.uv.lock_name
    ) and not project.uv.lock_is_current(project.root)
    if is_stale:
        message = f"{project.uv.lock_name} does not fit the pyproject.toml files"
        yield Refusal(ErrorCode.PREFLIGHT_LOCK_STALE, message, str(project.root))


def _missing_lock(project: Project, repo: Repo) -> Iterator[PreflightFinding]:
    if project.settings.sbom and not repo.is_tracked(project.root / project.uv.lock_name):
        yield Refusal(
            ErrorCode.SBOM_NEEDS_LOCK, f"git tracks no {project.uv.lock_name}", str(project.root)
        )


def _identity(repo: Repo) -> Iterator[PreflightFinding]:
    repo.committer()
    yield from ()


def _signing_key(repo: Repo) -> Iterator[PreflightFinding]:
    repo.check_signing()
    yield from ()


def _version_locations(project: Project, repo: Repo, plan: Plan) -> Iterator[PreflightFinding]:
    """Find versions that cannot be written later: the edits of the release are tried and discarded."""
    files: dict[Path, str] = {}
    for step in plan.steps:
        try:
            files |= dict.fromkeys(_written_files(project, step), step.path)
        except ReleaseError as error:
            yield error
    message = "git does not track this file, so the release cannot write the version into it"
    yield from _untracked_files(project, repo, list(files), ErrorCode.VERSION_PLACE, message)


def _requirement_locations(project: Project, repo: Repo, plan: Plan) -> Iterator[PreflightFinding]:
    """Find requirements that cannot be raised later: the edits of the release are tried and discarded."""
    files: list[Path] = []
    for file, raised in group_by_file(plan.raises).items():
        path = project.root / file
        files.append(path.resolve())
        try:
            write_raised_requirements(read_text(path), path.name, raised)
        except ReleaseError as error:
            yield Refusal(error.code, error.message, file, error.hint)
    message = "git does not track this file, so the release cannot raise a requirement in it"
    yield from _untracked_files(project, repo, files, ErrorCode.WORKSPACE_REQUIREMENT, message)


def _untracked_files(
    project: Project, repo: Repo, files: Sequence[Path], code: ErrorCode, message: str
) -> Iterator[PreflightFinding]:
    for path in repo.find_untracked(files):
        yield Refusal(code, message, os.path.relpath(path, project.root))


def _written_files(project: Project, step: Step) -> Iterable[Path]:
    """Return the files that get the version of *step*; none if it is only pyproject.toml, which always works."""
    document, _ = project.manifests[step.path]
    has_other_files = is_dynamic(document) or bump_files(document, step.path)
    if not has_other_files:
        return ()
    return new_texts(project.root / step.path, document, step.version, step.path)


def _taken_versions(
    project: Project, plan: Plan, published: Mapping[str, frozenset[Version]]
) -> Iterator[PreflightFinding]:
    for step in plan.packages:
        location = f"{step.path}/pyproject.toml"
        if step.status is Status.ALREADY_PUBLISHED:
            message = f"the index already has {step.name} {step.next}"
            yield Refusal(ErrorCode.PREFLIGHT_VERSION_EXISTS, message, location)
        is_older_allowed = step.order < 0 or project.settings.allow_older
        if is_older_allowed:
            continue
        stable = [version for version in published.get(step.name, ()) if not version.is_prerelease]
        latest = max(stable, default=step.version)
        if latest > step.version:
            message = f"the index has {step.name} {latest}, which is later than {step.version}, the planned version"
            hint = "Fetch the tags (`git fetch --tags`); on a maintenance branch set allow_older = true."
            yield Refusal(ErrorCode.PREFLIGHT_VERSION_EXISTS, message, location, hint)


async def _refused_names(
    plan: Plan, index: Index, published: Mapping[str, frozenset[Version]]
) -> AsyncIterator[PreflightFinding]:
    new_names = new_project_names(plan, published)
    paths = {step.name: f"{step.path}/pyproject.toml" for step in plan.steps}
    refusals = dict.fromkeys(
        filter(is_of_standard_library, new_names), "a module of the standard library has this name"
    )
    for name, other in similar_pairs(new_names, new_names):
        refusals[name] = f"it is too similar to {other}, which is new too"
    questions = [(name, other) for name in drop(new_names, refusals) for other in spellings(name)]
    answers = await asyncio.gather(*(index.files(other) for _, other in questions))
    for (name, other), files in zip(questions, answers, strict=True):
        if files is not None:
            refusals[name] = f"it is too similar to {other}, which the index has"
    for name, reason in refusals.items():
        message = f"the index would refuse the new project {name}: {reason}"
        yield Refusal(ErrorCode.PREFLIGHT_PROJECT_NAME, message, paths[name])


async def _conflicts_on_later_index(
    plan: Plan, later: LaterIndex, index: Index
) -> AsyncIterator[PreflightFinding]:
    part = later.part_of(plan)
    answers = await asyncio.gather(*(index.versions(step.name) for step in part.steps))
    for step, versions in zip(part.steps, answers, strict=True):
        if step.version in versions:
            message = f"{later.name} already has {step.name} {step.version}"
            yield Refusal(
                ErrorCode.PREFLIGHT_VERSION_EXISTS, message, f"{step.path}/pyproject.toml"
            )
    if later.target.is_pypi:
        published = dict(zip(names_of(part.steps), answers, strict=True))
        for warning in _new_projects(part, published):
            yield warning


def _new_projects(
    plan: Plan, published: Mapping[str, frozenset[Version]]
) -> Iterator[PreflightFinding]:
    message = describe_days(new_project_names(plan, published))
    if message:
        yield ReleaseWarning(ErrorCode.PREFLIGHT_NEW_PROJECTS, message)


def _audit(project: Project) -> Iterator[PreflightFinding]:
    try:
        findings = project.uv.audit(project.root)
    except (
        ReleaseError
    ) as error:  # for example without a network; then nothing is known about vulnerabilities
        error_lines = (line for line in error.output.splitlines() if line.startswith("error"))
        reason = next(error_lines, error.message).removeprefix("error: ")
        message = f"uv audit failed: {reason}"
        if project.settings.strict_audit:
            yield Refusal(
                ErrorCode.PREFLIGHT_VULNERABLE, message, str(project.root), output=error.output
            )
        else:
            yield ReleaseWarning(error.code, message, str(project.root))
        return
    if not findings:
        return
    if project.settings.strict_audit:
        message = "uv audit has findings"
        yield Refusal(ErrorCode.PREFLIGHT_VULNERABLE, message, str(project.root), output=findings)
    else:
        summary = findings.strip().splitlines()[-1]
        yield ReleaseWarning(ErrorCode.PREFLIGHT_VULNERABLE, summary, "uv audit")


def _notes(project: Project, repo: Repo, plan: Plan, target: Target) -> Iterator[PreflightFinding]:
    settings = project.settings
    has_own_notes = plan.steps and settings.release and settings.notes_template
    if has_own_notes:
        workspace_path = project.root.relative_to(repo.top).as_posix()
        sources = gather_notes(plan, repo, repo.top, workspace_path, target, settings, pulls={})
        render_notes(sources, project.root, settings, MIN_BODY_LIMIT)
    yield from ()


async def _forge_access(
    project: Project, repo: Repo, plan: Plan
) -> AsyncIterator[PreflightFinding]:
    from releasekit.integrations.forge_factory import (
        connect_forge,  # imported late: httpx is slow to import, and is often not needed
    )

    settings = project.settings
    has_forge_release = plan.steps and settings.creates_forge_release
    if not has_forge_release:
        return
    try:
        async with connect_forge(
            repo.address(settings.remote), settings, project.uv.secrets
        ) as forge:
            await forge.check_access()
            drafts = await forge.drafts()
    except ReleaseError as error:
        if settings.forge_required:
            raise
        if settings.expects_no_forge(error):
            has_remote = settings.remote in repo.remotes()
            reason = error.message if has_remote else f"there is no remote {settings.remote}"
            log.info("no release on the forge: %s", reason)
            return
        consequence = "there will be no release on the forge"
        if settings.stops_at(error):
            consequence = "the release on the forge may fail"
        message = f"{consequence}: {error.message}"
        yield ReleaseWarning(error.code, message, error.location)
        return
    for draft in drafts:
        is_draft_of_releasekit = draft.tag == plan.title or MANIFEST in draft.assets
        if is_draft_of_releasekit:
            message = f"there is a draft of {draft.tag} on {forge.name}"
            yield Refusal(ErrorCode.PREFLIGHT_CONCURRENT_RELEASE, message, draft.url)


async def _credentials(
    project: Project, target: Target, index: Index, plan: Plan, *, uploads_next: bool
) -> AsyncIterator[PreflightFinding]:
    address = target.publish_url or project.uv.default_publish_url()
    if is_unencrypted(address):
        message = "uploads over http are refused, except to this machine"
        yield Refusal(ErrorCode.INDEX_UNENCRYPTED, message, mask(address))
        return
    secrets = project.uv.secrets.for_uploads(target.credentials)
    if trusted_publishing(secrets) != "never":
        refusal = await _check_publisher(target, index, address, plan, uploads_next=uploads_next)
        if refusal:
            yield refusal
        return
    setup = trusted_publishing_setup(os.environ, target)
    has_credentials = index.has_credentials(address)
    if setup and has_credentials:
        yield token_warning(setup, target)
        setup = ""
    try:
        await index.check_credentials(address)
    except ReleaseError as error:
        yield explain_missing_token(error, setup)
        if error.code is ErrorCode.INDEX_UNREACHABLE and not has_credentials:
            message = "no credentials are set, and the index does not answer whether it needs any"
            missing = Refusal(ErrorCode.INDEX_CREDENTIALS, message, error.location)
            yield explain_missing_token(missing, setup)


async def _check_publisher(
    target: Target, index: Index, address: str, plan: Plan, *, uploads_next: bool
) -> Refusal | None:
    """Return why the index takes no uploads of *plan* by trusted publishing; raises Refusal RK-INDEX-….

    No token is asked for if a project is new, because PyPI would create it. A version that is there, if only in part,
    does not count: it may have come in another way.
    """
    from releasekit.integrations.index import file_version  # late: imports httpx

    audience = await index.trusted_audience(address)
    if not audience:  # uv has other credentials
        return None
    found = await asyncio.gather(*(index.files(step.name) for step in plan.steps))
    pages = dict(zip(plan.steps, found, strict=True))
    new = [step.name for step, page in pages.items() if page is None]
    if new or not uploads_next:
        return new_projects_refusal(new, target)
    missing = [
        step.name
        for step, page in pages.items()
        if all(file_version(file.name) != step.version for file in page or ())
    ]
    token = await index.try_trusted_publishing(address, audience)
    return uncovered_refusal(token, missing, target)


def _push_access(project: Project, repo: Repo) -> Iterator[PreflightFinding]:
    settings = project.settings
    if not repo.branch:
        return
    refspec = f"{repo.head}:refs/heads/{repo.branch}"
    try:
        repo.push(settings.remote, [refspec], dry_run=True)
    except ReleaseError as error:
        if error.code is not ErrorCode.PUSH_REJECTED:
            raise
        message = f"{settings.remote} would refuse a push to {repo.branch}"
        hint = f"Pull first if {repo.branch} has new commits there, or pass --no-push."
        yield Refusal(ErrorCode.PUSH_REJECTED, message, str(repo.top), hint, error.output)


def _remote_tags(
    project: Project, repo: Repo, plan: Plan, own_tags: Sequence[str]
) -> Iterator[PreflightFinding]:
    """Yield the tags of the remote that this clone lacks, and that make the *plan* wrong or its push fail."""
    remote = project.settings.remote
    remote_tags = tags_among(repo.ls_remote(remote))
    missing = map_values(attrgetter("commit"), drop_keys(remote_tags, repo.tag_refs()))
    last = {step.name: None if step.bump == "first" else step.current for step in plan.steps}
    releases = later_releases(missing, project.schemes, last)
    history = repo.reachable_shas() if releases else frozenset[str]()
    unfetched = [tag for tag, commit in releases.items() if commit in history]
    if unfetched:
        count = count_as("tag", unfetched)
        message = f"{remote} has {count} that this clone lacks: {summarize(unfetched)}"
        yield Refusal(ErrorCode.TAG_NOT_FETCHED, message, str(repo.top))
    others = drop_keys(missing, own_tags)
    for tag in drop(pick(plan.all_tags, others), unfetched):
        message = f"{remote} has {tag} already, at {missing[tag][:12]}"
        yield Refusal(ErrorCode.TAG_EXISTS, message, str(repo.top))
    for tag, blocker in blocked_tags(plan.all_tags, others).items():
        yield blocked_tag_refusal(tag, blocker, remote)
