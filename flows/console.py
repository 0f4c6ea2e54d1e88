"""What a person sees: the answer on standard output, everything else on standard error."""

from __future__ import annotations

import json
import logging
import signal
import sys
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from flows.logs import as_json
from tasks.adapters.process import mask
from tasks.core.plan import Status
from tasks.core.report import Outcome
from tasks.core.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from pydantic import BaseModel
    from rich.console import RenderableType

    from flows.configured import Configuration
    from tasks.core.adoption import Adoption
    from tasks.core.checks.facts import CheckReport
    from tasks.core.errors import ReleaseError
    from tasks.core.formats.explained import Explanation
    from tasks.core.plan import Plan
    from tasks.core.report import Report
    from tasks.core.rollback import Rollback
    from tasks.core.settings import Settings
    from tasks.core.workspace import Workspace

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
    Outcome.FAILED: ("❌", "red"),
    Outcome.BLOCKED: ("⛔", "yellow"),
}


_SEVERITY = {"error": ("❌", "red"), "warning": ("⚠️ ", "yellow"), "note": ("💡", "dim")}


def answer(text: str) -> None:
    """Print the answer of a command."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def show(*parts: RenderableType, on_stderr: bool = False) -> None:
    """Draw *parts*; one that is piped has room for long lines.

    Where log lines are JSON, what would go beside them is one of them.
    """
    console = _console(on_stderr=on_stderr)
    if on_stderr and as_json():
        with console.capture() as drawn:
            console.print(*parts)
        log.info("%s", drawn.get())
        return
    for part in parts:
        console.print(part)


def answer_with(form: str, value: BaseModel, *drawn: RenderableType) -> None:
    """Print *value* as JSON if that is the *form*, else what is *drawn* of it."""
    if form == "json":
        answer(value.model_dump_json(indent=1))
    else:
        show(*(part for part in drawn if part))


def live(plan: Plan, settings: Settings) -> AbstractContextManager[None]:
    """Show on the terminal how *plan* is carried out, inside the block."""
    from flows import progress

    return progress.live(plan, settings, _console(on_stderr=True))


def confirm(question: str) -> bool:
    """Ask on the terminal; no answer is a no."""
    from rich.prompt import Confirm

    # Inside a loop asyncio keeps the first Ctrl-C for its next step, and nobody takes one while we wait here.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return Confirm.ask(question, console=_console(on_stderr=True), default=False)
    except EOFError:
        return False
    finally:
        signal.signal(signal.SIGINT, before)


def is_terminal() -> bool:
    """Tell whether somebody is there to answer; a JSON log is for programs."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not as_json()


def plan_table(plan: Plan) -> RenderableType:
    """Draw a plan: what is released first, in order; then what is not, and why not."""
    title = f"{plan.title}: {len(plan.steps)} packages" if plan.steps else "nothing to release"
    table = Table(
        "#", "Level", "Package", "Now", "Next", "Bump", "Status", "Because", title=title, title_justify="left"
    )
    for step in plan.packages:
        icon, style = _STATUS[step.status]
        place = (str(step.order), str(step.level)) if step.order >= 0 else ("", "")
        versions = (str(step.current or "-"), str(step.next or "-"))
        table.add_row(*place, step.name, *versions, step.bump, f"{icon} {step.status}", Text(step.reason), style=style)
    warnings = [Text(f"warning {warning}", style="yellow") for warning in plan.warnings]
    return Group(table, *warnings)


def versions_table(explained: Explanation) -> RenderableType:
    """Draw which version each package goes to."""
    table = Table("Package", "Now", "Next", "Bump", "Because")
    for row in explained.packages:
        versions = (str(row.current or "-"), str(row.next or "-"))
        table.add_row(row.name, *versions, row.bump, Text(row.reason), style="dim" if row.skipped else "green")
    return table


