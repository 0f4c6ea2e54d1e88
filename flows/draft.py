"""The decision, before anything is done: the very plan that `plan` shows and `publish` carries out."""

from __future__ import annotations

import logging
import re
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

from tasks import survey
from tasks.adapters.process import mask
from tasks.adapters.repo import Repo
from tasks.core.errors import ReleaseError
from tasks.core.links import web_of
from tasks.core.plan import Status
from tasks.lazy import secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping, Sequence

    from packaging.version import Version

    from flows.options import Anywhere, Options, Selected
    from tasks.adapters.interface import Index
    from tasks.core.changelog import Section
    from tasks.core.formats.explained import Explanation
    from tasks.core.notes import Notes, Pull
    from tasks.core.plan import Plan, Step
    from tasks.core.target import Target
    from tasks.survey import History, Project, ToTell

W = TypeVar("W", bound="Anywhere")
log = logging.getLogger("releasekit")


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
    from tasks.adapters.checkout import checked_out

    token = secret(source.token) if source.token else ""
    with checked_out(source, token, keep=keep) as directory:
        given = options.model_dump(exclude_unset=True, exclude={"ref", "subdirectory", "git_token"})
        yield type(options)(**given | {"workspace": str(directory)})


def open_project(options: Anywhere) -> tuple[Project, Repo]:
    """Read the workspace and open its repository."""
    project = survey.read_workspace(options.directory, options.overrides())
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
    history = survey.read_history(repo, project)
    plan = survey.plan(project, repo, history, options.selection(), None)
    target = survey.target_of(project)
    if options.offline or not plan.steps:
        return Draft(project, repo, with_changelogs(project, repo, plan, history), target)
    async with open_index(project, target) as index:
        published = await survey.ask_index(index, [step.name for step in plan.steps])
    if half_out:  # then what the index has and no tag names is of this very release
        plan = survey.titled(plan, repo, history)
    else:
        if released := survey.baselines_on_index(repo, project, history, published):
            history = survey.read_history(repo, project, released)
        plan = survey.plan(project, repo, history, options.selection(), published)
    return Draft(project, repo, with_changelogs(project, repo, plan, history), target, published)


def with_changelogs(project: Project, repo: Repo, plan: Plan, history: History, *, notes: bool = False) -> Plan:
    """Return *plan* with what changelogs gain and the release notes tell: decided here, once, and written later.

    With *notes*, also where there will be no release on a forge.
    """
    settings = project.settings
    web = web_of(repo.address(settings.remote), settings.forge)
    notes |= settings.on_forge and bool(web.base)
    if not (notes or any(project.says(step.name, "changelog") for step in plan.steps)):
        return plan
    told = survey.entries(project, repo, plan, history)
    sections = {name: tell.section(web) for name, tell in told.items() if project.says(name, "changelog")}
    tales = survey.tales(repo, told) if notes else {}
    return plan.model_copy(update={"changelogs": sections, "tales": tales})


Told = tuple["Step", "ToTell", "Section"]
"""A package that is released, what there is to tell about it, and how its changelog tells it."""


def unreleased(options: Selected, names: Sequence[str]) -> tuple[tuple[Told, ...], tuple[str, ...]]:
    """Return what a release would tell about each package that was asked for, dependencies first; asks nobody.

    With it come the warnings of the plan.
    """
    with at_hand(options) as here:
        project, repo = open_project(here)
        history = survey.read_history(repo, project)
        asked = options.selection()
        selection = replace(asked, package=(*asked.package, *names))
        plan = survey.plan(project, repo, history, selection, None)
        web = web_of(repo.address(project.settings.remote), project.settings.forge)
        told = survey.entries(project, repo, plan, history)
    included = (step for step in plan.steps if step.status is Status.INCLUDED)
    return tuple((step, told[step.name], told[step.name].section(web)) for step in included), plan.warnings


async def notes(options: Options) -> tuple[Notes, str]:
    """Return what the notes of a release now would tell, and as they would be; asks no index, but the forge.

    Raises what is wrong with the template or the command.
    """
    from tasks.adapters.forge import forge_of
    from tasks.adapters.notes import commits_told, gather, rendered, rewritten
    from tasks.core.notes import SMALLEST_LIMIT

    project, repo = open_project(options)
    settings = project.settings
    history = survey.read_history(repo, project)
    plan = survey.plan(project, repo, history, options.selection(), None)
    plan = with_changelogs(project, repo, plan, history, notes=True)
    pulls: dict[str, Pull] = {}
    limit = SMALLEST_LIMIT
    if not options.offline:
        try:
            async with forge_of(repo.address(settings.remote), settings) as forge:
                pulls, limit = await forge.pulls_of(commits_told(plan)), forge.body_limit
        except ReleaseError as error:
            log.info("no pull requests are named: %s", error)
    place = project.root.relative_to(repo.top).as_posix()
    found = gather(plan, repo, repo.top, place, survey.target_of(project), settings, pulls=pulls)
    text = rendered(found, project.root, settings, limit)
    return found, rewritten(text, project.root, settings.notes_command, limit, found.all)


def explained(options: Selected, names: Sequence[str], *, whole: bool) -> tuple[Explanation, tuple[str, ...]]:
    """Read the history and say which version each of *names* goes to, or all; asks nobody outside.

    With it come the warnings of the plan.
    """
    from tasks.core.formats.explained import explanation

    with at_hand(options) as here:
        project, repo = open_project(here)
        history = survey.read_history(repo, project)
        plan = survey.plan(project, repo, history, options.selection(), None)
    chosen = project.workspace.matching(names or ["*"])
    return explanation(plan, survey.decide(project, history), chosen, whole=whole), plan.warnings


async def checked(drafted: Draft) -> Draft:
    """Refuse a draft that could not be carried out, with the reason; otherwise return it with its warnings."""
    if drafted.published is not None:
        survey.preflight_others(drafted.project, drafted.repo)
    plan = survey.preflight(drafted.project, drafted.repo, drafted.plan, drafted.target, drafted.published)
    survey.preflight_notes(drafted.project, drafted.repo, plan, drafted.target)
    if drafted.published is not None:
        plan = await survey.preflight_forge(drafted.project, drafted.repo, plan)
        async with open_index(drafted.project, drafted.target) as index:
            await survey.preflight_remote(drafted.project, drafted.repo, drafted.target, index)
    return replace(drafted, plan=plan)


@asynccontextmanager
async def open_index(project: Project, target: Target) -> AsyncGenerator[Index]:
    """Open the index of *target*, with one pool of connections for all questions to it."""
    from tasks.adapters.http import client
    from tasks.adapters.index import SimpleIndex

    async with client(pool_size=project.settings.http_pool_size) as connections:
        yield SimpleIndex(target.check_url, connections, name=target.name, secrets=project.uv.secrets)
