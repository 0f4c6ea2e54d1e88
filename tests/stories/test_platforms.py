"""Native wheels: each platform builds its own for a release that was staged once, and `merge` puts all together."""

from __future__ import annotations

import json
import shutil
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from releasekit.core.errors import ErrorCode
from tests.stories.test_resume import another_clone
from tests.support.fault_index import FaultIndex, fault_index
from tests.support.world import Said, World, make_world

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = pytest.mark.usefixtures("unrecorded")

STAGED = ("--skip-audit", "--format", "json")
ALONE = (*STAGED, "--skip-smoke-test")
PYTHON = f"cp3{sys.version_info.minor}"
HERE, ELSEWHERE = "linux-x86_64", "macos-arm64"
PLATFORMS = f'[tool.releasekit.platforms.{HERE}]\nqueue = "linux"\n[tool.releasekit.platforms.{ELSEWHERE}]\n'
C_SOURCE = """\
#include <Python.h>

static PyObject *answer(PyObject *self, PyObject *args) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "fast", "", -1, methods};
PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&module); }
"""
PROJECT = """\
[project]
name = "core"
version = "0.1.0"
requires-python = ">=3.11"

[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[tool.setuptools]
packages = ["core"]
package-dir = { "" = "src" }
ext-modules = [{ name = "core.fast", sources = ["src/core/fast.c"] }]

[tool.releasekit]
"""
WAIVER = 'verify_ignore = [{ rule = "entry-point", package = "*", reason = "written at runtime" }]'
# What cibuildwheel and auditwheel do: a wheel for many machines, with a name that says so.
REPAIR = """\
import subprocess, sys
from pathlib import Path

output, platform = Path(sys.argv[1]), sys.argv[2]
subprocess.run(["uv", "build", "--quiet", "--wheel", "--out-dir", output], check=True)
tag = {"linux-x86_64": "manylinux_2_17_x86_64", "macos-arm64": "macosx_11_0_arm64"}[platform]
for wheel in output.glob("*-linux_x86_64.whl"):
    retag = ["uv", "tool", "run", "--quiet", "wheel", "tags", "--remove", "--platform-tag", tag, wheel]
    subprocess.run(retag, check=True, stdout=subprocess.DEVNULL)
"""


@pytest.fixture(scope="module")
def faulty() -> Generator[FaultIndex]:
    """Run an index that tells what came."""
    with fault_index() as index:
        yield index


def make_native(directory: Path, keys: str = "", *, build_first: str = "") -> World:
    """Make a workspace in which core has a C extension, app requires core, and lone requires nothing.

    *keys* are lines of the root's settings. *build_first* is Python that runs before each build of a wheel.
    """
    world = make_world(directory, "app: core; core; lone")
    command = json.dumps([sys.executable, "repair.py", "{output}", "{platform}"])
    world.write(
        {
            "packages/core/pyproject.toml": f"{PROJECT}platforms = true\nbuild_command = {command}\n",
            "packages/core/src/core/__init__.py": "from core.fast import answer\n\nANSWER = answer()\n",
            "packages/core/src/core/fast.c": C_SOURCE,
            "packages/core/repair.py": build_first + REPAIR,
            "packages/app/src/app/__init__.py": "from core import ANSWER\n\nassert ANSWER == 42\n",
        }
    )
    text = (world.root / "pyproject.toml").read_text()
    world.write({"pyproject.toml": f"{text}\n[tool.releasekit]\n{keys}\n{PLATFORMS}"})
    world.lock()
    world.git("push", "--quiet", "origin", "main")
    return world


def with_dead_plugin(project: str, package: str) -> str:
    """Return the pyproject.toml *project* of *package* with an entry point of a module that does not exist."""
    table = f'\n[project.entry-points.shop]\na = "{package}.gone"\n'
    return project.replace("\n[build-system]", f"{table}\n[build-system]")


def stage(world: World, index: FaultIndex, *argv: str) -> Said:
    """Stage a release, or a part of one."""
    where = ("--publish-url", index.publish_url, "--check-url", index.simple_url)
    return world.releasekit("publish", "--stage-only", *where, *argv, *STAGED)


def can_compile() -> bool:
    """Return whether this machine can build extensions in C for its Python."""
    headers = Path(sysconfig.get_path("include"), "Python.h")
    return headers.is_file() and shutil.which("cc") is not None


needs_compiler = pytest.mark.skipif(
    not can_compile(), reason="needs a C compiler and the headers of Python"
)


