"""How far a release has come, and how long it will take."""

from __future__ import annotations

import pytest

from releasekit.core.release.progress import (
    BUILD_STAGES,
    UPLOAD_STAGES,
    PackageStage,
    ReleaseProgress,
)
from tests.support.builders import plan_of

CHAIN = ("app: web", "web: core", "core:", "lone:")


def progress_of(*lines: str, smoke_test: bool = True, proof: bool = False) -> ReleaseProgress:
    """Return the progress of a first release of the packages in *lines*, before anything is done."""
    return ReleaseProgress(plan_of(*lines).steps, smoke_test=smoke_test, proof=proof)


def walk(
    progress: ReleaseProgress, name: str, now: float, *stages: PackageStage, each: float = 1.0
) -> float:
    """Bring *name* through *stages*, so many seconds *each*; returns the time after the last."""
    for stage in stages:
        progress.set_stage(name, stage, now)
        now += each
    return now


def test_each_package_counts_once() -> None:
    """Every package is counted once; time spent waiting is no work."""
    progress = progress_of(*CHAIN)
    walk(progress, "core", 0, *BUILD_STAGES, PackageStage.BUILT)
    progress.set_stage("core", PackageStage.UPLOADING, 50)
    progress.set_stage("lone", PackageStage.PINNING, 50)

    assert progress.stage_counts() == {
        PackageStage.WAITING: 2,
        PackageStage.PINNING: 1,
        PackageStage.UPLOADING: 1,
    }
    assert progress.packages["core"].total_seconds(52) == 3 + 2
    assert progress.packages["app"].total_seconds(52) == 0
    assert (progress.packages["core"].fraction, progress.packages["app"].fraction) == (7 / 10, 0)


def test_failed_package_keeps_its_progress() -> None:
    """A package that failed keeps the way that it has come, and its last step says nothing of how long others take."""
    progress = progress_of("core:", "lone:")
    walk(progress, "core", 0, *BUILD_STAGES, PackageStage.BUILT, PackageStage.UPLOADING, each=1)
    progress.set_stage("core", PackageStage.FAILED, 90, "refused")

    row = progress.packages["core"]
    assert (row.stage, row.fraction, row.error, row.total_seconds(99)) == (
        PackageStage.FAILED,
        7 / 10,
        "refused",
        3 + 86,
    )
    assert progress.eta(99, 1, 1) is None, "nobody has seen an upload end"


def test_eta_is_unknown_at_first() -> None:
    """As long as a stage to come was not seen to end, nothing is said."""
    progress = progress_of(*CHAIN)
    assert progress.eta(0, 2, 5) is None
    now = walk(progress, "core", 0, *BUILD_STAGES, PackageStage.BUILT, *UPLOAD_STAGES[:-1])

    assert progress.eta(now, 2, 5) is None
    progress.set_stage("core", PackageStage.TESTING, now)
    assert progress.eta(now + 1, 2, 5) is None
    progress.set_stage("core", PackageStage.PUBLISHED, now + 1)
    assert progress.eta(now + 1, 2, 5) is not None


@pytest.mark.parametrize(
    ("lines", "builders", "uploaders", "left"),
    [
        # Core is out; web and app are built side by side, and published one after the other.
        (
            CHAIN,
            5,
            5,
            3 + 2 * 3,
        ),
        (CHAIN, 1, 5, 3 * 3 + 2 * 3),  # one builder builds three packages
        (("core:", "a:", "b:", "c:"), 5, 5, 3 + 3),  # the average times what is left would be 18
        (("core:", "a:", "b:", "c:"), 5, 1, 3 + 3 * 3),  # one upload at a time
        (("core:",), 5, 5, 0),
    ],
)
def test_eta_is_the_critical_path(
    lines: tuple[str, ...], builders: int, uploaders: int, left: float
) -> None:
    """It is the critical path of what is left, or all the work if there are few to do it."""
    progress = progress_of(*lines)
    now = walk(progress, "core", 0, *BUILD_STAGES, PackageStage.BUILT) - 1
    walk(progress, "core", now, *UPLOAD_STAGES, PackageStage.PUBLISHED)

    assert progress.eta(50, builders, uploaders) == pytest.approx(left)


def test_eta_subtracts_time_already_spent() -> None:
    """What is under way counts for what it has left, and for nothing once it takes longer than usual."""
    progress = progress_of("core:", "lone:", smoke_test=False)
    now = walk(progress, "core", 0, *BUILD_STAGES, PackageStage.BUILT, each=4) - 4
    walk(progress, "core", now, *UPLOAD_STAGES[:-1], PackageStage.PUBLISHED, each=4)
    walk(progress, "lone", 100, *BUILD_STAGES, PackageStage.BUILT, each=4)
    progress.set_stage("lone", PackageStage.UPLOADING, 200)

    assert progress.eta(201, 1, 1) == pytest.approx(3 + 4)
    assert progress.eta(300, 1, 1) == pytest.approx(4)


def test_eta_includes_the_installation_test() -> None:
    """What is installed before the upload takes its time as well, and waits for a builder."""
    progress = progress_of("core:", "a:", "b:", proof=True)
    now = walk(progress, "core", 0, *BUILD_STAGES, PackageStage.BUILT) - 1
    now = walk(progress, "core", now, *UPLOAD_STAGES, PackageStage.PUBLISHED) - 1
    assert progress.eta(now, 1, 5) is None, "no proof was seen to end"
    for name in ("a", "b"):
        walk(progress, name, 100, *BUILD_STAGES, PackageStage.BUILT)
    walk(progress, "a", 200, PackageStage.PROVING, PackageStage.PROVEN, each=2)

    assert progress.packages["a"].total_seconds(500) == 3 + 2
    assert progress.eta(500, 1, 5) == pytest.approx(2 + 3), (
        "b is proven; both are published side by side"
    )
    assert [row.name for row in progress.visible_packages(2)[0]] == ["core"]


def test_visible_rows_are_most_relevant() -> None:
    """Of many rows those stay that one wants to see: what failed, what goes on, what has ended, what is next."""
    progress = progress_of(*(f"p{number:03}:" for number in range(500)))
    for number in range(100, 300):
        progress.set_stage(f"p{number:03}", PackageStage.PUBLISHED, number)
    progress.set_stage("p400", PackageStage.FAILED, 1, "no")
    progress.set_stage("p450", PackageStage.BUILDING, 2)
    progress.set_stage("p001", PackageStage.UPLOADING, 3)

    rows, hidden = progress.visible_packages(7)

    assert [row.name for row in rows] == ["p001", "p297", "p298", "p299", "p400", "p450"]
    assert hidden == 494
    assert progress.visible_packages(500) == (list(progress.packages.values()), 0)
