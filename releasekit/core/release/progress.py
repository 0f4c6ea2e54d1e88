"""How far a release has come, package by package, and how long it will take."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from releasekit.core.planning.model import Step


class PackageStage(StrEnum):
    """Where a package stands; in the order in which it gets there, the ends last."""

    WAITING = "waiting"
    PINNING = "pinning"
    BUILDING = "building"
    VERIFYING = "verifying"
    BUILT = "built"
    PROVING = "proving"
    PROVEN = "proven"
    UPLOADING = "uploading"
    CONFIRMING = "confirming"
    TESTING = "smoke-testing"
    PUBLISHED = "published"
    FAILED = "failed"
    BLOCKED = "blocked"


BUILD_STAGES = (PackageStage.PINNING, PackageStage.BUILDING, PackageStage.VERIFYING)
UPLOAD_STAGES = (PackageStage.UPLOADING, PackageStage.CONFIRMING, PackageStage.TESTING)
PROOF_STAGES = (PackageStage.PROVING,)
FINAL_STAGES = frozenset({PackageStage.PUBLISHED, PackageStage.FAILED, PackageStage.BLOCKED})
_ACTIVE_STAGES = frozenset((*BUILD_STAGES, *PROOF_STAGES, *UPLOAD_STAGES))
_STAGE_ORDER = tuple(stage for stage in PackageStage if stage not in (PackageStage.FAILED, PackageStage.BLOCKED))


@dataclass(slots=True)
class PackageProgress:
    """One package: its *stage* and since when, the seconds it was worked on before, and what went wrong."""

    name: str
    level: int
    order: int
    stage: PackageStage = PackageStage.WAITING
    since: float = 0.0
    worked_seconds: float = 0.0
    error: str = ""
    fraction: float = 0.0
    """The share of the way that it has come, from 0 to 1; one that failed stays where it was."""

    def total_seconds(self, now: float) -> float:
        """Return how long it was worked on; time spent waiting is not counted."""
        return self.worked_seconds + (now - self.since if self.stage in _ACTIVE_STAGES else 0.0)


class ReleaseProgress:
    """The packages of a release on their way. All times are seconds of one clock, which the caller reads."""

    def __init__(self, steps: Sequence[Step], *, smoke_test: bool = True, proof: bool = False) -> None:
        self.packages = {step.name: PackageProgress(step.name, step.level, step.order) for step in steps}
        self._needs = {step.name: [need for need in step.needs if need in self.packages] for step in steps}
        self._build_stages = (*BUILD_STAGES, *PROOF_STAGES) if proof else BUILD_STAGES
        self._upload_stages = UPLOAD_STAGES if smoke_test else UPLOAD_STAGES[:-1]
        self._durations: defaultdict[PackageStage, list[float]] = defaultdict(list)

    def set_stage(self, name: str, stage: PackageStage, now: float, error: str = "") -> None:
        """Note that a package has come to *stage*."""
        package = self.packages[name]
        if package.stage in _ACTIVE_STAGES:
            package.worked_seconds += now - package.since
            if stage is not PackageStage.FAILED:
                self._durations[package.stage].append(now - package.since)
        package.stage, package.since, package.error = stage, now, error
        if stage in _STAGE_ORDER:
            package.fraction = _STAGE_ORDER.index(stage) / (len(_STAGE_ORDER) - 1)

    def stage_counts(self) -> dict[PackageStage, int]:
        """Return how many packages stand at each stage, without those where none does."""
        counts = Counter(package.stage for package in self.packages.values())
        return {stage: counts[stage] for stage in PackageStage if counts[stage]}

    def eta(self, now: float, builders: int, uploaders: int) -> float | None:
        """Return about how many seconds are left: by this run's own step times, along the critical path of the graph.

        None as long as a stage that is still to come was not yet seen to end. *builders* and *uploaders* are how many
        packages may be built and published at the same time.
        """
        mean = {stage: sum(times) / len(times) for stage, times in self._durations.items()}
        unfinished = [package for package in self.packages.values() if package.stage not in FINAL_STAGES]
        if any(stage not in mean for package in unfinished for stage in self._remaining_stages(package)):
            return None
        build_seconds = {
            package.name: _remaining_seconds(package, self._build_stages, mean, now) for package in unfinished
        }
        upload_seconds = {
            package.name: _remaining_seconds(package, self._upload_stages, mean, now) for package in unfinished
        }
        return _lower_bound(build_seconds, max(build_seconds.values(), default=0.0), builders) + _lower_bound(
            upload_seconds, self._critical_path_seconds(upload_seconds), uploaders
        )

    def _remaining_stages(self, package: PackageProgress) -> list[PackageStage]:
        position = _STAGE_ORDER.index(package.stage)
        return [stage for stage in (*self._build_stages, *self._upload_stages) if _STAGE_ORDER.index(stage) >= position]

    def _critical_path_seconds(self, remaining: Mapping[str, float]) -> float:
        """Return the longest way through what is *remaining* of each package; needs come before what needs them."""
        longest: dict[str, float] = {}
        for name in sorted(remaining, key=lambda name: self.packages[name].order):
            longest[name] = remaining[name] + max((longest.get(need, 0.0) for need in self._needs[name]), default=0.0)
        return max(longest.values(), default=0.0)

    def visible_packages(self, height: int) -> tuple[list[PackageProgress], int]:
        """Return the *height* rows that are most worth looking at, in the order of the plan; and how many are not."""
        if len(self.packages) <= height:
            return list(self.packages.values()), 0
        room = max(height - 1, 1)  # one line says how many more there are
        chosen = sorted(
            self.packages.values(),
            key=lambda package: (_DISPLAY_PRIORITY[package.stage], -package.since, package.order),
        )[:room]
        return sorted(chosen, key=lambda package: package.order), len(self.packages) - len(chosen)


_DISPLAY_PRIORITY = {
    PackageStage.FAILED: 0, **dict.fromkeys(_ACTIVE_STAGES, 1), PackageStage.BLOCKED: 2,
    PackageStage.PUBLISHED: 3, PackageStage.PROVEN: 4,
    PackageStage.BUILT: 4, PackageStage.WAITING: 5,
}  # fmt: skip


def _remaining_seconds(
    package: PackageProgress, stages: Iterable[PackageStage], mean: Mapping[PackageStage, float], now: float
) -> float:
    """Return the seconds that *package* has left in *stages*. A stage that takes longer than usual counts as 0."""
    position, remaining = _STAGE_ORDER.index(package.stage), 0.0
    for stage in stages:
        if stage is package.stage:
            remaining += max(mean[stage] - (now - package.since), 0.0)
        elif _STAGE_ORDER.index(stage) > position:
            remaining += mean[stage]
    return remaining


def _lower_bound(seconds_by_package: Mapping[str, float], longest: float, workers: int) -> float:
    """Return the seconds that *workers* need at least: all work shared, or the *longest* path."""
    return max(sum(seconds_by_package.values()) / workers, longest)
