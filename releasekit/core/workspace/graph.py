"""The dependency graph of a workspace: its edges, its order and its cycles."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, TypeVar

from packaging.utils import canonicalize_name

from releasekit.core.errors import ErrorCode, Refusal, ReleaseWarning
from releasekit.core.workspace.requirements import is_live
from releasekit.core.workspace.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from packaging.version import Version

    from releasekit.core.config.settings import Cycles
    from releasekit.core.workspace.workspace import Need, Workspace

N = TypeVar("N", bound=Hashable)
Edges = dict[str, frozenset[str]]
Offers = Mapping[str, Sequence["Version"]]


@dataclass(frozen=True, slots=True)
class Graph:
    """Edges from each package to the packages that it needs.

    A package waits for its *hard* edges. *soft* edges only order, and only where they are in no cycle. *build* is the
    part of *hard* that the build needs, *runtime* the part that the package needs to work; an edge may be in both. No
    package has an edge to itself.
    """

    hard: Edges
    soft: Edges
    build: Edges
    runtime: Edges = field(default_factory=dict[str, frozenset[str]])

    def __iter__(self) -> Iterator[str]:
        return iter(self.hard)

    def subgraph(self, names: Iterable[str]) -> Graph:
        """Return the graph of *names* and the edges between them."""
        selected = frozenset(names)
        hard, soft, build, runtime = (
            {n: edges[n] & selected for n in self if n in selected}
            for edges in (self.hard, self.soft, self.build, self.runtime)
        )
        return Graph(hard, soft, build, runtime)

    def of_kinds(self, kinds: Collection[Kind]) -> Graph:
        """Return the graph with only the edges of these *kinds*."""
        none = dict.fromkeys(self, frozenset[str]())
        runtime = self.runtime if Kind.RUNTIME in kinds else none
        build = self.build if Kind.BUILD in kinds else none
        soft = self.soft if Kind.EXTRA in kinds else none
        return Graph({n: runtime[n] | build[n] for n in self}, soft, build, runtime)

    def needs(self) -> Edges:
        """Return the hard and soft edges together."""
        return {name: self.hard[name] | self.soft[name] for name in self}

    def select(self, deps: Collection[str], rdeps: Collection[str], among: Collection[str] | None = None) -> Graph:
        """Return the graph of what *deps* need and what needs *rdeps*, transitively, themselves included.

        With both, these are the packages on the paths from *deps* to *rdeps*. Edges of all kinds are followed. *among*
        limits the result to these packages.
        """
        needs = self.needs()
        selected = frozenset(needs if among is None else among)
        selected &= closure(needs, deps) if deps else selected
        selected &= closure(reverse(needs), rdeps) if rdeps else selected
        return self.subgraph(selected)

    def levels(self) -> tuple[tuple[str, ...], ...]:
        """Return the packages by the longest path to a package that needs nothing; a cycle is on one level."""
        groups = components(self.hard)
        outside = {name: self.hard[name] - group for group in groups for name in group}
        return _levels(groups, outside)

    def dependencies(self, names: Iterable[str]) -> frozenset[str]:
        """Return *names* and all packages that they need, transitively."""
        return closure(self.hard, names)

    def dependents(self, names: Iterable[str]) -> frozenset[str]:
        """Return *names* and all packages that need them, transitively."""
        return closure(reverse(self.hard), names)

    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """Return one path for each set of packages that need each other; it ends where it begins."""
        return tuple(_cycle_path(self.hard, group) for group in components(self.hard) if len(group) > 1)


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a graph. *names* has dependencies first. *levels* is only for display: nothing waits for a level.

    *needs* are the packages that each package waits for, *soft_needs* those that only come before it. *cycle_members*
    maps each member of a cycle to all members of the cycle.
    """

    names: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    needs: Edges
    soft_needs: Edges
    cycle_members: Mapping[str, frozenset[str]]

    def level_of(self) -> dict[str, int]:
        """Return the level of each package, from 0."""
        return {name: number for number, level in enumerate(self.levels) for name in level}


