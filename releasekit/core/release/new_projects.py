"""In how many days the new projects of a plan can be created, if the index limits them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.text import summarize

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from packaging.version import Version

    from releasekit.core.planning.model import Plan

NEW_PROJECTS_A_DAY = 4
"""How many projects PyPI lets one user create in a day (pypi/support#11827)."""


_DAYS_SHOWN = 3


def new_project_names(plan: Plan, published: Mapping[str, Collection[Version]] | None) -> list[str]:
    """Return the packages of *plan* that have no version on the index, by *published*; none if nothing was asked."""
    answers = published or {}
    return [step.name for step in plan.steps if not answers.get(step.name, True)]


def project_days(names: Sequence[str], daily_limit: int) -> list[Sequence[str]]:
    """Return the new projects *names* by day, in their order, with at most *daily_limit* on each."""
    starts = range(0, len(names), daily_limit)
    return [names[start : start + daily_limit] for start in starts]


def describe_days(names: Sequence[str]) -> str:
    """Return the schedule of the new projects *names* on PyPI; empty if one day is enough."""
    days = project_days(names, NEW_PROJECTS_A_DAY)
    if len(days) <= 1:
        return ""
    parts = [
        f"day {day}: {summarize(part, NEW_PROJECTS_A_DAY)}"
        for day, part in enumerate(days[:_DAYS_SHOWN], 1)
    ]
    schedule = "; ".join([*parts, *(["..."] if len(days) > _DAYS_SHOWN else [])])
    return (
        f"{len(names)} projects are new to the index; PyPI lets a user create {NEW_PROJECTS_A_DAY} a day, so the "
        f"release takes {len(days)} days ({schedule})"
    )
