"""The home directory of a user who has none: a number without a name, or a service with HOME=/dev/null."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def ensure_home() -> None:
    """Give this process and its programs an empty home directory until it ends, if there is none that can be used.

    Prefect and other libraries look for their settings there, and raise an error if they cannot tell where it is. It
    belongs to this user alone: programs would read settings that others put into a shared directory.
    """
    if not _has_home():
        home = tempfile.mkdtemp(prefix="releasekit-home-")
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        os.environ["HOME"] = home


def _has_home() -> bool:
    """Return whether the home directory is there, or can be made."""
    try:
        home = Path.home()
    except RuntimeError:
        return False
    existing = next(path for path in (home, *home.parents) if os.access(path, os.F_OK))
    return home.is_dir() or (existing.is_dir() and os.access(existing, os.W_OK))
