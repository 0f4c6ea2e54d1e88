"""A plan that waits for approval, in Prefect's UI or by `releasekit approve`."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Literal

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.flow_runs import apause_flow_run, asuspend_flow_run
from prefect.input import RunInput
from prefect.utilities.urls import url_for
from pydantic import Field, WithJsonSchema, create_model

from flows.artifacts import current_run, name_run, show_plan
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.planning.model import Plan
from releasekit.formats.markdown import plan_summary
from releasekit.integrations.process import mask
from releasekit.operations.confirmation import AssumeYes, ConfirmationAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from prefect.client.schemas.objects import FlowRun

    from releasekit.operations.confirmation import Proposal, Subject

log = logging.getLogger("releasekit")

_POLL = 2
"""Seconds between two checks whether the run was cancelled or answered."""


class ApprovalForm(RunInput):
    """The form that approves or rejects a plan. An empty form is no approval: *answer* has no default."""

    answer: Literal["approve", "reject"] = Field(description="Approve or reject this plan")
    reason: str = Field(default="", description="The reason; a rejected run shows it")
    drop: list[str] = Field(default=[], description="Packages to leave out of the release")


class UnattendedRun(AssumeYes):
    """Shows the plan in the flow run, and does not ask: the person who started the run has agreed."""

    async def show(self, subject: Subject) -> None:
        """Name the run after the plan, and save the plan as an artifact."""
        if isinstance(subject, Plan):
            await name_run("publish", subject)
            await show_plan(subject)


class PrefectConfirmation(UnattendedRun):
    """Pauses the flow run and shows the plan in a form, until somebody answers."""

    def can_take_hours(self, proposal: Proposal) -> bool:
        """Return whether somebody is asked: not for a release that resumes, because it was approved before."""
        return not proposal.is_resumed

    async def ask(self, proposal: Proposal) -> ConfirmationAnswer:
        """Return the answer. A cancelled run, or no answer within the proposal's timeout, counts as a rejection.

        The form cannot allow a first release: only `allow_new` does.
        """
        if proposal.is_resumed or proposal.needs_person:
            return await super().ask(proposal)
        plan = proposal.subject
        assert isinstance(plan, Plan), "only a plan has a form"  # noqa: S101
        run = current_run()
        assert run, "only a flow run can ask"  # noqa: S101
        _log_waiting_run(run, plan, proposal.repeat_reason)
        form = _answer_form(plan, proposal.repeat_reason)
        if run.deployment_id:
            # The process ends. When somebody answers, a worker starts the run again, and this call returns if the plan
            # is still the same. A run that only pauses loses its slot in the deployment's concurrency limit, and
            # Prefect crashes it for that after four minutes (see PrefectHQ/prefect#22885).
            timeout = int(proposal.timeout)
            filled = await asuspend_flow_run(wait_for_input=form, timeout=timeout, key=plan.release)
        else:
            filled = await _pause_for_answer(form, run.id, proposal.timeout)
        return _as_answer(filled)


def _log_waiting_run(run: FlowRun, plan: Plan, why: str) -> None:
    """Log where to approve *plan*. *why* is the reason for a second question."""
    url = url_for(run)
    page = f"{url}, or " if url else ""
    again = f" again, for {why}" if why else ""
    log.info("%s waits for approval%s: %s`releasekit approve %s`", plan.title, again, page, run.id)


def _as_answer(filled: ApprovalForm | str) -> ConfirmationAnswer:
    """Return the answer in a *filled* form. Instead of a form, *filled* may say why there is none."""
    if isinstance(filled, str):
        return ConfirmationAnswer(accepted=False, reason=filled)
    reason = f": {mask(filled.reason)}" if filled.reason else ""
    if filled.answer == "reject":
        return ConfirmationAnswer(accepted=False, reason=f"rejected{reason}")
    dropped = ", ".join(filled.drop)
    exception = f", without {dropped}" if dropped else ""
    log.info("approved%s%s", exception, reason)
    return ConfirmationAnswer(accepted=True, excluded=tuple(filled.drop))


async def _pause_for_answer(
    form: type[ApprovalForm], run: UUID, seconds: float
) -> ApprovalForm | str:
    """Wait in this process for an answer, and return it, or the reason why there is none.

    This returns as soon as the run is cancelled; Prefect alone would continue to wait.
    """
    # Our timeout ends first: after its own timeout, Prefect accepts no state for the run but its own.
    asked = apause_flow_run(wait_for_input=form, timeout=int(seconds) + 3600, poll_interval=_POLL)
    answered, cancelled = (
        asyncio.ensure_future(asked),
        asyncio.ensure_future(_wait_for_cancellation(run)),
    )
    try:
        ended, _ = await asyncio.wait(
            (answered, cancelled), timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        cancelled.cancel()
        answered.cancel()
    if answered in ended:
        return answered.result()
    if cancelled in ended:
        return "the run was cancelled"
    return f"nobody answered within {seconds:g} s"


async def _wait_for_cancellation(run: UUID) -> None:
    """Return when somebody cancels a run. Errors while checking are ignored: Prefect's own checks report them."""
    async with get_client() as client:
        while True:
            with suppress(HTTPError):
                flow_run = await client.read_flow_run(run)
                state_type = flow_run.state.type if flow_run.state else None
                if state_type in (StateType.CANCELLING, StateType.CANCELLED):
                    return
            await asyncio.sleep(_POLL)


