"""What git tells about the losses of packages, through moves, nesting and prereleases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from releasekit.core.config.settings import Selection
from releasekit.integrations.git import Repo
from releasekit.integrations.user_cache import cache_home
from tasks import decide
from tasks.read_history import read_history
from tasks.read_workspace import read_workspace

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.core.artifacts.source_changes import SourceChange
    from releasekit.core.planning.model import Plan
    from tests.support.git_scene import GitScene

ROOT = """
[project]
name = "farm"
version = "1.0.0"
[build-system]
requires = ["uv_build"]
build-backend = "uv_build"
[tool.uv.workspace]
members = ["packages/*"]
"""
CORE = """
[project]
name = "core"
version = "1.0.0"
[project.scripts]
core = "core.cli:main"
[build-system]
requires = ["uv_build"]
build-backend = "uv_build"
"""


@pytest.fixture
def farm(empty_scene: GitScene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> GitScene:
    """Return a released repository with a package at its top and one below."""
    monkeypatch.setenv("RELEASEKIT_CACHE_DIR", str(tmp_path / "cache"))
    files = {
        "pyproject.toml": ROOT,
        "src/farm/__init__.py": "def plough(field): ...\n",
        "src/farm/barn.py": "def fill(): ...\n",
        "packages/core/pyproject.toml": CORE,
        "packages/core/src/core/__init__.py": "def shade(leaf): ...\n",
        "packages/core/src/core/cli.py": "def main(): ...\n",
    }
    empty_scene.commit("feat: begin", files)
    tag(empty_scene, "1.0.0")
    return empty_scene


def tag(farm: GitScene, version: str) -> None:
    """Release both packages."""
    for name in ("farm", "core"):
        farm.git("tag", f"{name}-v{version}")


def read(farm: GitScene) -> dict[str, SourceChange]:
    """Return what each changed package has lost."""
    return dict(read_history(Repo(farm.top), read_workspace(farm.top, {})).sources)


def plan(farm: GitScene, keys: str) -> Plan:
    """Return the plan with *keys* in [tool.releasekit] of core."""
    farm.write("packages/core/pyproject.toml", f"{CORE}[tool.releasekit]\n{keys}\n")
    repo, project = Repo(farm.top), read_workspace(farm.top, {})
    return decide.plan(project, repo, read_history(repo, project), Selection(), None)


def texts(change: SourceChange) -> list[str]:
    """Return what is lost, and how the API has changed."""
    return [*(loss.text for loss in change.losses), *map(str, change.api_changes)]


def test_package_owns_its_files_only(farm: GitScene) -> None:
    """A package at the top does not lose what a member inside it loses; unchanged packages are not compared."""
    (farm.top / "packages/core/src/core/cli.py").unlink()
    farm.commit("fix: core loses a module")

    changes = read(farm)

    assert changes.keys() == {"core"}
    assert texts(changes["core"]) == [
        "core.cli can no longer be imported",
        "the command core starts core.cli, which is gone",
        "core.cli: removed",
    ]


def test_moved_package_is_compared(farm: GitScene) -> None:
    """A package that moved within the repository is compared with where it was."""
    farm.git("mv", "packages/core", "packages/kernel")
    farm.commit("refactor: move core")
    farm.commit(
        "fix: change it", {"packages/kernel/src/core/__init__.py": "def shade(leaf, tone): ...\n"}
    )

    assert texts(read(farm)["core"]) == ["core.shade: the new parameter tone has no default"]


def test_last_stable_release_is_compared(farm: GitScene) -> None:
    """What a prerelease has lost is lost for the users of the last stable release."""
    (farm.top / "src/farm/barn.py").unlink()
    farm.commit("fix: lose the barn", {"pyproject.toml": ROOT.replace("1.0.0", "1.0.1rc1")})
    farm.git("tag", "farm-v1.0.1rc1")
    farm.commit(
        "fix: plough deeper", {"src/farm/__init__.py": "def plough(field):\n    return field\n"}
    )

    change = read(farm)["farm"]

    assert str(change.since) == "1.0.0"
    assert texts(change) == ["farm.barn can no longer be imported", "farm.barn: removed"]


def test_equal_sources_are_compared_once(farm: GitScene) -> None:
    """The changes of an API are kept by the shas of both directories, and read from there the next time."""
    farm.commit("fix: rename", {"packages/core/src/core/__init__.py": "def tint(leaf): ...\n"})
    assert texts(read(farm)["core"]) == ["core.shade: removed"]
    (kept,) = (cache_home() / "api").iterdir()
    (row,) = json.loads(kept.read_text())

    kept.write_text(json.dumps([{**row, "path": "from.the.cache"}]))

    assert texts(read(farm)["core"]) == ["from.the.cache: removed"]


@pytest.mark.parametrize(
    ("keys", "version", "severities"),
    [
        ('api_check = "bump"', "2.0.0", ["note"]),
        ('api_check = "warn"', "1.0.1", ["warning"]),
        ('api_check = "error"', "1.0.1", ["error"]),
        ('api_check = "off"', "1.0.1", []),
    ],
)
def test_member_chooses_api_check(
    farm: GitScene, keys: str, version: str, severities: list[str]
) -> None:
    """With "bump", the version is raised, and the reason names the change. A member sets the key for itself."""
    farm.commit("fix: rename", {"packages/core/src/core/__init__.py": "def tint(leaf): ...\n"})

    changed_plan = plan(farm, keys)
    (step,) = [step for step in changed_plan.steps if step.name == "core"]

    assert str(step.version) == version
    assert [difference.severity for difference in changed_plan.differences] == severities
    assert ("; breaks the API: core.shade: removed" in step.reason) is (version == "2.0.0")


def test_accepted_change_bumps_nothing(farm: GitScene) -> None:
    """A change that `api_ignore` accepts raises no version, and the plan shows the reason."""
    waiver = 'api_ignore = [{ path = "core.shade", reason = "it never worked" }]'
    root = f'{ROOT}[tool.releasekit]\napi_check = "bump"\n{waiver}\n'
    farm.commit(
        "fix: rename",
        {"packages/core/src/core/__init__.py": "def tint(leaf): ...\n", "pyproject.toml": root},
    )

    changed_plan = plan(farm, "")
    (step,) = [step for step in changed_plan.steps if step.name == "core"]

    assert str(step.version) == "1.0.1"
    assert [difference.waived for difference in changed_plan.differences] == ["it never worked"]
