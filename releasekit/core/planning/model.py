"""The plan: which package goes to which version, why, in what order, under which tags. Making one changes nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping  # noqa: TC003  pydantic reads the annotation
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Literal

from packaging.requirements import Requirement  # noqa: TC002  pydantic reads the annotation
from packaging.utils import canonicalize_name
from packaging.version import Version
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from releasekit.core.changelog.changelog import Section
from releasekit.core.changelog.note_entries import Tale
from releasekit.core.config.settings import PinMode  # noqa: TC001  pydantic reads the annotation
from releasekit.core.errors import Code, Refusal, ReleaseError, Warn
from releasekit.core.history.tags import schemes_of, umbrella
from releasekit.core.versioning.groups import Decisions, decided, patterns_of, pin_modes, units_of
from releasekit.core.versioning.versions import Past
from releasekit.core.workspace.candidates import Candidate, allows, requires_of
from releasekit.core.workspace.graph import closure, graph_of, offers_of, order
from releasekit.core.workspace.installation import conflicts, exclusions
from releasekit.core.workspace.pins import Pins, pin_requirement
from releasekit.core.workspace.requirements import key_of
from releasekit.core.workspace.siblings import RaisedRequirement, Siblings
from releasekit.core.workspace.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Iterator, Sequence, Sized

    from releasekit.core.config.settings import Selection, Settings
    from releasekit.core.history.commits import Change
    from releasekit.core.history.tags import Baseline, TagScheme, TagSchemes
    from releasekit.core.workspace.candidates import Candidates
    from releasekit.core.workspace.graph import Graph, Order
    from releasekit.core.workspace.installation import Exclusion
    from releasekit.core.workspace.workspace import Member, Workspace

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


def title_in(subject: str) -> str:
    """Return the title of the release that a commit with this *subject* made, empty if it made none.

    Merging by squash puts the number of the pull request behind it.
    """
    _, is_release, title = subject.rpartition(RELEASE_COMMIT)
    return re.sub(r" \([#!]\d+\)$", "", title) if is_release else ""


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
    *pins* is what its wheel requires of its siblings; *older* are requirements that mean an older release of one, as
    `key_of` spells them.
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
    pins: PinMode = "exact"
    older: tuple[str, ...] = ()
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

    def __str__(self) -> str:
        return str(self.as_refusal())


_SAID_ONCE = frozenset({Code.INDEX_UNREACHABLE, Code.REMOTE_UNREACHABLE})
"""Several questions go to the same server: when it is down, each of them fails for the same reason."""


def distinct(obstacles: Iterable[Obstacle]) -> tuple[Obstacle, ...]:
    """Return *obstacles* in their order, each of them once, and a server that does not answer once."""
    first: dict[tuple[str, ...], Obstacle] = {}
    for obstacle in obstacles:
        place = () if obstacle.code in _SAID_ONCE else (obstacle.what, obstacle.where)
        first.setdefault((obstacle.code, *place), obstacle)
    return tuple(first.values())


def count_obstacles(obstacles: Sized) -> str:
    """Return how many *obstacles* there are: "1 obstacle", "3 obstacles"."""
    return f"{len(obstacles)} obstacle{'' if len(obstacles) == 1 else 's'}"


class Plan(BaseModel):
    """One decision about a whole workspace. *versions* is what internal pins say: the new version, or the current.

    *date* is "YYYY.MM.DD"; *changelogs* are by package what its changelog gains, *tales* what the release notes tell.
    *obstacles* are what `publish` would refuse. *limits* are by package the first version after the one in *versions*
    that may break its dependents. *raises* are the requirements on siblings that the release commit changes. *unread*
    are releases of which it was assumed what they require. With *together* the latest versions of all packages can be
    installed together after the release.
    *unfinished* is the title of a release that was begun here and has not ended, if somebody looked.
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
    limits: Mapping[str, PyVersion] = Field(default_factory=dict[str, Version])
    raises: tuple[RaisedRequirement, ...] = ()
    unread: tuple[tuple[str, PyVersion], ...] = Field(default=(), exclude=True)
    together: bool = False
    date: str = ""
    changelogs: Mapping[str, Section] = Field(default_factory=dict[str, Section])
    tales: Mapping[str, Tale] = Field(default_factory=dict[str, Tale])
    unfinished: str | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The packages that are released, dependencies first."""
        return tuple(step for step in self.packages if step.order >= 0)

    @property
    def all_tags(self) -> tuple[str, ...]:
        """The tags of all packages that are released, and the umbrella last."""
        return tuple(dict.fromkeys([*(step.tag for step in self.steps if step.tag not in self.tags), *self.tags]))

    def pins_of(self, step: Step) -> Pins:
        """Return what the package of *step* requires of its siblings once it is built."""
        return Pins(step.pins, self.versions, self.limits, frozenset(step.older))

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
        """What it comes to: "3 packages to release", "3 packages to release, 2 obstacles"."""
        released = f"{counted(self.steps)} to release" if self.steps else "nothing to release"
        return f"{released}, {count_obstacles(self.obstacles)}" if self.obstacles else released

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


class Obstructed(Refusal):
    """The refusal to carry out *plan*: the code is that of its first obstacle, and the plan has all of them."""

    def __init__(self, plan: Plan) -> None:
        first = plan.obstacles[0]
        super().__init__(first.code, first.what, first.where, first.hint, first.output)
        self.plan = plan

    def __reduce__(self) -> tuple[type[Obstructed], tuple[Plan]]:
        return type(self), (self.plan,)

    @property
    def full_text(self) -> str:
        """All obstacles, each with what to do next."""
        return "\n".join(f"{obstacle}\n{obstacle.hint}" for obstacle in self.plan.obstacles)


class Facts(BaseModel):
    """All that a plan is made from; *published* is None when no index was asked, *date* is "YYYY.MM.DD".

    *published* are by package the versions on the index that the release goes to, *elsewhere* those that installers
    find on their default index besides. *requires* is what releases require, by package and version; of one that is not
    in it it is assumed. *raised* are packages that a release since their last one has changed without publishing them:
    it raised a requirement there; with its name. *unheard* are versions that commits ask for which touch no package, by
    their short shas.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    commit: str
    date: str
    tags: Mapping[str, str]
    published: Mapping[str, frozenset[Version]] | None = None
    elsewhere: Mapping[str, frozenset[Version]] = {}
    requires: Mapping[str, Mapping[Version, tuple[Requirement, ...]]] = {}
    raised: Mapping[str, str] = {}
    unheard: Mapping[str, str] = {}

    def installable(self, name: str) -> frozenset[Version] | None:
        """Return the versions of the package *name* that an installer finds; None if nobody was asked."""
        if self.published is None or not (name in self.published or name in self.elsewhere):
            return None
        return self.published.get(name, frozenset()) | self.elsewhere.get(name, frozenset())


