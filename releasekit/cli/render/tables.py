"""What a person sees: the answer on standard output, everything else on standard error."""

from __future__ import annotations

import json
import logging
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from releasekit.cli.render.diagnostics import Problem
from releasekit.cli.render.sheet import Indented, Sheet
from releasekit.core.planning.model import Status
from releasekit.core.release.report import Outcome
from releasekit.core.text import counted, some
from releasekit.core.workspace.workspace import Kind
from releasekit.integrations.process import mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from releasekit.core.adoption import Adoption
    from releasekit.core.checks.facts import CheckReport
    from releasekit.core.planning.model import Plan
    from releasekit.core.planning.plan_diff import Difference
    from releasekit.core.release.pr_status import ReleasePull
    from releasekit.core.release.report import Report
    from releasekit.core.release.rollback_plan import Rollback
    from releasekit.core.release.unfinished_release import ReleaseStatus, UnfinishedRelease
    from releasekit.core.workspace.workspace import Workspace
    from releasekit.formats.explained import Explanation
    from releasekit.operations.show_config import Configuration

log = logging.getLogger("releasekit")

_STATUS = {
    Status.INCLUDED: ("📦", "green"),
    Status.DEPENDENCY_ONLY: ("🔗", "cyan"),
    Status.SKIPPED: ("⏭ ", "dim"),
    Status.EXCLUDED: ("🚫", "dim"),
    Status.ALREADY_PUBLISHED: ("✅", "yellow"),
}
_OUTCOME = {
    Outcome.CONFIRMED: ("✅", "green"),
    Outcome.BUILT: ("📦", "dim"),
    Outcome.VERSIONED: ("📝", "dim"),
    Outcome.FAILED: ("❌", "red"),
    Outcome.BLOCKED: ("⛔", "yellow"),
}


_SEVERITY = {"error": ("❌", "red"), "warning": ("⚠️ ", "yellow"), "note": ("💡", "dim")}


def plan_table(plan: Plan) -> RenderableType:
    """Draw a plan: what is released first, in order; then what is not, and why not."""
    title = f"{plan.title}: {counted(plan.steps)}" if plan.steps else "nothing to release"
    heads = ("", "#", "Level", "Package", "Now", "Next", "Bump", "Because")
    sheet = Sheet(*heads, title=title, spare=("Level", "#"), wraps=False)
    for step in plan.packages:
        icon, style = _STATUS[step.status]
        place = (step.order, step.level) if step.order >= 0 else ("", "")
        versions = (step.current or "-", step.next or "-")
        status = "" if step.status is Status.INCLUDED else f"{step.status.replace('_', ' ')}: "
        sheet.add(icon, *place, step.name, *versions, step.bump, f"{status}{step.reason}", style=style)
    warnings = [Text(f"warning {warning}", style="yellow") for warning in plan.warnings]
    return Group(sheet, *warnings)


def difference_list(since: Difference) -> RenderableType:
    """Draw what has changed since an earlier plan."""
    lines = [Text(f"{_CHANGE[each.change][0]} {each}", style=_CHANGE[each.change][1]) for each in since.changes]
    return Group(Text(since.headline, style="bold"), *(Indented(line, 2) for line in lines))


_CHANGE = {"added": ("+", "green"), "changed": ("~", "yellow"), "released": ("✓", "dim"), "dropped": ("-", "dim")}


def versions_table(explained: Explanation) -> RenderableType:
    """Draw which version each package goes to."""
    sheet = Sheet("Package", "Now", "Next", "Bump", "Because", wraps=False)
    for row in explained.packages:
        versions = (row.current or "-", row.next or "-")
        sheet.add(row.name, *versions, row.bump, row.reason, style="dim" if row.skipped else "green")
    return sheet


