"""Run a command from this machine: plan, ask, start Prefect, run the flow."""

from __future__ import annotations

import logging
import os
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from releasekit.cli.render import terminal
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, ReleaseWarning
from releasekit.core.planning.plan_diff import diff_plans, snapshot_from_plan, with_difference
from releasekit.integrations.prefect_server import (
    configure_client,
    configured_api,
    import_in_thread,
    is_listening,
    prefect_server,
    running_server,
)
from releasekit.integrations.process import mask
from releasekit.integrations.signals import handle_termination, termination_as_interrupt
from releasekit.integrations.waits import WAITS
from releasekit.operations.draft import checkout_workspace, open_project, plan_key
from releasekit.operations.planning import compute_plan, select_release
from releasekit.operations.preview import with_unfinished
from releasekit.options import flow_parameters, hands_off_to_ci
from releasekit.store.record import load_plan_snapshot, read_plan_file, save_plan_snapshot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path
    from threading import Thread

    from prefect.client.schemas.objects import FlowRun

    from flows.release_phases import EarlyStaging
    from releasekit.cli.stage_tracker import StageTracker
    from releasekit.core.planning.model import Plan
    from releasekit.core.planning.plan_diff import ComparedPlan, PlanDifference
    from releasekit.core.release.pr_status import ReleasePullRequest
    from releasekit.core.release.report import ReleaseReport
    from releasekit.core.release.rollback_plan import Rollback
    from releasekit.integrations.git import Repo
    from releasekit.integrations.prefect_server import Server
    from releasekit.operations.run_checks import CheckRun
    from releasekit.operations.start_release import StartedRelease
    from releasekit.options import (
        CheckOptions,
        PlanOptions,
        PrepareOptions,
        PublishOptions,
        RollbackOptions,
        WorkspaceOptions,
    )
    from tasks.project import Project

log = logging.getLogger("releasekit")

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class DryRunResult:
    """The result of a dry run: the plan, and the commands that a release would run, by phase."""

    plan: Plan
    commands: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class PublishResult:
    """The result of a release; after a rehearsal also *pins*: each wheel name with its internal requirements.

    *plan* is empty if a run that asks for approval has made it.
    """

    report: ReleaseReport
    plan: Plan
    pins: tuple[tuple[str, str], ...] = ()


async def plan(
    options: PlanOptions, *, since_last: bool = False, diff: Path | None = None
) -> ComparedPlan:
    """Decide what would be released, and find all obstacles; if there is a Prefect API, the run is recorded there.

    The plan contains the difference from the plan in the file *diff*, or with *since_last* from the last known plan:
    on the server, else in the git directory, which then stores this plan for the next time.
    """
    earlier = snapshot_from_plan(read_plan_file(diff)) if diff else None
    recorded = _use_prefect_api("this plan")
    compared_plan = await run_or_record(
        "plan", options, partial(_plan_locally, options, since_last=since_last), recorded=recorded
    )
    since = compared_plan.since if since_last else None
    compared_plan = await with_unfinished(options, compared_plan)
    if since_last and since is None:
        log.info("no earlier plan is known; the next --since-last compares with this plan")
    return with_difference(compared_plan, diff_plans(earlier, compared_plan) if earlier else since)


async def _plan_locally(options: PlanOptions, *, since_last: bool) -> ComparedPlan:
    if since_last and options.source():
        message = "--since-last needs a checkout or a Prefect server, where the last plan is stored"
        raise Refusal(ErrorCode.USAGE, message, options.workspace)
    with checkout_workspace(options) as local_options:
        project, repo = open_project(local_options)
        compared_plan = with_difference(
            (await compute_plan(local_options, project, repo)).plan, None
        )
        if not since_last:
            return compared_plan
        key = plan_key(local_options, project, repo)
        return with_difference(compared_plan, _diff_with_last_plan(key, repo, compared_plan))