def decisions(
    workspace: Workspace,
    baselines: Mapping[str, Baseline],
    changes: Mapping[str, Sequence[Change]],
    settings: Settings,
    unreleased: Container[str] = frozenset(),
    since_stable: Mapping[str, Sequence[Change]] | None = None,
    own: Mapping[str, Mapping[str, Any]] | None = None,
    spent: Mapping[str, frozenset[Version]] | None = None,
) -> Decisions:
    """Return what the history asks of each publishable member; *unreleased* is as `standing` has it.

    *changes* are those since the last release; where that is a prerelease, *since_stable* has those since the last
    stable one. *own* are the settings that members have for themselves, *spent* versions that cannot be released again.
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
                (spent or {}).get(member.name, frozenset()),
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

    A tag that exists already, RK-TAG-EXISTS, is an obstacle of the plan.

    Raises Refusal RK-GRAPH-CYCLE, RK-GRAPH-SELF-DEPENDENCY, RK-WORKSPACE-UNKNOWN-PACKAGE, RK-TAG-INVALID, and what
    prevents a decision: RK-VERSION-INVALID, RK-VERSION-UNKNOWN.
    """
    scene = _Scene(workspace, baselines, selection, settings, facts, own or {})
    decisions, statuses, siblings = _choose(scene, decisions)
    _refuse_undecided(workspace, decisions, statuses)
    full, _ = graph_of(workspace, offers_of(workspace, scene.current, _targets(decisions)))
    order(full.only(decisions), settings.cycles)  # refuses a cycle also where none of its members is released now
    released = _released(statuses)
    graph, warnings = graph_of(workspace, siblings.offers)
    only = graph.only(released)
    ordered = order(only, settings.cycles)
    schemes = schemes_of(settings, scene.own)
    rows = _rows(scene, decisions, statuses, ordered, only, schemes, siblings)
    _refuse_shared(rows, schemes)
    candidates = _candidates(scene, siblings)
    unheard = [
        Warn(Code.VERSION_UNHEARD, f"Release-As: {version} ({sha}) touches no package")
        for sha, version in facts.unheard.items()
    ]
    excluded = exclusions(candidates)
    told = (
        *warnings,
        *_unreleased_needs(scene, statuses, released),
        *_outdated([each for each in excluded if statuses[each.by.name] is Status.SKIPPED], settings),
        *_untagged(rows, baselines, offline=facts.published is None),
        *unheard,
    )
    return Plan(
        commit=facts.commit,
        release=release_id(facts.commit, rows),
        tags=_umbrella(workspace, rows, settings, facts, schemes),
        warnings=tuple(map(str, told)),
        obstacles=(
            *(Obstacle.from_error(refusal) for refusal in _taken_tags(rows, facts)),
            *_obstacles(scene, siblings, candidates),
        ),
        unread=tuple((each.name, each.version) for those in candidates.values() for each in those if each.assumed),
        packages=tuple(rows),
        versions=siblings.versions,
        limits=siblings.limits if any(step.pins == "compatible" for step in rows) else {},
        raises=tuple(each for member in workspace for each in siblings.raised(member)),
        together=_promises_all(settings, siblings) and all(each.extra for each in excluded),
        date=facts.date,
    )


