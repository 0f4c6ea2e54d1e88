"""`releasekit pin`: the user's own tree with exact versions, and as it was again, however the program ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.world import World, make_world

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
NAMES = [f"p{number:02}" for number in range(20)]
PINNED = "dependencies = ['core==0.1.0']"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Make a workspace of many packages that need one; each test leaves it as it was."""
    return make_world(
        tmp_path_factory.mktemp("pin"), "; ".join(["core", *(f"{name}: core" for name in NAMES)])
    )


@pytest.fixture
def world(shared: World) -> World:
    """Return the workspace, with everything committed."""
    assert pinned(shared) == []
    return shared


def pinned(world: World) -> list[str]:
    """Return the files that differ from what is committed."""
    return world.git("diff", "--name-only").splitlines()


def start(world: World, *command: str, through: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    """Start the program with all pins in place until *command* has ended, and wait for that command to begin."""
    program = (*through, sys.executable, "-m", "releasekit", "pin", "--apply", "--", *command)
    child = subprocess.Popen(program, cwd=world.root, env={**os.environ, "PYTHONPATH": str(ROOT)})
    until((world.root.parent / "begun").exists)
    assert len(pinned(world)) == len(NAMES)
    return child


def until(true: Callable[[], bool]) -> None:
    """Wait until something is *true*."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_pin_shows_a_diff_only(world: World) -> None:
    """Without a word more it shows what would change, and changes nothing."""
    said = world.releasekit("pin")

    assert said.code == 0
    assert said.out.count(f"+{PINNED}") == said.out.count("-dependencies = ['core']") == len(NAMES)
    assert "a/packages/p07/pyproject.toml" in said.out
    assert pinned(world) == []


def test_pins_stay_until_restore(world: World) -> None:
    """Pins stay until they are taken back; a second `--apply` does not take the pins for the originals."""
    mode = (world.root / "packages/p03/pyproject.toml").stat().st_mode
    assert world.releasekit("pin", "--apply").code == 0
    assert world.releasekit("pin", "--apply").code == 0
    assert len(pinned(world)) == len(NAMES)
    assert PINNED in (world.root / "packages/p03/pyproject.toml").read_text()
    refused = world.releasekit("publish", "--dry-run", "--offline")
    assert (refused.code, "pin --restore" in refused.err) == (2, True)

    said = world.releasekit("pin", "--restore")

    assert (said.code, f"restored {len(NAMES)} files" in said.err) == (0, True)
    assert pinned(world) == []
    assert (world.root / "packages/p03/pyproject.toml").stat().st_mode == mode
    assert world.releasekit("pin", "--restore").code == 0, "there is nothing left to do"


@pytest.mark.parametrize("code", [0, 7])
def test_command_runs_with_pins(world: World, code: int) -> None:
    """A command runs with the pins in place; its exit code is ours."""
    seen = world.root.parent / "seen"

    said = world.releasekit(
        "pin", "--apply", "--", "sh", "-c", f"git diff --name-only > {seen}; exit {code}"
    )

    assert said.code == code
    assert len(seen.read_text().splitlines()) == len(NAMES)
    assert pinned(world) == []


def test_unknown_command_leaves_no_pins(world: World) -> None:
    """Also a command that cannot be run leaves no pins."""
    said = world.releasekit("pin", "--apply", "--", "rk-no-such-program")

    assert (said.code, "RK-COMMAND-FAILED" in said.err) == (1, True)
    assert pinned(world) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    "through", [(), ("sh", "-c", 'trap "" INT; exec "$@"', "sh")], ids=["usual", "ignored"]
)
def test_signal_restores_the_files(
    world: World, number: signal.Signals, through: tuple[str, ...]
) -> None:
    """A signal ends the command, and puts everything back, also where a shell's `&` has us ignore Ctrl-C."""
    begun = world.root.parent / "begun"
    # Who runs these tests may have had it ignored, as `nohup` does.
    before = signal.signal(number, signal.SIG_DFL)
    child = start(world, "sh", "-c", f"echo > {begun}; exec sleep 60", through=through)
    signal.signal(number, before)
    begun.unlink()

    child.send_signal(number)

    assert child.wait(60) == 130
    assert pinned(world) == []


def test_pin_recovers_from_a_kill(world: World) -> None:
    """Killed outright, the next run puts everything back first, and takes no pin for an original."""
    begun = world.root.parent / "begun"
    child = start(world, "sh", "-c", f"echo > {begun}; exec sleep 1")
    begun.unlink()
    child.kill()
    child.wait()
    assert len(pinned(world)) == len(NAMES)

    said = world.releasekit("pin")

    assert said.out.count(f"+{PINNED}") == len(NAMES)
    assert pinned(world) == []


def test_restore_keeps_edited_file(world: World) -> None:
    """What somebody has edited is not overwritten: it is named, with its original, and all others are restored."""
    assert world.releasekit("pin", "--apply").code == 0
    edited = world.root / "packages/p05/pyproject.toml"
    edited.write_text(edited.read_text() + "# mine\n")

    said = world.releasekit("pin", "--restore")

    assert (said.code, "RK-PIN-RESTORE-FAILED" in said.err) == (1, True)
    assert pinned(world) == ["packages/p05/pyproject.toml"]
    backups = world.root / ".git" / "releasekit" / "pins"
    (original,) = [path for path in backups.iterdir() if path.name in said.err.replace("\n", "")]
    assert original.read_text() == world.git("show", "HEAD:packages/p05/pyproject.toml") + "\n"
    assert world.releasekit("pin", "--apply").code == 1, "nothing is pinned before this is mended"
    edited.write_text(original.read_text())
    assert world.releasekit("pin", "--restore").code == 0
    assert not backups.exists()


def test_restore_refuses_damaged_backup(world: World) -> None:
    """A backup that is not what was saved is never put in place."""
    assert world.releasekit("pin", "--apply").code == 0
    backups = world.root / ".git" / "releasekit" / "pins"
    first = min(backups.glob("0000-*"))
    saved = first.read_bytes()
    first.write_bytes(saved[:-9])

    said = world.releasekit("pin", "--restore")

    assert (said.code, "is damaged" in " ".join(said.err.split())) == (1, True)
    assert len(pinned(world)) == 1
    first.write_bytes(saved)
    assert world.releasekit("pin", "--restore").code == 0


def test_pin_refuses_contradictory_options(world: World) -> None:
    """What cannot be meant is refused."""
    for words in (["--apply", "--restore"], ["--restore", "--", "true"], ["--", "true"]):
        assert world.releasekit("pin", *words).code == 2
