"""Step: read tags, commits and declared versions from git. Nothing is changed."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain, product
from types import MappingProxyType
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.attribution import attribute_commits
from releasekit.core.history.baselines import find_baselines, package_tags, stray_tags
from releasekit.core.history.commits import parse, parse_history
from releasekit.core.history.tag_evidence import objection
from releasekit.core.history.tags import dated_umbrellas, umbrella_candidates, umbrellas_among
from releasekit.core.picking import drop_empty, drop_keys, map_values, pick_keys, true_keys
from releasekit.core.version_numbers import parse_version
from releasekit.core.workspace.declarations import parse_document, project_name
from releasekit.core.workspace.dynamic_version import table_at
from releasekit.integrations.filesystem import read_toml
from releasekit.integrations.version_files import version_location
from tasks.decorators import flow_task
from tasks.read_changes import (
    ChangeFilePaths,
    NonPackageFiles,
    read_included,
    read_pending_changes,
)
from tasks.read_declarations import DeclarationReader, directory_in_repository, member_directories
from tasks.read_sources import read_source_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from packaging.version import Version

    from releasekit.core.artifacts.source_changes import SourceChange
    from releasekit.core.history.attribution import Attribution
    from releasekit.core.history.baselines import StrayTag
    from releasekit.core.history.commits import Change
    from releasekit.core.history.counted_paths import IncludedPaths
    from releasekit.core.history.pending_changes import PendingChanges
    from releasekit.core.history.tag_evidence import TagReading
    from releasekit.core.history.tags import Baseline
    from releasekit.core.workspace.workspace import Member
    from releasekit.integrations.git import Repo
    from tasks.project import Project


log = logging.getLogger("releasekit")


@dataclass(frozen=True, slots=True)
class History:
    """The facts from git: the tags, the last release of each package, and the changes since then.

    *changes* are those of each package since its last release, newest first; *unreleased* has the shas of all of them.
    *newest_first* are the shas of all commits of the walk. *since_stable* has, for packages whose last release is a
    prerelease, the changes since the last stable release, or since the first prerelease if there is no stable one.
    *homes* are the directories that each package has had, from the top of the repository. *manifests* are the shas of
    the commits that touch the pyproject.toml of a directory. *unmatched_release_as* are changes that request a version
    but touch no package for it. *umbrellas* are the tags of releases as a whole; *strays* look like later releases, but
    their packages did not declare these versions. *files* are the change files of each package that no stable release
    has. *documents* are by package the shas of the commits that touch only its documentation, *proposed* the version
    that a release commit has written into its files since its last release. *sources* are by package what its source
    has lost since then.
    """

    tags: Mapping[str, str]
    baselines: Mapping[str, Baseline]
    changes: Mapping[str, Sequence[Change]]
    unreleased: frozenset[str]
    newest_first: Sequence[str]
    since_stable: Mapping[str, Sequence[Change]]
    homes: Mapping[str, AbstractSet[str]]
    manifests: Mapping[str, Sequence[str]]
    unmatched_release_as: Sequence[Change]
    umbrellas: frozenset[str] = frozenset()
    files: Mapping[str, PendingChanges] = field(default_factory=dict[str, "PendingChanges"])
    strays: Sequence[StrayTag] = ()
    documents: Mapping[str, AbstractSet[str]] = field(default_factory=dict[str, "AbstractSet[str]"])
    proposed: Mapping[str, Version] = field(default_factory=dict[str, "Version"])
    sources: Mapping[str, SourceChange] = field(default_factory=dict[str, "SourceChange"])

    def pyproject_commits(self, name: str) -> set[str]:
        """Return the shas of the commits that touch the pyproject.toml of the package *name*, wherever it has been."""
        return _commits_touching(self.manifests, self.homes.get(name, ()))


@flow_task("read-history", stage="plan")
def read_history(
    repo: Repo, project: Project, released: Mapping[str, Baseline] = MappingProxyType({})
) -> History:
    """Read tags and commits, in one walk for all packages. *released* are last releases that the index has shown.

    Raises Refusal RK-PREFLIGHT-SHALLOW-CLONE, because every version would be a guess, and RK-BASELINE-UNKNOWN if the
    commit of one of *released* is unknown.
    """
    refuse_unlocated(project, released)
    if repo.is_shallow():
        raise Refusal(ErrorCode.PREFLIGHT_SHALLOW_CLONE, "the clone is shallow", str(repo.top))
    tags = repo.tags()
    umbrellas = umbrella_tags(repo, project, tags)
    directories = member_directories(repo, project)
    tagged, strays = find_tagged_releases(repo, project, tags, umbrellas, directories, released)
    last = {**tagged, **released}
    owners = {directory: name for name, directory in directories.items()}
    included = read_included(repo, project)
    attribution = _walk(repo, project, last, owners, included)
    layouts = package_directories_at(repo, attribution, owners, last)
    if layouts:
        attribution = _walk(repo, project, last, owners, included, layouts)
    all_changes = _parse_changes(attribution)
    changes = _since_last_release(all_changes, attribution)
    unreleased = chain.from_iterable(changes.values())
    changed_names = list(true_keys(changes))
    homes = _homes(owners, layouts)
    mentioning_release_as = map(parse, attribution.unmatched_release_as)
    return History(
        tags=tags,
        baselines=last,
        changes=changes,
        unreleased=frozenset(change.sha for change in unreleased),
        newest_first=[commit.sha for commit in attribution.commits],
        since_stable=pick_keys(all_changes, attribution.since_prerelease),
        homes=homes,
        manifests=attribution.pyproject_changes,
        unmatched_release_as=[
            change for change in mentioning_release_as if change.release_as is not None
        ],
        umbrellas=umbrellas,
        files=read_pending_changes(repo, project, last, attribution.consumptions),
        strays=strays,
        documents=attribution.documents,
        proposed=_proposed_versions(repo, project, changes, last),
        sources=read_source_changes(repo, project, last, changed_names, homes),
    )


def find_tagged_releases(
    repo: Repo,
    project: Project,
    tags: Mapping[str, str],
    umbrellas: Container[str],
    directories: Mapping[str, str],
    released: Mapping[str, Baseline] = MappingProxyType({}),
) -> tuple[dict[str, Baseline], tuple[StrayTag, ...]]:
    """Return the last release of each package that has a tag, and the tags that only look like later releases.

    Of packages in *released*, these are the last releases. *directories* are those of the members now, by name. What
    the packages declared is read for those *tags* (name to commit) that may decide, the highest versions first.
    """
    declared = publishable_versions(project)
    reachable = repo.merged_tags() if None in declared.values() else None
    by_name = package_tags(tags, project.schemes, declared, umbrellas)
    reader = DeclarationReader(repo, project, directories)
    objections: dict[TagReading, str] = {}
    while True:
        baselines, unread = find_baselines(by_name, objections, reachable)
        if not unread:
            return baselines, stray_tags(by_name, objections, {**baselines, **released})
        declarations = reader.read(reading.place for reading in unread)
        for reading in unread:
            objections[reading] = objection(reading, declarations[reading.place], umbrellas)


def _proposed_versions(
    repo: Repo,
    project: Project,
    changes: Mapping[str, Sequence[Change]],
    last: Mapping[str, Baseline],
) -> dict[str, Version]:
    """Return by package the version that the newest release commit among *changes* has written into its files.

    Only packages that declare a later version than their *last* release are read.
    """
    commits: dict[str, str] = {}
    for name, baseline in last.items():
        declared = project.workspace[name].version
        is_ahead = declared is not None and declared > baseline.version
        releases = [change.sha for change in changes.get(name, ()) if change.commit.release]
        if is_ahead and releases:
            commits[name] = releases[0]
    versions = versions_at(repo, project, commits)
    return drop_empty(versions)


def publishable_versions(project: Project) -> dict[str, Version | None]:
    """Return the version that each publishable package declares, None if it declares none."""
    return {member.name: member.version for member in project.workspace if member.publishable}


def _parse_changes(attribution: Attribution) -> dict[str, tuple[Change, ...]]:
    """Return the changes of each package in the walk, newest first. Each commit is parsed once."""
    wanted = set(chain.from_iterable(attribution.by_package.values()))
    commits = [commit for commit in attribution.commits if commit.sha in wanted]
    parsed = {change.sha: change for change in parse_history(commits, attribution.commits)}
    return {
        name: tuple(map(parsed.__getitem__, shas)) for name, shas in attribution.by_package.items()
    }


def _since_last_release(
    changes: Mapping[str, tuple[Change, ...]], attribution: Attribution
) -> dict[str, tuple[Change, ...]]:
    """Return *changes*, but for packages whose last release is a prerelease only those since then."""
    since_last = dict(changes)
    for name, shas in attribution.since_prerelease.items():
        since_last[name] = tuple(change for change in changes[name] if change.sha in shas)
    return since_last


def _homes(
    owners: Mapping[str, str], layouts: Mapping[str, Mapping[str, str]]
) -> dict[str, set[str]]:
    """Return all directories that each package has or had; *owners* and each of *layouts* are by directory."""
    homes: dict[str, set[str]] = defaultdict(set)
    for layout in (owners, *layouts.values()):
        for directory, name in layout.items():
            homes[name].add(directory)
    return dict(homes)


def umbrella_tags(
    repo: Repo, project: Project, tags: Mapping[str, str], *, in_any_format: bool = False
) -> frozenset[str]:
    """Return those of *tags* (name to commit) that name a release of releasekit as a whole.

    Without *in_any_format*, return only those that a package's tag format also matches: nobody mistakes the others.
    """
    settings = project.settings
    candidates = umbrella_candidates(tags, settings.umbrella_tag_format, settings.label)
    dated = dated_umbrellas(tags)
    undecided = drop_keys(candidates, dated)
    if not in_any_format:
        undecided = {
            tag: commit for tag, commit in undecided.items() if project.schemes.readings(tag)
        }

    def titles_in(subjects: Iterable[str]) -> set[str]:
        return set(map(project.release_commits.title_in, subjects))

    titles = map_values(titles_in, repo.subjects(undecided.values()))
    return dated | umbrellas_among(undecided, titles)


def versions_at(
    repo: Repo, project: Project, commits: Mapping[str, str]
) -> dict[str, Version | None]:
    """Return the version that each package of *commits* declared at its commit, in its directory of now, or None."""
    positions: dict[str, tuple[str, str]] = {}
    for name, commit in commits.items():
        member = project.workspace[name]
        directory = directory_in_repository(repo, project.root, member.path)
        positions[name] = (commit, version_file_in(directory, member))
    texts = repo.texts(list(positions.values()))
    versions: dict[str, Version | None] = {}
    for name, position in positions.items():
        read_version = version_reader(project, name)
        versions[name] = read_version(texts.get(position, ""))
    return versions


def version_file_in(directory: str, member: Member) -> str:
    """Return the path of the file that declares the version of *member* while it is in *directory*."""
    file = member.version_file or "pyproject.toml"
    return f"{directory}/{file}".lstrip("/")


def version_reader(project: Project, name: str) -> Callable[[str], Version | None]:
    """Return a function that reads the version of the package *name* in the text of the file that declares it.

    It reads each text once: most commits of a walk have the same one.
    """
    member = project.workspace[name]
    document, _ = read_toml(
        project.root / member.path / "pyproject.toml", f"{member.path}/pyproject.toml"
    )
    location = version_location(project.root / member.path, document, member.path)

    @cache
    def read_version(text: str) -> Version | None:
        if location is None:
            return _project_version(text, name)
        return parse_version(location.find(text))

    return read_version


def _walk(
    repo: Repo,
    project: Project,
    last: Mapping[str, Baseline],
    owners: Mapping[str, str],
    included: IncludedPaths,
    layouts: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Attribution:
    since = {name: baseline.begin.commit for name, baseline in last.items()}
    latest = {
        name: baseline.commit for name, baseline in last.items() if baseline.version.is_prerelease
    }
    files = ChangeFilePaths(repo, project)
    releases = sorted({*since.values(), *latest.values()})
    commits = project.release_commits.mark(repo.history([repo.head, *releases]))
    return attribute_commits(
        commits,
        repo.head,
        since,
        owners,
        latest=latest,
        ignored=NonPackageFiles(repo, project),
        layouts=layouts,
        is_consumption=files.is_consumed_by,
        included_by=included.packages_of,
    )


def package_directories_at(
    repo: Repo, attribution: Attribution, owners: Mapping[str, str], last: Mapping[str, Baseline]
) -> dict[str, Mapping[str, str]]:
    """Return the layouts at commits around which packages moved; empty if none has moved since its last release.

    A layout maps a directory to its package, whose name is in the pyproject.toml. First, read the directories that
    have no member now, and those of members that were elsewhere at their last release. If one has moved, read all
    other directories too: the package there now may have followed another one.
    """
    contested = _moved_directories(repo, attribution, owners, last)
    if not contested:
        return {}
    others = attribution.pyproject_changes.keys() & owners.keys() - contested
    contested |= _inherited_directories(repo, attribution, owners, others)
    ordered = sorted(contested)
    commits = _commits_of_moves(attribution, repo.head, contested)
    names = _package_names(repo, product(commits, ordered))
    members = frozenset(owners.values())
    fixed = drop_keys(owners, contested)
    cache: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    layouts: dict[str, Mapping[str, str]] = {}
    for sha in commits:
        occupants = tuple(
            (path, names[sha, path]) for path in ordered if names[sha, path] in members
        )
        layouts[sha] = cache.setdefault(occupants, {**fixed, **dict(occupants)})
    return layouts


def _moved_directories(
    repo: Repo, attribution: Attribution, owners: Mapping[str, str], last: Mapping[str, Baseline]
) -> set[str]:
    """Return the directories that a member has left, or has come to, since its last release."""
    members = frozenset(owners.values())
    touched = attribution.pyproject_changes.keys()
    at_last_release: dict[tuple[str, str], str] = {}
    for directory in sorted(touched & owners.keys()):
        name = owners[directory]
        if name in last:
            at_last_release[last[name].commit, directory] = name
    strays = _commits_around(attribution, touched - owners.keys())
    names = _package_names(repo, [*at_last_release, *strays])
    moved_in = {
        path for (commit, path), name in at_last_release.items() if names[commit, path] != name
    }
    left = {path for commit, path in strays if names[commit, path] in members}
    return moved_in | left


def _inherited_directories(
    repo: Repo, attribution: Attribution, owners: Mapping[str, str], directories: Collection[str]
) -> set[str]:
    """Return those of *directories* in which another member has been before the one that is there now."""
    members = frozenset(owners.values())
    positions = _commits_around(attribution, directories)
    names = _package_names(repo, positions)
    inherited: set[str] = set()
    for commit, path in positions:
        name = names[commit, path]
        is_another_member = name in members and name != owners[path]
        if is_another_member:
            inherited.add(path)
    return inherited


def _commits_of_moves(
    attribution: Attribution, head: str, directories: Collection[str]
) -> dict[str, None]:
    """Return the commits at which *directories* may change hands: *head*, and those that touch one, with parents."""
    touching = _commits_touching(attribution.pyproject_changes, directories)
    commits: dict[str, None] = {head: None}
    for commit in attribution.commits:
        may_move_package = commit.sha in touching or commit.is_merge
        if may_move_package:
            commits |= dict.fromkeys((commit.sha, *commit.parents))
    return commits


def _commits_touching(
    pyproject_changes: Mapping[str, Sequence[str]], directories: Iterable[str]
) -> set[str]:
    """Return the shas of the commits that touch a pyproject.toml in *directories*."""
    commits: set[str] = set()
    for directory in directories:
        commits.update(pyproject_changes.get(directory, ()))
    return commits


def _commits_around(
    attribution: Attribution, directories: Collection[str]
) -> list[tuple[str, str]]:
    """Return the commits that touch a pyproject.toml in *directories*, and their parents, each with the directory."""
    with_parents = {commit.sha: (commit.sha, *commit.parents) for commit in attribution.commits}
    positions: list[tuple[str, str]] = []
    for path in sorted(directories):
        for sha in attribution.pyproject_changes[path]:
            positions += product(with_parents[sha], [path])
    return positions


def _package_names(repo: Repo, positions: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the name of the package at each of *positions* (commit, directory); empty if there is none."""
    files = {
        (commit, path): (commit, f"{path}/pyproject.toml".lstrip("/")) for commit, path in positions
    }
    texts = repo.texts(list(files.values()))
    name_in = cache(project_name)  # most commits have the same text
    return {position: name_in(texts.get(file, "")) for position, file in files.items()}


