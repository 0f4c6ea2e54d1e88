"""Ask the user for confirmation on the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from releasekit.cli.render import repair_tables, tables, terminal
from releasekit.core.adoption.findings import Adoption
from releasekit.core.planning.model import Plan
from releasekit.core.repair.inconsistencies import RepairReport
from releasekit.core.repair.yank_impact import YankReport
from releasekit.logging import is_verbose
from releasekit.operations.confirmation import ConfirmationAnswer, FileDiffs

if TYPE_CHECKING:
    from rich.console import RenderableType

    from releasekit.core.adoption.findings import Question
    from releasekit.core.release.rollback_plan import Rollback
    from releasekit.operations.confirmation import Proposal, Subject

_NO_TERMINAL = "confirmation required, but this is not a terminal; pass --yes"
_UNCHANGED = "Nothing was changed. Run the command again to decide anew."


@dataclass(frozen=True, slots=True)
class TerminalConfirmation:
    """Asks on the terminal; without a terminal the answer is no. With *yes* (`--yes`) the answer is yes, unasked.

    With *quiet*, the findings of `init` are not shown, because its JSON output contains them.
    """

    yes: bool = False
    quiet: bool = False

    async def show(self, subject: Subject) -> None:
        """Show it on standard error; the findings of `init` on standard output, because they are the command's output.

        A plan with obstacles is not shown, because the error lists them. A rollback, a repair or a yank is shown only
        if a question follows.
        """
        if isinstance(subject, Adoption):
            self._show_findings(subject)
        else:
            terminal.print_parts(*self._draw(subject), on_stderr=True)

    def _show_findings(self, adoption: Adoption) -> None:
        if self.quiet:
            return
        table = tables.adoption_table(adoption, verbose=is_verbose())
        terminal.print_parts(table)

    def _draw(
        self, subject: FileDiffs | Plan | Rollback | RepairReport | YankReport
    ) -> list[RenderableType]:
        if isinstance(subject, FileDiffs):
            return list(map(tables.colored_diff, subject.texts))
        if isinstance(subject, Plan):
            return [] if subject.obstacles else [tables.plan_table(subject)]
        if not self._will_ask():
            return []
        if isinstance(subject, RepairReport):
            return [repair_tables.repair_table(subject)]
        if isinstance(subject, YankReport):
            return [repair_tables.yank_table(subject)]
        return [tables.rollback_table(subject)]

    async def show_changes(self, adoption: Adoption, *, tag_baselines: bool) -> None:
        """Show the changes that `init` proposes on standard output, unless its JSON output contains them."""
        if not self.quiet:
            terminal.print_parts(*tables.adoption_changes(adoption, tag_baselines=tag_baselines))

    async def choose(self, question: Question) -> str:
        """Return the answer of the user; the default with `--yes`, in JSON output and without a terminal."""
        if self.quiet or not self._will_ask():
            return question.default
        return terminal.ask(question.text, question.default, question.choices)

    def _will_ask(self) -> bool:
        return not self.yes and terminal.is_terminal()

    def can_take_hours(self, proposal: Proposal) -> bool:  # noqa: ARG002
        """Return False: the user waits at the terminal, and so does the release."""
        return False

    async def ask(self, proposal: Proposal) -> ConfirmationAnswer:
        """Return the answer of the user."""
        if self.yes:
            return ConfirmationAnswer(accepted=not proposal.needs_person, was_asked=False)
        if not terminal.is_terminal():
            reason = "" if proposal.needs_person else _NO_TERMINAL
            return ConfirmationAnswer(accepted=False, reason=reason, was_asked=False)
        terminal.print_parts(*proposal.details, on_stderr=True)
        if terminal.confirm(proposal.question):
            return ConfirmationAnswer(accepted=True)
        return ConfirmationAnswer(accepted=False, reason="you declined", hint=_UNCHANGED)