def _diff_with_last_plan(key: str, repo: Repo, current_plan: Plan) -> PlanDifference | None:
    last_plan = load_plan_snapshot(repo.common_dir, key)
    save_plan_snapshot(repo.common_dir, key, current_plan)
    if last_plan is None:
        return None
    return diff_plans(snapshot_from_plan(last_plan), current_plan)


async def check(options: CheckOptions) -> CheckRun:
    """Run the checks; if there is a Prefect API, the run is recorded there."""
    recorded = _use_prefect_api("this check")
    return await run_or_record(
        "check", options, partial(_check_locally, options), recorded=recorded
    )


async def _check_locally(options: CheckOptions) -> CheckRun:
    from releasekit.operations.run_checks import check_workspace

    with checkout_workspace(options) as local_options:
        return await check_workspace(local_options)


async def prepare(options: PrepareOptions) -> ReleasePullRequest:
    """Create or update the release pull request; if there is a Prefect API, the run is recorded there."""
    from releasekit.operations.release_pr import propose

    recorded = not options.dry_run and _use_prefect_api("this pull request")
    return await run_or_record("prepare", options, partial(propose, options), recorded=recorded)


async def _hand_off(options: PublishOptions, project: Project, repo: Repo) -> ReleasePullRequest:
    """Hand a merged release off to CI, which publishes it; if there is a Prefect API, the run is recorded there."""
    from releasekit.operations.release_pr import hand_off

    recorded = not options.dry_run and _use_prefect_api("this release")
    return await run_or_record(
        "publish", options, partial(hand_off, options, project, repo), recorded=recorded
    )


async def rollback(options: RollbackOptions, *, yes: bool) -> Rollback:
    """Roll a release back after a confirmation; if there is a Prefect API, the run is recorded there.

    The question comes before a recorded run, so that a no leaves no run.
    """
    from releasekit.cli.terminal_confirmation import TerminalConfirmation
    from releasekit.operations.run_rollback import confirm_rollback, run_rollback

    confirmation = TerminalConfirmation(yes=yes)
    recorded = _use_prefect_api("this rollback")
    if recorded and not (yes or options.dry_run):
        preview = await run_rollback(options.model_copy(update={"dry_run": True}))
        if not preview.release:
            return preview
        await confirm_rollback(preview, confirmation)
        options = options.model_copy(update={"release": preview.release})
    return await run_or_record(
        "rollback", options, partial(run_rollback, options, confirmation), recorded=recorded
    )


async def run_or_record(
    name: str, options: WorkspaceOptions, operation: Callable[[], Awaitable[R]], *, recorded: bool
) -> R:
    """Return the result of *operation*, or if *recorded*, of the flow *name*, which does the same in a Prefect run.

    Raises the error that ended the run. The result of a failed run, such as findings, is returned.
    """
    if not recorded:
        return await operation()
    from flows.event_flush import drain

    flow = getattr(import_module(f"flows.{name}"), name)
    try:
        state = await flow(**flow_parameters(options), return_state=True)
    finally:
        await drain()
    return _result_or_raise(await state.aresult(raise_on_failure=False))


def _result_or_raise(result: Any) -> Any:  # noqa: ANN401  flows return different types
    if isinstance(result, BaseException):
        raise result
    return result


@dataclass(frozen=True, slots=True)
class _PrefectApi:
    """Where runs are recorded: a configured Prefect API, or a local server.

    That one is the server of `releasekit server start`, or one that starts for this release. Meanwhile *preparation*
    imports Prefect.
    """

    url: str
    server: Server | None = None
    preparation: Thread | None = None

    def configure_prefect(self) -> None:
        """Set up Prefect to use this API. Unless *preparation* imports Prefect, call it before Prefect is imported."""
        configure_client(self.url)
        if self.preparation:
            self.preparation.join()
            from flows.event_flush import use_api

            use_api(self.url)
        elif self.server:
            os.environ["PREFECT_API_URL"] = self.url

    def is_starting(self) -> bool:
        """Return whether the server of this release does not answer yet."""
        return self.preparation is not None and not is_listening(self.url)


