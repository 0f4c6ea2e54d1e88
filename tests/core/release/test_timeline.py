"""When each package was in which stage, and which package the release waited for."""

from __future__ import annotations

from releasekit.core.release.observer import LogObserver
from releasekit.core.release.progress import PackageStage
from releasekit.core.release.timeline import (
    StageSpan,
    TimelineObserver,
    critical_path,
    upload_waits,
)
from tests.support import builders

PLAN = builders.plan_of("app: lib other", "lib: core", "other:", "core:")


def spans_of(**uploads: tuple[float, float]) -> list[StageSpan]:
    """Return for each package a build that ends after one second, and an upload from and to these seconds."""
    building = [
        StageSpan(package=name, stage=PackageStage.BUILDING, start=0, end=1) for name in uploads
    ]
    uploading = [
        StageSpan(package=name, stage=PackageStage.UPLOADING, start=start, end=end)
        for name, (start, end) in uploads.items()
    ]
    return [*building, *uploading]


def test_stages_become_time_spans() -> None:
    """A stage lasts until the next one of the same package; waiting, and the end, are no stages that take time."""
    times = iter([100.0, 101.0, 102.0, 103.5, 104.0, 110.0])
    timeline = TimelineObserver(LogObserver(), lambda: next(times))

    timeline.on_stage("core", PackageStage.BUILDING)
    timeline.on_stage("app", PackageStage.BUILDING)
    timeline.on_stage("core", PackageStage.BUILT)
    timeline.on_stage("core", PackageStage.UPLOADING)

    assert [tuple(span.model_dump().values()) for span in timeline.spans()] == [
        ("core", "building", 1.0, 3.5),
        ("app", "building", 2.0, 10.0),
        ("core", "uploading", 4.0, 10.0),
    ]


def test_upload_waits_for_last_need() -> None:
    """The reason of a wait is the need that was ready last; a package whose needs were ready waited for none."""
    spans = spans_of(core=(1, 3), lib=(3, 7), other=(1, 4), app=(7, 9))

    waits = upload_waits(spans, PLAN.steps)

    assert {name: (wait.seconds, wait.reason) for name, wait in waits.items()} == {
        "core": (0, ""),
        "other": (0, ""),
        "lib": (2, "core"),
        "app": (6, "lib"),
    }
    assert critical_path(spans, waits) == ("core", "lib", "app")


def test_failed_release_has_a_path() -> None:
    """A package that was never uploaded waits for nothing, and a release without a stage has no path."""
    spans = spans_of(core=(1, 3))

    assert critical_path(spans, upload_waits(spans, PLAN.steps)) == ("core",)
    assert critical_path([], {}) == ()
