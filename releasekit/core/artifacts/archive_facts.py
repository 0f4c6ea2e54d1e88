"""The input of verification: what wheels and sdists contain, and what the plan expects of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.parser import HeaderParser
from enum import Enum, auto
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from packaging.metadata import ExceptionGroup as MetadataErrors
from packaging.metadata import InvalidMetadata, Metadata, parse_email
from packaging.utils import canonicalize_name
from packaging.version import Version

from releasekit.core.artifacts.entry_points import parse_entry_points
from releasekit.core.workspace.pins import Pins

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from email.message import Message

    from releasekit.core.artifacts.entry_points import EntryPoint
    from releasekit.core.errors import ErrorCode
    from releasekit.core.workspace.built_files import BuiltContents

WHEEL_SUFFIX, SDIST_SUFFIX = ".whl", ".tar.gz"
_OLDEST_PYTHON = Version("3.11")
NO_PINS = Pins("keep", {})


class MemberKind(Enum):
    """What a member of an archive is."""

    FILE = auto()
    DIRECTORY = auto()
    SYMLINK = auto()
    HARDLINK = auto()
    SPECIAL = auto()
    """A device, a pipe, a socket, a sparse file, or a kind that no standard knows."""


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """One member of an archive.

    *mode* has the permission bits, *target* is where a link leads. *digests* has the hash in urlsafe base64 by
    algorithm, for the members of wheels. *head* are the first bytes, *secrets* the kinds of secrets in the content.
    *has_conflict* tells that a merge has left its markers.
    """

    path: str
    kind: MemberKind = MemberKind.FILE
    size: int = 0
    mode: int = 0o644
    target: str = ""
    digests: Mapping[str, str] = field(default_factory=dict[str, str])
    head: bytes = b""
    secrets: tuple[str, ...] = ()
    has_conflict: bool = False

    @property
    def parts(self) -> list[str]:
        """The names in its path."""
        return self.path.split("/")


class Fault(NamedTuple):
    """A problem that the reader of an archive has met: the code of the rule, and the text."""

    code: ErrorCode
    text: str


@dataclass(frozen=True)
class Archive:
    """A wheel or an sdist as it was read.

    *contents* has the bytes of the members that rules read: metadata and Python modules, up to a limit. *faults* are
    problems of the container. If it *is_readable* only in part, rules about missing members say nothing.
    """

    name: str
    size: int = 0
    members: tuple[ArchiveMember, ...] = ()
    contents: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    faults: tuple[Fault, ...] = ()
    is_readable: bool = True

    @property
    def is_wheel(self) -> bool:
        """Whether it is a wheel; otherwise it is an sdist."""
        return self.name.endswith(WHEEL_SUFFIX)

    @cached_property
    def files(self) -> Mapping[str, ArchiveMember]:
        """The regular files and the links, by path."""
        files = (member for member in self.members if member.kind is not MemberKind.DIRECTORY)
        return {member.path: member for member in files}

    @cached_property
    def top(self) -> str:
        """The top directory of an sdist, as its name says; empty for a wheel."""
        return "" if self.is_wheel else self.name.removesuffix(SDIST_SUFFIX)

    @cached_property
    def info(self) -> str:
        """The directory with the metadata: the `.dist-info` of a wheel, the top directory of an sdist."""
        return next(iter(self.info_directories), "") if self.is_wheel else self.top

    @cached_property
    def info_directories(self) -> tuple[str, ...]:
        """All directories at the top of a wheel that end with `.dist-info`."""
        tops = dict.fromkeys(path.partition("/")[0] for path in self.files if "/" in path)
        return tuple(top for top in tops if top.endswith(".dist-info"))

    @property
    def metadata_path(self) -> str:
        """The path of METADATA or PKG-INFO."""
        return f"{self.info}/METADATA" if self.is_wheel else f"{self.top}/PKG-INFO"

    @cached_property
    def metadata_text(self) -> str:
        """The text of METADATA or PKG-INFO; bytes that are not UTF-8 are replaced."""
        return self.contents.get(self.metadata_path, b"").decode("utf-8", "replace")

    @cached_property
    def fields(self) -> Message:
        """The fields of METADATA or PKG-INFO (core metadata specification)."""
        return HeaderParser().parsestr(self.metadata_text)

    @cached_property
    def metadata_errors(self) -> Mapping[str, str]:
        """What packaging says about each field of METADATA or PKG-INFO that is not valid."""
        raw, unparsed = parse_email(self.contents.get(self.metadata_path, b""))
        errors = {
            name: f"{name.title()} is no known field, occurs twice, or cannot be read"
            for name in unparsed
        }
        try:
            Metadata.from_raw(raw, validate=True)
        except MetadataErrors as group:
            errors |= dict(map(_error_entry, group.exceptions))
        return errors

    @property
    def description(self) -> str:
        """The text that an index shows as the page of the project."""
        return str(self.fields.get_payload()) or self.value("Description")

    @cached_property
    def extras(self) -> tuple[str, ...]:
        """The extras that the metadata provides, with normalised names (PEP 685)."""
        names = set(map(canonicalize_name, self.values("Provides-Extra")))
        return tuple(sorted(names))

    @cached_property
    def _parsed_entry_points(self) -> list[EntryPoint] | str:
        content = self.contents.get(f"{self.info}/entry_points.txt", b"")
        return parse_entry_points(content.decode("utf-8", "replace"))

    @property
    def entry_points(self) -> tuple[EntryPoint, ...]:
        """The entry points of a wheel; none if they cannot be read."""
        parsed = self._parsed_entry_points
        return () if isinstance(parsed, str) else tuple(parsed)

    @property
    def entry_points_error(self) -> str:
        """Why entry_points.txt cannot be read; empty if it can."""
        parsed = self._parsed_entry_points
        return parsed if isinstance(parsed, str) else ""

    def values(self, name: str) -> list[str]:
        """Return the values of the field *name* of METADATA or PKG-INFO."""
        return list(map(str, self.fields.get_all(name, [])))

    def value(self, name: str) -> str:
        """Return the value of the field *name* of METADATA or PKG-INFO; empty without one."""
        return str(self.fields.get(name) or "")

    @cached_property
    def wheel_fields(self) -> Message:
        """The fields of the file WHEEL."""
        return HeaderParser().parsestr(
            self.contents.get(f"{self.info}/WHEEL", b"").decode("utf-8", "replace")
        )

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The files of an sdist below its top directory."""
        prefix = f"{self.top}/"
        return tuple(path.removeprefix(prefix) for path in self.files if path.startswith(prefix))

    @cached_property
    def installed_paths(self) -> Mapping[str, str]:
        """The files of a wheel that are importable after the installation: where they land, and their path."""
        return dict(self._installed_files())

    def _installed_files(self) -> Iterator[tuple[str, str]]:
        for path in self.files:
            data = _LIBRARY.match(path)
            if data:
                yield path[data.end() :], path
            elif not _ELSEWHERE.match(path):
                yield path, path


