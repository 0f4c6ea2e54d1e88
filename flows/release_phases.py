"""The phases of a release: prepare, stage, publish, announce. They run in a flow run, or without one."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from flows.artifacts import current_run, show_report
from flows.continuation import continue_later
from flows.dead_runs import end_dead_runs
from flows.event_sender import events_of
from flows.later_indexes import prove_for_later_index, publish_to_later_indexes
from flows.native_wheels import (
    add_wheels,
    provable_here,
    refuse_incomplete,
    refuse_plain_linux,
    stage_platform,
)
from flows.scheduling import (
    compare_all,
    prove_all,
    publish_all,
    reproduce_all,
    stage_again,
    stage_all,
)
from flows.tag_limits import ask_for_limited_tags
from flows.task_runners import exchange_of
from flows.worker_wheels import build_on_workers, copy_to_record, require_workers, stop_workers
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, ReleaseWarning
from releasekit.core.release.index_outcomes import waiting_report
from releasekit.core.release.later_index import packages_of_later_indexes
from releasekit.core.release.platform_parts import missing_platforms
from releasekit.core.release.report import PackageOutcome, PackageReport, ReleaseReport
from releasekit.core.release.timeline import TimelineObserver
from releasekit.core.text import count_as, summarize
from releasekit.integrations.filesystem import remove_tree
from releasekit.integrations.index import files_on_index
from releasekit.integrations.listing_delays import remember_delays
from releasekit.operations.draft import open_index
from releasekit.operations.release_pr import propose_next_versions
from releasekit.store.record import MANIFEST
from tasks import announce, build, describe_contents, pre_release, release_commit, resume

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from flows.early_steps import EarlySteps
    from releasekit.core.planning.model import Step
    from releasekit.core.release.release_manifest import BuiltPackage, ReleaseManifest
    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import Index
    from releasekit.operations.start_release import StartedRelease
    from releasekit.options import PublishOptions
    from tasks.context import ReleaseContext

log = logging.getLogger("releasekit")


@dataclass(frozen=True, slots=True)
class StagedRelease:
    """A release whose packages are built and proven, and that other clones know of."""

    release: ReleaseContext
    packages: dict[str, BuiltPackage]


@dataclass(frozen=True, slots=True)
class EarlyStaging:
    """What a release did before its flow run: the *steps*, when, and how they ended. A report ends the release.

    *earlier_run* is the flow run that was on record before.
    """

    steps: EarlySteps
    earlier_run: str
    timeline: TimelineObserver
    outcome: StagedRelease | ReleaseReport | ReleaseError

    def result(self) -> StagedRelease | ReleaseReport:
        """Return the outcome; raises it if it is an error."""
        if isinstance(self.outcome, ReleaseError):
            raise self.outcome
        return self.outcome


async def run_release(started: StartedRelease, early: EarlyStaging | None = None) -> ReleaseReport:
    """Carry out a release that has *started*, and save its report and its events in the flow run, if there is one.

    With *early*, it goes on with what is staged.
    """
    events = events_of(started)
    timeline = early.timeline if early else TimelineObserver(events, time.monotonic)
    timeline.observer = events
    release = replace(started.release, observer=timeline)
    await end_dead_runs(release.record, early.earlier_run if early else release.record.flow_run())
    try:
        async with ask_for_limited_tags(), open_index(started.project, release.target) as index:
            staged = early.result() if early else None
            report = await run_phases(started, release, index, staged)
    except ReleaseError as error:
        events.send_error(error)
        raise
    report = report.model_copy(update={"timeline": timeline.spans()})
    report = await continue_later(report, current_run())
    if not started.options.rehearse:
        remember_delays(release.target.check_url, report)
    if release.plan.steps:
        await show_report(report, release)
    events.send_report(report)
    return report


async def run_phases(
    started: StartedRelease,
    release: ReleaseContext,
    index: Index,
    staged: StagedRelease | ReleaseReport | None = None,
) -> ReleaseReport:
    """Prepare and stage, unless it is *staged*; publish and announce, or stop earlier if the options say so."""
    repo, options = started.repo, started.options
    staged = staged or await prepare_and_stage(release, repo, index, options)
    if isinstance(staged, ReleaseReport):
        return staged
    release = replace(staged.release, observer=release.observer)
    release.observer.on_phase("publishing")
    packages = await publish_all(release, staged.packages, index)
    manifest = release.record.require_manifest()
    allowed = {*options.allow_index, *manifest.allowed_indexes}
    published = await publish_to_later_indexes(
        release, started.project, staged.packages, packages, allowed
    )
    if published.waits_for and published.has_no_failure:
        waiting = manifest.model_copy(update={"waits_for": published.waits_for})
        release.record.save_manifest(waiting)
        report = waiting_report(
            release.plan, release.commit, published.packages, published.waits_for
        )
    else:
        report = await announce_release(release, repo, published.packages)
    return report.with_built(staged.packages)


async def prepare_and_stage(
    release: ReleaseContext, repo: Repo, index: Index, options: PublishOptions
) -> StagedRelease | ReleaseReport:
    """Return the staged release; or its report, if it ends here."""
    if not release.plan.steps:
        if release.record.exists():
            release.record.finish(repo)
        return ReleaseReport(release=release.plan.release, title=release.plan.title)
    try:
        if options.staged_manifest:
            release_commit.prove_commit(release, repo)
        release = create_commit(release, repo)
        if options.version_only:
            return finish_version_only(release, repo)
        if options.platform:
            return await stage_part(release, repo, options)
        built, failed = await stage_release(release, repo, index, options)
    except ReleaseError:
        discard_unless_public(release, repo)  # then the next run makes a new plan
        raise
    if failed:
        discard_unless_public(release, repo)
        notes = ("nothing was uploaded, and the release was discarded",)
        return ReleaseReport(
            release=release.plan.release, title=release.plan.title, packages=failed, notes=notes
        )
    if options.stage_only:
        return export_staged(release, repo, options.output).with_built(built)
    return StagedRelease(release, built)


def discard_unless_public(release: ReleaseContext, repo: Repo) -> None:
    """Discard the release, unless its files may be public; its lock on the remote goes first, if workers needed it."""
    manifest = release.record.manifest()
    if manifest and manifest.held and not manifest.packages:
        try:
            announce.release_remote_lock(release, repo)
        except ReleaseError as error:
            log.warning(
                "the lock of the discarded release stays on %s: %s", release.settings.remote, error
            )
    release.record.discard_unless_public(repo)


def create_commit(release: ReleaseContext, repo: Repo) -> ReleaseContext:
    """Turn the plan into a commit in the scratch worktree, unless there is one already."""
    release.observer.on_phase("preparing")
    release = release_commit.check_out(release, repo)
    if release.commit:
        return release
    written = [*release_commit.write_versions(release), *release_commit.raise_requirements(release)]
    written += [
        *release_commit.write_changelogs(release, repo),
        *release_commit.consume_change_files(release),
    ]
    written += release_commit.update_lock_file(release, repo)
    changed = pre_release.run_pre_release(release, repo, written)
    return release_commit.commit(release, repo, written, changed)


def finish_version_only(release: ReleaseContext, repo: Repo) -> ReleaseReport:
    """Fast-forward the user's branch to the release commit, and delete the release: nothing of it is elsewhere."""
    has_versions = announce.fast_forward(release, repo)
    release.record.discard(repo)
    note = f"{repo.branch} has the versions; push it, or merge it with a pull request"
    report = stopped_early_report(release, PackageOutcome.VERSIONED, note)
    if has_versions:
        return report
    message = f"{repo.branch} has new commits now, and does not have {release.commit[:12]}"
    warning = ReleaseWarning(ErrorCode.BRANCH_MOVED, message)
    return report.model_copy(update={"notes": (), "problems": (str(warning),)})


