"""What a release does to uv.lock, with the real uv."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from releasekit.integrations.uv import find_uv
from tests.support.world import World, make_world, upload

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

pytestmark = pytest.mark.usefixtures("unrecorded")
UV = find_uv()
PREPARE = ("publish", "--version-only", "--yes", "--skip-audit")


@pytest.fixture
def world(tmp_path: Path, own_index: EmbeddedIndex) -> World:
    """Return a workspace whose lock file has no `revision`, as an earlier uv wrote it; core is released and changed."""
    world = make_world(tmp_path, "app: core; core; lone")
    names = ("app", "core", "lone")
    upload(world, own_index, *names)
    for name in names:
        world.git("tag", f"{name}-v0.1.0")
    lock = world.root / "uv.lock"
    lines = lock.read_text().splitlines(keepends=True)
    lock.write_text("".join(line for line in lines if not line.startswith("revision")))
    world.commit("feat: core is round", {"packages/core/src/core/__init__.py": "ROUND = True\n"})
    return world


def changed_lines(world: World) -> list[str]:
    """Return the lines of uv.lock that the last commit has changed."""
    lines = world.git("show", "--format=", "--unified=0", "HEAD", "--", "uv.lock").splitlines()
    return [line for line in lines if line[0] in "+-" and not line.startswith(("+++", "---"))]


def test_release_changes_only_versions_in_lock(world: World) -> None:
    """The release commit has the new versions and nothing else, and uv finds the lock file current."""
    said = world.releasekit(*PREPARE)

    assert said.code == 0, said.err
    assert changed_lines(world) == ['-version = "0.1.0"', '+version = "0.2.0"']
    assert UV.lock_is_current(world.root)


def test_edited_lock_is_locked_anew(world: World) -> None:
    """If the versions have another place, or an entry is missing, uv writes the file."""
    lock = world.root / "uv.lock"
    text = lock.read_text().replace('name = "core"\nversion', 'name = "core"\n# ours\nversion')
    world.commit("chore: a remark", {"uv.lock": text})
    assert UV.lock_is_current(world.root)

    said = world.releasekit(*PREPARE)

    assert said.code == 0, said.err
    assert "+revision = " in "\n".join(changed_lines(world))
    assert "# ours" not in lock.read_text()
    assert UV.lock_is_current(world.root)
