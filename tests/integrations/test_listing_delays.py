"""Delays are remembered by index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.integrations.listing_delays import read_delays, save_delays
from releasekit.integrations.user_cache import write_cached

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

HERE, THERE = "https://index.example/simple", "https://other.example/simple"


def test_delays_belong_to_one_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each index has its own delays; what cannot be read counts as none."""
    monkeypatch.setenv("RELEASEKIT_CACHE_DIR", str(tmp_path))

    save_delays(HERE, [3.0, 4.5])
    write_cached({"no": "list"}, "listing-delays", THERE)

    assert read_delays(HERE) == [3.0, 4.5]
    assert read_delays(THERE) == []
    assert read_delays("https://third.example/simple") == []
