"""What the live table costs: `python benchmarks/live.py` carries out a release of many packages that does nothing.

Its stages last as long as those of a real one, so many packages at a time, and the observer is told of them as ever; on
a terminal of its own, with the table and without it (a watcher that draws nothing). The share of a core is the CPU time
of the process in the time that this takes, without what it costs to start. The goal for 500 packages: under 5 %.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pty
import resource
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from packaging.version import Version  # noqa: E402
from rich.console import Console  # noqa: E402

from releasekit.cli.render.live_table import show_live_table  # noqa: E402
from releasekit.core.config.settings import Settings  # noqa: E402
from releasekit.core.planning.model import Plan, Status, Step  # noqa: E402
from releasekit.core.release.observer import LogObserver, Observer  # noqa: E402
from releasekit.core.release.progress import BUILD_STAGES, PROOF_STAGES, UPLOAD_STAGES, PackageStage  # noqa: E402

GOAL = 5.0  # percent of a core
LAYERS = 5


class Nobody(LogObserver):
    """An observer that hears everything and shows nothing."""

    def on_phase(self, phase: str) -> None:
        """Hear it."""

    def on_stage(self, package: str, stage: PackageStage, error: str = "") -> None:
        """Hear it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds within so many *seconds*."""

    cpu: float
    seconds: float

    @property
    def share(self) -> float:
        """Percent of a core."""
        return 100 * self.cpu / self.seconds


def plan_of(packages: int) -> Plan:
    """Return a plan in layers, each package needing two of the layer below."""
    size = max(packages // LAYERS, 1)
    steps: list[Step] = []
    for number in range(packages):
        level = min(number // size, LAYERS - 1)
        below = (
            [f"package-{(level - 1) * size + (number + more) % size:03}" for more in (0, 1)]
            if level
            else []
        )
        steps.append(
            Step(
                order=number,
                level=level,
                name=f"package-{number:03}",
                path=f"packages/{number}",
                current=None,
                next=Version("1.0"),
                bump="first",
                status=Status.INCLUDED,
                reason="first release",
                tag="",
                needs=tuple(below),
            )
        )
    return Plan(commit="0" * 40, release="1", tags=("v1.0",), packages=tuple(steps))


async def carried_out(plan: Plan, observer: Observer, seconds: float, at_once: int = 7) -> None:
    """Bring all packages through all stages within about so many *seconds*; the *observer* hears of each."""
    slots = asyncio.Semaphore(at_once)
    each = (
        seconds
        * at_once
        / len(plan.steps)
        / (len(BUILD_STAGES) + len(PROOF_STAGES) + len(UPLOAD_STAGES))
    )
    phases = (
        ("staging", BUILD_STAGES, PackageStage.BUILT),
        ("proving", PROOF_STAGES, PackageStage.PROVEN),
        ("publishing", UPLOAD_STAGES, PackageStage.PUBLISHED),
    )
    for phase, stages, end in phases:
        observer.on_phase(phase)

        async def one(
            name: str, stages: tuple[PackageStage, ...] = stages, end: PackageStage = end
        ) -> None:
            async with slots:
                for stage in stages:
                    observer.on_stage(name, stage)
                    await asyncio.sleep(each)
            observer.on_stage(name, end)

        await asyncio.gather(*(one(step.name) for step in plan.steps))


def measured(packages: int, seconds: float, height: int, *, drawn: bool) -> Cost:
    """Carry out a release in a window of 120 columns, and return what it has cost; something reads what is drawn."""
    plan, (ours, theirs) = plan_of(packages), pty.openpty()
    reader = threading.Thread(target=_swallow, args=(ours,), daemon=True)
    reader.start()
    with os.fdopen(theirs, "w") as screen:
        console = Console(file=screen, force_terminal=True, width=120, height=height)
        watching: AbstractContextManager[Observer] = nullcontext(Nobody())
        if drawn:
            watching = show_live_table(plan, Settings.model_validate({}), console)
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        with watching as observer:
            asyncio.run(carried_out(plan, observer, seconds))
        after, ended = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu, ended - began)


def _swallow(descriptor: int) -> None:
    try:
        while os.read(descriptor, 1 << 16):
            pass
    except OSError:
        return


def main() -> int:
    """Measure and print; exit code 1 if the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--height", type=int, default=50)
    given = parser.parse_args()
    without = measured(given.packages, given.seconds, given.height, drawn=False)
    with_table = measured(given.packages, given.seconds, given.height, drawn=True)
    print(
        f"{given.packages} packages in {with_table.seconds:.0f} s, a window of {given.height} lines:"
    )
    for name, cost in (("no table", without), ("live table", with_table)):
        print(f"  {name:<12}{cost.cpu:6.2f} CPU s  {cost.share:5.1f} % of a core")
    share = with_table.share - without.share
    print(f"  the table itself: {share:.1f} % of a core; goal: under {GOAL:.0f} %")
    return 0 if share < GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