def adoption_table(found: Adoption) -> RenderableType:
    """Draw what is taken for each package's last release, then what explains it, then what would be written."""
    table = Table("Package", "Declared", "Last release", "Found as", "Remark")
    for row in found.packages:
        said, style = _FOUND[row.baseline]
        where = f"{row.tag or said} at {row.commit[:7]}" if row.commit else said
        cells = (row.name, str(row.declared or "-"), str(row.version or "-"), where, row.note)
        if row.baseline != "home":
            table.add_row(*(Text(cell) for cell in cells), style=style)
    label = f", label {found.label}" if found.label else ""
    lines = [Text(f"tag_format: {', '.join(found.tag_format)}{label}")]
    home = [row.name for row in found.packages if row.baseline == "home"]
    for what, those in (("not published", home), ("tags of no package", found.unexplained)):
        if those:
            more = f" and {len(those) - 5} more" if len(those) > 5 else ""  # noqa: PLR2004
            lines.append(Text(f"{what}: {', '.join(those[:5])}{more}", style="dim"))
    lines += [Text(f"--tag-baselines would tag {commit[:7]} as {tag}") for tag, commit in found.missing.items()]
    lines += [diff(change) for change in found.diffs.values()]
    return Group(table, *lines)


def diff(text: str) -> Text:
    """Colour a unified diff."""
    styles = {"+": "green", "-": "red", "@": "cyan"}
    return Text("\n").join(Text(line, style=styles.get(line[:1], "")) for line in text.splitlines())


_FOUND = {
    "tag": ("tag", "green"),
    "index": ("on the index, no tag; set", "yellow"),
    "first": ("never released", "cyan"),
    "unasked": ("no tag; no index was asked", "yellow"),
    "home": ("not published", "dim"),
}


def report_table(report: Report) -> RenderableType:
    """Draw what came of a release, with a panel for each package that is not out."""
    if not report.packages:
        return Text(report.title)
    table = Table("Package", "Version", "Outcome", "Tag", title=report.summary.splitlines()[0], title_justify="left")
    panels: list[RenderableType] = []
    for package in report.packages:
        icon, style = _OUTCOME[package.outcome]
        tag = package.tag if package.tag in report.tags else ""
        table.add_row(package.name, str(package.version), f"{icon} {package.outcome}", tag, style=style)
        if package.outcome is Outcome.FAILED:
            panels.append(_panel(package.error, package.output, package.hint))
        elif package.outcome is Outcome.BLOCKED:
            panels.append(Text(f"{package.name}: {package.error}", style="yellow"))
    remarks = [
        Text(remark, style="red" if remark in report.problems else "") for remark in (*report.problems, *report.notes)
    ]
    page = [Text(f"released: {report.page}")] if report.page else []
    return Group(table, *panels, *remarks, *page)


def rollback_table(found: Rollback) -> RenderableType:
    """Draw what is undone of a release, what stays, and how to go forward from there."""
    rows = [
        *(("tag", f"{name} here") for name in found.tags),
        *(("tag", f"{name} on the remote") for name in found.remote_tags),
        *([("hold", "the remote holds the release for other clones to see")] if found.held else []),
        ("record", f"release {found.release}: plan, manifest, files and scratch worktree"),
    ]
    table = Table("", "Removed" if found.done else "To be removed", title=found.summary, title_justify="left")
    for kind, what in rows:
        table.add_row(kind, Text(what))
    parts: list[RenderableType] = [table, *(Text(line, style="yellow") for line in (*found.kept, *found.notes))]
    return Group(*parts, *([_public_table(found)] if found.public else []))


def _public_table(found: Rollback) -> RenderableType:
    table = Table(
        "Stays on the index", "Next", "With it", "Yank it at", title="no index takes files back", title_justify="left"
    )
    for package in found.public:
        dependents = ", ".join(package.dependents)
        table.add_row(f"{package.name} {package.version}", str(package.next), dependents, Text(package.page))
    return Group(table, Text(found.forward, style="cyan"))


def waiting_table(runs: Sequence[tuple[str, str]]) -> RenderableType:
    """Draw the runs that wait for approval: name and id of each."""
    if not runs:
        return Text("no release waits for approval")
    table = Table("Waits for approval", "Run")
    for run in runs:
        table.add_row(*map(Text, run))
    return table


def members_table(workspace: Workspace) -> RenderableType:
    """Draw the members of a workspace."""
    table = Table("Package", "Path", "Version", "Published", "Needs")
    for member in workspace:
        needs = ", ".join(sorted(workspace.internal(member, Kind.RUNTIME, Kind.BUILD)))
        version = str(member.version or "") + (" (dynamic)" if member.dynamic else "")
        table.add_row(member.name, member.path, version, "yes" if member.publishable else "no", needs)
    return table


