"""`prefect.yaml` for real: a server takes it, its scheduler plans nightly runs, and a worker carries runs out."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from releasekit import __version__
from releasekit.integrations.prefect_server import CLIENT_SETTINGS, SERVER_SETTINGS, prefect_server
from releasekit.integrations.process import Command, background, run
from tests.support.postgres import postgres, programs
from tests.support.world import World, dated_tag, make_world, relatives

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from releasekit.integrations.peryx import EmbeddedIndex

ROOT = Path(__file__).parents[2]
SCHEDULER_PATIENCE = 60.0  # seconds; it looks for new deployments every five


ADA = {f"GIT_{who}_{what}": "ada@example.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
"""Who commits where a worker runs: its clones have no configuration of their own."""
PATIENCE = 120.0
"""Seconds for anything that is going to happen."""


def prefect(*argv: str, cwd: Path = ROOT, **env: str) -> str:
    """Run the Prefect command line as from a shell without a terminal, and return what it prints."""
    return run(Command((sys.executable, "-m", "prefect", "--no-prompt", *argv), cwd, env, timeout=120)).stdout


def ask(api: str, what: str, **question: Any) -> Any:
    """Ask the API: `POST /WHAT/filter`."""
    return httpx.post(f"{api}/{what}/filter", json=question, timeout=30).raise_for_status().json()


Deployed = dict[str, dict[str, Any]]


def triggered(api: str, deployment: dict[str, Any], **parameters: Any) -> str:
    """Ask for a run as the UI does, and return its id."""
    asked = httpx.post(f"{api}/deployments/{deployment['id']}/create_flow_run", json={"parameters": parameters})
    return asked.raise_for_status().json()["id"]


def flow_run(api: str, run: str) -> dict[str, Any]:
    """Return what the API knows of a flow run."""
    return ask(api, "flow_runs", flow_runs={"id": {"any_": [run]}})[0]


def logs(api: str, run: str) -> str:
    """Return what a flow run has logged."""
    return "\n".join(line["message"] for line in ask(api, "logs", logs={"flow_run_id": {"any_": [run]}}))


def everything(api: str) -> str:
    """Return all that the server would show to anybody."""
    return json.dumps([ask(api, what) for what in ("flow_runs", "task_runs", "artifacts", "logs", "deployments")])


def set_state(api: str, run: str, state: dict[str, Any]) -> None:
    """Put a run into *state*, as the UI does."""
    httpx.post(f"{api}/flow_runs/{run}/set_state", json={"state": state, "force": True}).raise_for_status()


def save_blocks(results: Path, token: str) -> None:
    """Save what workers share: where results are kept, and the token for uploads."""
    from prefect.blocks.system import Secret
    from prefect.filesystems import LocalFileSystem
    from pydantic import SecretStr

    LocalFileSystem(basepath=str(results)).save("shared")
    Secret(value=SecretStr(token)).save("upload-token")


def uploaded(index: EmbeddedIndex) -> list[str]:
    """Return which packages were sent, in order and as often as they were: each has a wheel and an sdist."""
    sent = [request.uploaded_file for request in index.requests() if request.uploaded_file]
    return [name.removesuffix(".tar.gz") for name in sent if name.endswith(".tar.gz")]


def until(true: Callable[[], object], worker: Worker | None = None) -> None:
    """Wait until something is *true*."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, worker.said() if worker else ""
        time.sleep(0.1)


