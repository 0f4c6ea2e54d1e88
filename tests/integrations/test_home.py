"""Users whom this machine does not know."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from releasekit.integrations.process import Command, run

CODE = """
import os
from pathlib import Path
from releasekit.integrations.home import ensure_home

ensure_home()
ensure_home()
print(Path.home(), Path.home().stat().st_mode & 0o777, list(Path.home().iterdir()))
"""


@pytest.mark.skipif(
    os.name != "posix" or os.getuid() != 0 or not shutil.which("setpriv"),
    reason="needs a root user and setpriv",
)
def test_unknown_user_gets_home(tmp_path: Path) -> None:
    """A user without a name and without HOME has a home of their own until the process ends."""
    user = ("setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups")
    env = {"HOME": None, "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o777)

    output = run(
        Command((*user, sys.executable, "-c", CODE), Path(__file__).parents[2], env)
    ).stdout

    home, mode, files = output.split(maxsplit=2)
    assert Path(home).parent == tmp_path
    assert (mode, files.strip()) == (str(0o700), "[]")
    assert not list(tmp_path.iterdir())


def test_known_home_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where a user has a home, nothing changes."""
    monkeypatch.setenv("HOME", str(tmp_path))
    code = "from releasekit.integrations.home import ensure_home; ensure_home(); import os; print(os.environ['HOME'])"

    assert run(Command((sys.executable, "-c", code))).stdout.strip() == str(tmp_path)
