"""Verification: a corpus of archives that are each wrong in one way, and the verdict on each."""

# ruff: noqa: E501  a row is a line
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import base64
import bz2
import gzip
import io
import struct
import sys
import tarfile
import zipfile
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pytest
from packaging.version import Version

from releasekit.core.artifacts.source_rules import verify_source
from releasekit.core.artifacts.verification import RULES, verify_artifacts
from releasekit.core.config.settings import VerifyWaiver
from releasekit.core.errors import ErrorCode
from releasekit.core.workspace.pins import Pins
from releasekit.integrations.archives import read_tree
from releasekit.integrations.built_artifacts import built_paths, read_built
from tests.support.artifacts import FIELDS, WHEEL, Draft, digest, tar_info

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from releasekit.core.artifacts.problems import ArtifactFinding

PROJECT, VERSION = "shop-core", Version("1.2.0")
PINS = Pins("exact", {"base": Version("1.0"), PROJECT: VERSION})
SIBLINGS = {"base": "base", "shop_web": "shop-web", "shop.web": "shop-web"}
INFO, TOP = "shop_core-1.2.0.dist-info", "shop_core-1.2.0"

# In pieces, because a scanner must not find them in this file.
PEM = "-----BEGIN {} PRIVATE" + " KEY-----\n{}\n-----END {} PRIVATE" + " KEY-----\n"
KEY_BODY = "MIIEowIBAAKCAQEAx" * 5


class Row(NamedTuple):
    """One way to spoil the archives, the verdict, and the rule that finds it."""

    case: str
    verdict: Literal["refuse", "warn", "accept"]
    rule: str
    spoil: Callable[[Draft], object]


def pem(kind: str) -> bytes:
    return PEM.format(kind, KEY_BODY, kind).replace("BEGIN  ", "BEGIN ").encode()


def file(path: str, content: bytes | str = b"x") -> Callable[[Draft], object]:
    """Add a file to the wheel."""
    raw = content.encode() if isinstance(content, str) else content
    return lambda draft: draft.more.append((path, raw))


def module(text: str) -> Callable[[Draft], object]:
    """Add a module to the wheel."""
    return file("shop_core/more.py", text)


def source(
    path: str,
    content: bytes = b"x",
    *,
    kind: bytes = tarfile.REGTYPE,
    target: str = "",
    mode: int = 0o644,
) -> Callable[[Draft], object]:
    """Add a member to the sdist."""
    return lambda draft: draft.sdist_more.append((tar_info(path, kind, target, mode), content))


