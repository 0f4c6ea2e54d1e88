"""The arrows of a release on the page of its run. A story compares the count with Prefect's own."""

from __future__ import annotations

import pytest

from releasekit.core.release.run_graph import count_arrows, hidden_arrows_note
from tests.support.builders import plan_of


@pytest.mark.parametrize(("packages", "is_shown"), [(9, True), (24, True), (60, False)])
def test_note_says_when_arrows_hide(packages: int, *, is_shown: bool) -> None:
    """Up to 24 packages that need two others the page shows the arrows; at 60 the plan says that it does not."""
    parts = [
        f"p{number}: " + " ".join(f"p{need}" for need in range(max(0, number - 2), number))
        for number in range(packages)
    ]
    steps = plan_of(*parts).steps

    note = hidden_arrows_note(steps)

    assert (count_arrows(steps) < 500, note == "") == (is_shown, is_shown)
    assert is_shown or f"about {count_arrows(steps)}, and Prefect draws fewer than 500" in note
