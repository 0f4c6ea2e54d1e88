"""The indexes that a release goes to after the first one, each with the same files."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from releasekit.core.picking import names_of, pick, pick_named
from releasekit.core.text import count_packages

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.release.target import Target


@dataclass(frozen=True, slots=True)
class LaterIndex:
    """An index that gets *packages* once the index *after* has them all.

    *name* and *after* are names of `[[tool.uv.index]]`, or "pypi". If it *needs_approval*, the release stops before it.
    """

    target: Target
    name: str
    after: str
    packages: frozenset[str]
    needs_approval: bool = False

    def part_of(self, plan: Plan) -> Plan:
        """Return *plan* with the steps of the packages that go to this index, which nobody has asked about them."""
        steps = pick_named(plan.steps, self.packages)
        names = set(names_of(steps))
        own_steps = tuple(_among(step, names) for step in steps)
        return plan.model_copy(update={"packages": own_steps, "new_to_index": ()})


def _among(step: Step, names: Collection[str]) -> Step:
    """Return *step* without relations to packages that are not among *names*."""
    relations = ("needs", "build_needs", "after", "batch")
    kept: dict[str, Sequence[str]] = {
        relation: tuple(pick(getattr(step, relation), names)) for relation in relations
    }
    return step.model_copy(update=kept)


def approval_question(later: LaterIndex, plan: Plan) -> str:
    """Return the question before the packages of *plan* go to the index *later*."""
    count = count_packages(later.part_of(plan).steps)
    return f"Publish {count} to {later.target.title}, after {later.after}?"


def targets_for(package: str, first: Target, later: Iterable[LaterIndex]) -> tuple[Target, ...]:
    """Return all indexes that *package* (its name) goes to, the *first* one and those of *later*, in this order."""
    return (first, *(index.target for index in later if package in index.packages))


def packages_of_later_indexes(later: Iterable[LaterIndex]) -> tuple[str, ...]:
    """Return the names of the packages that go to any of the indexes *later*, sorted."""
    return tuple(sorted(set(chain.from_iterable(index.packages for index in later))))
