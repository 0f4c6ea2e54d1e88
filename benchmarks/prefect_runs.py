"""What Prefect costs a release, and what of it reaches the database: before and after our settings.

`python benchmarks/prefect_runs.py [--packages 12 60 500] [--databases embedded postgres] [--settings defaults ours]`
runs graphs of packages through `flows/scheduling.py` with steps that do nothing, each run in a process of its own. The
table tells the seconds until a person sees something and until the first step runs, CPU seconds, task runs a second,
and how many task runs the database lacks, or holds as not ended, when all is over.

"embedded" begins with a server's first start here behind it. "postgres" is a server that stays: there the table tells
how long after the end of the run the last task run was seen in the database.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from uuid import UUID

    from prefect.client.schemas.objects import State

    from releasekit.core.planning.model import Step
    from releasekit.integrations.prefect_server import Server

# As a release has them, two with results.
STEPS = (
    "pin",
    "build",
    "verify",
    "upload",
    "confirm",
    "smoke-test",
)
KEPT = ("upload", "smoke-test")
LAYERS = 4
TICK = os.sysconf("SC_CLK_TCK")
# Also with Prefect's defaults: nobody here could be told anything, and 20 s for a start are too few on a busy machine.
BOTH = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}
QUIET = {"PREFECT_LOGGING_LEVEL": "CRITICAL", "DO_NOT_TRACK": "1"}
STABLE = 20.0
"""Seconds in which nothing is added to a database before the rest counts as lost."""


@dataclass(slots=True)
class Row:
    """One run; times in seconds, *said* by the process itself."""

    name: str
    packages: int
    said: dict[str, float]
    cpu: dict[str, float] = field(default_factory=dict[str, float])
    ended: int = 0
    late: float = 0.0

    def __str__(self) -> str:
        said, runs = self.said, self.packages * len(STEPS)
        lost = f"{runs - self.ended} of {runs}"
        rate = runs / (said["last"] - said["first_task"])
        return (
            f"| {self.name} | {self.packages} | {said['first_output']:.1f} | {said['first_task']:.1f} "
            f"| {self.cpu.get('client', 0):.1f} | {self.cpu.get('server', 0):.1f} | {self.cpu.get('database', 0):.1f} "
            f"| {rate:.0f} | {lost} | {self.late:.0f} |"
        )


HEAD = """\
| | packages | first output | first task | CPU client | CPU server | CPU database | task runs/s | lost | late |
|---|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--packages", type=int, nargs="+", default=[12, 60, 500])
    asked.add_argument(
        "--databases", nargs="+", choices=("embedded", "postgres"), default=["embedded", "postgres"]
    )
    asked.add_argument(
        "--settings", nargs="+", choices=("defaults", "ours"), default=["defaults", "ours"]
    )
    asked.add_argument("--as-client", metavar="SETTINGS", help=argparse.SUPPRESS)
    options = asked.parse_args()
    if options.as_client:
        begin = float(os.environ["BEGUN"])
        said = asyncio.run(client(options.as_client, options.packages[0], begin))
        print(json.dumps(said), flush=True)
        return
    print(HEAD, flush=True)
    for database in options.databases:
        for settings in options.settings:
            with tempfile.TemporaryDirectory(prefix="releasekit-runs-") as home:
                for row in measured(database, settings, options.packages, Path(home)):
                    print(row, flush=True)


def measured(database: str, settings: str, sizes: Sequence[int], home: Path) -> Generator[Row]:
    """Yield the rows of one kind of server under one kind of settings."""
    with ExitStack() as stack:
        env = {**os.environ, **BOTH, "PREFECT_HOME": str(home / "client")}
        env.pop("PREFECT_API_URL", None)
        roots: dict[int, str] = {}
        if database == "postgres":
            from tests.support.postgres import postgres

            address = stack.enter_context(postgres())
            env["PREFECT_API_URL"], pid = stack.enter_context(server(address, settings, home))
            roots[pid] = "server"
            roots[_parent_of_all(address)] = "database"
        else:
            address = str(home / "client" / "prefect.db")
            # The first start of all: its migrations are no cost of a release.
            once(settings, 1, env, {})
        for size in sizes:
            before = ended(address)
            row = once(settings, size, env, roots)
            row.name = f"{database}, {settings}"
            row.late, row.ended = settled(address, before, size * len(STEPS), time.monotonic())
            yield row


