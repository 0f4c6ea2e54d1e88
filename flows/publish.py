"""The whole release: `python -m flows.publish`, or the deployment `releasekit/publish`."""

if __name__ == "__main__":  # before Prefect is imported: --help and --dry-run must not pay for it
    from releasekit.__main__ import main

    raise SystemExit(main("publish"))

import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from prefect import Flow, flow
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from flows.approval import PrefectConfirmation, UnattendedRun
from flows.artifacts import name_run, record_our_lines, rename_run, show_plan, show_pull, show_report
from flows.scheduling import prove_all, publish_all, stage_all
from releasekit import __version__
from releasekit.core.errors import Code, Refusal, ReleaseError, Warn
from releasekit.core.planning.model import Step
from releasekit.core.release.release_manifest import PackageVersion, ReleaseManifest
from releasekit.core.release.report import Outcome, PackageReport, Report
from releasekit.core.text import some
from releasekit.integrations.git import Repo
from releasekit.integrations.index import on_index
from releasekit.integrations.process import mask
from releasekit.integrations.protocols import Index
from releasekit.operations.draft import at_hand, open_index, open_project
from releasekit.operations.planning import select_release
from releasekit.operations.rehearsal import rehearsal
from releasekit.operations.release_pr import hand_on, next_versions
from releasekit.operations.start_release import StartedRelease, start_release
from releasekit.options import PublishOptions, flat, is_by_pull
from releasekit.store.record import MANIFEST
from tasks import announce, build, release_commit, resume
from tasks.context import Release

log = logging.getLogger("releasekit")


@flow(name="releasekit", version=__version__, flow_run_name="publish")
@flat(PublishOptions)
async def publish(options: PublishOptions) -> State[Any]:
    """Publish every changed package, dependencies first, and say truly what came of it."""
    record_our_lines()
    options.refuse_contradictions()
    async with AsyncExitStack() as stack:
        options = stack.enter_context(at_hand(options, keep=not (options.dry_run or options.rehearse)))
        options = stack.enter_context(rehearsal(options))
        project, repo = open_project(options)
        if is_by_pull(options, project.settings):
            found = await hand_on(options, project, repo)
            await rename_run(f"publish: {found.what}", *filter(None, [found.title]))
            await show_pull(found)
            return Completed(message=found.what, data=found)
        if options.dry_run:
            plan = (await select_release(options, project, repo)).plan
            await name_run("dry run of", plan, "dry-run")
            await show_plan(plan)
            return Completed(message=plan.headline, data=plan)
        confirmation = PrefectConfirmation() if options.approve else UnattendedRun()
        try:
            started = await start_release(options, project, repo, confirmation, stack)
        except Refusal as refusal:  # no release has started; the name of the state says why
            if refusal.code is Code.NOT_CONFIRMED:
                return Cancelled(name="Not approved", message=refusal.what, data=refusal)
            return Failed(name=f"Refused: {refusal.code}", message=mask(refusal.full_text), data=refusal)
        return final_state(await run_release(started))


def flow_of(started: StartedRelease) -> Flow[..., Any]:
    """Return the flow `publish` for a release that has *started* outside of Prefect: it decides nothing.

    The parameters of its run only show the options. The release itself is no parameter, because Prefect would have to
    write it down.
    """

    @flow(name="releasekit", version=__version__, flow_run_name="publish")
    @flat(PublishOptions)
    async def publish(_: PublishOptions) -> State[Any]:
        """Publish a release that has started."""
        record_our_lines()
        await UnattendedRun().show(started.plan)
        return final_state(await run_release(started))

    return publish


def final_state(report: Report) -> State[Any]:
    """Return the state in which a run with this *report* ends."""
    return (Completed if report.done else Failed)(message=report.summary, data=report)


async def run_release(started: StartedRelease) -> Report:
    """Carry out a release that has *started*, and leave its report in the run, if there is one."""
    release = started.release
    async with open_index(started.project, release.target) as index:
        report = await carry_out(release, started.repo, index, started.options)
    if release.plan.steps:
        await show_report(report, release.plan, release.target)
    return report


