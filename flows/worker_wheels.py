"""Let the workers of each platform build its wheels, and collect them."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import WorkQueueStatus
from prefect.context import FlowRunContext
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.states import Cancelling, Crashed

from flows.artifacts import show_wait
from flows.worker_files import PACKAGE_FILE, SECONDS_BETWEEN_SIGNS, SIGN_OF_LIFE, sign_of_life
from releasekit.core.config.repository_address import is_address
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.release.platform_parts import (
    WorkerWait,
    first_worker_error,
    missing_platforms,
    platforms_missing_error,
    queue_of,
    refusal_of_workers,
    split_jobs,
    waiting_text,
    worker_error,
)
from releasekit.core.release.release_manifest import parse_built_package
from releasekit.core.release.target import strip_credentials
from releasekit.core.workspace.wheel_tags import foreign_wheels
from releasekit.integrations.filesystem import (
    copy_files,
    describe_file,
    make_directory,
    wrap_os_errors,
)
from releasekit.integrations.verify_files import verified_package
from releasekit.options import StageOnOptions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

    from releasekit.core.planning.model import Step
    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.integrations.git import Repo
    from releasekit.integrations.storage import Storage
    from tasks.context import ReleaseContext

log = logging.getLogger("releasekit")

DEPLOYMENT = "releasekit/stage-on"
PACKAGES_PER_RUN = 10
ATTEMPTS = 3
SECONDS_BETWEEN_LOOKS = 2.0
SECONDS_UNTIL_TOLD = 15.0
SECONDS_UNTIL_LOST = 12 * SECONDS_BETWEEN_SIGNS
SECONDS_TO_START = 300.0
SECONDS_TO_CANCEL = 10.0


async def require_workers(release: ReleaseContext, *, rehearse: bool) -> None:
    """Refuse to begin if the wheels of a platform cannot be built: here nobody builds them, and no worker can.

    Raises Refusal RK-PLATFORM-MISSING.
    """
    settings = release.settings
    error = platforms_missing_error(missing_platforms(release.plan, ()))
    reason = refusal_of_workers(settings, rehearse=rehearse)
    if not reason and FlowRunContext.get() is None:
        reason = "no Prefect server records this release"
    if not reason and not await _has_deployment():
        reason = f"the deployment {DEPLOYMENT} does not exist"
    if reason:
        raise Refusal(
            ErrorCode.PLATFORM_MISSING, f"{error.message}; workers cannot build them: {reason}"
        )


async def _has_deployment() -> bool:
    async with get_client() as client:
        try:
            await client.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound:
            return False
    return True


async def build_on_workers(release: ReleaseContext, repo: Repo) -> list[BuiltPackage]:
    """Return the packages with the wheels that workers have built for all platforms of the release.

    What an earlier run of this release has left in the storage is taken from there. If one fails, all others end
    first, so that the user sees all errors at once.

    Raises ReleaseError RK-STAGE-ON-FAILED, RK-STAGE-STORAGE, RK-VERIFY-FAILED.
    """
    jobs = [
        _build_on_worker(release, repo, platform, names)
        for platform in release.plan.platforms
        for names in split_jobs(release.plan, platform, PACKAGES_PER_RUN)
    ]
    packages: list[BuiltPackage] = []
    errors: list[BaseException] = []
    for outcome in await asyncio.gather(*jobs, return_exceptions=True):
        if isinstance(outcome, BaseException):
            errors.append(outcome)
        else:
            packages += outcome
    if errors:
        raise first_worker_error(errors)
    return packages


async def stop_workers(elsewhere: asyncio.Task[list[BuiltPackage]]) -> None:
    """End *elsewhere*, a running `build_on_workers`, and cancel its runs; do nothing if it has ended."""
    elsewhere.cancel()
    await asyncio.gather(elsewhere, return_exceptions=True)


async def _build_on_worker(
    release: ReleaseContext, repo: Repo, platform: str, names: tuple[str, ...]
) -> list[BuiltPackage]:
    """Return the packages *names* with the wheels for *platform*. A worker that is lost is replaced."""
    steps = [step for step in release.plan.steps if step.name in names]
    storage = release.stage_storage
    packages = [
        await asyncio.to_thread(_collect, release, step, platform, storage) for step in steps
    ]
    missing = [step.name for step, package in zip(steps, packages, strict=True) if package is None]
    if missing:
        await _run_until_built(release, repo, platform, missing, storage)
        packages = [
            await asyncio.to_thread(_collect, release, step, platform, storage) for step in steps
        ]
    collected = [package for package in packages if package]
    if len(collected) < len(steps):
        message = f"the worker for {platform} has left no wheels of {', '.join(missing)}"
        raise worker_error(message, storage.url, "")
    return collected


async def _run_until_built(
    release: ReleaseContext, repo: Repo, platform: str, names: list[str], storage: Storage
) -> None:
    """Run the deployment on the queue of *platform*; again if its worker is lost. Raises RK-STAGE-ON-FAILED."""
    queue = queue_of(release.settings, platform)
    options = StageOnOptions(
        release_id=release.plan.release,
        platform=platform,
        package=tuple(names),
        storage=storage.url,
        workspace=_address(release, repo),
        subdirectory="" if release.workspace == "." else release.workspace,
    )
    parameters = options.model_dump(mode="json", exclude_unset=True)
    signs, name = storage.below(SIGN_OF_LIFE), sign_of_life(options)
    for attempt in range(ATTEMPTS):
        # What an earlier run has left is no sign of this one.
        await asyncio.to_thread(signs.write_text, name, "")
        log.info("%s: built by the queue %s, attempt %d", ", ".join(names), queue, attempt + 1)
        starting = asyncio.ensure_future(
            arun_deployment(DEPLOYMENT, parameters=parameters, work_queue_name=queue, timeout=0)
        )
        try:
            # If this release is cancelled now, the server may have the run already.
            run = await asyncio.shield(starting)
            patience = asyncio.create_task(_tell_if_waiting(run.id, platform, queue))
            try:
                ended = await _wait_for(run.id, signs, name)
            finally:
                patience.cancel()
        except asyncio.CancelledError:
            await _cancel_run(await starting)
            raise
        state = ended.state
        if state and state.is_completed():
            return
        text = (state.message if state else "") or "it has no state"
        is_lost = state is None or state.is_crashed()
        if not is_lost:
            message = (
                f"the worker of the queue {queue} could not build {', '.join(names)} for {platform}"
            )
            raise worker_error(message, f"flow run {run.name}", text)
        log.warning("the worker of the queue %s was lost: %s", queue, text)
    message = f"{ATTEMPTS} workers of the queue {queue} were lost while they built {', '.join(names)} for {platform}"
    raise worker_error(message, DEPLOYMENT, "")


def copy_to_record(release: ReleaseContext, packages: Iterable[BuiltPackage]) -> None:
    """Copy the wheels of *packages* to the other files of each, now that its sdist is built."""
    for package in packages:
        scratch = release.record.wheels(package.name)
        copy_files(
            [scratch / name for name in package.file_names], release.record.dist(package.name)
        )


def _address(release: ReleaseContext, repo: Repo) -> str:
    """Return the address that workers clone: that of the remote, without credentials."""
    address = repo.address(release.settings.remote)
    return strip_credentials(address) if is_address(address) else f"file://{address}"


async def _wait_for(run_id: UUID, signs: Storage, name: str) -> FlowRun:
    """Return the flow run once it has ended. It is marked as crashed if its worker gives no sign of life any more."""
    last_sign, changed = "", time.monotonic()
    async with get_client() as client:
        while True:
            run = await client.read_flow_run(run_id)
            if run.state and run.state.is_final():
                return run
            sign = await asyncio.to_thread(signs.read_text, name)
            is_waiting = run.state is None or not run.state.is_running()
            if is_waiting or sign != last_sign:
                last_sign, changed = sign, time.monotonic()
            limit = SECONDS_UNTIL_LOST if sign else SECONDS_TO_START
            if time.monotonic() - changed > limit:
                message = f"its worker gave no sign of life for {limit:.0f} seconds"
                await client.set_flow_run_state(run_id, Crashed(message=message), force=True)
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)


async def _cancel_run(run: FlowRun) -> None:
    """Cancel a *run* on a worker, whose wheels nobody needs any more. Its worker then ends the build."""
    log.info("cancelling the flow run %s", run.name)
    state = Cancelling(message="The release that asked for these wheels has ended.")
    try:
        async with asyncio.timeout(SECONDS_TO_CANCEL), get_client() as client:
            await client.set_flow_run_state(run.id, state)
    except (OSError, PrefectException, httpx.HTTPError) as error:
        log.warning("the flow run %s is not cancelled: %s", run.name, error)


async def _tell_if_waiting(run_id: UUID, platform: str, queue: str) -> None:
    """Tell the user which queue a run waits for, if no worker has taken it after some seconds: in log and artifact."""
    await asyncio.sleep(SECONDS_UNTIL_TOLD)
    async with get_client() as client:
        run = await client.read_flow_run(run_id)
        is_taken = run.state is None or not run.state.is_scheduled()
        if is_taken:
            return
        pool = run.work_pool_name or "releasekit"
        has_workers = await _has_workers(client, pool, queue)
    text = waiting_text(WorkerWait(platform, queue, pool, DEPLOYMENT, run.name, has_workers))
    log.warning("%s", text)
    await show_wait(platform, text)


async def _has_workers(client: PrefectClient, pool: str, queue: str) -> bool:
    """Return whether workers have asked the *queue* for work in the last minute."""
    try:
        work_queue = await client.read_work_queue_by_name(queue, pool)
    except ObjectNotFound:
        return False
    return work_queue.status is WorkQueueStatus.READY


def _collect(
    release: ReleaseContext, step: Step, platform: str, storage: Storage
) -> BuiltPackage | None:
    """Copy the wheels of *step* for *platform* from *storage* beside the record's files; None if they are not there.

    Nothing that the storage says is trusted: names, sums and contents are checked. Raises ReleaseError
    RK-VERIFY-FAILED, RK-WHEEL-TAG.
    """
    directory = storage.below(platform, step.name)
    text = directory.read_text(PACKAGE_FILE)
    if not text:
        return None
    listed = parse_built_package(text, directory.url)
    out = release.record.wheels(step.name)
    make_directory(out)
    for file in listed.files:
        path = out / file.name
        content = directory.read(file.name)
        with wrap_os_errors(path):
            path.write_bytes(content)
        if describe_file(path) != file:
            path.unlink()
            message = f"{file.name} in the storage has another sha256 than its worker recorded"
            raise ReleaseError(ErrorCode.VERIFY_FAILED, message, directory.url)
    paths = [out / file.name for file in listed.files]
    unfilled = listed.model_copy(
        update={"name": step.name, "version": step.version, "tag": step.tag}
    )
    pins, waivers = release.plan.pins_of(step), release.settings.verify_ignore
    package = verified_package(unfilled, pins, paths, "wheels", waivers=waivers)
    foreign = foreign_wheels(package.file_names, platform)
    if foreign:
        raise ReleaseError(
            ErrorCode.WHEEL_TAG, f"{', '.join(foreign)}: not for {platform}", directory.url
        )
    return package.model_copy(update={"platforms": {platform: package.file_names}})
