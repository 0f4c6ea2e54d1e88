"""Giving a release up: what goes, what stays, and how it goes on from there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tasks import preflight
from tasks.adapters.held import wrapped
from tasks.adapters.repo import RUNNING, Repo
from tasks.core.errors import Code
from tasks.core.manifest import ReleaseManifest
from tasks.core.plan import Plan
from tests.world import Said, World, make_world

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.adapters.embedded import EmbeddedIndex

RELEASE = ("publish", "--yes", "--skip-audit", "--format", "json")
UNDO = ("rollback", "--yes", "--format", "json")
BROKEN = "raise RuntimeError('does not import')"


def refs(world: World) -> dict[str, str]:
    """Return the references of the remote."""
    return {
        name: sha for sha, name in (line.split() for line in world.git("ls-remote", str(world.remote)).splitlines())
    }


def told(said: Said) -> dict[str, Any]:
    """Return what a command has answered."""
    return json.loads(said.out)


def nothing(*_: object) -> None:
    """See nothing."""


def interrupted(*_: object) -> None:
    """Stand for a step that is killed."""
    raise KeyboardInterrupt


@pytest.mark.usefixtures("prefect_api")
def test_given_up(  # noqa: PLR0915  one release is expensive, and much follows from it
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release that can never end is given up, its tags here and there, and the next versions go out instead."""
    world = make_world(tmp_path, "app: core; core; broken; late: broken", broken=BROKEN)
    before = world.state()
    assert world.releasekit(*RELEASE).code == 1
    assert set(world.tags()) == {"app-v0.1.0", "core-v0.1.0"}
    held = refs(world)[RUNNING]  # until it has ended
    world.git("push", "--quiet", "origin", f":{RUNNING}")
    taken = world.releasekit(*RELEASE)
    assert (taken.code, Code.RELEASE_TAKEN_OVER in taken.err) == (2, True), "another clone has ended it or given it up"
    world.git("push", "--quiet", "origin", f"{held}:{RUNNING}")
    release = world.git("rev-parse", "core-v0.1.0^{commit}")
    world.git("tag", "--force", "app-v0.1.0", "HEAD~1")  # somebody has moved it
    world.git("tag", "late-v0.1.0", release)  # and somebody has made one of their own

    shown = world.releasekit("rollback", "--dry-run", "--format", "json")
    monkeypatch.delenv("PREFECT_API_URL")  # that was recorded; the rest need not be
    hook = world.remote / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ncase $3 in *[!0]*) ;; *) echo stays; exit 1 ;; esac\n")
    hook.chmod(0o755)
    kept = world.releasekit(*UNDO)
    assert (kept.code, "run `releasekit rollback` again" in kept.err) == (1, True), kept.err
    hook.unlink()
    with monkeypatch.context() as killed:
        killed.setattr(Repo, "delete_tag", interrupted)
        assert world.releasekit(*UNDO).code == 130
    refused = world.releasekit("publish", "--yes", "--skip-audit")
    undone = world.releasekit(*UNDO)

    assert (refused.code, Code.ROLLBACK_UNFINISHED in refused.err) == (2, True), refused.err
    assert (shown.code, undone.code) == (0, 0), undone.err
    found = told(shown)
    assert found["tags"] == ["core-v0.1.0"]
    assert set(found["remote_tags"]) == {"app-v0.1.0", "core-v0.1.0"}
    assert told(undone) == {**found, "remote_tags": [], "held": False, "done": True}, "the rest of it"
    assert "app-v0.1.0 here stays" in found["kept"][0]
    assert "is part of main on origin and of main here, and stays; `git revert" in found["notes"][0]
    public = {package["name"]: package for package in found["public"]}
    assert public.keys() == {"app", "core", "broken"}
    assert (public["core"]["next"], public["core"]["dependents"]) == ("0.1.1", ["app"])
    assert public["core"]["page"] == f"{own_index.simple_url}core/"
    assert refs(world) == {"HEAD": release, "refs/heads/main": release}, "what is pushed is never taken back"
    assert set(world.git("tag", "--list").split()) == {"app-v0.1.0", "late-v0.1.0"}
    after = world.state()
    assert (after["records"], after["worktrees"].count("\n")) == (before["records"], 0)
    assert world.git("for-each-ref", "refs/releasekit") == ""
    gone = world.releasekit(*UNDO)
    assert (gone.code, Code.RELEASE_UNKNOWN in gone.err) == (2, True)
    assert "nothing to give up" in gone.err

    world.git("tag", "--delete", "app-v0.1.0", "late-v0.1.0")
    after = world.releasekit("publish", "--dry-run", "--skip-audit", "--format", "json")
    assert after.code == 0, after.err
    planned = {package["name"]: package["next"] for package in told(after)["packages"]}
    assert "0.1.0" not in {planned[name] for name in public}, "these versions are spent"
    for name, package in public.items():
        path = world.root / "packages" / name / "pyproject.toml"
        path.write_text(path.read_text().replace('"0.1.0"', f'"{package["next"]}"'))
    world.commit("fix: import", {"packages/broken/src/broken/__init__.py": ""})
    world.lock()
    world.git("push", "--quiet")
    again = world.releasekit("publish", "--dry-run", "--skip-audit", "--format", "json")
    assert again.code == 0, again.err
    versions = {package["name"]: package["next"] for package in told(again)["packages"]}
    assert versions == {"app": "0.1.1", "core": "0.1.1", "broken": "0.1.1", "late": "0.1.0"}


