"""How many arrows Prefect draws on the page of a release, and what a person is told if these are too many."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from releasekit.core.planning.model import Step

MOST_ARROWS = 500
"""From so many arrows on, the page shows none."""
_CHAIN = 6 + 2
"""The waits from the check out to the release commit, and from the push to the fast-forward."""


def count_arrows(steps: Sequence[Step]) -> int:
    """Return how many arrows the graph of a release of *steps* has with all checks.

    Prefect repeats an arrow for each input of the step that it begins at: so often for each package that is waited for.
    """
    needed = {need for step in steps for need in step.needs}
    packages, last = len(steps), sum(step.name not in needed for step in steps)
    repeats = {step.name: 1 + len(step.build_needs) for step in steps}
    begins = sum(not step.build_needs for step in steps)
    builds = begins + sum(repeats[need] for step in steps for need in step.build_needs)
    # Each build is compared and proven; all are compared at once.
    proofs = 2 * sum(repeats.values()) + 2 * packages + 1
    records = packages + 1
    first_uploads = sum(not step.needs for step in steps)
    uploads = first_uploads + sum(len(step.needs) + max(1, len(step.needs)) for step in steps)
    smoke_tests = packages
    tags = 2 * last
    return _CHAIN + builds + proofs + records + uploads + smoke_tests + tags


def hidden_arrows_note(steps: Sequence[Step]) -> str:
    """Return what to tell a person who looks for arrows on the page of a run; empty if it shows them."""
    arrows = count_arrows(steps)
    if arrows < MOST_ARROWS:
        return ""
    return (
        f"The page of this run shows no arrows between its steps: there are about {arrows}, and Prefect draws fewer "
        f"than {MOST_ARROWS}. The picture here shows what each package needs."
    )
