"""The command `changelog`, and the keys that decide what changelogs tell."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from examples.orchard_repository import make
from releasekit.core.errors import ErrorCode
from tests.support.world import World, make_world

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def orchard(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Make the example workspace."""
    directory = tmp_path_factory.mktemp("orchard")
    return World(make(directory), directory / "orchard.git")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Make a package with a few changes by two people since its release."""
    world = make_world(tmp_path, "core")
    world.git("tag", "core-v0.1.0")
    world.commit(
        "feat: a\n\nCo-authored-by: Grace <grace@example.invalid>", {"packages/core/a.py": ""}
    )
    world.commit("fix(deps): b", {"packages/core/b.py": ""})
    world.git("config", "user.name", "Bea")
    world.commit("docs: c", {"packages/core/c.py": ""})
    return world


def with_keys(world: World, keys: str) -> str:
    """Return what `changelog` says with *keys* in the configuration."""
    text = (world.root / "pyproject.toml").read_text()
    world.write({"pyproject.toml": f"{text}\n[tool.releasekit]\n{keys}\n"})
    said = world.releasekit("changelog")
    assert said.code == 0, said.err
    return said.out


def test_changelog_preview_changes_nothing(orchard: World) -> None:
    """What each package would tell is printed, dependencies first, and nothing is changed."""
    before = orchard.state()

    out = orchard.releasekit("changelog").out

    assert out.index("# orchard-core\n") < out.index("# orchard-press\n")
    assert "### Breaking Changes\n\n- **store:** shelves hand fruits out one by one (" in out
    assert "# orchard-scarecrow" not in out
    assert orchard.state() == before


def test_changelog_names_choose_packages(orchard: World) -> None:
    """Names, patterns and paths choose packages; what they need is not told."""
    rows = json.loads(
        orchard.releasekit("changelog", "orchard-c*", "packages/store", "--format", "json").out
    )["packages"]

    assert [row["name"] for row in rows] == [
        "orchard-cache",
        "orchard-core",
        "orchard-store",
        "orchard-cider",
    ]
    assert orchard.releasekit("changelog", "orchard-stor").code == 2
    assert (
        ErrorCode.WORKSPACE_UNKNOWN_PACKAGE in orchard.releasekit("changelog", "orchard-stor").err
    )


def test_changelog_json_lists_each_change(orchard: World) -> None:
    """As JSON there is each change besides the text."""
    (row,) = json.loads(orchard.releasekit("changelog", "orchard-press", "--format", "json").out)[
        "packages"
    ]

    (section,) = row["sections"]
    (change,) = section["changes"]
    assert (row["current"], row["next"], row["path"]) == ("1.0.0", "2.0.0", "packages/press")
    assert section["heading"] == "Breaking Changes"
    assert change["breaking"] is True
    assert change["notes"] == ["`press` gives less juice for the same fruits."]
    assert row["markdown"].startswith(f"## 2.0.0 - {row['date']}\n")


def test_changelog_without_changes_is_empty(tmp_path: Path) -> None:
    """Where nothing is unreleased, the answer is empty and a log line says so."""
    world = make_world(tmp_path, "core")
    world.git("tag", "core-v0.1.0")

    said = world.releasekit("changelog")

    assert (said.code, said.out) == (0, "")
    assert "no unreleased changes" in said.err


def test_changelog_omits_docs_by_default(world: World) -> None:
    """Features and fixes are told, documentation is not, and nobody is named."""
    out = world.releasekit("changelog").out

    assert "### Features\n\n- a (" in out
    assert "### Bug Fixes\n\n- **deps:** b (" in out
    assert "- c" not in out
    assert "Ada" not in out


@pytest.mark.parametrize(
    ("keys", "there", "gone"),
    [
        (
            'changelog_sections = { docs = "Documentation", feat = "Added" }',
            "### Documentation\n\n- c (",
            "### Features",
        ),
        (r"changelog_exclude = ['^fix\(deps\)']", "### Features\n\n- a (", "Bug Fixes"),
        ("changelog_contributors = true", "### Contributors\n\n- Ada\n- Grace\n", "Bea"),
        (
            'changelog_contributors = true\nchangelog_sections.docs = "Docs"',
            "- Ada\n- Bea\n- Grace\n",
            "example.invalid",
        ),
    ],
)
def test_changelog_keys_change_the_text(world: World, keys: str, there: str, gone: str) -> None:
    """Each key changes what is told."""
    out = with_keys(world, keys)

    assert there in out
    assert gone not in out


@pytest.mark.parametrize(("mode", "told"), [("rollup", ["a", "b", "d"]), ("separate", ["d"])])
def test_prerelease_mode_limits_the_changes(world: World, mode: str, told: list[str]) -> None:
    """A stable release after a prerelease tells all since the last stable one, or its own alone."""
    text = (world.root / "packages/core/pyproject.toml").read_text()
    world.commit(
        "chore: rc", {"packages/core/pyproject.toml": text.replace('"0.1.0"', '"0.2.0rc1"')}
    )
    world.git("tag", "core-v0.2.0rc1")
    world.commit("fix: d", {"packages/core/d.py": ""})

    out = with_keys(world, f'changelog_prerelease_mode = "{mode}"\nprerelease = "none"')

    assert "## 0.2.0 - " in out
    assert [name for name in "abcd" if f" {name} (" in out] == told


def test_first_stable_includes_its_prereleases(tmp_path: Path) -> None:
    """A first stable release tells all since the first prerelease; what was reverted between two is told by neither."""
    world = make_world(tmp_path, "core")
    path = "packages/core/pyproject.toml"
    text = (world.root / path).read_text()
    for number in (1, 2, 3):
        version = f"0.1.0rc{number}"
        files = {path: text.replace('"0.1.0"', f'"{version}"'), f"packages/core/{number}.py": ""}
        world.commit(f"feat: {number}", files)
        world.git("tag", f"core-v{version}")
    world.git("revert", "--no-edit", "HEAD")
    world.commit(
        "fix: it", {path: text.replace('"0.1.0"', '"0.1.0rc3"'), "packages/core/2.py": "2"}
    )

    (row,) = json.loads(
        world.releasekit("changelog", "--prerelease", "none", "--format", "json").out
    )["packages"]

    told = re.sub(r"\(\w{7}\)", "(SHA)", row["markdown"].partition("\n")[2])
    assert row["next"] == "0.1.0"
    assert (
        told
        == "\nFirst stable release.\n\n### Features\n\n- 2 (SHA)\n\n### Bug Fixes\n\n- it (SHA)\n"
    )


def test_plan_without_changelogs_has_none(world: World) -> None:
    """With `changelog = false` the plan holds no changelogs, and the preview says so; else they are in the plan."""
    assert json.loads(world.releasekit("plan", "--offline", "--format", "json").out)[
        "changelogs"
    ].keys() == {"core"}

    text = (world.root / "pyproject.toml").read_text()
    world.write({"pyproject.toml": f"{text}\n[tool.releasekit]\nchangelog = false\n"})

    assert (
        json.loads(world.releasekit("plan", "--offline", "--format", "json").out)["changelogs"]
        == {}
    )
    said = world.releasekit("changelog")
    assert (said.code, "### Features\n\n- a (" in said.out) == (0, True)
    assert "a release writes no changelog (`changelog = false`) of core" in said.err


def test_dry_run_lists_new_changelogs(world: World) -> None:
    """A dry run says which changelogs would be new."""
    world.git("push", "--quiet", "origin", "HEAD")
    assert (
        "git add -- packages/core/CHANGELOG.md\n"
        in world.releasekit("publish", "--dry-run", "--offline").out
    )

    world.commit("docs: begin", {"packages/core/Changelog.md": "# Changes\n"})
    assert "git add -- packages" not in world.releasekit("publish", "--dry-run", "--offline").out


def test_member_settings_win_over_root(tmp_path: Path) -> None:
    """A member may keep a changelog or not, and have tags of its own; the others do as the root says."""
    world = make_world(tmp_path, "core; tool")
    own = {
        "core": 'changelog = true\ntag_format = ["{name}@{version}", "v{version}"]',
        "tool": "changelog = false",
    }
    for name, keys in own.items():
        path = f"packages/{name}/pyproject.toml"
        world.commit(
            "chore: own", {path: f"{(world.root / path).read_text()}\n[tool.releasekit]\n{keys}\n"}
        )
    world.git("tag", "v0.1.0")
    world.git("tag", "tool-v0.1.0")
    world.commit("feat: both", {"packages/core/a.py": "", "packages/tool/a.py": ""})

    def planned() -> tuple[dict[str, str], set[str]]:
        plan = json.loads(world.releasekit("plan", "--offline", "--format", "json").out)
        return {row["name"]: row["tag"] for row in plan["packages"]}, set(plan["changelogs"])

    assert planned() == ({"core": "core@0.2.0", "tool": "tool-v0.2.0"}, {"core"})
    assert with_keys(world, "changelog = false").count("### Features") == 2, (
        "what it would be can still be seen"
    )
    assert planned()[1] == {"core"}