def adoption_table(found: Adoption) -> RenderableType:
    """Draw what is taken for each package's last release, then what explains it, then what would be written."""
    sheet = Sheet("Package", "Declared", "Last release", "Found as", "Remark")
    usual_format = found.tag_format[0].replace("{label}", found.label)
    for row in found.packages:
        said, style = _FOUND[row.baseline]
        usual = usual_format.replace("{name}", row.name).replace("{version}", str(row.version))
        tag = "tag" if row.tag == usual else row.tag or said
        made = "; set at" if row.baseline == "index" else " at"
        where = f"{tag}{made} {row.commit[:7]}" if row.commit else said
        if row.baseline != "home":
            sheet.add(row.name, row.declared or "-", row.version or "-", where, row.note, style=style)
    label = f", label {found.label}" if found.label else ""
    lines = [Text(f"tag_format: {', '.join(found.tag_format)}{label}")]
    home = [row.name for row in found.packages if row.baseline == "home"]
    for what, those in (("not published", home), ("tags of no package", found.unexplained)):
        if those:
            lines.append(Text(f"{what}: {some(those, 5)}", style="dim"))
    lines += [Text(f"--tag-baselines would tag {commit[:7]} as {tag}") for tag, commit in found.missing.items()]
    lines += [diff(change) for change in found.diffs.values()]
    return Group(sheet, *lines)


def diff(text: str) -> Text:
    """Colour a unified diff."""
    styles = {"+": "green", "-": "red", "@": "cyan"}
    return Text("\n").join(Text(line, style=styles.get(line[:1], "")) for line in text.splitlines())


_FOUND = {
    "tag": ("tag", "green"),
    "index": ("on the index, no tag", "yellow"),
    "first": ("never released", "cyan"),
    "unasked": ("no tag; no index was asked", "yellow"),
    "home": ("not published", "dim"),
}


def report_table(report: Report) -> RenderableType:
    """Draw what came of a release, with a panel for each package that is not out."""
    if not report.packages:
        return Text(report.title)
    heads = ("", "Package", "Version", "Outcome", "Tag")  # the icon tells the outcome too
    sheet = Sheet(*heads, title=report.headline, spare=("Outcome",))
    panels: list[RenderableType] = []
    for package in report.packages:
        icon, style = _OUTCOME[package.outcome]
        tag = package.tag if package.tag in report.tags else ""
        sheet.add(icon, package.name, package.version, package.outcome, tag, style=style)
        if package.outcome is Outcome.FAILED:
            panels.append(Problem(package.error, package.output, package.hint))
        elif package.outcome is Outcome.BLOCKED:
            panels.append(Text(f"{package.name}: {package.error}", style="yellow"))
    remarks = [
        Text(remark, style="red" if remark in report.problems else "") for remark in (*report.problems, *report.notes)
    ]
    page = [Text(f"released: {report.page}")] if report.page else []
    return Group(sheet, *panels, *remarks, *page)


def pull_table(found: ReleasePull) -> RenderableType:
    """Draw how a release by pull request stands."""
    lines = [Text(found.what), *(Text(f"  {package}") for package in found.packages)]
    return Group(*lines, *(Text(note, style="yellow") for note in found.notes), Text(found.page, style="cyan"))


def rollback_table(found: Rollback) -> RenderableType:
    """Draw what is undone of a release, what stays, and how to continue from there."""
    if not found.release:
        return Group(Text(found.summary), *map(Text, found.notes))
    rows = [
        *(("tag", f"{name} here") for name in found.tags),
        *(("tag", f"{name} on the remote") for name in found.remote_tags),
        *([("hold", "the remote holds the release for other clones to see")] if found.held else []),
        *([("draft", found.draft)] if found.draft else []),
        *([("pull request", f"of {found.pull}, with that branch")] if found.pull else []),
        ("record", f"release {found.release}: plan, manifest, files and scratch worktree"),
    ]
    sheet = Sheet("", "Removed" if found.done else "To be removed", title=found.summary)
    for kind, what in rows:
        sheet.add(kind, what)
    parts: list[RenderableType] = [sheet, *(Text(line, style="yellow") for line in (*found.kept, *found.notes))]
    return Group(*parts, *([_public_table(found)] if found.public else []))


def _public_table(found: Rollback) -> RenderableType:
    sheet = Sheet("Stays on the index", "Tag", "Next fix", "Required by", "Page", title="an index keeps its files")
    for package in found.public:
        what = f"{package.name} {package.version}{'' if package.complete else ' (in part)'}"
        sheet.add(what, package.tag or "none", package.next, ", ".join(package.dependents), package.page)
    return Group(sheet, Text(found.forward, style="cyan"))


_PROGRESS = {
    "planned": ("📋", "dim", "planned"),
    "built": ("📦", "", "built"),
    "partly_uploaded": ("⏳", "yellow", "uploaded in part"),
    "uploaded": ("📤", "yellow", "uploaded, no checksum on the index"),
    "confirmed": ("✅", "green", "confirmed"),
    "differs": ("❌", "red", "the index has other content"),
}


