"""Changelogs in the format of Keep a Changelog: the section of a version, and its position in the file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version
from pydantic import BaseModel, ConfigDict

from releasekit.core.config.bump_rules import Bump
from releasekit.core.history.commits import CONTROLS, Change
from releasekit.core.history.reverts import drop_reverted
from releasekit.core.version_numbers import parse_version
from releasekit.core.workspace.toml_edits import line_end

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterator, Mapping, Sequence

    from releasekit.core.config.settings import Settings
    from releasekit.core.history.tags import TagScheme
    from releasekit.core.history.web_links import RepositoryUrls

# Other types are hidden, unless they trigger a release or the configuration names them.
HEADINGS = {"feat": "Features", "fix": "Bug Fixes", "perf": "Performance", "revert": "Reverts"}
BREAKING = "Breaking Changes"
TITLE = "# Changelog\n\n"


class Section(BaseModel):
    """A new section of a changelog, as stored in the plan. *text* is Markdown, from its heading to its last line.

    *link* is the URL of the heading's link reference; *replaces* are the versions whose sections it replaces.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    link: str = ""
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """The changes under one heading, newest first."""

    heading: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class ChangelogEntry:
    """The content of the section of one version. *date* is "YYYY-MM-DD", *remark* a sentence above the changes."""

    version: Version
    date: str
    remark: str = ""
    parts: tuple[Part, ...] = ()
    contributors: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """All changes in the section."""
        return tuple(change for part in self.parts for change in part.changes)


@dataclass(frozen=True, slots=True)
class PreviousRelease:
    """The release to compare with: the previous *version*, its *tag*, and the *prereleases* since then.

    *version* is None for a first release, and for the first stable release if all earlier ones are prereleases.
    """

    version: Version | None = None
    tag: str = ""
    prereleases: tuple[Version, ...] = ()


# ---- which changes are listed ---------------------------------------------------------------------------------------


def changelog_entry(
    version: Version,
    date: str,
    changes: Sequence[Change],
    since: PreviousRelease,
    settings: Settings,
    unreleased: Container[str] = frozenset(),
) -> ChangelogEntry:
    """Return the changelog entry of *version*, from the *changes* since the previous release, newest first.

    The entry of a first release lists no changes, because its list would be the whole history. *unreleased* is the
    argument of `drop_reverted`.
    """
    if not since.version and not since.prereleases:
        return ChangelogEntry(version, date, "First release.")
    effective = drop_reverted(changes, unreleased=unreleased).effective
    parts = parts_of(effective, settings)
    remark = ""
    if not since.version:
        remark = "First stable release."
    elif not parts:
        remark = f"No notable changes since {since.version}."
    return ChangelogEntry(version, date, remark, parts)


def parts_of(changes: Sequence[Change], settings: Settings) -> tuple[Part, ...]:
    """Return *changes* under their headings, breaking ones first, without hidden and excluded ones.

    A breaking change is never hidden.
    """
    headings = headings_of(settings)
    breaking = headings.pop("breaking", "") or BREAKING
    excluded = [re.compile(pattern) for pattern in settings.changelog_exclude]
    by_heading: dict[str, list[Change]] = {heading: [] for heading in (breaking, *headings.values())}
    for change in changes:
        if change.breaking:
            by_heading[breaking].append(change)
            continue
        if _is_internal(change) or any(pattern.search(change.title) for pattern in excluded):
            continue
        other = headings.get("other", "")
        heading = headings.get(change.type, other)
        by_heading.setdefault(heading, []).append(change)
    by_heading.pop("", None)  # the hidden ones
    return tuple(Part(heading, tuple(listed)) for heading, listed in by_heading.items() if listed)


def headings_of(settings: Settings) -> dict[str, str]:
    """Return the heading of each type, in the order of the sections; "" hides a type."""
    headings = dict(HEADINGS)
    for name, bump in settings.bumps().items():
        if bump is not Bump.NONE:
            headings.setdefault(name, name.capitalize())
    for name, heading in settings.changelog_sections.items():
        headings[name.lower()] = heading.strip()
    return headings


