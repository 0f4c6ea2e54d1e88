"""The live table that a terminal shows during a release."""

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

from releasekit.core.release.progress import PackageStage, ReleaseProgress
from releasekit.core.text import count_as, count_packages

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from rich.console import Console, ConsoleOptions, RenderableType

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.progress import PackageProgress

log = logging.getLogger("releasekit.progress")


@contextmanager
def show_live_table(plan: Plan, settings: Settings, console: Console) -> Generator[LiveTable]:
    """Show a table of all packages inside the block; yield it as the observer of the release.

    Warnings and errors are printed above the table.
    """
    table = LiveTable(plan, settings, console)
    with (
        Live(get_renderable=table.current_frame, console=console, transient=True),
        _logs_above_table(),
    ):
        yield table


@contextmanager
def _logs_above_table() -> Generator[None]:
    """Print log lines above the live table, without those that the table shows itself.

    The live display replaces `sys.stderr`, so the handlers have to write to the new one.
    """
    logger = logging.getLogger("releasekit")
    handlers: list[Any] = [handler for handler in logger.handlers if handler.name == "releasekit"]
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


_STAGE_STYLES = {
    PackageStage.WAITING: ("⏳", "dim"),
    PackageStage.PINNING: ("🔧", ""),
    PackageStage.BUILDING: ("🔨", ""),
    PackageStage.VERIFYING: ("🔎", ""),
    PackageStage.BUILT: ("📦", "dim"),
    PackageStage.PROVING: ("🧪", ""),
    PackageStage.PROVEN: ("📦", "dim"),
    PackageStage.UPLOADING: ("📤", "cyan"),
    PackageStage.CONFIRMING: ("🔍", "cyan"),
    PackageStage.TESTING: ("🧪", "cyan"),
    PackageStage.PUBLISHED: ("✅", "green"),
    PackageStage.FAILED: ("❌", "red"),
    PackageStage.BLOCKED: ("⛔", "yellow"),
}
_BAR_WIDTH = 10
_FIXED_LINES = 8
"""Lines that are not rows: the title, the header of the table, the footer, and a line for the cursor."""
_FRAME_LINES = 2
"""Lines of the frame of a panel."""
_MIN_ROWS, _MAX_ERRORS, _MAX_ERROR_LINES = 3, 2, 6
"""The rows that always have room; at most so many packages' errors are shown, and so many lines of each."""


