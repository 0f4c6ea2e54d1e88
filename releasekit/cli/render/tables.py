"""The tables that commands print for people."""

from __future__ import annotations

import json
import logging
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from releasekit.cli.render.diagnostics import Diagnostic
from releasekit.cli.render.sheet import Indented, ResponsiveTable
from releasekit.core.planning.model import Status
from releasekit.core.release.report import PackageOutcome
from releasekit.core.text import count_packages, summarize
from releasekit.core.workspace.workspace import Kind
from releasekit.integrations.process import mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from releasekit.core.adoption import Adoption
    from releasekit.core.checks.facts import CheckReport
    from releasekit.core.planning.model import Plan
    from releasekit.core.planning.plan_diff import PlanDifference
    from releasekit.core.release.pr_status import ReleasePullRequest
    from releasekit.core.release.report import ReleaseReport
    from releasekit.core.release.rollback_plan import Rollback
    from releasekit.core.release.unfinished_release import ReleaseStatus, UnfinishedRelease
    from releasekit.core.workspace.workspace import Workspace
    from releasekit.formats.explained import Explanation
    from releasekit.operations.show_config import EffectiveSettings

log = logging.getLogger("releasekit")

_STATUS_STYLES = {
    Status.INCLUDED: ("📦", "green"),
    Status.DEPENDENCY_ONLY: ("🔗", "cyan"),
    Status.SKIPPED: ("⏭ ", "dim"),
    Status.EXCLUDED: ("🚫", "dim"),
    Status.ALREADY_PUBLISHED: ("✅", "yellow"),
}
_OUTCOME_STYLES = {
    PackageOutcome.CONFIRMED: ("✅", "green"),
    PackageOutcome.BUILT: ("📦", "dim"),
    PackageOutcome.VERSIONED: ("📝", "dim"),
    PackageOutcome.FAILED: ("❌", "red"),
    PackageOutcome.BLOCKED: ("⛔", "yellow"),
}


_SEVERITY_STYLES = {"error": ("❌", "red"), "warning": ("⚠️ ", "yellow"), "note": ("💡", "dim")}


def plan_table(plan: Plan) -> RenderableType:
    """Draw a plan: first the packages that are released, in order; then the others with the reason."""
    title = f"{plan.title}: {count_packages(plan.steps)}" if plan.steps else "nothing to release"
    headers = ("", "#", "Level", "Package", "Now", "Next", "Bump", "Because")
    table = ResponsiveTable(*headers, title=title, droppable=("Level", "#"), wraps=False)
    for step in plan.packages:
        icon, style = _STATUS_STYLES[step.status]
        position = (step.order, step.level) if step.order >= 0 else ("", "")
        versions = (step.current or "-", step.next or "-")
        status = "" if step.status is Status.INCLUDED else f"{step.status.replace('_', ' ')}: "
        table.add(icon, *position, step.name, *versions, step.bump, f"{status}{step.reason}", style=style)
    warnings = [Text(f"warning {warning}", style="yellow") for warning in plan.warnings]
    return Group(table, *warnings)


def difference_list(difference: PlanDifference) -> RenderableType:
    """Draw what has changed since an earlier plan."""
    lines = [
        Text(f"{_CHANGE_STYLES[change.change][0]} {change}", style=_CHANGE_STYLES[change.change][1])
        for change in difference.changes
    ]
    return Group(Text(difference.headline, style="bold"), *(Indented(line, 2) for line in lines))


_CHANGE_STYLES = {
    "added": ("+", "green"),
    "changed": ("~", "yellow"),
    "released": ("✓", "dim"),
    "dropped": ("-", "dim"),
}


def versions_table(explanation: Explanation) -> RenderableType:
    """Draw the next version of each package."""
    table = ResponsiveTable("Package", "Now", "Next", "Bump", "Because", wraps=False)
    for row in explanation.packages:
        versions = (row.current or "-", row.next or "-")
        table.add(row.name, *versions, row.bump, row.reason, style="dim" if row.skipped else "green")
    return table


