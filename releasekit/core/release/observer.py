"""Whoever watches a release is called an observer."""

from __future__ import annotations

import logging
from typing import Protocol

from releasekit.core.release.progress import FINAL_STAGES, PackageStage

log = logging.getLogger("releasekit.progress")


class Observer(Protocol):
    """Who is told how a release goes on."""

    def on_phase(self, phase: str) -> None:
        """Hear that the release as a whole has come to *phase*."""

    def on_stage(self, package: str, stage: PackageStage, error: str = "") -> None:
        """Hear that a package has come to *stage*; *error* says why it failed."""


class LogObserver:
    """One line a transition, for logs; the flow itself says that a package is built or proven, and how it ends."""

    def on_phase(self, phase: str) -> None:
        """Log the phase."""
        log.info(phase)

    def on_stage(self, package: str, stage: PackageStage, error: str = "") -> None:  # noqa: ARG002  the flow tells of errors
        """Log the stage."""
        if stage not in (*FINAL_STAGES, PackageStage.BUILT, PackageStage.PROVEN):
            log.info("%s %s", stage, package)
