"""A release from this machine: plan, ask, start Prefect, run the flow."""

from __future__ import annotations

import logging
import os
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from releasekit.cli.render import console
from releasekit.cli.terminal_confirmation import TerminalConfirmation
from releasekit.core.errors import Code, Refusal, ReleaseError, Warn
from releasekit.core.planning.plan_diff import compared, earlier_of, with_difference
from releasekit.core.release.report import Report
from releasekit.core.text import counted, some
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
from releasekit.operations.draft import at_hand, key_of, open_project, standing_told
from releasekit.operations.dry_run import outline
from releasekit.operations.planning import compute_plan, due, show_standing
from releasekit.operations.preview import with_unfinished
from releasekit.options import is_by_pull, parameters_of
from releasekit.store.record import keep_plan, only_release, plan_in, plan_kept

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from prefect.client.schemas.objects import FlowRun

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.planning.plan_diff import ComparedPlan, Difference
    from releasekit.core.release.pr_status import ReleasePull
    from releasekit.core.release.rollback_plan import Rollback
    from releasekit.integrations.git import Repo
    from releasekit.integrations.prefect_server import Server
    from releasekit.operations.planning import Due
    from releasekit.operations.run_checks import Health
    from releasekit.options import CheckOptions, PlanOptions, PrepareOptions, PublishOptions, RollbackOptions
    from tasks.project import Project

log = logging.getLogger("releasekit")

_AS_BEFORE = "Nothing was changed; the same command asks again."


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
    """Decide what would be released, and find what stands in the way.

    Recorded as a flow run where a Prefect API is configured or a server is kept. With it comes how it differs from the
    plan in the file *diff*, or with *since_last* from the last one that is known: on the server, or else in the git
    directory, where this one is kept for the next time.
    """
    earlier = earlier_of(plan_in(diff)) if diff else None
    if _recording("this plan"):
        from flows.plan import plan as plan_flow

        running: Any = plan_flow(**parameters_of(options))  # Prefect's types don't know that a flow can be awaited
        decided: ComparedPlan = await running
        since = decided.since if since_last else None
    else:
        if since_last and options.source():
            what = "--since-last needs a checkout or a Prefect server, to know the last plan by"
            raise Refusal(Code.USAGE, what, options.workspace)
        with at_hand(options) as here:
            project, repo = open_project(here)
            decided = with_difference((await compute_plan(here, project, repo)).plan, None)
            since = _since_last(key_of(here, project, repo), repo, decided) if since_last else None
    decided = await with_unfinished(options, decided)
    if since_last and since is None:
        log.info("no earlier plan is known; the next --since-last is compared with this one")
    return with_difference(decided, compared(earlier, decided) if earlier else since)


def _since_last(key: str, repo: Repo, decided: Plan) -> Difference | None:
    before = plan_kept(repo.common_dir, key)
    keep_plan(repo.common_dir, key, decided)
    return compared(earlier_of(before), decided) if before else None


async def check(options: CheckOptions) -> Health:
    """Look at the workspace; recorded as a flow run where a Prefect API is configured."""
    from releasekit.operations.run_checks import examine

    if not _recording("this check"):
        with at_hand(options) as here:
            return examine(here)
    from flows.check import check as check_flow

    running: Any = check_flow(**parameters_of(options), return_state=True)
    state: Any = await running
    health: Any = await state.aresult(raise_on_failure=False)  # errors that were found are an answer, not a crash
    if isinstance(health, BaseException):
        raise health
    return health


async def prepare(options: PrepareOptions) -> ReleasePull:
    """Make the release pull request; recorded as a flow run where a Prefect API is configured."""
    from releasekit.operations.release_pr import propose

    if options.dry_run or not _recording("this pull request"):
        return await propose(options)
    from flows.event_flush import drain
    from flows.prepare import prepare as prepare_flow

    try:
        running: Any = prepare_flow(**parameters_of(options))
        return await running
    finally:
        await drain()


async def _hand_on(options: PublishOptions, project: Project, repo: Repo) -> ReleasePull:
    """Hand a merged release on to be published elsewhere; recorded as a flow run where a Prefect API is configured."""
    from releasekit.operations.release_pr import hand_on

    if options.dry_run or not _recording("this release"):
        return await hand_on(options, project, repo)
    from flows.event_flush import drain
    from flows.publish import publish as publish_flow

    try:
        running: Any = publish_flow(**parameters_of(options), return_state=True)
        state: Any = await running
    finally:
        await drain()
    found: Any = await state.aresult(raise_on_failure=False)
    if isinstance(found, BaseException):
        raise found
    return found


async def rollback(options: RollbackOptions, *, yes: bool) -> Rollback:
    """Roll a release back, once somebody has said yes; recorded as a flow run where a Prefect API is configured."""
    from releasekit.operations.run_rollback import ask_to_undo, undo

    if not _recording("this rollback"):
        return await undo(options, TerminalConfirmation(yes=yes))
    if not (yes or options.dry_run):
        looked = await undo(options.model_copy(update={"dry_run": True}))
        if not looked.release:
            return looked
        await ask_to_undo(looked, TerminalConfirmation())
        options = options.model_copy(update={"release": looked.release})
    from flows.event_flush import drain
    from flows.rollback import rollback as rollback_flow

    try:
        running: Any = rollback_flow(**parameters_of(options))
        return await running
    finally:
        await drain()


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


def _recording(what: str) -> bool:
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
            return await _hand_on(here, project, repo)
        found = await due(here, project, repo)
        plan = await with_unfinished(here, found.plan)
        return Decided(plan, tuple(outline(project, repo, found, options)))


