"""Releases by pull request: proposed, merged in each way with others' commits in between, tagged, published, promoted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tasks.core.errors import Code
from tests.github import WRITER, GitHubDouble
from tests.world import Said, World, make_world

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tasks.adapters.embedded import EmbeddedIndex

PREPARE = ("prepare", "--skip-audit", "--format", "json")
HAND_ON = ("publish", "--publish-from=ci", "--format", "json")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[GitHubDouble]:
    """Run a GitHub whose main takes no push, with a token for it."""
    monkeypatch.setenv("GH_TOKEN", WRITER)
    double = GitHubDouble(tmp_path / "hub")
    with double.serving():
        yield double


@pytest.fixture
def world(tmp_path: Path, hub: GitHubDouble) -> World:
    """Make a workspace on that GitHub: app needs core; both are out as 0.1.0, and core has a new feature."""
    made = make_world(tmp_path, "app: core; core")
    world = World(made.root, hub.bare)
    world.git("remote", "set-url", "origin", hub.remote)
    text = (world.root / "pyproject.toml").read_text()
    world.commit("chore: configure", {"pyproject.toml": f'{text}\n[tool.releasekit]\nforge = "github"\n'})
    for name in ("app", "core"):
        world.git("tag", f"{name}-v0.1.0")
    world.git("push", "--quiet", "origin", "main", "--tags")
    hub.protect_main()
    land(world, hub, "feat: pears", core="PEARS = True\n")
    return world


def land(world: World, hub: GitHubDouble, message: str, **modules: str) -> str:
    """Let somebody's commit come to main, as by a pull request of theirs, and check it out."""
    sources = {f"packages/{name}/src/{name}/__init__.py": text for name, text in modules.items()}
    world.git("fetch", "--quiet", "--tags", "origin", "main")
    world.git("reset", "--quiet", "--hard", "FETCH_HEAD")
    commit = world.commit(message, sources)
    world.git("push", "--quiet", "origin", f"{commit}:refs/heads/work")
    hub.git("update-ref", "refs/heads/main", commit)
    hub.git("update-ref", "-d", "refs/heads/work")
    return commit


def pull(world: World) -> None:
    """Bring the checkout to what main is, with its tags."""
    world.git("fetch", "--quiet", "--tags", "origin", "main")
    world.git("reset", "--quiet", "--hard", "FETCH_HEAD")


def told(said: Said) -> dict[str, Any]:
    """Return what a command has answered; it has to have done something or found nothing to do."""
    assert said.code == 0, said.err
    return json.loads(said.out)


def written(hub: GitHubDouble, since: int) -> list[str]:
    """Return the requests after the first *since* that change something."""
    asked = [request for request in hub.requests[since:] if request.method != "GET"]
    return [f"{r.method} {r.path}" for r in asked if not r.path.endswith(("generate-notes", "graphql"))]


def refs(hub: GitHubDouble) -> dict[str, str]:
    """Return all references of the remote."""
    lines = hub.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split() for line in lines)  # pyright: ignore


PUBLISH = ("publish", "--yes", "--skip-smoke-test", "--format", "json", "--manifest")


@pytest.mark.usefixtures("prefect_api")
@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_whole_story(world: World, hub: GitHubDouble, own_index: EmbeddedIndex, how: Any) -> None:
    """What is merged, in whichever way, is tagged, published and promoted; each phase finds itself done."""
    first = told(world.releasekit(*PREPARE))
    (number,) = hub.pulls
    assert (first["stage"], first["changed"], first["packages"]) == ("open", True, ["core 0.2.0"])
    assert (hub.pulls[number]["title"], [label["name"] for label in hub.pulls[number]["labels"]]) == (
        "chore(release): v0.2.0",
        ["release"],
    )
    assert "| core | 0.1.0 | 0.2.0 | minor | feat: pears" in hub.pulls[number]["body"]
    assert hub.git("diff", "--stat", "main...releasekit/release").count("|") == 3, "version, changelog, uv.lock"
    asked, before = len(hub.requests), refs(hub)
    again = told(world.releasekit(*PREPARE))
    waiting = told(world.releasekit(*HAND_ON))
    assert again == {**first, "changed": False}
    assert (waiting["stage"], waiting["what"]) == ("open", f"no release is due: #{number} waits to be merged")
    assert (refs(hub), written(hub, asked)) == (before, [])

    between = land(world, hub, "docs: between", app='"""words"""\n')
    merged = hub.merge(number, how)
    land(world, hub, "fix: after", app='"""more words"""\n')
    asked, before = len(hub.requests), refs(hub)
    early = told(world.releasekit(*PREPARE))
    assert (early["stage"], refs(hub), written(hub, asked)) == ("merged", before, [])
    done = told(world.releasekit(*HAND_ON))

    assert (done["stage"], done["commit"], done["tags"]) == ("draft", merged, ["core-v0.2.0", "v0.2.0"])
    assert done["notes"] == [
        f"landed beside the pull request, and in none of its changelogs: {between[:7]} docs: between"
    ]
    assert {tag: world.tags()[tag] for tag in done["tags"]} == dict.fromkeys(done["tags"], merged)
    (draft,) = hub.releases.values()
    assert (draft["draft"], draft["tag_name"], draft["body"].startswith("> **Not out yet.**")) == (True, "v0.2.0", True)
    assert hub.dispatched == [("publish.yml", {"ref": "v0.2.0", "inputs": {"release": "v0.2.0"}})]
    assert [name for name in refs(hub) if "releasekit" in name] == []
    asked, before = len(hub.requests), refs(hub)
    for command in (HAND_ON, PREPARE):
        assert told(world.releasekit(*command))["what"] == "v0.2.0 is tagged, and waits to be published"
    concurrent = world.releasekit("publish", "--yes", "--skip-audit")
    assert (concurrent.code, Code.PREFLIGHT_CONCURRENT_RELEASE in concurrent.err) == (2, True), concurrent.err
    assert (refs(hub), written(hub, asked)) == (before, [])

    report = told(world.releasekit(*PUBLISH, "v0.2.0"))

    assert [(p["name"], p["version"], p["outcome"]) for p in report["packages"]] == [("core", "0.2.0", "confirmed")]
    assert (draft["draft"], "Not out yet" in draft["body"]) == (False, False)
    assert refs(hub) == before, "nothing was left to push"
    asked = len(hub.requests)
    assert told(world.releasekit(*PUBLISH, "draft" if False else "v0.2.0"))["page"] in ("", draft["html_url"])
    assert written(hub, asked) == []
