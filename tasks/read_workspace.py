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
    from collections.abc import Iterator, Mapping, Sequence
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
        location = f"{relative}/pyproject.toml"
        document, text = read_toml(directory / "pyproject.toml", location)
        manifests[relative] = document, text
        settings_table = {} if relative == "." else parse_member_settings(document, location, text)
        if settings_table:
            own[relative] = {key: value for key, value in settings_table.items() if key not in overrides}
        declaration = declared_version(directory, document, relative)
        if declaration:
            declared[relative] = declaration
    if settings.bump and "." not in manifests:
        message = "bump is a setting of a package, and the root of the workspace is not a package"
        raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, "pyproject.toml, [tool.releasekit]")
    documents = {path: document for path, (document, _) in manifests.items()}
    try:
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
    directory = quoted.file.removesuffix("pyproject.toml").rstrip("/") or "."
    _, text = manifests.get(directory, ({}, ""))
    return Refusal(error.code, error.message, error.location, error.hint, error.output, locate_excerpt(quoted, text))


def target_of(project: Project) -> Target:
    """Return the index that the settings choose for the release.

    Raises Refusal RK-INDEX-UNKNOWN if they name an unknown index, or an upload address without a check URL, and
    RK-CONFIG-INVALID-VALUE for credentials in an address: Prefect stores and shows it as a parameter of the flow.
    """
    settings = project.settings
    _refuse_credentials("publish_url", settings.publish_url)
    _refuse_credentials("check_url", settings.check_url)
    if settings.index:
        return _named_target(project)
    uv_table: Mapping[str, Any] = project.document.get("tool", {}).get("uv", {})
    publish_url = settings.publish_url or os.environ.get("UV_PUBLISH_URL") or str(uv_table.get("publish-url", ""))
    check_url = settings.check_url or os.environ.get("UV_PUBLISH_CHECK_URL") or str(uv_table.get("check-url", ""))
    if publish_url and not check_url:
        message = f"uploads to {publish_url} cannot be confirmed without --check-url"
        raise Refusal(ErrorCode.INDEX_UNKNOWN, message)
    default = project.uv.default_index(project.root)
    return Target(check_url or default, publish_url, is_default=check_url in ("", default))


def _refuse_credentials(key: str, address: str) -> None:
    if mask(address) == address:
        return
    hint = "Set UV_PUBLISH_TOKEN, or UV_PUBLISH_USERNAME and UV_PUBLISH_PASSWORD; give only the address here."
    raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, "the address contains credentials", key, hint)


def _named_target(project: Project) -> Target:
    """Return the index of the workspace that the setting `index` names, with the addresses of other settings."""
    settings = project.settings
    for index in _indexes(project):
        if index.get("name") == settings.index and "publish-url" in index:
            check_url = settings.check_url or index["url"]
            publish_url = settings.publish_url or index["publish-url"]
            return Target(check_url, publish_url, settings.index, bool(index.get("default")))
    message = f"no index with a publish-url is named {settings.index}"
    raise Refusal(ErrorCode.INDEX_UNKNOWN, message, "[[tool.uv.index]]")


def _indexes(project: Project) -> Sequence[Mapping[str, Any]]:
    """Return the tables [[tool.uv.index]] of the workspace."""
    return project.document.get("tool", {}).get("uv", {}).get("index", ())


def named_targets(project: Project) -> Iterator[Target]:
    """Yield the indexes of the workspace that have a name and an upload address."""
    for index in _indexes(project):
        if "name" in index and "publish-url" in index:
            yield Target(index["url"], index["publish-url"], index["name"], bool(index.get("default")))
