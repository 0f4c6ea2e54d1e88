"""The workspace, and what history and index say of it: what `releasekit.operations.planning` decides from."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

from releasekit.core.history.web_links import web_of
from releasekit.core.planning.installable import index_questions
from releasekit.integrations.git import Repo
from releasekit.integrations.process import mask
from tasks import ask_index, changelog_entries, decide, read_history, read_workspace
from tasks.decorators import secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping

    from packaging.version import Version

    from releasekit.core.planning.model import Plan
    from releasekit.core.release.target import Target
    from releasekit.integrations.protocols import Index
    from releasekit.options import Anywhere, Options
    from tasks.project import Project
    from tasks.read_history import History

W = TypeVar("W", bound="Anywhere")


@dataclass(frozen=True, slots=True)
class Draft:
    """A plan and what it was made from. *published* is None when no index was asked."""

    project: Project
    repo: Repo
    plan: Plan
    target: Target
    published: Mapping[str, frozenset[Version]] | None = None


@contextmanager
def at_hand(options: W, *, keep: bool = False) -> Generator[W]:
    """Yield *options* whose workspace is on this machine: the repository of an address is cloned first.

    See `checked_out` for *keep* and what is raised; and Refusal RK-SECRET-UNKNOWN.
    """
    source = options.source()
    if source is None:
        yield options
        return
    from releasekit.store.clones import checked_out

    token = secret(source.token) if source.token else ""
    with checked_out(source, token, keep=keep) as directory:
        given = options.model_dump(exclude_unset=True, exclude={"ref", "subdirectory", "git_token"})
        yield type(options)(**given | {"workspace": str(directory)})


def open_project(options: Anywhere) -> tuple[Project, Repo]:
    """Read the workspace and open its repository."""
    project = read_workspace.read_workspace(options.directory, options.overrides())
    return project, Repo(project.root)


def key_of(options: Options, project: Project, repo: Repo) -> str:
    """Return under which key the plans of a workspace are kept: of that place in that repository, asked the same way.

    Prefect allows small letters, digits and dashes.
    """
    address = mask(repo.address(project.settings.remote)) or str(repo.top)
    place = project.root.relative_to(repo.top).as_posix()
    asked = options.model_dump_json(exclude={"workspace"}, exclude_defaults=True)
    named = re.sub(r"[^a-z0-9]+", "-", address.removesuffix(".git").rpartition("/")[2].lower()).strip("-")
    return f"plan-{named}-{sha256(f'{address} {repo.branch} {place} {asked}'.encode()).hexdigest()[:8]}"


async def draft(options: Options, project: Project, repo: Repo, *, half_out: bool = False) -> Draft:
    """Read the history and ask the index, and decide; changes nothing.

    With *half_out* the release may be on the index in part already: what is there is compared with what will be built,
    and not taken for somebody else's.
    """
    history = read_history.read_history(repo, project)
    plan = decide.plan(project, repo, history, options.selection(), None)
    target = read_workspace.target_of(project)
    if options.offline or not plan.steps:
        return Draft(project, repo, with_changelogs(project, repo, plan, history), target)
    async with open_index(project, target) as index:
        if half_out:  # then what the index has and no tag names is of this very release
            published = await ask_index.ask_index(index, [step.name for step in plan.steps])
            plan = decide.titled(plan, repo, history)
        else:
            plan, history, published = await _ask_and_plan(options, project, repo, history, plan, index, target)
    return Draft(project, repo, with_changelogs(project, repo, plan, history), target, published)


async def _ask_and_plan(
    options: Options, project: Project, repo: Repo, history: History, plan: Plan, index: Index, target: Target
) -> tuple[Plan, History, Mapping[str, frozenset[Version]]]:
    """Return the plan that follows from what indexes say, which may bring in packages that they were not asked about.

    With it come the history since the last releases as the index knows them, and the versions that it has.
    """
    async with AsyncExitStack() as stack:
        indexes = [index]
        if not target.is_default:  # where installers look for what this index does not have
            default = replace(target, check_url=project.uv.default_index(project.root), name="")
            indexes.append(await stack.enter_async_context(open_index(project, default)))
        answers, read = ask_index.IndexAnswers(), set["tuple[str, Version]"]()
        while True:
            questions = index_questions(project.workspace, plan)
            names = sorted(questions - answers.published.keys())
            if names:
                released_now = {step.name for step in plan.steps}
                answers = await ask_index.ask_versions(indexes, names, answers, here=released_now)
                if released := ask_index.baselines_on_index(repo, project, history, answers.published):
                    history = read_history.read_history(repo, project, released)
                answers = replace(answers, spent=ask_index.spent_versions(project, repo, history, answers.published))
            last = {(name, each.version) for name, each in history.baselines.items() if name in questions}
            wanted = {(name, version) for name, version in {*last, *plan.unread} if answers.has(name, version)}
            releases = sorted(wanted - read)
            if not (names or releases):
                return plan, history, answers.published
            answers = await ask_index.ask_requirements(indexes, releases, answers)
            read |= set(releases)
            plan = decide.plan(project, repo, history, options.selection(), answers)


def with_changelogs(project: Project, repo: Repo, plan: Plan, history: History, *, notes: bool = False) -> Plan:
    """Return *plan* with what changelogs gain and the release notes tell: decided here, once, and written later.

    With *notes*, also where there will be no release on a forge.
    """
    settings = project.settings
    web = web_of(repo.address(settings.remote), settings.forge)
    notes |= settings.on_forge and bool(web.base)
    if not (notes or any(project.says(step.name, "changelog") for step in plan.steps)):
        return plan
    told = changelog_entries.entries(project, repo, plan, history)
    sections = {name: tell.section(web) for name, tell in told.items() if project.says(name, "changelog")}
    tales = changelog_entries.tales(repo, told) if notes else {}
    return plan.model_copy(update={"changelogs": sections, "tales": tales})


@asynccontextmanager
async def open_index(project: Project, target: Target) -> AsyncGenerator[Index]:
    """Open the index of *target*, with one pool of connections for all questions to it."""
    from releasekit.integrations.http import client
    from releasekit.integrations.index import SimpleIndex

    async with client(pool_size=project.settings.http_pool_size) as connections:
        yield SimpleIndex(target.check_url, connections, name=target.name, secrets=project.uv.secrets)
