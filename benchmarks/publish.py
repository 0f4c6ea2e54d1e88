"""How long a whole release takes, beside the least that its own commands would need.

`python benchmarks/publish.py` releases a workspace of 24 packages in four layers to the embedded index, for real:
builds, uploads, smoke tests, tags, push. The lower bound is the longer of two: the critical path through the graph,
and all work shared out over the cores. It is taken twice: from the durations of this very run, which commands that
run beside each other stretch, and from a run before it that does one thing at a time.

The release is measured from its flow's first command to its last; what Prefect takes before and after stands by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.synthetic import GIT, make_repository, publishable  # noqa: E402
from releasekit.integrations.peryx import embedded_index  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GOAL = 1.3
RESOLVED_ONLY = '\n[tool.releasekit]\noverlay = "resolve"\n'
ONE_AT_A_TIME = "\n[tool.releasekit]\nconcurrency = 1\nbuild_concurrency = 1\n"


@dataclass(frozen=True, slots=True)
class Ran:
    """One command of the release, as its log line tells."""

    argv: tuple[str, ...]
    begun: float
    seconds: float

    @property
    def ended(self) -> float:
        """When it ended."""
        return self.begun + self.seconds


@dataclass(frozen=True, slots=True)
class Release:
    """One release: when the program began and ended, what the flow ran, who needs whom."""

    begun: float
    ended: float
    ran: Sequence[Ran]
    needs: Mapping[str, Sequence[str]]

    @property
    def seconds(self) -> float:
        """How long the flow's commands took from the first to the last, waiting included."""
        return max(ran.ended for ran in self.ran) - self.ran[0].begun


def main() -> None:
    parser = argparse.ArgumentParser(
        description="How long a release takes, beside its lower bound."
    )
    parser.add_argument("--packages", type=int, default=24)
    parser.add_argument("--layers", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="releasekit-benchmark-") as scratch:
        home = Path(scratch).resolve()
        serial = release(home, "serial", given.packages, given.layers, ONE_AT_A_TIME)
        usual = release(home, "usual", given.packages, given.layers)
        resolved = release(home, "resolved", given.packages, given.layers, RESOLVED_ONLY)
    print(
        f"{given.packages} packages in {given.layers} layers, {len(usual.ran)} commands, {os.cpu_count()} cores"
    )
    print(
        f"until Prefect runs the flow: {_before(serial):.1f} s the first time, then {_before(usual):.1f} s"
    )
    print(f"after the last command:      {_after(usual):.1f} s")
    print(
        f"the release:                 {usual.seconds:.2f} s; one thing at a time {serial.seconds:.2f} s"
    )
    ratio = usual.seconds / resolved.seconds
    print(
        f"with overlay = resolve:      {resolved.seconds:.2f} s; installing before the upload: ratio {ratio:.2f}"
    )
    _show("durations of this run", usual, usual.seconds)
    _show("undisturbed durations", serial, usual.seconds)


def _before(one: Release) -> float:
    return one.ran[0].begun - one.begun


def _after(one: Release) -> float:
    return one.ended - max(ran.ended for ran in one.ran)


def _show(what: str, measured: Release, seconds: float) -> None:
    path, work = (
        critical_path(measured),
        sum(ran.seconds for ran in measured.ran) / (os.cpu_count() or 1),
    )
    print(
        f"lower bound, {what}: critical path {path:.2f} s, work over cores {work:.2f} s: "
        f"ratio {seconds / max(path, work):.2f} (goal {GOAL})"
    )


def critical_path(release: Release) -> float:
    """Return the least time that the order of things asks for, however many cores there are.

    What belongs to no package comes first or last; all is built, then all is proven, before the first upload; and a
    package goes up once those that it needs are up and smoke-tested.
    """
    of = seconds_of(release.ran)
    done: dict[str, float] = {}
    for name, needs in release.needs.items():  # dependencies come first
        done[name] = (
            max((done[need] for need in needs), default=0)
            + of["publish", name]
            + of["smoke-test", name]
        )
    builds = max(of["build", name] for name in release.needs)
    proofs = max(of["prove", name] for name in release.needs)
    return of["all", ""] + builds + proofs + max(done.values())


def seconds_of(ran: Sequence[Ran]) -> dict[tuple[str, str], float]:
    """Return the seconds spent on each step of each package; what belongs to none is the step "all"."""
    found: dict[tuple[str, str], float] = defaultdict(float)
    tested = dict(
        _installed(one.argv) for one in ran if "install" in one.argv and "--dry-run" not in one.argv
    )
    for one in ran:
        argv = one.argv
        scratch = next((word for word in argv if "releasekit-smoke-" in word), "")
        if scratch:
            step = tested[_scratch(scratch)]
        elif argv[1] == "build":
            step = ("build", Path(argv[argv.index("--out-dir") + 1]).name)
        elif argv[1] == "publish":
            step = ("publish", Path(argv[-1]).parent.name)
        else:
            step = ("all", "")
        found[step] += one.seconds
    return found


def _installed(argv: Sequence[str]) -> tuple[str, tuple[str, str]]:
    """Return into which scratch directory a package was installed, and for which step: from the built files or not."""
    step = "prove" if "--find-links" in argv else "smoke-test"
    return _scratch(argv[argv.index("--python") + 1]), (step, argv[-1].partition("==")[0])


def _scratch(path: str) -> str:
    return next(part for part in Path(path).parts if part.startswith("releasekit-smoke-"))


def release(home: Path, name: str, packages: int, layers: int, settings: str = "") -> Release:
    """Make a workspace below *home* and release all of it to an index of its own."""
    directory = home / name
    (directory / "index").mkdir(parents=True)
    work = _workspace(directory, packages, layers, settings)
    options = ("--workspace", str(work), "--force-unchanged", "--format", "json")
    with embedded_index(directory / "index") as index:
        env = {
            **GIT,
            **index.environment,
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_API_URL": None,
        }
        given = {key: value for key, value in env.items() if value is not None}
        plan: Any = json.loads(_run(("flows.plan", *options, "--offline"), given).stdout)
        begun = time.time()
        said = _run(
            ("flows.publish", "-v", "--log-format", "json", "--yes", "--skip-audit", *options),
            given,
        )
        ended = time.time()
    needs = {row["name"]: row["needs"] for row in plan["packages"] if row["order"] >= 0}
    return Release(begun, ended, _flow(said.stderr), needs)


def _workspace(directory: Path, packages: int, layers: int, settings: str) -> Path:
    work = make_repository(directory / "work", packages, 10 * packages, layers)
    if settings:
        (work / "pyproject.toml").write_text((work / "pyproject.toml").read_text() + settings)
    return publishable(work, directory / "remote.git")


def _run(argv: Sequence[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    said = subprocess.run(
        (sys.executable, "-m", *argv),
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if said.returncode:
        raise SystemExit(
            f"exit code {said.returncode} from {' '.join(argv)}\n{said.stdout}\n{said.stderr}"
        )
    return said


def _flow(log: str) -> list[Ran]:
    """Return what ran inside the flow, which looks for uv anew: that is its first command."""
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in log.splitlines() if line.startswith("{")
    ]
    told = [line for line in lines if "argv" in line]
    ran = [
        Ran(tuple(line["argv"]), line["time"] - line["seconds"], line["seconds"]) for line in told
    ]
    first = max(place for place, one in enumerate(ran) if one.argv[1:] == ("--version",))
    return ran[first:]


if __name__ == "__main__":
    main()
