"""Decides which changes still have an effect after the reverts among them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from releasekit.core.history.commits import (
    Change,
    Reverts,
    ShaIndex,
    Subject,
    own_pull_requests,
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
        if index in undone:
            revert = changes[undone[index]]
            ignored.append(IgnoredChange(change, f"reverted by {revert.short_sha}"))
        elif change.commit.is_merge:
            ignored.append(IgnoredChange(change, "merge commit"))
        elif only_reverts and index in consumed:
            target = changes[consumed[index]]
            ignored.append(IgnoredChange(change, f"reverts {target.short_sha}"))
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
        if index in undone:
            continue
        if pending and (waiting := pending.get(subject_of(change.title))):
            revert = waiting.pop()
            undone[index] = revert
            consumed[revert] = index
            continue
        reverts = change.reverts
        if reverts is None:
            continue
        targets, released = finder.targets(reverts, index, unreleased)
        for target in targets:
            undone.setdefault(target, index)
        if targets and not released:
            consumed[index] = targets[0]
        elif not targets and reverts.subject:
            pending.setdefault(reverts.subject, []).append(index)
    return undone, consumed


class _RevertTargets:
    """Finds the changes that reverts name."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = changes
        self._shas = ShaIndex([change.commit for change in changes])

    @cached_property
    def _by_pull_request(self) -> dict[str, int]:
        """The index of the change of each pull request; few histories have reverts that name one."""
        numbers = (own_pull_requests(change.title) for change in self._changes)
        return {own[-1]: index for index, own in enumerate(numbers) if own}

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
