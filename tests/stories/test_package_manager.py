"""A release by another package manager than uv: no step knows more of it than the protocol."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from releasekit.integrations.uv import Uv
from tests.support.fault_index import INVALID, FaultIndex, fault_index
from tests.support.toy_manager import ToyManager
from tests.support.world import World, dated_tag, empty_world

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

PUBLISH = ("publish", "--yes", "--skip-audit", "--format", "json")
PROJECT = """
[build-system]
requires = []
build-backend = "toy"

[project]
name = "{name}"
version = "0.1.0"
{needs}
"""


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Generator[FaultIndex]:
    """Run an index, and take the toy that uploads to it for the package manager of every workspace."""
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "toy-token")
    with fault_index() as running:
        toy = ToyManager(running.simple_url, running.publish_url)

        def find_toy(_executable: str = "") -> ToyManager:
            return toy

        monkeypatch.setattr("tasks.read_workspace.find_package_manager", find_toy)
        monkeypatch.setattr("tasks.build.find_package_manager", find_toy)
        monkeypatch.setattr(Uv, "command", forbid_uv)
        yield running


def forbid_uv(*words: object, **_: object) -> None:
    """Fail: every command of uv is made by the method that this replaces."""
    raise AssertionError(f"something asked uv: {words}")


def toy_world(directory: Path, index: FaultIndex) -> World:
    """Make a workspace of the toy: "top" needs "base"."""
    world = empty_world(directory)
    addresses = f'publish_url = "{index.publish_url}"\ncheck_url = "{index.simple_url}"'
    files = {
        "members.txt": "base\ntop\n",
        "toy.lock": "base 0.1.0\ntop 0.1.0\n",
        "pyproject.toml": f"[tool.releasekit]\n{addresses}\n",
        "base/base.py": "SIZE = 1\n",
        "base/pyproject.toml": PROJECT.format(name="base", needs=""),
        "top/top.py": "import base\n",
        "top/pyproject.toml": PROJECT.format(name="top", needs='dependencies = ["base"]'),
    }
    world.commit("feat: begin", files)
    world.git("push", "--quiet", "--set-upstream", "origin", "main")
    return world


@pytest.mark.usefixtures("unrecorded", "whole_proofs")
def test_another_manager_releases_packages(tmp_path: Path, index: FaultIndex) -> None:
    """Plan, lock, build, proof, upload, smoke test and tags work, and the lock file follows a later release."""
    world = toy_world(tmp_path, index)

    said = world.releasekit(*PUBLISH)

    assert said.code == 0, said.err + said.out
    files = {name: sorted(there) for name, there in index.files.items()}
    assert files == {
        "base": ["base-0.1.0-py3-none-any.whl", "base-0.1.0.tar.gz"],
        "top": ["top-0.1.0-py3-none-any.whl", "top-0.1.0.tar.gz"],
    }
    assert set(world.tags()) == {"base-v0.1.0", "top-v0.1.0", dated_tag()}
    assert index.users == {"__token__:toy-token"}
    toy = ToyManager(index.simple_url, index.publish_url)
    assert [
        part["name"] for part in json.loads(toy.export_sbom(world.root, "top"))["components"]
    ] == [
        "base",
        "top",
    ]

    world.commit("feat(base): grow", {"base/base.py": "SIZE = 2\n"})
    world.git("push", "--quiet")
    again = world.releasekit(*PUBLISH)

    assert again.code == 0, again.err
    versions = {
        package["name"]: package["version"] for package in json.loads(again.out)["packages"]
    }
    assert versions == {"base": "0.2.0"}
    assert world.git("show", "HEAD:toy.lock") == "base 0.2.0\ntop 0.1.0"
    assert world.releasekit("check", "--select", "lock_stale").code == 0


@pytest.mark.usefixtures("unrecorded")
def test_refused_upload_is_told(tmp_path: Path, index: FaultIndex) -> None:
    """What the index answers is in the report, the dependent is blocked, and the next run completes the release."""
    world = toy_world(tmp_path, index)
    index.on_upload("base", [INVALID])

    refused = world.releasekit(*PUBLISH)
    outcomes = {each["name"]: each["outcome"] for each in json.loads(refused.out)["packages"]}
    shown = world.releasekit("publish", "--dry-run")
    completed = world.releasekit(*PUBLISH)

    assert (refused.code, outcomes) == (1, {"base": "failed", "top": "blocked"})
    assert INVALID.body in refused.out
    assert "toy_program.py publish" in shown.out
    assert completed.code == 0, completed.err
    assert sorted(index.files) == ["base", "top"]
