"""The tables that commands print for people."""

from __future__ import annotations

import json
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from releasekit.cli.render.diagnostics import Diagnostic
from releasekit.cli.render.sheet import Indented, ResponsiveTable
from releasekit.core.errors import warning_hints
from releasekit.core.history.tags import in_directory
from releasekit.core.picking import drop, group_by, names_of, true_keys
from releasekit.core.planning.model import Status
from releasekit.core.release.report import PackageOutcome
from releasekit.core.release.smoke_report import SmokeOutcome
from releasekit.core.similar_texts import calm_warnings, select_texts
from releasekit.core.text import count_as, count_packages, join_texts, list_names, summarize
from releasekit.core.workspace.workspace import Kind
from releasekit.integrations.process import mask
from releasekit.logging import is_verbose
from releasekit.store.record import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from releasekit.core.adoption.findings import AdoptedPackage, Adoption, UnreadTags
    from releasekit.core.artifacts.differences import Difference
    from releasekit.core.checks.facts import CheckReport
    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.planning.plan_diff import PlanDifference
    from releasekit.core.release.pr_status import ReleasePullRequest
    from releasekit.core.release.release_manifest import ReleaseManifest
    from releasekit.core.release.report import PackageReport, ReleaseReport
    from releasekit.core.release.rollback_plan import Rollback
    from releasekit.core.release.smoke_report import SmokeReport
    from releasekit.core.release.unfinished_release import (
        FileStatus,
        ReleaseStatus,
        UnfinishedRelease,
    )
    from releasekit.core.workspace.workspace import Workspace
    from releasekit.formats.explained import Explanation
    from releasekit.operations.manage_changes import ChangeStatus
    from releasekit.operations.show_config import EffectiveSettings

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
    PackageOutcome.WAITING: ("⏳", "yellow"),
    PackageOutcome.FAILED: ("❌", "red"),
    PackageOutcome.BLOCKED: ("⛔", "yellow"),
}


_SEVERITY_STYLES = {"error": ("❌", "red"), "warning": ("⚠️ ", "yellow"), "note": ("💡", "dim")}


def plan_table(plan: Plan) -> RenderableType:
    """Draw a plan: first the packages that are released, in order; then the others with the reason.

    Many similar warnings are one line.
    """
    title = "nothing to release"
    if plan.steps:
        title = f"{plan.title}: {count_packages(plan.steps)}"
    headers = ("", "#", "Level", "Package", "Now", "Next", "Bump", "Because")
    table = ResponsiveTable(*headers, title=title, droppable=("Level", "#"), wraps=False)
    for step in plan.packages:
        icon, style = _STATUS_STYLES[step.status]
        is_ordered = step.order >= 0
        position = (step.order, step.level) if is_ordered else ("", "")
        versions = (_or_dash(step.current), _or_dash(step.next))
        table.add(
            icon, *position, step.name, *versions, step.bump, _status_and_reason(step), style=style
        )
    commands = _styled_lines([plan.pre_release_line], "dim")
    warnings = _warning_lines(calm_warnings(plan.warnings, verbose=is_verbose()))
    return Group(table, *_differences(plan.differences), *commands, *warnings)


def _warning_lines(warnings: Sequence[str]) -> Iterator[RenderableType]:
    """Draw *warnings*; the first one with a code is followed by the next step."""
    for warning, hint in zip(warnings, warning_hints(warnings), strict=True):
        yield from _styled_lines([warning], "yellow", prefix="warning ")
        yield from _styled_lines([hint], "dim", prefix="  = help: ")


def _differences(differences: Sequence[Difference]) -> Iterator[RenderableType]:
    """Draw what the packages lose, if they lose anything."""
    if not differences:
        return
    table = ResponsiveTable(
        "", "Since", "What is lost", "Rule", title="lost since the last releases"
    )
    for difference in differences:
        icon, style = _SEVERITY_STYLES[difference.severity]
        since = f"{difference.package} {difference.since}"
        accepted = f" (accepted: {difference.waived})" if difference.waived else ""
        table.add(
            icon,
            since,
            difference.text + accepted,
            difference.rule,
            style="dim" if accepted else style,
        )
    yield table


def _or_dash(value: object) -> str:
    return str(value or "-")


def _status_and_reason(step: Step) -> str:
    if step.status is Status.INCLUDED:
        return step.reason
    status = step.status.replace("_", " ")
    return f"{status}: {step.reason}"


def _styled_lines(values: Iterable[object], style: str = "", *, prefix: str = "") -> list[Text]:
    """Return a line for each of *values* that has a text."""
    texts = filter(None, map(str, values))
    return [Text(f"{prefix}{text}", style=style) for text in texts]


