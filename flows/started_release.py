"""A release that has started outside of Prefect: stage it while its server starts, and record it."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prefect import Flow, flow
from prefect.client.schemas.objects import State

from flows.approval import UnattendedRun
from flows.early_steps import EarlySteps
from flows.final_states import end_in_error_state, final_state
from flows.release_phases import EarlyStaging, StagedRelease, prepare_and_stage, run_release
from flows.task_runners import builds_on_threads
from releasekit import __version__
from releasekit.core.errors import ReleaseError
from releasekit.core.release.timeline import TimelineObserver
from releasekit.operations.draft import open_index
from releasekit.operations.start_release import StartedRelease
from releasekit.options import PublishOptions, as_flow_parameters
from tasks.run_logs import send_logs_to_prefect

if TYPE_CHECKING:
    from releasekit.core.release.report import ReleaseReport


def can_stage_early(started: StartedRelease) -> bool:
    """Return whether a release can be staged before its flow run.

    Workers of platforms need the run. Builds in other processes need the server, because `EarlySteps` keeps only what
    happens in this one.
    """
    is_for_workers = bool(started.plan.platforms) and not started.options.stage_only
    return builds_on_threads(started.release.settings) and not is_for_workers


async def stage_early(started: StartedRelease) -> EarlyStaging:
    """Prepare and stage a release while its server starts, for `run_release` in its flow run."""
    steps, earlier_run = EarlySteps(), started.release.record.flow_run()
    timeline = TimelineObserver(started.release.observer, time.monotonic)
    release = replace(started.release, observer=timeline)
    async with steps.collect():
        try:
            async with open_index(started.project, release.target) as index:
                outcome: StagedRelease | ReleaseReport | ReleaseError = await prepare_and_stage(
                    release, started.repo, index, started.options
                )
        except ReleaseError as error:
            outcome = error
    return EarlyStaging(steps, earlier_run, timeline, outcome)


def flow_of(started: StartedRelease, early: EarlyStaging | None = None) -> Flow[..., Any]:
    """Return the flow `publish` for a release that has *started* outside of Prefect: it decides nothing.

    With *early*, the release is staged already. The parameters of its run only show the options. The release itself is
    no parameter, because Prefect would have to write it down.
    """

    @flow(name="releasekit", version=__version__, flow_run_name="publish")
    @as_flow_parameters(PublishOptions)
    @end_in_error_state
    async def publish(_: PublishOptions) -> State[Any]:
        """Publish a release that has started."""
        send_logs_to_prefect()
        if early:
            early.steps.record()
        await UnattendedRun().show(started.plan)
        return final_state(await run_release(started, early))

    return publish
