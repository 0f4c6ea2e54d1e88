"""Checks of the requirements between siblings."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from releasekit.core.checks.facts import Check, Found, Severity
from releasekit.core.checks.fixes import DropItem
from releasekit.core.errors import Refusal
from releasekit.core.workspace.graph import graph_of, offers_of, order
from releasekit.core.workspace.workspace import Kind, Workspace, fits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.requirements import Requirement

    from releasekit.core.checks.facts import Package, WorkspaceFacts, Written
    from releasekit.core.workspace.workspace import Member

_HARD = (Kind.RUNTIME, Kind.BUILD)


def cycles(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find cycles of hard requirements that the setting `cycles` does not allow."""
    without_self = Workspace({member.name: _without_itself(member) for member in facts.workspace})
    graph, _ = graph_of(without_self, offers_of(without_self))
    for cycle in graph.cycles():
        try:
            order(graph.subgraph(cycle), facts.settings.cycles)
        except Refusal as refusal:
            yield _cycle_finding(facts[cycle[0]], cycle[1], refusal)


def _without_itself(member: Member) -> Member:
    others = tuple(need for need in member.needs if need.name != member.name)
    return replace(member, needs=others)


def _cycle_finding(package: Package, required: str, refusal: Refusal) -> Found:
    """Return the finding at the requirement of *package* on *required*."""
    for need in package.written:
        if need.kind in _HARD and need.name == required:
            return package.found(refusal.message, *need.path, item=need.text, hint=refusal.hint)
    # The requirement comes from an extra, so no written one names it.
    return package.found(refusal.message, "project", "dependencies", hint=refusal.hint)


def self_deps(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages that require themselves at run time or to build. In an extra this is common, and allowed."""
    for package in facts:
        for need in package.written:
            if need.kind in _HARD and need.name == package.name:
                fix = None if need.requirement.extras else DropItem(package.file, need.path, need.text)
                message = f"{package.name} requires itself: {need.text}"
                yield package.found(message, *need.path, item=need.text, fix=fix)


def orphan_deps(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find requirements on siblings that are never published, and on unknown packages named like a sibling."""
    prefix = _common_prefix([package.name for package in facts.published])
    for package in facts.published:
        for need in package.written:
            if need.name == package.name:
                continue
            sibling = facts.workspace.members.get(need.name)
            if sibling is None:
                if _is_missing_sibling(need, prefix, facts):
                    message = f"{package.name} requires {need.name}, which is named like a sibling but does not exist"
                    hint = "Fix the name, or remove the requirement."
                    yield package.found(message, *need.path, item=need.text, hint=hint)
            elif not sibling.publishable:
                severity = Severity.WARNING if need.kind is Kind.EXTRA else Severity.ERROR
                message = f"{package.name} requires {need.name}, which is never published"
                yield package.found(message, *need.path, item=need.text, severity=severity)


def _is_missing_sibling(need: Written, prefix: str, facts: WorkspaceFacts) -> bool:
    """Return whether *need* has the name of a sibling, which starts with *prefix*, but is unknown everywhere."""
    if not prefix or not need.name.startswith(prefix):
        return False
    is_elsewhere = bool(need.requirement.url) or _is_in_lockfile(facts, need.name)
    return not is_elsewhere


def internal_specifiers(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find requirements that the sibling in the workspace does not satisfy: they mean an older release."""
    for package in facts:
        for need in package.written:
            sibling = facts.workspace.members.get(need.name)
            if sibling is None or sibling.version is None or need.name == package.name:
                continue
            version = sibling.version
            if not fits(need.requirement.specifier, version):
                message = f"{package.name} requires {need.requirement}, but the workspace has {version}"
                yield package.found(message, *need.path, item=need.text)


def python_ranges(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages that allow Python versions on which a required sibling does not install."""
    for package in facts.published:
        requires_python = package.member.requires_python
        promised = _pythons(requires_python) if requires_python else ()
        for need in package.written:
            sibling = facts.packages.get(need.name)
            if need.kind is not Kind.RUNTIME or sibling is None or need.name == package.name:
                continue
            excluded = [python for python in promised if _excludes_python(python, need.requirement, sibling)]
            if not excluded:
                continue
            python_range = excluded[0]
            if len(excluded) > 1:
                python_range += f" to {excluded[-1]}"
            limit = sibling.member.requires_python
            message = f"{package.name} allows Python {python_range}, but {sibling.name} does not ({limit})"
            severity = Severity.ERROR if len(excluded) == len(promised) else None
            yield package.found(message, "project", "requires-python", severity=severity)


def _common_prefix(names: list[str]) -> str:
    """Return the words that all *names* start with, ending in a hyphen; empty if there are none."""
    if len(names) < 2:  # noqa: PLR2004  one name has no siblings
        return ""
    shared: list[str] = []
    split_names = [name.split("-") for name in names]
    for words in zip(*split_names, strict=False):
        if len(set(words)) > 1:
            break
        shared.append(words[0])
    return "".join(f"{word}-" for word in shared)


def _is_in_lockfile(facts: WorkspaceFacts, name: str) -> bool:
    """Return whether uv.lock has the package *name*: then it exists."""
    return f'name = "{name}"\nversion' in facts.locked


# Current and future minor versions; 2.7 stands for packages that never excluded Python 2.
_MINORS = ("2.7", *(f"3.{minor}" for minor in range(6, 31)))


@lru_cache(maxsize=256)
def _pythons(requires: str) -> tuple[str, ...]:
    """Return the minor versions of Python that *requires* allows, for their first or for a late patch release."""
    specifier = SpecifierSet(requires)
    allowed: list[str] = []
    for minor in _MINORS:
        first, late = Version(f"{minor}.0"), Version(f"{minor}.99")
        if first in specifier or late in specifier:
            allowed.append(minor)
    return tuple(allowed)


def _excludes_python(python: str, requirement: Requirement, sibling: Package) -> bool:
    if requirement.marker:
        environment = {"python_version": python, "python_full_version": f"{python}.99", "extra": ""}
        if not requirement.marker.evaluate(environment):
            return False
    return python not in _pythons(sibling.member.requires_python)


CHECKS = (
    Check(
        "cycles",
        Severity.ERROR,
        "Hard requirements form a cycle.",
        'Break the cycle, or release its members together: cycles = "batch".',
        cycles,
    ),
    Check(
        "self_deps",
        Severity.ERROR,
        "A package requires itself.",
        "Remove the requirement.",
        self_deps,
    ),
    Check(
        "orphan_deps",
        Severity.WARNING,
        "A package requires a sibling that users cannot install.",
        "Publish the sibling too, or remove the requirement.",
        orphan_deps,
    ),
    Check(
        "internal_specifiers",
        Severity.WARNING,
        "A requirement excludes the sibling in the workspace.",
        "Widen it. As written, it asks for an older release, and a new release does not change it.",
        internal_specifiers,
    ),
    Check(
        "python_ranges",
        Severity.WARNING,
        "A package allows Python versions that a required sibling does not.",
        "Raise its requires-python, or widen the sibling's.",
        python_ranges,
    ),
)
