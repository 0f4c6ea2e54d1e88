"""How long an index takes to list an upload, learned from earlier releases."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from releasekit.core.picking import names_of
from releasekit.core.release.progress import PackageStage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from releasekit.core.planning.model import Step
    from releasekit.core.release.report import ReleaseReport

_KEPT = 50
"""How many delays are remembered: the newest ones, because an index changes."""


def learn_delays(earlier: Sequence[float], report: ReleaseReport) -> list[float]:
    """Return the *earlier* delays and those of the packages that *report* confirms, in seconds; the newest are last."""
    confirmed = set(names_of(report.confirmed_packages))
    own = [
        span.seconds
        for span in report.timeline
        if span.stage is PackageStage.CONFIRMING and span.package in confirmed
    ]
    return [*earlier, *own][-_KEPT:]


def describe_delay(delays: Sequence[float], steps: Sequence[Step]) -> str:
    """Return how long the index lets *steps* wait, by its *delays* so far; empty if they are unknown or short.

    A package is uploaded after those it needs are listed. So a chain of packages waits once for each.
    """
    usual = median(delays) if delays else 0.0
    if usual < 1 or not steps:
        return ""
    levels = len({step.level for step in steps})
    listed = f"the index lists an upload after about {usual:.0f} s"
    if levels == 1:
        return listed
    return f"{listed}: at least {usual * levels:.0f} s for {levels} levels, one after the other"
