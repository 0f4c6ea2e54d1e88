"""Show on standard error what is waited for, if it takes long."""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import contextmanager
from itertools import cycle
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING, TextIO

from releasekit.integrations.waits import WAITS
from releasekit.logging import is_json_log, is_verbose

if TYPE_CHECKING:
    from collections.abc import Generator

    from releasekit.integrations.waits import Waits

log = logging.getLogger("releasekit")

TERMINAL_PATIENCE = 1.0
"""Seconds after which a terminal shows a wait."""
PIPE_PATIENCE = 5.0
"""Seconds after which a line is logged where nobody watches. Shorter waits would fill the log of a CI job."""
_FRAME_SECONDS = 0.1
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII_FRAMES = "|/-\\"
_CLEAR_LINE = "\r\x1b[2K"


class WaitDisplay(logging.Filter):
    """Shows the longest wait once it lasts longer than *patience* seconds.

    With a *terminal*, one line there turns until the wait ends. Otherwise each wait is logged once. Many at once for
    the same subject, such as requests to one index, are logged once together. As a filter of log lines, the display
    removes its line before a log line is written.
    """

    def __init__(self, waits: Waits, patience: float, terminal: TextIO | None = None) -> None:
        super().__init__()
        self._waits, self._patience, self._terminal = waits, patience, terminal
        self._lock, self._is_drawn = RLock(), False
        self._logged_subject = ""
        self._frames = cycle(_FRAMES if terminal and _can_show_frames(terminal) else _ASCII_FRAMES)

    def update(self) -> None:
        """Show the longest wait if it is time; called again and again."""
        with self._lock:  # a wait that ends meanwhile clears the line afterwards
            wait = self._waits.longest()
            seconds = time.monotonic() - wait.since if wait else 0
            if wait is None or seconds < self._patience:
                self._logged_subject = ""
                return
            if self._terminal:
                self._draw(self._terminal, f"waiting for {wait.subject} ({seconds:.0f} s)")
            elif wait.subject != self._logged_subject:
                self._logged_subject = wait.subject
                log.info("waiting for %s", wait.subject)

    def clear(self) -> None:
        """Remove the line from the terminal."""
        with self._lock:
            if self._is_drawn and self._terminal:
                self._is_drawn = False
                self._terminal.write(_CLEAR_LINE)
                self._terminal.flush()

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002  the name of the base class
        """Make room for a log line."""
        self.clear()
        return True

    def _draw(self, terminal: TextIO, text: str) -> None:
        self._is_drawn = True
        width = _width_of(terminal) - 3
        terminal.write(f"{_CLEAR_LINE}{next(self._frames)} {text[:width]}")
        terminal.flush()


def _can_show_frames(terminal: TextIO) -> bool:
    try:
        _FRAMES.encode(terminal.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _width_of(terminal: TextIO) -> int:
    try:
        columns = os.get_terminal_size(terminal.fileno()).columns
    except OSError:
        columns = 0
    return columns or 80


@contextmanager
def show_long_waits() -> Generator[None]:
    """Show what is waited for inside the block, unless only warnings or JSON lines are logged."""
    logger = logging.getLogger("releasekit")
    if is_json_log() or not logger.isEnabledFor(logging.INFO):
        yield
        return
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    draws = is_terminal and not is_verbose()  # between many log lines it would flicker
    patience = TERMINAL_PATIENCE if is_terminal else PIPE_PATIENCE
    display = WaitDisplay(WAITS, patience, sys.stderr if draws else None)
    handlers = list(logger.handlers)
    for handler in handlers:
        handler.addFilter(display)
    WAITS.on_end = display.clear
    stopping = Event()
    thread = Thread(target=_update_until, args=(display, stopping), name="waits", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
        WAITS.on_end = None
        display.clear()
        for handler in handlers:
            handler.removeFilter(display)


def _update_until(display: WaitDisplay, stopping: Event) -> None:
    while not stopping.wait(_FRAME_SECONDS):
        display.update()
