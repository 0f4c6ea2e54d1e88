"""Let a deployment publish the rest of a release, at the time when the index accepts more."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.states import Scheduled

from releasekit.core.text import minute_text

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from prefect.client.schemas.objects import FlowRun

    from releasekit.core.release.report import ReleaseReport

log = logging.getLogger("releasekit")


async def continue_later(report: ReleaseReport, run: FlowRun | None) -> ReleaseReport:
    """Return *report* with a note that says who publishes the rest, and when. *run* is the flow run.

    A run of a deployment schedules the next run of its deployment, with the same parameters. That run resumes the
    release. A run that is tried again schedules no second one.
    """
    when = report.continues_at
    if when is None:
        return report
    note = f"run `releasekit publish` again after {minute_text(when)}: it publishes the rest"
    if run and run.deployment_id:
        try:
            next_run = await _schedule_run(run, run.deployment_id, when, report.release)
        except (OSError, PrefectException, httpx.HTTPError) as error:
            log.warning("the next run of the deployment is not scheduled: %s", error)
        else:
            note = f"the deployment continues at {minute_text(when)}, in the run {next_run.name}"
    return report.model_copy(update={"notes": (*report.notes, note)})


async def _schedule_run(run: FlowRun, deployment: UUID, when: datetime, release: str) -> FlowRun:
    async with get_client() as client:
        return await client.create_flow_run_from_deployment(
            deployment,
            parameters=run.parameters,
            state=Scheduled(scheduled_time=when),
            idempotency_key=f"releasekit-{release}-after-{run.id}",
        )
