"""Show what would be released, and why: `python -m flows.plan`, or the deployment `releasekit/plan`."""

if __name__ == "__main__":  # before Prefect is imported: a plan on a terminal must not pay for it
    import sys
    from runpy import run_module

    sys.argv.insert(1, "plan")
    run_module("releasekit", run_name="__main__")

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
from prefect.events import emit_event
from prefect.states import Cancelled, Completed

from flows.artifacts import (
    current_run,
    last_plan,
    name_run,
    save_plan,
    show_plan,
)
from flows.final_states import end_in_error_state
from releasekit import __version__
from releasekit.core.errors import ReleaseError
from releasekit.core.planning.plan_diff import ComparedPlan, diff_plans, with_difference
from releasekit.integrations.process import mask
from releasekit.operations.draft import checkout_workspace, open_project, plan_key
from releasekit.operations.planning import compute_plan
from releasekit.options import PlanOptions, as_flow_parameters
from tasks.run_logs import send_logs_to_prefect


@flow(name="releasekit", version=__version__, flow_run_name="plan")
@as_flow_parameters(PlanOptions)
@end_in_error_state
async def plan(options: PlanOptions) -> State[Any]:
    """Show what would be released, and what prevents it; the name of the final state says so. Nothing is changed."""
    send_logs_to_prefect()
    if later := await newer_run_time():
        return Cancelled(
            name="Late", message=f"a later run replaces it: due at {later:%Y-%m-%d %H:%M} UTC"
        )
    try:
        with checkout_workspace(options) as here:
            decided = await plan_and_compare(here)
    except ReleaseError as error:
        emit_plan_event(
            "refused", str(options.workspace), code=error.code, message=mask(str(error))
        )
        raise
    return Completed(name=decided.headline.capitalize(), message=decided.headline, data=decided)


async def plan_and_compare(options: PlanOptions) -> ComparedPlan:
    """Make and save the plan, and return it with the changes since the last plan of this workspace."""
    project, repo = open_project(options)
    new_plan = (await compute_plan(options, project, repo)).plan
    await name_run("plan", new_plan, "plan")
    key = plan_key(options, project, repo)
    before = await last_plan(key)
    since = None if before is None else diff_plans(before, new_plan)
    changes = None if since is None else since.sentences
    await show_plan(new_plan, changes)
    await save_plan(key, new_plan)
    packages = [f"{step.name} {step.version}" for step in new_plan.steps]
    emit_plan_event(
        "due" if packages else "nothing-due",
        key,
        title=new_plan.title,
        packages=packages,
        changes=changes or (),
        obstacles=[obstacle.code for obstacle in new_plan.obstacles],
    )
    return with_difference(new_plan, since)


def emit_plan_event(outcome: str, workspace: str, **payload: object) -> None:
    """Send the result of a plan to Prefect's automations: `releasekit.plan.due`, `….nothing-due` or `….refused`."""
    emit_event(
        f"releasekit.plan.{outcome}",
        {"prefect.resource.id": f"releasekit.workspace.{workspace}"},
        payload=payload,
    )


async def newer_run_time() -> datetime | None:
    """Return when the latest run of this schedule was due; None if this run is the latest.

    If no worker runs for some nights, all their runs start at once when one comes back (PrefectHQ/prefect#15886).
    """
    run = current_run()
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
        runs = await client.read_flow_runs(
            flow_run_filter=later, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=200
        )
    start_times = filter(
        None, (newer_run.expected_start_time for newer_run in runs if newer_run.auto_scheduled)
    )
    later_times = [start_time for start_time in start_times if start_time > run.expected_start_time]
    return max(later_times, default=None)
