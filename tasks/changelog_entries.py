"""Step: read what changelogs and release notes say about a release."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from releasekit.core.changelog.changelog import Since, contributors_of, entry_of, prereleases_between, section_of
from releasekit.core.changelog.note_entries import tale_of
from tasks.decorators import lazy_task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from releasekit.core.changelog.changelog import Entry, Section
    from releasekit.core.changelog.note_entries import Tale
    from releasekit.core.config.settings import Settings
    from releasekit.core.history.tags import Baseline
    from releasekit.core.history.web_links import Web
    from releasekit.core.planning.model import Plan, Step
    from releasekit.integrations.git import Repo
    from tasks.project import Project
    from tasks.read_history import History


@dataclass(frozen=True, slots=True)
class ToTell:
    """What there is to tell about one package's release: since when, and the *tag* that it gets, if any."""

    entry: Entry
    since: Since
    tag: str

    def section(self, web: Web) -> Section:
        """Return it as its changelog has it."""
        return section_of(self.entry, web, self.tag, self.since)


@lazy_task("changelogs")
def entries(project: Project, repo: Repo, plan: Plan, history: History) -> dict[str, ToTell]:
    """Return what there is to tell about each package that is released, in the order of the plan.

    A stable release after prereleases tells what they told (D-4): all since the last stable one.
    """
    settings, schemes = project.settings, project.schemes
    date = plan.date.replace(".", "-")
    whole = history.unreleased | {change.sha for changes in history.since_stable.values() for change in changes}
    told: dict[str, ToTell] = {}
    for step in plan.steps:
        name, last = step.name, history.baselines.get(step.name)
        since = Since(last.version, last.tag) if last else Since()
        changes, unreleased_now = history.changes.get(name, ()), history.unreleased
        if last and _rolls_up(step, last, settings):
            after = last.stable.version if last.stable else None
            tags = schemes.of(name).without_umbrellas(history.tags, history.umbrellas)
            between = prereleases_between(tags, schemes.of(name), name, after, step.version)
            since = Since(after, last.begin.tag, between)
            changes, unreleased_now = history.since_stable[name], whole
        entry = entry_of(step.version, date, changes, since, settings, unreleased_now)
        told[name] = ToTell(entry, since, step.tag if settings.tag else "")
    if settings.changelog_contributors:
        authors = repo.authors([change.sha for tell in told.values() for change in tell.entry.changes])
        for name, tell in told.items():
            names = contributors_of(tell.entry.changes, authors)
            told[name] = replace(tell, entry=replace(tell.entry, contributors=names))
    return told


@lazy_task("tales")
def tales(repo: Repo, told: Mapping[str, ToTell]) -> dict[str, Tale]:
    """Return what the release notes will tell of each package: what its changelog tells, and by whom."""
    authors = repo.authors([change.sha for tell in told.values() for change in tell.entry.changes])
    return {name: tale_of(tell.entry, tell.since, authors) for name, tell in told.items()}


def _rolls_up(step: Step, last: Baseline, settings: Settings) -> bool:
    """Tell whether the release of *step* tells what its prereleases have told already."""
    promoted = last.version.is_prerelease and not step.version.is_prerelease
    return promoted and settings.changelog_prerelease_mode == "rollup"