def _error_entry(error: Exception) -> tuple[str, str]:
    field = error.field if isinstance(error, InvalidMetadata) else ""
    return field, str(error)


_LIBRARY = re.compile(r"[^/]+\.data/(?:purelib|platlib)/")
_ELSEWHERE = re.compile(r"[^/]+\.(?:data|dist-info)/")


@dataclass(frozen=True)
class BuiltArtifacts:
    """The built files of one package, and what is expected of them.

    *names* are all files that the build left; *expected* says which should be there. *pins* are the requirements on
    siblings that the files must have. *siblings* has the other packages of the workspace by the names under which
    Python imports them. *python* is the version of Python that reads the sources. *readmes* has the error of the
    renderer by archive: empty if there is none, None if no renderer is installed.
    """

    project: str
    version: Version
    names: tuple[str, ...]
    archives: tuple[Archive, ...]
    expected: BuiltContents = "all"
    pins: Pins = NO_PINS
    siblings: Mapping[str, str] = field(default_factory=dict[str, str])
    python: Version = _OLDEST_PYTHON
    readmes: Mapping[str, str | None] = field(default_factory=dict[str, str | None])

    @property
    def wheels(self) -> tuple[Archive, ...]:
        """The wheels."""
        return tuple(archive for archive in self.archives if archive.is_wheel)

    @property
    def sdists(self) -> tuple[Archive, ...]:
        """The sdists; usually one."""
        return tuple(archive for archive in self.archives if not archive.is_wheel)

    @cached_property
    def file_stem(self) -> str:
        """How the names of the files begin: project and version."""
        return f"{self.project.replace('-', '_')}-{self.version}"
