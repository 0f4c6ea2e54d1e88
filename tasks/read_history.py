"""Step: read tags, commits and declared versions from git. Nothing is changed."""

from __future__ import annotations

import logging
import os
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.attribution import attribute_commits
from releasekit.core.history.commits import parse, parse_history
from releasekit.core.history.tags import find_baselines, umbrella_candidates, umbrellas_among
from releasekit.core.planning.model import title_from_subject
from releasekit.core.version_numbers import parse_version
from releasekit.integrations.filesystem import read_toml
from releasekit.integrations.version_files import version_location
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.version import Version

    from releasekit.core.history.attribution import Attribution
    from releasekit.core.history.commits import Change
    from releasekit.core.history.tags import Baseline
    from releasekit.integrations.git import Repo
    from tasks.project import Project


log = logging.getLogger("releasekit")


@dataclass(frozen=True, slots=True)
class History:
    """The facts from git: the tags, the last release of each package, and the changes since then.

    *changes* are those of each package since its last release, newest first; *unreleased* has the shas of all of them.
    *since_stable* has, for packages whose last release is a prerelease, the changes since the last stable release, or
    since the first prerelease if there is no stable one. *homes* are the directories that each package has had, from
    the top of the repository. *manifests* are the shas of the commits that touch the pyproject.toml of a directory.
    *unmatched_release_as* are changes that request a version but touch no package for it. *umbrellas* are the tags of
    releases as a whole.
    """

    tags: Mapping[str, str]
    baselines: Mapping[str, Baseline]
    changes: Mapping[str, Sequence[Change]]
    unreleased: frozenset[str]
    since_stable: Mapping[str, Sequence[Change]]
    homes: Mapping[str, frozenset[str]]
    manifests: Mapping[str, Sequence[str]]
    unmatched_release_as: Sequence[Change]
    umbrellas: frozenset[str] = frozenset()


@flow_task("read-history")
def read_history(repo: Repo, project: Project, released: Mapping[str, Baseline] | None = None) -> History:
    """Read tags and commits, in one walk for all packages. *released* are last releases that have no tag.

    Raises Refusal RK-PREFLIGHT-SHALLOW-CLONE, because every version would be a guess, and RK-BASELINE-UNKNOWN if the
    commit of one of *released* is unknown.
    """
    refuse_unlocated(project, released or {})
    if repo.is_shallow():
        raise Refusal(ErrorCode.PREFLIGHT_SHALLOW_CLONE, "the clone is shallow", str(repo.top))
    tags = repo.tags()
    declared = {member.name: member.version for member in project.workspace if member.publishable}
    umbrellas = umbrella_tags(repo, project, tags)
    reachable = repo.merged_tags() if None in declared.values() else None
    last = find_baselines(tags, project.schemes, declared, reachable, umbrellas)
    last |= released or {}
    owners = {_in_repository(repo, project.root, member.path): member.name for member in project.workspace}
    attribution = _walk(repo, project, last, owners)
    homes = {name: {directory} for directory, name in owners.items()}
    if layouts := package_directories_at(repo, attribution, owners, last):
        attribution = _walk(repo, project, last, owners, layouts)
        for directory, name in (entry for layout in layouts.values() for entry in layout.items()):
            homes[name].add(directory)
    shas = {sha for shas in attribution.by_package.values() for sha in shas}
    parsed = {
        change.sha: change
        for change in parse_history([c for c in attribution.commits if c.sha in shas], attribution.commits)
    }
    changes = {name: tuple(parsed[sha] for sha in shas) for name, shas in attribution.by_package.items()}
    since_stable = {name: changes[name] for name in attribution.since_prerelease}
    for name, fresh in attribution.since_prerelease.items():
        changes[name] = tuple(change for change in changes[name] if change.sha in fresh)
    unreleased_now = frozenset(change.sha for mine in changes.values() for change in mine)
    all_homes = {name: frozenset(directories) for name, directories in homes.items()}
    unmatched = [change for change in map(parse, attribution.unmatched_release_as) if change.release_as is not None]
    return History(
        tags,
        last,
        changes,
        unreleased_now,
        since_stable,
        all_homes,
        attribution.pyproject_changes,
        unmatched,
        umbrellas,
    )


