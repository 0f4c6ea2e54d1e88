"""Read-only commands: unreleased changes, explained versions, release notes, plan comments, release status."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from releasekit.core.errors import ReleaseError, ReleaseWarning
from releasekit.core.history.web_links import repository_urls
from releasekit.core.planning.model import Plan, Status
from releasekit.core.release.release_manifest import manifest_text
from releasekit.core.release.unfinished_release import (
    ReleaseStatus,
    describe_release,
    unfinished_note,
)
from releasekit.core.text import summarize
from releasekit.integrations.filesystem import append_text
from releasekit.integrations.git import Repo
from releasekit.operations.draft import add_changelogs, checkout_workspace, open_index, open_project
from releasekit.store.bundle import read_manifest
from releasekit.store.record import lock_holder
from tasks import changelog_entries, decide, find_unfinished, read_history, read_workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from releasekit.core.changelog.changelog import Section
    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Step
    from releasekit.core.release.release_manifest import ReleaseManifest
    from releasekit.core.release.release_notes import PullRequest, ReleaseNotes
    from releasekit.core.release.unfinished_release import ReleaseTraces
    from releasekit.formats.explained import Explanation
    from releasekit.integrations.git import Ref
    from releasekit.options import Options, SelectionOptions, StatusOptions, WorkspaceOptions
    from tasks.changelog_entries import PackageChanges
    from tasks.project import Project

P = TypeVar("P", bound=Plan)
log = logging.getLogger("releasekit")

UnreleasedPackage = tuple["Step", "PackageChanges", "Section"]
"""A package that is released, its changes, and its changelog section."""


@dataclass(frozen=True, slots=True)
class UnreleasedChanges:
    """The unreleased changes of *packages*, dependencies first, and the *warnings* of the plan.

    *workspace* is the section for the changelog of the workspace; None without one, or if only some packages are shown.
    """

    packages: tuple[UnreleasedPackage, ...]
    workspace: Section | None
    warnings: tuple[str, ...]


def unreleased_changes(options: SelectionOptions, names: Sequence[str]) -> UnreleasedChanges:
    """Return the unreleased changes of the selected packages.

    No server is contacted.
    """
    with checkout_workspace(options) as local_options:
        project, repo = open_project(local_options)
        history = read_history.read_history(repo, project)
        asked = options.selection()
        selection = replace(asked, package=(*asked.package, *names))
        plan = decide.plan(project, repo, history, selection, None)
        urls = repository_urls(repo.address(project.settings.remote), project.settings.forge)
        changes_by_name = changelog_entries.package_changes(project, repo, plan, history)
    included = [step for step in plan.steps if step.status is Status.INCLUDED]
    silent = [
        step.name for step in included if not project.effective_setting(step.name, "changelog")
    ]
    if silent:
        log.info("a release writes no changelog (`changelog = false`) of %s", summarize(silent))
    packages = [
        (step, changes_by_name[step.name], changes_by_name[step.name].section(urls))
        for step in included
    ]
    released = () if names else changes_by_name.values()
    workspace = changelog_entries.workspace_section(
        released, project.settings, history, urls, plan.title
    )
    return UnreleasedChanges(tuple(packages), workspace, _remarks(plan))


async def notes(options: Options) -> tuple[ReleaseNotes, str, tuple[str, ...]]:
    """Return the notes that a release would have now, as data and as text, and the warnings of the plan.

    Contacts the forge, but no index.

    Raises ReleaseError if the template or the command of the notes fails.
    """
    from releasekit.core.release.release_notes import MIN_BODY_LIMIT
    from releasekit.integrations.forge_factory import connect_forge
    from releasekit.integrations.notes_sources import (
        commits_in_notes,
        gather_notes,
        render_notes,
        rewrite_notes,
    )

    project, repo = open_project(options)
    settings = project.settings
    history = read_history.read_history(repo, project)
    plan = decide.plan(project, repo, history, options.selection(), None)
    plan = add_changelogs(project, repo, plan, history, notes=True)
    pull_requests: dict[str, PullRequest] = {}
    limit = MIN_BODY_LIMIT
    if not options.offline:
        try:
            address = repo.address(settings.remote)
            async with connect_forge(address, settings, project.uv.secrets) as forge:
                pull_requests = await forge.pull_requests_of(commits_in_notes(plan))
                limit = forge.body_limit
        except ReleaseError as error:
            log.info("the notes name no pull requests: %s", error)
    workspace_path = project.root.relative_to(repo.top).as_posix()
    collected = gather_notes(
        plan,
        repo,
        repo.top,
        workspace_path,
        read_workspace.target_of(project),
        settings,
        pulls=pull_requests,
    )
    text = render_notes(collected, project.root, settings, limit)
    rewritten = rewrite_notes(text, project.root, settings.notes_command, limit, collected.all)
    return collected, rewritten, _remarks(plan)


COMMENT_MARK = "<!-- releasekit plan -->\n"
"""The first line of our comment, by which it is found again. GitHub and GitLab don't show it."""
_SUMMARY_LIMIT = 1_000_000  # characters; GitHub's is 1 MiB


