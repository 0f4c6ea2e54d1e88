"""Everything that releases are compared with, measured in one run and written to `benchmarks/RESULTS.md`.

`python -m benchmarks.results` releases workspaces of 10, 24 and 105 packages; `--large` adds 200 and 500, `--packages`
names other sizes. `--before COMMIT` installs that commit in a directory of its own and measures it too. Each case gets
a fresh workspace and a fresh index on this machine. The shell loop and `uv publish` are what people do without a
release tool. They prove nothing, and stop nowhere. One case uses a Prefect server that `releasekit server start`
started before: its CPU seconds count from the start of the release to its end. The last table says how long a release
takes to begin its first build, beyond what `plan` takes.

Seconds depend on the machine and on what else it does, so each row is a ratio to the shell loop of the same round.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.synthetic import GIT, make_repository, publishable
from releasekit.integrations.peryx import embedded_index
from releasekit.integrations.prefect_server import free_port
from releasekit.integrations.uv import find_uv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
SIZES = (10, 24, 105)
LARGE = (200, 500)
# Larger workspaces are measured once: half an hour for 500 packages, and their figures vary less.
SEVERAL_ROUNDS = 24
LAYERS = 4
HIDDEN = ("PREFECT_API_URL", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")
UV = find_uv().executable

LOOP = """\
set -eu
for name in $(ls packages); do
    uv version --quiet --package $name --no-sync --bump minor
done
uv lock --quiet
git commit --quiet --all --message "chore: release"
for name in $(ls packages); do
    uv build --quiet --no-sources --out-dir dist packages/$name
    uv publish --quiet dist/$(echo $name | tr - _)-*
    git tag --annotate --message $name $name-v0.2.0
done
git push --quiet --follow-tags
"""
ALL_PACKAGES = """\
set -eu
for name in $(ls packages); do
    uv version --quiet --package $name --no-sync --bump minor