def once(settings: str, size: int, env: dict[str, str], roots: dict[int, str]) -> Row:
    """Run one graph in a process of its own."""
    argv = (sys.executable, __file__, "--as-client", settings, "--packages", str(size))
    begun = time.time()
    with (
        tempfile.TemporaryFile() as noise,  # Prefect's own servers complain when they are stopped
        subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=noise, text=True, env={**env, "BEGUN": str(begun)}
        ) as child,
        sampled({**roots, child.pid: "client"}) as cpu,
    ):
        out, _ = child.communicate()
        noise.seek(0)
        if child.returncode:
            raise SystemExit(f"exit code {child.returncode}\n{out}\n{noise.read().decode()}")
    return Row("", size, json.loads(out.splitlines()[-1]), cpu)


def settled(address: str, before: int, expected: int, since: float) -> tuple[float, int]:
    """Return how many seconds after *since* the last of the task runs came in, and how many did."""
    seen, at = ended(address) - before, since
    while seen < expected and time.monotonic() - at < (STABLE if "://" in address else 0):
        time.sleep(0.5)
        now = ended(address) - before
        if now != seen:
            seen, at = now, time.monotonic()
    return at - since, seen


def ended(address: str) -> int:
    """Return how many task runs the database holds as ended."""
    count = "select count(*) from task_run where state_type = 'COMPLETED'"
    if "://" not in address:
        with sqlite3.connect(address) as file:
            return int(file.execute(count).fetchone()[0])
    from tests.support.postgres import programs

    psql = (
        str(programs() or "") + "/psql",
        address.replace("+asyncpg", ""),
        "--tuples-only",
        "--command",
        count,
    )
    return int(subprocess.run(psql, capture_output=True, text=True, check=True).stdout)


