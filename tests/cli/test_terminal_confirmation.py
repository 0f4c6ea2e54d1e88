"""Who gives the yes: a user at a terminal, somebody on a Prefect server, or nobody."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from releasekit.cli.render import terminal as screen
from releasekit.cli.terminal_confirmation import TerminalConfirmation
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.operations.confirmation import AssumeYes, ConfirmationAnswer, FileDiffs, Proposal
from tests.support.builders import plan_of

if TYPE_CHECKING:
    from collections.abc import Callable

PLAN = plan_of("app: core", "core:")
PROPOSAL = Proposal("Publish 2 packages?", PLAN, ("4 files", "3 tags"))


@dataclass
class Terminal:
    """A user who answers *says*; *questions* are those that the user has read."""

    says: bool
    questions: list[str] = field(default_factory=list[str])

    def confirm(self, question: str) -> bool:
        """Answer a question."""
        self.questions.append(question)
        return self.says


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Terminal]:
    """Return a function that puts a user in front of a terminal."""

    def make(*, says: bool) -> Terminal:
        user = Terminal(says)
        monkeypatch.setattr(screen, "is_terminal", lambda: True)
        monkeypatch.setattr(screen, "confirm", user.confirm)
        return user

    return make


def test_details_precede_the_question(
    terminal: Callable[..., Terminal], capsys: pytest.CaptureFixture[str]
) -> None:
    """The user reads what a yes makes public, and then the question."""
    user = terminal(says=True)

    assert asyncio.run(TerminalConfirmation().ask(PROPOSAL)) == ConfirmationAnswer(accepted=True)

    assert user.questions == ["Publish 2 packages?"]
    assert capsys.readouterr().err == "4 files\n3 tags\n"


def test_no_is_a_refusal(terminal: Callable[..., Terminal]) -> None:
    """A no is a refusal that says that nothing was changed."""
    terminal(says=False)
    answer = asyncio.run(TerminalConfirmation().ask(PROPOSAL))

    with pytest.raises(Refusal) as caught:
        answer.require_yes()

    assert (caught.value.code, caught.value.message) == (ErrorCode.NOT_CONFIRMED, "you declined")
    assert caught.value.hint == "Nothing was changed. Run the command again to decide anew."


def test_no_terminal_means_no(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal the answer is no, nothing is printed, and the hint names --yes."""
    answer = asyncio.run(TerminalConfirmation().ask(PROPOSAL))

    assert not answer.was_asked
    with pytest.raises(Refusal, match="not a terminal; pass --yes") as caught:
        answer.require_yes()
    assert "--yes" in caught.value.hint
    assert capsys.readouterr() == ("", "")


def test_yes_flag_asks_nobody(terminal: Callable[..., Terminal]) -> None:
    """With --yes nobody is asked."""
    user = terminal(says=False)

    assert asyncio.run(TerminalConfirmation(yes=True).ask(PROPOSAL)).accepted
    assert user.questions == []


def test_terminal_shows_plans_and_differences(capsys: pytest.CaptureFixture[str]) -> None:
    """A plan and differences go to standard error, whoever answers."""
    for subject, text in ((PLAN, "core"), (FileDiffs(("+++ b/pyproject.toml\n+new\n",)), "+new")):
        asyncio.run(TerminalConfirmation(yes=True).show(subject))
        said = capsys.readouterr()
        assert (said.out, text in said.err) == ("", True)


def test_assume_yes_answers_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody is to be asked, nothing is shown and the answer is yes at once."""
    asyncio.run(AssumeYes().show(PLAN))

    assert not AssumeYes().can_take_hours(PROPOSAL)
    assert asyncio.run(AssumeYes().ask(PROPOSAL)).accepted
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("prefect_api")
def test_prefect_asks_about_new_releases() -> None:
    """On a Prefect server an answer can take hours; a release that resumes has its yes already."""
    from flows.approval import PrefectConfirmation, UnattendedRun

    resumes = Proposal("Publish 2 packages?", PLAN, is_resumed=True)

    assert PrefectConfirmation().can_take_hours(PROPOSAL)
    assert not PrefectConfirmation().can_take_hours(resumes)
    assert asyncio.run(PrefectConfirmation().ask(resumes)).accepted
    assert asyncio.run(UnattendedRun().ask(PROPOSAL)).accepted
