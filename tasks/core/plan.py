"""The plan: which package goes to which version, why, in what order, under which tags. Making one changes nothing."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  pydantic reads the annotation
from dataclasses import replace
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Literal

from packaging.version import Version
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from tasks.core.errors import Code, Refusal, Warn
from tasks.core.graph import graph_of, order
from tasks.core.tags import TagScheme, umbrella
from tasks.core.versions import Decision, decide, difference
from tasks.core.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from tasks.core.commits import Change
    from tasks.core.graph import Graph, Order
    from tasks.core.settings import Selection, Settings
    from tasks.core.tags import Baseline
    from tasks.core.workspace import Member, Workspace

PyVersion = Annotated[
    Version, BeforeValidator(lambda value: Version(str(value))), PlainSerializer(str, return_type=str)
]
"""A PEP 440 version that is a string in JSON."""


class Status(StrEnum):
    """What becomes of a package in this release; the first two are released."""

    INCLUDED = "included"
    DEPENDENCY_ONLY = "dependency_only"
    SKIPPED = "skipped"
    EXCLUDED = "excluded"
    ALREADY_PUBLISHED = "already_published"


class Step(BaseModel):
    """One package of the plan. *needs* gate it, *after* it merely follows, *batch* are its partners in a cycle.

    All name packages of this release alone; *build_needs* are all that a build of it installs, near and far.
    *order* is -1 for a package that is not released.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    order: int
    level: int
    name: str
    path: str
    current: PyVersion | None
    next: PyVersion | None
    bump: str
    status: Status
    reason: str
    tag: str
    needs: tuple[str, ...] = ()
    build_needs: tuple[str, ...] = ()
    apart: bool = False
    after: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()

    @property
    def version(self) -> Version:
        """The version that is released."""
        assert self.next is not None, self.name  # noqa: S101  a step of Plan.steps always has one
        return self.next


class Plan(BaseModel):
    """One decision about a whole workspace. *versions* is what internal pins say: the new version, or the current."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.plan/1"] = Field(default="releasekit.plan/1", alias="schema")
    commit: str
    release: str
    tags: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    packages: tuple[Step, ...] = ()
    versions: Mapping[str, PyVersion] = Field(default_factory=dict[str, Version])

    @property
    def steps(self) -> tuple[Step, ...]:
        """The packages that are released, dependencies first."""
        return tuple(step for step in self.packages if step.order >= 0)

    @property
    def title(self) -> str:
        """The name of the release: its umbrella tag."""
        return self.tags[0] if self.tags else f"release-{self.release}"


class Facts(BaseModel):
    """All that a plan is made from; *published* is None when no index was asked, *date* is "YYYY.MM.DD"."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    commit: str
    date: str
    tags: Mapping[str, str]
    published: Mapping[str, frozenset[Version]] | None = None


def decisions(
    workspace: Workspace,
    baselines: Mapping[str, Baseline],
    changes: Mapping[str, Sequence[Change]],
    settings: Settings,
    unreleased: Container[str] = frozenset(),
) -> dict[str, Decision]:
    """Return what the history asks of each publishable member; *unreleased* is as `decide` has it.

    Raises Refusal RK-VERSION-UNKNOWN for a package without a tag and without a version in its files.
    """
    return {
        member.name: _decision(member, baselines.get(member.name), changes.get(member.name, ()), settings, unreleased)
        for member in workspace
        if member.publishable
    }


def make_plan(
    workspace: Workspace,
    decided: Mapping[str, Decision],
    baselines: Mapping[str, Baseline],
    selection: Selection,
    settings: Settings,
    facts: Facts,
) -> Plan:
    """Return the plan that follows from the *facts*; the same facts make the same plan.

    Raises Refusal RK-GRAPH-CYCLE, RK-GRAPH-SELF-DEPENDENCY, RK-WORKSPACE-UNKNOWN-PACKAGE, RK-TAG-INVALID,
    RK-TAG-EXISTS.
    """
    current = {member.name: _current(member, baselines.get(member.name)) for member in workspace}
    targets = {name: decision.target for name, decision in decided.items() if decision.target}
    graph, _ = graph_of(workspace, {**current, **targets})
    order(graph.only(decided), settings.cycles)  # refuses a cycle also where none of its members is released now
    statuses = _statuses(workspace, targets, graph, selection, settings, facts)
    released = [name for name, status in statuses.items() if status in (Status.INCLUDED, Status.DEPENDENCY_ONLY)]
    versions = {n: v for n in decided if (v := targets[n] if n in released else current[n]) is not None}
    graph, warnings = graph_of(workspace, {**current, **versions})
    graph = graph.only(released)
    ordered = order(graph, settings.cycles)
    scheme = TagScheme(settings.tag_format, settings.label)
    rows = _rows(workspace, decided, current, statuses, ordered, graph, scheme)
    _refuse_taken(rows, facts)
    commit = facts.commit
    return Plan(
        commit=commit,
        release=_release_id(commit, rows),
        tags=_umbrella(workspace, rows, settings, facts),
        warnings=tuple(map(str, (*warnings, *_unreleased_needs(workspace, released)))),
        packages=tuple(rows),
        versions=versions,
    )


