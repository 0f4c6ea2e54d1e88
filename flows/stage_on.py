"""The wheels of one platform, built by a worker of its queue: the deployment `releasekit/stage-on`."""

import asyncio
import logging
import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.artifacts import rename_run
from flows.final_states import end_in_error_state
from flows.scheduling import stage_all
from flows.task_runners import on_threads
from flows.worker_files import PACKAGE_FILE, SIGN_OF_LIFE, sign_of_life, signs_of_life
from releasekit import __version__
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.release.report import PackageReport
from releasekit.core.release.target import Target
from releasekit.integrations.git import Repo
from releasekit.integrations.process import mask
from releasekit.integrations.storage import Storage
from releasekit.integrations.whole_checkout import add_whole_worktree
from releasekit.operations.draft import checkout_workspace
from releasekit.options import StageOnOptions, as_flow_parameters
from releasekit.store.record import Record
from releasekit.store.remote_lock import RemoteLock, fetch_remote_lock
from tasks.context import ReleaseContext
from tasks.read_workspace import read_workspace
from tasks.run_logs import send_logs_to_prefect

log = logging.getLogger("releasekit")


@flow(name="releasekit", version=__version__, flow_run_name="stage-on")
@as_flow_parameters(StageOnOptions)
@end_in_error_state
async def stage_on(options: StageOnOptions) -> State[Any]:
    """Build the wheels of one platform for a release that runs elsewhere, and leave them in its storage."""
    send_logs_to_prefect()
    await rename_run(f"stage on {options.platform}: {', '.join(options.package)}", options.platform)
    storage = Storage(options.storage)
    with ExitStack() as stack:
        stack.enter_context(signs_of_life(storage.below(SIGN_OF_LIFE), sign_of_life(options)))
        local = stack.enter_context(checkout_workspace(options))
        scratch = stack.enter_context(scratch_directory())
        repo = Repo(local.directory)
        lock = running_release(repo, options.release_id)
        record = Record(scratch / lock.plan.release)
        release = worker_release(options, lock, record, repo)
        failed = await stage_packages(release, options, storage)
    if failed:
        problems = [
            f"{report.name}: {report.error}\n{report.output}" for report in failed if report.error
        ]
        return Failed(message=mask("\n".join(problems)))
    return Completed(message=f"built for {options.platform}: {', '.join(options.package)}")


@contextmanager
def scratch_directory() -> Generator[Path]:
    """Yield a directory that exists inside the block."""
    with tempfile.TemporaryDirectory(prefix="releasekit-stage-") as scratch:
        yield Path(scratch).resolve()


def running_release(repo: Repo, release_id: str) -> RemoteLock:
    """Return the release that holds the lock on the remote; raises Refusal RK-COMMIT-MISSING if it is another one."""
    lock = fetch_remote_lock(repo, "origin")
    if lock is None or lock.plan.release != release_id:
        message = f"the release {release_id} is not running any more"
        raise Refusal(ErrorCode.COMMIT_MISSING, message, repo.address("origin"))
    return lock


def worker_release(
    options: StageOnOptions, lock: RemoteLock, record: Record, repo: Repo
) -> ReleaseContext:
    """Check out the release commit in a scratch worktree, and return the release as its steps need it here."""
    commit = lock.manifest.release_commit
    add_whole_worktree(repo, record.worktree, commit)
    project = read_workspace(record.worktree / options.subdirectory, {})
    release = ReleaseContext(
        plan=lock.plan,
        record=record,
        settings=project.settings,
        target=Target("", ""),  # nothing is uploaded from here
        uv=project.uv,
        workspace=options.subdirectory or ".",
        branch="",
        commit=commit,
        epoch=repo.commit_time(commit),
    )
    return on_threads(release)


async def stage_packages(
    release: ReleaseContext, options: StageOnOptions, storage: Storage
) -> tuple[PackageReport, ...]:
    """Build the packages of this run and write their wheels to *storage*; returns the outcome of each if one failed.

    What their builds need of the release is built first.
    """
    steps = [step for step in release.plan.steps if step.name in options.package]
    needed = {name for step in steps for name in step.build_needs}
    if needed:
        _, failed = await stage_all(_with_only(release, sorted(needed)))
        if failed:
            return failed
    wheels, failed = await stage_all(_with_only(release, options.package), options.platform)
    for package in wheels:
        directory = storage.below(options.platform, package.name)
        for name in package.file_names:
            await asyncio.to_thread(
                directory.write_file, release.record.wheels(package.name) / name
            )
        # Last, so that who reads it finds all files.
        await asyncio.to_thread(directory.write_text, PACKAGE_FILE, package.model_dump_json())
    return failed


def _with_only(release: ReleaseContext, names: Sequence[str]) -> ReleaseContext:
    """Return *release* with a plan of the packages *names* alone."""
    packages = tuple(step for step in release.plan.packages if step.name in names)
    plan = release.plan.model_copy(update={"packages": packages})
    return replace(release, plan=plan)
