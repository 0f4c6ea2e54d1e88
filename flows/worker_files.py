"""The files in a storage through which the worker of a platform tells its release what it does."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from itertools import count
from threading import Event, Thread
from typing import TYPE_CHECKING

from releasekit.core.errors import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Generator

    from releasekit.integrations.storage import Storage
    from releasekit.options import StageOnOptions

log = logging.getLogger("releasekit")

SIGN_OF_LIFE, SECONDS_BETWEEN_SIGNS = "alive", 5.0
"""The file that a worker changes while it builds, and how often. Without it, the release takes it for lost."""
PACKAGE_FILE = "package.json"
"""The file that lists the wheels of a package with their sha256."""


def sign_of_life(options: StageOnOptions) -> str:
    """Return the name of the file that shows that the run with these *options* lives."""
    return "-".join((options.platform, *options.package[:1]))


@contextmanager
def signs_of_life(storage: Storage, name: str) -> Generator[None]:
    """Change the file *name* in *storage* again and again while the block runs, whatever this process waits for."""
    ended = Event()

    def show() -> None:
        for number in count():
            try:
                storage.write_text(name, str(number))
            except ReleaseError as error:
                log.warning("%s", error)
            if ended.wait(SECONDS_BETWEEN_SIGNS):
                return

    thread = Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
