"""The variables that keep our own servers away from a proxy."""

from __future__ import annotations

import os

import httpx
import pytest

from releasekit.integrations.proxies import adapt_to_httpx, direct_loopback

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name.lower(), "")  # so that what a test sets is taken away afterwards
        monkeypatch.delenv(name.lower())
        monkeypatch.delenv(name, raising=False)


def test_no_proxy_changes_nothing() -> None:
    """Without a proxy, no program gets another variable."""
    assert direct_loopback() == {}


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_proxy_exempts_loopback(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """With any proxy, both spellings exempt this machine beside what the user exempts."""
    monkeypatch.setenv(name, "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", ".example.com")

    expected = ".example.com,localhost,127.0.0.1,::1"
    assert direct_loopback() == {"NO_PROXY": expected, "no_proxy": expected}


def test_other_clients_read_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of httpx that we do not make, such as Prefect's, starts, and asks loopback without the proxy."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "[::1],fe80::/10")
    with pytest.raises(httpx.InvalidURL):
        httpx.Client()

    adapt_to_httpx()

    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "::1,localhost,127.0.0.1"
    httpx.Client().close()
