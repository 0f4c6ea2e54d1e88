"""Directories whose paths are used again."""

from __future__ import annotations

import sys
from pathlib import Path

from releasekit.integrations.process import Command, run
from releasekit.integrations.scratch import scratch_directory

ROOT = Path(__file__).parents[2]


def test_scratch_path_is_used_again() -> None:
    """The next directory has the path of the last one and is empty; two at a time have different paths."""
    with scratch_directory() as first:
        (first / "left-over").touch()
        with scratch_directory() as second:
            assert second != first
    assert not first.exists()

    with scratch_directory() as again:
        assert again in (first, second)
        assert list(again.iterdir()) == []
        assert again.stat().st_mode & 0o077 == 0, "others can read it"


def test_scratch_ends_with_its_process(tmp_path: Path) -> None:
    """Nothing is left when the process ends, and a forked process deletes nothing that is not its own."""
    script = (
        "import os, sys\n"
        "from releasekit.integrations.scratch import scratch_directory\n"
        "with scratch_directory() as first: pass\n"
        "if os.fork() == 0:\n"
        "    with scratch_directory() as other: assert other != first\n"
        "    sys.exit()\n"
        "os.wait()\n"
        "assert first.parent.is_dir()\n"
    )
    env: dict[str, str | None] = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}

    run(Command((sys.executable, "-c", script), tmp_path, env))

    assert list(tmp_path.iterdir()) == []