@dataclass(frozen=True)
class _Scene:
    """All that a plan is made from, beside the decisions."""

    workspace: Workspace
    baselines: Mapping[str, Baseline]
    selection: Selection
    settings: Settings
    facts: Facts
    own: Mapping[str, Mapping[str, Any]]

    @cached_property
    def current(self) -> dict[str, Version | None]:
        """The version of each member now: of its last release, else as declared."""
        return {member.name: _current(member, self.baselines.get(member.name)) for member in self.workspace}

    @cached_property
    def modes(self) -> dict[str, PinMode]:
        """How each publishable member is pinned."""
        return pin_modes(self.workspace, self.settings, self.own)

    @cached_property
    def major_on_zero(self) -> frozenset[str]:
        """The members whose 1.0.0 is an ordinary breaking change."""
        key = "major_on_zero"
        says = ((name, self.own.get(name, {}).get(key, self.settings.major_on_zero)) for name in self.modes)
        return frozenset(name for name, on_zero in says if on_zero)

    def siblings(self, targets: Mapping[str, Version]) -> Siblings:
        """Return the requirements between the members in a release of *targets*."""
        offers = offers_of(self.workspace, self.current, targets)
        policy = self.settings.source_requirements
        return Siblings(self.workspace, offers, self.current, targets, self.modes, policy, self.major_on_zero)


def _past(
    member: Member,
    baseline: Baseline | None,
    changes: Sequence[Change],
    since_stable: Sequence[Change] | None,
    first: str,
    spent: frozenset[Version],
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
        spent=spent,
    )


def _current(member: Member, baseline: Baseline | None) -> Version | None:
    return baseline.version if baseline else member.version


def _targets(decisions: Decisions) -> dict[str, Version]:
    return {name: decision.target for name, decision in decisions.items() if decision.target}


def _released(statuses: Mapping[str, Status]) -> list[str]:
    return [name for name, status in statuses.items() if status in (Status.INCLUDED, Status.DEPENDENCY_ONLY)]


