"""The dependency graph of a workspace and its order."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.workspace import graph as core_graph
from releasekit.core.workspace.graph import Graph, components, order, reverse
from releasekit.core.workspace.workspace import Workspace
from tests.support.builders import graph_and_warnings, graph_of, workspace_of

Edges = dict[str, frozenset[str]]


def levels(graph: Graph) -> list[list[str]]:
    return [list(level) for level in order(graph).levels]


def edges(**needs: str) -> Edges:
    """Return edges from words: `edges(a="b c", b="c", c="")`."""
    return {name: frozenset(targets.split()) for name, targets in needs.items()}


def hard(needs: Edges, soft: Edges | None = None, build: Edges | None = None) -> Graph:
    none = dict.fromkeys(needs, frozenset[str]())
    return Graph(needs, soft or none, build or none, runtime=needs)


@st.composite
def any_edges(draw: st.DrawFn, *, cycles: bool = True) -> Edges:
    """Draw edges between up to nine packages. Without *cycles*, each edge leads to an earlier package."""
    names: list[str] = list("abcdefghi"[: draw(st.integers(1, 9))])
    pairs = [(one, two) for one in names for two in names if (one != two if cycles else one > two)]
    chosen = draw(st.sets(st.sampled_from(pairs))) if pairs else set[tuple[str, str]]()
    # Results must not depend on the alphabet or on the order of insertion.
    shuffled = draw(st.permutations(names))
    turned: dict[str, str] = dict(zip(names, shuffled, strict=True))
    return {
        turned[one]: frozenset(turned[two] for start, two in chosen if start == one)
        for one in names
    }


def reachable(graph: Edges) -> dict[str, set[str]]:
    """Return the nodes that each node reaches, itself included, with a slow algorithm (Warshall 1962)."""
    far = {name: {name, *targets} for name, targets in graph.items()}
    for through, further in far.items():
        for found in far.values():
            found.update(further if through in found else ())
    return far


# ---- edges ----------------------------------------------------------------------------------------------------------


def test_requirement_kind_decides_the_edge() -> None:
    """Runtime and build requirements are hard, those of extras soft. Those of groups have no edge."""
    graph = graph_of("app: web", "app (build): plugin", "app[fast]: cache", "app (group): lint")

    assert graph.hard["app"] == {"web", "plugin"}
    assert graph.build["app"] == {"plugin"}
    assert graph.soft["app"] == {"cache"}
    assert all("lint" not in found["app"] for found in (graph.hard, graph.soft, graph.build))


def test_build_may_install_run_time_requirements() -> None:
    """If a build installs the package's dependencies, or those of an extra, these are needed to build too."""
    workspace = workspace_of("app: core", "app[fast]: cache", "app[slow]: disk")
    member = replace(workspace["app"], extras_at_build=frozenset(("", "fast")))
    workspace = Workspace({**workspace.members, "app": member})

    graph, _ = core_graph.graph_of(workspace, core_graph.offers_of(workspace))

    assert (graph.build["app"], graph.soft["app"]) == ({"core", "cache"}, {"disk"})


def test_hard_edge_overrides_soft_edge() -> None:
    """A hard edge stays hard if an extra needs the package too."""
    graph = graph_of("app: core", "app[all]: core")

    assert (graph.hard["app"], graph.soft["app"]) == ({"core"}, frozenset())


def test_graph_omits_external_packages() -> None:
    """Packages outside the workspace are not in the graph."""
    workspace = Workspace({"app": workspace_of("app: httpx", "app[x]: rich")["app"]})

    graph, warnings = core_graph.graph_of(workspace, {})

    assert (graph.hard, graph.soft, warnings) == (edges(app=""), edges(app=""), ())


