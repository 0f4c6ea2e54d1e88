"""Commands of the workspace that run before the release commit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from releasekit.core.errors import ErrorCode
from tests.stories.test_resume import another_clone
from tests.support.world import World, make_world

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

ALONE = ("--yes", "--skip-audit", "--skip-smoke-test", "--format", "json")
# What a documentation build, a formatter and a generator do; it also tells which credentials it sees, and that it ran.
SCRIPT = """\
    import os, pathlib, subprocess, tomllib

    version = tomllib.loads(pathlib.Path("packages/core/pyproject.toml").read_text())["project"]["version"]
    pathlib.Path("docs/version.txt").write_text(f"{version} {os.environ.get('UV_PUBLISH_PASSWORD')}\\n")
    pathlib.Path("docs/new.txt").write_text("new\\n")
    pathlib.Path("packages/core/src/core/forgotten.py").write_text("")
    subprocess.run(["git", "add", "docs/new.txt"], check=True)
    subprocess.run(["git", "rm", "--quiet", "docs/old.txt"], check=True)
    changelog = pathlib.Path("packages/core/CHANGELOG.md")
    changelog.write_text(changelog.read_text().replace("# Changelog", "# History"))
    with open(os.environ["RUNS"], "a") as runs:
        runs.write("run\\n")
    """
KEYS = 'pre_release = ["python3 tools/docs.py", ["sh", "-c", "printf done >> docs/version.txt"]]'


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name the file in which the script notes each of its runs."""
    monkeypatch.setenv("RUNS", str(tmp_path / "runs.txt"))
    return tmp_path / "runs.txt"


def documented_world(directory: Path, keys: str = KEYS) -> World:
    """Make the packages core and lone, of which core has a feature since 0.1.0, and the script."""
    world = make_world(directory, "core; lone", keys)
    for name in ("core", "lone"):
        world.git("tag", f"{name}-v0.1.0")
    old = {"docs/version.txt": "old", "docs/old.txt": "old", "tools/docs.py": SCRIPT}
    world.commit("chore: documents", old)
    world.commit("feat: pears", {"packages/core/src/core/pears.py": ""})
    world.git("push", "--quiet", "origin", "main", "--tags")
    return world


def changed_files(world: World, commit: str) -> set[str]:
    """Return the paths that *commit* changes."""
    return set(world.git("show", "--format=", "--name-only", "--no-renames", commit).splitlines())


@pytest.mark.usefixtures("unrecorded")
def test_release_contains_what_commands_change(
    tmp_path: Path, own_index: EmbeddedIndex, runs: Path
) -> None:
    """One job runs them, commits what they change in tracked files, and builds that; the publishing job runs nothing.

    It publishes exactly this commit, and refuses it where the key does not allow it.
    """
    world = documented_world(tmp_path)
    dry = world.releasekit("publish", "--dry-run", "--offline")
    line = "2 pre-release commands: python3 tools/docs.py; sh -c 'printf done >> docs/version.txt'"
    assert line in dry.out.replace("\n", " ")
    outline = dry.out.partition("would run:")[2]
    assert (
        outline.index("uv lock")
        < outline.index("python3 tools/docs.py")
        < outline.index("git commit")
    )
    assert (
        json.loads(world.releasekit("plan", "--offline", "--format", "json").out)["pre_release"][0]
        in line
    )
    staging = another_clone(world, tmp_path / "staging")

    staged = staging.releasekit("publish", "--stage-only", "--output", "out", *ALONE)

    assert staged.code == 0, staged.err
    assert (
        "git does not track packages/core/src/core/forgotten.py, so the release commit does not con"
        in staged.err
    )
    assert runs.read_text() == "run\n"
    wheel = next((staging.root / "out/dist/core").glob("*.whl"))
    assert b"pears.py" in wheel.read_bytes()
    assert b"forgotten.py" not in wheel.read_bytes(), "the packages are built from the commit alone"
    manifest = json.loads((staging.root / "out/manifest.json").read_text())
    by_commands = ["docs/new.txt", "docs/old.txt", "docs/version.txt", "packages/core/CHANGELOG.md"]
    assert manifest["command_changes"] == by_commands
    argv = ("publish", "--manifest", str(staging.root / "out/manifest.json"), *ALONE)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RELEASEKIT_PRE_RELEASE", "[]")
        refused = world.releasekit(*argv)
    assert (refused.code, f"error: {ErrorCode.RECORD_INVALID}" in refused.err) == (2, True), (
        refused.err
    )
    assert (
        "changes more than a release does: docs/new.txt, docs/old.txt, docs/version.txt"
        in refused.err
    )

    published = world.releasekit(*argv)

    assert published.code == 0, published.err
    assert runs.read_text() == "run\n", "the publishing job has run nothing"
    written = {"packages/core/pyproject.toml", "packages/core/CHANGELOG.md", "uv.lock"}
    assert changed_files(world, "origin/main") == {*written, *by_commands}
    assert world.git("show", "origin/main:docs/version.txt") == "0.2.0 None\ndone", (
        "the new version and no password"
    )
    assert world.git("show", "origin/main:packages/core/CHANGELOG.md").startswith("# History\n")
    after = json.loads(world.releasekit("plan", "--offline", "--format", "json").out)
    assert ([row["next"] for row in after["packages"]], after["pre_release"]) == ([None, None], [])
    assert own_index.requests()