async def post_plan_comment(options: Options, plan: Plan) -> str:
    """Post *plan* as a comment on the pull request of this CI job, and return where it is shown.

    Without a pull request, or without the right to comment, it goes into the summary of the job if the CI has one.
    Else it is not posted, and the return value is empty.
    """
    from releasekit.formats.pr_text import plan_body, plan_comment
    from releasekit.integrations.forge_factory import (
        connect_forge,
        page_of_job,
        pull_request_of_job,
    )

    if number := pull_request_of_job(os.environ):
        project, repo = open_project(options)
        try:
            async with connect_forge(
                repo.address(project.settings.remote), project.settings, project.uv.secrets
            ) as forge:
                limit = forge.pull_request_limit - len(COMMENT_MARK)
                text = plan_comment(plan, limit, page_of_job(os.environ))
                return await forge.comment(number, COMMENT_MARK, text)
        except ReleaseError as error:  # such as in a pull request from a fork
            log.warning(
                "warning %s",
                ReleaseWarning(error.code, f"no comment: {error.message}", error.location),
            )
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        append_text(Path(summary), plan_body(plan, _SUMMARY_LIMIT) + "\n")
        return "the summary of this job"
    return ""


async def fetch_manifest_text(options: WorkspaceOptions, release: str) -> str:
    """Return the manifest of *release*, with its plan, from the forge; see `fetch_manifest` for *release*.

    Raises Refusal RK-RELEASE-UNKNOWN, RK-RECORD-INVALID, RK-FORGE-….
    """
    from tasks import pr_steps

    project = read_workspace.read_workspace(options.directory, {})
    repo = Repo(project.root)
    file = await pr_steps.fetch_manifest(repo, project.settings, project.uv.secrets, Path(release))
    manifest, _, _ = read_manifest(file)
    return manifest_text(manifest)


def explain_versions(
    options: SelectionOptions, names: Sequence[str]
) -> tuple[Explanation, tuple[str, ...]]:
    """Return the next versions of *names*, or of all packages, with reasons, and the warnings of the plan.

    No server is contacted.
    """
    from releasekit.formats.explained import explain_versions

    with checkout_workspace(options) as local_options:
        project, repo = open_project(local_options)
        history = read_history.read_history(repo, project)
        plan = decide.plan(project, repo, history, options.selection(), None)
    chosen = project.workspace.matching_names(names or ["*"])
    return explain_versions(
        plan, decide.decide_bumps(project, history, options.selection()), chosen
    ), _remarks(plan)


def _remarks(plan: Plan) -> tuple[str, ...]:
    """Return the warnings of *plan*, and its obstacles as warnings too, because nothing is published here."""
    return (*plan.warnings, *map(str, plan.obstacles))


