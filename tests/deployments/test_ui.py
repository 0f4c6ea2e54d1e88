"""What somebody sees and clicks in Prefect's UI; only where there is a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deployments import screenshots

if TYPE_CHECKING:
    from pathlib import Path

SMALLEST = 20_000
"""Bytes of a picture on which there is something."""


@pytest.mark.skipif(screenshots.find_browser() is None, reason="there is no Chromium or Chrome on the PATH")
def test_approved_in_a_browser(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A release is begun from a deployment, approved by a click, and done; its form, run and artifacts can be seen."""
    if not request.config.getoption("--browser"):
        pytest.skip("only with --browser: it takes a minute and a half")
    pytest.importorskip("playwright")

    ended = screenshots.main(tmp_path)

    assert ended["state_name"] == "Completed"
    assert ended["state"]["message"].endswith(": 9 confirmed")
    pictures = {path.stem: path.stat().st_size for path in tmp_path.glob("*.png")}
    assert pictures.keys() == {"form", "approval", "run", "plan", "report"}
    assert min(pictures.values()) > SMALLEST
