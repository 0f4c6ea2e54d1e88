"""A workspace whose every text is hostile, through a whole release."""

from __future__ import annotations

import json
import re
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.support.github import WRITER, GitHubDouble
from tests.support.world import World, make_world

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

SHELL = "$(touch pwned) `touch pwned` ; touch pwned & | touch pwned"
TEMPLATE = "{{ 7 * 191 }} {% for x in range(9) %}looped{% endfor %} {name} %s ${HOME}"
MARKUP = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)> [a](javascript:alert(1)) | cell | ***"
)
TERMINAL = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J \x08\x7f"
ORDER = "\u202egnp.exe\u202c \u2066hidden\u2069 \u200b"
LINE = f"{SHELL} {TEMPLATE} {MARKUP} {TERMINAL} {ORDER}"
LONG = f"{LINE} {'very long ' * 800}"
BODY = f"## [9.9.9] - 2026-01-01\n\n- forged entry\n\n<!-- releasekit plan -->\n\n```\n{LINE}\n"
BRANCH = "main-$(touch${IFS}pwned);{{7+7}}`id`<b>"
ACTIVE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys, or what shows text in another order."""


@pytest.fixture
def hub(tmp_path: Path) -> Generator[GitHubDouble]:
    """Run a GitHub with an empty repository."""
    double = GitHubDouble(tmp_path / "hub")
    with double.serving():
        yield double


def hostile_world(directory: Path, hub: GitHubDouble) -> World:
    """Make a workspace of two packages in which every text that somebody else may write is hostile."""
    made = make_world(directory, "app: core; core")
    world = World(made.root, hub.bare)
    world.git("remote", "set-url", "origin", hub.remote)
    world.git("branch", "--move", "main", BRANCH)
    quoted = json.dumps(f"{MARKUP} {TEMPLATE} {SHELL}")
    path = "packages/core/pyproject.toml"
    described = (
        f'name = "core"\ndescription = {quoted}\nreadme = "README.md"\nkeywords = [{quoted}]'
    )
    project = (world.root / path).read_text().replace('name = "core"', described, 1)
    table = f'\n[tool.releasekit]\nforge = "github"\nchanges = "both"\nallow_branches = [{json.dumps(BRANCH)}]\n'
    root = (world.root / "pyproject.toml").read_text() + table
    files = {path: project, "packages/core/README.md": LINE, "pyproject.toml": root}
    world.commit("chore: begin", files)
    for name in ("app", "core"):
        world.git("tag", f"{name}-v0.1.0")
    world.git("tag", "core-v$(touch)-{{7}}<b>")
    world.git("config", "user.name", f"{SHELL} {TEMPLATE} {ORDER}")
    world.commit(f"feat: {LONG}\n\n{BODY}\nBREAKING CHANGE: {LINE}", {"packages/core/a.txt": "a"})
    world.commit(f"fix({LINE}): {LINE}", {"packages/app/$(touch pwned) {{ 7 }}.txt": "b"})
    world.commit(f"fix: {LINE}", {"packages/app/b.txt": "b"})
    change = f"---\ncore: minor\n---\n\n{LINE}\n\n{BODY}"
    world.commit("docs: tell", {".changes/$(touch pwned).md": change})
    world.git("push", "--quiet", "--tags", "origin", BRANCH)
    world.git("fetch", "--quiet", "origin")
    world.git("branch", "--quiet", f"--set-upstream-to=origin/{BRANCH}")
    return world


@pytest.mark.usefixtures("unrecorded")
def test_hostile_texts_stay_texts(
    tmp_path: Path, hub: GitHubDouble, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that a workspace says is run, rendered, obeyed by a terminal, or taken for a heading of ours."""
    world = hostile_world(tmp_path, hub)
    monkeypatch.setenv("GH_TOKEN", WRITER)

    shown = {
        command: world.releasekit(*command.split())
        for command in ("plan", "plan --format markdown", "changelog", "notes", "version --explain")
    }
    plan = json.loads(world.releasekit("plan", "--format", "json").out)
    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json")

    for command, text in shown.items():
        assert text.code == 0, (command, text.err)
        assert not ACTIVE.search(text.out + text.err), (command, ACTIVE.findall(text.out)[:5])
    assert {step["name"]: step["next"] for step in plan["packages"]} == {
        "app": "0.1.1",
        "core": "0.2.0",
    }
    assert said.code == 0, said.err
    assert not ACTIVE.search(said.err), ACTIVE.findall(said.err)
    assert list(tmp_path.rglob("pwned")) == []
    (release,) = hub.releases.values()
    changelog = (world.root / "packages/core/CHANGELOG.md").read_text()
    headings = re.findall(r"(?m)^## .*", release["body"])
    assert headings == ["## Packages", "## core 0.2.0", "## app 0.1.1"]
    for text in (release["body"], changelog, shown["plan --format markdown"].out):
        assert "1337" not in text
        assert "loopedlooped" not in text
        # A change file is Markdown on purpose, as an indented item; the title of a commit is not.
        titles = [line for line in text.splitlines() if line.startswith("- ") and "***" not in line]
        assert not re.search(r"(?<!\\)<(?:script|img)", "\n".join(titles))
        assert "\n## [9.9.9]" not in text
        assert "\n<!-- releasekit" not in text
        assert not ACTIVE.search(text), ACTIVE.findall(text)[:5]
    assert "very long" in changelog
    assert [line[:10] for line in re.findall(r"(?m)^## .*", changelog)] == ["## [0.2.0]"]
    with zipfile.ZipFile(next(tmp_path.rglob("core-0.2.0*.whl"))) as wheel:
        assert wheel.testzip() is None
    assert own_index.requests()
