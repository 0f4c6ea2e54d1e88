"""The graph of a workspace, or a part of it, in the form that somebody wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from releasekit.core.errors import Code, Refusal, nearest
from releasekit.core.versioning.groups import patterns_of
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
class View:
    """What of a workspace's graph is shown. A tree begins at *roots*, if there are any; *inverted*: with who needs."""

    project: Project
    graph: Graph
    roots: frozenset[str]
    inverted: bool


def view_of(
    directory: Path, deps: Sequence[str], rdeps: Sequence[str], groups: Sequence[str], kinds: Sequence[str]
) -> tuple[View, list[str]]:
    """Read the workspace at *directory* and return what of its graph is asked for, with the warnings about that.

    Raises Refusal RK-WORKSPACE-UNKNOWN-PACKAGE for names that fit nothing, RK-USAGE for a kind that is none.
    """
    project = read_workspace(directory, {})
    workspace = project.workspace
    graph, warnings = graph_of(workspace, offers_of(workspace))
    asked = [_kind(word) for words in kinds for word in words.split(",")]
    graph = graph.of_kinds(asked or (_HARD if deps or rdeps else _KINDS))
    down, up = workspace.matching(deps), workspace.matching(rdeps)
    among = workspace.matching(patterns_of(project.settings, groups)) if groups else None
    part = graph.part(down, up, among)
    return View(project, part, (down or up).intersection(part), bool(up and not down)), list(map(str, warnings))


def drawn(view: View, form: GraphFormat) -> str:
    """Return what is shown in the form that is wanted; raises Refusal RK-GRAPH-CYCLE where it has no levels."""
    workspace, graph, cycles = view.project.workspace, view.graph, view.project.settings.cycles
    if form == "svg":
        from releasekit.integrations.graphviz import svg_of

        return svg_of(graphs.dot_text(workspace, graph)) or workspace_svg(workspace, graph)
    texts: dict[GraphFormat, Callable[[], str]] = {
        "levels": lambda: graphs.levels_text(order(graph, cycles)),
        "json": lambda: graph_json(workspace, graph, None if graph.cycles() else order(graph)),
        "ascii": lambda: graphs.ascii_text(graph, view.roots, inverted=view.inverted),
        "csv": lambda: csv.graph_csv(graph),
        "dot": lambda: graphs.dot_text(workspace, graph),
        "mermaid": lambda: graphs.mermaid_text(workspace, graph),
        "d2": lambda: graphs.d2_text(workspace, graph),
    }
    return texts[form]()


def _kind(word: str) -> Kind:
    name = word.strip()
    if name not in _KINDS:
        what = f"no kind of requirement is named {name}{nearest(name, _KINDS)}"
        raise Refusal(Code.USAGE, what, "--kind", f"They are {', '.join(_KINDS)}.")
    return Kind(name)
