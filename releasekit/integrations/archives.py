"""The one door to wheels and sdists: it reads them in pieces, with limits, and unpacks nothing.

A broken or hostile archive gives faults, never an exception of a library.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import io
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING, BinaryIO, Protocol

from releasekit.core.artifacts.archive_facts import Archive, ArchiveMember, Fault, MemberKind
from releasekit.core.artifacts.content_rules import has_merge_conflict
from releasekit.core.artifacts.secret_patterns import OVERLAP, find_secrets
from releasekit.core.errors import ErrorCode
from releasekit.core.picking import map_values
from releasekit.integrations.filesystem import wrap_os_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

CHUNK = 1 << 20
MAX_MEMBERS = 100_000
MAX_TOTAL = 4 << 30
"""Bytes that an archive may have when it is unpacked."""
BOMB_SIZE, BOMB_RATIO = 64 << 20, 50
"""PyPI refuses a file that unpacks to more than this size and to more than this multiple of its own."""
MAX_UPLOAD = 100 << 20
"""Bytes that PyPI accepts, unless a project has asked for more."""
_MAX_NAME = 4096
_MAX_SOURCE, _MAX_SOURCES, _MAX_METADATA = 1 << 20, 32 << 20, 16 << 20
_KEPT = re.compile(
    r"[^/]+\.dist-info/(?:METADATA|WHEEL|RECORD|entry_points\.txt)|.*\.pyi?|[^/]+/(?:PKG-INFO|pyproject\.toml)"
)
_HEAD = 64
SOURCE_TREE = "source"
"""The name of what is no archive."""


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _TooBigError(Exception):
    """The archive unpacks to more than is allowed."""


def read_archive(path: Path) -> Archive:
    """Return what the wheel or sdist *path* contains; raises ReleaseError RK-FILE-SYSTEM if it cannot be opened."""
    read = _read_wheel if path.suffix == ".whl" else _read_sdist
    with wrap_os_errors(path), path.open("rb") as file:
        collector = _ArchiveBuilder(path.stat().st_size)
        try:
            read(file, collector)
        except _TooBigError as error:
            collector.stop(ErrorCode.VERIFY_SIZE, str(error))
        except Exception as error:  # noqa: BLE001  zipfile, tarfile and zlib raise many kinds for hostile bytes
            collector.stop(ErrorCode.VERIFY_ARCHIVE, f"cannot be read: {_describe(error)}")
        return collector.archive(path.name)


def read_tree(directory: Path, paths: Iterable[str]) -> Archive:
    """Return the files *paths* of a source tree in *directory* as if they were packed. What is missing is left out.

    Raises ReleaseError RK-FILE-SYSTEM.
    """
    collector = _ArchiveBuilder(0)
    for path in paths:
        file = directory / path
        if file.is_symlink() or not file.is_file():
            continue
        with wrap_os_errors(file), file.open("rb") as reader:
            content = collector.read(path, reader)
        collector.members.append(
            ArchiveMember(
                path=path,
                size=content.size,
                head=content.head,
                secrets=tuple(sorted(content.secrets)),
                has_conflict=content.has_conflict,
            )
        )
    return collector.archive(SOURCE_TREE)


def _describe(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class _ArchiveBuilder:
    """What is known of an archive of *size* bytes so far. It counts what is unpacked, and ends a bomb."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.total = 0
        self.members: list[ArchiveMember] = []
        self.contents: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.is_readable = True
        self._kept = 0
        if size > MAX_UPLOAD:
            self.fault(
                ErrorCode.VERIFY_SIZE,
                f"has {size >> 20} MiB, and PyPI accepts {MAX_UPLOAD >> 20} by default",
            )

    def fault(self, code: ErrorCode, text: str) -> None:
        """Note a problem."""
        self.faults.append(Fault(code, text))

    def stop(self, code: ErrorCode, text: str) -> None:
        """Note a problem after which the rest of the archive is unknown."""
        self.fault(code, text)
        self.is_readable = False

    def add(self, member: ArchiveMember) -> None:
        """Take *member* in; raises _TooBigError if there are too many."""
        self.members.append(member)
        if len(self.members) > MAX_MEMBERS:
            raise _TooBigError(f"has more than {MAX_MEMBERS} members")

    def count(self, size: int) -> None:
        """Count *size* unpacked bytes; raises _TooBigError if there are too many."""
        self.total += size
        if self.total > MAX_TOTAL:
            raise _TooBigError(f"unpacks to more than {MAX_TOTAL >> 30} GiB")
        if self.total > BOMB_SIZE and self.total > BOMB_RATIO * self.size:
            raise _TooBigError(
                f"unpacks to more than {BOMB_RATIO} times its size, which PyPI refuses"
            )

    def read(self, path: str, reader: _Reader, algorithms: Sequence[str] = ()) -> _ContentScan:
        """Read the content of the member *path* in pieces, and keep it if rules need it."""
        content = _ContentScan(algorithms)
        limit = self._kept_limit(path)
        pieces: list[bytes] = []
        while piece := reader.read(CHUNK):
            content.feed(piece)
            if content.size <= limit:
                pieces.append(piece)
        if limit and content.size <= limit:
            self.contents[path] = b"".join(pieces)
            self._kept += content.size
        elif limit == _MAX_METADATA:
            self.stop(
                ErrorCode.VERIFY_SIZE,
                f"{ascii(path)[1:-1]} has more than {_MAX_METADATA >> 20} MiB",
            )
        return content

    def _kept_limit(self, path: str) -> int:
        """Return how many bytes of the member *path* are kept for the rules; 0 if they do not read it."""
        if not _KEPT.fullmatch(path) or path in self.contents:
            return 0
        if not path.endswith((".py", ".pyi")):
            return _MAX_METADATA
        return min(_MAX_SOURCE, max(_MAX_SOURCES - self._kept, 0))

    def archive(self, name: str) -> Archive:
        """Return the archive, which has this *name*."""
        return Archive(
            name=name,
            size=self.size,
            members=tuple(self.members),
            contents=self.contents,
            faults=tuple(self.faults),
            is_readable=self.is_readable,
        )


