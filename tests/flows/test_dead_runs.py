"""What becomes of the task runs that a killed attempt of the same flow run has left open."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from releasekit.store.record import PLAN, Record

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID


def test_retry_ends_earlier_task_runs(tmp_path: Path, prefect_api: str) -> None:
    """The second attempt of a flow run marks the open task runs of the first as crashed, and keeps its own."""
    from prefect import flow, task
    from prefect.client.orchestration import get_client
    from prefect.context import FlowRunContext
    from prefect.states import Running

    from flows.dead_runs import end_dead_runs

    assert prefect_api
    record = Record(tmp_path)
    (tmp_path / PLAN).touch()  # the release has begun
    opened: list[UUID] = []

    @task
    def step() -> None: ...

    @flow(retries=1)
    async def attempts() -> None:
        context = FlowRunContext.get()
        assert context
        assert context.flow_run
        async with get_client() as client:
            key = f"step-{len(opened)}"
            run = await client.create_task_run(step, context.flow_run.id, key)
            await client.set_task_run_state(run.id, Running())
            opened.append(run.id)
        if len(opened) == 1:
            raise RuntimeError("killed")
        await end_dead_runs(record, record.flow_run())

    async def states() -> list[str]:
        async with get_client() as client:
            runs = [await client.read_task_run(run) for run in opened]
        return [str(run.state_name) for run in runs]

    running: Any = attempts()
    asyncio.run(running)

    assert asyncio.run(states()) == ["Crashed", "Running"]
    assert record.flow_run()
