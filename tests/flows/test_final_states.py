"""The state in which a run ends that an error stops."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.planning.model import Obstacle
from releasekit.core.release.pr_status import ReleasePullRequest

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

pytestmark = pytest.mark.usefixtures("prefect_client")

DIRTY = Refusal(ErrorCode.PREFLIGHT_DIRTY_WORKTREE, "uncommitted changes", "a.py", "Commit them.")
TIMEOUT = ReleaseError(
    ErrorCode.COMMAND_TIMEOUT, "git did not end", "git fetch", "Try again.", "last words"
)
REJECTED = Refusal(ErrorCode.NOT_CONFIRMED, "rejected: not today")


def end_with(error: Exception) -> State[Any]:
    """Return the state of a flow that raises *error*."""
    from flows.final_states import end_in_error_state

    @end_in_error_state
    async def raise_error(_: object) -> None:
        raise error

    async def call() -> State[Any]:
        state = await raise_error(None)
        assert state is not None
        return state

    return asyncio.run(call())


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (DIRTY, ("FAILED", "Refused: RK-PREFLIGHT-DIRTY-WORKTREE", f"{DIRTY}\nCommit them.")),
        (TIMEOUT, ("FAILED", "Failed", f"{TIMEOUT}\nTry again.\nlast words")),
        (REJECTED, ("CANCELLED", "Not approved", "rejected: not today")),
    ],
)
def test_error_gives_final_state(error: ReleaseError, state: tuple[str, str, str]) -> None:
    """A refusal is named, a failure has its text and output, a no is a cancellation; the error stays the result."""
    ended = end_with(error)

    assert (ended.type.value, ended.name, ended.message) == state
    assert ended.data is error


def test_bug_keeps_its_exception() -> None:
    """An exception that is not ours comes out, so that Prefect logs where it happened."""
    with pytest.raises(LookupError, match="a bug"):
        end_with(LookupError("a bug"))


def test_obstacles_refuse_dry_prepare() -> None:
    """A dry run of `prepare` that finds obstacles is refused, and its result is the pull request."""
    from flows.final_states import pull_request_state

    stopped = Obstacle.model_validate(
        {"code": DIRTY.code, "what": "uncommitted", "hint": "Commit them."}
    )
    release_pr = ReleasePullRequest(stage="open", what="2 packages", obstacles=(stopped,))
    refused = pull_request_state(release_pr)
    completed = pull_request_state(release_pr.model_copy(update={"obstacles": ()}))

    assert (refused.name, refused.message) == (
        f"Refused: {DIRTY.code}",
        f"{DIRTY.code}: uncommitted\nCommit them.",
    )
    assert (completed.name, completed.message) == ("Completed", "2 packages")


@pytest.mark.parametrize(
    ("error", "shown"), [(DIRTY, False), (TIMEOUT, False), (LookupError("a bug"), True)]
)
def test_only_bugs_show_tracebacks(error: Exception, *, shown: bool) -> None:
    """Prefect's traceback of a step is logged for a bug, and not for an error that has a code."""
    from flows.final_states import is_worth_telling

    try:
        raise error
    except type(error):
        record = logging.LogRecord(
            "prefect.task_runs", logging.ERROR, "", 0, "it failed", (), sys.exc_info()
        )

    assert is_worth_telling(record) is shown
    assert not is_worth_telling(
        logging.LogRecord("prefect.task_runs", 40, "", 0, "Blocked", (), (None, None, None))
    )
