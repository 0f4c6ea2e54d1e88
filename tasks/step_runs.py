"""How Prefect records a step: with one parameter, tags, a time limit, and the steps that it comes after."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID, uuid4

from prefect import tags, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRunResult
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.context import FlowRunContext, TaskRunContext
from prefect.states import Failed
from prefect.task_engine import run_task_async, run_task_sync
from prefect.utilities.annotations import quote

from releasekit.core.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Generator, Iterable, Mapping

    from prefect import Task
    from prefect.client.schemas.objects import State

R = TypeVar("R")

RunIds = frozenset[UUID]

STEP_TIMEOUT = 3600.0
"""Seconds that a step may take that is no step of a package. Each of its commands and requests has a shorter limit."""


class Frontier:
    """The task runs of a flow run that no other step has followed yet: the next step comes after all of them."""

    def __init__(self) -> None:
        self.ends: RunIds = frozenset()
        self.tags: dict[UUID, list[str]] = {}
        """The tags of task runs. Prefect has them too, unless the runs began before their flow run."""
        self._last_runs: dict[str, UUID] = {}

    def runs_of(self, package: str) -> RunIds:
        """Return the last task run of *package*, if it has one."""
        return frozenset({self._last_runs[package]} if package in self._last_runs else ())

    def remember(self, package: str, run: UUID) -> None:
        """Remember *run* as the last one of *package*."""
        self._last_runs[package] = run

    def replace(self, followed: RunIds, ends: Iterable[UUID]) -> None:
        """Let the next step follow *ends* instead of the runs that they have *followed*."""
        self.ends = self.ends - followed | frozenset(ends)


_frontiers: dict[UUID, Frontier] = {}  # by flow run

EARLY_FRONTIER: ContextVar[Frontier | None] = ContextVar("early_frontier", default=None)
"""The frontier of steps whose flow run does not exist yet. Set by `flows.early_steps`."""


def current_frontier() -> Frontier:
    """Return the frontier of the current or coming flow run; without either, one that nobody sees."""
    context = FlowRunContext.get()
    if not (context and context.flow_run):
        return EARLY_FRONTIER.get() or Frontier()
    return _frontiers.setdefault(context.flow_run.id, Frontier())


def adopt_frontier(frontier: Frontier) -> None:
    """Let the current flow run go on after the steps of *frontier*."""
    context = FlowRunContext.get()
    if context and context.flow_run:
        _frontiers[context.flow_run.id] = frontier


def run_recorded(call: Callable[[], R], stage: str, options: Mapping[str, Any]) -> R:
    """Run *call* as a task with these *options* of `prefect.task`, after the steps before it; returns its result.

    Nothing is cached: every run reads the facts again, and live objects among them cannot be hashed. A step that runs
    inside another one is part of that one, and comes after nothing.
    """
    frontier = Frontier() if TaskRunContext.get() else current_frontier()
    run, followed = uuid4(), frontier.ends
    current_frontier().tags[run] = tag_names(stage)
    is_async = inspect.iscoroutinefunction(call)
    step = _await_later if is_async else _call_later
    plain: Any = task  # its overloads expect each option by name
    decorate = plain(
        **{"timeout_seconds": STEP_TIMEOUT, **options}, cache_policy=NO_CACHE, persist_result=False
    )
    details: dict[str, Any] = {"task_run_id": run, **one_input(step, call, followed)}

    def end() -> None:
        frontier.replace(followed, [run])

    if is_async:
        awaitable: Any = _await_recorded(decorate(step), stage, details, end)
        return awaitable
    try:
        try:
            with step_tags(stage):
                result: Any = run_task_sync(decorate(step), **details)
        except ConcurrencySlotAcquisitionError:
            result = run_task_sync(decorate(step), **details)
        return _result_or_refusal(result)
    finally:
        end()


async def _await_recorded(
    step: Task[..., R], stage: str, details: dict[str, Any], end: Callable[[], None]
) -> R:
    try:
        result = await _await_task(step, details, stage)
        return _result_or_refusal(result)
    finally:
        end()


async def _await_task(
    step: Task[..., Any], details: dict[str, Any], stage: str, package: str = ""
) -> Any:  # noqa: ANN401  of any step
    """Run *step* with tags; without them if the server does not say whether a tag has a limit.

    Prefect asks before the step begins. Steps without tags also run while the server is down.
    """
    try:
        with step_tags(stage, package):
            return await run_task_async(step, **details)
    except ConcurrencySlotAcquisitionError:
        return await run_task_async(step, **details)


def _call_later(call: Callable[[], R]) -> R | State[Any]:
    try:
        return call()
    except Refusal as refusal:
        return _refused_state(refusal)


async def _await_later(call: Callable[[], Awaitable[R]]) -> R | State[Any]:
    try:
        return await call()
    except Refusal as refusal:
        return _refused_state(refusal)


def _refused_state(refusal: Refusal) -> State[Any]:
    """Return the state of a step that refuses. It has only the code: the final state of the run has the text.

    If the step raised the refusal, Prefect would log a traceback, and the run would tell the refusal more than once.
    """
    return Failed(name=f"Refused: {refusal.code}", data=refusal)


def _result_or_refusal(outcome: Any) -> Any:  # noqa: ANN401  any step
    """Return what a step has returned, and raise a refusal that it has returned as a state."""
    data = getattr(outcome, "data", None)
    refusal = getattr(data, "result", data)  # Prefect wraps what is in the state of a step
    if isinstance(refusal, Refusal):
        raise refusal
    return keep_alive(outcome)


async def run_after(
    step: Task[..., Any], job: object, after: Collection[UUID], package: str = ""
) -> State[Any]:
    """Run *step*, whose one parameter is *job*, after the task runs *after*; returns its final state."""
    run = uuid4()
    current_frontier().tags[run] = tag_names(step.name, package)
    details: dict[str, Any] = {
        "task_run_id": run,
        **one_input(step.fn, job, after),
        "return_type": "state",
    }
    state = await _await_task(step, details, step.name, package)
    if package:
        current_frontier().remember(package, run)
    return keep_alive(state)


def run_ids(states: Iterable[State[Any]]) -> RunIds:
    """Return the task runs that ended in these *states*."""
    runs = (state.state_details.task_run_id for state in states)
    return frozenset(run for run in runs if run)


def one_input(
    function: Callable[..., object],
    value: object,
    after: Collection[UUID],
    *,
    is_closed: bool = True,
) -> dict[str, Any]:
    """Return the parameter of *function* that is *value*, and what Prefect draws as its inputs: the runs *after*.

    The value is closed to Prefect, which would search each of its fields for futures, and draw an edge from each step
    that has returned any part of it. The graph of a run repeats the edges that leave a step once for each parameter,
    so there is only one, and the runs are inputs of it.

    Dask takes the value out of what closes it, so for other task runners than Prefect's own it is not *is_closed*.
    """
    (parameter,) = inspect.signature(function).parameters
    inputs = {TaskRunResult(id=run) for run in after}  # pyright: ignore[reportUnhashable]  they are frozen
    argument = quote(value) if is_closed else value
    return {"parameters": {parameter: argument}, "dependencies": {parameter: inputs}}


@contextmanager
def step_tags(stage: str, package: str = "") -> Generator[None]:
    """Tag the task runs of the block with their *stage* and *package*.

    Prefect asks the server for the limits of each tag, so there are none without a flow run.
    """
    if FlowRunContext.get() is None:
        yield
        return
    with tags(*tag_names(stage, package)):
        yield


def tag_names(stage: str, package: str = "") -> list[str]:
    """Return the tags of a task run of *stage*, and of *package* if it is a step of a package."""
    return [f"stage:{stage}"] + ([f"package:{package}"] if package else [])


def keep_alive(result: R) -> R:
    """Return *result*, and keep it until this process ends.

    Prefect knows lists and texts that a step has returned by their address in memory, for the edges of the graph. A new
    value at the address of a deleted one would look like that result.
    """
    _kept.append(result)
    return result


_kept: list[object] = []
