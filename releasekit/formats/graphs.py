"""Graphs as text: for people, and in the languages of drawing tools.

An arrow leads from a package to one that it needs. It has a label unless the requirement is at run time. Packages that
are never published are dashed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.workspace.graph import components, reverse
from releasekit.core.workspace.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from releasekit.core.workspace.graph import Edges, Graph, Order
    from releasekit.core.workspace.workspace import Workspace


def levels_text(order: Order) -> str:
    """Return one line for each level: its number and its packages."""
    return "".join(f"{number}: {' '.join(names)}\n" for number, names in enumerate(order.levels))


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
    return "".join(f"{line}\n" for line in lines)


def dot_text(workspace: Workspace, graph: Graph) -> str:
    """Return the graph for Graphviz, dependencies on the left."""
    lines = ["digraph workspace {", "  rankdir=RL;", '  node [shape=box, style="rounded"];']
    for name in sorted(graph):
        dashed = "" if workspace[name].publishable else ', style="rounded,dashed"'
        lines.append(f'  "{name}" [label="{_title(workspace, name, LINE_BREAK)}"{dashed}];')
    for start, end, kinds in labelled_edges(graph):
        lines.append(f'  "{start}" -> "{end}"{_DOT[_label(kinds)]};')
    return "\n".join([*lines, "}"]) + "\n"


def mermaid_text(workspace: Workspace, graph: Graph) -> str:
    """Return the graph for Mermaid, dependencies on the left. Nodes have numbers, because "end" is a reserved word."""
    node = {name: f"p{number}" for number, name in enumerate(sorted(graph))}
    lines = ["flowchart RL"]
    lines += [f'    {node[name]}["{_title(workspace, name, " ")}"]' for name in node]
    for start, end, kinds in labelled_edges(graph):
        lines.append(f"    {node[start]} {_MERMAID[_label(kinds)]} {node[end]}")
    if private := [node[name] for name in node if not workspace[name].publishable]:
        lines += ["    classDef private stroke-dasharray: 5 5", f"    class {','.join(private)} private"]
    return "\n".join(lines) + "\n"


def d2_text(workspace: Workspace, graph: Graph) -> str:
    """Return the graph for D2, dependencies on the left. Nodes have numbers, because "label" is a reserved word."""
    node = {name: f"p{number}" for number, name in enumerate(sorted(graph))}
    lines = ["direction: left"]
    for name, number in node.items():
        dashed = "" if workspace[name].publishable else " {style.stroke-dash: 5}"
        lines.append(f'{number}: "{_title(workspace, name, " ")}"{dashed}')
    for start, end, kinds in labelled_edges(graph):
        lines.append(f"{node[start]} -> {node[end]}{_D2[_label(kinds)]}")
    return "\n".join(lines) + "\n"


def labelled_edges(graph: Graph) -> Iterator[tuple[str, str, tuple[Kind, ...]]]:
    """Yield each edge as (package, what it needs, kinds of requirement), sorted by name."""
    by_kind = {Kind.RUNTIME: graph.runtime, Kind.BUILD: graph.build, Kind.EXTRA: graph.soft}
    needs = graph.needs()
    for start in sorted(needs):
        for end in sorted(needs[start]):
            yield start, end, tuple(kind for kind, edges in by_kind.items() if end in edges[start])


LINE_BREAK = "\\n"
"""The line break in a label of Graphviz."""

_DOT = {"": "", "build": ' [label="build", style=bold]', "extra": ' [label="extra", style=dotted]'}
_MERMAID = {"": "-->", "build": "==>|build|", "extra": "-.->|extra|"}
_D2 = {"": "", "build": ": build {style.stroke-width: 4}", "extra": ": extra {style.stroke-dash: 3}"}


def _label(kinds: tuple[Kind, ...]) -> str:
    """Return the label of an edge: empty for a run-time requirement that is not also needed to build."""
    return next((kind.value for kind in (Kind.BUILD, Kind.EXTRA) if kind in kinds), "")


def _title(workspace: Workspace, name: str, separator: str) -> str:
    version = workspace[name].version
    return f"{name}{separator}{version}" if version else name


def _roots(edges: Edges) -> list[str]:
    """Return the packages without an incoming edge, and one package of each cycle without one."""
    group_of = {name: group for group in components(edges) for name in group}
    targets = {end for start in edges for end in edges[start] if group_of[end] is not group_of[start]}
    return sorted({min(group) for group in group_of.values() if not group & targets})


def _tree(graph: Graph, edges: Edges, root: str, printed: set[str], *, inverted: bool) -> list[str]:
    """Return the lines of the tree of *root*; without recursion, because a chain of packages may be long."""
    lines: list[str] = []
    pending = [(root, "", "", "")]
    while pending:
        name, label, mark, indent = pending.pop()
        is_repeated = name in printed and bool(edges[name])
        lines.append(f"{indent}{mark}{name}{f' ({label})' if label else ''}{' (*)' if is_repeated else ''}")
        if is_repeated:
            continue
        printed.add(name)
        inner = indent + {"": "", _LAST: "    "}.get(mark, "│   ")
        ends = sorted(edges[name])
        for end in reversed(ends):
            kinds = _edge_kinds(graph, end, name) if inverted else _edge_kinds(graph, name, end)
            pending.append((end, _label(kinds), _LAST if end == ends[-1] else "├── ", inner))
    return lines


_LAST = "└── "


def _edge_kinds(graph: Graph, start: str, end: str) -> tuple[Kind, ...]:
    by_kind = {Kind.RUNTIME: graph.runtime, Kind.BUILD: graph.build, Kind.EXTRA: graph.soft}
    return tuple(kind for kind, edges in by_kind.items() if end in edges[start])
