"""What a rule of verification is, and what it yields."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from releasekit.core.errors import ErrorCode
from releasekit.core.text import summarize

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from releasekit.core.artifacts.archive_facts import BuiltArtifacts


class RuleSeverity(StrEnum):
    """How severe a finding is: an error stops the release before anything is public, a warning is shown."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """What a rule has found in the archive *file*. *severity* replaces that of the rule."""

    file: str
    text: str
    severity: RuleSeverity | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of verification: its code, the usual severity, and the function that finds what breaks it."""

    code: ErrorCode
    severity: RuleSeverity
    find: Callable[[BuiltArtifacts], Iterable[Problem]]


class ArtifactFinding(BaseModel):
    """One finding about a built file, as shown. *waived* is the reason of the waiver that covers it, else empty."""

    model_config = ConfigDict(frozen=True)

    rule: ErrorCode
    severity: RuleSeverity
    file: str
    text: str
    waived: str = ""

    @property
    def stops(self) -> bool:
        """Whether it stops the release."""
        return self.severity is RuleSeverity.ERROR and not self.waived

    def __str__(self) -> str:
        return (
            f"{self.rule}: {self.file}: {self.text}" if self.file else f"{self.rule}: {self.text}"
        )


def list_problem(
    file: str, message: str, names: Collection[str], severity: RuleSeverity | None = None
) -> Iterator[Problem]:
    """Yield one problem of *file* with the first of *names* after *message*; nothing without names."""
    if names:
        yield Problem(file, f"{message}: {summarize(list(map(printable, names)))}", severity)


def printable(text: str, limit: int = 120) -> str:
    """Return *text* with escapes in place of what a terminal would obey or hide, shortened to *limit* characters."""
    shown = "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )
    return shown if len(shown) <= limit else f"{shown[:limit]}…"
