"""How a plan at a release commit gets its title."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from releasekit.operations.draft import open_project
from releasekit.options import PlanOptions
from tasks.decide import with_release_title
from tests.support.builders import plan_of
from tests.support.world import make_world

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("subject", "title"),
    [
        ("chore(release): release-2026.11.20", "release-2026.11.20"),
        ("chore(release): v1.1 (#12)", "v1.1"),
        # the tag of another package is not made for this one
        ("chore(release): core-v1.1", "app-v1.1"),
        ("chore(release): top/1.1", "app-v1.1"),
        # that release is tagged already
        ("chore(release): release-2026.11.19", "app-v1.1"),
        ("feat: it", "app-v1.1"),
    ],
)
def test_plan_keeps_title_of_commit(tmp_path: Path, subject: str, title: str) -> None:
    """What is left of a release keeps the title of its commit, unless that is the tag of a package."""
    world = make_world(tmp_path, "app; core; top")
    path = "packages/top/pyproject.toml"
    own = '\n[tool.releasekit]\ntag_format = "top/{version}"\n'
    commit = world.commit(subject, {path: (world.root / path).read_text() + own})
    project, repo = open_project(PlanOptions(workspace=str(world.root)))
    plan = plan_of("app:", "core:", changes={"app": "feat: it"}, sha=commit)
    history: Any = SimpleNamespace(tags={"release-2026.11.19": commit})

    assert with_release_title(plan, project, repo, history).title == title