def adoption_table(adoption: Adoption) -> RenderableType:
    """Draw the detected last release of each package, then the tag format, then what would be written."""
    table = ResponsiveTable("Package", "Declared", "Last release", "Found as", "Remark")
    usual_format = adoption.tag_format[0].replace("{label}", adoption.label)
    for row in adoption.packages:
        baseline_text, style = _BASELINE_STYLES[row.baseline]
        usual_tag = usual_format.replace("{name}", row.name).replace("{version}", str(row.version))
        tag = "tag" if row.tag == usual_tag else row.tag or baseline_text
        preposition = "; set at" if row.baseline == "index" else " at"
        source = f"{tag}{preposition} {row.commit[:7]}" if row.commit else baseline_text
        if row.baseline != "home":
            table.add(row.name, row.declared or "-", row.version or "-", source, row.note, style=style)
    label = f", label {adoption.label}" if adoption.label else ""
    lines = [Text(f"tag_format: {', '.join(adoption.tag_format)}{label}")]
    unpublished = [row.name for row in adoption.packages if row.baseline == "home"]
    for heading, names in (("not published", unpublished), ("tags that match no package", adoption.unexplained)):
        if names:
            lines.append(Text(f"{heading}: {summarize(names, 5)}", style="dim"))
    lines += [Text(f"--tag-baselines would tag {commit[:7]} as {tag}") for tag, commit in adoption.missing.items()]
    lines += [colored_diff(change) for change in adoption.diffs.values()]
    return Group(table, *lines)


def colored_diff(text: str) -> Text:
    """Colour a unified diff."""
    styles = {"+": "green", "-": "red", "@": "cyan"}
    return Text("\n").join(Text(line, style=styles.get(line[:1], "")) for line in text.splitlines())


_BASELINE_STYLES = {
    "tag": ("tag", "green"),
    "index": ("on the index, no tag", "yellow"),
    "first": ("never released", "cyan"),
    "unasked": ("no tag; the index was not contacted", "yellow"),
    "home": ("not published", "dim"),
}


def report_table(report: ReleaseReport) -> RenderableType:
    """Draw the report of a release, with the error of each package that was not published."""
    if not report.packages:
        return Text(report.title)
    headers = ("", "Package", "Version", "Outcome", "Tag")  # the icon shows the outcome too
    table = ResponsiveTable(*headers, title=report.headline, droppable=("Outcome",))
    panels: list[RenderableType] = []
    for package in report.packages:
        icon, style = _OUTCOME_STYLES[package.outcome]
        tag = package.tag if package.tag in report.tags else ""
        table.add(icon, package.name, package.version, package.outcome, tag, style=style)
        if package.outcome is PackageOutcome.FAILED:
            panels.append(Diagnostic(package.error, package.output, package.hint))
        elif package.outcome is PackageOutcome.BLOCKED:
            panels.append(Text(f"{package.name}: {package.error}", style="yellow"))
    remarks = [
        Text(remark, style="red" if remark in report.problems else "") for remark in (*report.problems, *report.notes)
    ]
    page = [Text(f"released: {report.page}")] if report.page else []
    return Group(table, *panels, *remarks, *page)


def release_pr_table(status: ReleasePullRequest) -> RenderableType:
    """Draw the state of a release by pull request."""
    lines = [Text(status.what), *(Text(f"  {package}") for package in status.packages)]
    return Group(*lines, *(Text(note, style="yellow") for note in status.notes), Text(status.page, style="cyan"))


def rollback_table(rollback: Rollback) -> RenderableType:
    """Draw what a rollback removes, what stays, and how to continue."""
    if not rollback.release:
        return Group(Text(rollback.summary), *map(Text, rollback.notes))
    rows = [
        *(("tag", f"{name} here") for name in rollback.tags),
        *(("tag", f"{name} on the remote") for name in rollback.remote_tags),
        *([("lock", "the lock of this release on the remote")] if rollback.held else []),
        *([("draft", rollback.draft)] if rollback.draft else []),
        *([("pull request", f"of the branch {rollback.pull}, and this branch")] if rollback.pull else []),
        ("record", f"release {rollback.release}: plan, manifest, files and temporary worktree"),
    ]
    table = ResponsiveTable("", "Removed" if rollback.done else "To be removed", title=rollback.summary)
    for kind, description in rows:
        table.add(kind, description)
    parts: list[RenderableType] = [table, *(Text(line, style="yellow") for line in (*rollback.kept, *rollback.notes))]
    return Group(*parts, *([_public_table(rollback)] if rollback.public else []))


def _public_table(rollback: Rollback) -> RenderableType:
    table = ResponsiveTable(
        "Stays on the index", "Tag", "Next fix", "Required by", "Page", title="an index does not delete files"
    )
    for package in rollback.public:
        label = f"{package.name} {package.version}{'' if package.complete else ' (in part)'}"
        table.add(label, package.tag or "none", package.next, ", ".join(package.dependents), package.page)
    return Group(table, Text(rollback.next_steps, style="cyan"))


