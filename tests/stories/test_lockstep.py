"""Packages that come to a workspace whose packages share a version and a tag."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.world import World, make_world, upload, write_package

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

SHOP = '\n[tool.releasekit]\ntag_format = "shop-v{version}"\n'


def plan_of(world: World) -> dict[str, Any]:
    """Return the plan of what git says."""
    return json.loads(world.releasekit("plan", "--offline", "--format", "json").out)


def next_versions(world: World) -> dict[str, str]:
    """Return the next version of each package that is released."""
    return {row["name"]: row["next"] for row in plan_of(world)["packages"] if row["order"] >= 0}


def add_package(world: World, name: str, table: str = "") -> None:
    """Commit a new package that declares the version of the others."""
    write_package(world, name, [])
    path = world.root / f"packages/{name}/pyproject.toml"
    world.write({f"packages/{name}/pyproject.toml": path.read_text() + table})
    world.lock()


def world_with_one_tag(directory: Path) -> World:
    """Make a workspace of core and app, which share the version and the tag of their last release."""
    world = make_world(
        directory, "app: core; core", 'versioning = "fixed"\ntag_format = "v{version}"'
    )
    world.git("tag", "v0.1.0")
    world.git("push", "--quiet", "--tags")
    return world


@pytest.mark.usefixtures("unrecorded")
def test_new_package_joins_shared_tag(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """One tag is for all, and it is there already: so all packages get the next version, and the next tag."""
    world = world_with_one_tag(tmp_path)
    add_package(world, "new")

    assert next_versions(world) == {"core": "0.1.1", "app": "0.1.1", "new": "0.1.1"}
    assert plan_of(world)["obstacles"] == []
    said = world.releasekit(
        "publish", "--yes", "--skip-audit", "--skip-smoke-test", "--format", "json"
    )
    assert said.code == 0, said.err
    assert world.tags().keys() == {"v0.1.0", "v0.1.1"}
    assert next_versions(world) == {}
    assert own_index.requests()


def test_group_has_tags_of_its_own(tmp_path: Path) -> None:
    """A group sets `tag_format` for its packages, a package for itself; the others have that of the root."""
    group = '{ packages = ["a*", "core"], versioning = "fixed", tag_format = "shop-v{version}" }'
    world = make_world(tmp_path, "app; core; also; other", f"groups.shop = {group}")
    path = "packages/also/pyproject.toml"
    own = '\n[tool.releasekit]\ntag_format = "also/{version}"\n'
    world.commit("chore: tags", {path: (world.root / path).read_text() + own})

    tags = {row["name"]: row["tag"] for row in plan_of(world)["packages"]}

    assert tags == {
        "app": "shop-v0.1.0", "core": "shop-v0.1.0", "also": "also/0.1.0", "other": "other-v0.1.0"
    }  # fmt: skip


def test_package_is_in_one_group_with_tags(tmp_path: Path) -> None:
    """Two groups that say different things about the tags of a package are refused, with the groups."""
    groups = 'groups.one = { packages = ["app"], tag_format = "one-{version}" }\n'
    groups += 'groups.two = { packages = ["*"], tag_format = "two-{version}" }'
    world = make_world(tmp_path, "app; core", groups)

    said = world.releasekit("plan", "--offline")

    assert said.code == 2
    assert "two groups set different `tag_format` for app: one and two" in said.err

    path = "packages/app/pyproject.toml"
    own = '\n[tool.releasekit]\ntag_format = "app-{version}"\n'
    world.commit("chore: tags", {path: (world.root / path).read_text() + own})
    tags = {row["name"]: row["tag"] for row in plan_of(world)["packages"]}
    assert tags == {"app": "app-0.1.0", "core": "two-0.1.0"}


@pytest.mark.usefixtures("unrecorded")
def test_version_is_free_for_each_package(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """The next joint version is free for a package that somebody has uploaded by hand, though another one changes."""
    world = world_with_one_tag(tmp_path)
    path = world.root / "packages/app/pyproject.toml"
    declared = path.read_text()
    path.write_text(declared.replace('version = "0.1.0"', 'version = "0.2.0"'))
    upload(world, own_index, "app")
    path.write_text(declared)
    world.commit("feat: a core", {"packages/core/src/core/new.py": ""})
    world.git("push", "--quiet")

    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json")

    assert said.code == 0, said.err
    versions = {package["name"]: package["version"] for package in json.loads(said.out)["packages"]}
    assert versions == {"core": "0.2.1", "app": "0.2.1"}


@pytest.mark.parametrize(
    ("versioning", "expected"),
    [("fixed", {"core": "0.1.1", "app": "0.1.1", "new": "0.1.1"}), ("linked", {"new": "0.1.1"})],
)
def test_new_group_member_needs_free_tag(
    tmp_path: Path, versioning: str, expected: dict[str, str]
) -> None:
    """A group with its own form of tags does the same; packages outside it stay."""
    world = make_world(tmp_path, "app: core; core; other")
    for name in ("app", "core"):
        path = f"packages/{name}/pyproject.toml"
        world.write({path: (world.root / path).read_text() + SHOP})
    world.commit("chore: tags of the shop")
    world.git("tag", "shop-v0.1.0")
    world.git("tag", "other-v0.1.0")
    root = (world.root / "pyproject.toml").read_text()
    group = f'[tool.releasekit.groups]\nshop = {{ packages = ["app", "core", "new"], versioning = "{versioning}" }}\n'
    world.write({"pyproject.toml": f"{root}\n{group}"})

    add_package(world, "new", SHOP)

    assert next_versions(world) == expected
    assert plan_of(world)["obstacles"] == []


def test_named_tag_joins_current_version(tmp_path: Path) -> None:
    """Where each package has its own tag, the new one is released alone, as the version that it declares."""
    world = make_world(tmp_path, "app: core; core", 'versioning = "fixed"')
    for name in ("app", "core"):
        world.git("tag", f"{name}-v0.1.0")

    add_package(world, "new")

    assert next_versions(world) == {"new": "0.1.0"}
