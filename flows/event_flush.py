"""Make sure that Prefect's database has the whole run before this process ends; and run without a server."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, cast

import prefect.settings
from prefect.context import (
    AsyncClientContext,
    SettingsContext,
    SyncClientContext,
    get_settings_context,
    refresh_global_settings_context,
)
from prefect.events.clients import (
    AssertingPassthroughEventsClient,
    EventsClient,
    NullEventsClient,
)
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogHandler

from releasekit.integrations.prefect_server import NO_SERVER_SETTINGS, TERMINAL_STATES
from tasks.decorators import FORCE_TASKS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from prefect.settings import Settings
    from pydantic import BaseModel

    from releasekit.integrations.prefect_server import Server

log = logging.getLogger("releasekit")

PATIENCE = 30.0
"""Seconds without any new record in the database, after which the rest counts as lost."""


def use_api(url: str) -> None:
    """Set the address of Prefect's API for this process. Prefect itself reads it only when it is imported."""
    os.environ["PREFECT_API_URL"] = url
    refresh_global_settings_context()


class TaskRunCounter:
    """Counts the task runs that have ended in this process, from Prefect's events."""

    def __init__(self) -> None:
        self._ended: set[str] = set()

    def count_ended(self) -> int:
        """Return how many have ended until now."""
        for client in AssertingPassthroughEventsClient.all:
            for event in client.pop_events():
                state: Any = event.payload.get("validated_state") or {}
                if (
                    event.event.startswith("prefect.task-run.")
                    and state.get("type") in TERMINAL_STATES
                ):
                    self._ended.add(event.resource.id)
        return len(self._ended)


@asynccontextmanager
async def count_task_runs() -> AsyncGenerator[TaskRunCounter]:
    """Count the task runs that end inside the block, for `wait_until_persisted`.

    Task runs reach the database only as events: through a queue here, a socket, a queue on the server and a batch.
    None of these reports when it is empty.
    """
    counter = TaskRunCounter()
    AssertingPassthroughEventsClient.reset()
    # It also sends them; a subclass would not work.
    EventsWorker.set_client_override(AssertingPassthroughEventsClient)

    async def forget() -> None:
        while True:
            counter.count_ended()  # the client keeps every event until it is read, and a big release has many
            await asyncio.sleep(1)

    forget_task = asyncio.create_task(forget())
    try:
        yield counter
    finally:
        forget_task.cancel()
        EventsWorker.set_client_override(None)


async def drain() -> None:
    """Send what Prefect still buffers, before its server stops. Otherwise our exit would wait for that server."""
    await APILogHandler.aflush()
    events: Any = EventsWorker.drain_all()
    await events


async def wait_until_persisted(server: Server, flow_run: str, expected: int) -> None:
    """Return once the *expected* number of ended task runs of *flow_run* is in the database: the server may stop then.

    If the number stops growing, or the server does not answer, this logs a warning and returns.
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


def _replace(settings: BaseModel, path: str, value: object) -> BaseModel:
    """Return *settings* with *value* at *path*, such as "api.url".

    Prefect's `temporary_settings` reads and validates all settings again, for 0.12 CPU-seconds.
    """
    name, _, rest = path.partition(".")
    new = _replace(getattr(settings, name), rest, value) if rest else value
    return settings.model_copy(update={name: new})


@contextmanager
def without_server(
    events: type[EventsClient] = NullEventsClient,
) -> Generator[None]:
    """Let tasks run inside the block without a server.

    They run as usual, with retries and with results on disk, because Prefect decides about tasks in their own process.
    Only its events about them go to a client *events*, which by default drops them. A flow run needs a server,
    so flows are called as functions.
    """
    EventsWorker.set_client_override(events)
    before = FORCE_TASKS.set(True)
    settings: BaseModel = prefect.settings.get_current_settings()
    for name, value in NO_SERVER_SETTINGS.items():
        settings = _replace(settings, getattr(prefect.settings, name).accessor, value)
    profile = get_settings_context().profile
    try:
        with SettingsContext(profile=profile, settings=cast("Settings", settings)):
            yield
    finally:
        FORCE_TASKS.reset(before)
        EventsWorker.set_client_override(None)


@asynccontextmanager
async def share_clients() -> AsyncGenerator[None]:
    """Let the tasks inside the block share Prefect's clients, as in a flow run. Otherwise each task makes its own."""
    with SyncClientContext.get_or_create():
        async with AsyncClientContext.get_or_create():
            yield
