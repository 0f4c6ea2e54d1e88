"""Giving a release up: what goes, what stays, and how it goes on from there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from releasekit.core.errors import ErrorCode
from releasekit.core.planning.model import Plan
from releasekit.core.release.release_manifest import ReleaseManifest
from releasekit.integrations.git import LOCK_REF, TAGS, Repo
from releasekit.integrations.peryx import embedded_index
from releasekit.store.record import Record, list_records
from releasekit.store.remote_lock import write_lock_commit
from tasks import preflight
from tests.support.world import RESOLVE_ONLY, Said, World, dated_tag, make_world, write_hook

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

RELEASE = ("publish", "--yes", "--skip-audit", "--format", "json")
UNDO = ("rollback", "--yes", "--format", "json")
BROKEN = "raise RuntimeError('does not import')"


def refs(world: World) -> dict[str, str]:
    """Return the references of the remote."""
    return {
        name: sha
        for sha, name in (
            line.split() for line in world.git("ls-remote", str(world.remote)).splitlines()
        )
    }


def told(said: Said) -> dict[str, Any]:
    """Return what a command has answered."""
    return json.loads(said.out)


def nothing(*_: object, **__: object) -> preflight.PreflightFindings:
    """See nothing."""
    return preflight.PreflightFindings()


def interrupted(*_: object) -> None:
    """Stand for a step that is killed."""
    raise KeyboardInterrupt


@pytest.mark.usefixtures("unrecorded", "whole_proofs")
def test_rollback_leaves_public_versions_only(  # noqa: PLR0915  one release is expensive, and much follows from it
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --all-tags a release that can never end leaves nothing but what is public; its versions are used up."""
    world = make_world(
        tmp_path, "app: core; core; broken; late: broken", RESOLVE_ONLY, broken=BROKEN
    )
    # Else it would be found before anything is uploaded.
    monkeypatch.setenv("RELEASEKIT_OVERLAY", "resolve")
    before = world.state()
    assert world.releasekit(*RELEASE).code == 1
    assert set(world.tags()) == {"app-v0.1.0", "core-v0.1.0"}
    held = refs(world)[LOCK_REF]  # until it has ended
    world.git("push", "--quiet", "origin", f":{LOCK_REF}")
    taken = world.releasekit(*RELEASE)
    assert (taken.code, ErrorCode.RELEASE_TAKEN_OVER in taken.err) == (2, True), (
        "another clone has ended it or given it up"
    )
    world.git("push", "--quiet", "origin", f"{held}:{LOCK_REF}")
    release = world.git("rev-parse", "core-v0.1.0^{commit}")
    world.git("tag", "--force", "app-v0.1.0", "HEAD~1")  # somebody has moved it
    world.git("tag", "late-v0.1.0", release)  # and somebody has made one of their own

    true = told(world.releasekit("rollback", "--dry-run", "--format", "json"))
    assert (true["tags"], true["remote_tags"]) == ([], []), "they say what is out, and stay"
    assert true["kept"][1] == f"app-v0.1.0 on origin stays: app 0.1.0 is on {own_index.publish_url}"
    assert true["kept_tags"][0] == {
        "tag": "core-v0.1.0",
        "places": ["here", "on origin"],
        "reason": f"core 0.1.0 is on {own_index.publish_url}",
    }
    shown = world.releasekit("rollback", "--all-tags", "--dry-run", "--format", "json")
    hook = world.remote / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ncase $3 in *[!0]*) ;; *) echo stays; exit 1 ;; esac\n")
    hook.chmod(0o755)
    kept = world.releasekit(*UNDO, "--all-tags")
    assert (kept.code, "run `releasekit rollback` again" in kept.err) == (1, True), kept.err
    hook.unlink()
    with monkeypatch.context() as killed:
        killed.setattr(Repo, "delete_tag", interrupted)
        assert world.releasekit(*UNDO, "--all-tags").code == 130
    refused = world.releasekit("publish", "--yes", "--skip-audit")
    undone = world.releasekit(*UNDO, "--all-tags")

    assert (refused.code, ErrorCode.ROLLBACK_UNFINISHED in refused.err) == (2, True), refused.err
    assert (shown.code, undone.code) == (0, 0), undone.err
    found = told(shown)
    assert found["tags"] == ["core-v0.1.0"]
    assert set(found["remote_tags"]) == {"app-v0.1.0", "core-v0.1.0"}
    assert told(undone) == {**found, "remote_tags": [], "held": False, "done": True}, (
        "the rest of it"
    )
    assert "app-v0.1.0 here stays" in found["kept"][0]
    assert (
        "is part of main on origin and of main here, and stays: it contains versions"
        in found["notes"][0]
    )
    assert "without a tag: broken 0.1.0, core 0.1.0; the next plan" in found["notes"][1]
    public = {package["name"]: package for package in found["public"]}
    assert public.keys() == {"app", "core", "broken"}
    assert (public["core"]["next"], public["core"]["dependents"]) == ("0.1.1", ["app"])
    assert public["core"]["page"] == f"{own_index.simple_url}core/"
    assert refs(world) == {"HEAD": release, "refs/heads/main": release}, (
        "what is pushed is never taken back"
    )
    assert set(world.git("tag", "--list").split()) == {"app-v0.1.0", "late-v0.1.0"}
    after = world.state()
    assert (after["records"], after["worktrees"].count("\n")) == (before["records"], 0)
    assert world.git("for-each-ref", "refs/releasekit") == ""
    gone = world.releasekit(*UNDO)
    assert (gone.code, told(gone)["release"], world.state()) == (0, "", after)

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


