"""What an engine costs a release: the synchronous task that stages a package, run in the ways that Prefect has.

`python benchmarks/engines.py [--packages 24] [--rounds 3] [--seconds 0] [--only NAME]` pins, builds and verifies
every package of a workspace, as many at a time as there are cores: without Prefect in threads (the floor), as
`flows/scheduling.py` does, as coroutines in one loop, and by `submit` on Prefect's runners of threads and processes.
Where Dask is installed (`uv run --with prefect-dask python benchmarks/engines.py`), also as a release does with
`task_runner = "dask"`: with workers that see the record, and with workers that see only a storage. All of them run
the same function.

With `--seconds`, each wheel takes so long, as one with a compiler does. That time is only waiting, so that two
workers on one machine are as fast as on two. The table tells the seconds and the CPU seconds of this process, without
its children (uv's and the runners'), of the best round, and the ratio to the floor.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, not as a module

from benchmarks.synthetic import GIT, make_repository, publishable  # noqa: E402
from releasekit.integrations.prefect_server import configure_client, prefect_server  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.core.release.stage_job import StageJob
    from tasks.context import ReleaseContext

    Engine = Callable[[ReleaseContext], None]

CORES = os.cpu_count() or 1


def main() -> None:
    asked = argparse.ArgumentParser(description="What an engine costs a release.")
    asked.add_argument("--packages", type=int, default=24)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--seconds", type=float, default=0)
    asked.add_argument("--only", default="")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="releasekit-engines-") as scratch:
        home = Path(scratch).resolve()
        os.environ.update(GIT)
        os.environ["PREFECT_HOME"] = str(home / "prefect")
        os.environ["PREFECT_TASKS_REFRESH_CACHE"] = "true"  # each way builds everything
        os.environ.pop("PREFECT_API_URL", None)
        configure_client("")
        with prefect_server() as server:
            work = make_repository(home / "work", given.packages, 10 * given.packages)
            publishable(work, home / "remote.git")
            server.wait()
            os.environ["PREFECT_API_URL"] = server.url
            with chdir(work):
                release = _slow(_prepared(work), given.seconds)
                engines = {name: run for name, run in ENGINES.items() if given.only in name}
                _table(release, engines, given.rounds)


def _slow(release: ReleaseContext, seconds: float) -> ReleaseContext:
    """Return *release* with wheels that take some *seconds* more."""
    if not seconds:
        return release
    script = f"sleep {seconds} && {release.uv.executable} build --quiet --wheel --no-sources --out-dir $1"
    command = ("sh", "-c", script, "sh", "{output}")
    settings = release.settings.model_copy(update={"build_command": command})
    return replace(release, settings=settings)


def _table(release: ReleaseContext, engines: Mapping[str, Engine], rounds: int) -> None:
    best = {name: (float("inf"), float("inf")) for name in engines}
    for _ in range(rounds):
        for name, engine in engines.items():
            begun, cpu = time.monotonic(), time.process_time()
            engine(release)
            took = time.monotonic() - begun, time.process_time() - cpu
            best[name] = min(best[name], took)
            print(f"{name}: {took[0]:.1f} s", file=sys.stderr, flush=True)
            _complete(release, name)
    floor = next(iter(best.values()))[0]
    print(f"{len(release.plan.steps)} packages, one task each, {CORES} cores, best of {rounds}\n")
    print("| | s | CPU s here | times the first |\n|---|---|---|---|")
    for name, (seconds, cpu) in best.items():
        print(f"| {name} | {seconds:.1f} | {cpu:.1f} | {seconds / floor:.2f} |")


def _complete(release: ReleaseContext, engine: str) -> None:
    for step in release.plan.steps:
        if len(list(release.record.dist(step.name).glob("*.whl"))) != 1:
            raise SystemExit(f"{engine}: {step.name} was not built")
        for path in release.record.dist(step.name).iterdir():
            path.unlink()


def _prepared(work: Path) -> ReleaseContext:
    """Return a release of everything in *work* whose commit is made."""
    from flows.release_phases import create_commit
    from releasekit.operations.draft import create_plan_context, open_project
    from releasekit.operations.start_release import release_context
    from releasekit.options import PublishOptions
    from releasekit.store.record import create_record

    options = PublishOptions(workspace=str(work), force_unchanged=True, offline=True)
    project, repo = open_project(options)
    plan = asyncio.run(create_plan_context(options, project, repo)).plan
    return create_commit(
        release_context(plan, create_record(repo.common_dir, plan), project, repo), repo
    )


def _jobs(release: ReleaseContext) -> list[StageJob]:
    from tasks import build

    # No package builds with another.
    return [build.stage_job(release, step, {}) for step in release.plan.steps]


def no_engine(release: ReleaseContext) -> None:
    """Call the function in threads."""
    from tasks import build

    with ThreadPoolExecutor(CORES) as threads:
        list(threads.map(build.stage.fn, _jobs(release)))


def as_released(release: ReleaseContext) -> None:
    """Run it as a release does: submitted once its needs are built, within slots."""
    from prefect import flow

    from flows.scheduling import stage_all
    from flows.task_runners import exchange_of
    from releasekit.integrations.git import Repo
    from tasks import build

    @flow(name="as-released")
    async def staging() -> None:
        exchange = exchange_of(release)
        if exchange:
            build.send_commit(release, Repo(Path.cwd()), exchange)
        built, failed = await stage_all(release, exchange=exchange)
        if failed or not built:
            raise SystemExit(str(failed))

    running: Any = staging()
    asyncio.run(running)


def on_runner(name: str, *, storage: bool = False) -> Callable[[ReleaseContext], None]:
    """Return a function that runs them as a release does with `task_runner` set to *name*."""

    def staging_of(release: ReleaseContext) -> None:
        with tempfile.TemporaryDirectory(prefix="releasekit-storage-") as directory:
            keys = {"task_runner": name, "stage_storage": f"file://{directory}" if storage else ""}
            settings = release.settings.model_copy(update=keys)
            as_released(replace(release, settings=settings))

    return staging_of


def coroutines(release: ReleaseContext) -> None:
    """Run it as an asynchronous task in one loop, which awaits the function in a thread."""
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE

    from tasks import build

    @task(name="stage", cache_policy=NO_CACHE)
    async def stage(job: StageJob) -> BuiltPackage:
        return await asyncio.to_thread(build.stage.fn, job)

    @flow(name="coroutines")
    async def staging() -> None:
        slots = asyncio.Semaphore(CORES)

        async def one(job: StageJob) -> None:
            async with slots:
                await stage(job)

        await asyncio.gather(*map(one, _jobs(release)))

    running: Any = staging()
    asyncio.run(running)


def submitted(runner: Callable[[], Any]) -> Callable[[ReleaseContext], None]:
    """Return a function that runs them by `submit` on a task runner."""

    def staging_of(release: ReleaseContext) -> None:
        from prefect import flow
        from prefect.cache_policies import NO_CACHE

        from tasks import build

        stage: Any = build.stage.with_options(cache_policy=NO_CACHE)

        @flow(name="submitted", task_runner=runner())
        def staging() -> None:
            for future in [stage.submit(job) for job in _jobs(release)]:
                future.result()

        with ThreadPoolExecutor(1) as own:  # a synchronous flow wants a thread without a loop
            own.submit(staging).result()

    return staging_of


def _threads() -> Any:  # noqa: ANN401  a task runner of whatever results
    from prefect import task_runners

    return task_runners.ThreadPoolTaskRunner[Any](max_workers=CORES)


def _processes() -> Any:  # noqa: ANN401  as above
    from prefect import task_runners

    return task_runners.ProcessPoolTaskRunner(max_workers=CORES)


ENGINES: dict[str, Engine] = {
    "no engine": no_engine,
    "as released": as_released,
    "coroutines": coroutines,
    "submit, threads": submitted(_threads),
    "submit, processes": submitted(_processes),
}
if find_spec("prefect_dask"):
    ENGINES["as released, Dask"] = on_runner("dask")
    ENGINES["as released, Dask and a storage"] = on_runner("dask", storage=True)


if __name__ == "__main__":
    main()
