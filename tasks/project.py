"""The workspace that all steps work on. It is read once and passed on."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from releasekit.core.history.change_files import change_directories
from releasekit.core.history.tags import schemes_of
from releasekit.core.picking import drop_empty
from releasekit.core.planning.release_messages import ReleaseCommits
from releasekit.core.text import summarize
from releasekit.integrations.change_texts import read_change_files
from releasekit.integrations.filesystem import changelog_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from releasekit.core.config.settings import Settings
    from releasekit.core.history.change_files import ChangeDirectory, ChangeFile
    from releasekit.core.history.tags import TagSchemes
    from releasekit.core.release.target import Target
    from releasekit.core.workspace.workspace import Workspace
    from releasekit.integrations.protocols import PackageManager

log = logging.getLogger("releasekit")

WORKSPACE = ""
"""What stands for the workspace where other things are named by their package."""


@dataclass(frozen=True)
class Project:
    """A workspace on this machine: its directory *root*, the root pyproject.toml as *document*, and its settings.

    *member_settings* maps the name of a member to its own settings. *manifests* maps the path of a member to its
    pyproject.toml, parsed and as text. *throwaway_indexes* are those of a rehearsal, by the names of the indexes that
    they stand for.
    """

    root: Path
    document: Mapping[str, Any]
    settings: Settings
    workspace: Workspace
    uv: PackageManager
    member_settings: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict[str, "Mapping[str, Any]"]
    )
    manifests: Mapping[str, tuple[Mapping[str, Any], str]] = field(
        default_factory=dict[str, "tuple[Mapping[str, Any], str]"]
    )
    throwaway_indexes: Mapping[str, Target] = field(default_factory=dict[str, "Target"])

    @property
    def settings_table(self) -> Mapping[str, Any]:
        """The table [tool.releasekit] of the root, as it is written."""
        return self.document.get("tool", {}).get("releasekit", {})

    @cached_property
    def default_index(self) -> str:
        """The simple root of the default index; see `PackageManager.default_index`."""
        return self.uv.default_index(self.root)

    @cached_property
    def schemes(self) -> TagSchemes:
        """The tag formats."""
        return schemes_of(self.settings, self.member_settings)

    @cached_property
    def release_commits(self) -> ReleaseCommits:
        """What recognises our release commits."""
        return ReleaseCommits(self.settings.commit_templates)

    @cached_property
    def change_directories(self) -> tuple[ChangeDirectory, ...]:
        """The directories that can have change files."""
        return change_directories(
            {member.path: member.name for member in self.workspace.publishable}
        )

    @cached_property
    def change_files(self) -> tuple[ChangeFile, ...]:
        """The change files of the workspace; none if only commits count. Raises Refusal RK-CHANGE-INVALID."""
        if self.settings.changes == "commits":
            return ()
        files = read_change_files(self.root, self.change_directories, self.workspace.members.keys())
        foreign_names = sorted({name for file in files for name in file.foreign_names})
        if foreign_names:
            log.info(
                "change files also name %s; they are left as they are", summarize(foreign_names)
            )
        return files

    def is_major_on_zero(self, name: str) -> bool:
        """Return whether a breaking change of 0.x leads to 1.0.0 in the package *name*."""
        return bool(self.effective_setting(name, "major_on_zero"))

    def effective_setting(self, name: str, key: str) -> Any:  # noqa: ANN401  as many types as there are keys
        """Return the setting *key* of the package *name*: its own value, or else the value of the root."""
        return self.member_settings.get(name, {}).get(key, getattr(self.settings, key))

    @property
    def prepared_names(self) -> frozenset[str]:
        """The packages with `pre_build` commands."""
        commands = {
            name: self.effective_setting(name, "pre_build") for name in self.workspace.members
        }
        return frozenset(drop_empty(commands))

    @property
    def changelogs(self) -> dict[str, Path]:
        """The changelogs that releases write, in the user's checkout, by package or `WORKSPACE`; some may not exist."""
        paths: dict[str, Path] = {}
        for member in self.workspace.publishable:
            if self.effective_setting(member.name, "changelog"):
                directory = (self.root / member.path).resolve()
                path = self.effective_setting(member.name, "changelog_path")
                paths[member.name] = changelog_path(directory, path)
        if self.settings.workspace_changelog:
            paths[WORKSPACE] = changelog_path(self.root, self.settings.workspace_changelog)
        return paths
