"""Which releases are unfinished, seen on real repositories, indexes and processes, and what to run next."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from releasekit.integrations.git import LOCK_REF, Repo
from releasekit.store.record import lock_holder
from tests.stories.test_pull_request import HAND_ON, PREPARE, PUBLISH, hub, pull
from tests.stories.test_pull_request import world as hub_world
from tests.stories.test_resume import RELEASE, another_clone
from tests.stories.test_rollback import BROKEN, UNDO, interrupted
from tests.stories.test_terminal import running, until, uploads
from tests.support.world import RESOLVE_ONLY, World, dated_tag, make_world

if TYPE_CHECKING:
    from releasekit.integrations.peryx import EmbeddedIndex
    from tests.support.github import GitHubDouble

__all__ = ["hub", "world"]
world = hub_world


def status(world: World, *argv: str) -> dict[str, Any]:
    """Return what `releasekit status` says; it never changes anything."""
    before = world.state()
    said = world.releasekit("status", "--format", "json", *argv)
    assert said.code == 0, said.err
    assert world.state() == before
    return json.loads(said.out)


def only(world: World, *argv: str) -> dict[str, Any]:
    """Return the one release that is unfinished."""
    (release,) = status(world, *argv)["releases"]
    return release


def progress(release: dict[str, Any]) -> dict[str, tuple[str, bool, bool | None]]:
    """Return of each package how far it is, and whether it is tagged here and on the remote."""
    return {
        p["name"]: (p["progress"], p["tagged_here"], p["tagged_there"]) for p in release["packages"]
    }


def commands(release: dict[str, Any]) -> list[str]:
    """Return the next command, then what else can be done."""
    return [each["command"] for each in (release["next"], *release["others"])]


def test_status_says_nothing_is_unfinished(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Where nothing is unfinished that is one sentence, and the plan tells of nothing."""
    world = make_world(tmp_path, "core")

    said = world.releasekit("status")

    assert (said.code, said.out) == (0, "No release is unfinished here or on the remote.\n"), (
        said.err
    )
    assert not any("simple" in request.path for request in own_index.requests())
    offline = world.releasekit("status", "--offline")
    assert offline.out == (
        "No release is unfinished on this machine.\n--offline: neither the remote nor the index was contacted\n"
    )
    world.git("remote", "remove", "origin")
    assert status(world)["unasked"] == ["the remote was not contacted: there is no remote origin"]
    plan = world.releasekit("plan", "--offline", "--format", "json")
    assert (json.loads(plan.out)["unfinished"], "unfinished" in plan.err) == (None, False)


