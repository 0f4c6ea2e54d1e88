"""A release from this machine: plan, ask, start Prefect, run the flow."""

from __future__ import annotations

import logging
import os
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from releasekit.cli.render import terminal
from releasekit.cli.terminal_confirmation import TerminalConfirmation
from releasekit.core.errors import Code, Refusal, ReleaseError, Warn
from releasekit.core.planning.plan_diff import compared, earlier_of, with_difference
from releasekit.core.release.report import Report
from releasekit.integrations.prefect_server import (
    CLIENT_SETTINGS,
    NO_SERVER_SETTINGS,
    OWN_SERVER_SETTINGS,
    answers,
    configured_api,
    kept_server,
    prefect_server,
    settle,
)
from releasekit.integrations.process import mask
from releasekit.integrations.signals import heed_termination, terminated_is_interrupted
from releasekit.operations.draft import at_hand, key_of, open_project
from releasekit.operations.dry_run import outline
from releasekit.operations.planning import compute_plan, select_release
from releasekit.operations.preview import with_unfinished
from releasekit.operations.start_release import start_release
from releasekit.options import is_by_pull, parameters_of
from releasekit.store.record import keep_plan, plan_in, plan_kept

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from prefect.client.schemas.objects import FlowRun

    from releasekit.core.planning.model import Plan
    from releasekit.core.planning.plan_diff import ComparedPlan, Difference
    from releasekit.core.release.pr_status import ReleasePull
    from releasekit.core.release.rollback_plan import Rollback
    from releasekit.integrations.git import Repo
    from releasekit.integrations.prefect_server import Server
    from releasekit.operations.run_checks import Health
    from releasekit.operations.start_release import StartedRelease
    from releasekit.options import CheckOptions, Place, PlanOptions, PrepareOptions, PublishOptions, RollbackOptions
    from tasks.project import Project

log = logging.getLogger("releasekit")

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Decided:
    """What a dry run has found: the plan, and the commands that a release would run."""

    plan: Plan
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Released:
    """What came of a release; after a rehearsal also *pins*, the wheels with the internal requirements in them."""

    report: Report
    pins: tuple[tuple[str, str], ...] = ()


async def plan(options: PlanOptions, *, since_last: bool = False, diff: Path | None = None) -> ComparedPlan:
    """Decide what would be released, and find what stands in the way; the run is recorded where there is a Prefect API.

    The plan says how it differs from the one in the file *diff*, or with *since_last* from the last one that is known:
    on the server, or else in the git directory, which keeps this plan for the next time.
    """
    earlier = earlier_of(plan_in(diff)) if diff else None
    recorded = _use_prefect_api("this plan")
    decided = await run_or_record(
        "plan", options, partial(_plan_here, options, since_last=since_last), recorded=recorded
    )
    since = decided.since if since_last else None
    decided = await with_unfinished(options, decided)
    if since_last and since is None:
        log.info("no earlier plan is known; the next --since-last is compared with this one")
    return with_difference(decided, compared(earlier, decided) if earlier else since)


async def _plan_here(options: PlanOptions, *, since_last: bool) -> ComparedPlan:
    if since_last and options.source():
        what = "--since-last needs a checkout or a Prefect server, to know the last plan by"
        raise Refusal(Code.USAGE, what, options.workspace)
    with at_hand(options) as here:
        project, repo = open_project(here)
        decided = with_difference((await compute_plan(here, project, repo)).plan, None)
        since = _since_last(key_of(here, project, repo), repo, decided) if since_last else None
    return with_difference(decided, since)


def _since_last(key: str, repo: Repo, decided: Plan) -> Difference | None:
    before = plan_kept(repo.common_dir, key)
    keep_plan(repo.common_dir, key, decided)
    return compared(earlier_of(before), decided) if before else None


async def check(options: CheckOptions) -> Health:
    """Look at the workspace; the run is recorded where there is a Prefect API."""
    recorded = _use_prefect_api("this check")
    return await run_or_record("check", options, partial(_check_here, options), recorded=recorded)


async def _check_here(options: CheckOptions) -> Health:
    from releasekit.operations.run_checks import examine

    with at_hand(options) as here:
        return examine(here)


