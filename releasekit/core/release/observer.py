"""Observers receive the progress of a release."""

from __future__ import annotations

import logging
from typing import Protocol

from releasekit.core.release.progress import FINAL_STAGES, PackageStage

log = logging.getLogger("releasekit.progress")


class Observer(Protocol):
    """Receives each step of the progress of a release."""

    def on_phase(self, phase: str) -> None:
        """Handle that the whole release has reached *phase*."""

    def on_stage(self, package: str, stage: PackageStage, error: str = "") -> None:
        """Handle that *package* has reached *stage*. *error* says why it failed."""


class LogObserver:
    """Log one line for each transition. The flow itself logs that a package is built or proven, and its result."""

    def on_phase(self, phase: str) -> None:
        """Log the phase."""
        log.info(phase)

    def on_stage(self, package: str, stage: PackageStage, error: str = "") -> None:  # noqa: ARG002  flows log errors
        """Log the stage."""
        if stage not in (*FINAL_STAGES, PackageStage.BUILT, PackageStage.PROVEN):
            log.info("%s %s", stage, package)
