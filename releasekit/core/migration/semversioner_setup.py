"""Reads semversioner: each release is a file `.semversioner/VERSION.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.migration.foreign_setup import ForeignKey, ForeignSetup, LeftOut, version_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.version import Version

    from releasekit.core.migration.foreign_setup import Places

DIRECTORY = ".semversioner"
SUFFIX = ".json"


def read_semversioner(texts: Mapping[str, str], places: Places) -> ForeignSetup:
    """Return what the releases of semversioner, whose paths are in *texts*, say about the packages at *places*."""
    last: dict[str, Version] = {}
    for path in texts:
        directory, _, name = path.rpartition("/")
        version = version_of(name.removesuffix(SUFFIX))
        is_release = directory == DIRECTORY or directory.endswith(f"/{DIRECTORY}")
        if version and is_release:
            place = directory.removesuffix(DIRECTORY).strip("/") or "."
            last[place] = max(version, last.get(place, version))
    baselines: dict[str, Version] = {}
    for place, version in last.items():
        baselines |= dict.fromkeys(places.below(place), version)
    root_keys = [ForeignKey("changes", "files", "semversioner counts files, not commits.")]
    if "." in last and len(places.below(".")) > 1:
        root_keys.append(ForeignKey("versioning", "fixed", "semversioner has one version for all packages."))
    advice = "releasekit writes CHANGELOG.md itself, below the first heading. Your text stays."
    return ForeignSetup(
        tool="semversioner",
        baselines=baselines,
        root_keys=tuple(root_keys),
        not_taken_over=(LeftOut(what="the template of `semversioner changelog`", advice=advice),),
        removable=tuple(f"{place}/{DIRECTORY}/*{SUFFIX}".removeprefix("./") for place in last),
    )
