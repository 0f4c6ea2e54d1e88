"""Changelogs in the format of Keep a Changelog: the section of a version, and its position in the file."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from packaging.version import Version
from pydantic import BaseModel, ConfigDict

from releasekit.core.changelog.unreleased import is_unreleased_title
from releasekit.core.config.bump_rules import Bump
from releasekit.core.config.settings import CHANGELOG
from releasekit.core.history.commits import CONTROLS, Change
from releasekit.core.history.reverts import drop_reverted
from releasekit.core.history.web_links import RepositoryUrls
from releasekit.core.markdown_spans import FENCE, ClosingLines, code_spans, opens_comment
from releasekit.core.picking import group_by, pick, true_keys
from releasekit.core.user_patterns import UserPattern
from releasekit.core.version_numbers import parse_version
from releasekit.core.workspace.toml_edits import line_end

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from releasekit.core.config.settings import Settings
    from releasekit.core.history.change_files import FileChange

# Other types are hidden, unless they trigger a release or the configuration names them.
HEADINGS = {"feat": "Features", "fix": "Bug Fixes", "perf": "Performance", "revert": "Reverts"}
BREAKING = "Breaking Changes"
TITLE = "# Changelog\n\n"
_NO_CHANGES = "No notable changes since"


class Section(BaseModel):
    """A new section of a changelog, as stored in the plan. *text* is Markdown, from its heading to its last line.

    *link* is the URL of the heading's link reference; *replaces* are the versions whose sections it replaces. *path* is
    the file, relative to the package, or to the workspace if the section is for all packages.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    link: str = ""
    replaces: tuple[str, ...] = ()
    path: str = CHANGELOG


@dataclass(frozen=True, slots=True)
class Part:
    """The changes under one heading: those of change files, and those of commits, newest first."""

    heading: str
    changes: tuple[Change, ...] = ()
    files: tuple[FileChange, ...] = ()


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

    @property
    def files(self) -> tuple[FileChange, ...]:
        """All change files in the section."""
        return tuple(file for part in self.parts for file in part.files)


@dataclass(frozen=True, slots=True)
class PreviousRelease:
    """The release to compare with: the previous *version*, its *tag*, and the *prereleases* since then.

    *version* is None for a first release, and for the first stable release if all earlier ones are prereleases.
    """

    version: Version | None = None
    tag: str = ""
    prereleases: tuple[Version, ...] = ()

    @property
    def exists(self) -> bool:
        """Whether there is an earlier release, stable or not."""
        return self.version is not None or bool(self.prereleases)


# ---- which changes are listed ---------------------------------------------------------------------------------------


def changelog_entry(
    version: Version,
    date: str,
    changes: Sequence[Change],
    since: PreviousRelease,
    settings: Settings,
    unreleased: Container[str] = frozenset(),
    files: Sequence[FileChange] = (),
) -> ChangelogEntry:
    """Return the changelog entry of *version*, from the *changes* since the previous release, newest first.

    The entry of a first release lists no commits, because its list would be the whole history. *unreleased* is the
    argument of `drop_reverted`. *files* are the change files of the release.
    """
    if not since.exists:
        parts = parts_of((), settings, files)
        return ChangelogEntry(version, date, "First release.", parts)
    effective = drop_reverted(changes, unreleased=unreleased).effective
    parts = parts_of(effective, settings, files)
    remark = ""
    if not since.version:
        remark = "First stable release."
    elif not parts:
        remark = f"{_NO_CHANGES} {since.version}."
    return ChangelogEntry(version, date, remark, parts)


