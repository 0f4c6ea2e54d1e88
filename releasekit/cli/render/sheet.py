"""Tables that fit the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType


_GAP, _INDENT = "  ", "     "

_PREFERRED_WIDTH, _MIN_WIDTH = 48, 24
"""Columns of the last column: droppable columns are left out for the first; below the second it moves below the row."""


class ResponsiveTable:
    """A table without lines that fits the width of the terminal.

    On a narrow terminal, the *droppable* columns are left out first. Next, the last column moves to a separate line
    below each row. Last, the other columns do too. The last column is wrapped, or without *wraps* shortened. Nothing
    else is shortened.
    """

    def __init__(self, *headers: str, title: str = "", droppable: Sequence[str] = (), wraps: bool = True) -> None:
        self._headers, self._title, self._droppable, self._wraps = headers, title, droppable, wraps
        self._rows: list[tuple[tuple[str, ...], str]] = []

    def add(self, *cells: object, style: str = "") -> None:
        """Add a row. It has one cell for each header."""
        self._rows.append((tuple(map(str, cells)), style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if self._title:
            yield Text(self._title, style="bold")
        if self._rows:
            yield from self._render(console, options.max_width)

    def _render(self, console: Console, width: int) -> Iterator[Text]:
        table = [(self._headers, "bold"), *self._rows]
        lines = ([line for cells, _ in table for line in cells[at].splitlines()] for at in range(len(self._headers)))
        widths = [max(map(cell_len, column), default=0) for column in lines]
        gaps = [_GAP if header else " " for header in self._headers]  # columns without a header are icons
        *columns, last = range(len(self._headers))
        for header in self._droppable:
            if _total_width(widths, gaps, columns) + min(widths[last], _PREFERRED_WIDTH) > width:
                columns.remove(self._headers.index(header))
        room = width - _total_width(widths, gaps, columns)
        words = (word for cells, _ in table for word in cells[last].split()) if self._wraps else ()
        if room >= min(widths[last], max(_MIN_WIDTH, *map(cell_len, words), 0)):
            for cells, style in table:
                yield from self._render_cell(
                    console, _pad_cells(cells, widths, gaps, columns), cells[last], room, style
                )
        elif _total_width(widths, gaps, columns) - len(_GAP) <= width:
            for number, (cells, style) in enumerate(table):
                yield Text(_pad_cells(cells, widths, gaps, columns).rstrip(), style=style)
                if number and cells[last]:
                    yield from self._render_cell(console, _INDENT, cells[last], width - len(_INDENT), style)
        else:
            for cells, style in self._rows:
                yield from self._render_stacked(console, [*columns, last], cells, style, width)

    def _render_stacked(
        self, console: Console, columns: Sequence[int], cells: Sequence[str], style: str, width: int
    ) -> Iterator[Text]:
        """Yield the first cell, then the others below it, each with its header, if columns do not fit."""
        icon, room = 0 if self._headers[0] else 1, width - len(_INDENT)
        yield Text(" ".join(cells[at] for at in columns[: icon + 1]).rstrip(), style=style, overflow="fold")
        rest = [f"{self._headers[at]} {cells[at]}" for at in columns[icon + 1 : -1] if cells[at]]
        for line in Text(_GAP.join(rest)).wrap(console, room) if rest else ():
            yield Text(f"{_INDENT}{line.plain.rstrip()}", style=style)
        if last := cells[-1]:
            cell = f"{self._headers[-1]} {last}" if self._wraps else last
            yield from self._render_cell(console, _INDENT, cell, room, style)

    def _render_cell(self, console: Console, before: str, cell: str, room: int, style: str) -> Iterator[Text]:
        """Yield *before* and to its right *cell*, wrapped or shortened to *room* columns."""
        if not self._wraps:
            text = Text(" ".join(cell.splitlines()))
            text.truncate(max(room, 1), overflow="ellipsis")
            yield Text((before + text.plain).rstrip(), style=style, no_wrap=True, overflow="ignore")
            return
        for number, line in enumerate(Text(cell).wrap(console, max(room, 1)) or [Text("")]):
            start = before if not number else " " * cell_len(before)
            yield Text((start + line.plain).rstrip(), style=style, no_wrap=True, overflow="ignore")


def _pad_cells(cells: Sequence[str], widths: Sequence[int], gaps: Sequence[str], columns: Sequence[int]) -> str:
    return "".join(f"{cells[at]}{' ' * (widths[at] - cell_len(cells[at]))}{gaps[at]}" for at in columns)


def _total_width(widths: Sequence[int], gaps: Sequence[str], columns: Sequence[int]) -> int:
    """Return the width of *columns*, each with the gap after it."""
    return sum(widths[at] + len(gaps[at]) for at in columns)


class Indented:
    """A text that is indented by *columns* and wrapped, without the spaces that rich would add at the end of lines."""

    def __init__(self, text: Text, columns: int) -> None:
        self._text, self._columns = text, columns

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        for line in self._text.wrap(console, max(options.max_width - self._columns, 1)):
            line.rstrip()
            yield Text(" " * self._columns).append_text(line)
