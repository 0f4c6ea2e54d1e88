"""Compare an earlier plan of a workspace with a new one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from packaging.version import Version
from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.picking import by_name, drop_keys, group_by
from releasekit.core.planning.model import Plan, Step
from releasekit.core.text import count_packages, join_texts, list_names
from releasekit.core.version_numbers import PyVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


_MAX_NAMED = 3
"""How many changed packages a headline names."""


@dataclass(frozen=True, slots=True)
class PlannedRelease:
    """A package that an earlier plan would have released."""

    version: Version
    bump: str = ""


@dataclass(frozen=True, slots=True)
class PlanSnapshot:
    """The stored part of an earlier plan: its releases by package, its day ("YYYY.MM.DD") and its commit."""

    releases: Mapping[str, PlannedRelease]
    date: str = ""
    commit: str = ""


class PlanChange(BaseModel):
    """How the plan for one package has changed; *before* and *after* are the old and the new planned version."""

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
            return f"{self.name} gets {self.after} instead of {self.before}: {self._bumps}because {self.reason}"
        return f"{self.name} {self.before} {_ENDS[self.change]}"

    @property
    def short(self) -> str:
        """The form for a headline: "core minor -> major because fix!: x (1a2b3c4)"."""
        moved = self._bumps or f"{self.before} -> {self.after} "
        return f"{self.name} {moved}because {self.reason}"

    @property
    def _bumps(self) -> str:
        if self.bump_before in ("", self.bump):
            return ""
        return f"{self.bump_before} -> {self.bump} "


_ENDS = {"released": "has been released", "dropped": "is no longer planned"}


class PlanDifference(BaseModel):
    """The changes since an earlier plan: *since* is its day ("YYYY.MM.DD"), *commit* its commit."""

    model_config = ConfigDict(frozen=True)

    since: str
    commit: str
    headline: str
    changes: tuple[PlanChange, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """One sentence for each change."""
        return tuple(map(str, self.changes))

    @property
    def by_package(self) -> dict[str, str]:
        """A short description of the change, by package: "added", "changed, was 1.2.0"."""
        descriptions: dict[str, str] = {}
        for change in self.changes:
            descriptions[change.name] = join_texts(", was ", change.change, change.before)
        return descriptions


class ComparedPlan(Plan):
    """A plan with its difference from an earlier one; in JSON the key "since", None if no earlier plan is known."""

    since: PlanDifference | None = Field(default=None)


def snapshot_from_plan(plan: Plan) -> PlanSnapshot:
    """Return the snapshot of *plan* that a later plan is compared with."""
    releases = {step.name: PlannedRelease(step.version, step.bump) for step in plan.steps}
    return PlanSnapshot(releases, plan.date, plan.commit)


def snapshot_from_rows(rows: Iterable[Mapping[str, str]], day: str) -> PlanSnapshot:
    """Return the plan in the *rows* of its table artifact in Prefect (`plan_rows`); *day* is its day."""
    releases: dict[str, PlannedRelease] = {}
    for row in rows:
        version = Version(row["to"])
        releases[row["package"]] = PlannedRelease(version, row.get("bump", ""))
    return PlanSnapshot(releases, day)


def diff_plans(earlier: PlanSnapshot, plan: Plan) -> PlanDifference:
    """Return how *plan* differs from an *earlier* one: packages added, changed, released and dropped."""
    new = by_name(plan.steps)
    current = {step.name: step.current for step in plan.packages}
    added: list[PlanChange] = []
    changed: list[PlanChange] = []
    for name, step in new.items():
        release = earlier.releases.get(name)
        if release is None:
            added.append(_added_package(step))
        elif release.version != step.version:
            changed.append(_changed_package(step, release))
    gone: list[PlanChange] = []
    for name, release in drop_keys(earlier.releases, new).items():
        is_released = current.get(name) == release.version
        gone.append(_gone_package(name, release, is_released=is_released))
    changes = (*added, *changed, *gone)
    day = _describe_day(earlier, plan.date)
    return PlanDifference(
        since=earlier.date,
        commit=earlier.commit,
        headline=f"since {day}: {_summarize_changes(changes)}",
        changes=changes,
    )


def with_difference(plan: Plan, since: PlanDifference | None) -> ComparedPlan:
    """Return *plan* with its difference from an earlier one."""
    fields: dict[str, Any] = {name: getattr(plan, name) for name in Plan.model_fields}
    return ComparedPlan(**fields, since=since)


def _added_package(step: Step) -> PlanChange:
    return PlanChange(
        name=step.name,
        change="added",
        after=step.version,
        bump=step.bump,
        reason=step.reason,
    )


def _changed_package(step: Step, earlier: PlannedRelease) -> PlanChange:
    return PlanChange(
        name=step.name,
        change="changed",
        before=earlier.version,
        after=step.version,
        bump_before=earlier.bump,
        bump=step.bump,
        reason=step.reason,
    )


def _gone_package(name: str, earlier: PlannedRelease, *, is_released: bool) -> PlanChange:
    return PlanChange(
        name=name,
        change="released" if is_released else "dropped",
        before=earlier.version,
        bump_before=earlier.bump,
    )


def _summarize_changes(changes: Iterable[PlanChange]) -> str:
    by_kind = group_by(changes, lambda change: change.change)
    parts: list[str] = []
    if added := by_kind.get("added"):
        parts.append(f"+{count_packages(added)}")
    changed = by_kind.get("changed", [])
    parts += [change.short for change in changed[:_MAX_NAMED]]
    if more := changed[_MAX_NAMED:]:
        parts.append(f"{len(more)} more changed")
    if released := by_kind.get("released"):
        parts.append(f"{count_packages(released)} released")
    if dropped := by_kind.get("dropped"):
        parts.append(f"{count_packages(dropped)} no longer planned")
    return list_names(parts, "nothing has changed")


def _describe_day(earlier: PlanSnapshot, today: str) -> str:
    """Return when the earlier plan was made, as words for a reader on the day *today*."""
    try:
        plan_day = _parse_day(earlier.date)
        age = _parse_day(today) - plan_day
    except ValueError:
        return "the earlier plan"
    words = {0: "an earlier plan from today", 1: "yesterday"}
    return words.get(age.days, plan_day.isoformat())


def _parse_day(day: str) -> date:
    """Return the *day* ("YYYY.MM.DD"); raises ValueError."""
    return date.fromisoformat(day.replace(".", "-"))
