"""Step: ask indexes which versions exist, and what they require."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, product, starmap
from operator import itemgetter
from typing import TYPE_CHECKING

from releasekit.core.errors import ReleaseError, as_refusal
from releasekit.core.history.baselines import (
    PLACEHOLDER_TAGS,
    is_placeholder,
    later_tags,
    package_tags,
)
from releasekit.core.history.tags import Baseline, baseline_on_index, last_baseline
from releasekit.core.picking import drop, drop_keys, drop_named, map_values, true_keys
from tasks.decorators import flow_task
from tasks.read_declarations import (
    DeclarationReader,
    directory_in_repository,
    member_directories,
)
from tasks.read_history import History, version_file_in, version_reader, with_commits

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping, Sequence

    from packaging.requirements import Requirement
    from packaging.version import Version

    from releasekit.core.history.commits import Change
    from releasekit.core.history.tag_evidence import TagReading
    from releasekit.core.workspace.workspace import Member
    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import Index
    from tasks.project import Project

log = logging.getLogger("releasekit")


@flow_task("ask-index", stage="plan")
async def ask_index(index: Index, names: Sequence[str]) -> dict[str, frozenset[Version]]:
    """Return the versions of each of *names* that the index has; raises Refusal RK-INDEX-…."""
    with as_refusal():
        versions = await asyncio.gather(*map(index.versions, names))
    return dict(zip(names, versions, strict=True))


@dataclass(frozen=True, slots=True)
class IndexAnswers:
    """The versions on indexes, by package: *published* on the index of the release, *elsewhere* on the default one.

    *requires* has the requirements of releases, by version, if they could be read. *consumed* are versions that are
    published and have no tag anywhere: nobody can release them again.
    """

    published: Mapping[str, frozenset[Version]] = field(
        default_factory=dict[str, "frozenset[Version]"]
    )
    elsewhere: Mapping[str, frozenset[Version]] = field(
        default_factory=dict[str, "frozenset[Version]"]
    )
    requires: Mapping[str, Mapping[Version, tuple[Requirement, ...]]] = field(
        default_factory=dict[str, "Mapping[Version, tuple[Requirement, ...]]"]
    )
    consumed: Mapping[str, frozenset[Version]] = field(
        default_factory=dict[str, "frozenset[Version]"]
    )

    def is_published(self, name: str, version: Version) -> bool:
        """Return whether the index of the release has this *version*."""
        return version in self.published.get(name, ())

    def has(self, name: str, version: Version) -> bool:
        """Return whether an index that was asked has this *version*."""
        return self.is_published(name, version) or version in self.elsewhere.get(name, ())


@flow_task("ask-requirements", stage="plan")
async def ask_requirements(
    indexes: Sequence[Index], releases: Sequence[tuple[str, Version]], previous: IndexAnswers
) -> IndexAnswers:
    """Return *previous* with the requirements of each of *releases*, from the first of *indexes* that has it.

    Raises Refusal RK-INDEX-….
    """

    async def ask(name: str, version: Version) -> tuple[Requirement, ...] | None:
        index = indexes[0] if previous.is_published(name, version) else indexes[-1]
        return await index.requirements(name, version)

    with as_refusal():
        answers = await asyncio.gather(*starmap(ask, releases))
    requires = map_values(dict, previous.requires)
    for (name, version), answer in zip(releases, answers, strict=True):
        if answer is not None:
            requires.setdefault(name, {})[version] = answer
    return replace(previous, requires=requires)


async def ask_versions(index: Index, names: Sequence[str], previous: IndexAnswers) -> IndexAnswers:
    """Return *previous* with the versions of each of *names* on *index*; raises Refusal RK-INDEX-…."""
    published = await ask_index(index, names)
    return replace(previous, published={**previous.published, **published})


async def ask_elsewhere(
    indexes: Sequence[Index], names: Sequence[str], previous: IndexAnswers
) -> IndexAnswers:
    """Return *previous* with the versions of each of *names* on the other *indexes*, on which installers look too.

    An index that does not answer counts as empty.
    """
    elsewhere = dict(previous.elsewhere)
    for name in names:
        elsewhere[name] = frozenset()
    for index in indexes:
        try:
            answers = await ask_index(index, names)
        except ReleaseError as error:
            log.info("%s cannot be asked for packages of the workspace: %s", index.url, error)
            continue
        for name, versions in answers.items():
            elsewhere[name] |= versions
    return replace(previous, elsewhere=elsewhere)


def consumed_versions(
    project: Project, repo: Repo, history: History, published: Mapping[str, frozenset[Version]]
) -> dict[str, frozenset[Version]]:
    """Return the versions on the index without a tag here or on the remote: a release was abandoned, or lost.

    Only versions above the last release count. The remote is asked once, and only if there are such versions.
    """
    untagged = _untagged_versions(history, published)
    if not untagged:
        return {}
    remote_refs = _remote_refs(project, repo)
    consumed: dict[str, frozenset[Version]] = {}
    for name, versions in untagged.items():
        scheme = project.schemes.of(name)
        consumed[name] = frozenset(
            version
            for version in versions
            if f"refs/tags/{scheme.tag(name, version)}" not in remote_refs
        )
    return consumed


def _untagged_versions(
    history: History, published: Mapping[str, frozenset[Version]]
) -> dict[str, frozenset[Version]]:
    """Return the *published* versions above the last release of each package that have no tag here."""
    untagged: dict[str, frozenset[Version]] = {}
    for name, last in history.baselines.items():
        without_tag = published.get(name, frozenset()) - last.taken
        later = frozenset(version for version in without_tag if version > last.version)
        if later:
            untagged[name] = later
    return untagged


def _remote_refs(project: Project, repo: Repo) -> Container[str]:
    """Return the names of all references of the remote; none if it does not exist or answer."""
    remote = project.settings.remote
    if remote in repo.remotes():
        with suppress(ReleaseError):  # the preflight reports a remote that does not answer
            return repo.ls_remote(remote).keys()
    return ()


@flow_task("baselines-on-index", stage="plan")
def baselines_on_index(
    repo: Repo, project: Project, history: History, published: Mapping[str, frozenset[Version]]
) -> dict[str, Baseline]:
    """Return the last release of each package that is *published* and has no tag, from the index and the history.

    Packages whose sources have a placeholder as their version have tags: see `_releases_of_placeholders`.

    It is later than the last release with a tag, if there is one. Its commit is the last one that set that version in
    the file that declares it, or else the one that did so on a release branch. If no commit did, it is that of the last
    release with a tag; without one, it is empty.
    """
    of_placeholders = _releases_of_placeholders(repo, project, history, published)
    untagged: dict[str, Baseline] = {}
    for member in drop_named(project.workspace, of_placeholders):
        baseline = baseline_on_index(published.get(member.name, ()), member.version)
        tagged = history.baselines.get(member.name)
        if baseline and _is_later(baseline, tagged, member):
            untagged[member.name] = baseline
    commits = _commits_by_version(repo, project, history, untagged)
    lost = {name: _releases_without(commits[name], last) for name, last in untagged.items()}
    for name, found in _commits_on_release_branches(repo, project, history, lost).items():
        commits[name] |= found
    for name, baseline in untagged.items():
        untagged[name] = _with_known_commits(baseline, commits[name], history.baselines.get(name))
    return of_placeholders | untagged


def _releases_of_placeholders(
    repo: Repo, project: Project, history: History, published: Mapping[str, frozenset[Version]]
) -> dict[str, Baseline]:
    """Return the last release of each package whose sources never had the version of a release.

    Its newest tags have versions that are *published*, and it declared one other version at all of them.
    """
    tags_by_name = _later_tags_on_index(repo, project, history, published)
    if not tags_by_name:
        return {}
    deciding = map_values(itemgetter(slice(PLACEHOLDER_TAGS)), tags_by_name)
    reader = DeclarationReader(repo, project, member_directories(repo, project))
    declarations = reader.read(tag.place for tag in chain.from_iterable(deciding.values()))
    releases: dict[str, Baseline] = {}
    for name, newest in deciding.items():
        if is_placeholder(newest, declarations):
            tagged = [Baseline(tag.tag, tag.version, tag.commit) for tag in tags_by_name[name]]
            releases[name] = last_baseline(tagged, published[name])
    return releases


def _later_tags_on_index(
    repo: Repo, project: Project, history: History, published: Mapping[str, frozenset[Version]]
) -> dict[str, list[TagReading]]:
    """Return the tags in the history of HEAD with *published* versions that are later than the last release.

    They are by package, the highest version first.
    """
    names = _names_with_later_versions(project, history, published)
    if not names:  # as in most plans: then the tags are not read again
        return {}
    all_tags = package_tags(history.tags, project.schemes, dict.fromkeys(names), history.umbrellas)
    by_name: dict[str, list[TagReading]] = {}
    for name, tags in all_tags.items():
        later = later_tags(tags, history.baselines.get(name))
        by_name[name] = [tag for tag in later if tag.version in published[name]]
    merged = repo.merged_tags()
    return {name: [tag for tag in tags if tag.tag in merged] for name, tags in by_name.items()}


def _names_with_later_versions(
    project: Project, history: History, published: Mapping[str, frozenset[Version]]
) -> list[str]:
    """Return the packages of which the index has a version above the last release, or any if there is none."""
    names: list[str] = []
    for name in filter(published.get, project.workspace.publishable_names):
        last = history.baselines.get(name)
        if last is None or max(published[name]) > last.version:
            names.append(name)
    return names


def _with_known_commits(
    baseline: Baseline, commits: Mapping[Version, str], tagged: Baseline | None
) -> Baseline:
    """Return *baseline* with its commits: those of the last release with a tag, else those in *commits* (by version).

    If nothing shows the commit of a release after *tagged*, the changes count from *tagged* on: too many is safe.
    """
    if tagged is None:
        return with_commits(baseline, commits)
    releases = filter(None, (tagged.first, tagged.stable, tagged))
    known = {**commits, **{release.version: release.commit for release in releases}}
    located = with_commits(baseline, known)
    stable = located.stable and replace(
        located.stable, commit=located.stable.commit or tagged.begin.commit
    )
    return replace(
        located,
        commit=located.commit or tagged.commit,
        since="" if located.commit else tagged.tag,
        stable=stable,
        taken=baseline.taken | tagged.taken,
    )


def _is_later(baseline: Baseline, tagged: Baseline | None, member: Member) -> bool:
    """Return whether *baseline* is later than the last release of *member* with a tag, or there is none with a tag."""
    if tagged is None:
        return True
    if member.version is None or baseline.version in tagged.taken:
        return False
    return baseline.version > tagged.version


def _commits_by_version(
    repo: Repo, project: Project, history: History, names: Collection[str]
) -> dict[str, dict[Version, str]]:
    """Return, for each of *names*, the last commit that set each version in the package's file.

    These packages have no tag. The walk has collected the commits that touch a pyproject.toml: only these and their
    parents are read.
    """
    files: dict[str, list[str]] = {}
    candidates: dict[str, Sequence[Change]] = {}
    positions: list[tuple[str, str]] = []
    for name in names:
        member = project.workspace[name]
        files[name] = [version_file_in(home, member) for home in history.homes[name]]
        candidates[name] = _candidate_changes(member, history)
        positions += product(_with_parents(candidates[name]), files[name])
    texts = repo.texts(positions)
    commits: dict[str, dict[Version, str]] = {}
    for name, changes in candidates.items():
        read_version = version_reader(project, name)
        version_at: dict[str, Version | None] = {}
        for sha in _with_parents(changes):
            versions = (read_version(texts.get((sha, file), "")) for file in files[name])
            version_at[sha] = next(filter(None, versions), None)
        commits[name] = _last_commits(changes, version_at)
    return commits


def _releases_without(commits: Mapping[Version, str], last: Baseline) -> list[Version]:
    """Return the versions of *last* and of its last stable release that have none of *commits*."""
    releases = filter(None, (last, last.stable))
    return drop((release.version for release in releases), commits)


def _commits_on_release_branches(
    repo: Repo, project: Project, history: History, lost: Mapping[str, Collection[Version]]
) -> dict[str, dict[Version, str]]:
    """Return, for each package of *lost*, the first commit with each of these versions on a branch beside HEAD.

    Only branches with a tag count, whatever its name: some teams set versions on a release branch, and tag several
    packages there with one tag.
    """
    if not any(lost.values()):
        return {}
    merged = repo.merged_tags()
    tips = dict.fromkeys(drop_keys(history.tags, merged).values())
    newest = sorted(repo.commit_times(tips).items(), key=itemgetter(1), reverse=True)[:_BRANCHES]
    branches = [repo.first_parents(repo.head, tip) for tip, _ in reversed(newest)]
    commits = dict.fromkeys(chain.from_iterable(branches))
    found: dict[str, dict[Version, str]] = {}
    for name in true_keys(lost):
        versions = _versions_at_each(repo, project, name, commits)
        found[name] = {version: sha for sha, version in reversed(versions) if version in lost[name]}
    return found


_BRANCHES = 50
"""So many of the newest release branches are read."""


def _versions_at_each(
    repo: Repo, project: Project, name: str, commits: Iterable[str]
) -> list[tuple[str, Version]]:
    """Return each of *commits* at which the package *name* declares a version, where it is now, and this version."""
    member = project.workspace[name]
    file = version_file_in(directory_in_repository(repo, project.root, member.path), member)
    read_version = version_reader(project, name)
    texts = repo.texts([(sha, file) for sha in commits])
    read = ((sha, read_version(text)) for (sha, _), text in texts.items())
    return [(sha, version) for sha, version in read if version is not None]


def _last_commits(
    changes: Sequence[Change], version_at: Mapping[str, Version | None]
) -> dict[Version, str]:
    """Return the last of *changes*, which are newest first, that set each version; *version_at* is by commit."""
    commits: dict[Version, str] = {}
    for change in reversed(changes):
        version = version_at[change.sha]
        versions_before = set(map(version_at.get, change.commit.parents))
        if version is not None and version not in versions_before:
            commits[version] = change.sha
    return commits


def _candidate_changes(member: Member, history: History) -> Sequence[Change]:
    """Return the changes that may set the version of *member*, newest first."""
    changes = history.changes.get(member.name, ())
    if member.version_file:  # the walk does not say which changes touch this file
        return changes
    touching = history.pyproject_commits(member.name)
    return [change for change in changes if change.sha in touching]


def _with_parents(changes: Sequence[Change]) -> dict[str, None]:
    """Return the shas of *changes* and of their parents, each once, in order."""
    shas: dict[str, None] = {}
    for change in changes:
        shas |= dict.fromkeys((change.sha, *change.commit.parents))
    return shas