async def stage_part(release: ReleaseContext, repo: Repo, options: PublishOptions) -> ReleaseReport:
    """Build the wheels of one platform, and write them into a directory; nothing of them stays in this clone."""
    wheels, failed = await stage_platform(release, repo, options)
    if failed:
        discard_unless_public(release, repo)
        return ReleaseReport(
            release=release.plan.release, title=release.plan.title, packages=failed
        )
    names = {package.name for package in wheels}
    built = f"{count_as('package', names)} built for {options.platform}"
    note = f"{built} in {options.output}: `releasekit merge` adds them"
    report = stopped_early_report(release, PackageOutcome.BUILT, note)
    packages = tuple(package for package in report.packages if package.name in names)
    return report.model_copy(update={"packages": packages})


def export_staged(release: ReleaseContext, repo: Repo, directory: Path) -> ReleaseReport:
    """Save the staged release where it will be published from: in *directory*, or on record if that is empty."""
    note = f"built and verified in {release.record.directory}; `releasekit publish` resumes it"
    if directory.name:
        build.export_bundle(release, repo, directory)
        note = f"staged in {directory}: `releasekit publish --manifest {directory / MANIFEST}`"
    return stopped_early_report(release, PackageOutcome.BUILT, note)


def stopped_early_report(release: ReleaseContext, goal: PackageOutcome, note: str) -> ReleaseReport:
    """Return the report of a release that has reached its *goal*, before anything is public."""
    plan = release.plan
    packages = [
        PackageReport(name=step.name, version=step.version, tag=step.tag, outcome=goal)
        for step in plan.steps
    ]
    return ReleaseReport(
        release=plan.release,
        title=plan.title,
        commit=release.commit,
        goal=goal,
        packages=tuple(packages),
        notes=(note,),
    )


