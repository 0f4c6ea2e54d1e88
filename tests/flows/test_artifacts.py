"""What a run leaves as artifacts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("prefect_api")


def test_bar_ends_full_behind_slow_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar says 100 % at the end, even if an earlier update takes longer than a later one."""
    from prefect import flow
    from prefect.artifacts import Artifact

    from flows import artifacts

    update: Any = artifacts.aupdate_progress_artifact
    sent: list[float] = []
    sending = asyncio.Event()

    async def update_slowly(bar: Any, percent: float) -> None:
        sent.append(percent)
        sending.set()
        if percent < 100:
            await asyncio.sleep(0.3)
        await update(bar, percent)

    monkeypatch.setattr(artifacts, "aupdate_progress_artifact", update_slowly)

    @flow
    async def story_flow() -> Any:
        bar = artifacts.ProgressBar(2, "built", "slow-updates")
        first = asyncio.create_task(bar.advance())
        await sending.wait()
        await bar.advance()
        await first
        return await Artifact.aget("releasekit-slow-updates")

    saved: Any = asyncio.run(story_flow())

    assert sent == [50, 100]
    assert float(saved.data) == 100
