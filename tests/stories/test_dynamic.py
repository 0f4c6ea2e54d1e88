"""Dynamic versions, whatever builds the package: real builds, and what is in the METADATA of their wheels."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from releasekit.core.workspace.dynamic_version import version_environment
from releasekit.integrations.archives import read_archive
from releasekit.integrations.filesystem import read_text, read_toml
from releasekit.integrations.process import run
from releasekit.integrations.uv import Uv, find_uv
from tests.support.world import World, empty_world, make_world

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from releasekit.integrations.peryx import EmbeddedIndex

LICENSE = 'license = "Apache-2.0"'  # without one, pdm's sdists have a metadata version too old for an index
HATCH = 'requires = ["hatchling>=1.27"]\nbuild-backend = "hatchling.build"'
SETUPTOOLS = 'requires = ["setuptools>=80"]\nbuild-backend = "setuptools.build_meta"'
PDM = 'requires = ["pdm-backend>=2.4"]\nbuild-backend = "pdm.backend"'


@dataclass(frozen=True)
class Backend:
    """One way to have a dynamic version; *file* is where it stands, if not only in a tag."""

    system: str
    tables: str
    file: str = ""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    dynamic: str = '["version"]'


def scm(name: str) -> str:
    """Return what real repositories tell setuptools-scm in a member's directory."""
    describe = f'["git", "describe", "--dirty", "--tags", "--long", "--match", "{name}-v*"]'
    own = f'tag_regex = "^{name}-v(?P<version>.+)$"\ngit_describe_command = {describe}'
    return f'root = "../.."\nfallback_version = "0.0.0"\n{own}'


ABOUT = '"""About."""\n\n__version__ = "0.3.0"  # the one place\n'
BACKENDS: dict[str, Backend] = {
    "by-hatch-vcs": Backend(
        HATCH.replace("]", ', "hatch-vcs>=0.4"]'),
        f"""[tool.hatch.version]\nsource = "vcs"\n[tool.hatch.version.raw-options]\n{scm("by-hatch-vcs")}
            [tool.hatch.build.hooks.vcs]\nversion-file = "src/by_hatch_vcs/_version.py"
            [tool.releasekit]\nbump = [{{ path = "README.md", pattern = "pip install by-hatch-vcs=={{version}}`" }}]
            """,
        files={"README.md": "# By hatch-vcs\n\nGet it: `pip install by-hatch-vcs==0.3.0`\n"},
    ),
    "by-uv-dynamic": Backend(
        HATCH.replace("]", ', "uv-dynamic-versioning>=0.11"]'),
        """
        [tool.hatch.version]
        source = "uv-dynamic-versioning"
        [tool.uv-dynamic-versioning]
        pattern-prefix = "by-uv-dynamic-"
        [tool.hatch.metadata.hooks.uv-dynamic-versioning]
        dependencies = ["by-hatch-vcs=={{ version }}"]
        optional-dependencies = { more = ["by-setuptools-scm[x]=={{ version }} ; python_version > '3'"] }
        """,
        dynamic='["version", "dependencies", "optional-dependencies"]',
    ),
    "by-setuptools-scm": Backend(
        SETUPTOOLS.replace("]", ', "setuptools-scm>=8"]'),
        f"""[tool.setuptools_scm]\n{scm("by-setuptools-scm")}
            version_file = "packages/by-setuptools-scm/src/by_setuptools_scm/_version.py"
            [project.optional-dependencies]\nx = []
            """,
    ),
    "by-pdm-scm": Backend(PDM, '[tool.pdm.version]\nsource = "scm"\ntag_filter = "by-pdm-scm-*"'),
    "by-hatch-env": Backend(
        HATCH, '[tool.hatch.version]\nsource = "env"\nvariable = "BY_HATCH_ENV_VERSION"'
    ),
    "by-hatch-path": Backend(
        HATCH,
        '[tool.hatch.version]\npath = "src/by_hatch_path/about.py"',
        "src/by_hatch_path/about.py",
    ),
    "by-hatch-code": Backend(
        HATCH,
        '[tool.hatch.version]\nsource = "code"\npath = "src/by_hatch_code/about.py"',
        "src/by_hatch_code/about.py",
    ),
    "by-hatch-regex": Backend(
        HATCH,
        """[tool.hatch.version]\nsource = "regex"\npath = "version.h"\npattern = '#define V "(?P<version>.+)"'""",
        "version.h",
        {"version.h": '#define V "0.3.0"\n'},
    ),
    "by-setuptools-attr": Backend(
        SETUPTOOLS,
        '[tool.setuptools.dynamic]\nversion = { attr = "by_setuptools_attr.about.__version__" }',
        "src/by_setuptools_attr/about.py",
    ),
    "by-setuptools-file": Backend(
        SETUPTOOLS,
        '[tool.setuptools.dynamic]\nversion = { file = ["VERSION"] }',
        "VERSION",
        {"VERSION": "0.3.0\n"},
    ),
    "by-flit": Backend(
        'requires = ["flit_core>=3.11"]\nbuild-backend = "flit_core.buildapi"',
        "",
        "src/by_flit/__init__.py",
        {"src/by_flit/__init__.py": ABOUT},
        '["version", "description"]',
    ),
    "by-pdm-file": Backend(
        PDM,
        '[tool.pdm.version]\nsource = "file"\npath = "src/by_pdm_file/about.py"',
        "src/by_pdm_file/about.py",
    ),
    "by-bump-alone": Backend(  # a backend that nobody here knows: in the package itself
        'requires = ["hatchling>=1.27"]\nbuild-backend = "backend"\nbackend-path = ["."]',
        """
        [tool.releasekit]
        bump = [{ path = "backend.py", pattern = 'VERSION = "{version}"' }]
        """,
        "backend.py",
        {
            "backend.py": """\
                import os
                from hatchling.build import *

                VERSION = "0.3.0"
                os.environ["OF_MY_OWN"] = VERSION
                """,
            "hatch.toml": '[version]\nsource = "env"\nvariable = "OF_MY_OWN"\n',
        },
    ),
}
EVERY = sorted(BACKENDS)


