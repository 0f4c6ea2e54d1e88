"""Reports about other release tools, rebuilt in small: each test names the repository and the number."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from releasekit.core.errors import ErrorCode
from releasekit.core.history.commits import Commit, parse
from releasekit.core.workspace.toml_edits import write_version
from releasekit.integrations.process import Command, run
from tests.stories.test_release import uploads
from tests.support.world import World, make_world, upload

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex


def plan(world: World, *options: str) -> dict[str, Any]:
    """Return the row of each package in the plan, without an index."""
    said = world.releasekit("plan", "--offline", "--format", "json", *options)
    assert said.out, said.err
    return {row["name"]: row for row in json.loads(said.out)["packages"]}


def touch(package: str, name: str = "more") -> dict[str, str]:
    return {f"packages/{package}/src/{package}/{name}.py": ""}


MESSAGES = [
    pytest.param(
        "fix: one (#1)\n\n* fix: two\n\n* fix: three\n\nBREAKING CHANGE: mine\n\n* fix: four",
        ("fix", ("mine",), None),
        id="googleapis/release-please#1257",
    ),
    pytest.param(
        "feat(orders): a read model (#2)\n\n* read it\n\nMIN(COALESCE(placed, created)) is read once",
        ("feat", (), None),
        id="openlinker-project/openlinker#2445",
    ),
    pytest.param(
        'fix(manifest): tools were missing (#3)\n\nIt never appears and `grep\n"register(\'of_"` is blind. A\nname',
        ("fix", (), None),
        id="chrischall/ofw-mcp#284",
    ),
    pytest.param(
        "ci: cut on all pushes (#4)\n\n- Classifier: treat BREAKING CHANGE: / Release-As: 3.0.0 as\n  releasable",
        ("ci", (), None),
        id="intent-hq/intent#2988",
    ),
    pytest.param(
        "feat: all of it (#5)\n\n* feat: a\n\nRelease-As: 1.0.0\n\n* fix: b\n\nmore of b\n\n* fix: c",
        ("feat", (), "1.0.0"),
        id="bardesss/arr-mcp#82",
    ),
    pytest.param(
        "feat!: both (#6)\n\n* feat!: a\n\nBREAKING CHANGE: first\n\n* feat!: b\n\nBREAKING CHANGE: second",
        ("feat", ("first", "second"), None),
        id="sidorares/dbus-native#379",
    ),
]


@pytest.mark.parametrize(("message", "expected"), MESSAGES)
def test_squash_bodies_are_read(message: str, expected: tuple[str, tuple[str, ...], str]) -> None:
    """What GitHub makes of several messages loses no change, no note and no request, and invents none."""
    change = parse(Commit("a" * 40, ("b" * 40,), message, ("a.py",)))

    assert (change.type, change.notes, change.release_as) == expected


def test_tags_of_several_packages(tmp_path: Path) -> None:
    """Each package has its own tags, on whichever commit: one that touches others, or one with many tags.

    orhun/git-cliff#1122, orhun/git-cliff#1036 and orhun/git-cliff#648.
    """
    world = make_world(tmp_path, "api; core; web")
    world.git("tag", "api-v0.1.0")
    world.git("tag", "core-v0.1.0")
    path = "packages/web/pyproject.toml"
    text = (world.root / path).read_text().replace("0.1.0", "0.2.0")
    world.commit("feat: new", touch("web") | {path: text})
    world.lock()
    world.commit("ci: publish", {".github/workflows/x.yml": ""})
    world.git("tag", "web-v0.2.0")
    world.commit("fix: it", touch("web", "other"))
    world.commit("feat: more", touch("api"))

    rows = plan(world)

    assert rows["web"]["current"] == "0.2.0"
    assert {name: row["next"] for name, row in rows.items() if row["order"] >= 0} == {
        "api": "0.2.0",
        "web": "0.2.1",
    }


def test_tag_with_long_prefix(tmp_path: Path) -> None:
    """A tag format may have any text before the version.

    commitizen-tools/commitizen#845 and commitizen-tools/commitizen#463.
    """
    world = make_world(tmp_path, "core", 'tag_format = "some-project-release-{version}"')
    world.git("tag", "some-project-release-0.1.0")
    world.git("tag", "v0.1.0-website")
    world.commit("feat: new", touch("core"))

    row = plan(world)["core"]

    assert (row["current"], row["next"]) == ("0.1.0", "0.2.0")
    assert row["tag"] == "some-project-release-0.2.0"


def test_prerelease_of_dependency(tmp_path: Path) -> None:
    """A dependent whose range still fits is not released, and one whose range does not is a patch, never a major.

    changesets/changesets#960 and changesets/changesets#1011.
    """
    world = make_world(tmp_path, "apart; wide: core>=0.1; narrow: core<0.2; core")
    for name in ("apart", "wide", "narrow", "core"):
        world.git("tag", f"{name}-v0.1.0")
    world.commit("feat: new", touch("core"))

    rows = plan(world)

    assert {name: row["next"] for name, row in rows.items() if row["order"] >= 0} == {
        "core": "0.2.0",
        "narrow": "0.1.1",
    }


PYPROJECT = """\
[build-system]
requires = ["uv_build>=0.0.2", "wheel==10.0.2"]  # exact

