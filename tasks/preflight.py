"""What would go wrong later, refused before anything is begun; nothing is changed."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from tasks.adapters.files import read_toml
from tasks.adapters.held import held_there
from tasks.adapters.notes import gather, rendered
from tasks.adapters.places import new_texts
from tasks.adapters.record import MANIFEST
from tasks.adapters.uv import trusted_publishing
from tasks.core.dynamic import is_dynamic
from tasks.core.errors import Code, Refusal, ReleaseError, Warn, nothing_changed
from tasks.core.notes import SMALLEST_LIMIT
from tasks.core.plan import Plan, Status, some
from tasks.core.settings import bump_files
from tasks.lazy import lazy_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from packaging.version import Version

    from tasks.adapters.interface import Index
    from tasks.adapters.repo import Repo
    from tasks.core.target import Target
    from tasks.project import Project

log = logging.getLogger("releasekit.preflight")


@lazy_task("preflight-others")
def others(project: Project, repo: Repo) -> None:
    """Refuse before all else if another clone is in the middle of a release: what it has done looks like our mistakes.

    Raises Refusal RK-RELEASE-ELSEWHERE, RK-REMOTE-UNREACHABLE.
    """
    with nothing_changed():
        held = held_there(repo, project.settings)
    if held:
        raise held.elsewhere(project.settings.remote)


@lazy_task("preflight")
def workspace(
    project: Project, repo: Repo, plan: Plan, target: Target, published: Mapping[str, frozenset[Version]] | None
) -> Plan:
    """Refuse what would go wrong later; returns the plan with the warnings that were found.

    *published* is None when nobody outside may be asked.

    Raises Refusal RK-PREFLIGHT-…, RK-GIT-IDENTITY.
    """
    for problem in _problems(project, repo, plan, published or {}):
        raise problem
    warnings = plan.warnings
    if published is not None:
        warnings += tuple(map(str, _warnings(project, plan, published, is_pypi=target.is_pypi)))
    return plan.model_copy(update={"warnings": warnings})


@lazy_task("preflight-credentials")
async def credentials(project: Project, target: Target, index: Index) -> None:
    """Refuse before anything is done if the index would not take uploads.

    Raises Refusal RK-INDEX-CREDENTIALS, RK-INDEX-UNREACHABLE.
    """
    if trusted_publishing(project.uv.secrets) == "never":
        await index.check_credentials(target.publish_url or project.uv.default_publish_url())


@lazy_task("preflight-remote")
def remote(project: Project, repo: Repo) -> None:
    """Refuse before the first build if the git remote would refuse after the last one.

    Raises Refusal RK-PREFLIGHT-NO-REMOTE, RK-PUSH-REJECTED.
    """
    settings = project.settings
    if not settings.push:
        return
    if settings.remote not in repo.remotes():
        raise Refusal(Code.PREFLIGHT_NO_REMOTE, f"there is no remote {settings.remote}", str(repo.top))
    if repo.branch:
        try:
            repo.push(settings.remote, [f"{repo.head}:refs/heads/{repo.branch}"], dry_run=True)
        except ReleaseError as error:
            if error.code is not Code.PUSH_REJECTED:
                raise Refusal(*error.args) from None
            what = f"{settings.remote} would not take {repo.branch}"
            hint = f"Pull first if {repo.branch} has moved there; or pass --no-push."
            raise Refusal(Code.PUSH_REJECTED, what, str(repo.top), hint, error.output) from None


@lazy_task("preflight-notes")
def notes(project: Project, repo: Repo, plan: Plan, target: Target) -> None:
    """Refuse a template that could not be rendered after the last upload; raises Refusal RK-NOTES-TEMPLATE."""
    settings = project.settings
    if plan.steps and settings.release and settings.notes_template:
        place = project.root.relative_to(repo.top).as_posix()
        found = gather(plan, repo, repo.top, place, target, settings, pulls={})
        rendered(found, project.root, settings, SMALLEST_LIMIT)


@lazy_task("preflight-forge")
async def forge_access(project: Project, repo: Repo, plan: Plan) -> Plan:
    """Find out before the first build whether there will be a release on the forge; if not, the plan says so.

    Raises Refusal where one is required (RK-FORGE-…), and RK-PREFLIGHT-CONCURRENT-RELEASE if a draft of this very
    release is there, or one that waits to be published: somebody else is making it (D-6).
    """
    from tasks.adapters.forge import forge_of  # late: httpx is dear, and what asks nobody does without

    settings = project.settings
    if not (plan.steps and settings.on_forge):
        return plan
    try:
        async with forge_of(repo.address(settings.remote), settings, project.uv.secrets) as forge:
            await forge.check_access()
            drafts = await forge.drafts()
    except ReleaseError as error:
        if settings.forge_required:
            raise Refusal(*error.args) from None
        if settings.expects_no_forge(error):
            there = settings.remote in repo.remotes()
            log.info("no release on a forge: %s", error.what if there else f"there is no remote {settings.remote}")
            return plan
        so = "a release on the forge may fail" if settings.stops_at(error) else "there will be no release on the forge"
        warning = Warn(error.code, f"{so}: {error.what}", error.where)
        return plan.model_copy(update={"warnings": (*plan.warnings, str(warning))})
    for there in drafts:
        if there.tag == plan.title or MANIFEST in there.assets:
            what = f"there is a draft of {there.tag} on {forge.name}"
            raise Refusal(Code.PREFLIGHT_CONCURRENT_RELEASE, what, there.page)
    return plan


def _problems(
    project: Project, repo: Repo, plan: Plan, published: Mapping[str, frozenset[Version]]
) -> Iterator[Refusal]:
    if not repo.branch and not os.environ.get("CI"):
        yield Refusal(Code.PREFLIGHT_DETACHED_HEAD, f"HEAD is detached at {repo.head[:12]}", str(repo.top))
    if changed := repo.changed_paths():
        yield Refusal(Code.PREFLIGHT_DIRTY_WORKTREE, f"uncommitted: {some(changed, 5)}", str(repo.top))
    if repo.is_tracked(project.root / "uv.lock") and not project.uv.lock_is_current(project.root):
        yield Refusal(Code.PREFLIGHT_LOCK_STALE, "uv.lock does not fit the pyproject.toml files", str(project.root))
    repo.committer()
    repo.check_signing()
    _places(project, repo, plan)
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


def _places(project: Project, repo: Repo, plan: Plan) -> None:
    """Refuse now what could not be written later: the very edits of the release are tried, and dropped."""
    files: dict[Path, str] = {}
    for step in plan.steps:
        package = project.root / step.path
        document, _ = read_toml(package / "pyproject.toml", f"{step.path}/pyproject.toml")
        if not (is_dynamic(document) or bump_files(document, step.path)):
            continue  # it stands in pyproject.toml alone, which cannot be missed
        files |= dict.fromkeys(new_texts(package, document, step.version, step.path), step.path)
    for path in repo.untracked(list(files)):
        what = "git does not track this file, so the release could not write the version into it"
        raise Refusal(Code.VERSION_PLACE, what, os.path.relpath(path, project.root))


def _warnings(
    project: Project, plan: Plan, published: Mapping[str, frozenset[Version]], *, is_pypi: bool
) -> Iterator[Warn]:
    fresh = [step.name for step in plan.steps if step.name in published and not published[step.name]]
    if is_pypi and len(fresh) > _NEW_PROJECTS_A_DAY:
        what = f"{len(fresh)} projects are new to the index; PyPI lets a user create {_NEW_PROJECTS_A_DAY} a day"
        yield Warn(Code.PREFLIGHT_NEW_PROJECTS, what)
    if project.settings.audit and (project.root / "uv.lock").is_file():
        yield from _audit(project)


_NEW_PROJECTS_A_DAY = 4  # pypi/support#11827


def _audit(project: Project) -> Iterator[Warn]:
    try:
        findings = project.uv.audit(project.root)
    except ReleaseError as error:  # as without a network: that it could not look says nothing of what is there
        why = next((line for line in error.output.splitlines() if line.startswith("error")), error.what)
        yield Warn(error.code, f"uv audit could not look: {why.removeprefix('error: ')}", str(project.root))
        return
    if findings and project.settings.strict_audit:
        raise Refusal(Code.PREFLIGHT_VULNERABLE, "uv audit has findings", str(project.root), output=findings)
    if findings:
        yield Warn(Code.PREFLIGHT_VULNERABLE, findings.strip().splitlines()[-1], "uv audit")
