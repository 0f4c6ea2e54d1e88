"""What all stories share: real releases, with short pauses between attempts."""

from __future__ import annotations

import pytest

from releasekit.integrations import http

QUICK_PROOFS = {"RELEASEKIT_OVERLAY": "resolve", "RELEASEKIT_SMOKE_TEST": "false"}
"""What is built is resolved, but not installed and imported, which takes a third of a small release."""

PAUSE = 0.2
"""Seconds before a step is tried again; a release of a user waits five."""


@pytest.fixture
def whole_proofs() -> None:
    """Install and import each package before and after its upload, as a release of a user does by default."""


@pytest.fixture(autouse=True)
def _quick_proofs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the proofs that a story is not about; one that is asks for `whole_proofs`."""
    if "whole_proofs" not in request.fixturenames:
        for name, value in QUICK_PROOFS.items():
            monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def _short_pauses(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses between attempts; the number of attempts stays as it is."""
    monkeypatch.setattr(http, "FIRST_DELAY", PAUSE / 4)
    if {"prefect_api", "unrecorded"} & set(request.fixturenames):
        request.getfixturevalue("prefect_client")  # must run before Prefect is imported
        from tasks import build, upload

        for step in (upload.smoke_test, build.prove, build.prove_resolution):
            monkeypatch.setattr(step, "retry_delay_seconds", PAUSE)
