"""Each setting of a workspace, and where it comes from."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.config.settings import TABLE, Settings, from_environment, schema, variable
from releasekit.core.toml_lines import line_of
from releasekit.integrations.filesystem import read_toml
from tasks.read_workspace import read_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tasks.project import Project


class Setting(BaseModel):
    """A key with its value, and its *source*: `default`, `FILE:LINE`, a variable or an option.

    A setting of one member names its *package*.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    value: Any
    source: str
    package: str = ""


class EffectiveSettings(BaseModel):
    """Each setting of a workspace, in the order of the reference; then the settings of single members."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.config/1"] = Field(default="releasekit.config/1", alias="schema")
    settings: tuple[Setting, ...]


def effective_settings(workspace: Path, overrides: Mapping[str, Any]) -> EffectiveSettings:
    """Return the settings of the workspace that contains the directory; *overrides* are options.

    Raises the refusals of `read_workspace`.
    """
    project = read_workspace(workspace, overrides)
    document, text = read_toml(project.root / "pyproject.toml", "pyproject.toml")
    written = document.get("tool", {}).get("releasekit", {})
    environment = from_environment(os.environ)
    values = project.settings.model_dump(mode="json")

    def find_source(key: str) -> str:
        if key in overrides:
            return f"--{key.replace('_', '-')}"
        if key in environment:
            return variable(key)
        if key in written:
            return f"pyproject.toml:{line_of(text, (*TABLE, key))}"
        return "default"

    root = (
        Setting(key=key, value=values[key], source=find_source(key))
        for key in Settings.model_fields
    )
    return EffectiveSettings(settings=(*root, *_member_settings(project)))


def _member_settings(project: Project) -> Iterator[Setting]:
    for name, overrides in sorted(project.member_settings.items()):
        path = project.workspace[name].path
        _, text = project.manifests[path]
        for key in overrides:
            value = Settings(**{key: overrides[key]}).model_dump(mode="json")[key]
            line = line_of(text, (*TABLE, key))
            yield Setting(
                key=key, value=value, source=f"{path}/pyproject.toml:{line}", package=name
            )


def schema_text() -> str:
    """Return the JSON schema of `[tool.releasekit]`, the same text as in releasekit/releasekit.schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
