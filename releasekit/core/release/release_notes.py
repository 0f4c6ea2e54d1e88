"""Release notes: the changes of all packages of a release, as data and as Markdown of limited length."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from releasekit.core.changelog.changelog import escape, render_change_notes, render_file_change
from releasekit.core.changelog.note_entries import NoteChange, PackageNotes
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.markdown_spans import code_spans
from releasekit.core.picking import group_by
from releasekit.core.text import join_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from releasekit.core.history.web_links import RepositoryUrls
    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.release.target import Target

DEFAULT_TEMPLATE = "notes.md.jinja"

MIN_BODY_LIMIT = 65_536
"""Characters that every text on GitHub and GitLab may have: the limit of a pull request on GitHub."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request (GitLab: merge request).

    *page* is its URL, *author* a login, *head_commit* the last commit of its *branch*. *merge_commit* is empty until it
    is merged.
    """

    number: int
    title: str
    page: str
    author: str
    labels: tuple[str, ...] = ()
    branch: str = ""
    merge_commit: str = ""
    head_commit: str = ""


class RenderedChange(BaseModel):
    """One change in the notes. *scope*, *text*, *notes* and *title* are Markdown.

    *link* is a Markdown link to the pull request or the commit, empty if *text* has it already. *by* is the author:
    "@login" on GitHub and GitLab, or a name, empty for a bot. *title* and *labels* are those of the pull request.
    """

    model_config = ConfigDict(frozen=True)

    sha: str
    scope: str
    text: str
    notes: tuple[str, ...]
    link: str
    by: str
    breaking: bool
    title: str = ""
    labels: tuple[str, ...] = ()


class NotesPart(BaseModel):
    """The changes of a package under one heading."""

    model_config = ConfigDict(frozen=True)

    heading: str
    changes: tuple[RenderedChange, ...]


class NotesPackage(BaseModel):
    """A released package. *before* is the last version, empty for a first release; *page* is its URL on the index.

    *parts* have the changes without breaking ones, which are in `ReleaseNotes.breaking`. *hidden* is the number of
    changes that are left out because the text is too long. *all* is the URL of all changes.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    before: str
    tag: str
    page: str
    parts: tuple[NotesPart, ...]
    all: str
    hidden: int = 0


class BreakingChange(BaseModel):
    """A breaking change, and the package that it breaks."""

    model_config = ConfigDict(frozen=True)

    package: str
    change: RenderedChange


class FirstTimeContributor(BaseModel):
    """A person whose first change is in this release, and a Markdown link to that change."""

    model_config = ConfigDict(frozen=True)

    by: str
    link: str


class ReleaseNotes(BaseModel):
    """The variables of a template. *date* is "YYYY-MM-DD", *all* the URL of all changes of the release."""

    model_config = ConfigDict(frozen=True)

    title: str
    date: str
    packages: tuple[NotesPackage, ...]
    breaking: tuple[BreakingChange, ...]
    contributors: tuple[str, ...]
    newcomers: tuple[FirstTimeContributor, ...]
    all: str


# ---- from the plan to the notes -------------------------------------------------------------------------------------


def build_release_notes(
    plan: Plan,
    target: Target,
    web: RepositoryUrls,
    *,
    pull_requests: Mapping[str, PullRequest] = MappingProxyType({}),
    newcomers: Collection[str] = (),
    files: Mapping[str, str] = MappingProxyType({}),
) -> ReleaseNotes:
    """Return the notes of *plan*.

    *pull_requests* are by sha of the commit, *newcomers* are names of authors. *files* are the paths of changelogs in
    the repository, by package.
    """
    formatter = _NoteFormatter(web, pull_requests)
    packages: list[NotesPackage] = []
    breaking: list[BreakingChange] = []
    for step in plan.steps:
        package_notes = plan.tales.get(step.name, PackageNotes())
        breaking += _breaking_changes(step.name, package_notes, formatter)
        changelog = files.get(step.name, "")
        changes_url = _all_changes_url(step, package_notes, web, changelog)
        packages.append(_render_package(step, package_notes, formatter, target, changes_url))
    all_changes = [
        change for package_notes in plan.tales.values() for change in package_notes.changes
    ]
    authors = {formatter.change_author(change) for change in all_changes}
    authors.discard("")
    return ReleaseNotes(
        title=plan.title,
        date=plan.date.replace(".", "-"),
        packages=tuple(packages),
        breaking=tuple(breaking),
        contributors=tuple(sorted(authors, key=str.casefold)),
        newcomers=formatter.first_time_contributors(all_changes, newcomers),
        all=_release_changes_url(plan, web),
    )