@needs_compiler
@pytest.mark.usefixtures("whole_proofs")
def test_platforms_are_merged_and_published(
    tmp_path: Path, faulty: FaultIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each clone builds its part of one release commit; the index gets exactly what the merged manifest says."""
    world, base, merged = make_native(tmp_path, WAIVER), tmp_path / "base", tmp_path / "merged"
    core = (world.root / "packages/core/pyproject.toml").read_text()
    world.commit(
        "fix: add a plug-in", {"packages/core/pyproject.toml": with_dead_plugin(core, "core")}
    )
    world.git("push", "--quiet", "origin", "main")
    where = ("--publish-url", faulty.publish_url, "--check-url", faulty.simple_url)
    alone = world.releasekit("publish", "--yes", "--allow-new", "all", *where, *ALONE)
    assert (alone.code, "wheels are missing: core (linux-x86_64, macos-arm64)" in alone.err) == (
        2,
        True,
    ), alone.err

    staged = stage(world, faulty, "--output", str(base))
    assert staged.code == 0, staged.err
    assert "not proven on this machine, for which they have no wheels: core, app" in staged.err
    parts = [tmp_path / name for name in (HERE, ELSEWHERE)]
    proven: dict[str, bool] = {}
    for part in parts:
        clone = another_clone(world, tmp_path / f"clone-{part.name}")
        before = clone.state()
        said = stage(clone, faulty, "--platform", part.name, *given(base), "--output", str(part))
        assert said.code == 0, said.err
        assert [row["name"] for row in json.loads(said.out)["packages"]] == ["core"]
        assert clone.state() == before, "the part is all that is left"
        proven[part.name] = "proven app 0.1.0" in said.err
    assert proven == {HERE: True, ELSEWHERE: False}, (
        "app is installed where its requirement has a wheel"
    )

    incomplete = merge(world, faulty, merged, base, parts[0])
    assert ErrorCode.PLATFORM_MISSING in incomplete.err
    only_part = world.releasekit("publish", "--yes", *given(parts[0]), *where)
    assert (
        only_part.code,
        f"only the part of the release that was built for {HERE}" in only_part.err,
    ) == (2, True)
    faulty.files["core"] = {"core-0.0.9-cp311-cp311-win_amd64.whl": b"of the last release"}
    fewer = merge(world, faulty, merged, base, *parts)
    assert (fewer.code, f"{ErrorCode.WHEELS_MISSING}: nothing replaces" in fewer.err) == (
        2,
        True,
    ), fewer.err
    assert not merged.exists()
    unasked = world.releasekit(
        "merge", str(base), *map(str, parts), "--output", str(merged), "--offline"
    )
    assert (unasked.code, "linux-x86_64: 1, macos-arm64: 1" in unasked.out) == (0, True), (
        unasked.err
    )
    said = merge(world, faulty, merged, base, *parts, waiver=("--allow-missing-wheels", "core"))
    assert said.code == 0, said.err
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "opensesame")

    refused = world.releasekit("publish", "--yes", *given(merged), *where, *ALONE)
    assert (refused.code, ErrorCode.WHEELS_MISSING in refused.err, faulty.uploads) == (
        2,
        True,
        [],
    ), refused.err
    published = world.releasekit(
        "publish", "--yes", *given(merged), *where, *ALONE, "--allow-missing-wheels", "co*"
    )

    assert published.code == 0, published.err
    manifest = json.loads((merged / "manifest.json").read_text())
    promised = {
        file["name"]: file["sha256"]
        for package in manifest["packages"]
        for file in package["files"]
    }
    assert {upload.file: upload.sha256 for upload in faulty.uploads if upload.stored} == promised
    assert sorted(promised) == [
        "app-0.1.0-py3-none-any.whl",
        "app-0.1.0.tar.gz",
        f"core-0.1.0-{PYTHON}-{PYTHON}-macosx_11_0_arm64.whl",
        f"core-0.1.0-{PYTHON}-{PYTHON}-manylinux_2_17_x86_64.whl",
        "core-0.1.0.tar.gz",
        "lone-0.1.0-py3-none-any.whl",
        "lone-0.1.0.tar.gz",
    ]


def given(directory: Path) -> tuple[str, ...]:
    """Return the option that names the manifest in *directory*."""
    return "--manifest", str(directory / "manifest.json")


def merge(
    world: World, index: FaultIndex, output: Path, *parts: Path, waiver: tuple[str, ...] = ()
) -> Said:
    """Put the *parts* of a release together."""
    where = ("--publish-url", index.publish_url, "--check-url", index.simple_url)
    return world.releasekit("merge", *map(str, parts), "--output", str(output), *where, *waiver)


@needs_compiler
def test_commands_run_before_each_platform_builds(tmp_path: Path, faulty: FaultIndex) -> None:
    """A header that no commit has is written where the sdist is built, and again for the wheel of a platform."""
    world = make_native(tmp_path)
    path = "packages/core/pyproject.toml"
    text = (world.root / path).read_text()
    header = "open('src/core/answer.h', 'w').write('#define ANSWER 42')"
    command = json.dumps([[sys.executable, "-c", header]])
    source = C_SOURCE.replace("#include <", '#include "answer.h"\n#include <').replace(
        "42", "ANSWER"
    )
    files = {
        path: f"{text}pre_build = {command}\n",
        "packages/core/src/core/fast.c": source,
        "packages/core/MANIFEST.in": "include src/core/answer.h\n",
    }
    world.commit("feat: a header", files)
    world.git("push", "--quiet", "origin", "main")
    base, part = tmp_path / "base", tmp_path / HERE

    staged = stage(world, faulty, "--output", str(base))
    assert staged.code == 0, staged.err
    clone = another_clone(world, tmp_path / "clone")
    said = stage(clone, faulty, "--platform", HERE, *given(base), "--output", str(part))

    assert said.code == 0, said.err
    assert "answer.h" not in world.git("ls-files")
    (sdist,) = base.glob("dist/core/*.tar.gz")
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert "src/core/answer.h" in packed
    assert [wheel.name for wheel in part.glob("dist/core/*.whl")]
