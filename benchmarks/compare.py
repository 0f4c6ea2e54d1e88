"""What common commands cost, beside another installation of releasekit: such as the one before a change.

`python benchmarks/compare.py /path/to/other/bin/releasekit [--packages 500] [--commits 10000] [--rounds 5]` runs both
in turn. CPU seconds are user and system time of the whole process and all its children, the least of all rounds.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.synthetic import GIT, make_repository, publishable  # noqa: E402

COMMANDS = (
    ("--help",),
    ("publish", "--help"),
    ("plan", "--offline"),
    ("publish", "--dry-run", "--offline"),
    ("check",),
)


def main() -> int:
    """Print a row for each command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path)
    parser.add_argument("--packages", type=int, default=500)
    parser.add_argument("--commits", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    this = Path(sys.executable).with_name("releasekit")
    with tempfile.TemporaryDirectory() as scratch:
        repository = make_repository(Path(scratch) / "work", arguments.packages, arguments.commits)
        workspace = publishable(repository, Path(scratch) / "remote.git")
        print(f"{arguments.packages} packages, {arguments.commits} commits, CPU seconds")
        print(f"{'':28}{'other':>8}{'this':>8}{'ratio':>8}")
        for command in COMMANDS:
            rounds = [
                (
                    cpu_seconds(arguments.other, command, workspace),
                    cpu_seconds(this, command, workspace),
                )
                for _ in range(arguments.rounds)
            ]
            other, mine = (min(costs) for costs in zip(*rounds, strict=True))
            print(f"{' '.join(command):28}{other:8.2f}{mine:8.2f}{mine / other:8.2f}")
    return 0


def cpu_seconds(program: Path, command: tuple[str, ...], workspace: Path) -> float:
    """Return what one run costs. Its exit code does not matter: a plan with obstacles costs the same."""
    start = _children()
    environment = {name: value for name, value in GIT.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(
        [program, *command], cwd=workspace, env=environment, check=False, capture_output=True
    )
    return _children() - start


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    raise SystemExit(main())
