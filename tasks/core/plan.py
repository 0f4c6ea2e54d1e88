"""The plan: which package goes to which version, why, in what order, under which tags. Making one changes nothing."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  pydantic reads the annotation
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Literal

from packaging.requirements import Requirement  # noqa: TC002  pydantic reads the annotation
from packaging.utils import canonicalize_name
from packaging.version import Version
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from tasks.core.changelog import Section
from tasks.core.errors import Code, Refusal, ReleaseError, Warn
from tasks.core.graph import closure, graph_of, order, reverse
from tasks.core.groups import Decisions, decided, patterns_of, units_of
from tasks.core.notes import Tale
from tasks.core.tags import schemes_of, umbrella
from tasks.core.versions import Past
from tasks.core.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterator, Sequence, Sized

    from tasks.core.commits import Change
    from tasks.core.graph import Graph, Order
    from tasks.core.settings import Selection, Settings
    from tasks.core.tags import Baseline, TagScheme, TagSchemes
    from tasks.core.workspace import Member, Workspace

PyVersion = Annotated[
    Version, BeforeValidator(lambda value: Version(str(value))), PlainSerializer(str, return_type=str)
]
"""A PEP 440 version that is a string in JSON."""


def counted(packages: Sized) -> str:
    """Return how many *packages* there are: "1 package", "3 packages"."""
    return f"{len(packages)} package{'' if len(packages) == 1 else 's'}"


_SHOWN = 3


def some(names: Sequence[str], shown: int = _SHOWN) -> str:
    """Name so many of *names*, and say how many more there are: "core, web, api and 4 more"."""
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


RELEASE_COMMIT = "chore(release): "
"""What the message of a release commit begins with; the title of the release follows."""


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
    *order* is -1 for a package that is not released. *smoke_test* is what the package says for itself, if anything.
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
    smoke_test: bool | None = None
    after: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()

    @property
    def version(self) -> Version:
        """The version that is released."""
        assert self.next is not None, self.name  # noqa: S101  a step of Plan.steps always has one
        return self.next


class Obstacle(BaseModel):
    """Something that keeps `publish` from carrying a plan out: an error as a value, with its remedy in *hint*."""

    model_config = ConfigDict(frozen=True)

    code: Code
    what: str
    where: str = ""
    hint: str = ""
    output: str = ""

    @classmethod
    def from_error(cls, error: ReleaseError) -> Obstacle:
        """Return *error* as a value."""
        return cls(code=error.code, what=error.what, where=error.where, hint=error.hint, output=error.output)

    def as_refusal(self) -> Refusal:
        """Return the refusal that `publish` raises for it."""
        return Refusal(self.code, self.what, self.where, self.hint, self.output)


class Plan(BaseModel):
    """One decision about a whole workspace. *versions* is what internal pins say: the new version, or the current.

    *date* is "YYYY.MM.DD"; *changelogs* are by package what its changelog gains, *tales* what the release notes tell.
    *obstacles* are what `publish` would refuse.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.plan/1"] = Field(default="releasekit.plan/1", alias="schema")
    commit: str
    release: str
    tags: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    packages: tuple[Step, ...] = ()
    versions: Mapping[str, PyVersion] = Field(default_factory=dict[str, Version])
    date: str = ""
    changelogs: Mapping[str, Section] = Field(default_factory=dict[str, Section])
    tales: Mapping[str, Tale] = Field(default_factory=dict[str, Tale])

    @property
    def steps(self) -> tuple[Step, ...]:
        """The packages that are released, dependencies first."""
        return tuple(step for step in self.packages if step.order >= 0)

    @property
    def all_tags(self) -> tuple[str, ...]:
        """The tags of all packages that are released, and the umbrella last."""
        return tuple(dict.fromkeys([*(step.tag for step in self.steps if step.tag not in self.tags), *self.tags]))

    def brought_by(self, name: str) -> tuple[str, ...]:
        """Return *name* and the packages of this release that installing it brings, near and far."""
        needs = {step.name: (*step.needs, *step.batch) for step in self.steps}
        found = {name: None}
        todo = [name]
        while todo:
            fresh = [need for need in needs[todo.pop()] if need not in found]
            found |= dict.fromkeys(fresh)
            todo += fresh
        return tuple(found)

    @property
    def title(self) -> str:
        """The name of the release: its umbrella tag."""
        return self.tags[0] if self.tags else f"release-{self.release}"

    @property
    def headline(self) -> str:
        """What it comes to: "3 packages to release"."""
        return f"{counted(self.steps)} to release" if self.steps else "nothing to release"

    def is_what_was_seen(self, seen: Plan, without: Collection[str] = ()) -> bool:
        """Tell whether who has said yes to *seen*, but *without* some of its packages, has said yes to this.

        So it is if the same commit gives the rest the same versions and tags, and warns of nothing new.
        """
        rest = {(step.name, step.version, step.tag) for step in seen.steps if step.name not in without}
        return (
            (self.commit, self.tags) == (seen.commit, seen.tags)
            and {(step.name, step.version, step.tag) for step in self.steps} == rest
            and set(self.warnings) <= set(seen.warnings)
        )


