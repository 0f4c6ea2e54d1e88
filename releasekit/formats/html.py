"""Plans and reports of releases as one web page that needs no server, no network and no script."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from releasekit.core.picking import by_name
from releasekit.core.planning.model import calm_obstacles
from releasekit.core.release.timeline import critical_path, upload_waits
from releasekit.core.similar_texts import calm_warnings
from releasekit.formats.svg import STAGE_COLOURS, graph_svg, timeline_svg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from releasekit.core.changelog.note_entries import NoteChange
    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.release.report import PackageReport, ReleaseReport


_LARGE = 200
"""A page with more packages lists no changes and no needs, so that it stays below 500 kB for 500 packages."""
_MAX_CHANGES, _MAX_LETTERS = 10, 160
"""So many changes of a package are listed, with so many letters of each."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A package: the first *changes* and the number of *more* ones, or only the *entry* of its changelog."""

    step: Step
    changes: tuple[NoteChange, ...]
    more: int
    entry: str
    report: PackageReport | None


def plan_html(plan: Plan, changes: Sequence[str] | None = None) -> str:
    """Return the page of a plan. *changes* are the differences from the last plan, None if they are unknown."""
    title = f"{plan.title}: {plan.headline}" if plan.steps else "Nothing to release"
    return _render(plan, title, changes=changes)


def report_html(report: ReleaseReport, plan: Plan) -> str:
    """Return the page of a release: its plan, the outcomes, and the timeline of the last run."""
    waits = upload_waits(report.timeline, plan.steps)
    return _render(
        plan,
        report.headline,
        report=report,
        timeline=timeline_svg(report.timeline, waits, _links(plan)) if report.timeline else "",
        seconds=max((span.end for span in report.timeline), default=0.0),
        path=critical_path(report.timeline, waits),
    )


def _render(plan: Plan, title: str, report: ReleaseReport | None = None, **values: object) -> str:
    """Return the page from the template. Every text is escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("releasekit"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html.jinja")
    outcomes = {package.name: package.outcome for package in report.packages} if report else None
    unreleased: defaultdict[str, list[str]] = defaultdict(list)
    for step in plan.packages:
        if not step.is_released:
            unreleased[step.status.replace("_", " ")].append(step.name)
    context: dict[str, object] = {
        "changes": None,
        "timeline": [],
        "seconds": 0.0,
        "path": (),
        **values,
    }
    return template.render(
        context,
        plan=plan,
        title=title,
        report=report,
        rows=list(_rows(plan, report)),
        obstacles=calm_obstacles(plan.obstacles),
        warnings=calm_warnings(plan.warnings),
        unreleased=unreleased,
        graph=graph_svg(plan, outcomes, _links(plan)) if plan.steps else "",
        stage_colours=STAGE_COLOURS,
        is_large=len(plan.steps) > _LARGE,
        max_letters=_MAX_LETTERS,
    )


def _links(plan: Plan) -> dict[str, str]:
    """Return the place of each package on the page."""
    return {step.name: f"#{step.name}" for step in plan.steps}


def _rows(plan: Plan, report: ReleaseReport | None) -> Iterator[_Row]:
    """Yield the packages that are released, in their order."""
    reports = by_name(report.packages) if report else {}
    for step in plan.steps:
        notes = plan.tales.get(step.name)
        changes = notes.changes if notes else ()
        section = plan.changelogs.get(step.name)
        entry = (
            section.text.strip()[: _MAX_CHANGES * _MAX_LETTERS] if section and not changes else ""
        )
        yield _Row(
            step,
            changes[:_MAX_CHANGES],
            len(changes[_MAX_CHANGES:]),
            entry,
            reports.get(step.name),
        )
