"""The task runner that the settings name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from releasekit.core.errors import ErrorCode, Refusal
from tests.core.release.test_stage_job import JOB
from tests.support.builders import settings_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("runner", "options", "reason"),
    [
        ("company.runners:Cluster", {}, "company.runners cannot be imported: No module named"),
        ("prefect.task_runners:Cluster", {}, "prefect.task_runners:Cluster is no task runner"),
        ("json:dumps", {}, "json:dumps is no task runner of Prefect"),
        ("processes", {"address": "tcp://scheduler:8786"}, "it does not start: "),
    ],
)
def test_unusable_runner_is_refused(
    runner: str, options: dict[str, str], reason: str, prefect_client: Path
) -> None:
    """A task runner that does not exist, or does not accept its options, is a refusal and no traceback."""
    from flows.task_runners import open_task_runner

    assert prefect_client
    settings = settings_of(task_runner=runner, task_runner_options=options)

    with pytest.raises(Refusal) as caught, open_task_runner(settings):
        pass

    assert caught.value.code is ErrorCode.TASK_RUNNER
    assert caught.value.message.startswith(reason)


@pytest.mark.parametrize(
    ("settings", "slots"),
    [
        ({"build_concurrency": 3}, 3),
        (
            {
                "build_concurrency": 3,
                "task_runner": "dask",
                "task_runner_options": {"address": "x"},
            },
            3,
        ),
        ({"task_runner": "dask", "task_runner_options": {"address": "tcp://scheduler:8786"}}, 50),
        ({"task_runner": "dask", "build_concurrency": 2}, 2),
    ],
)
def test_cluster_gets_all_packages(
    settings: dict[str, object], slots: int, prefect_client: Path
) -> None:
    """A cluster decides how many of the packages it builds at the same time, unless a key says so."""
    from flows.task_runners import build_slots

    assert prefect_client
    assert build_slots(settings_of(**settings), 50) == slots


def test_blind_worker_refuses_the_build(tmp_path: Path, prefect_client: Path) -> None:
    """A worker that sees neither the record nor a storage says so, instead of a missing file."""
    from tasks import build

    assert prefect_client
    job = JOB.model_copy(update={"record": str(tmp_path / "elsewhere")})

    with pytest.raises(Refusal) as caught:
        build.stage.fn(job)

    assert caught.value.code is ErrorCode.STAGE_STORAGE
    assert "this machine does not see the release" in caught.value.message


@pytest.mark.parametrize(("runner", "is_early"), [("threads", True), ("processes", False)])
def test_only_threads_stage_early(runner: str, is_early: bool, prefect_client: Path) -> None:
    """A release whose builds run in other processes waits for the server, which their events need."""
    from flows.started_release import can_stage_early

    assert prefect_client
    release = SimpleNamespace(settings=settings_of(task_runner=runner))
    plan, options = SimpleNamespace(platforms=()), SimpleNamespace(stage_only=False)
    started: Any = SimpleNamespace(release=release, plan=plan, options=options)

    assert can_stage_early(started) is is_early
