"""Reads commitizen: [tool.commitizen], `.cz.toml`, `.cz.json` or the plain keys of `.cz.yaml`."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from releasekit.core.migration.bump_entries import locate_file
from releasekit.core.migration.foreign_setup import (
    ForeignFile,
    ForeignKey,
    LeftOut,
    OptionGuide,
    combine_files,
    major_on_zero_key,
    stated_keys,
    version_of,
)
from releasekit.core.migration.foreign_texts import directory_of, find_options
from releasekit.core.user_patterns import UserPattern
from releasekit.core.workspace.dynamic_version import table_at, texts_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.version import Version

    from releasekit.core.migration.foreign_setup import ForeignSetup, Places, VersionFile
    from releasekit.core.workspace.dynamic_version import Table

NAMES = ("pyproject.toml", ".cz.toml", "cz.toml", ".cz.json", "cz.json", ".cz.yaml", "cz.yaml")

ADVICE = {
    "bump_message": "The message of the release commit is `chore(release): NAME`, or your `commit_message`.",
    "changelog_file": "The changelog is CHANGELOG.md beside pyproject.toml, or your `changelog_path`.",
    "customize": "Only Conventional Commits decide; set `types` for other types.",
    "legacy_tag_formats": "Add them to `tag_format`, which can be a list.",
    "post_bump_hooks": "Run them in a workflow after `releasekit publish`.",
    "pre_bump_hooks": "Run them before `releasekit publish`, or in `pre_release` commands.",
    "prerelease_offset": "Prereleases are numbered from 1.",
    "tag_format": "Write it with {name} and {version} as `tag_format`.",
}
"""The keys of commitizen that have no counterpart, and what to do instead."""
_GUIDE = OptionGuide(
    read=frozenset(
        (
            "annotated_tag",
            "bump_map",
            "bump_map_major_version_zero",
            "changelog_incremental",
            "gpg_sign",
            "major_version_zero",
            "name",
            "tag_format",
            "update_changelog_on_bump",
            "version",
            "version_files",
            "version_provider",
            "version_scheme",
        )
    ),
    advice=ADVICE,
    general_advice="Nothing in [tool.releasekit] corresponds to it; see docs/migration/index.md.",
)
_PLAIN_TYPE = re.compile(r"\^?\(?(?P<types>[a-z]+(?:\|[a-z]+)*)\)?")
_NUMBERS = (
    "$major.$minor.$patch$prerelease",
    "${major}.${minor}.${patch}${prerelease}",
    "${version}",
    "$version",
)


def read_commitizen(texts: Mapping[str, str], places: Places) -> ForeignSetup:
    """Return what the files of commitizen in *texts*, by path, say about the packages at *places*."""
    files: list[ForeignFile] = []
    left_out: list[LeftOut] = []
    options_by_path = commitizen_tables(texts)
    for path, options in options_by_path.items():
        files.append(
            ForeignFile(
                names=places.below(directory_of(path)),
                version=version_of(options.get("version")),
                tag_format=plain_format(options),
                rules=stated_keys(_rules(options)),
            )
        )
        left_out += _leftovers(path, options)
    setup = combine_files("commitizen", files)
    removable = tuple(map(_removable_part, options_by_path))
    return replace(
        setup,
        not_taken_over=tuple(left_out),
        removable=removable,
        version_files=tuple(_version_files(options_by_path, places)),
    )


def commitizen_tables(texts: Mapping[str, str]) -> dict[str, Table]:
    """Return the options of commitizen in *texts*, by the path of the file."""
    return find_options(texts, NAMES, "commitizen", _options)


def _options(suffix: str, content: Table) -> Table:
    tool = table_at(content, "tool") if suffix == ".toml" else content
    return table_at(tool, "commitizen")


def _removable_part(path: str) -> str:
    return f"[tool.commitizen] in {path}" if path.endswith("pyproject.toml") else path


def plain_format(options: Table) -> str:
    """Return `tag_format` in our words; empty if it is made of parts that ours does not have."""
    pattern = str(options.get("tag_format") or "$version")
    for numbers in _NUMBERS:
        pattern = pattern.replace(numbers, "{version}")
    is_translated = "{version}" in pattern and "$" not in pattern
    return pattern if is_translated else ""


def _rules(options: Table) -> Iterator[ForeignKey]:
    """Yield the keys that decide versions."""
    if not options.get("major_version_zero"):
        yield major_on_zero_key("commitizen")
    bump_map = table_at(options, "bump_map")
    yield ForeignKey("types", value=_plain_types(bump_map), comment="The `bump_map` of commitizen.")


def _plain_types(bump_map: Table) -> dict[str, str]:
    """Return the bump by type, from the patterns of *bump_map* that only name types."""
    types: dict[str, str] = {}
    for pattern, value in bump_map.items():
        bump = str(value).lower()
        match = _PLAIN_TYPE.fullmatch(pattern)
        if match and bump in ("minor", "patch"):
            types |= dict.fromkeys(match["types"].split("|"), bump)
    return types


def _version_files(options_by_path: Mapping[str, Table], places: Places) -> Iterator[VersionFile]:
    """Yield the `version_files`, whose values are `file` or `file:pattern`."""
    for path, options in options_by_path.items():
        for location in texts_in(options.get("version_files")):
            file, _, pattern = location.partition(":")
            find_parts = partial(_lines_with_version, UserPattern(pattern, path))
            what = f"version_files: {location} in {path}"
            yield from locate_file(places, directory_of(path), file, pattern, find_parts, what)


def _lines_with_version(pattern: UserPattern, text: str, version: Version) -> Iterator[str]:
    """Yield the lines that contain *version* and match *pattern*, as commitizen picks them."""
    with_version = (line for line in text.splitlines() if str(version) in line)
    yield from filter(pattern.search, with_version)


def _leftovers(path: str, options: Table) -> Iterator[LeftOut]:
    place = f" in {path}"
    if not plain_format(options):
        yield LeftOut(what=f"tag_format{place}", advice=ADVICE["tag_format"])
    yield from _GUIDE.leftovers(options, place)
