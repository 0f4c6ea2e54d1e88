"""A PostgreSQL of one's own, from the machine's package (Debian's is called `postgresql`)."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.adapters.process import Command, background, run

if TYPE_CHECKING:
    from collections.abc import Generator

OWNER = "postgres"
PATIENCE = 60.0  # seconds


def programs() -> Path | None:
    """Return the directory of PostgreSQL's programs, the newest one's if there are several; None without any."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if installed:
        return installed[-1]
    found = shutil.which("pg_ctl")
    return Path(found).resolve().parent if found else None


@contextmanager
def postgres() -> Generator[str]:
    """Run an empty server inside the block, on a free port of this machine; yields its address for SQLAlchemy."""
    found = programs()
    assert found, "ask `programs` before"
    # It refuses to run as root; and a test's own directory is closed to everyone else.
    other = ("runuser", "-u", OWNER, "--") if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory(prefix="releasekit-postgres-") as home, socket.socket() as probe:
        if other:
            shutil.chown(home, OWNER)
        data = f"{home}/data"
        run(Command((*other, str(found / "initdb"), "--no-sync", "--auth=trust", f"--username={OWNER}", "-D", data)))
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        where = ("-h", "127.0.0.1", "-p", str(port))
        log = Path(home, "log")
        with background(Command((*other, str(found / "postgres"), "-D", data, "-k", "", *where)), log) as is_alive:
            ready = Command((str(found / "pg_isready"), "--quiet", *where), fine=frozenset({0, 1, 2}))
            deadline = time.monotonic() + PATIENCE
            while run(ready).code:
                assert is_alive(), log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield f"postgresql+asyncpg://{OWNER}@127.0.0.1:{port}/postgres"
