"""Changelogs in the form of Keep a Changelog: what one version's section says, and where it goes in the file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version
from pydantic import BaseModel, ConfigDict

from releasekit.core.config.bump_rules import Bump
from releasekit.core.history.commits import CONTROLS, Change
from releasekit.core.history.reverts import standing
from releasekit.core.version_numbers import version_of
from releasekit.core.workspace.toml_edits import line_end

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterator, Mapping, Sequence

    from releasekit.core.config.settings import Settings
    from releasekit.core.history.tags import TagScheme
    from releasekit.core.history.web_links import Web

# Types that are not named here are hidden, unless they ask for a release or the configuration names them.
HEADINGS = {"feat": "Features", "fix": "Bug Fixes", "perf": "Performance", "revert": "Reverts"}
BREAKING = "Breaking Changes"
TITLE = "# Changelog\n\n"


class Section(BaseModel):
    """What a changelog gains, as it is kept in the plan. *text* is Markdown, from its heading to its last line.

    *link* is what the heading's reference leads to; *replaces* are the versions whose sections it takes the place of.
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
class Entry:
    """What there is to say about one version. *date* is "YYYY-MM-DD", *remark* a sentence that stands above all."""

    version: Version
    date: str
    remark: str = ""
    parts: tuple[Part, ...] = ()
    contributors: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """All changes that are shown."""
        return tuple(change for part in self.parts for change in part.changes)


@dataclass(frozen=True, slots=True)
class Since:
    """What a release is compared with: the *version* before, its *tag*, and the prereleases in between.

    *version* is None for a first release, and for the first stable one if all before it were prereleases.
    """

    version: Version | None = None
    tag: str = ""
    prereleases: tuple[Version, ...] = ()


# ---- which changes are told -----------------------------------------------------------------------------------------


def entry_of(
    version: Version,
    date: str,
    changes: Sequence[Change],
    since: Since,
    settings: Settings,
    unreleased: Container[str] = frozenset(),
) -> Entry:
    """Return what is told about *version*, of the *changes* since the one before, newest first.

    A first release has no list: its whole history would be one. *unreleased* is as `standing` has it.
    """
    if not since.version and not since.prereleases:
        return Entry(version, date, "First release.")
    parts = parts_of(standing(changes, unreleased=unreleased).counts, settings)
    before = since.version or min(since.prereleases)
    remark = "" if since.version else "First stable release."
    return Entry(version, date, remark or ("" if parts else f"No notable changes since {before}."), parts)


def parts_of(changes: Sequence[Change], settings: Settings) -> tuple[Part, ...]:
    """Sort *changes* under their headings, breaking ones first, and leave out what is hidden or excluded.

    Nothing hides a breaking change.
    """
    headings = headings_of(settings)
    breaking = headings.pop("breaking", "") or BREAKING
    excluded = [re.compile(pattern) for pattern in settings.changelog_exclude]
    found: dict[str, list[Change]] = {heading: [] for heading in (breaking, *headings.values()) if heading}
    for change in changes:
        heading = headings.get(change.type, headings.get("other", ""))
        if change.breaking:
            found[breaking].append(change)
        elif heading and not _is_ours(change) and not any(pattern.search(change.title) for pattern in excluded):
            found[heading].append(change)
    return tuple(Part(heading, tuple(those)) for heading, those in found.items() if those)


def headings_of(settings: Settings) -> dict[str, str]:
    """Return the heading of each type that is shown, in the order of the sections; "" hides a type."""
    asking = {name: name.capitalize() for name, bump in settings.bumps().items() if bump is not Bump.NONE}
    named = {name.lower(): heading.strip() for name, heading in settings.changelog_sections.items()}
    return {**HEADINGS, **{name: heading for name, heading in asking.items() if name not in HEADINGS}, **named}


def _is_ours(change: Change) -> bool:
    """Tell whether it says nothing to a reader: a release commit, or a fixup of another commit."""
    return change.fixup or change.type == "release-as" or (change.type, change.scope) == ("chore", "release")


_CO_AUTHOR = re.compile(r"^co-authored-by:[ \t]*\"?([^<\n]+?)\"?[ \t]*(?:<.*)?$", re.IGNORECASE | re.MULTILINE)


def contributors_of(changes: Sequence[Change], authors: Mapping[str, str]) -> tuple[str, ...]:
    """Return who made *changes*, by name; *authors* are by sha, co-authors stand in the messages. Bots are left out."""
    names = {authors[change.sha] for change in changes if change.sha in authors}
    names |= {name for change in changes for name in _CO_AUTHOR.findall(change.commit.message)}
    return tuple(sorted((name for name in names if name and not name.endswith("[bot]")), key=str.casefold))


