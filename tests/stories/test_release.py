"""Whole releases: a real workspace, a real remote, a real index, a real Prefect server."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from examples.orchard_repository import WORKSPACE, make
from releasekit.core.errors import ErrorCode
from releasekit.integrations.archives import read_archive
from releasekit.integrations.git import clone
from releasekit.integrations.listing_delays import read_delays
from tests.support.world import World, dated_tag, make_world

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex


def orchard(directory: Path) -> World:
    """Make the example workspace, and a clone of it as a maintainer has one."""
    make(directory)
    clone(str(directory / "orchard.git"), directory / "clone")
    world = World(directory / "clone", directory / "orchard.git")
    world.git("config", "user.name", "Ada")
    world.git("config", "user.email", "ada@example.invalid")
    return world


def pins_of(world: World, release: str) -> dict[str, dict[str, str]]:
    """Return for each released package its requirements as written in its wheel's METADATA."""
    found: dict[str, dict[str, str]] = {}
    for path in (world.root / ".git" / "releasekit" / release / "dist").glob("*/*.whl"):
        written = read_archive(path).values("Requires-Dist")
        found[path.parent.name] = {
            canonicalize_name(r.name): str(r) for r in map(Requirement, written)
        }
    return found


def uploads(index: EmbeddedIndex) -> list[str]:
    """Return the names of all files that the index took, in order."""
    return [request.uploaded_file for request in index.requests() if request.uploaded_file]


def confirmed_before_dependents(index: EmbeddedIndex, needs: dict[str, list[str]]) -> bool:
    """Tell whether no file was sent before each hard dependency was seen on the simple page with all its files."""
    log = index.requests()
    sent = {
        name: [
            n for n, r in enumerate(log) if r.uploaded_file.startswith(f"{name.replace('-', '_')}-")
        ]
        for name in needs
    }
    pages = {
        name: [n for n, r in enumerate(log) if r.path.endswith(f"/simple/{name}/")]
        for name in needs
    }
    return all(
        any(max(sent[need]) < page < min(sent[name]) for page in pages[need])
        for name in needs
        for need in needs[name]
    )


