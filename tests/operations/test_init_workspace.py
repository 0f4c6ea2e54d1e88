"""The command `init`: what it finds of earlier releases, and what it writes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from releasekit.core.errors import ErrorCode
from tests.support.world import World, make_world, upload, write_package

if TYPE_CHECKING:
    from releasekit.integrations.peryx import EmbeddedIndex

ON_A_TERMINAL = "import os, pty, sys; raise SystemExit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


@pytest.fixture(autouse=True)
def _no_prefect_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


def init(world: World, *argv: str) -> dict[str, Any]:
    """Return what `init` has found and done."""
    said = world.releasekit("init", "--format", "json", *argv)
    assert said.code == 0, said.err
    return json.loads(said.out)


def root(world: World) -> str:
    """Return the root's pyproject.toml."""
    return (world.root / "pyproject.toml").read_text()


def statuses(world: World) -> dict[str, str]:
    """Return what the plan says of each package."""
    said = world.releasekit("plan", "--offline", "--format", "json")
    unfinished = {obstacle["code"] for obstacle in json.loads(said.out)["obstacles"]}
    assert unfinished <= {ErrorCode.PREFLIGHT_DIRTY_WORKTREE, ErrorCode.PREFLIGHT_LOCK_STALE}, (
        "what init writes is to be committed"
    )
    return {row["name"]: row["status"] for row in json.loads(said.out)["packages"]}


@pytest.mark.parametrize(
    ("tags", "formats", "more"),
    [
        (["core-v0.1.0", "app-v0.1.0"], ["{name}-v{version}"], '\npins = "exact"\n'),
        (["core==0.1.0", "app==0.1.0", "core-v0.0.1"], ["{name}=={version}", "{name}-v{version}"], ""),
        (["py/core-v0.1.0", "py/app-v0.1.0", "js/core-v9.0"], ["{label}/{name}-v{version}"], 'label = "py"'),
        (["v0.1.0", "v0.0.9"], ["v{version}"], 'versioning = "fixed"'),
        (["v0.1.0", "core-v0.1.0"], ["{name}-v{version}", "v{version}"], ""),
        (["v7.0", "nightly", "core-v0.1.0", "app-v0.1.0"], ["{name}-v{version}"], ""),
    ],
)
def test_init_finds_the_tag_formats(tmp_path: Path, tags: list[str], formats: list[str], more: str) -> None:
    """The tags of the field are found, whatever their form, and the configuration that is written reads them."""
    world = make_world(tmp_path, "app: core; core")
    for tag in tags:
        world.git("tag", tag)

    found = init(world, "--offline", "--yes")

    assert found["tag_format"] == formats
    rows = {row["name"]: row for row in found["packages"]}
    assert {row["baseline"] for row in rows.values()} == {"tag"}, rows
    assert rows["core"]["commit"] == world.git("rev-parse", "HEAD")
    assert more in root(world)
    assert statuses(world) == {"core": "skipped", "app": "skipped"}
    again = init(world, "--offline", "--yes")
    assert (again["diffs"], again["written"]) == ({}, False)


def test_init_keeps_comments_and_order(tmp_path: Path) -> None:
    """The file keeps its comments and its order; what is there already stays, and what is missing is added."""
    world = make_world(tmp_path, "app; core")
    text = f"# mine\n{root(world)}\n[tool.releasekit]  # ours\ntag_format = '{{name}}@{{version}}'  # why\n"
    text += "[tool.releasekit.groups]\nall = ['*']\n[tool.other]\nkey = 1 # odd  spaces\n"
    world.write({"pyproject.toml": text})
    world.git("tag", "core==0.1.0")
    before = world.state()

    said = world.releasekit("init", "--offline")
    assert (said.code, world.state()) == (0, before)
    assert "nothing was written; pass --yes to write pyproject.toml" in said.err
    assert "+tag_format = [" in said.out

    assert init(world, "--offline", "--yes")["written"]
    old, new = "'{name}@{version}'  # why", '["{name}@{version}", "{name}=={version}"] # why'
    assert root(world).replace("]  # why", "] # why") == text.replace(old, new)
    assert init(world, "--offline")["diffs"] == {}


