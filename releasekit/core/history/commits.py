"""What commits say (Conventional Commits 1.0.0), and which of them still stand after the reverts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as git tells it; *files* are relative to the root of the repository."""

    sha: str
    parents: tuple[str, ...]
    message: str
    files: tuple[str, ...]

    @property
    def is_merge(self) -> bool:
        """Whether it has more than one parent."""
        return len(self.parents) > 1


class Subject(NamedTuple):
    """What a title is about: the innermost title, and how many reverts are wrapped around it."""

    text: str
    depth: int


@dataclass(frozen=True, slots=True)
class Reverts:
    """What a commit undoes, as far as its message tells; the most certain field that leads somewhere counts.

    *pull_requests* are numbers of pull requests. *mainline*: the parent that is gone back to, of a merge; by default
    its first. *is_partial_revert*: it does more than undo, so it counts besides.
    """

    shas: tuple[str, ...] = ()
    pull_requests: tuple[str, ...] = ()
    subject: Subject | None = None
    mainline: str = ""
    is_partial_revert: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A commit parsed by Conventional Commits 1.0.0; *type* is empty if it does not follow them.

    *notes* are the descriptions of its BREAKING CHANGE footers. *fixup*: it amends another commit (`fixup!`).
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
        """The whole sha."""
        return self.commit.sha

    @property
    def short_sha(self) -> str:
        """The sha as people see it."""
        return self.commit.sha[:7]

    @property
    def is_revert(self) -> bool:
        """Whether it does nothing but undo."""
        return self.reverts is not None and not self.reverts.is_partial_revert


# ---- one commit -----------------------------------------------------------------------------------------------------

# Item 1, 4, 5 and 13: type, optional scope, optional "!", colon and space, description. A scope may hold f().
_SCOPE = r"(?:[^()]|\([^()]*\))*"
_HEADER = re.compile(rf"(\w[\w-]*)(?:\(({_SCOPE})\))?(!)?:[ \t]+(\S.*)")
_FIXUP = re.compile(r"(?:(?:fixup|squash|amend)![ \t]+)+")
_BLANKS = " \t\r\n\v\f\ufeff"
# What moves a terminal's cursor, colours its text or turns the direction in which it is read.
CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def parse(commit: Commit) -> Change:
    """Read *commit*'s message by Conventional Commits 1.0.0.

    The title decides the type (item 1); footers count wherever squashing has put them in the body. Types and
    tokens may have any case but BREAKING CHANGE (item 15). A message of another form has type "".
    """
    title, body = _split_message(commit.message)
    fixup = _FIXUP.match(title)
    header = _HEADER.match(title, fixup.end() if fixup else 0)
    kind, scope, bang, description = header.groups() if header else ("", "", "", title)
    notes, release_as, refs = _footers(body) if _may_hold_footers(title, body) else ([], None, [])
    if title.startswith("BREAKING") and (note := _BREAKING.match(title)):
        notes.insert(0, note[1])
    kind = kind.lower()
    # What stands in the title of a fixup is said of the commit that it amends.
    breaking = bool(notes or (bang and not fixup))
    reverts = None if fixup or commit.is_merge else _reverts(title, body, kind, refs, more=breaking or kind == "feat")
    if not kind and reverts and not reverts.is_partial_revert:
        kind = "revert"
    return Change(
        commit=commit,
        title=title,
        type=kind,
        scope=(scope or "").strip(),
        description=description,
        breaking=breaking,
        notes=tuple(note for note in notes if note),
        release_as=description if kind == "release-as" else release_as,
        reverts=reverts,
        fixup=fixup is not None,
    )


def _split_message(message: str) -> tuple[str, str]:
    """Return the title and what follows it, with plain newlines, and nothing in it but text."""
    text = CONTROLS.sub("", message).strip(_BLANKS)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    title, _, body = text.partition("\n")
    return title.rstrip(), body


# ---- footers --------------------------------------------------------------------------------------------------------

# Item 12 and 16. As de-facto parsers do, it is also found in the middle of a paragraph and behind a squash bullet:
# a breaking change that goes unseen costs more than one seen twice.
_BREAKING = re.compile(r" {0,3}(?:\* +)?BREAKING[ -]CHANGE:[ \t]*(.*)")
_RELEASE_AS = re.compile(r"release-as:[ \t]*(.*)", re.IGNORECASE)
# Item 8 and 9: a word token, then ": " or " #".
_FOOTER = re.compile(r"([A-Za-z0-9][\w-]*)(?::[ \t]+|[ \t]+(?=#))(\S.*)")
# What GitHub puts between the messages of a squash merge, and above its Co-authored-by trailers.
_SQUASH_SEAM = re.compile(r"\* +\w[\w-]*(?:\([^)]*\))?!?: |-{3,}$")
_SHA = r"(?<![#\w])[0-9a-f]{7,64}\b"
_SHAS = re.compile(_SHA, re.IGNORECASE)


