"""The progress of a release, package by package, and the time that is left."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from releasekit.core.picking import drop

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from releasekit.core.planning.model import Step


class PackageStage(StrEnum):
    """The stage of a package, in the order in which it passes them; the final stages are last."""

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
ACTIVE_STAGES = frozenset((*BUILD_STAGES, *PROOF_STAGES, *UPLOAD_STAGES))
_STAGE_ORDER = tuple(drop(PackageStage, (PackageStage.FAILED, PackageStage.BLOCKED)))


@dataclass(slots=True)
class PackageProgress:
    """The progress of one package.

    *since* is the time at which *stage* began, *worked_seconds* is the work before it. *error* says why it failed.
    """

    name: str
    level: int
    order: int
    stage: PackageStage = PackageStage.WAITING
    since: float = 0.0
    worked_seconds: float = 0.0
    error: str = ""
    fraction: float = 0.0
    """The completed share of all stages, from 0 to 1. A package that fails keeps its share."""

    def total_seconds(self, now: float) -> float:
        """Return the seconds of work on the package until *now*. Waiting does not count."""
        if self.stage not in ACTIVE_STAGES:
            return self.worked_seconds
        return self.worked_seconds + now - self.since


class ReleaseProgress:
    """The progress of all packages of a release. All times are seconds of one clock, which the caller reads."""

    def __init__(
        self, steps: Sequence[Step], *, smoke_test: bool = True, proof: bool = False
    ) -> None:
        self.packages: dict[str, PackageProgress] = {}
        self._needs: dict[str, tuple[str, ...]] = {}
        for step in steps:
            self.packages[step.name] = PackageProgress(step.name, step.level, step.order)
            self._needs[step.name] = step.needs
        self._build_stages = (*BUILD_STAGES, *PROOF_STAGES) if proof else BUILD_STAGES
        self._upload_stages = UPLOAD_STAGES if smoke_test else UPLOAD_STAGES[:-1]
        self._durations: defaultdict[PackageStage, list[float]] = defaultdict(list)

    def set_stage(self, name: str, stage: PackageStage, now: float, error: str = "") -> None:
        """Record that the package *name* has reached *stage* at *now*. *error* says why it failed."""
        package = self.packages[name]
        if package.stage in ACTIVE_STAGES:
            duration = now - package.since
            package.worked_seconds += duration
            if stage is not PackageStage.FAILED:
                self._durations[package.stage].append(duration)
        package.stage = stage
        package.since = now
        package.error = error
        if stage in _STAGE_ORDER:
            last_position = len(_STAGE_ORDER) - 1
            package.fraction = _STAGE_ORDER.index(stage) / last_position

    def stage_counts(self) -> dict[PackageStage, int]:
        """Return the number of packages at each stage. Stages without a package are left out."""
        counts = Counter(package.stage for package in self.packages.values())
        return {stage: counts[stage] for stage in PackageStage if counts[stage]}

    def eta(self, now: float, builders: int, uploaders: int) -> float | None:
        """Return the estimated seconds that are left, from the stage times of this run and the critical path.

        None until this run has completed each remaining stage once. *builders* and *uploaders* are the numbers of
        packages that may be built and published at the same time.
        """
        mean = {stage: sum(times) / len(times) for stage, times in self._durations.items()}
        build_seconds: dict[str, float] = {}
        upload_seconds: dict[str, float] = {}
        for package in self.packages.values():
            if package.stage in FINAL_STAGES:
                continue
            if not mean.keys() >= self._remaining_stages(package):
                return None
            build_seconds[package.name] = _remaining_seconds(package, self._build_stages, mean, now)
            upload_seconds[package.name] = _remaining_seconds(
                package, self._upload_stages, mean, now
            )
        longest_build = max(build_seconds.values(), default=0.0)
        longest_path = self._critical_path_seconds(upload_seconds)
        build_time = _lower_bound(build_seconds, longest_build, builders)
        return build_time + _lower_bound(upload_seconds, longest_path, uploaders)

    def _remaining_stages(self, package: PackageProgress) -> set[PackageStage]:
        position = _STAGE_ORDER.index(package.stage)
        not_passed = _STAGE_ORDER[position:]
        return {*self._build_stages, *self._upload_stages}.intersection(not_passed)

    def _critical_path_seconds(self, remaining: Mapping[str, float]) -> float:
        """Return the seconds of the longest path; *remaining* has seconds by package. A package waits for its needs."""
        longest: dict[str, float] = {}
        for name in sorted(remaining, key=lambda name: self.packages[name].order):
            waiting = max((longest.get(need, 0.0) for need in self._needs[name]), default=0.0)
            longest[name] = waiting + remaining[name]
        return max(longest.values(), default=0.0)

    def visible_packages(self, height: int) -> tuple[list[PackageProgress], int]:
        """Return the most relevant packages for *height* lines, in plan order, and the number of the others."""
        if len(self.packages) <= height:
            return list(self.packages.values()), 0
        room = max(height - 1, 1)  # the last line has the number of hidden packages
        chosen = sorted(
            self.packages.values(),
            key=lambda package: (_DISPLAY_PRIORITY[package.stage], -package.since, package.order),
        )[:room]
        return sorted(chosen, key=lambda package: package.order), len(self.packages) - len(chosen)


_DISPLAY_PRIORITY = {
    PackageStage.FAILED: 0, **dict.fromkeys(ACTIVE_STAGES, 1), PackageStage.BLOCKED: 2,
    PackageStage.PUBLISHED: 3, PackageStage.PROVEN: 4,
    PackageStage.BUILT: 4, PackageStage.WAITING: 5,
}  # fmt: skip


def _remaining_seconds(
    package: PackageProgress,
    stages: Iterable[PackageStage],
    mean: Mapping[PackageStage, float],
    now: float,
) -> float:
    """Return the seconds that *package* has left in *stages*. A running stage that is overdue counts as 0."""
    position = _STAGE_ORDER.index(package.stage)
    remaining = 0.0
    for stage in stages:
        if stage is package.stage:
            elapsed = now - package.since
            remaining += max(mean[stage] - elapsed, 0.0)
        elif _STAGE_ORDER.index(stage) > position:
            remaining += mean[stage]
    return remaining


def _lower_bound(seconds_by_package: Mapping[str, float], longest: float, workers: int) -> float:
    """Return the least seconds that *workers* need: all work shared equally, or the *longest* path."""
    shared_work = sum(seconds_by_package.values()) / workers
    return max(shared_work, longest)
