"""Reads bump-my-version: [tool.bumpversion], `.bumpversion.toml`, and the INI files of its predecessor."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from releasekit.core.migration.bump_entries import locate_file
from releasekit.core.migration.foreign_setup import (
    ForeignFile,
    LeftOut,
    OptionGuide,
    combine_files,
    version_of,
)
from releasekit.core.migration.foreign_texts import directory_of, find_options, tables_in
from releasekit.core.text import join_texts
from releasekit.core.workspace.dynamic_version import table_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.version import Version

    from releasekit.core.migration.foreign_setup import ForeignSetup, Places, VersionFile
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
        left_out += _leftovers(path, options)
    setup = combine_files("bump-my-version", files)
    return replace(
        setup,
        not_taken_over=tuple(left_out),
        removable=tuple(map(_removable_part, options_by_path)),
        version_files=tuple(_version_files(options_by_path, places)),
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


def _version_files(options_by_path: Mapping[str, Table], places: Places) -> Iterator[VersionFile]:
    for path, options in options_by_path.items():
        for file in tables_in(options.get("files")):
            filename = str(file.get("filename") or file.get("glob") or "")
            find_parts = partial(_parts_to_replace, _search_text(file, options))
            what = f"files: {filename} in {path}"
            yield from locate_file(places, directory_of(path), filename, "", find_parts, what)


def _search_text(file: Table, options: Table) -> str:
    """Return the text that is looked for in *file*; empty if it is a pattern, or for several files."""
    is_regex = bool(file.get("regex", options.get("regex")))
    is_plain = not is_regex and "glob" not in file
    return str(file.get("search") or options.get("search") or _OLD) if is_plain else ""


def _parts_to_replace(search: str, text: str, version: Version) -> Iterator[str]:
    """Yield the lines of *text* that contain *search* with *version*, or *search* itself if it has several lines."""
    if _OLD not in search:
        return
    searched = search.replace(_OLD, str(version))
    parts = [searched] if "\n" in searched else text.splitlines()
    yield from (part for part in parts if searched in part)


def _leftovers(path: str, options: Table) -> Iterator[LeftOut]:
    # An INI file has only texts.
    set_options = {key: value for key, value in options.items() if value not in ("False", "false")}
    return _GUIDE.leftovers(set_options, f" in {path}")
