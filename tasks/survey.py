"""Files, git history and index, read into facts; nothing is changed."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.adapters.files import read_toml
from tasks.adapters.places import declared_version, new_texts
from tasks.adapters.uv import find_uv, trusted_publishing
from tasks.core.commits import parse_history
from tasks.core.dynamic import is_dynamic
from tasks.core.errors import Code, Refusal, ReleaseError, Warn
from tasks.core.history import unreleased
from tasks.core.plan import Facts, Plan, Status, decisions, make_plan
from tasks.core.settings import Selection, Settings, bump_files, settings_of
from tasks.core.tags import TagScheme, baselines
from tasks.core.target import Target
from tasks.core.workspace import Workspace, workspace_of
from tasks.lazy import lazy_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.version import Version

    from tasks.adapters.interface import Index
    from tasks.adapters.repo import Repo
    from tasks.adapters.uv import Uv
    from tasks.core.commits import Change
    from tasks.core.tags import Baseline
    from tasks.core.workspace import Declared

log = logging.getLogger("releasekit.survey")


@dataclass(frozen=True, slots=True)
class Project:
    """What stands on this machine: the workspace at *root*, its root pyproject.toml as *document*, its settings."""

    root: Path
    document: Mapping[str, Any]
    settings: Settings
    workspace: Workspace
    uv: Uv


@dataclass(frozen=True, slots=True)
class History:
    """What git knows: the tags, the last release of each package, and what has come since.

    *changes* are those of each package, newest first; *unreleased* holds the shas of all of them.
    """

    tags: Mapping[str, str]
    baselines: Mapping[str, Baseline]
    changes: Mapping[str, Sequence[Change]]
    unreleased: frozenset[str]


@lazy_task("read-workspace")
def read_workspace(path: Path, overrides: Mapping[str, Any]) -> Project:
    """Read the workspace that *path* lies in; *overrides* are settings that win over those in the file.

    Raises Refusal with an RK-WORKSPACE-…, RK-CONFIG-…, RK-VERSION-INVALID or RK-UV-… code.
    """
    uv = find_uv()
    root, directories = uv.workspace(path)
    documents: dict[str, Mapping[str, Any]] = {}
    declared: dict[str, Declared] = {}
    for directory in directories:
        relative = os.path.relpath(directory, root).replace(os.sep, "/")
        document, text = read_toml(directory / "pyproject.toml", f"{relative}/pyproject.toml")
        documents[relative] = document
        bump_files(document, f"{relative}/pyproject.toml", text)
        if found := declared_version(directory, document, relative):
            declared[relative] = found
    document, text = read_toml(root / "pyproject.toml", "pyproject.toml")
    settings = Settings.model_validate(settings_of(document, text).model_dump() | dict(overrides))
    if settings.bump and "." not in documents:
        what = "bump belongs to a package, and the root of the workspace is none"
        raise Refusal(Code.CONFIG_INVALID_VALUE, what, "pyproject.toml, [tool.releasekit]")
    return Project(root, document, settings, workspace_of(documents, settings, declared), uv)


@lazy_task("read-history")
def read_history(repo: Repo, project: Project) -> History:
    """Read tags and commits, in one walk for all packages.

    Raises Refusal RK-PREFLIGHT-SHALLOW-CLONE: where history is cut off, every version would be a guess.
    """
    if repo.is_shallow():
        raise Refusal(Code.PREFLIGHT_SHALLOW_CLONE, "the clone is shallow", str(repo.top))
    tags = repo.tags()
    settings = project.settings
    scheme = TagScheme(settings.tag_format, settings.label)
    declared = {member.name: member.version for member in project.workspace if member.publishable}
    last = baselines(tags, scheme, declared)
    owners = {_in_repository(repo, project.root, member.path): member.name for member in project.workspace}
    owners = _former_directories(repo, owners, last) | owners  # who stands there now wins
    since = {name: baseline.commit for name, baseline in last.items()}
    walk = repo.history([repo.head, *sorted(set(since.values()))])
    found = unreleased(walk, repo.head, since, owners)
    changes = {change.sha: change for change in parse_history(found.commits)}
    touching = {name: tuple(changes[sha] for sha in shas) for name, shas in found.touching.items()}
    return History(tags, last, touching, frozenset(sha for shas in found.touching.values() for sha in shas))


@lazy_task("ask-index")
async def ask_index(index: Index, names: Sequence[str]) -> dict[str, frozenset[Version]]:
    """Return the versions of each of *names* that the index has; raises Refusal RK-INDEX-…."""
    try:
        found = await asyncio.gather(*(index.versions(name) for name in names))
    except ReleaseError as error:
        raise Refusal(*error.args) from None  # nothing was changed yet
    return dict(zip(names, found, strict=True))


@lazy_task("plan")
def plan(
    project: Project,
    repo: Repo,
    history: History,
    selection: Selection,
    published: Mapping[str, frozenset[Version]] | None,
) -> Plan:
    """Decide what is released; see `tasks.core.plan`."""
    decided = decisions(project.workspace, history.baselines, history.changes, project.settings, history.unreleased)
    today = datetime.now(UTC).strftime("%Y.%m.%d")
    facts = Facts(commit=repo.head, date=today, tags=history.tags, published=published)
    return make_plan(project.workspace, decided, history.baselines, selection, project.settings, facts)


def target_of(project: Project) -> Target:
    """Return where the settings say that the release goes.

    Raises Refusal RK-INDEX-UNKNOWN if they name an index that is not there, or an upload address alone.
    """
    settings = project.settings
    uv_table: Mapping[str, Any] = project.document.get("tool", {}).get("uv", {})
    if settings.index:
        for index in uv_table.get("index", ()):
            if index.get("name") == settings.index and "publish-url" in index:
                return Target(
                    settings.check_url or index["url"],
                    settings.publish_url or index["publish-url"],
                    settings.index,
                    bool(index.get("default")),
                )
        raise Refusal(Code.INDEX_UNKNOWN, f"no index with a publish-url is named {settings.index}", "[[tool.uv.index]]")
    publish_url = settings.publish_url or os.environ.get("UV_PUBLISH_URL") or str(uv_table.get("publish-url", ""))
    check_url = settings.check_url or os.environ.get("UV_PUBLISH_CHECK_URL") or str(uv_table.get("check-url", ""))
    if publish_url and not check_url:
        what = f"uploads to {publish_url} could not be confirmed without --check-url"
        raise Refusal(Code.INDEX_UNKNOWN, what)
    default = project.uv.default_index(project.root)
    return Target(check_url or default, publish_url, is_default=check_url in ("", default))


@lazy_task("preflight")
def preflight(
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


@lazy_task("preflight-remote")
async def preflight_remote(project: Project, repo: Repo, target: Target, index: Index) -> None:
    """Refuse before the first build if the index or the git remote would refuse after the last one.

    Raises Refusal RK-INDEX-CREDENTIALS, RK-INDEX-UNREACHABLE, RK-PREFLIGHT-NO-REMOTE, RK-PUSH-REJECTED.
    """
    settings = project.settings
    if trusted_publishing() == "never":
        await index.check_credentials(target.publish_url or project.uv.default_publish_url())
    if not settings.push:
        return
    if settings.remote not in repo.remotes():
        raise Refusal(Code.PREFLIGHT_NO_REMOTE, f"there is no remote {settings.remote}", str(repo.top))
    if repo.branch:
        try:
            repo.push(settings.remote, [f"{repo.head}:refs/heads/{repo.branch}"], dry_run=True)
        except ReleaseError as error:
            what = f"{settings.remote} would not take {repo.branch}"
            hint = f"Pull first if {repo.branch} has moved there; or pass --no-push."
            raise Refusal(Code.PUSH_REJECTED, what, str(repo.top), hint, error.output) from None


def _in_repository(repo: Repo, root: Path, path: str) -> str:
    """Return a member's directory as git names it, from the top of the repository; empty for the top itself."""
    relative = os.path.relpath((root / path).resolve(), repo.top).replace(os.sep, "/")
    return "" if relative == "." else relative