def difference_list(difference: PlanDifference) -> RenderableType:
    """Draw what has changed since an earlier plan."""
    lines: list[RenderableType] = [Text(difference.headline, style="bold")]
    for change in difference.changes:
        icon, style = _CHANGE_STYLES[change.change]
        line = Text(f"{icon} {change}", style=style)
        lines.append(Indented(line, 2))
    return Group(*lines)


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
        versions = (_or_dash(row.current), _or_dash(row.next))
        style = "dim" if row.skipped else "green"
        table.add(row.name, *versions, row.bump, row.reason, style=style)
    return table


def change_table(status: ChangeStatus) -> RenderableType:
    """Draw the packages that a branch changes, and the change files that name each one."""
    table = ResponsiveTable("", "Package", "Change files", wraps=False)
    for package in status.packages:
        icon, style = _CHANGED_PACKAGE_STYLES[package.missing]
        table.add(icon, package.name, list_names(package.files), style=style)
    return table


_CHANGED_PACKAGE_STYLES = {True: ("❌", "red"), False: ("✅", "green")}
"""The styles of a changed package that lacks a change file, and of one that has one."""


def adoption_table(adoption: Adoption, *, verbose: bool = False) -> RenderableType:
    """Draw the detected last release of each package, then what holds for the whole repository.

    Many equal rows are one row with the first names, unless *verbose*.
    """
    headers = (
        "Package",
        "Declared",
        "Last release",
        "Found as",
        "Evidence",
        "Next",
        "Published",
        "Remark",
    )
    table = ResponsiveTable(*headers, droppable=("Evidence", "Published"))
    rows = [row for row in adoption.packages if row.baseline != "home"]
    by_cells = group_by(rows, lambda row: _adoption_cells(row, adoption))
    for cells, equal_rows in by_cells.items():
        *first_cells, common_note = cells
        names = names_of(equal_rows)
        _, style = _BASELINE_STYLES[equal_rows[0].baseline]
        is_long = len(names) > _MAX_EQUAL_ROWS and not verbose
        if is_long:
            table.add(summarize(names), *first_cells, common_note, style=style)
            continue
        for row in equal_rows:
            table.add(row.name, *first_cells, row.note, style=style)
    return Group(table, *_adoption_lines(adoption, verbose=verbose))


_MAX_EQUAL_ROWS = 3
_MAX_FORMS = 5


def _adoption_cells(row: AdoptedPackage, adoption: Adoption) -> tuple[str, ...]:
    """Return the cells of a row after the name; the name in its remark is left out, so that equal rows are equal."""
    published = _yes_or_no(row.published)
    versions = (_or_dash(row.declared), _or_dash(row.version))
    source = _baseline_source(row, adoption)
    note = row.note.replace(row.name, "NAME")
    return (*versions, source, row.evidence, _or_dash(row.next), published, note)


def _adoption_lines(adoption: Adoption, *, verbose: bool) -> list[Text]:
    """Return the lines below the table."""
    formats = join_texts(", label ", ", ".join(adoption.tag_format), adoption.label)
    lines = [Text(f"tag_format: {formats}")]
    names_by_formats = group_by(adoption.own_tag_formats, adoption.own_tag_formats.__getitem__)
    for formats, names in names_by_formats.items():
        lines.append(Text(f"tag_format of {summarize(names, 5)}: {', '.join(formats)}"))
    unpublished = [row.name for row in adoption.packages if row.baseline == "home"]
    left_out = _summarize(unpublished, 5, verbose=verbose)
    lines += _styled_lines([left_out], "dim", prefix="not published: ")
    lines += _unread_lines(adoption, verbose=verbose)
    lines += _other_tool_lines(adoption)
    notes = calm_warnings(adoption.notes, verbose=verbose)
    lines += _styled_lines(notes, "yellow", prefix="note ")
    return lines


def _summarize(names: Sequence[str], limit: int, *, verbose: bool) -> str:
    """Return the first *limit* of *names*, all of them if *verbose*."""
    return ", ".join(names) if verbose else summarize(names, limit)


def _unread_lines(adoption: Adoption, *, verbose: bool) -> list[Text]:
    """Return one line for each form of tags that look like versions and are not read; then all other tags."""
    limit = len(adoption.unread) if verbose else _MAX_FORMS
    lines = list(map(_unread_line, adoption.unread[:limit]))
    more_forms = [tags.form for tags in adoption.unread[limit:]]
    if more_forms:
        lines.append(
            Text(
                f"not read: {summarize(more_forms)}; `--verbose` shows the reasons", style="yellow"
            )
        )
    unread = {tag for tags in adoption.unread for tag in tags.tags}
    others = drop(adoption.unexplained, unread)
    return [
        *lines,
        *_styled_lines([summarize(others, 5)], "dim", prefix="tags that match no package: "),
    ]


