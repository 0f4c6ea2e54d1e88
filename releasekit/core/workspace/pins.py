"""Pins: the requirements on siblings that a package is built with."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import unified_diff
from functools import cache
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from releasekit.core.text import join_lines
from releasekit.core.version_numbers import next_breaking
from releasekit.core.workspace.requirements import requirement_key
from releasekit.core.workspace.toml_edits import rewrite_requirements
from releasekit.core.workspace.workspace import requirement_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.specifiers import Specifier

    from releasekit.core.config.settings import PinMode


@dataclass(frozen=True, slots=True)
class Pins:
    """The requirements on siblings that one package has once it is built. All names are normalised.

    *versions* are the versions of the siblings after the release. *limits* has, for each sibling, the next version that
    may break its dependents. *older* are the requirements for an older release, as `requirement_key` spells them: they
    are not pinned.
    """

    mode: PinMode
    versions: Mapping[str, Version]
    limits: Mapping[str, Version] = field(default_factory=dict[str, Version])
    older: frozenset[str] = frozenset()

    def version_for(self, requirement: Requirement) -> Version | None:
        """Return the sibling's version that *requirement* is pinned to; None if it is not a live requirement on one."""
        if requirement.url or requirement_key(requirement) in self.older:
            return None
        return self.versions.get(canonicalize_name(requirement.name))


def pin_requirement(requirement: Requirement, pins: Pins) -> Requirement:
    """Return *requirement* as the built package has it. Extras and marker stay.

    Not changed: a requirement on another package, a direct URL (PEP 508), and a requirement for an older release.
    """
    version = pins.version_for(requirement)
    if version is None or pins.mode == "keep":
        return requirement
    if pins.mode == "exact":
        return _replace_specifier(requirement, _exactly(str(version)))
    name = canonicalize_name(requirement.name)
    limit = pins.limits.get(name) or next_breaking(version)
    return _replace_specifier(requirement, compatible_with(requirement.specifier, version, limit))


def _replace_specifier(requirement: Requirement, specifier: SpecifierSet) -> Requirement:
    """Return a copy of *requirement* with *specifier*."""
    # `copy` of a Requirement writes it as text and parses that again, which takes most of the time of a large plan.
    pinned = Requirement.__new__(Requirement)
    pinned.name = requirement.name
    pinned.url = requirement.url
    pinned.extras = requirement.extras
    pinned.marker = requirement.marker
    pinned.specifier = specifier
    return pinned


@cache
def _exactly(version: str) -> SpecifierSet:
    # A text, because 2.0 and 2.0.0 are equal versions, and would share a result.
    return SpecifierSet(f"=={version}")


def compatible_with(specifier: SpecifierSet, version: Version, limit: Version) -> SpecifierSet:
    """Return the range `>=version,<limit`, with the upper bounds and exclusions of *specifier* (PEP 440).

    *version* replaces the lower bound of *specifier*. Clauses of *specifier* that *version* does not satisfy are
    dropped.
    """
    clauses = [f">={version}"]
    limits = [limit]
    for clause in specifier:
        if not clause.contains(version, prereleases=True):
            continue
        is_narrower = clause.operator == "<=" and Version(clause.version) < limit
        if is_narrower or clause.operator == "!=":
            clauses.append(str(clause))
        limits += _exclusive_bounds(clause)
    end = _without_zeros(min(limits))
    clauses.append(f"<{end}")
    return SpecifierSet(",".join(clauses))


def _exclusive_bounds(clause: Specifier) -> list[Version]:
    """Return the first version above the range of *clause*; empty if it has no such bound."""
    if clause.operator == "<":
        return [Version(clause.version)]
    if clause.operator == "~=" or _is_prefix(clause):
        return [_end_of(clause.operator, clause.version)]
    return []


def _is_prefix(clause: Specifier) -> bool:
    """Return whether *clause* allows all versions that start with given numbers, such as `==1.2.*`."""
    return clause.operator == "==" and clause.version.endswith(".*")


def _without_zeros(limit: Version) -> str:
    """Return *limit* as people write an upper bound: "2", not "2.0.0". The first number always stays."""
    if str(limit) != limit.base_version:
        return str(limit)
    return re.sub(r"(\.0)+$", "", str(limit))


def _end_of(operator: str, bound: str) -> Version:
    """Return the first version above the range of a `~=` or `==x.*` clause (PEP 440)."""
    first = Version(bound.removesuffix(".*"))
    head = list(first.release)
    if operator == "~=":
        head.pop()
    head[-1] += 1
    return Version(f"{first.epoch}!{'.'.join(map(str, head))}")


def pin_mismatch(requirement: Requirement, pins: Pins) -> str:
    """Return the requirement or specifier that is planned instead of *requirement*; empty if it is as planned."""
    version = pins.version_for(requirement)
    if version is None:
        return ""
    if pins.mode == "keep":
        is_as_planned = requirement.specifier.contains(version, prereleases=True)
        planned = f"{requirement.name}=={version}"
    else:
        expected = pin_requirement(requirement, pins).specifier
        is_as_planned = requirement.specifier == expected
        planned = str(expected)
    return "" if is_as_planned else planned


def pin_requirements(text: str, pins: Pins, file: str = "pyproject.toml") -> str:
    """Return the *text* of a package's *file* with its published and build requirements pinned; all else stays."""

    def pin_written(written: str) -> str:
        requirement = requirement_of(written)
        pinned = pin_requirement(requirement, pins)
        return written if pinned is requirement else str(pinned)

    return rewrite_requirements(text, pin_written, file)


def text_diff(before: str, after: str, path: str) -> str:
    """Return a unified diff of the file *path* from *before* to *after*; empty if they are equal."""
    lines = unified_diff(
        before.splitlines(),
        after.splitlines(),
        fromfile=f"a/{path}",
        tofile=f"b/{path}",
        lineterm="",
        n=1,
    )
    return join_lines(lines)
