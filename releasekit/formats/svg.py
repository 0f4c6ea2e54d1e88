"""Graphs as SVG pictures. The graph of a Prefect run has a bar for each step, without room for package names."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from releasekit.core.release.report import PackageOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from releasekit.core.planning.model import Plan
    from releasekit.core.workspace.graph import Graph
    from releasekit.core.workspace.workspace import Workspace

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 210, 34, 70, 14
_COLOURS = {
    None: "#5b6b8c",
    PackageOutcome.CONFIRMED: "#2a7d4f",
    PackageOutcome.BUILT: "#5b6b8c",
    PackageOutcome.VERSIONED: "#5b6b8c",
    PackageOutcome.FAILED: "#b3342d",
    PackageOutcome.BLOCKED: "#b07a10",
}
_LETTER = 8
"""The approximate width of a letter in pixels."""


def graph_svg(plan: Plan, outcomes: Mapping[str, PackageOutcome] | None = None) -> str:
    """Return a picture of which package waits for which, dependencies on the left, coloured by *outcomes*.

    Columns are only for layout: no package waits for a whole column.
    """
    outcome_by_name = outcomes or {}
    columns: dict[str, int] = {}
    boxes: list[_Box] = []
    for step in plan.steps:
        last_column = max((columns[need] for need in step.needs if need in columns), default=-1)
        columns[step.name] = last_column + 1
        text = f"{step.name} {step.version}"
        outcome = outcome_by_name.get(step.name)
        tooltip = f"{text}: {outcome}" if outcome else text
        boxes.append(
            _Box(step.name, columns[step.name], text, tooltip, _COLOURS[outcome], step.needs)
        )
    return _draw(boxes)


def workspace_svg(workspace: Workspace, graph: Graph) -> str:
    """Return a picture of which package needs which, dependencies on the left; needs of extras are dotted lines."""
    boxes: list[_Box] = []
    for column, names in enumerate(graph.levels()):
        for name in names:
            member = workspace[name]
            text = f"{name} {member.version}" if member.version else name
            colour, tooltip = _COLOURS[None], text
            if not member.publishable:
                colour, tooltip = _PRIVATE, f"{text}: never published"
            needs = tuple(sorted(graph.hard[name]))
            extra_needs = tuple(sorted(graph.soft[name]))
            boxes.append(_Box(name, column, text, tooltip, colour, needs, extra_needs))
    text_widths = [_LETTER * (len(box.text) + 1) for box in boxes]
    return _draw(boxes, max([_WIDTH, *text_widths]))


_PRIVATE = "#8a93a6"


@dataclass(frozen=True, slots=True)
class _Box:
    """One package in the picture. It waits for *needs*; *soft* are needs of extras."""

    name: str
    column: int
    text: str
    tooltip: str
    colour: str
    needs: tuple[str, ...]
    soft: tuple[str, ...] = ()


def _draw(boxes: Sequence[_Box], box_width: int = _WIDTH) -> str:
    """Return the SVG of *boxes*, each *box_width* pixels wide."""
    positions: dict[str, tuple[int, int]] = {}
    columns: Counter[int] = Counter()
    for box in boxes:
        positions[box.name] = (box.column, columns[box.column])
        columns[box.column] += 1
    width = (max(columns, default=0) + 1) * (box_width + _GAP_X) - _GAP_X + 20
    height = max(columns.values(), default=0) * (_HEIGHT + _GAP_Y) - _GAP_Y + 20
    lines = [
        _arrow(positions[need], positions[box.name], box_width, dotted=need in box.soft)
        for box in boxes
        for need in (*box.needs, *box.soft)
        if need in positions
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">'
    background = f'<rect width="{width}" height="{height}" fill="white"/>'
    rectangles = [_rectangle(box, positions[box.name], box_width) for box in boxes]
    return "\n".join([head, background, *lines, *rectangles, "</svg>"]) + "\n"


def _rectangle(box: _Box, position: tuple[int, int], box_width: int) -> str:
    x, y = _corner(position, box_width)
    max_letters = box_width // _LETTER
    label = box.text if len(box.text) <= max_letters else f"{box.text[: max_letters - 1]}…"
    rect = (
        f'<rect x="{x}" y="{y}" width="{box_width}" height="{_HEIGHT}" rx="5" fill="{box.colour}"/>'
    )
    attributes = f'x="{x + box_width // 2}" y="{y + _HEIGHT // 2 + 5}" text-anchor="middle"'
    text = f'<text {attributes} fill="white" font-size="13">{escape(label)}</text>'
    return f"<g><title>{escape(box.tooltip)}</title>{rect}{text}</g>"


def _arrow(start: tuple[int, int], end: tuple[int, int], box_width: int, *, dotted: bool) -> str:
    (x1, y1), (x2, y2) = _corner(start, box_width), _corner(end, box_width)
    x1, y1, y2 = x1 + box_width, y1 + _HEIGHT // 2, y2 + _HEIGHT // 2
    bend = _GAP_X // 2
    dash = ' stroke-dasharray="2 4"' if dotted else ""
    return f'<path d="M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}" fill="none" stroke="#8a93a6"{dash}/>'


def _corner(position: tuple[int, int], box_width: int) -> tuple[int, int]:
    column, row = position
    return 10 + column * (box_width + _GAP_X), 10 + row * (_HEIGHT + _GAP_Y)
