"""Change files: which packages change, by which bump, and the text for the changelog. They are read and edited as text.

Our own files and those of changesets are Markdown with a few plain lines on top. Those of semversioner and of
smithy are JSON, and their place says which packages they are for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping  # noqa: TC003  pydantic reads the types of the fields
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from packaging.utils import canonicalize_name

from releasekit.core.config.bump_rules import Bump
from releasekit.core.errors import ErrorCode, Refusal, did_you_mean
from releasekit.core.history.commits import CONTROLS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_BULLET = re.compile(r"^[-+*][ \t]+")

CHANGES_DIRECTORY = ".changes"
"""Where `releasekit change add` writes, below the root of the workspace."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """What a change file says about one package.

    *path* is the file, relative to the workspace. *text* is Markdown. *heading* is the heading in the changelog that
    the file chooses; empty for the one of its bump.
    """

    path: str
    bump: Bump
    text: str
    heading: str = ""

    @property
    def title(self) -> str:
        """The first line of the text, without the mark of a list."""
        return _BULLET.sub("", self.text.partition("\n")[0])


@dataclass(frozen=True, slots=True)
class ChangeFile:
    """A change file. *bumps* are by package, in the order of the file.

    *foreign_names* are names of packages outside the workspace. *names_packages*: whether the text of the file names
    them, so that one can be removed.
    """

    path: str
    bumps: Mapping[str, Bump]
    text: str
    heading: str = ""
    foreign_names: tuple[str, ...] = ()
    names_packages: bool = True

    def change_of(self, name: str) -> FileChange:
        """Return what the file says about the package *name*."""
        return FileChange(
            path=self.path,
            bump=self.bumps[name],
            text=self.text,
            heading=self.heading,
        )


@dataclass(frozen=True, slots=True)
class ChangeDirectory:
    """A directory with change files, relative to the workspace. *suffix* is the end of their names.

    *packages* are those that its files are for; None if each file names them. *is_shared*: other tools and other
    languages use it too, so a name that is no member is not a mistake.
    """

    path: str
    suffix: str
    packages: tuple[str, ...] | None = None
    is_shared: bool = False

    def contains(self, path: str) -> bool:
        """Return whether *path*, relative to the workspace, is a change file of this directory."""
        directory, _, name = path.rpartition("/")
        if directory != self.path or not name.endswith(self.suffix):
            return False
        return not _is_for_people(name)

    def has_misnamed(self, path: str) -> bool:
        """Return whether *path* was probably written as a change file of this directory, and is read by nobody."""
        directory, _, name = path.rpartition("/")
        is_ours = directory == self.path == CHANGES_DIRECTORY
        return is_ours and not (self.contains(path) or _is_for_people(name))


def _is_for_people(name: str) -> bool:
    return name.startswith(".") or name.lower() == "readme.md"


def change_directories(members: Mapping[str, str]) -> tuple[ChangeDirectory, ...]:
    """Return the directories that can have change files; *members* maps the path of each published member to its name.

    The last ones are those of members. A `next-release` at the root is that of the package there; without a package
    there, it is for the whole workspace.
    """
    everyone = tuple(sorted(members.values()))
    directories = [
        ChangeDirectory(CHANGES_DIRECTORY, ".md"),
        ChangeDirectory(".changeset", ".md", is_shared=True),
        ChangeDirectory(".semversioner/next-release", ".json", everyone),
    ]
    by_path: dict[str, tuple[str, ...]] = {".": everyone}
    by_path |= {path: (name,) for path, name in members.items()}
    for path, packages in sorted(by_path.items()):
        directory = f"{path}/{CHANGES_DIRECTORY}/next-release".removeprefix("./")
        directories.append(ChangeDirectory(directory, ".json", packages))
    return tuple(directories)


# ---- read -----------------------------------------------------------------------------------------------------------


def parse_change_file(
    directory: ChangeDirectory, path: str, text: str, members: Collection[str]
) -> ChangeFile:
    """Return the change file *path* with this *text*. *members* are the names of all members.

    Raises Refusal RK-CHANGE-INVALID, with file and line.
    """
    if directory.packages is not None:
        return _parse_json(path, text, directory.packages)
    named_bumps, body = _parse_markdown(path, text)
    bumps: dict[str, Bump] = {}
    foreign_names: list[str] = []
    for line in named_bumps:
        name = canonicalize_name(line.name)
        if name in bumps:
            raise _invalid(f"{path}:{line.number}", f"{line.name} is named twice")
        if name in members:
            bumps[name] = line.bump
        elif directory.is_shared:
            foreign_names.append(line.name)
        else:
            suggestion = did_you_mean(line.name, members)
            message = f"no member of the workspace is named {line.name}{suggestion}"
            raise _invalid(f"{path}:{line.number}", message)
    heading, text_below = _split_heading(body)
    return ChangeFile(
        path=path,
        bumps=bumps,
        text=text_below,
        heading=heading,
        foreign_names=tuple(foreign_names),
    )


def packages_in(directory: ChangeDirectory, path: str, text: str) -> frozenset[str]:
    """Return the packages that an earlier *text* of a change file names; none if it cannot be read."""
    if directory.packages is not None:
        return frozenset(directory.packages)
    try:
        named_bumps, _ = _parse_markdown(path, text)
    except Refusal:
        return frozenset()
    return frozenset(canonicalize_name(line.name) for line in named_bumps)


@dataclass(frozen=True, slots=True)
class _BumpLine:
    """A line `name: bump`; *number* counts from 1."""

    number: int
    name: str
    bump: Bump


_FENCE = "---"
_BUMP_LINE = re.compile(r"""(["']?)([^"'\s:#]+)\1:[ \t]+(["']?)([A-Za-z]+)\3[ \t]*(?:#.*)?""")
_HEADING = re.compile(r"#{1,6}[ \t]+(\S.*?)(?:[ \t]+#+)?")
_BUMP_NAMES = tuple(bump.label for bump in Bump)


def _parse_markdown(path: str, text: str) -> tuple[list[_BumpLine], str]:
    """Return the lines `name: bump` of a change file, and the Markdown below them."""
    lines = text.removeprefix("\ufeff").splitlines()
    start, end = _front_matter(path, lines)
    named_bumps = [
        _parse_bump_line(path, number, line)
        for number, line in enumerate(lines[start + 1 : end], start=start + 2)
        if line.strip() and not line.startswith("#")
    ]
    return named_bumps, _clean_text(lines[end + 1 :])


def _front_matter(path: str, lines: list[str]) -> tuple[int, int]:
    """Return the indexes of the two lines `---` around the packages."""
    filled = (index for index, line in enumerate(lines) if line.strip())
    start = next(filled, 0)
    if not lines or lines[start].rstrip() != _FENCE:
        raise _invalid(f"{path}:{start + 1}", "the first line must be `---`, above the packages")
    for index in range(start + 1, len(lines)):
        if lines[index].rstrip() == _FENCE:
            return start, index
    raise _invalid(f"{path}:{start + 1}", "no second line `---` ends the list of packages")


def _parse_bump_line(path: str, number: int, line: str) -> _BumpLine:
    location = f"{path}:{number}"
    match = _BUMP_LINE.fullmatch(line.rstrip())
    if match is None:
        raise _invalid(location, f"not a line of the form `name: bump`: {line.strip()}")
    name, bump = match[2], match[4]
    if bump not in _BUMP_NAMES:
        allowed = ", ".join(reversed(_BUMP_NAMES))
        suggestion = did_you_mean(bump, _BUMP_NAMES)
        raise _invalid(location, f"{bump} is not one of {allowed}{suggestion}")
    return _BumpLine(number, name, Bump[bump.upper()])


def _split_heading(body: str) -> tuple[str, str]:
    """Return the heading that *body* begins with, empty without one, and the text below it."""
    first, _, rest = body.partition("\n")
    match = _HEADING.fullmatch(first.strip())
    if match is None:
        return "", body
    return match[1], rest.strip("\n")


_JSON_TYPES = {
    "major": (Bump.MAJOR, ""),
    "minor": (Bump.MINOR, ""),
    "patch": (Bump.PATCH, ""),
    "breaking": (Bump.MAJOR, ""),
    "feature": (Bump.MINOR, ""),
    "enhancement": (Bump.PATCH, "Enhancements"),
    "bugfix": (Bump.PATCH, ""),
    "dependency": (Bump.PATCH, "Dependencies"),
    "documentation": (Bump.PATCH, "Documentation"),
}
"""The bump and the heading of each type: first those of semversioner, then those of smithy."""


def _parse_json(path: str, text: str, packages: tuple[str, ...]) -> ChangeFile:
    try:
        content: object = json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise _invalid(f"{path}:{error.lineno}", f"not valid JSON: {error.msg}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or lists in lists
        raise _invalid(path, "the JSON has a value that cannot be read") from None
    table = cast("dict[str, object]", content) if isinstance(content, dict) else {}
    kind, description = table.get("type"), table.get("description")
    if not isinstance(kind, str) or not isinstance(description, str):
        raise _invalid(path, "the file needs the texts `type` and `description`")
    if kind not in _JSON_TYPES:
        allowed = ", ".join(_JSON_TYPES)
        suggestion = did_you_mean(kind, _JSON_TYPES)
        raise _invalid(path, f"the type {kind} is not one of {allowed}{suggestion}")
    bump, heading = _JSON_TYPES[kind]
    return ChangeFile(
        path=path,
        bumps=dict.fromkeys(packages, bump),
        text=_clean_text(description.strip().splitlines()),
        heading=heading,
        names_packages=False,
    )


def _clean_text(lines: Iterable[str]) -> str:
    """Return *lines* without control characters, and without blank lines around them."""
    cleaned = [CONTROLS.sub("", line).rstrip() for line in lines]
    return "\n".join(cleaned).strip("\n")


def _invalid(location: str, message: str) -> Refusal:
    return Refusal(ErrorCode.CHANGE_INVALID, message, location)


# ---- write ----------------------------------------------------------------------------------------------------------


def render_change_file(bumps: Mapping[str, Bump], text: str) -> str:
    """Return the text of a change file of our own."""
    lines = [f"{name}: {bump.label}" for name, bump in bumps.items()]
    body = text.strip("\n").rstrip()
    return "\n".join([_FENCE, *lines, _FENCE, "", body]).rstrip("\n") + "\n"


def remove_packages(text: str, names: Collection[str]) -> str:
    """Return the *text* of a change file without the lines of the packages *names*; all other bytes stay."""
    return "".join(_other_lines(text.splitlines(keepends=True), names))


def _other_lines(lines: Iterable[str], names: Collection[str]) -> Iterator[str]:
    fences = 0
    for line in lines:
        fences += line.removeprefix("\ufeff").rstrip() == _FENCE
        match = _BUMP_LINE.fullmatch(line.rstrip()) if fences == 1 else None
        if match is None or canonicalize_name(match[2]) not in names:
            yield line