def _unread_line(tags: UnreadTags) -> Text:
    count = count_as("tag", tags.tags)
    head = f"not read: {count} {tags.form} (newest {tags.newest}): {tags.reason}."
    style = "yellow" if tags.advice else "dim"
    return Text(f"{head} {tags.advice}".rstrip(), style=style)


def adoption_changes(adoption: Adoption, *, tag_baselines: bool) -> list[RenderableType]:
    """Draw the missing tags, the changes of files, and the checklist of what you do by hand."""
    from releasekit.core.adoption.setup_steps import describe_step

    lines: list[RenderableType] = []
    if adoption.missing:
        lines.append(
            _missing_tags_table(adoption) if tag_baselines else _missing_tags_line(adoption)
        )
    lines += map(colored_diff, adoption.diffs.values())
    if adoption.setup_steps:
        lines.append(Text("Do by hand, once:", style="bold"))
    lines += [Indented(Text(f"[ ] {describe_step(step)}"), 2) for step in adoption.setup_steps]
    return lines


def _missing_tags_line(adoption: Adoption) -> Text:
    missing = [f"{commit[:7]} as {tag}" for tag, commit in adoption.missing.items()]
    tags = _summarize(missing, _MAX_EQUAL_ROWS, verbose=is_verbose())
    return Text(f"--tag-baselines would tag {tags}")


def _missing_tags_table(adoption: Adoption) -> RenderableType:
    """Draw each tag that is made, with its commit, its packages, and why the commit is that of their last release."""
    table = ResponsiveTable(
        "Package", "Tag", "Commit", "Evidence", title="Tags to make, in this repository only"
    )
    for tag, commit in adoption.missing.items():
        rows = [row for row in adoption.packages if row.missing_tag == tag]
        source = "the manifest" if any(row.baseline == "manifest" for row in rows) else "the index"
        evidence = f"{source} has {rows[0].version}, and this commit set it"
        table.add(summarize(names_of(rows)), tag, commit[:7], evidence)
    return table


def _other_tool_lines(adoption: Adoption) -> list[Text]:
    """Return what the configuration of another tool says in vain, or how to take one over."""
    lines = [
        Text(f"not taken over: {left.what}. {left.advice}", style="yellow")
        for left in adoption.not_taken_over
    ]
    if adoption.removable:
        limit = len(adoption.removable) if is_verbose() else _MAX_FORMS
        return [*lines, Text(f"no longer needed: {summarize(adoption.removable, limit)}")]
    return lines or [
        Text(f"{tool} has a configuration here; `releasekit init --from {tool}` takes it over")
        for tool in adoption.other_tools
    ]


def _baseline_source(row: AdoptedPackage, adoption: Adoption) -> str:
    """Return how the last release was found. A tag in the usual format is only called "tag"."""
    baseline_text, _ = _BASELINE_STYLES[row.baseline]
    if not row.commit:
        return baseline_text
    usual_format, *_ = in_directory(adoption.tag_format, row.path, row.name)
    usual_tag = usual_format.format(label=adoption.label, name=row.name, version=row.version)
    tag = row.tag or baseline_text
    if row.tag == usual_tag:
        tag = "tag"
    preposition = "; set at" if row.lacks_tag else " at"
    return f"{tag}{preposition} {row.commit[:7]}"


def colored_diff(text: str) -> Text:
    """Colour a unified diff."""
    styles = {"+": "green", "-": "red", "@": "cyan"}
    lines = [Text(line, style=styles.get(line[:1], "")) for line in text.splitlines()]
    return Text("\n").join(lines)


