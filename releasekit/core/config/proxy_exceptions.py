"""Which hosts are asked directly though a proxy is set: the rules of the variable `NO_PROXY`."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""The names of this machine, as `NO_PROXY` lists them."""


def is_exempt(host: str, port: int | None, exceptions: str) -> bool:
    """Return whether *host* is asked directly. *exceptions* is the value of `NO_PROXY`.

    There is no standard. The rules are those that curl and uv share: `*` means every host, a name also means the names
    below it, with or without a dot before it, and an address or a range of addresses means exactly these (IPv4, IPv6,
    with or without brackets). An entry with a port means that port alone.
    """
    host = host.strip("[]").rstrip(".").lower()
    return any(_covers(entry, host, port) for entry in split_exceptions(exceptions))


def split_exceptions(exceptions: str) -> list[str]:
    """Return the entries of a `NO_PROXY`, which commas or spaces separate."""
    return list(filter(None, re.split(r"[,\s]+", exceptions)))


def _covers(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    name, entry_port = _split_port(entry.lower())
    if entry_port and entry_port != str(port):
        return False
    address = _address(host)
    if address:
        return _is_in_range(address, name)
    name = name.removeprefix("*").strip(".")
    return host == name or host.endswith(f".{name}")


def _split_port(entry: str) -> tuple[str, str]:
    """Return the host and the port of an *entry*; the port is empty if it has none."""
    bracketed = re.fullmatch(r"\[(?P<host>[^\]]*)\](?::(?P<port>\d+))?", entry)
    if bracketed:
        host, port = bracketed.groups(default="")
        return host, port
    host, colon, port = entry.partition(":")
    is_plain_port = colon and port.isdecimal()  # an IPv6 address has more colons
    return (host, port) if is_plain_port else (entry, "")


def _address(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_in_range(address: Address, entry: str) -> bool:
    try:
        return address in ip_network(entry, strict=False)
    except ValueError:
        return False


def with_loopback(exceptions: str) -> str:
    """Return *exceptions* that cover this machine too."""
    missing = [name for name in LOOPBACK if not is_exempt(name, None, exceptions)]
    return ",".join([*split_exceptions(exceptions), *missing])


def readable_by_httpx(exceptions: str) -> str:
    """Return *exceptions* without what httpx cannot read (httpx 0.28): IPv6 ranges, and brackets around an address."""
    entries = split_exceptions(exceptions)
    plain = [re.sub(r"^\[([^\]]*)\]$", r"\1", entry) for entry in entries]
    return ",".join(entry for entry in plain if not _is_ipv6_range(entry))


def _is_ipv6_range(entry: str) -> bool:
    return "/" in entry and ":" in entry
