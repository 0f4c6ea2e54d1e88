"""Step: read the workspace and its settings from the disk."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from functools import partial
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from releasekit.core.config.settings import (
    Settings,
    from_environment,
    outdated_keys,
    parse_member_settings,
    settings_of,
)
from releasekit.core.errors import ErrorCode, Refusal, ReleaseWarning
from releasekit.core.history.tags import TagScheme, in_directory, uses_directory
from releasekit.core.picking import drop, drop_empty, drop_keys, pick, true_keys
from releasekit.core.planning.first_releases import ALL
from releasekit.core.planning.setting_values import (
    choose_indexes,
    refuse_equal_directories,
    refuse_excluded_members,
    refuse_mixed_changelog,
    refuse_unknown_names,
    refuse_unreadable_tags,
)
from releasekit.core.release.later_index import LaterIndex, targets_for
from releasekit.core.release.target import PYPI, Target
from releasekit.core.text import summarize
from releasekit.core.toml_lines import locate_excerpt
from releasekit.core.versioning.groups import package_values
from releasekit.core.workspace.declarations import declared_name
from releasekit.core.workspace.dynamic_version import build_tag_prefix, version_environment
from releasekit.core.workspace.workspace import choose_publishable, parse_workspace
from releasekit.integrations.filesystem import read_toml
from releasekit.integrations.package_managers import find_package_manager
from releasekit.integrations.process import mask
from releasekit.integrations.secrets import Secrets
from releasekit.integrations.version_files import declared_version, read_requirement_files
from tasks.decorators import flow_task, read_secret
from tasks.project import Project

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping
    from pathlib import Path

    from releasekit.core.config.settings import Destination
    from releasekit.core.workspace.workspace import DeclaredVersion, Workspace
    from releasekit.integrations.protocols import PackageManager


log = logging.getLogger("releasekit")


@flow_task("read-workspace", stage="plan")
def read_workspace(path: Path, overrides: Mapping[str, Any]) -> Project:
    """Read the workspace that contains *path*. *overrides* are settings that take precedence over all others.

    After them come environment variables (see `from_environment`), then the file, then the defaults.

    Raises Refusal with an RK-WORKSPACE-…, RK-CONFIG-…, RK-VERSION-INVALID or RK-UV-… code.
    """
    uv = find_package_manager()
    root, directories = _find_workspace(uv, path)
    overrides = from_environment(os.environ) | dict(overrides)
    of_root, root_text = read_toml(root / "pyproject.toml", "pyproject.toml")
    for message in outdated_keys(of_root):
        log.warning(
            "warning %s", ReleaseWarning(ErrorCode.CONFIG_INVALID_KEY, message, "pyproject.toml")
        )
    settings = Settings.model_validate(settings_of(of_root, root_text).model_dump() | overrides)
    settings = choose_indexes(settings, overrides)
    manifests = {
        path: read_toml(root / path / "pyproject.toml", f"{path}/pyproject.toml")
        for path in (
            os.path.relpath(directory, root).replace(os.sep, "/") for directory in directories
        )
    }
    _refuse_keys_without_package(settings, manifests)
    documents = {path: document for path, (document, _) in manifests.items()}
    declared = _declared_versions(root, documents)
    try:
        files = {
            path: read_requirement_files(root / path, document)
            for path, document in documents.items()
        }
        workspace = parse_workspace(documents, declared, files)
        refuse_unknown_names(workspace, settings, overrides)
        stated = {path: _stated_keys(path, *manifests[path], settings) for path in manifests}
        formats = _group_formats(workspace, settings, stated)
        own = dict(_own_settings(settings, overrides, documents, stated | formats))
        refuse_unreadable_tags(settings, own, overrides)
        workspace = choose_publishable(workspace, settings)
        refuse_equal_directories(workspace, settings, own)
        refuse_excluded_members(workspace, settings, own, overrides)
        refuse_mixed_changelog(workspace, settings, own)
    except Refusal as error:
        raise _with_position(error, {".": (of_root, root_text), **manifests}) from None
    return Project(
        root,
        of_root,
        settings,
        workspace,
        uv=_uv_for(uv, settings, documents),
        member_settings={
            member.name: own[member.path] for member in workspace if member.path in own
        },
        manifests=manifests,
    )


def _declared_versions(
    root: Path, documents: Mapping[str, Mapping[str, Any]]
) -> dict[str, DeclaredVersion]:
    """Return the dynamic versions that files of the packages declare, by the path of the package."""
    declarations = {
        path: declared_version(root / path, document, path) for path, document in documents.items()
    }
    return drop_empty(declarations)


def _find_workspace(uv: PackageManager, path: Path) -> tuple[Path, tuple[Path, ...]]:
    """Return the root and the members of the workspace that contains *path*; a refusal says where else to look."""
    try:
        return uv.workspace(path)
    except Refusal as error:
        if error.code is not ErrorCode.WORKSPACE_NOT_FOUND:
            raise
        hint = _workspace_hint(path) or error.hint
        raise Refusal(error.code, error.message, error.location, hint, error.output) from None


def _workspace_hint(path: Path) -> str:
    """Return where a workspace is below *path*, or how to make one; empty outside of a repository."""
    # Late: only this message needs them.
    from releasekit.core.adoption.outside_packages import (
        find_outside,
        member_patterns,
        workspace_hint,
    )
    from releasekit.integrations.git import Repo
    from releasekit.integrations.manifests import find_subdirectories, read_manifests

    try:
        manifests = read_manifests(Repo(path), path)
    except Refusal:
        return ""
    patterns = member_patterns(find_outside(manifests), partial(find_subdirectories, path))
    return workspace_hint(manifests, patterns)


def _uv_for(
    uv: PackageManager, settings: Settings, documents: Mapping[str, Mapping[str, Any]]
) -> PackageManager:
    """Return *uv* with the credentials of the *settings*, and with the variables that builds of the workspace get."""
    # The variables with the credentials of single indexes are hidden from builds, too.
    of_indexes = {
        source: source
        for destination in settings.publish_to
        for source in destination.secrets.values()
        if source.isupper()
    }
    # A package whose backend reads its version from a variable cannot be locked without it.
    of_versions = chain.from_iterable(map(_version_variables, documents.values()))
    secrets = Secrets(of_indexes | settings.secrets, read_secret)
    return uv.with_changes(secrets=secrets, build_env=(*settings.build_env, *of_versions))


def _own_settings(
    settings: Settings,
    overrides: Container[str],
    documents: Mapping[str, Mapping[str, Any]],
    stated: Mapping[str, Mapping[str, Any]],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the path of each member that has keys of its own, and these keys without those in *overrides*.

    *documents* and *stated*, the keys of the members and their groups, are by path.
    """
    for path, document in documents.items():
        name = declared_name(document, {})
        usual = in_directory(settings.tag_format, path, name)
        keys = _with_build_tags(stated[path], document, usual, settings.label)
        member_settings = drop_keys(keys, overrides)
        tag_format = member_settings.get("tag_format", settings.tag_format)
        if uses_directory(tag_format):
            member_settings["tag_format"] = in_directory(tag_format, path, name)
        if member_settings:
            yield path, member_settings


