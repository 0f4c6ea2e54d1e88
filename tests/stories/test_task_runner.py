"""Builds on a task runner of Prefect: other processes, which see only the storage."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.stories.test_settings import RELEASE, outcomes, own_backend
from tests.support.world import make_world

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

PROCESSES = "prefect.task_runners:ProcessPoolTaskRunner"


@pytest.mark.usefixtures("unrecorded")
def test_runner_builds_from_the_storage(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Workers of an imported task runner get commit and build needs from the storage, and leave their files there."""
    storage, told = tmp_path / "storage", tmp_path / "told"
    keys = f'task_runner = "company.runners:Cluster"\nstage_storage = "file://{storage}"\n'
    world = make_world(tmp_path, "app; core", f"{keys}task_runner_options = {{ max_workers = 1 }}")
    where = f"import os; open({str(told)!r}, 'a').write(os.getcwd() + '\\n')"
    own_backend(world, "core", where)
    path = "packages/app/pyproject.toml"
    needs = (world.root / path).read_text().replace('"uv_build>=0.9"]', '"uv_build>=0.9", "core"]')
    world.commit("build: core first", {path: needs})
    world.git("push", "--quiet")

    refused = world.releasekit(*RELEASE, "--skip-smoke-test")
    assert refused.code == 2
    assert "RK-TASK-RUNNER: company.runners cannot be imported" in refused.err
    said = world.releasekit(*RELEASE, "--skip-smoke-test", "--task-runner", PROCESSES)

    assert outcomes(said) == {"app": "confirmed", "core": "confirmed"}
    assert not [line for line in told.read_text().splitlines() if str(world.root) in line]
    release = max(storage.iterdir(), key=lambda path: path.stat().st_mtime)
    left = sorted(path.name for path in release.glob("_packages/core/*"))
    assert left == ["core-0.1.0-py3-none-any.whl", "core-0.1.0.tar.gz", "package.json"]
    sent = {request.uploaded_file for request in own_index.requests() if request.uploaded_file}
    assert set(left[:2]) < sent
    assert re.fullmatch(r"[0-9a-f]+-[0-9a-f]{12}", release.name)
