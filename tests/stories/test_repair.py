"""What is left half done is found, and completed forward, on real git and uv, an index with faults, and a GitHub."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from datetime import UTC, datetime
from itertools import repeat
from typing import TYPE_CHECKING, Any

import pytest

from releasekit.core.errors import ErrorCode
from releasekit.operations import repair_steps, yank_version
from tests.support.fault_index import AWAY, FaultIndex, fault_index
from tests.support.github import WRITER, GitHubDouble
from tests.support.world import World, dated_tag, make_world

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

RELEASE = ("publish", "--yes", "--skip-audit", "--skip-smoke-test", "--format", "json")


def repair(world: World, *words: str) -> tuple[int, dict[str, Any]]:
    """Return exit code and report of `repair`."""
    said = world.releasekit("repair", *words, "--format", "json")
    return said.code, json.loads(said.out) if said.out else {"error": said.err}


def kinds(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what was found, and about what."""
    return [
        (finding["kind"], finding["package"] or finding["tag"]) for finding in report["findings"]
    ]


def released_world(
    directory: Path, hub: GitHubDouble, index: FaultIndex | EmbeddedIndex, keys: str = ""
) -> World:
    """Release two packages to *index*, from a repository on *hub*, with more *keys* in the configuration."""
    made = make_world(directory, "one; two: one")
    world = World(made.root, hub.bare)
    world.git("remote", "set-url", "origin", hub.remote)
    text = (world.root / "pyproject.toml").read_text()
    addresses = f'publish_url = "{index.publish_url}"\ncheck_url = "{index.simple_url}"'
    table = f'[tool.releasekit]\nforge = "github"\n{addresses}\n{keys}'
    world.commit("chore: configure", {"pyproject.toml": f"{text}\n{table}"})
    world.git("push", "--quiet", "origin", "main")
    said = world.releasekit(*RELEASE)
    assert said.code == 0, said.err + said.out
    return world


def fail_in_the_middle(patch: pytest.MonkeyPatch, index: FaultIndex) -> None:
    """Let the index go down once a repair is about to upload."""
    upload = repair_steps.upload_files

    async def upload_in_vain(step: repair_steps.Repair) -> None:
        index.on_page("two", repeat(AWAY))
        await upload(step)

    patch.setattr(repair_steps, "upload_files", upload_in_vain)


def end_here(*_: object) -> None:
    """End the program, as Ctrl-C does."""
    raise KeyboardInterrupt


