"""The dependency graph of a workspace: its edges, its order and its cycles."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from packaging.utils import canonicalize_name

from releasekit.core.errors import ErrorCode, Refusal, ReleaseWarning
from releasekit.core.picking import map_values
from releasekit.core.workspace.requirements import is_live
from releasekit.core.workspace.workspace import PUBLISHED, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from packaging.version import Version

    from releasekit.core.config.settings import Cycles
    from releasekit.core.workspace.workspace import Member, Need, Workspace

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
        return Graph(
            hard=_edges_within(self.hard, selected),
            soft=_edges_within(self.soft, selected),
            build=_edges_within(self.build, selected),
            runtime=_edges_within(self.runtime, selected),
        )

    def of_kinds(self, kinds: Collection[Kind]) -> Graph:
        """Return the graph with only the edges of these *kinds*."""
        no_edges = dict.fromkeys(self, frozenset[str]())

        def edges_if(kind: Kind, edges: Edges) -> Edges:
            return edges if kind in kinds else no_edges

        runtime = edges_if(Kind.RUNTIME, self.runtime)
        build = edges_if(Kind.BUILD, self.build)
        return Graph(
            hard=_union(runtime, build),
            soft=edges_if(Kind.EXTRA, self.soft),
            build=build,
            runtime=runtime,
        )

    def needs(self) -> Edges:
        """Return the hard and soft edges together."""
        return _union(self.hard, self.soft)

    def select(
        self, deps: Collection[str], rdeps: Collection[str], among: Collection[str] | None = None
    ) -> Graph:
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
        group_of = _group_of_each(groups)
        outside = {name: self.hard[name] - group_of[name] for name in group_of}
        return _levels(groups, outside)

    def dependencies(self, names: Iterable[str]) -> frozenset[str]:
        """Return *names* and all packages that they need, transitively."""
        return closure(self.hard, names)

    def dependents(self, names: Iterable[str]) -> frozenset[str]:
        """Return *names* and all packages that need them, transitively."""
        return closure(reverse(self.hard), names)

    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """Return one path for each set of packages that need each other; it ends where it begins."""
        cycles = filter(_is_cycle, components(self.hard))
        return tuple(_cycle_path(self.hard, group) for group in cycles)


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
        return _level_of_each(self.levels)


def offers_of(
    workspace: Workspace,
    current: Mapping[str, Version | None] = MappingProxyType({}),
    planned: Mapping[str, Version] = MappingProxyType({}),
) -> Offers:
    """Return the versions of each member in the workspace: the declared version and the *planned* next version.

    If no file declares a version, or the declared version is a development version, the *current* version (of the last
    release) counts too. A member without any known version has an empty tuple.
    """
    offers: dict[str, tuple[Version, ...]] = {}
    for member in workspace:
        versions = [member.version]
        if member.version is None or member.version.is_devrelease:
            versions.append(current.get(member.name))
        versions.append(planned.get(member.name))
        known_versions = filter(None, versions)
        offers[member.name] = tuple(dict.fromkeys(known_versions))
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
        for need in workspace.internal_needs(member):
            if need.name == member.name:
                _refuse_self(need, member.path)
            elif is_live_need(need, offers):
                through_extras = _members_through_extras(workspace, need, offers)
                required = {need.name, *through_extras} - {member.name}
                targets[need.kind] |= required
                if need.kind in PUBLISHED and need.extra in member.extras_at_build:
                    targets[Kind.BUILD] |= required
            elif need.kind is not Kind.GROUP:
                warnings.append(_older_release_warning(member, need, offers))
        for kind, names in targets.items():
            edges[kind][member.name] = frozenset(names)
    hard = _union(edges[Kind.RUNTIME], edges[Kind.BUILD])
    graph = Graph(
        hard=hard,
        soft=_difference(edges[Kind.EXTRA], hard),
        build=edges[Kind.BUILD],
        runtime=edges[Kind.RUNTIME],
    )
    return graph, tuple(warnings)


def _older_release_warning(member: Member, need: Need, offers: Offers) -> ReleaseWarning:
    offered = offers[need.name][0]
    explanation = f"but the workspace has {offered}: the requirement is for an older release"
    message = f"{member.name} requires {need.requirement}, {explanation}"
    return ReleaseWarning(ErrorCode.WORKSPACE_REQUIREMENT, message, f"{member.path}/{need.file}")


def is_live_need(need: Need, offers: Offers) -> bool:
    """Return whether *need* is live: a version in *offers* satisfies it, or none is known."""
    return is_live(need.requirement.specifier, offers.get(need.name, ()))


def order(graph: Graph, cycles: Cycles = "error") -> Order:
    """Return the order of *graph*: dependencies first, then by level, then by name.

    Raises Refusal RK-GRAPH-CYCLE for a hard cycle, unless *cycles* is "batch". A cycle with a build requirement in it
    is always refused, because none of its members can be built first.
    """
    groups = components(graph.hard)
    cyclic_groups = list(filter(_is_cycle, groups))
    for group in cyclic_groups:
        _refuse_cycle(graph, group, cycles)
    cycle_members = _group_of_each(cyclic_groups)
    needs: Edges = {}
    for group in groups:
        outside = _union_of(graph.hard, group) - group
        # A cycle can be installed only when all its members are published, so a dependent of one needs them all.
        whole = outside | _union_of(cycle_members, outside & cycle_members.keys())
        needs |= dict.fromkeys(group, whole)
    levels = _levels(groups, needs)
    soft_needs = _acyclic_soft_needs(graph, needs)
    return Order(
        names=_topological_order(_union(needs, soft_needs), levels),
        levels=levels,
        needs=needs,
        soft_needs=soft_needs,
        cycle_members=cycle_members,
    )


def _refuse_cycle(graph: Graph, group: frozenset[str], cycles: Cycles) -> None:
    """Raise Refusal RK-GRAPH-CYCLE, unless the cycle *group* can be released as a batch."""
    if cycles == "error":
        hint = ""
    elif _builds_itself(graph, group):
        hint = "Break the cycle: it contains a build requirement, so none of its packages can be built first."
    else:
        return
    path = " -> ".join(_cycle_path(graph.hard, group))
    raise Refusal(ErrorCode.GRAPH_CYCLE, path, hint=hint)


def _is_cycle(group: frozenset[str]) -> bool:
    return len(group) > 1


def _group_of_each(groups: Iterable[frozenset[str]]) -> Edges:
    """Return the group of each name in *groups*."""
    group_of: Edges = {}
    for group in groups:
        group_of |= dict.fromkeys(group, group)
    return group_of


def _union(one: Edges, other: Edges) -> Edges:
    """Return the edges of both, which have the same nodes."""
    return {name: one[name] | other[name] for name in one}


def _difference(one: Edges, other: Edges) -> Edges:
    """Return the edges of *one* without those of *other*, which has the same nodes."""
    return {name: one[name] - other[name] for name in one}


def _union_of(edges: Edges, names: Iterable[str]) -> frozenset[str]:
    """Return all targets of *names*."""
    return frozenset[str]().union(*map(edges.__getitem__, names))


def _edges_within(edges: Edges, names: frozenset[str]) -> Edges:
    """Return the edges between *names*."""
    return {name: targets & names for name, targets in edges.items() if name in names}


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
    return map_values(frozenset, reversed_edges)


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
    seen = _required_extras(need)
    todo = list(seen)
    members: set[str] = set()
    while todo:
        name, extra = todo.pop()
        for inner in workspace.internal_needs(workspace[name]):
            if inner.extra == extra and is_live_need(inner, offers):
                members.add(inner.name)
                fresh = _required_extras(inner) - seen
                seen |= fresh
                todo.extend(fresh)
    return members


def _required_extras(need: Need) -> set[tuple[str, str]]:
    """Return the extras that *need* names, each with the package."""
    return {(need.name, canonicalize_name(extra)) for extra in need.requirement.extras}


def _refuse_self(need: Need, path: str) -> None:
    if need.kind in (Kind.RUNTIME, Kind.BUILD):
        message = f"{need.name} requires itself"
        raise Refusal(ErrorCode.GRAPH_SELF_DEPENDENCY, message, f"{path}/pyproject.toml")


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
                return _walk_back(came_from, node, start)
            if target not in came_from:
                came_from[target] = node
                todo.append(target)
    raise AssertionError(group)  # a component of two or more nodes always has a cycle


def _walk_back(came_from: Mapping[str, str], last: str, start: str) -> tuple[str, ...]:
    """Return the path from *start* over *last* back to *start*."""
    path = [start, last]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return tuple(reversed(path))


def _levels(groups: list[frozenset[str]], needs: Edges) -> tuple[tuple[str, ...], ...]:
    level: dict[str, int] = {}
    for group in groups:  # dependencies come first, so their levels are known
        depths = (level[need] + 1 for need in _union_of(needs, group))
        depth = max(depths, default=0)
        level |= dict.fromkeys(group, depth)
    by_name = sorted(level)
    by_level = sorted(by_name, key=level.__getitem__)
    return tuple(tuple(names) for _, names in groupby(by_level, key=level.__getitem__))


def _acyclic_soft_needs(graph: Graph, needs: Edges) -> Edges:
    """Return the soft edges that are in no cycle of hard and soft edges together."""
    both = _union(needs, graph.soft)
    group_of = _group_of_each(components(both))
    only_soft = _difference(graph.soft, needs)
    return _difference(only_soft, group_of)


def _level_of_each(levels: Sequence[Sequence[str]]) -> dict[str, int]:
    return {name: number for number, names in enumerate(levels) for name in names}


def _topological_order(needs: Edges, levels: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Return all names, dependencies first, then by level, then by name. *needs* has no cycle."""
    level_of = _level_of_each(levels)
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    ready: list[tuple[int, str]] = []
    names: list[str] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heappush(ready, (level_of[name], name))
        _, first = heappop(ready)
        names.append(first)
        sorter.done(first)
    return tuple(names)
