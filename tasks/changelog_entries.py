"""Step: collect what changelogs and release notes say about a release."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from releasekit.core.changelog.changelog import (
    PreviousRelease,
    changelog_entry,
    contributors_of,
    prereleases_between,
    render_section,
)
from releasekit.core.changelog.note_entries import package_notes
from releasekit.core.changelog.workspace_changelog import merge_entries, merge_previous
from releasekit.core.history.pending_changes import PendingChanges
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from releasekit.core.changelog.changelog import ChangelogEntry, Section
    from releasekit.core.changelog.note_entries import PackageNotes
    from releasekit.core.config.settings import Settings
    from releasekit.core.history.commits import Change
    from releasekit.core.history.tags import Baseline
    from releasekit.core.history.web_links import RepositoryUrls
    from releasekit.core.planning.model import Plan, Step
    from releasekit.integrations.git import Repo
    from tasks.project import Project
    from tasks.read_history import History


@dataclass(frozen=True, slots=True)
class PackageChanges:
    """The changes of one package in a release, the release before it, and its *tag*, empty if it gets none.

    *path* is its changelog, relative to the package. `workspace_section` merges those of all packages into one.
    """

    entry: ChangelogEntry
    since: PreviousRelease
    tag: str
    path: str

    def section(self, web: RepositoryUrls) -> Section:
        """Return the section for the package's changelog."""
        section = render_section(self.entry, web, self.tag, self.since)
        return section.model_copy(update={"path": self.path})


@flow_task("changelogs", stage="plan")
def package_changes(
    project: Project, repo: Repo, plan: Plan, history: History
) -> dict[str, PackageChanges]:
    """Return the changes of each package that is released, in the order of the plan.

    A stable release after prereleases repeats their changes (D-4): everything since the last stable release.
    """
    date = plan.date.replace(".", "-")
    changes_since_stable = chain.from_iterable(history.since_stable.values())
    since_stable = history.unreleased.union(_shas_of(changes_since_stable))
    by_name = {
        step.name: _changes_of(step, project, history, date, since_stable) for step in plan.steps
    }
    if not project.settings.changelog_contributors:
        return by_name
    authors = repo.authors(_shas(by_name))
    with_contributors: dict[str, PackageChanges] = {}
    for name, package in by_name.items():
        contributors = contributors_of(package.entry.changes, authors)
        entry = replace(package.entry, contributors=contributors)
        with_contributors[name] = replace(package, entry=entry)
    return with_contributors


def workspace_section(
    packages: Collection[PackageChanges],
    settings: Settings,
    history: History,
    web: RepositoryUrls,
    tag: str,
) -> Section | None:
    """Return the section for the changelog of the workspace; None if it keeps none, or if nothing is released.

    *packages* are all that are released, and *tag* names the release.
    """
    if not (packages and settings.workspace_changelog):
        return None
    since = merge_previous([package.since for package in packages])
    entry = merge_entries([package.entry for package in packages], settings, history.newest_first)
    own_tag = tag if settings.tag else ""
    return PackageChanges(entry, since, own_tag, settings.workspace_changelog).section(web)


def _changes_of(
    step: Step, project: Project, history: History, date: str, since_stable: frozenset[str]
) -> PackageChanges:
    """Return the changes of the package of *step*. *date* is "YYYY-MM-DD".

    *since_stable* are all commits since the last stable releases.
    """
    settings, name = project.settings, step.name
    pending = history.files.get(name, PendingChanges())
    last = history.baselines.get(name)
    if last and _rolls_up(step, last, settings):
        stable = last.stable.version if last.stable else None
        between = prereleases_between(last.taken, stable, step.version)
        since = PreviousRelease(stable, last.begin.tag, between)
        changes = history.since_stable[name]
        unreleased_now = since_stable
        files = pending.unreleased
    else:
        since = PreviousRelease(last.version, last.tag) if last else PreviousRelease()
        changes = history.changes.get(name, ())
        unreleased_now = history.unreleased
        files = pending.new
    if settings.changes == "files":
        changes = ()
    entry = changelog_entry(step.version, date, changes, since, settings, unreleased_now, files)
    tag = step.tag if settings.tag else ""
    return PackageChanges(entry, since, tag, project.effective_setting(name, "changelog_path"))


def _shas_of(changes: Iterable[Change]) -> list[str]:
    return [change.sha for change in changes]


def _shas(by_name: Mapping[str, PackageChanges]) -> list[str]:
    """Return the commits of all packages."""
    changes = chain.from_iterable(package.entry.changes for package in by_name.values())
    return _shas_of(changes)


@flow_task("tales", stage="plan")
def note_entries(repo: Repo, by_name: Mapping[str, PackageChanges]) -> dict[str, PackageNotes]:
    """Return what the release notes say about each package: the entry of its changelog, and the authors."""
    authors = repo.authors(_shas(by_name))
    return {
        name: package_notes(package.entry, package.since, authors)
        for name, package in by_name.items()
    }


def _rolls_up(step: Step, last: Baseline, settings: Settings) -> bool:
    """Return whether the release of *step* repeats the changes of its prereleases."""
    promoted = last.version.is_prerelease and not step.version.is_prerelease
    return promoted and settings.changelog_prerelease_mode == "rollup"
