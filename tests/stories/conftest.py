"""What all stories share: real releases, with short pauses between attempts."""

from __future__ import annotations

import pytest

from releasekit.integrations import http

PAUSE = 0.2
"""Seconds before a step is tried again; a release of a user waits five."""


@pytest.fixture(autouse=True)
def _short_pauses(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses between attempts; the number of attempts stays as it is."""
    monkeypatch.setattr(http, "FIRST_DELAY", PAUSE / 4)
    if {"prefect_api", "unrecorded"} & set(request.fixturenames):
        request.getfixturevalue("prefect_client")  # must run before Prefect is imported
        from tasks import build, upload

        for step in (upload.smoke_test, build.prove, build.prove_resolution):
            monkeypatch.setattr(step, "retry_delay_seconds", PAUSE)