def umbrella_tags(
    repo: Repo, project: Project, tags: Mapping[str, str], *, in_any_format: bool = False
) -> frozenset[str]:
    """Return those of *tags* (name to commit) that name a release of releasekit as a whole.

    Without *in_any_format*, return only those that a package's tag format also matches: nobody mistakes the others.
    """
    settings = project.settings
    candidates = umbrella_candidates(tags, settings.umbrella_tag_format, settings.label)
    if not in_any_format:
        candidates = {tag: commit for tag, commit in candidates.items() if project.schemes.readings(tag)}
    subjects = repo.subjects(candidates.values())
    return umbrellas_among(candidates, {sha: {*map(title_from_subject, those)} for sha, those in subjects.items()})


def versions_at(repo: Repo, project: Project, commits: Mapping[str, str]) -> dict[str, Version | None]:
    """Return the version that each package of *commits* declared at its commit, in its directory of now, or None."""
    positions: dict[str, tuple[str, str]] = {}
    for name, commit in commits.items():
        member = project.workspace[name]
        directory = _in_repository(repo, project.root, member.path)
        positions[name] = (commit, f"{directory}/{member.version_file or 'pyproject.toml'}".lstrip("/"))
    texts = repo.texts(list(positions.values()))
    return {name: version_reader(project, name)(texts.get(position, "")) for name, position in positions.items()}


def first_known(versions: Iterator[Version | None]) -> Version | None:
    """Return the first version that is known."""
    return next((version for version in versions if version is not None), None)


def version_reader(project: Project, name: str) -> Callable[[str], Version | None]:
    """Return a function that reads the version of the package *name* in the text of the file that declares it."""
    member = project.workspace[name]
    document, _ = read_toml(project.root / member.path / "pyproject.toml", f"{member.path}/pyproject.toml")
    position = version_location(project.root / member.path, document, member.path)
    cache: dict[str, Version | None] = {"": None}

    def read(text: str) -> Version | None:
        if text not in cache:
            cache[text] = parse_version(position.find(text)) if position else _project_version(text, name)
        return cache[text]

    return read


def _in_repository(repo: Repo, root: Path, path: str) -> str:
    """Return a member's directory as git names it, from the top of the repository; empty for the top itself."""
    relative = os.path.relpath((root / path).resolve(), repo.top).replace(os.sep, "/")
    return "" if relative == "." else relative


def _walk(
    repo: Repo,
    project: Project,
    last: Mapping[str, Baseline],
    owners: Mapping[str, str],
    layouts: Mapping[str, Mapping[str, str]] | None = None,
) -> Attribution:
    since = {name: baseline.begin.commit for name, baseline in last.items()}
    latest = {name: baseline.commit for name, baseline in last.items() if baseline.version.is_prerelease}
    lock = _in_repository(repo, project.root, "uv.lock")  # it is not part of a package at the root
    walk = repo.history([repo.head, *sorted({*since.values(), *latest.values()})])
    return attribute_commits(walk, repo.head, since, owners, latest=latest, ignored=frozenset([lock]), layouts=layouts)