def test_nobody_there(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Without a terminal it wants --yes; a damaged record stops publish, and a rollback clears it away."""
    assert own_index
    world = make_world(tmp_path, "core")
    before = world.state()
    assert world.releasekit("rollback").code == 2
    directory = world.root / ".git/releasekit/0123456789ab"
    directory.mkdir()
    (directory / "plan.json").write_text('{"schema": "releasekit.plan/9"}')

    refused = world.releasekit("publish", "--yes", "--skip-audit")
    asked = world.releasekit("rollback", "0123")
    unknown = world.releasekit("rollback", "0123456789ac", "--yes")

    assert (refused.code, Code.RECORD_INVALID in refused.err) == (2, True), refused.err
    assert (asked.code, Code.NOT_CONFIRMED in asked.err) == (2, True)
    assert (unknown.code, "did you mean 0123456789ab?" in unknown.err) == (2, True)
    undone = world.releasekit("rollback", "--yes")
    assert (undone.code, "the record is damaged" in undone.out) == (0, True), undone.err
    assert world.state() == before


@pytest.mark.usefixtures("prefect_api")
def test_remote_left_alone(tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a lost clone has begun is given up from any other; with --no-push the remote is not even looked at."""
    assert own_index
    world = make_world(tmp_path, "core")
    before = world.state()
    plan = told(world.releasekit("plan", "--format", "json"))
    repo = Repo(world.root)
    world.git("push", "--quiet", "origin", f"{repo.head}:refs/tags/core-v0.1.0")
    stale = world.releasekit(*RELEASE)
    assert (stale.code, "another clone has made this release meanwhile" in stale.err) == (2, True), stale.err
    world.git("push", "--quiet", "origin", ":refs/tags/core-v0.1.0")
    assert world.state() == before
    manifest = ReleaseManifest(
        release=plan["release"],
        commit=repo.head,
        release_commit=repo.head,
        branch="main",
        by="Ada <ada@example.invalid>",
        host="lost",
        begun="2026-11-22T12:00:00+00:00",
    )
    held = wrapped(repo, Plan.model_validate(plan), manifest)
    assert held == wrapped(repo, Plan.model_validate(plan), manifest), "the same release makes the same commit"
    world.git("push", "--quiet", "origin", f"{held}:{RUNNING}", f"{repo.head}:refs/tags/v0.1.0")

    with monkeypatch.context() as late:  # it was begun after we have looked
        late.setattr(preflight, "others", nothing)
        faster = world.releasekit(*RELEASE)
    assert (faster.code, Code.RELEASE_ELSEWHERE in faster.err) == (2, True), faster.err
    assert "v0.1.0 is being released by Ada <ada@example.invalid> on lost since 2026-11-22T12" in faster.err
    assert world.state()["records"] == before["records"], "nothing of ours was public, so it is dropped"
    alone = world.releasekit(*UNDO, "--no-push")
    unnamed = world.releasekit(*UNDO)
    undone = world.releasekit(*UNDO, "v0.1.0")

    assert (alone.code, Code.RELEASE_UNKNOWN in alone.err) == (2, True)
    assert (unnamed.code, f"`releasekit rollback {plan['release']}` gives it up" in unnamed.err) == (2, True)
    assert (told(undone)["held"], told(undone)["remote_tags"]) == (True, ["v0.1.0"])
    assert world.state() == before

    repo.keep(plan["release"], held)
    lost = world.releasekit(*RELEASE, "--no-push")
    assert (lost.code, f"{Code.RECORD_INVALID}: the record of v0.1.0 is lost" in lost.err) == (2, True), lost.err
    assert told(world.releasekit(*UNDO, "--no-push"))["title"] == "v0.1.0"
    assert world.state() == before
