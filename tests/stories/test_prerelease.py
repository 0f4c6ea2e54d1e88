"""Prereleases on a real index, up to the stable release."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.world import World, make_world

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.adapters.embedded import EmbeddedIndex

pytestmark = pytest.mark.usefixtures("prefect_api")


def test_candidates(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A first release, its successor's candidates one by one, and the stable version that follows them."""
    world = make_world(tmp_path, "app: core; core")
    core, app = (f"packages/{name}/src/{name}/__init__.py" for name in ("core", "app"))

    assert published(world) == {"core": "0.1.0", "app": "0.1.0"}
    world.commit("feat: core", {core: "ONE = 1\n"})
    world.commit("feat: app", {app: "ONE = 1\n"})
    assert published(world, "--prerelease", "rc") == {"core": "0.2.0rc1", "app": "0.2.0rc1"}
    assert "nothing to release" in world.releasekit("publish", "--yes", "--skip-audit", "--prerelease", "rc").out
    world.commit("fix: core", {core: "ONE = 2\n"})
    assert published(world, "--prerelease", "rc") == {"core": "0.2.0rc2"}
    assert published(world) == {"core": "0.2.0", "app": "0.2.0"}

    assert len([request for request in own_index.requests() if request.uploaded]) == 14
    assert set(world.tags()) >= {"core-v0.2.0rc1", "app-v0.2.0rc1", "core-v0.2.0rc2", "core-v0.2.0", "app-v0.2.0"}


def test_lockstep(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A repository in lockstep has one tag, made when all is out, and its next release begins there.

    A package may say for itself that it cannot be imported just so.
    """
    world = make_world(tmp_path, "app: core; core; util", util="raise SystemExit('not here')\n")
    own = "packages/util/pyproject.toml"
    world.commit("chore: set", {own: (world.root / own).read_text() + "\n[tool.releasekit]\nsmoke_test = false\n"})
    text = (world.root / "pyproject.toml").read_text()
    table = '[tool.releasekit]\nversioning = "fixed"\ntag_format = "v{version}"\n'
    world.commit("chore: lockstep", {"pyproject.toml": f"{table}{text}"})

    assert published(world) == dict.fromkeys(("core", "util", "app"), "0.1.0")
    assert world.tags().keys() == {"v0.1.0"}
    world.commit("fix: util", {"packages/util/src/util/__init__.py": "raise SystemExit('nor here')\n"})
    assert published(world) == dict.fromkeys(("core", "util", "app"), "0.1.1")
    assert world.tags().keys() == {"v0.1.0", "v0.1.1"}
    assert own_index.requests()


def published(world: World, *argv: str) -> dict[str, str]:
    """Publish, and return what is confirmed in which version."""
    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json", *argv)
    assert said.code == 0, said.err
    report = json.loads(said.out)
    return {row["name"]: row["version"] for row in report["packages"] if row["outcome"] == "confirmed"}
