"""Builds in a shared environment give the same bytes as isolated builds."""

from __future__ import annotations

import sys
import tarfile
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from releasekit.core.workspace.build_requirements import shareable_requirements
from releasekit.integrations.build_environments import SharedEnvironments
from releasekit.integrations.filesystem import describe_file
from releasekit.integrations.process import run
from releasekit.integrations.uv import find_uv

if TYPE_CHECKING:
    from pathlib import Path

UV = replace(find_uv(), python=sys.executable)
EPOCH = {"SOURCE_DATE_EPOCH": "1740000000"}
BACKENDS = {
    "hatchling": ('["hatchling>=1.27"]', "hatchling.build"),
    "setuptools": ('["setuptools>=77"]', "setuptools.build_meta"),
    "flit": ('["flit_core>=3.11"]', "flit_core.buildapi"),
    "poetry": ('["poetry-core>=2"]', "poetry.core.masonry.api"),
}
# setuptools asks setup.py for more requirements, which only its hook tells.
SETUP = 'import setuptools\nsetuptools.setup(setup_requires=["flit_core>=3.11"])\n'


def write_package(directory: Path, name: str, backend: str) -> None:
    """Write a package with a module and data."""
    requires, module = BACKENDS[backend]
    files = {
        "pyproject.toml": f'[project]\nname = "{name}"\nversion = "1.0"\ndescription = "One."\n'
        f'[build-system]\nrequires = {requires}\nbuild-backend = "{module}"\n',
        "README.md": "# Words\n",
        f"src/{name}/__init__.py": '"""Words."""\nVALUE = 1\n',
        f"src/{name}/data/table.csv": "1,2\n",
    }
    if backend == "setuptools":
        files["setup.py"] = SETUP
    for path, text in files.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def build(directory: Path, backend: str, environments: SharedEnvironments | None) -> list[Path]:
    """Build two packages, and return their files."""
    files: list[Path] = []
    for name in ("one", "two"):
        package, out = directory / name, directory / "dist" / name
        write_package(package, name, backend)
        python = None
        if environments:
            document = tomllib.loads((package / "pyproject.toml").read_text())
            requirements = shareable_requirements(document, {}, ())
            python = environments.python_for(
                package, BACKENDS[backend][1], requirements, EPOCH, 300
            )
            assert python
        run(UV.build_command(package, out, [], EPOCH, 300, python))
        files += [path for path in sorted(out.iterdir()) if path.suffix in (".gz", ".whl")]
    return files


def describe_members(path: Path) -> object:
    """Return the members of an sdist, without their times."""
    with tarfile.open(path) as archive:
        contents = ((member, archive.extractfile(member)) for member in archive)
        return [
            (member.name, member.mode, file.read() if file else b"") for member, file in contents
        ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_shared_builds_equal_isolated_ones(tmp_path: Path, backend: str) -> None:
    """Each file is the same byte for byte, and the two packages had one environment, or one more for their hooks.

    setuptools writes the time of the build into an sdist, so that two isolated builds differ too.
    """
    environments = SharedEnvironments(UV, tmp_path / "environments", tmp_path)

    isolated = build(tmp_path / "isolated", backend, None)
    shared = build(tmp_path / "shared", backend, environments)

    assert len(shared) == 4
    for ours, theirs in zip(shared, isolated, strict=True):
        is_sdist_of_setuptools = backend == "setuptools" and ours.suffix == ".gz"
        describe = describe_members if is_sdist_of_setuptools else describe_file
        assert describe(ours) == describe(theirs)
    count = sum(path.is_dir() for path in environments.directory.iterdir())
    assert count == (2 if backend == "setuptools" else 1)


def test_variables_of_uv_prevent_sharing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Constraints for builds do not reach the installation into an environment."""
    monkeypatch.setenv("UV_BUILD_CONSTRAINT", "constraints.txt")
    environments = SharedEnvironments(UV, tmp_path / "environments", tmp_path)

    assert environments.python_for(tmp_path, "hatchling.build", ("hatchling",), {}, 60) is None
    assert not environments.directory.exists()
