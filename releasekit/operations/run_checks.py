"""`releasekit check`: look at the workspace, and mend what has one right answer, if told to."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from releasekit.core.checks.facts import CheckReport
from releasekit.core.checks.fixes import files_of, mended
from releasekit.core.checks.registry import chosen, findings, with_others
from releasekit.core.workspace.pins import changed
from releasekit.integrations.filesystem import read_text, replace_text
from releasekit.integrations.git import Repo
from releasekit.integrations.package_files import other_checks
from releasekit.operations.confirmation import FileDiffs, Proposal
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
class Health:
    """What was found in the workspace at *root*, by which *checks*; *prefix* leads to it from the repository's top."""

    root: Path
    prefix: str
    checks: tuple[Check, ...]
    report: CheckReport


def examine(options: CheckOptions) -> Health:
    """Make all checks that are wanted; changes nothing.

    Raises Refusal RK-CHECK-UNKNOWN, RK-CHECK-PLUGIN, and those of `read_workspace`.
    """
    project = read_workspace.read_workspace(options.directory, {})
    repo = Repo(project.root)
    known = with_others(other_checks())
    settings = project.settings
    checks = chosen(known, options.select or settings.check_select, (*settings.check_ignore, *options.ignore))
    ignored = _ignored(project, known)
    packages = project.workspace.matching(options.package)
    facts = read_facts.read_facts(project, repo, {need for check in checks.values() for need in check.needs})

    def is_wanted(check: str, package: str) -> bool:
        return check not in ignored.get(package, ()) and (not packages or package in packages)

    found = findings(facts, checks.values(), is_wanted)
    report = CheckReport(checks=tuple(checks), packages=len(packages or project.workspace.members), findings=found)
    prefix = project.root.relative_to(repo.top).as_posix()
    return Health(project.root, "" if prefix == "." else prefix, tuple(checks.values()), report)


def _ignored(project: Project, known: Mapping[str, Check]) -> dict[str, frozenset[str]]:
    """Return the checks that each member leaves out for itself."""
    said = {name: own["check_ignore"] for name, own in project.own.items() if "check_ignore" in own}
    for names in said.values():
        chosen(known, (), names)  # refuses what is no check
    return {name: frozenset(names) for name, names in said.items()}


async def mend(health: Health, confirmation: Confirmation) -> bool:
    """Show how the fixes change files, and write them after a yes; return whether they were written.

    Raises Refusal RK-CHECK-FIX.
    """
    fixes = [finding.fix for finding in health.report.findings if finding.fix]
    before = {file: _text(health.root / file) for file in files_of(fixes)}
    after = {file: text for file, text in mended(before, fixes).items() if text != before[file]}
    if not after:
        log.info("nothing here can be mended by a program")
        return False
    diffs = FileDiffs(tuple(_difference(file, before[file], text) for file, text in after.items()))
    await confirmation.show(diffs)
    answer = await confirmation.ask(Proposal(f"Write {len(after)} file{'s' * (len(after) > 1)}?", diffs))
    if not answer.accepted:
        log.info("nothing was written; --yes writes it")
        return False
    for file, text in after.items():
        replace_text(health.root / file, text)
    log.info("mended: %s", ", ".join(after))
    return True


def _text(path: Path) -> str | None:
    return read_text(path) if path.exists() else None


def _difference(file: str, before: str | None, after: str) -> str:
    if before is None and not after:
        return f"+++ b/{file} (new, empty)\n"
    return changed(before or "", after, file)
