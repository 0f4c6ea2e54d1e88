"""Tables as comma-separated values for spreadsheets (RFC 4180: doubled quotes, lines that end with CRLF).

Commit titles are not trusted, and a spreadsheet reads a cell that begins with one of `= + - @` as a formula. Such a
cell gets an apostrophe in front, which marks text in a spreadsheet (OWASP, "CSV Injection"). Programs can read JSON.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from releasekit.core.picking import drop, names_of
from releasekit.core.workspace.workspace import Kind
from releasekit.formats.graphs import labelled_edges

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.release.report import ReleaseReport
    from releasekit.core.workspace.graph import Graph
    from releasekit.core.workspace.workspace import Workspace
    from releasekit.formats.explained import Explanation


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows(list(map(_cell, row)) for row in rows)
    return text.getvalue()


def plan_csv(plan: Plan, changes: Mapping[str, str] | None = None) -> str:
    """Return a row for each package, released or not. *changes* have by package its difference from an earlier plan."""
    if changes is None:
        return csv_text(_PLAN_HEAD, map(_plan_row, plan.packages))
    rows: list[Sequence[object]] = [
        (*_plan_row(step), changes.get(step.name)) for step in plan.packages
    ]
    planned = set(names_of(plan.packages))
    empty_cells = [""] * (len(_PLAN_HEAD) - 3)
    earlier_names = drop(changes, planned)  # an earlier plan had these packages
    rows += [("", "", name, *empty_cells, changes[name]) for name in earlier_names]
    return csv_text((*_PLAN_HEAD, "change"), rows)


_PLAN_HEAD = (
    "order",
    "level",
    "name",
    "path",
    "current",
    "next",
    "bump",
    "status",
    "reason",
    "tag",
    "needs",
)


def _plan_row(step: Step) -> Sequence[object]:
    position = (step.order, step.level) if step.order >= 0 else (None, None)
    needs = " ".join(step.needs)
    return (
        *position,
        step.name,
        step.path,
        step.current,
        step.next,
        step.bump,
        step.status,
        step.reason,
        step.tag,
        needs,
    )


def versions_csv(explanation: Explanation) -> str:
    """Return a row for each package with its next version and the reason."""
    rows = ((row.name, row.current, row.next, row.bump, row.reason) for row in explanation.packages)
    return csv_text(("name", "current", "next", "bump", "reason"), rows)


def report_csv(report: ReleaseReport) -> str:
    """Return a row for each package of a release with its outcome."""
    rows = ((p.name, p.version, p.outcome, p.tag, p.error, p.hint) for p in report.packages)
    return csv_text(("name", "version", "outcome", "tag", "error", "hint"), rows)


def members_csv(workspace: Workspace) -> str:
    """Return a row for each member of a workspace."""
    rows: list[Sequence[object]] = []
    for member in workspace:
        dynamic, publishable = _YES_OR_NO[member.dynamic], _YES_OR_NO[member.publishable]
        internal = sorted(workspace.required_members(member, Kind.RUNTIME, Kind.BUILD, Kind.EXTRA))
        rows.append(
            (member.name, member.path, member.version, dynamic, publishable, " ".join(internal))
        )
    return csv_text(("name", "path", "version", "dynamic", "publishable", "internal"), rows)


_YES_OR_NO = {True: "yes", False: "no"}


def graph_csv(graph: Graph) -> str:
    """Return a row for each edge, and one for each package without needs."""
    edges = [(start, end, " ".join(kinds)) for start, end, kinds in labelled_edges(graph)]
    independent = [(name, "", "") for name, needs in graph.needs().items() if not needs]
    return csv_text(("package", "needs", "kind"), sorted([*edges, *independent]))


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = str(value)
    if text.startswith(_FORMULA_STARTS):
        return f"'{text}"
    return text


_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