class _ContentScan:
    """What is computed over the content of a member while it is read, piece by piece."""

    def __init__(self, algorithms: Sequence[str]) -> None:
        self.size = 0
        self.head = b""
        self.secrets: set[str] = set()
        self.has_conflict = False
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        self._tail = b""

    def feed(self, piece: bytes) -> None:
        """Take the next *piece* in."""
        self.head = self.head or piece[:_HEAD]
        self.size += len(piece)
        for digest in self._hashes.values():
            digest.update(piece)
        text = self._tail + piece
        self.secrets |= find_secrets(text.replace(b"\0", b"") if self._is_utf_16 else text)
        self.has_conflict = self.has_conflict or has_merge_conflict(text)
        self._tail = piece[-OVERLAP:]

    @property
    def _is_utf_16(self) -> bool:
        """Whether it is text as some editors of Windows write it: every other byte of ASCII is zero."""
        return self.head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))

    @property
    def digests(self) -> dict[str, str]:
        """The hashes, as RECORD has them."""
        return map_values(lambda digest: _encode(digest.digest()), self._hashes)


def _encode(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


# --- wheels ---

_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED, _DESCRIPTOR, _UTF8 = 0x1 | 0x40 | 0x2000, 0x8, 0x800
_LOCAL, _LOCAL_MAGIC = struct.Struct("<4s5H3L2H"), b"PK\x03\x04"
_END, _END_MAGIC = struct.Struct("<4s4H2LH"), b"PK\x05\x06"
_END_64, _LOCATOR_64 = struct.Struct("<4sQ2H2L4Q"), 20
_ZIP64, _UNICODE_PATH, _IN_ZIP64 = 0x0001, 0x7075, 0xFFFFFFFF
_SIZE, _ZIP64_LENGTHS = 8, {8, 16, 24, 28}
_END_OF_ZIP64 = re.compile(rb"(?s)(PK\x06\x06.{52})PK\x06\x07.{16}\Z")


_MAX_DIRECTORY = 64 << 20


def _read_wheel(file: BinaryIO, collector: _ArchiveBuilder) -> None:
    if _directory_size(file, collector.size) > _MAX_DIRECTORY:  # before zipfile reads all of it
        raise _TooBigError(f"has more than {MAX_MEMBERS} members")
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        if len(infos) > MAX_MEMBERS:
            raise _TooBigError(f"has more than {MAX_MEMBERS} members")
        for code, text in _layout_faults(file, collector.size, archive):
            collector.fault(code, text)
        collector.count(sum(info.file_size for info in infos))  # before anything is unpacked
        algorithms = _record_algorithms(archive)
        for info in infos:
            collector.add(_zip_member(archive, info, collector, algorithms))


def _directory_size(file: BinaryIO, size: int) -> int:
    """Return the size of the directory of the archive; 0 if it has none."""
    file.seek(max(size - _END.size - 0xFFFF, 0))
    tail = file.read()
    start = tail.rfind(_END_MAGIC)
    end = tail[start : start + _END.size]
    if start < 0 or len(end) < _END.size:
        return 0
    return (_end_64(tail[:start]) or _END.unpack(end)[3:6])[2]


def _end_64(before_end: bytes) -> tuple[int, int, int] | None:
    """Return the numbers of members on this disk and in all, and the size of the directory, of an archive in ZIP64.

    Its record stands just before the usual one (APPNOTE.TXT 4.3.14); None if there is none.
    """
    record = _END_OF_ZIP64.search(before_end)
    return _END_64.unpack(record[1])[6:9] if record else None


def _record_algorithms(archive: zipfile.ZipFile) -> tuple[str, ...]:
    """Return the hashes that RECORD uses; nothing else needs them."""
    record = next(
        (info for info in archive.infolist() if info.filename.endswith(".dist-info/RECORD")), None
    )
    is_usable = record is not None and record.file_size <= _MAX_METADATA and not _zip_fault(record)
    text = archive.read(record) if record is not None and is_usable else b""
    return tuple(name for name in ("sha256", "sha384", "sha512") if f",{name}=".encode() in text)


def _zip_member(
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    collector: _ArchiveBuilder,
    algorithms: Sequence[str],
) -> ArchiveMember:
    path, mode = info.orig_filename, info.external_attr >> 16
    kind = _zip_kind(path, mode)
    fault = _zip_fault(info)
    if not fault and kind is MemberKind.DIRECTORY and info.file_size:
        fault = "is a directory, and has content"
    if fault:
        collector.stop(ErrorCode.VERIFY_ARCHIVE, f"{ascii(path)[1:-1]} {fault}")
    if fault or kind is MemberKind.DIRECTORY:
        return ArchiveMember(path, kind, size=info.file_size, mode=mode & 0o7777)
    with archive.open(info) as reader:
        content = collector.read(path, reader, algorithms)
    return ArchiveMember(
        path=path,
        kind=kind,
        size=content.size,
        mode=mode & 0o7777,
        digests=content.digests,
        head=content.head,
        secrets=tuple(sorted(content.secrets)),
        has_conflict=content.has_conflict,
    )


def _zip_kind(path: str, mode: int) -> MemberKind:
    kinds = {0: MemberKind.FILE, stat.S_IFREG: MemberKind.FILE, stat.S_IFDIR: MemberKind.DIRECTORY}
    kind = kinds.get(stat.S_IFMT(mode), MemberKind.SPECIAL)
    if stat.S_ISLNK(mode):
        return MemberKind.SYMLINK
    return MemberKind.DIRECTORY if path.endswith("/") and kind is MemberKind.FILE else kind


def _zip_fault(info: zipfile.ZipInfo) -> str:
    """Return why installers cannot read the member of *info*; empty if they can."""
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in _METHODS:
        return f"is compressed with method {info.compress_type}; installers read deflate only"
    is_undecodable = not info.filename.isascii() and not info.flag_bits & _UTF8
    return "has a name that is not UTF-8" if is_undecodable else ""


def _layout_faults(file: BinaryIO, size: int, archive: zipfile.ZipFile) -> Iterator[Fault]:
    """Yield where a reader that goes from member to member would see something else than the directory says."""
    infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    if not infos:
        yield Fault(ErrorCode.VERIFY_ARCHIVE, "has no members")
    file.seek(0)
    if infos and file.read(4) != _LOCAL_MAGIC:
        yield Fault(ErrorCode.VERIFY_BYTES, "has bytes before the first member, which PyPI refuses")
        return
    position = 0
    for info in infos:
        if info.header_offset != position:
            yield Fault(ErrorCode.VERIFY_BYTES, "has bytes between its members, which PyPI refuses")
            return
        position, fault = _local_end(file, info)
        if fault:
            yield Fault(ErrorCode.VERIFY_BYTES, f"{ascii(info.orig_filename)[1:-1]}: {fault}")
            return
        if info.comment:
            yield Fault(ErrorCode.VERIFY_BYTES, "has a comment at a member, which PyPI refuses")
    yield from _directory_faults(file, size, archive, position)


def _local_end(file: BinaryIO, info: zipfile.ZipInfo) -> tuple[int, str]:
    """Return where the member of *info* ends, and what is wrong with its local header."""
    file.seek(info.header_offset)
    fields = _LOCAL.unpack(file.read(_LOCAL.size))
    magic, flags, method = fields[0], fields[2], fields[3]
    name = file.read(fields[9])
    extra = _extra_fields(file.read(fields[10]))
    encoding = "utf-8" if info.flag_bits & _UTF8 else "cp437"
    end = file.tell() + info.compress_size
    if magic != _LOCAL_MAGIC:
        return end, "it has no header"
    if flags & _DESCRIPTOR:
        return end, "its sizes are behind its content, which PyPI refuses"
    if extra is None:
        return end, "its extra fields are cut off or repeated, which PyPI refuses"
    described = (
        name.decode(encoding, "replace"),
        method,
        _local_sizes(method, fields[7:9], extra.get(_ZIP64, b"")),
    )
    sizes = (info.compress_size, info.file_size)
    if described != (info.orig_filename, info.compress_type, sizes):
        return end, "its header says something else than the directory of the archive"
    has_other_name = _UNICODE_PATH in extra | (_extra_fields(info.extra) or {})
    return end, "it has a second name" if has_other_name else ""


def _extra_fields(extra: bytes) -> dict[int, bytes] | None:
    """Return the data of each extra field by its kind (APPNOTE.TXT 4.5.1).

    None if one is cut off, or if one that has sizes or a name occurs twice.
    """
    found: dict[int, bytes] = {}
    while extra:
        kind, length = struct.unpack("<HH", extra[:4].ljust(4, b"\xff"))
        end = 4 + length
        if end > len(extra) or kind in {_ZIP64, _UNICODE_PATH}.intersection(found):
            return None
        found[kind] = extra[4:end]
        extra = extra[end:]
    return found


def _local_sizes(method: int, sizes: tuple[int, int], zip64: bytes) -> tuple[int, int] | None:
    """Return both sizes that a local header means, the packed one first; None if it is not valid.

    *zip64* is its extra field for large files (APPNOTE.TXT 4.5.3), which has both sizes, the packed one second. One is
    enough for a file that is not compressed. PyPI reads them in this way.
    """
    if not zip64:
        return sizes
    is_single = len(zip64) == _SIZE
    if len(zip64) not in _ZIP64_LENGTHS or (is_single and method != zipfile.ZIP_STORED):
        return None
    unpacked, packed = struct.unpack("<2Q", (zip64 * 2)[: 2 * _SIZE])
    return packed, unpacked if sizes[1] == _IN_ZIP64 else sizes[1]


def _directory_faults(
    file: BinaryIO, size: int, archive: zipfile.ZipFile, position: int
) -> Iterator[Fault]:
    """Yield what is wrong between the last member, which ends at *position*, and the end of the archive."""
    if archive.start_dir != position:
        yield Fault(
            ErrorCode.VERIFY_BYTES,
            "has bytes between its members and its directory, which PyPI refuses",
        )
    comment = archive.comment
    for kind in sorted(find_secrets(comment)):
        yield Fault(ErrorCode.VERIFY_SECRET, f"secrets: {kind} in its comment")
    file.seek(max(size - _END.size - len(comment), 0))
    end = file.read(_END.size)
    is_last = len(end) == _END.size and end.startswith(_END_MAGIC)
    if not is_last or _END.unpack(end)[7] != len(comment):
        yield Fault(ErrorCode.VERIFY_BYTES, "has bytes after its end, which PyPI refuses")
        return
    yield from _end_faults(file, archive, size - _END.size - len(comment), _END.unpack(end)[3:6])


def _end_faults(
    file: BinaryIO, archive: zipfile.ZipFile, end: int, numbers: tuple[int, int, int]
) -> Iterator[Fault]:
    """Yield where the *numbers* of the record at *end*, or of the one for large archives before it, are wrong.

    They are those that `_end_64` returns.
    """
    file.seek(max(end - _END_64.size - _LOCATOR_64, 0))
    end_64 = _end_64(file.read(end - file.tell()))
    *counts, directory_size = end_64 or numbers
    if end_64:
        end -= _END_64.size + _LOCATOR_64
    if set(counts) != {len(archive.infolist())}:
        message = (
            "its end says another number of members than its directory has, which PyPI refuses"
        )
        yield Fault(ErrorCode.VERIFY_BYTES, message)
    if end - archive.start_dir != directory_size:
        yield Fault(ErrorCode.VERIFY_BYTES, "has bytes after its directory, which PyPI refuses")


# --- sdists ---

_GZIP_MAGIC = b"\x1f\x8b\x08"
_TAR_KINDS = {
    tarfile.REGTYPE: MemberKind.FILE,
    tarfile.AREGTYPE: MemberKind.FILE,
    tarfile.DIRTYPE: MemberKind.DIRECTORY,
    tarfile.SYMTYPE: MemberKind.SYMLINK,
    tarfile.LNKTYPE: MemberKind.HARDLINK,
}


def _read_sdist(file: BinaryIO, collector: _ArchiveBuilder) -> None:
    start = file.read(len(_GZIP_MAGIC))
    if start != _GZIP_MAGIC:
        collector.stop(
            ErrorCode.VERIFY_ARCHIVE, "is not compressed with gzip" if start else "is empty"
        )
        return
    for kind in sorted(find_secrets(_gzip_texts(file))):
        collector.fault(ErrorCode.VERIFY_SECRET, f"secrets: {kind} in the header of gzip")
    file.seek(0)
    stream = _GzipStream(file, collector)
    with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK, errorlevel=1) as archive:
        for info in archive:
            collector.add(_tar_member(archive, info, collector))
            setattr(archive, "members", [])  # noqa: B010  a stream never goes back; the types do not know the list
    if not collector.members:
        collector.stop(ErrorCode.VERIFY_ARCHIVE, "has no members")
    for text in stream.trailing_faults(archive.offset):
        collector.fault(ErrorCode.VERIFY_BYTES, text)