class LiveTable:
    """An observer that draws itself, never higher than the terminal."""

    def __init__(self, plan: Plan, settings: Settings, console: Console) -> None:
        proof = settings.overlay == "install" and settings.smoke_test
        self.progress = ReleaseProgress(plan.steps, smoke_test=settings.smoke_test, proof=proof)
        self._console = console
        self._builders = settings.build_concurrency or os.cpu_count() or 1
        self._uploaders = settings.concurrency
        levels = {step.level for step in plan.steps}
        title = f"releasekit publish ─ {plan.title}: {count_packages(plan.steps)}"
        with_levels = f"{title} across {count_as('level', levels)}"
        with_concurrency = f"{with_levels} (concurrency: {settings.concurrency})"
        self._titles = (with_concurrency, with_levels, title)
        others = [package for package in plan.packages if not package.is_released]
        self._skipped = [f"⏭ skipped: {len(others)}"] if others else []
        self._phase = "starting"
        self._started_at = time.monotonic()

    def on_phase(self, phase: str) -> None:
        """Show the phase in the footer."""
        self._phase = phase

    def on_stage(self, package: str, stage: PackageStage, error: str = "") -> None:
        """Show the stage in the package's row."""
        self.progress.set_stage(package, stage, time.monotonic(), error)

    def current_frame(self) -> RenderableType:
        """Draw the current state."""
        return self.frame(time.monotonic())

    def frame(self, now: float) -> RenderableType:
        """Draw the state at *now*, in seconds of the monotonic clock, in as many lines as the terminal has."""
        room = max(self._console.height - _FIXED_LINES, 1)
        errors = self._error_lines(room)
        error_height = sum(_FRAME_LINES + len(lines) for lines in errors.values())
        rows, hidden = self.progress.visible_packages(max(room - error_height, 1))
        cells = [_row_cells(row, now) for row in rows]
        styles = [_STAGE_STYLES[row.stage][1] for row in rows]
        more = [Text(f"… and {hidden} more", style="dim")] if hidden else []
        head = Panel(Text(self._longest_title(), no_wrap=True, overflow="ellipsis"))
        panels = [_error_panel(name, lines) for name, lines in errors.items()]
        return Group(head, _TableRows(cells, styles), *more, *panels, self._footer(now))

    def _error_lines(self, room: int) -> dict[str, list[str]]:
        """Return the last lines of the first errors, by package, in *room* lines for table and panels."""
        failed = [row for row in self.progress.packages.values() if row.error][:_MAX_ERRORS]
        panel_height = (room - _MIN_ROWS) // max(len(failed), 1)
        limit = min(panel_height - _FRAME_LINES, _MAX_ERROR_LINES)
        if limit <= 0:
            return {}
        return {row.name: row.error.splitlines()[-limit:] for row in failed}

    def _longest_title(self) -> str:
        """Return the longest title that fits the terminal; the shortest one if none fits."""
        width = self._console.width - 4  # the frame, and a space beside it
        fitting = (title for title in self._titles if cell_len(title) <= width)
        return next(fitting, self._titles[-1])

    def _footer(self, now: float) -> RenderableType:
        counts = self.progress.stage_counts()
        total = len(self.progress.packages)
        parts = [
            f"{stage}: {count}"
            for stage, count in counts.items()
            if stage is not PackageStage.PUBLISHED
        ]
        remaining = self.progress.eta(now, self._builders, self._uploaders)
        eta = "-" if remaining is None else f"~{_duration_text(remaining)}"
        first = f"published: {counts.get(PackageStage.PUBLISHED, 0)}/{total}"
        lines = (
            " │ ".join([first, *parts, *self._skipped]),
            f"{self._phase} │ elapsed: {_duration_text(now - self._started_at)} │ ETA: {eta}",
        )
        return Text("\n".join(("", *lines)), no_wrap=True, overflow="ellipsis")


class _TableRows:
    """The rows of the live table. They are drawn four times a second; rich's own table would take 20 ms each time."""

    def __init__(self, cells: list[tuple[str, ...]], styles: list[str]) -> None:
        self._cells, self._styles = [_HEADERS, *cells], ["bold", *styles]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        widths = [max(map(cell_len, column)) for column in zip(*self._cells, strict=True)]
        excess = sum(widths) + len(_GAP) * (len(widths) - 1) - options.max_width
        widths[_NAME_COLUMN] = max(widths[_NAME_COLUMN] - max(excess, 0), _MIN_NAME_WIDTH)
        for cells, style in zip(self._cells, self._styles, strict=True):
            *left, last = map(set_cell_size, cells, widths)
            if cell_len(cells[_NAME_COLUMN]) > widths[_NAME_COLUMN]:
                left[_NAME_COLUMN] = (
                    set_cell_size(cells[_NAME_COLUMN], widths[_NAME_COLUMN] - 1) + "…"
                )
            line = _GAP.join((*left, f"{cells[-1]:>{len(last)}}"))
            yield Segment(
                set_cell_size(line, min(cell_len(line), options.max_width)),
                console.get_style(style),
            )
            yield Segment.line()


_HEADERS = ("Level", "Package", "Stage", "Progress", "Duration")
_NAME_COLUMN, _MIN_NAME_WIDTH, _GAP = 1, 8, "  "


def _row_cells(row: PackageProgress, now: float) -> tuple[str, ...]:
    icon, _ = _STAGE_STYLES[row.stage]
    filled = round(row.fraction * _BAR_WIDTH)
    bar = "█" * filled + "░" * (_BAR_WIDTH - filled)
    seconds = row.total_seconds(now)
    duration = f"{seconds:.1f}s" if seconds else "-"
    return (str(row.level), row.name, f"{icon} {row.stage}", bar, duration)


def _error_panel(name: str, lines: list[str]) -> RenderableType:
    text = Text("\n".join(lines), no_wrap=True, overflow="ellipsis")
    return Panel(text, title=f"{name} failed", title_align="left", style="red")


def _duration_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"
