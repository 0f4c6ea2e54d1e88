"""`releasekit init --from`: read the configuration of another release tool, and put it over the project."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from releasekit.core.config.settings import MEMBER_KEYS, Settings, parse_member_settings, settings_of
from releasekit.core.migration import foreign_tools, semversioner_setup
from releasekit.core.migration.foreign_setup import ForeignSetup, Places
from releasekit.core.workspace.workspace import Workspace
from releasekit.integrations.filesystem import read_text_if_exists

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from packaging.version import Version

    from releasekit.core.migration.foreign_setup import ForeignKey, ForeignTool
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
        return {path: keys for path, keys in by_path.items() if keys}


NO_TAKE_OVER = TakeOver()


@dataclass(frozen=True, slots=True)
class _ForeignFiles:
    """The *texts* of other tools by path, and the packages at their *places*, both relative to one directory."""

    places: Places
    texts: Mapping[str, str] = field(default_factory=dict[str, str])


def read_take_over(repo: Repo, project: Project, tool: ForeignTool | None) -> TakeOver:
    """Read what *tool* says about the workspace. Raises Refusal RK-CONFIG-FOREIGN if it is broken or not there.

    The configuration is in the directory of the workspace, or at the top of the repository. Without *tool*, only say
    which tools have one.
    """
    candidates = [_read_files(directory, project) for directory in dict.fromkeys((project.root, repo.top))]
    if tool is None:
        tools: list[ForeignTool] = [
            detected for files in candidates for detected in foreign_tools.detect_tools(files.texts)
        ]
        return TakeOver(tools=tuple(dict.fromkeys(tools)))
    used = next((files for files in candidates if tool in foreign_tools.detect_tools(files.texts)), candidates[0])
    setup = foreign_tools.read_foreign(tool, used.texts, used.places)
    return TakeOver(_without_present_keys(setup, project), (tool,))


def _read_files(directory: Path, project: Project) -> _ForeignFiles:
    """Read the files of all tools in *directory* and in the packages below it."""
    members = [member for member in project.workspace if member.publishable]
    places = Places({_relative(project.root / member.path, directory): member.name for member in members})
    texts: dict[str, str] = {}
    for place in dict.fromkeys((".", *places.names)):
        for name in foreign_tools.FILE_NAMES:
            path = f"{place}/{name}".removeprefix("./")
            text = read_text_if_exists(directory / path)
            if text:
                texts[path] = text
        releases = sorted((directory / place / semversioner_setup.DIRECTORY).glob(f"*{semversioner_setup.SUFFIX}"))
        texts |= {_relative(release, directory): "" for release in releases}
    return _ForeignFiles(places, texts)


def _relative(path: Path, directory: Path) -> str:
    return os.path.relpath(path.resolve(), directory.resolve()).replace(os.sep, "/")


def _without_present_keys(setup: ForeignSetup, project: Project) -> ForeignSetup:
    """Return *setup* without keys that are set already, and without those that this version does not have."""
    known = setup.only_known(Settings.model_fields, MEMBER_KEYS)
    table = project.settings_table
    at_root = {name for name in known.member_keys if project.workspace[name].path == "."}
    from_root = [key for name in at_root for key in known.member_keys[name]]
    root_keys = {key.name: key for key in (*from_root, *known.root_keys) if key.name not in table}
    member_keys: dict[str, tuple[ForeignKey, ...]] = {}
    for name, keys in known.member_keys.items():
        own = project.member_settings.get(name, {})
        missing = tuple(key for key in keys if key.name not in own)
        if missing and name not in at_root:
            member_keys[name] = missing
    return replace(known, root_keys=tuple(root_keys.values()), member_keys=member_keys)


def apply_take_over(project: Project, take_over: TakeOver) -> Project:
    """Return *project* as if the keys of *take_over* were written. Raises Refusal RK-CONFIG-INVALID-VALUE."""
    setup = take_over.setup
    if setup is None:
        return project
    table = {**project.settings_table, **_values(setup.root_keys)}
    parsed = settings_of({"tool": {"releasekit": table}}, "")
    update = {key.name: getattr(parsed, key.name) for key in setup.root_keys}
    own = {name: dict(settings) for name, settings in project.member_settings.items()}
    for name, keys in setup.member_keys.items():
        document = {"tool": {"releasekit": _values(keys)}}
        own[name] = {**own.get(name, {}), **parse_member_settings(document, f"{name}: pyproject.toml")}
    excluded = project.workspace.matching_names(update.get("exclude", ()))
    members = [
        replace(member, publishable=member.publishable and member.name not in excluded) for member in project.workspace
    ]
    tool = project.document.get("tool", {})
    return replace(
        project,
        document={**project.document, "tool": {**tool, "releasekit": table}},
        settings=project.settings.model_copy(update=update),
        member_settings=own,
        workspace=Workspace.of(members),
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