async def prepare(options: PrepareOptions) -> ReleasePull:
    """Make or update the release pull request; the run is recorded where there is a Prefect API."""
    from releasekit.operations.release_pr import propose

    recorded = not options.dry_run and _use_prefect_api("this pull request")
    return await run_or_record("prepare", options, partial(propose, options), recorded=recorded)


async def _hand_off(options: PublishOptions, project: Project, repo: Repo) -> ReleasePull:
    """Hand a merged release over to CI, which publishes it; the run is recorded where there is a Prefect API."""
    from releasekit.operations.release_pr import hand_on

    recorded = not options.dry_run and _use_prefect_api("this release")
    return await run_or_record("publish", options, partial(hand_on, options, project, repo), recorded=recorded)


async def rollback(options: RollbackOptions, *, yes: bool) -> Rollback:
    """Roll a release back after a yes; the run is recorded where there is a Prefect API.

    The question comes before a recorded run: a no leaves no run.
    """
    from releasekit.operations.run_rollback import ask_to_undo, undo

    confirmation = TerminalConfirmation(yes=yes)
    recorded = _use_prefect_api("this rollback")
    if recorded and not (yes or options.dry_run):
        found = await undo(options.model_copy(update={"dry_run": True}))
        if not found.release:
            return found
        await ask_to_undo(found, confirmation)
        options = options.model_copy(update={"release": found.release})
    return await run_or_record("rollback", options, partial(undo, options, confirmation), recorded=recorded)


async def run_or_record(name: str, options: Place, operation: Callable[[], Awaitable[R]], *, recorded: bool) -> R:
    """Return the result of *operation*; if it is *recorded*, that of the flow *name*, which does the same in a run.

    An error that ends the run is raised; a result of a failed run, such as findings, is returned.
    """
    if not recorded:
        return await operation()
    from flows.event_flush import drain

    flow = getattr(import_module(f"flows.{name}"), name)
    try:
        state = await flow(**parameters_of(options), return_state=True)
    finally:
        await drain()
    return _result_in(await state.aresult(raise_on_failure=False))


def _result_in(result: Any) -> Any:  # noqa: ANN401  what a flow returns
    if isinstance(result, BaseException):
        raise result
    return result


@dataclass(frozen=True, slots=True)
class _Api:
    """Where runs are recorded: a Prefect API that is configured, or a server that is kept on this machine."""

    url: str
    kept: Server | None = None

    def settle(self) -> None:
        """Get ready for it, before Prefect is imported."""
        settle(OWN_SERVER_SETTINGS if self.kept else CLIENT_SETTINGS)
        if self.kept:
            os.environ["PREFECT_API_URL"] = self.url


def _api() -> _Api | None:
    """Return the API that there is, if there is one.

    Raises Refusal RK-SERVER-UNREACHABLE if one is configured and does not answer: somebody wants to read there.
    """
    if url := configured_api():
        if not answers(url):
            raise Refusal(Code.SERVER_UNREACHABLE, "the Prefect API does not answer", mask(url))
        return _Api(url)
    kept = kept_server()
    return _Api(kept.url, kept) if kept else None


def _use_prefect_api(what: str) -> bool:
    """Get ready for the API that there is; without one, or if it does not answer, *what* is not recorded: False."""
    try:
        api = _api()
    except Refusal as error:
        log.warning("warning %s", Warn(error.code, f"{what} is not recorded", error.where))
        return False
    if api:
        api.settle()
    return bool(api)


async def dry_run(options: PublishOptions) -> Decided | ReleasePull:
    """Plan and check as a release would, and say what it would run; changes nothing."""
    with at_hand(options) as here:
        project, repo = open_project(here)
        if is_by_pull(here, project.settings):
            return await _hand_off(here, project, repo)
        pending = await select_release(here, project, repo)
        plan = await with_unfinished(here, pending.plan)
        return Decided(plan, tuple(outline(project, repo, pending, options)))


