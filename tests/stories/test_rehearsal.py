"""Rehearsals of workspaces that have a past: the same plan, on an index that has nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.world import World, make_world

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

REHEARSE = ("publish", "--rehearse", "--skip-audit", "--format", "json")


def steps_of(world: World, *argv: str) -> dict[str, str]:
    """Return the versions that a command plans or has released, by package."""
    said = world.releasekit(*argv)
    assert said.code == 0, said.err
    answer: dict[str, Any] = json.loads(said.out)
    return {package["name"]: package["version"] for package in answer["packages"]}


@pytest.mark.usefixtures("unrecorded")
def test_rehearsal_knows_what_the_real_index_has(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A team that never tagged rehearses what it will publish: the index shows what it has released before.

    The package that is not released now comes from the real index. The real one gets nothing.
    """
    world = make_world(tmp_path, "app: core; core")
    assert world.releasekit("publish", "--yes", "--skip-audit").code == 0
    for name in world.tags():
        world.git("tag", "--delete", name)
        world.git("push", "--quiet", "origin", f":refs/tags/{name}")
    world.commit("feat: sort the seeds", {"packages/app/src/app/seeds.py": ""})
    world.git("push", "--quiet")
    sent = len(own_index.requests())
    before = world.state()

    rehearsed = steps_of(world, *REHEARSE)

    assert rehearsed == {"app": "0.2.0"}
    assert world.state() == before
    uploads = [r for r in own_index.requests()[sent:] if r.method == "POST"]
    assert not uploads


@pytest.mark.usefixtures("unrecorded")
def test_rehearsal_has_the_submodules_of_the_checkout(
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package with a submodule is rehearsed with its files, and built from them."""
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")
    library = make_world(tmp_path / "library", "seeds")
    world = make_world(tmp_path, "core")
    world.git("submodule", "--quiet", "add", str(library.root), "packages/core/seeds")
    build = '\n[tool.uv.build-backend]\nsource-include = ["seeds/pyproject.toml"]\n'
    declared = (world.root / "packages/core/pyproject.toml").read_text()
    world.commit("feat: seeds", {"packages/core/pyproject.toml": declared + build})

    said = world.releasekit(*REHEARSE)

    assert said.code == 0, said.err
    (core,) = json.loads(said.out)["packages"]
    assert core["outcome"] == "confirmed"
    assert world.git("status", "--porcelain") == ""
    assert not [request for request in own_index.requests() if request.method == "POST"]
