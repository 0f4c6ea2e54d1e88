"""Which packages can be installed from the index after a release, and which requirements prevent it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import canonicalize_name

from releasekit.core.workspace.candidates import Candidate, Candidates, Node, allows
from releasekit.core.workspace.graph import closure, reverse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.requirements import Requirement


class Exclusion(NamedTuple):
    """A requirement of *dependent*, or of its *extra*, that does not allow *excluded*; both are latest releases."""

    dependent: Candidate
    extra: str
    requirement: Requirement
    excluded: Candidate

    def __str__(self) -> str:
        return f"{_name_of(self.dependent, self.extra)} requires {self.requirement.name}{self.requirement.specifier}"


class Conflict(NamedTuple):
    """A planned release that cannot be installed; if *extra* is set, only with that extra.

    *causes* are the exclusions in its dependencies, transitively.
    """

    candidate: Candidate
    extra: str
    causes: tuple[Exclusion, ...]

    @property
    def name(self) -> str:
        """The release that cannot be installed, with its extra and version."""
        return _name_of(self.candidate, self.extra)

    @property
    def outdated_packages(self) -> tuple[str, ...]:
        """The packages that must be released too so that this one can be installed."""
        return tuple(
            dict.fromkeys(exclusion.dependent.name for exclusion in self.causes if not exclusion.dependent.planned)
        )


def exclusions(candidates: Candidates) -> tuple[Exclusion, ...]:
    """Return the requirements because of which the latest releases and their extras cannot be installed together."""
    latest = [versions[0] for versions in candidates.values() if versions]
    nodes = ((candidate, extra) for candidate in latest for extra in ("", *candidate.extras))
    return tuple(exclusion for candidate, extra in nodes for exclusion in _exclusions_of(candidate, extra, candidates))


def conflicts(candidates: Candidates) -> tuple[Conflict, ...]:
    """Return the planned releases that cannot be installed alone or with one of their extras.

    Only the packages in *candidates* are checked. All other requirements count as satisfied.
    """
    planned = [versions[0] for versions in candidates.values() if versions and versions[0].planned]
    nodes = _reachable([(release.name, extra) for release in planned for extra in ("", *release.extras)], candidates)
    broken = {node: tuple(_exclusions_of(candidates[node[0]][0], node[1], candidates)) for node in nodes}
    suspects = closure(reverse(nodes), [node for node in nodes if broken[node]])
    if not suspects:
        return ()
    from releasekit.core.workspace.resolution import (
        can_be_installed,  # late: without suspects no resolver is needed
    )

    results: list[Conflict] = []
    for candidate in planned:
        for extra in ("", *candidate.extras):
            node = (candidate.name, extra)
            if node in suspects and not can_be_installed(candidate, extra, candidates):
                # If the package itself cannot be installed, its extras cannot either: report it once.
                causes = [exclusion for reached in sorted(closure(nodes, [node])) for exclusion in broken[reached]]
                results.append(Conflict(candidate, extra, tuple(dict.fromkeys(causes))))
                if not extra:
                    break
    return tuple(results)


def _reachable(starts: Iterable[Node], candidates: Candidates) -> dict[Node, frozenset[Node]]:
    """Return the nodes that an installation of *starts* brings, transitively, each with the nodes that it requires."""
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
