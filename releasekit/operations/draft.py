"""Read the workspace, its history and the index: the inputs from which `releasekit.operations.planning` decides."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

from releasekit.core.history.web_links import repository_urls
from releasekit.core.picking import names_of, true_keys
from releasekit.core.planning.installable import packages_to_query
from releasekit.integrations.git import Repo
from releasekit.integrations.process import mask
from tasks import ask_index, changelog_entries, decide, read_history, read_workspace
from tasks.decorators import read_secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator, Mapping

    from packaging.version import Version

    from releasekit.core.planning.model import Plan
    from releasekit.core.release.target import Target
    from releasekit.integrations.protocols import Index
    from releasekit.options import Options, RemoteWorkspaceOptions
    from tasks.project import Project
    from tasks.read_history import History

W = TypeVar("W", bound="RemoteWorkspaceOptions")


@dataclass(frozen=True, slots=True)
class PlanContext:
    """A plan and its inputs. *published* are the versions on the index by package, or None if it was not contacted."""

    project: Project
    repo: Repo
    plan: Plan
    target: Target
    published: Mapping[str, frozenset[Version]] | None = None


@contextmanager
def checkout_workspace(options: W, *, keep: bool = False) -> Generator[W]:
    """Yield *options* with a workspace on this machine. The repository of an address is cloned first.

    See `workspace_clone` for *keep* and the errors. Also raises Refusal RK-SECRET-UNKNOWN.
    """
    source = options.source()
    if source is None:
        yield options
        return
    from releasekit.store.clones import workspace_clone

    token = read_secret(source.token) if source.token else ""
    with workspace_clone(source, token, keep=keep) as directory:
        overrides = options.model_dump(
            exclude_unset=True, exclude={"ref", "subdirectory", "git_token"}
        )
        yield type(options)(**overrides | {"workspace": str(directory)})


def open_project(options: RemoteWorkspaceOptions) -> tuple[Project, Repo]:
    """Read the workspace and open its repository."""
    project = read_workspace.read_workspace(options.directory, options.overrides())
    if options.throwaway_indexes:
        project = replace(project, throwaway_indexes=options.throwaway_indexes)
    return project, Repo(project.root)


def plan_key(options: Options, project: Project, repo: Repo) -> str:
    """Return the key under which plans are stored: one for each repository, branch, workspace and set of options.

    It contains only lower-case letters, digits and dashes, because Prefect allows nothing else.
    """
    address = mask(repo.address(project.settings.remote)) or str(repo.top)
    workspace_path = project.root.relative_to(repo.top).as_posix()
    parameters = options.model_dump_json(exclude={"workspace"}, exclude_defaults=True)
    _, _, name = address.removesuffix(".git").rpartition("/")
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    identity = f"{address} {repo.branch} {workspace_path} {parameters}"
    digest = sha256(identity.encode()).hexdigest()[:8]
    return f"plan-{slug}-{digest}"


async def create_plan_context(
    options: Options, project: Project, repo: Repo, *, partially_published: bool = False
) -> PlanContext:
    """Read the history, ask the index and make the plan; change nothing.

    With *partially_published*, some files of this release may be on the index already. They are compared with the
    built files, and do not count as somebody else's release.
    """
    history = read_history.read_history(repo, project)
    plan = decide.plan(project, repo, history, options.selection(), None)
    target = read_workspace.target_of(project)
    if options.offline or not plan.steps:
        plan = add_changelogs(project, repo, plan, history)
        return PlanContext(project, repo, plan, target)
    # The throwaway index of a rehearsal is empty: what is published is on the one that it stands for.
    asked = target.falls_back_to or target
    async with open_index(project, asked) as index:
        if partially_published:  # a version on the index without a tag belongs to this release
            names = names_of(plan.steps)
            published = await ask_index.ask_index(index, names)
            plan = decide.with_release_title(plan, project, repo, history)
        else:
            plan, history, published = await _ask_and_plan(
                options, project, repo, history, plan, index, asked
            )
    plan = add_changelogs(project, repo, plan, history)
    return PlanContext(project, repo, plan, target, published)


async def _ask_and_plan(
    options: Options,
    project: Project,
    repo: Repo,
    history: History,
    plan: Plan,
    index: Index,
    target: Target,
) -> tuple[Plan, History, Mapping[str, frozenset[Version]]]:
    """Return the final plan, the history since the last releases on the index, and its versions by package.

    An answer can add packages to the plan, or remove some. Then the indexes are asked about these too, until nothing
    changes. Other indexes of installers are asked about packages that the index lacks and that are not released now.
    """
    async with AsyncExitStack() as stack:
        others: list[Index] = [
            await stack.enter_async_context(open_index(project, other))
            for other in _other_indexes(project, target)
        ]
        answers = ask_index.IndexAnswers()
        read: set[tuple[str, Version]] = set()
        while True:
            questions = packages_to_query(project.workspace, plan)
            names = sorted(questions - answers.published.keys())
            if names:
                answers = await ask_index.ask_versions(index, names, answers)
                released = ask_index.baselines_on_index(repo, project, history, answers.published)
                if released:
                    history = read_history.read_history(repo, project, released)
                consumed = ask_index.consumed_versions(project, repo, history, answers.published)
                answers = replace(answers, consumed=consumed)
            unasked = questions - set(names_of(plan.steps)) - answers.elsewhere.keys()
            unasked -= set(true_keys(answers.published))
            missing = sorted(unasked) if others else []
            if missing:
                answers = await ask_index.ask_elsewhere(others, missing, answers)
            baselines = history.baselines.items()
            last_releases = {
                (name, baseline.version) for name, baseline in baselines if name in questions
            }
            wanted = {*last_releases, *plan.unread} - read
            releases = sorted(
                (name, version) for name, version in wanted if answers.has(name, version)
            )
            if not (names or missing or releases):
                return plan, history, answers.published
            answers = await ask_index.ask_requirements([index, *others], releases, answers)
            read |= set(releases)
            plan = decide.plan(project, repo, history, options.selection(), answers)


def _other_indexes(project: Project, target: Target) -> Iterator[Target]:
    """Yield the indexes where installers look for packages that the index of *target* does not have."""
    if not target.is_default:
        yield replace(target, check_url=project.default_index, name="")


def add_changelogs(
    project: Project, repo: Repo, plan: Plan, history: History, *, notes: bool = False
) -> Plan:
    """Return *plan* with its changelog entries and release notes. They are made here once, and written later.

    With *notes*, the release notes are made even if no release on the forge is planned.
    """
    settings = project.settings
    urls = repository_urls(repo.address(settings.remote), settings.forge)
    notes |= settings.creates_forge_release and bool(urls.base)
    with_changelog = {
        step.name for step in plan.steps if project.effective_setting(step.name, "changelog")
    }
    if not plan.steps or not (notes or with_changelog or settings.workspace_changelog):
        return plan
    changes_by_name = changelog_entries.package_changes(project, repo, plan, history)
    sections = {
        name: changes.section(urls)
        for name, changes in changes_by_name.items()
        if name in with_changelog
    }
    workspace_section = changelog_entries.workspace_section(
        changes_by_name.values(), settings, history, urls, plan.title
    )
    note_entries = changelog_entries.note_entries(repo, changes_by_name) if notes else {}
    return plan.model_copy(
        update={
            "changelogs": sections,
            "workspace_changelog": workspace_section,
            "tales": note_entries,
        }
    )


@asynccontextmanager
async def open_index(project: Project, target: Target) -> AsyncGenerator[Index]:
    """Open the index of *target*, with one connection pool for all requests."""
    from releasekit.integrations.http import client
    from releasekit.integrations.index import SimpleIndex

    async with client(pool_size=project.settings.http_pool_size) as connections:
        secrets = project.uv.secrets.for_uploads(target.credentials)
        yield SimpleIndex(target.check_url, connections, name=target.name, secrets=secrets)
