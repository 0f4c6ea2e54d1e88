"""Which packages can be installed from the index after a release, and which requirements prevent it."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from releasekit.core.workspace.candidates import (
    Candidate,
    Candidates,
    Node,
    allows,
    internal_requirements,
)
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
        dependents = (exclusion.dependent for exclusion in self.causes)
        return tuple(
            dict.fromkeys(dependent.name for dependent in dependents if not dependent.planned)
        )


def exclusions(candidates: Candidates) -> tuple[Exclusion, ...]:
    """Return the requirements because of which the latest releases and their extras cannot be installed together."""
    nodes = _nodes_of(_latest(candidates))
    results = chain.from_iterable(_exclusions_of(node, candidates) for node in nodes)
    return tuple(results)


def _latest(candidates: Candidates) -> list[Candidate]:
    """Return the latest version of each package that has one."""
    return [versions[0] for versions in candidates.values() if versions]


def _nodes_of(releases: Iterable[Candidate]) -> list[Node]:
    """Return *releases* and their extras: everything that an installer may be asked for."""
    return [(release.name, extra) for release in releases for extra in ("", *release.extras)]


def conflicts(candidates: Candidates) -> tuple[Conflict, ...]:
    """Return the planned releases that cannot be installed alone or with one of their extras.

    Only the packages in *candidates* are checked. All other requirements count as satisfied.
    """
    planned = [candidate for candidate in _latest(candidates) if candidate.planned]
    edges = _reachable(_nodes_of(planned), candidates)
    exclusions_of = {node: tuple(_exclusions_of(node, candidates)) for node in edges}
    broken = filter(exclusions_of.__getitem__, edges)
    suspects = closure(reverse(edges), broken)
    if not suspects:
        return ()
    results: list[Conflict] = []
    for candidate in planned:
        for extra in _uninstallable_extras(candidate, suspects, candidates):
            reached = sorted(closure(edges, [(candidate.name, extra)]))
            causes = chain.from_iterable(map(exclusions_of.__getitem__, reached))
            results.append(Conflict(candidate, extra, tuple(dict.fromkeys(causes))))
    return tuple(results)


def _uninstallable_extras(
    candidate: Candidate, suspects: frozenset[Node], candidates: Candidates
) -> Iterator[str]:
    """Yield the extras with which *candidate* cannot be installed, or only "" if it cannot be installed at all."""
    from releasekit.core.workspace.resolution import (
        can_be_installed,  # late: without suspects no resolver is needed
    )

    suspect_nodes = filter(suspects.__contains__, _nodes_of([candidate]))
    for _, extra in suspect_nodes:
        if can_be_installed(candidate, extra, candidates):
            continue
        yield extra
        # If the package itself cannot be installed, its extras cannot either: report it once.
        if not extra:
            return


def _reachable(starts: Iterable[Node], candidates: Candidates) -> dict[Node, frozenset[Node]]:
    """Return the nodes that an installation of *starts* brings, transitively, each with the nodes that it requires."""
    edges: dict[Node, frozenset[Node]] = {}
    todo = list(starts)
    while todo:
        node = todo.pop()
        if node in edges:
            continue
        targets = _required_nodes(node, candidates)
        edges[node] = frozenset(targets - {node})
        todo += targets
    return edges


def _required_nodes(node: Node, candidates: Candidates) -> set[Node]:
    """Return the nodes that *node* requires. An extra requires its package."""
    name, extra = node
    latest = candidates[name][0]
    nodes: set[Node] = {(name, "")} if extra else set()
    for required in internal_requirements(latest, extra, candidates):
        nodes.update(required.nodes)
    return nodes


def _exclusions_of(node: Node, candidates: Candidates) -> Iterator[Exclusion]:
    """Yield the requirements of the latest version of *node* that do not allow another latest release."""
    name, extra = node
    dependent = candidates[name][0]
    for required in internal_requirements(dependent, extra, candidates):
        specifier = required.requirement.specifier
        if not allows(specifier, required.latest, candidates):
            yield Exclusion(dependent, extra, required.requirement, excluded=required.latest)


def _name_of(candidate: Candidate, extra: str) -> str:
    if not extra:
        return str(candidate)
    return f"{candidate.name}[{extra}] {candidate.version}"
