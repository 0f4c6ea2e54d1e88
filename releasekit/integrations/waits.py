"""What this process waits for: a command, a server, an index. The terminal shows it if it takes long."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


@dataclass(frozen=True, slots=True, eq=False)
class Wait:
    """One wait for *subject*, which began at *since*, in seconds of the monotonic clock."""

    subject: str
    since: float


class Waits:
    """All waits that last, the longest one first."""

    def __init__(self) -> None:
        self._waits: list[Wait] = []
        self._silences = 0
        self.on_end: Callable[[], None] | None = None
        """Called in the thread that has waited, at the end of each wait."""

    def longest(self) -> Wait | None:
        """Return the wait that lasts longest; None if nothing is waited for, or if nothing is to be shown."""
        waits = list(self._waits)
        return waits[0] if waits and not self._silences else None

    @contextmanager
    def wait_for(self, subject: str) -> Generator[None]:
        """Wait for *subject* inside the block."""
        wait = Wait(subject, time.monotonic())
        self._waits.append(wait)
        try:
            yield
        finally:
            self._waits.remove(wait)
            if self.on_end:
                self.on_end()

    @contextmanager
    def silence(self) -> Generator[None]:
        """Show no waits inside the block, because something else shows the progress."""
        self._silences += 1
        try:
            yield
        finally:
            self._silences -= 1


WAITS = Waits()
