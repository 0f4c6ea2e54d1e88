"""Standard output and standard error."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console
from rich.text import Text

from releasekit.cli.render.encoding import ascii_json, can_encode
from releasekit.logging import is_json_log, logged_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager

    from pydantic import BaseModel
    from rich.console import RenderableType

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.observer import Observer

log = logging.getLogger("releasekit")


def write_stdout(text: str) -> None:
    """Print the output of a command."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def write_json(text: str) -> None:
    """Print the JSON *text*; an object with its `warnings`, to which those are added that were only logged.

    It has escapes if the encoding of standard output lacks some of its characters.
    """
    document: Any = json.loads(text)
    if isinstance(document, dict):
        document = _with_warnings(cast("dict[str, Any]", document))
    whole_text = json.dumps(document, indent=1, ensure_ascii=False)
    write_stdout(whole_text if can_encode(whole_text) else ascii_json(whole_text))


def _with_warnings(document: dict[str, Any]) -> dict[str, Any]:
    warnings = list(dict.fromkeys([*document.get("warnings", []), *logged_warnings()]))
    head = {"schema": document["schema"], "warnings": warnings}
    return head | document | head


def print_parts(*parts: RenderableType, on_stderr: bool = False) -> None:
    """Print *parts*. Lines are not wrapped if the output is not a terminal.

    With JSON logs, parts on standard error become one log line.
    """
    console = make_console(on_stderr=on_stderr)
    if on_stderr and is_json_log():
        with console.capture() as capture:
            console.print(*parts)
        log.info("%s", capture.get())
        return
    for part in parts:
        console.print(part)


def write_result(
    output_format: str, value: BaseModel, *parts: RenderableType, **texts: Callable[[], str]
) -> None:
    """Print *value* in *output_format*: the text in *texts* of that name, else for "json" *value*, else *parts*."""
    if output_format == "json":
        text = texts.get("json", partial(value.model_dump_json, indent=1))
        write_json(text())
    elif output_format in texts:
        write_stdout(texts[output_format]())
    else:
        print_parts(*filter(None, parts))


def show_live_table(plan: Plan, settings: Settings) -> AbstractContextManager[Observer]:
    """Show the progress of *plan* on the terminal inside the block; yield the observer to report to."""
    from releasekit.cli.render import live_table

    return live_table.show_live_table(plan, settings, make_console(on_stderr=True))


def confirm(question: str) -> bool:
    """Ask on the terminal; return False if there is no answer."""
    from rich.prompt import Confirm

    with _interruptible(), suppress(EOFError):
        return Confirm.ask(question, console=make_console(on_stderr=True), default=False)
    return False


@contextmanager
def _interruptible() -> Generator[None]:
    """Let Ctrl-C end a question inside the block."""
    # asyncio handles the first Ctrl-C in the next step of its loop, and the loop has no step while we wait here.
    previous_handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous_handler)


def ask(question: str, default: str = "", choices: Sequence[str] = ()) -> str:
    """Ask for a text on the terminal; return *default* if there is no answer, and "" without a terminal."""
    from rich.prompt import Prompt

    if not is_terminal():
        return ""

    options = list(choices) or None
    with _interruptible(), suppress(EOFError):
        return Prompt.ask(
            Text(question), console=make_console(on_stderr=True), default=default, choices=options
        )
    return default


def is_terminal() -> bool:
    """Return whether somebody can answer at a terminal; with JSON logs, the reader is a program."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not is_json_log()


def make_console(*, on_stderr: bool) -> Console:
    """Return a rich console for standard output or standard error."""
    console = Console(stderr=on_stderr, highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _UNLIMITED_WIDTH  # a program may read it, so no line is cut or wrapped
    return console


_UNLIMITED_WIDTH = 100_000
