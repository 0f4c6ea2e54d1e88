"""The dependency graph as task runs: who waits for whom, and who does not."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from releasekit.core.planning.model import Status, Step
from releasekit.core.release.observer import LogObserver
from tests.support.builders import settings_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from uuid import UUID

    from prefect.client.schemas.objects import State

    Do = Callable[["Story", str], Awaitable[object]]

pytestmark = pytest.mark.usefixtures("prefect_api")


class Story:
    """What happens, in order; and a bell for whoever waits for something in it."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self._bell = asyncio.Condition()

    async def tell(self, event: str) -> None:
        """Let something happen."""
        async with self._bell:
            self.events.append(event)
            self._bell.notify_all()

    async def hear(self, event: str) -> None:
        """Wait until something has happened."""
        async with asyncio.timeout(60), self._bell:
            await self._bell.wait_for(lambda: event in self.events)

    def before(self, first: str, second: str) -> bool:
        """Tell whether both happened, and in this order."""
        return self.events.index(first) < self.events.index(second)


def steps_of(graph: str, **after: str) -> tuple[list[Step], dict[str, list[str]]]:
    """Return steps and needs from "core; app: core"; *after* names for a package what it merely follows."""
    steps: list[Step] = []
    needs: dict[str, list[str]] = {}
    for part in graph.split(";"):
        name, _, rest = part.partition(":")
        name = name.strip()
        needs[name] = rest.split()
        steps.append(
            Step(
                order=len(steps), level=0, name=name, path=name, current=None, next=Version("1"), bump="first",
                status=Status.INCLUDED, reason="", tag=f"{name}-v1", needs=tuple(needs[name]),
                after=tuple(after.get(name, "").split()),
            )
        )  # fmt: skip
    return steps, needs


async def nothing(_: Story, __: str) -> None:
    """Do nothing."""


def tell(graph: str, do: Do = nothing, **after: str) -> tuple[Story, dict[str, State[Any]]]:
    """Expand a graph of two steps a package in a flow; returns the story and how each package ended.

    Prefect is imported here, after its server is known.
    """
    from prefect import task
    from prefect.cache_policies import NO_CACHE

    from flows.scheduling import run_step
    from tasks.step_runs import run_ids

    story, observer = Story(), LogObserver()

    @task(task_run_name="first-{name}", cache_policy=NO_CACHE)
    async def first(name: str) -> None:
        await story.tell(f"begin {name}")

    @task(task_run_name="second-{name}", cache_policy=NO_CACHE)
    async def second(name: str) -> None:
        await do(story, name)
        await story.tell(f"end {name}")

    async def chain(step: Step, after: frozenset[UUID]) -> State[Any]:
        state = await run_step(observer, first, after, step.name)
        return await run_step(observer, second, run_ids([state]), step.name)

    return story, expanded(chain, *steps_of(graph, **after))


def expanded(
    chain: Callable[[Step, frozenset[UUID]], Awaitable[State[Any]]],
    steps: Sequence[Step],
    needs: dict[str, list[str]],
) -> dict[str, State[Any]]:
    """Run `expand` in a flow; it ends within two minutes."""
    from prefect import flow

    from flows.scheduling import run_graph

    found: dict[str, State[Any]] = {}

    @flow(name="expand")
    async def story_flow() -> None:
        found.update(await run_graph(steps, needs, chain, LogObserver()))

    async def main() -> None:
        running: Any = story_flow()
        async with asyncio.timeout(120):
            await running

    asyncio.run(main())
    return found


def names_of(states: dict[str, State[Any]]) -> dict[str, str]:
    """Return the name of each state."""
    return {name: str(state.name) for name, state in states.items()}


def test_package_starts_after_its_needs() -> None:
    """A package begins when all of its needs have ended, not before."""
    story, states = tell("core; web: core; db: core; app: web db")

    for earlier, later in (("core", "web"), ("core", "db"), ("web", "app"), ("db", "app")):
        assert story.before(f"end {earlier}", f"begin {later}")
    assert set(names_of(states).values()) == {"Completed"}