def _may_hold_footers(title: str, body: str) -> bool:
    """Tell at a glance whether any footer that matters can be in *body*; most bodies hold none."""
    if not body:
        return False
    lower = body.lower()
    return "BREAKING" in body or "release-as" in lower or ("refs" in lower and "revert" in title.lower())


def _footers(body: str) -> tuple[list[str], str | None, list[str]]:
    """Return the notes of BREAKING CHANGE footers, the last Release-As and the shas in Refs footers."""
    notes: list[str] = []
    release_as: str | None = None
    refs: list[str] = []
    for token, value in _split_footers(body):
        if token in {"BREAKING CHANGE", "BREAKING-CHANGE"}:
            notes.append(value)
        elif token == "release-as":  # noqa: S105 - a footer's token
            release_as = value.partition("\n")[0].strip()
        elif token == "refs":  # noqa: S105 - a footer's token
            refs += _SHAS.findall(value)
    return notes, release_as, refs


def _split_footers(body: str) -> Iterator[tuple[str, str]]:
    """Yield each footer's token, in lower case but for BREAKING CHANGE, and its whole value.

    A footer begins a paragraph or follows another (item 8). Its value goes on over lines and paragraphs, up to
    the next footer (item 10) or the seam of a squash merge. Nothing begins inside a code fence.
    """
    token, value = "", [""]
    after_blank, fenced = True, False
    for line in body.split("\n"):
        fenced ^= line.startswith("```")
        footer = None if fenced else _footer(line, anywhere=after_blank or bool(token))
        after_blank = not line.strip()
        if footer or _SQUASH_SEAM.match(line):
            yield token, "\n".join(value).strip()
            token, value = footer[0] if footer else "", [footer[1] if footer else ""]
        elif token:
            value.append(line)
    yield token, "\n".join(value).strip()


def _footer(line: str, *, anywhere: bool) -> tuple[str, str] | None:
    """Return the token and the first line of the footer that begins on *line*; *anywhere*: of any token."""
    if "BREAKING" in line and (breaking := _BREAKING.match(line)):
        return "BREAKING CHANGE", breaking[1]
    if not anywhere:
        return None
    if release_as := _RELEASE_AS.match(line):
        return "release-as", release_as[1]
    match = _FOOTER.match(line)
    return (match[1].lower(), match[2]) if match else None


# ---- what a commit reverts ------------------------------------------------------------------------------------------

