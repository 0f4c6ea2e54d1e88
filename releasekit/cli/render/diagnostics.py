"""How errors and obstacles are printed."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from rich.text import Text

from releasekit.cli.render.terminal import make_console, show
from releasekit.core.planning.model import count_obstacles
from releasekit.integrations.process import mask
from releasekit.logging import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType

    from releasekit.core.errors import Excerpt, ReleaseError
    from releasekit.core.planning.model import Obstacle

log = logging.getLogger("releasekit")


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
    console = make_console(on_stderr=True)
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