done
uv lock --quiet
git commit --quiet --all --message "chore: release"
uv build --quiet --no-sources --all-packages --out-dir dist
uv publish --quiet dist/*
git tag --annotate --message release release-1
git push --quiet --follow-tags
"""
BUILDS = "set -eu\nfor name in $(ls packages); do uv build --quiet --no-sources --out-dir dist packages/$name; done\n"
_RECORDED = 'record = "always"'
PUBLISH = ("publish", "--yes", "--skip-audit", "--force-unchanged")
PLAN = ("plan", "--force-unchanged")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one command took: CPU seconds of it and all that it started, and seconds on the wall.

    *until_build* are the seconds until the first build, without those of `plan`; None if it builds nothing for us.
    """

    cpu: float
    wall: float
    until_build: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One way to release a workspace: the command, and the settings of releasekit that it needs.

    *plan* is the command that only plans the same release, if there is one. *server* is the command that starts and
    stops a Prefect server which runs before and after it.
    """

    name: str
    argv: Sequence[str]
    settings: str = ""
    plan: Sequence[str] = ()
    server: Sequence[str] = ()


def main() -> None:
    """Measure all cases, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packages", type=int, nargs="+", help="sizes instead of 10, 24 and 105")
    parser.add_argument("--large", action="store_true", help="also 200 and 500 packages")
    parser.add_argument("--before", metavar="COMMIT", help="also measure this commit of releasekit")
    parser.add_argument(
        "--rounds",
        type=int,
        default=3,
        help=f"how often to measure at most {SEVERAL_ROUNDS} packages, and the least counts; more are measured once",
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    sizes = options.packages or [*SIZES, *(LARGE if options.large else ())]
    with tempfile.TemporaryDirectory(prefix="releasekit-results-") as scratch:
        home = Path(scratch).resolve()
        before = install_commit(options.before, home / "before") if options.before else None
        cases = list(all_cases(before, options.before or ""))
        for case in cases:
            if _RECORDED in case.settings:  # the first start of a server makes its database
                warm_up(case, home)
        tables: dict[int, dict[str, Cost]] = {}
        for size in sizes:
            rounds = options.rounds if size <= SEVERAL_ROUNDS else 1
            for costs in measure_size(cases, size, rounds, home):
                tables[size] = costs
                # What is measured before an interrupt is kept.
                options.output.write_text(page(cases, tables, options.rounds), "utf-8")
    print(options.output.read_text("utf-8"))


def all_cases(before: Path | None, commit: str) -> Iterator[Case]:
    """Yield the cases; the first one is what the others are compared with."""
    yield Case("shell loop", ("sh", "-c", LOOP))
    yield Case("`uv build --all-packages`, `uv publish`", ("sh", "-c", ALL_PACKAGES))
    yield Case("the builds alone, one after the other", ("sh", "-c", BUILDS))
    this = Path(sys.executable)
    for case in releases("releasekit", this):
        argv = (*case.argv, "--log-format", "json")
        yield replace(case, argv=argv, plan=command(this, PLAN))
    yield Case(
        "releasekit, recorded by a Prefect server that runs already",
        command(this),
        _RECORDED,
        server=command(this, ("server",)),
    )
    yield Case(
        "releasekit without the proof before the upload",
        command(this),
        'record = "never"\noverlay = "off"',
    )
    if before:
        yield from releases(f"releasekit at {commit}", before)


def releases(name: str, python: Path) -> Iterator[Case]:
    """Yield a release without and with a Prefect server, by the releasekit that *python* has."""
    yield Case(name, command(python), 'record = "never"')
    yield Case(f"{name}, recorded by Prefect", command(python), _RECORDED)


def command(python: Path, words: Sequence[str] = PUBLISH) -> tuple[str, ...]:
    """Return the command of releasekit with *words*, which by default release everything."""
    return (str(python), "-m", "releasekit", *words)


def install_commit(commit: str, directory: Path) -> Path:
    """Install releasekit at *commit* in *directory*, and return its Python."""
    source = directory / "source"
    git = ("git", "-C", str(ROOT))
    subprocess.run(
        (*git, "worktree", "add", "--quiet", "--detach", str(source), commit), check=True
    )
    try:
        subprocess.run(
            (UV, "sync", "--quiet", "--no-editable", "--project", str(source)),
            check=True,
            env=_environ({}),
        )
        (source / ".venv").rename(directory / ".venv")
    finally:
        subprocess.run((*git, "worktree", "remove", "--force", str(source)), check=True)
    return directory / ".venv" / "bin" / "python"


def warm_up(case: Case, home: Path) -> None:
    """Run *case* once without measuring it."""
    with tempfile.TemporaryDirectory(dir=home, prefix="warm-up-") as directory:
        measure(case, 1, Path(directory), home / "prefect")


def measure_size(
    cases: Sequence[Case], size: int, rounds: int, home: Path
) -> Iterator[dict[str, Cost]]:
    """Yield after each measurement the least cost of each case with *size* packages; the cases take turns."""
    costs: dict[str, list[Cost]] = {}
    for round_number in range(rounds):
        for number, case in enumerate(cases):
            with tempfile.TemporaryDirectory(
                dir=home, prefix=f"{size}-{round_number}-{number}-"
            ) as directory:
                cost = measure(case, size, Path(directory), home / "prefect")
            print(
                f"{size:4} packages, round {round_number + 1}: {cost.cpu:7.2f} CPU s {cost.wall:7.1f} s  {case.name}"
            )
            costs.setdefault(case.name, []).append(cost)
            yield {name: least_of(measured) for name, measured in costs.items()}


def measure(case: Case, size: int, directory: Path, prefect_home: Path) -> Cost:
    """Release a new workspace of *size* packages to a new index, as *case* does."""
    work = make_repository(directory / "work", size, 10 * size, LAYERS)
    root = work / "pyproject.toml"
    ignore = work / ".gitignore"
    ignore.write_text("dist/\n.venv/\n")
    root.write_text(f"{root.read_text()}\n[tool.releasekit]\n{case.settings}\n")
    publishable(work, directory / "remote.git")
    (directory / "index").mkdir()
    with embedded_index(directory / "index") as index:
        env = _environ({**index.environment, "PREFECT_HOME": str(prefect_home)})
        plan = cost_of(case.plan, work, env).wall if case.plan else 0.0
        if case.server:
            return _cost_with_server(case, work, env)
        cost = cost_of(case.argv, work, env)
        return replace(cost, until_build=cost.until_build - plan if cost.until_build else None)


def _cost_with_server(case: Case, work: Path, env: Mapping[str, str]) -> Cost:
    """Return what *case* costs, and what the Prefect server that runs already does for it."""
    cost_of((*case.server, "start", "--port", str(free_port())), work, env)
    try:
        pid = int((Path(env["PREFECT_HOME"]) / "server.pid").read_text())
        before = _cpu_of(pid)
        cost = cost_of(case.argv, work, env)
        return replace(cost, cpu=cost.cpu + _cpu_of(pid) - before)
    finally:
        cost_of((*case.server, "stop"), work, env)


def _cpu_of(pid: int) -> float:
    """Return the CPU seconds that process *pid* used until now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost_of(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Cost:
    """Return what the command *argv* costs; it must succeed."""
    start, began = time.monotonic(), time.time()
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(argv, cwd=cwd, env=env, stdout=output, stderr=output) as child,
    ):
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - start
        output.seek(0)
        text = output.read().decode()
    if child.returncode:
        raise SystemExit(f"exit code {child.returncode} from {shlex.join(argv)}\n{text}")
    building = first_build(text.splitlines())
    return Cost(used.ru_utime + used.ru_stime, wall, building - began if building else None)


def first_build(log: Sequence[str]) -> float | None:
    """Return when the first build began, in seconds since 1970, from a *log* of JSON lines; None if it says nothing."""
    for line in log:
        if line.startswith("{") and '"building ' in line:
            return float(json.loads(line)["time"])
    return None


def _environ(changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return our environment with *changes*; None removes a variable."""
    path = f"{Path(UV).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    env = {**GIT, **dict.fromkeys(HIDDEN), "PATH": path, **changes}
    return {name: value for name, value in env.items() if value is not None}


def _cpu(cost: Cost) -> float:
    return cost.cpu


def _wall(cost: Cost) -> float:
    return cost.wall


def least_of(costs: Sequence[Cost]) -> Cost:
    """Return the least of each value of *costs*: other work on the machine only adds to it."""
    builds = (cost.until_build for cost in costs if cost.until_build)
    return Cost(min(map(_cpu, costs)), min(map(_wall, costs)), min(builds, default=None))


def page(cases: Sequence[Case], tables: Mapping[int, Mapping[str, Cost]], rounds: int) -> str:
    """Return the page with a table for CPU seconds and one for seconds on the wall."""
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    load = os.getloadavg()[0]
    lines = [
        "# Results",
        "",
        "Written by `python -m benchmarks.results`; do not edit it. Each figure is the ratio to the shell loop of the",
        "same run. The loop is in `benchmarks/results.py`: version, lock, build, publish, tag, push. It proves",
        "nothing.",
        "`benchmarks/publish.py` compares a release with the least time that its own commands need.",
        "",
        f"- Date: {today}",
        f"- Machine: {os.cpu_count()} cores, load {load:.0f} at the end of the run",
        f"- Rounds: {rounds}, and one for more than {SEVERAL_ROUNDS} packages; the least of them counts",
        f"- Packages: built by `uv_build`, in {LAYERS} layers, to an index on this machine",
        "",
    ]
    for title, value in (("CPU seconds", _cpu), ("Seconds on the wall", _wall)):
        lines += [f"## {title}", "", *_table(cases, tables, value), ""]
    lines += ["## Seconds until the first build, without those of `plan`", ""]
    lines += [*_head(tables), *_waits(tables), ""]
    return "\n".join(lines)


def _table(
    cases: Sequence[Case], tables: Mapping[int, Mapping[str, Cost]], value: Callable[[Cost], float]
) -> Iterator[str]:
    """Yield the lines of a table: cases by sizes, as ratios to the first case."""
    yield from _head(tables)
    loop = cases[0].name
    for case in cases:
        ratios = (
            f"{value(costs[case.name]) / value(costs[loop]):.2f}" if case.name in costs else ""
            for costs in tables.values()
        )
        yield f"| {case.name} | " + " | ".join(ratios) + " |"
    seconds = [value(costs[loop]) for costs in tables.values()]
    yield f"| {loop}, in seconds | " + " | ".join(f"{second:.1f}" for second in seconds) + " |"


def _head(sizes: Iterable[int]) -> tuple[str, str]:
    columns = [f"{size} packages" for size in sizes]
    return "| | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)


def _waits(tables: Mapping[int, Mapping[str, Cost]]) -> Iterator[str]:
    """Yield a line for each case that reports when its first build begins."""
    for name in next(iter(tables.values())):
        measured = filter(None, (costs.get(name) for costs in tables.values()))
        waits = [cost.until_build for cost in measured]
        if None not in waits:
            yield f"| {name} | " + " | ".join(f"{wait:.1f}" for wait in waits) + " |"


if __name__ == "__main__":
    main()