class TestExtrasAtRunTime:
    """A package that requires `store[fast]` also requires what that extra requires."""

    def test_required_extra_makes_edge_hard(self) -> None:
        """A soft edge of `store` becomes a hard edge of its dependent."""
        graph = graph_of("press: store[fast]", "store[fast]: cache")

        assert graph.hard["press"] == {"store", "cache"}
        assert graph.soft["store"] == {"cache"}
        assert levels(graph) == [["cache", "store"], ["press"]]
        assert order(graph).names == ("cache", "store", "press")

    def test_unused_extra_adds_no_edge(self) -> None:
        """An extra that is not required adds nothing."""
        assert graph_of("press: store[slow]", "store[fast]: cache", "store[slow]: disk").hard[
            "press"
        ] == {
            "store",
            "disk",
        }

    def test_extras_of_extras_are_transitive(self) -> None:
        """Extras of extras are followed transitively, in any spelling, even in a cycle."""
        graph = graph_of(
            "press: store[All_In]",
            "store[all-in]: Store[fast]",
            "store[fast]: cache[redis]",
            "cache[redis]: driver[x]",
            "driver[x]: cache[redis]",
        )

        assert graph.hard["press"] == {"store", "cache", "driver"}

    def test_extra_of_extra_stays_soft(self) -> None:
        """If an extra requires another extra, the edges of that extra are soft too."""
        graph = graph_of("press[web]: store[fast]", "store[fast]: cache")

        assert (graph.hard["press"], graph.soft["press"]) == (frozenset(), {"store", "cache"})

    def test_build_extra_adds_build_edges(self) -> None:
        """The requirements of a build requirement's extra are build requirements."""
        assert graph_of("press (build): tool[fast]", "tool[fast]: cache").build["press"] == {
            "tool",
            "cache",
        }

    def test_extra_makes_no_self_edge(self) -> None:
        """An extra that requires its dependent gives that package no edge to itself."""
        assert graph_of("press: store[web]", "store[web]: press").hard["press"] == {"store"}

    def test_unsatisfied_extra_adds_no_edge(self) -> None:
        """A requirement of an extra on an older release has no edge."""
        graph, _ = graph_and_warnings("press: store[fast]", "store[fast]: cache<1", "cache==1.0:")

        assert graph.hard["press"] == {"store"}


class TestUnsatisfied:
    """A requirement that the version in the workspace does not satisfy is for an older release."""

    @pytest.mark.parametrize(
        ("written", "version", "gates"),
        [
            ("core<2", "2.0", False),
            ("core<2", "1.9", True),
            ("core>=2", "2.0rc1", True),
            ("core>=2.0rc2", "2.0rc1", False),
            ("core>=2.0rc1", "2.0rc2", True),
            ("core", "2.0.dev1", True),
            ("core>=1", "2.0rc1", True),
            ("core==1.0", "1.0", True),
            ("core!=1.0", "1.0", False),
        ],
    )
    def test_unsatisfied_requirement_has_no_edge(
        self, written: str, version: str, gates: bool
    ) -> None:
        """It has no edge and gives a warning. Prereleases in the workspace count as versions."""
        graph, warnings = graph_and_warnings(f"app: {written}", f"core=={version}:")

        assert graph.hard["app"] == ({"core"} if gates else frozenset())
        what = f"app requires {written}, but the workspace has {version}: the requirement is for an older release"
        said = f"RK-WORKSPACE-REQUIREMENT: {what} (packages/app/pyproject.toml)"
        assert warnings == ([] if gates else [said])

    def test_unsatisfied_group_requirement_is_silent(self) -> None:
        """A requirement of a dependency group gives no warning."""
        assert graph_and_warnings("app (group): core<1", "core==1.0:")[1] == []

    def test_unknown_version_satisfies_every_requirement(self) -> None:
        """A member without a known version satisfies every requirement."""
        workspace = workspace_of("app: core<1")

        assert core_graph.graph_of(workspace, {})[0].hard["app"] == {"core"}

    @pytest.mark.parametrize(
        ("declared", "last", "planned", "offered"),
        [
            ("1.0", "0.9", None, "1.0"),  # the declared version counts, not the last release
            ("1.0", "1.0", "1.1", "1.0 1.1"),
            # A development version only announces the next release.
            (
                "1.1.dev0",
                "1.0",
                None,
                "1.1.dev0 1.0",
            ),
            ("1.1rc1", "1.0", None, "1.1rc1"),
        ],
    )
    def test_offers_include_planned_versions(
        self, declared: str, last: str, planned: str | None, offered: str
    ) -> None:
        """Declared and planned versions count. The last release does not, except for development versions."""
        workspace = workspace_of(f"core=={declared}:")
        targets = {"core": Version(planned)} if planned else {}

        offers = core_graph.offers_of(workspace, {"core": Version(last)}, targets)

        assert offers == {"core": tuple(map(Version, offered.split()))}


class TestSelfDependency:
    """A package that requires itself."""

    @pytest.mark.parametrize("line", ["app: app", "app: App>=1", "app (build): app"])
    def test_hard_self_dependency_is_refused(self, line: str) -> None:
        """A runtime or build requirement on itself is refused, with the file."""
        with pytest.raises(Refusal, match="app requires itself") as caught:
            graph_of(line)

        assert caught.value.code is ErrorCode.GRAPH_SELF_DEPENDENCY
        assert caught.value.location == "packages/app/pyproject.toml"

    def test_self_dependency_through_extra_works(self) -> None:
        """`all = ["me[a,b]"]` is common and allowed. The requirements of a and b are soft."""
        graph = graph_of(
            "app[all]: app[a,b]", "app[a]: cache", "app[b]: disk", "app (group): app[all]"
        )

        assert (graph.hard["app"], graph.soft["app"]) == (frozenset(), {"cache", "disk"})