def _prefect_api() -> _PrefectApi | None:
    """Return the configured API, else the running local server, else None.

    Raises Refusal RK-SERVER-UNREACHABLE if a configured API does not answer: somebody expects to see the run there.
    """
    if url := configured_api():
        if not is_listening(url):
            raise Refusal(
                ErrorCode.SERVER_UNREACHABLE, "the Prefect API does not answer", mask(url)
            )
        return _PrefectApi(url)
    server = running_server()
    return _PrefectApi(server.url, server) if server else None


def _use_prefect_api(subject: str) -> bool:
    """Set up Prefect to record, and return whether it does; log that *subject* is not recorded if the API is down."""
    try:
        api = _prefect_api()
    except Refusal as error:
        log.warning(
            "warning %s", ReleaseWarning(error.code, f"{subject} is not recorded", error.location)
        )
        return False
    if api:
        api.configure_prefect()
    return bool(api)


async def dry_run(options: PublishOptions) -> DryRunResult | ReleasePullRequest:
    """Plan and check like a release, and list the commands that it would run; change nothing."""
    from releasekit.operations.dry_run import release_commands

    with checkout_workspace(options) as local_options:
        project, repo = open_project(local_options)
        if hands_off_to_ci(local_options, project.settings):
            return await _hand_off(local_options, project, repo)
        pending = await select_release(local_options, project, repo)
        plan = await with_unfinished(local_options, pending.plan)
        return DryRunResult(plan, tuple(release_commands(project, repo, pending, options)))


async def publish(
    options: PublishOptions, *, yes: bool, tracker: StageTracker | None = None
) -> PublishResult | ReleasePullRequest:
    """Release, or rehearse a release; an unfinished release is resumed. The *tracker* is notified of all stages.

    With `publish_from = "ci"`, a merged release is handed off to CI, and nothing else is done here.
    Raises Refusal, see `PlanRefusal`, for a plan that has obstacles.
    """
    from releasekit.cli.terminal_confirmation import TerminalConfirmation
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.report import ReleaseReport
    from releasekit.operations.start_release import start_release

    async with AsyncExitStack() as stack:
        stack.enter_context(termination_as_interrupt())
        rehearsing = options.rehearse
        if options.approve and not rehearsing:  # the run asks, so the run starts the release
            report = await _run_flow(options, _shared_api())
            return PublishResult(report, Plan(commit=report.commit, release=report.release))
        options = stack.enter_context(checkout_workspace(options, keep=not rehearsing))
        if rehearsing:
            from releasekit.operations.rehearsal import rehearsal

            options = stack.enter_context(rehearsal(options))
        project, repo = open_project(options)
        if hands_off_to_ci(options, project.settings):
            return await _hand_off(options, project, repo)
        # A temporary server starts while we plan.
        api = _recording_api(project.settings.record, stack)
        confirmation = TerminalConfirmation(yes=yes or rehearsing or options.stage_only)
        started = await start_release(options, project, repo, confirmation, stack)
        if not started.plan.steps:
            report = ReleaseReport(release=started.plan.release, title="nothing to release")
            return PublishResult(report, started.plan)
        stack.enter_context(WAITS.silence())  # the table or the log lines of the steps say more
        if terminal.is_terminal():
            started = started.with_observer(
                stack.enter_context(terminal.show_live_table(started.plan, project.settings))
            )
        if tracker:
            tracker.observer = started.release.observer
            started = started.with_observer(tracker)
        report = await (_run_flow(options, api, started) if api else _run_unrecorded(started))
        if not rehearsing:
            return PublishResult(report, started.plan)
        from releasekit.operations.rehearsal import list_published_pins

        pins = tuple(await list_published_pins(project, report))
        return PublishResult(report, started.plan, pins)