# ---- prereleases ----------------------------------------------------------------------------------------------------


def prereleases_between(
    tags: Collection[str], scheme: TagScheme, name: str, after: Version | None, before: Version
) -> tuple[Version, ...]:
    """Return the tagged prereleases of the package *name* that lie between two versions, in their order."""
    read = (scheme.read(tag) for tag in tags)
    versions = {found[1] for found in read if found and found[0] in (name, "") and found[1].is_prerelease}
    return tuple(sorted(version for version in versions if version < before and (after is None or version > after)))


# ---- Markdown -------------------------------------------------------------------------------------------------------


def section_of(entry: Entry, web: Web, tag: str, since: Since) -> Section:
    """Return *entry* as Markdown; its heading is a link if *web* is known and there is a *tag*.

    It takes the place of the sections of the prereleases that *since* names.
    """
    link = web.tag(tag, since.tag) if tag else ""
    version = f"[{entry.version}]" if link else str(entry.version)
    blocks = [f"## {version} - {entry.date}"]
    blocks += [entry.remark] if entry.remark else []
    for part in entry.parts:
        items = [_item(change, web) for change in part.changes]
        blocks += [f"### {escape(part.heading)}", "".join(items).rstrip("\n")]
    if entry.contributors:
        blocks += ["### Contributors", "\n".join(f"- {_at_start(escape(name))}" for name in entry.contributors)]
    return Section(text="\n\n".join(blocks) + "\n", link=link, replaces=tuple(map(str, since.prereleases)))


def _item(change: Change, web: Web) -> str:
    scope = f"**{escape(change.scope)}:** " if change.scope else ""
    text = escape(_MARKER.sub("", change.description), web)
    page = web.commit(change.sha)
    sha = f"[{change.short_sha}]({page})" if page else change.short_sha
    more = "".join(f"\n{note}\n" for note in told_notes(change.notes, text, web))
    return f"- {scope}{text if scope else _at_start(text)} ({sha})\n{more}" + ("\n" if more else "")


def told_notes(notes: Sequence[str], text: str, web: Web) -> list[str]:
    """Return the footers *notes* of a change as they stand below it, but for those that only repeat its *text*."""
    return [told for note in notes if (told := _note(note, web)).strip() not in ("", text)]


_MARKER = re.compile(r"BREAKING[ -]CHANGE:[ \t]*(?=\S)")
_BACKSLASHED = re.compile(
    r"(?P<code>(?P<ticks>`+)(?!`)(?:(?!-->)[^`\n]|`(?!(?P=ticks)))+?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<url>https?://[^\s<>()\[\]`|\\]+)"
    r"|(?P<reference>(?<![\w&/])(?P<mark>[#!])(?P<number>\d+)\b)"
    r"|(?P<special>[\\`*<\[\]|~]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|(?<=--)>)"
)
_AT_START = re.compile(r"[-+=>]|#{1,6}(?:\s|$)|\d{1,9}(?=[.)](?:\s|$))")


def escape(text: str, web: Web | None = None) -> str:
    """Return *text* as one line of Markdown that shows it as it is; code spans and addresses stay as they are.

    References to issues and pull requests become links where *web* knows their pages.
    """
    line = " ".join(CONTROLS.sub("", text).split())

    def marked(found: re.Match[str]) -> str:
        if found["reference"]:
            page = web.reference(found["mark"], found["number"]) if web else ""
            return f"[{found[0]}]({page})" if page else found[0]
        return f"\\{found[0]}" if found["special"] else found[0]

    return _BACKSLASHED.sub(marked, line)


def _at_start(text: str) -> str:
    """Return *text* so that it begins no list, heading or quotation at the start of a line."""
    found = _AT_START.match(text)
    if not found:
        return text
    end = found.end() if found[0].isdigit() else 0
    return f"{text[:end]}\\{text[end:]}"


_FENCE = re.compile(r"[ \t]{0,3}(?P<fence>`{3,}|~{3,})(?P<info>.*)")
_BULLET = re.compile(r"([-+*]|\d{1,9}[.)])[ \t]+(?=\S)")


