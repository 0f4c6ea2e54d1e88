"""The program starts wherever you stand, whatever is called `tasks` or `flows` there."""

from __future__ import annotations

import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.version import Version

from releasekit import __version__
from releasekit.core.artifacts.verification import verify_artifacts
from releasekit.front_door import requested_flow
from releasekit.integrations.built_artifacts import built_paths, read_built
from releasekit.integrations.process import Command, run
from releasekit.integrations.uv import find_uv

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = str(Path(sys.executable).with_name("releasekit"))
LOUD = "print('the code of a stranger')\nimport a_package_that_is_not_here\n"


@pytest.mark.parametrize(
    "argv",
    [
        (PROGRAM, "explain", "RK-USAGE"),
        (sys.executable, "-m", "releasekit", "explain", "RK-USAGE"),
        (sys.executable, "-m", "flows.plan", "--help"),
        (sys.executable, "-u", "-m", "flows.check", "--help"),
    ],
)
def test_strangers_cannot_block(tmp_path: Path, argv: tuple[str, ...]) -> None:
    """Also with PYTHONPATH=., as direnv and editors set it."""
    for stranger in ("tasks.py", "flows/__init__.py", "rich.py"):
        (tmp_path / stranger).parent.mkdir(exist_ok=True)
        (tmp_path / stranger).write_text(LOUD)

    for path in (".", None):
        said = run(Command(argv, tmp_path, {"PYTHONPATH": path}))
        assert "stranger" not in said.stdout
        assert "releasekit" in said.stdout


def test_own_flow_of_stranger_runs(tmp_path: Path) -> None:
    """`python -m flows.plan` runs the plan.py of the directory that you stand in, as Python has it."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "__init__.py").touch()
    (tmp_path / "flows" / "plan.py").write_text("print('my own plan')")

    said = run(Command((sys.executable, "-m", "flows.plan"), tmp_path))

    assert said.stdout == "my own plan\n"


@pytest.mark.parametrize(
    ("argv", "module"),
    [
        ("python -m flows.plan", "flows.plan"),
        ("python -um flows.publish --dry-run", "flows.publish"),
        ("python -X dev -m flows.plan", "flows.plan"),
        ("python script.py -m flows.plan", ""),
        ("python -m flows.deploy", ""),
        ("python -m other flows.plan", ""),
        ("python -m other -m flows.plan", ""),
        ("python", ""),
    ],
)
def test_only_run_module_is_claimed(argv: str, module: str) -> None:
    """Only a module that Python itself is asked to run is ours to claim."""
    assert requested_flow(argv.split()) == module


def test_wheel_has_front_door(tmp_path: Path) -> None:
    """The wheel claims `flows` as a clone does, has both commands and the types, and passes our own verification."""
    run(find_uv().command("build", "--quiet", "--out-dir", str(tmp_path), str(ROOT), cwd=ROOT))

    (wheel,) = tmp_path.glob("*.whl")
    contents = ZipFile(wheel)
    assert {"releasekit.pth", "releasekit/front_door.py", "releasekit/py.typed"} <= set(
        contents.namelist()
    )
    (scripts,) = (name for name in contents.namelist() if name.endswith("/entry_points.txt"))
    assert contents.read(scripts).decode().split("\n\n")[0].splitlines() == [
        "[console_scripts]",
        "releasekit = releasekit.__main__:main",
        "uvx-releasekit = releasekit.__main__:main",
    ]
    built = read_built("releasekit", Version(__version__), built_paths(tmp_path))
    assert [finding for finding in verify_artifacts(built) if finding.stops] == []
