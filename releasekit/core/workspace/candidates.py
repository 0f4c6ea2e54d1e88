"""A version of a package as an installer sees it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version


_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


class ReleaseRequirement(NamedTuple):
    """One requirement of a release. *extra* is the normalised name of its extra; empty if it belongs to none."""

    requirement: Requirement
    extra: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version of a package that the index will have.

    *planned* means that this release publishes it. *assumed* means that its metadata was not read: its requirements are
    those that releasekit would have written.
    """

    name: str
    version: Version
    requirements: tuple[ReleaseRequirement, ...] = ()
    planned: bool = False
    assumed: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def requirements_for(self, extra: str) -> Iterator[Requirement]:
        """Yield the requirements that apply in this environment; with *extra*, only those that the extra adds."""
        environment = {"extra": extra}
        return (
            requirement
            for requirement, of_extra in self.requirements
            if of_extra == extra and _applies(requirement, environment)
        )

    @property
    def extras(self) -> tuple[str, ...]:
        """The extras that have requirements."""
        names = (required.extra for required in self.requirements)
        return tuple(dict.fromkeys(filter(None, names)))


Candidates = Mapping[str, Sequence[Candidate]]
"""The versions of each package that the index will have, latest first."""

Node = tuple[str, str]
"""A package and one of its extras; "" for no extra."""


def _applies(requirement: Requirement, environment: dict[str, str]) -> bool:
    """Return whether the marker of *requirement* is true in this environment, extended by *environment*."""
    marker = requirement.marker
    return marker is None or marker.evaluate(environment)


def internal_requirements(
    candidate: Candidate, extra: str, candidates: Candidates
) -> Iterator[InternalRequirement]:
    """Yield the requirements of *candidate*, or of its *extra*, on packages in *candidates*."""
    for requirement in candidate.requirements_for(extra):
        name = canonicalize_name(requirement.name)
        versions = candidates.get(name)
        if versions:
            yield InternalRequirement(name, requirement, versions[0])


class InternalRequirement(NamedTuple):
    """A requirement on the package *name*, whose latest version is *latest*."""

    name: str
    requirement: Requirement
    latest: Candidate

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The package and the extras of it that are required."""
        extras = map(canonicalize_name, self.requirement.extras)
        return tuple((self.name, extra) for extra in ("", *extras))


def release_requirements(metadata: Iterable[Requirement]) -> tuple[ReleaseRequirement, ...]:
    """Return the requirements of *metadata* (core metadata, Requires-Dist) with the extra of each."""
    requirements: list[ReleaseRequirement] = []
    for requirement in metadata:
        extras = _extras_in_marker(requirement)
        requirements += [ReleaseRequirement(requirement, extra) for extra in extras]
    return tuple(requirements)


def _extras_in_marker(requirement: Requirement) -> list[str]:
    """Return the normalised extras that the marker of *requirement* names, or "" if it names none."""
    marker = str(requirement.marker or "")
    extras = _EXTRA.findall(marker)
    return list(map(canonicalize_name, extras)) or [""]


def allows(specifier: SpecifierSet, candidate: Candidate, candidates: Candidates) -> bool:
    """Return whether an installer accepts *candidate* for *specifier*.

    As in uv, a prerelease counts only if *specifier* names one, or if the package has no stable version.
    """
    version = candidate.version
    if not specifier.contains(version, prereleases=True):
        return False
    if not version.is_prerelease or specifier.prereleases:
        return True
    others = candidates[candidate.name]
    return all(other.version.is_prerelease for other in others)
