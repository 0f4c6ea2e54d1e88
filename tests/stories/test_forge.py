"""Releases on a forge, with a real repository behind it and a real index."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from releasekit.core.changelog.note_entries import NoteChange, PackageNotes
from releasekit.core.errors import ErrorCode
from releasekit.integrations.git import Repo
from releasekit.integrations.notes_sources import commits_in_notes
from tests.support.builders import plan_of, settings_of
from tests.support.github import READER, WRITER, Answer, GitHubDouble
from tests.support.world import Said, World, dated_tag, empty_world, make_world

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

RELEASE = ("publish", "--yes", "--skip-audit", "--skip-smoke-test", "--format", "json")


@pytest.fixture
def hub(tmp_path: Path) -> Generator[GitHubDouble]:
    """Run a GitHub with an empty repository."""
    double = GitHubDouble(tmp_path / "hub")
    with double.serving():
        yield double


def on_hub(directory: Path, hub: GitHubDouble, graph: str, table: str = "") -> World:
    """Make a workspace whose remote is on *hub*."""
    made = make_world(directory, graph)
    world = World(made.root, hub.bare)
    world.git("remote", "set-url", "origin", hub.remote)
    text = (world.root / "pyproject.toml").read_text()
    settings = f'\n[tool.releasekit]\nforge = "github"\n{table}\n'
    world.commit("chore: configure", {"pyproject.toml": text + settings})
    world.git("push", "--quiet", "origin", "main")
    return world


def report(said: Said) -> dict[str, object]:
    """Return the report that a release has printed."""
    return json.loads(said.out)


def test_github_release_follows_its_tags(
    tmp_path: Path,
    hub: GitHubDouble,
    own_index: EmbeddedIndex,
    monkeypatch: pytest.MonkeyPatch,
    prefect_api: str,
) -> None:
    """The release stands on GitHub, with notes, when all its tags do; what failed half-way is done in the next run."""
    world = on_hub(tmp_path, hub, "one; two; three; four", "concurrency = 1\nsbom = true")
    monkeypatch.setenv("GH_TOKEN", WRITER)
    pyproject = (world.root / "packages/one/pyproject.toml").read_text("utf-8")
    world.commit(
        "chore: before", {"packages/one/pyproject.toml": pyproject.replace("0.1.0", "0.0.9")}
    )
    world.git("tag", "one-v0.0.9")
    world.commit("chore: after", {"packages/one/pyproject.toml": pyproject})
    work = world.commit("feat: pears", {"packages/one/src/one/__init__.py": "PEARS = True\n"})
    world.git("push", "--quiet", "origin", "main", "HEAD:refs/heads/work", "one-v0.0.9")
    world.git("fetch", "--quiet", "--tags")
    number = hub.pull("feat: pears", "work", author="bea", labels=["fruit"])
    hub.pulls[number] |= {
        "merged_at": "2026-11-22T00:00:00Z",
        "merge_commit_sha": work,
        "state": "closed",
    }
    hub.pull_of[work] = number
    refused = Answer(422, {"message": "Validation Failed", "errors": ["not today"]})
    hub.fail("POST", "releases$", refused)

    said = world.releasekit(*RELEASE)

    assert (said.code, report(said)["pushed"], report(said)["page"]) == (1, True, "")
    assert f"{ErrorCode.FORGE_REFUSED}: 422 for POST" in str(report(said)["problems"])
    assert "not today" in str(report(said)["problems"])
    tags = {"one-v0.1.0", "two-v0.1.0", "three-v0.1.0", "four-v0.1.0", dated_tag(), "one-v0.0.9"}
    assert set(world.tags()) == tags, "what is out is tagged"

    again = world.releasekit(*RELEASE)

    assert again.code == 0, again.out
    (release,) = hub.releases.values()
    assert report(again)["page"] == release["html_url"]
    asked = {"artifacts": {"key": {"any_": ["on-the-forge"]}}, "limit": 200}
    links = httpx.post(f"{prefect_api}/artifacts/filter", json=asked).raise_for_status().json()
    assert f"[{dated_tag()}]({release['html_url']})" in [link["data"] for link in links]
    assert (release["tag_name"], release["name"], release["draft"]) == (
        dated_tag(),
        dated_tag(),
        False,
    )
    assert f"- pears ([#{number}]({hub.url}/ada/engine/pull/{number})) by @bea" in release["body"]
    assert f"| [one]({own_index.simple_url.rstrip('/')}/one/) | 0.1.0 | 0.0.9 |" in release["body"]
    *sboms, sums = sorted(release["assets"], key=lambda asset: asset["name"] == "SHA256SUMS")
    assert {asset["name"].partition("-")[0] for asset in sboms} == {"one", "two", "three", "four"}
    assert all(json.loads(hub.assets[asset["id"]])["bomFormat"] == "CycloneDX" for asset in sboms)
    listed = [line.partition("  ")[2] for line in hub.assets[sums["id"]].decode().splitlines()]
    assert (sums["name"], len(listed)) == ("SHA256SUMS", 8)
    assert listed[:2] == ["four-0.1.0-py3-none-any.whl", "four-0.1.0.tar.gz"]
    tagged = [
        [name.removeprefix("refs/tags/") for name in push if "/tags/" in name]
        for push in hub.pushes()
    ]
    assert [len(tags) for tags in tagged if tags] == [1, 3, 1, 1], (
        "ours are three, one, and the last alone"
    )
    assert [tags for tags in tagged if tags][-1] == [dated_tag()]
    assert world.releasekit(*RELEASE).code == 0, "there is nothing to do then"
    assert len(hub.releases) == 1


@pytest.mark.usefixtures("own_index", "unrecorded")
def test_missing_forge_token_is_reported(
    tmp_path: Path, hub: GitHubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a token, or with one that may only read, the release ends and says so; one required does not begin."""
    world = on_hub(tmp_path, hub, "one")
    monkeypatch.setenv("PATH", without_gh(tmp_path))
    said = world.releasekit(*RELEASE)
    assert said.code == 0, said.err
    assert report(said)["notes"] == [
        (
            f"no release on the forge: {ErrorCode.FORGE_NO_TOKEN}: "
            "no token: GITHUB_TOKEN or GH_TOKEN is not set (127.0.0.1)"
        )
    ]
    assert f"warning {ErrorCode.FORGE_NO_TOKEN}: there will be no release on the forge" in said.err

    monkeypatch.setenv("GITHUB_TOKEN", READER)
    world.commit("feat: two", {"packages/one/src/one/__init__.py": "TWO = True\n"})
    world.git("push", "--quiet", "origin", "main")
    said = world.releasekit(*RELEASE)
    assert said.code == 0, said.err
    assert f"{ErrorCode.FORGE_READ_ONLY}: the token may not create releases in ada/engine" in str(
        report(said)["notes"]
    )
    assert set(world.tags()) == {"one-v0.1.0", "one-v0.2.0"}
    assert not hub.releases

    text = (world.root / "pyproject.toml").read_text()
    world.commit(
        "fix: one",
        {"packages/one/src/one/__init__.py": "", "pyproject.toml": f"{text}forge_required = true"},
    )
    world.git("push", "--quiet", "origin", "main")
    before = world.state()
    for token, code in (
        (READER, ErrorCode.FORGE_READ_ONLY),
        ("", ErrorCode.FORGE_NO_TOKEN),
        ("x", ErrorCode.FORGE_CREDENTIALS),
    ):
        monkeypatch.setenv("GITHUB_TOKEN", token)
        for said in (world.releasekit(*RELEASE), world.releasekit("plan")):
            assert (said.code, f"error: {code}" in said.err) == (2, True), said.err
        assert world.state() == before
    monkeypatch.setenv("GITHUB_TOKEN", WRITER)
    assert asyncio_release(hub, "one-v0.2.1")
    for said in (world.releasekit(*RELEASE), world.releasekit("plan")):
        assert (said.code, f"error: {ErrorCode.PREFLIGHT_CONCURRENT_RELEASE}" in said.err) == (
            2,
            True,
        ), said.err
    assert world.state() == before


