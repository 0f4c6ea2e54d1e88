"""Plans and reports as Markdown, for artifacts and pull requests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from releasekit.core.changelog.changelog import escape
from releasekit.core.planning.model import count_obstacles
from releasekit.core.release.report import PackageOutcome
from releasekit.core.text import count_packages, summarize

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from releasekit.core.checks.facts import CheckReport
    from releasekit.core.planning.model import Obstacle, Plan, Step
    from releasekit.core.release.report import ReleaseReport
    from releasekit.core.release.rollback_plan import Rollback
    from releasekit.formats.explained import Explanation


COMMENT_LIMIT = 65_536
"""Characters that GitHub allows in a pull request or a comment; GitLab allows more."""


def plan_markdown(plan: Plan, changes: Sequence[str] | None = None, graph: str = "", limit: int = 0) -> str:
    """Return the plan as a table, with its warnings, its obstacles, the packages that are not released, and a graph.

    *changes* are the differences from the last plan of the same workspace, None if they are unknown. *graph* replaces
    the Mermaid graph, for readers that cannot draw Mermaid. A text longer than *limit* characters (0: no limit) loses
    the graph first, then the end of the reasons, then the last rows, of which only the number is left.
    """
    full_text = _plan_markdown(plan, changes, graph or _mermaid(plan.steps))
    if not limit or len(full_text) <= limit:
        return full_text
    for reason in (0, _REASON_LIMIT):
        text = _plan_markdown(plan, changes, reason=reason)
        if len(text) <= limit:
            return text
    fits, too_many = 0, len(plan.steps) + 1
    while too_many - fits > 1:
        rows = (fits + too_many) // 2
        fits, too_many = (rows, too_many) if len(_short_markdown(plan, changes, rows)) <= limit else (fits, rows)
    text = _short_markdown(plan, changes, fits)
    return text if len(text) <= limit else text[:limit].rpartition("\n")[0]


_REASON_LIMIT, _MENTION_LIMIT = 60, 20
"""Characters of a reason, and the number of changes and warnings, in a shortened text."""


def _short_markdown(plan: Plan, changes: Sequence[str] | None, rows: int) -> str:
    first_changes = None if changes is None else _first_texts(changes)
    plan = plan.model_copy(update={"warnings": _first_texts(plan.warnings)})
    return _plan_markdown(plan, first_changes, reason=_REASON_LIMIT, rows=rows)


def _first_texts(texts: Sequence[str]) -> tuple[str, ...]:
    more = len(texts) - _MENTION_LIMIT
    return (*texts[:_MENTION_LIMIT], *([f"… and {more} more"] if more > 0 else []))


def _plan_markdown(
    plan: Plan, changes: Sequence[str] | None, graph: str = "", *, reason: int = 0, rows: int | None = None
) -> str:
    if not plan.steps:
        parts = [
            "# Nothing to release",
            *_changes_section(changes),
            *_obstacles_section(plan),
            *_unreleased_section(plan),
        ]
        return "\n\n".join(parts) + "\n"
    displayed = plan.steps if rows is None else plan.steps[:rows]
    table = [
        (
            str(step.order),
            step.name,
            str(step.current or "-"),
            str(step.next or "-"),
            step.bump,
            _escape_text(step.reason, reason),
        )
        for step in displayed
    ]
    more = len(plan.steps) - len(displayed)
    introduction = "Each package is uploaded as soon as the packages that it needs are on the index:"
    parts = [
        f"# {plan.title}: {count_packages(plan.steps)}",
        *_changes_section(changes),
        _table(("#", "package", "from", "to", "bump", "because"), table).rstrip("\n"),
        *([f"… and {more} more package{'' if more == 1 else 's'}"] if more else []),
        *(["\n".join(f"- {_escape_text(warning)}" for warning in plan.warnings)] if plan.warnings else []),
        *_obstacles_section(plan),
        *_unreleased_section(plan),
        *([f"{introduction}\n\n{graph}"] if graph else []),
    ]
    return "\n\n".join(parts).rstrip("\n") + "\n"


def obstacles_markdown(obstacles: Sequence[Obstacle]) -> str:
    """Return the obstacles of a release, each with a hint what to do; empty if there are none."""
    if not obstacles:
        return ""
    lines = [
        f"- {_escape_text(str(obstacle))}: {_escape_text(obstacle.hint)}" for obstacle in obstacles[:_MENTION_LIMIT]
    ]
    if more := len(obstacles) - len(lines):
        lines.append(f"- … and {more} more")
    return "\n".join([f"**{count_obstacles(obstacles)}: publish would refuse**\n", *lines])


def _obstacles_section(plan: Plan) -> list[str]:
    return [text] if (text := obstacles_markdown(plan.obstacles)) else []


def versions_markdown(explanation: Explanation) -> str:
    """Return a table with the next version of each package and the reason."""
    rows = (
        (row.name, str(row.current or "-"), str(row.next or "-"), row.bump, _escape_text(row.reason))
        for row in explanation.packages
    )
    return _table(("package", "from", "to", "bump", "because"), rows)


def _escape_text(text: str, limit: int = 0) -> str:
    """Return *text* with Markdown escaped, shortened to *limit* characters (0: no limit)."""
    return escape(text if not limit or len(text) <= limit else f"{text[: limit - 1]}…")


def plan_summary(plan: Plan) -> str:
    """Return the plan as one paragraph, for a form with little room."""
    versions = [f"{step.name} {step.current or '-'} → {step.version}" for step in plan.steps]
    listed = f"**{plan.title}: {count_packages(plan.steps)}.** {summarize(versions, _PACKAGE_LIMIT)}."
    warnings = f" **Warnings: {len(plan.warnings)}.**" if plan.warnings else ""
    return f"{listed}{warnings} The artifact `releasekit-plan` of this run shows reasons and order."


_PACKAGE_LIMIT = 30


def plan_rows(plan: Plan) -> list[dict[str, str]]:
    """Return the plan as rows of a table. The next plan of the same workspace is compared with them."""
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


def _changes_section(changes: Sequence[str] | None) -> list[str]:
    if changes is None:
        return []
    listing = "".join(f"\n- {_escape_text(sentence)}" for sentence in changes) or "\nNothing."
    return [f"## Since the last plan\n{listing}"]


def _unreleased_section(plan: Plan) -> list[str]:
    """Return a line on packages that are not released, by status: their names, or only their number if many."""
    names_by_status: dict[str, list[str]] = {}
    for step in plan.packages:
        if step.order < 0:
            names_by_status.setdefault(step.status, []).append(step.name)
    groups = [
        f"{status.replace('_', ' ')}: {', '.join(names) if len(names) <= _NAME_LIMIT else count_packages(names)}"
        for status, names in names_by_status.items()
    ]
    return [f"Not released ({'; '.join(groups)})"] if groups else []


_NAME_LIMIT = 10


def report_markdown(report: ReleaseReport, pages: Mapping[str, str] | None = None) -> str:
    """Return the result of a release: each package with its outcome, error and next step, then problems and notes.

    *pages* are the URLs on the index, by package.
    """
    page_by_name = pages or {}
    rows = [
        (
            f"[{p.name}]({page_by_name[p.name]})"
            if p.outcome is PackageOutcome.CONFIRMED and p.name in page_by_name
            else p.name,
            str(p.version),
            f"{_MARKS[p.outcome]} {p.outcome}",
            p.error,
            p.hint,
        )
        for p in report.packages
    ]
    table = _table(("package", "version", "outcome", "error", "next step"), rows)
    remarks = "".join(f"\n- {remark}" for remark in (*report.problems, *report.notes))
    return f"# {report.headline}\n\n{table}{remarks}\n"


_MARKS = {
    PackageOutcome.CONFIRMED: "✅",
    PackageOutcome.BUILT: "📦",
    PackageOutcome.VERSIONED: "📝",
    PackageOutcome.FAILED: "❌",
    PackageOutcome.BLOCKED: "⛔",
}


def check_markdown(report: CheckReport) -> str:
    """Return the findings of `check` as a table, the most severe first."""
    rows = [(f.severity.value, f.check, f"{f.path}:{f.line}", f.what, f.hint) for f in report.findings]
    table = _table(("severity", "check", "where", "finding", "next step"), rows) if rows else ""
    return f"# {report.summary}\n\n{table}"


def rollback_markdown(rollback: Rollback) -> str:
    """Return what a rollback deletes, what stays, and how to continue."""
    remarks = "".join(f"\n- {remark}" for remark in (*rollback.kept, *rollback.notes))
    if not rollback.release:
        return f"# {rollback.summary}\n{remarks}\n"
    tags = ", ".join(dict.fromkeys((*rollback.tags, *rollback.remote_tags))) or "none"
    rows = [
        (
            f"{p.name} {p.version}{'' if p.complete else ' (in part)'}",
            p.tag or "none",
            str(p.next),
            ", ".join(p.dependents),
            p.page,
        )
        for p in rollback.public
    ]
    table = _table(("stays on the index", "tag", "next fix", "required by", "page"), rows) if rows else ""
    action = "deleted" if rollback.done else "to be deleted"
    return f"# {rollback.summary}\n\ntags {action}: {tags}\n\n{table}\n{rollback.next_steps}\n{remarks}\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return _UNESCAPED_PIPE.sub(r"\\|", text.replace("\n", " "))


_UNESCAPED_PIPE = re.compile(r"(?<!\\)\|")


_MERMAID_LIMIT = 500
"""The number of edges that Mermaid draws by default and on GitHub (`maxEdges`)."""


def _mermaid(steps: Sequence[Step]) -> str:
    if max(len(steps), sum(len(step.needs) for step in steps)) > _MERMAID_LIMIT:
        return "(The graph is too large to draw here. Run `releasekit graph --format svg`.)"
    rows = ["```mermaid", "flowchart LR"]
    node = {
        step.name: f"p{step.order}" for step in steps
    }  # "end" and "graph" are valid names of packages, but not of nodes
    for step in steps:
        rows.append(f'    {node[step.name]}["{step.name} {step.version}"]')
        rows += [f"    {node[need]} --> {node[step.name]}" for need in step.needs]
    return "\n".join([*rows, "```"]) + "\n"
