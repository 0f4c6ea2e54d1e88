"""Reads bump-my-version: [tool.bumpversion], `.bumpversion.toml`, and the INI files of its predecessor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from releasekit.core.migration.foreign_setup import (
    VERSION_FILES_ADVICE,
    ForeignFile,
    ForeignKey,
    LeftOut,
    OptionGuide,
    combine_files,
    merge_keys,
    version_of,
)
from releasekit.core.migration.foreign_texts import directory_of, find_options, tables_in
from releasekit.core.text import join_texts
from releasekit.core.workspace.dynamic_version import table_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from releasekit.core.migration.foreign_setup import ForeignSetup, Places
    from releasekit.core.workspace.dynamic_version import Table

NAMES = ("pyproject.toml", ".bumpversion.toml", ".bumpversion.cfg", "setup.cfg")

ADVICE = {
    "ignore_missing_files": "A file of `bump` must exist.",
    "ignore_missing_version": "A file of `bump` must contain the version.",
    "message": "The message of the release commit is `chore(release): NAME`, or your `commit_message`.",
    "parse": "Versions are those of PEP 440.",
    "parts": "Versions are those of PEP 440.",
    "post_commit_hooks": "Run them in a workflow after `releasekit publish`.",
    "pre_commit_hooks": "Run them before `releasekit publish`, or in `pre_release` commands.",
    "serialize": "Versions are those of PEP 440.",
    "setup_hooks": "Run them before `releasekit publish`, or in `pre_release` commands.",
    "tag_message": "The message of a tag is fixed, or your `tag_message`.",
}
"""The keys of bump-my-version that have no counterpart, and what to do instead."""
_GUIDE = OptionGuide(
    read=frozenset(
        (
            "allow_dirty",
            "allow_shell_hooks",
            "commit",
            "commit_args",
            "current_version",
            "files",
            "ignore_missing_version",
            "regex",
            "replace",
            "search",
            "sign_tags",
            "tag",
            "tag_name",
        )
    ),
    advice=ADVICE,
    general_advice="Nothing in [tool.releasekit] corresponds to it; see docs/migration/index.md.",
)
_OLD, _NEW = "{current_version}", "{new_version}"
_SECTIONS = {"pyproject.toml": "[tool.bumpversion]", "setup.cfg": "[bumpversion]"}
"""The section of bump-my-version in files that other tools read too."""


def read_bump_my_version(texts: Mapping[str, str], places: Places) -> ForeignSetup:
    """Return what the files of bump-my-version in *texts*, by path, say about the packages at *places*."""
    files: list[ForeignFile] = []
    bumps: list[dict[str, tuple[ForeignKey, ...]]] = []
    left_out: list[LeftOut] = []
    options_by_path = bumpversion_tables(texts)
    for path, options in options_by_path.items():
        tag_name = str(options.get("tag_name") or f"v{_NEW}")
        files.append(
            ForeignFile(
                names=places.below(directory_of(path)),
                version=version_of(options.get("current_version")),
                tag_format=tag_name.replace(_NEW, "{version}"),
            )
        )
        keys_by_package, without_bump = _bump_files(path, options, places)
        bumps.append(keys_by_package)
        left_out += [*without_bump, *_leftovers(path, options)]
    setup = combine_files("bump-my-version", files)
    return replace(
        setup,
        member_keys=merge_keys(setup.member_keys, *bumps),
        not_taken_over=tuple(left_out),
        removable=tuple(map(_removable_part, options_by_path)),
    )


def bumpversion_tables(texts: Mapping[str, str]) -> dict[str, Table]:
    """Return the options of bump-my-version in *texts*, by the path of the file."""
    return find_options(texts, NAMES, "bumpversion", _options)


def _options(suffix: str, content: Table) -> Table:
    return _from_ini(content) if suffix == ".cfg" else table_at(content, "tool", "bumpversion")


def _removable_part(path: str) -> str:
    section = _SECTIONS.get(PurePosixPath(path).name)
    return join_texts(" in ", section, path)


def _from_ini(sections: Table) -> Table:
    """Return the options of an INI file as those of TOML: its sections of files become a list."""
    options = table_at(sections, "bumpversion")
    if not options:
        return {}
    files: list[Table] = []
    for section, file_options in sections.items():
        kind, _, filename = section.partition(":file:")
        if kind == "bumpversion" and filename:
            files.append({"filename": filename, **file_options})
    return {**options, "files": files}


def _bump_files(
    path: str, options: Table, places: Places
) -> tuple[dict[str, tuple[ForeignKey, ...]], list[LeftOut]]:
    """Return the key `bump` by package, and the files that need a hand."""
    by_package: dict[str, list[dict[str, str]]] = {}
    left_out: list[LeftOut] = []
    for file in tables_in(options.get("files")):
        filename = str(file.get("filename") or file.get("glob") or "")
        name, own_path = places.owner(f"{directory_of(path)}/{filename}")
        if own_path in ("pyproject.toml", "uv.lock"):
            continue
        pattern = _bump_pattern(file, options)
        if name and pattern:
            by_package.setdefault(name, []).append({"path": own_path, "pattern": pattern})
        else:
            left_out.append(
                LeftOut(what=f"files: {filename} in {path}", advice=VERSION_FILES_ADVICE)
            )
    keys: dict[str, tuple[ForeignKey, ...]] = {}
    for name, files in by_package.items():
        bump = ForeignKey("bump", value=files, comment="The `files` of bump-my-version.")
        keys[name] = (bump,)
    return keys, left_out


def _bump_pattern(file: Table, options: Table) -> str:
    """Return the text around the version in *file*; empty if `bump` cannot express what the file has."""
    is_regex = bool(file.get("regex", options.get("regex")))
    if is_regex or "glob" in file:
        return ""
    search = str(file.get("search") or options.get("search") or _OLD)
    pattern = search.replace(_OLD, "{version}")
    has_text_around = "{version}" in pattern and pattern.strip() != "{version}"
    return pattern if has_text_around else ""


def _leftovers(path: str, options: Table) -> Iterator[LeftOut]:
    # An INI file has only texts.
    set_options = {key: value for key, value in options.items() if value not in ("False", "false")}
    return _GUIDE.leftovers(set_options, f" in {path}")
