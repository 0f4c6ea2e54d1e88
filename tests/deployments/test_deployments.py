"""`prefect.yaml` for real: a server takes it, its scheduler plans nightly runs, and a worker carries runs out."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import sys
import tarfile
import time
import uuid
from contextlib import chdir, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from releasekit import __version__
from releasekit.integrations.prefect_server import CLIENT_SETTINGS, SERVER_SETTINGS
from releasekit.integrations.process import Command, background
from tests.support.world import World, dated_tag, make_world, relatives

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from releasekit.integrations.peryx import EmbeddedIndex

ROOT = Path(__file__).parents[2]
SCHEDULER_PATIENCE = 60.0  # seconds; it looks for new deployments every five


ADA = {
    f"GIT_{who}_{what}": "ada@example.invalid"
    for who in ("AUTHOR", "COMMITTER")
    for what in ("NAME", "EMAIL")
}
"""Who commits where a worker runs: its clones have no configuration of their own."""
UNAVAILABLE = 503
PATIENCE = 120.0
"""Seconds for anything that is going to happen."""


def prefect(*argv: str) -> str:
    """Run Prefect's command line without a terminal, and return what it prints.

    It runs in this process: to import Prefect again would cost 2 CPU-seconds.
    """
    from prefect.cli import app

    output, code = io.StringIO(), None
    with chdir(ROOT), redirect_stdout(output), pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["prefect", "--no-prompt", *argv])
        try:
            app()
        except SystemExit as ended:
            code = ended.code
    assert not code, output.getvalue()
    return output.getvalue()


def post(address: str, body: dict[str, Any]) -> Any:
    """Send *body* to the API as Prefect's client does: again, while a busy database makes the server answer 503."""
    deadline = time.monotonic() + PATIENCE
    while (answer := httpx.post(address, json=body, timeout=PATIENCE)).status_code == UNAVAILABLE:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)
    return answer.raise_for_status().json()


def ask(api: str, what: str, **question: Any) -> Any:
    """Ask the API: `POST /WHAT/filter`."""
    return post(f"{api}/{what}/filter", question)


Deployed = dict[str, dict[str, Any]]


def triggered(api: str, deployment: dict[str, Any], **parameters: Any) -> str:
    """Ask for a run as the UI does, and return its id."""
    return post(
        f"{api}/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters}
    )["id"]


def flow_run(api: str, run: str) -> dict[str, Any]:
    """Return what the API knows of a flow run."""
    return ask(api, "flow_runs", flow_runs={"id": {"any_": [run]}})[0]


def logs(api: str, run: str) -> str:
    """Return what a flow run has logged."""
    return "\n".join(
        line["message"] for line in ask(api, "logs", logs={"flow_run_id": {"any_": [run]}})
    )


def everything(api: str) -> str:
    """Return all that the server would show to anybody."""
    return json.dumps(
        [ask(api, what) for what in ("flow_runs", "task_runs", "artifacts", "logs", "deployments")]
    )


def set_state(api: str, run: str, state: dict[str, Any]) -> None:
    """Put a run into *state*, as the UI does."""
    post(f"{api}/flow_runs/{run}/set_state", {"state": state, "force": True})


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


def files_of_sdist(data: Path, package: str) -> list[str]:
    """Return the files in the only sdist of *package* that a worker with its *data* has built."""
    (sdist,) = data.glob(f"releasekit/clones/*/*/.git/releasekit/*/dist/{package}/*.tar.gz")
    with tarfile.open(sdist) as archive:
        return archive.getnames()


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
    return [line for line in worker.processes().values() if "module_importer.py" in line]


def online_workers(api: str) -> int:
    """Return how many workers of the pool the server knows to be there."""
    workers = ask(api, "work_pools/releasekit/workers")
    return sum(entry["status"] == "ONLINE" for entry in workers)


