"""Tables as comma-separated values for spreadsheets (RFC 4180: doubled quotes, lines that end with CRLF).

Commit titles are not trusted, and a spreadsheet reads a cell that begins with one of `= + - @` as a formula. Such a
cell gets an apostrophe in front, which marks text in a spreadsheet (OWASP, "CSV Injection"). Programs can read JSON.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from releasekit.core.workspace.workspace import Kind
from releasekit.formats.graphs import labelled_edges

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from releasekit.core.planning.model import Plan
    from releasekit.core.release.report import ReleaseReport
    from releasekit.core.workspace.graph import Graph
    from releasekit.core.workspace.workspace import Workspace
    from releasekit.formats.explained import Explanation


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def plan_csv(plan: Plan, changes: Mapping[str, str] | None = None) -> str:
    """Return a row for each package, released or not. *changes* have by package its difference from an earlier plan."""
    head = ["order", "level", "name", "path", "current", "next", "bump", "status", "reason", "tag", "needs"]
    rows: list[list[object]] = []
    for step in plan.packages:
        position = (step.order, step.level) if step.order >= 0 else (None, None)
        versions = (step.current, step.next)
        needs = " ".join(step.needs)
        rows.append([*position, step.name, step.path, *versions, step.bump, step.status, step.reason, step.tag, needs])
    if changes is not None:
        head.append("change")
        planned = {step.name for step in plan.packages}
        rows = [[*row, changes.get(str(row[2]))] for row in rows]
        removed = ((name, difference) for name, difference in changes.items() if name not in planned)
        rows.extend(["", "", name, *(len(head) - 4) * [""], difference] for name, difference in removed)
    return csv_text(head, rows)


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
    rows = (
        (
            member.name,
            member.path,
            member.version,
            "yes" if member.dynamic else "no",
            "yes" if member.publishable else "no",
            " ".join(sorted(workspace.required_members(member, Kind.RUNTIME, Kind.BUILD, Kind.EXTRA))),
        )
        for member in workspace
    )
    return csv_text(("name", "path", "version", "dynamic", "publishable", "internal"), rows)


def graph_csv(graph: Graph) -> str:
    """Return a row for each edge, and one for each package without needs."""
    rows: list[tuple[str, ...]] = [(start, end, " ".join(kinds)) for start, end, kinds in labelled_edges(graph)]
    rows += [(name, "", "") for name, needs in graph.needs().items() if not needs]
    return csv_text(("package", "needs", "kind"), sorted(rows))


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
