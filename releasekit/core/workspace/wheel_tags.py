"""What the file names of wheels say: for which Python and which machine each one is."""

from __future__ import annotations

import re
from itertools import chain, filterfalse
from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from releasekit.core.config.platforms import UNIVERSAL_MACHINES, fits_platform, system_and_machine
from releasekit.core.workspace.built_files import parse_file_name

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        if (self.python, self.abi) == (other.python, other.abi):
            return True
        is_old_enough = _minor_version(self.python) <= _minor_version(other.python)
        is_free_threaded = other.abi.endswith("t")
        return self.abi == "abi3" and is_old_enough and not is_free_threaded


def wheel_tags(name: str) -> frozenset[Tag]:
    """Return the tags of the wheel *name*; none if it is no wheel, or its name is not valid."""
    try:
        *_, tags = parse_wheel_filename(name)
    except (InvalidWheelFilename, InvalidVersion):
        return frozenset()
    return tags


def _platform_tags(name: str) -> frozenset[str]:
    """Return the platform tags of the wheel *name*."""
    return frozenset(tag.platform for tag in wheel_tags(name))


def is_native(name: str) -> bool:
    """Return whether *name* is a wheel for some kinds of machines only."""
    return not _platform_tags(name).issubset((ANY,))


def runs_on(name: str, machine_tags: Iterable[str]) -> bool:
    """Return whether the wheel *name* can be installed on a machine with these platform tags."""
    installable_tags = (ANY, *machine_tags)
    return not _platform_tags(name).isdisjoint(installable_tags)


def plain_linux_wheels(names: Iterable[str]) -> list[str]:
    """Return those of *names* that are wheels for one Linux machine, such as `linux_x86_64`: PyPI refuses them."""
    return list(filter(_is_plain_linux, names))


def _is_plain_linux(name: str) -> bool:
    return any(tag.startswith("linux_") for tag in _platform_tags(name))


def foreign_wheels(names: Iterable[str], platform: str) -> list[str]:
    """Return those of *names* whose tags contradict the name of the *platform* that built them."""

    def may_come_from_it(name: str) -> bool:
        return any(fits_platform(tag, platform) for tag in _platform_tags(name))

    return list(filterfalse(may_come_from_it, names))


def last_release_files(names: Iterable[str], version: Version) -> list[str]:
    """Return those file *names* on an index that belong to the last version before *version*."""
    by_version: dict[Version, list[str]] = {}
    for name in names:
        try:
            _, file_version = parse_file_name(name)
        except (InvalidSdistFilename, InvalidWheelFilename, InvalidVersion):
            continue
        by_version.setdefault(file_version, []).append(name)
    earlier = {older: files for older, files in by_version.items() if older < version}
    last = max(earlier, default=version)
    return earlier.get(last, [])


def missing_wheels(before: Iterable[str], now: Iterable[str]) -> list[str]:
    """Return the native wheels among the files *before* in whose place no wheel of *now* can be installed.

    A wheel for every machine, or for the stable ABI, stands for many. A newer manylinux stands for an older one.
    """
    offers = set(chain.from_iterable(map(_offers, now)))

    def is_served(wanted: _Offer) -> bool:
        return any(offer.serves(wanted) for offer in offers)

    return [name for name in filter(is_native, before) if not all(map(is_served, _offers(name)))]


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
    machines = UNIVERSAL_MACHINES.get(tag.rpartition("_")[2], ())
    if system != "macos" or not machines:
        machines = (machine,)
    is_known = system and all(machines)
    return tuple(f"{system} {name}" for name in machines) if is_known else (tag,)


_MINOR_VERSION = re.compile(r"[a-z]*\d(\d+)")


def _minor_version(python: str) -> int:
    """Return the minor version of "cp311": 11; 0 if there is none."""
    match = _MINOR_VERSION.fullmatch(python)
    return int(match[1]) if match else 0