def offers_of(
    workspace: Workspace,
    current: Mapping[str, Version | None] | None = None,
    planned: Mapping[str, Version] | None = None,
) -> Offers:
    """Return the versions of each member in the workspace: the declared version and the *planned* next version.

    If no file declares a version, or the declared version is a development version, the *current* version (of the last
    release) counts too. A member without any known version has an empty tuple.
    """
    offers: dict[str, tuple[Version, ...]] = {}
    for member in workspace:
        last = (current or {}).get(member.name)
        include_last = member.version is None or member.version.is_devrelease
        offered = (member.version, last if include_last else None, (planned or {}).get(member.name))
        offers[member.name] = tuple(dict.fromkeys(version for version in offered if version is not None))
    return offers


def graph_of(workspace: Workspace, offers: Offers) -> tuple[Graph, tuple[ReleaseWarning, ...]]:
    """Return the graph of all members, and a warning for each requirement that none of *offers* satisfies.

    Such a requirement is not live: it is for an older release, so it has no edge. A package that requires `x[fast]`
    also requires what the extra `fast` of `x` requires: a soft edge of `x` becomes a hard edge of its dependent.
    Raises Refusal RK-GRAPH-SELF-DEPENDENCY if a package needs itself at run time or to build. Through an extra this is
    common and allowed (`all = ["me[a,b]"]`).
    """
    edges: dict[Kind, Edges] = {kind: {} for kind in Kind}
    warnings: list[ReleaseWarning] = []
    for member in workspace:
        targets: dict[Kind, set[str]] = {kind: set() for kind in Kind}
        for need in member.needs:
            if need.name not in workspace.members:
                continue
            if need.name == member.name:
                _refuse_self(need, member.path)
            elif is_live_need(need, offers):
                targets[need.kind] |= {need.name, *_members_through_extras(workspace, need, offers)} - {member.name}
            elif need.kind is not Kind.GROUP:
                explanation = f"but the workspace has {offers[need.name][0]}: the requirement is for an older release"
                message = f"{member.name} requires {need.requirement}, {explanation}"
                warnings.append(ReleaseWarning(ErrorCode.WORKSPACE_REQUIREMENT, message, f"{member.path}/{need.file}"))
        for kind in Kind:
            edges[kind][member.name] = frozenset(targets[kind])
    hard = {name: edges[Kind.RUNTIME][name] | edges[Kind.BUILD][name] for name in workspace.members}
    soft = {name: edges[Kind.EXTRA][name] - hard[name] for name in workspace.members}
    return Graph(hard, soft, edges[Kind.BUILD], edges[Kind.RUNTIME]), tuple(warnings)


def is_live_need(need: Need, offers: Offers) -> bool:
    """Return whether *need* is live: a version in *offers* satisfies it, or none is known."""
    return is_live(need.requirement.specifier, offers.get(need.name, ()))


def order(graph: Graph, cycles: Cycles = "error") -> Order:
    """Return the order of *graph*: dependencies first, then by level, then by name.

    Raises Refusal RK-GRAPH-CYCLE for a hard cycle, unless *cycles* is "batch". A cycle with a build requirement in it
    is always refused, because none of its members can be built first.
    """
    groups = components(graph.hard)
    for group in groups:
        if len(group) > 1 and (cycles == "error" or _builds_itself(graph, group)):
            hint = (
                ""
                if cycles == "error"
                else "Break the cycle: it contains a build requirement, so none of its packages can be built first."
            )
            raise Refusal(ErrorCode.GRAPH_CYCLE, " -> ".join(_cycle_path(graph.hard, group)), hint=hint)
    cycle_members = {name: group for group in groups if len(group) > 1 for name in group}
    needs: Edges = {}
    for group in groups:
        outside = frozenset[str]().union(*(graph.hard[name] for name in group)) - group
        # A cycle can be installed only when all its members are published, so a dependent of one needs them all.
        whole = outside.union(*(cycle_members[name] for name in outside if name in cycle_members))
        needs |= dict.fromkeys(group, whole)
    levels = _levels(groups, needs)
    soft_needs = _acyclic_soft_needs(graph, needs)
    return Order(_topological_order(needs, soft_needs, levels), levels, needs, soft_needs, cycle_members)


