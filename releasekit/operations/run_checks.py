"""`releasekit check`: check the workspace, and on request fix the findings that have exactly one solution."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from releasekit.core.checks.facts import CheckReport
from releasekit.core.checks.fixes import affected_files, fixed_texts
from releasekit.core.checks.registry import collect_findings, select_checks, with_plugins
from releasekit.core.text import count_as
from releasekit.core.workspace.pins import text_diff
from releasekit.integrations.filesystem import read_text, write_atomic
from releasekit.integrations.git import Repo
from releasekit.integrations.package_files import plugin_checks
from releasekit.operations.confirmation import FileDiffs, Proposal
from releasekit.options import RepairOptions
from tasks import read_facts, read_workspace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from releasekit.core.checks.facts import Check
    from releasekit.operations.confirmation import Confirmation
    from releasekit.options import CheckOptions
    from tasks.project import Project

log = logging.getLogger("releasekit.check")


@dataclass(frozen=True, slots=True)
class CheckRun:
    """The report on the workspace at *root*, and its *checks*; *prefix* is its path in the repository, or ""."""

    root: Path
    prefix: str
    checks: tuple[Check, ...]
    report: CheckReport


def run_checks(options: CheckOptions) -> CheckRun:
    """Run the selected checks; change nothing.

    Raises Refusal RK-CHECK-UNKNOWN, RK-CHECK-PLUGIN, and those of `read_workspace`.
    """
    project = read_workspace.read_workspace(options.directory, {})
    repo = Repo(project.root)
    checks_by_name = with_plugins(plugin_checks())
    settings = project.settings
    selected = options.select or settings.check_select
    ignored = (*settings.check_ignore, *options.ignore)
    checks = select_checks(checks_by_name, selected, ignored)
    member_ignores = _member_ignores(project, checks_by_name)
    packages = project.workspace.matching_names(options.package) or frozenset(
        project.workspace.members
    )
    needs = {need for check in checks.values() for need in check.needs}
    facts = read_facts.read_facts(project, repo, needs)

    def is_wanted(check: str, package: str) -> bool:
        is_selected = not options.package or package in packages
        return is_selected and check not in member_ignores.get(package, ())

    findings = collect_findings(facts, checks.values(), is_wanted)
    report = CheckReport(checks=tuple(checks), packages=len(packages), findings=findings)
    path = project.root.relative_to(repo.top).as_posix()
    return CheckRun(
        root=project.root,
        prefix="" if path == "." else path,
        checks=tuple(checks.values()),
        report=report,
    )


async def check_workspace(options: CheckOptions) -> CheckRun:
    """Run the selected checks; with `--releases`, also compare the releases. Change nothing.

    Raises as `run_checks` and `repair_releases.repair` do.
    """
    check_run = run_checks(options)
    if not options.releases:
        return check_run
    from releasekit.operations.repair_releases import repair  # late: httpx is slow to import

    compared = await repair(RepairOptions(workspace=options.workspace, package=options.package))
    report = check_run.report.model_copy(update={"releases": compared})
    return replace(check_run, report=report)


def _member_ignores(
    project: Project, checks_by_name: Mapping[str, Check]
) -> dict[str, frozenset[str]]:
    """Return the checks that each member ignores."""
    ignores: dict[str, frozenset[str]] = {}
    for name, own in project.member_settings.items():
        ignored = own.get("check_ignore", ())
        select_checks(checks_by_name, (), ignored)  # refuses unknown checks
        ignores[name] = frozenset(ignored)
    return ignores


async def apply_fixes(check_run: CheckRun, confirmation: Confirmation) -> bool:
    """Show how the fixes change files, and write them after a yes; return whether they were written.

    Raises Refusal RK-CHECK-FIX.
    """
    fixes = [finding.fix for finding in check_run.report.findings if finding.fix]
    before = {file: _read_if_exists(check_run.root / file) for file in affected_files(fixes)}
    fixed = fixed_texts(before, fixes)
    after = {file: text for file, text in fixed.items() if text != before[file]}
    if not after:
        log.info("no finding can be fixed automatically")
        return False
    file_diffs = [_file_diff(file, before[file], text) for file, text in after.items()]
    diffs = FileDiffs(tuple(file_diffs))
    await confirmation.show(diffs)
    question = f"Write {count_as('file', after)}?"
    answer = await confirmation.ask(Proposal(question, diffs))
    if not answer.accepted:
        log.info("nothing was written; pass --yes to write without a question")
        return False
    for file, text in after.items():
        write_atomic(check_run.root / file, text)
    log.info("fixed: %s", ", ".join(after))
    return True


def _read_if_exists(path: Path) -> str | None:
    return read_text(path) if path.exists() else None


def _file_diff(file: str, before: str | None, after: str) -> str:
    if before is None and not after:
        return f"+++ b/{file} (new, empty)\n"
    return text_diff(before or "", after, file)
