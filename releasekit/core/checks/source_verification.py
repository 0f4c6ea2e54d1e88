"""The check whether what would be built passes verification, by the rules for built files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.artifacts.content_rules import modules_by_project
from releasekit.core.artifacts.problems import RuleSeverity
from releasekit.core.artifacts.source_rules import verify_source
from releasekit.core.checks.contents import modules_of
from releasekit.core.checks.facts import Check, Severity
from releasekit.core.errors import ERRORS, ErrorCode
from releasekit.core.picking import drop_keys, names_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from releasekit.core.artifacts.problems import ArtifactFinding
    from releasekit.core.checks.facts import Found, Package, WorkspaceFacts


def verification(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find what would stop a release after the build: secrets, dead commands, metadata that an index refuses."""
    owners = modules_by_project(names_of(facts.published))
    fronts = dict(_fronts(facts))
    for package in facts.presented:
        if package.tree is not None:
            led_to = {name for name, needs in fronts.items() if package.name in needs}
            findings = verify_source(
                package.name,
                package.tree,
                package.document,
                drop_keys(owners, modules_by_project(led_to)),
                facts.settings.verify_ignore,
            )
            rules_to_skip = _RULES_OF_ALL_FILES if package.name in facts.prepared else ()
            for finding in findings:
                if finding.rule not in rules_to_skip:
                    yield _show(finding, package)


def _fronts(facts: WorkspaceFacts) -> Iterator[tuple[str, set[str]]]:
    """Yield the packages without code and what they require: one of these may have the module of that name."""
    for package in facts.published:
        if not modules_of(package.sources):
            yield package.name, set(names_of(facts.workspace.internal_needs(package.member)))


def _show(finding: ArtifactFinding, package: Package) -> Found:
    is_error = finding.severity is RuleSeverity.ERROR
    return package.found(
        f"{package.name} breaks {finding.rule}: {finding.text}",
        *_KEYS.get(finding.rule, ()),
        severity=Severity.ERROR if is_error else Severity.WARNING,
        hint=ERRORS[finding.rule].hint,
    )


_RULES_OF_ALL_FILES = frozenset({ErrorCode.VERIFY_ENTRY_POINT})
"""The rules that need to know all files of a package, so those too that a `pre_build` command writes."""

_KEYS = {
    ErrorCode.VERIFY_CLASSIFIER: ("project", "classifiers"),
    ErrorCode.VERIFY_ENTRY_POINT: ("project", "scripts"),
    ErrorCode.VERIFY_URL: ("project", "urls"),
}
"""The key of pyproject.toml that usually breaks a rule; for others, the message names the files."""

CHECKS = (
    Check(
        "verification",
        Severity.ERROR,
        "What a build would make of a package breaks a rule of verification.",
        "Fix the package, or waive the rule in `verify_ignore`.",
        verification,
        frozenset({"contents"}),
    ),
)
