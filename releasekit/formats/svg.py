"""Graphs and timelines as SVG pictures. The graph of a Prefect run has no room for package names."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from releasekit.core.picking import values_at
from releasekit.core.release.progress import PackageStage
from releasekit.core.release.report import PackageOutcome
from releasekit.core.release.timeline import spans_by_package
from releasekit.core.text import join_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from releasekit.core.planning.model import Plan
    from releasekit.core.release.timeline import PackageWait, StageSpan
    from releasekit.core.workspace.graph import Graph
    from releasekit.core.workspace.workspace import Workspace

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 210, 34, 70, 14
_COLOURS = {
    None: "#5b6b8c",
    PackageOutcome.CONFIRMED: "#2a7d4f",
    PackageOutcome.BUILT: "#5b6b8c",
    PackageOutcome.VERSIONED: "#5b6b8c",
    PackageOutcome.WAITING: "#b07a10",
    PackageOutcome.FAILED: "#b3342d",
    PackageOutcome.BLOCKED: "#b07a10",
}
_LETTER = 8
"""The approximate width of a letter in pixels."""


def graph_svg(
    plan: Plan,
    outcomes: Mapping[str, PackageOutcome] | None = None,
    links: Mapping[str, str] | None = None,
) -> str:
    """Return a picture of which package waits for which, dependencies on the left, coloured by *outcomes*.

    *links* are by package where its box leads to. Columns are only for layout: no package waits for a whole column.
    """
    outcome_by_name = outcomes or {}
    columns: dict[str, int] = {}
    boxes: list[_Box] = []
    for step in plan.steps:
        last_column = max(values_at(columns, step.needs), default=-1)
        columns[step.name] = last_column + 1
        text = f"{step.name} {step.version}"
        outcome = outcome_by_name.get(step.name)
        tooltip = join_texts(": ", text, outcome)
        boxes.append(
            _Box(step.name, columns[step.name], text, tooltip, _COLOURS[outcome], step.needs)
        )
    return _draw(boxes, links=links)


def workspace_svg(workspace: Workspace, graph: Graph) -> str:
    """Return a picture of which package needs which, dependencies on the left; needs of extras are dotted lines."""
    boxes: list[_Box] = []
    for column, names in enumerate(graph.levels()):
        for name in names:
            member = workspace[name]
            text = join_texts(" ", name, member.version)
            colour, tooltip = _COLOURS[None], text
            if not member.publishable:
                colour, tooltip = _PRIVATE, f"{text}: never published"
            needs = tuple(sorted(graph.hard[name]))
            extra_needs = tuple(sorted(graph.soft[name]))
            boxes.append(_Box(name, column, text, tooltip, colour, needs, extra_needs))
    return _draw(boxes)


_PRIVATE = "#8a93a6"

STAGE_COLOURS = {
    PackageStage.PINNING: "#9aa5b8",
    PackageStage.BUILDING: "#5b6b8c",
    PackageStage.VERIFYING: "#7c5cbf",
    PackageStage.PROVING: "#0f8b8d",
    PackageStage.UPLOADING: "#2f6fde",
    PackageStage.CONFIRMING: "#d18b1f",
    PackageStage.TESTING: "#2a7d4f",
}
_ROW, _CHART_WIDTH, _MIN_BAR = 20, 900, 1.5


def timeline_svg(
    spans: Sequence[StageSpan], waits: Mapping[str, PackageWait], links: Mapping[str, str]
) -> str:
    """Return a picture with a row for each package, and in it a bar for each stage, as long as it took.

    *links* are by package where its name leads to. The bars of a stage are one path, which keeps large pictures small.
    """
    grouped = spans_by_package(spans)
    left = 10 + _LETTER * (max(map(len, grouped), default=0) + 1)
    scale = _CHART_WIDTH / (max((span.end for span in spans), default=0.0) or 1.0)
    width, height = left + _CHART_WIDTH + 10, _ROW * len(grouped) + 10
    bars: dict[PackageStage, list[str]] = {stage: [] for stage in STAGE_COLOURS}
    names: list[str] = []
    for number, (name, own) in enumerate(grouped.items()):
        y = 15 + _ROW * number
        label = f'<text x="10" y="{y + 4}">{escape(name)}</text>'
        tooltip = escape(_timeline_text(name, own, waits))
        names.append(_link(f"<g><title>{tooltip}</title>{label}</g>", links.get(name)))
        for span in own:
            length = max(_MIN_BAR, span.seconds * scale)
            bars[span.stage].append(f"M{left + span.start * scale:.1f} {y}h{length:.1f}")
    paths = [
        f'<path d="{"".join(drawn)}" stroke="{STAGE_COLOURS[stage]}"/>'
        for stage, drawn in bars.items()
        if drawn
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">'
    style = '<g font-size="13" fill="currentColor">'
    return (
        "\n".join([head, style, *names, "</g>", '<g stroke-width="12">', *paths, "</g></svg>"])
        + "\n"
    )


def _timeline_text(name: str, spans: Sequence[StageSpan], waits: Mapping[str, PackageWait]) -> str:
    """Return how long all stages took, and what the package waited for."""
    worked = sum(span.seconds for span in spans)
    text = f"{name}: {worked:.1f} s of work"
    wait = waits.get(name)
    return (
        f"{text}, waited {wait.seconds:.1f} s for {wait.reason}" if wait and wait.reason else text
    )


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


def _draw(boxes: Sequence[_Box], links: Mapping[str, str] | None = None) -> str:
    """Return the SVG of *boxes*, all wide enough for the longest text; *links* are by name."""
    box_width = max([_WIDTH, *(_LETTER * (len(box.text) + 1) for box in boxes)])
    positions: dict[str, tuple[int, int]] = {}
    columns: Counter[int] = Counter()
    for box in boxes:
        positions[box.name] = (box.column, columns[box.column])
        columns[box.column] += 1
    width = (max(columns, default=0) + 1) * (box_width + _GAP_X) - _GAP_X + 20
    height = max(columns.values(), default=0) * (_HEIGHT + _GAP_Y) - _GAP_Y + 20
    arrows = [
        _arrow(positions[need], positions[box.name], box_width, dotted=need in box.soft)
        for box in boxes
        for need in (*box.needs, *box.soft)
        if need in positions
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">'
    background = f'<rect width="{width}" height="{height}" fill="white"/>'
    rectangles = [
        _link(_rectangle(box, positions[box.name], box_width), (links or {}).get(box.name))
        for box in boxes
    ]
    lines = ['<g fill="none" stroke="#8a93a6">', *arrows, "</g>"]
    style = '<g text-anchor="middle" fill="white" font-size="13">'
    return "\n".join([head, background, *lines, style, *rectangles, "</g></svg>"]) + "\n"


def _link(drawing: str, target: str | None) -> str:
    return f'<a href="{escape(target)}">{drawing}</a>' if target else drawing


def _rectangle(box: _Box, position: tuple[int, int], box_width: int) -> str:
    x, y = _corner(position, box_width)
    rect = (
        f'<rect x="{x}" y="{y}" width="{box_width}" height="{_HEIGHT}" rx="5" fill="{box.colour}"/>'
    )
    attributes = f'x="{x + box_width // 2}" y="{y + _HEIGHT // 2 + 5}"'
    text = f"<text {attributes}>{escape(box.text)}</text>"
    return f"<g><title>{escape(box.tooltip)}</title>{rect}{text}</g>"


def _arrow(start: tuple[int, int], end: tuple[int, int], box_width: int, *, dotted: bool) -> str:
    (x1, y1), (x2, y2) = _corner(start, box_width), _corner(end, box_width)
    x1, y1, y2 = x1 + box_width, y1 + _HEIGHT // 2, y2 + _HEIGHT // 2
    bend = _GAP_X // 2
    dash = ' stroke-dasharray="2 4"' if dotted else ""
    return f'<path d="M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"{dash}/>'


def _corner(position: tuple[int, int], box_width: int) -> tuple[int, int]:
    column, row = position
    return 10 + column * (box_width + _GAP_X), 10 + row * (_HEIGHT + _GAP_Y)
