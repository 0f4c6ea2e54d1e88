"""Who publishes the rest of a release that the index limits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from releasekit.core.release.report import PackageOutcome, PackageReport, ReleaseReport

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

pytestmark = pytest.mark.usefixtures("prefect_client")

LATER = (datetime.now(UTC) + timedelta(days=1)).replace(second=0, microsecond=0)
LATER_TEXT = f"{LATER:%Y-%m-%d %H:%M} UTC"


def package(name: str, outcome: str, retry_at: datetime | None = None) -> PackageReport:
    """Return the report of a package, which the index accepts after *retry_at*."""
    return PackageReport(
        name=name,
        version=Version("1.0"),
        tag=f"{name}-v1.0",
        outcome=PackageOutcome(outcome),
        retry_at=retry_at,
    )


LIMITED = ReleaseReport(
    release="1a2b3c",
    title="v1.0",
    packages=(
        package("a", "confirmed"),
        package("b", "failed", LATER),
        package("c", "blocked"),
    ),
)


def test_limited_release_names_the_time() -> None:
    """The final state is no success; it says how much is published, and when the rest continues."""
    from flows.continuation import continue_later
    from flows.final_states import final_state

    ended = final_state(LIMITED)

    assert (ended.type.value, ended.name) == ("FAILED", "Continues later")
    assert ended.message == (
        f"v1.0: 1 confirmed, 1 failed, 1 blocked; 1 of 3 published, the rest continues at {LATER_TEXT}"
    )
    on_laptop = asyncio.run(continue_later(LIMITED, None))
    assert on_laptop.notes == (
        f"run `releasekit publish` again after {LATER_TEXT}: it publishes the rest",
    )


@pytest.mark.parametrize(
    "report",
    [
        LIMITED.model_copy(update={"packages": (package("a", "confirmed"),)}),
        LIMITED.model_copy(update={"packages": (*LIMITED.packages, package("d", "failed"))}),
        LIMITED.model_copy(update={"problems": ("not pushed",)}),
    ],
    ids=["complete", "other-failure", "problem"],
)
def test_other_failures_need_a_person(report: ReleaseReport) -> None:
    """Time alone does not repair another failure, so nothing continues by itself."""
    from flows.continuation import continue_later
    from flows.final_states import final_state

    assert report.continues_at is None
    assert asyncio.run(continue_later(report, None)) is report
    assert final_state(report).name in ("Completed", "Failed")


@pytest.mark.usefixtures("prefect_api")
def test_deployment_continues_by_itself() -> None:
    """The next run of the deployment has the same parameters and starts at that time; there is only one.

    If the server cannot schedule it, the report says what a person does.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowFilter, FlowFilterId

    from flows.continuation import continue_later

    async def story() -> tuple[FlowRun, list[FlowRun], list[ReleaseReport]]:
        async with get_client() as client:
            flow_id = await client.create_flow_from_name("releasekit-continues")
            deployment = await client.create_deployment(flow_id, "publish")
            run = await client.create_flow_run_from_deployment(
                deployment, parameters={"only": ["a", "b", "c"]}
            )
            reports = [await continue_later(LIMITED, run) for _ in range(2)]
            runs = await client.read_flow_runs(
                flow_filter=FlowFilter(id=FlowFilterId(any_=[flow_id]))
            )
            await client.delete_deployment(deployment)
            reports.append(await continue_later(LIMITED, run))
            return run, runs, reports

    run, runs, reports = asyncio.run(story())

    (next_run,) = (other for other in runs if other.id != run.id)
    assert next_run.parameters == {"only": ["a", "b", "c"]}
    assert next_run.deployment_id == run.deployment_id
    assert next_run.expected_start_time == LATER
    note = f"the deployment continues at {LATER_TEXT}, in the run {next_run.name}"
    by_hand = f"run `releasekit publish` again after {LATER_TEXT}: it publishes the rest"
    assert [report.notes for report in reports] == [(note,), (note,), (by_hand,)]
