"""Prereleases: their kinds, their order and their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

from releasekit.core.version_numbers import make_version

if TYPE_CHECKING:
    from collections.abc import Iterable

_KIND_RANKS = {"dev": 0, "a": 1, "b": 2, "rc": 3, "none": 4}


def next_prerelease(
    base: Version, kind: str, existing: Iterable[Version], first_number: int = 1
) -> Version:
    """Return the next prerelease (PEP 440) of *base*; its number is above those in *existing*.

    The numbers start at *first_number*, and continue from there if it is above all others.
    """
    stem = final_of(base)
    numbers = [
        _number_of(version) + 1
        for version in existing
        if (kind_of(version), final_of(version)) == (kind, stem)
    ]
    number = max([first_number, *numbers])
    separator = "." if kind == "dev" else ""
    return Version(f"{stem}{separator}{kind}{number}")


def final_of(version: Version) -> Version:
    """Return the stable version that *version* leads to: its numbers, without any suffix."""
    return make_version(version.epoch, version.release)


def without_development(version: Version) -> Version:
    """Return the version that a development release leads to: 1.0b1 for 1.0b1.dev0; another version as it is."""
    return Version(str(version).rpartition(".dev")[0]) if version.is_devrelease else version


def kind_of(version: Version) -> str:
    """Return the kind of prerelease that *version* is: "dev", "a", "b", "rc", or "none"."""
    if version.pre:
        return version.pre[0]
    if version.is_devrelease:
        return "dev"
    return "none"


def is_later_kind(kind: str, version: Version) -> bool:
    """Return whether *kind* comes after the kind of *version*."""
    return _KIND_RANKS[kind] > _KIND_RANKS[kind_of(version)]


def _number_of(version: Version) -> int:
    """Return the number of the prerelease *version*."""
    if version.pre is None:
        return version.dev or 0
    number = version.pre[1]
    # 1.3rc2.dev1 comes before 1.3rc2; some tools use such numbers.
    if version.is_devrelease and not version.is_postrelease:
        return number - 1
    return number
