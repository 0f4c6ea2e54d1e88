"""Print errors and obstacles."""

from __future__ import annotations

import logging
import sys
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from rich.text import Text

from releasekit.cli.render.terminal import make_console, print_parts
from releasekit.core.planning.model import calm_obstacles, count_obstacles
from releasekit.integrations.process import mask
from releasekit.logging import is_json_log, is_verbose

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType

    from releasekit.core.errors import Excerpt, ReleaseError
    from releasekit.core.planning.model import Obstacle

log = logging.getLogger("releasekit")


def print_error(error: ReleaseError, *, with_remarks: bool = True) -> None:
    """Print an error: its code, message and location, the output of its command, its meaning, and what to do next.

    Without remarks, its meaning and what to do next are left out. In a JSON log, it is one object with all parts as
    fields.
    """
    if is_json_log():
        parts = {
            "code": error.code,
            "what": error.message,
            "where": error.location,
            "hint": error.hint,
        }
        log.error("%s", error, extra={**parts, "output": error.output})
        return
    message = f"{error.code}: {error.message}"
    diagnostic = Diagnostic(
        message,
        error.output,
        error.hint if with_remarks else "",
        location=_error_location(error),
        excerpt=error.excerpt,
        why=error.meaning if with_remarks else "",
    )
    console = make_console(on_stderr=True)
    console.print(diagnostic, soft_wrap=not console.is_terminal)


def print_obstacles(obstacles: Sequence[Obstacle], consequence: str) -> None:
    """Print *obstacles* like errors, then their number and the consequence: "2 obstacles: *consequence*".

    Many that are similar are printed once, and so is what to do about several that follow each other.
    """
    shown = calm_obstacles(obstacles, verbose=is_verbose() or is_json_log())
    for _, alike in groupby(shown, key=attrgetter("code", "hint")):
        *others, last = (obstacle.as_refusal() for obstacle in alike)
        for error in others:
            print_error(error, with_remarks=False)
        print_error(last)
    if obstacles:
        print_parts(
            Text(f"{count_obstacles(obstacles)}: {consequence}", style="bold red"), on_stderr=True
        )


class Diagnostic:
    """An error in the layout that compilers use; on a terminal its sentences are wrapped. Secrets are masked.

    *output* is what a command printed, *hint* what to do, *location* where the error is, *excerpt* the line with the
    error, and *why* the meaning of its code.
    """

    def __init__(
        self,
        message: str,
        output: str,
        hint: str,
        *,
        location: str = "",
        excerpt: Excerpt | None = None,
        why: str = "",
    ) -> None:
        self._message, self._output, self._location, self._excerpt = (
            message,
            output,
            location,
            excerpt,
        )
        self._remarks = {"note": why, "help": hint}

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        width = options.max_width if options.is_terminal else sys.maxsize
        yield Text.assemble(("error", "bold red"), f": {mask(self._message)}")
        if self._location:
            yield Text.assemble(("  --> ", "cyan"), mask(self._location))
        if self._excerpt:
            above, line, below = map(mask, self._excerpt.render(width))
            yield Text(above, style="cyan")
            yield Text(line)
            yield Text(below, style="bold red")
        output = mask(self._output.strip())
        for line in output.splitlines():
            yield Text(f"  | {line}", style="dim")
        for name, text in self._remarks.items():
            if text:
                yield from _wrap_text(f"  = {name}: ", mask(text), width)


def _error_location(error: ReleaseError) -> str:
    """Return the location in the form that editors open, FILE:LINE:COLUMN, and what is there."""
    location, excerpt = error.location, error.excerpt
    if not excerpt:
        return location
    if location.startswith(excerpt.file):
        _, _, table = location.partition(", ")
    else:
        table = f"({location})"
    return f"{excerpt.position} {table}".strip()


def _wrap_text(head: str, text: str, width: int) -> list[Text]:
    """Return the lines of *head* and *text*; *text* is wrapped at *width* and stays to the right of *head*."""
    from textwrap import wrap

    room = max(width - len(head), 20)
    pieces = wrap(text, room, break_long_words=False, break_on_hyphens=False)
    first, *more = pieces or [""]
    indent = " " * len(head)
    following = [Text(indent + piece) for piece in more]
    return [Text.assemble((head, "cyan"), first), *following]
