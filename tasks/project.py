"""The workspace that all steps work on. It is read once and passed on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from releasekit.core.history.tags import schemes_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from releasekit.core.config.settings import Settings
    from releasekit.core.history.tags import TagSchemes
    from releasekit.core.workspace.workspace import Workspace
    from releasekit.integrations.uv import Uv


@dataclass(frozen=True)
class Project:
    """A workspace on this machine: its directory *root*, the root pyproject.toml as *document*, and its settings.

    *member_settings* maps the name of a member to its own settings. *manifests* maps the path of a member to its
    pyproject.toml, parsed and as text.
    """

    root: Path
    document: Mapping[str, Any]
    settings: Settings
    workspace: Workspace
    uv: Uv
    member_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, "Mapping[str, Any]"])
    manifests: Mapping[str, tuple[Mapping[str, Any], str]] = field(
        default_factory=dict[str, "tuple[Mapping[str, Any], str]"]
    )

    @cached_property
    def schemes(self) -> TagSchemes:
        """The tag formats."""
        return schemes_of(self.settings, self.member_settings)

    def effective_setting(self, name: str, key: str) -> Any:  # noqa: ANN401  as many types as there are keys
        """Return the setting *key* of the package *name*: its own value, or else the value of the root."""
        return self.member_settings.get(name, {}).get(key, getattr(self.settings, key))
