"""What is told without a release: what is unreleased, why, the notes that it would have, a plan for reviewers."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flows.draft import at_hand, open_project, with_changelogs
from tasks import pull, survey
from tasks.adapters.exported import read_manifest
from tasks.adapters.files import append_text
from tasks.adapters.repo import Repo
from tasks.core.errors import ReleaseError, Warn
from tasks.core.links import web_of
from tasks.core.manifest import manifest_text
from tasks.core.plan import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.options import Options, Place, Selected
    from tasks.core.changelog import Section
    from tasks.core.formats.explained import Explanation
    from tasks.core.notes import Notes, Pull
    from tasks.core.plan import Plan, Step
    from tasks.survey import ToTell

log = logging.getLogger("releasekit")

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
            async with forge_of(repo.address(settings.remote), settings, project.uv.secrets) as forge:
                pulls, limit = await forge.pulls_of(commits_told(plan)), forge.body_limit
        except ReleaseError as error:
            log.info("no pull requests are named: %s", error)
    place = project.root.relative_to(repo.top).as_posix()
    found = gather(plan, repo, repo.top, place, survey.target_of(project), settings, pulls=pulls)
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
    from tasks.adapters.forge import forge_of, pull_of_job
    from tasks.core.pull import plan_body

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
    project = survey.read_workspace(options.directory, {})
    file = await pull.manifest_at_hand(Repo(project.root), project.settings, project.uv.secrets, Path(release))
    return manifest_text(read_manifest(file)[0])


def explained(options: Selected, names: Sequence[str]) -> tuple[Explanation, tuple[str, ...]]:
    """Read the history and say which version each of *names* goes to, or all; asks nobody outside.

    With it come the warnings of the plan.
    """
    from tasks.core.formats.explained import explanation

    with at_hand(options) as here:
        project, repo = open_project(here)
        history = survey.read_history(repo, project)
        plan = survey.plan(project, repo, history, options.selection(), None)
    chosen = project.workspace.matching(names or ["*"])
    return explanation(plan, survey.decide(project, history), chosen), plan.warnings
