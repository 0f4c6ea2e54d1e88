"""The dependency graph as task runs: each package is a chain of steps, and each chain waits only for its own needs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.states import Failed, get_state_exception

from flows.artifacts import ProgressBar
from flows.dead_runs import end_lost_run
from flows.task_runners import (
    accepts_quote,
    build_concurrency,
    build_slots,
    on_threads,
    open_task_runner,
    runs_here,
)
from releasekit.core.artifacts.differences import verify_reason
from releasekit.core.errors import ERRORS, ErrorCode, ReleaseError
from releasekit.core.planning.model import Step
from releasekit.core.release.progress import PackageStage
from releasekit.core.release.report import (
    PackageOutcome,
    PackageReport,
    failed_package_report,
    stopped_package_report,
)
from releasekit.core.release.step_limits import StepLimits, step_limits
from releasekit.integrations.prefect_server import wrap_unexpected
from releasekit.integrations.process import kill_with_block, mask
from tasks import build, compare_release, reproduce, upload
from tasks.step_runs import (
    RunIds,
    current_frontier,
    keep_alive,
    one_input,
    run_after,
    run_ids,
    step_tags,
    tag_names,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from prefect.futures import PrefectFuture
    from prefect.task_runners import TaskRunner

    from releasekit.core.release.observer import Observer
    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.core.release.stage_job import StageJob
    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import Index
    from releasekit.store.stage_exchange import StageExchange
    from tasks.context import ReleaseContext

log = logging.getLogger("releasekit")

Chain = Callable[[Step, RunIds], Awaitable[State[Any]]]


async def run_graph(
    steps: Sequence[Step], needs: Mapping[str, Sequence[str]], chain: Chain, observer: Observer
) -> dict[str, State[Any]]:
    """Run *chain* for each of *steps* as soon as its own *needs* are completed; returns the final state of each.

    The chain gets the task runs that it comes after: the last ones of its needs, or the steps before the graph. The
    next step comes after the packages that no other one needs.

    A package is marked as blocked if one of its needs is not completed; nothing else is stopped. It also waits for
    packages that it only follows (`after`), whatever their state. Waiting takes no slot.
    """
    running: dict[str, asyncio.Task[State[Any]]] = {}
    frontier = current_frontier()
    before = frontier.ends

    async def run(step: Step) -> State[Any]:
        upstream = {name: await running[name] for name in needs[step.name]}
        for name in step.after:
            await running[name]
        blockers = {name: state for name, state in upstream.items() if not state.is_completed()}
        if blockers:
            return await run_step(
                observer, mark_blocked, run_ids(blockers.values()), Block(step, [*blockers])
            )
        return await chain(step, run_ids(upstream.values()) or before)

    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                running[step.name] = group.create_task(run(step))
    except ExceptionGroup as errors:
        raise errors.exceptions[
            0
        ] from None  # the other errors are of chains that waited for this one
    states = {name: ended.result() for name, ended in running.items()}
    needed = {name for names in needs.values() for name in names}
    last_states = [state for name, state in states.items() if name not in needed]
    frontier.replace(before, run_ids(last_states))
    return states


async def run_step(
    observer: Observer,
    step_task: Task[..., Any],
    after: RunIds,
    job: Any,  # noqa: ANN401  of its step
) -> State[Any]:
    """Run one step as a Prefect task that comes *after* these task runs, in this event loop; returns its final state.

    The *observer* is called with the stage that the step brings the package of *job* to. Only this function and
    `Staging` decide how the steps of packages run.
    """
    if step_task.name not in _PACKAGE_STEPS:
        return await run_after(step_task, job, after)
    package: str = job.step.name
    if step_task.name in _STAGES:
        observer.on_stage(package, _STAGES[step_task.name])
    return await run_after(step_task, job, after, package)


_STAGES = {
    "prove": PackageStage.PROVING,
    "confirm": PackageStage.CONFIRMING,
    "smoke-test": PackageStage.TESTING,
    "blocked": PackageStage.BLOCKED,
}
"""The stage that a step brings a package to, by the name of the task. The upload tells its own, if it sends a file."""

_PACKAGE_STEPS = frozenset((*_STAGES, "upload"))
"""The names of the tasks that are steps of one package."""


@dataclass(frozen=True, slots=True)
class Block:
    """A package that cannot be published. *by* names the packages or the option that block it."""

    step: Step
    by: Sequence[str]


@task(
    name="blocked",
    task_run_name="blocked-{job.step.name}",
    cache_policy=NO_CACHE,
    timeout_seconds=60,
)
async def mark_blocked(job: Block) -> State[Any]:
    """Replace the steps of a package that cannot be published."""
    blockers = ", ".join(job.by)
    log.warning("%s is blocked by %s", job.step.name, blockers)
    return Failed(name="Blocked", message=f"blocked by {blockers}")


class Staging:
    """The packages of one release that are staged, each as a task on the task runner of the flow."""

    def __init__(
        self,
        release: ReleaseContext,
        runner: TaskRunner[Any],
        platform: str = "",
        exchange: StageExchange | None = None,
    ) -> None:
        self.built: dict[str, BuiltPackage] = {}
        self._release, self._runner, self._platform = release, runner, platform
        self._exchange = exchange
        self._stage: Task[..., Any] = build.stage.with_options(
            timeout_seconds=limits_of(release).stage
        )
        self._futures: dict[str, PrefectFuture[BuiltPackage]] = {}

    async def run(self, step: Step, after: RunIds) -> State[Any]:
        """Stage the package of *step* *after* these task runs; returns the final state of the task.

        A result of an earlier run counts only if the record still has its very files.
        """
        storage = self._exchange.storage.url if self._exchange else ""
        job = build.stage_job(self._release, step, self.built, self._platform, storage)
        state = await self.submit(step, self._stage, job, after)
        if state.is_completed() and await self._lost_files(await state.aresult()):
            state = await self.submit(
                step, self._stage.with_options(refresh_cache=True), job, after
            )
            lost = await self._lost_files(await state.aresult()) if state.is_completed() else ()
            if lost:
                return _lost_state(step, lost)
        if state.is_completed():
            package = await state.aresult()
            if self._exchange:
                await asyncio.to_thread(build.verify_again, job, package)
            self.built[step.name] = package
        return state

    async def _lost_files(self, package: BuiltPackage) -> tuple[str, ...]:
        """Return the files of a staged *package* that the record lacks, after those in the storage were fetched."""
        record = self._release.record
        missing = record.missing_files(package)
        if missing and self._exchange:
            await asyncio.to_thread(self._exchange.fetch_files, record, package.name, package.files)
            missing = record.missing_files(package)
        return missing

    async def submit(
        self, step: Step, stage: Task[..., Any], job: StageJob, after: RunIds
    ) -> State[Any]:
        """Submit *job*, and wait for its end in this event loop; again without tags, as every step, if need be."""
        if not runs_here(self._runner):  # then nobody tells its stages
            self._release.observer.on_stage(step.name, PackageStage.BUILDING)
        try:
            with step_tags(stage.name, step.name):
                future = self._start(step, stage, job, after)
            return await _end_of(future, step)
        except ConcurrencySlotAcquisitionError:  # the server does not say whether a tag has a limit
            return await _end_of(self._start(step, stage, job, after), step)

    def _start(
        self, step: Step, stage: Task[..., Any], job: StageJob, after: RunIds
    ) -> PrefectFuture[BuiltPackage]:
        """Submit *job*, which waits for the builds that it installs."""
        needed = [self._futures[name] for name in step.build_needs if name in self._futures]
        is_closed = accepts_quote(self._runner)
        details = one_input(stage.fn, job, () if needed else after, is_closed=is_closed)
        future = self._runner.submit(stage, **details, wait_for=needed)
        self._futures[step.name] = future
        frontier = current_frontier()
        frontier.remember(step.name, future.task_run_id)
        frontier.tags[future.task_run_id] = tag_names(stage.name, step.name)
        return future


async def _end_of(future: PrefectFuture[BuiltPackage], step: Step) -> State[Any]:
    """Return the final state of the build of *step*, once it has ended.

    Raises ConcurrencySlotAcquisitionError if it did not begin, because the server did not answer.
    """
    ended, loop = asyncio.Event(), asyncio.get_running_loop()

    def wake(_: PrefectFuture[BuiltPackage]) -> None:
        loop.call_soon_threadsafe(ended.set)

    future.add_done_callback(wake)
    await ended.wait()
    future.wait()  # reads the state of the future, which has ended
    state = future.state
    if not state.is_final():
        error = await asyncio.to_thread(_lost_build_error, future, step)
        state = await end_lost_run(future.task_run_id, error)
    return keep_alive(state)


def _lost_build_error(future: PrefectFuture[BuiltPackage], step: Step) -> ReleaseError:
    """Return why a build has ended without a state: its worker died, or could not begin. Raises as `_end_of` does."""
    reason = "it ended without a result"
    try:
        future.result()
    except ConcurrencySlotAcquisitionError:
        raise
    except Exception as error:  # noqa: BLE001  each task runner raises its own kinds
        reason = mask(str(error)) or type(error).__name__
    hint = "Read the log of the workers, start new ones if they have ended, and run again."
    message = f"the worker that built {step.name} was lost: {reason}"
    return ReleaseError(ErrorCode.TASK_RUNNER, message, f"{step.name} {step.version}", hint)


def _lost_state(step: Step, names: Sequence[str]) -> State[Any]:
    message = f"the worker has left no {', '.join(names)}"
    error = ReleaseError(ErrorCode.STAGE_STORAGE, message, f"{step.name} {step.version}")
    return Failed(message=str(error), data=error)


@asynccontextmanager
async def open_staging(
    release: ReleaseContext, platform: str = "", exchange: StageExchange | None = None
) -> AsyncGenerator[Staging]:
    """Yield what stages the packages of *release*, on *platform* if there is one.

    Workers that do not see the record of the release use *exchange*. If the block raises, as after a Ctrl-C, their
    builds are killed.
    """
    loop, observer = asyncio.get_running_loop(), release.observer

    def tell(
        package: str, stage: PackageStage
    ) -> None:  # the observer lives in the thread of the event loop
        loop.call_soon_threadsafe(observer.on_stage, package, stage)

    stager = build.Stager(release.uv, tell)
    with ExitStack() as stack:
        stack.enter_context(build.stage_with(release.record, stager))
        runner = stack.enter_context(open_task_runner(release.settings))
        stack.enter_context(kill_with_block())
        yield Staging(release, runner, platform, exchange)


async def stage_all(
    release: ReleaseContext, platform: str = "", exchange: StageExchange | None = None
) -> tuple[list[BuiltPackage], tuple[PackageReport, ...]]:
    """Build and verify every package, each as soon as its build requirements are built; upload nothing.

    With *platform*, build only the wheels for it, of the packages that name it. Workers that do not see the record use
    *exchange*. Returns the built packages. If one of them failed, returns the outcome of each instead.
    """
    observer = release.observer
    slots = asyncio.Semaphore(build_slots(release.settings, len(release.plan.steps)))
    steps = [
        step
        for step in _without_order(release.plan.steps)
        if not platform or platform in step.platforms
    ]
    bar = ProgressBar(len(steps), "built and verified", "built")
    halt = asyncio.Event()

    async def chain(step: Step, after: RunIds) -> State[Any]:
        async with slots:
            if halt.is_set():
                return await run_step(observer, mark_blocked, after, Block(step, ["--fail-fast"]))
            state = await staging.run(step, after)
            # Still in the slot: the next chain that gets it must see the halt.
            await _record_outcome(release, PackageStage.BUILT, step, state, halt.set)
        await bar.advance()
        return state

    needs = {step.name: () if platform else step.build_needs for step in steps}
    async with open_staging(release, platform, exchange) as staging:
        states = await run_graph(steps, needs, chain, observer)
    if not _are_completed(states):
        reports = await _reports(release, states, PackageOutcome.BUILT)
        return [], tuple(report.with_findings(staging.built) for report in reports)
    return [staging.built[step.name] for step in steps], ()


async def stage_again(
    release: ReleaseContext, step: Step, built: Mapping[str, BuiltPackage]
) -> BuiltPackage:
    """Stage one package whose files are lost; *built* has what its build installs. Raises as the task does."""
    async with open_staging(on_threads(release)) as staging:
        staging.built.update(built)
        state = await staging.run(step, current_frontier().ends)
    return await state.aresult()


def _without_order(steps: Sequence[Step]) -> list[Step]:
    """Return *steps* without the packages that each one only follows: their order matters for uploads alone."""
    return [step.model_copy(update={"after": ()}) for step in steps]


def _are_completed(states: Mapping[str, State[Any]]) -> bool:
    return all(state.is_completed() for state in states.values())


async def compare_all(
    release: ReleaseContext, built: Sequence[BuiltPackage], index: Index
) -> tuple[PackageReport, ...]:
    """Compare the *built* packages with their last releases.

    Returns nothing if the release goes on, otherwise the outcome of each package, with all that stops it.
    """
    release.observer.on_phase("comparing")
    differences = await compare_release.compare(release, built, index)
    stopping = [difference for difference in differences if difference.stops]
    if not stopping:
        return ()
    for difference in stopping:
        release.observer.on_stage(difference.package, PackageStage.FAILED, str(difference))
    return tuple(stopped_package_report(step, stopping) for step in release.plan.steps)


async def reproduce_all(
    release: ReleaseContext, repo: Repo, built: Sequence[BuiltPackage]
) -> tuple[PackageReport, ...]:
    """Build the packages a second time if the settings ask for it, and compare the files.

    Returns nothing if the release goes on, otherwise the outcome of each package.
    """
    settings = release.settings
    if settings.reproducible == "off":
        return ()
    release.observer.on_phase("reproducing")
    rule = ErrorCode.VERIFY_NOT_REPRODUCIBLE
    unaccepted = [
        package
        for package in built
        if not verify_reason(rule, package.name, settings.verify_ignore)
    ]
    errors = await reproduce.reproduce(
        release, repo, unaccepted, build_concurrency(release.settings)
    )
    for name, error in errors.items():
        release.observer.on_stage(name, PackageStage.FAILED, str(error))
    return (
        tuple(failed_package_report(step, errors.get(step.name)) for step in release.plan.steps)
        if errors
        else ()
    )


async def prove_all(
    release: ReleaseContext, built: Sequence[BuiltPackage], *, together: bool = False
) -> tuple[PackageReport, ...]:
    """Prove that the *built* packages can be installed from what will be on the index, as the setting `overlay` says.

    Returns nothing if all can be, otherwise the outcome of each package. Raises as `prove_resolution` does.
    """
    settings, observer = release.settings, release.observer
    packages = {package.name: package for package in built}
    steps = [step for step in _without_order(release.plan.steps) if step.name in packages]
    is_needed = steps and settings.overlay != "off"
    if not is_needed:
        return ()
    observer.on_phase("proving")
    limits = limits_of(release)
    frontier = current_frontier()
    runs_before = frontier.ends
    resolve = build.prove_resolution.with_options(timeout_seconds=limits.prove)
    resolved = await run_step(
        observer, resolve, runs_before, build.ResolutionJob(release, built, together)
    )
    frontier.replace(runs_before, run_ids([resolved]))
    fits = await resolved.aresult()
    imported: set[str] = set()
    if settings.overlay == "install":
        imported = {
            step.name for step in steps if step.is_smoke_tested(default=settings.smoke_test)
        }
    job_of = partial(
        build.ProofJob, release, new_wheels=release.find_new_wheels(), resolve=not fits
    )
    slots = asyncio.Semaphore(build_concurrency(release.settings))
    halt = asyncio.Event()

    prove = build.prove.with_options(timeout_seconds=limits.prove)

    async def chain(step: Step, before: RunIds) -> State[Any]:
        # A proof comes after the build of its package alone.
        after = frontier.runs_of(step.name) or before
        async with slots:
            if halt.is_set():
                return await run_step(observer, mark_blocked, after, Block(step, ["--fail-fast"]))
            job = job_of(step, packages[step.name], install=step.name in imported)
            state = await run_step(observer, prove, after, job)
            return await _record_outcome(release, PackageStage.PROVEN, step, state, halt.set)

    if fits:  # then only the imports are left to prove
        steps = [step for step in steps if step.name in imported]
    no_needs: dict[str, Sequence[str]] = dict.fromkeys((step.name for step in steps), ())
    states = await run_graph(steps, no_needs, chain, observer)
    frontier.replace(frozenset(), run_ids([resolved]))  # the next step comes after this one too
    if _are_completed(states):
        return ()
    return await _reports(release, states, PackageOutcome.BUILT)


def limits_of(release: ReleaseContext) -> StepLimits:
    """Return how long each step of a package may take."""
    return step_limits(release.settings, len(release.plan.steps))


@dataclass(frozen=True, slots=True)
class _PublishTasks:
    """The three steps that publish a package."""

    upload: Task[..., Any]
    confirm: Task[..., Any]
    smoke_test: Task[..., Any]


def _publish_tasks(release: ReleaseContext, index_name: str) -> _PublishTasks:
    """Return the steps that publish the packages of *release*; *index_name* is added to the names of their runs."""
    settings, limits = release.settings, limits_of(release)
    suffix = f"-{index_name}" if index_name else ""
    return _PublishTasks(
        # For this time, the result of an earlier run that uploaded a package counts, even if the index does not list
        # it. Then `confirm` has given up too, and the index counts: a later run uploads the files that it does not
        # list.
        upload.upload.with_options(
            task_run_name=f"{upload.upload.task_run_name}{suffix}",
            retries=settings.upload_retries,
            cache_expiration=timedelta(seconds=settings.confirm_timeout),
            timeout_seconds=limits.upload,
        ),
        upload.confirm.with_options(
            task_run_name=f"{upload.confirm.task_run_name}{suffix}",
            timeout_seconds=limits.confirm,
        ),
        upload.smoke_test.with_options(
            task_run_name=f"{upload.smoke_test.task_run_name}{suffix}",
            timeout_seconds=limits.smoke_test,
        ),
    )


async def publish_all(
    release: ReleaseContext,
    built: Mapping[str, BuiltPackage],
    index: Index,
    *,
    index_name: str = "",
) -> tuple[PackageReport, ...]:
    """Upload, confirm and smoke-test every package, each as soon as its own hard requirements are confirmed.

    *index_name* is in the names of the task runs, if the release goes to several indexes.
    """
    settings, observer = release.settings, release.observer
    bar = ProgressBar(len(release.plan.steps), "uploaded, confirmed and smoke-tested", "published")
    uploads = upload.Uploads(settings.concurrency, settings.rate_limit)
    tasks = _publish_tasks(release, index_name)
    upload_ended = {step.name: asyncio.Event() for step in release.plan.steps}

    async def chain(step: Step, after: RunIds) -> State[Any]:
        job = upload.UploadJob(release, step, built[step.name], index, uploads)
        try:
            state = await upload_and_confirm(job, after)
        finally:
            upload_ended[step.name].set()
        for (
            partner
        ) in step.batch:  # the packages of a cycle can be installed only when all are uploaded
            await upload_ended[partner].wait()
        if state.is_completed() and step.is_smoke_tested(default=settings.smoke_test):
            state = await run_step(observer, tasks.smoke_test, run_ids([state]), job)
        await bar.advance()
        return await _record_outcome(release, PackageStage.PUBLISHED, step, state, stop)

    def stop() -> None:
        uploads.stop("--fail-fast")

    async def upload_and_confirm(job: upload.UploadJob, after: RunIds) -> State[Any]:
        if uploads.stop_reason:
            return await run_step(
                observer, mark_blocked, after, Block(job.step, [uploads.stop_reason])
            )
        state = await run_step(observer, tasks.upload, after, job)
        if state.is_completed():
            confirmed_job = replace(job, is_earlier=state.name == "Cached")
            state = await run_step(observer, tasks.confirm, run_ids([state]), confirmed_job)
        return state

    needs = {step.name: step.needs for step in release.plan.steps}
    states = await run_graph(release.plan.steps, needs, chain, observer)
    return await _reports(release, states, PackageOutcome.CONFIRMED)


async def _record_outcome(
    release: ReleaseContext,
    end: PackageStage,
    step: Step,
    state: State[Any],
    halt: Callable[[], None],
) -> State[Any]:
    """Log and show how the package of *step* ended, at best with the stage *end*; returns *state*.

    If the package failed, *halt* prevents that other packages begin, as the setting `fail_fast` says.
    """
    observer = release.observer
    if state.is_completed():
        log.info("%s %s %s", end, step.name, step.version)
        observer.on_stage(step.name, end)
        return state
    if await _blocker(state):
        observer.on_stage(step.name, PackageStage.BLOCKED)
        return state
    error = await _exception(state)
    output = getattr(error, "output", "")
    log.error("%s %s failed", step.name, step.version)
    observer.on_stage(step.name, PackageStage.FAILED, f"{error}\n{output}".strip())
    if release.settings.fail_fast:
        halt()
    return state


async def _blocker(state: State[Any]) -> str:
    """Return what a package was blocked by; empty if it failed by itself."""
    if state.name == "Blocked":
        return state.message or "blocked"
    error = await _exception(state)
    if isinstance(error, ReleaseError) and error.code is ErrorCode.BLOCKED:
        return error.message
    return ""


async def _exception(state: State[Any]) -> object:
    raised: Any = get_state_exception(state)  # Prefect's types don't know that it can be awaited
    return await raised


async def _reports(
    release: ReleaseContext, states: Mapping[str, State[Any]], success: PackageOutcome
) -> tuple[PackageReport, ...]:
    return tuple(
        [await _report(step, states.get(step.name), success) for step in release.plan.steps]
    )


async def _report(step: Step, state: State[Any] | None, success: PackageOutcome) -> PackageReport:
    row = PackageReport(name=step.name, version=step.version, tag=step.tag, outcome=success)
    if state is None or state.is_completed():  # it needed no step, or succeeded
        return row
    blocker = await _blocker(state)
    if blocker:
        blocked = {
            "outcome": PackageOutcome.BLOCKED,
            "error": blocker,
            "hint": ERRORS[ErrorCode.BLOCKED].hint,
        }
        return row.model_copy(update=blocked)
    error = await _exception(state)
    if not isinstance(error, ReleaseError):
        error = wrap_unexpected(error, step.name)
    failed = {
        "outcome": PackageOutcome.FAILED,
        "error": str(error),
        "hint": error.hint,
        "output": error.output,
        "findings": error.findings,
        "retry_at": error.retry_at,
    }
    return row.model_copy(update=failed)
