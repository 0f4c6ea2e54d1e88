"""Which changes still have an effect, after reverts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
from releasekit.core.history.commits import (
    OWN_PULL_REQUESTS,
    PULL_REQUEST,
    Change,
    Reverts,
    ShaIndex,
    Subject,
    subject_of,
)


@dataclass(frozen=True, slots=True)
class IgnoredChange:
    """A change that counts for nothing, and why."""

    change: Change
    reason: str


@dataclass(frozen=True, slots=True)
class EffectiveChanges:
    """What is left of the unreleased changes; both newest first."""

    effective: tuple[Change, ...]
    ignored: tuple[IgnoredChange, ...]


def drop_reverted(changes: Sequence[Change], *, unreleased: Container[str] = frozenset()) -> EffectiveChanges:
    """Tell which of the unreleased *changes*, newest first, still count once the reverts among them are applied.

    A commit and its revert count for nothing, neither of them; a revert of a revert restores; a revert of
    something that is not among *changes* counts, for it undoes what is released. Merges count for nothing: what
    they merge does. *unreleased* holds the sha of every commit that is unreleased in some package: what a revert names
    there besides one of *changes* is another package's matter.
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
    """Return by whom each undone change is undone, and on what each spent revert is spent, as places."""
    undone: dict[int, int] = {}
    consumed: dict[int, int] = {}
    pending: dict[Subject, list[int]] = {}
    finder = _RevertTargets(changes)
    for index, change in enumerate(changes):
        # Everything newer has been judged, so whoever undoes this change, or waits for its subject, stands.
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
    """Finds what reverts name, among changes."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._shas = ShaIndex([change.sha for change in changes])
        self._by_pull_request: dict[str, int] = {}
        if any(change.reverts and change.reverts.pull_requests for change in changes):
            owns = ((index, OWN_PULL_REQUESTS.search(change.title)) for index, change in enumerate(changes))
            self._by_pull_request = {PULL_REQUEST.findall(own[0])[-1]: index for index, own in owns if own}

    def targets(self, reverts: Reverts, after: int, unreleased: Container[str]) -> tuple[list[int], bool]:
        """Return the places older than *after* that *reverts* names, and whether it names something released too."""
        indexes = {sha: self._shas.index_of(sha) for sha in reverts.shas}
        if older := [index for index in indexes.values() if index is not None and index > after]:
            return older, any(index is None and sha not in unreleased for sha, index in indexes.items())
        by_pull_request = [
            index for number in reverts.pull_requests if (index := self._by_pull_request.get(number)) is not None
        ]
        return [index for index in by_pull_request if index > after], False