def _choose(scene: _Scene, decisions: Decisions) -> tuple[Decisions, dict[str, Status], Siblings]:
    """Return what becomes of each package, with those that come along because of others, as `propagate` says."""
    pulled: dict[str, str] = {}
    while True:
        decided_now = decisions.pulling(pulled) if pulled else decisions
        targets = _targets(decided_now)
        graph, _ = graph_of(scene.workspace, offers_of(scene.workspace, scene.current, targets))
        statuses = _statuses(scene.workspace, decided_now, graph, scene.selection, scene.settings, scene.facts)
        released = _released(statuses)
        siblings = scene.siblings({name: targets[name] for name in released})
        waiting = [name for name, status in statuses.items() if status is Status.SKIPPED and name not in pulled]
        fresh = {} if scene.settings.propagate == "none" else _pull(scene, graph, siblings, waiting)
        if not fresh:
            return decided_now, statuses, siblings
        pulled |= fresh


def _pull(scene: _Scene, graph: Graph, siblings: Siblings, waiting: Sequence[str]) -> dict[str, str]:
    """Return those of *waiting* that come along with the release, each with the reason."""
    targets = siblings.targets
    if scene.settings.propagate == "patch":
        needed = {name: sorted(graph.hard[name] & targets.keys()) for name in waiting}
        fresh = {
            name: f"needs {', '.join(f'{need} {targets[need]}' for need in needs)}"
            for name, needs in needed.items()
            if needs
        }
    else:
        fresh = dict(_out_of_range(scene, siblings, waiting))
    earlier = {name: release for name, release in scene.facts.raised.items() if name in waiting}
    fresh = {name: f"its requirements were raised by {release}" for name, release in earlier.items()} | fresh
    if fresh or not targets:
        return fresh
    candidates = _candidates(scene, siblings)
    outdated = [each for conflict in conflicts(candidates) for each in conflict.because]
    if _promises_all(scene.settings, siblings):
        outdated += [each for each in exclusions(candidates) if not each.extra]
    # The others by their last release: a new one of them makes room.
    return {
        each.by.name: f"{each}, and {each.excluded} is released{_assumption([each])}"
        for each in outdated
        if each.by.name in waiting
    }


def _assumption(excluded: Sequence[Exclusion]) -> str:
    """Return what to add to a sentence about requirements that nobody has read."""
    return " (assumed: no index has told)" if any(each.by.assumed for each in excluded) else ""


