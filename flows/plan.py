"""What would be released, and why: `python -m flows.plan`, or the deployment `releasekit/plan`."""

if __name__ == "__main__":  # before Prefect is imported: a plan on a terminal must not pay for it
    from releasekit.__main__ import main

    raise SystemExit(main("plan"))

from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import State
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.states import Cancelled, Completed, Failed

from flows.artifacts import keep_plan, last_plan, name_run, record_our_lines, show_plan
from releasekit import __version__
from releasekit.core.errors import ReleaseError
from releasekit.core.planning.plan_diff import ComparedPlan, compared, with_difference
from releasekit.integrations.process import mask
from releasekit.operations.draft import at_hand, key_of, open_project
from releasekit.operations.planning import compute_plan
from releasekit.options import PlanOptions, flat


@flow(name="releasekit", version=__version__, flow_run_name="plan")
@flat(PlanOptions)
async def plan(options: PlanOptions) -> State[Any]:
    """Decide what would be released, and what stands in its way; the final state is named so. Changes nothing."""
    record_our_lines()
    if later := await superseded():
        return Cancelled(name="Late", message=f"the run that was due at {later:%Y-%m-%d %H:%M} UTC does it")
    try:
        with at_hand(options) as here:
            decided = await decide(here)
    except ReleaseError as error:
        announce("refused", str(options.workspace), code=error.code, message=mask(str(error)))
        return Failed(name=f"Refused: {error.code}", message=mask(error.full_text), data=error)
    return Completed(name=decided.headline.capitalize(), message=decided.headline, data=decided)


async def decide(options: PlanOptions) -> ComparedPlan:
    """Make the plan, and leave it with what has changed since the last one of this workspace."""
    project, repo = open_project(options)
    decided = (await compute_plan(options, project, repo)).plan
    await name_run("plan", decided, "plan")
    key = key_of(options, project, repo)
    before = await last_plan(key)
    since = None if before is None else compared(before, decided)
    changes = None if since is None else since.sentences
    await show_plan(decided, changes)
    await keep_plan(key, decided)
    packages = [f"{step.name} {step.version}" for step in decided.steps]
    what, codes = "due" if packages else "nothing-due", [obstacle.code for obstacle in decided.obstacles]
    announce(what, key, title=decided.title, packages=packages, changes=changes or (), obstacles=codes)
    return with_difference(decided, since)


def announce(what: str, workspace: str, **told: object) -> None:
    """Tell Prefect's automations how a plan came out: `releasekit.plan.due`, `….nothing-due` or `….refused`."""
    emit_event(f"releasekit.plan.{what}", {"prefect.resource.id": f"releasekit.workspace.{workspace}"}, payload=told)


async def superseded() -> datetime | None:
    """Return when the latest run of this schedule was due, if this is not it.

    Where no worker was there for some nights, all their runs start at once as one comes (PrefectHQ/prefect#15886).
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if not (run and run.auto_scheduled and run.deployment_id and run.expected_start_time):
        return None
    later = FlowRunFilter(
        id=FlowRunFilterId(not_any_=[run.id]),
        deployment_id=FlowRunFilterDeploymentId(any_=[run.deployment_id]),
        expected_start_time=FlowRunFilterExpectedStartTime.model_validate(
            {"after_": run.expected_start_time, "before_": datetime.now(UTC)}
        ),
    )
    async with get_client() as client:
        runs = await client.read_flow_runs(flow_run_filter=later, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=200)
    due = [each.expected_start_time for each in runs if each.auto_scheduled and each.expected_start_time]
    return max((when for when in due if when > run.expected_start_time), default=None)
