"""A release that did not end in one go: from this clone or another, with its record or without."""

from __future__ import annotations

import json
import os
import shutil
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from releasekit.core.errors import ErrorCode
from releasekit.integrations.archives import read_archive
from releasekit.integrations.git import LOCK_REF, clone
from tests.stories.test_rollback import refs
from tests.stories.test_terminal import running, until, uploads
from tests.support.fault_index import INVALID, STORED, FaultIndex, fault_index
from tests.support.world import World, dated_tag, make_world, write_hook

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

pytestmark = pytest.mark.usefixtures("unrecorded")

RELEASE = ("publish", "--yes", "--skip-audit", "--skip-smoke-test", "--format", "json")
RESUME = (*RELEASE, "--resume-from-registry")


@pytest.fixture
def faulty() -> Generator[FaultIndex]:
    """Run an index of the test's own."""
    with fault_index() as index:
        yield index


def another_clone(world: World, directory: Path) -> World:
    """Clone the remote afresh."""
    clone(str(world.remote), directory)
    made = World(directory, world.remote)
    made.git("config", "user.name", "Zoë")
    made.git("config", "user.email", "zoe@example.invalid")
    return made


@pytest.mark.usefixtures("whole_proofs")
def test_fresh_clone_finishes_the_release(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Killed half-way and its whole state lost, a release of 20 packages is ended by a fresh clone, nothing twice."""
    chain = "; ".join(["p00", *(f"p{n:02}: p{n - 1:02}" for n in range(1, 20))])
    world = make_world(tmp_path, chain)
    with running(world, "--yes", "--skip-smoke-test") as program:
        until(lambda: len(uploads(own_index)) >= 18, program)
        os.kill(program.process.pid, signal.SIGKILL)
        program.end()
        until(lambda: not program.relatives(), program)
    sent = uploads(own_index)
    assert 18 <= len(sent) < 38
    records = world.root / ".git/releasekit"
    (dist,) = records.glob("*/dist/p19")
    shutil.rmtree(dist)
    lost = world.releasekit(*RELEASE)
    assert (lost.code, ErrorCode.FILES_LOST in lost.err, "p19-0.1.0" in lost.err) == (
        2,
        True,
        True,
    ), lost.err
    kept = tmp_path / "kept"
    shutil.copytree(
        next(records.glob("*/plan.json")).parent,
        kept,
        ignore=shutil.ignore_patterns("dist", "tree"),
    )
    shutil.rmtree(records)
    shutil.rmtree(os.environ["PREFECT_HOME"] + "/storage", ignore_errors=True)
    fresh = another_clone(world, tmp_path / "fresh")
    before = fresh.state()

    refused = fresh.releasekit(*RELEASE)
    other = fresh.releasekit(*RESUME, "--manifest", str(kept / "plan.json"))
    assert (refused.code, ErrorCode.RELEASE_ELSEWHERE in refused.err) == (2, True), refused.err
    assert f"{dated_tag()} is being released by Ada <ada@example.invalid> on " in refused.err
    assert (other.code, ErrorCode.RECORD_INVALID in other.err) == (2, True), other.err
    assert fresh.state() == before
    ended = fresh.releasekit(*RESUME, "--manifest", str(kept / "manifest.json"))

    assert ended.code == 0, ended.err
    assert f"taking over {dated_tag()}, begun by Ada" in ended.err
    assert len(uploads(own_index)) == len(set(uploads(own_index))) == 40, "nothing is sent twice"
    assert uploads(own_index)[: len(sent)] == sent
    head = fresh.git("rev-parse", "HEAD")
    assert refs(fresh)["refs/heads/main"] == head
    assert set(world.tags()) == {f"p{n:02}-v0.1.0" for n in range(20)} | {dated_tag()}
    assert set(world.tags().values()) == {head}
    assert LOCK_REF not in refs(fresh)


def test_release_commit_suffices_to_resume(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """With the release commit alone, what is on the index with equal bytes is done, and other bytes are an error."""
    world = make_world(tmp_path, "app: core; core; lone")
    begun = world.releasekit(*RELEASE)
    assert (begun.code, "uploading app" in begun.err) == (0, True), begun.err
    world.git("push", "--quiet", "origin", ":refs/tags/app-v0.1.0", f":refs/tags/{dated_tag()}")
    sent = len(uploads(own_index))
    fresh = another_clone(world, tmp_path / "fresh")
    said = fresh.releasekit(*RELEASE)
    assert (said.code, ErrorCode.BASELINE_INDEX in said.err) == (0, True), (
        "it has no tag, so the index tells: it is out"
    )

    ended = fresh.releasekit(*RESUME)

    assert ended.code == 0, ended.err
    assert "uploading" not in ended.err, "all files are on the index already"
    assert [package["name"] for package in json.loads(ended.out)["packages"]] == ["app"]
    assert json.loads(ended.out)["title"] == dated_tag()
    assert len(uploads(own_index)) == sent
    assert set(fresh.tags().values()) == {world.git("rev-parse", "HEAD")}
    assert set(fresh.tags()) == {"app-v0.1.0", "core-v0.1.0", "lone-v0.1.0", dated_tag()}

    fresh.git("push", "--quiet", "origin", ":refs/tags/app-v0.1.0")
    fresh.git("tag", "--delete", "app-v0.1.0")
    fresh.commit("fix: app", {"packages/app/src/app/__init__.py": "OTHER = True\n"})
    fresh.git("push", "--quiet")
    before = fresh.state()
    differs = fresh.releasekit(*RESUME)
    assert (differs.code, ErrorCode.PUBLISH_CHECKSUM_MISMATCH in differs.err) == (2, True), (
        differs.err
    )
    assert fresh.state() == {**before, "records": fresh.state()["records"]}
    assert len(uploads(own_index)) == sent


@pytest.mark.usefixtures("whole_proofs")
def test_broken_published_package_blocks_nobody(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A package that is out already, and cannot be imported, does not keep the others of its lost release back."""
    world = make_world(tmp_path, "broken; lone", broken="raise RuntimeError('does not import')")
    assert world.releasekit(*RELEASE).code == 0
    tags = ("broken-v0.1.0", "lone-v0.1.0", dated_tag())
    world.git("push", "--quiet", "origin", *(f":refs/tags/{tag}" for tag in tags))
    fresh = another_clone(world, tmp_path / "fresh")

    said = fresh.releasekit(
        "publish", "--yes", "--skip-audit", "--resume-from-registry", "--format", "json"
    )

    reports = {row["name"]: row for row in json.loads(said.out)["packages"]}
    assert {name: row["outcome"] for name, row in reports.items()} == {
        "broken": "failed",
        "lone": "confirmed",
    }
    assert reports["broken"]["error"].startswith(ErrorCode.SMOKE_TEST_FAILED)
    assert fresh.tags().keys() == {"lone-v0.1.0"}
    assert len(uploads(own_index)) == 4


def test_closed_upload_gets_next_version(
    tmp_path: Path, faulty: FaultIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyPI completes a version for 14 days: that is said in time; after it, the next version goes out instead."""
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "opensesame")
    world = make_world(tmp_path, "app: core; core; half")
    where = ("--publish-url", f"{faulty.url}/legacy/", "--check-url", faulty.simple_url)
    faulty.on_upload("core", [STORED, INVALID])
    faulty.on_upload("half", [STORED, INVALID])
    assert world.releasekit(*RELEASE, *where).code == 1
    faulty.days |= {"core-0.1.0": 15, "half-0.1.0": 11}

    late = world.releasekit(*RELEASE, *where)

    def day(days: int) -> str:
        return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"

    assert late.code == 1
    said = "warning RK-UPLOAD-CLOSED: {} 0.1.0 is only partly on the index; the index "
    assert f"{said.format('half')}takes no new files for it from {day(3)}" in late.err
    assert f"{said.format('core')}has taken no new files for it since {day(-1)}" in late.err
    reports = {row["name"]: row for row in json.loads(late.out)["packages"]}
    assert {name: row["outcome"] for name, row in reports.items()} == {
        "core": "failed",
        "app": "blocked",
        "half": "confirmed",
    }
    assert reports["core"]["hint"].startswith(
        f"`releasekit rollback {dated_tag()}` abandons this release. Then commit a `fix:`"
    )

    assert world.releasekit("rollback", dated_tag(), "--yes", *where).code == 0
    world.commit("fix: go on", {"packages/core/src/core/__init__.py": "FIXED = True\n"})
    world.git("push", "--quiet")
    ended = world.releasekit(*RELEASE, *where)
    assert ended.code == 0, ended.err
    assert {row["name"]: row["version"] for row in json.loads(ended.out)["packages"]}[
        "core"
    ] == "0.1.1"
    assert {"core-0.1.1.tar.gz", "core-0.1.1-py3-none-any.whl"} <= faulty.files["core"].keys()


@pytest.mark.parametrize("same_commit", [False, True])
def test_two_clones_release_only_once(
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch, same_commit: bool
) -> None:
    """Of two clones that lock the remote at the same moment, one goes on, and the other is told by whom."""
    world = make_world(tmp_path, "core; app: core")
    other = another_clone(world, tmp_path / "other")
    if same_commit:  # one user makes it twice in one second
        other.git("config", "user.name", "Ada")
        other.git("config", "user.email", "ada@example.invalid")
        for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
            monkeypatch.setenv(name, "2026-01-02T03:04:05Z")
    write_hook(world, "pre-receive", COUNT_LOCKS)
    write_hook(world, "reference-transaction", KEEP_FIRST_WAITING)

    with running(world, "--yes") as one, running(other, "--yes") as two:
        codes = {"one": one.end(), "two": two.end()}

    assert sorted(codes.values()) == [0, 2], (one.hear(), two.hear())
    assert ErrorCode.RELEASE_NOT_HELD not in one.hear() + two.hear()
    loser, clones = (two, (world, other)) if codes["two"] else (one, (other, world))
    assert f"{ErrorCode.RELEASE_ELSEWHERE}: " in loser.hear()
    assert len(uploads(own_index)) == len(set(uploads(own_index))) == 4
    assert LOCK_REF not in refs(world)
    records = [len([*(clone.root / ".git/releasekit").glob("*/")]) for clone in clones]
    assert records == [1, 0]


COUNT_LOCKS = f"""#!/bin/sh
while read old new ref; do
  if [ $ref = {LOCK_REF} ]; then mkdir first 2>/dev/null || touch second; fi
done
"""

KEEP_FIRST_WAITING = f"""#!/bin/sh
if [ "$1" = prepared ] && grep -q {LOCK_REF}; then
  until [ -e second ]; do sleep 0.05; done
  if mkdir waited 2>/dev/null; then sleep 0.5; fi  # longer than git waits for a locked reference
fi
"""


def test_rejected_push_loses_nothing(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A branch that refuses the release commit loses nothing: the next run ends it, and says that the branch moved."""
    world = make_world(tmp_path, "core")
    hook = write_hook(
        world,
        "pre-receive",
        "#!/bin/sh\nwhile read old new ref; do case $ref in refs/heads/*|refs/releasekit/*) "
        "echo $ref is protected; exit 1;; esac; done\n",
    )
    (world.root / ".git/index.lock").touch()

    rejected = world.releasekit(*RELEASE)

    assert rejected.code == 1
    problem, locked = json.loads(rejected.out)["problems"]
    assert problem.startswith(
        f"{ErrorCode.PUSH_REJECTED}: main was refused; the tags were then pushed without it"
    )
    assert "refs/heads/main is protected" in problem
    assert f"{ErrorCode.RELEASE_NOT_HELD}: " in rejected.err
    assert set(world.tags()) == {"core-v0.1.0"}, "they are true, so they go alone"
    assert locked.startswith(
        f"{ErrorCode.GIT_LOCKED}: Unable to create '{world.root}/.git/index.lock': File exists"
    )
    (world.root / ".git/index.lock").unlink()
    (again,) = json.loads(world.releasekit(*RELEASE).out)["problems"]
    assert again.startswith(f"{ErrorCode.PUSH_REJECTED}: the push was rejected"), (
        "the tags are there"
    )
    world.commit("feat: more", {"packages/core/src/core/__init__.py": "MORE = True\n"})
    other = another_clone(world, tmp_path / "other")
    other.commit("docs: elsewhere", {"README.md": "words"})
    hook.unlink()
    other.git("push", "--quiet")

    moved = world.releasekit(*RELEASE)
    assert (moved.code, ErrorCode.BRANCH_MOVED in moved.out) == (1, True), moved.out
    assert "main has 1 new commit since then; `releasekit rollback`" in moved.err
    world.git("pull", "--quiet", "--no-rebase", "--no-edit")
    world.git("push", "--quiet")
    # As by a push that was killed at its end.
    world.git("update-ref", "refs/remotes/origin/main", "core-v0.1.0~1")
    # As in a clone that takes over: its own one would be another object.
    world.git("tag", "--delete", "core-v0.1.0")
    ended = world.releasekit(*RELEASE)

    assert ended.code == 0, ended.out
    assert world.git("status", "--short", "--branch") == "## main...origin/main"
    assert json.loads(ended.out)["commit"] == world.tags()["core-v0.1.0"]
    assert len(uploads(own_index)) == 2
    assert LOCK_REF not in refs(world)


HELD_BUILD = (
    "touch begun; while test -e held; do sleep 0.05; done; exec uv build --wheel --out-dir $1"
)


@pytest.mark.usefixtures("own_index")
@pytest.mark.parametrize("damage", ["sources", "index.lock", "index"])
def test_damaged_worktree_is_restored(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it builds, and its source files emptied by a power failure, a release builds the files of git.

    So it does with the files of a submodule, if a killed git has left its lock there, or if the index is lost.
    """
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")
    library = make_world(tmp_path / "library", "seeds")
    begun, held = tmp_path / "begun", tmp_path / "held"
    script = HELD_BUILD.replace("begun", str(begun)).replace("held", str(held))
    command = json.dumps(["sh", "-c", script, "sh", "{output}"])
    world = make_world(
        tmp_path,
        "app: core; core",
        f'build_command = {command}\nreproducible = "check"',
        app="def leaf(): ...\n",
    )
    seeds = "packages/app/src/app/seeds"
    world.git("submodule", "--quiet", "add", str(library.root), seeds)
    declared = (world.root / "packages/app/pyproject.toml").read_text()
    build = '\n[tool.uv.build-backend]\nsource-exclude = [".git"]\n'
    world.commit("feat: seeds", {"packages/app/pyproject.toml": declared + build})
    held.touch()
    with running(world, "--yes", "--skip-smoke-test") as program:
        until(begun.exists, program)
        os.kill(program.process.pid, signal.SIGKILL)
        program.end()
        held.unlink()
        until(lambda: not program.relatives(), program)
    (tree,) = (world.root / ".git/releasekit").glob("*/tree")
    for source in (*tree.glob("packages/app/**/*.py"), tree / seeds / "pyproject.toml"):
        source.write_text("")
    if damage != "sources":
        (world.root / ".git/worktrees/tree" / damage).write_text("")

    ended = world.releasekit(*RELEASE)

    assert ended.code == 0, ended.err
    (wheel,) = tree.parent.glob("dist/app/*.whl")
    with ZipFile(wheel) as archive:
        assert archive.read("app/__init__.py") == b"def leaf(): ...\n"
        assert archive.read("app/seeds/pyproject.toml")
    assert read_archive(wheel).values("Requires-Dist") == ["core==0.1.0"]
