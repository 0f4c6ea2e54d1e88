"""Rules about the format of wheels: WHEEL, the tags, and RECORD."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections import Counter
from contextlib import suppress
from itertools import product, starmap
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.tags import parse_tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from releasekit.core.artifacts.problems import Problem, RuleSeverity, list_problem, printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from packaging.tags import Tag

    from releasekit.core.artifacts.archive_facts import Archive, ArchiveMember, BuiltArtifacts


def required_members(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find archives without a file that the format asks for, or with several `.dist-info` directories."""
    for archive in filter(_is_readable, built.archives):
        if archive.is_wheel:
            yield from _wheel_member_problems(archive)
        else:
            yield from _sdist_member_problems(archive)


def _is_readable(archive: Archive) -> bool:
    return archive.is_readable


def _wheel_member_problems(wheel: Archive) -> Iterator[Problem]:
    if len(wheel.info_directories) != 1:
        listed = ", ".join(map(printable, wheel.info_directories)) or "none"
        yield Problem(wheel.name, f"it must have one .dist-info directory, and has {listed}")
    for name in ("METADATA", "WHEEL", "RECORD") if wheel.info else ():
        if f"{wheel.info}/{name}" not in wheel.files:
            yield Problem(wheel.name, f"{name} is missing")


def _sdist_member_problems(sdist: Archive) -> Iterator[Problem]:
    if sdist.metadata_path not in sdist.files:
        yield Problem(sdist.name, "PKG-INFO is missing")
    if {"pyproject.toml", "setup.py"}.isdisjoint(sdist.sources):
        yield Problem(sdist.name, "pyproject.toml is missing")


def undecodable_metadata(archive: Archive) -> Iterator[str]:
    """Yield the names of the metadata files of *archive* that are not UTF-8."""
    names = (
        ("METADATA", "WHEEL", "RECORD", "entry_points.txt") if archive.is_wheel else ("PKG-INFO",)
    )
    for name in names:
        try:
            archive.contents.get(f"{archive.info}/{name}", b"").decode("utf-8")
        except UnicodeDecodeError:
            yield name


def wheel_files(wheel: Archive) -> Iterator[Problem]:
    """Find WHEEL files that installers refuse, or that contradict the name of the wheel."""
    if f"{wheel.info}/WHEEL" in wheel.contents:
        yield from _wheel_file_problems(wheel)
    yield from _data_directory_problems(wheel)


def _wheel_file_problems(wheel: Archive) -> Iterator[Problem]:
    version = str(wheel.wheel_fields.get("Wheel-Version") or "")
    if not re.fullmatch(r"1\.\d+", version.strip()):
        yield Problem(
            wheel.name,
            f"Wheel-Version is {printable(version) or 'missing'}, and installers know 1.0",
        )
    purelib = str(wheel.wheel_fields.get("Root-Is-Purelib") or "").strip().lower()
    if purelib not in {"true", "false"}:
        yield Problem(
            wheel.name, f"Root-Is-Purelib is {printable(purelib) or 'missing'}, not true or false"
        )
    named, written = _named_tags(wheel), _written_tags(wheel)
    if named is not None and named != written:
        listed = ", ".join(sorted(map(str, written))) or "none"
        yield Problem(
            wheel.name, f"the tags in WHEEL differ from those in the file name: {printable(listed)}"
        )
    build = str(wheel.wheel_fields.get("Build") or "").strip()
    if named is not None and build != _named_build(wheel):
        message = (
            f"Build in WHEEL is {printable(build) or 'missing'}, and the file name has another"
        )
        yield Problem(wheel.name, message, RuleSeverity.WARNING)
    if named is not None and purelib == "false" and _is_for_any(named):
        message = "Root-Is-Purelib is false, but the wheel is for any platform"
        yield Problem(wheel.name, message, RuleSeverity.WARNING)


