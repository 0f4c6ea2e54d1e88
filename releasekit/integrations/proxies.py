"""The proxies of the environment, for the programs and clients that we start ourselves."""

from __future__ import annotations

import os
from urllib.request import getproxies

from releasekit.core.config.proxy_exceptions import readable_by_httpx, with_loopback


def proxy_of(scheme: str) -> str:
    """Return the address of the proxy for *scheme*, "http" or "https"; empty if there is none."""
    proxies = getproxies()
    return proxies.get(scheme) or proxies.get("all", "")


def proxy_exceptions() -> str:
    """Return the hosts that are asked directly, as `NO_PROXY` lists them."""
    return getproxies().get("no", "")


def direct_loopback() -> dict[str, str]:
    """Return the variables with which no program asks a server on this machine through a proxy.

    A proxy elsewhere cannot reach it. Without a proxy there is nothing to set.
    """
    if not (proxy_of("http") or proxy_of("https")):
        return {}
    return _variables(with_loopback(proxy_exceptions()))


def adapt_to_httpx() -> None:
    """Rewrite `NO_PROXY` of this process so that httpx in other libraries can read it, and asks loopback directly.

    httpx raises an error for a range of IPv6 addresses, and for brackets around an address.
    """
    exceptions = with_loopback(proxy_exceptions()) if direct_loopback() else proxy_exceptions()
    readable = readable_by_httpx(exceptions)
    if readable != proxy_exceptions():
        os.environ.update(_variables(readable))


def _variables(exceptions: str) -> dict[str, str]:
    # Programs read one or the other, and differ in which they prefer.
    return {"NO_PROXY": exceptions, "no_proxy": exceptions}