def _gzip_texts(file: BinaryIO) -> bytes:
    """Return the file name and the comment in the header of gzip (RFC 1952), after which *file* stands anywhere."""
    file.seek(3)
    (flags,) = file.read(1) or b"\0"
    file.seek(10)
    if flags & 0x04:
        (length,) = struct.unpack("<H", file.read(2).ljust(2, b"\0"))
        file.seek(length, io.SEEK_CUR)
    count = bool(flags & 0x08) + bool(flags & 0x10)
    return b"\n".join(file.read(CHUNK).split(b"\0")[:count])


def _tar_member(
    archive: tarfile.TarFile, info: tarfile.TarInfo, collector: _ArchiveBuilder
) -> ArchiveMember:
    kind = (
        MemberKind.SPECIAL
        if info.sparse is not None
        else _TAR_KINDS.get(info.type, MemberKind.SPECIAL)
    )
    path = f"{info.name}/" if kind is MemberKind.DIRECTORY else info.name
    if info.size and not info.isreg() and kind is not MemberKind.SPECIAL:
        collector.stop(ErrorCode.VERIFY_ARCHIVE, f"{ascii(path)[1:-1]} is no file, and has content")
    if len(path) > _MAX_NAME:
        raise _TooBigError(f"has a name of {len(path)} characters")
    reader = archive.extractfile(info) if kind is MemberKind.FILE else None
    content = _ContentScan(()) if reader is None else collector.read(path, reader)
    if reader is not None and content.size != info.size:
        raise EOFError(f"{ascii(path)[1:-1]} ends too early")
    return ArchiveMember(
        path=path,
        kind=kind,
        size=content.size,
        mode=info.mode & 0o7777,
        target=info.linkname,
        head=content.head,
        secrets=tuple(sorted(content.secrets)),
        has_conflict=content.has_conflict,
    )


