"""Find tag formats from which a build cannot read its version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.version import Version

from releasekit.core.errors import ErrorCode, ReleaseWarning
from releasekit.core.workspace.dynamic_version import configured_tag_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from releasekit.core.history.tags import TagSchemes
    from releasekit.core.workspace.workspace import Workspace

_EXAMPLE = Version("1.2.3")


def unread_tags(
    workspace: Workspace, schemes: TagSchemes, documents: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Return what is wrong with the tags of each published package whose build is set up to read other tags.

    *documents* are the parsed pyproject.toml files by path. A release tells the build its version, but every other
    build of the tagged commit reads the tags.
    """
    problems: dict[str, str] = {}
    for member in workspace.publishable:
        if member.version_file:
            continue
        rule = configured_tag_rule(documents.get(member.path, {}))
        tag = schemes.of(member.name).tag(member.name, _EXAMPLE)
        if rule and not rule.reads(tag):
            problems[member.name] = (
                f"its build does not read tags such as {tag}: {rule.key} is {rule.value!r}"
            )
    return problems


def unread_tag_warnings(
    workspace: Workspace, schemes: TagSchemes, documents: Mapping[str, Mapping[str, Any]]
) -> Iterator[ReleaseWarning]:
    """Warn about each package of `unread_tags`."""
    for name, problem in unread_tags(workspace, schemes, documents).items():
        location = f"{workspace[name].path}/pyproject.toml"
        yield ReleaseWarning(ErrorCode.TAG_UNREAD, f"{name}: {problem}", location)
