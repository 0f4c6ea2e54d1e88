"""Values of settings that only the workspace shows to be wrong."""

from __future__ import annotations

import pytest

from releasekit.core.errors import ErrorCode, Excerpt, Refusal
from releasekit.core.planning.setting_values import (
    refuse_excluded_members,
    refuse_unknown_names,
    refuse_unreadable_tags,
)
from tests.support.builders import settings_of, workspace_of


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("packages", ("core", "nosuch")),
        ("exclude", ("nosuch",)),
        ("allow_new", ("core", "nosuch")),
        ("lead", "nosuch"),
        ("groups", {"web": ["core", "nosuch"]}),
    ],
)
def test_unknown_name_has_place(key: str, value: object) -> None:
    """The key and the name that is quoted are known, so that the line can be found; an option has no line."""
    workspace, settings = workspace_of("core:", "app: core"), settings_of(**{key: value})

    with pytest.raises(Refusal) as caught:
        refuse_unknown_names(workspace, settings)
    with pytest.raises(Refusal) as from_option:
        refuse_unknown_names(workspace, settings, overrides={key, "groups.web"})

    assert caught.value.code is ErrorCode.WORKSPACE_UNKNOWN_PACKAGE
    shown_key = "groups.web" if key == "groups" else key
    assert caught.value.location == f"pyproject.toml, {shown_key} in [tool.releasekit]"
    assert caught.value.excerpt == Excerpt("pyproject.toml", 0, "nosuch")
    assert from_option.value.excerpt is None
    assert "or an option" in from_option.value.location


def test_known_names_are_accepted() -> None:
    """Names, patterns and `all` for first releases are no mistake."""
    settings = settings_of(
        packages=("core", "a*"), allow_new=("all",), lead="core", groups={"web": ["app"]}
    )

    refuse_unknown_names(workspace_of("core:", "app: core"), settings)


@pytest.mark.parametrize("key", ["tag_format", "root_tag_format", "umbrella_tag_format"])
def test_unreadable_tag_format_has_place(key: str) -> None:
    """Of a list, only the format that cannot be read is quoted."""
    formats = (
        ("v{version}", "{nam}-{version}") if key != "umbrella_tag_format" else "{nam}-{version}"
    )

    with pytest.raises(Refusal) as caught:
        refuse_unreadable_tags(settings_of(**{key: formats}), {})

    assert caught.value.code is ErrorCode.TAG_INVALID
    assert caught.value.location == f"pyproject.toml, {key} in [tool.releasekit]"
    assert caught.value.excerpt == Excerpt("pyproject.toml", 0, "{nam}-{version}")


def test_directory_is_for_tags_of_packages() -> None:
    """A tag of a release of several packages has no directory."""
    refuse_unreadable_tags(settings_of(tag_format="{directory}/{version}"), {})

    with pytest.raises(Refusal, match="must contain"):
        refuse_unreadable_tags(settings_of(umbrella_tag_format="{directory}/{version}"), {})


def test_tag_format_of_group_has_place() -> None:
    """So it does in a group, also if the packages of the group have inherited it."""
    settings = settings_of(
        groups={"g": {"packages": ["core"], "tag_format": ["v{version}", "core"]}}
    )

    with pytest.raises(Refusal) as caught:
        refuse_unreadable_tags(settings, {"packages/core": {"tag_format": ("v{version}", "core")}})

    assert caught.value.location == "pyproject.toml, groups.g.tag_format in [tool.releasekit]"


def test_tag_format_of_member_has_place() -> None:
    """The format of a member is in the member's file."""
    with pytest.raises(Refusal) as caught:
        refuse_unreadable_tags(settings_of(), {"packages/core": {"tag_format": "core"}})

    assert caught.value.location == "packages/core/pyproject.toml, tag_format in [tool.releasekit]"


@pytest.mark.parametrize("pattern", ["packages", "packages/*", "packages/core"])
def test_path_around_members_is_refused(pattern: str) -> None:
    """A path that excludes a published member would end its releases in silence; the key and the path are quoted."""
    workspace = workspace_of("core:", "app: core")
    with pytest.raises(Refusal) as caught:
        refuse_excluded_members(workspace, settings_of(exclude_paths=("docs", pattern)), {})

    assert caught.value.code is ErrorCode.CONFIG_INVALID_VALUE
    assert "excludes all files of packages/" in caught.value.message
    assert caught.value.location == "pyproject.toml, exclude_paths in [tool.releasekit]"
    assert caught.value.excerpt == Excerpt("pyproject.toml", 0, pattern)


def test_paths_inside_members_are_accepted() -> None:
    """Parts of members, and members that are never published, can be excluded; a member's path is relative to it."""
    workspace = workspace_of("core:", "app: core").with_publishable({"core"})
    own = {"packages/core": {"exclude_paths": ["core", "packages"]}}

    refuse_excluded_members(workspace, settings_of(exclude_paths=("packages/app", "*/tests")), own)

    own["packages"] = {"exclude_paths": ["core"]}
    with pytest.raises(Refusal, match="core in `exclude_paths` excludes all files") as caught:
        refuse_excluded_members(workspace, settings_of(), own)
    assert caught.value.location == "packages/pyproject.toml, exclude_paths in [tool.releasekit]"
