"""Workspaces that are released by change files."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.world import World, make_world

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

RELEASE = ("publish", "--yes", "--skip-audit", "--skip-smoke-test", "--format", "json")
CORE, APP = (f"packages/{name}/src/{name}/__init__.py" for name in ("core", "app"))


def published(world: World, *argv: str) -> dict[str, str]:
    """Publish, and return what is confirmed in which version."""
    said = world.releasekit(*RELEASE, *argv)
    assert said.code == 0, said.err
    report = json.loads(said.out)
    return {
        row["name"]: row["version"] for row in report["packages"] if row["outcome"] == "confirmed"
    }


def changelog_of(world: World, name: str) -> str:
    """Return a changelog as it is pushed, its dates made plain."""
    text = world.git("show", f"origin/main:packages/{name}/CHANGELOG.md") + "\n"
    return re.sub(r"\d{4}-\d\d-\d\d", "DATE", text)


def files_of(world: World) -> list[str]:
    """Return the change files that are pushed."""
    return world.git("ls-tree", "-r", "--name-only", "origin/main", ".changes").splitlines()


def plan_of(world: World, *argv: str) -> dict[str, tuple[str | None, str]]:
    """Return version and reason of each package in the plan."""
    plan = whole_plan(world, *argv)
    return {row["name"]: (row["next"], row["reason"]) for row in plan["packages"]}


def whole_plan(world: World, *argv: str) -> dict[str, Any]:
    """Return the plan as JSON."""
    said = world.releasekit("plan", "--offline", "--format", "json", *argv)
    assert said.code == 0, said.err
    return json.loads(said.out)


def tagged_world(directory: Path, keys: str, files: Mapping[str, str]) -> World:
    """Make the packages app, core and lone, all released as 0.1.0; then commit *files*."""
    world = make_world(directory, "app: core; core; lone", keys)
    for name in ("app", "core", "lone"):
        world.git("tag", f"{name}-v0.1.0")
    world.commit("whatever", files)
    return world


@pytest.mark.usefixtures("unrecorded")
def test_files_release_without_conventional_commits(
    tmp_path: Path, own_index: EmbeddedIndex
) -> None:
    """Two releases, a candidate between them and its roll-up: files decide, are written out and used up."""
    world = make_world(tmp_path, "app: core; core; lone", 'changes = "files"')
    assert published(world) == {"core": "0.1.0", "lone": "0.1.0", "app": "0.1.0"}

    world.commit(
        "Streaming, at last", {CORE: "STREAM = 1\n", APP: "FAST = 1\n", "packages/lone/b.py": ""}
    )
    world.releasekit(
        "change",
        "add",
        "-p",
        "core",
        "--bump",
        "minor",
        "--message",
        "Add streaming",
        "--name",
        "one",
    )
    world.write(
        {".changes/two.md": "---\ncore: patch\napp: patch\n---\n\n### Speed\n\nStart *faster*\n"}
    )
    world.releasekit("change", "add", "-p", "lone", "--bump", "none", "--name", "three")
    world.commit("Describe it")
    core_plan = ("0.2.0", ".changes/one.md: Add streaming, +1 more")
    assert plan_of(world) == {
        "core": core_plan,
        "app": ("0.1.1", ".changes/two.md: Start *faster*"),
        "lone": (None, "no change file for it; 1 commit not counted"),
    }
    assert published(world, "-p", "core") == {"core": "0.2.0"}
    assert files_of(world) == [".changes/three.md", ".changes/two.md"]
    assert world.git("show", "origin/main:.changes/two.md").startswith("---\napp: patch\n---\n")
    first = "## 0.2.0 - DATE\n\n### Features\n\n- Add streaming\n\n### Speed\n\n- Start *faster*\n"
    assert changelog_of(world, "core").startswith(f"# Changelog\n\n{first}")

    world.write({".changes/four.md": "---\ncore: minor\n---\n\nAdd rivers\n"})
    world.commit("wip", {CORE: "STREAM = 2\n"})
    assert published(world, "--prerelease", "rc") == {"core": "0.3.0rc1", "app": "0.1.1rc1"}
    assert files_of(world) == [".changes/four.md", ".changes/three.md", ".changes/two.md"]
    assert plan_of(world, "--prerelease", "rc")["core"] == (None, "no change file for it")
    world.write({".changes/five.md": "---\ncore: patch\n---\n\nMend rivers\n"})
    world.commit("wip", {CORE: "STREAM = 3\n"})
    assert published(world, "--prerelease", "rc") == {"core": "0.3.0rc2"}
    second_candidate = "## 0.3.0rc2 - DATE\n\n### Bug Fixes\n\n- Mend rivers\n"
    assert changelog_of(world, "core").startswith(
        f"# Changelog\n\n{second_candidate}\n## 0.3.0rc1 - DATE\n"
    )

    assert published(world, "--promote", "all") == {"core": "0.3.0", "app": "0.1.1"}
    assert files_of(world) == [".changes/three.md"]
    second = "## 0.3.0 - DATE\n\n### Features\n\n- Add rivers\n\n### Bug Fixes\n\n- Mend rivers\n"
    assert changelog_of(world, "core").startswith(f"# Changelog\n\n{second}\n{first}")
    assert "## 0.1.1 - DATE\n\n### Speed\n\n- Start *faster*\n" in changelog_of(world, "app")
    assert set(plan_of(world).values()) == {(None, "no change file for it"), plan_of(world)["lone"]}
    assert own_index.requests()


@pytest.mark.usefixtures("unrecorded")
def test_removed_files_count_until_tagged(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A release commit that is pushed and published later keeps the reason and the text of the files it removed."""
    world = make_world(tmp_path, "core", 'changes = "files"')
    assert published(world) == {"core": "0.1.0"}
    world.commit(
        "more", {CORE: "A = 1\n", ".changes/one.md": "---\ncore: minor\n---\n\nAdd streaming\n"}
    )
    assert world.releasekit("publish", "--yes", "--version-only").code == 0
    assert not (world.root / ".changes/one.md").exists()
    world.git("push", "--quiet", "origin", "main")

    assert plan_of(world) == {"core": ("0.2.0", ".changes/one.md: Add streaming")}
    assert "- Add streaming" in world.releasekit("notes", "--offline").out
    assert published(world) == {"core": "0.2.0"}
    assert changelog_of(world, "core").count("Add streaming") == 1
    assert plan_of(world) == {"core": (None, "no change file for it")}
    assert own_index.requests()


