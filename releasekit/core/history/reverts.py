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
    from collections.abc import Container, Iterable, Iterator, Sequence


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


def drop_reverted(
    changes: Sequence[Change], *, unreleased: Container[str] = frozenset()
) -> EffectiveChanges:
    """Return which of the unreleased *changes*, newest first, still have an effect after the reverts among them.

    A commit and its revert cancel each other. A revert of a revert restores the commit. A revert of something that is
    not among *changes* counts, because it undoes released work. A merge has no effect; the merged commits have. Our own
    release commits have none.
    *unreleased* has the sha of every commit that is unreleased in some package. If a revert names one of *changes* and
    such a commit, the other commit concerns another package and does not make the revert count.
    """
    return split_by_reason(with_revert_reasons(changes, unreleased))


def split_by_reason(changes: Iterable[tuple[Change, str]]) -> EffectiveChanges:
    """Return *changes*, each with the reason why it has no effect, which is empty if it has one."""
    effective: list[Change] = []
    ignored: list[IgnoredChange] = []
    for change, reason in changes:
        if reason:
            ignored.append(IgnoredChange(change, reason))
        else:
            effective.append(change)
    return EffectiveChanges(tuple(effective), tuple(ignored))


def with_revert_reasons(
    changes: Sequence[Change], unreleased: Container[str]
) -> Iterator[tuple[Change, str]]:
    """Yield each of *changes* with the reason why it has no effect, empty if it has one; see `drop_reverted`."""
    matcher = _RevertMatcher(changes, unreleased)
    for index, change in enumerate(changes):
        yield change, matcher.reason_to_ignore(index)


class _RevertMatcher:
    """Matches reverts with the changes that they undo, newest first."""

    def __init__(self, changes: Sequence[Change], unreleased: Container[str]) -> None:
        self._changes = changes
        # As indexes, the revert of each undone change, and the change that each used-up revert undoes.
        self._undone: dict[int, int] = {}
        self._consumed: dict[int, int] = {}
        self._waiting: dict[Subject, list[int]] = {}
        finder = _RevertTargets(changes, unreleased)
        for index, change in enumerate(changes):
            # All newer changes are matched, so a revert that is not undone by now has an effect.
            is_undone = index in self._undone or self._undo_by_subject(index, change)
            if change.reverts and not is_undone:
                self._apply(change.reverts, index, finder)

    def reason_to_ignore(self, index: int) -> str:
        """Return why the change *index* has no effect; empty if it has one."""
        change = self._changes[index]
        if index in self._undone:
            revert = self._changes[self._undone[index]]
            return f"reverted by {revert.short_sha}"
        if change.commit.is_merge:
            return "merge commit"
        if change.commit.release:
            return "release commit"
        only_reverts = change.is_revert and change.release_as is None
        if only_reverts and index in self._consumed:
            target = self._changes[self._consumed[index]]
            return f"reverts {target.short_sha}"
        return ""

    def _undo_by_subject(self, index: int, change: Change) -> bool:
        """Return whether a newer revert waits for the subject of *change*; if so, match the two."""
        if not self._waiting:
            return False
        subject = subject_of(change.title)
        reverts = self._waiting.get(subject)
        if not reverts:
            return False
        revert = reverts.pop()
        self._undone[index] = revert
        self._consumed[revert] = index
        return True

    def _apply(self, reverts: Reverts, index: int, finder: _RevertTargets) -> None:
        targets, names_released = finder.targets(reverts, index)
        for target in targets:
            self._undone.setdefault(target, index)
        if targets:
            if not names_released:
                self._consumed[index] = targets[0]
        elif reverts.subject:
            self._waiting.setdefault(reverts.subject, []).append(index)


class _RevertTargets:
    """Finds the changes that reverts name."""

    def __init__(self, changes: Sequence[Change], unreleased: Container[str]) -> None:
        self._changes = changes
        self._unreleased = unreleased
        self._shas = ShaIndex([change.commit for change in changes])

    @cached_property
    def _by_pull_request(self) -> dict[str, int]:
        """The index of the change of each pull request; few histories have reverts that name one."""
        numbers = (own_pull_requests(change.title) for change in self._changes)
        return {own[-1]: index for index, own in enumerate(numbers) if own}

    def targets(self, reverts: Reverts, after: int) -> tuple[list[int], bool]:
        """Return the indexes above *after* that *reverts* names, and whether it also names a released commit."""
        older, names_released = self._targets_by_sha(reverts.shas, after)
        if older:
            return older, names_released
        return self._targets_by_pull_request(reverts.pull_requests, after), False

    def _targets_by_sha(self, shas: Sequence[str], after: int) -> tuple[list[int], bool]:
        older: list[int] = []
        names_released = False
        for sha in shas:
            index = self._shas.index_of(sha)
            if index is None:
                names_released |= sha not in self._unreleased
            elif index > after:
                older.append(index)
        return older, names_released

    def _targets_by_pull_request(self, numbers: Sequence[str], after: int) -> list[int]:
        return [
            index for number in numbers if (index := self._by_pull_request.get(number, -1)) > after
        ]
