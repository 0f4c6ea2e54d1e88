"""Step: decide what is released."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from releasekit.core.artifacts.api_changes import breaking_changes, describe_changes
from releasekit.core.planning.make_plan import make_plan
from releasekit.core.planning.plan_inputs import PlanInputs, VersionFacts, decisions
from releasekit.core.planning.selection import named_packages
from releasekit.core.versioning.version_requests import version_requests
from tasks.ask_index import IndexAnswers
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.version import Version

    from releasekit.core.config.settings import Selection
    from releasekit.core.planning.model import Plan
    from releasekit.core.versioning.groups import Decisions
    from releasekit.integrations.git import Repo
    from tasks.project import Project
    from tasks.read_history import History


@flow_task("plan", stage="plan")
def plan(
    project: Project,
    repo: Repo,
    history: History,
    selection: Selection,
    answers: IndexAnswers | None,
) -> Plan:
    """Decide what is released. *answers* is None if no index was asked. See `PlanInputs` in core/planning."""
    published = answers.published if answers else None
    answers = answers or IndexAnswers()
    inputs = PlanInputs(
        commit=repo.head,
        date=_today(),
        tags=history.tags,
        published=published,
        elsewhere=answers.elsewhere,
        requires=answers.requires,
        raised=dict(_last_raise_by_package(history)),
        strays=tuple(map(str, history.strays)),
        unheard={
            change.short_sha: change.release_as or "" for change in history.unmatched_release_as
        },
        change_files=project.change_files,
        pending_files=history.files,
        sources=history.sources,
        is_committed=bool(
            project.settings.pre_release and _untagged_release(project, repo, history)
        ),
    )
    return make_plan(
        project.workspace,
        decide_bumps(project, history, selection, answers.consumed),
        history.baselines,
        selection,
        project.settings,
        inputs,
        project.member_settings,
    )


def _last_raise_by_package(history: History) -> Iterator[tuple[str, str]]:
    """Yield each package whose pyproject.toml a later release has changed, and the title of the newest such release."""
    for name, changes in history.changes.items():
        touching = history.pyproject_commits(name)
        titles = (change.commit.release for change in changes if change.sha in touching)
        release = next(filter(None, titles), "")
        if release:
            yield name, release


def with_release_title(plan: Plan, project: Project, repo: Repo, history: History) -> Plan:
    """Return *plan* with the title of the release commit that it is made at, if it is made at one.

    At a release commit, the files already have the new versions, and no tag marks them as published: so the plan
    contains them. Packages that are tagged already are not in the plan, and without them its own title may differ.
    A title that is the tag of a package is no tag of other packages.
    """
    title = _untagged_release(project, repo, history)
    names_release = title and not project.schemes.names_package(title, project.workspace.members)
    if not (names_release and plan.tags):
        return plan
    return plan.model_copy(update={"tags": (title,)})


def _untagged_release(project: Project, repo: Repo, history: History) -> str:
    """Return the title of the release whose commit is checked out; empty if it is none, or has its tag already."""
    title = project.release_commits.title_in(repo.subject(repo.head))
    return "" if title in history.tags else title


def decide_bumps(
    project: Project,
    history: History,
    selection: Selection,
    consumed: Mapping[str, frozenset[Version]] = MappingProxyType({}),
) -> Decisions:
    """Return the next version of each package, from its history and what the *selection* requests.

    *consumed* are versions that nobody can release again.
    """
    named = named_packages(project.workspace, selection, project.settings)
    facts = VersionFacts(
        requests=version_requests(selection.versions, project.workspace, named),
        date=_today(),
        documents=history.documents,
        proposed=history.proposed,
        api_breaks=dict(_api_breaks(project, history)),
    )
    return decisions(
        project.workspace,
        history.baselines,
        history.changes,
        project.settings,
        history.unreleased,
        since_stable=history.since_stable,
        own=project.member_settings,
        consumed=consumed,
        files=history.files,
        facts=facts,
    )


def _api_breaks(project: Project, history: History) -> Iterator[tuple[str, str]]:
    """Yield each package whose version the changes of its API raise, and a description of these."""
    for name, source in history.sources.items():
        if project.effective_setting(name, "api_check") == "bump":
            changes = breaking_changes(source.api_changes, name, project.settings.api_ignore)
            yield name, describe_changes(changes)


def _today() -> str:
    return datetime.now(UTC).strftime("%Y.%m.%d")
