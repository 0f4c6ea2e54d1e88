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
    """One requirement of a release, in its extra *extra* (normalised) if it is one's."""

    requirement: Requirement
    extra: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version of a package that the index will have. *planned*: this release brings it.

    *assumed*: nobody has read what it requires; it is what releasekit would have written.
    """

    name: str
    version: Version
    requirements: tuple[ReleaseRequirement, ...] = ()
    planned: bool = False
    assumed: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def requirements_for(self, extra: str) -> Iterator[Requirement]:
        """Yield what installing it requires here, or with *extra* what that extra adds."""
        for required in self.requirements:
            marker = required.requirement.marker
            if required.extra == extra and (marker is None or marker.evaluate({"extra": extra})):
                yield required.requirement

    @property
    def extras(self) -> tuple[str, ...]:
        """Its extras that require anything."""
        return tuple(dict.fromkeys(required.extra for required in self.requirements if required.extra))


Candidates = Mapping[str, Sequence[Candidate]]
"""What the index will have of each package, the latest first."""

Node = tuple[str, str]
"""A package, and one of its extras, or "" for none."""


def release_requirements(metadata: Iterable[Requirement]) -> tuple[ReleaseRequirement, ...]:
    """Return the requirements of *metadata* (core metadata, Requires-Dist) with the extra of each."""
    requirements: list[ReleaseRequirement] = []
    for requirement in metadata:
        extras = _EXTRA.findall(str(requirement.marker)) if requirement.marker else []
        requirements += [ReleaseRequirement(requirement, canonicalize_name(extra)) for extra in extras or [""]]
    return tuple(requirements)


def allows(specifier: SpecifierSet, candidate: Candidate, candidates: Candidates) -> bool:
    """Return whether an installer takes *candidate* for *specifier*: a prerelease only if it is named, as uv does."""
    version = candidate.version
    if not specifier.contains(version, prereleases=True):
        return False
    stable = any(not other.version.is_prerelease for other in candidates[candidate.name])
    return not version.is_prerelease or bool(specifier.prereleases) or not stable
