"""The content of the release notes for one package, as stored in the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from releasekit.core.changelog.changelog import ChangelogEntry, PreviousRelease


class NoteChange(BaseModel):
    """One change as stored in the plan: *text* is the description in the commit message, *author* a name."""

    model_config = ConfigDict(frozen=True)

    sha: str
    heading: str
    scope: str = ""
    text: str
    breaking: bool = False
    notes: tuple[str, ...] = ()
    author: str = ""


class PackageNotes(BaseModel):
    """The changes of one package since the tag *since*: by heading, newest first under each."""

    model_config = ConfigDict(frozen=True)

    since: str = ""
    changes: tuple[NoteChange, ...] = ()


def package_notes(entry: ChangelogEntry, since: PreviousRelease, authors: Mapping[str, str]) -> PackageNotes:
    """Return the notes for the plan, with the same changes as the changelog *entry*; *authors* are by sha."""
    return PackageNotes(
        since=since.tag,
        changes=tuple(
            NoteChange(
                sha=change.sha,
                heading=part.heading,
                scope=change.scope,
                text=change.description,
                breaking=change.breaking,
                notes=change.notes,
                author=authors.get(change.sha, ""),
            )
            for part in entry.parts
            for change in part.changes
        ),
    )
