"""Describes in what two builds of one file differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from releasekit.core.text import summarize

if TYPE_CHECKING:
    from collections.abc import Mapping


class PackedMember(NamedTuple):
    """A member of an archive: the sha256 of its content, and how it is packed: time, mode and owner."""

    sha256: str
    packing: str = ""


def describe_mismatch(first: Mapping[str, PackedMember], second: Mapping[str, PackedMember]) -> str:
    """Return in what two archives of one file differ, with the members that do; they do differ in something."""
    shared = first.keys() & second.keys()
    contents = sorted(name for name in shared if first[name].sha256 != second[name].sha256)
    packings = sorted(name for name in shared if first[name].packing != second[name].packing)
    only_once = sorted(first.keys() ^ second.keys())
    if contents:
        return f"other content in {summarize(contents)}"
    if only_once:
        return f"only one of two builds has {summarize(only_once)}"
    if packings:
        name = packings[0]
        return f"{summarize(packings)}: {first[name].packing}, then {second[name].packing}"
    return "the members are in another order, or compressed differently"
