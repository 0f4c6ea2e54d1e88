"""Ask Prefect's server only for the limits of tags that have one."""

from __future__ import annotations

import logging
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import httpx
import prefect.task_engine
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException

from tasks.decorators import in_flow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Generator

log = logging.getLogger("releasekit")

_PAGE = 200
"""How many limits the server returns at most at once."""
_ENGINE_FUNCTIONS = ("_concurrency", "_aconcurrency")
"""What Prefect's engine calls with the tags of a task run, before it begins."""


@asynccontextmanager
async def ask_for_limited_tags() -> AsyncGenerator[None]:
    """Let the task runs of this process ask the server only for tags that have a limit when the block begins.

    Prefect asks before each tagged task run. A server with SQLite refuses some of several such requests at once (503),
    and Prefect repeats them only after two seconds. If the server does not tell its limits, nothing changes.
    """
    limits = await _read_limits() if in_flow() else None
    if limits is None:
        yield
        return
    with ExitStack() as stack:
        for name in _ENGINE_FUNCTIONS:
            stack.enter_context(_replace_function(name, limits))
        yield


@contextmanager
def _replace_function(name: str, limits: Collection[str]) -> Generator[None]:
    engine: Any = prefect.task_engine
    original: Callable[..., Any] = getattr(engine, name)

    def ask(names: list[str], **options: object) -> object:
        limited = [tag for tag in names if tag in limits]
        return original(names=limited, **options) if limited else nullcontext()

    setattr(engine, name, ask)
    try:
        yield
    finally:
        setattr(engine, name, original)


async def _read_limits() -> frozenset[str] | None:
    """Return the names of all limits, "tag:" before those of tags; None if the server does not tell them."""
    names: set[str] = set()
    try:
        async with get_client() as client:
            for offset in range(0, 50 * _PAGE, _PAGE):
                tags = await client.read_concurrency_limits(limit=_PAGE, offset=offset)
                others = await client.read_global_concurrency_limits(limit=_PAGE, offset=offset)
                names |= {f"tag:{limit.tag}" for limit in tags}
                names |= {limit.name for limit in others}
                if max(len(tags), len(others)) < _PAGE:
                    return frozenset(names)
    except (httpx.HTTPError, PrefectException) as error:
        log.debug("the limits of tags are unknown: %s", error)
    return None
