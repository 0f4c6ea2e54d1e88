"""Tables that fit the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Self

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

    def __init__(
        self, *headers: str, title: str = "", droppable: Sequence[str] = (), wraps: bool = True
    ) -> None:
        self._headers, self._title, self._droppable, self._wraps = headers, title, droppable, wraps
        self._rows: list[tuple[tuple[str, ...], str]] = []

    def add(self, *cells: object, style: str = "") -> None:
        """Add a row. It has one cell for each header."""
        self._rows.append((tuple(map(str, cells)), style))

    def add_rows(self, rows: Iterable[Sequence[object]]) -> Self:
        """Add rows without a style; return the table."""
        for cells in rows:
            self.add(*cells)
        return self

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        if self._title:
            yield Text(self._title, style="bold")
        if self._rows:
            yield from self._render(console, options.max_width)

    def _render(self, console: Console, width: int) -> Iterator[Text]:
        widths = [self._column_width(column) for column in range(len(self._headers))]
        layout = _Layout(widths, self._headers)
        last = layout.last
        preferred = min(widths[last], _PREFERRED_WIDTH)
        for header in self._droppable:
            if layout.total_width() + preferred > width:
                layout.columns.remove(self._headers.index(header))
        room = width - layout.total_width()
        if room >= self._min_last_width(widths[last]):
            yield from self._render_columns(console, layout, room)
        elif layout.total_width() - len(_GAP) <= width:
            yield from self._render_last_below(console, layout, width)
        else:
            for cells, style in self._rows:
                yield from self._render_stacked(
                    console, [*layout.columns, last], cells, style, width
                )

    def _column_width(self, column: int) -> int:
        lines = "\n".join(self._column_texts(column)).splitlines()
        return _max_width(lines)

    def _column_texts(self, column: int) -> list[str]:
        """Return the header and the cells of *column*."""
        return [self._headers[column], *(cells[column] for cells, _ in self._rows)]

    def _min_last_width(self, width: int) -> int:
        """Return the smallest width at which the last column, *width* wide, stays beside the others."""
        least = _MIN_WIDTH
        if self._wraps:
            words = " ".join(self._column_texts(-1)).split()
            least = max(least, _max_width(words))
        return min(width, least)

    def _render_columns(self, console: Console, layout: _Layout, room: int) -> Iterator[Text]:
        """Yield all columns side by side; the last one has *room* columns."""
        for cells, style in [(self._headers, "bold"), *self._rows]:
            yield from self._render_cell(console, layout.pad_cells(cells), cells[-1], room, style)

    def _render_last_below(self, console: Console, layout: _Layout, width: int) -> Iterator[Text]:
        """Yield the columns side by side, and the last one below them, without its header."""
        yield Text(layout.pad_cells(self._headers).rstrip(), style="bold")
        for cells, style in self._rows:
            yield Text(layout.pad_cells(cells).rstrip(), style=style)
            yield from self._render_below(console, cells[-1], width, style)

    def _render_stacked(
        self, console: Console, columns: Sequence[int], cells: Sequence[str], style: str, width: int
    ) -> Iterator[Text]:
        """Yield the first cell, then the others below it, each with its header, if columns do not fit."""
        head_length = 1 if self._headers[0] else 2  # an icon stands before the name
        head, rest = columns[:head_length], columns[head_length:-1]
        head_text = " ".join(cells[column] for column in head)
        yield Text(head_text.rstrip(), style=style, overflow="fold")
        labelled = [f"{self._headers[column]} {cells[column]}" for column in rest if cells[column]]
        yield from _render_details(console, _GAP.join(labelled), width, style)
        last = cells[-1]
        if last and self._wraps:
            last = f"{self._headers[-1]} {last}"
        yield from self._render_below(console, last, width, style)

    def _render_below(self, console: Console, cell: str, width: int, style: str) -> Iterator[Text]:
        """Yield *cell* indented below its row, unless it is empty."""
        if cell:
            yield from self._render_cell(console, _INDENT, cell, width - len(_INDENT), style)

    def _render_cell(
        self, console: Console, before: str, cell: str, room: int, style: str
    ) -> Iterator[Text]:
        """Yield *before* and to its right *cell*, wrapped or shortened to *room* columns."""
        if not self._wraps:
            text = Text(" ".join(cell.splitlines()))
            text.truncate(max(room, 1), overflow="ellipsis")
            yield Text((before + text.plain).rstrip(), style=style, no_wrap=True, overflow="ignore")
            return
        start = before
        for line in Text(cell).wrap(console, max(room, 1)):
            yield Text((start + line.plain).rstrip(), style=style, no_wrap=True, overflow="ignore")
            start = " " * cell_len(before)


def _render_details(console: Console, details: str, width: int, style: str) -> Iterator[Text]:
    """Yield *details* indented and wrapped, unless they are empty."""
    if not details:
        return
    room = width - len(_INDENT)
    for line in Text(details).wrap(console, room):
        yield Text(f"{_INDENT}{line.plain.rstrip()}", style=style)


def _max_width(texts: Iterable[str]) -> int:
    return max(map(cell_len, texts), default=0)


class _Layout:
    """The *columns* beside the last one, each with its width and the gap after it."""

    def __init__(self, widths: Sequence[int], headers: Sequence[str]) -> None:
        self._widths = widths
        # Columns without a header are icons.
        self._gaps = [_GAP if header else " " for header in headers]
        *self.columns, self.last = range(len(headers))

    def total_width(self) -> int:
        """Return the width of the columns with their gaps."""
        widths = [self._widths[column] + len(self._gaps[column]) for column in self.columns]
        return sum(widths)

    def pad_cells(self, cells: Sequence[str]) -> str:
        """Return a row, in which each cell is as wide as its column."""
        text = ""
        for column in self.columns:
            padding = " " * (self._widths[column] - cell_len(cells[column]))
            text += f"{cells[column]}{padding}{self._gaps[column]}"
        return text


class Indented:
    """A text that is indented by *columns* and wrapped, without the spaces that rich would add at the end of lines."""

    def __init__(self, text: Text, columns: int) -> None:
        self._text, self._columns = text, columns

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        room = max(options.max_width - self._columns, 1)
        for line in self._text.wrap(console, room):
            line.rstrip()
            yield Text(" " * self._columns).append_text(line)
