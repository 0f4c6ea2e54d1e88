"""Reads commitizen: [tool.commitizen], `.cz.toml`, `.cz.json` or the plain keys of `.cz.yaml`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from releasekit.core.migration.foreign_setup import ForeignKey, ForeignSetup, LeftOut, merge_keys, tag_keys, version_of
from releasekit.core.migration.foreign_texts import as_table, as_texts, read_table, table_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.version import Version

    from releasekit.core.migration.foreign_setup import Places
    from releasekit.core.migration.foreign_texts import Table

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
    "version_files": "Set `bump` in the [tool.releasekit] of the package: a path, and the text around the version.",
}
"""The keys of commitizen that have no counterpart, and what to do instead."""
_READ = frozenset(
    (
        "annotated_tag",
        "bump_map",
        "bump_map_major_version_zero",
        "changelog_incremental",
        "gpg_sign",
        "major_version_zero",
        "name",
        "update_changelog_on_bump",
        "version",
        "version_provider",
        "version_scheme",
    )
)
_NO_COUNTERPART = "Nothing in [tool.releasekit] corresponds to it; see docs/migration/index.md."
_PLAIN_TYPE = re.compile(r"\^?\(?(?P<types>[a-z]+(?:\|[a-z]+)*)\)?")
_NUMBERS = ("$major.$minor.$patch$prerelease", "${major}.${minor}.${patch}${prerelease}", "${version}", "$version")


def read_commitizen(texts: Mapping[str, str], places: Places) -> ForeignSetup:
    """Return what the files of commitizen in *texts*, by path, say about the packages at *places*."""
    baselines: dict[str, Version] = {}
    formats: dict[str, str] = {}
    own_keys: dict[str, tuple[ForeignKey, ...]] = {}
    root_keys: list[ForeignKey] = []
    left_out: list[LeftOut] = []
    options_by_path = commitizen_tables(texts)
    for path, options in options_by_path.items():
        directory = path.rpartition("/")[0] or "."
        names = places.below(directory)
        version, form = version_of(options.get("version")), plain_format(options)
        rules = tuple(_rules(options))
        if version:
            baselines |= dict.fromkeys(names, version)
        if len(names) == 1:
            formats |= {names[0]: form.replace(names[0], "{name}", 1)} if form else {}
            own_keys[names[0]] = rules
        else:
            root_keys += [ForeignKey("tag_format", form, "The tags of commitizen.")] if form else []
            root_keys += [ForeignKey("versioning", "fixed", "commitizen has one version for all packages."), *rules]
        left_out += _leftovers(path, options)
    root_tags, member_tags = tag_keys(formats, "The tags of commitizen.")
    stated = {key.name for key in root_keys}
    return ForeignSetup(
        tool="commitizen",
        baselines=baselines,
        root_keys=(*root_keys, *(key for key in root_tags if key.name not in stated)),
        member_keys=merge_keys(member_tags, own_keys),
        not_taken_over=tuple(left_out),
        removable=tuple(_place(path) for path in options_by_path),
    )


def commitizen_tables(texts: Mapping[str, str]) -> dict[str, Table]:
    """Return the options of commitizen in *texts*, by the path of the file."""
    tables: dict[str, Table] = {}
    for path, text in texts.items():
        name = path.rpartition("/")[2]
        if name not in NAMES or "commitizen" not in text:
            continue
        keys = ("tool", "commitizen") if name.endswith(".toml") else ("commitizen",)
        options = table_at(read_table(path, text), *keys)
        if options:
            tables[path] = options
    return tables


def _place(path: str) -> str:
    return f"[tool.commitizen] in {path}" if path.endswith("pyproject.toml") else path


def plain_format(options: Table) -> str:
    """Return `tag_format` in our words; empty if it is made of parts that ours does not have."""
    pattern = str(options.get("tag_format") or "$version")
    for numbers in _NUMBERS:
        pattern = pattern.replace(numbers, "{version}")
    return "" if "$" in pattern or "{version}" not in pattern else pattern


def _rules(options: Table) -> Iterator[ForeignKey]:
    if not options.get("major_version_zero"):
        yield ForeignKey("major_on_zero", True, "commitizen makes 1.0.0 of a breaking change on 0.x.")  # noqa: FBT003
    types: dict[str, str] = {}
    for pattern, bump in as_table(options.get("bump_map")).items():
        match = _PLAIN_TYPE.fullmatch(pattern)
        if match and str(bump).lower() in ("minor", "patch"):
            types |= dict.fromkeys(match["types"].split("|"), str(bump).lower())
    if types:
        yield ForeignKey("types", types, "The `bump_map` of commitizen.")


def _leftovers(path: str, options: Table) -> Iterator[LeftOut]:
    if not plain_format(options):
        yield LeftOut(what=f"tag_format in {path}", advice=ADVICE["tag_format"])
    for file in as_texts(options.get("version_files")):
        if not file.endswith("pyproject.toml:version"):
            yield LeftOut(what=f"version_files: {file} in {path}", advice=ADVICE["version_files"])
    for key, value in options.items():
        is_ours = key in _READ or key in ("tag_format", "version_files")
        if not is_ours and value not in (False, [], {}, None, ""):
            yield LeftOut(what=f"{key} in {path}", advice=ADVICE.get(key, _NO_COUNTERPART))