def test_package_waits_only_for_needs() -> None:
    """A package begins the moment its own needs are done, though one that stands before it is still at work."""

    async def do(story: Story, name: str) -> None:
        if name == "slow":
            await story.hear("end app")

    story, _ = tell("slow; core; app: core", do)

    assert story.before("end app", "end slow")


def test_failure_blocks_all_dependents() -> None:
    """A failure marks those that need it, near and far, and nothing else; they do not begin."""

    async def do(_: Story, name: str) -> None:
        if name == "broken":
            raise RuntimeError("no")

    story, states = tell("broken; core; late: broken core; later: late; app: core", do)

    assert names_of(states) == {
        "broken": "Failed",
        "core": "Completed",
        "late": "Blocked",
        "later": "Blocked",
        "app": "Completed",
    }
    assert states["late"].message == "blocked by broken"
    assert states["later"].message == "blocked by late"
    assert states["later"].type == "FAILED"
    assert not {"begin late", "begin later"} & set(story.events)


def test_failed_predecessor_does_not_block() -> None:
    """What a package merely follows is waited for, but may fail or be blocked."""

    async def do(story: Story, name: str) -> None:
        if name == "broken":
            await asyncio.sleep(0.2)
            await story.tell("about to fail")
            raise RuntimeError("no")

    story, states = tell("broken; blocked: broken; app; lib", do, app="broken", lib="blocked")

    assert names_of(states) == {
        "broken": "Failed",
        "blocked": "Blocked",
        "app": "Completed",
        "lib": "Completed",
    }
    assert story.before("about to fail", "begin app")
    assert story.before("about to fail", "begin lib")


def test_unexpected_exception_ends_the_chain() -> None:
    """A mistake of our own in a chain comes out as what it is, and those that wait for it don't hang."""

    async def chain(step: Step, _: frozenset[UUID]) -> State[Any]:
        if step.name == "core":
            raise LookupError("a mistake")
        await asyncio.sleep(3600)
        raise AssertionError

    with pytest.raises(LookupError, match="a mistake"):
        expanded(chain, *steps_of("core; app: core; slow"))


def test_many_packages_end_in_order() -> None:
    """Two hundred packages in a chain of needs and beside it all end, in order, with their results."""
    graph = "; ".join(f"p{n}: p{n - 2}" if n > 1 else f"p{n}" for n in range(200))

    story, states = tell(graph)

    assert set(names_of(states).values()) == {"Completed"}
    assert len(story.events) == 400
    assert all(story.before(f"end p{n - 2}", f"begin p{n}") for n in range(2, 200))


def test_build_begins_without_limits() -> None:
    """A build that the server gives no answer about its limits, as under load, begins again without tags."""
    from concurrent.futures import Future
    from uuid import uuid4

    from prefect import task
    from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
    from prefect.futures import PrefectConcurrentFuture
    from prefect.task_runners import ThreadPoolTaskRunner

    from flows.scheduling import Staging

    class BusyServer(ThreadPoolTaskRunner[Any]):
        """Fails once as Prefect does."""

        answers = 0

        def submit(self, *given: Any, **details: Any) -> Any:
            self.answers += 1
            if self.answers > 1:
                return super().submit(*given, **details)
            failed: Future[Any] = Future()
            failed.set_exception(ConcurrencySlotAcquisitionError("503 Service Unavailable"))
            return PrefectConcurrentFuture(uuid4(), failed)

    @task
    def stage(job: str) -> str:
        return f"built {job}"

    async def story(runner: BusyServer) -> object:
        release: Any = SimpleNamespace(settings=settings_of(), plan=SimpleNamespace(steps=()))
        staging = Staging(release, runner)
        (step,), _ = steps_of("core")
        job: Any = "core"
        state = await staging.submit(step, stage, job, frozenset())
        return await state.aresult()

    with BusyServer(1) as runner:
        assert asyncio.run(story(runner)) == "built core"