def _group_formats(
    workspace: Workspace, settings: Settings, stated: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the keys *stated* by the path of the member, with the `tag_format` that its group sets.

    Raises Refusal RK-CONFIG-INVALID-VALUE for a package in two groups with different values, if it has no own one.
    """
    own = {member.name: stated[member.path] for member in workspace}
    values = package_values("tag_format", workspace, settings, own)
    return {
        workspace[name].path: {**own[name], "tag_format": value}
        for name, value in values.items()
        if value != settings.tag_format
    }


def _version_variables(document: Mapping[str, Any]) -> Iterator[str]:
    name = str(document.get("project", {}).get("name", ""))
    yield from version_environment(document, name, version="")


def _refuse_keys_without_package(settings: Settings, manifests: Container[str]) -> None:
    """Refuse keys that only a package at the root can have, if there is none among *manifests* (by path)."""
    keys = {"bump": settings.bump, "root_tag_format": settings.root_tag_format}
    misplaced = list(true_keys(keys))
    if misplaced and "." not in manifests:
        message = f"{misplaced[0]} is a setting of a package, and the root of the workspace is not a package"
        raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, "pyproject.toml, [tool.releasekit]")


def _stated_keys(
    path: str, document: Mapping[str, Any], text: str, settings: Settings
) -> dict[str, Any]:
    """Return the keys that the member at *path* sets for itself. One at the root shares the table of the workspace."""
    if path != ".":
        return parse_member_settings(document, f"{path}/pyproject.toml", text)
    return drop_empty({"tag_format": settings.root_tag_format})


def _with_build_tags(
    own: Mapping[str, Any], document: Mapping[str, Any], usual: tuple[str, ...], label: str
) -> Mapping[str, Any]:
    """Return the keys that a package sets, with the tag format that its build reads, if the *usual* do not fit it.

    A build with uv-dynamic-versioning finds its version only in tags with its `pattern-prefix`.
    """
    prefix = build_tag_prefix(document)
    if not prefix or "tag_format" in own:
        return own
    example = TagScheme(usual, label).tag(declared_name(document, {}), Version("1.0"))
    version = example.removeprefix(prefix)
    is_read = version != example and version.lstrip("v") == "1.0"
    return own if is_read else {**own, "tag_format": f"{prefix}v{{version}}"}


def _with_position(
    error: Refusal, manifests: Mapping[str, tuple[Mapping[str, Any], str]]
) -> Refusal:
    """Return *error* with the position of the words that it quotes."""
    quoted = error.excerpt
    if not quoted or quoted.line:
        return error
    directory = quoted.file.removesuffix("pyproject.toml").rstrip("/") or "."
    _, text = manifests.get(directory, ({}, ""))
    excerpt = locate_excerpt(quoted, text)
    return Refusal(error.code, error.message, error.location, error.hint, error.output, excerpt)


def target_of(project: Project) -> Target:
    """Return the index that the settings choose for the release; in a rehearsal the throwaway one in place of it.

    Raises Refusal RK-INDEX-UNKNOWN if they name an unknown index, or an upload address without a check URL, and
    RK-CONFIG-INVALID-VALUE for credentials in an address: Prefect stores and shows it as a parameter of the flow.
    """
    target = _configured_target(project)
    return project.throwaway_indexes.get(target.index_name, target)


def _configured_target(project: Project) -> Target:
    settings = project.settings
    if settings.publish_to:
        return _destination_target(project, settings.publish_to[0])
    _refuse_credentials("publish_url", settings.publish_url)
    _refuse_credentials("check_url", settings.check_url)
    if settings.index:
        return _named_target(project)
    publish_url = settings.publish_url or _address_of_uv(project, "UV_PUBLISH_URL", "publish-url")
    check_url = settings.check_url or _address_of_uv(project, "UV_PUBLISH_CHECK_URL", "check-url")
    if publish_url and not check_url:
        message = f"uploads to {publish_url} cannot be confirmed without --check-url"
        raise Refusal(ErrorCode.INDEX_UNKNOWN, message)
    default = project.default_index
    return Target(check_url or default, publish_url, is_default=check_url in ("", default))


def later_indexes(project: Project) -> tuple[LaterIndex, ...]:
    """Return the indexes of `publish_to` after the first one; in a rehearsal the throwaway ones in place of them.

    Raises Refusal RK-INDEX-UNKNOWN, and RK-CONFIG-INVALID-VALUE if one gets a package that the index before it lacks.
    """
    destinations, workspace = project.settings.publish_to, project.workspace
    names = workspace.publishable_names
    packages_by_index = {first.index: frozenset(names) for first in destinations[:1]}
    later: list[LaterIndex] = []
    for previous, destination in pairwise(destinations):
        is_for_all = ALL in destination.packages
        chosen = names if is_for_all else workspace.matching_names(destination.packages)
        packages = pick(names, chosen)
        after = destination.after or previous.index
        missing = drop(packages, packages_by_index[after])
        if missing:
            message = (
                f"{destination.index} gets {summarize(missing)}, but {after} before it does not"
            )
            raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, "pyproject.toml, publish_to")
        packages_by_index[destination.index] = frozenset(packages)
        target = _destination_target(project, destination)
        later.append(
            LaterIndex(
                target=project.throwaway_indexes.get(target.index_name, target),
                name=destination.index,
                after=after,
                packages=frozenset(packages),
                needs_approval=destination.approve,
            )
        )
    return tuple(later)


def targets_of(project: Project, package: str) -> tuple[Target, ...]:
    """Return all indexes that *package* (its name) goes to, in this order; raises as `later_indexes` does."""
    return targets_for(package, target_of(project), later_indexes(project))


def _destination_target(project: Project, destination: Destination) -> Target:
    """Return one index of `publish_to`."""
    credentials = destination.secrets
    for target in named_targets(project):
        if target.name == destination.index:
            return replace(target, credentials=credentials)
    if destination.index == PYPI:
        if "publish-url" in _uv_table(project):  # uv would upload there instead
            message = "pypi is not PyPI here, because [tool.uv] sets publish-url"
            hint = "Give that index a name and its publish-url in a table [[tool.uv.index]], and use the name."
            raise Refusal(ErrorCode.INDEX_UNKNOWN, message, "publish_to", hint)
        default = project.default_index
        return Target(default, "", is_default=True, credentials=credentials)
    message = f"no index with a publish-url is named {destination.index}"
    raise Refusal(ErrorCode.INDEX_UNKNOWN, message, "[[tool.uv.index]]")


def _address_of_uv(project: Project, variable: str, key: str) -> str:
    """Return the address that uv uses: the environment *variable*, or *key* of [tool.uv]; empty without both."""
    address = _uv_table(project).get(key, "")
    return os.environ.get(variable) or str(address)


def _refuse_credentials(key: str, address: str) -> None:
    if mask(address) == address:
        return
    hint = "Set UV_PUBLISH_TOKEN, or UV_PUBLISH_USERNAME and UV_PUBLISH_PASSWORD; give only the address here."
    raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, "the address contains credentials", key, hint)


def _named_target(project: Project) -> Target:
    """Return the index of the workspace that the setting `index` names, with the addresses of other settings."""
    settings = project.settings
    for target in named_targets(project):
        if target.name == settings.index:
            return replace(
                target,
                check_url=settings.check_url or target.check_url,
                publish_url=settings.publish_url or target.publish_url,
            )
    message = f"no index with a publish-url is named {settings.index}"
    raise Refusal(ErrorCode.INDEX_UNKNOWN, message, "[[tool.uv.index]]")


def named_targets(project: Project) -> Iterator[Target]:
    """Yield the indexes of the workspace that have a name and an upload address."""
    for index in _uv_table(project).get("index", ()):
        if {"name", "publish-url"} <= index.keys():
            yield Target(
                check_url=index["url"],
                publish_url=index["publish-url"],
                name=index["name"],
                is_default=bool(index.get("default")),
            )


def _uv_table(project: Project) -> Mapping[str, Any]:
    """Return the table [tool.uv] of the root pyproject.toml."""
    return project.document.get("tool", {}).get("uv", {})