def repair_lost_page(world: World, hub: GitHubDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lose tags here, and the sums and the state of the page; without a token, only the tags are missed."""
    (again,) = hub.releases.values()
    again["draft"] = True
    again["assets"].clear()
    world.git("tag", "--delete", "one-v0.1.0", dated_tag())
    monkeypatch.setenv("GH_TOKEN", "wrong")
    code, report = repair(world)
    assert kinds(report) == [("tag_not_here", "one"), ("tag_not_here", dated_tag())]
    assert "the forge was not asked" in str(report["unasked"])
    monkeypatch.setenv("GH_TOKEN", WRITER)
    code, report = repair(world, "--apply", "--yes")
    names = [text.partition(" ")[0] for text in report["repaired"]]
    lost_again = ["tag_not_here", "tag_not_here", "draft_left_over", "release_without_assets"]
    assert (code, names) == (0, lost_again), report
    (again,) = hub.releases.values()
    assert (again["draft"], len(again["assets"])) == (False, 1)
    tags = world.git("tag", "--list").split()
    assert tags == ["one-v0.1.0", dated_tag(), "two-v0.1.0"]


@pytest.mark.usefixtures("unrecorded")
def test_half_done_release_is_repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tag, file, page and changelog are missed and completed; after a fault or a kill, the next run goes on."""
    hub = GitHubDouble(tmp_path / "hub")
    with hub.serving(), fault_index() as index:
        monkeypatch.setenv("GH_TOKEN", WRITER)
        monkeypatch.setenv("UV_PUBLISH_TOKEN", "secret")
        monkeypatch.setattr("releasekit.integrations.http.FIRST_DELAY", 0.01)
        world = released_world(tmp_path, hub, index)
        for words in ((), ("--all",), (dated_tag(),)):
            code, report = repair(world, *words)
            assert (code, report.get("findings")) == (0, []), report
        sent = len(index.uploads)
        (page,) = hub.releases.values()
        hub.releases.clear()
        world.git("tag", "--delete", "one-v0.1.0")
        world.git("push", "--quiet", "--delete", "origin", "one-v0.1.0")
        lost = index.files["two"].pop("two-0.1.0.tar.gz")
        (world.root / "packages/one/CHANGELOG.md").write_text("# Changelog\n")
        before = world.state()
        code, report = repair(world)
        found = [("published_not_tagged", "one"), ("files_incomplete", "two")]
        assert (code, kinds(report)) == (1, found), report
        assert kinds(repair(world, "--package", "two")[1]) == found[1:]
        checked = world.releasekit("check", "--releases", "--select", "cycles", "--format", "json")
        assert json.loads(checked.out)["releases"]["findings"] == report["findings"]
        assert repair(world, "--apply")[0] == 2, "there is nobody to ask"
        assert world.state() == before
        index.on_page("one", repeat(AWAY))
        code, report = repair(world)
        assert (code, ErrorCode.INDEX_UNREACHABLE in report["error"]) == (2, True)
        index.heal()

        with monkeypatch.context() as patch:
            fail_in_the_middle(patch, index)
            code, report = repair(world, "--apply", "--yes")
        assert (code, ErrorCode.INDEX_UNREACHABLE in report["error"]) == (1, True)
        assert "one-v0.1.0" in world.tags()
        index.heal()
        with monkeypatch.context() as patch:
            patch.setattr(repair_steps, "create_page", end_here)
            assert repair(world, "--apply", "--yes")[0] == 130
        assert world.git("worktree", "list").count("\n") == 0
        assert index.files["two"]["two-0.1.0.tar.gz"] == lost
        code, report = repair(world, "--apply", "--yes")
        assert (code, report["findings"], report["problems"]) == (0, [], []), report
        assert report["repaired"] == [f"release_missing of {dated_tag()}"]
        assert set(world.tags()) == {"one-v0.1.0", "two-v0.1.0", dated_tag()}
        assert "## [0.1.0]" in (world.root / "packages/one/CHANGELOG.md").read_text()
        (again,) = hub.releases.values()
        assert again["body"] == page["body"]
        assert [asset["name"] for asset in again["assets"]] == ["SHA256SUMS"]
        assert index.sent()[sent:] == ["two-0.1.0.tar.gz"], "nothing else is sent"
        repair_lost_page(world, hub, monkeypatch)


SHARED = 'versioning = "fixed"\ntag_format = "v{version}"\nchangelog = false\nworkspace_changelog = "NEWS.md"\n'


@pytest.mark.usefixtures("unrecorded")
def test_workspace_changelog_is_repaired(
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A section that the changelog of the workspace has lost is one finding; the reason of a yank is written there."""
    hub = GitHubDouble(tmp_path / "hub")
    with hub.serving():
        monkeypatch.setenv("GH_TOKEN", WRITER)
        world = released_world(tmp_path, hub, own_index, SHARED)
        news = world.root / "NEWS.md"
        whole = news.read_text()
        assert repair(world, "--all")[1]["findings"] == []
        news.write_text("# News\n")

        code, report = repair(world)
        assert (code, kinds(report)) == (1, [("changelog_missing", "v0.1.0")]), report
        code, report = repair(world, "--apply", "--yes")
        assert (code, report["findings"]) == (0, []), report
        section = whole.partition("## ")[2]
        assert news.read_text() == f"# News\n\n## {section}"

        for name in ("one", "two"):
            words = (
                "yank",
                name,
                "0.1.0",
                "--reason",
                f"{name} fails",
                "--yes",
                "--format",
                "json",
            )
            said = world.releasekit(*words)
            assert said.code == 0, said.err
            assert json.loads(said.out)["done"][1] == "NEWS.md has the reason; commit it"
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        for name in ("one", "two"):
            assert news.read_text().count(f"**{name} yanked on {day}:** {name} fails") == 1

        world.git("checkout", "--quiet", "--", "NEWS.md")
        configuration = world.root / "pyproject.toml"
        text = configuration.read_text().replace('"NEWS.md"', '"docs/HISTORY.md"')
        world.commit("chore: another file", {"pyproject.toml": text})
        assert repair(world, "--all")[1]["findings"] == [], "the release did not write this file"


@pytest.mark.usefixtures("unrecorded")
def test_rebuilt_version_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 0 if the tag gives the same bytes and sums, 1 if one of them differs, 2 if it cannot be compared."""
    hub = GitHubDouble(tmp_path / "hub")
    with hub.serving(), fault_index() as index:
        monkeypatch.setenv("GH_TOKEN", WRITER)
        monkeypatch.setenv("UV_PUBLISH_TOKEN", "secret")
        monkeypatch.setattr("releasekit.integrations.http.FIRST_DELAY", 0.01)
        world = released_world(tmp_path, hub, index)
        shutil.rmtree(world.root / ".git/releasekit")
        world.commit("feat: later", {"packages/two/src/two/__init__.py": "LATER = True\n"})
        before = world.state()

        said = world.releasekit("verify", "two", "0.1.0", "--format", "json")

        assert said.code == 0, said.out + said.err
        result = json.loads(said.out)
        assert (result["schema"], result["tag"]) == ("releasekit.verify/1", "two-v0.1.0")
        assert [
            (file["published"] == file["rebuilt"], file["sums"]) for file in result["files"]
        ] == [
            (True, "same"),
            (True, "same"),
        ]
        assert world.state() == before

        wheel = "two-0.1.0-py3-none-any.whl"
        changed = io.BytesIO(index.files["two"][wheel])
        with zipfile.ZipFile(changed, "a") as archive:
            archive.writestr("two/extra.py", "EXTRA = True\n")
        index.files["two"][wheel] = changed.getvalue()
        said = world.releasekit("verify", "two", "0.1.0", "--format", "json")
        (differing,) = [file for file in json.loads(said.out)["files"] if file["name"] == wheel]
        members = [(member["member"], member["kind"]) for member in differing["members"]]
        assert (said.code, members) == (1, [("two/extra.py", "only_published")])
        assert differing["sums"] == "differs"

        index.on_page("two", repeat(AWAY))
        for words, code in (
            (("two", "0.1.0"), ErrorCode.INDEX_UNREACHABLE),
            (("two", "9"), ErrorCode.RELEASE_UNKNOWN),
            (("six", "1"), ErrorCode.WORKSPACE_UNKNOWN_PACKAGE),
        ):
            said = world.releasekit("verify", *words)
            assert (said.code, f"error: {code}" in said.err) == (2, True), said.err
        assert world.state() == before


@pytest.mark.usefixtures("unrecorded")
def test_yank_is_recorded_everywhere(
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index with an interface yanks; changelog and page get the reason; a killed yank is completed, once."""
    hub = GitHubDouble(tmp_path / "hub")
    with hub.serving():
        monkeypatch.setenv("GH_TOKEN", WRITER)
        world = released_world(tmp_path, hub, own_index)
        before = world.state()
        words = ("yank", "one", "0.1.0", "--reason", "it deletes files", "--format", "json")

        said = world.releasekit(*words, "--dry-run")
        assert said.code == 0, said.err
        report = json.loads(said.out)
        assert (report["fixed"], report["fallback"], report["can_yank"]) == ("", "", True)
        (dependent,) = report["dependents"]
        assert (dependent["package"], dependent["requirement"]) == ("two", "one==0.1.0")
        assert (dependent["keeps_it"], report["requirements"]) == (True, ["two: one"])
        refused = world.releasekit(*words)
        assert (refused.code, ErrorCode.NOT_CONFIRMED in refused.err) == (2, True)
        absent = world.releasekit("yank", "one", "9", "--reason", "no", "--yes")
        assert (absent.code, ErrorCode.RELEASE_UNKNOWN in absent.err) == (2, True)
        with monkeypatch.context() as patch:
            patch.setenv("UV_PUBLISH_TOKEN", "wrong")
            denied = world.releasekit(*words, "--yes")
        assert (denied.code, ErrorCode.YANK_REFUSED in denied.err) == (1, True)
        assert world.state() == before

        with monkeypatch.context() as patch:
            patch.setattr(yank_version, "write_notes", end_here)
            assert world.releasekit(*words, "--yes").code == 130
        said = world.releasekit(*words, "--yes")
        assert said.code == 0, said.err
        report = json.loads(said.out)
        assert (report["is_yanked"], report["remaining"], len(report["done"])) == (True, [], 2)
        text = (world.root / "packages/one/CHANGELOG.md").read_text()
        assert f"**Yanked on {datetime.now(UTC):%Y-%m-%d}:** it deletes files" in text
        (page,) = hub.releases.values()
        assert page["body"].startswith("> **one 0.1.0 is yanked:** it deletes files\n\n")
        again = json.loads(world.releasekit(*words, "--yes").out)
        assert (again["is_yanked"], again["done"]) == (True, [])


@pytest.mark.usefixtures("unrecorded")
def test_yank_names_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an interface for yanks, as on PyPI, a person is told what to open; the later version replaces it."""
    with fault_index() as index:
        monkeypatch.setenv("UV_PUBLISH_TOKEN", "secret")
        world = make_world(tmp_path, "one")
        world.lock()
        index.files["one"] = {f"one-{version}.tar.gz": b"" for version in ("0.1.0", "0.2.0")}
        where = ("--publish-url", index.publish_url, "--check-url", index.simple_url)

        words = ("yank", "one", "0.1.0", "--reason", "it deletes files", "--yes")
        said = world.releasekit(*words, *where)

        assert said.code == 0, said.err
        assert f"= next: open {index.simple_url}/one/ and yank 0.1.0 there" in said.out
        assert "one 0.1.0 is not yanked: 0 published dependents, 0 broken" in said.out
        assert "release a fixed version first" not in said.out
        monkeypatch.setattr("releasekit.integrations.http.FIRST_DELAY", 0.01)
        index.on_page("one", repeat(AWAY))
        said = world.releasekit(*words, *where)
        assert (said.code, f"error: {ErrorCode.INDEX_UNREACHABLE}" in said.err) == (2, True)
