"""`releasekit init --from`: read the configuration of another release tool, and put it over the project."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from releasekit.core.config.settings import (
    MEMBER_KEYS,
    Settings,
    merge_member_settings,
    parse_member_settings,
    settings_of,
)
from releasekit.core.migration import foreign_tools, semversioner_setup
from releasekit.core.migration.bump_entries import with_bump
from releasekit.core.migration.foreign_setup import ForeignSetup, Places
from releasekit.core.picking import by_name, drop_empty, drop_named
from releasekit.integrations.filesystem import read_text_if_exists, read_text_inside

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from pathlib import Path

    from packaging.version import Version

    from releasekit.core.migration.foreign_setup import ForeignKey, ForeignTool, VersionFile
    from releasekit.integrations.git import Repo
    from tasks.project import Project


@dataclass(frozen=True, slots=True)
class TakeOver:
    """What another tool's configuration adds: its *setup*, None without `--from`, and the *tools* that have one."""

    setup: ForeignSetup | None = None
    tools: tuple[ForeignTool, ...] = ()

    @property
    def baselines(self) -> Mapping[str, Version]:
        """The last releases that the setup names, by package."""
        return self.setup.baselines if self.setup else {}

    def keys_by_path(self, project: Project) -> dict[str, tuple[ForeignKey, ...]]:
        """Return the keys to write, by the path of their pyproject.toml."""
        if self.setup is None:
            return {}
        by_path = {"pyproject.toml": self.setup.root_keys}
        for name, keys in self.setup.member_keys.items():
            by_path[f"{project.workspace[name].path}/pyproject.toml"] = keys
        return drop_empty(by_path)


NO_TAKE_OVER = TakeOver()


@dataclass(frozen=True, slots=True)
class _ForeignFiles:
    """The *texts* of other tools by path, and the packages at their *places*, both relative to one directory."""

    places: Places
    texts: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def tools(self) -> tuple[ForeignTool, ...]:
        """The tools that have a configuration among the texts."""
        return foreign_tools.detect_tools(self.texts)


def read_take_over(repo: Repo, project: Project, tool: ForeignTool | None) -> TakeOver:
    """Read what *tool* says about the workspace. Raises Refusal RK-CONFIG-FOREIGN if it is broken or not there.

    The configuration is in the directory of the workspace, or at the top of the repository. Without *tool*, only say
    which tools have one.
    """
    directories = dict.fromkeys((project.root, repo.top))
    candidates = [_read_files(directory, project) for directory in directories]
    if tool is None:
        tools: list[ForeignTool] = []
        for files in candidates:
            tools += files.tools
        return TakeOver(tools=tuple(dict.fromkeys(tools)))
    configured = (files for files in candidates if tool in files.tools)
    used = next(configured, candidates[0])
    setup = foreign_tools.read_foreign(tool, used.texts, used.places)
    setup = with_bump(setup, _read_version_files(setup, project), project.workspace)
    return TakeOver(_without_present_keys(setup, project), (tool,))


def _read_files(directory: Path, project: Project) -> _ForeignFiles:
    """Read the files of all tools in *directory* and in the packages below it."""
    members = project.workspace.publishable
    places = Places(
        {_relative(project.root / member.path, directory): member.name for member in members}
    )
    texts: dict[str, str] = {}
    for place in dict.fromkeys((".", *places.names)):
        texts |= _read_texts(directory, place)
    return _ForeignFiles(places, texts)


def _read_texts(directory: Path, place: str) -> dict[str, str]:
    """Return the files of all tools at *place* by path. The texts of semversioner's releases are not read."""
    paths = [f"{place}/{name}".removeprefix("./") for name in foreign_tools.FILE_NAMES]
    texts = {path: read_text_if_exists(directory / path) for path in paths}
    releases = directory / place / semversioner_setup.DIRECTORY
    release_files = sorted(releases.glob(f"*{semversioner_setup.SUFFIX}"))
    unread = {_relative(file, directory): "" for file in release_files}
    present = drop_empty(texts)
    return present | unread


def _read_version_files(setup: ForeignSetup, project: Project) -> dict[VersionFile, str]:
    """Return the texts of the version files of *setup* that are in packages; empty for one that is not there."""
    return {
        file: read_text_inside(project.root / project.workspace[file.package].path, file.path)
        for file in setup.version_files
        if file.package
    }


def _relative(path: Path, directory: Path) -> str:
    return os.path.relpath(path.resolve(), directory.resolve()).replace(os.sep, "/")


def _without_present_keys(setup: ForeignSetup, project: Project) -> ForeignSetup:
    """Return *setup* without keys that are set already, and without those that this version does not have."""
    known = setup.only_known(Settings.model_fields, MEMBER_KEYS)
    keys_at_root: list[ForeignKey] = []
    member_keys: dict[str, tuple[ForeignKey, ...]] = {}
    for name, keys in known.member_keys.items():
        if project.workspace[name].path == ".":
            keys_at_root += keys
            continue
        missing = _missing_keys(keys, project.member_settings.get(name, {}))
        if missing:
            member_keys[name] = missing
    missing_at_root = _missing_keys((*keys_at_root, *known.root_keys), project.settings_table)
    root_keys = by_name(missing_at_root)
    return replace(known, root_keys=tuple(root_keys.values()), member_keys=member_keys)


def _missing_keys(keys: Iterable[ForeignKey], present: Container[str]) -> tuple[ForeignKey, ...]:
    return tuple(drop_named(keys, present))


def apply_take_over(project: Project, take_over: TakeOver) -> Project:
    """Return *project* as if the keys of *take_over* were written. Raises Refusal RK-CONFIG-INVALID-VALUE."""
    setup = take_over.setup
    if setup is None:
        return project
    table = {**project.settings_table, **_values(setup.root_keys)}
    parsed = settings_of({"tool": {"releasekit": table}}, "")
    update = {key.name: getattr(parsed, key.name) for key in setup.root_keys}
    overrides: dict[str, dict[str, Any]] = {}
    for name, keys in setup.member_keys.items():
        document = {"tool": {"releasekit": _values(keys)}}
        overrides[name] = parse_member_settings(document, f"{name}: pyproject.toml")
    excluded = project.workspace.matching_names(update.get("exclude", ()))
    published = frozenset(project.workspace.publishable_names) - excluded
    tool = project.document.get("tool", {})
    return replace(
        project,
        document={**project.document, "tool": {**tool, "releasekit": table}},
        settings=project.settings.model_copy(update=update),
        member_settings=merge_member_settings(project.member_settings, overrides),
        workspace=project.workspace.with_publishable(published),
    )


def _values(keys: Iterable[ForeignKey]) -> dict[str, object]:
    return {key.name: key.value for key in keys}


def with_baselines(
    published: Mapping[str, frozenset[Version]], baselines: Mapping[str, Version]
) -> dict[str, frozenset[Version]]:
    """Return the versions *published*, by package, together with the last releases that a manifest names."""
    versions = dict(published)
    for name, version in baselines.items():
        versions[name] = versions.get(name, frozenset()) | {version}
    return versions
