"""The home directory of a user who has none: a number without a name, as in a container."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def ensure_home() -> None:
    """Give this process and its programs an empty home directory until it ends, if there is none.

    Prefect and other libraries look for their settings there, and raise an error if they cannot tell where it is. It
    belongs to this user alone: programs would read settings that others put into a shared directory.
    """
    try:
        Path.home()
    except RuntimeError:
        home = tempfile.mkdtemp(prefix="releasekit-home-")
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        os.environ["HOME"] = home
