"""Standard output and standard error."""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from releasekit.logging import is_json_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from pydantic import BaseModel
    from rich.console import RenderableType

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.observer import Observer

log = logging.getLogger("releasekit")


def write_stdout(text: str) -> None:
    """Print the answer of a command."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def print_parts(*parts: RenderableType, on_stderr: bool = False) -> None:
    """Draw *parts*; one that is piped has room for long lines.

    Where log lines are JSON, what would go beside them is one of them.
    """
    console = make_console(on_stderr=on_stderr)
    if on_stderr and is_json_log():
        with console.capture() as capture:
            console.print(*parts)
        log.info("%s", capture.get())
        return
    for part in parts:
        console.print(part)


def write_result(output_format: str, value: BaseModel, *parts: RenderableType, **texts: Callable[[], str]) -> None:
    """Print *value* in *output_format*: as JSON, as the one of *texts* with that name, or as *parts*."""
    if output_format in texts:
        write_stdout(texts[output_format]())
    elif output_format == "json":
        write_stdout(value.model_dump_json(indent=1))
    else:
        print_parts(*(part for part in parts if part))


def show_live_table(plan: Plan, settings: Settings) -> AbstractContextManager[Observer]:
    """Show on the terminal how *plan* is carried out, inside the block; yield the observer to report to."""
    from releasekit.cli.render import live_table

    return live_table.show_live_table(plan, settings, make_console(on_stderr=True))


def confirm(question: str) -> bool:
    """Ask on the terminal; no answer is a no."""
    from rich.prompt import Confirm

    # Inside a loop asyncio keeps the first Ctrl-C for its next step, and nobody takes one while we wait here.
    previous_handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return Confirm.ask(question, console=make_console(on_stderr=True), default=False)
    except EOFError:
        return False
    finally:
        signal.signal(signal.SIGINT, previous_handler)


def is_terminal() -> bool:
    """Tell whether somebody is there to answer; a JSON log is for programs."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not is_json_log()


def make_console(*, on_stderr: bool) -> Console:
    """Return the console of rich that writes to standard output or standard error."""
    console = Console(stderr=on_stderr, highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _UNLIMITED_WIDTH  # nothing is cut or broken that may be read by a program
    return console


_UNLIMITED_WIDTH = 100_000
