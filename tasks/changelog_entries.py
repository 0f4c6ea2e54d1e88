"""Step: collect what changelogs and release notes say about a release."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from releasekit.core.changelog.changelog import (
    PreviousRelease,
    changelog_entry,
    contributors_of,
    prereleases_between,
    render_section,
)
from releasekit.core.changelog.note_entries import package_notes
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from releasekit.core.changelog.changelog import ChangelogEntry, Section
    from releasekit.core.changelog.note_entries import PackageNotes
    from releasekit.core.config.settings import Settings
    from releasekit.core.history.tags import Baseline
    from releasekit.core.history.web_links import RepositoryUrls
    from releasekit.core.planning.model import Plan, Step
    from releasekit.integrations.git import Repo
    from tasks.project import Project
    from tasks.read_history import History


@dataclass(frozen=True, slots=True)
class PackageChanges:
    """The changes of one package in a release, the release before it, and its *tag*, empty if it gets none."""

    entry: ChangelogEntry
    since: PreviousRelease
    tag: str

    def section(self, web: RepositoryUrls) -> Section:
        """Return the section for the package's changelog."""
        return render_section(self.entry, web, self.tag, self.since)


@flow_task("changelogs")
def package_changes(project: Project, repo: Repo, plan: Plan, history: History) -> dict[str, PackageChanges]:
    """Return the changes of each package that is released, in the order of the plan.

    A stable release after prereleases repeats their changes (D-4): everything since the last stable release.
    """
    settings, schemes = project.settings, project.schemes
    date = plan.date.replace(".", "-")
    whole = history.unreleased | {change.sha for changes in history.since_stable.values() for change in changes}
    by_name: dict[str, PackageChanges] = {}
    for step in plan.steps:
        name, last = step.name, history.baselines.get(step.name)
        since = PreviousRelease(last.version, last.tag) if last else PreviousRelease()
        changes, unreleased_now = history.changes.get(name, ()), history.unreleased
        if last and _rolls_up(step, last, settings):
            after = last.stable.version if last.stable else None
            tags = schemes.of(name).without_umbrellas(history.tags, history.umbrellas)
            between = prereleases_between(tags, schemes.of(name), name, after, step.version)
            since = PreviousRelease(after, last.begin.tag, between)
            changes, unreleased_now = history.since_stable[name], whole
        entry = changelog_entry(step.version, date, changes, since, settings, unreleased_now)
        by_name[name] = PackageChanges(entry, since, step.tag if settings.tag else "")
    if settings.changelog_contributors:
        authors = repo.authors([change.sha for package in by_name.values() for change in package.entry.changes])
        for name, package in by_name.items():
            names = contributors_of(package.entry.changes, authors)
            by_name[name] = replace(package, entry=replace(package.entry, contributors=names))
    return by_name


@flow_task("tales")
def note_entries(repo: Repo, by_name: Mapping[str, PackageChanges]) -> dict[str, PackageNotes]:
    """Return what the release notes say about each package: the entry of its changelog, and the authors."""
    authors = repo.authors([change.sha for package in by_name.values() for change in package.entry.changes])
    return {name: package_notes(package.entry, package.since, authors) for name, package in by_name.items()}


def _rolls_up(step: Step, last: Baseline, settings: Settings) -> bool:
    """Return whether the release of *step* repeats the changes of its prereleases."""
    promoted = last.version.is_prerelease and not step.version.is_prerelease
    return promoted and settings.changelog_prerelease_mode == "rollup"