def without_gh(directory: Path) -> str:
    """Return a PATH on which there is all that a release needs, and no gh."""
    from shutil import which

    place = directory / "bin"
    place.mkdir()
    for name in ("git", "uv", "python3", "sh"):
        (place / name).symlink_to(str(which(name)))
    return str(place)


def asyncio_release(hub: GitHubDouble, tag: str) -> bool:
    """Let somebody else have begun a draft of *tag*."""
    from releasekit.core.history.web_links import repository_urls
    from releasekit.integrations.forge_factory import open_forge
    from releasekit.integrations.http import client

    async def make() -> bool:
        async with client() as connections:
            forge = open_forge(
                repository_urls(hub.remote, "github"), connections, env={"GH_TOKEN": WRITER}
            )
            return (await forge.create_release(tag, "main", tag, "", draft=True)).draft

    return asyncio.run(make())


@pytest.mark.usefixtures("unrecorded")
def test_large_release_needs_few_requests(
    tmp_path: Path, hub: GitHubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """80 packages with 1,600 changes: one release with a body that GitHub takes, in 36 requests."""
    from releasekit.core.release.target import Target
    from releasekit.integrations.uv import find_uv
    from releasekit.store.record import create_record
    from tasks import announce
    from tasks.context import ReleaseContext

    monkeypatch.setenv("GH_TOKEN", WRITER)
    world = empty_world(tmp_path)
    commit = world.commit("chore: all")
    world.git("remote", "set-url", "origin", hub.remote)
    world.git("push", "--quiet", "origin", "main")
    repo = Repo(world.root)
    plan = plan_of(*(f"package-{number}:" for number in range(80)))
    tales = {
        step.name: PackageNotes(since="v1", changes=tuple(change(n * 20 + m) for m in range(20)))
        for n, step in enumerate(plan.steps)
    }
    plan = plan.model_copy(update={"tales": tales})
    settings = settings_of(forge="github")
    record = create_record(repo.common_dir, plan)
    target = Target("https://index.example.org/simple", "")
    release = ReleaseContext(plan, record, settings, target, find_uv(), ".", "main", commit=commit)

    page, remarks = asyncio.run(announce.create_forge_release(release, repo))

    (made,) = hub.releases.values()
    assert (page, remarks) == (made["html_url"], ())
    assert len(commits_in_notes(plan)) == 1600
    assert len(hub.requests) == 36
    assert hub.limited == 0
    assert 110_000 < len(made["body"]) <= 125_000
    assert "| [package-79](" in made["body"]
    assert len(re.findall("… and 1[0-9] more: ", made["body"])) == 80
    asked = len(hub.requests)
    hub.fail("POST", "graphql$", Answer(500, {"message": "no"}))
    failing = replace(release, settings=settings.model_copy(update={"notes_command": ("false",)}))
    again, (remark,) = asyncio.run(announce.create_forge_release(failing, repo))
    assert (again, len(hub.releases)) == (page, 1)
    assert remark.startswith(
        f"{ErrorCode.NOTES_COMMAND}: exit code 1 from: false; the notes stay as the template makes them"
    )
    assert not [request for request in hub.requests[asked:] if request.method == "PATCH"], (
        "it is as it should be"
    )


def change(number: int) -> NoteChange:
    """Return a change of the usual length."""
    text = f"the feature that has the number {number}"
    return NoteChange(sha=f"{number:040x}", heading="Features", text=text, author="Ada")
