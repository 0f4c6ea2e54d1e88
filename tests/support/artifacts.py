"""A small wheel and sdist that are right, and many ways to spoil them. No build backend is needed."""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import tarfile
import warnings
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FIELDS = (
    ("Metadata-Version", "2.4"),
    ("Name", "shop-core"),
    ("Version", "1.2.0"),
    ("Summary", "Shelves and prices"),
    ("Requires-Python", ">=3.9"),
    ("License-Expression", "MIT"),
    ("License-File", "LICENSE"),
    ("Requires-Dist", "base==1.0"),
    ("Description-Content-Type", "text/markdown"),
)
MODULES = {
    "shop_core/__init__.py": b"A = 1\n",
    "shop_core/app.py": b"def main(): ...\n",
    "shop_core/py.typed": b"",
}
WHEEL = "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass
class Draft:
    """Everything that goes into the two archives, before they are written. Paths of the sdist begin with its top."""

    fields: list[tuple[str, str]] = field(default_factory=lambda: list(FIELDS))
    sdist_fields: list[tuple[str, str]] | None = None
    description: str = "# Shop\n"
    modules: dict[str, bytes] = field(default_factory=lambda: dict(MODULES))
    more: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    wheel_file: str = WHEEL
    wheel_name: str = "shop_core-1.2.0-py3-none-any.whl"
    info: str = "shop_core-1.2.0.dist-info"
    without: set[str] = field(default_factory=set[str])
    record: Callable[[list[list[str]]], list[list[str]]] = lambda rows: rows
    members: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]] = lambda members: members
    modes: dict[str, int] = field(default_factory=dict[str, int])
    compression: int = zipfile.ZIP_DEFLATED
    comment: bytes = b""
    raw_wheel: Callable[[bytes], bytes] = lambda raw: raw
    metadata: Callable[[bytes], bytes] = lambda raw: raw
    sdist_name: str = "shop_core-1.2.0.tar.gz"
    top: str = "shop_core-1.2.0"
    sdist_more: list[tuple[tarfile.TarInfo, bytes]] = field(
        default_factory=list[tuple[tarfile.TarInfo, bytes]]
    )
    raw_tar: Callable[[bytes], bytes] = lambda raw: raw
    raw_sdist: Callable[[bytes], bytes] = lambda raw: raw
    others: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def write(self, directory: Path) -> list[Path]:
        """Write the archives into *directory*; returns their paths."""
        directory.mkdir(parents=True)
        files = {self.wheel_name: self.wheel(), self.sdist_name: self.sdist(), **self.others}
        for name, content in files.items():
            if content is not None:
                (directory / name).write_bytes(content)
        return sorted(directory.iterdir())

    def text(self, fields: list[tuple[str, str]]) -> bytes:
        """Return *fields* and the description as METADATA."""
        lines = "".join(f"{name}: {value}\n" for name, value in fields)
        return self.metadata(f"{lines}\n{self.description}".encode())

    def wheel(self) -> bytes | None:
        """Return the wheel."""
        infos = {
            "licenses/LICENSE": b"MIT\n",
            "METADATA": self.text(self.fields),
            "WHEEL": self.wheel_file.encode(),
        }
        members = [*self.modules.items(), *self.more]
        members += [
            (f"{self.info}/{name}", text)
            for name, text in infos.items()
            if name not in self.without
        ]
        rows = [[path, digest(content), str(len(content))] for path, content in members]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            self.record([*rows, [f"{self.info}/RECORD", "", ""]])
        )
        members = self.members(members)
        if "RECORD" not in self.without:
            members.append((f"{self.info}/RECORD", text.getvalue().encode()))
        buffer = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", self.compression) as archive:
            warnings.simplefilter("ignore")  # one of the faults is a member that occurs twice
            for path, content in members:
                info = zipfile.ZipInfo(path)
                info.compress_type = self.compression
                info.external_attr = self.modes.get(path, 0o100644) << 16
                archive.writestr(info, content)
            archive.comment = self.comment
        return self.raw_wheel(buffer.getvalue())

    def sdist(self) -> bytes | None:
        """Return the sdist."""
        files = {f"src/{path}": content for path, content in MODULES.items()}
        files |= {"pyproject.toml": b"[project]\n", "LICENSE": b"MIT\n"}
        files |= {"PKG-INFO": self.text(self.sdist_fields or self.fields)}
        members = [
            (tar_info(f"{self.top}/{path}"), text)
            for path, text in files.items()
            if path not in self.without
        ]
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for info, content in [*members, *self.sdist_more]:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
        return self.raw_sdist(gzip.compress(self.raw_tar(buffer.getvalue()), mtime=0))


def digest(content: bytes, algorithm: str = "sha256") -> str:
    """Return the hash of *content* as RECORD has it."""
    value = hashlib.new(algorithm, content).digest()
    return f"{algorithm}={base64.urlsafe_b64encode(value).decode().rstrip('=')}"


def tar_info(
    path: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644
) -> tarfile.TarInfo:
    """Return the header of one member of an sdist."""
    info = tarfile.TarInfo(path)
    info.type, info.linkname, info.mode = kind, target, mode
    return info