def package_directories_at(
    repo: Repo, attribution: Attribution, owners: Mapping[str, str], last: Mapping[str, Baseline]
) -> dict[str, Mapping[str, str]]:
    """Return the layouts at commits around which packages moved; empty if none has moved since its last release.

    A layout maps a directory to its package, whose name is in the pyproject.toml. First, read the directories that
    have no member now, and those of members that were elsewhere at their last release. If one has moved, read all
    other directories too: the package there now may have followed another one.
    """
    directory_of = {name: directory for directory, name in owners.items()}
    touched = attribution.pyproject_changes.keys()
    asked = {
        (last[name].commit, directory_of[name]): name
        for name in last
        if name in directory_of and directory_of[name] in touched
    }
    strays = _commits_around(attribution, touched - owners.keys())
    names = _package_names(repo, [*asked, *strays])
    contested = {path for (commit, path), name in asked.items() if names[commit, path] != name}
    contested |= {path for commit, path in strays if names[commit, path] in directory_of}
    if not contested:
        return {}
    left = _commits_around(attribution, touched & owners.keys() - contested)
    names = _package_names(repo, left)
    contested |= {
        path for commit, path in left if (name := names[commit, path]) in directory_of and name != owners[path]
    }
    turning = {sha for path in contested for sha in attribution.pyproject_changes.get(path, ())}
    turns = [commit for commit in attribution.commits if commit.sha in turning or commit.is_merge]
    at = dict.fromkeys([repo.head, *(sha for commit in turns for sha in (commit.sha, *commit.parents))])
    names = _package_names(repo, [(sha, path) for sha in at for path in sorted(contested)])
    fixed = {directory: name for directory, name in owners.items() if directory not in contested}
    cache: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    layouts: dict[str, Mapping[str, str]] = {}
    for sha in at:
        occupants = tuple((path, name) for path in sorted(contested) if (name := names[sha, path]) in directory_of)
        layouts[sha] = cache.setdefault(occupants, {**fixed, **dict(occupants)})
    return layouts


def _commits_around(attribution: Attribution, directories: Collection[str]) -> list[tuple[str, str]]:
    """Return the commits that touch a pyproject.toml in *directories*, and their parents, each with the directory."""
    parents = {commit.sha: commit.parents for commit in attribution.commits}
    return [
        (sha, path)
        for path in sorted(directories)
        for touch in attribution.pyproject_changes[path]
        for sha in (touch, *parents[touch])
    ]


def _package_names(repo: Repo, asked: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the name of the package in each of *asked* (commit, directory); empty if there is none."""
    files = {(commit, path): f"{path}/pyproject.toml".lstrip("/") for commit, path in asked}
    texts = repo.texts([(commit, files[commit, path]) for commit, path in files])
    cache: dict[str, str] = {}
    names: dict[tuple[str, str], str] = {}
    for (commit, path), file in files.items():
        text = texts.get((commit, file), "")
        if text not in cache:
            cache[text] = _project_name(text)
        names[commit, path] = cache[text]
    return names


def _project_name(text: str) -> str:
    return canonicalize_name(str(_project_table(text).get("name", "")))


def _project_version(text: str, name: str) -> Version | None:
    """Return the version in the pyproject.toml *text* of the package *name*; None if it is of another package."""
    table = _project_table(text)
    is_its = canonicalize_name(str(table.get("name", ""))) == name
    return parse_version(str(table.get("version", ""))) if is_its else None


def _project_table(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text).get("project", {})
    except tomllib.TOMLDecodeError:
        return {}


def refuse_unlocated(project: Project, released: Mapping[str, Baseline]) -> None:
    """Raise Refusal RK-BASELINE-UNKNOWN for a release on the index whose commit is unknown."""
    for name, last in released.items():
        lost = next((baseline.version for baseline in (last, last.begin) if not baseline.commit), None)
        if lost:
            message = f"the index has {name} {lost}, which has no tag, and no commit here set that version"
            tag = project.schemes.of(name).tag(name, lost)
            hint = f"Tag the commit that it was made from: `git tag {tag} COMMIT`; `releasekit init` shows all of "
            hint += "them. If that project belongs to somebody else, this package needs another name."
            raise Refusal(ErrorCode.BASELINE_UNKNOWN, message, f"{project.workspace[name].path}/pyproject.toml", hint)


def with_commits(baseline: Baseline, commits: Mapping[Version, str]) -> Baseline:
    """Return *baseline* with the commits of its releases; *commits* is by version. An unknown *first* is left out."""
    stable, first = (earlier and with_commits(earlier, commits) for earlier in (baseline.stable, baseline.first))
    begin = first if first and first.commit else None
    return replace(baseline, commit=commits.get(baseline.version, ""), stable=stable, first=begin)