def _named_tags(wheel: Archive) -> frozenset[Tag] | None:
    """Return the tags in the name of *wheel*; None if the name is not valid, which another rule reports."""
    try:
        return parse_wheel_filename(wheel.name)[3]
    except InvalidWheelFilename:
        return None


def _named_build(wheel: Archive) -> str:
    return "".join(map(str, parse_wheel_filename(wheel.name)[2]))


def _written_tags(wheel: Archive) -> frozenset[Tag]:
    """Return the valid tags in the file WHEEL of *wheel*."""
    texts = [str(tag).strip() for tag in wheel.wheel_fields.get_all("Tag", [])]
    tags: set[Tag] = set()
    for text in texts:
        if text.count("-") == _DASHES_IN_TAG:
            with suppress(ValueError):  # packaging refuses a part that is no word, as in "py3.11"
                tags |= parse_tag(text)
    return frozenset(tags)


_DASHES_IN_TAG = 2


def _is_for_any(tags: Iterable[Tag]) -> bool:
    return all(tag.platform == "any" for tag in tags)


_SCHEMES = frozenset({"purelib", "platlib", "headers", "scripts", "data"})


def _data_directory_problems(wheel: Archive) -> Iterator[Problem]:
    expected = f"{wheel.info.removesuffix('.dist-info')}.data"
    data = [member.parts for member in wheel.files.values() if member.parts[0].endswith(".data")]
    foreign = sorted({top for top, *_ in data if top != expected})
    yield from list_problem(
        wheel.name, f"installers read only {expected}", foreign, RuleSeverity.WARNING
    )
    unknown = sorted(
        {parts[1] for parts in data if parts[0] == expected and parts[1] not in _SCHEMES}
    )
    yield from list_problem(
        wheel.name, f"{expected} has directories that no installer knows", unknown
    )


# macOS 15 is followed by 26. Of each version since 11, PyPI accepts the first one only, such as macosx_11_0.
_PLATFORMS = re.compile(
    r"""(?x) any | win32 | win_(amd64|arm64|ia64) | linux_armv[67]l | pyemscripten_\d+_\d+_wasm32
    | manylinux(1|2010)_(x86_64|i686) | manylinux2014_(x86_64|i686|aarch64|armv7l|ppc64|ppc64le|s390x)
    | manylinux_\d+_\d+_(x86_64|i686|aarch64|armv7l|ppc64|ppc64le|s390x|riscv64)
    | musllinux_\d+_\d+_(x86_64|i686|aarch64|armv7l|ppc64le|s390x|riscv64)
    | macosx_(10_\d+|(1[1-5]|2[6-9]|[3-9]\d)_0)_(ppc|ppc64|i386|x86_64|arm64|intel|fat|fat3|fat64|universal|universal2)
    | ios_\d+_\d+_(arm64|x86_64)_iphone(os|simulator) | android_\d+_(arm64_v8a|armeabi_v7a|x86|x86_64)
    """
)


def wheel_platforms(wheel: Archive) -> Iterator[Problem]:
    """Find platform tags that PyPI refuses, and tags that do not fit to the code in the wheel."""
    tags = _named_tags(wheel)
    if tags is not None:
        refused = sorted({tag.platform for tag in tags if not _PLATFORMS.fullmatch(tag.platform)})
        yield from list_problem(wheel.name, "platform tags that PyPI refuses", refused)
        if wheel.is_readable:
            yield from _platform_problems(wheel, is_for_any=_is_for_any(tags))
            yield from _machine_problems(wheel, tags)
            if not any(_is_allowed(tag, wheel) for tag in tags):
                message = "no Python that Requires-Python allows takes a wheel with these tags"
                yield Problem(wheel.name, message, RuleSeverity.WARNING)