def _is_internal(change: Change) -> bool:
    """Return whether *change* means nothing to readers: a release commit, or a fixup of another commit."""
    is_release_commit = (change.type, change.scope) == ("chore", "release")
    return is_release_commit or change.fixup or change.type == "release-as"


_CO_AUTHOR = re.compile(r"^co-authored-by:[ \t]*\"?([^<\n]+?)\"?[ \t]*(?:<.*)?$", re.IGNORECASE | re.MULTILINE)


def contributors_of(changes: Sequence[Change], authors: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the authors and co-authors of *changes*, without bots; *authors* are by sha."""
    names: set[str] = set()
    for change in changes:
        names.add(authors.get(change.sha, ""))
        names.update(_CO_AUTHOR.findall(change.commit.message))
    names.discard("")
    people = {name for name in names if not name.endswith("[bot]")}
    return tuple(sorted(people, key=str.casefold))


# ---- prereleases ----------------------------------------------------------------------------------------------------


def prereleases_between(
    tags: Collection[str], scheme: TagScheme, name: str, after: Version | None, before: Version
) -> tuple[Version, ...]:
    """Return the tagged prereleases of the package *name* between two versions, in order; *after* None: no limit."""
    versions: set[Version] = set()
    for tag in tags:
        reading = scheme.read(tag)
        if reading is None:
            continue
        owner, version = reading
        if owner in (name, "") and version.is_prerelease:
            versions.add(version)
    if after is not None:
        versions = {version for version in versions if version > after}
    return tuple(sorted(version for version in versions if version < before))


# ---- Markdown -------------------------------------------------------------------------------------------------------


def render_section(entry: ChangelogEntry, urls: RepositoryUrls, tag: str, since: PreviousRelease) -> Section:
    """Return *entry* as Markdown; its heading is a link if *urls* has a base and *tag* is not empty.

    The section replaces the sections of the prereleases in *since*.
    """
    link = urls.tag(tag, since.tag) if tag else ""
    version = f"[{entry.version}]" if link else str(entry.version)
    blocks = [f"## {version} - {entry.date}"]
    if entry.remark:
        blocks.append(entry.remark)
    for part in entry.parts:
        items = [_render_item(change, urls) for change in part.changes]
        blocks.append(f"### {escape(part.heading)}")
        blocks.append("".join(items).rstrip("\n"))
    if entry.contributors:
        contributors = [f"- {_at_start(escape(name))}" for name in entry.contributors]
        blocks.append("### Contributors")
        blocks.append("\n".join(contributors))
    text = "\n\n".join(blocks) + "\n"
    return Section(text=text, link=link, replaces=tuple(map(str, since.prereleases)))


def _render_item(change: Change, urls: RepositoryUrls) -> str:
    text = escape(_MARKER.sub("", change.description), urls)
    prefix = f"**{escape(change.scope)}:** " if change.scope else ""
    title = prefix + text if prefix else _at_start(text)
    url = urls.commit(change.sha)
    sha = f"[{change.short_sha}]({url})" if url else change.short_sha
    item = f"- {title} ({sha})\n"
    notes = render_change_notes(change.notes, text, urls)
    if not notes:
        return item
    return item + "".join(f"\n{note}\n" for note in notes) + "\n"


def render_change_notes(notes: Sequence[str], text: str, urls: RepositoryUrls) -> list[str]:
    """Return the rendered footers *notes* of a change, without those that only repeat its *text*."""
    repeated = ("", text)
    rendered = [_render_note(note, urls) for note in notes]
    return [note for note in rendered if note.strip() not in repeated]


_MARKER = re.compile(r"BREAKING[ -]CHANGE:[ \t]*(?=\S)")
_ESCAPABLE = re.compile(
    r"(?P<code>(?P<ticks>`+)(?!`)(?:(?!-->)[^`\n]|`(?!(?P=ticks)))+?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<url>https?://[^\s<>()\[\]`|\\]+)"
    r"|(?P<reference>(?<![\w&/])(?P<mark>[#!])(?P<number>\d+)\b)"
    r"|(?P<special>[\\`*<\[\]|~]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|(?<=--)>)"
)
_AT_START = re.compile(r"[-+=>]|#{1,6}(?:\s|$)|\d{1,9}(?=[.)](?:\s|$))")


def escape(text: str, urls: RepositoryUrls | None = None) -> str:
    """Return *text* as one line of Markdown that displays it literally, except code spans and URLs, which stay.

    References to issues and pull requests become links if *urls* has URLs for them.
    """
    line = " ".join(CONTROLS.sub("", text).split())

    def escape_match(match: re.Match[str]) -> str:
        if match["special"]:
            return f"\\{match[0]}"
        if match["reference"] and urls:
            url = urls.reference(match["mark"], match["number"])
            return f"[{match[0]}]({url})" if url else match[0]
        return match[0]

    return _ESCAPABLE.sub(escape_match, line)


def _at_start(text: str) -> str:
    """Return *text* escaped so that it starts no list, heading or quotation at the start of a line."""
    match = _AT_START.match(text)
    if not match:
        return text
    end = match.end() if match[0].isdigit() else 0
    return f"{text[:end]}\\{text[end:]}"


_FENCE = re.compile(r"[ \t]{0,3}(?P<fence>`{3,}|~{3,})(?P<info>.*)")
_BULLET = re.compile(r"([-+*]|\d{1,9}[.)])[ \t]+(?=\S)")


def _render_note(note: str, urls: RepositoryUrls) -> str:
    """Return the text of a footer for the place below a list item, with its paragraphs, lists and code.

    Fenced code becomes indented code, so that no text of a commit can open or close a fence in the file.
    """
    lines = note.split("\n")
    out: list[str] = []
    index = inner = 0  # *inner* is the indentation of the open list; code below it belongs to its item
    while index < len(lines):
        end = _end_of_fence(lines, index)
        if end is not None:
            code = [_render_code_line(line, 6 + inner) for line in lines[index + 1 : end]]
            out += ["", *code, ""]
            index = end + 1
            continue
        line = lines[index].strip()
        after_blank = not out or not out[-1]
        if bullet := _BULLET.match(line):
            inner = len(bullet[1]) + 1
        elif line and after_blank:
            inner = 0  # a new paragraph ends the list
        out.append(f"  {_render_note_line(line, urls)}".rstrip())
        index += 1
    text = "\n".join(out)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def _render_code_line(line: str, indentation: int) -> str:
    code = CONTROLS.sub("", line).replace("-->", "-- >").rstrip()
    return " " * indentation + code if code else ""


def _render_note_line(line: str, urls: RepositoryUrls) -> str:
    bullet = _BULLET.match(line)
    if bullet is None:
        return _at_start(escape(line, urls))
    item = line[bullet.end() :]
    return f"{bullet[1]} {_at_start(escape(item, urls))}"


def _end_of_fence(lines: Sequence[str], start: int) -> int | None:
    """Return the index of the line that closes the fence opened at *start*; None if there is no closed fence."""
    opening = _FENCE.fullmatch(lines[start].rstrip("\r\n"))
    if opening is None:
        return None
    fence = opening["fence"]
    character = fence[0]
    if character == "`" and "`" in opening["info"]:
        return None
    closing = re.compile(rf"[ \t]{{0,3}}{character}{{{len(fence)},}}[ \t\r\n]*")
    for index in range(start + 1, len(lines)):
        if closing.fullmatch(lines[index]):
            return index
    return None


# ---- the file -------------------------------------------------------------------------------------------------------

_LEVEL = 2  # of the heading of a version, unless the file uses another
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_HEADING = re.compile(r"(#{1,3})[ \t]+(.+)")
_UNDERLINE = re.compile(r"=+|-+")
_REFERENCE = re.compile(r" {0,3}\[([^\]]+)\]:[ \t]*\S.*")
_WORDS = re.compile(r"""[\s\[\](){},:*`"']+""")
_ANCHOR = re.compile(r"[ ]{0,3}<a\s(?:[^>]*/>|[^>]*>\s*</a>)\s*")
_VERSION_WORD = re.compile(r"(?:\D.*[-@/=])?v?(\d[\w.!+]*)")


@dataclass(frozen=True, slots=True)
class _Heading:
    """A heading on line *index*; *version* is None if it names none, such as `## [Unreleased]`."""

    index: int
    level: int
    text: str
    version: Version | None


def versions_in(text: str) -> tuple[Version, ...]:
    """Return the versions that have a heading in the changelog *text*, in the order of the file."""
    headings = _ParsedChangelog(text).headings
    return tuple(heading.version for heading in headings if heading.version is not None)


def insert_section(text: str, version: Version, section: Section) -> str:
    """Return the changelog *text* with the *section* of *version* inserted; every other byte stays the same.

    The section goes above older versions, with headings of their level, and below title, introduction and
    `## [Unreleased]`. If *version* has a heading already, *text* stays as it is. An empty *text* becomes a changelog
    with a title.
    """
    mark, text = ("\ufeff", text[1:]) if text.startswith("\ufeff") else ("", text)
    if version in versions_in(text):
        return mark + text
    ends = line_end(text)
    text = _without_sections(text, frozenset(map(Version, section.replaces)))
    text = _with_section(text if text.strip() else TITLE, version, section.text, ends)
    if section.link:
        text = _with_reference(text, version, section.link, ends)
    return mark + text


def _without_sections(text: str, versions: Container[Version]) -> str:
    page = _ParsedChangelog(text)
    remaining: list[str] = []
    begin = 0
    for number, heading in enumerate(page.headings):
        if heading.version is None or heading.version not in versions:
            continue
        remaining += page.lines[begin : page.block_start(heading.index)]
        begin = max(begin, page.section_end(number))
    remaining += page.lines[begin:]
    return "".join(remaining)


def _with_section(text: str, version: Version, section: str, ends: str) -> str:
    page = _ParsedChangelog(text)
    index, level = page.insertion_point(version)
    section = re.sub("^##", "#" * level, section, flags=re.MULTILINE)
    before = "".join(page.lines[:index])
    after = "".join(page.lines[index:])
    if before and not before.endswith("\n"):
        before += ends
    if index and page.lines[index - 1].strip():
        before += ends
    inserted = section.replace("\n", ends)
    if after:
        inserted += ends
    return before + inserted + after


def _with_reference(text: str, version: Version, link: str, ends: str) -> str:
    """Return *text* with the link reference of the heading, above the references of older versions."""
    if text and not text.endswith("\n"):
        text += ends
    page = _ParsedChangelog(text)
    line = f"[{version}]: {link}{ends}"
    labels: dict[int, str] = {}
    for index in range(page.references, len(page.lines)):
        if reference := _REFERENCE.match(page.lines[index]):
            labels[index] = reference[1]
    if not labels:
        return f"{text}{ends}{line}"
    if str(version) in {label.lower() for label in labels.values()}:
        return text
    older = (index for index, label in labels.items() if _is_older(label, version))
    position = next(older, max(labels) + 1)
    return "".join([*page.lines[:position], line, *page.lines[position:]])


def _is_older(label: str, version: Version) -> bool:
    labelled = _parse_version_word(label)
    return labelled is not None and labelled < version


class _ParsedChangelog:
    """A changelog as lines, with its headings, and the line where the link references at its end start."""

    def __init__(self, text: str) -> None:
        self.lines = _LINE.findall(text)
        plain = [line.rstrip("\r\n") for line in self.lines]
        visible = _visible_lines(plain)
        self.references = _references(plain, visible)
        self.headings = list(_headings(plain, visible))

    def insertion_point(self, version: Version) -> tuple[int, int]:
        """Return the index of the line above which to insert the section of *version*, and its heading level."""
        level = _LEVEL
        has_versions = False
        for heading in self.headings:
            if heading.version is None:
                continue
            has_versions = True
            level = heading.level
            if heading.version < version:
                return self.block_start(heading.index), level
        if has_versions:
            return self.references, level
        # Some changelogs name sections by a date or a month, not by versions.
        for heading in self.headings:
            is_unreleased = "unreleased" in heading.text.lower()
            if heading.level == _LEVEL and not is_unreleased:
                return self.block_start(heading.index), _LEVEL
        return self.references, _LEVEL

    def section_end(self, number: int) -> int:
        """Return the index of the line after the section of the heading *number*: where the next section starts."""
        level = self.headings[number].level
        for heading in self.headings[number + 1 :]:
            if heading.level <= level:
                return min(self.block_start(heading.index), self.references)
        return self.references

    def block_start(self, index: int) -> int:
        """Return the index of the first line that belongs to the heading at *index*: anchors may be above it."""
        first = index
        for above in range(index - 1, -1, -1):
            line = self.lines[above]
            if _ANCHOR.fullmatch(line):
                first = above
            elif line.strip():
                break
        return first


def _visible_lines(lines: Sequence[str]) -> list[bool]:
    """Return for each line whether it counts as Markdown: lines in code fences and comments do not.

    Only closed fences and comments count, so that an open one does not hide the rest of the file.
    """
    visible = [True] * len(lines)
    index = 0
    while index < len(lines):
        end = _end_of_fence(lines, index) or _end_of_comment(lines, index)
        if end is not None:
            visible[index : end + 1] = [False] * (end + 1 - index)
            index = end
        index += 1
    return visible


def _end_of_comment(lines: Sequence[str], start: int) -> int | None:
    if not re.match(r" {0,3}<!--", lines[start]):
        return None
    for index in range(start, len(lines)):
        if "-->" in lines[index]:
            return index
    return None


def _references(lines: Sequence[str], visible: Sequence[bool]) -> int:
    """Return the index of the line that starts the link references at the end; the number of lines if none does."""
    begin = len(lines)
    for index in range(len(lines) - 1, -1, -1):
        if not visible[index]:
            break
        if _REFERENCE.fullmatch(lines[index]):
            begin = index
        elif lines[index].strip():
            break
    return begin


def _headings(lines: Sequence[str], visible: Sequence[bool]) -> Iterator[_Heading]:
    below = [*lines[1:], ""]
    below_visible = [*visible[1:], False]
    for index, line in enumerate(lines):
        if not visible[index] or not line.strip():
            continue
        if match := _HEADING.match(line):
            marks, title = match.groups()
            yield _Heading(index, len(marks), title, _version_in(title))
        elif below_visible[index] and _UNDERLINE.fullmatch(below[index].rstrip()):
            # Only for versions, because `---` also ends front matter and the head of a table.
            version = _version_in(line)
            level = 1 if below[index].startswith("=") else 2
            if version is not None:
                yield _Heading(index, level, line, version)


def _version_in(heading: str) -> Version | None:
    """Return the version that a heading starts with, as in `[1.2.0] - 2026-11-22`, `v1.2.0` and `Version 1.2.0`."""
    words = [word for word in _WORDS.split(heading) if word]
    if words and words[0].lower() in ("version", "release"):
        words = words[1:]
    return _parse_version_word(words[0]) if words else None


def _parse_version_word(word: str) -> Version | None:
    match = _VERSION_WORD.fullmatch(word)
    return parse_version(match[1]) if match else None
