"""What `releasekit plan --offline` costs, beside one bare walk of the same history.

`python benchmarks/plan.py` measures the sizes that DESIGN.md names; `--packages 60 --commits 2000` one of your own.
CPU seconds are user and system time of the whole process and all its children, the least of three runs; other work
on the machine moves them little, and the ratio less.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.synthetic import GIT, make_repository, publishable  # noqa: E402

RUNS = 3
GOALS = {(60, 2_000): 1.0, (500, 10_000): 3.0}  # CPU seconds
SIZES = ((60, 2_000), (60, 10_000), (500, 10_000))
WALK = ("git", "log", "--name-only", "--format=%H")


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds, and the most memory that one process of it held, in MB."""

    seconds: float
    memory: float


@dataclass(frozen=True, slots=True)
class Row:
    """One size, and what walk and plan cost there."""

    packages: int
    commits: int
    walk: Cost
    plan: Cost


def main() -> None:
    parser = argparse.ArgumentParser(description="What `releasekit plan --offline` costs.")
    parser.add_argument("--packages", type=int, default=60)
    parser.add_argument("--commits", type=int)
    given = parser.parse_args()
    sizes = ((given.packages, given.commits),) if given.commits else SIZES
    print("packages  commits   git log CPU s   plan CPU s   ratio   peak MB   goal CPU s")
    rows = [_show(measure(packages, commits)) for packages, commits in sizes]
    for less, more in pairwise(rows):
        if less.packages == more.packages:
            _show_growth(less, more)


def measure(packages: int, commits: int) -> Row:
    """Make a repository of this size, and measure walk and plan in it."""
    with tempfile.TemporaryDirectory(prefix="releasekit-benchmark-") as scratch:
        home = Path(scratch).resolve()
        repository = publishable(
            make_repository(home / "work", packages, commits), home / "remote.git"
        )
        plan = (
            sys.executable,
            "-m",
            "flows.plan",
            "--workspace",
            str(repository),
            "--offline",
            "--format",
            "json",
        )
        return Row(packages, commits, _least(WALK, repository), _least(plan, ROOT))


def _least(argv: tuple[str, ...], cwd: Path) -> Cost:
    costs = [_cost(argv, cwd) for _ in range(RUNS)]
    return Cost(min(cost.seconds for cost in costs), min(cost.memory for cost in costs))


def _cost(argv: tuple[str, ...], cwd: Path) -> Cost:
    env = {
        name: value
        for name, value in GIT.items()
        if name not in ("PREFECT_API_URL", "PYTHONDONTWRITEBYTECODE")
    }
    with subprocess.Popen(argv, cwd=cwd, env=env, stdout=subprocess.DEVNULL) as child:
        _, status, used = os.wait4(child.pid, 0)  # of this child and all that it has waited for
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"exit code {child.returncode} from {' '.join(argv)}")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / unit)


def _show(row: Row) -> Row:
    goal = GOALS.get((row.packages, row.commits))
    print(
        f"{row.packages:8}  {row.commits:7}   {row.walk.seconds:13.2f}   {row.plan.seconds:10.2f}   "
        f"{row.plan.seconds / row.walk.seconds:5.1f}   {row.plan.memory:7.0f}   {f'< {goal:g}' if goal else '':>10}",
        flush=True,
    )
    return row


def _show_growth(less: Row, more: Row) -> None:
    commits = more.commits - less.commits
    walk = (more.walk.seconds - less.walk.seconds) / commits * 1e6
    plan = (more.plan.seconds - less.plan.seconds) / commits * 1e6
    memory = (more.plan.memory - less.plan.memory) / commits * 1024
    print(
        f"{less.packages} packages, {less.commits:,} to {more.commits:,} commits; for each commit more:"
    )
    print(f"    {plan:.0f} µs of CPU, of which git log {walk:.0f}, and {memory:.1f} kB of memory")


if __name__ == "__main__":
    main()