@pytest.mark.usefixtures("unrecorded", "whole_proofs")
def test_status_shows_a_failed_package(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """After a failed package each row tells how far it is; another clone sees it, and who does not answer is named."""
    world = make_world(
        tmp_path, "app: core; core; broken; late: broken", RESOLVE_ONLY, broken=BROKEN
    )
    assert world.releasekit(*RELEASE[:3], "--format", "json").code == 1

    release = only(world)

    assert (release["stage"], release["title"], release["published"]) == ("begun", dated_tag(), 3)
    assert release["what"] == f"Release {dated_tag()} is unfinished: 3 of 4 packages published."
    assert release["by"] == "Ada <ada@example.invalid>"
    assert (release["umbrella_here"], release["umbrella_there"]) == (False, False)
    done, waits = ("confirmed", True, True), ("built", False, False)
    assert progress(release) == {
        "app": done,
        "core": done,
        "broken": ("confirmed", False, False),
        "late": waits,
    }
    assert commands(release) == ["releasekit publish", "releasekit rollback"]
    (core,) = (each for each in release["packages"] if each["name"] == "core")
    assert {file["index"] for file in core["files"]} == {"same"}
    said = world.releasekit("status")
    assert re.search(r"(?m)^✅ core +0\.1\.0 +2 of 2 +yes +yes +confirmed$", said.out), said.out
    assert "begun by Ada <ada@example.invalid> on " in said.out
    assert (
        "next: `releasekit publish` resumes it\nor:   `releasekit rollback` abandons it\n"
        in said.out
    )

    plan = world.releasekit("plan", "--format", "json")
    assert json.loads(plan.out)["unfinished"] == dated_tag()
    assert (
        f"note: release {dated_tag()} is unfinished (3 of 4 packages published); `releasekit status` shows it"
        in plan.err
    )
    plan = world.releasekit("plan", "--offline")
    assert f"note: release {dated_tag()} is unfinished; `releasekit status` shows it" in plan.err
    assert "note:" not in plan.out
    asked = len(own_index.requests())
    offline = only(world, "--offline")
    assert len(own_index.requests()) == asked
    assert (offline["published"], progress(offline)["core"]) == (None, ("built", True, None))

    other = another_clone(world, tmp_path / "other")
    seen = only(other)
    assert (seen["stage"], seen["published"], seen["where"]) == (
        "elsewhere",
        3,
        f"{LOCK_REF} of origin",
    )
    assert progress(seen) == progress(release)
    assert commands(seen) == [
        "releasekit publish --resume-from-registry",
        f"releasekit rollback {seen['release']}",
    ]
    world.git("remote", "set-url", "origin", str(tmp_path / "gone.git"))
    alone = status(
        world, "--check-url", "http://127.0.0.1:9/simple/", "--publish-url", "http://127.0.0.1:9/"
    )
    assert [line.partition(": ")[0] for line in alone["unasked"]] == [
        "the remote origin did not answer",
        "the index did not answer",
    ]
    (release,) = alone["releases"]
    assert (release["stage"], progress(release)["core"]) == ("begun", ("built", True, None))


@pytest.mark.usefixtures("unrecorded", "whole_proofs")
def test_status_shows_an_unfinished_rollback(
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback that was killed is told as that; one that came from another clone takes this one's release away."""
    assert own_index
    world = make_world(tmp_path, "core; broken", RESOLVE_ONLY, broken=BROKEN)
    assert world.releasekit(*RELEASE[:3]).code == 1
    other = another_clone(world, tmp_path / "other")
    with monkeypatch.context() as killed:
        killed.setattr(Repo, "delete_tag", interrupted)
        assert world.releasekit(*UNDO, "--all-tags").code == 130

    release = only(world)
    assert (release["stage"], commands(release)) == ("undoing", ["releasekit rollback"])
    assert release["what"] == f"The rollback of release {dated_tag()} is unfinished."
    assert status(other)["releases"] == []
    assert world.releasekit(*UNDO).code == 0
    assert status(world)["releases"] == []


@pytest.mark.usefixtures("unrecorded")
def test_status_shows_a_staged_release(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """What is only staged is told as that; then its files are lost, its record is damaged, and only a copy is left."""
    assert own_index
    world = make_world(tmp_path, "app: core; core")
    assert world.releasekit(*RELEASE, "--stage-only").code == 0

    release = only(world)

    assert (release["stage"], release["published"]) == ("staged", 0)
    assert set(progress(release).values()) == {("built", False, False)}
    assert commands(release) == [
        "releasekit publish",
        "releasekit publish --stage-only",
        "releasekit rollback",
    ]
    record = Path(release["where"])
    plan = world.releasekit("publish", "--dry-run", "--skip-audit", "--format", "json")
    assert json.loads(plan.out)["unfinished"] == dated_tag()
    world.commit("docs: more", {"README.md": "words"})
    assert only(world)["notes"] == ["1 commit since then is not in this release"]

    (record / "plan.json").rename(tmp_path / "plan.json")
    importing = only(world)
    assert (importing["stage"], importing["title"]) == ("importing", release["release"])
    assert commands(importing) == ["releasekit publish --manifest FILE", "releasekit rollback"]
    (record / "plan.json").write_text('{"schema": "releasekit.plan/9"}')
    damaged = only(world)
    assert (damaged["stage"], commands(damaged)) == ("damaged", ["releasekit rollback"])
    assert str(record / "plan.json") in damaged["what"]
    said = world.releasekit("plan", "--offline")
    assert (
        f"note: release {release['release']} is unfinished; `releasekit status` shows it"
        in said.err
    )
    shutil.rmtree(record)
    orphaned = only(world)
    ref = f"refs/releasekit/{release['release']}"
    assert (orphaned["stage"], commands(orphaned)) == ("orphaned", [f"git update-ref -d {ref}"])
    world.git("update-ref", "-d", ref)
    assert status(world)["releases"] == []


@pytest.mark.usefixtures("unrecorded", "whole_proofs")
def test_status_helps_after_lost_record(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Lost files, a damaged record and a lost one are each told with the command that goes on from what is left."""
    assert own_index
    world = make_world(tmp_path, "core; broken; late: broken", RESOLVE_ONLY, broken=BROKEN)
    assert world.releasekit(*RELEASE[:3]).code == 1
    record = Path(only(world)["where"])
    recover = "releasekit publish --resume-from-registry"

    shutil.rmtree(record / "dist" / "core")
    assert commands(only(world)) == ["releasekit publish", "releasekit rollback"], (
        "the index has them"
    )
    shutil.rmtree(record / "dist" / "late")
    lost = only(world)
    assert commands(lost) == [recover, "releasekit rollback"]
    assert "late-0.1.0-py3-none-any.whl" in lost["notes"][0]

    (record / "manifest.json").write_text("{}")
    damaged = only(world)
    assert (damaged["stage"], damaged["title"], commands(damaged)[0]) == (
        "damaged",
        dated_tag(),
        recover,
    )
    assert progress(damaged)["core"] == ("confirmed", True, True)
    shutil.rmtree(record)
    orphaned = only(world)
    assert (orphaned["stage"], orphaned["title"], commands(orphaned)[0]) == (
        "orphaned",
        dated_tag(),
        recover,
    )
    assert progress(orphaned)["late"] == ("built", False, False)

    world.git("update-ref", "-d", f"refs/releasekit/{orphaned['release']}")
    elsewhere = only(world)
    assert (elsewhere["stage"], commands(elsewhere)[0]) == ("elsewhere", recover)


@pytest.mark.usefixtures("unrecorded")
def test_moved_branch_needs_a_pull(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """When all is out and the branch has moved, pulling comes first; a hold that is gone was somebody else."""
    assert own_index
    world = make_world(tmp_path, "core")
    hook = world.remote / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\nwhile read old new ref; do case $ref in refs/heads/*) exit 1;; esac; done\n"
    )
    hook.chmod(0o755)
    assert world.releasekit(*RELEASE).code == 1
    release = only(world)
    assert (release["what"], release["umbrella_there"]) == (
        "Release core-v0.1.0 is unfinished: 1 package published.",
        True,
    )
    assert commands(release)[0] == "releasekit publish"
    hook.unlink()
    other = another_clone(world, tmp_path / "other")
    other.commit("docs: elsewhere", {"README.md": "words"})
    other.git("push", "--quiet")

    moved = only(world)

    assert commands(moved) == ["git pull", "releasekit rollback"]
    assert moved["next"]["effect"].endswith(
        "then `git push` and `releasekit publish` finish the release"
    )
    world.git("pull", "--quiet", "--no-rebase", "--no-edit")
    world.git("push", "--quiet")
    assert commands(only(world))[0] == "releasekit publish"

    world.git("push", "--quiet", "origin", f":{LOCK_REF}")
    record = Path(moved["where"])
    manifest = json.loads((record / "manifest.json").read_text())
    held = manifest["held"] or world.git("rev-parse", f"refs/releasekit/{manifest['release']}")
    (record / "manifest.json").write_text(json.dumps({**manifest, "held": held}))
    taken = only(world)
    assert (taken["stage"], commands(taken)) == (
        "taken_over",
        ["git fetch --tags", "releasekit rollback"],
    )


@pytest.mark.usefixtures("own_index")
def test_status_follows_a_pull_request(
    world: World, hub: GitHubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release by pull request is told in each of its phases: open, merged, a draft; by hand, and closed."""
    assert world.releasekit(*PREPARE).code == 0
    (number,) = hub.pulls
    proposed = only(world)
    name = f"releasekit rollback {proposed['release']}"
    assert (proposed["stage"], proposed["title"], proposed["published"]) == (
        "proposed",
        "core-v0.2.0",
        0,
    )
    assert (proposed["next"]["effect"], commands(proposed)) == (
        "merge the pull request",
        ["", "releasekit prepare", name],
    )
    assert proposed["notes"] == [hub.pulls[number]["html_url"]]
    assert "next: merge the pull request\n" in world.releasekit("status").out
    with monkeypatch.context() as closed:
        closed.setitem(hub.pulls[number], "state", "closed")
        assert (only(world)["stage"], commands(only(world))) == (
            "closed",
            ["releasekit prepare", name],
        )
    with monkeypatch.context() as alone:
        alone.setenv("GH_TOKEN", "unknown")
        assert only(world)["stage"] == "proposed", "the remote has it"

    hub.merge(number, "squash")
    merged = only(world)
    assert (merged["stage"], commands(merged)) == (
        "merged",
        ["releasekit publish --publish-from ci", name],
    )

    assert world.releasekit(*HAND_ON).code == 0
    draft = only(world)
    assert (draft["stage"], commands(draft)) == (
        "draft",
        ["releasekit publish --manifest core-v0.2.0", name],
    )
    assert progress(draft) == {"core": ("planned", True, True)}, "handing it on has tagged it"
    pull(world)
    assert world.releasekit(*PUBLISH, "core-v0.2.0").code == 0
    assert status(world)["releases"] == []


@pytest.mark.usefixtures("own_index")
def test_merge_by_hand_counts(world: World, hub: GitHubDouble) -> None:
    """A pull request that was merged by hand, so that the forge does not know, is merged."""
    assert world.releasekit(*PREPARE).code == 0
    proposed = only(world)
    hub.git("update-ref", "refs/heads/main", proposed["commit"])
    assert only(world)["stage"] == "merged"


def test_status_shows_a_running_release(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """While another process releases that is told, without a lock; after a kill between uploads it is unfinished."""
    chain = "; ".join(["p00", *(f"p{n:02}: p{n - 1:02}" for n in range(1, 8))])
    world = make_world(tmp_path, chain)
    with running(world, "--yes", "--skip-smoke-test") as program:
        until(lambda: len(uploads(own_index)) >= 4, program)
        said = world.releasekit("status", "--format", "json")
        during = json.loads(said.out)
        os.kill(program.process.pid, signal.SIGKILL)
        program.end()
        until(lambda: not program.relatives(), program)

    (release,) = during["releases"]
    assert during["running"].startswith(f"process {program.process.pid} on ")
    assert (release["stage"], commands(release)) == ("running", ["releasekit status"])
    assert during["running"] in release["what"]
    killed = status(world)
    assert killed["running"] == "", "the note of a process that was killed is no lock"
    (release,) = killed["releases"]
    assert (release["stage"], commands(release)[0]) == ("begun", "releasekit publish")
    sent = {name.partition("-")[0] for name in uploads(own_index)}
    assert {
        package["name"] for package in release["packages"] if package["progress"] != "built"
    } == sent
    assert 2 <= len(sent) < 8


def test_lock_holder_must_still_run(tmp_path: Path) -> None:
    """A note of a process that has ended, or whose number another has now, is no holder; one elsewhere may be."""
    holder = tmp_path / "releasekit" / "lock.holder"
    holder.parent.mkdir()
    assert lock_holder(tmp_path) is None
    host, now = os.uname().nodename, time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    mine = f"process {os.getpid()} on {host} since"
    for text, wanted in (
        (f"{mine} {now}\n", (f"{mine} {now}", True)),
        (f"process 1 on elsewhere since {now}\n", (f"process 1 on elsewhere since {now}", False)),
        (f"process {2**22 + 1} on {host} since {now}\n", None),
        ("half a no", None),
    ):
        holder.write_text(text)
        assert lock_holder(tmp_path) == wanted
    if Path("/proc/self/stat").exists():
        holder.write_text(f"{mine} 2020-01-02T03:04:05+00:00\n")
        assert lock_holder(tmp_path) is None
