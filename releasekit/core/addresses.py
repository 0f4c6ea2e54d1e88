"""Addresses of indexes, forges and repositories, as users and servers write them."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

_NO_PARTS = SplitResult("", "", "", "", "")


def split_address(address: str) -> SplitResult:
    """Return the parts of *address*; all are empty if it cannot be one, as `https://]`."""
    try:
        parts = urlsplit(address)
        _ = parts.port  # another text than a number is noticed only here
    except ValueError:
        return _NO_PARTS
    return parts


def is_unencrypted(address: str) -> bool:
    """Return whether *address* sends what it gets over a network, readable for everybody in between."""
    parts = split_address(address)
    return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