def test_init_leaves_inline_table_alone(tmp_path: Path) -> None:
    """A table that cannot be added to safely is left alone, and what to add is said."""
    world = make_world(tmp_path, "core")
    inline = "tool = { uv = { workspace = { members = ['packages/*'] }, sources = { core = { workspace = true } } } }\n"
    world.write({"pyproject.toml": inline})
    world.git("tag", "core==0.1.0")

    said = world.releasekit("init", "--offline", "--yes")

    assert (said.code, f"error: {ErrorCode.CONFIG_INVALID_VALUE}: " in said.err) == (2, True), said.err
    assert 'Add by hand: tag_format = "{name}=={version}"' in said.err
    assert root(world) == inline


def test_init_makes_groups_from_directories(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Directories become groups, and samples that were never released stay home."""
    world = make_world(tmp_path, "core")
    for name, place in {"plug": "plugins", "sock": "plugins", "hello": "samples"}.items():
        write_package(world, name, [])
        (world.root / place).mkdir(exist_ok=True)
        world.git("add", "--all")
        world.git("mv", f"packages/{name}", f"{place}/{name}")
    world.write({"pyproject.toml": root(world).replace('"packages/*"', '"packages/*", "plugins/*", "samples/*"')})
    world.lock()

    rows = {row["name"]: row["baseline"] for row in init(world, "--yes")["packages"]}

    assert rows == {"core": "first", "hello": "home", "plug": "first", "sock": "first"}
    assert root(world).endswith(
        '\n[tool.releasekit]\n# Never released so far. Remove what you want to publish.\nexclude = ["samples/*"]\n\n'
        '# For --group. `{ packages = [...], versioning = "fixed" }` gives a group one version.\n'
        '[tool.releasekit.groups]\npackages = ["packages/*"]\nplugins = ["plugins/*"]\n'
    )
    assert statuses(world) == {"core": "included", "plug": "included", "sock": "included"}
    assert own_index.requests()


def test_init_notes_that_defaults_fit(tmp_path: Path) -> None:
    """A workspace that needs no key gets a table that says so, once."""
    world = make_world(tmp_path, "app; core")

    assert {row["baseline"] for row in init(world, "--offline", "-y")["packages"]} == {"unasked"}
    assert root(world).endswith("\n\n[tool.releasekit]\n# The defaults fit this workspace. "
                                "`releasekit plan` shows what would be released, and why.\n")  # fmt: skip
    assert init(world, "--offline", "-y")["diffs"] == {}


def test_init_gives_package_bare_tags(tmp_path: Path) -> None:
    """Where tags without a name are one package's, that package is told so in its own file."""
    world = make_world(tmp_path, "app: core; core; util")
    path = "packages/core/pyproject.toml"
    world.commit("chore: go", {path: (world.root / path).read_text().replace("0.1.0", "0.4.0")})
    for tag in ("v0.4.0", "app-v0.1.0", "util-v0.1.0"):
        world.git("tag", tag)

    found = init(world, "--offline", "--yes")

    assert {row["name"]: row["tag"] for row in found["packages"]} == {
        "app": "app-v0.1.0",
        "core": "v0.4.0",
        "util": "util-v0.1.0",
    }
    assert 'tag_format = "v{version}"' in (world.root / path).read_text()
    assert set(statuses(world).values()) == {"skipped"}


def release_of_app(tmp_path: Path, subject: str) -> World:
    """Return a workspace whose packages have tag formats of their own, after app was released alone at v0.1.0."""
    world = make_world(tmp_path, "app; core; new")
    for name in ("app", "core"):
        path = f"packages/{name}/pyproject.toml"
        text = (world.root / path).read_text()
        world.write({path: f'{text}\n[tool.releasekit]\ntag_format = "{name[0]}-{{version}}"\n'})
    world.commit("chore: begin")
    for tag in ("c-0.1.0", "a-0.0.9", "release-2026.01.01"):
        world.git("tag", tag)
    world.commit(subject)
    for tag in ("a-0.1.0", "v0.1.0"):
        world.git("tag", "--annotate", "--message", tag, tag)
    return world


@pytest.mark.parametrize("subject", ["chore(release): v0.1.0", "chore(release): v0.1.0 (#12)"])
def test_init_ignores_the_umbrella_tag(tmp_path: Path, subject: str) -> None:
    """The tag of a release as a whole is no package's, and a package's own tag format stays as it is."""
    world = release_of_app(tmp_path, subject)

    found = init(world, "--offline", "--yes")

    assert (found["tag_format"], found["diffs"].keys()) == (["{name}-v{version}"], {"pyproject.toml"})
    assert {row["name"]: (row["tag"], row["baseline"]) for row in found["packages"]} == {
        "app": ("a-0.1.0", "tag"),
        "core": ("c-0.1.0", "tag"),
        "new": ("", "unasked"),
    }
    assert statuses(world) == {"app": "skipped", "core": "skipped", "new": "included"}

    world.write({"pyproject.toml": f'{root(world)}tag_format = ["{{name}}-v{{version}}", "v{{version}}"]\n'})
    world.commit("chore: read older tags")
    assert statuses(world)["new"] == "included", "v0.1.0 tells nothing of it, though its format reads that"
    (row,) = (row for row in init(world, "--offline")["packages"] if row["name"] == "new")
    assert row["baseline"] == "unasked"
    checked = world.releasekit("check", "--select", "tag_baseline", "--format", "json")
    assert json.loads(checked.out)["findings"] == []
    path = "packages/new/pyproject.toml"
    world.commit("chore: on", {path: (world.root / path).read_text().replace("0.1.0", "0.2.0")})
    checked = world.releasekit("check", "--select", "tag_baseline", "--format", "json")
    assert [each["what"] for each in json.loads(checked.out)["findings"]] == [
        "new has version 0.2.0, but no tag marks its last release"
    ]


def test_merge_commit_marks_umbrella_tag(tmp_path: Path) -> None:
    """It is recognised on the merge of a release pull request too; a tag of somebody else's release is not."""
    world = make_world(tmp_path, "app; core")
    world.git("switch", "--quiet", "--create", "next")
    world.commit("chore(release): v0.1.0")
    world.git("switch", "--quiet", "main")
    world.git("merge", "--quiet", "--no-ff", "--message", "Merge pull request #12 from next", "next")
    for tag in ("app-v0.1.0", "v0.1.0"):
        world.git("tag", tag)
    assert init(world, "--offline")["tag_format"] == ["{name}-v{version}"]

    world.git("commit", "--quiet", "--amend", "--message", "release day")
    world.git("tag", "--force", "app-v0.1.0")
    world.git("tag", "--force", "v0.1.0")
    assert init(world, "--offline")["tag_format"] == ["{name}-v{version}"], "the merged commit says it"
    world.commit("release day")
    world.git("tag", "--force", "app-v0.1.0")
    world.git("tag", "--force", "v0.1.0")
    assert init(world, "--offline")["tag_format"] == ["{name}-v{version}", "v{version}"]


def test_bare_tag_releases_every_package(tmp_path: Path) -> None:
    """Where all packages share one tag without a name, that is the release of each, whatever else is tagged there."""
    world = make_world(tmp_path, "app: core; core")
    world.write({"pyproject.toml": f'{root(world)}\n[tool.releasekit]\ntag_format = "v{{version}}"\n'})
    world.commit("chore(release): v0.1.0")
    for tag in ("v0.1.0", "docker-0.1.0"):
        world.git("tag", tag)

    assert {row["tag"] for row in init(world, "--offline")["packages"]} == {"v0.1.0"}
    assert statuses(world) == {"app": "skipped", "core": "skipped"}


@pytest.mark.parametrize(
    ("requirement", "pins"), [("core>=0.1", "compatible"), ("core==0.1.0", "exact"), ("core", "exact")]
)
def test_init_infers_the_pins_key(tmp_path: Path, requirement: str, pins: str) -> None:
    """What the sources require of each other says how wheels are pinned; a key that is there stays."""
    world = make_world(tmp_path, f"app: {requirement}; core")

    init(world, "--offline", "--yes")

    assert re.search(rf'^# A built package requires .*\.\npins = "{pins}"$', root(world), re.MULTILINE)
    text = root(world).replace(f'"{pins}"', '"keep"')
    world.write({"pyproject.toml": text})
    assert init(world, "--offline", "--yes")["diffs"] == {}
    assert root(world) == text


def test_init_tags_baselines_when_asked(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """What is on the index without a tag is found, and tagged only when asked: here, at the commit that set it."""
    world = make_world(tmp_path, "app: core; core; new")
    sha = world.git("rev-parse", "HEAD")
    upload(world, own_index, "core", "app")
    path = "packages/app/pyproject.toml"
    world.commit("chore: on", {path: (world.root / path).read_text().replace("0.1.0", "0.2.0")})
    world.git("tag", "app-v0.0.1")  # no release: app declares 0.2.0 there
    refs = world.git("for-each-ref")

    said = world.releasekit("init", "--yes")
    found = init(world, "--yes")

    assert f"--tag-baselines would tag {sha[:7]} as core-v0.1.0" in said.out
    assert "on the index, no tag; set at" in said.out
    rows = {row["name"]: (row["baseline"], row["version"], row["commit"], row["note"]) for row in found["packages"]}
    assert rows == {
        "app": ("index", "0.1.0", sha, "no tag app-v0.1.0"),
        "core": ("index", "0.1.0", sha, "no tag core-v0.1.0"),
        "new": ("first", None, "", ""),
    }
    assert (found["missing"], found["made"]) == ({"app-v0.1.0": sha, "core-v0.1.0": sha}, [])
    assert world.git("for-each-ref") == refs

    assert init(world, "--tag-baselines")["made"] == [], "nobody said yes"
    assert init(world, "--tag-baselines", "--yes")["made"] == ["app-v0.1.0", "core-v0.1.0"]
    assert world.git("rev-parse", "core-v0.1.0^{commit}") == sha
    assert world.tags() == {}, "none is pushed"
    assert init(world)["missing"] == {}
    assert init(world, "--check-url", "http://127.0.0.1:9/simple", "--offline")["missing"] == {}
    refused = world.releasekit("init", "--check-url", "http://127.0.0.1:9/simple")
    assert (refused.code, ErrorCode.INDEX_UNREACHABLE in refused.err) == (2, True)


def test_init_skips_baseline_without_commit(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Of a release that no commit here tells of, that is said; no tag is made for it."""
    world = make_world(tmp_path, "core")
    path = "packages/core/pyproject.toml"
    text = (world.root / path).read_text()
    world.write({path: text.replace("0.1.0", "0.0.9")})
    upload(world, own_index, "core")
    world.write({path: text})

    (row,) = init(world, "--yes", "--tag-baselines")["packages"]
    said = world.releasekit("init", "--yes", "--tag-baselines")

    assert re.search(r"0\.0\.9 +on the index, no tag +no tag", said.out)
    assert (row["baseline"], row["commit"]) == ("index", "")
    assert row["note"] == "no tag core-v0.0.9, and no commit here sets the version 0.0.9"
    assert world.git("tag") == ""


@pytest.mark.parametrize(
    ("keys", "written"),
    [("n\r", False), ("y\r", True), ("\r", False), ("\x04", False)],
    ids=["no", "yes", "return", "ctrl-d"],
)
def test_init_asks_on_a_terminal(tmp_path: Path, keys: str, written: bool) -> None:
    """On a terminal it asks before it writes; no answer is a no."""
    world = make_world(tmp_path, "core")
    before = root(world)
    program = (sys.executable, "-m", "releasekit", "init", "--offline")
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm", "COLUMNS": "200"}

    said = subprocess.run(
        (sys.executable, "-c", ON_A_TERMINAL, *program), cwd=world.root, env=env, input=keys.encode(),
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip

    assert b"Write pyproject.toml?" in said.stdout
    assert (root(world) != before) == written


SHIPPED = Path(__file__).parents[2] / "deployments"


def test_init_writes_the_shipped_workflows(tmp_path: Path) -> None:
    """The workflows are those that are shipped, for the branch that is checked out; a second time nothing is to do."""
    world = make_world(tmp_path, "core")
    world.git("switch", "--quiet", "--create", "release/1.x")

    seen = init(world, "--offline", "--ci", "github")
    assert {path for path in seen["diffs"] if "workflows" in path} == {
        f".github/workflows/{each.name}" for each in (SHIPPED / "github").iterdir()
    }
    assert not (world.root / ".github").exists()
    said = world.releasekit("init", "--offline", "--ci", "github")
    assert ".github/workflows/publish.yml and .github/workflows/release.yml\n" in said.err
    assert said.err.count(" and ") == 1
    init(world, "--offline", "--ci", "github", "--yes")

    for path in (SHIPPED / "github").iterdir():
        wanted = path.read_text().replace("branches: [main]", 'branches: ["release/1.x"]')
        assert (world.root / ".github/workflows" / path.name).read_text() == wanted
    assert init(world, "--offline", "--ci", "github", "--yes")["diffs"] == {}
    mine = world.root / ".github/workflows/plan.yml"
    mine.write_text(mine.read_text().replace("timeout-minutes: 15", "timeout-minutes: 5"))
    assert (
        "-    timeout-minutes: 5\n+    timeout-minutes: 15\n"
        in init(world, "--offline", "--ci", "github")["diffs"][".github/workflows/plan.yml"]
    )


def test_init_includes_the_gitlab_pipeline(tmp_path: Path) -> None:
    """On GitLab the pipeline is included; a file of one's own is left as it is, and one is told what to put into it."""
    world = make_world(tmp_path, "core")
    init(world, "--offline", "--ci", "gitlab", "--yes")
    path = ".gitlab/releasekit.gitlab-ci.yml"
    assert (world.root / path).read_text() == (SHIPPED / "gitlab/releasekit.gitlab-ci.yml").read_text()
    assert (world.root / ".gitlab-ci.yml").read_text() == f"include:\n  - local: {path}\n"
    said = world.releasekit("init", "--offline", "--ci", "gitlab", "--yes")
    assert "add to .gitlab-ci.yml" not in said.err

    (world.root / ".gitlab-ci.yml").write_text("stages: [test]\n")
    said = world.releasekit("init", "--offline", "--ci", "gitlab", "--yes")

    assert f"add to .gitlab-ci.yml: `include: [{{local: {path}}}]`" in said.err
    assert (world.root / ".gitlab-ci.yml").read_text() == "stages: [test]\n"


def test_workflows_go_to_repository_root(tmp_path: Path) -> None:
    """They go to the top of the repository, where the CI looks for them."""
    world = make_world(tmp_path, "core")
    (world.root / "python").mkdir()
    for name in ("packages", "pyproject.toml", "uv.lock"):
        world.git("mv", name, "python")
    world.commit("chore: nested")

    init(World(world.root / "python", world.remote), "--offline", "--ci", "github", "--yes")

    assert (world.root / ".github/workflows/publish.yml").is_file()
    assert not (world.root / "python/.github").exists()
