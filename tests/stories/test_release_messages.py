"""Releases whose commits and tags have messages of your own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from releasekit.core.errors import ErrorCode
from tests.support.world import World, make_world

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

RELEASE = ("publish", "--yes", "--skip-audit", "--skip-smoke-test", "--format", "json")
# The title has a type that would count, and no type at all would count too.
MESSAGES = r"""
commit_message = "feat!: ship {release}\n\n{packages}\n"
tag_message = "{name} {version}\n\n# Part of {release}"
propagate = "none"
unconventional = "patch"
"""


def planned(world: World) -> dict[str, str | None]:
    """Return the next version of each package."""
    said = world.releasekit("plan", "--offline", "--format", "json")
    assert said.code == 0, said.err
    return {row["name"]: row["next"] for row in json.loads(said.out)["packages"]}


def changed_since(world: World, revision: str) -> list[str]:
    """Return the packages that changed since *revision* as `change status` sees it."""
    said = world.releasekit("change", "status", "--since", revision, "--format", "json")
    return [row["name"] for row in json.loads(said.out)["packages"]]


@pytest.mark.usefixtures("unrecorded")
def test_templates_are_written_and_recognised(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Commit and tags get these messages, and no later plan counts the commit, not even after a squash merge."""
    world = make_world(tmp_path, "app: core<0.2; core; lone", MESSAGES)
    for name in ("app", "core", "lone"):
        world.git("tag", f"{name}-v0.1.0")
    world.commit("feat!: another core", {"packages/core/more.txt": ""})
    world.commit("repair it", {"packages/lone/more.txt": ""})
    assert planned(world) == {"app": None, "core": "0.2.0", "lone": "0.1.1"}

    said = world.releasekit(*RELEASE)

    assert said.code == 0, said.err
    title, message = json.loads(said.out)["title"], world.git("log", "-1", "--format=%B")
    assert message == f"feat!: ship {title}\n\ncore 0.2.0\nlone 0.1.1"
    words = {
        tag: world.git("tag", "--list", "--format=%(contents)", tag)
        for tag in ("core-v0.2.0", title)
    }
    assert words == {"core-v0.2.0": f"core 0.2.0\n\n# Part of {title}", title: title}, (
        "the umbrella has no package"
    )
    released = set(world.git("show", "--format=", "--name-only", "HEAD").split())
    assert "packages/app/pyproject.toml" in released, (
        "the commit raises the requirement of a package that stays"
    )
    nothing_new = dict.fromkeys(("app", "core", "lone"))
    assert planned(world) == nothing_new
    assert changed_since(world, "HEAD~1") == []

    squashed = f"feat!: ship {title} (#12)\n\n* {message}"
    world.git("commit", "--quiet", "--amend", "--message", squashed)
    for tag in ("core-v0.2.0", "lone-v0.1.1", title):
        world.git("tag", "--force", tag)
    assert (planned(world), changed_since(world, "HEAD~1")) == (nothing_new, [])

    text = (world.root / "pyproject.toml").read_text()
    world.commit("chore: other words", {"pyproject.toml": text.replace("feat!: ship", "Ship")})
    assert planned(world)["app"] == "0.2.0", "now nobody knows that title"
    listed = text.replace(
        '"feat!: ship {release}\\n\\n{packages}\\n"', '["Ship {release}", "feat!: ship {release}"]'
    )
    world.commit("chore: keep the old title", {"pyproject.toml": listed})
    assert planned(world) == nothing_new
    world.commit("chore(release): v0.0.9", {"packages/app/old.txt": ""})
    assert planned(world) == nothing_new, "made before the key was set"
    world.commit("Ship it", {"packages/app/new.txt": ""})
    assert planned(world) == {**nothing_new, "app": "0.1.1"}, (
        "a change that only begins like a release"
    )
    assert own_index.requests()


def test_unreadable_template_is_refused(tmp_path: Path) -> None:
    """The error names the key, its line and what is wrong with it."""
    world = make_world(tmp_path, "core", 'cycles = "error"\ncommit_message = "{release}"')

    said = world.releasekit("plan", "--offline")

    assert said.code == 2
    assert (
        f'error: {ErrorCode.CONFIG_INVALID_VALUE}: commit_message = "{{release}}": the title needs a word'
        in said.err
    )
    assert "pyproject.toml:9" in said.err, said.err
