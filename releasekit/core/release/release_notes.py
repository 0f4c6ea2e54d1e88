"""Release notes: what one release tells of all its packages, as data and as Markdown of a bounded length."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from releasekit.core.changelog.changelog import escape, told_notes
from releasekit.core.changelog.note_entries import Tale, Told
from releasekit.core.errors import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from releasekit.core.history.web_links import Web
    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.release.target import Target

OUR_TEMPLATE = "notes.md.jinja"

SMALLEST_LIMIT = 65_536
"""Characters that any text on a forge may have: those of a pull request on GitHub."""


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request, on GitLab a merge request. *author* is a login, *commit* what merging it has made, if it is.

    *head* is the last commit of its branch.
    """

    number: int
    title: str
    page: str
    author: str
    labels: tuple[str, ...] = ()
    branch: str = ""
    commit: str = ""
    head: str = ""


class Line(BaseModel):
    """One change in the notes. *scope*, *text* and *notes* are Markdown; *link* leads to its pull request or commit.

    *by* is who made it, as the forge shows people ("@ada"), or by name; *title* and *labels* are the pull request's.
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
    changes: tuple[Line, ...]


class NotesPackage(BaseModel):
    """A released package. *before* is empty for a first release; *page* is where the index shows it.

    *parts* leave out what breaks, which all stands in the notes' *breaking*, and so many more as *hidden* says, which
    *all* leads to.
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


class Breaking(BaseModel):
    """A breaking change, and the package that it breaks."""

    model_config = ConfigDict(frozen=True)

    package: str
    change: Line


class Newcomer(BaseModel):
    """Somebody whose first change is in this release, and a link to it."""

    model_config = ConfigDict(frozen=True)

    by: str
    link: str


class Notes(BaseModel):
    """What a template is given. *date* is "YYYY-MM-DD", *all* leads to all changes."""

    model_config = ConfigDict(frozen=True)

    title: str
    date: str
    packages: tuple[NotesPackage, ...]
    breaking: tuple[Breaking, ...]
    contributors: tuple[str, ...]
    newcomers: tuple[Newcomer, ...]
    all: str


# ---- from the plan to the notes -------------------------------------------------------------------------------------


def notes_of(
    plan: Plan,
    target: Target,
    web: Web,
    *,
    pulls: Mapping[str, Pull] | None = None,
    newcomers: Collection[str] = (),
    files: Mapping[str, str] | None = None,
) -> Notes:
    """Return the notes of *plan*.

    *pulls* are by sha, *newcomers* by name, *files* the changelogs in the repository by package.
    """
    teller = _Teller(web, pulls or {})
    packages: list[NotesPackage] = []
    breaking: list[Breaking] = []
    for step in plan.steps:
        tale = plan.tales.get(step.name, Tale())
        breaking += [Breaking(package=step.name, change=teller.line(told)) for told in tale.changes if told.breaking]
        packages.append(_package(step, tale, teller, target, _all(step, tale, web, (files or {}).get(step.name, ""))))
    every = [told for tale in plan.tales.values() for told in tale.changes]
    since = {tale.since for tale in plan.tales.values()}
    return Notes(
        title=plan.title,
        date=plan.date.replace(".", "-"),
        packages=tuple(packages),
        breaking=tuple(breaking),
        contributors=tuple(sorted({by for told in every if (by := teller.by(told))}, key=str.casefold)),
        newcomers=teller.first(every, newcomers),
        all=web.tag(plan.title, since.pop()) if len(since) == 1 and "" not in since else web.history(plan.title),
    )


def _package(step: Step, tale: Tale, teller: _Teller, target: Target, everything: str) -> NotesPackage:
    headings = dict.fromkeys(told.heading for told in tale.changes if not told.breaking)
    return NotesPackage(
        name=step.name,
        version=str(step.version),
        before=str(step.current) if tale.since else "",
        tag=step.tag,
        page=target.page(step.name, step.version),
        parts=tuple(
            NotesPart(
                heading=escape(heading),
                changes=tuple(teller.line(t) for t in tale.changes if t.heading == heading and not t.breaking),
            )
            for heading in headings
        ),
        all=everything,
    )


def _all(step: Step, tale: Tale, web: Web, file: str) -> str:
    """Return where all changes of a package stand: its changelog, or else what lies between its tags."""
    return web.file(file, step.tag) if file else web.tag(step.tag, tale.since)


