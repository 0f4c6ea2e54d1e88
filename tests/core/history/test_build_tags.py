"""Tags from which the build of a package cannot read its version are found."""

from __future__ import annotations

from typing import Any

import pytest

from releasekit.core.history.build_tags import unread_tag_warnings
from releasekit.core.history.tags import schemes_of
from releasekit.core.workspace.workspace import workspace_of
from tests.support.builders import settings_of


def dynamic(tool: dict[str, Any], name: str = "core") -> dict[str, Any]:
    """Return the pyproject.toml of a package whose version a build finds."""
    return {
        "project": {"name": name, "dynamic": ["version"]},
        "build-system": {"requires": [], "build-backend": "backend"},
        "tool": tool,
    }


def uv_dynamic(**keys: str) -> dict[str, Any]:
    """Return [tool] of a package that uses uv-dynamic-versioning with *keys*."""
    return {
        "hatch": {"version": {"source": "uv-dynamic-versioning"}},
        "uv-dynamic-versioning": keys,
    }


def hatch_vcs(pattern: str) -> dict[str, Any]:
    """Return [tool] of a package that uses hatch-vcs."""
    return {"hatch": {"version": {"source": "vcs", "tag-pattern": pattern}}}


@pytest.mark.parametrize(
    ("tool", "tag_format", "is_read"),
    [
        (uv_dynamic(**{"pattern-prefix": "core-"}), "core-v{version}", True),
        (uv_dynamic(**{"pattern-prefix": "core-"}), "{name}-{version}", True),
        (uv_dynamic(**{"pattern-prefix": "core-"}), "{name}/v{version}", False),
        (uv_dynamic(**{"pattern-prefix": "core-"}), "v{version}", False),
        (uv_dynamic(pattern=r"^rel-(?P<base>\d+\.\d+\.\d+)"), "{name}-v{version}", False),
        (uv_dynamic(pattern="default-unprefixed"), "rel-{version}", False),
        (uv_dynamic(), "{name}-v{version}", True),
        (hatch_vcs(r"core-v(?P<version>.*)"), "{name}-v{version}", True),
        (hatch_vcs(r"v(?P<version>.*)"), "{name}-v{version}", False),
        (
            {"setuptools_scm": {"tag_regex": r"^(core-)?v(?P<version>.*)$"}},
            "{name}-v{version}",
            True,
        ),
        (
            {"setuptools_scm": {"tag_regex": r"^other-v(?P<version>.*)$"}},
            "{name}-v{version}",
            False,
        ),
        (
            {"setuptools_scm": {"git_describe_command": "git describe --match core-v*"}},
            "v{version}",
            False,
        ),
        ({}, "{name}-v{version}", True),
    ],
)
def test_build_must_read_release_tags(tool: dict[str, Any], tag_format: str, is_read: bool) -> None:
    """Only a setting of the build says which tags it reads; without one, nothing is wrong."""
    documents = {"packages/core": dynamic(tool)}
    settings = settings_of(tag_format=tag_format)

    warnings = list(
        unread_tag_warnings(workspace_of(documents, settings), schemes_of(settings, {}), documents)
    )

    assert ([warning.code for warning in warnings] == []) is is_read


def test_unread_tag_names_the_setting() -> None:
    """The warning has an example of the tag, and the setting that excludes it."""
    documents = {"packages/core": dynamic(uv_dynamic(**{"pattern-prefix": "core-"}))}
    settings = settings_of()
    own = {"core": {"tag_format": "{name}/{version}"}}

    (warning,) = unread_tag_warnings(
        workspace_of(documents, settings), schemes_of(settings, own), documents
    )

    assert str(warning) == (
        "RK-TAG-UNREAD: core: its build does not read tags such as core/1.2.3: pattern-prefix is 'core-' "
        "(packages/core/pyproject.toml)"
    )


def test_static_version_needs_no_tag() -> None:
    """A package that declares its version does not care about tags."""
    document = dynamic(uv_dynamic(**{"pattern-prefix": "core-"}))
    documents = {"packages/core": {**document, "project": {"name": "core", "version": "1.0"}}}
    settings = settings_of(tag_format="v{version}")

    assert not list(
        unread_tag_warnings(workspace_of(documents, settings), schemes_of(settings, {}), documents)
    )
