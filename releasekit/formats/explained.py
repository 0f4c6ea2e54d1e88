"""Why each package goes to its next version, as a value that is printed as JSON or as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from releasekit.core.version_numbers import PyVersion
from releasekit.core.versioning.versions import rule_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from releasekit.core.history.commits import Change
    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.versioning.groups import Decisions


class Because(BaseModel):
    """A commit, and the rule by which it counts, or why it does not."""

    model_config = ConfigDict(frozen=True)

    commit: str
    title: str
    why: str


class Row(BaseModel):
    """One package; *current* is its version now, *next* that to come, None if it is *skipped*."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    current: PyVersion | None
    next: PyVersion | None
    bump: str
    reason: str
    skipped: bool
    counted: tuple[Because, ...] = ()
    ignored: tuple[Because, ...] = ()


class Explanation(BaseModel):
    """All packages that were asked for, in the order of the plan."""

    model_config = ConfigDict(frozen=True)

    packages: tuple[Row, ...]


def explanation(plan: Plan, decisions: Decisions, names: Collection[str]) -> Explanation:
    """Return the rows of *plan* for *names*, with all commits since the last release."""
    return Explanation(packages=tuple(_row(step, decisions) for step in plan.packages if step.name in names))


def explanation_text(explained: Explanation) -> str:
    """Return a paragraph for each package: its step, and each commit with the rule that it met."""
    lines: list[str] = []
    for row in explained.packages:
        step = "stays" if row.skipped else f"-> {row.next} ({row.bump})"
        lines.append(f"{row.name} {row.current or ''} {step}: {row.reason}".replace("  ", " "))
        lines += [f"  + {because.commit[:7]} {because.title}  [{because.why}]" for because in row.counted]
        lines += [f"  - {because.commit[:7]} {because.title}  [{because.why}]" for because in row.ignored]
    return "\n".join(lines) + "\n"


def _row(step: Step, decisions: Decisions) -> Row:
    decision, rules = decisions[step.name], decisions.wishes[step.name].rules
    soft = step.current is not None and step.current.major == 0 and not rules.major_on_zero
    return Row(
        name=step.name,
        current=step.current,
        next=step.next if step.order >= 0 else None,
        bump=step.bump,
        reason=step.reason,
        skipped=step.order < 0,
        counted=tuple(_because(change, rule_of(change, rules.types, soft=soft)) for change in decision.counted),
        ignored=tuple(_because(each.change, each.why) for each in decision.ignored),
    )


def _because(change: Change, why: str) -> Because:
    return Because(commit=change.sha, title=change.title, why=why)