def _note(note: str, web: Web) -> str:
    """Return the text of a footer as it stands below the item of a list: paragraphs, lists and code are kept.

    Fenced code is indented instead, so that nothing of what a commit says can open or close a fence in the file.
    """
    lines = note.split("\n")
    out: list[str] = []
    place = inner = 0  # how far the text of the list that is open here is indented; code below it belongs to its item
    while place < len(lines):
        end = _end_of_fence(lines, place)
        if end is None:
            if bullet := _BULLET.match(lines[place].strip()):
                inner = len(bullet[1]) + 1
            elif lines[place].strip() and not (out and out[-1]):
                inner = 0  # a paragraph of its own
            out.append(f"  {_note_line(lines[place], web)}".rstrip())
        else:
            code = (CONTROLS.sub("", line).replace("-->", "-- >").rstrip() for line in lines[place + 1 : end])
            out += ["", *(f"{' ' * (6 + inner)}{line}" if line else "" for line in code), ""]
            place = end
        place += 1
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip("\n")


def _note_line(line: str, web: Web) -> str:
    bullet = _BULLET.match(line.strip())
    rest = line.strip()[bullet.end() if bullet else 0 :]
    return (f"{bullet[1]} " if bullet else "") + _at_start(escape(rest, web))


def _end_of_fence(lines: Sequence[str], start: int) -> int | None:
    """Return the line that closes the fence which *start* opens; None if it opens none, or nothing closes it."""
    opened = _FENCE.fullmatch(lines[start].rstrip("\r\n"))
    if not opened or (opened["fence"][0] == "`" and "`" in opened["info"]):
        return None
    closing = re.compile(rf"[ \t]{{0,3}}{opened['fence'][0]}{{{len(opened['fence'])},}}[ \t\r\n]*")
    return next((place for place in range(start + 1, len(lines)) if closing.fullmatch(lines[place])), None)


# ---- the file -------------------------------------------------------------------------------------------------------

_LEVEL = 2  # of a version's heading, where nobody has chosen another
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_HEADING = re.compile(r"(#{1,3})[ \t]+(.+)")
_UNDERLINE = re.compile(r"=+|-+")
_REFERENCE = re.compile(r" {0,3}\[([^\]]+)\]:[ \t]*\S.*")
_WORDS = re.compile(r"""[\s\[\](){},:*`"']+""")
_ANCHOR = re.compile(r"[ ]{0,3}<a\s(?:[^>]*/>|[^>]*>\s*</a>)\s*")
_SPOKEN = re.compile(r"(?:\D.*[-@/=])?v?(\d[\w.!+]*)")


@dataclass(frozen=True, slots=True)
class _Heading:
    """A heading on line *place*; *version* is None for one that names none, such as `## [Unreleased]`."""

    place: int
    level: int
    text: str
    version: Version | None


def versions_in(text: str) -> tuple[Version, ...]:
    """Return the versions that have a heading in the changelog *text*, in the order of the file."""
    return tuple(heading.version for heading in _Page(text).headings if heading.version is not None)


def insert(text: str, version: Version, section: Section) -> str:
    """Return the changelog *text* with the *section* of *version*, newest first; all else stays byte for byte.

    It goes above the versions before it, with headings of their level, below title, introduction and
    `## [Unreleased]`. A version that has a heading already is left alone. An empty *text* becomes a changelog with a
    title.
    """
    mark, text = ("\ufeff", text[1:]) if text.startswith("\ufeff") else ("", text)
    if version in versions_in(text):
        return mark + text
    ends = line_end(text)
    text = _without(text, frozenset(map(Version, section.replaces)))
    text = _with_section(text if text.strip() else TITLE, version, section.text, ends)
    return mark + (_with_reference(text, version, section.link, ends) if section.link else text)


def _without(text: str, versions: Container[Version]) -> str:
    page = _Page(text)
    kept: list[str] = []
    begin = 0
    for number, heading in enumerate(page.headings):
        if heading.version is not None and heading.version in versions:
            after = page.headings[number + 1 :]
            following = (page.above(other.place) for other in after if other.level <= heading.level)
            kept += page.lines[begin : page.above(heading.place)]
            begin = max(begin, min(next(following, page.references), page.references))
    return "".join([*kept, *page.lines[begin:]])


def _with_section(text: str, version: Version, section: str, ends: str) -> str:
    page = _Page(text)
    place, level = page.place_for(version)
    section = re.sub("^##", "#" * level, section, flags=re.MULTILINE)
    before, after = "".join(page.lines[:place]), "".join(page.lines[place:])
    if before and not before.endswith("\n"):
        before += ends
    if place and page.lines[place - 1].strip():
        before += ends
    return before + section.replace("\n", ends) + (ends if after else "") + after


