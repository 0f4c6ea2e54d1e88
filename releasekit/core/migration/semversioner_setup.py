"""Reads semversioner: each release is a file `.semversioner/VERSION.json`."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from releasekit.core.migration.foreign_setup import (
    ForeignKey,
    ForeignSetup,
    LeftOut,
    one_version_key,
    version_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.version import Version

    from releasekit.core.migration.foreign_setup import Places

DIRECTORY = ".semversioner"
SUFFIX = ".json"


def read_semversioner(texts: Mapping[str, str], places: Places) -> ForeignSetup:
    """Return what the releases of semversioner, whose paths are in *texts*, say about the packages at *places*."""
    last = _last_releases(texts)
    baselines: dict[str, Version] = {}
    for directory, version in last.items():
        baselines |= dict.fromkeys(places.below(directory), version)
    root_keys = [
        ForeignKey("changes", value="files", comment="semversioner counts files, not commits.")
    ]
    has_shared_version = "." in last and len(places.below(".")) > 1
    if has_shared_version:
        root_keys.append(one_version_key("semversioner"))
    advice = "releasekit writes CHANGELOG.md itself, below the first heading. Your text stays."
    return ForeignSetup(
        tool="semversioner",
        baselines=baselines,
        root_keys=tuple(root_keys),
        not_taken_over=(LeftOut(what="the template of `semversioner changelog`", advice=advice),),
        # By name: a pattern would also mean the waiting changes.
        removable=tuple(filter(_is_release, texts)),
    )


def _last_releases(paths: Iterable[str]) -> dict[str, Version]:
    """Return the highest version among the releases at *paths*, by the directory that contains `.semversioner`."""
    last: dict[str, Version] = {}
    for file in map(PurePosixPath, filter(_is_release, paths)):
        version = version_of(file.name.removesuffix(SUFFIX))
        if version:
            directory = str(file.parent.parent)
            last[directory] = max(version, last.get(directory, version))
    return last


def _is_release(path: str) -> bool:
    file = PurePosixPath(path)
    return file.parent.name == DIRECTORY and version_of(file.name.removesuffix(SUFFIX)) is not None
