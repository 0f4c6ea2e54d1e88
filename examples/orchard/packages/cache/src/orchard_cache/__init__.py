"""Remember what was asked before."""

from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

__all__ = ["Memory"]


class Memory:
    """Answers by question."""

    def __init__(self) -> None:
        self._answers: dict[str, object] = {}

    def recall(self, question: str, find: Callable[[], Answer]) -> Answer:
        """Return the answer of last time, or find one."""
        if question not in self._answers:
            self._answers[question] = find()
        return self._answers[question]  # type: ignore[return-value]

    def forget(self) -> None:
        """Start afresh."""
        self._answers.clear()