def _with_reference(text: str, version: Version, link: str, ends: str) -> str:
    """Return *text* with the link that the heading refers to, above those of the versions before it."""
    page = _Page(text)
    if text and not text.endswith("\n"):
        text += ends
        page = _Page(text)
    line = f"[{version}]: {link}{ends}"
    labels = [
        (place, label[1])
        for place in range(page.references, len(page.lines))
        if (label := _REFERENCE.match(page.lines[place]))
    ]
    if any(label.lower() == str(version) for _, label in labels):
        return text
    if not labels:
        return f"{text}{ends}{line}"
    older = (place for place, label in labels if (known := _spoken(label)) and known < version)
    place = next(older, labels[-1][0] + 1)
    return "".join([*page.lines[:place], line, *page.lines[place:]])


class _Page:
    """A changelog as lines: where its headings are, and where the link references at its bottom begin."""

    def __init__(self, text: str) -> None:
        self.lines = _LINE.findall(text)
        plain = [line.rstrip("\r\n") for line in self.lines]
        shown = _shown(plain)
        self.references = _references(plain, shown)
        self.headings = list(_headings(plain, shown))

    def place_for(self, version: Version) -> tuple[int, int]:
        """Return the line above which the section of *version* belongs, and the level of its heading."""
        versions = [heading for heading in self.headings if heading.version is not None]
        older = (heading for heading in versions if heading.version is not None and heading.version < version)
        # Somebody may have named sections otherwise: by a date, or a month.
        named = (h for h in self.headings if h.level == _LEVEL and "unreleased" not in h.text.lower())
        below = next(older, None) or (None if versions else next(named, None))
        if below is None:
            return self.references, versions[-1].level if versions else _LEVEL
        return self.above(below.place), below.level

    def above(self, place: int) -> int:
        """Return the first line of what belongs to the heading at *place*: there may be anchors above it."""
        first = place
        while place and (_ANCHOR.fullmatch(self.lines[place - 1]) or not self.lines[place - 1].strip()):
            place -= 1
            first = place if self.lines[place].strip() else first
        return first


def _shown(lines: Sequence[str]) -> list[bool]:
    """Tell of each line whether it is read as Markdown: what stands in code fences and comments is not.

    Only those that are closed count, so that one which was left open does not hide all that follows.
    """
    shown = [True] * len(lines)
    place = 0
    while place < len(lines):
        end = _end_of_fence(lines, place) or _end_of_comment(lines, place)
        if end is not None:
            shown[place : end + 1] = [False] * (end + 1 - place)
            place = end
        place += 1
    return shown


def _end_of_comment(lines: Sequence[str], start: int) -> int | None:
    if not re.match(r" {0,3}<!--", lines[start]):
        return None
    return next((place for place in range(start, len(lines)) if "-->" in lines[place]), None)


def _references(lines: Sequence[str], shown: Sequence[bool]) -> int:
    """Return the line at which the block of link references at the bottom begins; the number of lines if none does."""
    begin = len(lines)
    for place in range(len(lines) - 1, -1, -1):
        if not shown[place]:
            break
        if _REFERENCE.fullmatch(lines[place]):
            begin = place
        elif lines[place].strip():
            break
    return begin


def _headings(lines: Sequence[str], shown: Sequence[bool]) -> Iterator[_Heading]:
    for place, line in enumerate(lines):
        if not shown[place] or not line.strip():
            continue
        if found := _HEADING.match(line):
            yield _Heading(place, len(found[1]), found[2], _version_in(found[2]))
        elif place + 1 < len(lines) and shown[place + 1] and _UNDERLINE.fullmatch(lines[place + 1].rstrip()):
            # Only as a version: `---` also ends a front matter, or a table's head.
            version = _version_in(line)
            if version is not None:
                yield _Heading(place, 1 if lines[place + 1][0] == "=" else 2, line, version)


def _version_in(heading: str) -> Version | None:
    """Return the version that a heading begins with, as in `[1.2.0] - 2026-11-22`, `v1.2.0` and `Version 1.2.0`."""
    words = [word for word in _WORDS.split(heading) if word]
    if words and words[0].lower() in ("version", "release"):
        words = words[1:]
    return _spoken(words[0]) if words else None


def _spoken(word: str) -> Version | None:
    found = _SPOKEN.fullmatch(word)
    return version_of(found[1]) if found else None
