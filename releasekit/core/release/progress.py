"""How far a release has come, package by package, and how long it will take."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from releasekit.core.planning.model import Step


class Stage(StrEnum):
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


STAGING = (Stage.PINNING, Stage.BUILDING, Stage.VERIFYING)
PUBLISHING = (Stage.UPLOADING, Stage.CONFIRMING, Stage.TESTING)
PROOF = (Stage.PROVING,)
ENDS = frozenset({Stage.PUBLISHED, Stage.FAILED, Stage.BLOCKED})
_WORKING = frozenset((*STAGING, *PROOF, *PUBLISHING))
_PATH = tuple(stage for stage in Stage if stage not in (Stage.FAILED, Stage.BLOCKED))


@dataclass(slots=True)
class Row:
    """One package: its *stage* and since when, the seconds it was worked on before, and what went wrong."""

    name: str
    level: int
    order: int
    stage: Stage = Stage.WAITING
    since: float = 0.0
    spent: float = 0.0
    error: str = ""
    done: float = 0.0
    """The share of the way that it has come, from 0 to 1; one that failed stays where it was."""

    def seconds(self, now: float) -> float:
        """Return how long it was worked on; time spent waiting is not counted."""
        return self.spent + (now - self.since if self.stage in _WORKING else 0.0)


class Progress:
    """The packages of a release on their way. All times are seconds of one clock, which the caller reads."""

    def __init__(self, steps: Sequence[Step], *, smoke_test: bool = True, proof: bool = False) -> None:
        self.rows = {step.name: Row(step.name, step.level, step.order) for step in steps}
        self._needs = {step.name: [need for need in step.needs if need in self.rows] for step in steps}
        self._staging = (*STAGING, *PROOF) if proof else STAGING
        self._publishing = PUBLISHING if smoke_test else PUBLISHING[:-1]
        self._took: defaultdict[Stage, list[float]] = defaultdict(list)

    def move(self, name: str, stage: Stage, now: float, error: str = "") -> None:
        """Note that a package has come to *stage*."""
        row = self.rows[name]
        if row.stage in _WORKING:
            row.spent += now - row.since
            if stage is not Stage.FAILED:
                self._took[row.stage].append(now - row.since)
        row.stage, row.since, row.error = stage, now, error
        if stage in _PATH:
            row.done = _PATH.index(stage) / (len(_PATH) - 1)

    def counts(self) -> dict[Stage, int]:
        """Return how many packages stand at each stage, without those where none does."""
        counted = Counter(row.stage for row in self.rows.values())
        return {stage: counted[stage] for stage in Stage if counted[stage]}

    def eta(self, now: float, builders: int, uploaders: int) -> float | None:
        """Return about how many seconds are left: by this run's own step times, along the critical path of the graph.

        None as long as a stage that is still to come was not yet seen to end. *builders* and *uploaders* are how many
        packages may be built and published at the same time.
        """
        mean = {stage: sum(times) / len(times) for stage, times in self._took.items()}
        open_rows = [row for row in self.rows.values() if row.stage not in ENDS]
        if any(stage not in mean for row in open_rows for stage in self._ahead(row)):
            return None
        staging = {row.name: _left(row, self._staging, mean, now) for row in open_rows}
        publishing = {row.name: _left(row, self._publishing, mean, now) for row in open_rows}
        return _bound(staging, max(staging.values(), default=0.0), builders) + _bound(
            publishing, self._critical(publishing), uploaders
        )

    def _ahead(self, row: Row) -> list[Stage]:
        come = _PATH.index(row.stage)
        return [stage for stage in (*self._staging, *self._publishing) if _PATH.index(stage) >= come]

    def _critical(self, left: Mapping[str, float]) -> float:
        """Return the longest way through what is *left* of each package; needs come before what needs them."""
        longest: dict[str, float] = {}
        for name in sorted(left, key=lambda name: self.rows[name].order):
            longest[name] = left[name] + max((longest.get(need, 0.0) for need in self._needs[name]), default=0.0)
        return max(longest.values(), default=0.0)

    def shown(self, height: int) -> tuple[list[Row], int]:
        """Return the *height* rows that are most worth looking at, in the order of the plan; and how many are not."""
        if len(self.rows) <= height:
            return list(self.rows.values()), 0
        room = max(height - 1, 1)  # one line says how many more there are
        chosen = sorted(self.rows.values(), key=lambda row: (_INTEREST[row.stage], -row.since, row.order))[:room]
        return sorted(chosen, key=lambda row: row.order), len(self.rows) - len(chosen)


_INTEREST = {
    Stage.FAILED: 0, **dict.fromkeys(_WORKING, 1), Stage.BLOCKED: 2, Stage.PUBLISHED: 3, Stage.PROVEN: 4,
    Stage.BUILT: 4, Stage.WAITING: 5,
}  # fmt: skip


def _left(row: Row, stages: Iterable[Stage], mean: Mapping[Stage, float], now: float) -> float:
    """Return the seconds that *row* has left in *stages*; one that takes longer than usual may end at any moment."""
    come, left = _PATH.index(row.stage), 0.0
    for stage in stages:
        if stage is row.stage:
            left += max(mean[stage] - (now - row.since), 0.0)
        elif _PATH.index(stage) > come:
            left += mean[stage]
    return left


def _bound(work: Mapping[str, float], longest: float, workers: int) -> float:
    """Return the time that so many *workers* need for *work* at least: all of it shared, or the *longest* way."""
    return max(sum(work.values()) / workers, longest)
