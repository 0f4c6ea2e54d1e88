"""The parts of Prefect that must also work where it does not run: `@task`, and secrets by name."""

from __future__ import annotations

import inspect
import sys
from contextvars import ContextVar
from functools import partial, wraps
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


def flow_task(
    name: str, run_name: str = "", *, stage: str, **options: object
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a Prefect task called *name* inside a flow run, and leave it a plain function elsewhere.

    *run_name* is the name of its task runs, by default *name*; it may contain parameters in braces. *stage* is the
    stage of the pipeline that it belongs to. *options* are other options of `prefect.task`.

    Reading what there is to release takes a second, and importing Prefect takes two. So a dry run never imports it,
    and in a flow the same step is still a task run.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if not (in_flow() or FORCE_TASKS.get()):
                return function(*args, **kwargs)
            from tasks.step_runs import run_recorded

            arguments = signature.bind(*args, **kwargs)
            arguments.apply_defaults()
            label = (run_name or name).format(**arguments.arguments)
            # Prefect formats the name once more, and a branch or a tag may contain braces.
            names = {"name": name, "task_run_name": label.replace("{", "{{").replace("}", "}}")}
            return run_recorded(partial(function, *args, **kwargs), stage, {**names, **options})

        return call

    return decorate


def in_flow() -> bool:
    """Return whether Prefect records what happens here as part of a flow run."""
    module = sys.modules.get("prefect.context")
    context = getattr(module, "FlowRunContext", None)  # None while another thread imports Prefect
    return context is not None and context.get() is not None


def read_secret(name: str) -> str:
    """Return the secret *name*: an environment variable if it is in upper case, otherwise a Prefect Secret block.

    Prefect allows only lower case, digits and dashes in a block's name. Raises Refusal RK-SECRET-UNKNOWN.
    """
    if name.upper() == name:
        return from_environment(name)
    if not configured_api():
        message = f"the Secret block {name} cannot be read: no Prefect API is configured"
        raise Refusal(
            ErrorCode.SECRET_UNKNOWN,
            message,
            name,
            "Set PREFECT_API_URL, or name an environment variable instead.",
        )
    from prefect.blocks.system import Secret

    blocks: Any = Secret  # Prefect's types know neither that it can be loaded without a loop, nor what it returns
    try:
        value = str(blocks.load(name, _sync=True).get())
    except ValueError as error:  # Prefect raises it for an unknown block
        raise Refusal(ErrorCode.SECRET_UNKNOWN, f"there is no Secret block {name}", name) from error
    register_secret(value)
    return value
