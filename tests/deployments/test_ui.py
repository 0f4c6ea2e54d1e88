"""What somebody sees and clicks in Prefect's UI; only where there is a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deployments import screenshots
from tests.support.world import dated_tag, make_world

if TYPE_CHECKING:
    from pathlib import Path

SMALLEST = 20_000
"""Bytes of a picture on which there is something."""


@pytest.fixture
def browser(request: pytest.FixtureRequest) -> str:
    """Return the browser to click with, where it is asked for and there is one."""
    if not request.config.getoption("--browser"):
        pytest.skip("only with --browser: it takes a minute and a half")
    pytest.importorskip("playwright")
    return screenshots.find_browser() or pytest.skip("there is no Chromium or Chrome on the PATH")


@pytest.mark.usefixtures("browser")
def test_browser_click_approves_release(tmp_path: Path) -> None:
    """A release is begun from a deployment, approved by a click, and done; its form, run and artifacts can be seen."""
    ended = screenshots.main(tmp_path)

    assert ended["state_name"] == "Completed"
    assert ended["state"]["message"].endswith(": 9 confirmed")
    pictures = {path.stem: path.stat().st_size for path in tmp_path.glob("*.png")}
    assert pictures.keys() == {"form", "approval", "run", "plan", "report"}
    assert min(pictures.values()) > SMALLEST


def test_browser_click_retries_release(tmp_path: Path, browser: str) -> None:
    """A release that has failed goes on where it stood when its run is retried by a click."""
    gate = tmp_path / "gate"
    code = f"import pathlib\nif not pathlib.Path({str(gate)!r}).exists(): raise SystemExit('the gate is shut')\n"
    world = make_world(tmp_path, "app: core; core", core=code)
    text = (world.root / "pyproject.toml").read_text()
    world.commit(
        "chore: configure", {"pyproject.toml": f'{text}\n[tool.releasekit]\noverlay = "resolve"\n'}
    )
    world.git("push", "--quiet")
    home = tmp_path / "team"
    home.mkdir()

    with screenshots.team(home, browser) as (page, prefect):
        run = prefect.start("releasekit/publish", f"workspace={world.root}", "audit=false")
        failed = prefect.await_state(run, "FAILED", "COMPLETED", "CRASHED")
        assert failed["state"]["message"] == f"{dated_tag()}: 1 failed, 1 blocked"
        gate.touch()
        screenshots.retry_in(page, prefect, run)
        ended = prefect.await_state(run, "COMPLETED", "CRASHED")

    assert ended["run_count"] == 2
    assert ended["state"]["message"] == f"{dated_tag()}: 2 confirmed"
    assert set(world.tags()) == {"app-v0.1.0", "core-v0.1.0", dated_tag()}
