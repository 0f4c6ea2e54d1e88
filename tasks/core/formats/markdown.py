"""Plan and report as Markdown, for artifacts and pull requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tasks.core.checks.facts import CheckReport
    from tasks.core.plan import Plan, Step
    from tasks.core.report import Report
    from tasks.core.rollback import Rollback


def plan_markdown(plan: Plan) -> str:
    """Return the plan as a table, its warnings, and the graph of what waits for what."""
    title = f"# {plan.title}: {len(plan.steps)} packages\n\n"
    rows = [
        (str(step.order), step.name, str(step.current or "-"), str(step.next or "-"), step.bump, step.reason)
        for step in plan.packages
        if step.order >= 0
    ]
    table = _table(("#", "package", "from", "to", "bump", "because"), rows)
    warnings = "".join(f"\n- {warning}" for warning in plan.warnings)
    return f"{title}{table}{warnings}\n\n{_mermaid(plan.steps)}"


def report_markdown(report: Report) -> str:
    """Return what came of a release: each package, what went wrong, and what to do next."""
    rows = [(p.name, str(p.version), p.outcome.value, p.error, p.hint) for p in report.packages]
    table = _table(("package", "version", "outcome", "error", "next step"), rows)
    remarks = "".join(f"\n- {remark}" for remark in (*report.problems, *report.notes))
    return f"# {report.summary}\n\n{table}{remarks}\n"


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