@contextmanager
def notifications() -> Generator[list[str]]:
    """Create our automations with a block that sends each notification to the list."""
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    from deployments.automations import create_automations

    sent: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name in http.server
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        block: Any = CustomWebhookNotificationBlock  # its type demands what has a default
        block(
            name="receiver",
            url=f"http://127.0.0.1:{server.server_port}",
            json_data={"text": "{{subject}}\n{{body}}"},
        ).save("releases", overwrite=True)
        for _ in range(2):  # the second time it updates them
            assert len(asyncio.run(create_automations("custom-webhook/releases"))) == 4
        try:
            yield sent
        finally:
            server.shutdown()


@contextmanager
def worker(directory: Path, name: str, *options: str) -> Generator[Worker]:
    """Run a process worker inside the block, with its data in a place of its own."""
    home, mark = directory / name, str(uuid.uuid4())
    home.mkdir()
    env: dict[str, str | None] = {
        "PREFECT_TEST_MARK": mark,
        "RELEASEKIT_BUILD_ENV": "PREFECT_TEST_MARK",  # builds and imports have it too
        "XDG_DATA_HOME": str(home),
        "PREFECT_DEFAULT_RESULT_STORAGE_BLOCK": "local-file-system/shared",
        "GIT_ALLOW_PROTOCOL": "file",  # a submodule from this machine
        **ADA,
    }
    argv = (
        sys.executable,
        "-m",
        "prefect",
        "worker",
        "start",
        "--pool",
        "releasekit",
        "--name",
        name,
        *options,
    )
    settings = {"PREFECT_WORKER_QUERY_SECONDS": "1"}
    running = Worker(f"PREFECT_TEST_MARK={mark}", home / "log")
    try:
        with background(Command(argv, home, {**env, **settings}), running.log):
            yield running
    finally:
        running.kill()


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file that says what importing `slow` does: "wait", "fail", or anything else."""
    return tmp_path_factory.mktemp("gate") / "gate"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, gate: Path) -> World:
    """Make a repository that is to be cloned, with a submodule; how it is released stands in its files."""
    gate.write_text("go on")
    slow = f"import time, pathlib\ngate = pathlib.Path({str(gate)!r})\n"
    slow += "while gate.read_text() == 'wait': time.sleep(0.1)\n"
    slow += "if gate.read_text() == 'fail': raise SystemExit('the gate is shut')\n"
    made = make_world(tmp_path_factory.mktemp("world"), "app: slow; slow", slow=slow)
    library = make_world(tmp_path_factory.mktemp("library"), "seeds")
    allowed = ("-c", "protocol.file.allow=always")
    made.git(*allowed, "submodule", "--quiet", "add", str(library.root), "packages/app/seeds")
    build = '\n[tool.uv.build-backend]\nsource-include = ["seeds/uv.lock"]\n'
    declared = (made.root / "packages/app/pyproject.toml").read_text()
    made.commit("feat: seeds", {"packages/app/pyproject.toml": declared + build})
    table = 'audit = false\noverlay = "resolve"\nsecrets.UV_PUBLISH_TOKEN = "upload-token"\n'
    text = (made.root / "pyproject.toml").read_text()
    made.commit("chore: configure", {"pyproject.toml": f"{text}\n[tool.releasekit]\n{table}"})
    made.git("push", "--quiet", "origin", "main")
    return made


ORCHARD = '- { <<: *publish, name: publish-orchard, parameters: { workspace: "https://host/team/orchard.git" } }\n'
"""The entry for another workspace, as prefect.yaml and the guide show it."""


@pytest.fixture(scope="module")
def deployed(prefect_api: str, world: World, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """Deploy as the guide says, with another workspace, and return what the server then knows, by name."""
    text = (ROOT / "prefect.yaml").read_text()
    assert f"  # {ORCHARD}" in text
    own_file = tmp_path_factory.mktemp("deployments") / "prefect.yaml"
    own_file.write_text(text.replace(f"# {ORCHARD}", ORCHARD))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PREFECT_API_URL", prefect_api)
        prefect("work-pool", "create", "releasekit", "--type", "process", "--overwrite")
        prefect("variable", "set", "releasekit_workspace", f"file://{world.remote}", "--overwrite")
        prefect("deploy", "--all", "--prefect-file", str(own_file))
    return {deployment["name"]: deployment for deployment in ask(prefect_api, "deployments")}


def test_every_flow_is_deployed(deployed: Deployed) -> None:
    """Deploying asks no question; each deployment has a form with a text for every option and demands none."""
    assert deployed.keys() == {
        "publish",
        "dry-run",
        "prepare",
        "plan",
        "check",
        "stage-on",
        "rollback",
        "publish-orchard",
    }
    for name, deployment in deployed.items():
        schema = deployment["parameter_openapi_schema"]
        assert deployment["description"]
        assert deployment["work_pool_name"] == "releasekit"
        assert deployment["parameters"]["workspace"].startswith(
            "https://" if name == "publish-orchard" else "file://"
        )
        assert deployment["version"] == __version__
        assert not schema.get("required")
        assert [
            name for name, option in schema["properties"].items() if not option.get("description")
        ] == []
    assert (
        deployed["publish"]["parameter_openapi_schema"]["properties"]["dry_run"]["type"]
        == "boolean"
    )
    for name in ("publish", "prepare", "rollback"):
        assert deployed[name]["global_concurrency_limit"]["limit"] == 1
        assert deployed[name]["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert deployed["rollback"]["parameters"]["dry_run"] is True, (
        "it looks, until it is told otherwise"
    )
    assert deployed["dry-run"]["parameters"]["dry_run"] is True
    assert deployed["dry-run"]["global_concurrency_limit"] is None, "it takes no release's place"
    told = deployed["publish"]["job_variables"]["env"]
    assert told == {name: CLIENT_SETTINGS[name] for name in told}


def test_another_workspace_keeps_the_deployment(deployed: Deployed) -> None:
    """The entry that the guide shows for another workspace gives the same deployment, but for name and workspace."""
    assert ORCHARD in (ROOT / "docs" / "guides" / "prefect-deployments.md").read_text()
    publish, orchard = deployed["publish"], deployed["publish-orchard"]

    for key in (
        "tags",
        "description",
        "job_variables",
        "work_pool_name",
        "entrypoint",
        "version",
        "concurrency_options",
    ):
        assert publish[key], key
        assert orchard[key] == publish[key], key
    assert orchard["parameters"] == {"workspace": "https://host/team/orchard.git"}
    assert orchard["global_concurrency_limit"]["limit"] == 1


def test_due_plan_can_begin_release(prefect_api: str, deployed: Deployed) -> None:
    """Deploying creates the automation that begins a release when the plan is due; it is off until you enable it."""
    automations = ask(prefect_api, "automations")
    (due_plan,) = [entry for entry in automations if entry["name"] == "releasekit-publish-when-due"]

    assert not due_plan["enabled"]
    (action,) = due_plan["actions"]
    assert (action["type"], action["deployment_id"]) == (
        "run-deployment",
        deployed["publish"]["id"],
    )
    assert action["parameters"] == {"approve": True}
    assert due_plan["trigger"]["expect"] == ["releasekit.plan.due"]


def test_plan_runs_every_night(prefect_api: str, deployed: Deployed) -> None:
    """The server's scheduler lives: runs of the nightly plan appear, which they don't beside SQLAlchemy 2.1."""
    plan = {"id": {"any_": [deployed["plan"]["id"]]}}
    deadline = time.monotonic() + SCHEDULER_PATIENCE

    while (
        not (runs := ask(prefect_api, "flow_runs", deployments=plan))
        and time.monotonic() < deadline
    ):
        time.sleep(0.5)

    assert runs, "no scheduled run has appeared"
    assert {
        run["expected_start_time"].partition("T")[2][:8] for run in runs if run["auto_scheduled"]
    } == {"03:00:00"}


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
    Meanwhile a dry run and the nightly plan run next to the release, and the automations notify of its failures.
    """
    begun, title = datetime.now(UTC), dated_tag()  # it takes minutes, also around midnight
    token = str(own_index.environment["UV_PUBLISH_TOKEN"])
    save_blocks(tmp_path / "results", token)
    monkeypatch.delenv("UV_PUBLISH_TOKEN")

    with worker(tmp_path, "one") as one, notifications() as notified:
        gate.write_text("fail")
        run = triggered(prefect_api, deployed["publish"])
        until(lambda: flow_run(prefect_api, run)["state_type"] == "FAILED", one)
        assert uploaded(own_index) == ["slow-0.1.0"]
        until(lambda: notified, one)
        assert notified[0].startswith(
            f"publish {title} (2 packages): Failed\n{title}: 1 failed, 1 blocked"
        )

        gate.write_text("wait")
        prefect("flow-run", "retry", run)
        until(lambda: smoke_tests(one), one)
        other = triggered(prefect_api, deployed["publish"])
        # Turned away, not queued.
        until(lambda: flow_run(prefect_api, other)["state_type"] == "CANCELLED", one)

        asked = prefect("deployment", "run", "releasekit/dry-run", "-p", "offline=true")
        readers = [re.findall(r"UUID: (\S+)", asked)[0], due(prefect_api, deployed["plan"]["id"])]
        until(
            lambda: all(
                flow_run(prefect_api, reader)["state_type"] == "COMPLETED" for reader in readers
            ),
            one,
        )
        artifacts = ask(prefect_api, "artifacts", flow_runs={"id": {"any_": readers}})
        plans = [artifact["data"] for artifact in artifacts if artifact["key"] == "releasekit-plan"]
        assert [("app" in plan, "0.1.0" in plan) for plan in plans] == [(True, True)] * 2

        set_state(prefect_api, run, {"type": "CANCELLING"})
        until(lambda: flow_run(prefect_api, run)["state_type"] == "CANCELLED", one)
        until(lambda: not smoke_tests(one), one)  # no orphan

        run = triggered(prefect_api, deployed["publish"])
        until(lambda: smoke_tests(one), one)  # so the lock was free
        until(lambda: f"resuming {title}" in logs(prefect_api, run), one)

        with worker(tmp_path, "two") as two:  # both are here now
            until(lambda: online_workers(prefect_api) == 2, two)
            one.kill()
            # As a person does on its page; it frees its place.
            set_state(prefect_api, run, {"type": "CRASHED"})
            until(lambda: len(notified) > 2, two)
            assert notified[1].startswith("releasekit.plan.due\napp-v0.1.0 app 0.1.0")
            assert notified[2].startswith(f"publish {title} (2 packages): Crashed")
            gate.write_text("go on")
            run = triggered(prefect_api, deployed["publish"], resume_from_registry=True)
            until(lambda: flow_run(prefect_api, run)["state_type"] in ("COMPLETED", "FAILED"), two)

    assert flow_run(prefect_api, run)["state_name"] == "Completed", two.said()
    assert uploaded(own_index) == ["slow-0.1.0", "app-0.1.0"]
    assert "app-0.1.0/seeds/uv.lock" in files_of_sdist(tmp_path / "two", "app")
    assert set(world.tags()) == {"app-v0.1.0", "slow-v0.1.0", title}
    wanted = {
        "event": {"name": ["releasekit.package.published"]},
        "occurred": {"since": begun.isoformat()},
    }
    events = ask(prefect_api, "events", filter=wanted)["events"]
    assert sorted(event["payload"]["package"] for event in events) == ["app", "slow"]
    tasks = ask(prefect_api, "task_runs", flow_runs={"id": {"any_": [run]}})
    states = {task["name"]: task["state_name"] for task in tasks}
    assert (states["upload-slow-0.1.0"], states["upload-app-0.1.0"]) == ("Cached", "Completed")
    assert not [
        found for found in (one.said(), two.said(), everything(prefect_api)) if token in found
    ]


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
    assert {
        name for name, value in SERVER_SETTINGS.items() if f"export {name}={value}\n" not in read
    } == set()