def _recording_api(record: str, stack: AsyncExitStack) -> _PrefectApi | None:
    """Return where a release is recorded, for the key *record*: a known API, or a temporary server; None for nowhere.

    The database of a temporary server is of use only if it stays, and to a person who watches. A CI job throws it away.
    """
    if record == "never":
        return None
    api = _prefect_api()
    starts_server = record == "always" or terminal.is_terminal()
    if api or not starts_server:
        return api
    server = stack.enter_context(prefect_server())
    configure_client(server.url)
    return _PrefectApi(server.url, server, import_in_thread("flows.started_release"))


async def approve(run: str, *, reject: str | None, drop: Sequence[str]) -> str:
    """Approve or reject a run that waits for approval; return its name."""
    _shared_api()
    from flows.approval import answer_run

    return (await answer_run(run, reject=reject, drop=drop)).name


async def waiting_releases() -> list[tuple[str, str]]:
    """Return the name and id of each run that waits for approval."""
    _shared_api()
    from flows.approval import list_waiting_runs as runs_waiting

    return [(run.name, str(run.id)) for run in await runs_waiting()]


def _shared_api() -> _PrefectApi:
    """Set up Prefect for an API that the approver can reach too, and return it."""
    api = _prefect_api()
    if api is None:
        message = "this needs a permanent Prefect server: set PREFECT_API_URL, or run `releasekit server start`"
        raise Refusal(ErrorCode.USAGE, message)
    api.configure_prefect()
    return api


async def _run_flow(
    options: PublishOptions, api: _PrefectApi, started: StartedRelease | None = None
) -> ReleaseReport:
    """Return the report of a recorded release. Without *started*, the run starts the release itself.

    A release whose server is still starting is staged meanwhile, and its run records that.
    """
    server = api.server
    early = await _stage_while_starting(started, api) if started and api.is_starting() else None
    if server:
        try:
            server.wait()
        except ReleaseError as error:
            if started:
                return await _run_without_server(started, error, early)
            message = f"{error.message}, so nobody can approve"
            raise Refusal(
                ErrorCode.SERVER_START, message, error.location, output=error.output
            ) from None
    api.configure_prefect()
    from flows.event_flush import count_task_runs, drain, wait_until_persisted

    flow: Any
    if started:
        from flows.started_release import flow_of

        flow = flow_of(started, early)
    else:
        from flows.publish import publish as flow
    runs: list[str] = []

    def record_start(_flow: object, run: FlowRun, _state: object) -> None:
        handle_termination()  # Prefect has replaced the signal handler by then
        runs.append(str(run.id))

    hook: Any = record_start
    flow = flow.with_options(on_running=[hook])
    async with count_task_runs() if server else nullcontext() as counter:
        try:
            flow_call: Any = flow(**flow_parameters(options), return_state=True)
            state: Any = await flow_call
        finally:  # also after an interrupt
            await drain()
            if server and counter and runs:
                await wait_until_persisted(server, runs[0], counter.count_ended())
    return _result_or_raise(await state.aresult(raise_on_failure=False))


async def _stage_while_starting(started: StartedRelease, api: _PrefectApi) -> EarlyStaging | None:
    """Stage a release while the server of *api* starts; None if its flow run must stage it."""
    if api.preparation:
        api.preparation.join()
    from flows.started_release import can_stage_early, stage_early

    return await stage_early(started) if can_stage_early(started) else None


async def _run_without_server(
    started: StartedRelease, error: ReleaseError, early: EarlyStaging | None
) -> ReleaseReport:
    log.warning(
        "warning %s",
        ReleaseWarning(
            ErrorCode.SERVER_START, f"{error.message}: this release is not recorded", error.location
        ),
    )
    log.debug("%s", error.output)
    report = await _run_unrecorded(started, early)
    note = "Prefect has no record of this release, because its server did not start"
    return report.model_copy(update={"notes": (*report.notes, note)})


async def _run_unrecorded(
    started: StartedRelease, early: EarlyStaging | None = None
) -> ReleaseReport:
    """Release without a Prefect server. A second run reads from the record on disk what was done."""
    configure_client("")
    from flows.event_flush import share_clients, without_server
    from flows.release_phases import run_release

    with without_server():
        async with share_clients():
            return await run_release(started, early)
