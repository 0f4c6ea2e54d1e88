"""Versions from real histories: the documented table row by row, and random histories against a slow reference."""

from __future__ import annotations

import json
import re
import tempfile
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from releasekit.core.config.settings import Selection, settings_of
from releasekit.core.workspace.workspace import workspace_of
from releasekit.integrations.git import Repo
from releasekit.integrations.process import Command, run
from releasekit.integrations.uv import Uv
from tasks.decide import decide_bumps
from tasks.project import Project
from tasks.read_history import read_history
from tests.support.world import GIT, World
from tests.tables.version_table import ROWS, Row, change, project, scene

PACKAGES = {
    "core": "packages/core",
    "inner": "packages/core/inner",
    "app": "packages/app",
    "top": ".",
}
FILES = (
    "packages/core/a",
    "packages/core/inner/a",
    "packages/core/inner/b/c",
    "packages/app/a",
    "a",
    "docs/a",
)
BUMPS = {
    "feat: x": 2,
    "fix: x": 1,
    "docs: x": 0,
    "feat!: x": 3,
    "whatever": 0,
    "fix: x\n\nBREAKING CHANGE: y": 3,
}


def planned(world: World, *argv: str) -> dict[str, str]:
    """Return the next version of each package, "-" for none."""
    said = world.releasekit("plan", "--offline", "--format", "json", *argv)
    plan = json.loads(said.out)
    assert said.code == (2 if plan["obstacles"] else 0), said.err
    return {row["name"]: row["next"] or "-" for row in plan["packages"]}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: re.sub(r"\W+", "-", row.history))
def test_plan_matches_the_version_table(tmp_path: Path, row: Row) -> None:
    """Each row of the documented table is what the plan says of that very history."""
    world = scene(tmp_path, row.start, row.settings)
    row.make(world)

    found = planned(world, *row.argv)

    assert {name: found[name] for name in ("core", *row.others)} == {"core": row.next, **row.others}


def test_plan_walks_the_history_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many packages there are, git is started as often, and walks once."""

    def commands(count: int) -> list[str]:
        world = scene(tmp_path / str(count))
        names = [f"p{number}" for number in range(count)]
        world.commit(
            "feat: many",
            {f"packages/{name}/pyproject.toml": project(name, "1.2.3") for name in names},
        )
        for name in names:
            world.git("tag", f"{name}-v1.2.3")
            change(world, f"fix: {name}", f"packages/{name}/a.py")
        with monkeypatch.context() as patch:
            patch.setenv("GIT_TRACE", str(tmp_path / f"{count}.trace"))
            planned(world)
        started = re.findall(
            r"trace: built-in: git (.*)", (tmp_path / f"{count}.trace").read_text()
        )
        return [words.split(" ")[0] for words in started]

    few, many = commands(2), commands(12)

    assert sorted(few) == sorted(many)
    assert many.count("log") == 1


@st.composite
def histories(draw: st.DrawFn) -> str:
    """Draw a history for `git fast-import`: branches, merges, octopuses, and tags wherever they fell."""
    lines: list[str] = []
    count = draw(st.integers(1, 16))
    for number in range(1, count + 1):
        older = list(range(1, number))
        parents = (
            draw(st.lists(st.sampled_from(older[-4:]), max_size=3, unique=True)) if older else []
        )
        if number == count:
            parents = (
                draw(st.lists(st.sampled_from(older), min_size=1, max_size=3, unique=True))
                if older
                else []
            )
        message = draw(st.sampled_from(list(BUMPS)))
        lines += ["reset refs/heads/main", "commit refs/heads/main", f"mark :{number}"]
        lines += [
            f"committer Ada <ada@example.invalid> {1700000000 + draw(st.integers(0, 9))} +0000"
        ]
        lines += [f"data {len(message)}", message]
        lines += [
            f"{'from' if place == 0 else 'merge'} :{parent}" for place, parent in enumerate(parents)
        ]
        touched = draw(st.lists(st.sampled_from(FILES), max_size=2, unique=True))
        # Each package is there from the beginning.
        for name, path in () if parents else PACKAGES.items():
            manifest = project(name, "1.0")
            lines += [
                f"M 100644 inline {path}/pyproject.toml".replace("./", ""),
                f"data {len(manifest)}",
                manifest,
            ]
        # What a merge adds of its own belongs to nobody.
        for file in touched if len(parents) < 2 else []:
            lines += [f"M 100644 inline {file}", "data 3", f"{number:03}"]
    tagged = draw(st.dictionaries(st.sampled_from(list(PACKAGES)), st.integers(1, count)))
    for name, number in tagged.items():
        lines += [f"reset refs/tags/{name}-v1.0", f"from :{number}", ""]
    return "\n".join([*lines, ""])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_random_history_matches_git(history: str) -> None:
    """On any history each package has the commits that `git rev-list TAG..HEAD -- DIRECTORY` finds for it."""
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory), Path(directory))
        world.git("init", "--quiet", "--initial-branch=main")
        run(
            Command(
                ("git", "fast-import", "--quiet", "--force"),
                world.root,
                GIT,
                stdin=history.encode(),
            )
        )
        documents = {path: tomllib.loads(project(name, "1.0")) for name, path in PACKAGES.items()}
        workspace = workspace_of(documents, settings_of({}))
        checkout = Project(world.root.resolve(), {}, settings_of({}), workspace, Uv("uv"))

        found = read_history(Repo(world.root), checkout)
        versions = decide_bumps(checkout, found, Selection())

        for name, path in PACKAGES.items():
            expected = slow_reference(world, name, path)
            assert sorted(change.sha for change in found.changes[name]) == sorted(expected)
            bump = max((BUMPS[message] for message in expected.values()), default=0)
            target = ["None", "1.0.1", "1.1", "2.0"][bump] if name in found.baselines else "1.0"
            assert str(versions[name].target) == target


def slow_reference(world: World, name: str, path: str) -> dict[str, str]:
    """Return the commits of one package and their messages, asked of git one by one."""
    since = f"{name}-v1.0..HEAD" if world.git("tag", "--list", f"{name}-v1.0") else "HEAD"
    others = [
        f":(exclude,top){other}"
        for other in PACKAGES.values()
        if other != path and path in (".", other[: len(path)])
    ]
    shas = world.git(
        "rev-list", "--full-history", "--no-merges", since, "--", path, *others
    ).split()
    return {sha: world.git("show", "--no-patch", "--format=%B", sha) for sha in shas}
