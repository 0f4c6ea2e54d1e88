"""Which changes still have an effect, after reverts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
from releasekit.core.history.commits import OWN_PULLS, PULL, Change, Reverts, ShaIndex, Subject, subject_of


@dataclass(frozen=True, slots=True)
class Ignored:
    """A change that counts for nothing, and why."""

    change: Change
    why: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of the unreleased changes; both newest first."""

    counts: tuple[Change, ...]
    ignored: tuple[Ignored, ...]


def standing(changes: Sequence[Change], *, unreleased: Container[str] = frozenset()) -> Standing:
    """Tell which of the unreleased *changes*, newest first, still count once the reverts among them are applied.

    A commit and its revert count for nothing, neither of them; a revert of a revert restores; a revert of
    something that is not among *changes* counts, for it undoes what is released. Merges count for nothing: what
    they merge does. *unreleased* holds the sha of every commit that is unreleased in some package: what a revert names
    there besides one of *changes* is another package's matter.
    """
    undone, spent = _undo(changes, unreleased)
    counts: list[Change] = []
    ignored: list[Ignored] = []
    for place, change in enumerate(changes):
        if place in undone:
            ignored.append(Ignored(change, f"reverted by {changes[undone[place]].short_sha}"))
        elif change.commit.is_merge:
            ignored.append(Ignored(change, "merge commit"))
        elif place in spent and change.is_revert and change.release_as is None:
            ignored.append(Ignored(change, f"reverts {changes[spent[place]].short_sha}"))
        else:
            counts.append(change)
    return Standing(tuple(counts), tuple(ignored))


def _undo(changes: Sequence[Change], unreleased: Container[str]) -> tuple[dict[int, int], dict[int, int]]:
    """Return by whom each undone change is undone, and on what each spent revert is spent, as places."""
    undone: dict[int, int] = {}
    spent: dict[int, int] = {}
    waiting: dict[Subject, list[int]] = {}
    find = _Finder(changes)
    for place, change in enumerate(changes):
        # Everything newer has been judged, so whoever undoes this change, or waits for its subject, stands.
        if waiting and place not in undone and (reverts := waiting.get(subject_of(change.title))):
            undone[place] = reverts.pop()
            spent[undone[place]] = place
        if change.reverts is None or place in undone:
            continue
        targets, released = find.targets(change.reverts, place, unreleased)
        for target in targets:
            undone.setdefault(target, place)
        if targets and not released:
            spent[place] = targets[0]
        elif not targets and change.reverts.subject:
            waiting.setdefault(change.reverts.subject, []).append(place)
    return undone, spent


class _Finder:
    """Finds what reverts name, among changes."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._shas = ShaIndex([change.sha for change in changes])
        self._pulls: dict[str, int] = {}
        if any(change.reverts and change.reverts.pulls for change in changes):
            owns = ((place, OWN_PULLS.search(change.title)) for place, change in enumerate(changes))
            self._pulls = {PULL.findall(own[0])[-1]: place for place, own in owns if own}

    def targets(self, reverts: Reverts, after: int, unreleased: Container[str]) -> tuple[list[int], bool]:
        """Return the places older than *after* that *reverts* names, and whether it names something released too."""
        places = {sha: self._shas.place_of(sha) for sha in reverts.shas}
        if found := [place for place in places.values() if place is not None and place > after]:
            return found, any(place is None and sha not in unreleased for sha, place in places.items())
        by_pull = [place for pull in reverts.pulls if (place := self._pulls.get(pull)) is not None]
        return [place for place in by_pull if place > after], False
