"""Plans and reports as Markdown, for artifacts and pull requests."""

from __future__ import annotations

import re
from bisect import bisect_right
from types import MappingProxyType
from typing import TYPE_CHECKING

from releasekit.core.changelog.changelog import escape
from releasekit.core.picking import group_by, names_of, pick_named
from releasekit.core.planning.model import calm_obstacles, count_obstacles
from releasekit.core.release.report import PackageOutcome
from releasekit.core.similar_texts import calm_warnings
from releasekit.core.text import count_as, count_packages, list_names, summarize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.version import Version

    from releasekit.core.artifacts.differences import Difference
    from releasekit.core.checks.facts import CheckReport
    from releasekit.core.planning.model import Obstacle, Plan, Step
    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.core.release.report import ReleaseReport
    from releasekit.core.release.rollback_plan import PublicPackage, Rollback
    from releasekit.core.repair.inconsistencies import RepairReport
    from releasekit.formats.explained import Explanation


COMMENT_LIMIT = 65_536
"""Characters that GitHub allows in a pull request or a comment; GitLab allows more."""


def plan_markdown(
    plan: Plan, changes: Sequence[str] | None = None, graph: str = "", limit: int = 0
) -> str:
    """Return the plan as a table, with its warnings, its obstacles, the packages that are not released, and a graph.

    *changes* are the differences from the last plan of the same workspace, None if they are unknown. *graph* replaces
    the Mermaid graph, for readers that cannot draw Mermaid. A text longer than *limit* characters (0: no limit) loses
    the graph first, then the end of the reasons, then the last rows, of which only the number is left.
    """
    text = ""
    for text in _candidate_texts(plan, changes, graph, limit):
        if not limit or len(text) <= limit:
            return text
    whole_lines, _, _ = text[:limit].rpartition("\n")
    return whole_lines


def _candidate_texts(
    plan: Plan, changes: Sequence[str] | None, graph: str, limit: int
) -> Iterator[str]:
    """Yield the texts that `plan_markdown` tries, the longest first."""
    yield _plan_markdown(plan, changes, graph or _mermaid(plan.steps))
    yield _plan_markdown(plan, changes)
    yield _plan_markdown(plan, changes, reason=_REASON_LIMIT)

    def length(rows: int) -> int:
        return len(_short_markdown(plan, changes, rows))

    fitting_rows = bisect_right(range(1, len(plan.steps) + 1), limit, key=length)
    yield _short_markdown(plan, changes, fitting_rows)


_REASON_LIMIT, _MENTION_LIMIT = 60, 20
"""Characters of a reason, and the number of changes and warnings, in a shortened text."""


def _short_markdown(plan: Plan, changes: Sequence[str] | None, rows: int) -> str:
    first_changes = None if changes is None else _first_texts(changes)
    differences = plan.differences[:_MENTION_LIMIT]
    plan = plan.model_copy(
        update={"warnings": _first_texts(calm_warnings(plan.warnings)), "differences": differences}
    )
    return _plan_markdown(plan, first_changes, reason=_REASON_LIMIT, rows=rows)


def _first_texts(texts: Sequence[str]) -> tuple[str, ...]:
    more = len(texts) - _MENTION_LIMIT
    if more <= 0:
        return tuple(texts)
    return (*texts[:_MENTION_LIMIT], f"… and {more} more")


def _plan_markdown(
    plan: Plan,
    changes: Sequence[str] | None,
    graph: str = "",
    *,
    reason: int = 0,
    rows: int | None = None,
) -> str:
    if not plan.steps:
        sections = [
            "# Nothing to release",
            _changes_section(changes),
            obstacles_markdown(plan.obstacles),
            _unreleased_section(plan),
        ]
        return _join_sections(sections) + "\n"
    sections = [
        f"# {plan.title}: {count_packages(plan.steps)}",
        _changes_section(changes),
        *_steps_sections(plan.steps, reason, rows),
        _differences_section(plan.differences),
        _escape_text(plan.pre_release_line),
        _bullets(map(_escape_text, calm_warnings(plan.warnings))).lstrip("\n"),
        obstacles_markdown(plan.obstacles),
        _unreleased_section(plan),
    ]
    if graph:
        introduction = (
            "Each package is uploaded as soon as the packages that it needs are on the index:"
        )
        sections.append(f"{introduction}\n\n{graph}")
    return _join_sections(sections).rstrip("\n") + "\n"


