"""Rehearsals of workspaces that have a past: the same plan, on an index that has nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from releasekit.core.errors import ErrorCode
from tests.support.world import World, make_world

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

HATCHLING = (
    '\n[build-system]\nrequires = ["hatchling==1.27.0"]\nbuild-backend = "hatchling.build"\n'
)
SETUPTOOLS = (
    '\n[build-system]\nrequires = ["setuptools==80.9.0"]\nbuild-backend = "setuptools.build_meta"\n'
)
REHEARSE = ("publish", "--rehearse", "--skip-audit", "--format", "json")


def with_backend(world: World, backend: str) -> dict[str, str]:
    """Return the pyproject.toml of core with another build backend, by its path."""
    path = "packages/core/pyproject.toml"
    project, _, _ = (world.root / path).read_text().partition("[build-system]")
    return {path: project + backend}


def steps_of(world: World, *argv: str) -> dict[str, str]:
    """Return the versions that a command plans or has released, by package."""
    said = world.releasekit(*argv)
    assert said.code == 0, said.err
    answer: dict[str, Any] = json.loads(said.out)
    return {package["name"]: package["version"] for package in answer["packages"]}


@pytest.mark.usefixtures("unrecorded")
def test_rehearsal_knows_what_the_real_index_has(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A team that never tagged rehearses what it will publish: the index shows what it has released before.

    The package that is not released now comes from the real index. The real one gets nothing.
    """
    world = make_world(tmp_path, "app: core; core")
    assert world.releasekit("publish", "--yes", "--skip-audit").code == 0
    for name in world.tags():
        world.git("tag", "--delete", name)
        world.git("push", "--quiet", "origin", f":refs/tags/{name}")
    world.commit("feat: sort the seeds", {"packages/app/src/app/seeds.py": ""})
    world.git("push", "--quiet")
    sent = len(own_index.requests())
    before = world.state()

    rehearsed = steps_of(world, *REHEARSE)

    assert rehearsed == {"app": "0.2.0"}
    assert world.state() == before
    uploads = [r for r in own_index.requests()[sent:] if r.method == "POST"]
    assert not uploads