def _out_of_range(scene: _Scene, siblings: Siblings, waiting: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what changes because a published requirement of it is raised now."""
    for name in waiting:
        raised = [each for each in siblings.raised(scene.workspace[name], needed=True) if each.kind is not Kind.GROUP]
        if raised:
            what = some([f"{each.sibling} {siblings.targets[each.sibling]}" for each in raised])
            yield name, f"{raised[0].before} is raised for {what}"


def _promises_all(settings: Settings, siblings: Siblings) -> bool:
    """Return whether the settings promise that the latest versions of all packages can be installed together.

    They do where every dependent follows; or where what is built says what the source says, and that follows.
    """
    modes = set(siblings.modes.values())
    if settings.source_requirements == "leave" and "keep" in modes:
        return False
    return settings.propagate == "patch" or (settings.propagate == "out-of-range" and modes == {"keep"})


def _candidates(scene: _Scene, siblings: Siblings) -> dict[str, list[Candidate]]:
    """Return what the index will have of each publishable member after the release, the latest first."""
    candidates: dict[str, list[Candidate]] = {}
    for name in siblings.modes:
        found: list[Candidate] = []
        if name in siblings.targets:
            older = siblings.older(scene.workspace[name])
            findable = (need for need in older if scene.facts.installable(need.name) is not None)
            found.append(siblings.planned(name, findable))
        last, known = scene.baselines.get(name), scene.facts.installable(name)
        if last and (known is None or last.version in known):
            found.append(siblings.released(name, last.version, scene.facts.requires.get(name, {}).get(last.version)))
        if found:
            candidates[name] = found
    todo = [each for found in candidates.values() for each in found]
    while todo:  # what none of these satisfies, an older release may
        fresh = list(_older_releases(todo, candidates, scene.facts))
        for each in fresh:
            candidates[each.name].append(each)
        todo = fresh
    return candidates


def _older_releases(
    asking: Sequence[Candidate], candidates: Mapping[str, Sequence[Candidate]], facts: Facts
) -> Iterator[Candidate]:
    """Yield the latest release that an installer finds for each requirement that the *candidates* do not satisfy."""
    seen: set[tuple[str, Version]] = set()
    for requirement in (each.requirement for candidate in asking for each in candidate.requires):
        name = canonicalize_name(requirement.name)
        specifier = requirement.specifier
        if not candidates.get(name) or any(allows(specifier, each, candidates) for each in candidates[name]):
            continue
        older = max(specifier.filter(facts.installable(name) or ()), default=None)
        if older and (name, older) not in seen:
            seen.add((name, older))
            known = facts.requires.get(name, {}).get(older)
            yield Candidate(name, older, requires_of(known or ()), assumed=known is None)


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
    scene: _Scene,
    decisions: Decisions,
    statuses: Mapping[str, Status],
    ordered: Order,
    graph: Graph,
    schemes: TagSchemes,
    siblings: Siblings,
) -> list[Step]:
    level = ordered.level_of()
    rows: list[Step] = []
    for number, name in enumerate((*ordered.names, *(name for name in statuses if name not in level))):
        released = name in level
        target = decisions[name].target
        rows.append(
            Step(
                order=number if released else -1,
                level=level.get(name, -1),
                name=name,
                path=scene.workspace[name].path,
                current=scene.current[name],
                next=target if statuses[name] is not Status.SKIPPED else None,
                bump=decisions[name].label,
                status=statuses[name],
                reason=decisions[name].reason,
                tag=schemes.of(name).tag(name, target) if target else "",
                needs=tuple(sorted(ordered.needs.get(name, ()))),
                build_needs=tuple(sorted(graph.dependencies(graph.build.get(name, ())))),
                pins=siblings.modes[name],
                older=tuple(sorted({key_of(need.requirement) for need in siblings.older(scene.workspace[name])})),
                smoke_test=scene.own.get(name, {}).get("smoke_test"),
                after=tuple(sorted(ordered.after.get(name, ()))),
                batch=tuple(sorted(ordered.batches.get(name, frozenset()) - {name})),
            )
        )
    return rows


def _taken_tags(rows: Sequence[Step], facts: Facts) -> Iterator[Refusal]:
    taken = {step.tag: step.name for step in reversed(rows) if step.order >= 0 and step.tag in facts.tags}
    for tag, name in reversed(taken.items()):
        yield Refusal(Code.TAG_EXISTS, f"{tag} exists already, at {facts.tags[tag][:12]}", name)


def _refuse_shared(rows: Sequence[Step], schemes: TagSchemes) -> None:
    owner: dict[str, str] = {}
    for step in rows:
        if step.order < 0:
            continue
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


def _unreleased_needs(scene: _Scene, statuses: Mapping[str, Status], released: Sequence[str]) -> Iterator[Warn]:
    """Name the needs that only another index can satisfy: a member that is never published, or not yet and left out."""
    for name in released:
        for need in sorted(scene.workspace.internal(scene.workspace[name], Kind.RUNTIME, Kind.BUILD, Kind.EXTRA)):
            if not scene.workspace[need].publishable:
                why = "which is never published"
            elif statuses[need] is Status.EXCLUDED and need not in scene.baselines:
                why = "which was never released and is left out"
            else:
                continue
            where = f"{scene.workspace[name].path}/pyproject.toml"
            yield Warn(Code.WORKSPACE_REQUIREMENT, f"{name} requires {need}, {why}", where)


def index_questions(workspace: Workspace, plan: Plan) -> frozenset[str]:
    """Return the packages that the index has to be asked about: what *plan* releases, what that needs, who needs it.

    Of those that are not released, the answers tell whether they can be installed with what is.
    """
    internal = {member.name: workspace.internal(member, *_PUBLIC_KINDS) for member in workspace}
    released = {step.name for step in plan.steps}
    dependents = {name for name, needs in internal.items() if needs & released and workspace[name].publishable}
    return closure(internal, released) | dependents


_PUBLIC_KINDS = (Kind.RUNTIME, Kind.BUILD, Kind.EXTRA)


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why a package of the release could not be installed; releasing *remedy* too would help, if anything is there."""

    code: Code
    package: str
    what: str
    where: str
    remedy: tuple[str, ...]


def _obstacles(scene: _Scene, siblings: Siblings, candidates: Candidates) -> Iterator[Obstacle]:
    """Yield what nobody could install, each with the one command that releases all that is needed for all of it."""
    problems = list(_missing(scene, siblings))
    known = {each.package for each in problems}
    problems += [each for each in _unfit(scene, candidates) if each.package not in known]
    names = [*siblings.targets, *(name for each in problems for name in each.remedy)]
    options = " ".join(f"-p {name}" for name in dict.fromkeys(names))
    for each in problems:
        hint = _CHANGE_REQUIREMENT
        if each.remedy:
            hint = f"Release {' and '.join(each.remedy)} too: `releasekit publish --force-unchanged {options}`."
        yield Obstacle(code=each.code, what=each.what, where=each.where, hint=hint)


_CHANGE_REQUIREMENT = "Change the requirement, so that it names a version that the index has; or remove it."


def _missing(scene: _Scene, siblings: Siblings) -> Iterator[_Problem]:
    """Yield each requirement on a sibling that is not released now and that no index has."""
    for name, version in siblings.targets.items():
        member, pins, seen = scene.workspace[name], siblings.pins(name), set[str]()
        older = {need.written for need in siblings.older(member)}
        for need in member.needs:
            known = scene.facts.installable(need.name)
            released = need.name in siblings.targets and need.written not in older
            if known is None or released or need.kind is Kind.GROUP or need.name in (name, *seen):
                continue
            wanted = pin_requirement(need.requirement, pins)
            if need.requirement.url or any(wanted.specifier.filter(known)):
                continue
            seen.add(need.name)
            tag = scene.baselines[need.name].tag if need.name in scene.baselines else ""
            state = f"tagged {tag} and" if tag else "required and"
            what = f"{need.name} is {state} not on the index; {name} {version} requires {key_of(wanted)}"
            remedy = (need.name,) if need.name in siblings.modes and need.written not in older else ()
            yield _Problem(Code.SIBLING_MISSING, name, what, f"{member.path}/{need.file}", remedy)


def _unfit(scene: _Scene, candidates: Candidates) -> Iterator[_Problem]:
    """Yield each package of the release, or extra, that requires two versions of one package."""
    for conflict in conflicts(candidates):
        name = conflict.candidate.name
        because = some([f"{each}, not {each.excluded.version}" for each in conflict.because])
        where = f"{scene.workspace[name].path}/pyproject.toml"
        what = f"{conflict.name} cannot be installed: {because}{_assumption(conflict.because)}"
        yield _Problem(Code.PIN_CONFLICT, name, what, where, conflict.outdated)


def _outdated(excluded: Sequence[Exclusion], settings: Settings) -> Iterator[Warn]:
    """Say in one line which packages stay behind with requirements that exclude what is released.

    Such a package can be installed still, with older versions. A prerelease is only for those who ask for it.
    """
    behind = [each for each in excluded if each.excluded.planned and not each.by.planned]
    behind = [each for each in behind if not each.excluded.version.is_prerelease]
    if not behind:
        return
    names = list(dict.fromkeys(each.by.name for each in behind))
    what = some([f"{each}, not {each.excluded.version}" for each in behind])
    stay = "stays" if len(names) == 1 else "stay"
    command = f"releasekit publish --force-unchanged {' '.join(f'-p {name}' for name in names)}"
    more = "" if settings.propagate == "patch" else '; propagate = "patch" always does'
    yield Warn(
        Code.PIN_OLD, f"{counted(names)} {stay} behind{_assumption(behind)}: {what}", f"`{command}` releases them{more}"
    )


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
