"""Reads python-semantic-release: [tool.semantic_release] of the workspace and of its packages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from releasekit.core.migration.bump_entries import lines_with_key, locate_file
from releasekit.core.migration.foreign_setup import (
    ForeignKey,
    ForeignSetup,
    LeftOut,
    OptionGuide,
    major_on_zero_key,
    merge_keys,
    one_version_key,
    stated_keys,
    tag_keys,
    with_name_field,
)
from releasekit.core.migration.foreign_texts import directory_of, read_table
from releasekit.core.workspace.dynamic_version import table_at, texts_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from releasekit.core.migration.foreign_setup import Places, VersionFile
    from releasekit.core.workspace.dynamic_version import Table

PYPROJECT = "pyproject.toml"

ADVICE = {
    "allow_zero_version": "The version in your files is the first one; write 1.0.0 there to begin with it.",
    "assets": "The release commit has what releasekit and your `pre_release` commands change.",
    "build_command": "`uv build` builds each package; `pre_build` runs commands before.",
    "changelog": "The form of the changelog is fixed; `changelog_exclude` leaves out commits.",
    "commit_author": "Git's own `user.name` and `user.email` write the release commit.",
    "commit_parser": "Only Conventional Commits decide; other commits need `unconventional` or `--bump`.",
    "publish": "Files go to the package index, not to the release on the forge.",
    "remote": "Set `remote`, `forge` and `forge_url` if they cannot be read from the URL of the remote.",
    "version_source": "Tags, files and the index say together what was released.",
}
"""The keys of python-semantic-release that have no counterpart, and what to do instead."""
_GUIDE = OptionGuide(
    read=frozenset(
        (
            "branch",
            "branches",
            "commit_message",
            "commit_parser_options",
            "env",
            "major_on_zero",
            "no_git_verify",
            "repo_dir",
            "tag_format",
            "version_toml",
            "version_variable",
            "version_variables",
        )
    ),
    advice=ADVICE,
    general_advice="Nothing in [tool.releasekit] corresponds to it; see docs/migration/python-semantic-release.md.",
)
_PARSERS = ("angular", "conventional", "conventional-monorepo")
_BUMPS = {
    "patch_tags": "patch",
    "patch_types": "patch",
    "minor_tags": "minor",
    "minor_types": "minor",
}
"""The bump that each list of types in `commit_parser_options` stands for."""
_GLOB_OF_ALL = re.compile(r"(/\*{0,2})+$")
"""The end of a pattern that stands for all in a directory."""
_PLAIN_BRANCH = re.compile(r"[^\\\[\]*+?.()]+")


@dataclass(frozen=True, slots=True)
class _Table:
    """A table [tool.semantic_release] in the file *path*, for the packages *names*."""

    path: str
    names: list[str]
    options: Table


def read_semantic_release(texts: Mapping[str, str], places: Places) -> ForeignSetup:
    """Return what [tool.semantic_release] in *texts*, by path, says about the packages at *places*."""
    tables = list(_tables(texts, places))
    root_tags, member_tags = _tag_keys(tables, places)
    root_keys = list(root_tags)
    own_keys: dict[str, tuple[ForeignKey, ...]] = {}
    is_shared = len(tables) == 1 and len(tables[0].names) > 1
    for table in tables:
        rules = stated_keys(_rules(table.options))
        if is_shared:
            root_keys += [*rules, one_version_key("python-semantic-release")]
        else:
            paths = stated_keys(_path_keys(table.options))
            own_keys |= dict.fromkeys(table.names, (*rules, *paths))
    root_keys += [_branch_key(table.options) for table in tables[:1]]
    left_out = chain.from_iterable(map(_leftovers, tables))
    return ForeignSetup(
        tool="python-semantic-release",
        root_keys=stated_keys(root_keys),
        member_keys=merge_keys(member_tags, own_keys),
        not_taken_over=tuple(left_out),
        removable=tuple(f"[tool.semantic_release] in {table.path}" for table in tables),
        version_files=tuple(chain.from_iterable(_version_files(table, places) for table in tables)),
    )


def has_semantic_release(texts: Mapping[str, str]) -> bool:
    """Return whether one of *texts* has a table [tool.semantic_release]."""
    return any(_options(path, text) for path, text in texts.items() if "semantic_release" in text)


def _options(path: str, text: str) -> Table:
    if not path.endswith(PYPROJECT):
        return {}
    return table_at(read_table(path, text), "tool", "semantic_release")


def _tables(texts: Mapping[str, str], places: Places) -> Iterator[_Table]:
    for path, text in texts.items():
        options = _options(path, text)
        if options:
            names = places.below(directory_of(path))
            yield _Table(path, names, options)


def _tag_keys(
    tables: Iterable[_Table], places: Places
) -> tuple[tuple[ForeignKey, ...], dict[str, tuple[ForeignKey, ...]]]:
    """Return the key `tag_format` of the root, and those of packages with another format."""
    formats: dict[str, str] = {}
    for table in tables:
        formats |= {name: _tag_format(name, table, places) for name in table.names}
    stated = list(filter(None, formats.values()))
    is_same_for_all = len(stated) > 1 and len(set(stated)) == 1
    if is_same_for_all:
        return (
            ForeignKey(
                "tag_format", value=stated[0], comment="The tags of python-semantic-release."
            ),
        ), {}
    return tag_keys(formats, "python-semantic-release")


def _tag_format(name: str, table: _Table, places: Places) -> str:
    default = "v{version}" if len(places.names) == 1 else ""
    pattern = table.options.get("tag_format", default)
    if not isinstance(pattern, str) or "{version}" not in pattern:
        return ""
    is_own = len(table.names) == 1
    return with_name_field(pattern, name) if is_own else pattern


def _rules(options: Table) -> Iterator[ForeignKey]:
    """Yield the keys that decide versions."""
    if options.get("major_on_zero", True):
        yield major_on_zero_key("python-semantic-release")
    types: dict[str, str] = {}
    parser_options = table_at(options, "commit_parser_options")
    for key, bump in _BUMPS.items():
        types |= dict.fromkeys(texts_in(parser_options.get(key)), bump)
    yield ForeignKey("types", value=types, comment="The types of `commit_parser_options`.")


def _path_keys(options: Table) -> Iterator[ForeignKey]:
    """Yield the keys for the `path_filters` of a package: files elsewhere that count, and own ones that do not."""
    filters = texts_in(table_at(options, "commit_parser_options").get("path_filters"))
    paths = [_GLOB_OF_ALL.sub("", text) for text in filters]
    elsewhere = [path for path in paths if path.startswith("../") and not path.endswith("/uv.lock")]
    excluded = [path.removeprefix("!") for path in paths if path.startswith("!")]
    own = [path for path in excluded if not path.startswith("..")]
    comment = "The `path_filters` of python-semantic-release."
    yield ForeignKey("include_paths", value=elsewhere, comment=comment)
    yield ForeignKey("exclude_paths", value=own, comment=comment)


def _branch_key(options: Table) -> ForeignKey:
    branches = map(table_at, table_at(options, "branches").values())
    stable = (branch for branch in branches if not branch.get("prerelease"))
    names: list[str] = []
    for branch in stable:
        # A pattern such as (main|master) is a list of names; releasekit compares names.
        alternatives = str(branch.get("match", "")).strip("^$()").split("|")
        names += filter(_PLAIN_BRANCH.fullmatch, alternatives)
    return ForeignKey(
        "allow_branches", value=names, comment="The `branches` of python-semantic-release."
    )


def _leftovers(table: _Table) -> Iterator[LeftOut]:
    place = f" in {table.path}"
    yield from _GUIDE.leftovers(_without_defaults(table.options), place)
    for name, branch in table_at(table.options, "branches").items():
        if table_at(branch).get("prerelease"):
            advice = "Release from that branch with `--prerelease rc`; no branch decides it."
            yield LeftOut(what=f"branches.{name}.prerelease{place}", advice=advice)


def _version_files(table: _Table, places: Places) -> Iterator[VersionFile]:
    """Yield the files of `version_toml` and `version_variables`, whose values are `file:key` or `file:key:format`."""
    for option in ("version_toml", "version_variables", "version_variable"):
        for location in texts_in(table.options.get(option)):
            path, key, *_ = (*location.split(":"), "")
            find_parts = lines_with_key(key.rpartition(".")[2])
            what = f"{option}: {location} in {table.path}"
            yield from locate_file(places, directory_of(table.path), path, key, find_parts, what)


def _without_defaults(options: Table) -> Table:
    """Return *options* without values that mean what releasekit does anyway."""
    forbids_zero = options.get("allow_zero_version") is False
    unusual = {**options, "allow_zero_version": forbids_zero}
    if options.get("commit_parser") in _PARSERS:
        del unusual["commit_parser"]
    return unusual