_QUOTED = re.compile(r"(revert|reapply)s?[ \t]+[\"“](.+)[\"”]", re.IGNORECASE)
_TYPED = re.compile(rf"revert(?:\({_SCOPE}\))?!?:[ \t]+(.+)", re.IGNORECASE)
_QUOTES = ' \t"“”'
PULL_REQUEST = re.compile(r" ?\(#(\d+)\)")
OWN_PULL_REQUESTS = re.compile(r"(?:\(#\d+\) ?)+$")
_MERGED_PULL_REQUEST = re.compile(r"Merge pull request #(\d+) ")
_REVERTED_PULL_REQUEST = re.compile(r"^Reverts (?:[\w.-]+/[\w.-]+)?#(\d+)", re.MULTILINE)
# `git revert`, and with --reference: This reverts commit 1a2b3c4 (feat: x, 2026-01-31). Of a merge: …, reversing
# changes made to 2b3c4d5, which is the parent that `--mainline` names.
_THIS_REVERTS = re.compile(
    rf"this\s+reverts\s+commits?:?\s+({_SHA}(?:(?:\s*,\s*|\s+)(?:and\s+)?{_SHA})*)"
    r"(?:\s+\((.{1,300}), \d{4}-\d\d-\d\d\))?"
    rf"(?:,\s+reversing\s+changes\s+made\s+to\s+({_SHA}))?",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^\* ", re.MULTILINE)


def subject_of(title: str) -> Subject:
    """Return what *title* is about, however its reverts are written and whatever pull requests it names.

    `Reapply "x"` is what newer git writes for `Revert "Revert "x""`.
    """
    text, depth = PULL_REQUEST.sub("", title).strip(), 0
    while text[:2].lower() == "re":
        if quoted := _QUOTED.match(text):
            text, depth = quoted[2].strip(), depth + (2 if quoted[1].lower() == "reapply" else 1)
        elif typed := _TYPED.match(text):
            # `revert: Revert "x"` is git's title made conventional, not a revert of a revert.
            plain = _QUOTED.match(text, typed.start(1))
            text, depth = (plain[0], depth) if plain else (typed[1].strip(_QUOTES), depth + 1)
        else:
            break
    return Subject(text, depth)


def _reverts(title: str, body: str, kind: str, refs: Sequence[str], *, more: bool) -> Reverts | None:
    """Return what a message undoes, or None; *more*: it says that it does more than undo."""
    subject = _reverted_subject(title, kind)
    shas: list[str] = list(refs) if subject else []
    pull_requests: list[str] = _quoted_pull_requests(title) if subject else []
    by_reference: list[Subject] = []
    mainline = ""
    if "everts" in body:
        for match in _THIS_REVERTS.finditer(body):
            shas += _SHAS.findall(match[1])
            by_reference += [subject_of(match[2])] if match[2] else []
            mainline = mainline or (match[3] or "").lower()
        pull_requests += _REVERTED_PULL_REQUEST.findall(body)
    if not (subject or shas or pull_requests):
        return None
    return Reverts(
        shas=tuple(dict.fromkeys(sha.lower() for sha in shas)),
        pull_requests=tuple(dict.fromkeys(pull_requests)),
        subject=subject or next(iter(by_reference), None),
        mainline=mainline,
        # A feature, or a squash merge of several commits, may undo something on its way.
        is_partial_revert=subject is None and (more or bool(_BULLET.search(body))),
    )


def _reverted_subject(title: str, kind: str) -> Subject | None:
    """Return the subject of the commit that *title* says it reverts: its own, one revert less."""
    if kind != "revert" and not _QUOTED.match(title):
        return None
    text, depth = subject_of(title)
    return Subject(text, depth - 1) if depth else None


def _quoted_pull_requests(title: str) -> list[str]:
    """Return the pull request of the commit that *title* quotes, as in `Revert "x (#12)" (#13)`."""
    quoted = _QUOTED.search(title)
    if quoted and quoted[1].lower() == "reapply":
        return []
    inner = OWN_PULL_REQUESTS.search(quoted[2] if quoted else title)
    return PULL_REQUEST.findall(inner[0]) if inner else []


# ---- a whole history ------------------------------------------------------------------------------------------------


def parse_history(commits: Sequence[Commit], walk: Sequence[Commit] = ()) -> tuple[Change, ...]:
    """Read *commits*, and look what they revert up in *walk*, or among themselves.

    More than `parse` on each: abbreviated shas are completed, and a revert of a merge names the commits that the
    merge brought in, since it undoes those. The walk must have no gaps: where a commit is left out because it
    touches no package, nobody can tell what lies before a merge and what came with it.
    """
    changes = tuple(map(parse, commits))
    if not any(change.reverts for change in changes):
        return changes
    resolver = _RevertResolver(walk or commits)
    return tuple(resolver.complete(change) for change in changes)


class _RevertResolver:
    """A history in which reverts are looked up."""

    def __init__(self, commits: Sequence[Commit]) -> None:
        self._commits = commits
        self._shas = ShaIndex([commit.sha for commit in commits])
        self._merges = {
            match[1]: commit.sha
            for commit in commits
            if commit.is_merge and (match := _MERGED_PULL_REQUEST.match(commit.message))
        }

    def complete(self, change: Change) -> Change:
        """Return *change* with whole shas, and with merged commits in place of a merge."""
        reverts = change.reverts
        if reverts is None:
            return change
        merges = [self._merges[number] for number in reverts.pull_requests if number in self._merges]
        shas = [whole for sha in (*reverts.shas, *merges) for whole in self._resolve(sha, reverts.mainline)]
        return replace(change, reverts=replace(reverts, shas=tuple(dict.fromkeys(shas))))

    def _resolve(self, sha: str, mainline: str) -> list[str]:
        index = self._shas.index_of(sha)
        if index is None:
            return [sha]
        commit = self._commits[index]
        # The merge itself counts for nothing anyway, so only what it brought in is named.
        return (commit.is_merge and list(self._commits_of_merge(commit, mainline))) or [commit.sha]

    def _commits_of_merge(self, merge: Commit, mainline: str) -> Iterator[str]:
        """Yield what *merge* has that its parent *mainline*, or else the first one, has not."""
        named = [parent for parent in merge.parents if mainline and parent.startswith(mainline)]
        before = set(self._reachable(named or merge.parents[:1], ()))
        return self._reachable(merge.parents, before)

    def _reachable(self, shas: Sequence[str], but_not: Container[str]) -> Iterator[str]:
        ahead, seen = list(shas), set[str]()
        while ahead:
            sha = ahead.pop()
            index = self._shas.index_of(sha)
            if index is not None and sha not in seen and sha not in but_not:
                seen.add(sha)
                yield sha
                ahead += self._commits[index].parents


class ShaIndex:
    """Finds the place of a sha, whole or abbreviated, in a sequence; each length is indexed when first asked for."""

    def __init__(self, shas: Sequence[str]) -> None:
        self._shas = shas
        self._by_length: dict[int, dict[str, int]] = {}

    def index_of(self, sha: str) -> int | None:
        """Return the index of *sha* in the sequence, None if it is not there."""
        length = len(sha)
        if length not in self._by_length:
            self._by_length[length] = {whole[:length]: index for index, whole in enumerate(self._shas)}
        return self._by_length[length].get(sha)


# ---- what stands ----------------------------------------------------------------------------------------------------
