"""The content of the release notes for one package, as stored in the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from releasekit.core.config.bump_rules import Bump

if TYPE_CHECKING:
    from collections.abc import Mapping

    from releasekit.core.changelog.changelog import ChangelogEntry, PreviousRelease
    from releasekit.core.history.change_files import FileChange
    from releasekit.core.history.commits import Change


class NoteChange(BaseModel):
    """One change as stored in the plan: *text* is the description in the commit message, *author* a name.

    If it comes from a change file, *file* is its path, *text* is Markdown, and *sha* is empty.
    """

    model_config = ConfigDict(frozen=True)

    sha: str = ""
    file: str = ""
    heading: str
    scope: str = ""
    text: str
    breaking: bool = False
    notes: tuple[str, ...] = ()
    author: str = ""


class PackageNotes(BaseModel):
    """The changes of one package since the tag *since*: by heading, change files first, then commits, newest first."""

    model_config = ConfigDict(frozen=True)

    since: str = ""
    changes: tuple[NoteChange, ...] = ()


def package_notes(
    entry: ChangelogEntry, since: PreviousRelease, authors: Mapping[str, str]
) -> PackageNotes:
    """Return the notes for the plan, with the same changes as the changelog *entry*; *authors* are by sha."""
    changes: list[NoteChange] = []
    for part in entry.parts:
        changes += [_note_of_file(file, part.heading) for file in part.files]
        changes += [
            _note_of_commit(change, part.heading, authors.get(change.sha, ""))
            for change in part.changes
        ]
    return PackageNotes(since=since.tag, changes=tuple(changes))


def _note_of_file(file: FileChange, heading: str) -> NoteChange:
    return NoteChange(
        file=file.path, heading=heading, text=file.text, breaking=file.bump is Bump.MAJOR
    )


def _note_of_commit(change: Change, heading: str, author: str) -> NoteChange:
    return NoteChange(
        sha=change.sha,
        heading=heading,
        scope=change.scope,
        text=change.description,
        breaking=change.breaking,
        notes=change.notes,
        author=author,
    )