async def publish(options: PublishOptions, *, yes: bool) -> Released | ReleasePull:
    """Release for real, or in a rehearsal; a release that was begun and not ended is carried on.

    With `publish_from = "ci"` a merged release is handed on, and nothing else is done here. A plan that has obstacles
    is refused, see `Obstructed`.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(terminated_is_interrupted())
        rehearsing = options.rehearse
        if options.approve and not rehearsing:  # the flow itself asks, then locks and puts on record
            return Released(await _run_flow(options, _shared_server()))
        options = stack.enter_context(at_hand(options, keep=not rehearsing))
        if rehearsing:
            from releasekit.operations.rehearsal import rehearsal

            options = stack.enter_context(rehearsal(options))
        project, repo = open_project(options)
        if is_by_pull(options, project.settings):
            return await _hand_on(options, project, repo)
        stack.enter_context(only_release(repo.common_dir))
        server = _release_server(stack)  # starts while we plan
        found = await due(options, project, repo)
        found.refuse_obstacles()
        decided = found.plan
        console.show(console.plan_table(decided), on_stderr=True)
        if not decided.steps:
            return Released(Report(release=decided.release, title="nothing to release"))
        if found.record:
            await show_standing(found.record, project, repo)
        standing_told.set(True)  # to the flow it is one that was begun in any case
        if not (rehearsing or options.stage_only):
            what = _question(decided, project, repo, options)
            _ask(what, _at_stake(found, project.settings, options), yes=yes)
        found.begun(repo, project.settings, publishing=not options.private)
        if console.is_terminal():
            stack.enter_context(console.live(decided, project.settings))
        report = await _run_flow(options, server)
        if not rehearsing:
            return Released(report)
        from releasekit.operations.rehearsal import on_the_index

        return Released(report, tuple(await on_the_index(options, report)))


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


async def _run_flow(options: PublishOptions, server: Server | None) -> Report:
    if server:
        try:
            server.wait()
        except ReleaseError as error:
            return await _run_unrecorded(options, error)
        os.environ["PREFECT_API_URL"] = server.url
    settle(OWN_SERVER_SETTINGS if server else CLIENT_SETTINGS)
    from flows.event_flush import arrived, counted, drain
    from flows.publish import publish as publish_flow

    runs: list[str] = []

    def begun(_flow: object, run: FlowRun, _state: object) -> None:
        heed_termination()  # Prefect has taken the signal by then
        runs.append(str(run.id))

    hook: Any = begun
    ours = publish_flow.with_options(on_running=[hook])
    async with counted() if server else nullcontext() as count:
        try:
            running: Any = ours(**parameters_of(options), return_state=True)
            state: Any = await running
        finally:  # also when it is interrupted
            await drain()
            if server and count and runs:
                await arrived(server, runs[0], count.ended())
    return _report_in(await state.aresult(raise_on_failure=False))


async def _run_unrecorded(options: PublishOptions, why: ReleaseError) -> Report:
    """Release without Prefect's server; what was done is known from the disk all the same, if it is run again."""
    if options.approve and not options.rehearse:
        raise Refusal(Code.SERVER_START, f"{why.what}, so nobody could approve", why.where, output=why.output)
    log.warning("warning %s", Warn(Code.SERVER_START, f"{why.what}: this release is not recorded", why.where))
    log.debug("%s", why.output)
    os.environ.update(NO_SERVER_SETTINGS)
    from flows.event_flush import unrecorded
    from flows.publish import publish as publish_flow

    with unrecorded():
        state = await publish_flow.fn(**parameters_of(options))
    report = _report_in(state.data)
    return report.model_copy(update={"notes": (*report.notes, "Prefect has no record of it: its server did not start")})


def _report_in(result: object) -> Report:
    if isinstance(result, BaseException):
        raise result
    assert isinstance(result, Report), result  # noqa: S101  what the flow returns if it ends at all
    return result


def _question(plan: Plan, project: Project, repo: Repo, options: PublishOptions) -> str:
    if options.version_only:
        return f"Commit the versions of {counted(plan.steps)} to {repo.branch}?"
    from tasks.read_workspace import target_of

    return f"Publish {counted(plan.steps)} to {target_of(project).title}?"


def _ask(question: str, at_stake: Sequence[str], *, yes: bool) -> None:
    if yes:
        return
    if not console.is_terminal():
        raise Refusal(Code.NOT_CONFIRMED, "nobody is there to say yes")
    console.show(*at_stake, on_stderr=True)
    if not console.confirm(question):
        raise Refusal(Code.NOT_CONFIRMED, "you said no", hint=_AS_BEFORE)


def _at_stake(found: Due, settings: Settings, options: PublishOptions) -> list[str]:
    """Return what a yes would make public: files, new projects, tags."""
    plan, record = found.plan, found.record
    if options.private:
        return []
    manifest = found.given.manifest if found.given else record.manifest() if record else None
    files = sum(len(package.files) for package in manifest.packages) if manifest else 0
    published = found.drafted.published if found.drafted else None
    lines = [
        f"{files} files are on record; those that the index has are not sent again"
        if files
        else f"{2 * len(plan.steps)} files: an sdist and a wheel of each package"
    ]
    new = [step.name for step in plan.steps if not (published or {}).get(step.name, True)]
    if new:
        lines.append(f"{len(new)} new to the index: {some(new, _NAMED)}")
    if settings.tag:
        tags = list(dict.fromkeys([*plan.tags, *(step.tag for step in plan.steps)]))
        where = f"pushed to {settings.remote} at the end" if settings.push else "not pushed"
        lines.append(f"{len(tags)} tag{'' if len(tags) == 1 else 's'}, {where}: {some(tags, _NAMED)}")
    return lines


_NAMED = 5
