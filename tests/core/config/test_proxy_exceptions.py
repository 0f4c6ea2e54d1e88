"""Which hosts `NO_PROXY` exempts from the proxy."""

from __future__ import annotations

import pytest

from releasekit.core.config.proxy_exceptions import is_exempt, readable_by_httpx, with_loopback


@pytest.mark.parametrize(
    ("host", "exceptions"),
    [
        ("packages.example", "*"),
        ("packages.example", "packages.example"),
        ("packages.example", "other.example, Packages.Example"),
        ("a.packages.example", "packages.example"),
        ("a.packages.example", ".packages.example"),
        ("packages.example", ".packages.example"),
        ("a.packages.example", "*.packages.example"),
        ("packages.example", "packages.example:8443"),
        ("packages.example.", "packages.example"),
        ("10.1.2.3", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3"),
        ("::1", "[::1]"),
        ("[::1]", "::1"),
        ("::1", "[::1]:8443"),
        ("fe80::7", "localhost fe80::/10"),
    ],
)
def test_exempt_host_needs_no_proxy(host: str, exceptions: str) -> None:
    """Every form of an entry that curl or uv reads exempts the host."""
    assert is_exempt(host, 8443, exceptions)


@pytest.mark.parametrize(
    ("host", "exceptions"),
    [
        ("packages.example", ""),
        ("packages.example", "mypackages.example"),
        ("mypackages.example", "packages.example"),
        ("packages.example", "packages.example:443"),
        ("packages.example", "10.0.0.0/8"),
        ("11.1.2.3", "10.0.0.0/8"),
        ("10.1.2.3", "1.2.3"),
        ("::1", "fe80::/10"),
        ("packages.example", "[unclosed"),
    ],
)
def test_other_hosts_keep_proxy(host: str, exceptions: str) -> None:
    """A name that only ends alike, another port, another range and an entry that nobody can read exempt nothing."""
    assert not is_exempt(host, 8443, exceptions)


def test_loopback_is_added_once() -> None:
    """What the user exempts stays, and only the missing names of this machine are added."""
    assert with_loopback("") == "localhost,127.0.0.1,::1"
    assert (
        with_loopback("packages.example, 127.0.0.0/8")
        == "packages.example,127.0.0.0/8,localhost,::1"
    )
    assert with_loopback("*") == "*"


def test_httpx_reads_what_is_left() -> None:
    """Brackets around an address go, and so do ranges of IPv6 addresses; the rest stays."""
    assert readable_by_httpx("[::1], fe80::/10,10.0.0.0/8,.example") == "::1,10.0.0.0/8,.example"