@contextmanager
def server(address: str, settings: str, home: Path) -> Generator[tuple[str, int]]:
    """Run a server that stays, on the database *address*; yields its URL and process id."""
    from releasekit.integrations.prefect_server import SERVER_SETTINGS

    ours = SERVER_SETTINGS if settings == "ours" else {}
    env = {**os.environ, **BOTH, **ours, "PREFECT_HOME": str(home / "server")}
    env["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = address
    argv = (
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(PORT),
    )
    url = f"http://127.0.0.1:{PORT}/api"
    with (
        (home / "server.log").open("wb") as log,
        subprocess.Popen(argv, env=env, stdout=log, stderr=log) as child,
    ):
        try:
            import httpx

            while True:
                try:
                    if httpx.get(f"{url}/health", timeout=5).is_success:
                        break
                except httpx.HTTPError:
                    pass
                time.sleep(0.2)
            yield url, child.pid
        finally:
            child.terminate()


PORT = 4288


@contextmanager
def sampled(roots: dict[int, str]) -> Generator[dict[str, float]]:
    """Add up the CPU seconds that the processes below *roots* use inside the block; servers apart from clients."""
    before = cpu_of(roots)
    latest = dict(before)
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            latest.update(cpu_of(roots))

    found: dict[str, float] = {}
    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()
        for key, seconds in latest.items():
            found[key[1]] = found.get(key[1], 0) + seconds - before.get(key, 0)


def cpu_of(roots: dict[int, str]) -> dict[tuple[int, str], float]:
    """Return the CPU seconds so far of each process below *roots*, by process and what it is."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents[int(path.parent.name)] = int(fields[1])
        used[int(path.parent.name)] = (int(fields[11]) + int(fields[12])) / TICK
    return {(pid, what): used[pid] for pid in used if (what := _what(pid, parents, roots))}


def _what(pid: int, parents: dict[int, int], roots: dict[int, str]) -> str:
    above = pid
    while above and above not in roots:
        above = parents.get(above, 0)
    if not above:
        return ""
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return "server" if b"uvicorn" in argv else roots[above]


def _parent_of_all(address: str) -> int:
    """Return the process of the PostgreSQL at *address*."""
    port = address.rpartition(":")[2].partition("/")[0]
    asked = subprocess.run(
        ("pgrep", "-f", f"bin/postgres .*-p {port}"), capture_output=True, text=True, check=True
    )
    return int(asked.stdout.split()[0])


async def client(settings: str, size: int, begun: float) -> dict[str, float]:
    """Be a release of *size* packages whose steps do nothing; returns when what happened, in seconds since *begun*."""
    said: dict[str, float] = {}

    def tell(what: str) -> None:
        said.setdefault(what, time.time() - begun)

    steps, needs = graph(size)
    own: Server | None = None
    with ExitStack() as stack:
        if settings == "ours":  # as releasekit/cli/runner.py does
            from releasekit.integrations.prefect_server import (
                configure_client,
                configured_api,
                prefect_server,
            )

            if not os.environ.get("PREFECT_API_URL"):
                own = stack.enter_context(prefect_server())
            tell("first_output")
            configure_client(own.url if own else configured_api())
            if own:
                own.wait()
                os.environ["PREFECT_API_URL"] = own.url
        else:
            os.environ.update(QUIET)
        from flows.event_flush import count_task_runs, drain, wait_until_persisted

        async with AsyncExitStack() as counting:
            count = await counting.enter_async_context(count_task_runs()) if own else None
            run = await story(steps, needs, tell)
            tell("last")
            if settings == "ours":
                await drain()
            if own and count:
                await wait_until_persisted(own, run, count.count_ended())
    tell("ended")
    return said


async def story(steps: Sequence[Step], needs: dict[str, tuple[str, ...]], tell: Any) -> str:  # noqa: ANN401
    """Expand the graph as `publish` does; returns the id of the flow run."""
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE
    from prefect.context import FlowRunContext

    from flows.scheduling import run_graph, run_step
    from releasekit.core.release.observer import LogObserver
    from tasks.step_runs import run_ids
    from tasks.upload import PER_RELEASE

    async def nothing(job: Any) -> None:  # noqa: ANN401, ARG001
        tell("first_task")

    actions = [
        task(
            name=name,
            task_run_name=name + "-{job.step.name}",
            cache_policy=PER_RELEASE if name in KEPT else NO_CACHE,
            persist_result=name in KEPT,
        )(nothing)
        for name in STEPS
    ]
    release: Any = a_release()
    observer = LogObserver()

    async def chain(step: Step, after: frozenset[UUID]) -> State[Any]:
        job = SimpleNamespace(release=release, step=step, built=SimpleNamespace(files=()))
        for action in actions[:-1]:
            after = run_ids([await run_step(observer, action, after, job)])
        return await run_step(observer, actions[-1], after, job)

    @flow(name="runs", retries=0)
    async def runs() -> str:
        tell("first_output")
        await run_graph(steps, needs, chain, observer)
        context = FlowRunContext.get()
        return str(context.flow_run.id) if context and context.flow_run else ""

    running: Any = runs()
    return await running


def a_release() -> object:
    """Return what `result_key` asks of a release, new in every run."""
    plan = SimpleNamespace(release=os.urandom(8).hex())
    return SimpleNamespace(plan=plan, commit="", target=SimpleNamespace(check_url=""))


def graph(size: int) -> tuple[list[Step], dict[str, tuple[str, ...]]]:
    """Return steps of *size* packages in layers, each of which needs up to three of the layer below."""
    from packaging.version import Version

    from releasekit.core.planning.model import Status, Step

    a_layer = max(1, size // LAYERS)
    steps: list[Step] = []
    for number in range(size):
        base = (number // a_layer - 1) * a_layer
        below = (
            {base + (number + offset) % a_layer for offset in (0, 1, 7)}
            if base >= 0
            else set[int]()
        )
        needs = tuple(f"pkg-{need}" for need in sorted(below))
        steps.append(
            Step(
                order=number, level=0, name=f"pkg-{number}", path="", current=None, next=Version("1"), bump="first",
                status=Status.INCLUDED, reason="", tag="", needs=needs,
            )
        )  # fmt: skip
    return steps, {step.name: step.needs for step in steps}


if __name__ == "__main__":
    main()
