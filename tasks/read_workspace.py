"""Step: read the workspace and its settings from the disk."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from releasekit.core.config.settings import Settings, from_environment, parse_member_settings, settings_of
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.release.target import Target
from releasekit.core.toml_lines import locate_excerpt
from releasekit.core.workspace.workspace import workspace_of
from releasekit.integrations.filesystem import read_toml
from releasekit.integrations.process import mask
from releasekit.integrations.secrets import Secrets
from releasekit.integrations.uv import find_uv
from releasekit.integrations.version_files import declared_version, read_requirement_files
from tasks.decorators import flow_task, read_secret
from tasks.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from releasekit.core.workspace.workspace import DeclaredVersion


@flow_task("read-workspace")
def read_workspace(path: Path, overrides: Mapping[str, Any]) -> Project:
    """Read the workspace that contains *path*. *overrides* are settings that take precedence over all others.

    After them come environment variables (see `from_environment`), then the file, then the defaults.

    Raises Refusal with an RK-WORKSPACE-…, RK-CONFIG-…, RK-VERSION-INVALID or RK-UV-… code.
    """
    uv = find_uv()
    root, directories = uv.workspace(path)
    overrides = from_environment(os.environ) | dict(overrides)
    of_root, text = read_toml(root / "pyproject.toml", "pyproject.toml")
    settings = Settings.model_validate(settings_of(of_root, text).model_dump() | overrides)
    manifests: dict[str, tuple[Mapping[str, Any], str]] = {}
    declared: dict[str, DeclaredVersion] = {}
    own: dict[str, dict[str, Any]] = {}
    for directory in directories:
        relative = os.path.relpath(directory, root).replace(os.sep, "/")
        document, text = read_toml(directory / "pyproject.toml", f"{relative}/pyproject.toml")
        manifests[relative] = document, text
        if relative != "." and (settings_table := parse_member_settings(document, f"{relative}/pyproject.toml", text)):
            own[relative] = {key: value for key, value in settings_table.items() if key not in overrides}
        if declaration := declared_version(directory, document, relative):
            declared[relative] = declaration
    if settings.bump and "." not in manifests:
        message = "bump is a setting of a package, and the root of the workspace is not a package"
        raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, "pyproject.toml, [tool.releasekit]")
    try:
        documents = {path: document for path, (document, _) in manifests.items()}
        files = {path: read_requirement_files(root / path, document) for path, document in documents.items()}
        workspace = workspace_of(documents, settings, declared, files)
    except Refusal as error:
        raise _with_position(error, manifests) from None
    by_name = {member.name: own[member.path] for member in workspace if member.path in own}
    uv = replace(uv, secrets=Secrets(settings.secrets, read_secret))
    return Project(root, of_root, settings, workspace, uv, by_name, manifests)


def _with_position(error: Refusal, manifests: Mapping[str, tuple[Mapping[str, Any], str]]) -> Refusal:
    """Return *error* with the position of the words that it quotes."""
    quoted = error.excerpt
    if not quoted or quoted.line:
        return error
    _, text = manifests.get(quoted.file.removesuffix("pyproject.toml").rstrip("/") or ".", ({}, ""))
    return Refusal(error.code, error.message, error.location, error.hint, error.output, locate_excerpt(quoted, text))


def target_of(project: Project) -> Target:
    """Return the index that the settings choose for the release.

    Raises Refusal RK-INDEX-UNKNOWN if they name an unknown index, or an upload address without a check URL, and
    RK-CONFIG-INVALID-VALUE for credentials in an address: Prefect stores and shows it as a parameter of the flow.
    """
    settings = project.settings
    for key, address in (("publish_url", settings.publish_url), ("check_url", settings.check_url)):
        if mask(address) != address:
            hint = "Set UV_PUBLISH_TOKEN, or UV_PUBLISH_USERNAME and UV_PUBLISH_PASSWORD; give only the address here."
            raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, "the address contains credentials", key, hint)
    uv_table: Mapping[str, Any] = project.document.get("tool", {}).get("uv", {})
    if settings.index:
        for index in uv_table.get("index", ()):
            if index.get("name") == settings.index and "publish-url" in index:
                return Target(
                    settings.check_url or index["url"],
                    settings.publish_url or index["publish-url"],
                    settings.index,
                    bool(index.get("default")),
                )
        raise Refusal(
            ErrorCode.INDEX_UNKNOWN, f"no index with a publish-url is named {settings.index}", "[[tool.uv.index]]"
        )
    publish_url = settings.publish_url or os.environ.get("UV_PUBLISH_URL") or str(uv_table.get("publish-url", ""))
    check_url = settings.check_url or os.environ.get("UV_PUBLISH_CHECK_URL") or str(uv_table.get("check-url", ""))
    if publish_url and not check_url:
        message = f"uploads to {publish_url} cannot be confirmed without --check-url"
        raise Refusal(ErrorCode.INDEX_UNKNOWN, message)
    default = project.uv.default_index(project.root)
    return Target(check_url or default, publish_url, is_default=check_url in ("", default))


def named_targets(project: Project) -> Iterator[Target]:
    """Yield the indexes of the workspace that have a name and an upload address."""
    for index in project.document.get("tool", {}).get("uv", {}).get("index", ()):
        if "name" in index and "publish-url" in index:
            yield Target(index["url"], index["publish-url"], index["name"], bool(index.get("default")))