async def carry_out(release: Release, repo: Repo, index: Index, options: PublishOptions) -> Report:
    """Prepare, stage, publish, announce; or as far as the *options* say."""
    if not release.plan.steps:
        if release.record.exists():
            release.record.finish(repo)
        return Report(release=release.plan.release, title=release.plan.title)
    try:
        if options.handed_over:
            release_commit.prove_commit(release, repo)
        release = prepared(release, repo)
        if options.version_only:
            return versioned(release, repo)
        built, failed = await staged(release, repo, index, options)
    except ReleaseError:
        release.record.drop_if_private(repo)  # then the next run decides afresh
        raise
    if failed:
        release.record.drop_if_private(repo)
        notes = ("nothing was uploaded, and the release was dropped",)
        return Report(release=release.plan.release, title=release.plan.title, packages=failed, notes=notes)
    if options.stage_only:
        return handed_over(release, repo, options.output)
    release.observer.on_phase("publishing")
    packages = await publish_all(release, built, index)
    return await announced(release, repo, packages)


def prepared(release: Release, repo: Repo) -> Release:
    """Turn the plan into a commit in the scratch worktree, unless that was done already."""
    release.observer.on_phase("preparing")
    release = release_commit.check_out(release, repo)
    if release.commit:
        return release
    written = [*release_commit.write_versions(release), *release_commit.raise_requirements(release)]
    written += [*release_commit.write_changelogs(release, repo), *release_commit.lock(release, repo)]
    return release_commit.commit(release, repo, written)


def versioned(release: Release, repo: Repo) -> Report:
    """Bring the user's branch to the release commit, and forget the release: nothing of it is anywhere else."""
    moved = announce.fast_forward(release, repo)
    release.record.drop(repo)
    report = told(release, Outcome.VERSIONED, f"{repo.branch} has the versions; push it, or merge it by a pull request")
    what = Warn(Code.BRANCH_MOVED, f"{repo.branch} has moved on meanwhile, and does not have {release.commit[:12]}")
    return report if moved else report.model_copy(update={"notes": (), "problems": (str(what),)})


def handed_over(release: Release, repo: Repo, directory: Path) -> Report:
    """Leave the staged release where it is to be published from: in *directory*, if there is one, else on record."""
    if not directory.name:
        return told(
            release,
            Outcome.BUILT,
            f"built and verified in {release.record.directory}; `releasekit publish` carries it on",
        )
    build.hand_over(release, repo, directory)
    return told(
        release, Outcome.BUILT, f"handed over in {directory}: `releasekit publish --manifest {directory / MANIFEST}`"
    )


def told(release: Release, goal: Outcome, note: str) -> Report:
    """Return the report of a release that was to stop before anything is public, and has got there."""
    rows = [PackageReport(name=s.name, version=s.version, tag=s.tag, outcome=goal) for s in release.plan.steps]
    plan, packages = release.plan, tuple(rows)
    return Report(
        release=plan.release, title=plan.title, commit=release.commit, goal=goal, packages=packages, notes=(note,)
    )


async def staged(
    release: Release, repo: Repo, index: Index, options: PublishOptions
) -> tuple[dict[str, PackageVersion], tuple[PackageReport, ...]]:
    """Return every package as built, verified and proven to fit; or what became of each if one was not.

    From here on files may be public, unless it is only to be staged: so first the remote holds the release, and then it
    is put on record here. Lost files are built again, and compared, if the *options* ask for it.
    """
    manifest, rebuild = release.record.require_manifest(), options.resume_from_registry
    if manifest.packages:
        manifest = await with_files(release, manifest, index, rebuild=rebuild)
    else:
        release.observer.on_phase("staging")
        built, failed = await stage_all(release)
        if failed:
            return {}, failed
        # This refuses the release if anything there differs; what is out already cannot be spoilt any more.
        there = await on_index(built, index) if rebuild else {}
        unproven = [one for one in built if len(there.get(one.name, ())) < len(one.files)]
        failed = await prove_all(release, unproven, together=release.plan.together)
        if failed:
            return {}, failed
        release.record.make_durable(built)
        manifest = manifest.model_copy(update={"packages": tuple(built), "staged": options.stage_only})
    if not options.stage_only:
        manifest = announce.record_index(release, manifest)
        out = bool(options.handed_over) and await is_out(manifest.packages, index)
        manifest = announce.hold(release, repo, manifest, out=out).model_copy(update={"staged": False})
    release.record.save(manifest)
    return {package.name: package for package in manifest.packages}, ()


