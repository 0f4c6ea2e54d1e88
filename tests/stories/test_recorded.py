"""What Prefect knows of a release: its runs, its edges, its artifacts; and never a secret."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from releasekit.core.planning.model import Plan
from releasekit.core.release.run_graph import count_arrows
from releasekit.integrations.peryx import EmbeddedIndex, embedded_index
from releasekit.integrations.process import Command, run
from tests.stories.test_later_indexes import two_indexes
from tests.stories.test_terminal import running, until
from tests.support.builders import plan_of
from tests.support.fault_index import fault_index
from tests.support.world import World, dated_tag, make_world

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.support.world import Said

STEPS = (
    *("stage-{}", "prove-{}"),
    *("upload-{}-0.1.0", "confirm-{}-0.1.0", "smoke-test-{}-0.1.0"),
)
RELEASE = ("publish", "--yes", "--skip-audit", "--skip-smoke-test", "-v")
SERVER_COMMAND = "prefect.server.api.server:create_app"
PATIENCE = 90.0
"""Seconds until Prefect has written everything down: its records come late."""

TELLS = "import os\nraise RuntimeError(f\"token {os.environ.get('UV_PUBLISH_TOKEN')}\")"


FINAL_STATES = ("COMPLETED", "FAILED", "CRASHED")


@dataclass(frozen=True)
class Recorder:
    """The session's Prefect server at *api*."""

    api: str

    def all(self, what: str, **question: Any) -> list[dict[str, Any]]:
        """Return everything of one kind that the server has."""
        found: list[dict[str, Any]] = []
        while True:
            asked = {**question, "offset": len(found), "limit": 200}
            page = (
                httpx.post(f"{self.api}/{what}/filter", json=asked, timeout=60)
                .raise_for_status()
                .json()
            )
            found += page
            if len(page) < 200:
                return found

    def runs_since(self, begun: datetime) -> list[dict[str, Any]]:
        """Return the flow runs that were started since then, without those that a schedule has yet to start."""
        found = self.all("flow_runs", flow_runs={"start_time": {"after_": begun.isoformat()}})
        return [run for run in found if run["start_time"]]

    def run_since(self, begun: datetime) -> dict[str, Any]:
        """Return the one flow run that was started since then, once it has ended."""
        deadline = time.monotonic() + PATIENCE
        while True:
            runs = self.runs_since(begun)
            open_runs = [run for run in runs if run["state_type"] not in FINAL_STATES]
            if runs and not open_runs:
                assert len(runs) == 1
                return runs[0]
            assert time.monotonic() < deadline, runs
            time.sleep(0.5)

    def tasks_of(self, run: dict[str, Any], *wanted: str) -> dict[str, dict[str, Any]]:
        """Return the task runs of a flow run by name, once those *wanted* are there and all of them have ended."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = {
                task["name"]: task
                for task in self.all("task_runs", flow_runs={"id": {"any_": [run["id"]]}})
            }
            open_ = [
                name
                for name, task in found.items()
                if task["state_type"] not in ("COMPLETED", "FAILED")
            ]
            if found.keys() >= set(wanted) and not open_:
                return found
            assert time.monotonic() < deadline, (set(wanted) - found.keys(), open_)
            time.sleep(0.5)

    def events_since(self, begun: datetime, name: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the events of that *name* since then, the oldest first, once there are *count* of them."""
        asked = {
            "event": {"name": [name]},
            "occurred": {"since": begun.isoformat()},
            "order": "ASC",
        }
        deadline = time.monotonic() + PATIENCE
        while True:
            found = (
                httpx.post(f"{self.api}/events/filter", json={"filter": asked}, timeout=60)
                .raise_for_status()
                .json()
            )
            if len(found["events"]) >= count:
                return found["events"]
            assert time.monotonic() < deadline, name
            time.sleep(0.5)

    def log_of(self, run: dict[str, Any]) -> str:
        """Return the log of a flow run, once it has the final state of the flow; its tasks have such lines too."""
        deadline = time.monotonic() + PATIENCE
        while True:
            lines = self.all("logs", logs={"flow_run_id": {"any_": [run["id"]]}})
            own = [line["message"] for line in lines if line["task_run_id"] is None]
            if any(message.startswith("Finished in state ") for message in own):
                return "\n".join(line["message"] for line in lines)
            assert time.monotonic() < deadline, lines
            time.sleep(0.2)

    def artifacts_of(self, run: dict[str, Any]) -> dict[str, str]:
        """Return the artifacts that a flow run has left, by key."""
        found = self.all("artifacts", artifacts={"flow_run_id": {"any_": [run["id"]]}})
        return {artifact["key"]: artifact["data"] for artifact in found}