async def stage_release(
    release: ReleaseContext, repo: Repo, index: Index, options: PublishOptions
) -> tuple[dict[str, BuiltPackage], tuple[PackageReport, ...]]:
    """Return every package as built, verified and proven to be installable; or the outcome of each if one failed.

    From here on files may be public, unless the release is only staged. So the remote is locked first, and then the
    files are put on record here. Lost files are built again, and compared, if the *options* ask for it.
    """
    manifest = release.record.require_manifest()
    rebuild = options.resume_from_registry
    if manifest.packages:
        manifest = await ensure_files(release, manifest, index, rebuild=rebuild)
    else:
        platforms = () if options.stage_only else release.plan.platforms
        if platforms:  # their workers fetch the release commit through the lock on the remote
            await require_workers(release, rehearse=options.rehearse)
            manifest = announce.acquire_remote_lock(release, repo, manifest)
            release.record.save_manifest(manifest)
        built, failed = await build_and_prove(
            release, repo, index, rebuild=rebuild, on_workers=bool(platforms)
        )
        native = {step.name for step in release.plan.steps if step.platforms}
        portable = [package for package in built if package.name not in native]
        failed = failed or await reproduce_all(release, repo, portable)
        if failed:
            return {}, failed
        if release.settings.sbom:
            describe_contents.write_sboms(release, built)
        build.save_files(release, built)
        manifest = manifest.model_copy(
            update={"packages": tuple(built), "staged": options.stage_only}
        )
    if not options.stage_only:
        await refuse_incomplete(release, manifest.packages, index)
        manifest = announce.record_index(release, manifest)
        published = bool(options.staged_manifest) and await is_published(manifest.packages, index)
        manifest = announce.acquire_remote_lock(release, repo, manifest, published=published)
        manifest = manifest.model_copy(update={"staged": False})
    release.record.save_manifest(manifest)
    remove_tree(release.record.build_environments)
    return {package.name: package for package in manifest.packages}, ()


async def build_and_prove(
    release: ReleaseContext, repo: Repo, index: Index, *, rebuild: bool, on_workers: bool
) -> tuple[Sequence[BuiltPackage], tuple[PackageReport, ...]]:
    """Build and verify every package, compare it with its last release, and prove that it can be installed.

    Returns the built packages; and if one of them failed, the outcome of each. With *rebuild*, the index may have files
    of them already, which need no proof. This refuses the release if any file there differs. *on_workers*: workers of
    each platform build its wheels at the same time; if a package fails here, their runs are cancelled.
    """
    release.observer.on_phase("staging")
    elsewhere = asyncio.create_task(build_on_workers(release, repo)) if on_workers else None
    try:
        exchange = exchange_of(release)
        if exchange:
            build.send_commit(release, repo, exchange)
        built, failed = await stage_all(release, exchange=exchange)
        if failed:
            return built, failed
        if elsewhere:
            wheels = await elsewhere
            copy_to_record(release, wheels)
            built = add_wheels(built, wheels)
    finally:
        if elsewhere:
            await stop_workers(elsewhere)
    complete = [
        package for package in built if package.name not in missing_platforms(release.plan, built)
    ]
    failed = await compare_all(release, complete, index)
    if failed:
        return built, failed
    refuse_plain_linux(release, built)
    listed = await files_on_index(built, index) if rebuild else {}
    provable = provable_here(release, built)
    unproven = [
        package for package in provable if len(listed.get(package.name, ())) < len(package.files)
    ]
    failed = await prove_all(release, unproven, together=release.plan.together)
    for later in release.later_indexes:
        failed = failed or await prove_for_later_index(release, unproven, later)
    return built, failed


async def is_published(packages: tuple[BuiltPackage, ...], index: Index) -> bool:
    """Return whether the index lists every file of *packages*, as it does once a staged release is published."""
    listed = await files_on_index(packages, index, strict=False)
    return all(len(listed[package.name]) == len(package.files) for package in packages)