async def is_out(packages: tuple[PackageVersion, ...], index: Index) -> bool:
    """Tell whether the index lists every file of *packages*, as it does when what was handed over is published."""
    there = await on_index(packages, index, strict=False)
    return all(len(there[package.name]) == len(package.files) for package in packages)


async def with_files(release: Release, manifest: ReleaseManifest, index: Index, *, rebuild: bool) -> ReleaseManifest:
    """Return the manifest of a release whose files are all here or on the index.

    Files that are neither were lost. They are built again only if somebody says so, and must come out as recorded
    unless the index has nothing of their package. Raises Refusal RK-FILES-LOST, RK-REBUILD-DIFFERS.
    """
    if not any(release.record.lost(package) for package in manifest.packages):
        return manifest
    there = await on_index(manifest.packages, index)
    lost = resume.lost_for_good(manifest.packages, release.record, there)
    if lost and not rebuild:
        names = [name for files in lost.values() for name in files]
        raise Refusal(Code.FILES_LOST, f"missing or damaged: {some(names)}", str(release.record.directory / "dist"))
    packages = {package.name: package for package in manifest.packages}
    for step in release.plan.steps:  # dependencies come first, and so does what others need to build
        if step.name in lost:
            for need in step.build_needs:
                await resume.bring(release.record, packages[need], there[need], index)
            packages[step.name] = await built_again(release, step, packages[step.name], there[step.name])
    return manifest.model_copy(update={"packages": tuple(packages.values())})


async def built_again(
    release: Release, step: Step, package: PackageVersion, there: Mapping[str, object]
) -> PackageVersion:
    """Build one package once more; what the index has of it already must be what comes out."""
    await build.pin(release, step)
    await build.build(release, step)
    again = await build.verify(release, step)
    release.record.make_durable([again])
    if there and again.files != package.files:
        known = {file.name: file.sha256 for file in package.files}
        names = ", ".join(file.name for file in again.files if known.get(file.name) != file.sha256)
        raise Refusal(Code.REBUILD_DIFFERS, f"{step.name} {step.version} does not come out as before: {names}")
    return again


async def gone_on(release: Release, repo: Repo) -> list[str]:
    """Have the next development versions proposed, if that is wanted; returns what to say of it.

    Raises ReleaseError as `next_versions` does, but for what keeps a release from the forge without being a failure.
    """
    if not release.settings.commit_back:
        return []
    try:
        page = await next_versions(release, repo)
    except ReleaseError as error:
        if release.settings.stops_at(error):
            raise
        return [f"no pull request for the next development versions: {error}"]
    return [f"the next development versions: {page}"] if page else []


async def announced(release: Release, repo: Repo, packages: tuple[PackageReport, ...]) -> Report:
    """Tag, push, tell the forge of and fast-forward what is out; the release is ended when all of it is."""
    report = Report(release=release.plan.release, title=release.plan.title, commit=release.commit, packages=packages)
    # Where one tag stands for all packages, it is made when all are out.
    tags = [package.tag for package in report.confirmed if package.tag not in release.plan.tags]
    if report.done:
        tags += release.plan.tags  # the umbrella tag says that all are out
    if not tags:
        return report
    release.observer.on_phase("announcing")
    made = tags if release.settings.tag else []
    problems: list[str] = []
    notes: list[str] = []
    update: dict[str, Any] = {}
    try:
        announce.tag(release, repo, made)
        update["tags"] = tuple(made)
        if release.settings.push:
            announce.push(release, repo, made, ended=report.done)
            update["pushed"] = True
        elif report.done:
            announce.let_go(release, repo)
        if report.done and release.settings.on_forge:
            update["page"], remarks = await announce.on_forge(release, repo)
            notes += remarks
            notes += await gone_on(release, repo)
    except ReleaseError as error:
        problems.append(f"{error}\n{error.output}".strip() + f"\n{error.hint}")
    try:
        if not announce.fast_forward(release, repo):
            notes.append(f"{release.branch or 'HEAD'} has moved on: merge {release.commit[:12]} into it")
    except ReleaseError as error:
        problems.append(f"{error}\n{error.hint}")
    report = report.model_copy(update={**update, "notes": tuple(notes), "problems": tuple(problems)})
    if report.done:
        release.record.finish(repo)
    return report