def _decision(
    member: Member, baseline: Baseline | None, changes: Sequence[Change], settings: Settings, unreleased: Container[str]
) -> Decision:
    current = _current(member, baseline) or Version(settings.first_version or "0")
    decision = decide(
        current,
        changes,
        tagged=baseline is not None,
        types=settings.bumps(),
        major_on_zero=settings.major_on_zero,
        force=settings.force_unchanged,
        unreleased=unreleased,
    )
    declared = member.version
    if not (baseline or declared or settings.first_version or any(c.release_as for c in decision.counted)):
        where = f"{member.path}/pyproject.toml"
        raise Refusal(Code.VERSION_UNKNOWN, f"{member.name} has a dynamic version and no tag", where)
    if declared is None or declared.is_prerelease or declared <= (decision.target or current):
        return decision
    # Somebody wrote a later version by hand: that is a wish, and to release less would be a step back.
    return replace(
        decision, target=declared, label=difference(current, declared).label, reason=f"{declared} is declared"
    )


def _current(member: Member, baseline: Baseline | None) -> Version | None:
    return baseline.version if baseline else member.version


def _statuses(
    workspace: Workspace,
    targets: Mapping[str, Version],
    graph: Graph,
    selection: Selection,
    settings: Settings,
    facts: Facts,
) -> dict[str, Status]:
    selected, excluded = _selected(workspace, selection, settings)
    brought = graph.dependencies(selected)
    statuses: dict[str, Status] = {}
    for member in workspace:
        name = member.name
        if not member.publishable:
            continue
        if name in excluded or name not in brought:
            statuses[name] = Status.EXCLUDED
        elif name not in targets:
            statuses[name] = Status.SKIPPED
        elif facts.published is not None and targets[name] in facts.published.get(name, ()):
            statuses[name] = Status.ALREADY_PUBLISHED
        else:
            statuses[name] = Status.INCLUDED if name in selected else Status.DEPENDENCY_ONLY
    return statuses


def _selected(workspace: Workspace, selection: Selection, settings: Settings) -> tuple[frozenset[str], frozenset[str]]:
    patterns = list(selection.package)
    for name in selection.group:
        if name not in settings.groups:
            known = ", ".join(settings.groups) or "none is configured"
            raise Refusal(Code.WORKSPACE_UNKNOWN_PACKAGE, f"no group is named {name} ({known})")
        patterns += settings.groups[name].packages
    excluded = workspace.matching(selection.exclude)
    chosen = workspace.matching(patterns) if selection.package or selection.group else frozenset(workspace.members)
    return chosen - excluded, excluded


def _rows(
    workspace: Workspace,
    decided: Mapping[str, Decision],
    current: Mapping[str, Version | None],
    statuses: Mapping[str, Status],
    ordered: Order,
    graph: Graph,
    scheme: TagScheme,
) -> list[Step]:
    level = ordered.level_of()
    apart = graph.dependents(graph.apart)
    rows: list[Step] = []
    for number, name in enumerate((*ordered.names, *(name for name in statuses if name not in level))):
        released = name in level
        target = decided[name].target
        rows.append(
            Step(
                order=number if released else -1,
                level=level.get(name, -1),
                name=name,
                path=workspace[name].path,
                current=current[name],
                next=target if statuses[name] is not Status.SKIPPED else None,
                bump=decided[name].label,
                status=statuses[name],
                reason=decided[name].reason,
                tag=scheme.tag(name, target) if target else "",
                needs=tuple(sorted(ordered.needs.get(name, ()))),
                build_needs=tuple(sorted(graph.dependencies(graph.build.get(name, ())))),
                apart=name in apart,
                after=tuple(sorted(ordered.after.get(name, ()))),
                batch=tuple(sorted(ordered.batches.get(name, frozenset()) - {name})),
            )
        )
    return rows


def _refuse_taken(rows: Sequence[Step], facts: Facts) -> None:
    for step in rows:
        if step.order >= 0 and step.tag in facts.tags:
            raise Refusal(Code.TAG_EXISTS, f"{step.tag} exists already, at {facts.tags[step.tag][:12]}", step.name)


def _umbrella(workspace: Workspace, rows: Sequence[Step], settings: Settings, facts: Facts) -> tuple[str, ...]:
    released = {step.name: step.version for step in rows if step.order >= 0}
    if not released:
        return ()
    taken = {*facts.tags, *(step.tag for step in rows)}
    leads = workspace.matching([settings.lead] if settings.lead else ())
    lead = next((version for name, version in released.items() if name in leads), None)
    return (umbrella(settings.umbrella_tag_format, settings.label, released.values(), lead, facts.date, taken),)


def _release_id(commit: str, rows: Sequence[Step]) -> str:
    parts = [commit, *(f"{step.name}=={step.version}" for step in rows if step.order >= 0)]
    return sha256("\n".join(parts).encode()).hexdigest()[:12]


def _unreleased_needs(workspace: Workspace, released: Sequence[str]) -> list[Warn]:
    """Name the needs that nobody could install: released packages that require a member which is never published."""
    return [
        Warn(
            Code.WORKSPACE_REQUIREMENT,
            f"{name} requires {need}, which is never published",
            f"{workspace[name].path}/pyproject.toml",
        )
        for name in released
        for need in sorted(workspace.internal(workspace[name], Kind.RUNTIME, Kind.BUILD, Kind.EXTRA))
        if not workspace[need].publishable
    ]
