"""Builds on Dask: two worker processes that share nothing with the release but a storage."""

from __future__ import annotations

import json
import re
import sys
import uuid
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from releasekit.integrations.process import Command, background
from tests.deployments.test_deployments import ADA, Worker, until
from tests.stories.test_recorded import Recorder
from tests.stories.test_settings import outcomes, own_backend
from tests.support.world import make_world

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

RELEASE = ("publish", "--yes", "--skip-audit", "--skip-smoke-test", "--format", "json")
SPY = """\
import os, pathlib, time
pathlib.Path({told!r}).open("a").write(f"{{os.getcwd()}} {{os.environ['DASK_TEST_NAME']}}\\n")
while pathlib.Path({gate!r}).read_text() == "wait": time.sleep(0.1)
"""


@contextmanager
def dask(directory: Path, name: str, *words: str) -> Generator[Worker]:
    """Run a scheduler or a worker of Dask inside the block, with directories of its own."""
    home, mark = directory / name, str(uuid.uuid4())
    (home / "tmp").mkdir(parents=True)
    env: dict[str, str | None] = {
        "DASK_TEST_MARK": mark,
        "DASK_TEST_NAME": name,
        "TMPDIR": str(home / "tmp"),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_LOCAL_STORAGE_PATH": str(directory / "results"),
        **ADA,
    }
    running = Worker(f"DASK_TEST_MARK={mark}", home / "log")
    try:
        command = Command(
            (sys.executable, "-m", "distributed.cli." + words[0], *words[1:]), home, env
        )
        with background(command, running.log):
            yield running
    finally:
        running.kill()


@pytest.mark.skipif(not find_spec("prefect_dask"), reason="needs `uv run --with prefect-dask`")
def test_dask_workers_build_the_packages(
    tmp_path: Path,
    prefect_api: str,
    own_index: EmbeddedIndex,
    storage_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Workers see neither clone nor record; a killed one is replaced, and a failed build uploads nothing."""
    assert prefect_api
    told, gate = tmp_path / "told", tmp_path / "gate"
    gate.write_text("wait")
    monkeypatch.setenv("PREFECT_LOCAL_STORAGE_PATH", str(tmp_path / "results"))
    keys = f'task_runner = "dask"\nstage_storage = "{storage_url}"\nbuild_env = ["DASK_TEST_*"]'
    world = make_world(tmp_path, "app: core; core; lone", keys)
    own_backend(world, "core", SPY.format(told=str(told), gate=str(gate)))
    path = "packages/app/pyproject.toml"
    needs = (world.root / path).read_text().replace('"uv_build>=0.9"]', '"uv_build>=0.9", "core"]')
    world.commit("build: core first", {path: needs})
    world.git("push", "--quiet")

    with ExitStack() as stack:
        scheduler = stack.enter_context(
            dask(tmp_path, "scheduler", "dask_scheduler", "--no-dashboard", "--port", "0")
        )
        until(lambda: re.search(r"tcp://\S+:\d+", scheduler.said()), scheduler)
        (address,) = set(re.findall(r"tcp://[\d.]+:\d+", scheduler.said()))
        options = ("--nthreads", "1", "--no-dashboard", "--no-nanny")
        one = stack.enter_context(dask(tmp_path, "one", "dask_worker", address, *options))
        monkeypatch.setenv("RELEASEKIT_TASK_RUNNER_OPTIONS", json.dumps({"address": address}))

        def replace_worker() -> None:
            until(lambda: told.exists() and " one\n" in told.read_text(), one)
            stack.enter_context(dask(tmp_path, "two", "dask_worker", address, *options))
            one.kill()
            gate.write_text("go on")

        killer = Thread(target=replace_worker)
        killer.start()
        begun = datetime.now(UTC)
        said = world.releasekit(*RELEASE)
        killer.join()

        assert outcomes(said) == {"app": "confirmed", "core": "confirmed", "lone": "confirmed"}
        places = [line.split(" ") for line in told.read_text().splitlines()]
        assert {name for _, name in places} == {"one", "two"}
        assert not [place for place, _ in places if place.startswith(str(world.root))]
        recorder = Recorder(prefect_api)
        states = recorder.tasks_of(recorder.run_since(begun), "stage-app", "stage-core")
        assert {task["state_type"] for task in states.values()} == {"COMPLETED"}
        logs = recorder.all("logs", logs={"task_run_id": {"any_": [states["stage-app"]["id"]]}})
        assert "pinned in packages/app" in "".join(line["message"] for line in logs)
        sent = len([request for request in own_index.requests() if request.uploaded_file])

        own_backend(world, "lone", "raise SystemExit('no compiler here')")
        world.commit("fix: app", {"packages/app/src/app/__init__.py": "FIXED = True\n"})
        world.git("push", "--quiet")
        failed = world.releasekit(*RELEASE, "--force-unchanged")

    report = {package["name"]: package for package in json.loads(failed.out)["packages"]}
    assert failed.code == 1
    assert report["lone"]["outcome"] == "failed"
    assert "RK-BUILD-FAILED" in report["lone"]["error"]
    assert "no compiler here" in report["lone"]["output"]
    assert report["app"]["outcome"] == "built"
    assert len([request for request in own_index.requests() if request.uploaded_file]) == sent
