"""The reasons for the next version of each package, as a value for JSON and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.artifacts.differences import Difference
from releasekit.core.config.bump_rules import Bump
from releasekit.core.picking import pick_named
from releasekit.core.version_numbers import PyVersion
from releasekit.core.versioning.versions import rule_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from releasekit.core.history.change_files import FileChange
    from releasekit.core.history.commits import Change
    from releasekit.core.planning.model import Plan, Step
    from releasekit.core.versioning.groups import Decisions


class CommitReason(BaseModel):
    """A commit, and the rule by which it counts, or the reason why it does not.

    *file* is the path of a change file, which is listed in the same way; *commit* is then empty.
    """

    model_config = ConfigDict(frozen=True)

    commit: str
    file: str = ""
    title: str
    why: str


class VersionExplanation(BaseModel):
    """One package: its *current* version, and its *next* version, None if it is *skipped*.

    *differences* are what its source lacks of its last release.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    current: PyVersion | None
    next: PyVersion | None
    bump: str
    reason: str
    skipped: bool
    counted: tuple[CommitReason, ...] = ()
    ignored: tuple[CommitReason, ...] = ()
    differences: tuple[Difference, ...] = ()


class Explanation(BaseModel):
    """The selected packages, in the order of the plan."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.version/1"] = Field(default="releasekit.version/1", alias="schema")
    packages: tuple[VersionExplanation, ...]


def explain_versions(plan: Plan, decisions: Decisions, names: Collection[str]) -> Explanation:
    """Return the explanation of *plan* for the packages *names*, with all commits since the last release."""
    selected = pick_named(plan.packages, names)
    rows = [_explain_package(step, decisions, plan) for step in selected]
    return Explanation(packages=tuple(rows))


def explanation_text(explanation: Explanation) -> str:
    """Return a paragraph for each package: its versions, and each commit with its rule or reason."""
    lines: list[str] = []
    for row in explanation.packages:
        step = "stays" if row.skipped else f"-> {row.next} ({row.bump})"
        current = row.current or ""
        headline = f"{row.name} {current} {step}: {row.reason}"
        lines.append(headline.replace("  ", " "))
        lines += [f"  + {_commit_text(reason)}" for reason in row.counted]
        lines += [f"  - {_commit_text(reason)}" for reason in row.ignored]
        lines += [f"  ! {difference}  [{difference.verdict}]" for difference in row.differences]
    return "\n".join(lines) + "\n"


def _commit_text(reason: CommitReason) -> str:
    origin = reason.file or reason.commit[:7]
    return f"{origin} {reason.title}  [{reason.why}]"


def _explain_package(step: Step, decisions: Decisions, plan: Plan) -> VersionExplanation:
    decision = decisions[step.name]
    rules = decisions.requests[step.name].rules
    is_zero = step.current is not None and step.current.major == 0
    soft = is_zero and not rules.major_on_zero
    counted = [_file_reason(file, soft=soft) for file in decision.files]
    counted += [
        _commit_reason(change, rule_of(change, rules.types, soft=soft))
        for change in decision.triggers
    ]
    ignored = [_commit_reason(ignored.change, ignored.reason) for ignored in decision.ignored]
    is_skipped = step.order < 0
    return VersionExplanation(
        name=step.name,
        current=step.current,
        next=None if is_skipped else step.next,
        bump=step.bump,
        reason=step.reason,
        skipped=is_skipped,
        counted=tuple(counted),
        ignored=tuple(ignored),
        differences=tuple(
            difference for difference in plan.differences if difference.package == step.name
        ),
    )


def _file_reason(file: FileChange, *, soft: bool) -> CommitReason:
    """Return the reason of a change file; *soft*: a breaking change on 0.x is minor."""
    is_softened = soft and file.bump is Bump.MAJOR
    why = "major is minor on 0.x" if is_softened else f"the change file says {file.bump.label}"
    return CommitReason(commit="", file=file.path, title=file.title, why=why)


def _commit_reason(change: Change, why: str) -> CommitReason:
    return CommitReason(commit=change.sha, title=change.title, why=why)
