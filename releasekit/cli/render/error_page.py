"""How `releasekit explain` shows an error."""

from __future__ import annotations

import sys
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console, ConsoleOptions, RenderableType

    from releasekit.core.error_pages import ErrorPage

_WIDEST_TEXT = 100
_MIN_ROOM = 20
_INDENT = "  "


class ErrorPageView:
    """An error with its causes, an example, the next step and links; sentences are wrapped only on a terminal."""

    def __init__(self, page: ErrorPage) -> None:
        self._page = page

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        width = min(options.max_width, _WIDEST_TEXT) if options.is_terminal else sys.maxsize
        page = self._page
        yield Text(page.code, style="bold red")
        yield from _wrap("", page.info.meaning, width)
        yield from _heading("Causes")
        for cause in page.causes:
            yield from _wrap(f"{_INDENT}- ", cause, width)
        yield from _heading("Example")
        yield from (Text(f"{_INDENT}{line}", style="cyan") for line in page.example.splitlines())
        yield from _heading("What to do")
        yield from _wrap(_INDENT, page.info.hint, width)
        yield from _heading("More")
        yield from (Text(f"{_INDENT}{link}") for link in page.links)


def _heading(title: str) -> Iterable[Text]:
    return Text(), Text(title, style="bold")


def _wrap(head: str, text: str, width: int) -> Iterator[Text]:
    """Yield the lines of *text*, all of them to the right of *head*."""
    lines = wrap(
        text,
        width=max(width, len(head) + _MIN_ROOM),
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return map(Text, lines)