def package(name: str) -> dict[str, str]:
    """Return the files of the package *name*."""
    backend, module = BACKENDS[name], name.replace("-", "_")
    tables = re.sub(r"(?m)^ +", "", backend.tables)
    project = f'name = "{name}"\ndynamic = {backend.dynamic}\nrequires-python = ">=3.11"\n{LICENSE}'
    return {
        f"packages/{name}/pyproject.toml": f"[build-system]\n{backend.system}\n\n[project]\n{project}\n\n{tables}\n",
        f"packages/{name}/src/{module}/__init__.py": f'"""{name}"""\n',
        f"packages/{name}/src/{module}/about.py": ABOUT,
        **{f"packages/{name}/{path}": text for path, text in backend.files.items()},
    }


# Changelogs have stories of their own; here every changed line is about a version.
QUIET = "[tool.releasekit]\nchangelog = false\n"


def workspace(directory: Path, *names: str) -> World:
    """Make a repository of these packages, each released at 0.3.0."""
    world = empty_world(directory)
    sources = "".join(f"{name} = {{ workspace = true }}\n" for name in names)
    world.write(
        {".gitignore": "__pycache__/\n_version.py\n*.egg-info\nbuild/\ndist/\n.pdm-build/\n"}
    )
    world.write(
        {
            "pyproject.toml": f'[tool.uv.workspace]\nmembers = ["packages/*"]\n\n[tool.uv.sources]\n{sources}\n{QUIET}'
        }
    )
    for name in names:
        world.write(package(name))
    world.commit("chore: begin")
    for name in names:
        world.git("tag", f"{name}-v0.3.0")
    return world


def change(world: World, names: list[str]) -> dict[str, str]:
    """Change every package, one with a feature, the next with a fix; return the versions that follow."""
    for number, name in enumerate(names):
        message = f"{'fix' if number % 2 else 'feat'}: {name}"
        world.commit(
            message, {f"packages/{name}/src/{name.replace('-', '_')}/new.py": "NEW = True\n"}
        )
    return {name: "0.3.1" if number % 2 else "0.4.0" for number, name in enumerate(names)}


def dist(world: World, release: str) -> dict[str, list[Path]]:
    """Return what was built, wheels first, by package."""
    built = world.root / ".git" / "releasekit" / release / "dist"
    return {
        one.name: sorted(one.glob("*-*"), key=lambda path: path.suffix != ".whl")
        for one in built.iterdir()
    }


