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
        only_reverts = change.is_revert and change.release_as is None
        reason = ""
        if index in undone:
            revert = changes[undone[index]]
            reason = f"reverted by {revert.short_sha}"
        elif change.commit.is_merge:
            reason = "merge commit"
        elif only_reverts and index in consumed:
            target = changes[consumed[index]]
            reason = f"reverts {target.short_sha}"
        if reason:
            ignored.append(IgnoredChange(change, reason))
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
        if pending and index not in undone:
            waiting = pending.get(subject_of(change.title))
            if waiting:
                revert = waiting.pop()
                undone[index] = revert
                consumed[revert] = index
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
        reverts = [change.reverts for change in changes if change.reverts]
        if not any(revert.pull_requests for revert in reverts):
            return
        for index, change in enumerate(changes):
            if own := OWN_PULL_REQUESTS.search(change.title):
                number = PULL_REQUEST.findall(own[0])[-1]
                self._by_pull_request[number] = index

    def targets(self, reverts: Reverts, after: int, unreleased: Container[str]) -> tuple[list[int], bool]:
        """Return the indexes above *after* that *reverts* names, and whether it also names a released commit."""
        older: list[int] = []
        names_released = False
        for sha in reverts.shas:
            index = self._shas.index_of(sha)
            if index is None:
                names_released |= sha not in unreleased
            elif index > after:
                older.append(index)
        if older:
            return older, names_released
        by_pull_request = (self._by_pull_request.get(number, -1) for number in reverts.pull_requests)
        return [index for index in by_pull_request if index > after], False
