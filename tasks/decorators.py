"""The parts of Prefect that must also work where it does not run: `@task`, and secrets by name."""

from __future__ import annotations

import inspect
import sys
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.integrations.prefect_server import configured_api
from releasekit.integrations.process import register_secret
from releasekit.integrations.secrets import from_environment

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

FORCE_TASKS: ContextVar[bool] = ContextVar("always", default=False)
"""Whether steps are Prefect tasks outside a flow run too, for their retries. Set by `without_server`.

It is a context variable, like Prefect's own flow run, which it replaces. Code that does not know Prefect calls the
steps, and a parameter would go through all of that code.
"""


def flow_task(name: str, run_name: str = "", **options: object) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a Prefect task called *name* inside a flow run, and leave it a plain function elsewhere.

    *run_name* is the name of its task runs, by default *name*. *options* are other options of `prefect.task`.

    Reading what there is to release takes a second, and importing Prefect takes two. So a dry run never imports it,
    and in a flow the same step is still a task run.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if not (in_flow() or FORCE_TASKS.get()):
                return function(*args, **kwargs)
            from prefect import task
            from prefect.cache_policies import NO_CACHE

            # Nothing is cached: every run reads the facts again, and live objects among them cannot be hashed.
            names = {"name": name, "task_run_name": run_name or name}
            plain: Any = task  # its overloads expect each option by name
            decorator = plain(**names, cache_policy=NO_CACHE, persist_result=False, **options)
            recorded: Callable[..., R] = decorator(function)
            positional, named = quote_arguments(function, *args, **kwargs)
            return keep_alive(recorded(*positional, **named))

        return call

    return decorate


def keep_alive(result: R) -> R:
    """Return *result*, and keep it until this process ends.

    Prefect knows lists and texts that a step has returned by their address in memory, for the edges of the graph. A new
    value at the address of a deleted one would look like that result.
    """
    _kept.append(result)
    return result


_kept: list[object] = []


def quote_arguments(
    function: Callable[P, object], *args: P.args, **kwargs: P.kwargs
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and the named arguments of *function*, also its defaults, closed to Prefect.

    They contain no futures. Otherwise Prefect would search every field of each value for one. In the graph of the run,
    it would draw an edge from each step that has returned any part of a value, or an equal text.
    """
    from prefect.utilities.annotations import quote

    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    return tuple(map(quote, bound.args)), {name: quote(value) for name, value in bound.kwargs.items()}


def in_flow() -> bool:
    """Return whether Prefect records what happens here as part of a flow run."""
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext

    return FlowRunContext.get() is not None


def read_secret(name: str) -> str:
    """Return the secret *name*: an environment variable if it is in upper case, otherwise a Prefect Secret block.

    Prefect allows only lower case, digits and dashes in a block's name. Raises Refusal RK-SECRET-UNKNOWN.
    """
    if name.upper() == name:
        return from_environment(name)
    if not configured_api():
        message = f"the Secret block {name} cannot be read: no Prefect API is configured"
        raise Refusal(
            ErrorCode.SECRET_UNKNOWN, message, name, "Set PREFECT_API_URL, or name an environment variable instead."
        )
    from prefect.blocks.system import Secret

    blocks: Any = Secret  # Prefect's types know neither that it can be loaded without a loop, nor what it returns
    try:
        value = str(blocks.load(name, _sync=True).get())
    except ValueError as error:  # Prefect raises it for an unknown block
        raise Refusal(ErrorCode.SECRET_UNKNOWN, f"there is no Secret block {name}", name) from error
    register_secret(value)
    return value