def _answer_form(plan: Plan, why: str) -> type[ApprovalForm]:
    """Return the model of an answer to *plan*. The server refuses names that are not packages of the plan."""
    names = {"type": "string", "enum": [step.name for step in plan.steps]}
    drop: Any = Annotated[list[Annotated[str, WithJsonSchema(names)]], Field()]
    form = create_model(
        "Answer", __base__=ApprovalForm, drop=(drop, ApprovalForm.model_fields["drop"])
    )
    again = f"**{why.capitalize()}: please look again.** " if why else ""
    summary = plan_summary(plan)
    return form.with_initial_data(description=f"{again}{summary}")


async def list_waiting_runs() -> list[FlowRun]:
    """Return the releases that wait for approval, the longest waiting first."""
    paused = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED]))
    )
    async with get_client() as client:
        runs = await client.read_flow_runs(flow_run_filter=paused)
    waiting = filter(_waits_for_approval, runs)
    return sorted(waiting, key=lambda run: run.start_time or run.created or 0)


def _waits_for_approval(run: FlowRun) -> bool:
    has_form = run.state is not None and bool(run.state.state_details.run_input_keyset)
    return has_form and "releasekit" in run.tags


async def answer_run(run: str, *, reject: str | None, drop: Sequence[str]) -> FlowRun:
    """Answer the flow run *run*, given by its name, its id or the beginning of the id; returns it.

    Raises Refusal RK-RUN-NOT-WAITING if no run or several runs match, or if the server does not accept the answer.
    """
    flow_run = _match_run(run, await list_waiting_runs())
    run_input: dict[str, object] = {"answer": "approve", "drop": list(drop)}
    if reject is not None:
        run_input = {"answer": "reject", "reason": reject, "drop": []}
    async with get_client() as client:
        result = await client.resume_flow_run(flow_run.id, run_input=run_input)
    if result.status != "ACCEPT":
        reason = getattr(result.details, "reason", result.status)
        raise Refusal(ErrorCode.RUN_NOT_WAITING, f"{flow_run.name}: {reason}")
    return flow_run


def _match_run(name: str, runs: Sequence[FlowRun]) -> FlowRun:
    """Return the one of *runs* that *name* means; raises Refusal RK-RUN-NOT-WAITING."""
    id_prefix = name.lower()
    matches = [run for run in runs if name == run.name or str(run.id).startswith(id_prefix)]
    if len(matches) == 1:
        return matches[0]
    count = f"{len(matches)} runs wait" if matches else "no run waits"
    waiting = "; ".join(f"{run.name}, {run.id}" for run in runs)
    available = waiting or "none waits"
    message = f"{count} for approval by the name or id {name} ({available})"
    raise Refusal(ErrorCode.RUN_NOT_WAITING, message)
