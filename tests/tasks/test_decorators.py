"""Steps as Prefect tasks: what they return and raise is the same as without Prefect."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("prefect_client")

DIRTY = Refusal(ErrorCode.PREFLIGHT_DIRTY_WORKTREE, "uncommitted changes", "a.py")
TIMEOUT = ReleaseError(ErrorCode.COMMAND_TIMEOUT, "git did not end")


def run_step(error: ReleaseError | None) -> str:
    """Run a step as a task that raises *error*."""

    @flow_task("read", stage="decide")
    def read(error: ReleaseError | None) -> str:
        if error:
            raise error
        return "text"

    return read(error)


def run_async_step(error: ReleaseError | None) -> str:
    """Run a step that is a coroutine."""

    @flow_task("ask", stage="decide")
    async def ask(error: ReleaseError | None) -> str:
        if error:
            raise error
        return "text"

    async def call() -> str:
        return await ask(error)

    return asyncio.run(call())


@pytest.mark.parametrize("run", [run_step, run_async_step])
def test_steps_raise_their_errors(run: Callable[[ReleaseError | None], str]) -> None:
    """A step as a task returns its result, and raises its errors: a refusal, which it returns as a state, too."""
    from flows.event_flush import without_server

    with without_server():
        assert run(None) == "text"
        for error in (TIMEOUT, DIRTY):
            with pytest.raises(ReleaseError) as failed:
                run(error)
            assert failed.value is error
