"""Repositories that come from another release tool: `init --from`, then the plan, the release and the next plan."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.world import World, make_world, upload

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

RELEASE = ("publish", "--yes", "--skip-audit", "--skip-smoke-test", "--format", "json")


def say(world: World, *argv: str) -> dict[str, Any]:
    """Run a command that must succeed, and return its JSON."""
    said = world.releasekit(*argv, "--format", "json")
    assert said.code == 0, said.err
    return json.loads(said.out)


def next_versions(world: World) -> dict[str, str | None]:
    """Return the next version of each package in the plan."""
    return {row["name"]: row["next"] for row in say(world, "plan")["packages"]}


def publish(world: World) -> dict[str, str]:
    """Publish, and return the versions that are confirmed."""
    said = world.releasekit(*RELEASE, "--allow-new", "all")
    assert said.code == 0, said.err
    return {
        row["name"]: row["version"]
        for row in json.loads(said.out)["packages"]
        if row["outcome"] == "confirmed"
    }


@pytest.mark.usefixtures("unrecorded")
def test_release_please_repository_moves_over(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Each package keeps its baseline, from a tag or the manifest, and a marked line its version."""
    world = make_world(tmp_path, "shop-app: shop-core; shop-core; shop-tool; shop-new")
    packages: dict[str, dict[str, Any]] = {
        f"packages/shop-{name}": {"component": name} for name in ("app", "core", "tool")
    }
    module = "packages/shop-core/src/shop_core/api.py"
    packages["packages/shop-core"]["extra-files"] = ["src/shop_core/api.py"]
    config = {
        "release-type": "python",
        "bump-minor-pre-major": True,
        "extra-label": "x",
        "packages": packages,
    }
    world.write({
        "release-please-config.json": json.dumps(config, indent=2),
        ".release-please-manifest.json": json.dumps(dict.fromkeys(packages, "0.1.0"), indent=2),
        module: 'API = "0.1.0"  # x-release-please-version\n',
    })  # fmt: skip
    world.commit("chore: release main")
    world.git("tag", "app-v0.1.0")
    world.git("tag", "core-v0.1.0")
    upload(world, own_index, "shop-tool")
    world.commit(
        "feat: sort shelves", {"packages/shop-core/src/shop_core/__init__.py": "SORT = 1\n"}
    )
    world.commit("fix: hold nails", {"packages/shop-tool/src/shop_tool/__init__.py": "NAIL = 1\n"})
    world.git("push", "--quiet", "origin", "main")
    noticed = world.releasekit("init", "--offline")
    assert "`releasekit init --from release-please` takes it over" in noticed.out

    adoption = say(world, "init", "--from", "release-please", "--yes", "--tag-baselines")

    rows = {
        row["name"]: (row["baseline"], row["version"], row["tag"]) for row in adoption["packages"]
    }
    assert rows == {
        "shop-app": ("tag", "0.1.0", "app-v0.1.0"),
        "shop-core": ("tag", "0.1.0", "core-v0.1.0"),
        "shop-tool": ("manifest", "0.1.0", ""),
        "shop-new": ("first", None, ""),
    }
    assert list(adoption["missing"]) == ["tool-v0.1.0"]
    assert [left["what"] for left in adoption["not_taken_over"]] == ["extra-label"]
    assert adoption["removable"] == ["release-please-config.json", ".release-please-manifest.json"]
    world.git("rm", "--quiet", *adoption["removable"])
    world.write({module: 'API = "0.1.0"\n'})
    world.commit("chore: move to releasekit")
    assert say(world, "init", "--yes")["diffs"] == {}
    plan = next_versions(world)
    assert plan == {
        "shop-app": None,
        "shop-core": "0.2.0",
        "shop-tool": "0.1.1",
        "shop-new": "0.1.0",
    }
    assert publish(world) == {name: version for name, version in plan.items() if version}
    assert {"core-v0.2.0", "tool-v0.1.1"} <= world.tags().keys()
    assert (world.root / module).read_text() == 'API = "0.2.0"\n'
    assert set(next_versions(world).values()) == {None}