def _differences_section(differences: Sequence[Difference]) -> str:
    """Return a table of what the packages lose; empty if they lose nothing."""
    if not differences:
        return ""
    rows: list[tuple[str, ...]] = []
    for difference in differences[:_DIFFERENCE_LIMIT]:
        since = f"{difference.package} {difference.since}"
        rows.append(
            (
                _escape_text(difference.verdict),
                since,
                _escape_text(difference.text),
                difference.rule,
            )
        )
    table = _table(("severity", "since", "what is lost", "rule"), rows).rstrip("\n")
    more = differences[_DIFFERENCE_LIMIT:]
    remark = f"\n\n… and {count_as('more difference', more)}" if more else ""
    stopping = [difference for difference in differences if difference.stops]
    verdict = (
        f"**{count_as('difference', stopping)} would stop the release once it is built.**"
        if stopping
        else ""
    )
    return _join_sections(["## Lost since the last releases", verdict, f"{table}{remark}"])


_DIFFERENCE_LIMIT = 50
"""So many differences are in the table; a pull request has limited room."""


def _join_sections(sections: Iterable[str]) -> str:
    return "\n\n".join(filter(None, sections))


def _bullets(texts: Iterable[str]) -> str:
    """Return the items of a list, each after a line break."""
    return "".join(f"\n- {text}" for text in texts)


def _steps_sections(steps: Sequence[Step], reason: int, rows: int | None) -> Iterator[str]:
    """Yield the table of *steps*, and the number of steps after the first *rows*."""
    displayed = steps[:rows]
    table: list[tuple[str, ...]] = []
    for step in displayed:
        versions = (_version_text(step.current), _version_text(step.next))
        because = _escape_text(step.reason, reason)
        table.append((str(step.order), step.name, *versions, step.bump, because))
    yield _table(("#", "package", "from", "to", "bump", "because"), table).rstrip("\n")
    more = steps[len(displayed) :]
    if more:
        yield f"… and {count_as('more package', more)}"


def obstacles_markdown(obstacles: Sequence[Obstacle]) -> str:
    """Return the obstacles of a release, each with a hint what to do; empty if there are none."""
    if not obstacles:
        return ""
    calm = calm_obstacles(obstacles)
    texts = [f"{_escape_text(str(obstacle))}: {_escape_text(obstacle.hint)}" for obstacle in calm]
    return (
        f"**{count_obstacles(obstacles)}: publish would refuse**\n{_bullets(_first_texts(texts))}"
    )


def versions_markdown(explanation: Explanation) -> str:
    """Return a table with the next version of each package and the reason."""
    rows: list[tuple[str, ...]] = []
    for row in explanation.packages:
        versions = (_version_text(row.current), _version_text(row.next))
        rows.append((row.name, *versions, row.bump, _escape_text(row.reason)))
    return _table(("package", "from", "to", "bump", "because"), rows)


def _version_text(version: Version | None) -> str:
    return str(version or "-")


def _escape_text(text: str, limit: int = 0) -> str:
    """Return *text* with Markdown escaped, shortened to *limit* characters (0: no limit)."""
    if limit and len(text) > limit:
        text = f"{text[: limit - 1]}…"
    return escape(text)


def plan_summary(plan: Plan) -> str:
    """Return the plan as one paragraph, for a form with little room."""
    versions = [
        f"{step.name} {_version_text(step.current)} → {step.version}" for step in plan.steps
    ]
    listed = summarize(versions, _PACKAGE_LIMIT)
    warnings = f" **Warnings: {len(plan.warnings)}.**" if plan.warnings else ""
    summary = f"**{plan.title}: {count_packages(plan.steps)}.** {listed}.{warnings}"
    return f"{summary} The artifact `releasekit-plan` of this run shows reasons and order."


_PACKAGE_LIMIT = 30


def plan_rows(plan: Plan) -> list[dict[str, str]]:
    """Return the plan as rows of a table. The next plan of the same workspace is compared with them."""
    return [
        {
            "package": step.name,
            "from": _version_text(step.current),
            "to": str(step.version),
            "bump": step.bump,
            "because": step.reason,
        }
        for step in plan.steps
    ]


def published_rows(
    packages: Iterable[BuiltPackage], pages: Mapping[str, str]
) -> list[dict[str, str]]:
    """Return those of the built *packages* that have a page on the index as rows of a table. *pages* are the URLs."""
    published = pick_named(packages, pages)
    return [
        {
            "package": package.name,
            "version": str(package.version),
            "page": f"[page]({pages[package.name]})",
            "files": ", ".join(package.file_names),
        }
        for package in published
    ]


def _changes_section(changes: Sequence[str] | None) -> str:
    if changes is None:
        return ""
    listing = _bullets(map(_escape_text, changes)) or "\nNothing."
    return f"## Since the last plan\n{listing}"


