"""`releasekit repair`: compare what all places say about the releases, and on request repair what needs no decision."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from itertools import chain
from typing import TYPE_CHECKING

from releasekit.core.errors import Refusal, ReleaseError
from releasekit.core.picking import drop
from releasekit.core.repair.inconsistencies import (
    RepairReport,
    find_inconsistencies,
    find_index_inconsistencies,
)
from releasekit.core.text import count_as
from releasekit.operations import repair_steps
from releasekit.operations.confirmation import AssumeYes, Proposal
from releasekit.operations.draft import checkout_workspace, open_project
from releasekit.operations.read_releases import read_releases
from releasekit.store.record import release_lock, remove_leftovers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from releasekit.core.repair.inconsistencies import Inconsistency, RepairAction
    from releasekit.integrations.git import Repo
    from releasekit.operations.confirmation import Confirmation
    from releasekit.operations.read_releases import ComparedReleases
    from releasekit.options import RepairOptions
    from tasks.project import Project

log = logging.getLogger("releasekit.repair")


async def repair(options: RepairOptions, confirmation: Confirmation | None = None) -> RepairReport:
    """Compare the releases; with `--apply`, ask *confirmation* and repair what needs no decision.

    Each repair can be repeated, so a killed run can be run again. Without *confirmation*, the caller has the yes.
    Raises Refusal RK-NOT-CONFIRMED, RK-LOCK-ACQUISITION-FAILED, and those of `read_releases`.
    """
    async with AsyncExitStack() as stack:
        if options.apply:
            # Refuses an address: a temporary clone has no record, and its changes are lost.
            _ = options.directory
        options = stack.enter_context(checkout_workspace(options))
        project, repo = open_project(options)
        if options.apply:
            stack.enter_context(release_lock(repo.common_dir))
            remove_leftovers(repo)
        compared = await read_releases(options, project, repo)
        report = _report(compared)
        if not options.apply or not _repairable(report):
            return report
        answerer = confirmation or AssumeYes()
        await answerer.show(report)
        question = f"Repair {count_as('finding', _repairable(report))}?"
        (await answerer.ask(Proposal(question, report))).require_yes()
        return await _repair_all(options, project, repo, compared)


def _report(compared: Sequence[ComparedReleases]) -> RepairReport:
    first, *others = compared
    findings = [find_inconsistencies(first.state)]
    findings += [find_index_inconsistencies(other.state) for other in others]
    unasked = chain.from_iterable(each.unasked for each in compared)
    return RepairReport(
        compared=tuple(f"{name} {version}" for name, version in sorted(first.scope.keys)),
        unasked=tuple(dict.fromkeys(unasked)),
        findings=tuple(filter(first.scope.covers, chain.from_iterable(findings))),
    )


def _repairable(report: RepairReport) -> list[Inconsistency]:
    return [finding for finding in report.open_findings if finding.action]


async def _repair_all(
    options: RepairOptions, project: Project, repo: Repo, compared: Sequence[ComparedReleases]
) -> RepairReport:
    """Repair finding by finding, and read everything again: what is repaired can show what comes next."""
    repaired: list[str] = []
    problems: dict[str, str] = {}
    while True:
        report = _report(compared)
        todo = [finding for finding in _repairable(report) if _identity(finding) not in problems]
        done_before = [finding for finding in todo if _identity(finding) in repaired]
        for finding in done_before:
            problems[_identity(finding)] = f"{_identity(finding)} is still there after its repair"
        todo = drop(todo, done_before)
        if not todo:
            break
        for finding in todo:
            try:
                await _repair_one(finding, project, repo, compared)
            except ReleaseError as error:
                problems[_identity(finding)] = f"{_identity(finding)}: {error}"
                continue
            repaired.append(_identity(finding))
            log.info("repaired %s: %s", finding.subject, finding.text)
        try:
            compared = await read_releases(options, project, repo)
        except Refusal as error:  # something has changed already, so this is a failure
            raise ReleaseError(*error.args) from None
    return report.model_copy(
        update={"repaired": tuple(repaired), "problems": tuple(problems.values())}
    )


def _identity(finding: Inconsistency) -> str:
    place = f" on {finding.index}" if finding.index else ""
    return f"{finding.kind} of {finding.subject}{place}"


async def _repair_one(
    finding: Inconsistency, project: Project, repo: Repo, compared: Sequence[ComparedReleases]
) -> None:
    repairs: dict[RepairAction, Callable[[repair_steps.Repair], Awaitable[None]]] = {
        "tag": repair_steps.make_tag,
        "push_tag": repair_steps.push_tag,
        "fetch_tag": repair_steps.fetch_tag,
        "upload": repair_steps.upload_files,
        "write_entry": repair_steps.write_entry,
        "create_release": repair_steps.create_page,
        "publish_draft": repair_steps.publish_draft,
        "attach_sums": repair_steps.attach_sums,
    }
    place = next(each for each in compared if each.index == finding.index)
    await repairs[finding.action](repair_steps.Repair(finding, project, repo, place))