def _project_version(text: str, name: str) -> Version | None:
    """Return the version in the pyproject.toml *text* of the package *name*; None if it is of another package."""
    if project_name(text) != name:
        return None
    table = table_at(parse_document(text), "project")
    return parse_version(str(table.get("version", "")))


def refuse_unlocated(project: Project, released: Mapping[str, Baseline]) -> None:
    """Raise Refusal RK-BASELINE-UNKNOWN for a release on the index whose commit is unknown."""
    for name, last in released.items():
        lost = next(
            (baseline.version for baseline in (last, last.begin) if not baseline.commit), None
        )
        if lost is None:
            continue
        message = (
            f"the index has {name} {lost}, which has no tag, and no commit here set that version"
        )
        location = f"{project.workspace[name].path}/pyproject.toml"
        raise Refusal(
            ErrorCode.BASELINE_UNKNOWN, message, location, _baseline_hint(project, name, lost)
        )


def _baseline_hint(project: Project, name: str, lost: Version) -> str:
    """Return how to show from which commit the release *lost* of the package *name* was made."""
    member = project.workspace[name]
    tag = project.schemes.of(name).tag(name, lost)
    hint = f"Tag the commit that it was made from: `git tag {tag} COMMIT`"
    if member.version is not None:
        file = f"{member.path}/{member.version_file or 'pyproject.toml'}"
        hint = f"If another branch has a commit where {name} declares {lost}, tag it: `git tag {tag} COMMIT`. "
        hint += f"Otherwise commit {lost} as the version in {file}: the changes count from this commit on"
    return f"{hint}. If that project belongs to somebody else, this package needs another name."


def with_commits(baseline: Baseline, commits: Mapping[Version, str]) -> Baseline:
    """Return *baseline* with the commits of its releases; *commits* is by version. An unknown *first* is left out."""
    stable = baseline.stable and with_commits(baseline.stable, commits)
    first = baseline.first and with_commits(baseline.first, commits)
    is_first_known = first is not None and first.commit
    return replace(
        baseline,
        commit=commits.get(baseline.version, ""),
        stable=stable,
        first=first if is_first_known else None,
    )
