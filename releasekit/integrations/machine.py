"""What this machine is."""

from __future__ import annotations

from packaging.tags import platform_tags


def machine_tags() -> frozenset[str]:
    """Return the platform tags of the wheels that can be installed on this machine."""
    return frozenset(platform_tags())