_PROGRESS_STYLES = {
    "planned": ("📋", "dim", "planned"),
    "built": ("📦", "", "built"),
    "partly_uploaded": ("⏳", "yellow", "uploaded in part"),
    "uploaded": ("📤", "yellow", "uploaded, no checksum on the index"),
    "confirmed": ("✅", "green", "confirmed"),
    "differs": ("❌", "red", "the index has other content"),
}


def status_table(status: ReleaseStatus) -> RenderableType:
    """Draw the unfinished releases and what to do; then who was not asked or did not answer."""
    parts: list[RenderableType] = []
    for release in status.releases:
        parts += [*_unfinished_release(release), Text("")]
    if not parts:
        parts = [Text(status.headline)]
    return Group(*parts, *(Text(line, style="yellow") for line in status.unasked))


def _unfinished_release(release: UnfinishedRelease) -> Iterator[RenderableType]:
    yield Text(release.what, style="bold")
    owner_parts = [f"begun by {release.by}" if release.by else "", f"on {release.host}" if release.host else ""]
    owner_parts += [f"since {release.since}" if release.since else ""]
    lines = [" ".join(filter(None, owner_parts)), release.where]
    yield from (Text(line, style="dim") for line in lines if line)
    table = ResponsiveTable(
        "", "Package", "Version", "Files", "Tag here", "On the remote", "State", droppable=("Files",)
    )
    for package in release.packages:
        icon, style, state = _PROGRESS_STYLES[package.progress]
        listed = sum(file.index in ("same", "listed") for file in package.files)
        files = f"{listed} of {len(package.files)}" if package.files and release.published is not None else ""
        tags = (_yes_or_no(package.tagged_here), _yes_or_no(package.tagged_there))
        table.add(icon, package.name, package.version, files, *tags, state, style=style)
    yield table
    yield from (Text(note, style="yellow") for note in release.notes)
    yield Text(f"next: {release.next}", style="cyan")
    yield from (Text(f"or:   {other}", style="cyan") for other in release.others)


def _yes_or_no(value: bool | None) -> str:  # noqa: FBT001  a cell
    return {True: "yes", False: "no", None: "-"}[value]


def waiting_table(runs: Sequence[tuple[str, str]]) -> RenderableType:
    """Draw the runs that wait for approval: name and id of each."""
    if not runs:
        return Text("no release waits for approval")
    table = ResponsiveTable("Waits for approval", "Run")
    for run in runs:
        table.add(*run)
    return table


def members_table(workspace: Workspace) -> RenderableType:
    """Draw the members of a workspace."""
    table = ResponsiveTable("Package", "Path", "Version", "Published", "Needs", droppable=("Path",))
    for member in workspace:
        needs = ", ".join(sorted(workspace.required_members(member, Kind.RUNTIME, Kind.BUILD)))
        version = f"{member.version or ''} (dynamic)".lstrip() if member.dynamic else member.version or ""
        published = "yes" if member.publishable else "no"
        table.add(member.name, member.path, version, published, needs, style="" if member.publishable else "dim")
    return table


def settings_table(settings: EffectiveSettings) -> RenderableType:
    """Draw each setting and where it comes from; settings without a default value are highlighted."""
    table = ResponsiveTable("Key", "From", "Value")
    for row in settings.settings:
        name = f"{row.key} of {row.package}" if row.package else row.key
        value = mask(json.dumps(row.value, ensure_ascii=False))
        table.add(name, row.source, value, style="dim" if row.source == "default" else "green")
    return table


def findings_list(report: CheckReport) -> RenderableType:
    """Draw the findings, the worst first: for each check, all places, never shortened, and what to do."""
    lines: list[RenderableType] = []
    for (severity, check), group in groupby(report.findings, key=lambda finding: (finding.severity, finding.check)):
        findings = tuple(group)
        icon, style = _SEVERITY_STYLES[severity]
        lines.append(Text(f"{icon} {severity} {check}", style=f"bold {style}"))
        texts = [Text(f"{finding.path}:{finding.line}: {finding.what}", style=style) for finding in findings]
        texts += [Text(f"= help: {hint}", style="cyan") for hint in dict.fromkeys(finding.hint for finding in findings)]
        lines += [Indented(line, 3) for line in texts]
    return Group(*lines, Text(report.summary, style="" if report.findings else "green"))


def pins_table(rows: Sequence[tuple[str, str]]) -> RenderableType:
    """Draw each published wheel with the internal requirements in it."""
    if not rows:
        return ""
    table = ResponsiveTable("On the index", "Internal requirements in its METADATA")
    for row in rows:
        table.add(*row)
    return table