_BASELINE_STYLES = {
    "tag": ("tag", "green"),
    "index": ("on the index, no tag", "yellow"),
    "manifest": ("in the manifest, no tag", "yellow"),
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
    for package in report.packages:
        icon, style = _OUTCOME_STYLES[package.outcome]
        tag = package.tag if package.tag in report.tags else ""
        table.add(icon, package.name, package.version, package.outcome_text, tag, style=style)
    return Group(
        table,
        *_failures(report.packages),
        *_styled_lines(_finding_lines(report.packages), "yellow"),
        *_styled_lines(report.problems, "red"),
        *_styled_lines(report.notes),
        *_styled_lines([report.page], prefix="released: "),
    )


def manifest_table(manifest: ReleaseManifest, output: Path) -> RenderableType:
    """Draw the packages of a merged release, with the wheels that each platform has built, and what comes next."""
    table = ResponsiveTable(
        "Package", "Version", "Files", "Wheels by platform", droppable=("Version",)
    )
    for package in manifest.packages:
        wheels = ", ".join(f"{name}: {len(names)}" for name, names in package.platforms.items())
        table.add(package.name, package.version, len(package.files), wheels or "-")
    return Group(
        table, Text(f"merged into {output}: `releasekit publish --manifest {output / MANIFEST}`")
    )


_SMOKE_STYLES = {
    SmokeOutcome.PASSED: ("✅", "green", "installed and imported"),
    SmokeOutcome.FAILED: ("❌", "red", "failed"),
    SmokeOutcome.SKIPPED: ("⏭", "dim", "skipped: smoke_test is false"),
}


def smoke_table(report: SmokeReport) -> RenderableType:
    """Draw the smoke tests of a release, then why tests have failed."""
    table = ResponsiveTable("", "Package", "Version", "State")
    errors: list[str] = []
    for test in report.packages:
        icon, style, state = _SMOKE_STYLES[test.outcome]
        table.add(icon, test.name, test.version, join_texts(": ", test.index, state), style=style)
        errors += [text for text in (test.error, test.output) if text]
    return Group(table, *_styled_lines(errors, "red"))


def _finding_lines(packages: Iterable[PackageReport]) -> list[str]:
    """Return what verification has found in the packages that it did not stop."""
    passed = [package for package in packages if not any(map(_stops, package.findings))]
    findings = [finding for package in passed for finding in package.findings]
    lines = [f"warning {finding}" for finding in findings if not finding.waived]
    lines += [f"waived {finding} ({finding.waived})" for finding in findings if finding.waived]
    return calm_warnings(lines, verbose=is_verbose())


_stops = attrgetter("stops")


def _failures(packages: Iterable[PackageReport]) -> Iterator[RenderableType]:
    """Yield the errors of failed packages, and what blocked others. Many similar ones are one."""
    stopped = [
        package
        for package in packages
        if package.outcome in (PackageOutcome.FAILED, PackageOutcome.BLOCKED)
    ]
    texts = [f"{package.name}: {package.error}\n{package.output}" for package in stopped]
    kinds = [f"{package.outcome} {package.error.partition(':')[0]}" for package in stopped]
    for group in select_texts(texts, kinds, verbose=is_verbose()):
        package = stopped[group.position]
        if group.is_rest:
            yield Text(f"{package.outcome}: {group.remark}", style="yellow")
        elif package.outcome is PackageOutcome.FAILED:
            yield Diagnostic(group.extend(package.error), package.output, package.hint)
        else:
            yield Text(group.extend(f"{package.name}: {package.error}"), style="yellow")


def release_pr_table(status: ReleasePullRequest) -> RenderableType:
    """Draw the state of a release by pull request."""
    return Group(
        Text(status.what),
        *_styled_lines(status.packages, prefix="  "),
        *_styled_lines(status.notes, "yellow"),
        Text(status.page, style="cyan"),
    )


def rollback_table(rollback: Rollback) -> RenderableType:
    """Draw what a rollback removes, what stays, and how to continue."""
    if not rollback.release:
        return Group(Text(rollback.summary), *map(Text, rollback.notes))
    header = "Removed" if rollback.done else "To be removed"
    table = ResponsiveTable("", header, title=rollback.summary)
    table.add_rows(_removed_things(rollback))
    remarks = _styled_lines((*rollback.kept, *rollback.notes), "yellow")
    public = [_public_table(rollback)] if rollback.public else []
    return Group(table, *remarks, *public)


def _removed_things(rollback: Rollback) -> Iterator[tuple[str, str]]:
    """Yield the kind and the description of everything that the rollback removes."""
    yield from (("tag", f"{name} here") for name in rollback.tags)
    yield from (("tag", f"{name} on the remote") for name in rollback.remote_tags)
    if rollback.held:
        yield "lock", "the lock on the remote, which other clones see"
    if rollback.draft:
        yield "draft", rollback.draft
    if rollback.pull:
        yield "pull request", f"of the branch {rollback.pull}, and this branch"
    yield "record", f"release {rollback.release}: plan, manifest, files and temporary worktree"


def _public_table(rollback: Rollback) -> RenderableType:
    table = ResponsiveTable(
        "Stays on the index",
        "Tag",
        "Next fix",
        "Required by",
        "Page",
        title="an index does not delete files",
    )
    for package in rollback.public:
        dependents = ", ".join(package.dependents)
        table.add(package.title, package.tag_or_none, package.next, dependents, package.page)
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
    return Group(*parts, *_styled_lines(status.unasked, "yellow"))


def _unfinished_release(release: UnfinishedRelease) -> Iterator[RenderableType]:
    yield Text(release.what, style="bold")
    yield from _styled_lines((_origin_text(release), release.where), "dim")
    headers = ("", "Package", "Version", "Files", "Tag here", "On the remote", "State")
    table = ResponsiveTable(*headers, droppable=("Files",))
    is_index_known = release.published is not None
    for package in release.packages:
        icon, style, state = _PROGRESS_STYLES[package.progress]
        files = _count_listed(package.files) if is_index_known else ""
        tag_here = _yes_or_no(package.tagged_here)
        tag_on_remote = _yes_or_no(package.tagged_there)
        table.add(
            icon, package.name, package.version, files, tag_here, tag_on_remote, state, style=style
        )
    yield table
    yield from _styled_lines(release.notes, "yellow")
    yield Text(f"next: {release.next}", style="cyan")
    yield from _styled_lines(release.others, "cyan", prefix="or:   ")


def _count_listed(files: Sequence[FileStatus]) -> str:
    """Return how many of *files* the index lists; empty without files."""
    if not files:
        return ""
    listed = [file for file in files if file.is_listed]
    return f"{len(listed)} of {len(files)}"


def _origin_text(release: UnfinishedRelease) -> str:
    """Return who began the release, where and when, as far as it is known."""
    parts = {
        f"begun by {release.by}": release.by,
        f"on {release.host}": release.host,
        f"since {release.since}": release.since,
    }
    return " ".join(true_keys(parts))


def _yes_or_no(value: bool | None) -> str:  # noqa: FBT001  a cell
    return {True: "yes", False: "no", None: "-"}[value]


def waiting_table(runs: Sequence[tuple[str, str]]) -> RenderableType:
    """Draw the runs that wait for approval: name and id of each."""
    if not runs:
        return Text("no release waits for approval")
    return ResponsiveTable("Waits for approval", "Run").add_rows(runs)


def members_table(workspace: Workspace) -> RenderableType:
    """Draw the members of a workspace."""
    table = ResponsiveTable("Package", "Path", "Version", "Published", "Needs", droppable=("Path",))
    for member in workspace:
        required = sorted(workspace.required_members(member, Kind.RUNTIME, Kind.BUILD))
        needs = ", ".join(required)
        version = str(member.version or "")
        if member.dynamic:
            version = f"{version} (dynamic)".lstrip()
        published = _yes_or_no(member.publishable)
        style = "" if member.publishable else "dim"
        table.add(member.name, member.path, version, published, needs, style=style)
    return table


def settings_table(settings: EffectiveSettings) -> RenderableType:
    """Draw each setting and where it comes from; settings without a default value are highlighted."""
    table = ResponsiveTable("Key", "From", "Value")
    for row in settings.settings:
        name = f"{row.key} of {row.package}" if row.package else row.key
        value = mask(json.dumps(row.value, ensure_ascii=False))
        style = "dim" if row.source == "default" else "green"
        table.add(name, row.source, value, style=style)
    return table


def findings_list(report: CheckReport) -> RenderableType:
    """Draw the findings, the worst first: for each check, the places, and what to do.

    Many findings of a check that are similar are one line.
    """
    lines: list[RenderableType] = []
    is_full = is_verbose()
    groups = groupby(report.findings, key=attrgetter("severity", "check"))
    for (severity, check), group in groups:
        icon, style = _SEVERITY_STYLES[severity]
        lines.append(Text(f"{icon} {severity} {check}", style=f"bold {style}"))
        findings = list(group)
        texts = [f"{finding.package}: {finding.what}" for finding in findings]
        for similar in select_texts(texts, [check] * len(texts), verbose=is_full):
            finding = findings[similar.position]
            position = f"{finding.path}:{finding.line}: {finding.what}"
            message = similar.remark if similar.is_rest else similar.extend(position)
            lines.append(Indented(Text(message, style=style), 3))
        hints = dict.fromkeys(finding.hint for finding in findings)
        for hint in hints:
            line = Text(f"= help: {hint}", style="cyan")
            lines.append(Indented(line, 3))
    summary_style = "" if report.findings else "green"
    return Group(*lines, Text(report.summary, style=summary_style))


def pins_table(rows: Sequence[tuple[str, str]]) -> RenderableType:
    """Draw each published wheel with the internal requirements in it."""
    if not rows:
        return ""
    return ResponsiveTable("On the index", "Internal requirements in its METADATA").add_rows(rows)
