"""Reads python-semantic-release: [tool.semantic_release] of the workspace and of its packages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from releasekit.core.migration.foreign_setup import ForeignKey, ForeignSetup, LeftOut, merge_keys, tag_keys
from releasekit.core.migration.foreign_texts import as_table, as_texts, read_table, table_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from releasekit.core.migration.foreign_setup import Places
    from releasekit.core.migration.foreign_texts import Table

PYPROJECT = "pyproject.toml"

ADVICE = {
    "allow_zero_version": "The version in your files is the first one; write 1.0.0 there to begin with it.",
    "assets": "The release commit has what releasekit changes. Commit other files before.",
    "build_command": "`uv build` builds each package.",
    "changelog": "The form of the changelog is fixed; `changelog_exclude` leaves out commits.",
    "commit_author": "Git's own `user.name` and `user.email` write the release commit.",
    "commit_parser": "Only Conventional Commits decide; other commits need `unconventional` or `--bump`.",
    "publish": "Files go to the package index, not to the release on the forge.",
    "remote": "Set `remote`, `forge` and `forge_url` if they cannot be read from the URL of the remote.",
    "version_source": "Tags, files and the index say together what was released.",
    "version_variables": "Set `bump` in the [tool.releasekit] of the package: a path, and the text around the version.",
}
"""The keys of python-semantic-release that have no counterpart, and what to do instead."""
_READ = frozenset(
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
    )
)
_PARSERS = ("angular", "conventional", "conventional-monorepo")
_NO_COUNTERPART = "Nothing in [tool.releasekit] corresponds to it; see docs/migration/python-semantic-release.md."


@dataclass(frozen=True, slots=True)
class _Table:
    """A table [tool.semantic_release] in the file *path*, for the packages *names*."""

    path: str
    names: list[str]
    options: Table


def read_semantic_release(texts: Mapping[str, str], places: Places) -> ForeignSetup:
    """Return what [tool.semantic_release] in *texts*, by path, says about the packages at *places*."""
    tables = list(_tables(texts, places))
    formats = {name: _tag_format(name, table, places) for table in tables for name in table.names}
    stated = {name: form for name, form in formats.items() if form}
    root_tags, member_tags = tag_keys(stated, "The tags of python-semantic-release.")
    if len(set(stated.values())) == 1 and len(stated) > 1:
        shared = next(iter(stated.values()))
        root_tags, member_tags = (ForeignKey("tag_format", shared, "The tags of python-semantic-release."),), {}
    is_shared = len(tables) == 1 and len(tables[0].names) > 1
    own_keys: dict[str, tuple[ForeignKey, ...]] = {}
    for table in () if is_shared else tables:
        own_keys |= {name: tuple(_rules(table.options)) for name in table.names}
    root_keys = list(root_tags)
    if is_shared:
        root_keys += _rules(tables[0].options)
        root_keys.append(ForeignKey("versioning", "fixed", "python-semantic-release has one version for all packages."))
    root_keys += [key for table in tables[:1] for key in _branch_keys(table.options)]
    return ForeignSetup(
        tool="python-semantic-release",
        root_keys=tuple(root_keys),
        member_keys=merge_keys(member_tags, own_keys),
        not_taken_over=tuple(left for table in tables for left in _leftovers(table)),
        removable=tuple(f"[tool.semantic_release] in {table.path}" for table in tables),
    )


def has_semantic_release(texts: Mapping[str, str]) -> bool:
    """Return whether one of *texts* has a table [tool.semantic_release]."""
    return any(_options(path, text) for path, text in texts.items() if "semantic_release" in text)


def _options(path: str, text: str) -> Table:
    return table_at(read_table(path, text), "tool", "semantic_release") if path.endswith(PYPROJECT) else {}


def _tables(texts: Mapping[str, str], places: Places) -> Iterator[_Table]:
    options_by_path = {path: _options(path, text) for path, text in texts.items()}
    for path, options in options_by_path.items():
        if options:
            directory = path.removesuffix(PYPROJECT).strip("/") or "."
            yield _Table(path, places.below(directory), options)


def _tag_format(name: str, table: _Table, places: Places) -> str:
    pattern = table.options.get("tag_format", "v{version}" if len(places.names) == 1 else "")
    is_own = len(table.names) == 1
    if not isinstance(pattern, str) or "{version}" not in pattern:
        return ""
    return pattern.replace(name, "{name}", 1) if is_own else pattern


def _rules(options: Table) -> Iterator[ForeignKey]:
    """Yield the keys that decide versions."""
    if options.get("major_on_zero", True):
        yield ForeignKey("major_on_zero", True, "python-semantic-release makes 1.0.0 of a breaking change on 0.x.")  # noqa: FBT003
    types = _types(as_table(options.get("commit_parser_options")))
    if types:
        yield ForeignKey("types", types, "The types of `commit_parser_options`.")


def _types(parser_options: Table) -> dict[str, str]:
    types: dict[str, str] = {}
    for bump in ("patch", "minor"):
        for key in (f"{bump}_tags", f"{bump}_types"):
            types |= dict.fromkeys(as_texts(parser_options.get(key)), bump)
    return types


def _branch_keys(options: Table) -> Iterator[ForeignKey]:
    branches = as_table(options.get("branches"))
    stable = [as_table(branch) for branch in branches.values() if not as_table(branch).get("prerelease")]
    # A pattern such as (main|master) is a list of names; releasekit compares names.
    names = [name for branch in stable for name in str(branch.get("match", "")).strip("^$()").split("|")]
    plain = [name for name in names if name and not set(name) & set("\\[]*+?.()")]
    if plain:
        yield ForeignKey("allow_branches", plain, "The `branches` of python-semantic-release.")


def _leftovers(table: _Table) -> Iterator[LeftOut]:
    place = f" in {table.path}"
    for key, value in table.options.items():
        is_default = value in (False, [], {}, None, "")
        if key == "allow_zero_version":
            is_default = value is not False
        if key == "commit_parser" and value in _PARSERS:
            is_default = True
        if key not in _READ and not is_default:
            yield LeftOut(what=f"{key}{place}", advice=ADVICE.get(key, _NO_COUNTERPART))
    for position in as_texts(table.options.get("version_toml")):
        if not position.startswith("pyproject.toml:project.version"):
            yield LeftOut(what=f"version_toml {position}{place}", advice=ADVICE["version_variables"])
    for name, branch in as_table(table.options.get("branches")).items():
        if as_table(branch).get("prerelease"):
            advice = "Release from that branch with `--prerelease rc`; no branch decides it."
            yield LeftOut(what=f"branches.{name}.prerelease{place}", advice=advice)
