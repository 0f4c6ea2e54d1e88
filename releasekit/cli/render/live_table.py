"""What is watched while a release runs: a live table on a terminal, else one line a transition."""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.segment import Segment
from rich.text import Text

from releasekit.core.release.progress import Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from rich.console import Console, ConsoleOptions, RenderableType

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.progress import Row

log = logging.getLogger("releasekit.progress")


@contextmanager
def live(plan: Plan, settings: Settings, console: Console) -> Generator[LiveTable]:
    """Show a table of all packages inside the block; yield it as the observer that the release reports to.

    Warnings and errors are printed above the table.
    """
    table = LiveTable(plan, settings, console)
    with Live(get_renderable=table.drawn, console=console, transient=True), _above():
        yield table


@contextmanager
def _above() -> Generator[None]:
    """Print our log lines above the live table, which has taken standard error; those alone that it does not show."""
    logger = logging.getLogger("releasekit")
    handlers: list[Any] = [handler for handler in logger.handlers if handler.name == "releasekit"]  # on a stream
    before = [(handler, handler.level, handler.stream) for handler in handlers]
    for handler in handlers:
        handler.setStream(sys.stderr)
        if not logger.isEnabledFor(logging.DEBUG):
            handler.setLevel(max(handler.level, logging.WARNING))
    try:
        yield
    finally:
        for handler, level, stream in before:
            handler.setStream(stream)
            handler.setLevel(level)


_LOOK = {
    Stage.WAITING: ("⏳", "dim"),
    Stage.PINNING: ("🔧", ""),
    Stage.BUILDING: ("🔨", ""),
    Stage.VERIFYING: ("🔎", ""),
    Stage.BUILT: ("📦", "dim"),
    Stage.PROVING: ("🧪", ""),
    Stage.PROVEN: ("📦", "dim"),
    Stage.UPLOADING: ("📤", "cyan"),
    Stage.CONFIRMING: ("🔍", "cyan"),
    Stage.TESTING: ("🧪", "cyan"),
    Stage.PUBLISHED: ("✅", "green"),
    Stage.FAILED: ("❌", "red"),
    Stage.BLOCKED: ("⛔", "yellow"),
}
_BAR = 10
_AROUND = 8
"""Lines that are no rows: the header, the head of the table, the footer, and the one for the cursor."""
_ROWS, _ERRORS, _ERROR_LINES = 3, 2, 6
"""How many rows there must be room for, and how many packages' errors, and lines of each, are shown at most."""


class LiveTable:
    """An observer that can be drawn, never higher than the terminal is."""

    def __init__(self, plan: Plan, settings: Settings, console: Console) -> None:
        proof = settings.overlay == "install" and settings.smoke_test
        self.progress = Progress(plan.steps, smoke_test=settings.smoke_test, proof=proof)
        self._console = console
        self._builders = settings.build_concurrency or os.cpu_count() or 1
        self._uploaders = settings.concurrency
        levels = len({step.level for step in plan.steps})
        self._title = f"releasekit publish ─ {plan.title}: {_count(len(plan.steps), 'package')} across "
        self._title += _count(levels, "level")
        self._course = f" (concurrency: {settings.concurrency})"
        self._phase = "starting"
        self._began = time.monotonic()

    def on_phase(self, phase: str) -> None:
        """Show the phase in the footer."""
        self._phase = phase

    def on_stage(self, package: str, stage: Stage, error: str = "") -> None:
        """Show the stage in the package's row."""
        self.progress.move(package, stage, time.monotonic(), error)

    def drawn(self) -> RenderableType:
        """Draw how things stand now."""
        return self.frame(time.monotonic())

    def frame(self, now: float) -> RenderableType:
        """Draw how things stood at *now*, in as many lines as the terminal has."""
        failed = [row for row in self.progress.rows.values() if row.error][:_ERRORS]
        room = max(self._console.height - _AROUND, 1)
        lines = min((room - _ROWS) // max(len(failed), 1) - 2, _ERROR_LINES)  # of each panel, beside its frame
        errors = {row.name: row.error.splitlines()[-lines:] for row in failed if lines > 0}
        rows, hidden = self.progress.shown(max(room - sum(2 + len(said) for said in errors.values()), 1))
        table = _Rows([_cells(row, now) for row in rows], [_LOOK[row.stage][1] for row in rows])
        more = [Text(f"… and {hidden} more", style="dim")] if hidden else []
        whole = self._title + self._course
        fits = cell_len(whole) <= self._console.width - 4  # the frame, and a space beside it
        head = Panel(Text(whole if fits else self._title, no_wrap=True, overflow="ellipsis"))
        panels = [_error(name, said) for name, said in errors.items()]
        return Group(head, table, *more, *panels, self._foot(now))

    def _foot(self, now: float) -> RenderableType:
        counts = self.progress.counts()
        whole = len(self.progress.rows)
        parts = [f"{stage}: {count}" for stage, count in counts.items() if stage is not Stage.PUBLISHED]
        left = self.progress.eta(now, self._builders, self._uploaders)
        eta = "-" if left is None else f"~{_time(left)}"
        first = f"published: {counts.get(Stage.PUBLISHED, 0)}/{whole}"
        lines = (" │ ".join([first, *parts]), f"{self._phase} │ elapsed: {_time(now - self._began)} │ ETA: {eta}")
        return Text("\n".join(("", *lines)), no_wrap=True, overflow="ellipsis")


class _Rows:
    """The rows of the live table. Drawn four times a second, they must cost little: rich's own table takes 20 ms."""

    def __init__(self, cells: list[tuple[str, ...]], styles: list[str]) -> None:
        self._cells, self._styles = [_HEADS, *cells], ["bold", *styles]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        wide = [max(map(cell_len, column)) for column in zip(*self._cells, strict=True)]
        too_wide = sum(wide) + len(_GAP) * (len(wide) - 1) - options.max_width
        wide[_NAME] = max(wide[_NAME] - max(too_wide, 0), _SHORTEST)
        for cells, style in zip(self._cells, self._styles, strict=True):
            *left, last = map(set_cell_size, cells, wide)
            if cell_len(cells[_NAME]) > wide[_NAME]:
                left[_NAME] = set_cell_size(cells[_NAME], wide[_NAME] - 1) + "…"
            line = _GAP.join((*left, f"{cells[-1]:>{len(last)}}"))
            yield Segment(set_cell_size(line, min(cell_len(line), options.max_width)), console.get_style(style))
            yield Segment.line()


_HEADS = ("Level", "Package", "Stage", "Progress", "Duration")
_NAME, _SHORTEST, _GAP = 1, 8, "  "


def _cells(row: Row, now: float) -> tuple[str, ...]:
    filled, seconds = round(row.done * _BAR), row.seconds(now)
    bar = "█" * filled + "░" * (_BAR - filled)
    return (str(row.level), row.name, f"{_LOOK[row.stage][0]} {row.stage}", bar, f"{seconds:.1f}s" if seconds else "-")


def _error(name: str, lines: list[str]) -> RenderableType:
    text = Text("\n".join(lines), no_wrap=True, overflow="ellipsis")
    return Panel(text, title=f"{name} failed", title_align="left", style="red")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"
