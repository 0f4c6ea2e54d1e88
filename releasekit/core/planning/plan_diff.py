"""What has changed between an earlier plan of a workspace and a new one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from packaging.version import Version
from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.planning.model import Plan, Step
from releasekit.core.text import counted
from releasekit.core.version_numbers import PyVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


_NAMED = 3
"""How many packages of a kind a headline names."""


@dataclass(frozen=True, slots=True)
class Due:
    """A package that an earlier plan would have released."""

    version: Version
    bump: str = ""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier plan, as far as it is known: what was due, the day ("YYYY.MM.DD") and the commit it was made from."""

    due: Mapping[str, Due]
    date: str = ""
    commit: str = ""


class PlanChange(BaseModel):
    """How one package's place in the plan has changed; *before* and *after* are the versions that it was to go to."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    change: Literal["added", "changed", "released", "dropped"]
    before: PyVersion | None = None
    after: PyVersion | None = None
    bump_before: str = ""
    bump: str = ""
    reason: str = ""

    def __str__(self) -> str:
        if self.change == "added":
            return f"{self.name} {self.after} has been added ({self.bump}): {self.reason}"
        if self.change == "changed":
            return f"{self.name} goes to {self.after}, not to {self.before}: {self._bumps}because {self.reason}"
        return f"{self.name} {self.before} {_ENDS[self.change]}"

    @property
    def short(self) -> str:
        """How a headline has it: "core minor -> major because fix!: x (1a2b3c4)"."""
        moved = self._bumps or f"{self.before} -> {self.after} "
        return f"{self.name} {moved}because {self.reason}"

    @property
    def _bumps(self) -> str:
        different = self.bump_before and self.bump_before != self.bump
        return f"{self.bump_before} -> {self.bump} " if different else ""


_ENDS = {"released": "has been released", "dropped": "is no longer due"}


class Difference(BaseModel):
    """What has changed since an earlier plan: *since* is its day ("YYYY.MM.DD"), *commit* what it was made from."""

    model_config = ConfigDict(frozen=True)

    since: str
    commit: str
    headline: str
    changes: tuple[PlanChange, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """One sentence a change."""
        return tuple(map(str, self.changes))

    @property
    def by_package(self) -> dict[str, str]:
        """By package in a word or two how it has changed."""
        return {each.name: f"{each.change}, was {each.before}" if each.before else each.change for each in self.changes}


class ComparedPlan(Plan):
    """A plan beside an earlier one; in JSON that is the key "since", None if no earlier one is known."""

    since: Difference | None = Field(default=None)


def earlier_of(plan: Plan) -> Earlier:
    """Return *plan* as that which a later one is compared with."""
    due = {step.name: Due(step.version, step.bump) for step in plan.steps}
    return Earlier(due, plan.date, plan.commit)


def earlier_of_rows(rows: Iterable[Mapping[str, str]], made: str) -> Earlier:
    """Return the plan in the *rows* of the table that Prefect keeps of it (`plan_rows`); *made* is its day."""
    return Earlier({row["package"]: Due(Version(row["to"]), row.get("bump", "")) for row in rows}, made)


def compared(earlier: Earlier, plan: Plan) -> Difference:
    """Return how *plan* differs from an *earlier* one: what has come, moved, gone out, and gone."""
    new = {step.name: step for step in plan.steps}
    now = {step.name: step.current for step in plan.packages}
    changes = [_change("added", step) for name, step in new.items() if name not in earlier.due]
    changes += [
        _change("changed", step, earlier.due[name])
        for name, step in new.items()
        if name in earlier.due and earlier.due[name].version != step.version
    ]
    for name, due in earlier.due.items():
        if name not in new:
            what = "released" if now.get(name) == due.version else "dropped"
            changes.append(PlanChange(name=name, change=what, before=due.version, bump_before=due.bump))
    headline = f"since {_when(earlier, plan.date)}: {', '.join(_told(changes)) or 'nothing has changed'}"
    return Difference(since=earlier.date, commit=earlier.commit, headline=headline, changes=tuple(changes))


def with_difference(plan: Plan, since: Difference | None) -> ComparedPlan:
    """Return *plan* with how it differs from an earlier one."""
    fields: dict[str, Any] = {name: getattr(plan, name) for name in Plan.model_fields}
    return ComparedPlan(**fields, since=since)


def _change(what: Literal["added", "changed"], step: Step, due: Due | None = None) -> PlanChange:
    return PlanChange(
        name=step.name,
        change=what,
        before=due.version if due else None,
        after=step.version,
        bump_before=due.bump if due else "",
        bump=step.bump,
        reason=step.reason,
    )


def _told(changes: Sequence[PlanChange]) -> list[str]:
    kinds = {kind: [each for each in changes if each.change == kind] for kind in ("added", "changed", *_ENDS)}
    told = [f"+{counted(kinds['added'])}"] if kinds["added"] else []
    told += [each.short for each in kinds["changed"][:_NAMED]]
    if more := len(kinds["changed"]) - _NAMED:
        told += [f"{more} more changed"] if more > 0 else []
    told += [f"{counted(kinds['released'])} released"] if kinds["released"] else []
    return told + ([f"{counted(kinds['dropped'])} no longer due"] if kinds["dropped"] else [])


def _when(earlier: Earlier, today: str) -> str:
    """Return when the earlier plan was made, in the words of whoever reads this *today*."""
    try:
        made, now = (date.fromisoformat(day.replace(".", "-")) for day in (earlier.date, today))
    except ValueError:
        return "the earlier plan"
    words = {0: "an earlier plan of today", 1: "yesterday"}
    return words.get((now - made).days, made.isoformat())