class _Teller:
    """Knows how changes and people are shown."""

    def __init__(self, web: Web, pulls: Mapping[str, Pull]) -> None:
        self._web, self._pulls = web, pulls

    def line(self, told: Told) -> Line:
        pull = self._pulls.get(told.sha)
        text = escape(told.text, self._web)
        return Line(
            sha=told.sha,
            scope=_plain(escape(told.scope)),
            text=_plain(text),
            notes=tuple(_plain(note) for note in told_notes(told.notes, text, self._web)),
            link="" if pull and f"#{pull.number}]" in text else self.link(told),
            by=self.by(told),
            breaking=told.breaking,
            title=_plain(escape(pull.title)) if pull else "",
            labels=pull.labels if pull else (),
        )

    def link(self, told: Told) -> str:
        if pull := self._pulls.get(told.sha):
            return f"[{'!' if self._web.is_gitlab else '#'}{pull.number}]({pull.page})"
        page = self._web.commit(told.sha)
        return f"[{told.sha[:7]}]({page})" if page else told.sha[:7]

    def by(self, told: Told) -> str:
        """Return who made a change; nobody if a program did."""
        pull = self._pulls.get(told.sha)
        name = pull.author if pull and pull.author else told.author
        if not name or name.endswith("[bot]"):
            return ""
        return f"@{name}" if pull and pull.author else _plain(escape(name))

    def first(self, every: Sequence[Told], newcomers: Collection[str]) -> tuple[Newcomer, ...]:
        """Return who is new, in alphabetical order, each with the oldest of their changes that is told."""
        found: dict[str, str] = {}
        for told in every:
            if told.author in newcomers and (by := self.by(told)):
                found[by] = self.link(told)
        return tuple(Newcomer(by=by, link=found[by]) for by in sorted(found, key=str.casefold))


_MENTION = re.compile(r"(?P<code>(`+).+?\2)|(?<![\w/])@(?=\w)", re.DOTALL)


def _plain(text: str) -> str:
    """Return Markdown that calls nobody: `@dataclass` in a commit must not write to whoever is called so."""
    return _MENTION.sub(lambda found: found["code"] or "@<!-- -->", text)


# ---- from the notes to Markdown -------------------------------------------------------------------------------------

_LONG = 20
"""From so many changes a package on, also the texts of what breaks are told."""


def shortened(notes: Notes, most: int) -> Notes:
    """Return *notes* with at most so many changes for each package."""
    breaking = notes.breaking[: max(_LONG, most * 10)]
    if most < _LONG:
        breaking = tuple(
            each.model_copy(update={"change": each.change.model_copy(update={"notes": ()})}) for each in breaking
        )
    packages = tuple(_shortened(package, most) for package in notes.packages)
    return notes.model_copy(update={"breaking": breaking, "packages": packages})


def _shortened(package: NotesPackage, most: int) -> NotesPackage:
    left, parts = most, list[NotesPart]()
    for part in package.parts:
        if some := part.changes[:left]:
            parts.append(NotesPart(heading=part.heading, changes=some))
        left -= len(some)
    hidden = sum(len(part.changes) for part in package.parts) - (most - left)
    return package.model_copy(update={"parts": tuple(parts), "hidden": hidden})


def render(notes: Notes, template: str, limit: int, shown: str) -> str:
    """Return *notes* as the text of *template* has them, in at most *limit* characters; *shown* names it in errors.

    What is too long is shortened in the data, so that any template stays whole: ever fewer changes a package. Only
    what is too long even without any is cut, at the end of a line.
    Templates run in a sandbox (jinja2.sandbox). Raises Refusal RK-NOTES-TEMPLATE.
    """
    from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # What is made is Markdown, whose special characters are escaped as such.
    environment = ImmutableSandboxedEnvironment(
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        compiled = environment.from_string(template)

        def written(some: Notes) -> str:
            return tidy(compiled.render({name: getattr(some, name) for name in Notes.model_fields}))

        return _fitting(notes, written, limit)
    except TemplateSyntaxError as error:
        raise Refusal(Code.NOTES_TEMPLATE, str(error.message), f"{shown}:{error.lineno}") from None
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise Refusal(Code.NOTES_TEMPLATE, f"{type(error).__name__}: {error}", shown) from None


def _fitting(notes: Notes, written: Callable[[Notes], str], limit: int) -> str:
    """Return as much of *notes* as fits: the most changes a package that do, found by halving."""
    text = written(notes)
    if len(text) <= limit:
        return text
    text = written(shortened(notes, 0))
    fits, not_any_more = 0, max(sum(len(part.changes) for part in package.parts) for package in notes.packages)
    while not_any_more - fits > 1 and len(text) <= limit:
        most = (fits + not_any_more) // 2
        longer = written(shortened(notes, most))
        if len(longer) <= limit:
            fits, text = most, longer
        else:
            not_any_more = most
    return cut(text, limit, notes.all)


def tidy(text: str) -> str:
    """Return *text* without the empty lines that the tags of a template leave behind."""
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def cut(text: str, limit: int, link: str) -> str:
    """Return as many whole lines of *text* as fit into *limit* characters, and where the rest is."""
    if len(text) <= limit:
        return text
    rest = f"\n\n… shortened{f'; all of it: {link}' if link else ''}\n"
    return text[: limit - len(rest)].rpartition("\n")[0].rstrip() + rest
