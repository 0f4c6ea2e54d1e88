"""Somebody is asked before a release begins: a terminal's run pauses for it, a deployed one is suspended."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from releasekit.integrations.process import Command, background
from tests.support.world import World, dated_tag, make_world

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

PATIENCE = 90.0
"""Seconds until a run has come to a state, on a busy machine."""


class Asking:
    """A `publish --approve` that runs in a process of its own."""

    def __init__(self, world: World, output: Path) -> None:
        self.world, self.output = world, output

    def said(self, pattern: str, count: int = 1) -> list[str]:
        """Return what it has said *count* times."""
        deadline = time.monotonic() + PATIENCE
        while len(found := re.findall(pattern, self.output.read_text())) < count:
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.1)
        return found

    def asked(self, count: int = 1) -> str:
        """Return the id of the run once it has asked *count* times, and waits."""
        run = self.said(r"`releasekit approve (\S+)`", count)[-1]
        deadline = time.monotonic() + PATIENCE
        while run not in self.world.releasekit("approve").out:
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.1)
        return run


@contextmanager
def publishing(world: World, output: Path) -> Generator[Asking]:
    """Run `publish --approve` inside the block."""
    code = "import sys; from releasekit.cli.app import main; code = main(sys.argv[1:]); print('exit code', code)"
    argv = ("publish", "--approve", "--skip-audit", "--workspace", str(world.root))
    output.touch()
    with background(Command((sys.executable, "-c", code, *argv)), output):
        yield Asking(world, output)


def run_of(api: str, run: str) -> dict[str, Any]:
    """Return a flow run as the server knows it."""
    return httpx.get(f"{api}/flow_runs/{run}", timeout=PATIENCE).raise_for_status().json()


@pytest.mark.usefixtures("own_index")
def test_release_waits_for_approval(tmp_path: Path, prefect_api: str) -> None:
    """Nothing is begun before somebody says yes, and a yes is for the plan that they have seen."""
    world = make_world(tmp_path, "app: core; core; tool")
    before = world.state()

    with publishing(world, tmp_path / "rejected.log") as asking:
        run = asking.asked()
        assert world.state() == before, "nothing is begun while it waits"
        waits = run_of(prefect_api, run)
        assert (waits["state_type"], waits["name"]) == (
            "PAUSED",
            f"publish {dated_tag()} (3 packages)",
        )
        refused = world.releasekit("approve", run, "--drop", "toll")
        assert refused.code == 2
        assert "RK-RUN-NOT-WAITING" in refused.err
        assert "'toll' is not one of" in refused.err
        # Nobody could install app without it.
        assert world.releasekit("approve", run, "--drop", "core").code == 0
        assert asking.said(r"exit code (\d+)") == ["2"]
    assert "RK-SIBLING-MISSING: core is required, but not on the index" in asking.output.read_text()
    assert run_of(prefect_api, run)["state_name"] == "Refused: RK-SIBLING-MISSING"
    assert world.state() == before

    with publishing(world, tmp_path / "said-no.log") as asking:
        run = asking.asked()
        assert world.releasekit("approve", run, "--reject", "not on a Friday").code == 0
        assert asking.said(r"exit code (\d+)") == ["2"]
    assert "RK-NOT-CONFIRMED: rejected: not on a Friday" in asking.output.read_text()
    ended = run_of(prefect_api, run)
    assert (ended["state_type"], ended["state_name"]) == ("CANCELLED", "Not approved")
    assert ended["state"]["message"] == "rejected: not on a Friday"
    assert world.state() == before

    with publishing(world, tmp_path / "cancelled.log") as asking:
        run = asking.asked()
        cancelling = {"state": {"type": "CANCELLING"}}  # as the UI does
        httpx.post(f"{prefect_api}/flow_runs/{run}/set_state", json=cancelling).raise_for_status()
        assert asking.said(r"exit code (\d+)") == ["2"]
    assert "RK-NOT-CONFIRMED: the run was cancelled" in asking.output.read_text()
    assert run_of(prefect_api, run)["state_type"] == "CANCELLED"
    assert world.state() == before

    with publishing(world, tmp_path / "approved.log") as asking:
        run = asking.asked()
        world.commit("feat: more", {"packages/core/src/core/more.py": ""})  # the branch moves
        world.git("push", "--quiet")
        assert world.releasekit("approve", run).code == 0
        asking.asked(2)
        assert "has changed since it was approved" in asking.output.read_text()
        assert not world.tags()
        assert world.releasekit("approve", run, "--drop", "tool").code == 0
        assert asking.said(r"exit code (\d+)") == ["0"]
    assert run_of(prefect_api, run)["state_type"] == "COMPLETED"
    assert set(world.tags()) == {"core-v0.1.0", "app-v0.1.0", dated_tag()}, "tool was dropped"


@pytest.mark.usefixtures("own_index")
def test_suspended_run_holds_no_slot(tmp_path: Path, prefect_api: str) -> None:
    """A deployed run ends while it waits, and is begun anew after the answer; only then does it hold its slot again."""
    world = make_world(tmp_path, "core")
    before = world.state()

    first, stands, second = asyncio.run(suspended_and_resumed(prefect_api, world, before))

    assert (first["state_type"], first["state_name"]) == ("PAUSED", "Suspended")
    assert stands["active_slots"] == 0
    assert (second["state_type"], second["state"]["message"]) == (
        "COMPLETED",
        "core-v0.1.0: 1 confirmed",
    )
    assert set(world.tags()) == {"core-v0.1.0"}


async def suspended_and_resumed(
    api: str, world: World, before: dict[str, str]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Run the flow as a deployment's run, answer it, and run it again as a worker does."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import Pause
    from prefect.flow_engine import run_flow_async
    from prefect.states import Pending

    from flows.publish import publish

    async with get_client() as client:
        flow = await client.create_flow(publish)
        deployment = await client.create_deployment(flow, "gated", concurrency_limit=1)
        given = {"workspace": str(world.root), "approve": True, "audit": False}
        run = await client.create_flow_run_from_deployment(deployment, parameters=given)

        async def execute() -> dict[str, Any]:
            await client.set_flow_run_state(run.id, Pending())
            running: Any = run_flow_async
            with suppress(Pause):  # what ends the process of a run that is suspended
                await running(
                    flow=publish, flow_run=await client.read_flow_run(run.id), parameters=given
                )
            return run_of(api, str(run.id))

        first = await execute()
        assert world.state() == before
        stands = await client.read_global_concurrency_limit_by_name(f"deployment:{deployment}")
        resumed = await client.resume_flow_run(run.id, run_input={"answer": "approve"})
        assert resumed.status == "ACCEPT"
        second = await execute()
        await client.delete_deployment(deployment)
        return first, stands.model_dump(), second


def test_only_latest_scheduled_plan_runs(tmp_path: Path, prefect_api: str) -> None:
    """Of the scheduled plans that nobody has run in time only the latest is made; the others notice, and end."""
    assert prefect_api
    state = asyncio.run(oldest_due_plan(make_world(tmp_path, "core")))

    assert (state.type.value, state.name) == ("CANCELLED", "Late")
    assert re.fullmatch(
        r"a later run replaces it: due at 20\d\d-\d\d-\d\d \d\d:\d\d UTC", state.message
    )


async def oldest_due_plan(world: World) -> Any:
    """Let a schedule make several runs that are due, and return the state in which the oldest ends."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
    from prefect.client.schemas.schedules import IntervalSchedule
    from prefect.client.schemas.sorting import FlowRunSort
    from prefect.flow_engine import run_flow_async
    from prefect.states import Pending

    from flows.plan import plan

    given = {"workspace": str(world.root), "offline": True}
    async with get_client() as client:
        flow = await client.create_flow(plan)
        every = DeploymentScheduleCreate(
            schedule=IntervalSchedule(interval=timedelta(seconds=1)), active=True
        )
        deployment = await client.create_deployment(
            flow, "often", parameters=given, schedules=[every]
        )
        try:
            mine = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
            deadline = time.monotonic() + PATIENCE
            while True:
                runs = await client.read_flow_runs(
                    deployment_filter=mine, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=3
                )
                due = [
                    each
                    for each in runs
                    if each.expected_start_time
                    and each.expected_start_time.timestamp() < time.time()
                ]
                if len(due) == 3:
                    break
                assert time.monotonic() < deadline, runs
                await asyncio.sleep(0.2)
            await client.set_flow_run_state(due[0].id, Pending())
            running: Any = run_flow_async
            return await running(flow=plan, flow_run=due[0], parameters=given, return_type="state")
        finally:
            await client.delete_deployment(deployment)


def test_invalid_approval_commands_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What cannot be answered is refused, and says what can be done."""
    world = World(tmp_path, tmp_path)
    for words, said in (
        (("approve", "--drop", "core"), "name the run; `releasekit approve` lists"),
        (("approve", "x", "--drop", "core", "--reject", "no"), "one of --drop and --reject"),
        (("publish", "--approve", "--yes"), "--approve asks somebody else"),
    ):
        refused = world.releasekit(*words)
        assert (refused.code, said in refused.err) == (2, True), refused.err
    monkeypatch.setenv("PREFECT_API_URL", "")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    refused = world.releasekit("approve")
    assert refused.code == 2
    assert "set PREFECT_API_URL" in refused.err
    assert json.dumps(refused.out) == '""'
