"""Checks of the requirements between siblings."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from packaging.specifiers import SpecifierSet

from releasekit.core.checks.facts import Check, Found, Severity, written_requirements
from releasekit.core.checks.fixes import DropItem
from releasekit.core.errors import Refusal
from releasekit.core.picking import names_of
from releasekit.core.workspace.graph import graph_of, offers_of, order
from releasekit.core.workspace.workspace import Kind, Workspace, fits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from releasekit.core.checks.facts import Package, WorkspaceFacts, Written
    from releasekit.core.workspace.workspace import Member

_HARD = (Kind.RUNTIME, Kind.BUILD)


def cycles(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find cycles of hard requirements that the setting `cycles` does not allow."""
    without_self = Workspace.of(map(_without_itself, facts.workspace))
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
    need = next(_hard_needs(package, required), None)
    if need is None:  # the requirement comes from an extra, so no written one names it
        return package.project_finding("dependencies", refusal.message, hint=refusal.hint)
    return package.requirement_finding(need, refusal.message, hint=refusal.hint)


def _hard_needs(package: Package, required: str) -> Iterator[Written]:
    """Return the requirements of *package* on *required*, at run time or to build."""
    needs = (need for need in package.written if need.name == required)
    return filter(_is_hard, needs)


def _is_hard(need: Written) -> bool:
    return need.kind in _HARD


def self_deps(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages that require themselves at run time or to build. In an extra this is common, and allowed."""
    for package in facts:
        for need in _hard_needs(package, package.name):
            message = f"{package.name} requires itself: {need.text}"
            drop = DropItem(package.file, need.path, need.text)
            has_extras = bool(need.requirement.extras)
            fix = None if has_extras else drop
            yield package.requirement_finding(need, message, fix=fix)


def orphan_deps(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find requirements on siblings that are never published, and on unknown packages named like a sibling."""
    prefix = _common_prefix(names_of(facts.published))
    unpublished = {package.name for package in facts if not package.member.publishable}
    for package, need in written_requirements(facts.published):
        is_named_like_sibling = prefix != "" and need.name.startswith(prefix)
        if need.name in unpublished:
            is_optional = need.kind is Kind.EXTRA
            severity = Severity.WARNING if is_optional else Severity.ERROR
            message = f"{package.name} requires {need.name}, which is never published"
            yield package.requirement_finding(need, message, severity=severity)
        elif is_named_like_sibling and not _is_known(need, facts):
            yield package.requirement_finding(
                need,
                f"{package.name} requires {need.name}, which is named like a sibling but does not exist",
                hint="Fix the name, or remove the requirement.",
            )


def _is_known(need: Written, facts: WorkspaceFacts) -> bool:
    """Return whether *need* is on a package that exists: in the workspace, at a URL, or in uv.lock."""
    is_member = need.name in facts.packages
    has_url = bool(need.requirement.url)
    return is_member or has_url or _is_in_lockfile(facts, need.name)


def internal_specifiers(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find requirements that the sibling in the workspace does not satisfy: they mean an older release."""
    for package, need, sibling in _sibling_needs(facts, facts):
        version = sibling.member.version
        is_satisfied = version is None or fits(need.requirement.specifier, version)
        if not is_satisfied:
            message = f"{package.name} requires {need.requirement}, but the workspace has {version}"
            yield package.requirement_finding(need, message)


class _SiblingNeed(NamedTuple):
    """A requirement of *package* on *sibling*."""

    package: Package
    need: Written
    sibling: Package


def _sibling_needs(packages: Iterable[Package], facts: WorkspaceFacts) -> Iterator[_SiblingNeed]:
    """Yield the requirements of *packages* on other members of the workspace."""
    for package, need in written_requirements(packages):
        is_on_sibling = need.name in facts.packages and need.name != package.name
        if is_on_sibling:
            sibling = facts[need.name]
            yield _SiblingNeed(package, need, sibling)


def python_ranges(facts: WorkspaceFacts) -> Iterator[Found]:
    """Find packages that allow Python versions on which a required sibling does not install."""
    for package, need, sibling in _sibling_needs(facts.published, facts):
        promised = _promised_pythons(package)
        excluded = [python for python in promised if _excludes_python(python, need, sibling)]
        if excluded:
            python_range = _format_range(excluded[0], excluded[-1])
            limit = sibling.member.requires_python
            is_never_installable = len(excluded) == len(promised)
            severity = Severity.ERROR if is_never_installable else None
            yield package.project_finding(
                "requires-python",
                f"{package.name} allows Python {python_range}, but {sibling.name} does not ({limit})",
                severity=severity,
            )


def _promised_pythons(package: Package) -> tuple[str, ...]:
    """Return the Python versions that *package* says it runs on; empty if it says nothing."""
    requires_python = package.member.requires_python
    if not requires_python:
        return ()
    return _pythons(requires_python)


def _format_range(first: str, last: str) -> str:
    if first == last:
        return first
    return f"{first} to {last}"


def _excludes_python(python: str, need: Written, sibling: Package) -> bool:
    """Return whether *need* applies at run time on the version *python*, but *sibling* does not install there."""
    if need.kind is not Kind.RUNTIME:
        return False
    environment = {"python_version": python, "python_full_version": f"{python}.99", "extra": ""}
    marker = need.requirement.marker
    applies = marker is None or marker.evaluate(environment)
    return applies and python not in _pythons(sibling.member.requires_python)


def _common_prefix(names: list[str]) -> str:
    """Return the words that all *names* start with, ending in a hyphen; empty if there are none."""
    if len(names) < 2:  # noqa: PLR2004  one name has no siblings
        return ""
    split_names = [name.split("-") for name in names]
    columns = zip(*split_names, strict=False)
    shared = takewhile(lambda words: len(set(words)) == 1, columns)
    return "".join(f"{words[0]}-" for words in shared)


def _is_in_lockfile(facts: WorkspaceFacts, name: str) -> bool:
    """Return whether uv.lock has the package *name*: then it exists."""
    return f'name = "{name}"\nversion' in facts.locked


# Current and future minor versions; 2.7 stands for packages that never excluded Python 2.
_MINORS = ("2.7", *(f"3.{minor}" for minor in range(6, 31)))


@lru_cache(maxsize=256)
def _pythons(requires: str) -> tuple[str, ...]:
    """Return the minor versions of Python that *requires* allows, for their first or for a late patch release."""
    specifier = SpecifierSet(requires)
    return tuple(minor for minor in _MINORS if _allows_minor(specifier, minor))


def _allows_minor(specifier: SpecifierSet, minor: str) -> bool:
    patch_releases = (f"{minor}.0", f"{minor}.99")
    return any(map(specifier.contains, patch_releases))


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