def settings_table(found: Configuration) -> RenderableType:
    """Draw each setting and where it comes from; those that somebody has set stand out."""
    table = Table("Key", "Value", "From")
    for row in found.settings:
        name = f"{row.key} of {row.package}" if row.package else row.key
        value = mask(json.dumps(row.value, ensure_ascii=False))
        table.add_row(name, Text(value), row.source, style="dim" if row.source == "default" else "green")
    return table


def findings_list(report: CheckReport) -> RenderableType:
    """Draw what was found, the worst first: for each check the places, whole at any width, and what to do."""
    lines: list[RenderableType] = []
    for (severity, check), found in groupby(report.findings, key=lambda each: (each.severity, each.check)):
        those = tuple(found)
        icon, style = _SEVERITY[severity]
        lines.append(Text(f"{icon} {severity} {check}", style=f"bold {style}"))
        told = [Text(f"{each.path}:{each.line}: {each.what}", style=style) for each in those]
        told += [Text(f"= help: {hint}", style="cyan") for hint in dict.fromkeys(each.hint for each in those)]
        lines += [Padding(line, (0, 0, 0, 3), expand=False) for line in told]
    return Group(*lines, Text(report.summary, style="" if report.findings else "green"))


def pins_table(rows: Sequence[tuple[str, str]]) -> RenderableType:
    """Draw what is on the index: each wheel with the internal requirements inside it."""
    if not rows:
        return ""
    table = Table("On the index", "Internal requirements in its METADATA", title_justify="left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def explain(error: ReleaseError) -> None:
    """Show an error: its code, what is wrong and where, what its command said, why that is one, and what to do next.

    In a JSON log it is one object like all others, with the parts as fields.
    """
    if as_json():
        parts = {"code": error.code, "what": error.what, "where": error.where, "hint": error.hint}
        log.error("%s", error, extra={**parts, "output": error.output})
        return
    console = _console(on_stderr=True)
    wrapped = console.is_terminal
    console.print(_error(error, console.width if wrapped else 10_000), soft_wrap=not wrapped)


def _error(error: ReleaseError, width: int) -> RenderableType:
    """Draw an error as compilers do; on a terminal of *width* columns its sentences are wrapped."""
    excerpt, said = error.excerpt, mask(error.output.strip()).splitlines()
    lines: list[RenderableType] = [
        Text.assemble(("error", "bold red"), (f": {error.code}", "bold"), f": {mask(error.what)}")
    ]
    if place := _place(error):
        lines.append(Text.assemble(("  --> ", "cyan"), place))
    if excerpt:
        above, line, below = (mask(each) for each in excerpt.drawn(width))
        lines += [Text(above, style="cyan"), Text(line), Text(below, style="bold red")]
    lines += [Text(f"  | {each}", style="dim") for each in said]
    for name, text in (("note", error.why), ("help", error.hint)):
        lines += _wrapped(f"  = {name}: ", mask(text), width)
    return Group(*lines)


def _place(error: ReleaseError) -> str:
    """Return where it is, as editors take it, and of what."""
    if not error.excerpt:
        return mask(error.where)
    table = error.where.partition(", ")[2] if error.where.startswith(error.excerpt.file) else f"({error.where})"
    return f"{error.excerpt.place} {table}".strip()


def _wrapped(head: str, text: str, width: int) -> list[Text]:
    """Return *text* beneath itself, to the right of *head*."""
    from textwrap import wrap

    pieces = wrap(text, max(width - len(head), 20), break_long_words=False, break_on_hyphens=False)
    first, *more = pieces or [""]
    return [Text.assemble((head, "cyan"), first), *(Text(" " * len(head) + piece) for piece in more)]


def _panel(what: str, output: str, hint: str) -> RenderableType:
    parts: list[RenderableType] = [Text(mask(what))]
    if output.strip():
        parts.append(Text(mask(output.strip()), style="dim"))
    parts.append(Text(f"help: {hint}", style="cyan"))
    return Panel(Group(*parts), title="error", border_style="red", title_align="left")


def _console(*, on_stderr: bool) -> Console:
    console = Console(stderr=on_stderr, highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = max(console.width, 200)  # nobody's window: don't cut what may be read by a program
    return console
