"""What is done with a release that is out, killed anywhere: the next run completes it, and nothing is left behind."""

from __future__ import annotations

import shutil
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.crash.test_crash import MOMENT, left_running, points, tries_all, zygote
from tests.stories.test_repair import released_world
from tests.support.fault_index import FaultIndex, fault_index
from tests.support.github import WRITER, GitHubDouble
from tests.support.world import World, dated_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from tests.crash.test_crash import Run, Zygote

__all__ = ["zygote"]
CREDENTIALS = {"GH_TOKEN": WRITER, "UV_PUBLISH_TOKEN": "secret", "RELEASEKIT_RECORD": "never"}
COMMANDS = {
    "repair": ("repair", "--apply", "--yes"),
    "verify": ("verify", "one", "0.1.0"),
    "yank": ("yank", "one", "0.1.0", "--reason", "it deletes files", "--yes"),
}


@dataclass
class Released:
    """A release on an index and a forge, which can be put back to how it was when it was *kept*."""

    world: World
    hub: GitHubDouble
    index: FaultIndex
    kept: Path
    pages: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    files: dict[str, dict[str, bytes]] = field(default_factory=dict[str, "dict[str, bytes]"])

    def keep(self) -> None:
        """Remember how all of it is now."""
        shutil.copytree(self.world.root, self.kept / "work", symlinks=True)
        shutil.copytree(self.hub.bare, self.kept / "bare", symlinks=True)
        self.pages, self.files = deepcopy(self.hub.releases), deepcopy(self.index.files)

    def restore(self) -> None:
        """Put all of it back."""
        for place, name in ((self.world.root, "work"), (self.hub.bare, "bare")):
            shutil.rmtree(place)
            shutil.copytree(self.kept / name, place, symlinks=True)
        self.hub.releases, self.index.files = deepcopy(self.pages), deepcopy(self.files)
        self.index.uploads.clear()

    def outcome(self) -> dict[str, Any]:
        """Return what there is here, on the remote, the forge and the index, and what is left over."""
        records = (self.world.root / ".git" / "releasekit").rglob("*")
        return {
            **self.world.state(),
            "refs": self.world.git("for-each-ref", "refs/releasekit"),
            "pages": [
                (page["draft"], page["body"], sorted(asset["name"] for asset in page["assets"]))
                for page in self.hub.releases.values()
            ],
            "files": {project: sorted(files) for project, files in self.index.files.items()},
            "stored": sorted(upload.file for upload in self.index.uploads if upload.stored),
            "worktrees": self.world.git("worktree", "list").count("\n"),
            "kept": sorted(path.name for path in records if path.name != "lock"),
        }


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Released]:
    """Release two packages."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    hub = GitHubDouble(tmp_path / "hub")
    with hub.serving(), fault_index() as index:
        yield Released(released_world(tmp_path, hub, index), hub, index, tmp_path / "kept")


def lose_parts(released: Released) -> None:
    """Lose a tag, a file on the index, the page on the forge and a changelog."""
    world = released.world
    world.git("tag", "--delete", "one-v0.1.0")
    world.git("push", "--quiet", "--delete", "origin", "one-v0.1.0", dated_tag())
    del released.index.files["two"]["two-0.1.0.tar.gz"]
    for page in released.hub.releases.values():
        page["draft"] = True
    (world.root / "packages" / "one" / "CHANGELOG.md").write_text("# Changelog\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_next_run_completes_killed_command(
    zygote: Zygote,
    released: Released,
    command: str,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    """Killed before any effect or in the middle of a program, the next run ends as an undisturbed one."""
    if command == "repair":
        lose_parts(released)
    released.keep()
    released.restore()
    before = released.outcome()

    def run(at: int = 0, after: float = 0) -> tuple[Run, list[str]]:
        mark = str(uuid4())
        env = {**CREDENTIALS, **MOMENT, "TEST_OF_RELEASEKIT": mark}
        done = zygote.run(released.world, env, at, after, argv=COMMANDS[command])
        return done, left_running(mark)

    undisturbed, _ = run()
    expected = released.outcome()
    assert undisturbed.code == 0, undisturbed.said
    assert (expected != before) is (command != "verify")

    every = points(undisturbed)
    chosen = every if tries_all(request) else every[len(every) // 4 :: len(every) // 2]
    wrong: list[str] = []
    for point in chosen:
        print(point, flush=True)  # noqa: T201
        released.restore()
        killed, running = run(point.at, point.after)
        again, _ = run()
        found = released.outcome()
        unlike = [
            f"{key}: {found[key]} != {expected[key]}"
            for key in expected
            if found[key] != expected[key]
        ]
        if (killed.code not in (-9, 0), running, again.code, unlike) != (False, [], 0, []):
            wrong.append(f"{point}: {killed.code} {running} {again.code} {unlike}\n{again.said}")
    tried = f"{command} killed at {len(chosen)} of {len(every)} points, {len(wrong)} went wrong"
    record_property("tried", tried)
    assert not wrong, "\n\n".join(wrong)
