"""What is learned from how long an index takes."""

from __future__ import annotations

import pytest
from packaging.version import Version

from releasekit.core.release.listing_delay import describe_delay, learn_delays
from releasekit.core.release.progress import PackageStage
from releasekit.core.release.report import PackageOutcome, PackageReport, ReleaseReport
from releasekit.core.release.timeline import StageSpan
from tests.support.builders import plan_of


def report_of(**outcomes: str) -> ReleaseReport:
    """Return a report of packages that each waited 4 s for the index, after an upload of 9 s."""
    packages = [
        PackageReport(name=name, version=Version("1"), tag="", outcome=PackageOutcome(outcome))
        for name, outcome in outcomes.items()
    ]
    spans = [
        StageSpan(package=name, stage=stage, start=start, end=end)
        for name in outcomes
        for stage, start, end in (
            (PackageStage.UPLOADING, 0.0, 9.0),
            (PackageStage.CONFIRMING, 9.0, 13.0),
        )
    ]
    return ReleaseReport(release="1", title="v1", packages=tuple(packages), timeline=tuple(spans))


def test_confirmed_packages_teach_delays() -> None:
    """Only the wait of a package that was listed counts, and the newest fifty are remembered."""
    assert learn_delays([1.0], report_of(a="confirmed", b="failed")) == [1.0, 4.0]
    assert learn_delays([7.0] * 60, report_of(a="confirmed")) == [*[7.0] * 49, 4.0]


@pytest.mark.parametrize(
    ("delays", "graph", "text"),
    [
        ([], ["a: b", "b:"], ""),
        ([0.2, 0.4], ["a: b", "b:"], ""),
        ([12.0, 300.0, 11.0], ["a:", "b:"], "the index lists an upload after about 12 s"),
        (
            [12.0],
            ["a: b", "b: c", "c:"],
            "the index lists an upload after about 12 s: at least 36 s for 3 levels, one after the other",
        ),
    ],
    ids=["unknown", "short", "one-level", "chain"],
)
def test_chain_waits_for_each_level(delays: list[float], graph: list[str], text: str) -> None:
    """One slow upload changes nothing, and each level of a chain waits once."""
    assert describe_delay(delays, plan_of(*graph).steps) == text
