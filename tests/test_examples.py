"""The demonstration repositories: each way to release starts as the page says, and what is printed works."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from releasekit.integrations.process import Command, run
from tests.support.world import GIT

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "examples" / "demonstrate.py"
IDENTITY = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "Ada"), ("EMAIL", "ada@example.invalid"))
}


@pytest.fixture
def laptop(tmp_path: Path) -> Generator[str]:
    """Run the demonstration for a laptop, and return what it prints before it waits."""
    output = tmp_path / "output"
    command = (sys.executable, str(SCRIPT), "laptop", str(tmp_path / "demo"))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with output.open("wb") as file, subprocess.Popen(command, stdout=file, env=env) as process:
        deadline = time.monotonic() + 120
        while "Ctrl-C" not in output.read_text():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield output.read_text()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_laptop_commands_release_everything(laptop: str, tmp_path: Path) -> None:
    """The printed commands work as they are, with a yes in advance; the index then has every package."""
    lines = [line.strip() for line in laptop.splitlines() if line.startswith("    ")]
    script = "\n".join(lines).replace("releasekit publish", "releasekit publish --yes --skip-audit")
    binaries = Path(sys.executable).parent
    env: dict[str, str | None] = {
        **GIT,
        **IDENTITY,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "RELEASEKIT_RECORD": "never",
    }

    said = run(Command(("bash", "-euc", script), tmp_path, env, timeout=300))

    assert len(re.findall(r"confirmed", said.stdout)) >= 9
    tags = run(Command(("git", "tag"), tmp_path / "demo" / "orchard.git", GIT)).stdout
    assert "orchard-core-v1.3.0" in tags


def test_pull_request_repository_has_workflows(tmp_path: Path) -> None:
    """The workflows of `init --ci github` are committed, and the printed steps name the repository."""
    command = Command(
        (sys.executable, str(SCRIPT), "pull-request", str(tmp_path / "demo")),
        tmp_path,
        {"PYTHONPATH": str(ROOT)},
        timeout=120,
    )

    said = run(command)

    workspace = tmp_path / "demo" / "orchard"
    committed = run(Command(("git", "ls-files", ".github"), workspace, GIT)).stdout.split()
    names = {path.rpartition("/")[2] for path in committed}
    assert names == {"nightly.yml", "plan.yml", "publish.yml", "release.yml"}
    assert run(Command(("git", "status", "--porcelain"), workspace, GIT)).stdout == ""
    assert f"cd {workspace}" in said.stdout


def test_prefect_commands_are_those_of_guide() -> None:
    """What the demonstration prints for Prefect is what the guide says, and a test of the deployments runs."""
    printed = re.findall(
        r"^prefect (?:--no-prompt )?([a-z].*?)(?:  +#.*| &)?$", SCRIPT.read_text(), re.MULTILINE
    )
    guide = (ROOT / "docs" / "guides" / "prefect-deployments.md").read_text()

    assert len(printed) == 6
    missing = [line for line in printed if re.split(r" (?:\{|-p)", line)[0] not in guide]
    assert missing == []