def test_rollback_without_terminal_needs_yes(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Without a terminal it wants --yes; a damaged record stops publish, and a rollback clears it away."""
    assert own_index
    world = make_world(tmp_path, "core")
    before = world.state()
    nothing_here = world.releasekit("rollback")
    assert (nothing_here.code, nothing_here.out) == (
        0,
        "nothing to roll back: no release is unfinished here\n",
    )
    directory = world.root / ".git/releasekit/0123456789ab"
    directory.mkdir()
    (directory / "plan.json").write_text('{"schema": "releasekit.plan/9"}')

    refused = world.releasekit("publish", "--yes", "--skip-audit")
    asked = world.releasekit("rollback", "0123")
    unknown = world.releasekit("rollback", "0123456789ac", "--yes")

    assert (refused.code, ErrorCode.RECORD_INVALID in refused.err) == (2, True), refused.err
    assert (asked.code, ErrorCode.NOT_CONFIRMED in asked.err) == (2, True)
    assert (unknown.code, "did you mean 0123456789ab?" in unknown.err) == (2, True)
    undone = world.releasekit("rollback", "--yes")
    assert (undone.code, "the record is damaged" in undone.out) == (0, True), undone.err
    assert world.state() == before


@pytest.mark.usefixtures("unrecorded")
def test_rollback_without_push_ignores_remote(
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a lost clone has begun is given up from any other; with --no-push the remote is not even looked at."""
    assert own_index
    world = make_world(tmp_path, "core")
    before = world.state()
    plan = told(world.releasekit("plan", "--format", "json"))
    repo = Repo(world.root)
    tag_once = f"git update-ref {TAGS}core-v0.1.0 HEAD; rm hooks/post-receive"
    write_hook(world, "post-receive", f"#!/bin/sh\ncat > lock; {tag_once}\n")
    stale = world.releasekit(*RELEASE)
    assert (stale.code, "another clone has made this release in the meantime" in stale.err) == (
        2,
        True,
    ), stale.err
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
    held = write_lock_commit(repo, Plan.model_validate(plan), manifest)
    assert held == write_lock_commit(repo, Plan.model_validate(plan), manifest), (
        "the same release makes the same commit"
    )
    world.git(
        "push", "--quiet", "origin", f"{held}:{LOCK_REF}", f"{repo.head}:refs/tags/core-v0.1.0"
    )

    with monkeypatch.context() as late:  # it was begun after we have looked
        late.setattr(preflight, "other_clones", nothing)
        late.setattr(preflight, "remote", nothing)
        faster = world.releasekit(*RELEASE)
    assert (faster.code, ErrorCode.RELEASE_ELSEWHERE in faster.err) == (2, True), faster.err
    assert (
        "core-v0.1.0 is being released by Ada <ada@example.invalid> on lost since 2026-11-22T12"
        in faster.err
    )
    assert world.state()["records"] == before["records"], (
        "nothing of ours was public, so it is dropped"
    )
    alone = world.releasekit(*UNDO, "--no-push")
    unnamed = world.releasekit(*UNDO)
    undone = world.releasekit(*UNDO, "core-v0.1.0")

    assert (alone.code, told(alone)["release"]) == (0, "")
    assert (
        unnamed.code,
        f"`releasekit rollback {plan['release']}` rolls it back" in unnamed.err,
    ) == (2, True)
    assert (told(undone)["held"], told(undone)["remote_tags"]) == (True, ["core-v0.1.0"])
    assert world.state() == before

    repo.save_ref(plan["release"], held)
    lost = world.releasekit(*RELEASE, "--no-push")
    assert (
        lost.code,
        f"{ErrorCode.RECORD_INVALID}: the record of core-v0.1.0 is lost" in lost.err,
    ) == (2, True), lost.err
    assert told(world.releasekit(*UNDO, "--no-push"))["title"] == "core-v0.1.0"
    assert world.state() == before


@pytest.mark.usefixtures("unrecorded", "whole_proofs")
def test_rollback_keeps_true_tags(
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed package: roll back, commit one fix, publish. Healthy packages stay out, blocked ones follow."""
    world = make_world(tmp_path, "core; broken: core; late: broken", RESOLVE_ONLY, broken=BROKEN)
    assert world.releasekit(*RELEASE).code == 1
    release = world.git("rev-parse", "core-v0.1.0^{commit}")
    before = world.state()
    shown = told(world.releasekit("rollback", "--dry-run", "--format", "json"))
    assert world.state() == before

    with monkeypatch.context() as killed:
        killed.setattr(Record, "discard", interrupted)
        assert world.releasekit(*UNDO).code == 130
    undone = world.releasekit(*UNDO)
    left = world.state()
    again = world.releasekit(*UNDO)

    assert (undone.code, again.code, told(again)["release"], world.state()) == (0, 0, "", left), (
        undone.err
    )
    assert told(undone) == {**shown, "held": False, "done": True}
    assert [kept["tag"] for kept in shown["kept_tags"]] == ["core-v0.1.0"]
    assert {package["name"]: package["tag"] for package in shown["public"]} == {
        "core": "core-v0.1.0",
        "broken": "",
    }
    assert (world.tags(), world.git("tag", "--list")) == ({"core-v0.1.0": release}, "core-v0.1.0")
    assert LOCK_REF not in refs(world)

    world.commit("fix: import", {"packages/broken/src/broken/__init__.py": ""})
    world.git("push", "--quiet")
    published = world.releasekit(*RELEASE)
    assert published.code == 0, published.err
    versions = {package["name"]: package["version"] for package in told(published)["packages"]}
    assert versions == {"broken": "0.1.1", "late": "0.1.0"}
    requests = [
        request.uploaded_file
        for request in own_index.requests()
        if request.uploaded_file.startswith("core-")
    ]
    assert len(requests) == 2, "core was sent once"


def test_finished_release_needs_its_name(
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finished release is rolled back by its name alone; its tags are true and stay, unless all are to go."""
    world = make_world(tmp_path, "core")
    assert world.releasekit(*RELEASE, "--no-push").code == 0
    before = world.state()

    unnamed = world.releasekit("rollback", "--yes")
    shown = told(world.releasekit(*UNDO, "core-v0.1.0", "--dry-run"))
    everything = told(world.releasekit(*UNDO, "core-v0.1.0", "--dry-run", "--all-tags"))

    assert (unnamed.code, world.state()) == (0, before)
    assert unnamed.out == (
        "nothing to roll back: no release is unfinished here\n"
        "core-v0.1.0 is finished; `releasekit rollback core-v0.1.0` rolls it back\n"
    )
    assert (shown["tags"], everything["tags"]) == ([], ["core-v0.1.0"])
    assert [kept["tag"] for kept in shown["kept_tags"]] == ["core-v0.1.0"]
    pushing = "origin does not have core-v0.1.0: `git push origin refs/tags/core-v0.1.0`"
    assert pushing in shown["notes"]

    with monkeypatch.context() as killed:
        killed.setattr(Record, "discard", interrupted)
        assert world.releasekit(*UNDO, "core-v0.1.0").code == 130
    undone = told(world.releasekit(*UNDO))
    assert (undone["release"], undone["done"]) == (shown["release"], True), (
        "what was begun is the unfinished one"
    )
    assert world.git("tag", "--list").split() == ["core-v0.1.0"]
    gone = world.releasekit(*UNDO, "core-v0.1.0")
    assert (gone.code, ErrorCode.RELEASE_UNKNOWN in gone.err) == (2, True)
    assert own_index.publish_url in undone["kept"][0]


def test_incomplete_package_loses_its_tag(
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tag that was never made is named; that of a package that is out in part goes, and so does the umbrella tag."""
    assert own_index
    world = make_world(tmp_path, "core; lone")
    with monkeypatch.context() as killed:
        killed.setattr(Repo, "make_tag", interrupted)
        assert world.releasekit(*RELEASE).code == 130
    untagged = told(world.releasekit("rollback", "--dry-run", "--format", "json"))
    (record,) = list_records(Repo(world.root).common_dir)
    manifest = record.require_manifest()
    core = next(package for package in manifest.packages if package.name == "core")
    ghost = core.files[0].model_copy(
        update={"name": core.files[0].name.replace("none-any", "none-linux_x86_64")}
    )
    packages = [
        package.model_copy(update={"files": (*package.files, ghost)})
        if package is core
        else package
        for package in manifest.packages
    ]
    record.amend(packages=tuple(packages))  # as if one file of it had never arrived
    for name in ("core-v0.1.0", "lone-v0.1.0", dated_tag()):
        world.git("tag", name, manifest.release_commit)

    undone = told(world.releasekit(*UNDO))

    assert (untagged["tags"], untagged["kept"]) == ([], [])
    assert any(
        "without a tag: core 0.1.0, lone 0.1.0; the next plan counts" in note
        for note in untagged["notes"]
    )
    assert undone["tags"] == ["core-v0.1.0", dated_tag()]
    assert [kept["tag"] for kept in undone["kept_tags"]] == ["lone-v0.1.0"]
    found = {package["name"]: (package["complete"], package["tag"]) for package in undone["public"]}
    assert found == {"core": (False, ""), "lone": (True, "lone-v0.1.0")}
    assert world.git("tag", "--list") == "lone-v0.1.0"


@pytest.mark.usefixtures("unrecorded", "whole_proofs")
def test_rollback_asks_the_recorded_index(
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index that the release went to is asked, whatever the settings say now, and from any clone."""
    world = make_world(tmp_path, "core; broken", RESOLVE_ONLY, broken=BROKEN)
    monkeypatch.setenv(
        "UV_PUBLISH_CHECK_URL", own_index.simple_url.replace("://", "://ada:hunter2@")
    )
    assert world.releasekit(*RELEASE).code == 1
    held = world.git("show", f"{refs(world)[LOCK_REF]}:manifest.json")
    (record,) = list_records(Repo(world.root).common_dir)
    for text in (held, (record.directory / "manifest.json").read_text()):
        assert "hunter2" not in text
        assert json.loads(text)["indexes"] == [
            {"name": "", "check_url": own_index.simple_url, "publish_url": own_index.publish_url}
        ]
    other = tmp_path / "other"
    world.git("clone", "--quiet", str(world.remote), str(other))
    clone = World(other, world.remote)

    for name in ("UV_PUBLISH_URL", "UV_PUBLISH_CHECK_URL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")  # nobody is there
    for found in (
        told(world.releasekit(*UNDO, "--dry-run")),
        told(clone.releasekit(*UNDO, record.release, "--dry-run")),
    ):
        assert {package["name"]: package["page"] for package in found["public"]} == {
            "core": f"{own_index.simple_url}core/",
            "broken": f"{own_index.simple_url}broken/",
        }
        assert [kept["tag"] for kept in found["kept_tags"]] == ["core-v0.1.0"]
    with embedded_index(make_directory(tmp_path / "empty")) as empty:
        named = told(world.releasekit(*UNDO, "--dry-run", "--check-url", empty.simple_url))
    assert (named["public"], named["tags"]) == ([], ["core-v0.1.0"]), "that one alone is asked"
    assert named["notes"][-1] == (
        f"not asked, because you named another index: {own_index.simple_url}, where this release was published"
    )
    record.amend(indexes=())  # as before it was put on record
    refused = world.releasekit(*UNDO)
    assert (refused.code, "`releasekit rollback --check-url URL`" in refused.err) == (2, True), (
        refused.err
    )
    assert "core-v0.1.0" in world.tags(), "nobody can say what is public, so nothing is taken away"
    undone = told(world.releasekit(*UNDO, "--check-url", own_index.simple_url))
    assert (undone["done"], len(undone["public"])) == (True, 2)


def make_directory(path: Path) -> Path:
    """Return the new directory *path*."""
    path.mkdir()
    return path
