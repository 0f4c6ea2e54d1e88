"""Commit messages parsed by Conventional Commits 1.0.0, and the commits that they revert."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as git reports it; *files* are relative to the root of the repository.

    *release* is the title of the release that it makes, empty for other commits; see `ReleaseCommits`.
    """

    sha: str
    parents: tuple[str, ...]
    message: str
    files: tuple[str, ...]
    release: str = ""

    @property
    def is_merge(self) -> bool:
        """Whether it has more than one parent."""
        return len(self.parents) > 1


class Subject(NamedTuple):
    """The subject of a title: *text*, the innermost title, and *depth*, the number of reverts around it."""

    text: str
    depth: int


@dataclass(frozen=True, slots=True)
class Reverts:
    """What a commit undoes, by its message. *shas* count first, then *pull_requests* (numbers), then *subject*.

    A field counts only if it matches a commit. *mainline* is the parent to which the revert of a merge returns; empty
    means the first. *is_partial_revert* is true if the commit does more than undo, so that it also counts as a change.
    """

    shas: tuple[str, ...] = ()
    pull_requests: tuple[str, ...] = ()
    subject: Subject | None = None
    mainline: str = ""
    is_partial_revert: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A commit parsed by Conventional Commits 1.0.0; *type* is empty if its message does not follow them.

    *notes* are the texts of its BREAKING CHANGE footers. *fixup* is true if it amends another commit (`fixup!`).
    """

    commit: Commit
    title: str
    type: str = ""
    scope: str = ""
    description: str = ""
    breaking: bool = False
    notes: tuple[str, ...] = ()
    release_as: str | None = None
    reverts: Reverts | None = None
    fixup: bool = False

    @property
    def sha(self) -> str:
        """The full sha."""
        return self.commit.sha

    @property
    def short_sha(self) -> str:
        """The first seven characters of the sha, for display."""
        return self.commit.sha[:7]

    @property
    def is_revert(self) -> bool:
        """Whether it only undoes other commits."""
        return self.reverts is not None and not self.reverts.is_partial_revert


# ---- one commit -----------------------------------------------------------------------------------------------------

# Item 1, 4, 5 and 13: type, optional scope, optional "!", colon and space, description. A scope may contain f().
_SCOPE = r"(?:[^()]|\([^()]*\))*"
_HEADER = re.compile(rf"(\w[\w-]*)(?:\(({_SCOPE})\))?(!)?:[ \t]+(\S.*)")
_FIXUP = re.compile(r"^(?:(?:fixup|squash|amend)![ \t]+)+")
_BLANKS = " \t\r\n\v\f\ufeff"
# Characters that move a terminal's cursor, colour its text or change the reading direction.
CONTROLS = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def parse(commit: Commit) -> Change:
    """Return *commit* as a Change, parsed by Conventional Commits 1.0.0.

    The title decides the type (item 1). Footers count anywhere in the body, because squashing moves them. Types and
    tokens may have any case, except BREAKING CHANGE (item 15). A message of another form has the type "".
    """
    title, body = _split_message(commit.message)
    amending_title = _FIXUP.sub("", title)
    is_fixup = amending_title != title
    header = _HEADER.match(amending_title)
    kind, scope, bang, description = header.groups("") if header else ("", "", "", title)
    footers = _read_footers(body) if _may_hold_footers(title, body) else _NO_FOOTERS
    notes = footers.notes
    if note := _BREAKING_TITLE.match(title):
        notes = (note[1], *notes)
    is_marked = bang and not is_fixup  # The title of a fixup describes the commit that it amends.
    change = Change(
        commit=commit,
        title=title,
        type=kind.lower(),
        scope=scope.strip(),
        description=description,
        breaking=bool(notes or is_marked),
        notes=tuple(filter(None, notes)),
        release_as=footers.release_as,
        fixup=is_fixup,
    )
    if change.type == "release-as":
        change = replace(change, release_as=description)
    if is_fixup or commit.is_merge:
        return change
    return _with_reverts(change, body, footers.refs)


def _with_reverts(change: Change, body: str, refs: Sequence[str]) -> Change:
    """Return *change* with what its message undoes; *refs* are the shas in its footers."""
    announces_change = change.breaking or change.type == "feat"
    reverts = _reverts(change.title, body, change.type, refs, more=announces_change)
    if reverts is None:
        return change
    is_untyped_revert = not change.type and not reverts.is_partial_revert
    kind = "revert" if is_untyped_revert else change.type
    return replace(change, type=kind, reverts=reverts)


def _split_message(message: str) -> tuple[str, str]:
    """Return the title and the body, with plain newlines and without control characters."""
    text = CONTROLS.sub("", message[:_LONGEST_MESSAGE]).strip(_BLANKS)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    title, _, body = text.partition("\n")
    return _shorten_title(title.rstrip()), body


_LONGEST_MESSAGE = 1_000_000
"""The number of characters of a message that are read; those of people are shorter."""
_LONGEST_TITLE = 1_000


def _shorten_title(title: str) -> str:
    return title if len(title) <= _LONGEST_TITLE else f"{title[:_LONGEST_TITLE]}…"


# ---- footers --------------------------------------------------------------------------------------------------------

# Item 12 and 16. As in de-facto parsers, it also counts in the middle of a paragraph and after a squash bullet:
# a missed breaking change costs more than one found twice.
_BREAKING_TITLE = re.compile(r"BREAKING[ -]CHANGE:[ \t]*(.*)")
_BREAKING = re.compile(rf" {{0,3}}(?:\* +)?{_BREAKING_TITLE.pattern}")
_RELEASE_AS = re.compile(r"release-as:[ \t]*(.*)", re.IGNORECASE)
# Item 8 and 9: a word token, then ": " or " #".
_FOOTER = re.compile(r"([A-Za-z0-9][\w-]*)(?::[ \t]+|[ \t]+(?=#))(\S.*)")
# GitHub puts this between the messages of a squash merge, and above its Co-authored-by trailers.
_SQUASH_SEAM = re.compile(r"\* +\w[\w-]*(?:\([^)]*\))?!?: |-{3,}$")
_SHA = r"(?<![#\w])[0-9a-f]{7,64}\b"
_SHAS = re.compile(_SHA, re.IGNORECASE)


def _may_hold_footers(title: str, body: str) -> bool:
    """Return quickly whether *body* may contain a footer that matters; most bodies contain none."""
    lower_body = body.lower()
    has_refs = "refs" in lower_body and "revert" in title.lower()
    return has_refs or "BREAKING" in body or "release-as" in lower_body


class _Footers(NamedTuple):
    """The notes of BREAKING CHANGE footers, the last Release-As, and the shas in Refs footers."""

    notes: tuple[str, ...] = ()
    release_as: str | None = None
    refs: tuple[str, ...] = ()


_NO_FOOTERS = _Footers()


def _read_footers(body: str) -> _Footers:
    values: dict[str, list[str]] = defaultdict(list)
    for token, value in _split_footers(body):
        values[token].append(value)
    release_as = None
    if requests := values["release-as"]:
        release_as = requests[-1].partition("\n")[0].strip()
    refs = "\n".join(values["refs"])
    return _Footers(
        notes=tuple(values["BREAKING CHANGE"]),
        release_as=release_as,
        refs=tuple(_SHAS.findall(refs)),
    )


def _split_footers(body: str) -> Iterator[tuple[str, str]]:
    """Yield the token of each footer, in lower case except for BREAKING CHANGE, and its whole value.

    A footer starts a paragraph or follows another footer (item 8). Its value continues over lines and paragraphs, up
    to the next footer (item 10) or the separator of a squash merge. No footer starts inside a code fence. A pair with
    an empty token holds text that belongs to no footer.
    """
    token, value = "", [""]
    after_blank, fenced = True, False
    for line in body.split("\n"):
        fenced ^= line.startswith("```")
        is_anywhere = after_blank or bool(token)
        next_token, text = _NO_FOOTER if fenced else _footer(line, anywhere=is_anywhere)
        after_blank = not line.strip()
        if next_token or _SQUASH_SEAM.match(line):
            yield token, "\n".join(value).strip()
            token, value = next_token, [text]
        elif token:
            value.append(line)
    yield token, "\n".join(value).strip()


_NO_FOOTER = ("", "")


def _footer(line: str, *, anywhere: bool) -> tuple[str, str]:
    """Return the token and first line of the footer that starts on *line*; *anywhere* allows any token."""
    if breaking := _BREAKING.match(line):
        return "BREAKING CHANGE", breaking[1]
    if not anywhere:
        return _NO_FOOTER
    if release_as := _RELEASE_AS.match(line):
        return "release-as", release_as[1]
    if footer := _FOOTER.match(line):
        token, value = footer.groups()
        return token.lower(), value
    return _NO_FOOTER


# ---- what a commit reverts ------------------------------------------------------------------------------------------

_QUOTED = re.compile(r"(revert|reapply)s?[ \t]+[\"“](.+)[\"”]", re.IGNORECASE)
_TYPED = re.compile(rf"revert(?:\({_SCOPE}\))?!?:[ \t]+(.+)", re.IGNORECASE)
_DEPTHS = {"revert": 1, "reapply": 2}
_QUOTES = ' \t"“”'
_PULL_REQUEST = re.compile(r" ?\(#(\d+)\)")
_OWN_PULL_REQUESTS = re.compile(r"(?:\(#\d+\) ?)+$")
_MERGED_PULL_REQUEST = re.compile(r"Merge pull request #(\d+) ")
_REVERTED_PULL_REQUEST = re.compile(r"^Reverts (?:[\w.-]+/[\w.-]+)?#(\d+)", re.MULTILINE)
# `git revert`, also with --reference: This reverts commit 1a2b3c4 (feat: x, 2026-01-31). For a merge: …, reversing
# changes made to 2b3c4d5, which is the parent that `--mainline` names.
_THIS_REVERTS = re.compile(
    rf"this\s+reverts\s+commits?:?\s+({_SHA}(?:(?:\s*,\s*|\s+)(?:and\s+)?{_SHA})*)"
    r"(?:\s+\((.{1,300}), \d{4}-\d\d-\d\d\))?"
    rf"(?:,\s+reversing\s+changes\s+made\s+to\s+({_SHA}))?",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^\* ", re.MULTILINE)


def subject_of(title: str) -> Subject:
    """Return the subject of *title*, without its reverts in any notation and without pull request numbers.

    Newer git writes `Reapply "x"` for `Revert "Revert "x""`.
    """
    text, depth = _PULL_REQUEST.sub("", title).strip(), 0
    while text[:2].lower() == "re":
        if quoted := _QUOTED.match(text):
            text = quoted[2].strip()
            depth += _DEPTHS[quoted[1].lower()]
            continue
        typed = _TYPED.match(text)
        if typed is None:
            break
        plain = _QUOTED.match(text, typed.start(1))
        if plain:
            # `revert: Revert "x"` is git's title made conventional, not a revert of a revert.
            text = plain[0]
        else:
            text = typed[1].strip(_QUOTES)
            depth += 1
    return Subject(text, depth)


def _reverts(
    title: str, body: str, kind: str, refs: Sequence[str], *, more: bool
) -> Reverts | None:
    """Return what a message undoes, or None; *more* is true if the message also announces a change."""
    in_title = _reverts_in_title(title, kind, refs)
    in_body = _reverts_in_body(body)
    if in_title is in_body is _NOTHING:
        return None
    shas = (*in_title.shas, *in_body.shas)
    pull_requests = (*in_title.pull_requests, *in_body.pull_requests)
    is_revert = in_title.subject or shas or pull_requests
    if not is_revert:
        return None
    # A feature, or a squash merge of several commits, may also undo something.
    does_more = more or _BULLET.search(body) is not None
    return Reverts(
        shas=tuple(dict.fromkeys(map(str.lower, shas))),
        pull_requests=tuple(dict.fromkeys(pull_requests)),
        subject=in_title.subject or in_body.subject,
        mainline=in_body.mainline,
        is_partial_revert=does_more and in_title.subject is None,
    )


_NOTHING = Reverts()
"""What most messages undo."""


def _reverts_in_title(title: str, kind: str, refs: Sequence[str]) -> Reverts:
    """Return what *title* undoes; *refs* are the shas in the footers, which count only for such a title."""
    subject = _reverted_subject(title, kind)
    if subject is None:
        return _NOTHING
    return Reverts(
        shas=tuple(refs),
        pull_requests=tuple(_quoted_pull_requests(title)),
        subject=subject,
    )


def _reverts_in_body(body: str) -> Reverts:
    """Return what the sentences in *body* undo; of several subjects and mainlines, the first counts."""
    if "everts" not in body:
        return _NOTHING
    shas: list[str] = []
    subject: Subject | None = None
    mainline = ""
    for match in _THIS_REVERTS.finditer(body):
        named_shas, reference, parent = match.groups(default="")
        shas += _SHAS.findall(named_shas)
        mainline = mainline or parent.lower()
        if subject is None and reference:
            subject = subject_of(reference)
    return Reverts(
        shas=tuple(shas),
        pull_requests=tuple(_REVERTED_PULL_REQUEST.findall(body)),
        subject=subject,
        mainline=mainline,
    )


def _reverted_subject(title: str, kind: str) -> Subject | None:
    """Return the subject of the commit that *title* reverts: its own subject with one revert less; None if none."""
    if kind != "revert" and not _QUOTED.match(title):
        return None
    text, depth = subject_of(title)
    if not depth:
        return None
    return Subject(text, depth - 1)


def _quoted_pull_requests(title: str) -> list[str]:
    """Return the pull request of the commit that *title* quotes, as in `Revert "x (#12)" (#13)`."""
    quoted = _QUOTED.search(title)
    verb, reverted_title = quoted.groups() if quoted else ("", title)
    if verb.lower() == "reapply":
        return []
    return own_pull_requests(reverted_title)


def own_pull_requests(title: str) -> list[str]:
    """Return the numbers of the pull requests at the end of *title*, as in `x (#12)`."""
    own = _OWN_PULL_REQUESTS.search(title)
    if own is None:
        return []
    return _PULL_REQUEST.findall(own[0])


# ---- a whole history ------------------------------------------------------------------------------------------------


def parse_history(commits: Sequence[Commit], walk: Sequence[Commit] = ()) -> tuple[Change, ...]:
    """Parse *commits*, and resolve what they revert in *walk*, or among themselves if *walk* is empty.

    This does more than `parse` on each: it completes abbreviated shas, and a revert of a merge names the commits that
    the merge brought in, because it undoes those. The walk must have no gaps. If it leaves out a commit because it
    touches no package, the commits before a merge and those that came with it cannot be distinguished.
    """
    changes = tuple(map(parse, commits))
    if not any(change.reverts for change in changes):
        return changes
    resolver = _RevertResolver(walk or commits)
    return tuple(map(resolver.complete, changes))


class _RevertResolver:
    """Resolves reverts in a history."""

    def __init__(self, commits: Sequence[Commit]) -> None:
        self._commits = commits
        self._shas = ShaIndex(commits)
        # By number, the commit that merged a pull request.
        self._merges = {
            match[1]: commit.sha
            for commit in commits
            if commit.is_merge and (match := _MERGED_PULL_REQUEST.match(commit.message))
        }

    def complete(self, change: Change) -> Change:
        """Return *change* with full shas, and with the merged commits in place of a merge."""
        reverts = change.reverts
        if reverts is None:
            return change
        merges = filter(None, map(self._merges.get, reverts.pull_requests))
        shas: list[str] = []
        for sha in (*reverts.shas, *merges):
            shas += self._resolve(sha, reverts.mainline)
        resolved = replace(reverts, shas=tuple(dict.fromkeys(shas)))
        return replace(change, reverts=resolved)

    def _resolve(self, sha: str, mainline: str) -> list[str]:
        index = self._shas.index_of(sha)
        if index is None:
            return [sha]
        commit = self._commits[index]
        if not commit.is_merge:
            return [commit.sha]
        # A merge itself never counts, so only the commits that it brought in are named.
        merged = list(self._commits_of_merge(commit, mainline))
        return merged or [commit.sha]

    def _commits_of_merge(self, merge: Commit, mainline: str) -> Iterator[str]:
        """Yield the commits of *merge* that its parent *mainline* (by default the first) does not contain."""
        parents = merge.parents[:1]
        if mainline:
            named = tuple(parent for parent in merge.parents if parent.startswith(mainline))
            parents = named or parents
        before = set(self._reachable(parents, ()))
        return self._reachable(merge.parents, before)

    def _reachable(self, shas: Sequence[str], but_not: Container[str]) -> Iterator[str]:
        ahead, seen = list(shas), set[str]()
        while ahead:
            sha = ahead.pop()
            index = self._shas.index_of(sha)
            if index is None or sha in seen or sha in but_not:
                continue
            seen.add(sha)
            yield sha
            ahead += self._commits[index].parents


class ShaIndex:
    """Finds the index of a commit by its full or abbreviated sha; indexes each length on first use."""

    def __init__(self, commits: Iterable[Commit]) -> None:
        self._shas = [commit.sha for commit in commits]
        self._by_length: dict[int, dict[str, int]] = {}

    def index_of(self, sha: str) -> int | None:
        """Return the index of the commit *sha*, None if it is missing."""
        length = len(sha)
        if length not in self._by_length:
            self._by_length[length] = {
                whole[:length]: index for index, whole in enumerate(self._shas)
            }
        return self._by_length[length].get(sha)
