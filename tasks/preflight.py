"""What would go wrong later, found before anything is begun; nothing is changed.

Every look runs by itself to its end: what one of them finds, or cannot find out, hides nothing of the others.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from releasekit.core.config.settings import bump_files
from releasekit.core.errors import Code, Refusal, ReleaseError, Warn
from releasekit.core.planning.model import Obstacle, Status
from releasekit.core.release.release_notes import SMALLEST_LIMIT
from releasekit.core.text import some
from releasekit.core.workspace.dynamic_version import is_dynamic
from releasekit.core.workspace.siblings import raised_by_file, write_raised
from releasekit.integrations.filesystem import read_text
from releasekit.integrations.notes_sources import gather, rendered
from releasekit.integrations.process import mask
from releasekit.integrations.uv import trusted_publishing
from releasekit.integrations.version_files import new_texts
from releasekit.store.record import MANIFEST
from releasekit.store.remote_lock import held_there
from tasks.decorators import lazy_task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
    from pathlib import Path

    from packaging.version import Version

    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.release.target import Target
    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import Index
    from tasks.project import Project

log = logging.getLogger("releasekit.preflight")

Finding: TypeAlias = ReleaseError | Warn
"""What a look finds: an error is an obstacle, a warning stops nothing. A look that raises an error has found that."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What has been found: what `publish` refuses, and what a maintainer should know."""

    obstacles: tuple[Obstacle, ...] = ()
    warnings: tuple[str, ...] = ()

    def __add__(self, more: Findings) -> Findings:
        return Findings(self.obstacles + more.obstacles, self.warnings + more.warnings)


def collect(*looks: Iterator[Finding]) -> Findings:
    """Run each of *looks* to its end, and return what they find, in order."""
    return _sorted([finding for look in looks for finding in _to_its_end(look)])


def _to_its_end(look: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from look
    except ReleaseError as error:
        yield error


async def _collect_async(look: AsyncIterator[Finding]) -> Findings:
    return _sorted([finding async for finding in _to_its_end_async(look)])


async def _to_its_end_async(look: AsyncIterator[Finding]) -> AsyncIterator[Finding]:
    try:
        async for finding in look:
            yield finding
    except ReleaseError as error:
        yield error


def _sorted(found: list[Finding]) -> Findings:
    obstacles = tuple(obstacle_of(finding) for finding in found if isinstance(finding, ReleaseError))
    return Findings(obstacles, tuple(str(finding) for finding in found if isinstance(finding, Warn)))


def obstacle_of(error: ReleaseError) -> Obstacle:
    """Return *error* as a value without secrets: it goes into files, comments and Prefect's database."""
    return Obstacle(
        code=error.code,
        what=mask(error.what),
        where=mask(error.where),
        hint=mask(error.hint),
        output=mask(error.output),
    )


@lazy_task("preflight-others")
def others(project: Project, repo: Repo) -> Findings:
    """Find out whether another clone is in the middle of a release: what it has done looks like our mistakes.

    Obstacles: RK-RELEASE-ELSEWHERE, RK-REMOTE-UNREACHABLE.
    """
    return collect(_others(project, repo))


@lazy_task("preflight")
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
) -> Findings:
    """Look at the checkout and the plan.

    *published* is None when no index was asked. Where nobody *commits*, git needs neither a name nor a key. With
    *needs_branch*, a detached HEAD will not do in a CI either.
    Obstacles: RK-PREFLIGHT-…, RK-GIT-IDENTITY, RK-SIGNING-FAILED, RK-VERSION-PLACE, RK-WORKSPACE-INVALID.
    """
    looks = [
        _detached_head(repo, needs_branch=needs_branch),
        _dirty_worktree(repo),
        _stale_lock(project, repo),
        *((_identity(repo), _signing(repo)) if commits else ()),
        _version_places(project, repo, plan),
        _requirement_places(project, repo, plan),
        _versions_taken(project, plan, published or {}),
    ]
    if published is not None and target.is_pypi:
        looks.append(_new_projects(plan, published))
    if audit and project.settings.audit and (project.root / "uv.lock").is_file():
        looks.append(_audit(project))
    return collect(*looks)


@lazy_task("preflight-notes")
def notes(project: Project, repo: Repo, plan: Plan, target: Target) -> Findings:
    """Render the template, which else would fail after the last upload. Obstacle: RK-NOTES-TEMPLATE."""
    return collect(_notes(project, repo, plan, target))


