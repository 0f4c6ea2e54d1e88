"""The whole release: `python -m flows.publish`, or the deployment `releasekit/publish`."""

if __name__ == "__main__":  # before Prefect is imported: --help and --dry-run must not pay for it
    from flows.cli import run_command

    raise SystemExit(run_command("publish"))

import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.draft import checked, draft, open_index, open_project
from flows.expand import publish_all, stage_all
from flows.options import PublishOptions, flat
from flows.rehearse import rehearsal
from tasks import announce, prepare, stage, survey
from tasks.adapters.interface import Index
from tasks.adapters.record import begin as put_on_record
from tasks.adapters.record import only_release, unfinished
from tasks.adapters.repo import Repo
from tasks.core.errors import ReleaseError
from tasks.core.formats.markdown import plan_markdown, report_markdown
from tasks.core.manifest import PackageVersion
from tasks.core.plan import Plan
from tasks.core.report import PackageReport, Report
from tasks.lazy import in_flow
from tasks.release import Release
from tasks.survey import Project

log = logging.getLogger("releasekit")


@flow(name="releasekit")
@flat(PublishOptions)
async def publish(options: PublishOptions) -> State[Any]:
    """Publish every changed package, dependencies first, and say truly what came of it."""
    async with AsyncExitStack() as stack:
        options = stack.enter_context(rehearsal(options))
        project, repo = open_project(options)
        if options.dry_run:
            plan = (await checked(await draft(options, project, repo))).plan
            await show(plan)
            return Completed(message=f"{len(plan.steps)} packages to release", data=plan)
        stack.enter_context(only_release(repo.common_dir))
        release = await begin(options, project, repo)
        await show(release.plan)
        index = await stack.enter_async_context(open_index(project, release.target))
        report = await carry_out(release, repo, index)
        await leave(report_markdown(report), "releasekit-report")
        return (Completed if report.done else Failed)(message=report.summary, data=report)


async def begin(options: PublishOptions, project: Project, repo: Repo) -> Release:
    """Return the release to carry out: the one that was begun and not ended, else a new one, now on record."""
    record = unfinished(repo.common_dir)
    if record is None:
        drafted = await checked(await draft(options, project, repo))
        record = put_on_record(repo.common_dir, drafted.plan)
    return Release(
        plan=record.plan(),
        record=record,
        settings=project.settings,
        target=survey.target_of(project),
        uv=replace(project.uv, python=project.uv.find_python(project.root)),
        workspace=project.root.relative_to(repo.top).as_posix(),
        branch=repo.branch,
    )


async def show(plan: Plan) -> None:
    """Leave the plan and its graph as an artifact of the run."""
    await leave(plan_markdown(plan), "releasekit-plan")


async def leave(markdown: str, key: str) -> None:
    """Leave an artifact of the flow run, if there is one: without any server there is none."""
    if in_flow():
        await acreate_markdown_artifact(markdown, key=key)


async def carry_out(release: Release, repo: Repo, index: Index) -> Report:
    """Prepare, stage, publish, announce."""
    if not release.plan.steps:
        release.record.finish(repo)
        return Report(release=release.plan.release, title=release.plan.title)
    try:
        release = prepared(release, repo)
        built, failed = await staged(release)
    except ReleaseError:
        release.record.drop_if_private(repo)  # then the next run decides afresh
        raise
    if failed:
        release.record.drop_if_private(repo)
        notes = ("nothing was uploaded, and the release was dropped",)
        return Report(release=release.plan.release, title=release.plan.title, packages=failed, notes=notes)
    packages = await publish_all(release, built, index)
    return announced(release, repo, packages)


def prepared(release: Release, repo: Repo) -> Release:
    """Turn the plan into a commit in the scratch worktree, unless that was done already."""
    release = prepare.check_out(release, repo)
    if release.commit:
        return release
    prepare.write_versions(release)
    prepare.write_changelogs(release, repo)
    prepare.lock(release, repo)
    return prepare.commit(release, repo)


async def staged(release: Release) -> tuple[dict[str, PackageVersion], tuple[PackageReport, ...]]:
    """Return every package as built, verified and proven to fit; or what became of each if one was not."""
    manifest = release.record.require_manifest()
    if not manifest.packages:
        built, failed = await stage_all(release)
        if failed:
            return {}, failed
        await stage.prove_resolution(release, built)
        manifest = manifest.model_copy(update={"packages": tuple(built)})
        release.record.save(manifest)
    return {package.name: package for package in manifest.packages}, ()


def announced(release: Release, repo: Repo, packages: tuple[PackageReport, ...]) -> Report:
    """Tag, push and fast-forward what is out; the release is ended when all of it is."""
    report = Report(release=release.plan.release, title=release.plan.title, commit=release.commit, packages=packages)
    # Where one tag stands for all packages, it is made when all are out.
    tags = [package.tag for package in report.confirmed if package.tag not in release.plan.tags]
    if report.done:
        tags += release.plan.tags  # the umbrella tag says that all are out
    if not tags:
        return report
    update: dict[str, Any] = {}
    try:
        if release.settings.tag:
            announce.tag(release, repo, tags)
            update["tags"] = tuple(tags)
        if release.settings.push:
            announce.push(release, repo, tags if release.settings.tag else ())
            update["pushed"] = True
    except ReleaseError as error:
        update["problems"] = (f"{error}\n{error.output}".strip(),)
    if not announce.fast_forward(release, repo):
        update["notes"] = (f"{release.branch or 'HEAD'} has moved on: merge {release.commit[:12]} into it",)
    report = report.model_copy(update=update)
    if report.done:
        release.record.finish(repo)
    return report
