"""The task runner that the settings name: what runs the builds of a release."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from prefect.context import FlowRunContext
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.integrations.process import mask
from releasekit.store.stage_exchange import StageExchange

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from releasekit.core.config.settings import Settings
    from tasks.context import ReleaseContext

_DISTRIBUTED = {"dask": "prefect_dask:DaskTaskRunner", "ray": "prefect_ray:RayTaskRunner"}
"""The short names of task runners that other packages have."""
_LOCAL = frozenset({"threads", "processes"})
"""The task runners that run on this machine alone."""


@contextmanager
def open_task_runner(settings: Settings) -> Generator[TaskRunner[Any]]:
    """Yield the started task runner of the *settings*. Threads are those of the flow run, if there is one.

    Raises Refusal RK-TASK-RUNNER if it does not exist, or cannot start.
    """
    flow_run = FlowRunContext.get()
    if builds_on_threads(settings) and flow_run:
        yield flow_run.task_runner
        return
    with ExitStack() as stack:
        yield _start(settings, stack)


def build_concurrency(settings: Settings) -> int:
    """Return how many packages may be built at the same time."""
    return settings.build_concurrency or os.cpu_count() or 1


def builds_on_threads(settings: Settings) -> bool:
    """Return whether threads of this process run the builds."""
    return settings.task_runner == "threads"


def build_slots(settings: Settings, packages: int) -> int:
    """Return how many of the *packages* are given to the task runner at the same time.

    Nobody here knows how many workers a cluster has, so it gets all of them unless the settings say how many.
    """
    is_cluster = settings.task_runner not in _LOCAL and bool(settings.task_runner_options)
    is_unlimited = is_cluster and not settings.build_concurrency
    return max(packages, 1) if is_unlimited else build_concurrency(settings)


def runs_here(runner: TaskRunner[Any]) -> bool:
    """Return whether *runner* runs tasks in threads of this process."""
    return isinstance(runner, ThreadPoolTaskRunner)


def accepts_quote(runner: TaskRunner[Any]) -> bool:
    """Return whether *runner* brings a quoted parameter to a task. Dask takes it apart: it is a tuple with a name."""
    return isinstance(runner, ThreadPoolTaskRunner | ProcessPoolTaskRunner)


def on_threads(release: ReleaseContext) -> ReleaseContext:
    """Return *release* so that its packages are built by threads of this process, whatever the settings say."""
    settings = release.settings.model_copy(
        update={"task_runner": "threads", "task_runner_options": {}}
    )
    return replace(release, settings=settings)


def exchange_of(release: ReleaseContext) -> StageExchange | None:
    """Return the storage through which workers of the task runner get and give files; None if they see the record."""
    settings = release.settings
    is_shared = settings.task_runner in _LOCAL or not settings.stage_storage
    return None if is_shared else StageExchange(release.stage_storage)


def _start(settings: Settings, stack: ExitStack) -> TaskRunner[Any]:
    """Return the task runner, which ends with the *stack*."""
    try:
        runner = _constructor(settings)(**settings.task_runner_options)
        return stack.enter_context(runner)
    except Refusal:
        raise
    except Exception as error:
        message = f"it does not start: {mask(str(error)) or type(error).__name__}"
        raise Refusal(ErrorCode.TASK_RUNNER, message, settings.task_runner) from error


def _constructor(settings: Settings) -> Callable[..., TaskRunner[Any]]:
    """Return what makes the task runner; with a place for each build that may run, unless the options say otherwise."""
    name, places = settings.task_runner, build_concurrency(settings)
    if name == "threads":
        return partial(ThreadPoolTaskRunner[Any], max_workers=places)
    if name == "processes":
        return partial(ProcessPoolTaskRunner, max_workers=places)
    runner_class = _import_runner(_DISTRIBUTED.get(name, name))
    return partial(runner_class, **_local_cluster(name, settings.task_runner_options, places))


def _local_cluster(name: str, options: Mapping[str, Any], places: int) -> dict[str, Any]:
    """Return the options of Dask's own cluster on this machine: one process for each build."""
    is_wanted = name == "dask" and not options
    return {"cluster_kwargs": {"n_workers": places, "threads_per_worker": 1}} if is_wanted else {}


def _import_runner(path: str) -> Callable[..., TaskRunner[Any]]:
    """Return the class at the import *path* `module:name`; raises Refusal RK-TASK-RUNNER."""
    module_name, _, name = path.partition(":")
    try:
        module: Any = import_module(module_name)
    except ImportError as error:
        message = f"{module_name} cannot be imported: {error}"
        raise Refusal(ErrorCode.TASK_RUNNER, message, path) from None
    runner_class: Any = getattr(module, name, None)
    if not _is_task_runner(runner_class):
        raise Refusal(ErrorCode.TASK_RUNNER, f"{path} is no task runner of Prefect", module_name)
    return runner_class


def _is_task_runner(candidate: object) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, TaskRunner)