def _is_allowed(tag: Tag, wheel: Archive) -> bool:
    """Return whether Requires-Python allows a version of Python that takes a wheel with *tag* (PEP 425)."""
    match = re.fullmatch(r"(py|cp)(\d)(\d*)", tag.interpreter)
    if not match or "requires-python" in wheel.metadata_errors:
        return True
    kind, major, minor = match.groups("0")
    is_exact = all((kind == "cp", tag.abi != "abi3", minor))
    first = int(minor or 0)
    minors = range(first, (first if is_exact else _LAST_MINOR) + 1)
    patches = product(minors, (0, _LAST_PATCH))
    versions = starmap((major + ".{}.{}").format, patches)
    return any(SpecifierSet(wheel.value("Requires-Python")).filter(versions))


_LAST_MINOR, _LAST_PATCH = 50, 99
"""More than any Python has, so that a bound such as `>=3.11.4` keeps 3.11."""


def _platform_problems(wheel: Archive, *, is_for_any: bool) -> Iterator[Problem]:
    extensions = [path for path in wheel.installed_paths.values() if _EXTENSION.search(path)]
    compiled = [path for path, member in wheel.files.items() if _is_compiled(member)]
    if is_for_any:
        yield from list_problem(
            wheel.name, "compiled modules in a wheel for any platform", extensions
        )
        others = sorted(set(compiled) - set(extensions))
        message = "compiled files in a wheel for any platform"
        yield from list_problem(wheel.name, message, others, RuleSeverity.WARNING)
    elif not compiled:
        message = "the wheel is for one platform, but has no compiled code"
        yield Problem(wheel.name, message, RuleSeverity.WARNING)


def _machine_problems(wheel: Archive, tags: Iterable[Tag]) -> Iterator[Problem]:
    """Find modules that no Python can load where the wheel is installed: an earlier build has left them."""
    platforms = {tag.platform for tag in tags}
    pythons = {tag.interpreter for tag in tags}
    machines = {tail for tail in _ELF_MACHINES if any(name.endswith(tail) for name in platforms)}
    is_known = bool(machines) and all(name.startswith(_LINUX) for name in platforms)
    extensions = [path for path in wheel.installed_paths.values() if _EXTENSION.search(path)]
    foreign = [
        path
        for path in extensions
        if is_known and not _fits_machine(wheel.files[path].head, machines)
    ]
    yield from list_problem(wheel.name, "modules that are compiled for another machine", foreign)
    others = [path for path in extensions if not _fits_python(path, pythons)]
    message = "modules that are compiled for another Python"
    yield from list_problem(wheel.name, message, others, RuleSeverity.WARNING)


_LINUX = ("manylinux", "musllinux", "linux")
_ELF_MACHINES = {
    "x86_64": 62, "i686": 3, "aarch64": 183, "armv7l": 40, "armv6l": 40, "ppc64": 21, "ppc64le": 21, "s390x": 22,
    "riscv64": 243, "loongarch64": 258,
}  # fmt: skip
"""The number of each machine in ELF files, by the end of the platform tag."""


def _fits_machine(head: bytes, machines: Iterable[str]) -> bool:
    if not head.startswith(b"\x7fELF") or len(head) < _ELF_HEADER:
        return not head.startswith((*_MAGIC[1:], b"MZ"))
    order = "big" if head[5] == _BIG_ENDIAN else "little"
    return int.from_bytes(head[18:20], order) in {_ELF_MACHINES[name] for name in machines}


_ELF_HEADER, _BIG_ENDIAN = 20, 2


def _fits_python(path: str, pythons: Collection[str]) -> bool:
    match = _CPYTHON.search(path)
    is_one_python = all(re.fullmatch(r"cp\d{2,3}", python) for python in pythons)
    return match is None or not is_one_python or f"cp{match[1]}" in pythons