# ---- order ----------------------------------------------------------------------------------------------------------


def test_shared_dependency_comes_first_once() -> None:
    """A package that two others need is published once, before both."""
    graph = graph_of("app: web db", "web: core", "db: core")

    assert levels(graph) == [["core"], ["db", "web"], ["app"]]
    assert order(graph).names == ("core", "db", "web", "app")
    assert order(graph).level_of() == {"core": 0, "db": 1, "web": 1, "app": 2}


def test_empty_graph_has_empty_order() -> None:
    """An empty workspace has an empty order."""
    assert order(hard({})).names == order(hard({})).levels == ()


@given(any_edges(cycles=False), st.data())
def test_needs_come_before_dependents(needs: Edges, data: st.DataObject) -> None:
    """Every need comes before its dependent, on a lower level. Soft edges change no need and drop no package."""
    names = st.frozensets(st.sampled_from(sorted(needs)))
    graph = hard(needs, {name: data.draw(names) - {name} for name in needs})

    found = order(graph)

    place = {name: number for number, name in enumerate(found.names)}
    level = found.level_of()
    assert sorted(found.names) == sorted(needs) == sorted(level)
    assert found.needs == needs
    assert all(
        place[need] < place[name] and level[need] < level[name]
        for name in needs
        for need in needs[name]
    )
    assert all(place[other] < place[name] for name in needs for other in found.soft_needs[name])


@given(any_edges(), any_edges())
def test_batch_mode_orders_every_graph(needs: Edges, soft: Edges) -> None:
    """In batch mode every graph has an order, with each package after all its needs."""
    soft = {
        name: (soft.get(name, frozenset()) & needs.keys()) - {name} - needs[name] for name in needs
    }

    found = order(hard(needs, soft), "batch")

    place = {name: number for number, name in enumerate(found.names)}
    assert sorted(place) == sorted(needs)
    assert all(
        place[need] < place[name]
        for name in needs
        for need in found.needs[name] | found.soft_needs[name]
    )
    far = reachable(needs)
    assert all(
        need in found.needs[name] or need in found.cycle_members.get(name, ())
        for name in needs
        for need in needs[name]
    )
    assert all(
        found.cycle_members.get(name, {name}) == {two for two in far[name] if name in far[two]}
        for name in needs
    )


@given(any_edges())
def test_components_are_strongly_connected(graph: Edges) -> None:
    """The nodes of a component reach each other. A component comes after all that it reaches."""
    far = reachable(graph)

    found = components(graph)

    assert sorted(name for group in found for name in group) == sorted(graph)
    assert all(
        group == {two for two in far[one] if one in far[two]} for group in found for one in group
    )
    place = {name: number for number, group in enumerate(found) for name in group}
    assert all(place[target] <= place[name] for name in graph for target in graph[name])


@given(any_edges())
def test_closures_match_a_slow_search(graph: Edges) -> None:
    """Transitive dependencies and dependents agree with a slow search."""
    far = reachable(graph)

    for name in graph:
        assert hard(graph).dependencies([name]) == far[name]
        assert hard(graph).dependents([name]) == {other for other in graph if name in far[other]}
    assert reverse(reverse(graph)) == graph


def test_subgraph_keeps_only_inner_edges() -> None:
    """A subgraph has only the edges between its packages."""
    part = graph_of("app: web", "web: core", "app (build): core", "app[x]: web").subgraph(
        ["app", "core", "no-member"]
    )

    assert (part.hard, part.build, part.soft) == (
        edges(app="core", core=""),
        edges(app="core", core=""),
        edges(app="", core=""),
    )


class TestSoftEdges:
    """Extras order packages where possible and never cause an error."""

    def test_soft_edge_orders_without_waiting(self) -> None:
        """The requirement of an extra comes first, but its package does not wait for it."""
        found = order(graph_of("app[fast]: zeta", "zeta:"))

        assert found.names == ("zeta", "app")
        assert (found.needs["app"], found.soft_needs["app"]) == (frozenset(), {"zeta"})
        assert found.levels == (("app", "zeta"),)

    @pytest.mark.parametrize(
        "lines",
        [
            ("a[x]: b", "b[x]: a"),
            ("a: b", "b[x]: a"),
            ("a: b", "b: c", "c[x]: a"),
            ("a[x]: b", "b[x]: c", "c[x]: a"),
        ],
    )
    def test_soft_cycle_drops_soft_edges(self, lines: tuple[str, ...]) -> None:
        """In a cycle through an extra, only the soft edges are dropped."""
        graph = graph_of(*lines)

        found = order(graph)

        assert found.soft_needs == dict.fromkeys(graph, frozenset[str]())
        assert found.needs == graph.hard
        assert graph.cycles() == ()