def _release_changes_url(plan: Plan, web: RepositoryUrls) -> str:
    """Return the comparison with the last tag of all packages, or the history if these tags differ or are missing."""
    last_tags = {package_notes.since for package_notes in plan.tales.values()}
    if len(last_tags) != 1:
        return web.history(plan.title)
    last_tag = last_tags.pop()
    if not last_tag:
        return web.history(plan.title)
    return web.tag(plan.title, last_tag)


def _breaking_changes(
    package: str, package_notes: PackageNotes, formatter: _NoteFormatter
) -> list[BreakingChange]:
    return [
        BreakingChange(package=package, change=formatter.render_change(change))
        for change in package_notes.changes
        if change.breaking
    ]


def _render_package(
    step: Step,
    package_notes: PackageNotes,
    formatter: _NoteFormatter,
    target: Target,
    all_changes_url: str,
) -> NotesPackage:
    listed = (change for change in package_notes.changes if not change.breaking)
    parts: list[NotesPart] = []
    for heading, changes in group_by(listed, lambda change: change.heading).items():
        rendered = tuple(map(formatter.render_change, changes))
        parts.append(NotesPart(heading=escape(heading), changes=rendered))
    return NotesPackage(
        name=step.name,
        version=str(step.version),
        before=str(step.current) if package_notes.since else "",
        tag=step.tag,
        page=target.package_url(step.name, step.version),
        parts=tuple(parts),
        all=all_changes_url,
    )


def _all_changes_url(
    step: Step, package_notes: PackageNotes, web: RepositoryUrls, changelog: str
) -> str:
    """Return the URL of all changes of a package: its *changelog*, or the comparison of its tags."""
    if changelog:
        return web.file(changelog, step.tag)
    return web.tag(step.tag, package_notes.since)


class _NoteFormatter:
    """Renders changes and their authors as Markdown."""

    def __init__(self, web: RepositoryUrls, pull_requests: Mapping[str, PullRequest]) -> None:
        self._web, self._pull_requests = web, pull_requests

    def render_change(self, change: NoteChange) -> RenderedChange:
        if change.file:
            return _render_file_note(change)
        text = escape(change.text, self._web)
        notes = render_change_notes(change.notes, text, self._web)
        rendered = RenderedChange(
            sha=change.sha,
            scope=_escape_mentions(escape(change.scope)),
            text=_escape_mentions(text),
            notes=tuple(map(_escape_mentions, notes)),
            link=self.change_link(change),
            by=self.change_author(change),
            breaking=change.breaking,
        )
        pull_request = self._pull_requests.get(change.sha)
        if pull_request is None:
            return rendered
        has_link = f"#{pull_request.number}]" in text
        return rendered.model_copy(
            update={
                "link": "" if has_link else rendered.link,
                "title": _escape_mentions(escape(pull_request.title)),
                "labels": pull_request.labels,
            }
        )

    def change_link(self, change: NoteChange) -> str:
        if change.file:
            return ""
        pull_request = self._pull_requests.get(change.sha)
        if pull_request:
            sign = "!" if self._web.is_gitlab else "#"
            return f"[{sign}{pull_request.number}]({pull_request.page})"
        page = self._web.commit(change.sha)
        return f"[{change.sha[:7]}]({page})" if page else change.sha[:7]

    def change_author(self, change: NoteChange) -> str:
        """Return the author of *change* as Markdown, empty if it is a bot."""
        pull_request = self._pull_requests.get(change.sha)
        login = pull_request.author if pull_request else ""
        name = login or change.author
        if name.endswith("[bot]"):
            return ""
        if login:
            return f"@{login}"
        return _escape_mentions(escape(name))

    def first_time_contributors(
        self, changes: Sequence[NoteChange], newcomers: Collection[str]
    ) -> tuple[FirstTimeContributor, ...]:
        """Return the *newcomers* in alphabetical order, each with the oldest of their *changes* (newest first)."""
        link_by_author: dict[str, str] = {}
        for change in changes:
            author = self.change_author(change)
            if author and change.author in newcomers:
                link_by_author[author] = self.change_link(change)
        authors = sorted(link_by_author, key=str.casefold)
        return tuple(
            FirstTimeContributor(by=author, link=link_by_author[author]) for author in authors
        )


def _render_file_note(change: NoteChange) -> RenderedChange:
    """Return the text of a change file: its first paragraph as the item, and the others below it."""
    first, _, rest = _escape_mentions(render_file_change(change.text)).strip("\n").partition("\n\n")
    return RenderedChange(
        sha="",
        scope="",
        text=re.sub(r"^[-+*] ", "", first),
        notes=(rest.strip("\n"),) if rest else (),
        link="",
        by="",
        breaking=change.breaking,
    )


