"""Who needs whom, what follows for the order, and where it cannot be ordered."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, TypeVar

from packaging.utils import canonicalize_name

from releasekit.core.errors import Code, Refusal, Warn
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
    """Edges from each package to those that it needs. *hard* orders and gates; *soft* orders where it can.

    *build* is the part of *hard* without which a package cannot even be built, *runtime* the part without which it
    does not work; an edge may be both. No edge leads to its own start.
    """

    hard: Edges
    soft: Edges
    build: Edges
    runtime: Edges = field(default_factory=dict[str, frozenset[str]])

    def __iter__(self) -> Iterator[str]:
        return iter(self.hard)

    def only(self, names: Iterable[str]) -> Graph:
        """Return the graph of *names* alone."""
        kept = frozenset(names)
        hard, soft, build, runtime = (
            {n: edges[n] & kept for n in self if n in kept}
            for edges in (self.hard, self.soft, self.build, self.runtime)
        )
        return Graph(hard, soft, build, runtime)

    def of_kinds(self, kinds: Collection[Kind]) -> Graph:
        """Return the graph with the edges of these *kinds* alone."""
        none = dict.fromkeys(self, frozenset[str]())
        runtime = self.runtime if Kind.RUNTIME in kinds else none
        build = self.build if Kind.BUILD in kinds else none
        soft = self.soft if Kind.EXTRA in kinds else none
        return Graph({n: runtime[n] | build[n] for n in self}, soft, build, runtime)

    def needs(self) -> Edges:
        """Return all edges as one, of whatever kind."""
        return {name: self.hard[name] | self.soft[name] for name in self}

    def part(self, deps: Collection[str], rdeps: Collection[str], among: Collection[str] | None = None) -> Graph:
        """Return what *deps* need and what needs *rdeps*, near and far and themselves; *among* those packages alone.

        Both together are the ways from *deps* to *rdeps*. Edges of all kinds are followed.
        """
        needs = self.needs()
        kept = frozenset(needs if among is None else among)
        kept &= closure(needs, deps) if deps else kept
        kept &= closure(reverse(needs), rdeps) if rdeps else kept
        return self.only(kept)

    def levels(self) -> tuple[tuple[str, ...], ...]:
        """Return the packages by how many are before them, one after the other; a cycle is on one level."""
        groups = components(self.hard)
        outside = {name: self.hard[name] - group for group in groups for name in group}
        return _levels(groups, outside)

    def dependencies(self, names: Iterable[str]) -> frozenset[str]:
        """Return *names* and all that they need, near and far."""
        return closure(self.hard, names)

    def dependents(self, names: Iterable[str]) -> frozenset[str]:
        """Return *names* and all that need them, near and far."""
        return closure(reverse(self.hard), names)

    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """Return the sets of packages that need each other, each as a cycle that can be followed."""
        return tuple(_as_walk(self.hard, group) for group in components(self.hard) if len(group) > 1)


@dataclass(frozen=True, slots=True)
class Order:
    """A graph put in order. *names* has dependencies first; *levels* is for people, nothing waits for a level.

    *needs* are the packages that gate each one, *after* those that it merely follows; *batches* maps each member of
    a cycle to all members of it.
    """

    names: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    needs: Edges
    after: Edges
    batches: Mapping[str, frozenset[str]]

    def level_of(self) -> dict[str, int]:
        """Return the level of each package, from 0."""
        return {name: number for number, level in enumerate(self.levels) for name in level}


def offers_of(
    workspace: Workspace,
    current: Mapping[str, Version | None] | None = None,
    planned: Mapping[str, Version] | None = None,
) -> Offers:
    """Return the versions that the workspace has of each member: the declared one, and the one *planned* next.

    Where no file declares a version, or a development version stands there since the last release, it is the *current*
    one as well. Empty if nobody knows any.
    """
    offers: dict[str, tuple[Version, ...]] = {}
    for member in workspace:
        last = (current or {}).get(member.name)
        kept = member.version is None or member.version.is_devrelease
        offered = (member.version, last if kept else None, (planned or {}).get(member.name))
        offers[member.name] = tuple(dict.fromkeys(version for version in offered if version is not None))
    return offers


def graph_of(workspace: Workspace, offers: Offers) -> tuple[Graph, tuple[Warn, ...]]:
    """Return the graph of all members, and a warning for each requirement that none of *offers* satisfies.

    Such a requirement is not live: it means an older release, and orders and gates nothing. A package that requires
    `x[fast]` requires what the extra `fast` of `x` requires too: the soft edge of `x` is a hard one of its dependent.
    Raises Refusal RK-GRAPH-SELF-DEPENDENCY for a package that needs itself at run time or to build; through an extra
    that is usual (`all = ["me[a,b]"]`).
    """
    edges: dict[Kind, Edges] = {kind: {} for kind in Kind}
    warnings: list[Warn] = []
    for member in workspace:
        found: dict[Kind, set[str]] = {kind: set() for kind in Kind}
        for need in member.needs:
            if need.name not in workspace.members:
                continue
            if need.name == member.name:
                _refuse_self(need, member.path)
            elif satisfied(need, offers):
                found[need.kind] |= {need.name, *_through_extras(workspace, need, offers)} - {member.name}
            elif need.kind is not Kind.GROUP:
                so = f"and the workspace has {offers[need.name][0]}: an older release is meant"
                what = f"{member.name} requires {need.requirement}, {so}"
                warnings.append(Warn(Code.WORKSPACE_REQUIREMENT, what, f"{member.path}/{need.file}"))
        for kind in Kind:
            edges[kind][member.name] = frozenset(found[kind])
    hard = {name: edges[Kind.RUNTIME][name] | edges[Kind.BUILD][name] for name in workspace.members}
    soft = {name: edges[Kind.EXTRA][name] - hard[name] for name in workspace.members}
    return Graph(hard, soft, edges[Kind.BUILD], edges[Kind.RUNTIME]), tuple(warnings)


def satisfied(need: Need, offers: Offers) -> bool:
    """Return whether *need* is live: one of the versions that the workspace has of it satisfies it."""
    return is_live(need.requirement.specifier, offers.get(need.name, ()))


def order(graph: Graph, cycles: Cycles = "error") -> Order:
    """Put *graph* in order, dependencies first and names next.

    Raises Refusal RK-GRAPH-CYCLE for a hard cycle, unless *cycles* is "batch"; and always for one that is needed to
    build, because none of its members can be built first.
    """
    groups = components(graph.hard)
    for group in groups:
        if len(group) > 1 and (cycles == "error" or _builds_itself(graph, group)):
            hint = (
                "" if cycles == "error" else "Break the cycle: it is needed to build, so none of it can be built first."
            )
            raise Refusal(Code.GRAPH_CYCLE, " -> ".join(_as_walk(graph.hard, group)), hint=hint)
    batches = {name: group for group in groups if len(group) > 1 for name in group}
    needs: Edges = {}
    for group in groups:
        outside = frozenset[str]().union(*(graph.hard[name] for name in group)) - group
        # A cycle installs only when all of it is there, so who needs one of it needs it whole.
        whole = outside.union(*(batches[name] for name in outside if name in batches))
        needs |= dict.fromkeys(group, whole)
    levels = _levels(groups, needs)
    after = _orderable(graph, needs)
    return Order(_topological(needs, after, levels), levels, needs, after, batches)


def components(edges: Edges) -> list[frozenset[str]]:
    """Return the strongly connected components, dependencies first (Tarjan 1972, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    open_nodes: dict[str, None] = {}
    found: list[frozenset[str]] = []
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
                    found.append(_pop_until(open_nodes, node))
    return found


def reverse(edges: Mapping[N, frozenset[N]]) -> dict[N, frozenset[N]]:
    """Return the same edges, each turned round."""
    turned: dict[N, set[N]] = {name: set() for name in edges}
    for name, targets in edges.items():
        for target in targets:
            turned[target].add(name)
    return {name: frozenset(sources) for name, sources in turned.items()}


def closure(edges: Mapping[N, frozenset[N]], names: Iterable[N]) -> frozenset[N]:
    """Return *names* and all that *edges* lead to from them, near and far."""
    seen = set(names)
    todo = list(seen)
    while todo:
        fresh = edges[todo.pop()] - seen
        seen |= fresh
        todo.extend(fresh)
    return frozenset(seen)


def _through_extras(workspace: Workspace, need: Need, offers: Offers) -> set[str]:
    """Return the members that the extras named in *need* bring in, extras of extras included."""
    todo = [(need.name, canonicalize_name(extra)) for extra in need.requirement.extras]
    seen = set(todo)
    found: set[str] = set()
    while todo:
        name, extra = todo.pop()
        for inner in workspace[name].needs:
            if inner.extra == extra and inner.name in workspace.members and satisfied(inner, offers):
                found.add(inner.name)
                fresh = {(inner.name, canonicalize_name(e)) for e in inner.requirement.extras} - seen
                seen |= fresh
                todo.extend(fresh)
    return found


def _refuse_self(need: Need, path: str) -> None:
    if need.kind in (Kind.RUNTIME, Kind.BUILD):
        raise Refusal(Code.GRAPH_SELF_DEPENDENCY, f"{need.name} requires itself", f"{path}/pyproject.toml")


def _pop_until(open_nodes: dict[str, None], node: str) -> frozenset[str]:
    group: set[str] = set()
    while node not in group:
        group.add(open_nodes.popitem()[0])
    return frozenset(group)


def _builds_itself(graph: Graph, group: frozenset[str]) -> bool:
    return any(graph.build[name] & group for name in group)


def _as_walk(edges: Edges, group: frozenset[str]) -> tuple[str, ...]:
    """Return a shortest cycle through the first name of *group*, ending where it began."""
    start = min(group)
    came_from: dict[str, str] = {}
    todo = [start]
    for node in todo:
        for target in sorted(edges[node] & group):
            if target == start:
                walk = [start, node]
                while walk[-1] != start:
                    walk.append(came_from[walk[-1]])
                return tuple(reversed(walk))
            if target not in came_from:
                came_from[target] = node
                todo.append(target)
    raise AssertionError(group)  # a component of two or more always closes


def _levels(groups: list[frozenset[str]], needs: Edges) -> tuple[tuple[str, ...], ...]:
    level: dict[str, int] = {}
    for group in groups:  # dependencies come first, so theirs are known
        depth = max((level[need] + 1 for name in group for need in needs[name]), default=0)
        level |= dict.fromkeys(group, depth)
    rows: list[list[str]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for name in sorted(level):
        rows[level[name]].append(name)
    return tuple(tuple(row) for row in rows)


def _orderable(graph: Graph, needs: Edges) -> Edges:
    """Return the soft edges that contradict nothing: those that lie in no cycle of hard and soft edges together."""
    both = {name: needs[name] | graph.soft[name] for name in graph}
    group_of = {name: number for number, group in enumerate(components(both)) for name in group}
    return {n: frozenset(t for t in graph.soft[n] - needs[n] if group_of[t] != group_of[n]) for n in graph}


def _topological(needs: Edges, after: Edges, levels: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Return all names, dependencies first; among equals the lower level, then the alphabet (Kahn 1962)."""
    rank = {name: (number, name) for number, row in enumerate(levels) for name in row}
    before = {name: needs[name] | after[name] for name in needs}
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