class TestCycles:
    """Packages that need each other at run time or to build."""

    @pytest.mark.parametrize(
        ("lines", "walk"),
        [
            (("a: b", "b: a"), "a -> b -> a"),
            (("c: b", "b: d", "d: c", "x: b", "b: y"), "b -> d -> c -> b"),
            # the shortest cycle, from the first name
            (("a: b", "b: c", "c: a d", "d: a", "a: d"), "a -> d -> a"),
            (("a: b", "b (build): a"), "a -> b -> a"),
            # of several shortest cycles, the one with the first names
            (("a: b c d e f", "b: a", "c: a", "d: a", "e: a", "f: a"), "a -> b -> a"),
        ],
    )
    def test_cycle_error_shows_shortest_path(self, lines: tuple[str, ...], walk: str) -> None:
        """A cycle is refused, and the message shows its path."""
        graph = graph_of(*lines)

        with pytest.raises(Refusal) as caught:
            order(graph)

        assert (caught.value.code, caught.value.message) == (ErrorCode.GRAPH_CYCLE, walk)
        assert "batch" in caught.value.hint
        assert graph.cycles() == (tuple(walk.split(" -> ")),)

    @given(any_edges())
    def test_each_component_reports_one_cycle(self, graph: Edges) -> None:
        """Each path follows edges and ends where it begins. There is one path for each component."""
        walks = hard(graph).cycles()

        assert all(two in graph[one] for walk in walks for one, two in pairwise(walk))
        assert all(walk[0] == walk[-1] and len(set(walk)) == len(walk) - 1 > 1 for walk in walks)
        assert len(walks) == sum(len(group) > 1 for group in components(graph))

    def test_batch_members_do_not_wait(self) -> None:
        """In batch mode no member of a cycle waits for another, and dependents wait for all members."""
        graph = graph_of("app: b", "a: b core", "b: a")

        found = order(graph, "batch")

        assert found.cycle_members == {"a": {"a", "b"}, "b": {"a", "b"}}
        assert found.needs == edges(app="a b", a="core", b="core", core="")
        assert found.levels == (("core",), ("a", "b"), ("app",))

    def test_batch_mode_refuses_build_cycle(self) -> None:
        """A cycle with a build requirement is refused in batch mode too, because none of it can be built first."""
        graph = graph_of("a (build): b", "b: a")

        with pytest.raises(Refusal, match="a -> b -> a") as caught:
            order(graph, "batch")

        assert "batch" not in caught.value.hint

    def test_batch_may_need_outside_tool(self) -> None:
        """A build requirement outside the cycle is allowed."""
        assert order(graph_of("a: b", "b: a", "a (build): tool"), "batch").needs["b"] == {"tool"}


class TestSize:
    """Large workspaces."""

    def test_wide_graph_can_be_ordered(self) -> None:
        """500 packages with 1,224 edges can be ordered."""
        dice = random.Random(0)  # noqa: S311  test data, not a secret
        names = [f"p{number:03}" for number in range(500)]
        pairs = [(one, two) for place, one in enumerate(names) for two in names[:place]]
        chosen = dice.sample(pairs, 1224)
        lines = [f"{name}: {' '.join(two for one, two in chosen if one == name)}" for name in names]

        graph = graph_of(*lines)
        found = order(graph)

        place = {name: number for number, name in enumerate(found.names)}
        assert len(place) == 500
        assert sum(map(len, graph.hard.values())) == 1224
        assert all(place[two] < place[one] for one, two in chosen)

    def test_long_chain_avoids_recursion_limit(self) -> None:
        """A chain of 3,000 packages does not exceed the recursion limit, also as one cycle."""
        names = [f"p{number:04}" for number in range(3000)]
        chain = {name: frozenset(names[place + 1 : place + 2]) for place, name in enumerate(names)}

        assert order(hard(chain)).names == tuple(reversed(names))
        assert len(order(hard(chain)).levels) == 3000
        assert len(hard(chain).dependencies(["p0000"])) == 3000
        ring = chain | {names[-1]: frozenset({names[0]})}
        assert hard(ring).cycles() == ((*names, names[0]),)
        assert len(order(hard(ring), "batch").cycle_members) == 3000
