"""Commands of the workspace that run before each build of a package."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from releasekit.core.errors import ErrorCode
from tests.stories.test_resume import another_clone
from tests.support.world import World, make_world

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

pytestmark = pytest.mark.usefixtures("unrecorded")

STAGE = ("publish", "--stage-only", "--skip-audit", "--allow-new", "all", "--format", "json")
COPY = 'pre_build = ["cp {root}/README.md {root}/LICENSE ."]'
# What a generator of code does; it also tells which version and which credentials it sees.
GENERATOR = """\
    import os, pathlib, tomllib

    project = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]
    text = f"VERSION = {project['version']!r}\\nSEEN = {os.environ.get('UV_PUBLISH_PASSWORD')!r}\\n"
    pathlib.Path("src/core/generated.py").write_text(text)
    """
OWN = """
[project.scripts]
core = "core.generated:VERSION.strip"

[tool.releasekit]
pre_build = ["cp {root}/README.md {root}/LICENSE .", ["python3", "{root}/tools/generate.py"]]
"""


def shared_files_world(directory: Path, keys: str = COPY) -> World:
    """Make packages whose README and license are at the root only; a module of core is in no commit either."""
    world = make_world(
        directory, "app: core; core", keys, core="from core.generated import VERSION\n"
    )
    declared = 'requires-python = ">=3.11"\n'
    files = {
        "README.md": "# Pears\n",
        "LICENSE": "Permission is granted.\n",
        "tools/generate.py": GENERATOR,
    }
    for name in ("app", "core"):
        path = f"packages/{name}/pyproject.toml"
        text = (world.root / path).read_text()
        named = f'{declared}readme = "README.md"\nlicense-files = ["LICENSE"]\n'
        files[path] = text.replace(declared, named)
    files["packages/core/pyproject.toml"] += OWN
    files[".gitignore"] = "/packages/*/README.md\ngenerated.py\n"
    world.commit("feat: shared files", files)
    world.lock()
    world.git("push", "--quiet", "origin", "main")
    return world


def built_wheels(staged: Path) -> dict[str, dict[str, str]]:
    """Return the files of each wheel below *staged* as text, by the name of its package."""
    wheels: dict[str, dict[str, str]] = {}
    for wheel in staged.rglob("*.whl"):
        with ZipFile(wheel) as archive:
            texts = {name: archive.read(name).decode() for name in archive.namelist()}
        wheels[wheel.name.partition("-")[0]] = texts
    return wheels


@pytest.mark.usefixtures("own_index")
def test_builds_contain_what_commands_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in sdist and wheel, in the second build too, and neither in the release commit nor in the checkout."""
    monkeypatch.setenv("UV_PUBLISH_PASSWORD", "pears-and-plums")
    world = shared_files_world(tmp_path, f'{COPY}\nreproducible = "check"')
    before = world.state()["status"]

    staged = world.releasekit(*STAGE, "--output", "../out")

    assert staged.code == 0, staged.err
    wheels = built_wheels(tmp_path / "out")
    assert wheels["core"]["core/generated.py"] == "VERSION = '0.1.0'\nSEEN = None\n"
    for name in ("app", "core"):
        stem = f"{name}-0.1.0.dist-info"
        assert wheels[name][f"{stem}/METADATA"].endswith("\n# Pears\n")
        assert wheels[name][f"{stem}/licenses/LICENSE"] == "Permission is granted.\n"
    commit = json.loads((tmp_path / "out/manifest.json").read_text())["release_commit"]
    committed = world.git("ls-tree", "-r", "--name-only", commit).splitlines()
    assert [
        path for path in committed if path.endswith(("README.md", "LICENSE", "generated.py"))
    ] == [
        "LICENSE",
        "README.md",
    ]
    assert world.state()["status"] == before


@pytest.mark.usefixtures("own_index")
def test_dry_run_shows_pre_build_commands(tmp_path: Path) -> None:
    """Each build has its commands above it, with the place where they run; a package may want none."""
    world = shared_files_world(tmp_path)
    path = "packages/app/pyproject.toml"
    text = (world.root / path).read_text()
    world.commit("chore: nothing to copy", {path: f"{text}\n[tool.releasekit]\npre_build = []\n"})

    dry = world.releasekit("publish", "--dry-run", "--offline", "--allow-new", "all")

    outline = dry.out.partition("would run:")[2]
    lines = [line.strip() for line in outline.splitlines()]
    at = lines.index("# in RELEASE/tree/packages/core:")
    assert lines[at + 1 : at + 3] == [
        "cp RELEASE/tree/README.md RELEASE/tree/LICENSE .",
        "python3 RELEASE/tree/tools/generate.py",
    ]
    assert "uv build --no-sources" in lines[at + 3]
    assert "# in RELEASE/tree/packages/app:" not in lines


@pytest.mark.usefixtures("own_index")
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            '["sh", "-c", "echo what is wrong; exit 3"]',
            ("exit code 3 from: sh -c", "what is wrong"),
        ),
        ('"no-such-program --now"', ("No such file or directory: no-such-program --now",)),
        ('"sleep 60"', ("killed after 1 s: sleep 60",)),
    ],
)
def test_failed_command_stops_the_build(
    tmp_path: Path, command: str, said: tuple[str, ...]
) -> None:
    """Nothing is public then, and what was staged before stays so."""
    world = shared_files_world(tmp_path, f"{COPY}\nbuild_timeout = 1")
    path = "packages/core/pyproject.toml"
    text = (world.root / path).read_text()
    own = text.partition("[tool.releasekit]")[0]
    world.commit("chore: wrong", {path: f"{own}[tool.releasekit]\npre_build = [{command}]\n"})
    world.git("push", "--quiet", "origin", "main")

    staged = world.releasekit(*STAGE)

    assert staged.code == 1, staged.err
    errors = {
        row["name"]: f"{row['error']}\n{row['output']}"
        for row in json.loads(staged.out)["packages"]
    }
    assert ErrorCode.BUILD_FAILED in errors["core"]
    assert "a pre_build command failed" in errors["core"]
    assert all(part in errors["core"] for part in said), errors["core"]


def test_published_version_is_built_again_with_commands(
    tmp_path: Path, own_index: EmbeddedIndex
) -> None:
    """`verify` of a release that is on the index runs the commands of its tag, in a clone that never ran them."""
    world = shared_files_world(tmp_path)
    published = world.releasekit("publish", "--yes", "--skip-audit", "--allow-new", "all")
    assert published.code == 0, published.err
    clone = another_clone(world, tmp_path / "clone")

    verified = clone.releasekit("verify", "core", "0.1.0")

    assert verified.code == 0, verified.err
    assert own_index.requests()


def test_checks_know_that_commands_write_files(tmp_path: Path) -> None:
    """Without the commands, `check` misses the README, the license and the module; with them it does not."""
    with_commands = shared_files_world(tmp_path / "with")
    without = shared_files_world(tmp_path / "without", "")
    path = "packages/core/pyproject.toml"
    text = (without.root / path).read_text()
    without.commit("chore: no commands", {path: text.partition("[tool.releasekit]")[0]})

    found = {
        world: {
            (row["check"], row["package"])
            for row in json.loads(world.releasekit("check", "--format", "json").out)["findings"]
            if row["check"]
            in ("missing_readme", "missing_license", "ignored_files", "verification")
        }
        for world in (with_commands, without)
    }

    assert found[with_commands] == set()
    assert found[without] >= {
        ("missing_readme", "app"),
        ("missing_readme", "core"),
        ("missing_license", "app"),
        ("missing_license", "core"),
        ("verification", "core"),
    }