@pytest.mark.usefixtures("unrecorded", "whole_proofs")
def test_every_backend_builds_planned_version(
    tmp_path: Path, own_index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One release of a package of every kind: METADATA, pins, file names, tags and one line of diff are as planned."""
    monkeypatch.setenv("BY_HATCH_ENV_VERSION", "0.0.1")  # what the maintainer has set for `uv lock`
    world = workspace(tmp_path, *EVERY)
    versions = change(world, EVERY)
    world.lock()
    world.git("push", "--quiet", "--set-upstream", "origin", "main")

    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json")

    assert said.code == 0, f"{said.out}\n{said.err}"
    report = json.loads(said.out)
    assert {row["name"]: row["version"] for row in report["packages"]} == versions
    built = dist(world, report["release"])
    metadata = {name: read_archive(paths[0]).fields for name, paths in built.items()}
    assert {name: of["Version"] for name, of in metadata.items()} == versions
    assert metadata["by-uv-dynamic"].get_all("Requires-Dist") == [
        f"by-hatch-vcs=={versions['by-hatch-vcs']}",
        f"by-setuptools-scm[x]=={versions['by-setuptools-scm']}; (python_version > '3') and extra == 'more'",
    ]
    assert {request.uploaded_file for request in own_index.requests() if request.uploaded_file} == {
        file
        for name, version in versions.items()
        for stem in [f"{name.replace('-', '_')}-{version}"]
        for file in (f"{stem}-py3-none-any.whl", f"{stem}.tar.gz")
    }
    declared = {
        f"packages/{name}/{backend.file}" for name, backend in BACKENDS.items() if backend.file
    }
    declared.add("packages/by-hatch-vcs/README.md")
    stat = world.git("show", "--format=", "--numstat", "HEAD").splitlines()
    assert {tuple(line.split("\t")) for line in stat} == {("1", "1", path) for path in declared}
    assert {f"{name}-v{version}" for name, version in versions.items()} <= set(world.tags())
    assert json.loads(world.releasekit("plan", "--format", "json").out)["tags"] == []


@pytest.mark.usefixtures("unrecorded")
def test_tag_versions_need_no_commit(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """Where only tags know versions, nothing is written: the tags go to the very commit that was released.

    A first release begins where `Release-As` says, and goes on from its tag.
    """
    names = ["by-pdm-scm", "by-setuptools-scm"]
    world = workspace(tmp_path, *names)
    world.git("tag", "--delete", *(f"{name}-v0.3.0" for name in names))
    world.git("push", "--quiet", "--set-upstream", "origin", "main")
    refused = world.releasekit("plan")
    assert refused.code == 2
    assert (
        "RK-VERSION-UNKNOWN: by-pdm-scm has a dynamic version and no tag"
        in refused.out + refused.err
    )
    for number, name in enumerate(names):
        file = f"packages/{name}/src/{name.replace('-', '_')}/first.py"
        world.commit(f"feat: {name}\n\nRelease-As: 2.{number}.0rc1", {file: ""})
    world.lock()
    world.git("push", "--quiet")
    before = world.git("rev-parse", "HEAD")

    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json")

    assert said.code == 0, f"{said.out}\n{said.err}"
    assert world.git("rev-parse", "HEAD") == before
    assert {
        f"{names[0]}-v2.0.0rc1": before,
        f"{names[1]}-v2.1.0rc1": before,
    }.items() <= world.tags().items()
    assert len([request for request in own_index.requests() if request.uploaded_file]) == 4
    change(world, names)
    planned = json.loads(world.releasekit("plan", "--offline", "--format", "json").out)["packages"]
    assert {row["name"]: row["next"] for row in planned} == {
        names[0]: "2.0.0rc2",
        names[1]: "2.1.0rc2",
    }


def test_first_version_starts_tag_versions(tmp_path: Path) -> None:
    """`first_version` begins the versions of packages that only a tag can tell, and of no others."""
    world = workspace(tmp_path, "by-hatch-vcs", "by-hatch-path")
    world.git("tag", "--delete", "by-hatch-vcs-v0.3.0", "by-hatch-path-v0.3.0")
    text = read_text(world.root / "pyproject.toml")
    world.commit("chore: first", {"pyproject.toml": f'{text}\nfirst_version = "1.0"\n'})

    planned = json.loads(world.releasekit("plan", "--offline", "--format", "json").out)["packages"]

    assert {row["name"]: row["next"] for row in planned} == {
        "by-hatch-path": "0.3.0",
        "by-hatch-vcs": "1.0",
    }


def test_unknown_version_file_is_refused(tmp_path: Path) -> None:
    """A version that neither a known backend nor `bump` declares is refused before anything is changed."""
    world = workspace(tmp_path, "by-bump-alone")
    text = package("by-bump-alone")["packages/by-bump-alone/pyproject.toml"]
    change(world, ["by-bump-alone"])
    world.commit(
        "feat: alone",
        {"packages/by-bump-alone/pyproject.toml": text.partition("[tool.releasekit]")[0]},
    )

    said = world.releasekit("publish", "--dry-run", "--offline")

    assert said.code == 2
    assert (
        "RK-VERSION-PLACE: cannot find the file that contains the version: build-backend = 'backend'"
        in said.err
    )
    assert "bump = [" in said.err


def test_bump_is_checked_first(tmp_path: Path) -> None:
    """A file that could not be written is refused before anything is changed, with its name and the next step."""
    world = make_world(tmp_path, "app: core; core")
    world.write(
        {"packages/core/src/core/about.py": 'VERSION = "0.1.0"\n', ".gitignore": "about.py\n"}
    )
    pyproject = read_text(world.root / "packages/core/pyproject.toml")
    table = "\n[tool.releasekit]\nbump = [{{ path = 'src/core/{}', pattern = 'VERSION = \"{{version}}\"' }}]\n"

    for file, said in {
        "about.py": "git does not track this file, so the release cannot write the version into it",
        "__init__.py": "the version must occur exactly once, but was not found",
        "gone.py": "the file does not exist",
    }.items():
        world.commit("feat: more", {"packages/core/pyproject.toml": pyproject + table.format(file)})
        before = world.state()
        told = world.releasekit("publish", "--dry-run", "--offline", "--skip-audit")
        assert (told.code, world.state()) == (2, before)
        assert f"RK-VERSION-PLACE: {said}\n  --> packages/core/src/core/{file}\n" in told.err
        assert "Fix the `bump` of the package" in told.err

    world.git("add", "--force", "packages/core/src/core/about.py")
    world.commit(
        "feat: more", {"packages/core/pyproject.toml": pyproject + table.format("about.py")}
    )
    assert world.releasekit("publish", "--dry-run", "--offline", "--skip-audit").code == 0
    root = read_text(world.root / "pyproject.toml")
    world.commit("chore: root", {"pyproject.toml": root + table.format("about.py")})
    told = world.releasekit("plan", "--offline")
    assert told.code == 2
    assert (
        "RK-CONFIG-INVALID-VALUE: bump is a setting of a package, and the root of the workspace is not a package"
        in told.err
    )


@pytest.mark.usefixtures("unrecorded")
def test_build_with_other_version_fails(tmp_path: Path, own_index: EmbeddedIndex) -> None:
    """A build that makes up a version from the state of git, whatever it is told, is refused before any upload."""
    world = workspace(tmp_path, "by-hatch-vcs")
    project = "packages/by-hatch-vcs/pyproject.toml"
    text = (
        package("by-hatch-vcs")[project]
        .partition("[tool.hatch.build.hooks")[0]
        .replace('"hatchling.build"', '"deaf"\nbackend-path = ["."]')
    )
    change(world, ["by-hatch-vcs"])
    backend = """\
        import os

        os.environ.pop("SETUPTOOLS_SCM_PRETEND_VERSION")
        from hatchling.build import *
        """
    world.commit("fix: a backend", {project: text, "packages/by-hatch-vcs/deaf.py": backend})
    world.git("push", "--quiet", "--set-upstream", "origin", "main")
    before = world.state()

    said = world.releasekit("publish", "--yes", "--skip-audit", "--format", "json")

    assert said.code == 1
    (row,) = json.loads(said.out)["packages"]
    assert row["error"].startswith("RK-VERIFY-FILE-NAME: by_hatch_vcs-0.3.1.dev")
    assert (
        "but 0.4.0 is planned: the build backend derived another version from the state of git"
        in row["error"]
    )
    assert [request for request in own_index.requests() if request.uploaded_file] == []
    assert world.state() == before


@pytest.mark.parametrize(
    "name", ["by-hatch-vcs", "by-uv-dynamic", "by-flit", "by-pdm-scm", "by-setuptools-scm"]
)
def test_two_builds_have_equal_bytes(tmp_path: Path, name: str) -> None:
    """Two builds of one package give the same bytes, but for sdists of pdm and setuptools, which tell the time."""
    world = workspace(tmp_path, name)
    root = world.root / "packages" / name
    document, _ = read_toml(root / "pyproject.toml", name)
    told = {"SOURCE_DATE_EPOCH": "1700000000", **version_environment(document, name, "0.3.0")}
    uv = Uv(find_uv().executable, sys.executable)

    digests: list[dict[str, str]] = []
    for out in (tmp_path / "one", tmp_path / "two"):
        run(uv.build_command(root, out, [], told, 300))
        world.git("clean", "--quiet", "--force", "-dx")
        digests.append(
            {path.name: sha256(path.read_bytes()).hexdigest() for path in out.glob("*-*")}
        )

    assert len(digests[0]) == 2
    differing = {file for file in digests[0] if digests[0][file] != digests[1][file]}
    sdist = f"{name.replace('-', '_')}-0.3.0.tar.gz"
    assert differing <= ({sdist} if "pdm" in name or "setuptools" in name else set())


RUST = 'fn main() { println!("{}", env!("CARGO_PKG_VERSION")); }\n'
CRATE = '[package]\nname = "by-maturin"\nversion = "0.3.0"\nedition = "2021"\n'
CRATE_LOCK = 'version = 4\n\n[[package]]\nname = "by-maturin"\nversion = "0.3.0"\n'


@pytest.mark.usefixtures("own_index")
@pytest.mark.skipif(not shutil.which("cargo"), reason="needs Rust's cargo")
def test_crate_is_released_by_maturin(tmp_path: Path) -> None:
    """A package whose version is in Cargo.toml gets it there and in Cargo.lock, also as a candidate."""
    world = empty_world(tmp_path)
    project = f'name = "by-maturin"\ndynamic = ["version"]\nrequires-python = ">=3.11"\n{LICENSE}'
    system = 'requires = ["maturin>=1.9,<2"]\nbuild-backend = "maturin"'
    waiver = (
        '{ rule = "platform", package = "by-maturin", reason = "built for this machine alone" }'
    )
    root = f'[tool.uv.workspace]\nmembers = ["packages/*"]\n\n{QUIET}verify_ignore = [{waiver}]\n'
    files = {
        "pyproject.toml": f'[build-system]\n{system}\n\n[project]\n{project}\n\n[tool.maturin]\nbindings = "bin"\n',
        "Cargo.toml": CRATE,
        "Cargo.lock": CRATE_LOCK,
        "src/main.rs": RUST,
    }
    world.write({".gitignore": "target/\n", "pyproject.toml": root})
    world.write({f"packages/by-maturin/{path}": text for path, text in files.items()})
    world.commit("chore: begin")
    world.git("tag", "by-maturin-v0.3.0")
    world.git("push", "--quiet", "--set-upstream", "origin", "main")
    world.commit("feat: more", {"packages/by-maturin/src/main.rs": f"{RUST}// more\n"})

    said = world.releasekit("publish", "--yes", "--skip-audit", "--prerelease", "rc")

    assert said.code == 0, said.err
    assert "by-maturin  0.4.0rc1  confirmed" in said.out
    assert world.git("show", "--format=", "--name-only", "HEAD").split() == [
        "packages/by-maturin/Cargo.lock",
        "packages/by-maturin/Cargo.toml",
    ]
    for path, text in (("Cargo.toml", CRATE), ("Cargo.lock", CRATE_LOCK)):
        released = text.replace("0.3.0", "0.4.0-rc.1")
        assert world.git("show", f"HEAD:packages/by-maturin/{path}") == released.strip()
    world.commit("fix: last", {"packages/by-maturin/src/main.rs": RUST})
    plan = json.loads(world.releasekit("plan", "--format", "json").out)
    assert [(row["current"], row["next"]) for row in plan["packages"]] == [("0.4.0rc1", "0.4.0rc2")]
