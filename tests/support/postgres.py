"""A PostgreSQL of one's own, from the machine's package (Debian's is called `postgresql`)."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

from releasekit.integrations.process import Command, background, run

if TYPE_CHECKING:
    from collections.abc import Generator

OWNER = "postgres"
_PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # where `runuser` is, which not everybody's PATH has
PATIENCE = 60.0  # seconds


def programs() -> Path | None:
    """Return the directory of PostgreSQL's programs, the newest one's if there are several.

    None without any, or where we cannot become the user that they ask for: they refuse to run as root.
    """
    if os.geteuid() == 0 and not (which("runuser", path=_PLACES) and _is_user(OWNER)):
        return None
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name)
    )
    if installed:
        return installed[-1]
    found = which("pg_ctl")
    return Path(found).resolve().parent if found else None


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@contextmanager
def postgres() -> Generator[str]:
    """Run an empty server inside the block, on a free port of this machine; yields its address for SQLAlchemy."""
    found = programs()
    assert found, "ask `programs` before"
    other = (which("runuser", path=_PLACES) or "", "-u", OWNER, "--") if os.geteuid() == 0 else ()
    # A test's own directory is closed to everyone else.
    with (
        tempfile.TemporaryDirectory(prefix="releasekit-postgres-") as home,
        socket.socket() as probe,
    ):
        if other:
            shutil.chown(home, OWNER)
        data = f"{home}/data"
        run(
            Command(
                (
                    *other,
                    str(found / "initdb"),
                    "--no-sync",
                    "--auth=trust",
                    f"--username={OWNER}",
                    "-D",
                    data,
                )
            )
        )
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        where = ("-h", "127.0.0.1", "-p", str(port))
        log = Path(home, "log")
        with background(
            Command((*other, str(found / "postgres"), "-D", data, "-k", "", *where)), log
        ) as is_alive:
            ready = Command(
                (str(found / "pg_isready"), "--quiet", *where), ok_codes=frozenset({0, 1, 2})
            )
            deadline = time.monotonic() + PATIENCE
            while run(ready).code:
                assert is_alive(), log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield f"postgresql+asyncpg://{OWNER}@127.0.0.1:{port}/postgres"