def status_table(found: ReleaseStatus) -> RenderableType:
    """Draw the releases that have not ended, and what to do; then who was not asked."""
    parts: list[RenderableType] = []
    for release in found.releases:
        parts += [*_unfinished_release(release), Text("")]
    if not parts:
        parts = [Text(found.headline)]
    return Group(*parts, *(Text(line, style="yellow") for line in found.unasked))


def _unfinished_release(release: UnfinishedRelease) -> Iterator[RenderableType]:
    yield Text(release.what, style="bold")
    began = [f"begun by {release.by}" if release.by else "", f"on {release.host}" if release.host else ""]
    began += [f"since {release.since}" if release.since else ""]
    lines = [" ".join(filter(None, began)), release.where]
    yield from (Text(line, style="dim") for line in lines if line)
    sheet = Sheet("", "Package", "Version", "Files", "Tag here", "On the remote", "State", spare=("Files",))
    for package in release.packages:
        icon, style, state = _PROGRESS[package.progress]
        listed = sum(file.index in ("same", "listed") for file in package.files)
        files = f"{listed} of {len(package.files)}" if package.files and release.published is not None else ""
        tags = (_yes_or_no(package.tagged_here), _yes_or_no(package.tagged_there))
        sheet.add(icon, package.name, package.version, files, *tags, state, style=style)
    yield sheet
    yield from (Text(note, style="yellow") for note in release.notes)
    yield Text(f"next: {release.next}", style="cyan")
    yield from (Text(f"or:   {other}", style="cyan") for other in release.others)


def _yes_or_no(value: bool | None) -> str:  # noqa: FBT001  a cell
    return {True: "yes", False: "no", None: "-"}[value]


def waiting_table(runs: Sequence[tuple[str, str]]) -> RenderableType:
    """Draw the runs that wait for approval: name and id of each."""
    if not runs:
        return Text("no release waits for approval")
    sheet = Sheet("Waits for approval", "Run")
    for run in runs:
        sheet.add(*run)
    return sheet


def members_table(workspace: Workspace) -> RenderableType:
    """Draw the members of a workspace."""
    sheet = Sheet("Package", "Path", "Version", "Published", "Needs", spare=("Path",))
    for member in workspace:
        needs = ", ".join(sorted(workspace.internal(member, Kind.RUNTIME, Kind.BUILD)))
        version = f"{member.version or ''} (dynamic)".lstrip() if member.dynamic else member.version or ""
        published = "yes" if member.publishable else "no"
        sheet.add(member.name, member.path, version, published, needs, style="" if member.publishable else "dim")
    return sheet


def settings_table(found: Configuration) -> RenderableType:
    """Draw each setting and where it comes from; those that somebody has set stand out."""
    sheet = Sheet("Key", "From", "Value")
    for row in found.settings:
        name = f"{row.key} of {row.package}" if row.package else row.key
        value = mask(json.dumps(row.value, ensure_ascii=False))
        sheet.add(name, row.source, value, style="dim" if row.source == "default" else "green")
    return sheet


def findings_list(report: CheckReport) -> RenderableType:
    """Draw what was found, the worst first: for each check the places, whole at any width, and what to do."""
    lines: list[RenderableType] = []
    for (severity, check), found in groupby(report.findings, key=lambda each: (each.severity, each.check)):
        those = tuple(found)
        icon, style = _SEVERITY[severity]
        lines.append(Text(f"{icon} {severity} {check}", style=f"bold {style}"))
        told = [Text(f"{each.path}:{each.line}: {each.what}", style=style) for each in those]
        told += [Text(f"= help: {hint}", style="cyan") for hint in dict.fromkeys(each.hint for each in those)]
        lines += [Indented(line, 3) for line in told]
    return Group(*lines, Text(report.summary, style="" if report.findings else "green"))


def pins_table(rows: Sequence[tuple[str, str]]) -> RenderableType:
    """Draw what is on the index: each wheel with the internal requirements inside it."""
    if not rows:
        return ""
    sheet = Sheet("On the index", "Internal requirements in its METADATA")
    for row in rows:
        sheet.add(*row)
    return sheet