def parts_of(
    changes: Sequence[Change], settings: Settings, files: Sequence[FileChange] = ()
) -> tuple[Part, ...]:
    """Return *changes* and *files* under their headings, breaking ones first, without hidden and excluded commits.

    A breaking change is never hidden, and neither is a change file.
    """
    headings = headings_of(settings)
    breaking = headings.pop("breaking", "") or BREAKING
    excluded = [UserPattern(pattern, "changelog_exclude") for pattern in settings.changelog_exclude]

    def heading_of(change: Change) -> str:
        return breaking if change.breaking else _heading_of_type(change, headings, excluded)

    by_heading = group_by(changes, heading_of)
    by_heading.pop(_HIDDEN, None)
    files_by_heading = _files_by_heading(files, headings | {"breaking": breaking})
    used = by_heading.keys() | files_by_heading.keys()
    order = dict.fromkeys((breaking, *headings.values(), *files_by_heading))
    parts: list[Part] = []
    for heading in pick(order, used):
        part = Part(
            heading=heading,
            changes=tuple(by_heading.get(heading, ())),
            files=tuple(files_by_heading.get(heading, ())),
        )
        parts.append(part)
    return tuple(parts)


def _heading_of_type(
    change: Change, headings: Mapping[str, str], excluded: Iterable[UserPattern]
) -> str:
    """Return the heading of a *change* that breaks nothing, by its type; "" hides it."""
    is_excluded = any(pattern.search(change.title) for pattern in excluded)
    if is_excluded or _is_internal(change):
        return _HIDDEN
    other = headings.get("other", _HIDDEN)
    return headings.get(change.type, other)


_HIDDEN = ""
"""The heading of changes that are not listed."""
_UNTYPED = "Changes"
"""The heading of changes without a type, if they trigger a release."""
_FILE_TYPES = {Bump.MAJOR: "breaking", Bump.MINOR: "feat", Bump.PATCH: "fix"}
"""The type under whose heading a change file of this bump stands."""


def _files_by_heading(
    files: Sequence[FileChange], headings: Mapping[str, str]
) -> dict[str, list[FileChange]]:
    """Return *files* that have a text, under the heading that each one chooses, or else that of its bump."""
    spelling = {heading.casefold(): heading for heading in headings.values()}

    def heading_of(file: FileChange) -> str:
        kind = _FILE_TYPES[file.bump]
        own = spelling.get(file.heading.casefold(), file.heading)
        return own or headings[kind] or HEADINGS[kind]

    listed = (file for file in files if file.text and file.bump in _FILE_TYPES)
    return group_by(listed, heading_of)


def headings_of(settings: Settings) -> dict[str, str]:
    """Return the heading of each type, in the order of the sections; "" hides a type."""
    headings = dict(HEADINGS)
    for name in true_keys(settings.bumps()):
        headings.setdefault(name, name.capitalize() or _UNTYPED)
    for name, heading in settings.changelog_sections.items():
        headings[name.lower()] = heading.strip()
    if "" in headings:
        headings[""] = headings.get("other", headings[""])
    return headings


def _is_internal(change: Change) -> bool:
    """Return whether *change* means nothing to readers: a release commit, or a fixup of another commit."""
    is_release_commit = (change.type, change.scope) == ("chore", "release")
    return is_release_commit or change.fixup or change.type == "release-as"


_CO_AUTHOR = re.compile(r"^co-authored-by:([^<\n]+)", re.IGNORECASE | re.MULTILINE)