def test_changes_key_chooses_the_source(tmp_path: Path) -> None:
    """The key `changes` makes commits count, or files, or both; only what counts is in the changelog."""
    file = {".changes/a.md": "---\ncore: patch\n---\n\nText of the file\n"}
    versions: dict[str, str | None] = {}
    texts: dict[str, tuple[bool, bool]] = {}
    for mode in ("commits", "files", "both"):
        world = tagged_world(tmp_path / mode, f'changes = "{mode}"', file)
        world.commit("feat: a commit", {CORE: "A = 1\n"})
        versions[mode] = plan_of(world)["core"][0]
        text = world.releasekit("changelog", "core").out
        texts[mode] = "Text of the file" in text, "a commit" in text

    assert versions == {"commits": "0.2.0", "files": "0.1.1", "both": "0.2.0"}
    assert texts == {"commits": (False, True), "files": (True, False), "both": (True, True)}


def test_files_of_other_tools_count(tmp_path: Path) -> None:
    """Files of changesets, semversioner and smithy decide where they are, and are used up in their own way."""
    enhancement = '{"type": "enhancement", "description": "Sort faster"}'
    world = tagged_world(
        tmp_path,
        "",
        {
            ".changeset/README.md": "How to write a changeset",
            ".changeset/config.json": "{}",
            ".changeset/calm-owls.md": '---\n"core": minor\n"@acme/web": major\n---\n\nAdd streaming\n',
            ".semversioner/next-release/patch-1.json": '{"type": "patch", "description": "Repair it"}',
            "packages/lone/.changes/next-release/lone-1.json": enhancement,
        },
    )

    plan = whole_plan(world)
    assert {row["name"]: row["next"] for row in plan["packages"]} == {
        "core": "0.2.0",
        "app": "0.1.1",
        "lone": "0.1.1",
    }
    assert plan["consumes"] == [
        {"path": ".changeset/calm-owls.md", "packages": ["core"], "deleted": False},
        {
            "path": ".semversioner/next-release/patch-1.json",
            "packages": ["app", "core", "lone"],
            "deleted": True,
        },
        {
            "path": "packages/lone/.changes/next-release/lone-1.json",
            "packages": ["lone"],
            "deleted": True,
        },
    ]
    assert whole_plan(world, "-p", "core")["consumes"] == plan["consumes"][:1]
    assert "### Enhancements\n\n- Sort faster\n" in world.releasekit("changelog", "lone").out
    assert (
        "change files also name @acme/web; they are left as they are"
        in world.releasekit("plan", "--offline").err
    )


