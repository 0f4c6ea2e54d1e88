"""Says how many commits have a Conventional Commits type, and whether these are enough to decide versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.adoption.findings import CommitTypes
from releasekit.core.history.commits import parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from releasekit.core.history.commits import Commit

NEWEST_COMMITS = 200
"""How many of the newest commits are counted."""
_MIN_COMMITS = 20
_MIN_SHARE = 3


def count_types(commits: Iterable[Commit]) -> CommitTypes:
    """Count the *commits* that have a type, or revert another commit; release commits of releasekit do not count."""
    changes = map(parse, commits)
    counted = [change for change in changes if not (change.fixup or change.commit.release)]
    typed = [change for change in counted if change.type or change.is_revert]
    return CommitTypes(total=len(counted), typed=len(typed))


def has_few_types(commits: CommitTypes) -> bool:
    """Return whether under a third of the commits have a type. A short history decides nothing."""
    return commits.total >= _MIN_COMMITS and commits.typed * _MIN_SHARE < commits.total
