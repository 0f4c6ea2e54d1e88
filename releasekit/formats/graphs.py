"""Graphs as text: for people, and in the languages of drawing tools.

An arrow leads from a package to one that it needs. It has a label unless the requirement is at run time. Packages that
are never published are dashed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.text import join_lines, join_texts
from releasekit.core.workspace.graph import components, reverse
from releasekit.core.workspace.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from releasekit.core.workspace.graph import Edges, Graph, Order
    from releasekit.core.workspace.workspace import Workspace


def levels_text(order: Order) -> str:
    """Return one line for each level: its number and its packages."""
    lines: list[str] = []
    for number, names in enumerate(order.levels):
        packages = " ".join(names)
        lines.append(f"{number}: {packages}\n")
    return "".join(lines)


def ascii_text(graph: Graph, roots: Collection[str] = (), *, inverted: bool = False) -> str:
    """Return a tree for each of *roots*, by default the packages that no other package needs.

    Below a package is what it needs; with *inverted*, which packages need it. Each package is expanded once, and marked
    with (*) where it is repeated. So the number of lines is at most that of packages and edges together.
    """
    edges = reverse(graph.needs()) if inverted else graph.needs()
    printed: set[str] = set()
    lines: list[str] = []
    for root in sorted(roots) or _roots(edges):
        lines += _tree(graph, edges, root, printed, inverted=inverted)
    return join_lines(lines)


def dot_text(workspace: Workspace, graph: Graph) -> str:
    """Return the graph for Graphviz, dependencies on the left."""
    lines = ["digraph workspace {", "  rankdir=RL;", '  node [shape=box, style="rounded"];']
    for name in sorted(graph):
        title = _title(workspace, name, LINE_BREAK)
        dashed = "" if workspace[name].publishable else ', style="rounded,dashed"'
        lines.append(f'  "{name}" [label="{title}"{dashed}];')
    for start, end, kinds in labelled_edges(graph):
        attributes = _DOT[_label(kinds)]
        lines.append(f'  "{start}" -> "{end}"{attributes};')
    return "\n".join([*lines, "}"]) + "\n"


def mermaid_text(workspace: Workspace, graph: Graph) -> str:
    """Return the graph for Mermaid, dependencies on the left. Nodes have numbers, because "end" is a reserved word."""
    node_by_name = _number_nodes(graph)
    lines = ["flowchart RL"]
    for name, node in node_by_name.items():
        title = _title(workspace, name, " ")
        lines.append(f'    {node}["{title}"]')
    for start, end, kinds in labelled_edges(graph):
        arrow = _MERMAID[_label(kinds)]
        lines.append(f"    {node_by_name[start]} {arrow} {node_by_name[end]}")
    private = [node for name, node in node_by_name.items() if not workspace[name].publishable]
    if private:
        nodes = ",".join(private)
        lines.append("    classDef private stroke-dasharray: 5 5")
        lines.append(f"    class {nodes} private")
    return "\n".join(lines) + "\n"


def d2_text(workspace: Workspace, graph: Graph) -> str:
    """Return the graph for D2, dependencies on the left. Nodes have numbers, because "label" is a reserved word."""
    node_by_name = _number_nodes(graph)
    lines = ["direction: left"]
    for name, node in node_by_name.items():
        title = _title(workspace, name, " ")
        dashed = "" if workspace[name].publishable else " {style.stroke-dash: 5}"
        lines.append(f'{node}: "{title}"{dashed}')
    for start, end, kinds in labelled_edges(graph):
        label = _D2[_label(kinds)]
        lines.append(f"{node_by_name[start]} -> {node_by_name[end]}{label}")
    return "\n".join(lines) + "\n"


def labelled_edges(graph: Graph) -> Iterator[tuple[str, str, tuple[Kind, ...]]]:
    """Yield each edge as (package, what it needs, kinds of requirement), sorted by name."""
    needs = graph.needs()
    for start in sorted(needs):
        for end in sorted(needs[start]):
            yield start, end, _edge_kinds(graph, start, end)


LINE_BREAK = "\\n"
"""The line break in a label of Graphviz."""

_DOT = {"": "", "build": ' [label="build", style=bold]', "extra": ' [label="extra", style=dotted]'}
_MERMAID = {"": "-->", "build": "==>|build|", "extra": "-.->|extra|"}
_D2 = {
    "": "",
    "build": ": build {style.stroke-width: 4}",
    "extra": ": extra {style.stroke-dash: 3}",
}


def _label(kinds: tuple[Kind, ...]) -> str:
    """Return the label of an edge: empty for a run-time requirement that is not also needed to build."""
    labels = (kind.value for kind in (Kind.BUILD, Kind.EXTRA) if kind in kinds)
    return next(labels, "")


def _number_nodes(graph: Graph) -> dict[str, str]:
    """Return the name of the node of each package."""
    return {name: f"p{number}" for number, name in enumerate(sorted(graph))}


def _title(workspace: Workspace, name: str, separator: str) -> str:
    return join_texts(separator, name, workspace[name].version)


def _roots(edges: Edges) -> list[str]:
    """Return the packages without an incoming edge, and one package of each cycle without one."""
    groups = components(edges)
    targets_from_outside: set[str] = set()
    for group in groups:
        targets = {end for start in group for end in edges[start]}
        targets_from_outside |= targets - group
    root_groups = [group for group in groups if not group & targets_from_outside]
    return sorted(map(min, root_groups))


def _tree(graph: Graph, edges: Edges, root: str, printed: set[str], *, inverted: bool) -> list[str]:
    """Return the lines of the tree of *root*; without recursion, because a chain of packages may be long."""
    lines: list[str] = []
    pending = [(root, "", "", "")]
    while pending:
        name, label, branch, indent = pending.pop()
        line = f"{indent}{branch}{name}"
        if label:
            line += f" ({label})"
        is_repeated = name in printed and bool(edges[name])
        if is_repeated:
            lines.append(f"{line} (*)")
            continue
        lines.append(line)
        printed.add(name)
        inner_indent = indent + _INDENTS[branch]
        next_branch = _LAST
        # The last one comes first, because the stack returns them in reverse.
        for end in sorted(edges[name], reverse=True):
            kinds = _edge_kinds(graph, end, name) if inverted else _edge_kinds(graph, name, end)
            pending.append((end, _label(kinds), next_branch, inner_indent))
            next_branch = _INNER
    return lines


_LAST, _INNER = "`-- ", "|-- "
_INDENTS = {"": "", _LAST: "    ", _INNER: "|   "}
"""What stands below a branch, by branch."""


def _edge_kinds(graph: Graph, start: str, end: str) -> tuple[Kind, ...]:
    by_kind = {Kind.RUNTIME: graph.runtime, Kind.BUILD: graph.build, Kind.EXTRA: graph.soft}
    return tuple(kind for kind, edges in by_kind.items() if end in edges[start])
