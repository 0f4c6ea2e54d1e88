"""The confirmation before a change: the proposal, the answer, and the protocol to ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Protocol, TypeAlias

from releasekit.core.errors import ErrorCode, Refusal

if TYPE_CHECKING:
    from releasekit.core.adoption.findings import Adoption, Question
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.rollback_plan import Rollback
    from releasekit.core.repair.inconsistencies import RepairReport
    from releasekit.core.repair.yank_impact import YankReport

    Subject: TypeAlias = "Plan | Rollback | Adoption | FileDiffs | RepairReport | YankReport"


@dataclass(frozen=True, slots=True)
class FileDiffs:
    """The proposed changes of files: one unified diff for each file."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that needs a confirmation.

    *details* say what a yes makes public. With *is_resumed*, the release was approved before and now continues.
    With *needs_person*, only a person who reads the question can say yes: a yes in advance does not count.
    *repeat_reason* is the reason for a second question. If an answer can take long, it expires after *timeout* seconds.
    """

    question: str
    subject: Subject
    details: tuple[str, ...] = ()
    is_resumed: bool = False
    needs_person: bool = False
    repeat_reason: str = ""
    timeout: float = inf


@dataclass(frozen=True, slots=True)
class ConfirmationAnswer:
    """A yes or a no with its *reason*, and a *hint* that replaces the usual one.

    *excluded* are the names of packages to leave out. *was_asked* is false if it was not possible to ask.
    """

    accepted: bool
    reason: str = ""
    hint: str = ""
    excluded: tuple[str, ...] = ()
    was_asked: bool = True

    def require_yes(self) -> None:
        """Raise Refusal RK-NOT-CONFIRMED if the answer is no."""
        if not self.accepted:
            raise Refusal(ErrorCode.NOT_CONFIRMED, self.reason, hint=self.hint)


class Confirmation(Protocol):
    """The person or program that decides whether a change is made."""

    async def show(self, subject: Subject) -> None:
        """Show what would change, before the question."""

    def can_take_hours(self, proposal: Proposal) -> bool:
        """Return whether the answer to *proposal* can take hours. Then the caller must not wait with a lock."""
        ...

    async def ask(self, proposal: Proposal) -> ConfirmationAnswer:
        """Return the answer to *proposal*."""
        ...


class Interview(Confirmation, Protocol):
    """A confirmation that also answers questions with several choices."""

    async def choose(self, question: Question) -> str:
        """Return the answer to *question*; its default if nobody can answer."""
        ...

    async def show_changes(self, adoption: Adoption, *, tag_baselines: bool) -> None:
        """Show the changes of files that *adoption* proposes, and what is to be done by hand.

        With *tag_baselines*, show the tags to make too.
        """


class AssumeYes:
    """Shows nothing, and answers yes unless a person must answer. For callers that have the confirmation already."""

    async def show(self, subject: Subject) -> None:
        """Show nothing."""

    def can_take_hours(self, proposal: Proposal) -> bool:  # noqa: ARG002
        """Return False: the answer comes at once."""
        return False

    async def ask(self, proposal: Proposal) -> ConfirmationAnswer:
        """Return a yes, or a no if a person must answer."""
        return ConfirmationAnswer(accepted=not proposal.needs_person, was_asked=False)