@lazy_task("preflight-forge")
async def forge_access(project: Project, repo: Repo, plan: Plan) -> Findings:
    """Find out before the first build whether there will be a release on the forge; if not, a warning says so.

    Obstacles: RK-FORGE-… where one is required, and RK-PREFLIGHT-CONCURRENT-RELEASE if a draft of this very release is
    there, or one that waits to be published: somebody else is making it (D-6).
    """
    return await _collect_async(_forge_access(project, repo, plan))


@lazy_task("preflight-credentials")
async def credentials(project: Project, target: Target, index: Index) -> Findings:
    """Ask the index whether it would take uploads. Obstacles: RK-INDEX-CREDENTIALS, RK-INDEX-UNREACHABLE."""
    return await _collect_async(_credentials(project, target, index))


@lazy_task("preflight-remote")
def remote(project: Project, repo: Repo) -> Findings:
    """Find out before the first build whether the git remote would refuse after the last one.

    Obstacles: RK-PREFLIGHT-NO-REMOTE, RK-PUSH-REJECTED, RK-REMOTE-UNREACHABLE.
    """
    return collect(_remote(project, repo))


# ---- the looks ------------------------------------------------------------------------------------------------------


def _others(project: Project, repo: Repo) -> Iterator[Finding]:
    if held := held_there(repo, project.settings):
        yield held.elsewhere(project.settings.remote)


def _detached_head(repo: Repo, *, needs_branch: bool) -> Iterator[Finding]:
    if repo.branch:
        return
    what = f"HEAD is detached at {repo.head[:12]}"
    if needs_branch:
        yield Refusal(
            Code.PREFLIGHT_DETACHED_HEAD, f"{what}, so there is no branch to bring to the commit", str(repo.top)
        )
    elif not os.environ.get("CI"):
        yield Refusal(Code.PREFLIGHT_DETACHED_HEAD, what, str(repo.top))


def _dirty_worktree(repo: Repo) -> Iterator[Finding]:
    if changed := repo.changed_paths():
        yield Refusal(Code.PREFLIGHT_DIRTY_WORKTREE, f"uncommitted: {some(changed, 5)}", str(repo.top))


def _stale_lock(project: Project, repo: Repo) -> Iterator[Finding]:
    if repo.is_tracked(project.root / "uv.lock") and not project.uv.lock_is_current(project.root):
        yield Refusal(Code.PREFLIGHT_LOCK_STALE, "uv.lock does not fit the pyproject.toml files", str(project.root))


def _identity(repo: Repo) -> Iterator[Finding]:
    repo.committer()
    yield from ()


def _signing(repo: Repo) -> Iterator[Finding]:
    repo.check_signing()
    yield from ()


def _version_places(project: Project, repo: Repo, plan: Plan) -> Iterator[Finding]:
    """Find what could not be written later: the very edits of the release are tried, and dropped."""
    files: dict[Path, str] = {}
    for step in plan.steps:
        try:
            files |= dict.fromkeys(_written_files(project, step), step.path)
        except ReleaseError as error:
            yield error
    for path in repo.untracked(list(files)):
        what = "git does not track this file, so the release could not write the version into it"
        yield Refusal(Code.VERSION_PLACE, what, os.path.relpath(path, project.root))


def _requirement_places(project: Project, repo: Repo, plan: Plan) -> Iterator[Finding]:
    """Find requirements that could not be raised later: the very edits of the release are tried, and dropped."""
    files = raised_by_file(plan.raises)
    for file, raised in files.items():
        path = project.root / file
        try:
            write_raised(read_text(path), path.name, raised)
        except ReleaseError as error:
            yield Refusal(error.code, error.what, file, error.hint)
    for path in repo.untracked([(project.root / file).resolve() for file in files]):
        what = "git does not track this file, so the release could not raise a requirement in it"
        yield Refusal(Code.WORKSPACE_REQUIREMENT, what, os.path.relpath(path, project.root))


def _written_files(project: Project, step: Step) -> Iterable[Path]:
    """Return the files that take the version of *step*, unless it is pyproject.toml alone, which cannot be missed."""
    document, _ = project.manifests[step.path]
    if not (is_dynamic(document) or bump_files(document, step.path)):
        return ()
    return new_texts(project.root / step.path, document, step.version, step.path)


