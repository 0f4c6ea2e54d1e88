"""The state in which a run ends: Refused, not approved, failed or completed."""

from __future__ import annotations

import logging
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from prefect.states import Cancelled, Completed, Failed

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.integrations.process import mask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from prefect.client.schemas.objects import State

    from releasekit.core.release.pr_status import ReleasePullRequest
    from releasekit.core.release.report import ReleaseReport

M = TypeVar("M")
R = TypeVar("R")


def end_in_error_state(
    function: Callable[[M], Awaitable[R]],
) -> Callable[[M], Awaitable[R | State[Any]]]:
    """Let a flow return the state of a ReleaseError instead of raising it.

    The run then tells the error once, in its final state. If the flow raised it, Prefect would log a traceback before.
    """

    @wraps(function)
    async def call(options: M) -> R | State[Any]:
        for name in _ENGINE_LOGGERS:
            logging.getLogger(name).addFilter(is_worth_telling)
        try:
            return await function(options)
        except ReleaseError as error:
            return error_state(error)

    return call


_ENGINE_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")


def is_worth_telling(record: logging.LogRecord) -> bool:
    """Return whether a line of Prefect tells something that the line about the final state does not tell.

    Prefect logs the failure of a step with its traceback before. A ReleaseError, or a state that a step has returned,
    needs no traceback.
    """
    if not record.exc_info:
        return True
    exception = record.exc_info[1]
    return exception is not None and not isinstance(exception, ReleaseError)


def error_state(error: ReleaseError) -> State[Any]:
    """Return the state of a run that *error* ends. The name of a refusal has its code."""
    if error.code is ErrorCode.NOT_CONFIRMED:
        return Cancelled(name="Not approved", message=mask(error.message), data=error)
    text = mask("\n".join(filter(None, (error.full_text, error.output))))
    if isinstance(error, Refusal):
        return _refused_state(error.code, text, error)
    return Failed(message=text, data=error)


def final_state(report: ReleaseReport) -> State[Any]:
    """Return the state in which a run with this *report* ends."""
    if report.is_successful:
        return Completed(message=report.summary, data=report)
    name = "Continues later" if report.continues_at else "Failed"
    return Failed(name=name, message=report.summary, data=report)


def pull_request_state(release_pr: ReleasePullRequest) -> State[Any]:
    """Return the state of a run that ends with *release_pr*: refused if a dry run has found obstacles."""
    obstacles = release_pr.obstacles
    if not obstacles:
        return Completed(message=release_pr.what, data=release_pr)
    text = "\n".join(f"{obstacle}\n{obstacle.hint}" for obstacle in obstacles)
    return _refused_state(obstacles[0].code, mask(text), release_pr)


def _refused_state(code: ErrorCode, text: str, data: object) -> State[Any]:
    return Failed(name=f"Refused: {code}", message=text, data=data)