@dataclass
class Worker:
    """A worker on a machine of its own, so to speak; *mark* stands in the environment of all its processes."""

    mark: str
    log: Path

    def said(self) -> str:
        """Return what it and its runs have printed."""
        return self.log.read_text("utf-8", "replace")

    def processes(self) -> dict[int, str]:
        """Return its living processes, near and far, with their command lines."""
        return relatives(self.mark)

    def kill(self) -> None:
        """Take it away, with all that it has started."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def smoke_tests(worker: Worker) -> list[str]:
    """Return the smoke tests that are running on *worker*."""
    return [line for line in worker.processes().values() if "importlib.import_module" in line]


@contextmanager
def worker(directory: Path, name: str, *options: str) -> Generator[Worker]:
    """Run a process worker inside the block, with its data in a place of its own."""
    home, mark = directory / name, str(uuid.uuid4())
    home.mkdir()
    env: dict[str, str | None] = {
        "TEST_OF_RELEASEKIT": mark,
        "XDG_DATA_HOME": str(home),
        "PREFECT_DEFAULT_RESULT_STORAGE_BLOCK": "local-file-system/shared",
        **ADA,
    }
    argv = (sys.executable, "-m", "prefect", "worker", "start", "--pool", "releasekit", "--name", name, *options)
    settings = {"PREFECT_WORKER_QUERY_SECONDS": "1"}
    running = Worker(f"TEST_OF_RELEASEKIT={mark}", home / "log")
    try:
        with background(Command(argv, home, {**env, **settings}), running.log):
            yield running
    finally:
        running.kill()


@pytest.fixture(scope="module")
def prefect_api(prefect_api: str) -> Generator[str]:
    """Run a team's server, on PostgreSQL, for the stories here; where that is not installed, the one of all others."""
    if programs() is None:
        yield prefect_api
        return
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with postgres() as database, pytest.MonkeyPatch.context() as patched:
        patched.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", database)
        with prefect_server() as server:
            server.wait()
            patched.setenv("PREFECT_API_URL", server.url)
            with temporary_settings({PREFECT_API_URL: server.url}):
                yield server.url


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file that says what importing `slow` does: "wait", "fail", or anything else."""
    return tmp_path_factory.mktemp("gate") / "gate"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, gate: Path) -> World:
    """Make a repository that is to be cloned; how it is released stands in its files."""
    gate.write_text("go on")
    slow = f"import time, pathlib\ngate = pathlib.Path({str(gate)!r})\n"
    slow += "while gate.read_text() == 'wait': time.sleep(0.1)\n"
    slow += "if gate.read_text() == 'fail': raise SystemExit('the gate is shut')\n"
    made = make_world(tmp_path_factory.mktemp("world"), "app: slow; slow", slow=slow)
    table = 'audit = false\noverlay = "resolve"\nsecrets.UV_PUBLISH_TOKEN = "upload-token"\n'
    text = (made.root / "pyproject.toml").read_text()
    made.commit("chore: configure", {"pyproject.toml": f"{text}\n[tool.releasekit]\n{table}"})
    made.git("push", "--quiet", "origin", "main")
    return made


@pytest.fixture(scope="module")
def deployed(prefect_api: str, world: World) -> Deployed:
    """Deploy as the head of prefect.yaml says, and return what the server then knows, by name."""
    prefect("work-pool", "create", "releasekit", "--type", "process", "--overwrite")
    prefect("deploy", "--all", RELEASEKIT_WORKSPACE=f"file://{world.remote}")
    return {deployment["name"]: deployment for deployment in ask(prefect_api, "deployments")}


def test_every_flow_is_deployed(deployed: Deployed) -> None:
    """Deploying asks no question; each deployment has a form with a text for every option and demands none."""
    assert deployed.keys() == {"publish", "prepare", "plan", "check", "stage-on", "rollback"}
    for deployment in deployed.values():
        schema = deployment["parameter_openapi_schema"]
        assert deployment["description"]
        assert deployment["work_pool_name"] == "releasekit"
        assert deployment["parameters"]["workspace"].startswith("file://")
        assert deployment["version"] == __version__
        assert not schema.get("required")
        assert [name for name, option in schema["properties"].items() if not option.get("description")] == []
    assert deployed["publish"]["parameter_openapi_schema"]["properties"]["dry_run"]["type"] == "boolean"
    for name in ("publish", "prepare", "rollback"):
        assert deployed[name]["global_concurrency_limit"]["limit"] == 1
        assert deployed[name]["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert deployed["rollback"]["parameters"]["dry_run"] is True, "it looks, until it is told otherwise"
    told = deployed["publish"]["job_variables"]["env"]
    assert told == {name: CLIENT_SETTINGS[name] for name in told}


def test_plan_runs_every_night(prefect_api: str, deployed: Deployed) -> None:
    """The server's scheduler lives: runs of the nightly plan appear, which they don't beside SQLAlchemy 2.1."""
    plan = {"id": {"any_": [deployed["plan"]["id"]]}}
    deadline = time.monotonic() + SCHEDULER_PATIENCE

    while not (runs := ask(prefect_api, "flow_runs", deployments=plan)) and time.monotonic() < deadline:
        time.sleep(0.5)

    assert runs, "no scheduled run has appeared"
    assert {run["expected_start_time"].partition("T")[2][:8] for run in runs if run["auto_scheduled"]} == {"03:00:00"}


@pytest.mark.usefixtures("own_index")
def test_a_worker_carries_runs_out(tmp_path: Path, prefect_api: str, world: World, deployed: Deployed) -> None:
    """A process worker, started anywhere, carries out what is scheduled and what `prefect deployment run` asks for."""
    before = world.state()
    asked = prefect("deployment", "run", "releasekit/publish", "-p", "dry_run=true", "-p", "offline=true")
    found = re.search(r"UUID: (\S+)", asked)
    assert found
    ids = [found[1], due(prefect_api, deployed["plan"]["id"])]

    once = ("--run-once", "--prefetch-seconds", "10")
    prefect("worker", "start", "--pool", "releasekit", *once, cwd=tmp_path, **ADA)

    said = "\n".join(logs(prefect_api, run) for run in ids)
    ended = {flow_run(prefect_api, run)["state_name"] for run in ids}
    assert ended == {"Completed", "2 packages to release"}, said
    artifacts = ask(prefect_api, "artifacts", flow_runs={"id": {"any_": ids}})
    plans = [artifact["data"] for artifact in artifacts if artifact["key"] == "releasekit-plan"]
    assert len(plans) == 2
    assert all("app" in plan and "0.1.0" in plan for plan in plans)
    assert world.state() == before


def due(api: str, deployment: str) -> str:
    """Return the id of a run that the scheduler has planned, moved to this very moment."""
    run = ask(api, "flow_runs", deployments={"id": {"any_": [deployment]}})[0]
    assert run["auto_scheduled"]
    now = {"type": "SCHEDULED", "state_details": {"scheduled_time": datetime.now(UTC).isoformat()}}
    set_state(api, run["id"], now)
    return run["id"]


def test_deployed_release_uploads_nothing_twice(
    tmp_path: Path,
    prefect_api: str,
    deployed: Deployed,
    world: World,
    own_index: EmbeddedIndex,
    gate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It fails, is retried, cancelled, begun again; its worker dies, and another one ends it: nothing is sent twice.

    The workspace is a repository that each worker clones; the token is a Secret block; results are in a shared block.
    """
    token = str(own_index.environment["UV_PUBLISH_TOKEN"])
    save_blocks(tmp_path / "results", token)
    monkeypatch.delenv("UV_PUBLISH_TOKEN")

    with worker(tmp_path, "one") as one:
        gate.write_text("fail")
        run = triggered(prefect_api, deployed["publish"])
        until(lambda: flow_run(prefect_api, run)["state_type"] == "FAILED", one)
        assert uploaded(own_index) == ["slow-0.1.0"]

        gate.write_text("wait")
        prefect("flow-run", "retry", run)
        until(lambda: smoke_tests(one), one)
        other = triggered(prefect_api, deployed["publish"])
        until(lambda: flow_run(prefect_api, other)["state_type"] == "CANCELLED", one)  # turned away, not queued

        set_state(prefect_api, run, {"type": "CANCELLING"})
        until(lambda: flow_run(prefect_api, run)["state_type"] == "CANCELLED", one)
        until(lambda: not smoke_tests(one), one)  # no orphan

        run = triggered(prefect_api, deployed["publish"])
        until(lambda: smoke_tests(one), one)  # so the lock was free
        until(lambda: f"resuming {dated_tag()}" in logs(prefect_api, run), one)

        with worker(tmp_path, "two") as two:  # both are here now
            plans = [triggered(prefect_api, deployed["plan"]) for _ in range(2)]
            until(lambda: {flow_run(prefect_api, each)["state_type"] for each in plans} == {"COMPLETED"}, two)
            one.kill()
            set_state(prefect_api, run, {"type": "CRASHED"})  # as a person does on its page; it frees its place
            gate.write_text("go on")
            run = triggered(prefect_api, deployed["publish"], resume_from_registry=True)
            until(lambda: flow_run(prefect_api, run)["state_type"] in ("COMPLETED", "FAILED"), two)

    assert flow_run(prefect_api, run)["state_name"] == "Completed", two.said()
    assert uploaded(own_index) == ["slow-0.1.0", "app-0.1.0"]
    assert set(world.tags()) == {"app-v0.1.0", "slow-v0.1.0", dated_tag()}
    tasks = ask(prefect_api, "task_runs", flow_runs={"id": {"any_": [run]}})
    states = {task["name"]: task["state_name"] for task in tasks}
    assert (states["upload-slow-0.1.0"], states["upload-app-0.1.0"]) == ("Cached", "Completed")
    assert not [found for found in (one.said(), two.said(), everything(prefect_api)) if token in found]


def test_flows_shadow_no_library() -> None:
    """Prefect puts a flow's directory first on the path, so no file there may be called like an installed module."""
    names = [path.stem for path in (ROOT / "flows").glob("*.py") if path.stem != "__init__"]

    assert [name for name in names if find_spec(name)] == []


def test_composed_servers_have_our_settings() -> None:
    """A team's server and a day's have the same settings, which stand in one place with their reasons."""
    composed = yaml.safe_load((ROOT / "deployments" / "compose.yaml").read_text())

    for name in ("server", "services"):
        assert composed["services"][name]["environment"].items() >= SERVER_SETTINGS.items()
    read = (ROOT / "docs" / "guides" / "prefect-server.md").read_text()
    assert {name for name, value in SERVER_SETTINGS.items() if f"export {name}={value}\n" not in read} == set()
