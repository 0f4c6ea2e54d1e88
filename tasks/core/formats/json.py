"""Workspace and graph as the JSON that the commands promise."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tasks.core.workspace import Kind

if TYPE_CHECKING:
    from tasks.core.graph import Graph, Order
    from tasks.core.workspace import Workspace


def discover_json(workspace: Workspace) -> str:
    """Return the members, in the order of their names."""
    rows = [
        {
            "name": member.name,
            "path": member.path,
            "version": str(member.version) if member.version else None,
            "dynamic": member.dynamic,
            "publishable": member.publishable,
            "internal": sorted(workspace.internal(member, Kind.RUNTIME, Kind.BUILD, Kind.EXTRA)),
            "external": list(workspace.external(member)),
        }
        for member in workspace
    ]
    return json.dumps(rows, indent=1) + "\n"


def graph_json(workspace: Workspace, graph: Graph, order: Order | None) -> str:
    """Return nodes, edges, levels and cycles; *order* is None where cycles allow none."""
    packages = [
        {
            "name": member.name,
            "path": member.path,
            "version": str(member.version) if member.version else None,
            "publishable": member.publishable,
            "needs": sorted(graph.hard[member.name]),
            "extra_needs": sorted(graph.soft[member.name]),
            "build_needs": sorted(graph.build[member.name]),
        }
        for member in workspace
        if member.name in graph.hard
    ]
    levels = [list(level) for level in order.levels] if order else []
    return (
        json.dumps({"packages": packages, "levels": levels, "cycles": list(map(list, graph.cycles()))}, indent=1) + "\n"
    )
