"""Decides which changes still have an effect after the reverts among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from releasekit.core.history.commits import (
    OWN_PULL_REQUESTS,
    PULL_REQUEST,
    Change,
    Reverts,
    ShaIndex,
    Subject,
    subject_of,
)

if TYPE_CHECKING:
    from collections.abc import Container, Sequence


@dataclass(frozen=True, slots=True)
class IgnoredChange:
    """A change that has no effect, and the reason."""

    change: Change
    reason: str


@dataclass(frozen=True, slots=True)
class EffectiveChanges:
    """The unreleased changes that have an effect, and those that have none; both newest first."""

    effective: tuple[Change, ...]
    ignored: tuple[IgnoredChange, ...]


def drop_reverted(changes: Sequence[Change], *, unreleased: Container[str] = frozenset()) -> EffectiveChanges:
    """Return which of the unreleased *changes*, newest first, still have an effect after the reverts among them.

    A commit and its revert cancel each other. A revert of a revert restores the commit. A revert of something that is
    not among *changes* counts, because it undoes released work. A merge has no effect; the merged commits have.
    *unreleased* has the sha of every commit that is unreleased in some package. If a revert names one of *changes* and
    such a commit, the other commit concerns another package and does not make the revert count.
    """
    undone, consumed = _match_reverts(changes, unreleased)
    effective: list[Change] = []
    ignored: list[IgnoredChange] = []
    for index, change in enumerate(changes):
        if index in undone:
            ignored.append(IgnoredChange(change, f"reverted by {changes[undone[index]].short_sha}"))
        elif change.commit.is_merge:
            ignored.append(IgnoredChange(change, "merge commit"))
        elif index in consumed and change.is_revert and change.release_as is None:
            ignored.append(IgnoredChange(change, f"reverts {changes[consumed[index]].short_sha}"))
        else:
            effective.append(change)
    return EffectiveChanges(tuple(effective), tuple(ignored))


def _match_reverts(changes: Sequence[Change], unreleased: Container[str]) -> tuple[dict[int, int], dict[int, int]]:
    """Return, as indexes, the revert of each undone change, and the change that each used-up revert undoes."""
    undone: dict[int, int] = {}
    consumed: dict[int, int] = {}
    pending: dict[Subject, list[int]] = {}
    finder = _RevertTargets(changes)
    for index, change in enumerate(changes):
        # All newer changes are decided, so a revert that names this change, or waits for its subject, has an effect.
        if pending and index not in undone and (reverts := pending.get(subject_of(change.title))):
            undone[index] = reverts.pop()
            consumed[undone[index]] = index
        if change.reverts is None or index in undone:
            continue
        targets, released = finder.targets(change.reverts, index, unreleased)
        for target in targets:
            undone.setdefault(target, index)
        if targets and not released:
            consumed[index] = targets[0]
        elif not targets and change.reverts.subject:
            pending.setdefault(change.reverts.subject, []).append(index)
    return undone, consumed


class _RevertTargets:
    """Finds the changes that reverts name."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._shas = ShaIndex([change.sha for change in changes])
        self._by_pull_request: dict[str, int] = {}
        if any(change.reverts and change.reverts.pull_requests for change in changes):
            owns = ((index, OWN_PULL_REQUESTS.search(change.title)) for index, change in enumerate(changes))
            self._by_pull_request = {PULL_REQUEST.findall(own[0])[-1]: index for index, own in owns if own}

    def targets(self, reverts: Reverts, after: int, unreleased: Container[str]) -> tuple[list[int], bool]:
        """Return the indexes above *after* that *reverts* names, and whether it also names a released commit."""
        indexes = {sha: self._shas.index_of(sha) for sha in reverts.shas}
        if older := [index for index in indexes.values() if index is not None and index > after]:
            return older, any(index is None and sha not in unreleased for sha, index in indexes.items())
        by_pull_request = [
            index for number in reverts.pull_requests if (index := self._by_pull_request.get(number)) is not None
        ]
        return [index for index in by_pull_request if index > after], False
