"""Upload, confirm and smoke-test one package."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE, CacheKeyFnPolicy
from prefect.context import TaskRunContext

from releasekit.core.artifacts.attestations import ATTESTATION
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, as_refusal
from releasekit.core.picking import drop
from releasekit.core.release.progress import PackageStage
from releasekit.core.release.upload_response import UploadOutcome, classify_response
from releasekit.core.release.upload_window import find_partial_uploads
from releasekit.core.text import minute_text
from releasekit.integrations.filesystem import describe_file
from releasekit.integrations.http import MAX_DELAY, requested_delay
from releasekit.integrations.index import files_on_index, upload_times
from releasekit.integrations.process import mask
from releasekit.store.bundle import check_attestation
from tasks.context import explain_failure, result_key, retry_unless_refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Container, Sequence

    from releasekit.core.planning.model import Step
    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.core.release.upload_response import UploadResponse
    from releasekit.integrations.protocols import Index
    from releasekit.store.record import Record
    from tasks.context import ReleaseContext

detail = logging.getLogger("releasekit.detail")

LONGEST_WAIT = MAX_DELAY
"""Seconds that a run waits at most when the index asks it to. If it asks for more, the run says when to try again."""

PER_RELEASE = CacheKeyFnPolicy(cache_key_fn=result_key)


class Uploads:
    """The uploads of one run. They are limited at a time and by files a minute, and end once there is a *stop_reason*.

    Only this process uploads, so it limits itself. Prefect's `rate_limit` needs a limit that somebody has made on the
    server before, and without one it lets everything through. An upload that waits for its turn or for the index takes
    none of the *slots*, which smoke tests use too.
    """

    def __init__(self, concurrency: int, rate_limit: int = 0) -> None:
        self.slots = asyncio.Semaphore(concurrency)
        self.stop_reason = ""
        self.new_projects_at: datetime | None = None
        """When the index accepts new projects again; None if it has not refused one."""
        self._stop_event = asyncio.Event()
        self._seconds_a_file = 60 / rate_limit if rate_limit else 0.0
        self._next = 0.0
        self._turn_lock = asyncio.Lock()

    def stop(self, why: str) -> None:
        """Let no further upload begin. Uploads that have begun continue."""
        self.stop_reason = self.stop_reason or why
        self._stop_event.set()

    def delay(self, seconds: float) -> None:
        """Let no upload begin in the next *seconds*."""
        self._next = max(self._next, time.monotonic() + seconds)

    @asynccontextmanager
    async def turn(self, files: int) -> AsyncGenerator[None]:
        """Wait until this number of *files* may be sent, and keep a slot inside the block.

        Raises Refusal RK-BLOCKED if uploads were stopped in the meantime.
        """
        # One upload at a time checks the clock, in the order of arrival.
        async with self._turn_lock:
            while not self.stop_reason and (seconds := self._next - time.monotonic()) > 0:
                with suppress(TimeoutError):  # then check again: the time may be later now
                    await asyncio.wait_for(self._stop_event.wait(), seconds)
            await self.slots.acquire()
            self._next = max(self._next, time.monotonic() + files * self._seconds_a_file)
        try:
            if self.stop_reason:
                raise Refusal(ErrorCode.BLOCKED, f"blocked by {self.stop_reason}")
            yield
        finally:
            self.slots.release()


@dataclass(frozen=True, slots=True)
class UploadJob:
    """One built package to publish, and what it shares with the others: the *index* and the *uploads* of this run.

    *is_earlier* says that its files were uploaded in an earlier run, and that this run has not asked the index.
    """

    release: ReleaseContext
    step: Step
    built: BuiltPackage
    index: Index
    uploads: Uploads
    is_earlier: bool = False


@task(
    name="upload",
    task_run_name="upload-{job.step.name}-{job.step.next}",
    cache_policy=PER_RELEASE,
    persist_result=True,
    retries=4,
    retry_delay_seconds=[2, 10, 30, 60],
    retry_jitter_factor=0.5,
    retry_condition_fn=retry_unless_refused,
)
async def upload(job: UploadJob) -> None:
    """Send the recorded files that the index does not have.

    Every attempt asks the index first: a run may die after the index has stored a file and before its answer arrives.
    A file that the index rejects because it exists, but does not list yet, is left to `confirm`.

    Raises ReleaseError for a problem that may be temporary, which is tried again; Refusal for a permanent one.
    """
    release, step, built, index, uploads = job.release, job.step, job.built, job.index, job.uploads
    existing: set[str] = set()
    while missing := drop(await _unsent_files(release, step, built, index), existing):
        detail.info("the index lacks %s", ", ".join(missing))
        release.observer.on_stage(step.name, PackageStage.UPLOADING)
        attested = release.settings.attestations
        paths = [
            recorded_path(release.record, built, name, attestations=attested) for name in missing
        ]
        async with uploads.turn(len(paths)):
            if uploads.new_projects_at:
                await _refuse_new_project(release, step, index, uploads.new_projects_at)
            answer = await _send(release, step, paths)
        if answer is None:
            return
        is_stored = (
            classify_response(answer) is UploadOutcome.ALREADY_EXISTS and answer.file in missing
        )
        if not is_stored:
            raise _rejection(release, step, answer, uploads)
        existing.add(answer.file)


async def _refuse_new_project(
    release: ReleaseContext, step: Step, index: Index, when: datetime
) -> None:
    """Refuse the first upload of a project, which the index does not accept until *when*.

    Raises Refusal RK-UPLOAD-LIMITED.
    """
    if await index.files(step.name) is None:
        message = f"{step.name} was not sent: it is a new project, and the index accepts no more of them for now"
        raise _limit_error(message, _upload_location(release), when)


async def _unsent_files(
    release: ReleaseContext, step: Step, built: BuiltPackage, index: Index
) -> list[str]:
    """Return the built files that the index does not list.

    Raises Refusal RK-UPLOAD-CLOSED if it accepts no more files of this version, RK-PUBLISH-CHECKSUM-MISMATCH.
    """
    listed = await files_on_index([built], index)
    if release.target.closes_versions:
        now = datetime.now(UTC)
        for half in find_partial_uploads([built], upload_times(listed)):
            if half.is_closed(now):
                message, hint = half.describe(now), _next_version(release, step)
                raise Refusal(ErrorCode.UPLOAD_CLOSED, message, _upload_location(release), hint)
    return _unlisted_files(built, listed[built.name])


def _unlisted_files(built: BuiltPackage, listed: Container[str]) -> list[str]:
    return [file.name for file in built.files if file.name not in listed]


def _next_version(release: ReleaseContext, step: Step) -> str:
    return (
        f"`releasekit rollback {release.plan.title}` abandons this release. Then commit a `fix:` to {step.path}, and "
        "`releasekit publish` releases the next version."
    )


async def _send(
    release: ReleaseContext, step: Step, paths: Sequence[Path]
) -> UploadResponse | None:
    root = release.record.worktree / release.workspace
    seconds, attestations = release.settings.upload_timeout, release.settings.attestations
    files = [*paths]
    if attestations:
        attestation_paths = [path.with_name(f"{path.name}{ATTESTATION}") for path in paths]
        files += filter(Path.is_file, attestation_paths)
    try:
        return await release.uv.publish(
            root,
            files,
            publish_url=release.target.publish_url,
            check_url=release.target.check_url,
            seconds=seconds,
            attestations=attestations,
        )
    except ReleaseError as error:
        if error.code is not ErrorCode.COMMAND_TIMEOUT:
            raise
        message = f"{step.name} {step.version}: no answer to an upload within {seconds:g} s"
        raise ReleaseError(ErrorCode.UPLOAD_FAILED, message, _upload_location(release)) from None


def _rejection(
    release: ReleaseContext, step: Step, answer: UploadResponse, uploads: Uploads
) -> ReleaseError:
    """Return the error to raise for *answer*, and stop or delay the other uploads of this run if it concerns them."""
    status = f"{answer.status} " if answer.status else ""
    message = f"{answer.file or step.name}: {status}{answer.message.removeprefix(status)}"
    location = _upload_location(release)
    wait = requested_delay(answer.headers)
    match classify_response(answer):
        case UploadOutcome.UNAUTHORIZED:
            uploads.stop(f"{step.name}: the index refuses the credentials")
            error = Refusal(ErrorCode.INDEX_CREDENTIALS, message, location)
        case UploadOutcome.FORBIDDEN_PROJECT:
            hint = f"Give the user or token the right to upload to {step.name}, then run publish again: it resumes."
            error = Refusal(ErrorCode.INDEX_CREDENTIALS, message, location, hint)
        case UploadOutcome.NEW_PROJECT_QUOTA:
            # Never tried again in this run: a refused project may also count against the quota (pypi/support#11827).
            uploads.new_projects_at = _retry_time(wait or _A_DAY)
            error = _limit_error(message, location, uploads.new_projects_at)
        case UploadOutcome.VERSION_CLOSED:
            error = Refusal(
                ErrorCode.UPLOAD_CLOSED, message, location, _next_version(release, step)
            )
        case UploadOutcome.TRANSIENT | UploadOutcome.RATE_LIMITED if wait > LONGEST_WAIT:
            uploads.stop(f"{step.name}: the index accepts no upload for {wait:.0f} s")
            error = _limit_error(message, location, _retry_time(wait))
        case UploadOutcome.TRANSIENT | UploadOutcome.RATE_LIMITED as meaning:
            uploads.delay(wait)
            is_limited = meaning is UploadOutcome.RATE_LIMITED
            code = ErrorCode.UPLOAD_LIMITED if is_limited else ErrorCode.UPLOAD_FAILED
            error = ReleaseError(code, message, location)
        case UploadOutcome.DIFFERENT_FILE:
            error = Refusal(ErrorCode.PUBLISH_CHECKSUM_MISMATCH, message, location)
        case _:
            hint = _REHEARSAL_HINT if release.target.falls_back_to else ""
            error = Refusal(ErrorCode.UPLOAD_REFUSED, message, location, hint)
    return error


_REHEARSAL_HINT = (
    "Fix what the throwaway index names, or leave it: it is stricter than PyPI, which accepts, for example, links to "
    "files above their directory, and the hashes that uv_build writes before 0.8.13."
)


_A_DAY = 24 * 60 * 60.0


def _retry_time(seconds: float) -> datetime:
    """Return the next full minute that is this number of *seconds* away."""
    when = datetime.now(UTC) + timedelta(seconds=seconds + 60)
    return when.replace(second=0, microsecond=0)


def _limit_error(message: str, location: str, when: datetime) -> Refusal:
    """Return the error of an upload that the index accepts after *when*."""
    hint = f"Run publish again after {minute_text(when)}: it resumes."
    return Refusal(ErrorCode.UPLOAD_LIMITED, message, location, hint, retry_at=when)


def _upload_location(release: ReleaseContext) -> str:
    return mask(release.target.publish_url) or "the default index of uv publish"


def recorded_path(
    record: Record, built: BuiltPackage, name: str, *, attestations: bool = False
) -> Path:
    """Return the path of the built file *name*.

    Raises Refusal RK-FILES-LOST if it is missing, RK-VERIFY-FAILED if it is not the one on record. With *attestations*,
    raises RK-RECORD-INVALID if its attestation, which is sent too, is one of another file.
    """
    path = record.dist(built.name) / name
    if not path.is_file():
        raise Refusal(ErrorCode.FILES_LOST, "a built file is missing", str(path))
    file = describe_file(path)
    if file not in built.files:
        raise Refusal(
            ErrorCode.VERIFY_FAILED, "the file is not the one that was verified", str(path)
        )
    if attestations:
        with as_refusal():
            check_attestation(path, file)
    return path


@task(
    name="confirm", task_run_name="confirm-{job.step.name}-{job.step.next}", cache_policy=NO_CACHE
)
async def confirm(job: UploadJob) -> None:
    """Wait until the index itself lists every file with the sha256 that was built here.

    The result is never cached: a run has seen for itself what it reports as published.
    """
    release, step, built, index = job.release, job.step, job.built, job.index
    seconds, pause = release.settings.confirm_timeout, 0.1
    longest_pause = release.settings.confirm_interval
    problem = "the index does not answer"
    try:
        async with asyncio.timeout(seconds):
            while problem := await _visibility_problem(built, index):
                await asyncio.sleep(min(pause, longest_pause))
                pause *= 2
    except TimeoutError:
        uploaded, hint = (
            ("uploaded in an earlier run", _LOST_HINT) if job.is_earlier else ("uploaded", "")
        )
        message = f"{step.name} {step.version} is {uploaded}, but not visible after {seconds:g} s; {problem}"
        raise ReleaseError(ErrorCode.PUBLISH_TIMEOUT, message, index.url, hint) from None
    for file in built.files:
        detail.info("the index lists %s with sha256 %s", file.name, file.sha256)


async def _visibility_problem(built: BuiltPackage, index: Index) -> str:
    """Return which files the index does not list, or why it does not answer; empty once it lists all of them.

    Raises Refusal RK-PUBLISH-CHECKSUM-MISMATCH if one is listed under its name with other content.
    """
    try:
        listed = await files_on_index([built], index)
    except Refusal:
        raise
    except ReleaseError as error:  # the upload succeeded, so a bad answer may be temporary
        return str(error)
    missing = _unlisted_files(built, listed[built.name])
    return f"not listed: {', '.join(missing)}" if missing else ""


_LOST_HINT = (
    "The index may have lost the files, or it is very slow. Run publish again: it asks once more, and uploads what the "
    "index then still does not list."
)


def _is_retry() -> bool:
    """Return whether the current task run was tried before."""
    context = TaskRunContext.get()
    return context is not None and context.task_run.run_count > 1


@task(
    name="smoke-test",
    task_run_name="smoke-test-{job.step.name}-{job.step.next}",
    cache_policy=PER_RELEASE,
    persist_result=True,
    retries=1,
    retry_delay_seconds=5,
)
async def smoke_test(job: UploadJob) -> None:
    """Install the package from the index into a fresh environment, as a user would, and import it.

    What is installed is what was built, by its sha256. uv may remember what the index had of these packages before the
    release, so it is told to ask again. Of packages that are new to the index there was nothing to remember, so that
    only a retry asks again: it costs 0.07 CPU-seconds, because uv then also examines its interpreter again.
    """
    release, step, built = job.release, job.step, job.built
    closure = release.plan.install_closure(step.name)
    test = partial(
        release.uv.smoke_test,
        release.record.worktree / release.workspace,
        requirement=f"{step.name}=={step.version}",
        imports=built.imports,
        indexes=release.target.install_indexes,
        fresh=closure,
        constraints=[built.hashed_requirement],
    )
    message = f"{step.name} {step.version} cannot be installed and imported"
    with explain_failure(ErrorCode.SMOKE_TEST_FAILED, message, ", ".join(built.imports)):
        async with job.uploads.slots:
            is_new = set(closure).issubset(release.plan.new_to_index)
            await test(refresh=not is_new or _is_retry())
