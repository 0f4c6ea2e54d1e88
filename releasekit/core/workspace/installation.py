"""Which packages can be installed from what is on the index after a release, and what keeps them from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import canonicalize_name

from releasekit.core.workspace.candidates import Candidate, Candidates, Node, allows
from releasekit.core.workspace.graph import closure, reverse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.requirements import Requirement


class Exclusion(NamedTuple):
    """A requirement of the latest release of one package, or of its *extra*, that the latest of another one breaks."""

    dependent: Candidate
    extra: str
    requirement: Requirement
    excluded: Candidate

    def __str__(self) -> str:
        return f"{_name_of(self.dependent, self.extra)} requires {self.requirement.name}{self.requirement.specifier}"


class Conflict(NamedTuple):
    """A release that nobody can install, with its *extra* if that is why; *causes* of these, as far as they reach."""

    candidate: Candidate
    extra: str
    causes: tuple[Exclusion, ...]

    @property
    def name(self) -> str:
        """What cannot be installed, as an installer is asked for it."""
        return _name_of(self.candidate, self.extra)

    @property
    def outdated_packages(self) -> tuple[str, ...]:
        """The packages that have to be released as well, so that this one can be installed."""
        return tuple(
            dict.fromkeys(exclusion.dependent.name for exclusion in self.causes if not exclusion.dependent.planned)
        )


def exclusions(candidates: Candidates) -> tuple[Exclusion, ...]:
    """Return what keeps the latest releases of all packages, and their extras, from being installed together."""
    latest = [versions[0] for versions in candidates.values() if versions]
    nodes = ((candidate, extra) for candidate in latest for extra in ("", *candidate.extras))
    return tuple(exclusion for candidate, extra in nodes for exclusion in _exclusions_of(candidate, extra, candidates))


def conflicts(candidates: Candidates) -> tuple[Conflict, ...]:
    """Return the planned releases that nobody can install by themselves, or with one of their extras.

    Only the packages of *candidates* are looked at; whatever else is required is taken to be there.
    """
    planned = [versions[0] for versions in candidates.values() if versions and versions[0].planned]
    nodes = _reachable([(release.name, extra) for release in planned for extra in ("", *release.extras)], candidates)
    broken = {node: tuple(_exclusions_of(candidates[node[0]][0], node[1], candidates)) for node in nodes}
    suspects = closure(reverse(nodes), [node for node in nodes if broken[node]])
    if not suspects:
        return ()
    from releasekit.core.workspace.resolution import (
        can_be_installed,  # late: where the latest of all fit, no resolver is needed
    )

    results: list[Conflict] = []
    for candidate in planned:
        for extra in ("", *candidate.extras):
            node = (candidate.name, extra)
            if node in suspects and not can_be_installed(candidate, extra, candidates):
                # What the package itself cannot have, its extras cannot have either: it is said once.
                causes = [exclusion for reached in sorted(closure(nodes, [node])) for exclusion in broken[reached]]
                results.append(Conflict(candidate, extra, tuple(dict.fromkeys(causes))))
                if not extra:
                    break
    return tuple(results)


def _reachable(starts: Iterable[Node], candidates: Candidates) -> dict[Node, frozenset[Node]]:
    """Return what the latest releases of *starts* bring, transitively: the nodes, each with those that it leads to."""
    edges: dict[Node, frozenset[Node]] = {}
    todo = list(starts)
    while todo:
        node = todo.pop()
        if node in edges:
            continue
        name, extra = node
        targets: set[Node] = {(name, "")} if extra else set()
        for requirement in candidates[name][0].requirements_for(extra):
            required = canonicalize_name(requirement.name)
            if candidates.get(required):
                targets |= {(required, ""), *((required, canonicalize_name(e)) for e in requirement.extras)}
        edges[node] = frozenset(targets - {node})
        todo += targets
    return edges


def _exclusions_of(candidate: Candidate, extra: str, candidates: Candidates) -> Iterator[Exclusion]:
    for requirement in candidate.requirements_for(extra):
        for latest in candidates.get(canonicalize_name(requirement.name), ())[:1]:
            if not allows(requirement.specifier, latest, candidates):
                yield Exclusion(candidate, extra, requirement, latest)


def _name_of(candidate: Candidate, extra: str) -> str:
    return f"{candidate.name}[{extra}] {candidate.version}" if extra else str(candidate)