@pytest.mark.usefixtures("prefect_api", "whole_proofs")
def test_every_changed_package_is_published(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Every changed package goes out once, in order and pinned, tagged and pushed; then there is nothing to do.

    The remote is read from a mirror that is behind: what was pushed is looked for where it was pushed.
    """
    world = orchard(tmp_path)
    mirror = tmp_path / "mirror.git"
    world.git("clone", "--quiet", "--bare", str(world.remote), str(mirror))
    world.git("config", "remote.origin.pushurl", str(world.remote))
    world.git("config", "remote.origin.url", str(mirror))
    expected = json.loads((WORKSPACE.parent / "orchard.expected.json").read_text())["members"]
    planned = json.loads(world.releasekit("plan", "--format", "json").out)
    before = world.git("rev-parse", "HEAD")

    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json")

    assert said.code == 0, said.err
    report = json.loads(said.out)
    assert {p["name"]: p["version"] for p in report["packages"]} == {
        name: member["next"] for name, member in expected.items() if member["next"]
    }
    assert {package["outcome"] for package in report["packages"]} == {"confirmed"}
    assert len(uploads(own_index)) == len(set(uploads(own_index))) == 2 * len(report["packages"])
    assert confirmed_before_dependents(
        own_index, {row["name"]: row["needs"] for row in planned["packages"] if row["order"] >= 0}
    )
    assert len(read_delays(own_index.simple_url)) >= len(report["packages"])
    head = world.git("rev-parse", "HEAD")
    assert world.git("rev-parse", "HEAD^") == before
    assert world.git("log", "-1", "--format=%s") == f"chore(release): {report['title']}"
    assert "uv.lock" in world.git("show", "--format=", "--name-only", head)
    assert world.git("status", "--porcelain") == ""
    new_tags = {*(package["tag"] for package in report["packages"]), report["title"]}
    assert {name for name, commit in world.tags().items() if commit == head} == new_tags
    assert world.git("ls-remote", str(world.remote), "refs/heads/main").split()[0] == head
    assert len(world.git("worktree", "list").splitlines()) == 1
    pins = pins_of(world, report["release"])
    assert (
        pins["orchard-press"]["orchard-store"]
        == 'orchard-store[fast]==0.4.0; python_full_version >= "3.9"'
    )
    assert pins["orchard-core"]["orchard-market"] == 'orchard-market==0.9.1; extra == "all"'
    assert pins["orchard-market"]["idna"].startswith("idna>=")

    again = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json")

    assert (again.code, json.loads(again.out)["packages"]) == (0, [])
    assert len(uploads(own_index)) == 2 * len(report["packages"])
    assert world.git("rev-parse", "HEAD") == head

    world.commit("fix: keep longer", {"packages/store/src/orchard_store/more.py": ""})
    [warning] = json.loads(world.releasekit("plan", "--format", "json").out)["warnings"]
    assert (
        "orchard-core[all] 1.3.0 requires orchard-store==0.4.0, not 0.4.1, orchard-market "
        in warning
    )
    assert (
        "`releasekit publish --force-unchanged -p orchard-core -p orchard-market -p orchard-press` rel"
        in warning
    )


@pytest.mark.usefixtures("unrecorded", "whole_proofs")
def test_rehearsal_leaves_no_trace(tmp_path: Path) -> None:
    """A rehearsal does all of it elsewhere, shows the pins, and leaves repository and remote as they are."""
    world = orchard(tmp_path)
    before = world.state()

    said = world.releasekit("publish", "--rehearse", "--skip-audit")

    assert said.code == 0, said.err
    assert "orchard_press-2.0.0-py3-none-any.whl" in said.out
    assert 'orchard-store[fast]==0.4.0; python_full_version >= "3.9"' in said.out
    assert world.state() == before


@pytest.mark.usefixtures("unrecorded")
def test_any_branch_can_be_rehearsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`allow_branches` keeps a feature branch from being published, and not from being rehearsed.

    The index of the rehearsal is on this machine, so a proxy that cannot reach it does not matter.
    """
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    world = make_world(tmp_path, "orchard-shed", 'allow_branches = ["main"]')
    world.git("switch", "--quiet", "--create", "feature/pears")
    before = world.state()

    refused = world.releasekit("publish", "--dry-run", "--offline", "--skip-audit")
    quick = ("--skip-audit", "--skip-smoke-test", "--format", "html")
    rehearsed = world.releasekit("publish", "--rehearse", *quick)

    assert (refused.code, ErrorCode.BRANCH_NOT_ALLOWED in refused.err) == (2, True), refused.err
    assert rehearsed.code == 0, rehearsed.err
    assert '<td class="confirmed">confirmed</td>' in rehearsed.out
    assert re.search(r"orchard-shed: \d+\.\d s of work", rehearsed.out)
    assert world.state() == before


LATER = """\
import pathlib, time

deadline = time.monotonic() + 60
while not pathlib.Path({path!r}).exists() and time.monotonic() < deadline:
    time.sleep(0.1)
time.sleep(2)
"""
"""A module that is imported when the file at *path* is there, and two seconds more."""


@pytest.mark.usefixtures("unrecorded", "own_index", "whole_proofs")
def test_failure_stops_its_dependents_alone(
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that fails blocks those that need it; the rest goes out at once, and the truth is told."""
    # Else it would be found before anything is uploaded.
    monkeypatch.setenv("RELEASEKIT_OVERLAY", "resolve")
    tested = tmp_path / "app-is-tested"
    world = make_world(
        tmp_path,
        "app: core; core; slow; broken; late: broken; later: late",
        app=f"import pathlib; pathlib.Path({str(tested)!r}).touch()",
        slow=LATER.format(path=str(tested)),
        broken="raise RuntimeError('does not import')",
    )

    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json")

    assert said.code == 1
    report = json.loads(said.out)
    assert {package["name"]: package["outcome"] for package in report["packages"]} == {
        "app": "confirmed",
        "core": "confirmed",
        "slow": "confirmed",
        "broken": "failed",
        "late": "blocked",
        "later": "blocked",
    }
    broken = next(package for package in report["packages"] if package["name"] == "broken")
    assert broken["error"].startswith("RK-SMOKE-TEST-FAILED")
    assert "does not import" in broken["output"]
    assert said.err.index("published app") < said.err.index("published slow"), "app waited for slow"
    sent = {name.partition("-")[0] for name in uploads(own_index)}
    assert sent == {"app", "core", "slow", "broken"}
    assert set(world.tags()) == {"app-v0.1.0", "core-v0.1.0", "slow-v0.1.0"}, (
        "only what is out is tagged"
    )

    again = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json")

    assert again.code == 1
    assert ("resuming" in said.err, again.err.count("resuming")) == (False, 1)
    assert len(uploads(own_index)) == len(set(uploads(own_index))), "a file was sent twice"


@pytest.mark.usefixtures("unrecorded")
def test_failed_build_prevents_every_upload(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A package that does not build ends the release before the first upload; mended, the next run releases all."""
    world = make_world(tmp_path, "app: core; core; odd")
    (world.root / "packages/odd/src/odd/__init__.py").unlink()
    (world.root / "packages/odd/src/odd/readme.txt").write_text("no module here")
    world.commit("fix: lose the module")
    world.git("push", "--quiet")
    before = world.state()

    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json")

    assert said.code == 1
    report = json.loads(said.out)
    assert {package["name"]: package["outcome"] for package in report["packages"]}[
        "odd"
    ] == "failed"
    assert uploads(own_index) == []
    assert world.state() == before

    world.commit("fix: find it again", {"packages/odd/src/odd/__init__.py": ""})
    world.git("push", "--quiet")
    assert world.releasekit("publish", "--yes", "--skip-audit").code == 0
    assert len(uploads(own_index)) == 6


@pytest.mark.usefixtures("unrecorded", "whole_proofs")
def test_failed_import_wastes_no_version(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """What cannot be imported is found when all is built and nothing is uploaded; once fixed, the same versions go out.

    So it is where the files are built for somebody else to publish, and not where only versions are wanted.
    """
    world = make_world(
        tmp_path, "app: core; core; broken", broken="raise RuntimeError('does not import')"
    )
    before = world.state()

    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json")
    staged = world.releasekit(
        "publish", "--stage-only", "--output", str(tmp_path / "out"), "--skip-audit"
    )
    untested = world.releasekit("publish", "--stage-only", "--skip-smoke-test", "--skip-audit")
    world.releasekit("rollback", "--yes")

    assert said.code == 1, said.err
    report = json.loads(said.out)
    assert {row["name"]: row["outcome"] for row in report["packages"]} == {
        "app": "built",
        "core": "built",
        "broken": "failed",
    }
    broken = next(row for row in report["packages"] if row["name"] == "broken")
    assert broken["error"].startswith(
        "RK-STAGED-IMPORT-FAILED: the built broken 0.1.0 cannot be imported"
    )
    assert "does not import" in broken["output"]
    assert report["notes"] == ["nothing was uploaded, and the release was discarded"]
    assert said.err.index("proving") < said.err.index("proven app 0.1.0")
    assert (staged.code, "RK-STAGED-IMPORT-FAILED" in staged.out + staged.err) == (1, True), (
        staged.err
    )
    assert not (tmp_path / "out").exists()
    assert untested.code == 0, untested.err
    assert world.state() == before
    assert uploads(own_index) == []

    assert world.releasekit("publish", "--version-only", "--yes", "--skip-audit").code == 0
    world.commit("fix: import", {"packages/broken/src/broken/__init__.py": ""})
    world.git("push", "--quiet")
    ended = world.releasekit("publish", "--yes", "--skip-audit")
    assert ended.code == 0, ended.err
    assert {name.split("-")[1] for name in uploads(own_index) if name.endswith(".whl")} == {"0.1.0"}


@pytest.mark.usefixtures("unrecorded", "own_index")
def test_failed_build_keeps_other_findings(tmp_path: Path) -> None:
    """A release that one package stops tells what verification found in the others, too."""
    world = make_world(tmp_path, "app; core", core="def f(:\n")
    world.commit("chore: leave something", {"packages/app/src/app/.DS_Store": "x"})
    world.git("push", "--quiet")

    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json")

    assert said.code == 1
    rows = {row["name"]: row for row in json.loads(said.out)["packages"]}
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "app": "built",
        "core": "failed",
    }
    rules = {name: {finding["rule"] for finding in row["findings"]} for name, row in rows.items()}
    assert rules == {"app": {"RK-VERIFY-LEFTOVER"}, "core": {"RK-VERIFY-SYNTAX"}}
    assert rows["app"]["files"] == []


@pytest.mark.usefixtures("unrecorded", "whole_proofs")
def test_cycle_is_released_as_batch(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Packages that need each other go out together, as `init` proposes, and what needs them goes after all."""
    world = make_world(tmp_path, "egg: hen; hen: egg; farm: hen")
    assert world.releasekit("plan").code == 2
    proposed = world.releasekit("init", "--yes")
    assert (proposed.code, "no plan can be made" in proposed.err) == (0, False)
    lines = (
        "# Packages that require each other are released together: egg -> hen -> egg.\n"
        'cycles = "batch"\n'
    )
    text = (world.root / "pyproject.toml").read_text()
    assert lines in text
    world.commit("chore: adopt releasekit", {"pyproject.toml": text})
    world.git("push", "--quiet")

    said = world.releasekit("publish", "--yes", "--skip-audit")

    assert said.code == 0, said.err
    order = [name.partition("-")[0] for name in uploads(own_index)]
    assert set(order[:4]) == {"egg", "hen"}
    assert set(order[4:]) == {"farm"}


@pytest.mark.usefixtures("unrecorded")
def test_older_sibling_is_left_alone(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A requirement that the declared version does not satisfy means an older release: no pin, no gate."""
    world = make_world(tmp_path, "app: core<1; core")
    assert world.releasekit("publish", "--yes", "--skip-audit").code == 0
    pyproject = (world.root / "packages/core/pyproject.toml").read_text()
    world.commit(
        "feat!: another core", {"packages/core/pyproject.toml": pyproject.replace("0.1.0", "2.0.0")}
    )
    world.commit("fix: app", {"packages/app/src/app/__init__.py": "FIXED = True\n"})
    world.lock()
    world.git("push", "--quiet")

    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json")

    assert said.code == 0, said.err
    report = json.loads(said.out)
    assert {package["name"]: package["version"] for package in report["packages"]} == {
        "app": "0.1.1",
        "core": "2.0.0",
    }
    assert pins_of(world, report["release"])["app"]["core"] == "core<1"
    assert "RK-WORKSPACE-REQUIREMENT" in said.err
    assert any(name.startswith("core-2.0.0") for name in uploads(own_index))


@pytest.mark.usefixtures("unrecorded", "own_index")
def test_umbrella_tag_needs_several_packages(tmp_path: Path) -> None:
    """Independent packages get a dated umbrella tag, one alone has only its tag, and each next release begins there."""
    world = make_world(tmp_path, "app; core; lone")

    def release(*argv: str) -> dict[str, str]:
        """Publish; return the released versions. The title names the commit, and is a tag there."""
        said = world.releasekit(
            "publish", "--yes", "--skip-audit", "--skip-smoke-test", "--format", "json", *argv
        )
        assert said.code == 0, said.err
        report = json.loads(said.out)
        assert world.git("log", "-1", "--format=%s") == f"chore(release): {report['title']}"
        new_tags = {tag for tag, commit in world.tags().items() if commit == report["commit"]}
        assert new_tags == {*(package["tag"] for package in report["packages"]), report["title"]}
        titles.append(report["title"])
        return {package["name"]: package["version"] for package in report["packages"]}

    def change(*names: str) -> None:
        files = {f"packages/{name}/src/{name}/more.py": f"MORE = {len(titles)}\n" for name in names}
        world.commit("feat: more", files)
        world.git("push", "--quiet")

    titles: list[str] = []
    assert release() == {"app": "0.1.0", "core": "0.1.0", "lone": "0.1.0"}
    change("core")
    assert release() == {"core": "0.2.0"}
    change("app", "core")
    assert release() == {"app": "0.2.0", "core": "0.3.0"}
    assert titles == [dated_tag(), "core-v0.2.0", f"{dated_tag()}.2"]

    world.git("commit", "--quiet", "--amend", "--message", "Release of today (#4)")
    for tag in ("app-v0.2.0", "core-v0.3.0", titles[-1]):
        world.git("tag", "--force", tag)
    plan = json.loads(world.releasekit("plan", "--offline", "--format", "json").out)
    assert {row["name"]: row["current"] for row in plan["packages"]} == {
        "app": "0.2.0",
        "core": "0.3.0",
        "lone": "0.1.0",
    }
    assert (plan["tags"], plan["warnings"]) == ([], [])
    undone = json.loads(
        world.releasekit("rollback", "core-v0.2.0", "--dry-run", "--format", "json").out
    )
    assert (undone["title"], [kept["tag"] for kept in undone["kept_tags"]]) == (
        "core-v0.2.0",
        ["core-v0.2.0"],
    )


@pytest.mark.usefixtures("unrecorded", "whole_proofs")
@pytest.mark.parametrize(
    ("flag", "tags", "pushed", "commands"),
    [
        ("--no-tag", {"core-v0.1.0"}, True, "smoke-test"),
        ("--no-push", {"core-v0.1.0", "core-v0.1.1"}, False, "smoke-test"),
        ("--skip-smoke-test", {"core-v0.1.0", "core-v0.1.1"}, True, ""),
    ],
)
@pytest.mark.usefixtures("own_index")
def test_flag_skips_one_step_only(
    tmp_path: Path, flag: str, tags: set[str], pushed: bool, commands: str
) -> None:
    """What an option switches off does not happen, and all else does."""
    world = make_world(tmp_path, "core")
    world.git("tag", "core-v0.1.0")
    world.commit("fix: core", {"packages/core/src/core/__init__.py": "FIXED = True\n"})

    said = world.releasekit("-v", "publish", "--yes", "--skip-audit", flag)

    assert said.code == 0, said.err
    assert set(world.git("tag", "--list").split()) == tags
    assert (
        world.git("ls-remote", str(world.remote), "main").split()[0]
        == world.git("rev-parse", "HEAD")
    ) is pushed
    assert ("module_importer" in said.err) is bool(commands)
