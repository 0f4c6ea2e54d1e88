"""What all stories share."""

from __future__ import annotations

import pytest

from tests.conftest import stop_measuring_children

PROGRAM_TESTS = {"test_terminal.py"}
"""The files whose tests start our own program. The others start only git, uv and servers."""


@pytest.fixture(autouse=True)
def _measure_this_process_only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure coverage in this process only: `uv lock` starts each Python on the PATH, and coverage in each."""
    if request.path.name not in PROGRAM_TESTS:
        stop_measuring_children(monkeypatch)
