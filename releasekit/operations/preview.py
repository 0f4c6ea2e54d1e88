"""What is told without a release: what is unreleased, why, the notes that it would have, a plan for reviewers."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from releasekit.core.errors import ReleaseError, Warn
from releasekit.core.history.web_links import web_of
from releasekit.core.planning.model import Plan, Status
from releasekit.core.release.release_manifest import manifest_text
from releasekit.core.release.unfinished_release import ReleaseStatus, describe_release, unfinished_note
from releasekit.integrations.filesystem import append_text
from releasekit.integrations.git import Repo
from releasekit.operations.draft import at_hand, open_index, open_project, with_changelogs
from releasekit.store.bundle import read_manifest
from releasekit.store.record import lock_holder
from tasks import changelog_entries, decide, find_unfinished, pr_steps, read_history, read_workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from releasekit.core.changelog.changelog import Section
    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Step
    from releasekit.core.release.release_notes import Notes, Pull
    from releasekit.core.release.unfinished_release import ReleaseTraces
    from releasekit.formats.explained import Explanation
    from releasekit.integrations.git import Ref
    from releasekit.options import Options, Place, Selected, StatusOptions
    from tasks.changelog_entries import ToTell
    from tasks.project import Project

P = TypeVar("P", bound=Plan)
log = logging.getLogger("releasekit")

Told = tuple["Step", "ToTell", "Section"]
"""A package that is released, what there is to tell about it, and how its changelog tells it."""


def unreleased(options: Selected, names: Sequence[str]) -> tuple[tuple[Told, ...], tuple[str, ...]]:
    """Return what a release would tell about each package that was asked for, dependencies first; asks nobody.

    With it come the warnings of the plan.
    """
    with at_hand(options) as here:
        project, repo = open_project(here)
        history = read_history.read_history(repo, project)
        asked = options.selection()
        selection = replace(asked, package=(*asked.package, *names))
        plan = decide.plan(project, repo, history, selection, None)
        web = web_of(repo.address(project.settings.remote), project.settings.forge)
        told = changelog_entries.entries(project, repo, plan, history)
    included = (step for step in plan.steps if step.status is Status.INCLUDED)
    return tuple((step, told[step.name], told[step.name].section(web)) for step in included), _remarks(plan)


async def notes(options: Options) -> tuple[Notes, str]:
    """Return what the notes of a release now would tell, and as they would be; asks no index, but the forge.

    Raises what is wrong with the template or the command.
    """
    from releasekit.core.release.release_notes import SMALLEST_LIMIT
    from releasekit.integrations.forge_factory import forge_of
    from releasekit.integrations.notes_sources import commits_told, gather, rendered, rewritten

    project, repo = open_project(options)
    settings = project.settings
    history = read_history.read_history(repo, project)
    plan = decide.plan(project, repo, history, options.selection(), None)
    plan = with_changelogs(project, repo, plan, history, notes=True)
    pulls: dict[str, Pull] = {}
    limit = SMALLEST_LIMIT
    if not options.offline:
        try:
            async with forge_of(repo.address(settings.remote), settings, project.uv.secrets) as forge:
                pulls, limit = await forge.pulls_of(commits_told(plan)), forge.body_limit
        except ReleaseError as error:
            log.info("no pull requests are named: %s", error)
    place = project.root.relative_to(repo.top).as_posix()
    found = gather(plan, repo, repo.top, place, read_workspace.target_of(project), settings, pulls=pulls)
    text = rendered(found, project.root, settings, limit)
    return found, rewritten(text, project.root, settings.notes_command, limit, found.all)


COMMENT_MARK = "<!-- releasekit plan -->\n"
"""What our comment begins with; forges don't show it."""
_SUMMARY_LIMIT = 1_000_000  # characters; GitHub's is 1 MiB


async def comment(options: Options, plan: Plan) -> str:
    """Show *plan* where the CI shows it, and return where: a comment on the pull request that this job is for.

    Without one, or without the right to comment, it is the summary of the job, where the CI has such a thing; else
    nowhere, and empty is returned.
    """
    from releasekit.formats.pr_text import plan_body
    from releasekit.integrations.forge_factory import forge_of, pull_of_job

    if number := pull_of_job(os.environ):
        project, repo = open_project(options)
        try:
            async with forge_of(repo.address(project.settings.remote), project.settings, project.uv.secrets) as forge:
                text = plan_body(plan, forge.pull_limit - len(COMMENT_MARK))
                return await forge.comment(number, COMMENT_MARK, text)
        except ReleaseError as error:  # such as in a pull request from a fork
            log.warning("warning %s", Warn(error.code, f"no comment: {error.what}", error.where))
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        append_text(Path(summary), plan_body(plan, _SUMMARY_LIMIT) + "\n")
        return "the summary of this job"
    return ""