def _versions_taken(project: Project, plan: Plan, published: Mapping[str, frozenset[Version]]) -> Iterator[Finding]:
    for step in plan.packages:
        if step.status is Status.ALREADY_PUBLISHED:
            what = f"the index already has {step.name} {step.next}"
            yield Refusal(Code.PREFLIGHT_VERSION_EXISTS, what, f"{step.path}/pyproject.toml")
        later = [
            v for v in published.get(step.name, ()) if step.order >= 0 and v > step.version and not v.is_prerelease
        ]
        if later and not project.settings.allow_older:
            what = f"the index has {step.name} {max(later)}, later than the {step.version} to be released"
            hint = "Fetch the tags (`git fetch --tags`); on a maintenance branch set allow_older = true."
            yield Refusal(Code.PREFLIGHT_VERSION_EXISTS, what, f"{step.path}/pyproject.toml", hint)


def _new_projects(plan: Plan, published: Mapping[str, frozenset[Version]]) -> Iterator[Finding]:
    fresh = [step.name for step in plan.steps if step.name in published and not published[step.name]]
    if len(fresh) > _NEW_PROJECTS_A_DAY:
        what = f"{len(fresh)} projects are new to the index; PyPI lets a user create {_NEW_PROJECTS_A_DAY} a day"
        yield Warn(Code.PREFLIGHT_NEW_PROJECTS, what)


_NEW_PROJECTS_A_DAY = 4  # pypi/support#11827


def _audit(project: Project) -> Iterator[Finding]:
    try:
        findings = project.uv.audit(project.root)
    except ReleaseError as error:  # as without a network: that it could not look says nothing of what is there
        why = next((line for line in error.output.splitlines() if line.startswith("error")), error.what)
        yield Warn(error.code, f"uv audit could not look: {why.removeprefix('error: ')}", str(project.root))
        return
    if findings and project.settings.strict_audit:
        yield Refusal(Code.PREFLIGHT_VULNERABLE, "uv audit has findings", str(project.root), output=findings)
    elif findings:
        yield Warn(Code.PREFLIGHT_VULNERABLE, findings.strip().splitlines()[-1], "uv audit")


def _notes(project: Project, repo: Repo, plan: Plan, target: Target) -> Iterator[Finding]:
    settings = project.settings
    if plan.steps and settings.release and settings.notes_template:
        place = project.root.relative_to(repo.top).as_posix()
        found = gather(plan, repo, repo.top, place, target, settings, pulls={})
        rendered(found, project.root, settings, SMALLEST_LIMIT)
    yield from ()


async def _forge_access(project: Project, repo: Repo, plan: Plan) -> AsyncIterator[Finding]:
    from releasekit.integrations.forge_factory import forge_of  # late: httpx is dear, and what asks nobody does without

    settings = project.settings
    if not (plan.steps and settings.on_forge):
        return
    try:
        async with forge_of(repo.address(settings.remote), settings, project.uv.secrets) as forge:
            await forge.check_access()
            drafts = await forge.drafts()
    except ReleaseError as error:
        if settings.forge_required:
            raise
        if settings.expects_no_forge(error):
            there = settings.remote in repo.remotes()
            log.info("no release on a forge: %s", error.what if there else f"there is no remote {settings.remote}")
            return
        so = "a release on the forge may fail" if settings.stops_at(error) else "there will be no release on the forge"
        yield Warn(error.code, f"{so}: {error.what}", error.where)
        return
    for there in drafts:
        if there.tag == plan.title or MANIFEST in there.assets:
            what = f"there is a draft of {there.tag} on {forge.name}"
            yield Refusal(Code.PREFLIGHT_CONCURRENT_RELEASE, what, there.page)


async def _credentials(project: Project, target: Target, index: Index) -> AsyncIterator[Finding]:
    if trusted_publishing(project.uv.secrets) != "never":
        return
    address = target.publish_url or project.uv.default_publish_url()
    try:
        await index.check_credentials(address)
    except ReleaseError as error:
        yield error
        if error.code is Code.INDEX_UNREACHABLE and not index.has_credentials(address):
            what = "no credentials are set, and the index does not answer whether it wants some"
            yield Refusal(Code.INDEX_CREDENTIALS, what, error.where)


def _remote(project: Project, repo: Repo) -> Iterator[Finding]:
    settings = project.settings
    if not settings.push:
        return
    if settings.remote not in repo.remotes():
        yield Refusal(Code.PREFLIGHT_NO_REMOTE, f"there is no remote {settings.remote}", str(repo.top))
    elif repo.branch:
        try:
            repo.push(settings.remote, [f"{repo.head}:refs/heads/{repo.branch}"], dry_run=True)
        except ReleaseError as error:
            if error.code is not Code.PUSH_REJECTED:
                raise
            what = f"{settings.remote} would not take {repo.branch}"
            hint = f"Pull first if {repo.branch} has moved there; or pass --no-push."
            yield Refusal(Code.PUSH_REJECTED, what, str(repo.top), hint, error.output)
