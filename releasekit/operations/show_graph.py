"""`releasekit graph`: select a part of the dependency graph, and render it in a format."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, did_you_mean
from releasekit.core.versioning.groups import group_patterns
from releasekit.core.workspace.graph import graph_of, offers_of, order
from releasekit.core.workspace.workspace import Kind
from releasekit.formats import csv, graphs
from releasekit.formats.json import graph_json
from releasekit.formats.svg import workspace_svg
from tasks.read_workspace import read_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from releasekit.core.workspace.graph import Graph
    from releasekit.options import GraphFormat
    from tasks.project import Project

_HARD = (Kind.RUNTIME, Kind.BUILD)
_KINDS = (*_HARD, Kind.EXTRA)


@dataclass(frozen=True, slots=True)
class GraphView:
    """The part of a graph to show. A tree begins at *roots*, if any; *inverted*, it shows dependents."""

    project: Project
    graph: Graph
    roots: frozenset[str]
    inverted: bool


def select_subgraph(
    directory: Path,
    deps: Sequence[str],
    rdeps: Sequence[str],
    groups: Sequence[str],
    kinds: Sequence[str],
) -> tuple[GraphView, list[str]]:
    """Read the workspace at *directory*; return the selected part of its graph, and warnings about the graph.

    Raises Refusal RK-WORKSPACE-UNKNOWN-PACKAGE for names that match no member, RK-USAGE for an unknown kind.
    """
    project = read_workspace(directory, {})
    workspace = project.workspace
    graph, warnings = graph_of(workspace, offers_of(workspace))
    is_closure = bool(deps or rdeps)
    default_kinds = _HARD if is_closure else _KINDS
    graph = graph.of_kinds(_parse_kinds(kinds) or default_kinds)
    down = workspace.matching_names(deps)
    up = workspace.matching_names(rdeps)
    members = None
    if groups:
        members = workspace.matching_names(group_patterns(project.settings, groups))
    subgraph = graph.select(down, up, members)
    roots = (down or up).intersection(subgraph)
    is_inverted = bool(up) and not down
    view = GraphView(project, subgraph, roots, is_inverted)
    return view, list(map(str, warnings))


def render_graph(view: GraphView, graph_format: GraphFormat) -> str:
    """Return *view* in *graph_format*; raises Refusal RK-GRAPH-CYCLE for levels if the graph has a cycle."""
    workspace, graph, cycles = view.project.workspace, view.graph, view.project.settings.cycles
    if graph_format == "svg":
        from releasekit.integrations.graphviz import render_svg

        drawn_by_graphviz = render_svg(graphs.dot_text(workspace, graph))
        return drawn_by_graphviz or workspace_svg(workspace, graph)
    renderers: dict[GraphFormat, Callable[[], str]] = {
        "levels": lambda: graphs.levels_text(order(graph, cycles)),
        "json": lambda: graph_json(workspace, graph, None if graph.cycles() else order(graph)),
        "ascii": lambda: graphs.ascii_text(graph, view.roots, inverted=view.inverted),
        "csv": lambda: csv.graph_csv(graph),
        "dot": lambda: graphs.dot_text(workspace, graph),
        "mermaid": lambda: graphs.mermaid_text(workspace, graph),
        "d2": lambda: graphs.d2_text(workspace, graph),
    }
    return renderers[graph_format]()


def _parse_kinds(arguments: Sequence[str]) -> list[Kind]:
    """Return the kinds in *arguments*; each argument is a list, separated by commas."""
    lists = [argument.split(",") for argument in arguments]
    return list(map(_parse_kind, chain.from_iterable(lists)))


def _parse_kind(word: str) -> Kind:
    name = word.strip()
    if name not in _KINDS:
        message = f"unknown kind of requirement {name}{did_you_mean(name, _KINDS)}"
        raise Refusal(ErrorCode.USAGE, message, "--kind", f"The kinds are {', '.join(_KINDS)}.")
    return Kind(name)
