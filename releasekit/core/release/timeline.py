"""When each package was in which stage of a release, and which package the release waited for."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from releasekit.core.picking import map_values
from releasekit.core.release.progress import ACTIVE_STAGES, UPLOAD_STAGES, PackageStage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from releasekit.core.planning.model import Step
    from releasekit.core.release.observer import Observer


class StageSpan(BaseModel):
    """The time that *package* was in *stage*: from *start* to *end*, in seconds since the run began."""

    model_config = ConfigDict(frozen=True)

    package: str
    stage: PackageStage
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


class PackageWait(BaseModel):
    """How long *package* waited, built, until it was uploaded; *reason* is the package it waited for, if any."""

    model_config = ConfigDict(frozen=True)

    package: str
    seconds: float
    reason: str = ""


class TimelineObserver:
    """Remembers when each package was in which stage; it also notifies *observer*, which may change.

    *clock* returns seconds.
    """

    def __init__(self, observer: Observer, clock: Callable[[], float]) -> None:
        self.observer = observer
        self._clock = clock
        self._begin = clock()
        self._current: dict[str, tuple[PackageStage, float]] = {}
        self._spans: list[StageSpan] = []

    def on_phase(self, phase: str) -> None:
        """Notify the other observer."""
        self.observer.on_phase(phase)

    def on_stage(self, package: str, stage: PackageStage, error: str = "") -> None:
        """End the stage of *package*, begin the next one, and notify the other observer."""
        now = self._now()
        self._spans += self._end(package, now)
        if stage in ACTIVE_STAGES:
            self._current[package] = stage, now
        self.observer.on_stage(package, stage, error)

    def spans(self) -> tuple[StageSpan, ...]:
        """Return the stages of all packages so far, in the order in which they ended."""
        now = self._now()
        for package in list(self._current):
            self._spans += self._end(package, now)
        return tuple(self._spans)

    def _now(self) -> float:
        return round(self._clock() - self._begin, 3)

    def _end(self, package: str, now: float) -> Iterable[StageSpan]:
        """Return the span of the stage that *package* leaves; none if it was in none."""
        if package not in self._current:
            return ()
        stage, start = self._current.pop(package)
        return (StageSpan(package=package, stage=stage, start=start, end=now),)


def spans_by_package(spans: Iterable[StageSpan]) -> dict[str, list[StageSpan]]:
    """Return the spans of each package, the packages in the order in which they began."""
    grouped: defaultdict[str, list[StageSpan]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start):
        grouped[span.package].append(span)
    return dict(grouped)


def upload_waits(spans: Sequence[StageSpan], steps: Iterable[Step]) -> dict[str, PackageWait]:
    """Return by package how long it waited for its upload, and for which of its needs: the last one that was ready."""
    grouped = spans_by_package(spans)
    ends = map_values(lambda own: own[-1].end, grouped)
    waits: dict[str, PackageWait] = {}
    for step in steps:
        own = grouped.get(step.name, [])
        uploads = [span for span in own if span.stage in UPLOAD_STAGES]
        if not uploads:
            continue
        start = uploads[0].start
        built = max((span.end for span in own if span.end <= start), default=0.0)
        ready_needs = [need for need in step.needs if built < ends.get(need, 0.0) <= start]
        reason = max(ready_needs, key=ends.__getitem__, default="")
        waits[step.name] = PackageWait(package=step.name, seconds=start - built, reason=reason)
    return waits


def critical_path(spans: Sequence[StageSpan], waits: Mapping[str, PackageWait]) -> tuple[str, ...]:
    """Return the packages that decided when the run ended, in their order: each waited for the one before it."""
    if not spans:
        return ()
    name = max(spans, key=lambda span: span.end).package
    path = [name]
    while name in waits and waits[name].reason:
        name = waits[name].reason
        path.append(name)
    return tuple(reversed(path))
