"""Which tags of task runs the server is asked for."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

pytestmark = pytest.mark.usefixtures("prefect_api")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, prefect_api: str) -> list[str]:
    """Return the list of all tags that the engine asks the server for from now on."""
    assert prefect_api
    names_asked: list[str] = []

    engine: Any = import_module("prefect.task_engine")

    def listen(function: Callable[..., Any]) -> Callable[..., Any]:
        def ask(names: list[str], **options: Any) -> Any:
            names_asked.extend(names)
            return function(names=names, **options)

        return ask

    for name in ("_concurrency", "_aconcurrency"):
        monkeypatch.setattr(engine, name, listen(getattr(engine, name)))
    return names_asked


@pytest.fixture
def limit(prefect_api: str) -> Generator[str]:
    """Create a limit for a tag on the server."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate

    assert prefect_api
    name = "tag:stage:limited"

    async def create() -> None:
        async with get_client() as client:
            created = GlobalConcurrencyLimitCreate(name=name, limit=1)
            await client.create_global_concurrency_limit(created)

    async def delete() -> None:
        async with get_client() as client:
            await client.delete_global_concurrency_limit_by_name(name)

    asyncio.run(create())
    yield name
    asyncio.run(delete())


def run_tasks(*, as_release: bool) -> None:
    """Run a task of each kind with two tags in a flow, as a release does or as Prefect does."""
    from prefect import flow, tags, task

    from flows.tag_limits import ask_for_limited_tags

    @asynccontextmanager
    async def as_prefect_does() -> AsyncGenerator[None]:
        yield

    @task
    def in_thread() -> None:
        """Do nothing."""

    @task
    async def in_loop() -> None:
        """Do nothing."""

    @flow
    async def tagged() -> None:
        """Run both."""
        async with ask_for_limited_tags() if as_release else as_prefect_does():
            with tags("stage:limited", "package:core"):
                in_thread()
                await in_loop()

    asyncio.run(tagged())


def test_only_limited_tags_are_asked(asked: list[str], limit: str) -> None:
    """A tag without a limit costs no request, in tasks of both kinds; one with a limit is asked for as ever."""
    run_tasks(as_release=True)
    assert asked == [limit, limit]

    run_tasks(as_release=False)
    assert sorted(asked[2:]) == ["tag:package:core"] * 2 + [limit] * 2


def test_tags_without_limits_ask_nothing(asked: list[str]) -> None:
    """Without any limit nothing is asked, and afterwards Prefect asks again."""
    run_tasks(as_release=True)
    assert asked == []

    run_tasks(as_release=False)
    assert len(asked) == 4