async def release_status(options: StatusOptions) -> ReleaseStatus:
    """Return the unfinished releases, here and on the remote, and what to do next; change nothing.

    The result also names the servers that were not asked or did not answer.
    """
    with checkout_workspace(options, keep=True) as local_options:
        project, repo = open_project(local_options)
        unasked: list[str] = []
        all_traces = find_unfinished.read_records(repo)
        if not options.offline:
            all_traces = await _add_remote_releases(project, repo, all_traces, unasked)
        releases_once = find_unfinished.unique_releases(all_traces)
        all_traces = find_unfinished.with_local_tags(repo, [*releases_once])
        if options.offline:
            unasked.append("--offline: neither the remote nor the index was contacted")
        else:
            all_traces = await _add_index_files(project, all_traces, unasked)
        holder = lock_holder(repo.common_dir)
    running = elsewhere = ""
    if holder and holder.is_known:
        running = holder.who
    elif holder:
        elsewhere = holder.who
    if running:  # the running release makes temporary refs, which are not another release
        all_traces = [traces for traces in all_traces if traces.plan or traces.source != "copy"]
    releases = tuple(describe_release(traces, running, elsewhere) for traces in all_traces)
    return ReleaseStatus(
        running=running, offline=options.offline, unasked=tuple(unasked), releases=releases
    )


async def _add_remote_releases(
    project: Project, repo: Repo, all_traces: list[ReleaseTraces], unasked: list[str]
) -> list[ReleaseTraces]:
    """Return *all_traces* with the releases on the remote and its forge; append to *unasked* what did not answer."""
    # Late: httpx is slow to import, and `plan` imports this module.
    from tasks.rollback_steps import (
        find_unpublished,
    )

    settings, secrets = project.settings, project.uv.secrets
    refs = _remote_refs(repo, settings, unasked)
    if refs is None:
        return all_traces
    with_remote, problem = find_unfinished.read_remote(repo, settings.remote, refs, all_traces)
    if problem:
        unasked.append(problem)
    proposals: list[tuple[Plan, ReleaseManifest, str]] = []
    for proposal in await find_unpublished(repo, settings, secrets):
        url = proposal.draft.url if proposal.draft else ""
        proposals.append((proposal.plan, proposal.manifest, url))
    unpublished = await find_unfinished.read_unpublished(repo, settings, secrets, proposals, refs)
    return [*with_remote, *unpublished]


def _remote_refs(repo: Repo, settings: Settings, unasked: list[str]) -> dict[str, Ref] | None:
    """Return the refs of the remote; or None, and append the reason to *unasked*."""
    if not settings.push:
        unasked.append("the remote was not contacted: `push` is off")
    elif settings.remote not in repo.remotes():
        unasked.append(f"the remote was not contacted: there is no remote {settings.remote}")
    else:
        try:
            return repo.ls_remote(settings.remote)
        except ReleaseError as error:
            unasked.append(f"the remote {settings.remote} did not answer: {error.message}")
    return None


async def _add_index_files(
    project: Project, all_traces: list[ReleaseTraces], unasked: list[str]
) -> list[ReleaseTraces]:
    """Return *all_traces* with the files on the index; if it does not answer, append the reason to *unasked*."""
    if not any(traces.packages for traces in all_traces):
        return all_traces
    try:
        async with open_index(project, read_workspace.target_of(project)) as index:
            return await find_unfinished.read_index_files(index, all_traces)
    except ReleaseError as error:
        unasked.append(f"the index did not answer: {error.message}")
        return all_traces


async def with_unfinished(options: Options, plan: P) -> P:
    """Return *plan* with the title of the unfinished release of this repository, if any, and log a line about it."""
    if options.source():
        return plan  # a temporary clone has no record
    all_traces = find_unfinished.read_records(Repo(options.directory))
    if not all_traces:
        return plan
    if not options.offline and all_traces[0].packages:
        all_traces = await _add_index_files(open_project(options)[0], all_traces[:1], [])
    first = describe_release(all_traces[0])
    log.info("%s", unfinished_note(first))
    return plan.model_copy(update={"unfinished": first.title})
