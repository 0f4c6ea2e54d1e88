"""The yes before a change: what is proposed, the answer, and how to ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Protocol, TypeAlias

from releasekit.core.errors import ErrorCode, Refusal

if TYPE_CHECKING:
    from releasekit.core.adoption import Adoption
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.rollback_plan import Rollback

    Subject: TypeAlias = "Plan | Rollback | Adoption | FileDiffs"


@dataclass(frozen=True, slots=True)
class FileDiffs:
    """How files would change: one unified diff for each."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that needs a yes.

    *details* say what a yes makes public. With *is_resumed*, a release continues that somebody has approved before.
    *repeat_reason* is the reason for a second question. An answer after *timeout* seconds does not count, where answers
    can take that long.
    """

    question: str
    subject: Subject
    details: tuple[str, ...] = ()
    is_resumed: bool = False
    repeat_reason: str = ""
    timeout: float = inf


@dataclass(frozen=True, slots=True)
class ConfirmationAnswer:
    """A yes or a no, with its *reason*, and the *hint* that replaces the usual one.

    *excluded* names packages to leave out. *was_asked* is false if nobody could be asked.
    """

    accepted: bool
    reason: str = ""
    hint: str = ""
    excluded: tuple[str, ...] = ()
    was_asked: bool = True

    def require_yes(self) -> None:
        """Raise Refusal RK-NOT-CONFIRMED for a no."""
        if not self.accepted:
            raise Refusal(ErrorCode.NOT_CONFIRMED, self.reason, hint=self.hint)


class Confirmation(Protocol):
    """Someone who decides whether a change is made."""

    async def show(self, subject: Subject) -> None:
        """Show what would change, before the question."""

    def can_take_hours(self, proposal: Proposal) -> bool:
        """Return whether the answer to *proposal* can take hours: then nobody may hold a lock while waiting."""
        ...

    async def ask(self, proposal: Proposal) -> ConfirmationAnswer:
        """Return the answer to *proposal*."""
        ...


class AssumeYes:
    """Shows nothing and asks nobody: whoever started this has agreed already."""

    async def show(self, subject: Subject) -> None:
        """Show nothing."""

    def can_take_hours(self, proposal: Proposal) -> bool:  # noqa: ARG002
        """Return False: the answer is there at once."""
        return False

    async def ask(self, proposal: Proposal) -> ConfirmationAnswer:  # noqa: ARG002
        """Return a yes."""
        return ConfirmationAnswer(accepted=True)
