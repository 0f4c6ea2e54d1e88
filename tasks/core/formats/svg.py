"""The graph of a release as a picture: Prefect's own has a bar for each step, and no room for names."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from tasks.core.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.core.plan import Plan, Step

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 210, 34, 70, 14
_COLOURS = {
    None: "#5b6b8c",
    Outcome.CONFIRMED: "#2a7d4f",
    Outcome.BUILT: "#5b6b8c",
    Outcome.VERSIONED: "#5b6b8c",
    Outcome.FAILED: "#b3342d",
    Outcome.BLOCKED: "#b07a10",
}
_LONGEST = 26


def graph_svg(plan: Plan, outcomes: Mapping[str, Outcome] | None = None) -> str:
    """Draw who waits for whom, dependencies on the left; each package coloured by what came of it, once that is known.

    A column is only a place in the picture: nothing waits for a whole one.
    """
    known = outcomes or {}
    places: dict[str, tuple[int, int]] = {}
    columns: list[int] = []
    for step in plan.steps:
        column = 1 + max((places[need][0] for need in step.needs if need in places), default=-1)
        columns.extend([0] * (column + 1 - len(columns)))
        places[step.name] = (column, columns[column])
        columns[column] += 1
    width = len(columns) * (_WIDTH + _GAP_X) - _GAP_X + 20
    height = max(columns, default=0) * (_HEIGHT + _GAP_Y) - _GAP_Y + 20
    arrows = [_arrow(places[need], places[step.name]) for step in plan.steps for need in step.needs if need in places]
    boxes = [_box(step, places[step.name], known.get(step.name)) for step in plan.steps]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">'
    return (
        "\n".join([head, f'<rect width="{width}" height="{height}" fill="white"/>', *arrows, *boxes, "</svg>"]) + "\n"
    )


def _box(step: Step, place: tuple[int, int], outcome: Outcome | None) -> str:
    x, y = _corner(place)
    text = f"{step.name} {step.version}"
    shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    told = escape(f"{text}: {outcome}" if outcome else text)
    rect = f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="5" fill="{_COLOURS[outcome]}"/>'
    where = f'x="{x + _WIDTH // 2}" y="{y + _HEIGHT // 2 + 5}" text-anchor="middle"'
    return f'<g><title>{told}</title>{rect}<text {where} fill="white" font-size="13">{escape(shown)}</text></g>'


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x1, y1), (x2, y2) = _corner(start), _corner(end)
    x1, y1, y2 = x1 + _WIDTH, y1 + _HEIGHT // 2, y2 + _HEIGHT // 2
    bend = _GAP_X // 2
    return f'<path d="M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}" fill="none" stroke="#8a93a6"/>'


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    column, row = place
    return 10 + column * (_WIDTH + _GAP_X), 10 + row * (_HEIGHT + _GAP_Y)
