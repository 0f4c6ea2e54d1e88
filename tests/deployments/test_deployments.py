"""`prefect.yaml` for real: a server takes it, its scheduler plans nightly runs, and a worker carries runs out."""

from __future__ import annotations

import re
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tasks.adapters.process import Command, run
from tasks.adapters.server import SERVER_SETTINGS
from tests.world import make_world

ROOT = Path(__file__).parents[2]
SCHEDULER_PATIENCE = 60.0  # seconds; it looks for new deployments every five


def prefect(*argv: str, cwd: Path = ROOT) -> str:
    """Run the Prefect command line as from a shell without a terminal, and return what it prints."""
    return run(Command((sys.executable, "-m", "prefect", "--no-prompt", *argv), cwd, timeout=120)).stdout


def ask(api: str, what: str, **question: Any) -> Any:
    """Ask the API: `POST /WHAT/filter`."""
    return httpx.post(f"{api}/{what}/filter", json=question, timeout=30).raise_for_status().json()


@pytest.fixture(scope="module")
def deployed(prefect_api: str) -> dict[str, dict[str, Any]]:
    """Deploy as the head of prefect.yaml says, and return what the server then knows, by name."""
    prefect("work-pool", "create", "releasekit", "--type", "process")
    prefect("deploy", "--all")
    return {deployment["name"]: deployment for deployment in ask(prefect_api, "deployments")}


def test_every_flow_is_deployed(deployed: dict[str, dict[str, Any]]) -> None:
    """Deploying asks no question; each deployment has a form with a text for every option and demands none."""
    assert deployed.keys() == {"publish", "plan"}
    for deployment in deployed.values():
        schema = deployment["parameter_openapi_schema"]
        assert deployment["description"]
        assert deployment["work_pool_name"] == "releasekit"
        assert not schema.get("required")
        assert [name for name, option in schema["properties"].items() if not option.get("description")] == []
    assert deployed["publish"]["parameter_openapi_schema"]["properties"]["dry_run"]["type"] == "boolean"
    assert deployed["publish"]["global_concurrency_limit"]["limit"] == 1
    assert deployed["publish"]["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"


def test_plan_runs_every_night(prefect_api: str, deployed: dict[str, dict[str, Any]]) -> None:
    """The server's scheduler lives: runs of the nightly plan appear, which they don't beside SQLAlchemy 2.1."""
    plan = {"id": {"any_": [deployed["plan"]["id"]]}}
    deadline = time.monotonic() + SCHEDULER_PATIENCE

    while not (runs := ask(prefect_api, "flow_runs", deployments=plan)) and time.monotonic() < deadline:
        time.sleep(0.5)

    assert runs, "no scheduled run has appeared"
    assert {run["expected_start_time"].partition("T")[2][:8] for run in runs if run["auto_scheduled"]} == {"03:00:00"}


@pytest.mark.usefixtures("own_index", "deployed")
def test_a_worker_carries_runs_out(tmp_path: Path, prefect_api: str) -> None:
    """A process worker, started anywhere, plans and rehearses dryly what `prefect deployment run` asks for."""
    world = make_world(tmp_path, "app: core; core")
    before = world.state()
    where = f"workspace={world.root}"
    asked = [
        prefect("deployment", "run", "releasekit/plan", "-p", where, "-p", "offline=true"),
        prefect("deployment", "run", "releasekit/publish", "-p", where, "-p", "dry_run=true", "-p", "audit=false"),
    ]
    ids = [found[1] for said in asked if (found := re.search(r"UUID: (\S+)", said))]

    said = prefect("worker", "start", "--pool", "releasekit", "--run-once", "--prefetch-seconds", "1", cwd=tmp_path)

    runs = ask(prefect_api, "flow_runs", flow_runs={"id": {"any_": ids}})
    assert [run["state_name"] for run in runs] == ["Completed", "Completed"], said
    artifacts = ask(prefect_api, "artifacts", flow_runs={"id": {"any_": ids}})
    assert {artifact["key"] for artifact in artifacts} == {"releasekit-plan"}
    assert all("app" in artifact["data"] and "0.1.0" in artifact["data"] for artifact in artifacts)
    assert world.state() == before


def test_flows_shadow_no_library() -> None:
    """Prefect puts a flow's directory first on the path, so no file there may be called like an installed module."""
    names = [path.stem for path in (ROOT / "flows").glob("*.py") if path.stem != "__init__"]

    assert [name for name in names if find_spec(name)] == []


def test_composed_servers_have_our_settings() -> None:
    """A team's server and a day's have the same settings, which stand in one place with their reasons."""
    composed = yaml.safe_load((ROOT / "deployments" / "compose.yaml").read_text())

    for name in ("server", "services"):
        assert composed["services"][name]["environment"].items() >= SERVER_SETTINGS.items()
    read = (ROOT / "deployments" / "README.md").read_text()
    assert {name for name, value in SERVER_SETTINGS.items() if f"export {name}={value}\n" not in read} == set()