_MENTION = re.compile(r"(?<![\w/])@(?=\w)")


def _escape_mentions(text: str) -> str:
    """Return Markdown without mentions: `@dataclass` in a commit must not notify the user of that name."""
    spans = [*code_spans(text), (len(text), len(text))]
    parts: list[str] = []
    position = 0
    for begin, end in spans:
        matches = [match.start() for match in _MENTION.finditer(text, position, begin)]
        bounds = [position, *(start + 1 for start in matches), begin]
        parts += [
            "<!-- -->".join(text[one:other] for one, other in pairwise(bounds)),
            text[begin:end],
        ]
        position = end
    return "".join(parts)


# ---- from the notes to Markdown -------------------------------------------------------------------------------------

_DETAIL_THRESHOLD = 20
"""Shortened notes keep the details of breaking changes from this number of changes for each package."""


def shorten_notes(notes: ReleaseNotes, max_changes: int) -> ReleaseNotes:
    """Return *notes* with at most *max_changes* changes for each package, and fewer breaking changes."""
    breaking = notes.breaking[: max(_DETAIL_THRESHOLD, max_changes * 10)]
    if max_changes < _DETAIL_THRESHOLD:
        breaking = tuple(map(_without_details, breaking))
    packages = tuple(_shorten_package(package, max_changes) for package in notes.packages)
    return notes.model_copy(update={"breaking": breaking, "packages": packages})


def _without_details(breaking_change: BreakingChange) -> BreakingChange:
    change = breaking_change.change.model_copy(update={"notes": ()})
    return breaking_change.model_copy(update={"change": change})


def _shorten_package(package: NotesPackage, max_changes: int) -> NotesPackage:
    remaining = max_changes
    hidden = 0
    parts: list[NotesPart] = []
    for part in package.parts:
        visible = part.changes[:remaining]
        remaining -= len(visible)
        hidden += len(part.changes) - len(visible)
        if visible:
            parts.append(NotesPart(heading=part.heading, changes=visible))
    return package.model_copy(update={"parts": tuple(parts), "hidden": hidden})


def render(notes: ReleaseNotes, template: str, limit: int, display_path: str) -> str:
    """Return *notes* rendered by *template* in at most *limit* characters.

    Notes that are too long get fewer changes for each package, so the Markdown stays complete with any template. If the
    text is too long even without changes, it is cut at the end of a line. Templates run in a sandbox (jinja2.sandbox).
    Raises Refusal RK-NOTES-TEMPLATE, which names *display_path*.
    """
    from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # The output is Markdown, not HTML. Its special characters are escaped when the changes are rendered.
    environment = ImmutableSandboxedEnvironment(
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        compiled = environment.from_string(template)

        def render_text(shortened_notes: ReleaseNotes) -> str:
            return collapse_blank_lines(
                compiled.render(
                    {name: getattr(shortened_notes, name) for name in ReleaseNotes.model_fields}
                )
            )

        return _fit_to_limit(notes, render_text, limit)
    except TemplateSyntaxError as error:
        raise Refusal(
            ErrorCode.NOTES_TEMPLATE, str(error.message), f"{display_path}:{error.lineno}"
        ) from None
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise Refusal(
            ErrorCode.NOTES_TEMPLATE, f"{type(error).__name__}: {error}", display_path
        ) from None


def _fit_to_limit(
    notes: ReleaseNotes, render_text: Callable[[ReleaseNotes], str], limit: int
) -> str:
    """Return *notes* as text with as many changes for each package as fit; a binary search finds the number."""
    text = render_text(notes)
    if len(text) <= limit:
        return text
    text = render_text(shorten_notes(notes, 0))
    change_counts = [sum(len(part.changes) for part in package.parts) for package in notes.packages]
    fits = 0
    too_many = max(change_counts)
    while too_many - fits > 1 and len(text) <= limit:
        middle = (fits + too_many) // 2
        longer = render_text(shorten_notes(notes, middle))
        if len(longer) <= limit:
            fits, text = middle, longer
        else:
            too_many = middle
    return truncate(text, limit, notes.all)


def collapse_blank_lines(text: str) -> str:
    """Return *text* without the extra empty lines that the tags of a template leave."""
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def truncate(text: str, limit: int, link: str) -> str:
    """Return as many whole lines of *text* as fit into *limit* characters, with a *link* to the full text."""
    if len(text) <= limit:
        return text
    shortened = join_texts("; full text: ", "… shortened", link)
    remark = f"\n\n{shortened}\n"
    whole_lines, _, _ = text[: limit - len(remark)].rpartition("\n")
    return whole_lines.rstrip() + remark