def test_root_package_ignores_change_files(tmp_path: Path) -> None:
    """A commit that only adds a change file changes no package, not even one at the root."""
    world = make_world(tmp_path, "core")
    text = (world.root / "pyproject.toml").read_text()
    project = '[project]\nname = "top"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n\n'
    project += "[build-system]\nrequires = []\n\n"
    world.write({"pyproject.toml": project + text})
    world.lock()
    for name in ("core", "top"):
        world.git("tag", f"{name}-v0.1.0")
    world.commit("feat: describe core", {".changes/a.md": "---\ncore: minor\n---\n\nA\n"})

    assert plan_of(world) == {
        "core": ("0.2.0", ".changes/a.md: A"),
        "top": (None, "no commits since the last release"),
    }


def test_broken_file_stops_the_plan(tmp_path: Path) -> None:
    """A change file that cannot be read is an error with file and line, unless only commits count."""
    bad = {".changes/a.md": "---\ncore: mior\n---\n\nA\n"}
    world = tagged_world(tmp_path / "both", "", bad)
    ignored = tagged_world(tmp_path / "commits", 'changes = "commits"', bad)

    said = world.releasekit("plan", "--offline")

    assert said.code == 2
    assert (
        "RK-CHANGE-INVALID: mior is not one of major, minor, patch, none; did you mean minor or major?"
        in said.err
    )
    assert ".changes/a.md:2" in said.err
    assert ignored.releasekit("plan", "--offline").code == 0


def test_explanation_lists_change_files(tmp_path: Path) -> None:
    """`version --explain` lists files with commits, in JSON too, and `changelog --format json` names the file."""
    world = tagged_world(
        tmp_path, "", {".changes/a.md": "---\ncore: major\n---\n\nDrop it\n", CORE: "A = 1\n"}
    )

    assert (
        "  + .changes/a.md Drop it  [major is minor on 0.x]\n"
        in world.releasekit("version", "core", "--explain").out
    )
    (row,) = json.loads(world.releasekit("version", "core", "--format", "json").out)["packages"]
    assert row["counted"] == [
        {"commit": "", "file": ".changes/a.md", "title": "Drop it", "why": "major is minor on 0.x"}
    ]
    (entry,) = json.loads(world.releasekit("changelog", "core", "--format", "json").out)["packages"]
    (change,) = entry["sections"][0]["changes"]
    assert (change["file"], change["sha"], change["breaking"]) == (".changes/a.md", "", True)


