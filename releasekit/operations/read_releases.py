"""Read what tags, index, forge, changelogs and records say about the releases of a workspace; change nothing."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from releasekit.core.changelog.changelog import versions_in
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, as_refusal, did_you_mean
from releasekit.core.history.baselines import package_tags
from releasekit.core.history.tag_evidence import objection
from releasekit.core.picking import by_name, map_values, values_at
from releasekit.core.release.release_manifest import parse_manifest, sums_text
from releasekit.core.release.unfinished_release import NextCommand
from releasekit.core.repair.compared_scope import (
    ComparedScope,
    choose_scope,
    files_by_version,
    parse_sums,
    with_sums,
)
from releasekit.core.repair.release_state import (
    ALL_KINDS,
    ForgeState,
    RepositoryState,
    TaggedRelease,
    TagState,
    UnfinishedState,
    VersionState,
    file_kind,
)
from releasekit.core.text import summarize
from releasekit.integrations.filesystem import read_text_if_exists
from releasekit.integrations.git import TAGS, tags_among
from releasekit.operations.draft import open_index
from releasekit.operations.preview import release_status
from releasekit.options import StatusOptions
from releasekit.store.bundle import SUMS
from releasekit.store.record import MANIFEST, list_records
from tasks import ask_index, read_history
from tasks.project import WORKSPACE
from tasks.read_declarations import DeclarationReader, member_directories
from tasks.read_workspace import later_indexes, target_of

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping

    from packaging.requirements import Requirement
    from packaging.version import Version

    from releasekit.core.history.tag_evidence import TagReading
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.later_index import LaterIndex
    from releasekit.core.release.release_manifest import BuiltPackage, ReleaseManifest
    from releasekit.core.release.target import Target
    from releasekit.core.release.unfinished_release import ReleaseStatus
    from releasekit.core.repair.release_state import FileKind, VersionKey
    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import Forge, ForgeRelease, Index, IndexFile
    from releasekit.options import RepairOptions
    from releasekit.store.record import Record
    from tasks.project import Project

_RECENT_TAGS = 5
"""How many of the highest tags of a package are read, unless all history is compared."""


@dataclass(frozen=True, slots=True)
class RecordedRelease:
    """A release on record here that has ended, with its plan and its manifest."""

    record: Record
    plan: Plan
    manifest: ReleaseManifest


@dataclass(frozen=True, slots=True)
class ComparedReleases:
    """The *state* to compare, the *scope* to report about, and the sources that repairs need.

    *recorded* are the releases on record here, by the tag that names them. *pages* are the releases on the forge.
    *unasked* names the services that were not asked. *later_index* is the index of `publish_to` after the first one
    whose files the state has.
    """

    state: RepositoryState
    scope: ComparedScope
    target: Target
    recorded: Mapping[str, RecordedRelease]
    pages: Mapping[str, ForgeRelease]
    unasked: tuple[str, ...]
    later_index: LaterIndex | None = None

    @property
    def index(self) -> str:
        """The name of the index as findings have it: empty for the first one."""
        return self.later_index.name if self.later_index else ""

    def record_of(self, key: VersionKey) -> tuple[RecordedRelease, BuiltPackage] | None:
        """Return the record of the release that built this version, and the built package."""
        for recorded in self.recorded.values():
            for package in recorded.manifest.packages:
                if (package.name, package.version) == key:
                    return recorded, package
        return None


async def read_releases(
    options: RepairOptions, project: Project, repo: Repo
) -> tuple[ComparedReleases, ...]:
    """Read everything that `repair` compares: all places with the first index, and the files on each later index.

    A server that is expected and does not answer is a refusal.
    Raises Refusal RK-INDEX-…, RK-REMOTE-UNREACHABLE, RK-FORGE-…, RK-RELEASE-UNKNOWN.
    """
    later = later_indexes(project)
    first = await _read_all_places(options, project, repo)
    if later:
        state = replace(first.state, index=first.target.index_name)
        first = replace(first, state=state)
    with as_refusal():
        others = [await _read_later_index(project, repo, first, index) for index in later]
    return first, *others


async def _read_later_index(
    project: Project, repo: Repo, first: ComparedReleases, later: LaterIndex
) -> ComparedReleases:
    """Return *first* with the files of a later index. Only what the first index has completely can be there."""
    unasked: list[str] = []
    there = replace(first, recorded=_read_records(repo, later.target))
    async with open_index(project, later.target) as index:
        listed = await read_index_files(index, sorted(later.packages))
        versions = [
            _on_later_index(version, listed[version.name], there)
            for version in first.state.versions
            if version.is_complete and version.name in listed
        ]
        state = replace(first.state, versions=tuple(versions), requires={}, index=later.name)
        if first.scope.is_whole:
            requires = await _read_requirements(state, index, unasked)
            state = replace(state, requires=requires)
    return replace(
        there, state=state, target=later.target, unasked=tuple(unasked), later_index=later
    )


def _on_later_index(
    version: VersionState,
    listed: Mapping[Version, list[IndexFile]],
    compared: ComparedReleases,
) -> VersionState:
    """Return *version* with the files that a later index has of it; it must have those of the first one."""
    files = listed.get(version.version, [])
    state = replace(
        version,
        files={file.name: file.sha256 for file in files},
        is_yanked=is_yanked(files),
        expected=version.expected or version.files,
        kinds=frozenset(),
    )
    match = compared.record_of(version.key)
    return _with_record(state, *match) if match else state


async def _read_all_places(
    options: RepairOptions, project: Project, repo: Repo
) -> ComparedReleases:
    """Return what all places say about the releases, with the first index."""
    unasked: list[str] = []
    target = target_of(project)
    with as_refusal():
        async with AsyncExitStack() as stack:
            index = await stack.enter_async_context(open_index(project, target))
            forge = await open_release_forge(project, repo, stack, unasked)
            tags = _read_tags(project, repo, unasked)
            reads_all = options.all or bool(options.release)
            readings = _release_tags(project, repo, tags, everything=reads_all)
            recorded = _read_records(repo, target)
            listed = await read_index_files(index, project.workspace.publishable_names)
            pages = await _read_forge_pages(forge)
            status = await _read_status(options)
            versions = _version_states(project, tags, readings, listed, recorded.values())
            versions = _with_commits(project, repo, versions)
            releases = _tagged_releases(project, repo, tags, versions, recorded, pages)
            state = RepositoryState(
                versions=tuple(versions),
                releases=tuple(releases),
                unfinished=tuple(_unfinished_states(status)),
                has_forge=forge is not None,
                remote=project.settings.remote,
            )
            scope = _choose_scope(options, project, state)
            state = await _with_details(project, repo, state, scope, forge, pages)
            if scope.is_whole:
                requires = await _read_requirements(state, index, unasked)
                state = replace(state, requires=requires)
    return ComparedReleases(state, scope, target, recorded, pages, (*unasked, *status.unasked))


def _choose_scope(
    options: RepairOptions, project: Project, state: RepositoryState
) -> ComparedScope:
    names = project.workspace.matching_names(options.package) or frozenset(
        project.workspace.members
    )
    scope = choose_scope(state, names, options.release, everything=options.all)
    if options.release and not (scope.keys or scope.tags):
        titles = [release.tag.name for release in state.releases]
        similar = did_you_mean(options.release, titles)
        message = f"no release and no package has the tag {options.release}{similar}"
        raise Refusal(ErrorCode.RELEASE_UNKNOWN, message, hint="Name a tag that `git tag` lists.")
    return scope


async def open_release_forge(
    project: Project, repo: Repo, stack: AsyncExitStack, unasked: list[str]
) -> Forge | None:
    """Return the forge if it answers; None, with the reason in *unasked*, if no release there is expected."""
    from releasekit.integrations.forge_factory import connect_forge  # late: httpx is slow to import

    settings = project.settings
    if not settings.release:
        unasked.append("the forge was not asked: `release` is off")
        return None
    address = repo.address(settings.remote)
    try:
        forge = await stack.enter_async_context(
            connect_forge(address, settings, project.uv.secrets)
        )
        await forge.drafts()  # only to see whether it accepts the token
    except ReleaseError as error:
        if settings.stops_at(error):
            raise
        if not settings.expects_no_forge(error):
            unasked.append(f"the forge was not asked: {error.message}")
        return None
    return forge


# ---- tags and records -----------------------------------------------------------------------------------------------


def _read_tags(project: Project, repo: Repo, unasked: list[str]) -> dict[str, TagState]:
    """Return every tag, here and on the remote, by its name."""
    settings = project.settings
    here = repo.tags()
    if not settings.push or settings.remote not in repo.remotes():
        unasked.append("the remote was not asked: `push` is off, or there is no such remote")
        return {name: TagState(name, commit) for name, commit in here.items()}
    refs = tags_among(repo.ls_remote(settings.remote))
    there = {name.removeprefix(TAGS): ref.commit for name, ref in refs.items()}
    return {
        name: TagState(name, here.get(name, ""), there.get(name, ""))
        for name in dict.fromkeys((*here, *there))
    }


def _release_tags(
    project: Project, repo: Repo, tags: Mapping[str, TagState], *, everything: bool
) -> list[TagReading]:
    """Return the tags that are releases of packages: the package was there, and declared the version."""
    here = {name: tag.here for name, tag in tags.items() if tag.here}
    commits = map_values(attrgetter("commit"), tags)
    umbrellas = read_history.umbrella_tags(repo, project, here, in_any_format=True)
    declared = read_history.publishable_versions(project)
    by_name = package_tags(commits, project.schemes, declared, umbrellas)
    limit = None if everything else _RECENT_TAGS
    readings = [reading for own in by_name.values() for reading in own.current()[:limit]]
    reader = DeclarationReader(repo, project, member_directories(repo, project))
    known = [reading for reading in readings if reading.tag in here]
    declarations = reader.read(reading.place for reading in known)
    return [
        reading
        for reading in readings
        if reading.tag not in here or not objection(reading, declarations[reading.place], umbrellas)
    ]


def _read_records(repo: Repo, target: Target) -> dict[str, RecordedRelease]:
    """Return the releases that have ended and are on record here, by title; those on another index do not count."""
    recorded: dict[str, RecordedRelease] = {}
    for record in list_records(repo.common_dir):
        try:
            manifest = record.manifest()
            plan = record.plan()
        except ReleaseError:  # `status` reports a damaged record
            continue
        if manifest is None or not manifest.finished:
            continue
        urls = {index.check_url for index in manifest.indexes}
        if not urls or target.address.check_url in urls:
            recorded[plan.title] = RecordedRelease(record, plan, manifest)
    return recorded


async def _read_status(options: RepairOptions) -> ReleaseStatus:
    names = StatusOptions.model_fields.keys()
    given = options.model_dump(exclude_unset=True, include=set(names))
    return await release_status(StatusOptions(**given))


def _unfinished_states(status: ReleaseStatus) -> Iterable[UnfinishedState]:
    """Yield the releases that somebody must continue; a pull request only waits for its merge."""
    for release in status.releases:
        if release.stage != "proposed":
            keys = tuple((package.name, package.version) for package in release.packages)
            next_command = NextCommand(command=release.next.command, effect=release.next.effect)
            yield UnfinishedState(release.title, release.what, keys, next_command)


# ---- versions -------------------------------------------------------------------------------------------------------


async def read_index_files(
    index: Index, names: Collection[str]
) -> dict[str, dict[Version, list[IndexFile]]]:
    """Return the files that the index lists of each package in *names*, by version."""
    answers = await asyncio.gather(*map(index.files, names))
    listed: dict[str, dict[Version, list[IndexFile]]] = {}
    for name, answer in zip(names, answers, strict=True):
        files = by_name(answer or ())
        by_version = files_by_version(name, dict.fromkeys(files, ""))
        listed[name] = map_values(partial(values_at, files), by_version)
    return listed


def is_yanked(files: Collection[IndexFile]) -> bool:
    """Return whether all *files* of a version are yanked (PEP 592); a version without files is not."""
    return bool(files) and all(file.yanked for file in files)


def _version_states(
    project: Project,
    tags: Mapping[str, TagState],
    readings: Iterable[TagReading],
    listed: Mapping[str, Mapping[Version, list[IndexFile]]],
    recorded: Iterable[RecordedRelease],
) -> list[VersionState]:
    """Return all versions that a tag, the index or a record knows."""
    tag_names = {(reading.name, reading.version): reading.tag for reading in readings}
    built: dict[VersionKey, tuple[RecordedRelease, BuiltPackage]] = {}
    for release in recorded:
        packages = [package for package in release.manifest.packages if package.name in listed]
        built |= {(package.name, package.version): (release, package) for package in packages}
    on_index = [(name, version) for name, by_version in listed.items() for version in by_version]
    states: list[VersionState] = []
    for name, version in sorted({*tag_names, *on_index, *built}):
        usual_name = project.schemes.of(name).tag(name, version)
        tag_name = tag_names.get((name, version), usual_name)
        files = listed[name].get(version, [])
        state = VersionState(
            name=name,
            version=version,
            tag=tags.get(tag_name, TagState(tag_name, there="")),
            files={file.name: file.sha256 for file in files},
            is_yanked=is_yanked(files),
            kinds=_usual_kinds(listed[name], version),
        )
        if (name, version) in built:
            state = _with_record(state, *built[name, version])
        states.append(state)
    return states


def _with_record(
    state: VersionState, release: RecordedRelease, package: BuiltPackage
) -> VersionState:
    """Return *state* with what the record of its *release* says, and the files that it could upload."""
    expected = {file.name: file.sha256 for file in package.files}
    commit = release.manifest.release_commit
    recorded = replace(state, commit=commit, expected=expected)
    if not recorded.missing_files:
        return recorded
    missing = release.record.missing_files(package)
    return replace(recorded, files_here=expected.keys() - set(missing))


def _usual_kinds(
    by_version: Mapping[Version, list[IndexFile]], version: Version
) -> frozenset[FileKind]:
    """Return the kinds of files that the other versions of a package have; without another version, all kinds."""
    others = [files for other, files in by_version.items() if other != version]
    kinds: frozenset[FileKind] = frozenset(
        file_kind(file.name) for files in others for file in files
    )
    return kinds or ALL_KINDS


def _with_commits(project: Project, repo: Repo, versions: list[VersionState]) -> list[VersionState]:
    """Return *versions* with the commit of those that have files, no tag and no record, as the history shows it."""
    untagged: defaultdict[str, set[Version]] = defaultdict(set)
    for version in versions:
        if version.files and not (version.tag.exists or version.commit):
            untagged[version.name].add(version.version)
    if not untagged:
        return versions
    published = map_values(frozenset, untagged)
    history = read_history.read_history(repo, project)
    baselines = ask_index.baselines_on_index(repo, project, history, published)
    commits = {
        (name, baseline.version): baseline.commit
        for name, baseline in baselines.items()
        if not baseline.since
    }
    return [
        replace(version, commit=version.commit or commits.get(version.key, ""))
        for version in versions
    ]


# ---- releases -------------------------------------------------------------------------------------------------------


async def _read_forge_pages(forge: Forge | None) -> dict[str, ForgeRelease]:
    pages = await forge.releases() if forge else ()
    return {page.tag: page for page in pages}


def _tagged_releases(
    project: Project,
    repo: Repo,
    tags: Mapping[str, TagState],
    versions: Iterable[VersionState],
    recorded: Mapping[str, RecordedRelease],
    pages: Mapping[str, ForgeRelease],
) -> list[TaggedRelease]:
    """Return the releases that releasekit has made: those on record here, and those whose commit has its title."""
    keys: defaultdict[str, dict[VersionKey, None]] = defaultdict(dict)
    commits: dict[str, str] = {}
    for title, release in recorded.items():
        commits[title] = release.manifest.release_commit
        keys[title] = {
            (package.name, package.version): None for package in release.manifest.packages
        }
    tagged = [version for version in versions if version.tag.here]
    subjects = repo.subjects({version.tag.here for version in tagged})
    for version in tagged:
        titles = [project.release_commits.title_in(text) for text in subjects[version.tag.here]]
        title = next(filter(None, titles), "")
        if title:
            commits.setdefault(title, version.tag.here)
            keys[title][version.key] = None
    return [
        TaggedRelease(
            tag=tags.get(title, TagState(title, there="")),
            commit=commits[title],
            versions=tuple(own),
            on_forge=_forge_state(pages.get(title)),
        )
        for title, own in keys.items()
    ]


def _forge_state(page: ForgeRelease | None) -> ForgeState | None:
    if page is None:
        return None
    return ForgeState(page.draft, SUMS in page.assets, MANIFEST in page.assets)


async def _with_details(
    project: Project,
    repo: Repo,
    state: RepositoryState,
    scope: ComparedScope,
    forge: Forge | None,
    pages: Mapping[str, ForgeRelease],
) -> RepositoryState:
    """Return *state* with what is read only for the *scope*: sums on the forge, changelogs, and requirements."""
    releases = scope.releases(state)
    sums: dict[str, str] = {}
    for release in releases:
        page = pages.get(release.tag.name)
        if forge and page:
            sums |= await read_asset_sums(forge, page)
    with_lost = _with_lost_sections(project, repo, state, releases)
    versions = [with_sums(version, sums) for version in with_lost.versions]
    detailed = replace(with_lost, versions=tuple(versions))
    if not scope.is_whole:
        return detailed
    titles = {release.tag.name for release in state.releases}
    titles |= {release.title for release in state.unfinished}
    drafts = {
        tag: ForgeState(is_draft=True, has_manifest=MANIFEST in page.assets)
        for tag, page in pages.items()
        if page.draft and tag not in titles
    }
    return replace(detailed, drafts=drafts)


def _with_lost_sections(
    project: Project, repo: Repo, state: RepositoryState, releases: Iterable[TaggedRelease]
) -> RepositoryState:
    """Return *state* with what the changelogs have lost of those *releases* that HEAD contains."""
    paths = map_values(lambda path: os.path.relpath(path, repo.top), project.changelogs)
    written = map_values(
        lambda path: frozenset(versions_in(read_text_if_exists(repo.top / path))), paths
    )
    lost: set[VersionKey] = set()
    for release in filter(partial(_is_checked_out, repo), releases):
        lost |= _lost_sections(repo, release, paths, written)
    versions = [replace(version, lacks_entry=version.key in lost) for version in state.versions]
    with_own = [
        replace(release, lacks_entry=not lost.isdisjoint(_shared_sections(release)))
        for release in state.releases
    ]
    return replace(state, versions=tuple(versions), releases=tuple(with_own))


def _is_checked_out(repo: Repo, release: TaggedRelease) -> bool:
    """Return whether HEAD has the commit of *release* in its history, and so the changelogs that it wrote."""
    return repo.has_commit(release.commit) and repo.contains(repo.head, release.commit)


def _shared_sections(release: TaggedRelease) -> set[VersionKey]:
    """Return the sections of *release* in the changelog of the workspace: one, because the packages share a version."""
    return set(product([WORKSPACE], map(itemgetter(1), release.versions)))


def _lost_sections(
    repo: Repo,
    release: TaggedRelease,
    paths: Mapping[str, str],
    written: Mapping[str, Container[Version]],
) -> set[VersionKey]:
    """Return the sections that the commit of *release* has written, and that the changelogs do not have now.

    *paths* are those of the changelogs, by package or `WORKSPACE`, and *written* the versions that they have. A later
    release may replace the sections of a prerelease.
    """
    missing = {
        (owner, version): (release.commit, paths[owner])
        for owner, version in {*release.versions, *_shared_sections(release)}
        if owner in paths and not version.is_prerelease and version not in written[owner]
    }
    texts = repo.texts(list(missing.values()))
    return {key for key, place in missing.items() if key[1] in versions_in(texts.get(place, ""))}


async def read_asset_sums(forge: Forge, page: ForgeRelease) -> dict[str, str]:
    """Return the sha256 of each file as the assets of a release name them."""
    sums: dict[str, str] = {}
    if MANIFEST in page.assets and (content := await forge.asset(page, MANIFEST)):
        manifest = parse_manifest(content.decode("utf-8", "replace"), f"{page.tag}: {MANIFEST}")
        sums |= parse_sums(sums_text(manifest))
    if SUMS in page.assets and (content := await forge.asset(page, SUMS)):
        sums |= parse_sums(content.decode("utf-8", "replace"))
    return sums


async def _read_requirements(
    state: RepositoryState, index: Index, unasked: list[str]
) -> dict[str, tuple[Requirement, ...]]:
    """Return what the latest version of each package requires of siblings; extras do not count.

    Append to *unasked* the versions whose requirements the index does not give.
    """
    latest = state.latest
    answers = await asyncio.gather(*(index.requirements(*release) for release in latest.items()))
    by_name = dict(zip(latest, answers, strict=True))
    unknown = [f"{name} {latest[name]}" for name, answer in by_name.items() if answer is None]
    if unknown:
        unasked.append(f"the index does not give the requirements of {summarize(unknown)}")
    return {
        name: tuple(item for item in answer or () if _is_on_sibling(item, latest))
        for name, answer in by_name.items()
    }


def _is_on_sibling(requirement: Requirement, siblings: Container[str]) -> bool:
    """Return whether *requirement* is one on *siblings* that applies here without extras."""
    applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    return applies and canonicalize_name(requirement.name) in siblings