def components(edges: Edges) -> list[frozenset[str]]:
    """Return the strongly connected components, dependencies first (Tarjan 1972, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    open_nodes: dict[str, None] = {}
    groups: list[frozenset[str]] = []
    for root in edges:
        work = [] if root in index else [(root, iter(sorted(edges[root])))]
        while work:
            node, targets = work[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                open_nodes[node] = None
            for target in targets:
                if target not in index:
                    work.append((target, iter(sorted(edges[target]))))
                    break
                if target in open_nodes:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == index[node]:
                    groups.append(_pop_until(open_nodes, node))
    return groups


def reverse(edges: Mapping[N, frozenset[N]]) -> dict[N, frozenset[N]]:
    """Return *edges* in the opposite direction."""
    reversed_edges: dict[N, set[N]] = {name: set() for name in edges}
    for name, targets in edges.items():
        for target in targets:
            reversed_edges[target].add(name)
    return {name: frozenset(sources) for name, sources in reversed_edges.items()}


def closure(edges: Mapping[N, frozenset[N]], names: Iterable[N]) -> frozenset[N]:
    """Return *names* and all nodes that they reach over *edges*, transitively."""
    seen = set(names)
    todo = list(seen)
    while todo:
        fresh = edges[todo.pop()] - seen
        seen |= fresh
        todo.extend(fresh)
    return frozenset(seen)


def _members_through_extras(workspace: Workspace, need: Need, offers: Offers) -> set[str]:
    """Return the members that the extras of *need* require, including extras of extras."""
    todo = [(need.name, canonicalize_name(extra)) for extra in need.requirement.extras]
    seen = set(todo)
    members: set[str] = set()
    while todo:
        name, extra = todo.pop()
        for inner in workspace[name].needs:
            if inner.extra == extra and inner.name in workspace.members and is_live_need(inner, offers):
                members.add(inner.name)
                fresh = {(inner.name, canonicalize_name(e)) for e in inner.requirement.extras} - seen
                seen |= fresh
                todo.extend(fresh)
    return members


def _refuse_self(need: Need, path: str) -> None:
    if need.kind in (Kind.RUNTIME, Kind.BUILD):
        raise Refusal(ErrorCode.GRAPH_SELF_DEPENDENCY, f"{need.name} requires itself", f"{path}/pyproject.toml")


def _pop_until(open_nodes: dict[str, None], node: str) -> frozenset[str]:
    group: set[str] = set()
    while node not in group:
        group.add(open_nodes.popitem()[0])
    return frozenset(group)


def _builds_itself(graph: Graph, group: frozenset[str]) -> bool:
    return any(graph.build[name] & group for name in group)


def _cycle_path(edges: Edges, group: frozenset[str]) -> tuple[str, ...]:
    """Return a shortest cycle through the first name of *group*; that name is its first and last element."""
    start = min(group)
    came_from: dict[str, str] = {}
    todo = [start]
    for node in todo:
        for target in sorted(edges[node] & group):
            if target == start:
                path = [start, node]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return tuple(reversed(path))
            if target not in came_from:
                came_from[target] = node
                todo.append(target)
    raise AssertionError(group)  # a component of two or more nodes always has a cycle


def _levels(groups: list[frozenset[str]], needs: Edges) -> tuple[tuple[str, ...], ...]:
    level: dict[str, int] = {}
    for group in groups:  # dependencies come first, so their levels are known
        depth = max((level[need] + 1 for name in group for need in needs[name]), default=0)
        level |= dict.fromkeys(group, depth)
    rows: list[list[str]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for name in sorted(level):
        rows[level[name]].append(name)
    return tuple(tuple(row) for row in rows)


def _acyclic_soft_needs(graph: Graph, needs: Edges) -> Edges:
    """Return the soft edges that are in no cycle of hard and soft edges together."""
    both = {name: needs[name] | graph.soft[name] for name in graph}
    group_of = {name: number for number, group in enumerate(components(both)) for name in group}
    return {n: frozenset(t for t in graph.soft[n] - needs[n] if group_of[t] != group_of[n]) for n in graph}


def _topological_order(needs: Edges, soft_needs: Edges, levels: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Return all names, dependencies first, then by level, then by name (Kahn 1962)."""
    rank = {name: (number, name) for number, row in enumerate(levels) for name in row}
    before = {name: needs[name] | soft_needs[name] for name in needs}
    waiting = {name: len(before[name]) for name in needs}
    dependents = reverse(before)
    ready = [rank[name] for name, count in waiting.items() if not count]
    heapify(ready)
    result: list[str] = []
    while ready:
        name = heappop(ready)[1]
        result.append(name)
        for dependent in dependents[name]:
            waiting[dependent] -= 1
            if not waiting[dependent]:
                heappush(ready, rank[dependent])
    return tuple(result)