async def manifest_of(options: Place, release: str) -> str:
    """Return the manifest of *release* as the forge has it, the plan inside; see `manifest_at_hand` for what it takes.

    Raises Refusal RK-RELEASE-UNKNOWN, RK-RECORD-INVALID, RK-FORGE-….
    """
    project = read_workspace.read_workspace(options.directory, {})
    file = await pr_steps.manifest_at_hand(Repo(project.root), project.settings, project.uv.secrets, Path(release))
    return manifest_text(read_manifest(file)[0])


def explained(options: Selected, names: Sequence[str]) -> tuple[Explanation, tuple[str, ...]]:
    """Read the history and say which version each of *names* goes to, or all; asks nobody outside.

    With it come the warnings of the plan.
    """
    from releasekit.formats.explained import explanation

    with at_hand(options) as here:
        project, repo = open_project(here)
        history = read_history.read_history(repo, project)
        plan = decide.plan(project, repo, history, options.selection(), None)
    chosen = project.workspace.matching(names or ["*"])
    return explanation(plan, decide.decide(project, history), chosen), _remarks(plan)


def _remarks(plan: Plan) -> tuple[str, ...]:
    """Return the warnings of *plan*, and its obstacles in a line each: nothing is going to be published here."""
    return (*plan.warnings, *map(str, plan.obstacles))


async def release_status(options: StatusOptions) -> ReleaseStatus:
    """Return which releases have not ended, here and on the remote, and what comes next; changes nothing.

    Who does not answer, or is not asked, is named in the result.
    """
    from tasks.rollback_steps import find_proposed  # late: httpx is dear, and `plan` imports this module

    with at_hand(options, keep=True) as here:
        project, repo = open_project(here)
        settings = project.settings
        unasked: list[str] = []
        found = find_unfinished.read_records(repo)
        refs = {} if options.offline else _remote_refs(repo, settings, unasked)
        if refs is not None and not options.offline:
            found, problem = find_unfinished.read_remote(repo, settings.remote, refs, found)
            unasked += [problem] if problem else []
            proposed = await find_proposed(repo, settings, project.uv.secrets)
            pairs = [(each.plan, each.manifest, each.draft.page if each.draft else "") for each in proposed]
            found += await find_unfinished.read_proposed(repo, settings, project.uv.secrets, pairs, refs)
        found = find_unfinished.with_local_tags(repo, [*find_unfinished.published_first(found)])
        if not options.offline:
            found = await _with_index(project, found, unasked)
        holder = lock_holder(repo.common_dir)
    running = holder.who if holder and holder.is_known else ""
    elsewhere = holder.who if holder and not holder.is_known else ""
    if options.offline:
        unasked.append("--offline: neither the remote nor the index was asked")
    if running:  # what it makes and drops in passing is no release of its own
        found = [traces for traces in found if traces.plan or traces.source != "copy"]
    releases = tuple(describe_release(traces, running, elsewhere) for traces in found)
    return ReleaseStatus(running=running, offline=options.offline, unasked=tuple(unasked), releases=releases)


def _remote_refs(repo: Repo, settings: Settings, unasked: list[str]) -> dict[str, Ref] | None:
    """Return the references of the remote; None if it was not asked, and why in *unasked*."""
    if not settings.push:
        unasked.append("the remote was not asked: push is off")
    elif settings.remote not in repo.remotes():
        unasked.append(f"the remote was not asked: there is no remote {settings.remote}")
    else:
        try:
            return repo.refs_at(settings.remote)
        except ReleaseError as error:
            unasked.append(f"the remote {settings.remote} did not answer: {error.what}")
    return None


async def _with_index(project: Project, found: list[ReleaseTraces], unasked: list[str]) -> list[ReleaseTraces]:
    """Return *found* with what the index lists; as they are, and why in *unasked*, if it does not answer."""
    if not any(traces.packages for traces in found):
        return found
    try:
        async with open_index(project, read_workspace.target_of(project)) as index:
            return await find_unfinished.ask_index_for(index, found)
    except ReleaseError as error:
        unasked.append(f"the index did not answer: {error.what}")
        return found


async def with_unfinished(options: Options, plan: P) -> P:
    """Return *plan* with the title of the release that was begun here and has not ended; it is told in a line, too."""
    if options.source():
        return plan  # its clone is thrown away
    found = find_unfinished.read_records(Repo(options.directory))
    if not found:
        return plan
    if not options.offline and found[0].packages:
        found = await _with_index(open_project(options)[0], found[:1], [])
    first = describe_release(found[0])
    log.info("%s", unfinished_note(first))
    return plan.model_copy(update={"unfinished": first.title})
