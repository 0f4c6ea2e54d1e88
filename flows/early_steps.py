"""Steps that begin before their server answers: tasks without a flow run, which the run records later."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from copy import copy
from itertools import chain
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.context import TaskRunContext
from prefect.events.clients import AssertingEventsClient
from prefect.events.schemas.events import RelatedResource
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogHandler

from flows.artifacts import current_run
from flows.event_flush import drain, share_clients, without_server
from tasks.step_runs import EARLY_FRONTIER, Frontier, adopt_frontier

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from prefect.events import Event

_LOGGERS = ("releasekit", "prefect.task_runs")
"""The loggers whose lines belong to the log of a run."""
_TASK_RUN = "prefect.task-run."


class _LineKeeper(logging.Handler):
    """Keeps log lines, each with the task run that it belongs to, if there is one."""

    def __init__(self, lines: list[logging.LogRecord]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep *record*."""
        line = copy(record)
        context = TaskRunContext.get()
        if context:
            line.task_run_id = str(context.task_run.id)
        self._lines.append(line)


class EarlySteps:
    """The steps of a release that run before its flow run exists, with their log lines.

    A task run needs no server, because Prefect decides about it in its own process. What the server knows of it comes
    from its events, and these name the flow run in which they are sent.
    """

    def __init__(self) -> None:
        self._frontier = Frontier()
        self._events: list[Event] = []
        self._lines: list[logging.LogRecord] = []

    @asynccontextmanager
    async def collect(self) -> AsyncGenerator[None]:
        """Keep what happens inside the block, for `record`."""
        async with AsyncExitStack() as stack:
            AssertingEventsClient.reset()
            stack.enter_context(without_server(AssertingEventsClient))
            await stack.enter_async_context(share_clients())
            stack.enter_context(_kept_lines(self._lines))
            before = EARLY_FRONTIER.set(self._frontier)
            stack.callback(EARLY_FRONTIER.reset, before)
            try:
                yield
            finally:
                await drain()
                clients = AssertingEventsClient.all
                self._events += chain.from_iterable(client.pop_events() for client in clients)

    def record(self) -> None:
        """Make these steps part of the current flow run. The next steps come after them."""
        run = current_run()
        if run is None:
            return
        adopt_frontier(self._frontier)
        worker = EventsWorker.instance()
        for event in self._events:
            self._complete(event)
            worker.send(event)
        handler = APILogHandler()
        for line in self._lines:
            line.flow_run_id = str(run.id)
            handler.handle(line)

    def _complete(self, event: Event) -> None:
        """Add to the *event* of a task run what Prefect adds to those inside a flow run."""
        resource = event.resource.id
        if not resource.startswith(_TASK_RUN):
            return
        run = UUID(resource.removeprefix(_TASK_RUN))
        tags = self._frontier.tags.get(run, [])
        task_run: dict[str, Any] = event.payload["task_run"]
        task_run["tags"] = tags
        task_run["flow_run_run_count"] = 1
        event.related += [
            RelatedResource.model_validate(
                {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}
            )
            for tag in tags
        ]


@contextmanager
def _kept_lines(lines: list[logging.LogRecord]) -> Generator[None]:
    """Keep the log lines of the block in *lines*."""
    keeper = _LineKeeper(lines)
    loggers = list(map(logging.getLogger, _LOGGERS))
    for logger in loggers:
        logger.addHandler(keeper)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(keeper)
