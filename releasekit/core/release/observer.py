"""Whoever watches a release is called an observer."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from releasekit.core.release.progress import ENDS, Stage

if TYPE_CHECKING:
    from collections.abc import Generator


log = logging.getLogger("releasekit.progress")


class Observer(Protocol):
    """Who is told how a release goes on."""

    def on_phase(self, phase: str) -> None:
        """Hear that the release as a whole has come to *phase*."""

    def on_stage(self, package: str, stage: Stage, error: str = "") -> None:
        """Hear that a package has come to *stage*; *error* says why it failed."""


class LogLines:
    """One line a transition, for logs; the flow itself says that a package is built or proven, and how it ends."""

    def on_phase(self, phase: str) -> None:
        """Log the phase."""
        log.info(phase)

    def on_stage(self, package: str, stage: Stage, error: str = "") -> None:  # noqa: ARG002  the flow tells of errors
        """Log the stage."""
        if stage not in (*ENDS, Stage.BUILT, Stage.PROVEN):
            log.info("%s %s", stage, package)


_observer: ContextVar[Observer] = ContextVar("observer", default=LogLines())  # noqa: B039  it holds nothing


def observer() -> Observer:
    """Return who watches the release that this code is part of."""
    return _observer.get()


@contextmanager
def watched_by(watcher: Observer) -> Generator[None]:
    """Let *watcher* be told of everything inside the block."""
    token = _observer.set(watcher)
    try:
        yield
    finally:
        _observer.reset(token)
