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


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_handed_on(world: World, hub: GitHubDouble, own_index: EmbeddedIndex, how: Any) -> None:
    """x."""
    assert own_index
    first = told(world.releasekit(*PREPARE))
    print(first)
    (number,) = (n for n in hub.pulls)
    asked, before = len(hub.requests), refs(hub)
    again = told(world.releasekit(*PREPARE))
    assert (again, refs(hub), written(hub, asked)) == ({**first, "changed": False}, before, [])
    waiting = told(world.releasekit(*HAND_ON))
    assert (waiting["stage"], written(hub, asked)) == ("open", [])
    land(world, hub, "docs: between", app='"""words"""\n')
    merged = hub.merge(number, how)
    land(world, hub, "fix: after", app='"""more words"""\n')
    asked = len(hub.requests)
    print(told(world.releasekit(*PREPARE)))
    assert written(hub, asked) == []
    print(told(world.releasekit(*HAND_ON)))
    print(written(hub, asked))
    print(hub.pushes(), refs(hub))
    assert world.tags()["v0.2.0"] == merged
    asked = len(hub.requests)
    print(told(world.releasekit(*HAND_ON)))
    print(told(world.releasekit(*PREPARE)))
    assert written(hub, asked) == []
    print(hub.releases, hub.dispatched)
    print(hub.assets)
    print(world.git("status", "--porcelain"), world.git("for-each-ref"), world.git("worktree", "list"))
