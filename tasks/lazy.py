"""`@task` for the steps that also run without Prefect."""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def lazy_task(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a Prefect task called *name* inside a flow run, and leave it a plain function elsewhere.

    Reading what there is to release takes a second, and importing Prefect two; so a dry run never imports it, and
    the same step is still seen as a task run when a flow does it.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if not in_flow():
                return function(*args, **kwargs)
            from prefect import task
            from prefect.cache_policies import NO_CACHE

            # Facts are read afresh in every run, and live objects among them cannot be hashed: nothing to cache.
            options = task(name=name, task_run_name=name, cache_policy=NO_CACHE, persist_result=False)
            recorded: Callable[P, R] = options(function)
            return recorded(*args, **kwargs)

        return call

    return decorate


def in_flow() -> bool:
    """Tell whether Prefect records what happens here as part of a flow run."""
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext

    return FlowRunContext.get() is not None
