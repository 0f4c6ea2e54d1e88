"""Users whom this machine does not know."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from releasekit.integrations.process import Command, run

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT = Path(__file__).parents[2]

CODE = """
import os
from pathlib import Path
from releasekit.integrations.home import ensure_home

ensure_home()
ensure_home()
print(Path.home(), Path.home().stat().st_mode & 0o777, list(Path.home().iterdir()))
"""


STRANGER = ("setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups")


@pytest.fixture
def shared_directory() -> Generator[Path]:
    """Return a directory that every user may enter and write to, which pytest's own are not."""
    with TemporaryDirectory(prefix="shared-") as directory:
        Path(directory).chmod(0o777)
        yield Path(directory)


@pytest.mark.skipif(
    os.name != "posix" or os.getuid() != 0 or not shutil.which("setpriv"),
    reason="needs a root user and setpriv",
)
def test_unknown_user_gets_home(shared_directory: Path) -> None:
    """A user without a name and without HOME has a home of their own until the process ends."""
    env = {"HOME": None, "TMPDIR": str(shared_directory), "PYTHONDONTWRITEBYTECODE": "1"}
    any_code = frozenset(range(256))
    python = Command(
        (*STRANGER, sys.executable, "-c", "import releasekit"), ROOT, env, ok_codes=any_code
    )
    if run(python).code:
        pytest.skip("other users may not run this Python")

    output = run(Command((*STRANGER, sys.executable, "-c", CODE), ROOT, env)).stdout

    home, mode, files = output.split(maxsplit=2)
    assert Path(home).parent == shared_directory
    assert (mode, files.strip()) == (str(0o700), "[]")
    assert not list(shared_directory.iterdir())


def test_known_home_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where a user has a home, nothing changes."""
    monkeypatch.setenv("HOME", str(tmp_path))
    code = "from releasekit.integrations.home import ensure_home; ensure_home(); import os; print(os.environ['HOME'])"

    assert run(Command((sys.executable, "-c", code))).stdout.strip() == str(tmp_path)


@pytest.mark.parametrize("home", ["/dev/null", "/dev/null/home"])
def test_home_that_is_no_directory_is_replaced(tmp_path: Path, home: str) -> None:
    """A service whose HOME is no directory has a home until the process ends."""
    env = {"HOME": home, "TMPDIR": str(tmp_path)}

    path, mode, content = run(Command((sys.executable, "-c", CODE), ROOT, env)).stdout.split()

    assert path.startswith(str(tmp_path))
    assert (int(mode), content) == (0o700, "[]")
    assert list(tmp_path.iterdir()) == []


def test_new_home_is_made_by_who_needs_it(tmp_path: Path) -> None:
    """A home that does not exist yet, but can be made, stays the home."""
    env = {"HOME": str(tmp_path / "new")}
    code = "import os\nfrom releasekit.integrations.home import ensure_home\nensure_home()\nprint(os.environ['HOME'])"

    assert run(Command((sys.executable, "-c", code), ROOT, env)).stdout.strip() == env["HOME"]
