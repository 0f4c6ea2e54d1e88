"""What release notes say about one package: kept with the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from releasekit.core.changelog.changelog import Entry, Since


class Told(BaseModel):
    """One change as the plan keeps it: *text* is its description as the commit has it, *author* a name."""

    model_config = ConfigDict(frozen=True)

    sha: str
    heading: str
    scope: str = ""
    text: str
    breaking: bool = False
    notes: tuple[str, ...] = ()
    author: str = ""


class Tale(BaseModel):
    """What there is to tell about one package: since which tag, and its changes by heading, newest first."""

    model_config = ConfigDict(frozen=True)

    since: str = ""
    changes: tuple[Told, ...] = ()


def tale_of(entry: Entry, since: Since, authors: Mapping[str, str]) -> Tale:
    """Return what the plan keeps for the notes, of the same changes as the changelog tells; *authors* are by sha."""
    return Tale(
        since=since.tag,
        changes=tuple(
            Told(
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
