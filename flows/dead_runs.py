"""Tell Prefect what became of the runs of a release whose process was killed: nobody else can."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Crashed

from flows.artifacts import current_run

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import State

    from releasekit.core.errors import ReleaseError
    from releasekit.store.record import Record

_MESSAGE = "The process of this run was killed; a later run has resumed the release."
_OPEN_STATES = [StateType.RUNNING, StateType.PENDING, StateType.SCHEDULED]


async def end_dead_runs(record: Record, earlier: str) -> None:
    """Mark as crashed what earlier processes of this release have left open, and put this flow run on record.

    This process has the lock of the release, so no earlier one is alive. The flow run *earlier* was on record when this
    process began; it may be an earlier attempt of this flow run. A release that has been discarded has no record.
    """
    run = current_run()
    if run is None:
        return
    if record.exists():
        record.save_flow_run(str(run.id))
    async with get_client() as client:
        if run.run_count > 1:
            await _end_task_runs(client, run.id, before=run.run_count)
        if earlier and earlier != str(run.id):
            await _end_task_runs(client, UUID(earlier))
            await _end_flow_run(client, UUID(earlier))


async def end_lost_run(task_run: UUID, error: ReleaseError) -> State[Any]:
    """Mark the run of a step as crashed whose worker was lost with this *error*, and return its state."""
    lost = Crashed(message=str(error), data=error)
    if current_run():
        async with get_client() as client:
            with suppress(PrefectHTTPStatusError):  # a step that never began has no run
                await client.set_task_run_state(task_run, Crashed(message=str(error)), force=True)
    return lost


async def _end_task_runs(client: PrefectClient, flow_run: UUID, before: int | None = None) -> None:
    """End the open task runs of *flow_run*, or only those of its attempts *before* this one."""
    state_filter = TaskRunFilterState(type=TaskRunFilterStateType(any_=_OPEN_STATES))
    filters: Any = {
        "flow_run_filter": FlowRunFilter(id=FlowRunFilterId(any_=[flow_run])),
        "task_run_filter": TaskRunFilter(state=state_filter),
    }
    own = 0
    while open_runs := await client.read_task_runs(**filters, offset=own):
        dead = [run for run in open_runs if before is None or run.flow_run_run_count < before]
        own += len(open_runs) - len(dead)
        for task_run in dead:
            await client.set_task_run_state(task_run.id, _crash_state(), force=True)


async def _end_flow_run(client: PrefectClient, flow_run: UUID) -> None:
    try:
        state = (await client.read_flow_run(flow_run)).state
    except ObjectNotFound:  # it was recorded by another server
        return
    if state and not state.is_final():
        await client.set_flow_run_state(flow_run, _crash_state(), force=True)


def _crash_state() -> State[Any]:
    return Crashed(message=_MESSAGE)
