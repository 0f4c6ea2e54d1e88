"""What a release has done so far, for the message after Ctrl-C."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from releasekit.core.release.progress import ACTIVE_STAGES, PackageStage
from releasekit.core.text import summarize

if TYPE_CHECKING:
    from releasekit.core.release.observer import Observer

_MAX_NAMES = 10


class _NoObserver:
    """Stands in where nobody else observes the release."""

    def on_phase(self, phase: str) -> None:
        """Do nothing."""

    def on_stage(self, package: str, stage: PackageStage, error: str = "") -> None:
        """Do nothing."""


@dataclass
class StageTracker:
    """An observer that remembers the stage of each package; it also notifies *observer*."""

    observer: Observer = field(default_factory=_NoObserver)
    stages: dict[str, PackageStage] = field(default_factory=dict[str, PackageStage])

    def on_phase(self, phase: str) -> None:
        """Notify the other observer."""
        self.observer.on_phase(phase)

    def on_stage(self, package: str, stage: PackageStage, error: str = "") -> None:
        """Remember the stage, and notify the other observer."""
        self.stages[package] = stage
        self.observer.on_stage(package, stage, error)

    def summary(self) -> str:
        """Return a sentence such as "Published: core, web; in progress: app."; empty if no package has begun."""
        names_by_label = {
            "published": [
                name for name, stage in self.stages.items() if stage is PackageStage.PUBLISHED
            ],
            "in progress": [name for name, stage in self.stages.items() if stage in ACTIVE_STAGES],
        }
        parts = [
            f"{label}: {summarize(names, _MAX_NAMES)}"
            for label, names in names_by_label.items()
            if names
        ]
        sentence = "; ".join(parts)
        return f"{sentence[0].upper()}{sentence[1:]}." if sentence else ""
