"""The tables about releases that are public already: what contradicts what, and what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from releasekit.cli.render.sheet import Indented

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from releasekit.core.repair.inconsistencies import Inconsistency, RepairReport


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