class _GzipStream(io.RawIOBase):
    """The unpacked bytes of a file with one gzip member. They are counted while they are read."""

    def __init__(self, file: BinaryIO, collector: _ArchiveBuilder) -> None:
        self._file, self._collector = file, collector
        self._inflater = zlib.decompressobj(wbits=31)
        self._input = b""
        self._position = 0
        self._last_piece = b""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most *size* bytes; empty at the end. Raises EOFError if the file is cut off."""
        limit = size if 0 < size < CHUNK else CHUNK
        while not self._inflater.eof:
            self._input = self._input or self._file.read(CHUNK)
            if not self._input:
                raise EOFError("it is cut off")
            piece = self._inflater.decompress(self._input, limit)
            self._input = self._inflater.unconsumed_tail
            if piece:
                self._collector.count(len(piece))
                self._position += len(piece)
                self._last_piece = piece
                return piece
        return b""

    def trailing_faults(self, end: int) -> Iterator[str]:
        """Yield what is wrong after the byte *end*, where the last member ends."""
        start = self._position - len(self._last_piece)
        piece = self._last_piece[max(end - start, 0) :]
        while piece and not piece.strip(b"\0"):
            piece = self.read(CHUNK)
        if piece:
            yield "has bytes after its last member"
            return
        rest = self._inflater.unused_data + self._file.read(CHUNK)
        if rest.strip(b"\0"):
            yield "has bytes after its end"
