"""What release notes say about one package: kept with the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from releasekit.core.changelog.changelog import ChangelogEntry, PreviousRelease


class NoteChange(BaseModel):
    """One change as the plan keeps it: *text* is its description as the commit has it, *author* a name."""

    model_config = ConfigDict(frozen=True)

    sha: str
    heading: str
    scope: str = ""
    text: str
    breaking: bool = False
    notes: tuple[str, ...] = ()
    author: str = ""


class PackageNotes(BaseModel):
    """What there is to tell about one package: since which tag, and its changes by heading, newest first."""

    model_config = ConfigDict(frozen=True)

    since: str = ""
    changes: tuple[NoteChange, ...] = ()


def package_notes(entry: ChangelogEntry, since: PreviousRelease, authors: Mapping[str, str]) -> PackageNotes:
    """Return what the plan keeps for the notes, of the same changes as the changelog tells; *authors* are by sha."""
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