@pytest.mark.usefixtures("unrecorded")
def test_smuggled_files_are_still_refused(
    tmp_path: Path, own_index: EmbeddedIndex, runs: Path
) -> None:
    """Where commands may change files, only those that the staging job has listed are accepted."""
    world = documented_world(tmp_path)
    assert world.releasekit("publish", "--stage-only", "--output", "../out", *ALONE).code == 0
    file = tmp_path / "out/manifest.json"
    text = file.read_text()
    assert '"docs/new.txt",' in text
    file.write_text(text.replace('"docs/new.txt",', ""))
    (tmp_path / "out/SHA256SUMS").unlink()
    publishing = another_clone(world, tmp_path / "publishing")

    refused = publishing.releasekit("publish", "--manifest", str(file), *ALONE)

    assert (refused.code, f"error: {ErrorCode.RECORD_INVALID}" in refused.err) == (2, True), (
        refused.err
    )
    assert "changes more than a release does: docs/new.txt\n" in refused.err
    assert (runs.read_text(), [r for r in own_index.requests() if r.uploaded_file]) == ("run\n", [])


@pytest.mark.usefixtures("unrecorded")
def test_resumed_release_runs_no_command(
    tmp_path: Path, own_index: EmbeddedIndex, runs: Path
) -> None:
    """A release that was staged in this clone is published from its commit, with what the commands changed."""
    world = documented_world(tmp_path)
    assert world.releasekit("publish", "--stage-only", *ALONE).code == 0

    published = world.releasekit("publish", *ALONE)

    assert published.code == 0, published.err
    assert (runs.read_text(), world.git("show", "origin/main:docs/new.txt")) == ("run\n", "new")
    assert [r.uploaded_file for r in own_index.requests() if r.uploaded_file]


def test_commands_run_once_for_versions(tmp_path: Path, runs: Path) -> None:
    """A release commit that waits for its publication has been through the commands; a later commit has not."""
    world = documented_world(tmp_path)

    assert world.releasekit("publish", "--version-only", *ALONE).code == 0

    assert "docs/new.txt" in changed_files(world, "HEAD")
    plan = json.loads(world.releasekit("plan", "--offline", "--format", "json").out)
    assert ({row["name"]: row["next"] for row in plan["packages"]}, plan["pre_release"]) == (
        {"core": "0.2.0", "lone": None},
        [],
    )
    world.commit("fix: plums", {"packages/lone/plums.txt": ""})
    assert (
        len(
            json.loads(world.releasekit("plan", "--offline", "--format", "json").out)["pre_release"]
        )
        == 2
    )
    assert runs.read_text() == "run\n"


BAD_COMMANDS = {
    "fails": (
        '["sh", "-c", "echo what is wrong; exit 3"]',
        ("exit code 3 from: sh -c", "what is wrong"),
    ),
    "missing": ('"no-such-program --now"', ("No such file or directory: no-such-program --now",)),
    "slow": ('"sleep 60"', ("killed after 1 s: sleep 60",)),
    "version": (
        """'sed -i "s/0.2.0/0.3.0/" packages/core/pyproject.toml'""",
        ("a pre-release command has changed the version of core", "the plan decides versions"),
    ),
    "other version": (
        """'sed -i "s/0.1.0/0.1.1/" packages/lone/pyproject.toml'""",
        ("a pre-release command has changed the version of lone",),
    ),
    "commit": (
        '"git commit --quiet --all --message mine"',
        ("a pre-release command has made a commit",),
    ),
}


@pytest.mark.parametrize("name", BAD_COMMANDS)
def test_failing_command_stops_the_release(tmp_path: Path, name: str) -> None:
    """The error has the key, what is wrong and the output; nothing has changed anywhere."""
    command, messages = BAD_COMMANDS[name]
    world = documented_world(
        tmp_path, f'build_timeout = 1\npre_release = ["git status", {command}]'
    )
    before = world.state()

    said = world.releasekit("publish", "--version-only", *ALONE)

    assert (said.code, f"error: {ErrorCode.PRE_RELEASE_COMMAND}: " in said.err) == (1, True), (
        said.err
    )
    assert [message for message in messages if message not in said.err] == [], said.err
    assert "pyproject.toml, [tool.releasekit], pre_release" in said.err
    assert world.state() == before
