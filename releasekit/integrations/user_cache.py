"""Answers that are expensive and never change, kept in the user's cache directory.

Nothing depends on it: what cannot be read or written there is found out again.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

_KEEP_SECONDS = 90 * 24 * 3600
"""How long an entry is kept after its last use."""


def cache_home() -> Path:
    """Return the directory of our cache. It may not exist."""
    if own := os.environ.get("RELEASEKIT_CACHE_DIR"):
        return Path(own)
    if configured := os.environ.get("XDG_CACHE_HOME"):
        return Path(configured, "releasekit")
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home(), "releasekit", "cache")
    return Path.home() / ".cache" / "releasekit"


def read_cached(kind: str, *key: str) -> Any:  # noqa: ANN401  any JSON value
    """Return the value of *kind* that was stored under *key*; None if there is none."""
    try:
        path = _path(kind, key)
        value = json.loads(path.read_bytes())
        os.utime(path)
    except (OSError, RuntimeError, ValueError):
        return None
    return value


def write_cached(value: object, kind: str, *key: str) -> None:
    """Store the JSON *value* of *kind* under *key*, and remove what nobody has used for long."""
    with suppress(OSError, RuntimeError):
        path = _path(kind, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123  a handle is no path
            json.dump(value, file)
        Path(scratch).replace(path)
        _remove_unused(path.parent)


def _path(kind: str, key: tuple[str, ...]) -> Path:
    digest = sha256("\0".join(key).encode("utf-8", "surrogateescape")).hexdigest()
    return cache_home() / kind / f"{digest}.json"


def _remove_unused(directory: Path) -> None:
    limit = time.time() - _KEEP_SECONDS
    for path in directory.iterdir():
        with suppress(OSError):
            if path.stat().st_mtime < limit:
                path.unlink()
