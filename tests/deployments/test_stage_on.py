"""Native wheels by Prefect: a worker of each platform clones the running release, builds, and leaves its wheels."""

from __future__ import annotations

import json
from contextlib import ExitStack
from threading import Thread
from typing import TYPE_CHECKING

from releasekit.integrations.git import LOCK_REF
from tests.deployments.test_deployments import ask, prefect, save_blocks, until, worker
from tests.stories.test_platforms import (
    ELSEWHERE,
    HERE,
    PYTHON,
    REPAIR,
    WAIVER,
    make_native,
    needs_compiler,
    with_dead_plugin,
)

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from releasekit.integrations.peryx import EmbeddedIndex
    from tests.support.world import World

WAITING = f"waiting-for-{ELSEWHERE}"
MESON = """\
project('gear', 'c')
python = import('python').find_installation(pure: false)
python.extension_module('fast', 'fast.c', subdir: 'gear', install: true)
python.install_sources('gear/__init__.py', subdir: 'gear')
"""
GEAR = """\
[project]
name = "gear"
version = "0.1.0"
requires-python = ">=3.11"
license = "MIT"
dependencies = ["core"]

[build-system]
requires = ["meson-python>=0.18", "ninja"]
build-backend = "mesonpy"

[tool.releasekit]
"""


def make_two_native(directory: Path, storage_url: str, gate: Path) -> World:
    """Make a workspace with two native packages; a build of core waits while *gate* says "wait"."""
    world = make_native(
        directory,
        f'stage_storage = "{storage_url}"\n{WAIVER}\n',
        build_first=f"import pathlib, time\nwhile pathlib.Path({str(gate)!r}).read_text() == 'wait': time.sleep(0.1)\n",
    )
    core = (world.root / "packages/core/pyproject.toml").read_text()
    world.write(
        {
            "packages/gear/pyproject.toml": with_dead_plugin(GEAR, "gear")
            + core.partition("[tool.releasekit]\n")[2],
            "packages/gear/meson.build": MESON,
            "packages/gear/gear/__init__.py": "from gear.fast import answer\n",
            "packages/gear/fast.c": (world.root / "packages/core/src/core/fast.c").read_text(),
            "packages/gear/repair.py": (world.root / "packages/core/repair.py").read_text(),
        }
    )
    text = (world.root / "pyproject.toml").read_text()
    world.write(
        {
            "pyproject.toml": text.replace(
                "[tool.uv.sources]\n", "[tool.uv.sources]\ngear = {workspace = true}\n"
            )
        }
    )
    world.lock()
    world.git("push", "--quiet", "origin", "main")
    return world


def last_run_states(api: str) -> set[str]:
    """Return the types of state of the last two runs on workers, one a platform."""
    deployment = {"name": {"any_": ["stage-on"]}}
    runs = ask(api, "flow_runs", deployments=deployment, sort="EXPECTED_START_TIME_DESC", limit=2)
    return {run["state_type"] for run in runs}


@needs_compiler
def test_workers_build_their_platform(
    tmp_path: Path,
    prefect_api: str,
    own_index: EmbeddedIndex,
    storage_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each worker builds on its own queue; one that dies is replaced, and the index has what the manifest says.

    A queue without workers is named after some seconds. A build that fails on a worker stops the next release, and the
    other platform still ends its own. A build that fails here cancels those of the workers.
    """
    gate = tmp_path / "gate"
    gate.write_text("wait")
    monkeypatch.setattr("flows.worker_wheels.SECONDS_UNTIL_LOST", 20.0)
    monkeypatch.setattr("flows.worker_wheels.SECONDS_UNTIL_TOLD", 1.0)
    world = make_two_native(tmp_path, storage_url, gate)
    prefect("work-pool", "create", "releasekit", "--type", "process", "--overwrite")
    prefect("variable", "set", "releasekit_workspace", f"file://{world.remote}", "--overwrite")
    prefect("deploy", "--name", "stage-on")

    save_blocks(tmp_path / "results", "unused")

    with ExitStack() as stack:
        one = stack.enter_context(worker(tmp_path, "one", "--work-queue", "linux"))

        def replace_worker() -> None:
            until(
                lambda: ask(prefect_api, "artifacts", artifacts={"key": {"any_": [WAITING]}}), one
            )
            stack.enter_context(worker(tmp_path, "two", "--work-queue", ELSEWHERE))
            until(lambda: any("repair.py" in line for line in one.processes().values()), one)
            one.kill()
            gate.write_text("go on")
            stack.enter_context(worker(tmp_path, "three", "--work-queue", "linux"))

        killer = Thread(target=replace_worker, daemon=True)
        killer.start()
        said = world.releasekit(
            "publish", "--yes", "--allow-new", "all", "--skip-audit", "--format", "json"
        )
        assert said.code == 0, (said.out, said.err)
        killer.join()

        works = (world.root / "packages/core/repair.py").read_text()
        repair = f"import sys\nif sys.argv[2] == {HERE!r}: sys.exit('no compiler here')\n{REPAIR}"
        world.commit("fix: another compiler", {"packages/core/repair.py": repair})
        world.git("push", "--quiet")
        failed = world.releasekit("publish", "--yes", "--skip-audit")
        ended = last_run_states(prefect_api)

    (world.root / "packages/lone/src/lone/__init__.py").unlink()
    world.commit("fix: lone cannot be built", {"packages/core/repair.py": works})
    world.git("push", "--quiet")
    stopped = world.releasekit("publish", "--yes", "--skip-audit")
    until(lambda: last_run_states(prefect_api) == {"CANCELLED"})

    assert (stopped.code, failed.code) == (1, 1)
    assert "1 built, 1 failed" in stopped.out
    reasons = (f"could not build core for {HERE}", "core: RK-BUILD-FAILED", "no compiler here")
    assert all(reason in failed.err for reason in reasons)
    assert ended == {"COMPLETED", "FAILED"}, "each platform ends"
    assert f"the wheels for {ELSEWHERE} wait for the queue {ELSEWHERE}" in said.err
    assert "the worker of the queue linux was lost: its worker gave no sign of life" in said.err
    sent = sorted(
        request.uploaded_file for request in own_index.requests() if request.uploaded_file
    )
    assert [name for name in sent if name.startswith(("core", "gear"))] == [
        f"core-0.1.0-{PYTHON}-{PYTHON}-macosx_11_0_arm64.whl",
        f"core-0.1.0-{PYTHON}-{PYTHON}-manylinux_2_17_x86_64.whl",
        "core-0.1.0.tar.gz",
        f"gear-0.1.0-{PYTHON}-{PYTHON}-macosx_11_0_arm64.whl",
        f"gear-0.1.0-{PYTHON}-{PYTHON}-manylinux_2_17_x86_64.whl",
        "gear-0.1.0.tar.gz",
    ]
    (manifest,) = (world.root / ".git/releasekit").glob("*/manifest.json")
    packages = {
        package["name"]: package for package in json.loads(manifest.read_text())["packages"]
    }
    assert (
        set(packages["core"]["platforms"])
        == set(packages["gear"]["platforms"])
        == {HERE, ELSEWHERE}
    )
    assert (
        sorted(file["name"] for package in packages.values() for file in package["files"]) == sent
    )
    assert LOCK_REF not in world.git("ls-remote", "origin")
