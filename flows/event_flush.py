"""What Prefect's database holds of a run when this process goes; and a run without any server."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from prefect.events.clients import AssertingPassthroughEventsClient, NullEventsClient
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogHandler

from releasekit.integrations.prefect_server import TERMINAL_STATES
from tasks.decorators import FORCE_TASKS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from releasekit.integrations.prefect_server import Server

log = logging.getLogger("releasekit")

PATIENCE = 30.0
"""Seconds in which nothing more reaches the database before the rest counts as lost."""


class TaskRunCounter:
    """The task runs that have ended in this process, as Prefect's events tell."""

    def __init__(self) -> None:
        self._ended: set[str] = set()

    def count_ended(self) -> int:
        """Return how many there are so far."""
        for client in AssertingPassthroughEventsClient.all:
            for event in client.pop_events():
                state: Any = event.payload.get("validated_state") or {}
                if event.event.startswith("prefect.task-run.") and state.get("type") in TERMINAL_STATES:
                    self._ended.add(event.resource.id)
        return len(self._ended)


@asynccontextmanager
async def count_task_runs() -> AsyncGenerator[TaskRunCounter]:
    """Count the task runs that end inside the block, for `wait_until_persisted`.

    Task runs reach the database as events alone: through a queue of ours, a socket, a queue of the server's and a
    batch, and none of them tells when it has come to its end.
    """
    counter = TaskRunCounter()
    AssertingPassthroughEventsClient.reset()
    EventsWorker.set_client_override(AssertingPassthroughEventsClient)  # sends them too; no subclass of ours would do

    async def forget() -> None:
        while True:
            counter.count_ended()  # it keeps every event until it is asked, and a big release has many
            await asyncio.sleep(1)

    forget_task = asyncio.create_task(forget())
    try:
        yield counter
    finally:
        forget_task.cancel()
        EventsWorker.set_client_override(None)


async def drain() -> None:
    """Send what Prefect still holds back, before its server goes; else it would wait for that server at our end."""
    await APILogHandler.aflush()
    events: Any = EventsWorker.drain_all()
    await events


async def wait_until_persisted(server: Server, flow_run: str, expected: int) -> None:
    """Return once as many ended task runs of *flow_run* are in the database, for then the server may go.

    If it makes no headway any more, or does not answer, that is said and no more.
    """
    seen, since = 0, time.monotonic()
    while seen < expected:
        try:
            now = await asyncio.to_thread(server.count_ended_task_runs, flow_run)
        except (OSError, ValueError):
            now = seen
        if now > seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            log.warning("%d of %d task runs are not recorded", expected - seen, expected)
            return
        await asyncio.sleep(0.1)


@contextmanager
def without_server() -> Generator[None]:
    """Let tasks run inside the block without a server; NO_SERVER_SETTINGS must have been set.

    They run as ever, with retries and with results on disk, for Prefect decides about tasks where they run; only what
    it tells about them goes nowhere. A flow run cannot be had without a server, so flows are called as functions.
    """
    EventsWorker.set_client_override(NullEventsClient)
    before = FORCE_TASKS.set(True)
    try:
        yield
    finally:
        FORCE_TASKS.reset(before)
        EventsWorker.set_client_override(None)