@pytest.mark.usefixtures("unrecorded")
def test_changesets_repository_moves_over(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A fixed group, packages beside package.json files, and waiting changesets that name them as npm does."""
    world = make_world(tmp_path, "app: core; core; lone")
    config = {
        "changelog": "@changesets/cli/changelog",
        "fixed": [["core", "app"]],
        "baseBranch": "main",
    }
    config |= {"access": "restricted", "ignore": []}
    world.write(
        {".changeset/config.json": json.dumps(config), ".changeset/README.md": "# Changesets\n"}
    )
    for name in ("app", "core", "lone"):
        world.write(
            {
                f"packages/{name}/package.json": json.dumps(
                    {"name": name, "version": "0.1.0", "private": True}
                )
            }
        )
    world.commit("Version Packages")
    upload(world, own_index, "app", "core", "lone")
    world.git("tag", "core@0.1.0")
    world.commit("Faster", {
        "packages/core/src/core/__init__.py": "FAST = 1\n",
        ".changeset/odd-cats-run.md": '---\n"core": minor\n---\n\nRun faster\n',
    })  # fmt: skip
    world.commit("feat: not a changeset", {"packages/lone/src/lone/__init__.py": "A = 1\n"})
    world.git("push", "--quiet", "origin", "main")

    adoption = say(world, "init", "--from", "changesets", "--yes", "--tag-baselines")

    assert {row["name"]: (row["baseline"], row["version"]) for row in adoption["packages"]} == {
        "app": ("manifest", "0.1.0"),
        "core": ("tag", "0.1.0"),
        "lone": ("manifest", "0.1.0"),
    }
    assert sorted(adoption["missing"]) == ["app@0.1.0", "lone@0.1.0"]
    assert "access" in [left["what"] for left in adoption["not_taken_over"]]
    world.git("rm", "--quiet", *adoption["removable"])
    world.commit("Move to releasekit")
    assert next_versions(world) == {"core": "0.2.0", "app": "0.2.0", "lone": None}
    assert publish(world) == {"core": "0.2.0", "app": "0.2.0"}
    assert not (world.root / ".changeset/odd-cats-run.md").exists()
    assert "- Run faster" in (world.root / "packages/core/CHANGELOG.md").read_text()
    assert next_versions(world) == {"core": None, "app": None, "lone": None}
    assert {"core@0.2.0", "app@0.2.0"} <= world.tags().keys()


@pytest.mark.usefixtures("own_index")
def test_broken_manifest_stops_init(tmp_path: Path) -> None:
    """A broken manifest is refused with its line, and nothing is written."""
    world = make_world(tmp_path, "core")
    world.commit("x", {".release-please-manifest.json": '{\n  "packages/core": 0.1.0\n}\n'})
    before = world.state()

    said = world.releasekit("init", "--from", "release-please", "--yes", "--offline")

    assert (said.code, world.state()) == (2, before)
    assert "RK-CONFIG-FOREIGN" in said.err
    assert ".release-please-manifest.json:2" in said.err
    assert "Traceback" not in said.err


def lockstep(directory: Path, files: dict[str, str]) -> World:
    """Make app and core, both released as 0.1.0 under one bare tag, with the *files* of another tool."""
    world = make_world(directory, "app: core; core")
    world.commit("bump: version 0.0.9 → 0.1.0", files)
    world.git("tag", "v0.1.0")
    world.git("push", "--quiet", "origin", "main", "--tags")
    return world


def move_over(world: World, tool: str) -> dict[str, Any]:
    """Take the configuration over and commit it; return what `init` said."""
    adoption = say(world, "init", "--from", tool, "--yes")
    if adoption["removable"]:
        world.git("rm", "--quiet", "-r", *adoption["removable"])
    world.commit(f"chore: move from {tool} to releasekit")
    world.git("push", "--quiet", "origin", "main")
    assert say(world, "init", "--yes")["diffs"] == {}, "one call is enough"
    return adoption


def dry_run(world: World) -> str:
    """Return the commands of a release that would run."""
    said = world.releasekit("publish", "--dry-run", "--skip-audit")
    assert said.code == 0, said.err
    return said.out.partition("would run:")[2]


CZ_TOML = """\
[tool.commitizen]
name = "cz_conventional_commits"
version = "0.1.0"
version_scheme = "pep440"
version_files = ["packages/app/pyproject.toml:version", "packages/core/pyproject.toml:version"]
tag_format = "v$version"
update_changelog_on_bump = true
major_version_zero = true
"""


@pytest.mark.usefixtures("own_index")
def test_commitizen_repository_moves_over(tmp_path: Path) -> None:
    """One version for all packages under one tag goes on in lockstep."""
    world = lockstep(tmp_path, {".cz.toml": CZ_TOML})
    world.commit("feat(core): sort shelves", {"packages/core/src/core/__init__.py": "SORT = 1\n"})

    adoption = move_over(world, "commitizen")

    assert {row["name"]: (row["baseline"], row["version"]) for row in adoption["packages"]} == {
        "app": ("tag", "0.1.0"),
        "core": ("tag", "0.1.0"),
    }
    assert next_versions(world) == {"app": "0.2.0", "core": "0.2.0"}
    commands = dry_run(world)
    assert "git tag --annotate --message v0.2.0 v0.2.0 COMMIT\n" in commands
    assert "core-v" not in commands


@pytest.mark.usefixtures("own_index")
def test_semversioner_repository_moves_over(tmp_path: Path) -> None:
    """The history of releases tells the last one, and the waiting changes decide the next one."""
    history = {
        "changes": [{"description": "Begin", "type": "minor"}],
        "created_at": "2026-07-30T08:00:00+00:00",
    }
    waiting = {"description": "Sort the shelves", "type": "minor"}
    name = "next-release/minor-20260731080000000000.json"
    world = lockstep(
        tmp_path,
        {".semversioner/0.1.0.json": json.dumps({**history, "version": "0.1.0"}, indent=2)},
    )
    source = "packages/core/src/core/__init__.py"
    world.commit(
        "Sort", {f".semversioner/{name}": json.dumps(waiting, indent=2), source: "SORT = 1\n"}
    )

    move_over(world, "semversioner")

    plan = say(world, "plan")
    assert {row["name"]: row["next"] for row in plan["packages"]} == {
        "app": "0.2.0",
        "core": "0.2.0",
    }
    assert "Sort the shelves" in plan["changelogs"]["core"]["text"]
    assert [file["path"] for file in plan["consumes"]] == [f".semversioner/{name}"]
    assert f"# delete .semversioner/{name}" in dry_run(world)


BUMP_TOML = """\
[tool.bumpversion]
current_version = "0.1.0"
commit = true
tag = true
tag_name = "core-v{new_version}"
message = "Bump core: {current_version} → {new_version}"

[[tool.bumpversion.files]]
filename = "pyproject.toml"
search = 'version = "{current_version}"'
replace = 'version = "{new_version}"'

[[tool.bumpversion.files]]
filename = "src/core/__init__.py"
search = '__version__ = "{current_version}"'
replace = '__version__ = "{new_version}"'
"""


@pytest.mark.usefixtures("own_index")
def test_bump_my_version_repository_moves_over(tmp_path: Path) -> None:
    """A package with its own file keeps its tags, and the release writes the version into the same files."""
    world = make_world(tmp_path, "core; lone", core='__version__ = "0.1.0"\n')
    world.commit("Bump core: 0.0.9 → 0.1.0", {"packages/core/.bumpversion.toml": BUMP_TOML})
    for name in ("core", "lone"):
        world.git("tag", f"{name}-v0.1.0")
    world.commit("fix: nails", {"packages/core/src/core/nails.py": "NAIL = 1\n"})

    move_over(world, "bump-my-version")

    assert next_versions(world) == {"core": "0.1.1", "lone": None}
    assert "git tag --annotate --message core-v0.1.1 core-v0.1.1 COMMIT\n" in dry_run(world)
    assert world.releasekit("publish", "--version-only", "--yes", "--skip-audit").code == 0
    assert (
        world.root / "packages/core/src/core/__init__.py"
    ).read_text() == '__version__ = "0.1.1"\n'