@dataclass(frozen=True)
class Recorded:
    """A workspace, the index it was released to, and the flow run of it."""

    world: World
    index: EmbeddedIndex
    run: dict[str, Any]
    said: str


@pytest.fixture(scope="module")
def recorder(prefect_api: str) -> Recorder:
    """Ask the session's Prefect server."""
    return Recorder(prefect_api)


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Generator[EmbeddedIndex]:
    """Run an index for this module, with the right to upload to it in the environment."""
    with (
        pytest.MonkeyPatch.context() as environment,
        embedded_index(tmp_path_factory.mktemp("index")) as index,
    ):
        for name, value in index.environment.items():
            if value is None:
                environment.delenv(name, raising=False)
            else:
                environment.setenv(name, value)
        yield index


@pytest.fixture(autouse=True)
def token(credentials: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put back the credentials that are taken from every test."""
    for name, value in credentials.environment.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    return str(credentials.environment["UV_PUBLISH_TOKEN"])


def released(
    directory: Path, recorder: Recorder, index: EmbeddedIndex, graph: str, **modules: str
) -> Recorded:
    """Release a workspace."""
    world = make_world(directory, graph, **modules)
    begun = datetime.now(UTC)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PREFECT_API_URL", recorder.api)
        said = world.releasekit("publish", "--yes", "--skip-audit")
    assert said.code == int(bool(modules)), said.err
    return Recorded(world, index, recorder.run_since(begun), said.out + said.err)


@pytest.fixture(scope="module")
def good(
    tmp_path_factory: pytest.TempPathFactory, recorder: Recorder, credentials: EmbeddedIndex
) -> Recorded:
    """Make a release in which all goes well."""
    return released(tmp_path_factory.mktemp("good"), recorder, credentials, "app: core; core")


@pytest.fixture(scope="module")
def bad(
    tmp_path_factory: pytest.TempPathFactory, recorder: Recorder, credentials: EmbeddedIndex
) -> Recorded:
    """Make a release in which a package fails, and says the upload token as it does so."""
    graph = "broken; late: broken; sound"
    with pytest.MonkeyPatch.context() as environment:
        # Else it would fail before anything is uploaded.
        environment.setenv("RELEASEKIT_OVERLAY", "resolve")
        return released(tmp_path_factory.mktemp("bad"), recorder, credentials, graph, broken=TELLS)


def test_release_is_one_flow_run(recorder: Recorder, good: Recorded) -> None:
    """A release is a run of the flow `releasekit`, Completed, with its summary, and a task run for each step."""
    flow = httpx.get(f"{recorder.api}/flows/{good.run['flow_id']}").raise_for_status().json()
    assert flow["name"] == "releasekit"
    assert (good.run["state_type"], good.run["state"]["message"]) == (
        "COMPLETED",
        f"{dated_tag()}: 2 confirmed",
    )
    assert good.run["name"] == f"publish {dated_tag()} (2 packages)"

    names = {step.format(package) for step in STEPS for package in ("app", "core")} | {
        f"prove-resolution-{dated_tag()}"
    }
    tasks = recorder.tasks_of(good.run, *names, f"push-{dated_tag()}", "fast-forward-main")

    assert {task["state_type"] for task in tasks.values()} == {"COMPLETED"}
    decisions = {"read-workspace", "find-unfinished", "read-history", "plan", "ask-index"}
    assert not decisions & tasks.keys(), (
        "the terminal has decided, and the run does not decide again"
    )


def test_graph_has_real_edges(recorder: Recorder, good: Recorded) -> None:
    """The graph on the page of a run has an edge for each wait, and no other.

    Prefect repeats the edges of a step for each of its own inputs: two builds of the comparison, three proofs.
    """
    tasks = recorder.tasks_of(good.run, "smoke-test-app-0.1.0", "fast-forward-main")
    graph = (
        httpx.get(f"{recorder.api}/flow_runs/{good.run['id']}/graph-v2").raise_for_status().json()
    )
    names = {task["id"]: name.removesuffix(f"-{dated_tag()}") for name, task in tasks.items()}

    edges = sorted(
        (names[parent["id"]], names[run])
        for run, node in graph["nodes"]
        for parent in node["parents"]
    )

    commit = (
        "check-out",
        "write-versions",
        "raise-requirements",
        "write-changelogs",
        "consume-change-files",
        "lock",
    )
    before, after = (*commit, "commit"), ("tag", "push", "release", "fast-forward-main")
    packages = [
        *(
            (f"stage-{name}", step)
            for name in ("app", "core")
            for step in (f"prove-{name}", "compare")
        ),
        *(("commit", f"stage-{name}") for name in ("app", "core")),
        *((step, "record-files") for step in ("prove-app", "prove-core", "prove-resolution")),
    ]
    publishing = (
        "record-files",
        "hold",
        *CORE,
        *(step.replace("core", "app") for step in CORE),
        "tag",
    )
    repeated = [*[("compare", "prove-resolution")] * 2, *[("record-files", "hold")] * 2]
    assert edges == sorted(
        [*pairwise(before), *packages, *repeated, *pairwise(publishing), *pairwise(after)]
    )
    assert len(edges) == count_arrows(plan_of("core:", "app: core").steps)


CORE = ("upload-core-0.1.0", "confirm-core-0.1.0", "smoke-test-core-0.1.0")


def test_steps_have_limits_and_tags(recorder: Recorder, good: Recorded) -> None:
    """Each step says its stage, and its package if it has one."""
    tasks = recorder.tasks_of(good.run, "smoke-test-app-0.1.0", "fast-forward-main")

    assert {
        name: tag
        for name, task in tasks.items()
        for tag in task["tags"]
        if tag.startswith("package:")
    } == {
        step.format(package): f"package:{package}" for step in STEPS for package in ("app", "core")
    }
    stages = {
        name: [tag for tag in task["tags"] if tag.startswith("stage:")]
        for name, task in tasks.items()
    }
    assert all(len(tags) == 1 for tags in stages.values()), stages
    assert stages["stage-core"] == ["stage:stage"]
    assert stages[f"lock-{dated_tag()}"] == ["stage:commit"]
    assert stages["fast-forward-main"] == ["stage:announce"]


def test_run_leaves_plan_and_report(recorder: Recorder, good: Recorded) -> None:
    """A run leaves its plan with the graph, and its report."""
    artifacts = recorder.artifacts_of(good.run)

    bars = {"releasekit-built", "releasekit-published"}
    assert artifacts.keys() == {"releasekit-plan", "releasekit-report", "on-the-index"} | bars
    assert [float(artifacts[bar]) for bar in sorted(bars)] == [100, 100]
    page = f"{good.index.simple_url.rstrip('/')}/app/"
    assert json.loads(artifacts["on-the-index"])[-1] == {
        "package": "app",
        "version": "0.1.0",
        "files": "app-0.1.0-py3-none-any.whl, app-0.1.0.tar.gz",
        "page": f"[page]({page})",
    }
    assert "](data:image/svg+xml;base64," in artifacts["releasekit-report"]
    assert "| 1 | app | 0.1.0 | 0.1.0 | first |" in artifacts["releasekit-plan"]
    assert "| 0.1.0 | ✅ confirmed |" in artifacts["releasekit-report"]


def test_partial_release_is_failed_run(recorder: Recorder, bad: Recorded) -> None:
    """A release that is not all out is a Failed run, says what is not, and leaves its report too."""
    assert (bad.run["state_type"], bad.run["state"]["message"]) == (
        "FAILED",
        f"{dated_tag()}: 1 confirmed, 1 failed, 1 blocked",
    )
    tasks = recorder.tasks_of(
        bad.run, "smoke-test-broken-0.1.0", "blocked-late", "smoke-test-sound-0.1.0"
    )
    assert tasks["smoke-test-broken-0.1.0"]["state_type"] == "FAILED"
    assert tasks["blocked-late"]["state_name"] == "Blocked"
    assert tasks["smoke-test-sound-0.1.0"]["state_type"] == "COMPLETED"
    assert "upload-late-0.1.0" not in tasks
    assert "RK-SMOKE-TEST-FAILED" in recorder.artifacts_of(bad.run)["releasekit-report"]


STOPS_ONCE = """\
import pathlib, time
from uv_build import *
from uv_build import build_sdist as _build_sdist

def build_sdist(*given):
    begun = pathlib.Path({mark!r})
    if not begun.exists():
        begun.touch()
        time.sleep(600)
    return _build_sdist(*given)
"""
"""A build backend that hangs in its first run."""


def test_resumed_staging_is_cached(recorder: Recorder, tmp_path: Path) -> None:
    """A release that was killed while it staged is Crashed once it is resumed, and stages only the rest.

    Its results are deleted with its end.
    """
    world = make_world(tmp_path, "slow; quick")
    manifest = "packages/slow/pyproject.toml"
    options = '[tool.uv.build-backend]\nsource-include = ["backend.py"]'
    backend = f'build-backend = "backend"\nbackend-path = ["."]\n{options}'
    text = (world.root / manifest).read_text().replace('build-backend = "uv_build"', backend)
    code = STOPS_ONCE.format(mark=str(tmp_path / "mark"))
    world.commit("build: own backend", {manifest: text, "packages/slow/backend.py": code})
    world.git("push", "--quiet")
    storage = Path(os.environ["PREFECT_HOME"], "storage")
    results_before = set(storage.glob("*/*"))
    begun = datetime.now(UTC)
    with running(world, "--yes", "--skip-smoke-test") as program:
        until(
            lambda: (tmp_path / "mark").exists() and set(storage.glob("*/*")) > results_before,
            program,
        )
        os.kill(program.process.pid, signal.SIGKILL)
        program.end()
        until(lambda: not program.relatives(), program)
    (dead,) = recorder.runs_since(begun)
    assert dead["state_type"] == "RUNNING"
    resumed_at = datetime.now(UTC)

    said = world.releasekit(*RELEASE)

    assert said.code == 0, said.err
    run = recorder.run_since(resumed_at)
    tasks = recorder.tasks_of(run, "stage-quick", "stage-slow", "confirm-slow-0.1.0")
    assert (tasks["stage-quick"]["state_name"], tasks["stage-slow"]["state_name"]) == (
        "Cached",
        "Completed",
    )
    (dead,) = recorder.all("flow_runs", flow_runs={"id": {"any_": [dead["id"]]}})
    assert dead["state_type"] == "CRASHED"
    open_runs = {"state": {"type": {"any_": ["RUNNING", "PENDING", "SCHEDULED"]}}}
    assert not recorder.all(
        "task_runs", flow_runs={"id": {"any_": [dead["id"]]}}, task_runs=open_runs
    )
    assert set(storage.glob("*/*")) <= results_before


def test_prefect_records_the_plan(recorder: Recorder, good: Recorded) -> None:
    """Where a Prefect API is configured a plan is recorded too, with its steps."""
    begun = datetime.now(UTC)
    planned = json.loads(good.world.releasekit("plan", "--force-unchanged", "--format", "json").out)

    run = recorder.run_since(begun)
    assert run["state_type"] == "COMPLETED"
    assert run["parameters"]["force_unchanged"] is True
    recorder.tasks_of(run, "read-workspace", "read-history", "plan", "ask-index")
    artifacts = recorder.artifacts_of(run)
    assert planned["tags"][0] in artifacts["releasekit-plan"]


def test_plan_state_counts_due_packages(recorder: Recorder, tmp_path: Path) -> None:
    """The name of a plan's state says what is due; its artifact says what has changed since the plan before."""
    world = make_world(tmp_path, "app: core; core")

    def planned(code: int = 0, *argv: str) -> tuple[dict[str, Any], str]:
        begun = datetime.now(UTC)
        said = world.releasekit("plan", "--offline", *argv)
        assert said.code == code, said.err
        run = recorder.run_since(begun)
        answers.append(said.out)
        return run, recorder.artifacts_of(run).get("releasekit-plan", "")

    answers: list[str] = []
    before = world.state()
    run, text = planned()
    assert (run["state_type"], run["state_name"]) == ("COMPLETED", "2 packages to release")
    assert run["name"] == f"plan {dated_tag()} (2 packages)"
    assert {"releasekit", "plan", dated_tag()} <= set(run["tags"])
    assert "Since the last plan" not in text
    world.git("tag", "app-v0.1.0")
    world.commit("feat: more", {"packages/app/src/app/more.py": ""})
    run, text = planned(0, "--since-last")
    assert (
        "## Since the last plan\n\n- app gets 0.2.0 instead of 0.1.0: first -> minor because feat: more ("
        in text
    )
    assert (
        "since an earlier plan from today: app first -> minor because feat: more (" in answers[-1]
    )
    assert world.state()["records"] == before["records"], "the server knows the last plan"
    run, text = planned()
    assert "## Since the last plan\n\nNothing." in text
    manifest = "packages/app/pyproject.toml"
    world.commit(
        "chore: release", {manifest: (world.root / manifest).read_text().replace("0.1.0", "0.2.0")}
    )
    world.git("tag", "core-v0.1.0")
    world.git("tag", "app-v0.2.0")
    world.lock()
    run, text = planned()
    assert (run["state_name"], run["name"]) == ("Nothing to release", "plan: nothing to release")
    assert "- core 0.1.0 has been released\n" in text
    world.write(
        {
            "pyproject.toml": (world.root / "pyproject.toml").read_text()
            + "[tool.releasekit]\nno = 1\n"
        }
    )
    run, _ = planned(2)
    assert (run["state_type"], run["state_name"]) == ("FAILED", "Refused: RK-CONFIG-INVALID-KEY")


def spoiled(directory: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Make a workspace that cannot be released: a change is not committed, and the token is wrong."""
    world = make_world(directory, "pear: apple; apple")
    world.write({"packages/apple/src/apple/__init__.py": "CHANGED = True\n"})
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "wrong-token")
    return world


def test_plan_state_counts_its_obstacles(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of a plan's state counts its obstacles, its artifact lists them, its event has their codes."""
    world = spoiled(tmp_path, monkeypatch)
    begun = datetime.now(UTC)

    said = world.releasekit("plan")

    run = recorder.run_since(begun)
    assert (said.code, "RK-PREFLIGHT-DIRTY-WORKTREE" in said.err) == (2, True), said.err
    assert (run["state_type"], run["state_name"]) == (
        "COMPLETED",
        "2 packages to release, 2 obstacles",
    )
    text = recorder.artifacts_of(run)["releasekit-plan"]
    assert (
        "**2 obstacles: publish would refuse**\n\n- RK-PREFLIGHT-DIRTY-WORKTREE: uncommitted"
        in text
    )
    recorder.tasks_of(
        run, "preflight-others", "preflight", "preflight-credentials", "preflight-remote"
    )
    happened = recorder.events_since(begun, "releasekit.plan.due")
    assert [event["payload"]["obstacles"] for event in happened] == [
        ["RK-PREFLIGHT-DIRTY-WORKTREE", "RK-INDEX-CREDENTIALS"]
    ]


@pytest.mark.parametrize("mode", ["", "approve", "dry_run"])
def test_refused_run_lists_all_obstacles(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """The run of a release that is refused is called so, and tells of all obstacles; nobody is asked to approve it."""
    from flows.publish import publish

    world = spoiled(tmp_path, monkeypatch)
    before, begun = world.state(), datetime.now(UTC)

    async def call() -> Any:
        flow: Any = publish
        options = {mode: True} if mode else {}
        return await flow(workspace=str(world.root), audit=False, **options, return_state=True)

    state = asyncio.run(call())

    run = recorder.run_since(begun)
    assert (run["state_type"], run["state_name"]) == (
        "FAILED",
        "Refused: RK-PREFLIGHT-DIRTY-WORKTREE",
    )
    lines = state.message.splitlines()
    assert [line.partition(": ")[0] for line in lines[::2]] == [
        "RK-PREFLIGHT-DIRTY-WORKTREE",
        "RK-INDEX-CREDENTIALS",
    ]
    assert "2 obstacles" in recorder.artifacts_of(run)["releasekit-plan"]
    assert world.state() == before
    if mode == "approve":
        said = world.releasekit("publish", "--approve", "--skip-audit")
        assert (said.code, "2 obstacles: nothing was changed" in said.err) == (2, True), said.err


@pytest.mark.parametrize("name", ["publish", "plan", "check", "prepare", "rollback"])
def test_refusal_is_told_once(recorder: Recorder, tmp_path: Path, name: str) -> None:
    """A refused run of each flow is called so; its log has the refusal once, with the next step and no traceback."""
    world = make_world(tmp_path, "core")
    world.write(
        {
            "pyproject.toml": (world.root / "pyproject.toml").read_text()
            + "[tool.releasekit]\nno = 1\n"
        }
    )
    begun = datetime.now(UTC)

    async def call() -> Any:
        flow: Any = getattr(import_module(f"flows.{name}"), name)
        options = {"dry_run": True} if name in ("publish", "rollback") else {}
        return await flow(workspace=str(world.root), **options, return_state=True)

    state = asyncio.run(call())

    run = recorder.run_since(begun)
    assert (run["state_type"], run["state_name"]) == ("FAILED", "Refused: RK-CONFIG-INVALID-KEY")
    assert state.message.splitlines()[1].startswith("`releasekit config` lists every key")
    log = recorder.log_of(run)
    assert log.count("RK-CONFIG-INVALID-KEY: ") == 1, log
    assert "Traceback" not in log


def test_dry_run_flow_changes_nothing(recorder: Recorder, good: Recorded) -> None:
    """A dry run through the flow, as a deployment makes it, decides and changes nothing."""
    from flows.publish import publish

    before, sent = good.world.state(), len(good.index.requests())
    begun = datetime.now(UTC)

    async def call() -> object:
        flow: Any = publish
        return await flow(
            dry_run=True, workspace=str(good.world.root), audit=False, force_unchanged=True
        )

    plan = asyncio.run(call())

    assert isinstance(plan, Plan)
    assert [str(step.next) for step in plan.steps] == ["0.1.1", "0.1.1"]
    run = recorder.run_since(begun)
    assert (run["state_type"], run["state"]["message"]) == ("COMPLETED", "2 packages to release")
    assert good.world.state() == before
    assert not [request for request in good.index.requests()[sent:] if request.uploaded_file]


def test_prefect_never_stores_the_token(
    recorder: Recorder, good: Recorded, bad: Recorded, token: str
) -> None:
    """The upload token is nowhere in what Prefect keeps, asked through its API or looked for in its files."""
    assert "RuntimeError: token " in bad.said, "it was said"
    assert token not in bad.said
    recorder.tasks_of(bad.run, "smoke-test-broken-0.1.0")
    for what in ("flow_runs", "task_runs", "logs", "artifacts"):
        kept = recorder.all(what)
        assert kept, what
        assert token not in json.dumps(kept), what
    logs = recorder.all("logs", logs={"flow_run_id": {"any_": [good.run["id"]]}})
    assert any("published app" in line["message"] for line in logs), (
        "our log lines are among those looked at"
    )
    uploads = recorder.tasks_of(good.run)["upload-app-0.1.0"]["id"]
    (shown,) = [
        line["message"]
        for line in logs
        if line["task_run_id"] == uploads and line["message"].startswith("$ ")
    ]
    assert "uv publish" in shown
    assert "exit code 0 after" in shown
    assert "TRACE" not in shown
    for path in Path(os.environ["PREFECT_HOME"]).rglob("*"):
        if path.is_file():
            assert token.encode() not in path.read_bytes(), path


def is_of_any(event: dict[str, Any], runs: set[str]) -> bool:
    """Return whether an event belongs to one of these flow runs; other tests release on the same server."""
    return not runs.isdisjoint(entry["prefect.resource.id"] for entry in event["related"])


@pytest.mark.usefixtures("whole_proofs")
def test_events_tell_publications_once(
    recorder: Recorder, good: Recorded, bad: Recorded, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each published package and each release that ends has an event; a release that goes on repeats none."""
    begun = min(datetime.fromisoformat(released.run["start_time"]) for released in (good, bad))
    monkeypatch.setenv("RELEASEKIT_OVERLAY", "resolve")
    assert bad.world.releasekit("publish", "--yes", "--skip-audit").code == 1

    failed = recorder.events_since(begun, "releasekit.release.failed", 2)
    published = recorder.events_since(begun, "releasekit.package.published", 3)
    successes = recorder.events_since(begun, "releasekit.release.published")

    own_runs = {f"prefect.flow-run.{released.run['id']}" for released in (good, bad)}
    published = [event for event in published if is_of_any(event, own_runs)]
    (succeeded,) = [event for event in successes if is_of_any(event, own_runs)]
    packages = {event["payload"]["package"]: event for event in published}
    assert sorted(event["payload"]["package"] for event in published) == ["app", "core", "sound"]
    app = packages["app"]["payload"]
    manifest = json.loads(next(good.world.root.glob(".git/releasekit/*/manifest.json")).read_text())
    (built,) = [package for package in manifest["packages"] if package["name"] == "app"]
    assert app == {
        "package": "app",
        "version": "0.1.0",
        "tag": "app-v0.1.0",
        "index": good.index.simple_url,
        "page": f"{good.index.simple_url.rstrip('/')}/app/",
        "sha256": {file["name"]: file["sha256"] for file in built["files"]},
        "release": dated_tag(),
        "commit": manifest["release_commit"],
    }
    assert packages["app"]["resource"]["prefect.resource.id"] == "releasekit.package.app"
    related = {entry["prefect.resource.id"] for entry in packages["app"]["related"]}
    assert f"prefect.flow-run.{good.run['id']}" in related
    assert succeeded["payload"]["packages"] == ["core 0.1.0", "app 0.1.0"]
    assert [event["payload"]["packages"] for event in failed] == [["sound 0.1.0"], ["sound 0.1.0"]]
    outcomes = {entry["package"]: entry["outcome"] for entry in failed[0]["payload"]["failed"]}
    assert outcomes == {"broken": "failed", "late": "blocked"}
    assert token not in json.dumps([failed, published, succeeded])


def test_record_key_decides_the_server(
    tmp_path: Path,
    recorder: Recorder,
    prefect_home: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a terminal, auto starts no server; always starts one; never leaves out a server that runs.

    Steps that ran while the server started are in the run, with their states, tags, arrows and log lines.
    """
    begun = datetime.now(UTC)
    world = make_world(tmp_path, "unheard")

    def release(record: str, version: str) -> Said:
        monkeypatch.setenv("RELEASEKIT_RECORD", record)
        said = world.releasekit(*RELEASE, "--set-version", f"unheard={version}", "--format", "json")
        assert said.code == 0, said.err
        assert [row["outcome"] for row in json.loads(said.out)["packages"]] == ["confirmed"]
        return said

    storage = Path(os.environ["PREFECT_HOME"], "storage")
    results_before = set(storage.glob("*/*"))
    assert SERVER_COMMAND not in release("never", "0.1.0").err
    assert set(storage.glob("*/*")) == results_before, "a release that has ended leaves no results"
    monkeypatch.delenv("PREFECT_API_URL")
    world.commit("fix: one", {"packages/unheard/one.txt": ""})
    assert SERVER_COMMAND not in release("auto", "0.1.1").err
    assert not recorder.runs_since(begun)
    world.commit("fix: two", {"packages/unheard/two.txt": ""})
    home = prefect_home("always")
    env = {"PREFECT_HOME": str(home), "RELEASEKIT_RECORD": "always"}
    argv = (sys.executable, "-m", "releasekit", *RELEASE)
    result = run(Command(argv, world.root, env))
    assert SERVER_COMMAND in result.stderr
    with closing(sqlite3.connect(home / "prefect.db")) as database:
        assert database.execute("select name from flow_run").fetchall() == [
            ("publish unheard-v0.1.2 (1 package)",)
        ]
        steps = database.execute(
            "select task_run.name, task_run.state_name, task_run.tags, task_run.start_time < flow_run.start_time,"
            " json_array_length(json_each.value) from task_run join flow_run on flow_run.id = flow_run_id,"
            " json_each(task_inputs) order by task_run.start_time"
        ).fetchall()
        lines = database.execute(
            "select count(*) from log join task_run on task_run.id = log.task_run_id"
            " where task_run.name = 'stage-unheard' and log.flow_run_id = task_run.flow_run_id"
        ).fetchone()
    early = {name: (state, before) for name, state, _, before, _ in steps}
    assert early["check-out-unheard-v0.1.2"] == ("Completed", 1), "the server was not up yet"
    assert early["stage-unheard"] == ("Completed", 1)
    assert early["upload-unheard-0.1.2"] == ("Completed", 0)
    assert {state for state, _ in early.values()} == {"Completed"}
    tags = {name: set(json.loads(tag_names)) for name, _, tag_names, _, _ in steps}
    assert tags["stage-unheard"] == {"stage:stage", "package:unheard"}
    assert [name for name, _, _, _, inputs in steps if inputs == 0] == ["check-out-unheard-v0.1.2"]
    assert lines[0] > 0


def test_early_failure_fails_the_run(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that fails before the flow run exists fails the run, which has all steps until then."""

    def is_starting(_api: object) -> bool:
        return True

    monkeypatch.setattr("releasekit.cli.runner._PrefectApi.is_starting", is_starting)
    world = make_world(tmp_path, "hasty")
    manifest = "packages/hasty/pyproject.toml"
    text = (world.root / manifest).read_text()
    broken = text.replace('build-backend = "uv_build"', 'build-backend = "nobody"')
    world.commit("build: a backend that does not exist", {manifest: broken})
    begun = datetime.now(UTC)

    said = world.releasekit(*RELEASE)

    assert said.code == 1, said.err
    assert "RK-UNEXPECTED" not in said.err
    run = recorder.run_since(begun)
    assert (run["state_type"], run["state"]["message"]) == ("FAILED", "hasty-v0.1.0: 1 failed")
    tasks = recorder.tasks_of(run, "stage-hasty")
    assert tasks["stage-hasty"]["state_type"] == "FAILED"
    assert tasks["stage-hasty"]["start_time"] < run["start_time"]
    assert "RK-BUILD-FAILED" in recorder.artifacts_of(run)["releasekit-report"]


def test_each_index_has_runs_and_events(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release to two indexes has a task run and an event for each of them, with its address."""
    monkeypatch.setenv("INTERNAL_USER", "ada")
    monkeypatch.setenv("INTERNAL_PASSWORD", "opensesame")
    monkeypatch.setenv("PUBLIC_TOKEN", "pypi-of-the-second")
    with fault_index() as first, fault_index() as second:
        world = two_indexes(tmp_path, first, second, graph="core")
        begun = datetime.now(UTC)

        said = world.releasekit("publish", "--yes", "--skip-audit", "--skip-smoke-test")

        assert said.code == 0, said.err
        run = recorder.run_since(begun)
        steps = [
            f"{step}-core-0.1.0{index}"
            for step in ("upload", "confirm")
            for index in ("", "-public")
        ]
        assert set(steps) <= recorder.tasks_of(run, *steps).keys()
        published = recorder.events_since(begun, "releasekit.package.published", 2)
        addresses = [event["payload"]["index"] for event in published]
        assert addresses == [first.simple_url, second.simple_url]