def _unreleased_section(plan: Plan) -> str:
    """Return a line on packages that are not released, by status: their names, or only their number if many."""
    unreleased = [step for step in plan.packages if step.order < 0]
    if not unreleased:
        return ""
    groups: list[str] = []
    for status, steps in group_by(unreleased, lambda step: step.status).items():
        names = names_of(steps)
        label = status.replace("_", " ")
        listed = ", ".join(names) if len(names) <= _NAME_LIMIT else count_packages(names)
        groups.append(f"{label}: {listed}")
    return f"Not released ({'; '.join(groups)})"


_NAME_LIMIT = 10


def report_markdown(report: ReleaseReport, pages: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the result of a release: each package with its outcome, error and next step, then problems and notes.

    *pages* are the URLs on the index, by package.
    """
    rows: list[tuple[str, ...]] = []
    for package in report.packages:
        name = package.name
        if package.outcome is PackageOutcome.CONFIRMED and name in pages:
            name = f"[{name}]({pages[name]})"
        outcome = f"{_MARKS[package.outcome]} {package.outcome_text}"
        rows.append((name, str(package.version), outcome, package.error, package.hint))
    table = _table(("package", "version", "outcome", "error", "next step"), rows)
    remarks = _bullets((*report.problems, *report.notes))
    return f"# {report.headline}\n\n{table}{remarks}\n"


_MARKS = {
    PackageOutcome.CONFIRMED: "✅",
    PackageOutcome.BUILT: "📦",
    PackageOutcome.VERSIONED: "📝",
    PackageOutcome.WAITING: "⏳",
    PackageOutcome.FAILED: "❌",
    PackageOutcome.BLOCKED: "⛔",
}


def check_markdown(report: CheckReport) -> str:
    """Return the findings of `check` as a table, the most severe first."""
    heading = f"# {report.summary}\n\n"
    if report.releases:
        heading += repair_markdown(report.releases)
    if not report.findings:
        return heading
    rows = [
        (f.severity.value, f.check, f"{f.path}:{f.line}", f.what, f.hint) for f in report.findings
    ]
    return heading + _table(("severity", "check", "where", "finding", "next step"), rows)


def repair_markdown(report: RepairReport) -> str:
    """Return what tags, index, forge and changelogs contradict about the releases; empty if they agree."""
    rows = [
        (finding.kind, finding.subject, finding.text, str(finding.next))
        for finding in report.open_findings
    ]
    table = _table(("finding", "release", "what is wrong", "next step"), rows)
    return f"{table}\n" if rows else ""


def rollback_markdown(rollback: Rollback) -> str:
    """Return what a rollback deletes, what stays, and how to continue."""
    remarks = _bullets((*rollback.kept, *rollback.notes))
    if not rollback.release:
        return f"# {rollback.summary}\n{remarks}\n"
    tags = list_names(dict.fromkeys((*rollback.tags, *rollback.remote_tags)))
    table = _public_table(rollback.public)
    action = "deleted" if rollback.done else "to be deleted"
    return f"# {rollback.summary}\n\ntags {action}: {tags}\n\n{table}\n{rollback.next_steps}\n{remarks}\n"


def _public_table(packages: Sequence[PublicPackage]) -> str:
    if not packages:
        return ""
    rows: list[tuple[str, ...]] = []
    for package in packages:
        dependents = ", ".join(package.dependents)
        rows.append(
            (package.title, package.tag_or_none, str(package.next), dependents, package.page)
        )
    return _table(("stays on the index", "tag", "next fix", "required by", "page"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    rule = ("---",) * len(head)
    return "".join(map(_row, (head, rule, *rows)))


def _row(texts: tuple[str, ...]) -> str:
    cells = " | ".join(map(_cell, texts))
    return f"| {cells} |\n"


def _cell(text: str) -> str:
    return _UNESCAPED_PIPE.sub(r"\\|", text.replace("\n", " "))


_UNESCAPED_PIPE = re.compile(r"(?<!\\)\|")


_MERMAID_LIMIT = 500
"""The number of edges that Mermaid draws by default and on GitHub (`maxEdges`)."""


def _mermaid(steps: Sequence[Step]) -> str:
    edge_count = sum(len(step.needs) for step in steps)
    if max(len(steps), edge_count) > _MERMAID_LIMIT:
        return "(The graph is too large to draw here. Run `releasekit graph --format svg`.)"
    rows = ["```mermaid", "flowchart LR"]
    # "end" and "graph" are valid names of packages, but not of nodes.
    node = {step.name: f"p{step.order}" for step in steps}
    for step in steps:
        rows.append(f'    {node[step.name]}["{step.name} {step.version}"]')
        rows += [f"    {node[need]} --> {node[step.name]}" for need in step.needs]
    return "\n".join([*rows, "```"]) + "\n"
