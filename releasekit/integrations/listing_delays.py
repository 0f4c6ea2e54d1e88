"""The delays of each index, in the user's cache directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from releasekit.core.release.listing_delay import learn_delays
from releasekit.integrations.user_cache import read_cached, write_cached

if TYPE_CHECKING:
    from releasekit.core.release.report import ReleaseReport

_KIND = "listing-delays"


def read_delays(url: str) -> list[float]:
    """Return the seconds that the index at *url* took to list earlier uploads, the newest last."""
    value: Any = read_cached(_KIND, url)
    try:
        return [float(entry) for entry in value]
    except (TypeError, ValueError):
        return []


def save_delays(url: str, delays: list[float]) -> None:
    """Store the *delays* of the index at *url*."""
    write_cached(delays, _KIND, url)


def remember_delays(url: str, report: ReleaseReport) -> None:
    """Store how long the index at *url* took to list the packages of *report*, if it listed any."""
    earlier = read_delays(url)
    delays = learn_delays(earlier, report)
    if delays != earlier:
        save_delays(url, delays)