def link(path: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Callable[[Draft], object]:
    """Add a link to the sdist."""
    return source(f"{TOP}/{path}", b"", kind=kind, target=target)


def header(name: str, *values: str) -> Callable[[Draft], object]:
    """Replace a field of the metadata by *values*; without values, remove it."""

    def spoil(draft: Draft) -> None:
        draft.fields = [field for field in draft.fields if field[0] != name] + [
            (name, value) for value in values
        ]

    return spoil


def change(**values: Any) -> Callable[[Draft], object]:
    """Set attributes of the draft."""
    return lambda draft: [setattr(draft, name, value) for name, value in values.items()]


def both(*spoils: Callable[[Draft], object]) -> Callable[[Draft], object]:
    return lambda draft: [spoil(draft) for spoil in spoils]


def rst(text: str) -> Callable[[Draft], object]:
    return both(header("Description-Content-Type", "text/x-rst"), change(description=text))


def tags(name: str, *written: str) -> Callable[[Draft], object]:
    """Name the wheel for the tag *name*, and write the tags *written* into WHEEL."""
    lines = "".join(f"Tag: {tag}\n" for tag in written or (name,))
    text = f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\n{lines}"
    return change(wheel_name=f"{TOP}-{name}.whl", wheel_file=text)


def row_of_record(path: str, *values: str) -> Callable[[Draft], object]:
    """Replace the line of *path* in RECORD."""
    return change(record=lambda rows: [[path, *values] if row[0] == path else row for row in rows])


def patched(*changes: tuple[str, int, int, int]) -> Callable[[Draft], object]:
    """Write the same number into the first local header and the first entry of the directory."""

    def patch(raw: bytes) -> bytes:
        data = bytearray(raw)
        for kind, value, local, central in changes:
            struct.pack_into(kind, data, local, value)
            struct.pack_into(kind, data, raw.index(b"PK\1\2") + central, value)
        return bytes(data)

    return change(raw_wheel=patch)


def scripts(text: str) -> Callable[[Draft], object]:
    return file(f"{INFO}/entry_points.txt", text)


def zip_bomb(_: bytes) -> bytes:
    """Return a wheel of some kilobytes that unpacks to 65 MiB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("shop_core/__init__.py", bytes(65 << 20))
    return buffer.getvalue()


def streamed_zip(raw: bytes) -> bytes:
    """Return the wheel *raw* as a program writes it that cannot seek."""
    buffer = io.BytesIO()
    unseekable = io.BufferedWriter(_Unseekable(buffer))
    with (
        zipfile.ZipFile(io.BytesIO(raw)) as old,
        zipfile.ZipFile(unseekable, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    unseekable.flush()
    return buffer.getvalue()


class _Unseekable(io.RawIOBase):
    def __init__(self, target: io.BytesIO) -> None:
        self._target = target

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return self._target.write(data)


def named_gzip(raw: bytes) -> bytes:
    """Return the sdist *raw* with a file name in the header of gzip that holds a token."""
    buffer = io.BytesIO()
    with gzip.GzipFile("ghp_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5", "wb", fileobj=buffer) as file:
        file.write(gzip.decompress(raw))
    return buffer.getvalue()


def hidden_member(raw: bytes) -> bytes:
    """Return the wheel *raw* with bytes between its members and its directory, at the right offset."""
    start = raw.index(b"PK\1\2")
    offset = len(raw) - 6
    (old,) = struct.unpack_from("<L", raw, offset)
    changed = bytearray(raw[:start] + b"hidden" + raw[start:])
    struct.pack_into("<L", changed, offset + 6, old + 6)
    return bytes(changed)


def renamed_member(raw: bytes) -> bytes:
    """Return the wheel *raw* with another name in the first local header than in the directory."""
    return raw.replace(b"shop_core/__init__.py", b"shop_core/__exit__.py", 1)


def end_record(on_disk: int, in_all: int) -> Callable[[bytes], bytes]:
    """Return what adds to the numbers of members that the end of a wheel says."""

    def add(raw: bytes) -> bytes:
        data, start = bytearray(raw), raw.rindex(b"PK\5\6")
        numbers = struct.unpack_from("<2H", raw, start + 8)
        struct.pack_into("<2H", data, start + 8, numbers[0] + on_disk, numbers[1] + in_all)
        return bytes(data)

    return add


def large_zip(raw: bytes, more: int = 0) -> bytes:
    """Return the wheel *raw* with the end that archives beyond 4 GiB have, which says *more* members than there are."""
    start = raw.rindex(b"PK\5\6")
    count, _, size, offset = struct.unpack_from("<2H2L", raw, start + 8)
    record = struct.pack(
        "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count + more, count + more, size, offset
    )
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start, 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return raw[:start] + record + locator + end


def in_zip64(*which: Literal["packed", "unpacked"]) -> Callable[[dict[str, int]], bytes]:
    """Return what makes the extra field of a large file from the sizes of a member."""
    return lambda sizes: struct.pack(
        f"<2H{len(which)}Q", 1, 8 * len(which), *(sizes[name] for name in which)
    )


def local_extra(
    make: Callable[[dict[str, int]], bytes], times: int = 1
) -> Callable[[bytes], bytes]:
    """Return what puts an extra field into the first local header; if it is one for large files, it has the sizes."""

    def add(raw: bytes) -> bytes:
        packed, unpacked, name_length = struct.unpack_from("<2LH", raw, 18)
        extra = make({"packed": packed, "unpacked": unpacked}) * times
        data = bytearray(raw)
        struct.pack_into("<H", data, 28, len(extra))
        if extra.startswith(b"\1\0"):
            struct.pack_into("<2L", data, 18, 0xFFFFFFFF, 0xFFFFFFFF)
        data[30 + name_length : 30 + name_length] = extra
        return moved(bytes(data), len(extra))

    return add


def moved(raw: bytes, length: int) -> bytes:
    """Return the wheel *raw* with offsets that count the *length* bytes which the first member has more."""
    data, end = bytearray(raw), raw.rindex(b"PK\5\6")
    size, offset = struct.unpack_from("<2L", raw, end + 12)
    struct.pack_into("<L", data, end + 16, offset + length)
    position = offset + length
    while position < offset + length + size:
        lengths = struct.unpack_from("<3H", raw, position + 28)
        (start,) = struct.unpack_from("<L", raw, position + 42)
        struct.pack_into("<L", data, position + 42, start + length if start else 0)
        position += 46 + sum(lengths)
    return bytes(data)


LINE = "v" * 300
ELF = b"\x7fELF\2\1\1" + bytes(9) + b"\3\0\x3e\0" + bytes(44)  # for x86_64
ENCODED_KEY = base64.b64encode(pem("EC"))
ACCEPTED_PLATFORMS = (
    "macosx_10_9_x86_64",
    "macosx_11_0_arm64",
    "macosx_26_0_arm64",
    "macosx_15_0_universal2",
)
REFUSED_PLATFORMS = (
    "macosx_11_1_arm64", "macosx_13_3_arm64", "macosx_16_0_arm64", "macosx_10_9_fat32", "manylinux1_aarch64",
    "manylinux2014_riscv64", "manylinux_2_36_loongarch64", "pyodide_2024_0_wasm32",
)  # fmt: skip
ROWS = [
    Row("good", "accept", "", lambda _: None),
    # the container
    Row("empty wheel", "refuse", "RK-VERIFY-ARCHIVE", change(raw_wheel=lambda _: b"")),
    Row("half a wheel", "refuse", "RK-VERIFY-ARCHIVE", change(raw_wheel=lambda raw: raw[: len(raw) // 2])),
    Row("no zip", "refuse", "RK-VERIFY-ARCHIVE", change(raw_wheel=lambda _: b"no zip")),
    Row("zip without members", "refuse", "RK-VERIFY-ARCHIVE", change(raw_wheel=lambda _: b"PK\5\6" + bytes(18))),
    Row("wrong checksum", "refuse", "RK-VERIFY-ARCHIVE", patched(("<L", 1, 14, 16))),
    Row("encrypted", "refuse", "RK-VERIFY-ARCHIVE", patched(("<H", 1, 6, 8))),
    Row("bzip2", "refuse", "RK-VERIFY-ARCHIVE", change(compression=zipfile.ZIP_BZIP2)),
    Row("lzma", "refuse", "RK-VERIFY-ARCHIVE", change(compression=zipfile.ZIP_LZMA)),
    Row("stored", "accept", "", change(compression=zipfile.ZIP_STORED)),
    Row("unknown method", "refuse", "RK-VERIFY-ARCHIVE", patched(("<H", 97, 8, 10))),
    Row("prefix", "refuse", "RK-VERIFY-BYTES", change(raw_wheel=lambda raw: b"#!/bin/sh\n" + raw)),
    Row("suffix", "refuse", "RK-VERIFY-BYTES", change(raw_wheel=lambda raw: raw + b"more")),
    Row("second zip behind", "refuse", "RK-VERIFY-BYTES", change(raw_wheel=lambda raw: raw + raw)),
    Row("gap", "refuse", "RK-VERIFY-BYTES", change(raw_wheel=hidden_member)),
    Row("two names", "refuse", "RK-VERIFY-BYTES", change(raw_wheel=renamed_member)),
    Row("streamed", "refuse", "RK-VERIFY-BYTES", change(raw_wheel=streamed_zip)),
    Row("comment", "accept", "", change(comment=b"built by hand")),
    Row("large zip", "accept", "", change(raw_wheel=large_zip)),
    Row("large zip with another count", "refuse", "RK-VERIFY-BYTES", change(raw_wheel=partial(large_zip, more=1))),
    Row("other count", "refuse", "RK-VERIFY-BYTES", change(raw_wheel=end_record(1, 1))),
    Row("other count on this disk", "refuse", "RK-VERIFY-BYTES", change(raw_wheel=end_record(1, 0))),
    Row("large member", "accept", "", change(raw_wheel=local_extra(in_zip64("unpacked", "packed")))),
    Row("large member of another size", "refuse", "RK-VERIFY-BYTES", change(raw_wheel=local_extra(in_zip64("unpacked", "unpacked")))),
    Row("large member with one size", "refuse", "RK-VERIFY-BYTES", change(raw_wheel=local_extra(in_zip64("unpacked")))),
    Row("large member twice", "refuse", "RK-VERIFY-BYTES", change(raw_wheel=local_extra(in_zip64("unpacked", "packed"), 2))),
    Row("large member without sizes", "refuse", "RK-VERIFY-BYTES", change(raw_wheel=local_extra(in_zip64()))),
    Row("large member with half a size", "refuse", "RK-VERIFY-BYTES", change(raw_wheel=local_extra(lambda _: b"\1\0\4\0" + bytes(4)))),
    Row("extra field", "accept", "", change(raw_wheel=local_extra(lambda _: struct.pack("<HHBL", 0x5455, 5, 1, 0)))),
    Row("extra field cut off", "refuse", "RK-VERIFY-BYTES", change(raw_wheel=local_extra(lambda _: b"UT\x09\0ab"))),
    Row("half an extra field", "refuse", "RK-VERIFY-BYTES", change(raw_wheel=local_extra(lambda _: b"U"))),
    Row("directory with content", "refuse", "RK-VERIFY-ARCHIVE", both(file("shop_core/a/"), change(record=lambda rows: [row for row in rows if row[0][-1] != "/"]))),
    Row("zip bomb", "refuse", "RK-VERIFY-SIZE", change(raw_wheel=zip_bomb)),
    Row("gzip bomb", "refuse", "RK-VERIFY-SIZE", change(raw_sdist=lambda _: gzip.compress(bytes(65 << 20), 1))),
    Row("sdist in bzip2", "refuse", "RK-VERIFY-ARCHIVE", change(raw_sdist=lambda raw: bz2.compress(gzip.decompress(raw)))),
    Row("sdist not compressed", "refuse", "RK-VERIFY-ARCHIVE", change(raw_sdist=gzip.decompress)),
    Row("empty sdist", "refuse", "RK-VERIFY-ARCHIVE", change(raw_sdist=lambda _: b"")),
    Row("half an sdist", "refuse", "RK-VERIFY-ARCHIVE", change(raw_sdist=lambda raw: raw[: len(raw) // 2])),
    Row("tar without members", "refuse", "RK-VERIFY-ARCHIVE", change(raw_tar=lambda _: bytes(10240))),
    Row("no tar", "refuse", "RK-VERIFY-ARCHIVE", change(raw_tar=lambda _: b"no tar" * 600)),
    Row("gzip suffix", "refuse", "RK-VERIFY-BYTES", change(raw_sdist=lambda raw: raw + b"more")),
    Row("two gzip members", "refuse", "RK-VERIFY-BYTES", change(raw_sdist=lambda raw: raw + raw)),
    Row("padded gzip", "accept", "", change(raw_sdist=lambda raw: raw + bytes(512))),
    Row("tar suffix", "refuse", "RK-VERIFY-BYTES", change(raw_tar=lambda raw: raw + b"more")),
    # paths
    Row("absolute", "refuse", "RK-VERIFY-PATH", file("/etc/evil.py")),
    Row("drive", "refuse", "RK-VERIFY-PATH", file("C:evil.py")),
    Row("up", "refuse", "RK-VERIFY-PATH", file("../evil.py")),
    Row("detour", "refuse", "RK-VERIFY-PATH", file("shop_core/../../evil.py")),
    Row("detour in data", "refuse", "RK-VERIFY-PATH", file("shop_core-1.2.0.data/scripts/../../../evil")),
    Row("backslash", "refuse", "RK-VERIFY-PATH", file("shop_core\\..\\evil.py")),
    Row("double slash", "refuse", "RK-VERIFY-PATH", file("shop_core//evil.py")),
    Row("dot", "refuse", "RK-VERIFY-PATH", file("./shop_core/evil.py")),
    Row("escape", "refuse", "RK-VERIFY-PATH", file("shop_core/\x1b[31mred.py")),
    Row("line break", "refuse", "RK-VERIFY-PATH", file("shop_core/a\nb.py")),
    Row("delete", "refuse", "RK-VERIFY-PATH", file("shop_core/\x7f.py")),
    Row("right to left", "refuse", "RK-VERIFY-PATH", file("shop_core/a\u202eyp.txt")),
    Row("zero width", "refuse", "RK-VERIFY-PATH", file("shop_core/a\u200b.py")),
    Row("umlaut", "accept", "", file("shop_core/ü.txt")),
    Row("sdist absolute", "refuse", "RK-VERIFY-PATH", source("/evil.txt")),
    Row("sdist up", "refuse", "RK-VERIFY-PATH", source(f"{TOP}/../evil.txt")),
    Row("sdist escape", "refuse", "RK-VERIFY-PATH", source(f"{TOP}/\x1b[2J")),
    Row("sdist latin-1", "refuse", "RK-VERIFY-PATH", source(f"{TOP}/\udce9.txt")),
    Row("case", "warn", "RK-VERIFY-PORTABLE", file("shop_core/APP.py")),
    Row("case of directory", "warn", "RK-VERIFY-PORTABLE", file("Shop_core/other.txt")),
    Row("accent of its own", "warn", "RK-VERIFY-PORTABLE", file("shop_core/e\u0301.txt")),
    Row("accents", "warn", "RK-VERIFY-PORTABLE", both(file("shop_core/é.txt"), file("shop_core/e\u0301.txt"))),
    Row("colon", "warn", "RK-VERIFY-PORTABLE", file("shop_core/a:b.txt")),
    Row("reserved", "warn", "RK-VERIFY-PORTABLE", file("shop_core/aux.txt")),
    Row("dot at the end", "warn", "RK-VERIFY-PORTABLE", file("shop_core/a./b.txt")),
    Row("long path", "warn", "RK-VERIFY-PORTABLE", file(f"shop_core/{LINE[:200]}/{LINE[:200]}.txt")),
    Row("long name", "warn", "RK-VERIFY-PORTABLE", file(f"shop_core/{LINE}")),
    Row("sdist case", "warn", "RK-VERIFY-PORTABLE", source(f"{TOP}/license")),
    # members
    Row("twice", "refuse", "RK-VERIFY-DUPLICATE", change(members=lambda members: [*members, members[0]])),
    Row("file and directory", "refuse", "RK-VERIFY-DUPLICATE", both(file("shop_core/a"), file("shop_core/a/b"))),
    Row("module and package", "warn", "RK-VERIFY-DUPLICATE", file("shop_core.py", "A = 2\n")),
    Row("sdist twice", "refuse", "RK-VERIFY-DUPLICATE", source(f"{TOP}/PKG-INFO", b"Name: evil\n")),
    Row("wheel link", "refuse", "RK-VERIFY-MEMBER", change(modes={"shop_core/app.py": 0o120777})),
    Row("wheel pipe", "refuse", "RK-VERIFY-MEMBER", change(modes={"shop_core/app.py": 0o010644})),
    Row("link to root", "refuse", "RK-VERIFY-MEMBER", link("passwd", "/etc/passwd")),
    Row("link out", "refuse", "RK-VERIFY-MEMBER", link("docs", "../../secret")),
    Row("link to neighbour", "refuse", "RK-VERIFY-MEMBER", link("docs", "../other-1.0/a")),
    Row("hard link out", "refuse", "RK-VERIFY-MEMBER", link("a", "../secret", tarfile.LNKTYPE)),
    Row("hard link to root", "refuse", "RK-VERIFY-MEMBER", link("a", "/etc/passwd", tarfile.LNKTYPE)),
    Row("below link", "refuse", "RK-VERIFY-MEMBER", both(link("a", "src"), source(f"{TOP}/a/b.txt"))),
    Row("dangling", "warn", "RK-VERIFY-MEMBER", link("a", "nothing")),
    Row("hard link to nothing", "refuse", "RK-VERIFY-MEMBER", link("a", f"{TOP}/none", tarfile.LNKTYPE)),
    Row("loop", "warn", "RK-VERIFY-MEMBER", both(link("a", "b"), link("b", "a"))),
    Row("link inside", "accept", "", link("README", "LICENSE")),
    Row("hard link inside", "accept", "", link("copy", f"{TOP}/LICENSE", tarfile.LNKTYPE)),
    Row("device", "refuse", "RK-VERIFY-MEMBER", source(f"{TOP}/null", b"", kind=tarfile.CHRTYPE)),
    Row("block device", "refuse", "RK-VERIFY-MEMBER", source(f"{TOP}/sda", b"", kind=tarfile.BLKTYPE)),
    Row("pipe", "refuse", "RK-VERIFY-MEMBER", source(f"{TOP}/pipe", b"", kind=tarfile.FIFOTYPE)),
    Row("setuid", "warn", "RK-VERIFY-MODE", change(modes={"shop_core/app.py": 0o104755})),
    Row("sdist setgid", "warn", "RK-VERIFY-MODE", source(f"{TOP}/run.sh", mode=0o2755)),
    Row("writable for all", "accept", "", change(modes={"shop_core/app.py": 0o100666})),
    Row("other top", "refuse", "RK-VERIFY-TOP", change(top="odd")),
    Row("second top", "refuse", "RK-VERIFY-TOP", source("notes.txt")),
    # which files there are
    Row("no wheel", "refuse", "RK-VERIFY-FILES", change(raw_wheel=lambda _: None)),
    Row("no sdist", "refuse", "RK-VERIFY-FILES", change(raw_sdist=lambda _: None)),
    Row("sdist as zip", "refuse", "RK-VERIFY-FILES", change(sdist_name="shop_core-1.2.0.zip")),
    Row("two sdists", "refuse", "RK-VERIFY-FILES", change(others={"shop-core-1.2.0.tar.gz": b""})),
    Row("second wheel", "refuse", "RK-VERIFY-ARCHIVE", change(others={"shop_core-1.2.0-py2-none-any.whl": b""})),
    Row("attestation", "accept", "", change(others={f"{TOP}.tar.gz.publish.attestation": b"{}", ".gitignore": b"*"})),
    Row("wheel of another", "refuse", "RK-VERIFY-FILE-NAME", change(wheel_name="other-1.2.0-py3-none-any.whl")),
    Row("wheel with dot", "refuse", "RK-VERIFY-FILE-NAME", change(wheel_name="shop.core-1.2.0-py3-none-any.whl")),
    Row("wheel in capitals", "refuse", "RK-VERIFY-FILE-NAME", change(wheel_name="Shop_Core-1.2.0-py3-none-any.whl")),
    Row("wheel with hyphen", "refuse", "RK-VERIFY-FILE-NAME", change(wheel_name="shop-core-1.2.0-py3-none-any.whl")),
    Row("wheel version", "refuse", "RK-VERIFY-FILE-NAME", change(wheel_name="shop_core-1.2-py3-none-any.whl")),
    Row("next version", "refuse", "RK-VERIFY-FILE-NAME", change(wheel_name="shop_core-1.3.0-py3-none-any.whl")),
    Row("sdist with hyphen", "refuse", "RK-VERIFY-FILE-NAME", change(sdist_name="shop-core-1.2.0.tar.gz")),
    Row("sdist of another", "refuse", "RK-VERIFY-FILE-NAME", change(sdist_name="other-1.2.0.tar.gz")),
    Row("no version", "refuse", "RK-VERIFY-FILE-NAME", change(sdist_name="shop_core.tar.gz")),
    Row("no METADATA", "refuse", "RK-VERIFY-MISSING", change(without={"METADATA"})),
    Row("no WHEEL", "refuse", "RK-VERIFY-MISSING", change(without={"WHEEL"})),
    Row("no RECORD", "refuse", "RK-VERIFY-MISSING", change(without={"RECORD"})),
    Row("no PKG-INFO", "refuse", "RK-VERIFY-MISSING", change(without={"PKG-INFO"})),
    Row("no pyproject.toml", "refuse", "RK-VERIFY-MISSING", change(without={"pyproject.toml"})),
    Row("two dist-infos", "refuse", "RK-VERIFY-MISSING", file("other-1.0.dist-info/METADATA")),
    Row("dist-info of another", "refuse", "RK-VERIFY-NAME", change(info="other-1.2.0.dist-info")),
    Row("dist-info in capitals", "refuse", "RK-VERIFY-NAME", change(info="Shop_Core-1.2.0.dist-info")),
    Row("dist-info with hyphen", "refuse", "RK-VERIFY-NAME", change(info="shop-core-1.2.0.dist-info")),
    Row("dist-info version", "refuse", "RK-VERIFY-NAME", change(info="shop_core-1.3.0.dist-info")),
    Row("name", "refuse", "RK-VERIFY-NAME", header("Name", "other")),
    Row("raw name", "accept", "", header("Name", "Shop.Core")),
    Row("no name", "refuse", "RK-VERIFY-NAME", header("Name")),
    Row("version", "refuse", "RK-VERIFY-NAME", header("Version", "1.3.0")),
    Row("version spelling", "refuse", "RK-VERIFY-NAME", header("Version", "1.2.00")),
    Row("sdist name", "refuse", "RK-VERIFY-NAME", change(sdist_fields=[("Name", "other"), *FIELDS[:1], *FIELDS[2:]])),
    Row("version in the code", "warn", "RK-VERIFY-NAME", file("shop_core/_version.py", '__version__ = "1.1.0"\n')),
    Row("same version in the code", "accept", "", file("shop_core/_version.py", "__version__: str = '1.2'\n")),
    Row("version of a part", "accept", "", file("shop_core/_vendor/six/_version.py", "__version__ = '1.1.0'\n")),
    # WHEEL, tags, RECORD
    Row("future wheel", "refuse", "RK-VERIFY-WHEEL", change(wheel_file="Wheel-Version: 9.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")),
    Row("empty WHEEL", "refuse", "RK-VERIFY-WHEEL", change(wheel_file="")),
    Row("no tag", "refuse", "RK-VERIFY-WHEEL", change(wheel_file="Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")),
    Row("other tag", "refuse", "RK-VERIFY-WHEEL", tags("py3-none-any", "py2-none-any")),
    Row("two tags", "warn", "RK-VERIFY-WHEEL", tags("py2.py3-none-any", "py2-none-any", "py3-none-any")),
    Row("purelib", "warn", "RK-VERIFY-WHEEL", tags("py3-none-any")),
    Row("build not in WHEEL", "warn", "RK-VERIFY-WHEEL", change(wheel_name="shop_core-1.2.0-1-py3-none-any.whl")),
    Row("build in WHEEL", "accept", "", change(wheel_name="shop_core-1.2.0-1-py3-none-any.whl", wheel_file=f"{WHEEL}Build: 1\n")),
    Row("unknown scheme", "refuse", "RK-VERIFY-WHEEL", file("shop_core-1.2.0.data/etc/x")),
    Row("data of another", "warn", "RK-VERIFY-WHEEL", file("other-1.2.0.data/scripts/x")),
    Row("platform", "warn", "RK-VERIFY-PLATFORM", tags("cp311-cp311-manylinux_2_17_x86_64")),
    *(Row(f"{platform} on PyPI", "accept", "", both(tags(f"cp311-abi3-{platform}"), file("shop_core/a.abi3.so"))) for platform in ACCEPTED_PLATFORMS),
    *(Row(f"{platform} not on PyPI", "refuse", "RK-VERIFY-PLATFORM", both(tags(f"cp311-abi3-{platform}"), file("shop_core/a.abi3.so"))) for platform in REFUSED_PLATFORMS),
    Row("linux", "refuse", "RK-VERIFY-PLATFORM", both(tags("py3-none-linux_x86_64"), file("shop_core/a.so", b"\x7fELF"))),
    Row("extension", "refuse", "RK-VERIFY-PLATFORM", file("shop_core/a.cpython-311-x86_64-linux-gnu.so", b"\x7fELF")),
    Row("library", "warn", "RK-VERIFY-PLATFORM", file("shop_core/libz.so", b"\x7fELF")),
    Row("other machine", "refuse", "RK-VERIFY-PLATFORM", both(tags("cp311-abi3-manylinux_2_28_aarch64"), file("shop_core/a.abi3.so", ELF))),
    Row("other system", "refuse", "RK-VERIFY-PLATFORM", both(tags("cp311-abi3-manylinux_2_28_aarch64"), file("shop_core/a.abi3.so", b"\xcf\xfa\xed\xfe"))),
    Row("other Python", "warn", "RK-VERIFY-PLATFORM", both(tags("cp311-cp311-musllinux_1_2_x86_64"), file("shop_core/a.cpython-312-x86_64-linux-musl.so", ELF))),
    Row("same machine", "accept", "", both(tags("cp311-cp311-manylinux_2_28_x86_64"), file("shop_core/a.cpython-311-x86_64-linux-gnu.so", ELF))),
    Row("Python too old", "warn", "RK-VERIFY-PLATFORM", tags("py2-none-any", "py2-none-any")),
    Row("Python excluded", "warn", "RK-VERIFY-PLATFORM", both(header("Requires-Python", ">=3.12"), tags("cp311-cp311-manylinux_2_28_x86_64"), file("shop_core/a.cpython-311-x86_64-linux-gnu.so", ELF))),
    Row("Python of a patch", "accept", "", both(header("Requires-Python", ">=3.11.4"), tags("cp311-cp311-manylinux_2_28_x86_64"), file("shop_core/a.cpython-311-x86_64-linux-gnu.so", ELF))),
    Row("stable interface", "accept", "", both(header("Requires-Python", ">=3.12"), tags("cp38-abi3-manylinux_2_28_x86_64"), file("shop_core/a.abi3.so", ELF))),
    Row("compiled", "accept", "", both(tags("cp311-abi3-macosx_11_0_arm64"), file("shop_core/a.abi3.so", b"\xcf\xfa\xed\xfe"))),
    Row("hash", "refuse", "RK-VERIFY-RECORD", row_of_record("shop_core/app.py", digest(b"other"), "16")),
    Row("hexadecimal", "warn", "RK-VERIFY-RECORD", row_of_record("shop_core/__init__.py", "sha256=" + sha256(b"A = 1\n").hexdigest(), "6")),
    Row("hexadecimal of another file", "refuse", "RK-VERIFY-RECORD", row_of_record("shop_core/__init__.py", "sha256=" + sha256(b"other").hexdigest(), "6")),
    Row("no hash", "refuse", "RK-VERIFY-RECORD", row_of_record("shop_core/app.py", "", "")),
    Row("md5", "refuse", "RK-VERIFY-RECORD", row_of_record("shop_core/__init__.py", digest(b"A = 1\n", "md5"), "6")),
    Row("sha1", "refuse", "RK-VERIFY-RECORD", row_of_record("shop_core/__init__.py", digest(b"A = 1\n", "sha1"), "6")),
    Row("sha384", "accept", "", row_of_record("shop_core/__init__.py", digest(b"A = 1\n", "sha384"), "6")),
    Row("sha512", "accept", "", row_of_record("shop_core/__init__.py", digest(b"A = 1\n", "sha512"), "6")),
    Row("size", "refuse", "RK-VERIFY-RECORD", row_of_record("shop_core/__init__.py", digest(b"A = 1\n"), "7")),
    Row("ghost", "refuse", "RK-VERIFY-RECORD", change(record=lambda rows: [*rows, ["shop_core/gone.py", digest(b""), "0"]])),
    Row("unlisted", "refuse", "RK-VERIFY-RECORD", change(record=lambda rows: rows[1:])),
    Row("listed twice", "refuse", "RK-VERIFY-RECORD", change(record=lambda rows: [*rows, rows[0]])),
    Row("two columns", "refuse", "RK-VERIFY-RECORD", row_of_record("shop_core/app.py", "")),
    # metadata
    Row("latin-1", "refuse", "RK-VERIFY-METADATA", change(metadata=lambda raw: raw.replace(b"Shelves", b"Caf\xe9"))),
    Row("metadata version", "refuse", "RK-VERIFY-METADATA", header("Metadata-Version", "9.9")),
    Row("long summary", "refuse", "RK-VERIFY-METADATA", header("Summary", "s" * 513)),
    Row("folded summary", "refuse", "RK-VERIFY-METADATA", header("Summary", "a\n  b")),
    Row("two summaries", "refuse", "RK-VERIFY-METADATA", header("Summary", "a", "b")),
    Row("address", "refuse", "RK-VERIFY-METADATA", header("Author-email", "Ada <nobody>")),
    Row("address in a local network", "refuse", "RK-VERIFY-METADATA", header("Author-email", "Ada <ada@build.local>")),
    Row("address for tests", "refuse", "RK-VERIFY-METADATA", header("Maintainer-email", "ada@example.test")),
    Row("address with two dots", "refuse", "RK-VERIFY-METADATA", header("Author-email", "ada..b@example.org")),
    Row("address with number", "refuse", "RK-VERIFY-METADATA", header("Author-email", "ada@127.0.0.1")),
    Row("address with umlaut", "accept", "", header("Author-email", "Ada <ada@bücher.example.org>")),
    Row("address of nobody", "accept", "", header("Author-email", "Ada <>")),
    Row("dynamic field", "accept", "", header("Dynamic", "License-File")),
    Row("dynamic dynamic", "refuse", "RK-VERIFY-METADATA", header("Dynamic", "Dynamic")),
    Row("two addresses", "accept", "", header("Author-email", '"Ada, B." <ada@example.org>, bob@example.org')),
    Row("python", "refuse", "RK-VERIFY-METADATA", header("Requires-Python", "three")),
    Row("extra", "refuse", "RK-VERIFY-METADATA", header("Provides-Extra", "b@d")),
    Row("dynamic name", "refuse", "RK-VERIFY-METADATA", header("Dynamic", "Name")),
    Row("unknown field", "refuse", "RK-VERIFY-METADATA", header("Colour", "red")),
    Row("folded keywords", "accept", "", header("Keywords", "a\n b")),
    Row("hidden summary", "warn", "RK-VERIFY-HIDDEN", header("Summary", "a \u202e b")),
    Row("escape in author", "warn", "RK-VERIFY-HIDDEN", header("Author", "\x1b[31mAda")),
    Row("hidden label", "warn", "RK-VERIFY-HIDDEN", header("Project-URL", "Ho\u202eme, https://example.org")),
    Row("Cyrillic letter", "warn", "RK-VERIFY-HIDDEN", file("shop_core/m\u043ed.py", "A = 2\n")),
    Row("Cyrillic name", "accept", "", file("shop_core/\u043c\u043e\u0434.txt")),
    Row("hidden description", "warn", "RK-VERIFY-HIDDEN", change(description="# Shop \u2066")),
    Row("marks of direction", "accept", "", change(description="# \u05d7\u05e0\u05d5\u05ea\u200f\n")),
    Row("bare return", "refuse", "RK-VERIFY-METADATA", change(metadata=lambda raw: raw.replace(b"prices", b"a\rRequires-Dist: six"))),
    Row("null in description", "refuse", "RK-VERIFY-METADATA", change(description="# Shop \0")),
    Row("Windows lines", "accept", "", change(metadata=lambda raw: raw.replace(b"\n", b"\r\n"))),
    Row("accents in author", "accept", "", header("Author", "Zoë 日本")),
    Row("classifier", "refuse", "RK-VERIFY-CLASSIFIER", header("Classifier", "Framework :: Nonsense")),
    Row("old classifier", "refuse", "RK-VERIFY-CLASSIFIER", header("Classifier", "Natural Language :: Ukranian")),
    Row("private", "refuse", "RK-VERIFY-CLASSIFIER", header("Classifier", "Private :: Do Not Upload")),
    Row("license classifier", "warn", "RK-VERIFY-CLASSIFIER", header("Classifier", "License :: OSI Approved :: MIT License")),
    Row("script address", "refuse", "RK-VERIFY-URL", header("Project-URL", "Home, javascript:alert(1)")),
    Row("address with brackets", "refuse", "RK-VERIFY-URL", header("Project-URL", "Home, https://example.org/a/[id]")),
    Row("query with brackets", "refuse", "RK-VERIFY-URL", header("Project-URL", "Home, https://example.org/?a[]=1")),
    Row("address with signs", "accept", "", header("Project-URL", "Home, https://example.org/{a}/ü/%5Bid%5D?a=b|c#[d]")),
    Row("no address", "refuse", "RK-VERIFY-URL", header("Project-URL", "Home")),
    Row("no label", "refuse", "RK-VERIFY-URL", header("Project-URL", ", https://example.org")),
    Row("no scheme", "refuse", "RK-VERIFY-URL", header("Project-URL", "Home, example.org")),
    Row("broken address", "refuse", "RK-VERIFY-URL", header("Project-URL", "Home, https://]")),
    Row("broken port", "refuse", "RK-VERIFY-URL", header("Project-URL", "Home, https://example.org:port/")),
    Row("long label", "refuse", "RK-VERIFY-URL", header("Project-URL", f"{'x' * 33}, https://example.org")),
    Row("address with a password", "refuse", "RK-VERIFY-URL", header("Project-URL", "Home, https://ada:pw" "@example.org")),
    Row("home with a password", "refuse", "RK-VERIFY-URL", header("Home-page", "https://ada:pw" "@example.org")),
    Row("file as home", "refuse", "RK-VERIFY-URL", header("Home-page", "file:///etc/passwd")),
    Row("link", "accept", "", header("Project-URL", "Home, https://example.org/a?b=c")),
    Row("requirement by URL", "refuse", "RK-VERIFY-REQUIREMENT", header("Requires-Dist", "six @ https://example.org/six.whl")),
    Row("requirement by git", "refuse", "RK-VERIFY-REQUIREMENT", header("Requires-Dist", "six @ git+https://example.org/six")),
    Row("requirement by path", "refuse", "RK-VERIFY-REQUIREMENT", header("Requires-Dist", "./six")),
    Row("requirement not pinned", "refuse", "RK-VERIFY-REQUIREMENT", header("Requires-Dist", "base>=1")),
    Row("requirement", "accept", "", both(header("Provides-Extra", "X_1"), header("Requires-Dist", "base==1.0", 'six>=1; extra == "x-1"'))),
    Row("requirement of no extra", "warn", "RK-VERIFY-REQUIREMENT", header("Requires-Dist", "base==1.0", "six; extra == 'gone'")),
    Row("provides nothing", "refuse", "RK-VERIFY-REQUIREMENT", header("Provides-Dist", "??")),
    Row("license", "refuse", "RK-VERIFY-LICENSE", header("License-Expression", "My Own!!")),
    Row("unknown license", "refuse", "RK-VERIFY-LICENSE", header("License-Expression", "MIT-5")),
    Row("license of another kind", "accept", "", both(header("License-Expression"), header("License", "MIT"))),
    Row("own license", "accept", "", header("License-Expression", "LicenseRef-Own OR MIT")),
    Row("two licenses", "refuse", "RK-VERIFY-LICENSE", header("License", "MIT")),
    Row("license file up", "refuse", "RK-VERIFY-LICENSE", header("License-File", "../LICENSE")),
    Row("license file at root", "refuse", "RK-VERIFY-LICENSE", header("License-File", "/etc/passwd")),
    Row("no license file", "refuse", "RK-VERIFY-LICENSE", change(without={"licenses/LICENSE"})),
    Row("no license in sdist", "refuse", "RK-VERIFY-LICENSE", change(without={"LICENSE"})),
    Row("html", "refuse", "RK-VERIFY-README", header("Description-Content-Type", "text/html")),
    Row("charset", "refuse", "RK-VERIFY-README", header("Description-Content-Type", "text/markdown; charset=latin-1")),
    Row("broken rst", "refuse", "RK-VERIFY-README", rst("Title\n==\n\n`x <\n")),
    Row("include", "refuse", "RK-VERIFY-README", rst(".. include:: /etc/passwd\n")),
    Row("good rst", "accept", "", rst("Title\n=====\n\nText\n")),
    Row("other requirement", "refuse", "RK-VERIFY-PKG-INFO", change(sdist_fields=[*FIELDS, ("Requires-Dist", "six")])),
    Row("other summary", "warn", "RK-VERIFY-PKG-INFO", change(sdist_fields=[*FIELDS[:3], ("Summary", "x"), *FIELDS[4:]])),
    Row("dynamic", "accept", "", change(sdist_fields=[*FIELDS, ("Requires-Dist", "six"), ("Dynamic", "Requires-Dist")])),
    # content
    Row("RSA key", "refuse", "RK-VERIFY-SECRET", file("shop_core/server.txt", pem("RSA"))),
    Row("EC key in code", "refuse", "RK-VERIFY-SECRET", module(f'K = """{pem("EC").decode()}"""\n')),
    Row("PKCS 8 key", "refuse", "RK-VERIFY-SECRET", file("shop_core/a.txt", pem("").replace(b"BEGIN  ", b"BEGIN "))),
    Row("encrypted key", "refuse", "RK-VERIFY-SECRET", file("shop_core/a.txt", pem("ENCRYPTED"))),
    Row("old encrypted key", "refuse", "RK-VERIFY-SECRET", file("shop_core/a.txt", pem("RSA").replace(b"-\nM", b"-\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A\n\nM"))),
    Row("key in JSON", "refuse", "RK-VERIFY-SECRET", file("shop_core/a.json", pem("RSA").replace(b"\n", b"\\n"))),
    Row("key in Windows text", "refuse", "RK-VERIFY-SECRET", file("shop_core/a.txt", pem("DSA").replace(b"\n", b"\r\n"))),
    Row("SSH key", "refuse", "RK-VERIFY-SECRET", source(f"{TOP}/deploy", pem("OPENSSH"))),
    Row("PGP key", "refuse", "RK-VERIFY-SECRET", file("shop_core/a.asc", pem("PGP").replace(b"KEY--", b"KEY BLOCK--"))),
    Row("PuTTY key", "refuse", "RK-VERIFY-SECRET", file("shop_core/a.txt", "PuTTY-User-Key-" "File-3: ssh-ed25519\n")),
    Row("short key", "refuse", "RK-VERIFY-SECRET", file("shop_core/k.txt", pem("EC").replace(KEY_BODY.encode(), b"MHcCAQEE"))),
    Row("key in tests", "warn", "RK-VERIFY-SECRET", source(f"{TOP}/tests/certs/server.key", pem("RSA"))),
    Row("words about keys", "accept", "", module('BEGIN = "-----BEGIN RSA PRIVATE' ' KEY-----"\n')),
    Row("public key", "accept", "", file("shop_core/a.pem", pem("RSA").replace(b"PRIVATE", b"PUBLIC"))),
    Row("PyPI token", "refuse", "RK-VERIFY-SECRET", module("T = 'pypi-" "AgEIcHlwaS5vcmcCJGRlYWRiZWVmLWNhZmUtMTIzNC1hYmNkLTAwMTEyMjMzNDQ1NQ'\n")),
    Row("GitHub token", "refuse", "RK-VERIFY-SECRET", module("T = 'gh" "p_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5'\n")),
    Row("fine-grained token", "refuse", "RK-VERIFY-SECRET", module(f"T = 'github_" f"pat_{'aB3dE5gH7jK' * 2}_{'x1Y2z3A4b5C6d7E8f9G0' * 2}{'Qw3rTy5uIo7pAs9dFgH'}'\n")),
    Row("GitLab token", "refuse", "RK-VERIFY-SECRET", module("T = 'gl" "pat-aB3dE5gH7jK9mN1pQ3sT'\n")),
    Row("AWS key", "refuse", "RK-VERIFY-SECRET", module("K = 'AK" "IAQ3EGRT7MPL2XVBN5'\n")),
    Row("documented AWS key", "accept", "", module("K = 'AK" "IAIOSFODNN7EXAMPLE'\n")),
    Row("Google key", "refuse", "RK-VERIFY-SECRET", module("K = 'AI" "zaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q'\n")),
    Row("Slack token", "refuse", "RK-VERIFY-SECRET", module("K = 'xo" "xb-123456789012-1234567890123-aBcDeFgHiJkLmNoPqRsTuVwX'\n")),
    Row("Slack webhook", "refuse", "RK-VERIFY-SECRET", module("U = 'https://hooks.slack.com/ser" "vices/T01ABCDEF/B01ABCDEF/aBcDeFgHiJkLmNoPqRsTuVwX'\n")),
    Row("Stripe key", "refuse", "RK-VERIFY-SECRET", module("K = 'sk" "_live_aB3dE5gH7jK9mN1pQ3sT5vW7'\n")),
    Row("npm token", "refuse", "RK-VERIFY-SECRET", file("shop_core/.npmrc", "//registry.example/:_auth" "Token=aB3dE5gH7jK9\n")),
    Row("token on a border", "refuse", "RK-VERIFY-SECRET", file("shop_core/big.txt", b"a b\n" * ((1 << 18) - 5) + b"gh" b"p_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5\n")),
    Row("JSON web token", "warn", "RK-VERIFY-SECRET", module("T = 'eyJ" "hbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ" "zdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c'\n")),
    Row("token in binary", "refuse", "RK-VERIFY-SECRET", file("shop_core/a.bin", b"\0gh" b"p_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5\0")),
    Row("key in a kubeconfig", "refuse", "RK-VERIFY-SECRET", file("shop_core/kube.yaml", b"client-key-data: " + ENCODED_KEY)),
    Row("key in folded base64", "refuse", "RK-VERIFY-SECRET", file("shop_core/kube.yaml", b"k: |\n  " + b"\n  ".join(ENCODED_KEY[at : at + 64] for at in range(0, 200, 64)))),
    Row("key in UTF-16", "refuse", "RK-VERIFY-SECRET", file("shop_core/key.txt", pem("RSA").decode().encode("utf-16"))),
    Row("AWS secret", "refuse", "RK-VERIFY-SECRET", file("shop_core/a.ini", "aws_secret_access" "_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYq3z8Lk2PqA\n")),
    Row("Twilio key", "refuse", "RK-VERIFY-SECRET", file("shop_core/a.py", "KEY = 'S" "K0f3a9c1d7e5b2846a1c93e7d5b0f2486'\n")),
    Row("hash after a word", "accept", "", file("shop_core/a.py", "TA" "SK0f3a9c1d7e5b2846a1c93e7d5b0f2486 = 1\n")),
    Row("Azure key", "refuse", "RK-VERIFY-SECRET", file("shop_core/a.py", f"KEY = 'AccountKey={'aB3/d5F7hJ' * 8}aB3/d5=='\n")),
    Row("key of Azure's storage emulator", "accept", "", file("shop_core/a.py", f"KEY = 'AccountKey=Eby8vdM02xNOcqFlqUwJ{'aB3/d5F7hJ' * 6}aB3/d5=='\n")),
    Row("key of Azure's database emulator", "accept", "", file("shop_core/a.py", f"KEY = 'AccountKey=C2y6yDjf5/R+ob0N8A7C{'aB3/d5F7hJ' * 6}aB3/d5=='\n")),
    Row("documented AWS secret", "accept", "", file("shop_core/a.ini", "aws_secret_access" "_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n")),
    Row("netrc", "refuse", "RK-VERIFY-SECRET", file("shop_core/login.txt", "machine git.corp.test\n" "  login ada\n  password Zk29fjQ8x\n")),
    Row("password of a database", "refuse", "RK-VERIFY-SECRET", module("U = 'postgresql://ada:Zk29fjQ81" "sLx@db.corp.test/shop'\n")),
    Row("password of a sample", "accept", "", module("U = ['postgresql://postgres:postgres@db/x', 'https://u:Zk29fjQ81sLx@localhost', 'https://u:{Zk29fjQ81sLx}@a']\n")),
    Row("token in a zip comment", "refuse", "RK-VERIFY-SECRET", change(comment=b"built with gh" b"p_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5")),
    Row("token in a gzip name", "refuse", "RK-VERIFY-SECRET", change(raw_sdist=named_gzip)),
    Row("reordered module", "warn", "RK-VERIFY-HIDDEN", both(module("# \u202e } begin admin\nA = 1\n"))),
    Row("tag with a dot", "refuse", "RK-VERIFY-WHEEL", change(wheel_file=WHEEL.replace("py3-none", "py3.11-none"))),
    Row("name with a dotted tag", "refuse", "RK-VERIFY-FILE-NAME", tags("py3.11-none-any")),
    Row("placeholder", "accept", "", module("T = 'ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'\n")),
    *(Row(name, "refuse", "RK-VERIFY-PRIVATE", file(f"shop_core/{name}", "A=1\n")) for name in (".env", ".env.production", ".netrc", "_netrc", ".pypirc", ".git-credentials", ".htpasswd", ".pgpass", "id_ed25519", "a.p12", "a.kdbx", ".ssh/config", ".aws/credentials", ".docker/config.json", "terraform.tfstate")),
    *(Row(f"{name} of version control", "refuse", "RK-VERIFY-PRIVATE", source(f"{TOP}/{name}")) for name in (".git/config", ".hg/store", ".svn/entries", ".git", ".jj/repo/store/type")),
    Row("bare repository", "refuse", "RK-VERIFY-PRIVATE", both(*(source(f"{TOP}/vendor/x/{name}") for name in ("HEAD", "config", "objects/aa/bb")))),
    Row("bare repository of a test", "warn", "RK-VERIFY-PRIVATE", both(*(source(f"{TOP}/tests/x/{name}") for name in ("HEAD", "config", "objects/aa/bb")))),
    Row("env example", "accept", "", file("shop_core/.env.example", "A=1\n")),
    Row("git attributes", "accept", "", source(f"{TOP}/.gitattributes")),
    Row("env of a test", "warn", "RK-VERIFY-PRIVATE", source(f"{TOP}/tests/app/.env")),
    Row("LFS", "refuse", "RK-VERIFY-POINTER", file("shop_core/model.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")),
    Row("sdist LFS", "refuse", "RK-VERIFY-POINTER", source(f"{TOP}/src/model.bin", b"version https://git-lfs.github.com/spec/v1\n")),
    *(Row(f"left-over {name}", "warn", "RK-VERIFY-LEFTOVER", file(f"shop_core/{name}")) for name in ("__pycache__/a.cpython-311.pyc", "app.py~", ".app.py.swp", "app.py.orig", "app.py.rej", "app.bak", ".DS_Store", "Thumbs.db", "._app.py", "#app.py#", ".#app.py", "node_modules/x.js", ".idea/x.xml", ".mypy_cache/x", ".ipynb_checkpoints/x", ".coverage")),
    *(Row(f"left-over sdist {name}", "warn", "RK-VERIFY-LEFTOVER", source(f"{TOP}/{name}")) for name in (".venv/pyvenv.cfg", "venv/pyvenv.cfg", ".tox/x", ".pytest_cache/x", "src/a.pyc")),
    *(Row(f"left-over build {name}", "warn", "RK-VERIFY-LEFTOVER", source(f"{TOP}/{name}")) for name in ("dist/shop_core-1.1.0.tar.gz", "build/lib/shop_core/a.txt")),
    *(Row(f"left-over {name}", "warn", "RK-VERIFY-LEFTOVER", file(f"{INFO}/{name}")) for name in ("direct_url.json", "INSTALLER")),
    Row("merge conflict", "warn", "RK-VERIFY-LEFTOVER", file("shop_core/a.toml", "<<<<<<< HEAD\na = 1\n=======\na = 2\n>>>>>>> other\n")),
    Row("conflict in the README", "warn", "RK-VERIFY-LEFTOVER", change(description="# Shop\n<<<<<<< HEAD\n=======\n>>>>>>> other\n")),
    Row("heading", "accept", "", change(description="Shop\n=======\n\n>>>>>>> quoted\n")),
    Row("original of uv_build", "accept", "", source(f"{TOP}/pyproject.toml.orig")),
    Row("egg-info", "warn", "RK-VERIFY-LEFTOVER", file("shop_core.egg-info/PKG-INFO")),
    Row("sdist egg-info", "accept", "", source(f"{TOP}/src/shop_core.egg-info/PKG-INFO")),
    Row("tests at the top", "warn", "RK-VERIFY-COMMON", file("tests/__init__.py", b"")),
    Row("docs at the top", "warn", "RK-VERIFY-COMMON", file("docs/conf.py", b"")),
    Row("setup.py at the top", "warn", "RK-VERIFY-COMMON", file("setup.py", b"")),
    Row("standard library", "warn", "RK-VERIFY-COMMON", file("json/__init__.py", b"")),
    Row("standard module", "warn", "RK-VERIFY-COMMON", file("shop_core-1.2.0.data/purelib/types.py", b"")),
    Row("pth", "warn", "RK-VERIFY-STARTUP", file("shop.pth", b"import os\n")),
    Row("pth by a detour", "warn", "RK-VERIFY-STARTUP", file("shop_core-1.2.0.data/data/lib/python3.11/site-packages/a.pth")),
    Row("sitecustomize", "warn", "RK-VERIFY-STARTUP", file("sitecustomize.py", b"")),
    Row("sibling", "refuse", "RK-VERIFY-SIBLING", file("shop_web/__init__.py", b"")),
    Row("sibling as module", "refuse", "RK-VERIFY-SIBLING", file("base.py", b"")),
    Row("sibling in data", "refuse", "RK-VERIFY-SIBLING", file("shop_core-1.2.0.data/platlib/base/__init__.py", b"")),
    Row("namespace", "accept", "", file("shop/core/__init__.py", b"")),
    # the whole
    Row("no module", "refuse", "RK-VERIFY-EMPTY", change(modules={})),
    Row("other module", "refuse", "RK-VERIFY-EMPTY", change(modules={"unrelated/__init__.py": b""})),
    Row("lost module", "warn", "RK-VERIFY-LOST", lambda draft: draft.modules.pop("shop_core/app.py")),
    Row("lost types", "warn", "RK-VERIFY-LOST", lambda draft: draft.modules.pop("shop_core/py.typed")),
    Row("lost package", "warn", "RK-VERIFY-LOST", source(f"{TOP}/src/shop_core/sub/__init__.py")),
    Row("lost stub", "warn", "RK-VERIFY-LOST", source(f"{TOP}/src/shop_core/app.pyi", b"")),
    Row("lost template", "warn", "RK-VERIFY-LOST", source(f"{TOP}/src/shop_core/pages/shop.html")),
    Row("source of another language", "accept", "", source(f"{TOP}/src/shop_core/fast.pyx")),
    Row("changed module", "warn", "RK-VERIFY-CHANGED", lambda draft: draft.modules.update({"shop_core/app.py": b"def main(): evil()\n"})),
    Row("tests stay away", "accept", "", source(f"{TOP}/src/shop_core/tests/test_a.py")),
    Row("command", "accept", "", scripts("[console_scripts]\nshop = shop_core.app:main\n")),
    Row("plug-in", "accept", "", both(header("Provides-Extra", "extra"), scripts("[shop.plugins]\na b = shop_core.app\nc = other.module:x [extra]\n"))),
    Row("command without function", "warn", "RK-VERIFY-ENTRY-POINT", scripts("[console_scripts]\nshop = shop_core.app:gone\n")),
    Row("command without module", "refuse", "RK-VERIFY-ENTRY-POINT", scripts("[console_scripts]\nshop = shop_core.gone:main\n")),
    Row("plug-in without module", "refuse", "RK-VERIFY-ENTRY-POINT", scripts("[shop.plugins]\na = shop_core.gone\n")),
    Row("plug-in in a namespace", "accept", "", both(file("spaces/shop/own.py", ""), header("Requires-Dist", "other"), scripts("[shop.plugins]\na = spaces.shop.other:x\n"))),
    Row("plug-in in an old namespace", "accept", "", both(file("old/__init__.py", "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"), header("Requires-Dist", "other"), scripts("[shop.plugins]\na = old.other:x\n"))),
    Row("plug-in in a namespace of nobody else", "refuse", "RK-VERIFY-ENTRY-POINT", both(file("spaces/shop/own.py", ""), header("Requires-Dist"), scripts("[shop.plugins]\na = spaces.shop.gone:x\n"))),
    Row("plug-in below a module", "refuse", "RK-VERIFY-ENTRY-POINT", both(file("spaces/shop/__init__.py", ""), header("Requires-Dist", "other"), scripts("[shop.plugins]\na = spaces.shop.gone:x\n"))),
    Row("command from nowhere", "refuse", "RK-VERIFY-ENTRY-POINT", both(header("Requires-Dist"), scripts("[console_scripts]\nshop = elsewhere:main\n"))),
    Row("command of Python", "accept", "", both(header("Requires-Dist"), scripts("[console_scripts]\nshop = json.tool:main\n"))),
    Row("command of a module", "refuse", "RK-VERIFY-ENTRY-POINT", scripts("[console_scripts]\nshop = shop_core.app\n")),
    Row("command with path", "refuse", "RK-VERIFY-ENTRY-POINT", scripts("[console_scripts]\n../shop = shop_core.app:main\n")),
    Row("command of two words", "refuse", "RK-VERIFY-ENTRY-POINT", scripts("[console_scripts]\na b = shop_core.app:main\n")),
    Row("command with plus", "refuse", "RK-VERIFY-ENTRY-POINT", scripts("[console_scripts]\na+ = shop_core.app:main\n")),
    Row("command with at", "refuse", "RK-VERIFY-ENTRY-POINT", scripts("[gui_scripts]\na@2 = shop_core.app:main\n")),
    Row("command with umlaut", "warn", "RK-VERIFY-ENTRY-POINT", scripts("[console_scripts]\nmüll = shop_core.app:main\n")),
    Row("plug-in of two words", "accept", "", scripts("[shop.plugins]\na b = shop_core.app:main\n")),
    Row("command of dots", "refuse", "RK-VERIFY-ENTRY-POINT", scripts("[console_scripts]\n.. = shop_core.app:main\n")),
    Row("window with path", "refuse", "RK-VERIFY-ENTRY-POINT", scripts("[gui_scripts]\na\\b = shop_core.app:main\n")),
    Row("command with code", "refuse", "RK-VERIFY-ENTRY-POINT", scripts("[console_scripts]\nshop = shop_core.app:main()\n")),
    Row("broken entry points", "refuse", "RK-VERIFY-ENTRY-POINT", scripts("[console_scripts\n= =\n")),
    Row("command of no extra", "warn", "RK-VERIFY-ENTRY-POINT", scripts("[console_scripts]\nshop = shop_core.app:main [gone]\n")),
    Row("command in two cases", "warn", "RK-VERIFY-ENTRY-POINT", scripts("[console_scripts]\nshop = shop_core.app:main\n[gui_scripts]\nShop = shop_core.app:main\n")),
    Row("command of everybody", "warn", "RK-VERIFY-COMMON", scripts("[console_scripts]\npip = shop_core.app:main\n")),
    Row("script of everybody", "warn", "RK-VERIFY-COMMON", file("shop_core-1.2.0.data/scripts/python", b"#!/bin/sh\n")),
    Row("two commands", "refuse", "RK-VERIFY-ENTRY-POINT", scripts("[console_scripts]\na = shop_core.app:main\na = shop_core:A\n")),
    Row("syntax", "refuse", "RK-VERIFY-SYNTAX", module("def f(:\n")),
    Row("merge markers", "refuse", "RK-VERIFY-SYNTAX", module("<<<<<<< HEAD\nA = 1\n=======\n")),
    Row("null bytes", "refuse", "RK-VERIFY-SYNTAX", module("A = 1\0\n")),
    Row("nesting", "refuse", "RK-VERIFY-SYNTAX", module("(" * 50_000)),
    Row("stub", "refuse", "RK-VERIFY-SYNTAX", file("shop_core/app.pyi", "def f(:\n")),
    Row("broken test", "warn", "RK-VERIFY-SYNTAX", file("shop_core/tests/bad.py", "def f(:\n")),
    Row("template", "warn", "RK-VERIFY-SYNTAX", file("shop_core/templates/app.py", "{{ a b }}\n")),
    Row("later Python", "accept", "", both(header("Requires-Python", f">=3.{sys.version_info.minor + 1}"), module("def f[[T]](): ...\n"))),
    Row("no Python", "warn", "RK-VERIFY-SYNTAX", both(header("Requires-Python", ">=99"), module("def f[[T]](): ...\n"))),
    Row("latin-1 module", "accept", "", file("shop_core/old.py", b"# coding: latin-1\nA = '\xe9'\n")),
]  # fmt: skip


def verify(
    directory: Path, spoil: Callable[[Draft], object], *waivers: VerifyWaiver
) -> tuple[ArtifactFinding, ...]:
    """Write the archives as *spoil* changes them, and verify them."""
    draft = Draft()
    spoil(draft)
    draft.write(directory)
    built = read_built(PROJECT, VERSION, built_paths(directory), PINS, SIBLINGS)
    return verify_artifacts(built, waivers)


def verdict_of(findings: tuple[ArtifactFinding, ...]) -> str:
    if any(finding.stops for finding in findings):
        return "refuse"
    return "warn" if findings else "accept"


def test_corpus_gets_its_verdicts(tmp_path: Path) -> None:
    """Each row gets its verdict, and the rule that is meant is among those that find something."""
    wrong: list[str] = []
    broken: set[str] = set()
    for number, row in enumerate(ROWS):
        findings = verify(tmp_path / str(number), row.spoil)
        codes = {str(finding.rule) for finding in findings}
        broken |= codes
        is_right = verdict_of(findings) == row.verdict and (not row.rule or row.rule in codes)
        if not is_right:
            wrong.append(
                f"{row.case}: {row.verdict} {row.rule}, but {verdict_of(findings)}: {list(map(str, findings))}"
            )

    assert wrong == []
    assert {str(rule.code) for rule in RULES} <= broken
    assert len({row.case for row in ROWS}) == len(ROWS)


def test_all_findings_appear_at_once(tmp_path: Path) -> None:
    """Problems of all kinds are reported together, the errors first."""
    spoil = both(
        header("Name", "other"), file("shop_core/.env"), file("shop.pth"), change(top="odd")
    )

    findings = verify(tmp_path / "dist", spoil)

    assert {finding.rule for finding in findings} >= {
        ErrorCode.VERIFY_NAME,
        ErrorCode.VERIFY_PRIVATE,
        ErrorCode.VERIFY_STARTUP,
        ErrorCode.VERIFY_TOP,
    }
    assert [finding.severity for finding in findings] == sorted(
        finding.severity for finding in findings
    )


def test_waiver_lets_a_package_pass(tmp_path: Path) -> None:
    """A waived finding is shown with its reason, and does not stop the package; others still do."""
    waivers = [VerifyWaiver(rule="private", package="shop-*", reason="a sample")]

    (finding,) = verify(tmp_path / "a", file("shop_core/.env"), *waivers)
    both_findings = verify(tmp_path / "b", both(file("shop_core/.env"), file("/etc/x")), *waivers)

    assert (finding.rule, finding.stops, finding.waived) == (
        ErrorCode.VERIFY_PRIVATE,
        False,
        "a sample",
    )
    assert {each.rule for each in both_findings if each.stops} == {ErrorCode.VERIFY_PATH}


def test_unused_waiver_is_named(tmp_path: Path) -> None:
    """A waiver that names the package, and that no finding needs, is a warning; one with a pattern is not."""
    used = VerifyWaiver(rule="RK-VERIFY-SECRET", package="Shop_Core", reason="gone")
    waivers = [
        used,
        VerifyWaiver(rule="mode", package="*", reason="x"),
        VerifyWaiver(rule="mode", package="o", reason="x"),
    ]

    (finding,) = verify(tmp_path / "dist", lambda _: None, *waivers)

    assert (finding.rule, finding.stops) == (ErrorCode.VERIFY_WAIVER, False)
    assert finding.text.startswith("no file of shop-core breaks RK-VERIFY-SECRET")


def test_requirements_alone_are_a_package(tmp_path: Path) -> None:
    """A wheel without modules is fine if the sdist has no code either, and the wheel has requirements."""
    code = {
        f"src/{path}"
        for path in ("shop_core/__init__.py", "shop_core/app.py", "shop_core/py.typed")
    }

    def bare(draft: Draft) -> None:
        draft.modules.clear()
        draft.without |= code

    assert verify(tmp_path / "a", bare) == ()
    assert (
        verify(tmp_path / "b", both(bare, header("Requires-Dist")))[0].rule
        is ErrorCode.VERIFY_EMPTY
    )


@pytest.mark.parametrize(
    ("settings", "is_refused"),
    [
        ("[tool.hatch.build.targets.wheel]\nbypass-selection = true\n", False),
        ("[tool.setuptools]\npackages = []\n", False),
        ("[tool.hatch.build.targets.wheel]\nexclude = ['docs']\n", True),
        ("no toml [", True),
    ],
)
def test_settings_ask_for_no_code(tmp_path: Path, settings: str, *, is_refused: bool) -> None:
    """A package that requires others may have a wheel without modules, if its settings say so."""
    manifest = source(f"{TOP}/pyproject.toml", settings.encode())
    spoil = both(change(modules={}, without={"pyproject.toml"}), manifest)

    findings = verify(tmp_path / "built", spoil)

    rules = {finding.rule for finding in findings}
    assert (ErrorCode.VERIFY_EMPTY in rules) is is_refused


def test_password_of_link_stays_hidden(tmp_path: Path) -> None:
    """The finding shows where the password is, and no part of it, also if it has an @."""
    address = "https://ada:open@sesame@example.org/x"

    findings = verify(tmp_path / "built", header("Project-URL", f"Home, {address}"))

    (text,) = {finding.text for finding in findings}
    assert text == "Project-URL Home, https://***@example.org/x: the address has a password"


def test_damaged_archive_gives_findings(tmp_path: Path) -> None:
    """Wherever a byte of a wheel or sdist is changed or its end is cut off, verification ends with findings."""
    wheel, sdist = Draft().wheel() or b"", Draft().sdist() or b""
    silent: list[str] = []
    for name, raw in (("wheel", wheel), ("sdist", sdist)):
        for at in range(0, len(raw), 37):
            damaged = {
                "cut": raw[:at],
                "flipped": raw[:at] + bytes([raw[at] ^ 0xFF]) + raw[at + 1 :],
            }
            for kind, content in damaged.items():
                spoil = change(**{f"raw_{name}": lambda _, content=content: content})
                if not verify(tmp_path / f"{name}-{at}-{kind}", spoil):
                    silent.append(f"{kind} {name} at {at}")

    assert [case for case in silent if "cut" in case] == []
    assert len(silent) <= 4, silent  # times and modes of the archives may change


def test_long_tar_headers_end(tmp_path: Path) -> None:
    """A name of megabytes, and headers that follow each other without a file, are findings."""
    long_name = change(
        raw_tar=lambda _: tar_header("L", 20 << 20) + b"n" * (20 << 20) + bytes(1024)
    )
    chain = change(raw_tar=lambda _: (tar_header("L", 512) + b"n" * 512) * 3000)

    for number, spoil in enumerate((long_name, chain)):
        findings = verify(tmp_path / str(number), spoil)
        assert {finding.rule for finding in findings} & {
            ErrorCode.VERIFY_ARCHIVE,
            ErrorCode.VERIFY_SIZE,
        }


def tar_header(kind: str, size: int) -> bytes:
    """Return the header of a member of this *kind* (a GNU type) and *size*."""
    info = tar_info("././@LongLink", kind.encode())
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def test_source_breaks_same_rules(tmp_path: Path) -> None:
    """A source tree gets the findings of the files that will be built from it; links and excluded files do not count."""
    document = {
        "project": {"name": PROJECT, "scripts": {"shop": "shop_core.gone:main"}},
        "build-system": {"build-backend": "hatchling.build"},
        "tool": {"hatch": {"build": {"exclude": ["/notes"]}}},
    }
    sources = {
        "src/shop_core/__init__.py": b"",
        "src/shop_core/server.txt": pem("RSA"),
        "notes/id_rsa": b"x",
        ".env": b"A=1\n",
    }
    for path, content in sources.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    (tmp_path / "link.pem").symlink_to(tmp_path / "src/shop_core/server.txt")

    tree = read_tree(tmp_path, [*sources, "link.pem", "deleted.py"])
    findings = verify_source(PROJECT, tree, document, {})

    assert {(finding.rule, finding.text.rpartition(" ")[2]) for finding in findings} == {
        (ErrorCode.VERIFY_SECRET, "src/shop_core/server.txt"),
        (ErrorCode.VERIFY_PRIVATE, ".env"),
        (ErrorCode.VERIFY_ENTRY_POINT, "wheel"),
    }
