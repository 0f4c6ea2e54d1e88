"""The command `change`: new files, and the check for pull requests."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from releasekit.integrations.process import Command, run
from tests.support.world import World, make_world

ROOT = Path(__file__).parents[2]
SPAWN = "import os, pty, sys; raise SystemExit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
ON_A_TERMINAL = (sys.executable, "-c", SPAWN, sys.executable, "-m", "releasekit")
CORE = "packages/core/src/core/__init__.py"
MERGED = "chore(release): core-v0.2.0 (#4)"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Make two published packages and one that is not, with nothing to push."""
    return make_world(tmp_path, "app: core; core; tests", 'exclude = ["tests"]')


def missing_packages(world: World, *argv: str) -> dict[str, bool]:
    """Return which packages `change status` lists, and whether a file is missing; the exit code must agree."""
    said = world.releasekit("change", "status", "--format", "json", *argv)
    packages = {row["name"]: row["missing"] for row in json.loads(said.out)["packages"]}
    assert said.code == any(packages.values())
    assert ("RK-CHANGE-MISSING" in said.err) == any(packages.values())
    return packages


def test_add_writes_change_file(world: World) -> None:
    """The file has the packages, the bump and the text, under a random name or the given one; its path is printed."""
    options = ("--bump", "minor", "--message", "Add streaming\n\nIt streams.")

    named = world.releasekit("change", "add", "-p", "packages/*", "--name", "stream", *options)
    random = world.releasekit("change", "add", "--package", "core", "--bump", "none")

    assert (named.code, named.out) == (0, ".changes/stream.md\n"), named.err
    text = "---\napp: minor\ncore: minor\n---\n\nAdd streaming\n\nIt streams.\n"
    assert (world.root / ".changes/stream.md").read_text() == text
    assert (world.root / random.out.strip()).read_text() == "---\ncore: none\n---\n"
    world.commit("Describe it")
    assert world.releasekit("plan", "--offline").code == 0


def test_terminal_asks_for_the_rest(world: World) -> None:
    """On a terminal, packages with new commits are the default, and the bump and the text are asked for."""
    for name in ("app", "core"):
        world.git("tag", f"{name}-v0.1.0")
    world.commit("whatever", {CORE: "A = 1\n"})
    environment = {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "200"}
    command = Command(
        (*ON_A_TERMINAL, "change", "add"), world.root, environment, stdin=b"\nminor\nAdd it\n"
    )

    heard = run(command).stdout

    assert "Changed since their last release: core" in heard
    assert "Not changed: app" in heard
    (file,) = (world.root / ".changes").iterdir()
    assert file.read_text() == "---\ncore: minor\n---\n\nAdd it\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "RK-USAGE: the packages that change are missing: use -p NAME"),
        (("-p", "core"), "RK-USAGE: the bump is missing"),
        (("-p", "core", "--bump", "patch"), "RK-USAGE: the text for the changelog is missing"),
        (
            ("-p", "cor", "--bump", "none"),
            "RK-WORKSPACE-UNKNOWN-PACKAGE: no workspace member matches cor",
        ),
        (("-p", "tests", "--bump", "none"), "RK-USAGE: tests is never published"),
        (
            ("-p", "core", "--bump", "none", "--name", "../x"),
            "RK-USAGE: a change file cannot be named '../x'",
        ),
        (
            ("-p", "core", "--bump", "none", "--name", "README.md"),
            "RK-USAGE: a change file cannot be named",
        ),
        (
            ("-p", "core", "--bump", "none", "--name", "old"),
            "RK-USAGE: .changes/old.md exists already",
        ),
        (("--since", "main"), "RK-USAGE: --since belongs to `change status`"),
    ],
)
def test_add_refuses_incomplete_changes(world: World, argv: tuple[str, ...], message: str) -> None:
    """Without a terminal nothing is asked, and nothing is written."""
    world.write({".changes/old.md": "---\napp: none\n---\n"})
    before = world.state()

    said = world.releasekit("change", "add", *argv)

    assert said.code == 2
    assert f"error: {message}" in said.err
    assert world.state() == before


def test_commits_mode_refuses_files(tmp_path: Path) -> None:
    """Where only commits count, a change file would have no effect."""
    world = make_world(tmp_path, "core", 'changes = "commits"')

    said = world.releasekit("change", "status")

    assert said.code == 2
    assert 'change files do not count in this workspace: changes = "commits"' in said.err


def test_status_compares_with_default_branch(world: World) -> None:
    """A changed package needs a file of the same branch that names it; files without a commit count too."""
    assert missing_packages(world) == {}
    world.commit("on main", {".changes/old.md": "---\ncore: minor\n---\n\nOld\n"})
    world.git("push", "--quiet", "origin", "main")
    world.git("switch", "--quiet", "--create", "side")
    world.commit("whatever", {CORE: "A = 1\n", "packages/tests/a.py": "", "README.md": ""})

    assert missing_packages(world) == {"core": True}
    world.write({"packages/app/new/deep.py": ""})
    assert missing_packages(world) == {"app": True, "core": True}
    world.releasekit("change", "add", "-p", "core", "--bump", "none")
    assert missing_packages(world) == {"app": True, "core": False}
    world.commit("more", {".changes/more.md": "---\napp: patch\n---\n\nMore\n"})
    assert missing_packages(world) == {"app": False, "core": False}
    assert missing_packages(world, "--since", "HEAD~1") == {"app": False}
    assert "✅ core" in world.releasekit("change", "status").out


def test_status_ignores_release_commits(world: World) -> None:
    """The release pull request changes every package and removes their files, and is no change by itself."""
    world.git("switch", "--quiet", "--create", "releasekit/release")
    world.commit(MERGED, {"packages/core/CHANGELOG.md": "# Changelog\n"})

    assert missing_packages(world) == {}


def test_status_asks_for_base(world: World) -> None:
    """Without a remote, or with an unknown commit, the error says what to give."""
    unknown = world.releasekit("change", "status", "--since", "nowhere")
    world.git("remote", "remove", "origin")
    without = world.releasekit("change", "status")

    assert (unknown.code, without.code) == (2, 2)
    assert "HEAD has no commit in common with nowhere, or it does not exist here" in unknown.err
    assert "the default branch of the remote origin is not known" in without.err
    assert "--since REV" in without.err
    assert missing_packages(world, "--since", "HEAD") == {}