[project]
name = "core"
version = '{}' # of this package
dependencies = ["ruff==0.0.292", "core-api==0.0.2"]

[tool.other]
version = "0.0.2"
"""


@pytest.mark.parametrize("current", ["0.0.2", "0.1.0"])
def test_version_edit_changes_nothing_else(current: str) -> None:
    """Only `project.version` changes, and nothing if it is right already; comments and layout stay.

    callowayproject/bump-my-version#93, peritus/bumpversion#220, c4urself/bump2version#219, release-it/bumper#38 and
    release-it/bumper#52.
    """
    edited = write_version(PYPROJECT.format(current), Version("0.1.0"))

    assert edited == PYPROJECT.format("0.1.0")


def test_misnamed_change_file_is_named(tmp_path: Path) -> None:
    """A change file that nobody would read is named, not passed over.

    adamtheturtle/doccmd#1353 and cpplint/cpplint#464.
    """
    world = make_world(tmp_path, "core", 'changes = "files"')
    world.git("tag", "core-v0.1.0")
    world.commit("fix: it", touch("core") | {".changes/123.typo": "---\ncore: patch\n---\nit\n"})

    said = world.releasekit("plan", "--offline")

    assert "123.typo" in said.out + said.err


def test_dates_with_zeros(tmp_path: Path) -> None:
    """A tag with a padded date is the release of that date; a bump that is no date is told in the plan.

    wntrblm/nox#1163.
    """
    world = make_world(tmp_path, "core")
    path = "packages/core/pyproject.toml"
    text = (world.root / path).read_text().replace("0.1.0", "2026.08.10")
    world.commit("build: version", {path: text})
    world.lock()
    world.git("tag", "core-v2026.08.10")
    world.commit("fix: it", touch("core"))

    fix = plan(world)["core"]
    fix_text = world.releasekit("plan", "--offline").out
    world.commit("feat: new", touch("core", "new"))
    feature = plan(world)["core"]
    feature_text = world.releasekit("plan", "--offline").out
    by_hand = world.releasekit("plan", "--offline", "--set-version", "core=2026.9.1").out

    assert (fix["current"], fix["next"], feature["next"]) == ("2026.8.10", "2026.8.11", "2026.9.0")
    texts = (fix_text, feature_text, by_hand)
    assert [ErrorCode.VERSION_CALENDAR in text for text in texts] == [False, True, False]


@pytest.mark.usefixtures("unrecorded")
def test_clone_without_tags_is_refused(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A checkout that fetched no tags does not take what is released for a first release.

    semantic-release/semantic-release#841.
    """
    world = make_world(tmp_path, "core; app; new")
    old = world.git("rev-parse", "HEAD")
    world.git("tag", "core-v0.1.0")
    world.git("tag", "app-v0.1.0")
    world.git("checkout", "--quiet", "-b", "maintenance")
    world.commit("fix: old", touch("new"))
    world.git("tag", "new-v0.0.9")
    world.git("checkout", "--quiet", "main")
    upload(world, own_index, "core")
    world.commit("feat: more", touch("core"))
    world.git("push", "--quiet", "--tags", "origin", "main")
    clone = World(tmp_path / "clone", world.remote)
    run(Command(("git", "clone", "--quiet", "--no-tags", str(world.remote), str(clone.root))))
    clone.git("config", "user.name", "Ada")
    clone.git("config", "user.email", "ada@example.invalid")

    for argv in (["plan"], ["publish", "--dry-run"], ["publish", "--yes"]):
        said = clone.releasekit(*argv)
        assert said.code == 2, said.err
        assert (
            f"error: {ErrorCode.TAG_NOT_FETCHED}: origin has 2 tags that this clone lacks: "
            "app-v0.1.0, core-v0.1.0"
        ) in said.err
        assert said.err.count("error: ") == 1

    clone.git("fetch", "--quiet", "origin", "refs/tags/*-v0.1.0:refs/tags/*-v0.1.0")
    said = clone.releasekit("plan")
    assert said.code == 0, said.err
    clone.git("tag", "--delete", "core-v0.1.0")
    world.git("push", "--quiet", "--force", "origin", f"{old}:refs/tags/core-v0.2.0")
    world.git("push", "--quiet", "origin", "maintenance:refs/tags/new-v0.1.0")
    said = clone.releasekit("plan")
    assert said.code == 2
    assert "core-v0.1.0, core-v0.2.0" in said.err
    assert f"error: {ErrorCode.TAG_EXISTS}: origin has new-v0.1.0 already, at " in said.err


@pytest.mark.usefixtures("unrecorded")
def test_blocked_tag_is_found_first(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A new tag that git cannot have beside another one, here or on the remote, stops the release before the upload.

    nrwl/nx#22011.
    """
    world = make_world(tmp_path, "core; app", 'tag_format = "{name}/v{version}"')
    world.git("push", "--quiet", "origin", "HEAD:refs/tags/app")
    world.git("tag", "core")

    said = world.releasekit("publish", "--yes")

    assert said.code == 2
    blocked = (
        f"error: {ErrorCode.TAG_INVALID}: git cannot have the tag {{0}}/v0.1.0 beside the tag {{0}}"
    )
    assert blocked.format("core") in said.err
    assert blocked.format("app") in said.err
    assert uploads(own_index) == []
