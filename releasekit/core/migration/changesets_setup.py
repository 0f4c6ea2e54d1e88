"""Reads changesets: `.changeset/config.json`, and each `package.json` beside a Python package."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import chain
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from releasekit.core.migration.foreign_setup import (
    ForeignKey,
    ForeignSetup,
    LeftOut,
    OptionGuide,
    stated_keys,
    version_of,
)
from releasekit.core.migration.foreign_texts import as_list, read_table
from releasekit.core.workspace.dynamic_version import texts_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.version import Version

    from releasekit.core.migration.foreign_setup import Places
    from releasekit.core.workspace.dynamic_version import Table

CONFIG = ".changeset/config.json"
NEIGHBOUR = "package.json"

ADVICE = {
    "access": "It is a setting of npm; the index decides who can read a package.",
    "bumpVersionsWithWorkspaceProtocolOnly": "It is a setting of npm; each requirement between packages counts.",
    "commit": "One release commit always has all changes.",
    "privatePackages": "Set `exclude`, or the classifier `Private :: Do Not Upload` in the package.",
    "snapshot": "Snapshot releases have no counterpart; `--prerelease dev` is the nearest.",
}
"""The keys of changesets that have no counterpart, and what to do instead."""
_GUIDE = OptionGuide(
    read=frozenset(
        (
            "$schema",
            "baseBranch",
            "changelog",
            "fixed",
            "ignore",
            "linked",
            "updateInternalDependencies",
        )
    ),
    advice=ADVICE,
    general_advice="Nothing in [tool.releasekit] corresponds to it; see docs/migration/changesets.md.",
)


def read_changesets(texts: Mapping[str, str], places: Places) -> ForeignSetup:
    """Return what the files of changesets in *texts*, by path, say about the packages at *places*."""
    config = read_table(CONFIG, texts.get(CONFIG, "{}"))
    names: dict[str, str] = {canonicalize_name(name): name for name in places.names.values()}
    baselines: dict[str, Version] = {}
    for directory, name in places.names.items():
        path = f"{directory}/{NEIGHBOUR}".removeprefix("./")
        neighbour = read_table(path, texts.get(path, "{}"))
        foreign_name = neighbour.get("name")
        version = version_of(neighbour.get("version"))
        if isinstance(foreign_name, str):
            names[foreign_name] = name
        if version:
            baselines[name] = version
    return ForeignSetup(
        tool="changesets",
        baselines=baselines,
        root_keys=stated_keys(_root_keys(config, names)),
        not_taken_over=tuple(_leftovers(config, names)),
        removable=(CONFIG,),
    )


def _root_keys(config: Table, names: Mapping[str, str]) -> Iterator[ForeignKey]:
    groups = dict(_groups(config, names))
    ignored = _matches(texts_in(config.get("ignore")), names)
    yield ForeignKey("changes", value="files", comment="changesets counts files, not commits.")
    yield ForeignKey(
        "groups",
        value=groups,
        comment="The packages that changesets keeps at one version, or at one bump.",
    )
    yield ForeignKey("exclude", value=ignored, comment="The `ignore` of changesets.")
    if config.get("changelog") is False:
        yield ForeignKey("changelog", value=False, comment="The `changelog` of changesets.")
    if config.get("updateInternalDependencies") == "patch":
        comment = (
            "The `updateInternalDependencies` of changesets: lower bounds follow each release."
        )
        yield ForeignKey("source_requirements", value="always", comment=comment)
    branch = config.get("baseBranch")
    if isinstance(branch, str) and branch:
        yield ForeignKey(
            "allow_branches",
            value=[branch.removeprefix("origin/")],
            comment="The `baseBranch` of changesets.",
        )


def _groups(config: Table, names: Mapping[str, str]) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield name and value of a group for each list of `fixed` and `linked` with two packages of this workspace."""
    for kind in ("fixed", "linked"):
        lists = as_list(config.get(kind))
        for number, patterns in enumerate(lists, start=1):
            packages = _matches(texts_in(patterns), names)
            if len(packages) > 1:
                name = kind if len(lists) == 1 else f"{kind}-{number}"
                yield name, {"packages": packages, "versioning": kind}


def _matches(patterns: Iterable[str], names: Mapping[str, str]) -> list[str]:
    """Return the packages whose name there, a key of *names*, matches one of *patterns*."""
    matching: dict[str, None] = {}
    for pattern in patterns:
        foreign_names = [name for name in names if fnmatchcase(name, pattern)]
        matching |= dict.fromkeys(map(names.__getitem__, foreign_names))
    return list(matching)


def _leftovers(config: Table, names: Mapping[str, str]) -> Iterator[LeftOut]:
    yield from _foreign_names(config, names)
    changelog = config.get("changelog")
    if changelog not in (None, False, "@changesets/cli/changelog"):
        advice = (
            "The form of the changelog is fixed; `changelog_contributors = true` names the authors."
        )
        yield LeftOut(what="changelog", advice=advice)
    yield from _GUIDE.leftovers(config)


def _foreign_names(config: Table, names: Mapping[str, str]) -> Iterator[LeftOut]:
    """Yield the patterns of *config* that match no package of this workspace."""
    lists = {
        "fixed": as_list(config.get("fixed")),
        "linked": as_list(config.get("linked")),
        "ignore": [config.get("ignore")],
    }
    for key, values in lists.items():
        for pattern in chain.from_iterable(map(texts_in, values)):
            if not _matches([pattern], names):
                yield LeftOut(
                    what=f"{key}: {pattern}",
                    advice="No Python package of this workspace has this name.",
                )
