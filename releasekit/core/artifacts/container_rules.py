"""Rules about the container: how the archive is packed, and the paths and kinds of its members."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import partial
from itertools import chain, filterfalse
from typing import TYPE_CHECKING

from releasekit.core.artifacts.archive_facts import MemberKind
from releasekit.core.artifacts.problems import Problem, RuleSeverity, list_problem, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from releasekit.core.artifacts.archive_facts import Archive, ArchiveMember, BuiltArtifacts
    from releasekit.core.errors import ErrorCode


def fault_finder(code: ErrorCode) -> Callable[[BuiltArtifacts], Iterator[Problem]]:
    """Return the rule that yields the faults with *code* that the reader of the archives has met."""

    def find_faults(built: BuiltArtifacts) -> Iterator[Problem]:
        for archive in built.archives:
            texts = dict.fromkeys(fault.text for fault in archive.faults if fault.code is code)
            yield from (Problem(archive.name, text) for text in texts)

    return find_faults


def unsafe_paths(archive: Archive) -> Iterator[Problem]:
    """Find paths that lead out of the directory where the archive is unpacked, or that deceive their reader."""
    leading_out = [member.path for member in archive.members if _leads_out(member.path)]
    deceiving = [member.path for member in archive.members if has_hidden_characters(member.path)]
    yield from list_problem(archive.name, "paths that lead out of the archive", leading_out)
    yield from list_problem(archive.name, "paths with control or invisible characters", deceiving)


def _leads_out(path: str) -> bool:
    """Return whether *path* is absolute, goes up, or is not the shortest way to write it, on any system."""
    names = path.replace("\\", "/").removesuffix("/").split("/")
    has_drive = re.match("[A-Za-z]:", path) is not None
    has_odd_name = not {"", ".", ".."}.isdisjoint(names)
    return has_drive or has_odd_name or "\\" in path


def has_hidden_characters(text: str) -> bool:
    """Return whether *text* has control, format or undecodable characters, such as a right-to-left override."""
    is_hidden = _is_control if text.isascii() else _is_hidden
    return any(map(is_hidden, text))


def _is_control(character: str) -> bool:
    return character < " " or character == "\x7f"


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def mixed_alphabets(archive: Archive) -> Iterator[Problem]:
    """Find names with Latin letters and others that look like them, such as a Cyrillic o (Unicode report 39)."""
    foreign = filterfalse(str.isascii, archive.files)
    names = [path for path in foreign if any(map(_mixes_alphabets, _WORD.findall(path)))]
    yield from list_problem(archive.name, "names with letters of several alphabets", names)


def _mixes_alphabets(word: str) -> bool:
    alphabets = {unicodedata.name(letter, "").split(" ")[0] for letter in word}
    return "LATIN" in alphabets and not _ALPHABETS_LIKE_LATIN.isdisjoint(alphabets)


_WORD = re.compile(r"[^\W\d_]+")
_ALPHABETS_LIKE_LATIN = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})


def duplicate_members(archive: Archive) -> Iterator[Problem]:
    """Find paths that occur twice, and files that are directories, too: unpackers disagree which one counts."""
    counts = Counter(member.path.removesuffix("/") for member in archive.members)
    repeated = [path for path, count in counts.items() if count > 1]
    repeated_files = [
        path for path in repeated if path in archive.files or not _are_directories(archive, path)
    ]
    yield from list_problem(archive.name, "members that occur more than once", repeated_files)
    parents = set(chain.from_iterable(map(ancestors, counts)))
    clashes = sorted(parents.intersection(archive.files))
    solid = [path for path in clashes if archive.files[path].kind is MemberKind.FILE]
    yield from list_problem(archive.name, "files that are directories, too", solid)
    packages = [parent for parent in parents if f"{parent}/__init__.py" in archive.files]
    hidden = sorted(archive.files.keys() & map("{}.py".format, packages))
    message = "modules that a package of the same name hides"
    yield from list_problem(archive.name, message, hidden, RuleSeverity.WARNING)


def ancestors(path: str) -> list[str]:
    """Return the directories above *path*, the outermost first."""
    return [path[:end] for end, character in enumerate(path) if character == "/" and end]


def _are_directories(archive: Archive, path: str) -> bool:
    return all(
        member.kind is MemberKind.DIRECTORY
        for member in archive.members
        if member.path.removesuffix("/") == path
    )


def member_kinds(archive: Archive) -> Iterator[Problem]:
    """Find members that are no files or directories. An sdist may have links that stay inside."""
    special = [member.path for member in archive.members if member.kind is MemberKind.SPECIAL]
    yield from list_problem(archive.name, "devices, pipes or other special members", special)
    links = [
        member
        for member in archive.members
        if member.kind in {MemberKind.SYMLINK, MemberKind.HARDLINK}
    ]
    if archive.is_wheel:
        yield from list_problem(
            archive.name, "links, which installers do not create", [link.path for link in links]
        )
    else:
        yield from _link_problems(archive, links)


def _link_problems(archive: Archive, links: Iterable[ArchiveMember]) -> Iterator[Problem]:
    paths = {member.path.removesuffix("/") for member in archive.members}
    directories = set(chain.from_iterable(map(ancestors, paths)))
    targets = {link.path: _link_target(link) for link in links}
    leading_out = [
        f"{path} -> {archive.files[path].target}" for path, target in targets.items() if not target
    ]
    inside = {path: target for path, target in targets.items() if target}
    left_top = [path for path, target in inside.items() if target.split("/")[0] != archive.top]
    missing = {
        path
        for path, target in inside.items()
        if target not in paths | directories or _is_loop(path, inside)
    }
    hard = sorted(path for path in missing if archive.files[path].kind is MemberKind.HARDLINK)
    dangling = sorted(missing.difference(hard))
    below_link = [path for path in paths if any(parent in targets for parent in ancestors(path))]
    yield from list_problem(archive.name, "links that lead out", [*leading_out, *left_top])
    yield from list_problem(archive.name, "members below a link", sorted(below_link))
    yield from list_problem(archive.name, "hard links to members that do not exist", hard)
    yield from list_problem(
        archive.name, "links to members that do not exist", dangling, RuleSeverity.WARNING
    )


def _is_loop(path: str, targets: Mapping[str, str]) -> bool:
    """Return whether the links *targets* lead from *path* back to a link that was passed."""
    passed: set[str] = set()
    while path in targets and path not in passed:
        passed.add(path)
        path = targets[path]
    return path in passed


def _link_target(link: ArchiveMember) -> str:
    """Return the path in the archive that *link* leads to; empty if it leads out."""
    target = link.target
    is_relative = (
        not target.startswith("/") and "\\" not in target and not re.match("[A-Za-z]:", target)
    )
    if not is_relative:
        return ""
    # A hard link counts from the top of the archive, a symbolic link from its own directory.
    names = [] if link.kind is MemberKind.HARDLINK else link.parts[:-1]
    for name in target.split("/"):
        if name == "..":
            if not names:
                return ""
            names.pop()
        elif name not in {"", "."}:
            names.append(name)
    return "/".join(names)


def unportable_paths(archive: Archive) -> Iterator[Problem]:
    """Find paths that some systems do not have, or that are one path where case does not count."""
    paths = [member.path.removesuffix("/") for member in archive.members]
    yield from list_problem(
        archive.name, "paths that Windows does not have", list(filter(_is_unportable, paths))
    )
    yield from list_problem(
        archive.name, "paths that are too long for some systems", list(filter(_is_long, paths))
    )
    yield from list_problem(
        archive.name, "paths that differ only in case or accents", _collisions(paths)
    )
    decomposed = list(filterfalse(partial(unicodedata.is_normalized, "NFC"), paths))
    message = "paths with accents as characters of their own, which some systems join"
    yield from list_problem(archive.name, message, decomposed)


def _collisions(paths: Iterable[str]) -> list[str]:
    """Return the paths that are equal to another one where neither case nor the form of accents counts."""
    by_key: dict[str, set[str]] = {}
    for path in paths:
        for ancestor in (path, *ancestors(path)):
            by_key.setdefault(_file_system_key(ancestor), set()).add(ancestor)
    groups = (sorted(group) for group in by_key.values() if len(group) > 1)
    return [" and ".join(map(printable, group)) for group in groups]


def _file_system_key(path: str) -> str:
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFKC", path).casefold()


_RESERVED_ON_WINDOWS = re.compile(
    r'(?i)[<>:"|?*]|^(con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$)(\..*)?$|[. ]$'
)
_MAX_NAME, _MAX_PATH = 255, 240


def _is_unportable(path: str) -> bool:
    return any(map(_RESERVED_ON_WINDOWS.search, path.split("/")))


def _is_long(path: str) -> bool:
    names = path.split("/")
    return len(path) > _MAX_PATH or any(
        len(name.encode("utf-8", "replace")) > _MAX_NAME for name in names
    )


_SPECIAL_BITS = 0o7000


def special_modes(archive: Archive) -> Iterator[Problem]:
    """Find files with setuid, setgid or sticky bits."""
    names = [path for path, member in archive.files.items() if member.mode & _SPECIAL_BITS]
    yield from list_problem(archive.name, "files with setuid, setgid or sticky bits", names)


def sdist_tops(built: BuiltArtifacts) -> Iterator[Problem]:
    """Find sdists with other members at the top than the one directory that is named as the file."""
    for sdist in built.sdists:
        tops = {member.parts[0] for member in sdist.members}
        others = sorted(tops - {sdist.top})
        yield from list_problem(
            sdist.name, f"everything must be in {sdist.top}/, and these are not", others
        )