async def ensure_files(
    release: ReleaseContext, manifest: ReleaseManifest, index: Index, *, rebuild: bool
) -> ReleaseManifest:
    """Return the manifest of a release whose files are all here or on the index.

    Files that are neither are lost. They are built again only with *rebuild*, and must be identical to the record
    unless the index has no file of their package. What goes to later indexes is downloaded from the *index*, which is
    the first one. Raises Refusal RK-FILES-LOST, RK-REBUILD-DIFFERS, and ReleaseError as `download_files` does.
    """
    if not any(release.record.missing_files(package) for package in manifest.packages):
        return manifest
    listed = await files_on_index(manifest.packages, index)
    lost = resume.unrecoverable_files(manifest.packages, release.record, listed)
    lost_native = [step.name for step in release.plan.steps if step.name in lost and step.platforms]
    if lost and (lost_native or not rebuild):
        names = list(chain.from_iterable(lost.values()))
        directory = release.record.directory / "dist"
        raise Refusal(
            ErrorCode.FILES_LOST, f"missing or damaged: {summarize(names)}", str(directory)
        )
    packages = {package.name: package for package in manifest.packages}
    lost_steps = [step for step in release.plan.steps if step.name in lost]
    for step in lost_steps:  # dependencies come first, and so do build requirements
        for need in step.build_needs:
            await resume.download_files(release.record, packages[need], listed[need], index)
        packages[step.name] = await rebuild_package(release, step, packages, listed[step.name])
    for name in packages_of_later_indexes(release.later_indexes):
        if name in packages and name not in lost:
            await resume.download_files(release.record, packages[name], listed[name], index)
    return manifest.model_copy(update={"packages": tuple(packages.values())})


async def rebuild_package(
    release: ReleaseContext,
    step: Step,
    packages: Mapping[str, BuiltPackage],
    listed: Mapping[str, object],
) -> BuiltPackage:
    """Build one of the recorded *packages* again; if the index has files of it, the new ones must be identical."""
    package = packages[step.name]
    rebuilt = await stage_again(release, step, packages)
    release.record.fsync_files([rebuilt])
    if listed and rebuilt.files != package.files:
        names = ", ".join(file.name for file in rebuilt.files if file not in package.files)
        message = f"{step.name} {step.version} differs when it is built again: {names}"
        raise Refusal(ErrorCode.REBUILD_DIFFERS, message)
    return rebuilt


async def propose_development_versions(release: ReleaseContext, repo: Repo) -> list[str]:
    """Propose the next development versions, if the settings ask for it; returns notes for the report.

    Raises ReleaseError as `propose_next_versions` does, except for errors that prevent a release on the forge without
    failing the release.
    """
    if not release.settings.commit_back:
        return []
    try:
        page = await propose_next_versions(release, repo)
    except ReleaseError as error:
        if release.settings.stops_at(error):
            raise
        return [f"no pull request for the next development versions: {error}"]
    return [f"the next development versions: {page}"] if page else []


async def announce_release(
    release: ReleaseContext, repo: Repo, packages: tuple[PackageReport, ...]
) -> ReleaseReport:
    """Tag, push, release on the forge and fast-forward what is published. The release ends once everything is."""
    report = ReleaseReport(
        release=release.plan.release,
        title=release.plan.title,
        commit=release.commit,
        packages=packages,
    )
    # A tag that names all packages is made once all are published.
    tags = [
        package.tag for package in report.confirmed_packages if package.tag not in release.plan.tags
    ]
    if report.is_successful:
        tags += release.plan.tags  # the tag that names the release means that all are published
    if not tags:
        return report
    release.observer.on_phase("announcing")
    created = tags if release.settings.tag else []
    problems: list[str] = []
    notes: list[str] = []
    update: dict[str, Any] = {}
    try:
        announce.tag(release, repo, created)
        update["tags"] = tuple(created)
        if release.settings.push:
            announce.push(release, repo, created, final=report.is_successful)
            update["pushed"] = True
        elif report.is_successful:
            announce.release_remote_lock(release, repo)
        has_forge_release = report.is_successful and release.settings.creates_forge_release
        if has_forge_release:
            update["page"], remarks = await announce.create_forge_release(release, repo)
            notes += remarks
            notes += await propose_development_versions(release, repo)
    except ReleaseError as error:
        problem = f"{error}\n{error.output}".strip()
        problems.append(f"{problem}\n{error.hint}")
    try:
        if not announce.fast_forward(release, repo):
            branch = release.branch or "HEAD"
            notes.append(f"{branch} has new commits: merge {release.commit[:12]} into it")
    except ReleaseError as error:
        problems.append(f"{error}\n{error.hint}")
    report = report.model_copy(
        update={**update, "notes": tuple(notes), "problems": tuple(problems)}
    )
    if report.is_successful:
        release.record.finish(repo)
    return report
