"""The tracker that says what an interrupted release has done."""

from __future__ import annotations

from releasekit.cli.stage_tracker import StageTracker
from releasekit.core.release.progress import PackageStage


def test_summary_names_published_and_running() -> None:
    """It names published packages and those in progress, and neither waiting nor failed ones."""
    tracker = StageTracker()
    stages = {
        "core": PackageStage.PUBLISHED,
        "web": PackageStage.CONFIRMING,
        "app": PackageStage.WAITING,
        "docs": PackageStage.FAILED,
    }
    for package, stage in stages.items():
        tracker.on_stage(package, PackageStage.UPLOADING)
        tracker.on_stage(package, stage)

    assert tracker.summary() == "Published: core; in progress: web."


def test_summary_starts_empty() -> None:
    """Nothing is said of a release that has not begun; another observer is still notified."""
    heard: list[str] = []

    class Listener:
        def on_phase(self, phase: str) -> None:
            heard.append(phase)

        def on_stage(self, package: str, stage: PackageStage, error: str = "") -> None:
            heard.append(f"{package} {stage}{error}")

    tracker = StageTracker(Listener())
    assert tracker.summary() == ""

    tracker.on_phase("publishing")
    tracker.on_stage("core", PackageStage.PUBLISHED)
    assert heard == ["publishing", "core published"]
    assert tracker.summary() == "Published: core."
