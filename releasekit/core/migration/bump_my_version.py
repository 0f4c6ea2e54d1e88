"""Reads bump-my-version: [tool.bumpversion], `.bumpversion.toml`, and the INI files of its predecessor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.migration.foreign_setup import ForeignKey, ForeignSetup, LeftOut, merge_keys, tag_keys, version_of
from releasekit.core.migration.foreign_texts import as_list, as_table, read_table, table_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.version import Version

    from releasekit.core.migration.foreign_setup import Places
    from releasekit.core.migration.foreign_texts import Table

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
_READ = frozenset(
    ("allow_dirty", "allow_shell_hooks", "commit", "commit_args", "current_version", "files", "ignore_missing_version",
     "regex", "replace", "search", "sign_tags", "tag", "tag_name")
)  # fmt: skip
_NO_COUNTERPART = "Nothing in [tool.releasekit] corresponds to it; see docs/migration/index.md."
_OLD, _NEW = "{current_version}", "{new_version}"


def read_bump_my_version(texts: Mapping[str, str], places: Places) -> ForeignSetup:
    """Return what the files of bump-my-version in *texts*, by path, say about the packages at *places*."""
    baselines: dict[str, Version] = {}
    formats: dict[str, str] = {}
    own_keys: dict[str, tuple[ForeignKey, ...]] = {}
    root_keys: list[ForeignKey] = []
    left_out: list[LeftOut] = []
    options_by_path = bumpversion_tables(texts)
    for path, options in options_by_path.items():
        names = places.below(path.rpartition("/")[0] or ".")
        version = version_of(options.get("current_version"))
        form = str(options.get("tag_name") or f"v{_NEW}").replace(_NEW, "{version}")
        if version:
            baselines |= dict.fromkeys(names, version)
        if len(names) == 1:
            formats[names[0]] = form.replace(names[0], "{name}", 1)
        else:
            root_keys.append(ForeignKey("tag_format", form, "The tags of bump-my-version."))
            root_keys.append(ForeignKey("versioning", "fixed", "bump-my-version has one version for all packages."))
        bumps, without_bump = _bump_files(path, options, places)
        own_keys = merge_keys(own_keys, bumps)
        left_out += [*without_bump, *_leftovers(path, options)]
    root_tags, member_tags = tag_keys(formats, "The tags of bump-my-version.")
    stated = {key.name for key in root_keys}
    return ForeignSetup(
        tool="bump-my-version",
        baselines=baselines,
        root_keys=(*root_keys, *(key for key in root_tags if key.name not in stated)),
        member_keys=merge_keys(member_tags, own_keys),
        not_taken_over=tuple(left_out),
        removable=tuple(_place(path) for path in options_by_path),
    )


def bumpversion_tables(texts: Mapping[str, str]) -> dict[str, Table]:
    """Return the options of bump-my-version in *texts*, by the path of the file."""
    tables: dict[str, Table] = {}
    for path, text in texts.items():
        if path.rpartition("/")[2] not in NAMES or "bumpversion" not in text:
            continue
        content = read_table(path, text)
        options = _from_ini(content) if path.endswith(".cfg") else table_at(content, "tool", "bumpversion")
        if options:
            tables[path] = options
    return tables


def _place(path: str) -> str:
    sections = {"pyproject.toml": "[tool.bumpversion]", "setup.cfg": "[bumpversion]"}
    section = sections.get(path.rpartition("/")[2])
    return f"{section} in {path}" if section else path


def _from_ini(sections: Table) -> Table:
    """Return the options of an INI file as those of TOML: its sections of files become a list."""
    files: list[Table] = []
    for section, options in sections.items():
        kind, _, filename = section.partition(":file:")
        if kind == "bumpversion" and filename:
            files.append({"filename": filename, **as_table(options)})
    options = as_table(sections.get("bumpversion"))
    return {**options, "files": files} if options else {}


def _bump_files(path: str, options: Table, places: Places) -> tuple[dict[str, tuple[ForeignKey, ...]], list[LeftOut]]:
    """Return the key `bump` by package, and the files that need a hand."""
    base = path.rpartition("/")[0]
    by_package: dict[str, list[dict[str, str]]] = {}
    left_out: list[LeftOut] = []
    for file in map(as_table, as_list(options.get("files"))):
        filename = str(file.get("filename") or file.get("glob") or "")
        name, own_path = places.owner(f"{base}/{filename}".lstrip("/"))
        if own_path in ("pyproject.toml", "uv.lock"):
            continue
        search = str(file.get("search") or options.get("search") or _OLD)
        pattern = search.replace(_OLD, "{version}")
        is_regex = bool(file.get("regex", options.get("regex")))
        if not name or "glob" in file or is_regex or pattern.strip() == "{version}" or "{version}" not in pattern:
            advice = "Set `bump` in the [tool.releasekit] of the package: a path, and the text around the version."
            left_out.append(LeftOut(what=f"files: {filename} in {path}", advice=advice))
            continue
        by_package.setdefault(name, []).append({"path": own_path, "pattern": pattern})
    comment = "The `files` of bump-my-version."
    return {name: (ForeignKey("bump", files, comment),) for name, files in by_package.items()}, left_out


def _leftovers(path: str, options: Table) -> Iterator[LeftOut]:
    for key, value in options.items():
        if key not in _READ and value not in (False, [], {}, None, "", "False", "false"):
            yield LeftOut(what=f"{key} in {path}", advice=ADVICE.get(key, _NO_COUNTERPART))