async def publish(options: PublishOptions, *, yes: bool) -> Released | ReleasePull:
    """Release for real, or in a rehearsal; an unfinished release is resumed.

    With `publish_from = "ci"` a merged release is handed over, and nothing else is done here. A plan that has obstacles
    is refused, see `Obstructed`.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(terminated_is_interrupted())
        rehearsing = options.rehearse
        if options.approve and not rehearsing:  # the question appears in the run, so the run starts the release
            return Released(await _run_flow(options, _shared_server()))
        options = stack.enter_context(at_hand(options, keep=not rehearsing))
        if rehearsing:
            from releasekit.operations.rehearsal import rehearsal

            options = stack.enter_context(rehearsal(options))
        project, repo = open_project(options)
        if is_by_pull(options, project.settings):
            return await _hand_off(options, project, repo)
        server = _release_server(stack)  # starts while we plan
        confirmation = TerminalConfirmation(yes=yes or rehearsing or options.stage_only)
        started = await start_release(options, project, repo, confirmation, stack)
        if not started.plan.steps:
            return Released(Report(release=started.plan.release, title="nothing to release"))
        if terminal.is_terminal():
            started = started.observed_by(stack.enter_context(terminal.live(started.plan, project.settings)))
        report = await _run_flow(options, server, started)
        if not rehearsing:
            return Released(report)
        from releasekit.operations.rehearsal import on_the_index

        return Released(report, tuple(await on_the_index(project, report)))


def _release_server(stack: AsyncExitStack) -> Server | None:
    """Return the server that a release is recorded on, if it is ours: one that is kept, or one for as long as this."""
    api = _api()
    return api.kept if api else stack.enter_context(prefect_server())


async def approve(run: str, *, reject: str | None, drop: Sequence[str]) -> str:
    """Answer a release that waits for it; returns its name."""
    _shared_server()
    from flows.approval import give

    return (await give(run, reject=reject, drop=drop)).name


async def waiting() -> list[tuple[str, str]]:
    """Return name and id of each release that waits for an answer."""
    _shared_server()
    from flows.approval import waiting as runs_waiting

    return [(run.name, str(run.id)) for run in await runs_waiting()]


def _shared_server() -> Server | None:
    """Get ready for a server that whoever is asked has in common with us; None if it is one that is configured."""
    api = _api()
    if api is None:
        what = "this needs a Prefect server that stays: set PREFECT_API_URL, or `releasekit server start`"
        raise Refusal(Code.USAGE, what)
    api.settle()
    return api.kept


async def _run_flow(options: PublishOptions, server: Server | None, started: StartedRelease | None = None) -> Report:
    """Return the report of a recorded release: of one that has *started*, or of one that the run itself starts."""
    if server:
        try:
            server.wait()
        except ReleaseError as error:
            if started:
                return await _run_unrecorded(started, error)
            what = f"{error.what}, so nobody could approve"
            raise Refusal(Code.SERVER_START, what, error.where, output=error.output) from None
        os.environ["PREFECT_API_URL"] = server.url
    settle(OWN_SERVER_SETTINGS if server else CLIENT_SETTINGS)
    from flows.event_flush import arrived, counted, drain
    from flows.publish import flow_of
    from flows.publish import publish as publish_flow

    runs: list[str] = []

    def begun(_flow: object, run: FlowRun, _state: object) -> None:
        heed_termination()  # Prefect has taken the signal by then
        runs.append(str(run.id))

    hook: Any = begun
    ours = (flow_of(started) if started else publish_flow).with_options(on_running=[hook])
    async with counted() if server else nullcontext() as count:
        try:
            running: Any = ours(**parameters_of(options), return_state=True)
            state: Any = await running
        finally:  # also when it is interrupted
            await drain()
            if server and count and runs:
                await arrived(server, runs[0], count.ended())
    return _result_in(await state.aresult(raise_on_failure=False))


async def _run_unrecorded(started: StartedRelease, why: ReleaseError) -> Report:
    """Release without Prefect's server; if this is run again, it knows from the disk what was done."""
    log.warning("warning %s", Warn(Code.SERVER_START, f"{why.what}: this release is not recorded", why.where))
    log.debug("%s", why.output)
    os.environ.update(NO_SERVER_SETTINGS)
    from flows.event_flush import unrecorded
    from flows.publish import run_release

    with unrecorded():
        report = await run_release(started)
    return report.model_copy(update={"notes": (*report.notes, "Prefect has no record of it: its server did not start")})
