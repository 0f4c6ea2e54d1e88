"""Plan and report as Markdown, for artifacts and pull requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.core.plan import counted
from tasks.core.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tasks.core.checks.facts import CheckReport
    from tasks.core.plan import Plan, Step
    from tasks.core.report import Report
    from tasks.core.rollback import Rollback


def plan_markdown(plan: Plan, changes: Sequence[str] | None = None, graph: str = "") -> str:
    """Return the plan as a table, its warnings, what is not released, and the graph of what waits for what.

    *changes* is what has changed since the last plan of the same workspace, None if that was not looked for. *graph* is
    for places that don't draw Mermaid.
    """
    if not plan.steps:
        return "\n\n".join(["# Nothing to release", *_changed(changes), *_left(plan)]) + "\n"
    rows = [
        (str(step.order), step.name, str(step.current or "-"), str(step.next or "-"), step.bump, step.reason)
        for step in plan.steps
    ]
    parts = [
        f"# {plan.title}: {counted(plan.steps)}",
        *_changed(changes),
        _table(("#", "package", "from", "to", "bump", "because"), rows).rstrip("\n"),
        *(["\n".join(f"- {warning}" for warning in plan.warnings)] if plan.warnings else []),
        *_left(plan),
        f"Each package is uploaded as soon as those that it needs are on the index:\n\n{graph or _mermaid(plan.steps)}",
    ]
    return "\n\n".join(parts)


def plan_summary(plan: Plan) -> str:
    """Return the plan in a paragraph, for a form with little room."""
    told = [f"{step.name} {step.current or '-'} → {step.version}" for step in plan.steps]
    more = f" and {len(told) - _MANY} more" if len(told) > _MANY else ""
    listed = f"**{plan.title}: {counted(plan.steps)}.** {', '.join(told[:_MANY])}{more}."
    warnings = f" **Warnings: {len(plan.warnings)}.**" if plan.warnings else ""
    return f"{listed}{warnings} Why, and in which order: see the artifact `releasekit-plan` of this run."


_MANY = 30


def plan_rows(plan: Plan) -> list[dict[str, str]]:
    """Return the plan as the rows of a table; the next plan of the same workspace is compared with it."""
    return [
        {
            "package": step.name,
            "from": str(step.current or "-"),
            "to": str(step.version),
            "bump": step.bump,
            "because": step.reason,
        }
        for step in plan.steps
    ]


def changes_since(before: Sequence[Mapping[str, str]], plan: Plan) -> tuple[str, ...]:
    """Return in sentences how *plan* differs from an earlier one, of which the rows are known."""
    old = {row["package"]: row["to"] for row in before}
    new = {step.name: str(step.version) for step in plan.steps}
    now = {step.name: str(step.current or "-") for step in plan.packages}
    sentences = [f"{name} {new[name]} has been added" for name in new if name not in old]
    sentences += [
        f"{name} goes to {new[name]}, not to {old[name]}" for name in new if old.get(name, new[name]) != new[name]
    ]
    gone = {name: version for name, version in old.items() if name not in new}
    sentences += [
        f"{name} {version} has been released" if now.get(name) == version else f"{name} {version} is no longer due"
        for name, version in gone.items()
    ]
    return tuple(sentences)


def _changed(changes: Sequence[str] | None) -> list[str]:
    if changes is None:
        return []
    told = "".join(f"\n- {_cell(sentence)}" for sentence in changes) or "\nNothing."
    return [f"## Since the last plan\n{told}"]


def _left(plan: Plan) -> list[str]:
    """Say what becomes of the packages that are not released: a name for few, a number for many."""
    left: dict[str, list[str]] = {}
    for step in plan.packages:
        if step.order < 0:
            left.setdefault(step.status, []).append(step.name)
    said = [
        f"{status.replace('_', ' ')}: {', '.join(names) if len(names) <= _FEW else counted(names)}"
        for status, names in left.items()
    ]
    return [f"Not released ({'; '.join(said)})"] if said else []


_FEW = 10


def report_markdown(report: Report, pages: Mapping[str, str] | None = None) -> str:
    """Return what came of a release: each package, what went wrong, and what to do next.

    *pages* are by package where it is seen on the index.
    """
    linked = pages or {}
    rows = [
        (
            f"[{p.name}]({linked[p.name]})" if p.outcome is Outcome.CONFIRMED and p.name in linked else p.name,
            str(p.version),
            f"{_MARKS[p.outcome]} {p.outcome}",
            p.error,
            p.hint,
        )
        for p in report.packages
    ]
    table = _table(("package", "version", "outcome", "error", "next step"), rows)
    remarks = "".join(f"\n- {remark}" for remark in (*report.problems, *report.notes))
    return f"# {report.summary}\n\n{table}{remarks}\n"


_MARKS = {
    Outcome.CONFIRMED: "✅",
    Outcome.BUILT: "📦",
    Outcome.VERSIONED: "📝",
    Outcome.FAILED: "❌",
    Outcome.BLOCKED: "⛔",
}


def check_markdown(report: CheckReport) -> str:
    """Return what a check of the workspace has found, the worst first."""
    rows = [(f.severity.value, f.check, f"{f.path}:{f.line}", f.what, f.hint) for f in report.findings]
    table = _table(("severity", "check", "where", "finding", "next step"), rows) if rows else ""
    return f"# {report.summary}\n\n{table}"


def rollback_markdown(found: Rollback) -> str:
    """Return what is undone of a release, and how to go forward."""
    tags = ", ".join(dict.fromkeys((*found.tags, *found.remote_tags))) or "none"
    rows = [(f"{p.name} {p.version}", str(p.next), ", ".join(p.dependents), p.page) for p in found.public]
    table = _table(("stays on the index", "next", "with it", "yank it at"), rows) if rows else ""
    remarks = "".join(f"\n- {remark}" for remark in (*found.kept, *found.notes))
    return f"# {found.summary}\n\ntags: {tags}\n\n{table}\n{found.forward}\n{remarks}\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _mermaid(steps: Sequence[Step]) -> str:
    rows = ["```mermaid", "flowchart LR"]
    node = {step.name: f"p{step.order}" for step in steps}  # a package may be called "end" or "graph", a node may not
    for step in steps:
        rows.append(f'    {node[step.name]}["{step.name} {step.version}"]')
        rows += [f"    {node[need]} --> {node[step.name]}" for need in step.needs]
    return "\n".join([*rows, "```"]) + "\n"
