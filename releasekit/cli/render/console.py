"""What a person sees: the answer on standard output, everything else on standard error."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from itertools import groupby
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, Group
from rich.text import Text

from releasekit.core.planning.model import Status, count_obstacles
from releasekit.core.release.report import Outcome
from releasekit.core.text import counted, some
from releasekit.core.workspace.workspace import Kind
from releasekit.integrations.process import mask
from releasekit.logging import as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from pydantic import BaseModel
    from rich.console import ConsoleOptions, RenderableType

    from releasekit.core.adoption import Adoption
    from releasekit.core.checks.facts import CheckReport
    from releasekit.core.config.settings import Settings
    from releasekit.core.errors import Excerpt, ReleaseError
    from releasekit.core.planning.model import Obstacle, Plan
    from releasekit.core.planning.plan_diff import Difference
    from releasekit.core.release.observer import Observer
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


def answer_with(form: str, value: BaseModel, *drawn: RenderableType, **texts: Callable[[], str]) -> None:
    """Print *value* as JSON if that is the *form*, or the one of *texts* by that name, else what is *drawn* of it."""
    if form in texts:
        answer(texts[form]())
    elif form == "json":
        answer(value.model_dump_json(indent=1))
    else:
        show(*(part for part in drawn if part))


def live(plan: Plan, settings: Settings) -> AbstractContextManager[Observer]:
    """Show on the terminal how *plan* is carried out, inside the block; yield the observer to report to."""
    from releasekit.cli.render import live_table

    return live_table.live(plan, settings, _console(on_stderr=True))


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


class Sheet:
    """A table without lines, of which nothing is cut but the reasons: the last column, and that only where it must be.

    Where it is narrow, first the columns in *spare* go, which are nice to have; then the last column gets a line of its
    own below each row; then the rest of a row does too. What is not a reason is not shortened but wrapped (*wraps*).
    """

    def __init__(self, *heads: str, title: str = "", spare: Sequence[str] = (), wraps: bool = True) -> None:
        self._heads, self._title, self._spare, self._wraps = heads, title, spare, wraps
        self._rows: list[tuple[tuple[str, ...], str]] = []

    def add(self, *cells: object, style: str = "") -> None:
        """Add a row of as many cells as there are heads."""
        self._rows.append((tuple(map(str, cells)), style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if self._title:
            yield Text(self._title, style="bold")
        if self._rows:
            yield from self._drawn(console, options.max_width)

    def _drawn(self, console: Console, width: int) -> Iterator[Text]:
        table = [(self._heads, "bold"), *self._rows]
        lines = ([line for cells, _ in table for line in cells[at].splitlines()] for at in range(len(self._heads)))
        wide = [max(map(cell_len, column), default=0) for column in lines]
        gaps = [_GAP if head else " " for head in self._heads]  # those without a head are icons
        *kept, last = range(len(self._heads))
        for head in self._spare:
            if _taken(wide, gaps, kept) + min(wide[last], _WANTED) > width:
                kept.remove(self._heads.index(head))
        room = width - _taken(wide, gaps, kept)
        words = (word for cells, _ in table for word in cells[last].split()) if self._wraps else ()
        if room >= min(wide[last], max(_LEAST, *map(cell_len, words), 0)):
            for cells, style in table:
                yield from self._cell(console, _padded(cells, wide, gaps, kept), cells[last], room, style)
        elif _taken(wide, gaps, kept) - len(_GAP) <= width:
            for number, (cells, style) in enumerate(table):
                yield Text(_padded(cells, wide, gaps, kept).rstrip(), style=style)
                if number and cells[last]:
                    yield from self._cell(console, _INDENT, cells[last], width - len(_INDENT), style)
        else:
            for cells, style in self._rows:
                yield from self._stacked(console, [*kept, last], cells, style, width)

    def _stacked(
        self, console: Console, shown: Sequence[int], cells: Sequence[str], style: str, width: int
    ) -> Iterator[Text]:
        """Yield what it is, then the rest below it, each cell with its head: no column stands under one."""
        icon, room = 0 if self._heads[0] else 1, width - len(_INDENT)
        yield Text(" ".join(cells[at] for at in shown[: icon + 1]).rstrip(), style=style, overflow="fold")
        rest = [f"{self._heads[at]} {cells[at]}" for at in shown[icon + 1 : -1] if cells[at]]
        for line in Text(_GAP.join(rest)).wrap(console, room) if rest else ():
            yield Text(f"{_INDENT}{line.plain.rstrip()}", style=style)
        if last := cells[-1]:
            told = f"{self._heads[-1]} {last}" if self._wraps else last
            yield from self._cell(console, _INDENT, told, room, style)

    def _cell(self, console: Console, before: str, cell: str, room: int, style: str) -> Iterator[Text]:
        """Yield *before* and the last *cell* in the *room* beside it: wrapped below itself, or shortened."""
        if not self._wraps:
            text = Text(" ".join(cell.splitlines()))
            text.truncate(max(room, 1), overflow="ellipsis")
            yield Text((before + text.plain).rstrip(), style=style, no_wrap=True, overflow="ignore")
            return
        for number, line in enumerate(Text(cell).wrap(console, max(room, 1)) or [Text("")]):
            start = before if not number else " " * cell_len(before)
            yield Text((start + line.plain).rstrip(), style=style, no_wrap=True, overflow="ignore")


def _padded(cells: Sequence[str], wide: Sequence[int], gaps: Sequence[str], columns: Sequence[int]) -> str:
    return "".join(f"{cells[at]}{' ' * (wide[at] - cell_len(cells[at]))}{gaps[at]}" for at in columns)


def _taken(wide: Sequence[int], gaps: Sequence[str], columns: Sequence[int]) -> int:
    """Return how much room *columns* take, each with the gap behind it."""
    return sum(wide[at] + len(gaps[at]) for at in columns)


_GAP, _INDENT = "  ", "     "
_WANTED, _LEAST = 48, 24
"""How wide the last column should be, for which spare ones go; and at least, or it goes below."""


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


class Indented:
    """A text some columns to the right, whole at any width, and without the spaces that rich would fill it up with."""

    def __init__(self, text: Text, columns: int) -> None:
        self._text, self._columns = text, columns

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        for line in self._text.wrap(console, max(options.max_width - self._columns, 1)):
            line.rstrip()
            yield Text(" " * self._columns).append_text(line)


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


def explain(error: ReleaseError) -> None:
    """Show an error: its code, what is wrong and where, what its command said, why that is one, and what to do next.

    In a JSON log it is one object like all others, with the parts as fields.
    """
    if as_json():
        parts = {"code": error.code, "what": error.what, "where": error.where, "hint": error.hint}
        log.error("%s", error, extra={**parts, "output": error.output})
        return
    what = f"{error.code}: {error.what}"
    problem = Problem(what, error.output, error.hint, place=_place(error), excerpt=error.excerpt, why=error.why)
    console = _console(on_stderr=True)
    console.print(problem, soft_wrap=not console.is_terminal)


def explain_all(obstacles: Sequence[Obstacle], so: str) -> None:
    """Show *obstacles* as errors are shown, then how many there are and what follows: "2 obstacles: *so*"."""
    for obstacle in obstacles:
        explain(obstacle.as_refusal())
    if obstacles:
        show(Text(f"{count_obstacles(obstacles)}: {so}", style="bold red"), on_stderr=True)


class Problem:
    """What went wrong, as compilers show it; on a terminal its sentences are wrapped. Secrets are masked.

    *place* is where, *excerpt* the line that is meant, *output* what a command said, *why* what the catalogue says.
    """

    def __init__(
        self, what: str, output: str, hint: str, *, place: str = "", excerpt: Excerpt | None = None, why: str = ""
    ) -> None:
        self._what, self._output, self._place, self._excerpt = what, output, place, excerpt
        self._rest = {"note": why, "help": hint}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        width = options.max_width if options.is_terminal else sys.maxsize
        yield Text.assemble(("error", "bold red"), f": {mask(self._what)}")
        if self._place:
            yield Text.assemble(("  --> ", "cyan"), mask(self._place))
        if self._excerpt:
            above, line, below = (mask(each) for each in self._excerpt.drawn(width))
            yield from (Text(above, style="cyan"), Text(line), Text(below, style="bold red"))
        yield from (Text(f"  | {each}", style="dim") for each in mask(self._output.strip()).splitlines())
        for name, text in self._rest.items():
            yield from _wrapped(f"  = {name}: ", mask(text), width) if text else ()


def _place(error: ReleaseError) -> str:
    """Return where it is, as editors take it, and of what."""
    if not error.excerpt:
        return error.where
    table = error.where.partition(", ")[2] if error.where.startswith(error.excerpt.file) else f"({error.where})"
    return f"{error.excerpt.place} {table}".strip()


def _wrapped(head: str, text: str, width: int) -> list[Text]:
    """Return *text* beneath itself, to the right of *head*."""
    from textwrap import wrap

    pieces = wrap(text, max(width - len(head), 20), break_long_words=False, break_on_hyphens=False)
    first, *more = pieces or [""]
    return [Text.assemble((head, "cyan"), first), *(Text(" " * len(head) + piece) for piece in more)]


def _console(*, on_stderr: bool) -> Console:
    console = Console(stderr=on_stderr, highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _NO_WINDOW  # nothing is cut or broken that may be read by a program
    return console


_NO_WINDOW = 100_000