def test_excluded_files_need_no_change_file(tmp_path: Path) -> None:
    """Files in `exclude_paths` are no part of a package at the root or elsewhere: only the other commit counts."""
    own = '[tool.releasekit]\nexclude_paths = ["bench/*.py"]\n'
    pyproject = "packages/core/pyproject.toml"
    world = tagged_world(tmp_path, 'exclude_paths = ["*/tests"]', {})
    world.commit("chore: set", {pyproject: (world.root / pyproject).read_text() + own})
    world.git("push", "--quiet", "origin", "main")
    world.git("switch", "--quiet", "--create", "faster")
    world.commit(
        "feat: measure",
        {"packages/core/bench/run.py": "", "packages/core/tests/run.py": ""},
    )
    world.commit("fix: measure", {"packages/app/bench/run.py": ""})

    said = world.releasekit("change", "status", "--format", "json")

    assert [row["name"] for row in json.loads(said.out)["packages"]] == ["app"]
    versions = {name: version for name, (version, _) in plan_of(world).items()}
    assert versions == {"app": "0.1.1", "core": None, "lone": None}


@pytest.mark.usefixtures("unrecorded")
def test_included_files_release_their_packages(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Files in `include_paths` count for each package that names them, also files of another package.

    What a release itself writes there does not count, whatever the title of its commit is.
    """
    keys = (
        'unconventional = "patch"\ncommit_message = "Release {release}"\ninclude_paths = ["proto"]'
    )
    world = make_world(tmp_path, "app: core; core; lone", keys)
    path = "packages/core/pyproject.toml"
    own = '\n[tool.releasekit]\ninclude_paths = ["../../crates/*.rs", "../lone"]\n'
    shared = {"crates/fast.rs": "", "crates/fast.md": "", "proto/a.proto": ""}
    world.commit("Set", {path: (world.root / path).read_text() + own, **shared})
    world.git("push", "--quiet", "origin", "main")
    assert published(world, "--allow-new", "all").keys() == {"app", "core", "lone"}
    world.git("switch", "--quiet", "--create", "faster")
    world.commit("feat: faster", {"crates/fast.rs": "fn a() {}"})
    world.commit("feat: describe", {"crates/fast.md": "# Fast", "crates/slow.txt": ""})

    said = world.releasekit("change", "status", "--since", "main", "--format", "json")

    assert [row["name"] for row in json.loads(said.out)["packages"]] == ["core"]
    versions = {name: version for name, (version, _) in plan_of(world).items()}
    assert versions == {"app": None, "core": "0.2.0", "lone": None}
    explained = world.releasekit("version", "core", "--explain").out
    assert "feat: faster" in explained
    assert "feat: describe" not in explained
    world.git("switch", "--quiet", "main")
    world.git("merge", "--quiet", "--ff-only", "faster")
    world.commit("fix: lone", {"packages/lone/b.py": ""})
    world.git("push", "--quiet", "origin", "main")
    assert published(world, "-p", "lone") == {"lone": "0.1.1"}
    assert plan_of(world)["core"][0] == "0.2.0", "its changes, also those of lone"
    assert published(world) == {"core": "0.2.0"}
    assert {version for version, _ in plan_of(world).values()} == {None}
    world.commit("fix: protocol", {"proto/a.proto": "message A {}"})
    versions = {name: version for name, (version, _) in plan_of(world).items()}
    assert versions == {"app": "0.1.1", "core": "0.2.1", "lone": "0.1.2"}
    assert own_index.requests()


def test_included_path_must_exist(tmp_path: Path) -> None:
    """A path that matches nothing would never release the package: the error names it and its file."""
    world = make_world(tmp_path, "core; lone")
    path = "packages/core/pyproject.toml"
    text = (world.root / path).read_text()
    for wrong in ("../crates", "../../../other", "../../*.rs"):
        world.commit("Set", {path: f'{text}\n[tool.releasekit]\ninclude_paths = ["{wrong}"]\n'})

        said = world.releasekit("plan", "--offline")

        assert said.code == 2
        assert (
            f"RK-CONFIG-INVALID-VALUE: {wrong} in `include_paths` matches no file in git"
            in said.err
        )
        assert "packages/core/pyproject.toml, include_paths in [tool.releasekit]" in said.err