def _former_directories(repo: Repo, owners: Mapping[str, str], last: Mapping[str, Baseline]) -> dict[str, str]:
    """Return the directories in which packages stood at their last release, where that was elsewhere.

    The name in a pyproject.toml at the tag tells whose directory it was.
    """
    asked = {
        name: (last[name].commit, f"{path}/pyproject.toml".lstrip("/")) for path, name in owners.items() if name in last
    }
    absent = repo.absent(tuple(asked.values()))
    moved = {name: file[0] for name, file in asked.items() if file in absent}
    former: dict[str, str] = {}
    for commit in sorted(set(moved.values())):
        names = {name for name, at in moved.items() if at == commit}
        for path in repo.files_at(commit, "pyproject.toml"):
            name = _project_name(repo.read(commit, path))
            if name in names:
                former[path.removesuffix("pyproject.toml").rstrip("/")] = name
    return former


def _project_name(text: str) -> str:
    import tomllib

    from packaging.utils import canonicalize_name

    try:
        return canonicalize_name(str(tomllib.loads(text).get("project", {}).get("name", "")))
    except tomllib.TOMLDecodeError:
        return ""


def _problems(
    project: Project, repo: Repo, plan: Plan, published: Mapping[str, frozenset[Version]]
) -> Iterator[Refusal]:
    if not repo.branch and not os.environ.get("CI"):
        yield Refusal(Code.PREFLIGHT_DETACHED_HEAD, f"HEAD is detached at {repo.head[:12]}", str(repo.top))
    if changed := repo.changed_paths():
        shown = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")  # noqa: PLR2004
        yield Refusal(Code.PREFLIGHT_DIRTY_WORKTREE, f"uncommitted: {shown}", str(repo.top))
    if repo.is_tracked(project.root / "uv.lock") and not project.uv.lock_is_current(project.root):
        yield Refusal(Code.PREFLIGHT_LOCK_STALE, "uv.lock does not fit the pyproject.toml files", str(project.root))
    repo.committer()
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
    findings = project.uv.audit(project.root)
    if findings and project.settings.strict_audit:
        raise Refusal(Code.PREFLIGHT_VULNERABLE, "uv audit has findings", str(project.root), output=findings)
    if findings:
        yield Warn(Code.PREFLIGHT_VULNERABLE, findings.strip().splitlines()[-1], "uv audit")
