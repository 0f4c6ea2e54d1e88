"""What the file names of wheels say: for which Python and which machine each one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from releasekit.core.config.platforms import UNIVERSAL_MACHINES, fits_platform, system_and_machine
from releasekit.core.workspace.built_files import parse_file_name

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from packaging.tags import Tag

ANY = "any"


class _Offer(NamedTuple):
    """One kind of machine and Python that a wheel is for; *python* is such as "cp311", *machine* as "linux arm64"."""

    python: str
    abi: str
    machine: str

    def serves(self, other: _Offer) -> bool:
        """Return whether what could install the *other* wheel can install this one."""
        if self.machine not in (ANY, other.machine):
            return False
        if self.abi == "none":
            return self.python.startswith("py") or self.python == other.python
        is_same = (self.python, self.abi) == (other.python, other.abi)
        is_stable_abi = self.abi == "abi3" and _minor_version(self.python) <= _minor_version(
            other.python
        )
        is_free_threaded = other.abi.endswith("t")
        return is_same or (is_stable_abi and not is_free_threaded)


def wheel_tags(name: str) -> frozenset[Tag]:
    """Return the tags of the wheel *name*; none if it is no wheel, or its name is not valid."""
    try:
        *_, tags = parse_wheel_filename(name)
    except (InvalidWheelFilename, InvalidVersion):
        return frozenset()
    return tags


def is_native(name: str) -> bool:
    """Return whether *name* is a wheel for some kinds of machines only."""
    return any(tag.platform != ANY for tag in wheel_tags(name))


def runs_on(name: str, machine_tags: Container[str]) -> bool:
    """Return whether the wheel *name* can be installed on a machine with these platform tags."""
    return any(tag.platform == ANY or tag.platform in machine_tags for tag in wheel_tags(name))


def plain_linux_wheels(names: Iterable[str]) -> list[str]:
    """Return those of *names* that are wheels for one Linux machine, such as `linux_x86_64`: PyPI refuses them."""
    return [
        name for name in names if any(tag.platform.startswith("linux_") for tag in wheel_tags(name))
    ]


def foreign_wheels(names: Iterable[str], platform: str) -> list[str]:
    """Return those of *names* whose tags contradict the name of the *platform* that built them."""
    return [
        name
        for name in names
        if not any(fits_platform(tag.platform, platform) for tag in wheel_tags(name))
    ]


def last_release_files(names: Iterable[str], version: Version) -> list[str]:
    """Return those file *names* on an index that belong to the last version before *version*."""
    by_version: dict[Version, list[str]] = {}
    for name in names:
        try:
            _, file_version = parse_file_name(name)
        except (InvalidSdistFilename, InvalidWheelFilename, InvalidVersion):
            continue
        by_version.setdefault(file_version, []).append(name)
    earlier = [file_version for file_version in by_version if file_version < version]
    return by_version[max(earlier)] if earlier else []


def missing_wheels(before: Iterable[str], now: Iterable[str]) -> list[str]:
    """Return the native wheels among the files *before* in whose place no wheel of *now* can be installed.

    A wheel for every machine, or for the stable ABI, stands for many. A newer manylinux stands for an older one.
    """
    offers = {offer for name in now for offer in _offers(name)}
    return [name for name in before if is_native(name) and not _are_served(_offers(name), offers)]


def _are_served(wanted: Iterable[_Offer], offers: Iterable[_Offer]) -> bool:
    return all(any(offer.serves(want) for offer in offers) for want in wanted)


def _offers(name: str) -> set[_Offer]:
    return {
        _Offer(tag.interpreter, tag.abi, machine)
        for tag in wheel_tags(name)
        for machine in _machines_of(tag.platform)
    }


def _machines_of(tag: str) -> tuple[str, ...]:
    """Return the machines of a platform tag: "manylinux_2_17_x86_64" is ("linux x86_64",)."""
    system, machine = system_and_machine(tag)
    if tag.startswith("musllinux"):
        system = "musllinux"
    universal = UNIVERSAL_MACHINES.get(tag.rpartition("_")[2], ())
    if system == "macos" and universal:
        return tuple(f"{system} {name}" for name in universal)
    return (f"{system} {machine}",) if system and machine else (tag,)


def _minor_version(python: str) -> int:
    """Return the minor version of "cp311": 11."""
    digits = python.lstrip("abcdefghijklmnopqrstuvwxyz")
    return int(digits[1:] or 0) if digits.isdigit() else 0