def contributors_of(changes: Sequence[Change], authors: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the authors and co-authors of *changes*, without bots; *authors* are by sha."""
    names: set[str] = set()
    for change in changes:
        names.add(authors.get(change.sha, ""))
        co_authors = _CO_AUTHOR.findall(change.commit.message)
        names.update(name.strip(" \t").removeprefix('"').removesuffix('"') for name in co_authors)
    names.discard("")
    people = {name for name in names if not name.endswith("[bot]")}
    return tuple(sorted(people, key=str.casefold))


# ---- prereleases ----------------------------------------------------------------------------------------------------


def prereleases_between(
    released: Iterable[Version], after: Version | None, before: Version
) -> tuple[Version, ...]:
    """Return the prereleases among *released* between two versions, in order; *after* None: no limit."""
    versions = sorted(version for version in released if version.is_prerelease)
    first = bisect_right(versions, after) if after else 0
    end = bisect_left(versions, before)
    return tuple(versions[first:end])


# ---- Markdown -------------------------------------------------------------------------------------------------------


def render_section(
    entry: ChangelogEntry, urls: RepositoryUrls, tag: str, since: PreviousRelease
) -> Section:
    """Return *entry* as Markdown; its heading is a link if *urls* has a base and *tag* is not empty.

    The section replaces the sections of the prereleases in *since*.
    """
    link = urls.tag(tag, since.tag) if tag else ""
    version = f"[{entry.version}]" if link else str(entry.version)
    heading = f"## {version} - {entry.date}"
    parts = [_render_part(part, urls) for part in entry.parts]
    blocks = [heading, entry.remark, *parts, _render_contributors(entry.contributors)]
    text = "\n\n".join(filter(None, blocks)) + "\n"
    return Section(text=text, link=link, replaces=tuple(map(str, since.prereleases)))


def _render_part(part: Part, urls: RepositoryUrls) -> str:
    items = [render_file_change(file.text) for file in part.files]
    items += [_render_item(change, urls) for change in part.changes]
    text = "".join(items).rstrip("\n")
    return f"### {escape(part.heading)}\n\n{text}"


def _render_contributors(names: Sequence[str]) -> str:
    if not names:
        return ""
    items = "\n".join(f"- {_at_start(escape(name))}" for name in names)
    return f"### Contributors\n\n{items}"


def render_file_change(text: str) -> str:
    """Return the Markdown *text* of a change file as one item of a list; a text that is a list stays one.

    All lines below the first are indented, so that no heading, fence or comment in it reaches the rest of the file.
    """
    lines = _closed_lines(text.lstrip(" \t").split("\n"))
    is_list = _PLAIN_BULLET.match(lines[0]) and all(map(_is_of_list, lines))
    if not is_list:
        indented = "\n  ".join(lines)
        lines = f"- {indented}".split("\n")
    item = "\n".join(map(str.rstrip, lines)) + "\n"
    has_paragraphs = "\n\n" in item
    return f"{item}\n" if has_paragraphs else item


_PLAIN_BULLET = re.compile(r"[-+*] (?=\S)")


def _is_of_list(line: str) -> bool:
    """Return whether *line* is an item of a list, belongs to one, or is empty."""
    return not line or line.startswith("  ") or _PLAIN_BULLET.match(line) is not None


def _closed_lines(lines: Sequence[str]) -> list[str]:
    """Return *lines* with the end of a code fence or comment that is left open."""
    open_lines = (lines[start] for start, end in _blocks(lines) if end is None)
    closing_lines = filter(None, map(_closing_line, open_lines))
    return [*lines, *islice(closing_lines, 1)]


def _closing_line(line: str) -> str:
    """Return the line that closes the code fence or comment that *line* opens; empty if it opens none."""
    fence = FENCE.fullmatch(line)
    if fence:
        return fence["fence"]
    return "-->" if opens_comment(line) else ""


def _render_item(change: Change, urls: RepositoryUrls) -> str:
    text = escape(_MARKER.sub("", change.description), urls)
    title = _at_start(text)
    if change.scope:
        title = f"**{escape(change.scope)}:** {text}"
    sha = _link(change.short_sha, urls.commit(change.sha))
    paragraphs = [f"- {title} ({sha})", *render_change_notes(change.notes, text, urls)]
    end = "\n\n" if len(paragraphs) > 1 else "\n"
    return "\n\n".join(paragraphs) + end


def _link(text: str, url: str) -> str:
    return f"[{text}]({url})" if url else text


def render_change_notes(notes: Sequence[str], text: str, urls: RepositoryUrls) -> list[str]:
    """Return the rendered footers *notes* of a change, without those that only repeat its *text*."""
    repeated = ("", text)
    rendered = [_render_note(note, urls) for note in notes]
    return [note for note in rendered if note.strip() not in repeated]


_MARKER = re.compile(r"BREAKING[ -]CHANGE:[ \t]*(?=\S)")
_ESCAPABLE = re.compile(
    r"(?P<url>https?://[^\s<>()\[\]`|\\]+)"
    r"|(?P<reference>(?<![\w&/])(?P<mark>[#!])(?P<number>\d+)\b)"
    r"|(?P<special>[\\`*<\[\]|~]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|(?<=--)>)"
)
# The number of a list item, or nothing before another character that would start a block.
_AT_START = re.compile(r"^(?:(\d{1,9})(?=[.)](?:\s|$))|(?=[-+=>]|#{1,6}(?:\s|$)))")
_NO_URLS = RepositoryUrls()


def escape(text: str, urls: RepositoryUrls = _NO_URLS) -> str:
    """Return *text* as one line of Markdown that displays it literally, except code spans and URLs, which stay.

    References to issues and pull requests become links if *urls* has URLs for them.
    """
    line = " ".join(CONTROLS.sub("", text).split())
    parts: list[str] = []
    position = 0

    def escape_match(match: re.Match[str]) -> str:
        if match["special"]:
            return f"\\{match[0]}"
        if match["reference"]:
            url = urls.reference(match["mark"], match["number"])
            return _link(match[0], url)
        return match[0]

    def escape_between(begin: int, end: int) -> None:
        last = begin
        for match in _ESCAPABLE.finditer(line, begin, end):
            parts.extend((line[last : match.start()], escape_match(match)))
            last = match.end()
        parts.append(line[last:end])

    for begin, end in code_spans(line):
        escape_between(position, begin)
        parts.append(line[begin:end])
        position = end
    escape_between(position, len(line))
    return "".join(parts)


def _at_start(text: str) -> str:
    """Return *text* escaped so that it starts no list, heading or quotation at the start of a line."""
    return _AT_START.sub(r"\1\\", text)


_BULLET = re.compile(r"([-+*]|\d{1,9}[.)])[ \t]+(?=\S)")


def _render_note(note: str, urls: RepositoryUrls) -> str:
    """Return the text of a footer for the place below a list item, with its paragraphs, lists and code.

    Fenced code becomes indented code, so that no text of a commit can open or close a fence in the file.
    """
    lines = note.split("\n")
    closing_lines = ClosingLines(lines)
    out = [""]
    index = inner = (
        0  # *inner* is the indentation of the open list; code below it belongs to its item
    )
    while index < len(lines):
        end = closing_lines.fence_end(index)
        if end is not None:
            code = [_render_code_line(line, 6 + inner) for line in lines[index + 1 : end]]
            out += ["", *code, ""]
            index = end + 1
            continue
        line = lines[index].strip()
        starts_paragraph = line and not out[-1]
        if bullet := _BULLET.match(line):
            inner = len(bullet[1]) + 1
        elif starts_paragraph:
            inner = 0  # a new paragraph ends the list
        out.append(f"  {_render_note_line(line, urls)}".rstrip())
        index += 1
    text = "\n".join(out)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def _render_code_line(line: str, indentation: int) -> str:
    code = CONTROLS.sub("", line).replace("-->", "-- >")
    return (" " * indentation + code).rstrip()


def _render_note_line(line: str, urls: RepositoryUrls) -> str:
    bullet = _BULLET.match(line)
    if bullet is None:
        return _at_start(escape(line, urls))
    item = line[bullet.end() :]
    return f"{bullet[1]} {_at_start(escape(item, urls))}"


# ---- the file -------------------------------------------------------------------------------------------------------

_LEVEL = 2  # of the heading of a version, unless the file uses another
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_HEADING = re.compile(r"(#{1,3})[ \t]+(.+)")
_UNDERLINE = re.compile(r"=+|-+")
_UNDERLINE_LEVELS = {"=": 1, "-": 2}
_REFERENCE = re.compile(r" {0,3}\[([^\]]+)\]:[ \t]*\S.*")
_ANY_HEADING = re.compile(r" {0,3}#{1,6}([ \t]|$)")
_REMARK_NO_CHANGES = re.compile(rf"\A{_NO_CHANGES} .*\n+")
_WORDS = re.compile(r"""[\s\[\](){},:*`"']+""")
_ANCHOR = re.compile(r"[ ]{0,3}<a\s(?:[^>]*/>|[^>]*>\s*</a>)\s*")
_VERSION_WORD = re.compile(r"(?:\D.*[-@/=])?v?(\d[\w.!+]*)")


@dataclass(frozen=True, slots=True)
class _Heading:
    """A heading on line *index*; *version* is None if it names none, such as `## [Unreleased]`.

    *height* is the number of its lines. *unreleased* means that it says so, as in `## 1.3.0 (unreleased)`.
    """

    index: int
    level: int
    text: str
    version: Version | None
    height: int = 1
    unreleased: bool = False

    @property
    def is_released_version(self) -> bool:
        """Whether it heads the section of a version that is released."""
        return self.version is not None and not self.unreleased

    @property
    def stays_on_top(self) -> bool:
        """Whether it stays when what is below it is released, as `## [Unreleased]` does in Keep a Changelog."""
        return self.version is None and self.text.startswith("[")

    @property
    def is_dated_section(self) -> bool:
        """Whether it may head a section in a changelog without versions, which names sections by a date or month."""
        return self.level == _LEVEL and "unreleased" not in self.text.lower()


def versions_in(text: str) -> tuple[Version, ...]:
    """Return the versions that have a heading in the changelog *text*, in the order of the file."""
    headings = _ParsedChangelog(text).headings
    return tuple(heading.version for heading in headings if heading.version is not None)


def insert_section(text: str, version: Version, section: Section) -> str:
    """Return the changelog *text* with the *section* of *version* inserted; every other byte stays the same.

    The section goes above older versions, with headings of their level, and below title and introduction. What is
    written below a heading such as `## [Unreleased]` or `## 1.3.0 (unreleased)` becomes the start of the section; see
    `_ParsedChangelog.unreleased_section`. If *version* has a heading of another kind already, *text* stays as it is.
    An empty *text* becomes a changelog with a title.
    """
    page = text.removeprefix("\ufeff")
    byte_order_mark = text[: len(text) - len(page)]
    if _ParsedChangelog(page).has_released(version):
        return text
    ends = line_end(page)
    page = _without_sections(page, frozenset(map(Version, section.replaces)))
    if not page.strip():
        page = TITLE
    page = _with_section(page, version, section.text, ends)
    if section.link:
        page = _with_reference(page, version, section.link, ends)
    return byte_order_mark + page


def add_note(text: str, version: Version, note: str) -> str:
    """Return the changelog *text* with the line *note* below the heading of *version*; unchanged without a heading.

    A note that begins with the same bold words is there already, so it is not added again.
    """
    page = text.removeprefix("\ufeff")
    byte_order_mark = text[: len(text) - len(page)]
    parsed = _ParsedChangelog(page)
    marker = note.partition(" on ")[0]
    for number, heading in enumerate(parsed.headings):
        if heading.version != version or heading.unreleased:
            continue
        begin, end = heading.index + heading.height, parsed.section_end(number)
        section = parsed.lines[begin:end]
        if any(line.startswith(marker) for line in section):
            return text
        ends = line_end(page)
        above = _end_last_line("".join(parsed.lines[:begin]), ends)
        below = "".join(parsed.lines[begin:])
        return f"{byte_order_mark}{above}{ends}{note}{ends}{below}"
    return text


def _without_sections(text: str, versions: Container[Version | None]) -> str:
    page = _ParsedChangelog(text)
    remaining: list[str] = []
    begin = 0
    for number, heading in enumerate(page.headings):
        if heading.unreleased or heading.version not in versions:
            continue
        remaining += page.lines[begin : page.block_start(heading.index)]
        begin = max(begin, page.section_end(number))
    remaining += page.lines[begin:]
    return "".join(remaining)


def _with_section(text: str, version: Version, section: str, ends: str) -> str:
    page = _ParsedChangelog(text)
    number = page.unreleased_section(version)
    if number is not None:
        return _with_finished_section(page, number, section, ends)
    index, level = page.insertion_point(version)
    section = _at_level(section, level)
    above = page.lines[:index]
    before = _end_last_line("".join(above), ends)
    is_below_text = any(map(str.strip, above[-1:]))
    if is_below_text:
        before += ends
    after = "".join(page.lines[index:])
    inserted = section.replace("\n", ends)
    if after:
        inserted += ends
    return before + inserted + after


def _with_finished_section(page: _ParsedChangelog, number: int, section: str, ends: str) -> str:
    """Return the text of *page* with *section* in place of the unreleased heading *number*; its notes come first."""
    heading = page.headings[number]
    begin = heading.index + heading.height
    end = page.section_end(number)
    above = "".join(page.lines[: heading.index])
    if heading.stays_on_top:
        above = "".join(page.lines[:begin]) + ends
    title, _, generated = _at_level(section, heading.level).partition("\n\n")
    notes = _end_last_line("".join(page.lines[begin:end]), ends)
    if page.has_notes(number):
        generated = _REMARK_NO_CHANGES.sub("", generated)
    if not notes.strip():
        notes = ends
    blocks = [title.rstrip("\n").replace("\n", ends) + ends + notes, generated.replace("\n", ends)]
    blocks.append("".join(page.lines[end:]))
    return above + _join_blocks(blocks, ends)


def _join_blocks(blocks: Sequence[str], ends: str) -> str:
    """Return *blocks* one below the other, with at least one blank line between two of them."""
    text = ""
    for block in filter(None, blocks):
        is_apart = not text or text.endswith(("\n\n", "\n\r\n"))
        text += block if is_apart else ends + block
    return text


def _at_level(section: str, level: int) -> str:
    """Return *section* with its title at the heading *level*, and its other headings below it."""
    return re.sub("^##", "#" * level, section, flags=re.MULTILINE)


def _with_reference(text: str, version: Version, link: str, ends: str) -> str:
    """Return *text* with the link reference of the heading, above the references of older versions."""
    text = _end_last_line(text, ends)
    page = _ParsedChangelog(text)
    line = f"[{version}]: {link}{ends}"
    indexes = range(page.references, len(page.lines))
    labels = {
        index: match[1] for index in indexes if (match := _REFERENCE.match(page.lines[index]))
    }
    if not labels:
        return f"{text}{ends}{line}"
    if str(version) in map(str.lower, labels.values()):
        return text
    older = (
        index for index, label in labels.items() if _is_older(_parse_version_word(label), version)
    )
    position = next(older, max(labels) + 1)
    return "".join([*page.lines[:position], line, *page.lines[position:]])


def _end_last_line(text: str, ends: str) -> str:
    """Return *text*, with the line end *ends* if its last line has none."""
    is_complete = text[-1:] in ("", "\n")
    return text if is_complete else text + ends


def _is_older(version: Version | None, than: Version) -> bool:
    return version is not None and version < than


class _ParsedChangelog:
    """A changelog as lines, with its headings, and the line where the link references at its end start."""

    def __init__(self, text: str) -> None:
        self.lines = _LINE.findall(text)
        self.visible = _mask_hidden_lines([line.rstrip("\r\n") for line in self.lines])
        self.references = _first_above(self.visible, len(self.visible), _REFERENCE)
        self.headings = list(_headings(self.visible))
        self.released = [heading for heading in self.headings if heading.is_released_version]

    def has_released(self, version: Version) -> bool:
        """Return whether *version* has a heading that does not say that it is unreleased."""
        return any(heading.version == version for heading in self.released)

    def unreleased_section(self, version: Version) -> int | None:
        """Return the number of the unreleased heading whose notes the release of *version* contains; None without one.

        It is a heading of *version* itself. Otherwise it is the first heading above all released versions that names
        no version or a lower one, unless *version* is below these. A prerelease takes only a heading of its own,
        because the stable release may replace its section. A heading without version and notes is a placeholder.
        """
        unreleased = [number for number, heading in enumerate(self.headings) if heading.unreleased]
        own = [number for number in unreleased if self.headings[number].version == version]
        lower = [number for number in unreleased if self._may_become(number, version)]
        following = [
            number for number in lower[:1] if self._is_above_older_versions(number, version)
        ]
        candidates = own or following
        return next(iter(candidates), None)

    def _may_become(self, number: int, version: Version) -> bool:
        """Return whether the heading *number* may become the heading of *version*, which is not its own."""
        if version.is_prerelease:
            return False
        own = self.headings[number].version
        if own is None:
            return self.has_notes(number)
        return own < version

    def _is_above_older_versions(self, number: int, version: Version) -> bool:
        """Return whether no released version is above the heading *number*, and the next below is under *version*."""
        heading = self.headings[number]
        is_on_top = all(heading.index < other.index for other in self.released)
        peers = (other.version for other in self.released if other.level <= heading.level)
        latest = next(peers, None)
        return is_on_top and (latest is None or latest < version)

    def has_notes(self, number: int) -> bool:
        """Return whether there is text below the heading *number*, other than headings and comments."""
        heading = self.headings[number]
        lines = self.visible[heading.index + heading.height : self.section_end(number)]
        return any(
            line.strip() and line != _MASK and not _ANY_HEADING.match(line) for line in lines
        )

    def insertion_point(self, version: Version) -> tuple[int, int]:
        """Return the index of the line above which to insert the section of *version*, and its heading level."""
        level = _LEVEL
        following = [heading for heading in self.headings if heading.is_dated_section]
        versioned = [heading for heading in self.headings if heading.version]
        if versioned:
            level = versioned[-1].level
            following = [heading for heading in versioned if _is_older(heading.version, version)]
        if not following:
            return self.references, level
        first = following[0]
        return self.block_start(first.index), first.level

    def section_end(self, number: int) -> int:
        """Return the index of the line after the section of the heading *number*: where the next section starts."""
        level = self.headings[number].level
        following = (heading for heading in self.headings[number + 1 :] if heading.level <= level)
        starts = (self.block_start(heading.index) for heading in following)
        return min(next(starts, self.references), self.references)

    def block_start(self, index: int) -> int:
        """Return the index of the first line that belongs to the heading at *index*: anchors may be above it."""
        return _first_above(self.lines, index, _ANCHOR)


def _first_above(lines: Sequence[str], end: int, pattern: re.Pattern[str]) -> int:
    """Return the index of the first of the lines directly above *end* that match *pattern*, or *end* if none does.

    Blank lines may be between them.
    """
    first = end
    for index in reversed(range(end)):
        if pattern.fullmatch(lines[index]):
            first = index
        elif lines[index].strip():
            break
    return first


_MASK = "<!-- -->"


def _mask_hidden_lines(lines: Sequence[str]) -> list[str]:
    """Return *lines* with a mask in place of each line in a code fence or a comment, which is not read as Markdown.

    Only closed fences and comments count, so that an open one does not hide the rest of the file.
    """
    visible = list(lines)
    for start, end in _blocks(lines):
        if end is not None:
            visible[start : end + 1] = [_MASK] * (end + 1 - start)
    return visible


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, int | None]]:
    """Yield the index of the first and the last line of each closed code fence and comment.

    Each line outside of them is yielded too, with None as its last line.
    """
    closing_lines = ClosingLines(lines)
    index = 0
    while index < len(lines):
        end = closing_lines.fence_end(index) or closing_lines.comment_end(index)
        yield index, end
        last = index if end is None else end
        index = last + 1


def _headings(lines: Sequence[str]) -> Iterator[_Heading]:
    for index, (line, below) in enumerate(pairwise([*lines, ""])):
        if match := _HEADING.match(line):
            marks, title = match.groups()
            yield _heading_of(index, len(marks), title)
        elif _UNDERLINE.fullmatch(below.rstrip()):
            # Only for versions, because `---` also ends front matter and the head of a table.
            heading = _heading_of(index, _UNDERLINE_LEVELS[below[0]], line, height=2)
            if heading.version is not None or heading.unreleased:
                yield heading


def _heading_of(index: int, level: int, title: str, height: int = 1) -> _Heading:
    word = _version_word(title)
    version = _parse_version_word(word)
    unreleased = is_unreleased_title(title, word if version else "")
    return _Heading(
        index=index,
        level=level,
        text=title,
        version=version,
        height=height,
        unreleased=unreleased,
    )


def _version_word(heading: str) -> str:
    """Return the word that may be a version, as in `[1.2.0] - 2026-11-22`, `v1.2.0` and `Version 1.2.0`."""
    words = filter(None, _WORDS.split(heading))
    first = next(words, "")
    if first.lower() in ("version", "release"):
        first = next(words, "")
    return first


def _parse_version_word(word: str) -> Version | None:
    match = _VERSION_WORD.fullmatch(word)
    if match is None:
        return None
    return parse_version(match[1])
