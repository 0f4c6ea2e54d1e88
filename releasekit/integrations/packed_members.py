"""Reads what two builds of a wheel or an sdist are compared by: each member, and how it is packed."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from hashlib import sha256
from typing import IO, TYPE_CHECKING

from releasekit.core.artifacts.reproduction import PackedMember
from releasekit.core.errors import ErrorCode, ReleaseError

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK_SIZE = 1 << 20


def read_members(path: Path) -> dict[str, PackedMember]:
    """Return the members of the built file *path* by name. Raises ReleaseError RK-VERIFY-FAILED if it is broken."""
    try:
        return _read_wheel(path) if path.suffix == ".whl" else _read_sdist(path)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        EOFError,
        ValueError,
        OSError,
    ) as error:
        raise ReleaseError(
            ErrorCode.VERIFY_FAILED, f"the file cannot be read: {error}", str(path)
        ) from None


def _read_wheel(path: Path) -> dict[str, PackedMember]:
    members: dict[str, PackedMember] = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            with archive.open(info) as member:
                packing = f"time {info.date_time}, attributes {info.external_attr >> 16:o}"
                members[info.filename] = PackedMember(_digest(member), packing)
    return members


def _read_sdist(path: Path) -> dict[str, PackedMember]:
    members: dict[str, PackedMember] = {}
    with tarfile.open(path) as archive:
        for info in archive:
            member = archive.extractfile(info) if info.isfile() else None
            digest = _digest(member) if member else info.linkname
            owner = f"{info.uid}:{info.gid} {info.uname}:{info.gname}"
            packing = f"time {info.mtime:.0f}, mode {info.mode:o}, owner {owner}"
            members[info.name] = PackedMember(digest, packing)
    return members


def _digest(file: IO[bytes]) -> str:
    digest = sha256()
    while chunk := file.read(_CHUNK_SIZE):
        digest.update(chunk)
    return digest.hexdigest()
