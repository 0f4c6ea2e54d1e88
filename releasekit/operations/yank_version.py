"""`releasekit yank`: show what the yank of a version affects, and do it where the index can; record the reason."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from releasekit.core.changelog.changelog import add_note
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, as_refusal
from releasekit.core.release.rollback_plan import yank_url
from releasekit.core.repair.compared_scope import parse_version_key
from releasekit.core.repair.release_state import latest_version
from releasekit.core.repair.yank_impact import (
    YankPlace,
    YankReport,
    find_dependents,
    with_yank_note,
    yank_note,
)
from releasekit.integrations.filesystem import read_text_if_exists, write_atomic
from releasekit.operations.confirmation import AssumeYes, Proposal
from releasekit.operations.draft import checkout_workspace, open_index, open_project
from releasekit.operations.read_releases import is_yanked, open_release_forge, read_index_files
from releasekit.store.record import release_lock
from tasks.project import WORKSPACE
from tasks.read_workspace import targets_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from packaging.requirements import Requirement
    from packaging.version import Version

    from releasekit.core.release.target import Target
    from releasekit.core.repair.release_state import VersionKey
    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import Forge, ForgeRelease, Index
    from releasekit.operations.confirmation import Confirmation
    from releasekit.options import YankOptions
    from tasks.project import Project


@dataclass(frozen=True, slots=True)
class _OnIndex:
    """The versions of a package on the index; *yanked* are those whose files are all yanked."""

    versions: frozenset[Version] = frozenset()
    yanked: frozenset[Version] = frozenset()


@dataclass(frozen=True, slots=True)
class _OpenIndex:
    """An index that has the version, open for requests."""

    target: Target
    index: Index


@dataclass(frozen=True, slots=True)
class _Yank:
    """The yank of *key*, and where it is done: *page* is the release on the *forge* that has the version."""

    key: VersionKey
    reason: str
    project: Project
    repo: Repo
    indexes: tuple[_OpenIndex, ...]
    forge: Forge | None = None
    page: ForgeRelease | None = None


async def yank_version(
    options: YankOptions,
    name: str,
    version: str,
    reason: str,
    confirmation: Confirmation | None = None,
) -> YankReport:
    """Show what the yank of *version* of the package *name* affects, ask *confirmation*, and do what can be done.

    Each step first looks whether it is done already, so a killed run can be run again. Without *confirmation*, the
    caller has the yes. Raises Refusal RK-RELEASE-UNKNOWN, RK-NOT-CONFIRMED, RK-INDEX-…; ReleaseError RK-YANK-REFUSED.
    """
    async with AsyncExitStack() as stack:
        with as_refusal():
            if not options.dry_run:
                # Refuses an address: the changelog in a temporary clone would be lost.
                _ = options.directory
            options = stack.enter_context(checkout_workspace(options))
            project, repo = open_project(options)
            if not options.dry_run:
                stack.enter_context(release_lock(repo.common_dir))
            key = _parse_key(project, name, version)
            indexes = [
                _OpenIndex(target, await stack.enter_async_context(open_index(project, target)))
                for target in targets_of(project, key[0])
            ]
            report = await _find_impact(project, key, reason, indexes[0].index)
            read = [(index, await _read_place(index, key)) for index in indexes]
            places = {index: place for index, place in read if place}
            report = report.with_places(tuple(places.values()))
            forge = await open_release_forge(project, repo, stack, [])
            yank = _Yank(key, reason, project, repo, tuple(places), forge)
            yank = replace(yank, page=await _find_page(yank))
        if options.dry_run:
            return report.model_copy(update={"remaining": _remaining_steps(report)})
        answerer = confirmation or AssumeYes()
        await answerer.show(report)
        question = f"Yank {report.package} {report.version}?"
        (await answerer.ask(Proposal(question, report))).require_yes()
        return await _carry_out(yank, report)


def _parse_key(project: Project, name: str, text: str) -> VersionKey:
    package, parsed = parse_version_key(name, text)
    if package not in project.workspace.members:
        message = f"the workspace has no package {package}"
        raise Refusal(ErrorCode.WORKSPACE_UNKNOWN_PACKAGE, message, str(project.root))
    return package, parsed


# ---- what it affects ------------------------------------------------------------------------------------------------


async def _read_place(place: _OpenIndex, key: VersionKey) -> YankPlace | None:
    """Return what the index says about the version; None if it does not have it."""
    name, version = key
    target = place.target
    offers = await _read_offers(place.index, [name])
    if version not in offers[name].versions:
        return None
    return YankPlace(
        index=target.title,
        page=yank_url(target, name, version),
        can_yank=await place.index.can_yank(target.publish_url),
        is_yanked=version in offers[name].yanked,
    )


async def _find_impact(project: Project, key: VersionKey, reason: str, index: Index) -> YankReport:
    """Return what the yank affects; raises Refusal RK-RELEASE-UNKNOWN if the index does not have the version."""
    name, version = key
    offers = await _read_offers(index, project.workspace.publishable_names)
    own = offers.get(name, _OnIndex())
    if version not in own.versions:
        message = f"the index has no file of {name} {version}"
        raise Refusal(ErrorCode.RELEASE_UNKNOWN, message, index.url)
    offered = own.versions - own.yanked - {version}
    later = [other for other in offered if other > version and not other.is_prerelease]
    requires = await _read_requirements(project, name, offers, index)
    return YankReport(
        package=name,
        version=str(version),
        reason=reason,
        fixed=str(max(later, default="")),
        fallback=str(latest_version([*offered])) if offered else "",
        dependents=find_dependents(key, offered, requires),
        requirements=tuple(_requirements_here(project, name)),
    )


async def _read_offers(index: Index, names: Collection[str]) -> dict[str, _OnIndex]:
    """Return the versions on the index of each package in *names*."""
    listed = await read_index_files(index, names)
    return {
        name: _OnIndex(
            frozenset(by_version),
            frozenset(version for version, files in by_version.items() if is_yanked(files)),
        )
        for name, by_version in listed.items()
    }


async def _read_requirements(
    project: Project, name: str, offers: Mapping[str, _OnIndex], index: Index
) -> dict[VersionKey, tuple[Requirement, ...]]:
    """Return the requirements of all versions of packages that need *name*, and of the last version of the others."""
    dependents = {
        member.name
        for member in project.workspace
        if any(need.name == name for need in project.workspace.internal_needs(member))
    }
    releases: list[VersionKey] = []
    for package, offer in offers.items():
        usable = sorted(offer.versions - offer.yanked)
        chosen = usable if package in dependents else usable[-1:]
        releases += ((package, version) for version in chosen if package != name)
    answers = await asyncio.gather(*(index.requirements(*release) for release in releases))
    return {release: answer or () for release, answer in zip(releases, answers, strict=True)}


def _requirements_here(project: Project, name: str) -> list[str]:
    """Return the requirements on *name* in the sources of the workspace, as sentences."""
    return [
        f"{member.name}: {need.written}"
        for member in project.workspace
        for need in project.workspace.internal_needs(member)
        if need.name == name != member.name
    ]


# ---- the yank -------------------------------------------------------------------------------------------------------


async def _carry_out(yank: _Yank, report: YankReport) -> YankReport:
    """Yank on the index if it has an interface for that, and write the reason into changelog and notes."""
    name, version = yank.key
    done: list[str] = []
    places: list[YankPlace] = []
    for opened, before in zip(yank.indexes, report.places, strict=True):
        if before.is_yanked or not before.can_yank:
            places.append(before)
            continue
        target = opened.target
        await opened.index.yank(target.publish_url, name, version, yank.reason)
        place = await _read_place(opened, yank.key)
        if place is None or not place.is_yanked:
            message = f"the index accepted the yank of {name} {version}, and does not show it"
            raise ReleaseError(ErrorCode.YANK_REFUSED, message, opened.index.url)
        places.append(place)
        done.append(f"{name} {version} is yanked on {target.title}")
    done += [f"{changelog} has the reason; commit it" for changelog in write_notes(yank)]
    if page := await update_page(yank):
        done.append(f"{page} has the reason")
    yanked = report.with_places(places).model_copy(update={"done": tuple(done)})
    return yanked.model_copy(update={"remaining": _remaining_steps(yanked)})


def _remaining_steps(report: YankReport) -> tuple[str, ...]:
    """Return what a person must do, because the index has no interface for it."""
    return tuple(
        f"open {place.page} and yank {report.version} there; give the same reason"
        for place in report.places
        if not (place.is_yanked or place.can_yank)
    )


def write_notes(yank: _Yank) -> list[str]:
    """Write the reason into the changelogs of package and workspace, and return the paths of those that changed."""
    name, version = yank.key
    project = yank.project
    day = datetime.now(UTC).date().isoformat()
    notes = {name: yank_note(yank.reason, day), WORKSPACE: yank_note(yank.reason, day, name)}
    changed: list[str] = []
    changelogs = project.changelogs
    for owner in sorted(changelogs.keys() & notes.keys()):
        path = changelogs[owner]
        before = read_text_if_exists(path)
        after = add_note(before, version, notes[owner])
        if after != before:
            write_atomic(path, after)
            changed.append(os.path.relpath(path, project.root))
    return changed


async def _find_page(yank: _Yank) -> ForgeRelease | None:
    """Return the release on the forge that has the version: that of its umbrella tag, or of its own tag."""
    if yank.forge is None:
        return None
    name, version = yank.key
    tag = yank.project.schemes.of(name).tag(name, version)
    commit = yank.repo.tags().get(tag, "")
    subjects = yank.repo.subjects([commit])[commit] if commit else ()
    titles = [yank.project.release_commits.title_in(text) for text in subjects]
    for title in filter(None, (*titles, tag)):
        if page := await yank.forge.release(title):
            return page
    return None


async def update_page(yank: _Yank) -> str:
    """Write the reason into the release on the forge, and return its address; empty if nothing has changed."""
    if yank.forge is None or yank.page is None:
        return ""
    name, version = yank.key
    body = with_yank_note(yank.page.body, name, version, yank.reason)
    if body == yank.page.body:
        return ""
    await yank.forge.update_release(yank.page, body=body)
    return yank.page.url