_CPYTHON = re.compile(r"\.(?:cpython-|cp)(\d{2,3})[^/]*\.(?:so|pyd)$")
_EXTENSION = re.compile(r"\.(?:(?:cpython|pypy)[^/]*|abi3)\.so$|\.pyd$")
_COMPILED = re.compile(r"\.(?:so(?:\.\d+)*|pyd|dll|dylib|exe|a|lib|o|obj|wasm)$", re.IGNORECASE)
_MAGIC = (
    b"\x7fELF",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"\0asm",
)


def _is_compiled(member: ArchiveMember) -> bool:
    is_windows_program = member.head.startswith(b"MZ") and not member.path.endswith(
        (".py", ".txt", ".json")
    )
    return (
        member.head.startswith(_MAGIC)
        or is_windows_program
        or _COMPILED.search(member.path) is not None
    )


_STRONG_HASHES = ("sha256", "sha384", "sha512")


def records(wheel: Archive) -> Iterator[Problem]:
    """Find wheels whose RECORD does not list exactly the files of the wheel, with their sizes and strong hashes."""
    record = wheel.contents.get(f"{wheel.info}/RECORD")
    if record is not None and wheel.is_readable:
        yield from _record_problems(wheel, record)


def _record_problems(wheel: Archive, record: bytes) -> Iterator[Problem]:
    try:
        rows = [row for row in csv.reader(io.StringIO(record.decode("utf-8"), newline="")) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        yield Problem(wheel.name, f"RECORD cannot be read: {error}")
        return
    malformed = [",".join(row) for row in rows if len(row) != _RECORD_COLUMNS]
    yield from list_problem(wheel.name, "RECORD has lines without three columns", malformed)
    entries = {row[0]: row for row in rows if len(row) == _RECORD_COLUMNS}
    counts = Counter(row[0] for row in rows)
    yield from list_problem(
        wheel.name, "RECORD lists twice", [path for path, count in counts.items() if count > 1]
    )
    unlisted = [path for path in wheel.files if path not in counts and not _is_outside_record(path)]
    yield from list_problem(wheel.name, "not in RECORD", unlisted)
    yield from list_problem(
        wheel.name, "in RECORD, but not in the wheel", sorted(entries.keys() - wheel.files.keys())
    )
    own = {
        path: row
        for path, row in entries.items()
        if path in wheel.files and not _is_outside_record(path)
    }
    by_problem: dict[str, list[str]] = {}
    for path, row in own.items():
        by_problem.setdefault(_entry_problem(wheel.files[path], *row[1:]), []).append(path)
    by_problem.pop("", None)
    for problem, paths in by_problem.items():
        severity = RuleSeverity.WARNING if problem == _HEXADECIMAL else None
        yield from list_problem(wheel.name, f"RECORD has {problem}", paths, severity)


_RECORD_COLUMNS = 3
_HEXADECIMAL = "hexadecimal hashes, as uv_build writes them before 0.8.13"
"""Indexes accept them, and installers seldom compare hashes; PEP 427 wants base64."""


def _entry_problem(member: ArchiveMember, digest: str, size: str) -> str:
    """Return what is wrong with the *digest* and the *size* that RECORD has for *member*; empty if nothing is."""
    algorithm, _, value = digest.partition("=")
    if algorithm not in _STRONG_HASHES:
        return f"the weak hash {algorithm}" if algorithm else "no hash"
    expected = member.digests.get(algorithm, "")
    if value != expected:
        return _HEXADECIMAL if value == _as_hexadecimal(expected) else "another hash"
    return (
        "" if size == str(member.size) else f"the size {size or 'nothing'} instead of {member.size}"
    )


def _as_hexadecimal(digest: str) -> str:
    """Return a *digest* in urlsafe base64 without padding as hexadecimal digits."""
    return base64.urlsafe_b64decode(f"{digest}==").hex()


def _is_outside_record(path: str) -> bool:
    return path.endswith(_FILES_OUTSIDE_RECORD)


_FILES_OUTSIDE_RECORD = (".dist-info/RECORD", ".dist-info/RECORD.jws", ".dist-info/RECORD.p7s")
