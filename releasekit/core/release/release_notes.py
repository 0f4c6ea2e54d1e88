"""Release notes: the changes of all packages of a release, as data and as Markdown of limited length."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from releasekit.core.changelog.changelog import escape, render_change_notes
from releasekit.core.changelog.note_entries import NoteChange, PackageNotes
from releasekit.core.errors import ErrorCode, Refusal

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
    pull_requests: Mapping[str, PullRequest] | None = None,
    newcomers: Collection[str] = (),
    files: Mapping[str, str] | None = None,
) -> ReleaseNotes:
    """Return the notes of *plan*.

    *pull_requests* are by sha of the commit, *newcomers* are names of authors. *files* are the paths of changelogs in
    the repository, by package.
    """
    formatter = _NoteFormatter(web, pull_requests or {})
    packages: list[NotesPackage] = []
    breaking: list[BreakingChange] = []
    for step in plan.steps:
        package_notes = plan.tales.get(step.name, PackageNotes())
        breaking += [
            BreakingChange(package=step.name, change=formatter.render_change(change))
            for change in package_notes.changes
            if change.breaking
        ]
        packages.append(
            _render_package(
                step,
                package_notes,
                formatter,
                target,
                _all_changes_url(step, package_notes, web, (files or {}).get(step.name, "")),
            )
        )
    all_changes = [change for package_notes in plan.tales.values() for change in package_notes.changes]
    since = {package_notes.since for package_notes in plan.tales.values()}
    return ReleaseNotes(
        title=plan.title,
        date=plan.date.replace(".", "-"),
        packages=tuple(packages),
        breaking=tuple(breaking),
        contributors=tuple(
            sorted({author for change in all_changes if (author := formatter.change_author(change))}, key=str.casefold)
        ),
        newcomers=formatter.first_time_contributors(all_changes, newcomers),
        all=web.tag(plan.title, since.pop()) if len(since) == 1 and "" not in since else web.history(plan.title),
    )


def _render_package(
    step: Step, package_notes: PackageNotes, formatter: _NoteFormatter, target: Target, all_changes_url: str
) -> NotesPackage:
    headings = dict.fromkeys(change.heading for change in package_notes.changes if not change.breaking)
    return NotesPackage(
        name=step.name,
        version=str(step.version),
        before=str(step.current) if package_notes.since else "",
        tag=step.tag,
        page=target.package_url(step.name, step.version),
        parts=tuple(
            NotesPart(
                heading=escape(heading),
                changes=tuple(
                    formatter.render_change(change)
                    for change in package_notes.changes
                    if change.heading == heading and not change.breaking
                ),
            )
            for heading in headings
        ),
        all=all_changes_url,
    )


def _all_changes_url(step: Step, package_notes: PackageNotes, web: RepositoryUrls, changelog: str) -> str:
    """Return the URL of all changes of a package: its *changelog*, or the comparison of its tags."""
    return web.file(changelog, step.tag) if changelog else web.tag(step.tag, package_notes.since)


class _NoteFormatter:
    """Renders changes and their authors as Markdown."""

    def __init__(self, web: RepositoryUrls, pull_requests: Mapping[str, PullRequest]) -> None:
        self._web, self._pull_requests = web, pull_requests

    def render_change(self, change: NoteChange) -> RenderedChange:
        pull_request = self._pull_requests.get(change.sha)
        text = escape(change.text, self._web)
        return RenderedChange(
            sha=change.sha,
            scope=_escape_mentions(escape(change.scope)),
            text=_escape_mentions(text),
            notes=tuple(_escape_mentions(note) for note in render_change_notes(change.notes, text, self._web)),
            link="" if pull_request and f"#{pull_request.number}]" in text else self.change_link(change),
            by=self.change_author(change),
            breaking=change.breaking,
            title=_escape_mentions(escape(pull_request.title)) if pull_request else "",
            labels=pull_request.labels if pull_request else (),
        )

    def change_link(self, change: NoteChange) -> str:
        if pull_request := self._pull_requests.get(change.sha):
            return f"[{'!' if self._web.is_gitlab else '#'}{pull_request.number}]({pull_request.page})"
        page = self._web.commit(change.sha)
        return f"[{change.sha[:7]}]({page})" if page else change.sha[:7]

    def change_author(self, change: NoteChange) -> str:
        """Return the author of *change* as Markdown, empty if it is a bot."""
        pull_request = self._pull_requests.get(change.sha)
        name = pull_request.author if pull_request and pull_request.author else change.author
        if not name or name.endswith("[bot]"):
            return ""
        return f"@{name}" if pull_request and pull_request.author else _escape_mentions(escape(name))

    def first_time_contributors(
        self, changes: Sequence[NoteChange], newcomers: Collection[str]
    ) -> tuple[FirstTimeContributor, ...]:
        """Return the *newcomers* in alphabetical order, each with the oldest of their *changes* (newest first)."""
        link_by_author: dict[str, str] = {}
        for change in changes:
            if change.author in newcomers and (author := self.change_author(change)):
                link_by_author[author] = self.change_link(change)
        return tuple(
            FirstTimeContributor(by=author, link=link_by_author[author])
            for author in sorted(link_by_author, key=str.casefold)
        )


_MENTION = re.compile(r"(?P<code>(`+).+?\2)|(?<![\w/])@(?=\w)", re.DOTALL)


def _escape_mentions(text: str) -> str:
    """Return Markdown without mentions: `@dataclass` in a commit must not notify the user of that name."""
    return _MENTION.sub(lambda match: match["code"] or "@<!-- -->", text)


# ---- from the notes to Markdown -------------------------------------------------------------------------------------

_DETAIL_THRESHOLD = 20
"""Shortened notes keep the details of breaking changes from this number of changes for each package."""


def shorten_notes(notes: ReleaseNotes, max_changes: int) -> ReleaseNotes:
    """Return *notes* with at most *max_changes* changes for each package, and fewer breaking changes."""
    breaking = notes.breaking[: max(_DETAIL_THRESHOLD, max_changes * 10)]
    if max_changes < _DETAIL_THRESHOLD:
        breaking = tuple(
            breaking_change.model_copy(update={"change": breaking_change.change.model_copy(update={"notes": ()})})
            for breaking_change in breaking
        )
    packages = tuple(_shorten_package(package, max_changes) for package in notes.packages)
    return notes.model_copy(update={"breaking": breaking, "packages": packages})


def _shorten_package(package: NotesPackage, max_changes: int) -> NotesPackage:
    remaining, parts = max_changes, list[NotesPart]()
    for part in package.parts:
        if visible := part.changes[:remaining]:
            parts.append(NotesPart(heading=part.heading, changes=visible))
        remaining -= len(visible)
    hidden = sum(len(part.changes) for part in package.parts) - (max_changes - remaining)
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
                compiled.render({name: getattr(shortened_notes, name) for name in ReleaseNotes.model_fields})
            )

        return _fit_to_limit(notes, render_text, limit)
    except TemplateSyntaxError as error:
        raise Refusal(ErrorCode.NOTES_TEMPLATE, str(error.message), f"{display_path}:{error.lineno}") from None
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise Refusal(ErrorCode.NOTES_TEMPLATE, f"{type(error).__name__}: {error}", display_path) from None


def _fit_to_limit(notes: ReleaseNotes, render_text: Callable[[ReleaseNotes], str], limit: int) -> str:
    """Return *notes* as text with as many changes for each package as fit; a binary search finds the number."""
    text = render_text(notes)
    if len(text) <= limit:
        return text
    text = render_text(shorten_notes(notes, 0))
    fits, too_many = 0, max(sum(len(part.changes) for part in package.parts) for package in notes.packages)
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
    rest = f"\n\n… shortened{f'; full text: {link}' if link else ''}\n"
    return text[: limit - len(rest)].rpartition("\n")[0].rstrip() + rest
