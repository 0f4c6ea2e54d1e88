"""The tables about releases that are public already: what contradicts what, and what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from releasekit.cli.render.sheet import Indented, ResponsiveTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from releasekit.core.repair.inconsistencies import Inconsistency, RepairReport
    from releasekit.core.repair.rebuild_comparison import FileVerdict, Verification
    from releasekit.core.repair.yank_impact import YankReport


def repair_table(report: RepairReport) -> RenderableType:
    """Draw what the comparison found, with the way forward, and what was repaired."""
    lines: list[RenderableType] = []
    for finding in report.findings:
        lines += _finding_lines(finding)
    lines += [Text(f"🔧 repaired: {text}", style="green") for text in report.repaired]
    lines += [Text(f"❌ not repaired: {text}", style="red") for text in report.problems]
    lines += [Text(text, style="dim") for text in report.unasked]
    lines.append(Text(report.headline, style="green" if report.is_clean else "bold"))
    return Group(*lines)


def _finding_lines(finding: Inconsistency) -> Iterator[RenderableType]:
    icon, style = ("💤", "dim") if finding.settled else ("❌", "red")
    yield Text(f"{icon} {finding.subject}: {finding.kind}", style=f"bold {style}")
    yield Indented(Text(finding.text, style=style), 3)
    yield Indented(Text(f"= next: {finding.next}", style="cyan"), 3)


def yank_table(report: YankReport) -> RenderableType:
    """Draw what a yank affects, what was done, and what is left to do."""
    lines: list[RenderableType] = []
    if report.dependents:
        title = f"published versions that require {report.package} {report.version}"
        table = ResponsiveTable("", "Package", "Version", "Requires", "Effect", title=title)
        for dependent in report.dependents:
            icon, style = ("❌", "red") if dependent in report.broken else ("📦", "")
            version, requirement = dependent.version, dependent.requirement
            table.add(icon, dependent.package, version, requirement, dependent.effect, style=style)
        lines.append(table)
    lines += [Text(f"required in the workspace: {text}") for text in report.requirements]
    if report.advice:
        lines.append(Text(f"⚠️  {report.advice}", style="yellow"))
    lines += [Text(f"✅ {text}", style="green") for text in report.done]
    lines += [Text(f"= next: {text}", style="cyan") for text in report.remaining]
    lines.append(Text(report.headline, style="bold"))
    return Group(*lines)


def verification_table(verification: Verification) -> RenderableType:
    """Draw how each published file compares with the rebuilt one, with the sums and with its attestations."""
    headers = ("", "File", "Built again", "SHA256SUMS", "Attestations")
    title = f"{verification.tag} at {verification.commit[:12]}"
    table = ResponsiveTable(*headers, title=title)
    for file in verification.files:
        icon, style = _VERDICT_STYLES[file.verdict]
        if file.is_contradicted:
            icon, style = _VERDICT_STYLES["differs"]
        attestations = ", ".join((file.attestations, *file.publishers))
        verdict = file.verdict.replace("_", " ")
        table.add(icon, file.name, verdict, file.sums, attestations, style=style)
    lines: list[RenderableType] = [table]
    for file in verification.files:
        texts = [f"{difference.member}: {difference.text}" for difference in file.members]
        lines += [Text(f"{file.name}: {text}", style="red") for text in (*texts, *file.problems)]
    lines += [Text(text, style="dim") for text in verification.unasked]
    lines.append(Text(verification.headline, style="red" if verification.is_contradicted else ""))
    return Group(*lines)


_VERDICT_STYLES: dict[FileVerdict, tuple[str, str]] = {
    "same": ("✅", "green"),
    "differs": ("❌", "red"),
    "not_rebuilt": ("❔", "yellow"),
    "not_published": ("❌", "red"),
}
