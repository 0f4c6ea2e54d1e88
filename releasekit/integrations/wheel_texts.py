"""The texts in the `.dist-info` directory of a wheel, from the whole file or from its end."""

from __future__ import annotations

import io
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, ReleaseError

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import BinaryIO

_MAX_TEXT = 4_000_000
"""Bytes of a text; real ones have a hundredth."""


@contextmanager
def open_wheel(file: BinaryIO, name: str) -> Generator[zipfile.ZipFile]:
    """Open the wheel *file*, which is called *name*. Raises ReleaseError RK-VERIFY-FAILED, also while it is read."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        OSError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise ReleaseError(ErrorCode.VERIFY_FAILED, f"not a wheel: {error}", name) from None


def read_wheel_text(archive: zipfile.ZipFile, name: str) -> str:
    """Return the start of the file *name* of the `.dist-info` directory at the top; empty without one."""
    end = f".dist-info/{name}"
    at_top = (path for path in archive.namelist() if path.endswith(end) and path.count("/") == 1)
    path = next(at_top, None)
    if path is None:
        return ""
    with archive.open(path) as member:
        return member.read(_MAX_TEXT).decode("utf-8", "replace")


def read_metadata(content: bytes, name: str) -> str:
    """Return METADATA of the wheel *name*, of which *content* has all bytes or the last ones.

    Empty if *content* does not have it: it begins before them, or there is none, or this is no wheel.
    """
    try:
        # The directory of a zip file is at its end, and positions before *content* are negative: reading there fails.
        with open_wheel(io.BytesIO(content), name) as archive:
            return read_wheel_text(archive, "METADATA")
    except ReleaseError:
        return ""
