"""Step: decide what is released."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from releasekit.core.planning.make_plan import make_plan
from releasekit.core.planning.model import RELEASE_COMMIT, Plan
from releasekit.core.planning.plan_inputs import PlanInputs, decisions
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.version import Version

    from releasekit.core.config.settings import Selection
    from releasekit.core.versioning.groups import Decisions
    from releasekit.integrations.git import Repo
    from tasks.ask_index import IndexAnswers
    from tasks.project import Project
    from tasks.read_history import History


@flow_task("plan")
def plan(
    project: Project,
    repo: Repo,
    history: History,
    selection: Selection,
    answers: IndexAnswers | None,
) -> Plan:
    """Decide what is released. *answers* is None if no index was asked. See `PlanInputs` in core/planning."""
    bumps = decide_bumps(project, history, answers.consumed if answers else None)
    today = datetime.now(UTC).strftime("%Y.%m.%d")
    inputs = PlanInputs(
        commit=repo.head,
        date=today,
        tags=history.tags,
        published=answers.published if answers else None,
        elsewhere=answers.elsewhere if answers else {},
        requires=answers.requires if answers else {},
        raised=dict(_last_raise_by_package(history)),
        unheard={change.short_sha: change.release_as or "" for change in history.unmatched_release_as},
    )
    return make_plan(
        project.workspace, bumps, history.baselines, selection, project.settings, inputs, project.member_settings
    )


def _last_raise_by_package(history: History) -> Iterator[tuple[str, str]]:
    """Yield each package whose pyproject.toml a later release has changed, and the title of the newest such release."""
    for name, changes in history.changes.items():
        touching: set[str] = set()
        for home in history.homes.get(name, ()):
            touching.update(history.manifests.get(home, ()))
        releases = [change.title for change in changes if change.sha in touching]
        title = next((title for title in releases if title.startswith(RELEASE_COMMIT)), None)
        if title:
            yield name, title.removeprefix(RELEASE_COMMIT)


def with_release_title(plan: Plan, repo: Repo, history: History) -> Plan:
    """Return *plan* with the title of the release commit that it is made at, if it is made at one.

    At a release commit, the files already have the new versions, and no tag marks them as published: so the plan
    contains them. Packages that are tagged already are not in the plan, and without them its own title may differ.
    """
    _, is_release, title = repo.subject(plan.commit).rpartition(RELEASE_COMMIT)
    if not is_release or not plan.tags:
        return plan
    if title in history.tags:
        return plan
    return plan.model_copy(update={"tags": (title,)})


def decide_bumps(
    project: Project, history: History, consumed: Mapping[str, frozenset[Version]] | None = None
) -> Decisions:
    """Return the bump that the history asks for, by package. *consumed* are versions that nobody can release again."""
    inputs = (
        history.changes,
        project.settings,
        history.unreleased,
        history.since_stable,
        project.member_settings,
        consumed,
    )
    return decisions(project.workspace, history.baselines, *inputs)