class Facts(BaseModel):
    """All that a plan is made from; *published* is None when no index was asked, *date* is "YYYY.MM.DD".

    *requires* is what last releases on the index require, by package; one that is not in it has exact pins, as we make.
    *unheard* are versions that commits ask for which touch no package, by their short shas.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    commit: str
    date: str
    tags: Mapping[str, str]
    published: Mapping[str, frozenset[Version]] | None = None
    requires: Mapping[str, tuple[Requirement, ...]] = {}
    unheard: Mapping[str, str] = {}


def decisions(
    workspace: Workspace,
    baselines: Mapping[str, Baseline],
    changes: Mapping[str, Sequence[Change]],
    settings: Settings,
    unreleased: Container[str] = frozenset(),
    since_stable: Mapping[str, Sequence[Change]] | None = None,
    own: Mapping[str, Mapping[str, Any]] | None = None,
) -> Decisions:
    """Return what the history asks of each publishable member; *unreleased* is as `standing` has it.

    *changes* are those since the last release; where that is a prerelease, *since_stable* has those since the last
    stable one. *own* are the settings that members have for themselves.
    Raises Refusal RK-VERSION-INVALID, and RK-CONFIG-INVALID-VALUE or RK-WORKSPACE-UNKNOWN-PACKAGE for wrong groups.
    """
    rules, whole = settings.rules(), since_stable or {}
    own_rules = {name: settings.model_copy(update=said).rules() for name, said in (own or {}).items()}
    pasts = {
        member.name: (
            _past(
                member,
                baselines.get(member.name),
                changes.get(member.name, ()),
                whole.get(member.name),
                settings.first_version,
            ),
            own_rules.get(member.name, rules),
        )
        for member in workspace
        if member.publishable
    }
    return decided(pasts, units_of(workspace, settings), unreleased)


def make_plan(
    workspace: Workspace,
    decisions: Decisions,
    baselines: Mapping[str, Baseline],
    selection: Selection,
    settings: Settings,
    facts: Facts,
    own: Mapping[str, Mapping[str, Any]] | None = None,
) -> Plan:
    """Return the plan that follows from the *facts*; the same facts make the same plan.

    Raises Refusal RK-GRAPH-CYCLE, RK-GRAPH-SELF-DEPENDENCY, RK-WORKSPACE-UNKNOWN-PACKAGE, RK-TAG-INVALID,
    RK-TAG-EXISTS, and what stands in the way of a decision: RK-VERSION-INVALID, RK-VERSION-UNKNOWN.
    """
    current = {member.name: _current(member, baselines.get(member.name)) for member in workspace}
    decisions, statuses, graph = _chosen(workspace, decisions, current, selection, settings, facts)
    _refuse_undecided(workspace, decisions, statuses)
    order(graph.only(decisions), settings.cycles)  # refuses a cycle also where none of its members is released now
    released = _released(statuses)
    targets = _targets(decisions)
    versions = {n: v for n in decisions if (v := targets[n] if n in released else current[n]) is not None}
    graph, warnings = graph_of(workspace, {**current, **versions})
    only = graph.only(released)
    ordered = order(only, settings.cycles)
    schemes = schemes_of(settings, own or {})
    rows = _rows(workspace, decisions, current, statuses, ordered, only, schemes, own or {})
    _refuse_taken(rows, facts, schemes)
    commit = facts.commit
    old = _old_pins(rows, graph, set(baselines), facts.requires)
    untagged = _untagged(rows, baselines, offline=facts.published is None)
    unheard = [
        Warn(Code.VERSION_UNHEARD, f"Release-As: {version} ({sha}) touches no package")
        for sha, version in facts.unheard.items()
    ]
    return Plan(
        commit=commit,
        release=release_id(commit, rows),
        tags=_umbrella(workspace, rows, settings, facts, schemes),
        warnings=tuple(
            map(
                str,
                (*warnings, *_unreleased_needs(workspace, statuses, released, baselines), *old, *untagged, *unheard),
            )
        ),
        packages=tuple(rows),
        versions=versions,
        date=facts.date,
    )


def _past(
    member: Member,
    baseline: Baseline | None,
    changes: Sequence[Change],
    since_stable: Sequence[Change] | None,
    first: str,
) -> Past:
    if baseline is None:
        return Past(member.version or (Version(first) if first else None), changes=changes)
    return Past(
        declared=member.version,
        last=baseline.version,
        stable=baseline.stable.version if baseline.stable else None,
        changes=changes if since_stable is None else since_stable,
        fresh=None if since_stable is None else frozenset(change.sha for change in changes),
        taken=baseline.taken,
    )


def _current(member: Member, baseline: Baseline | None) -> Version | None:
    return baseline.version if baseline else member.version


def _targets(decisions: Decisions) -> dict[str, Version]:
    return {name: decision.target for name, decision in decisions.items() if decision.target}


def _released(statuses: Mapping[str, Status]) -> list[str]:
    return [name for name, status in statuses.items() if status in (Status.INCLUDED, Status.DEPENDENCY_ONLY)]


def _chosen(
    workspace: Workspace,
    decisions: Decisions,
    current: Mapping[str, Version | None],
    selection: Selection,
    settings: Settings,
    facts: Facts,
) -> tuple[Decisions, dict[str, Status], Graph]:
    """Return what becomes of each package, and the decisions with the dependents that are pulled along."""
    pulled: dict[str, str] = {}
    while True:
        decided_now = decisions.pulling(pulled) if pulled else decisions
        targets = _targets(decided_now)
        graph, _ = graph_of(workspace, {**current, **targets})
        statuses = _statuses(workspace, decided_now, graph, selection, settings, facts)
        if settings.propagate == "none":
            return decided_now, statuses, graph
        needs = graph.hard
        changed = set(_released(statuses))
        fresh = {
            name: f"needs {', '.join(f'{need} {targets[need]}' for need in sorted(needs[name] & changed))}"
            for name, status in statuses.items()
            if status is Status.SKIPPED and name not in pulled and needs[name] & changed
        }
        if not fresh:
            return decided_now, statuses, graph
        pulled |= fresh


def _refuse_undecided(workspace: Workspace, decisions: Decisions, statuses: Mapping[str, Status]) -> None:
    """Refuse what cannot be decided, where it would be released."""
    for name, status in statuses.items():
        refusal = decisions[name].refusal
        if refusal and status is not Status.EXCLUDED:
            if refusal.code is not Code.VERSION_UNKNOWN:
                raise refusal
            where = f"{workspace[name].path}/pyproject.toml"
            raise Refusal(Code.VERSION_UNKNOWN, f"{name} has a dynamic version and no tag", where)


def _statuses(
    workspace: Workspace,
    decisions: Decisions,
    graph: Graph,
    selection: Selection,
    settings: Settings,
    facts: Facts,
) -> dict[str, Status]:
    targets = _targets(decisions)
    selected, excluded = _selected(workspace, selection, settings)
    brought, wider = frozenset[str](), graph.dependencies(selected)
    while wider != brought:  # a fixed group goes out as a whole
        brought, wider = wider, graph.dependencies(wider | (decisions.together_with(wider) - excluded))
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
    patterns = [*selection.package, *patterns_of(settings, selection.group)]
    excluded = workspace.matching(selection.exclude)
    chosen = workspace.matching(patterns) if selection.package or selection.group else frozenset(workspace.members)
    return chosen - excluded, excluded


def _rows(
    workspace: Workspace,
    decisions: Decisions,
    current: Mapping[str, Version | None],
    statuses: Mapping[str, Status],
    ordered: Order,
    graph: Graph,
    schemes: TagSchemes,
    own: Mapping[str, Mapping[str, Any]],
) -> list[Step]:
    level = ordered.level_of()
    apart = graph.dependents(graph.apart)
    rows: list[Step] = []
    for number, name in enumerate((*ordered.names, *(name for name in statuses if name not in level))):
        released = name in level
        target = decisions[name].target
        rows.append(
            Step(
                order=number if released else -1,
                level=level.get(name, -1),
                name=name,
                path=workspace[name].path,
                current=current[name],
                next=target if statuses[name] is not Status.SKIPPED else None,
                bump=decisions[name].label,
                status=statuses[name],
                reason=decisions[name].reason,
                tag=schemes.of(name).tag(name, target) if target else "",
                needs=tuple(sorted(ordered.needs.get(name, ()))),
                build_needs=tuple(sorted(graph.dependencies(graph.build.get(name, ())))),
                apart=name in apart,
                smoke_test=own.get(name, {}).get("smoke_test"),
                after=tuple(sorted(ordered.after.get(name, ()))),
                batch=tuple(sorted(ordered.batches.get(name, frozenset()) - {name})),
            )
        )
    return rows


def _refuse_taken(rows: Sequence[Step], facts: Facts, schemes: TagSchemes) -> None:
    owner: dict[str, str] = {}
    for step in rows:
        if step.order < 0:
            continue
        if step.tag in facts.tags:
            raise Refusal(Code.TAG_EXISTS, f"{step.tag} exists already, at {facts.tags[step.tag][:12]}", step.name)
        other = owner.setdefault(step.tag, step.name)
        if other != step.name and (other in schemes.own or step.name in schemes.own):
            what = f"{other} and {step.name} would both be tagged {step.tag}"
            raise Refusal(Code.TAG_INVALID, what, hint="Put {name} into the tag_format of one of them.")


def _umbrella(
    workspace: Workspace, rows: Sequence[Step], settings: Settings, facts: Facts, schemes: TagSchemes
) -> tuple[str, ...]:
    released = {step.name: step.version for step in rows if step.order >= 0}
    if not released:
        return ()
    sharing = {name: version for name, version in released.items() if name not in schemes.own}
    if sharing and not schemes.common.names_packages:
        return (_shared_tag(sharing, schemes.common),)
    taken = {*facts.tags, *(step.tag for step in rows)}
    leads = workspace.matching([settings.lead] if settings.lead else ())
    lead = next((version for name, version in released.items() if name in leads), None)
    return (umbrella(settings.umbrella_tag_format, schemes, released.values(), lead, facts.date, taken),)


def _shared_tag(released: Mapping[str, Version], scheme: TagScheme) -> str:
    """Return the one tag of a lockstep repository."""
    versions = sorted(set(released.values()))
    if len(versions) > 1:
        shown = ", ".join(map(str, versions))
        what = f"{scheme.patterns[0]!r} names no package, so one tag would stand for the versions {shown}"
        hint = 'Give all packages one version (versioning = "fixed"), or put {name} into tag_format.'
        raise Refusal(Code.TAG_INVALID, what, hint=hint)
    return scheme.tag("", versions[0])


def release_id(commit: str, rows: Sequence[Step]) -> str:
    """Return the id of the release of *rows* from *commit*."""
    parts = [commit, *(f"{step.name}=={step.version}" for step in rows if step.order >= 0)]
    return sha256("\n".join(parts).encode()).hexdigest()[:12]


def _unreleased_needs(
    workspace: Workspace, statuses: Mapping[str, Status], released: Sequence[str], baselines: Container[str]
) -> Iterator[Warn]:
    """Name the needs that nobody could install: a member that is never published, or not yet and left out now."""
    for name in released:
        for need in sorted(workspace.internal(workspace[name], Kind.RUNTIME, Kind.BUILD, Kind.EXTRA)):
            if not workspace[need].publishable:
                why = "which is never published"
            elif statuses[need] is Status.EXCLUDED and need not in baselines:
                why = "which was never released and is left out"
            else:
                continue
            where = f"{workspace[name].path}/pyproject.toml"
            yield Warn(Code.WORKSPACE_REQUIREMENT, f"{name} requires {need}, {why}", where)


def left_behind(workspace: Workspace, plan: Plan, baselines: Mapping[str, Baseline]) -> dict[str, Version]:
    """Return the last releases, by package, that may stay as they are while *plan* releases what they need.

    The *plan* may be from before the index was asked: then what has no tag is in it, and may yet prove to be released.
    """
    released = {step.name for step in plan.steps}
    last = {name: each for name, each in baselines.items() if name not in released or not each.tag}
    needing = (member.name for member in workspace if released.intersection(workspace.internal(member, Kind.RUNTIME)))
    return {name: last[name].version for name in needing if name in last}


def _old_pins(
    rows: Sequence[Step], graph: Graph, tagged: Container[str], requires: Mapping[str, tuple[Requirement, ...]]
) -> Iterator[Warn]:
    """Name what stays behind with pins that exclude the new version: published, not released now, and in need of it.

    Such a package installs with the old version still, unless somebody wants it together with the new one.
    """
    released = {step.name: step for step in rows if step.order >= 0}
    behind = {step.name: step for step in rows if step.order < 0 and step.name in tagged}
    dependents, among = reverse(graph.hard), reverse(graph.only(released).hard)
    for step in released.values():
        kept = sorted(name for name in dependents[step.name] if name in behind and _excludes(requires.get(name), step))
        if not kept or step.name not in tagged:
            continue
        # Who needs it as it is released, and also one of *kept*.
        clashing = sorted((closure(among, [step.name]) - {step.name}) & closure(dependents, kept))
        if clashing:
            so = f"cannot be installed: {some(kept)} on the index {_verb(kept)} {step.name} {step.current}"
            yield Warn(Code.PIN_CONFLICT, f"{some(clashing)} {so}, not {step.version}", _remedy(kept))
        elif quiet := [name for name in kept if behind[name].status is Status.SKIPPED]:
            what = f"{some(quiet)} on the index still {_verb(quiet)} {step.name} {step.current}"
            yield Warn(Code.PIN_OLD, what, _remedy(quiet))


def _excludes(requires: Sequence[Requirement] | None, step: Step) -> bool:
    """Tell whether what *requires* something cannot be installed with *step* as it is released."""
    if requires is None:
        return True
    mine = (each.specifier for each in requires if canonicalize_name(each.name) == step.name)
    return any(not specifier.contains(step.version, prereleases=True) for specifier in mine)


def _untagged(rows: Sequence[Step], baselines: Mapping[str, Baseline], *, offline: bool) -> Iterator[Warn]:
    """Say what is taken for the last release of packages that have no tag."""
    listed = [
        f"{step.name} {baselines[step.name].version} ({baselines[step.name].commit[:7]})"
        for step in rows
        if step.name in baselines and not baselines[step.name].tag
    ]
    if listed:
        so = "the last release is what the index has, made from the commit that set it"
        what = f"without a tag, {so}: {some(listed)}"
        yield Warn(Code.BASELINE_INDEX, what)
    fresh = [step.name for step in rows if step.order >= 0 and step.name not in baselines]
    if fresh and offline:
        what = f"{some(fresh)} {'has' if len(fresh) == 1 else 'have'} no tag, and no index was asked for a release"
        yield Warn(Code.BASELINE_INDEX, what)


def _verb(names: Sequence[str]) -> str:
    return "needs" if len(names) == 1 else "need"


def _remedy(names: Sequence[str]) -> str:
    packages = " ".join(f"-p {name}" for name in names[:_SHOWN])
    return f'propagate = "patch" releases what needs it too; or: --force-unchanged {packages}'