@pytest.mark.usefixtures("unrecorded")
def test_rehearsal_has_the_submodules_of_the_checkout(
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package with a submodule is rehearsed with its files, and built from them."""
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")
    library = make_world(tmp_path / "library", "seeds")
    world = make_world(tmp_path, "core")
    world.git("submodule", "--quiet", "add", str(library.root), "packages/core/seeds")
    build = '\n[tool.uv.build-backend]\nsource-include = ["seeds/pyproject.toml"]\n'
    declared = (world.root / "packages/core/pyproject.toml").read_text()
    world.commit("feat: seeds", {"packages/core/pyproject.toml": declared + build})

    said = world.releasekit(*REHEARSE)

    assert said.code == 0, said.err
    (core,) = json.loads(said.out)["packages"]
    assert core["outcome"] == "confirmed"
    assert world.git("status", "--porcelain") == ""
    assert not [request for request in own_index.requests() if request.method == "POST"]


@pytest.mark.usefixtures("unrecorded", "own_index")
def test_rehearsal_says_when_only_its_index_refuses(tmp_path: Path) -> None:
    """The throwaway index is stricter about sdists than PyPI, so a refusal of it is not the last word."""
    world = make_world(tmp_path, "core")
    (world.root / "packages/core/docs").mkdir()
    (world.root / "packages/core/docs/README.md").symlink_to("../pyproject.toml")
    world.commit("feat: documents", with_backend(world, HATCHLING))

    said = world.releasekit(*REHEARSE)

    assert said.code == 1
    (core,) = json.loads(said.out)["packages"]
    assert core["error"].startswith("RK-UPLOAD-REFUSED: core-0.1.0.tar.gz: ")
    assert "stricter than PyPI" in core["hint"]


@pytest.mark.usefixtures("unrecorded", "own_index")
def test_rehearsal_explains_hashes_of_old_uv_build(tmp_path: Path) -> None:
    """PyPI accepts the RECORD that uv_build writes before 0.8.13. The throwaway index refuses it."""
    world = make_world(tmp_path, "core")
    manifest = "packages/core/pyproject.toml"
    text, _ = (world.root / manifest).read_text().split("[build-system]")
    system = '[build-system]\nrequires = ["uv_build>=0.7.20,<0.8"]\nbuild-backend = "uv_build"\n'
    world.commit("build: use an old backend", {manifest: text + system})

    said = world.releasekit("publish", "--rehearse", "--yes", "--skip-audit")

    assert said.code == 1
    assert "RECORD hash mismatch" in said.out
    assert "stricter than PyPI, which accepts, for example, links to files above" in said.out
    assert "the hashes that uv_build writes before 0.8.13" in said.out
    finding = (
        "RECORD has hexadecimal hashes, as uv_build writes them before 0.8.13: core/__init__.py"
    )
    assert f"warning RK-VERIFY-RECORD: core-0.1.0-py3-none-any.whl: {finding}" in said.out


@pytest.mark.usefixtures("unrecorded", "own_index")
def test_root_package_is_built_as_in_a_clone(tmp_path: Path) -> None:
    """Hatchling before 1.30 packs a file called `.git` at the top. A work tree of git has one, a clone has none."""
    world = make_world(tmp_path, "core")
    project = '\n[project]\nname = "top"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n'
    modules = '[tool.hatch.build.targets.wheel]\npackages = ["src/top"]\n'
    workspace = (world.root / "pyproject.toml").read_text()
    world.write({"pyproject.toml": workspace + project + HATCHLING + modules})
    world.write({"src/top/__init__.py": "", "README.md": "# Top\n"})
    world.lock()

    assert steps_of(world, *REHEARSE) == {"core": "0.1.0", "top": "0.1.0"}


@pytest.mark.usefixtures("unrecorded", "own_index", "whole_proofs")
def test_build_script_in_a_wheel_is_not_imported(tmp_path: Path) -> None:
    """A build script that a wheel takes along needs what users do not have. It is a warning, not a failed import."""
    world = make_world(tmp_path, "core")
    hook = (
        '\n[tool.hatch.build.targets.wheel]\nonly-include = ["src", "scripts"]\nsources = ["src"]\n'
    )
    world.commit(
        "feat: a script",
        {
            **with_backend(world, HATCHLING + hook),
            "packages/core/scripts/build.py": "import hatchling\n",
        },
    )

    said = world.releasekit(*REHEARSE)

    assert said.code == 0, said.err
    (core,) = json.loads(said.out)["packages"]
    assert core["outcome"] == "confirmed"
    assert f"{ErrorCode.VERIFY_COMMON}: core-0.1.0-py3-none-any.whl" in said.out


@pytest.mark.usefixtures("unrecorded", "own_index", "whole_proofs")
@pytest.mark.parametrize(
    ("extras", "broken", "advice", "code"),
    [
        ('server = ["idna"]', "core_server", "No module named 'idna'", 0),
        ('server = ["idna"]', "core", "No module named 'idna'", 1),
        ('server = ["idna"]', "core", "install Core[server]", 0),
        ('server = ["idna"]', "core", "install core[web] or other[server]", 1),
        ("", "core_server", "install core[server]", 1),
    ],
    ids=[
        "an extra module",
        "the module of the package",
        "names its extra",
        "names another",
        "no extras",
    ],
)
def test_module_may_need_an_extra(
    tmp_path: Path, extras: str, broken: str, advice: str, code: int
) -> None:
    """A module that only works with an extra is a warning. Without extras, nobody could import it: that is an error.

    The module that has the name of the package must say which extra it needs.
    """
    world = make_world(tmp_path, "core")
    table = f"\n[project.optional-dependencies]\n{extras}\n"
    modules = '[tool.hatch.build.targets.wheel]\npackages = ["src/core", "src/core_server"]\n'
    fails = f'raise ImportError("{advice}\\nto use it")\n'
    world.write({"packages/core/src/core_server/__init__.py": ""})
    world.write({f"packages/core/src/{broken}/__init__.py": fails})
    world.write(with_backend(world, table + HATCHLING + modules))
    world.lock()

    said = world.releasekit(*REHEARSE)

    assert said.code == code, said.err
    if code:
        assert (
            f"{ErrorCode.STAGED_IMPORT_FAILED}: the built core 0.1.0 cannot be imported" in said.out
        )
    else:
        assert f"without extras, this cannot be imported: {broken}: {advice}\n" in said.err


@pytest.mark.usefixtures("unrecorded", "own_index")
def test_wheel_that_needs_more_than_its_sdist(tmp_path: Path) -> None:
    """A build that reads a file from elsewhere fails from the sdist. The hint says what to do, and it works."""
    world = make_world(tmp_path, "core")
    files = with_backend(world, SETUPTOOLS)
    files["packages/core/setup.py"] = (
        "import setuptools\nopen('../words').close()\nsetuptools.setup()\n"
    )
    files["packages/words"] = ""
    world.commit("feat: words", files)

    failed = world.releasekit(*REHEARSE)

    assert failed.code == 1
    (core,) = json.loads(failed.out)["packages"]
    key = 'build_command = "uv build --wheel --out-dir {output}"'
    assert core["error"].startswith("RK-BUILD-FAILED")
    assert key in core["hint"]
    (path,) = with_backend(world, SETUPTOOLS)
    world.commit("build: from here", {path: f"{files[path]}[tool.releasekit]\n{key}\n"})
    assert steps_of(world, *REHEARSE) == {"core": "0.1.0"}


@pytest.mark.usefixtures("unrecorded", "own_index")
def test_submodule_that_no_build_packs_may_be_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CI checks out without submodules; the theme of its documents does not stop the release of a package."""
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")
    theme = make_world(tmp_path / "theme", "leaves")
    world = make_world(tmp_path, "core")
    place = "packages/core/docs/theme"
    world.git("submodule", "--quiet", "add", str(theme.root), place)
    world.commit("docs: a theme")
    world.git("submodule", "--quiet", "deinit", "--force", place)

    assert steps_of(world, *REHEARSE) == {"core": "0.1.0"}
