"""Addresses as users and servers write them."""

from __future__ import annotations

import pytest

from releasekit.core.addresses import is_unencrypted, split_address


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://upload.example/legacy/", True),
        ("http://10.0.0.7/legacy/", True),
        ("HTTP://user@upload.example", True),
        ("http://127.0.0.1.example/", True),
        ("http://localhost.example/", True),
        ("https://upload.example/legacy/", False),
        ("http://127.0.0.1:8080/", False),
        ("http://127.8.9.1/", False),
        ("http://[::1]:80/", False),
        ("http://localhost/", False),
        ("http://index.localhost/", False),
        ("", False),
    ],
)
def test_http_is_for_this_machine(address: str, expected: bool) -> None:
    """An address with http is unencrypted, unless it stays on this machine."""
    assert is_unencrypted(address) is expected


@pytest.mark.parametrize("address", ["https://]", "https://[::1", "https://host:port/"])
def test_broken_address_has_no_parts(address: str) -> None:
    """An address that cannot be one is no error of a library; it has no host and no path."""
    parts = split_address(address)

    assert (parts.hostname, parts.path, parts.geturl()) == (None, "", "")
