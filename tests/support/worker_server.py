"""The Prefect server that the tests of one worker share."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from releasekit.integrations.prefect_server import prefect_server


class WorkerServer:
    """A Prefect server that starts when the first test asks for it, each time with an empty database."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self._url = ""

    def start(self, home: Path, empty_database: Path) -> str:
        """Run the server in *home* if it does not run yet, and return its URL; the first one saves *empty_database*."""
        if self._url:
            return self._url
        if empty_database.is_file():
            for path in home.glob("prefect.db*"):
                path.unlink()
            shutil.copy(empty_database, home / "prefect.db")
        with pytest.MonkeyPatch.context() as patch:
            stop_measuring_children(patch)
            server = self._running.enter_context(prefect_server())
        server.wait()
        if not empty_database.is_file():
            save_database(home / "prefect.db", empty_database)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PREFECT_API_URL", server.url)
            from prefect.context import refresh_global_settings_context

            # A test without the server may have been first.
            refresh_global_settings_context()
        self._url = server.url
        return server.url

    def stop(self) -> None:
        """End the server, if it runs, after the last events have reached it."""
        if self._url:
            from flows.event_flush import drain

            asyncio.run(drain())
            self._running.close()
            self._url = ""


def stop_measuring_children(patch: pytest.MonkeyPatch) -> None:
    """Don't measure coverage in child processes: in a program that runs none of our code it only costs time."""
    for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        patch.delenv(name, raising=False)


def save_database(database: Path, target: Path) -> None:
    """Copy the *database* of a running server to *target*, where another test worker may copy one at the same time."""
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
        copy = Path(file.name)
    with closing(sqlite3.connect(database)) as running, closing(sqlite3.connect(copy)) as backup:
        running.backup(backup)
    copy.replace(target)
