"""How a plan is made: from facts to ordered steps."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from releasekit.core.errors import Code, Refusal, Warn
from releasekit.core.history.tags import schemes_of, umbrella
from releasekit.core.workspace.graph import graph_of, offers_of, order
from releasekit.core.workspace.installation import exclusions
from releasekit.core.workspace.requirements import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.version import Version

    from releasekit.core.config.settings import Selection, Settings
    from releasekit.core.history.tags import Baseline, TagScheme, TagSchemes
    from releasekit.core.versioning.groups import Decisions
    from releasekit.core.workspace.graph import Graph, Order
    from releasekit.core.workspace.siblings import Siblings
    from releasekit.core.workspace.workspace import Workspace
from releasekit.core.planning.installable import candidate_versions, keeps_all_installable, packages_to_add
from releasekit.core.planning.model import Obstacle, Plan, Status, Step
from releasekit.core.planning.obstacles import find_obstacles
from releasekit.core.planning.plan_inputs import Facts, PlanningContext
from releasekit.core.planning.selection import next_versions, package_statuses, refuse_undecided, released_names
from releasekit.core.planning.warnings import old_pin_warnings, unreleased_need_warnings, untagged_warnings


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
    scene = PlanningContext(workspace, baselines, selection, settings, facts, own or {})
    decisions, statuses, siblings = _choose(scene, decisions)
    refuse_undecided(workspace, decisions, statuses)
    full, _ = graph_of(workspace, offers_of(workspace, scene.current, next_versions(decisions)))
    order(full.only(decisions), settings.cycles)  # refuses a cycle also where none of its members is released now
    released = released_names(statuses)
    graph, warnings = graph_of(workspace, siblings.offers)
    only = graph.only(released)
    ordered = order(only, settings.cycles)
    schemes = schemes_of(settings, scene.own)
    rows = _rows(scene, decisions, statuses, ordered, only, schemes, siblings)
    _refuse_shared(rows, schemes)
    candidates = candidate_versions(scene, siblings)
    unheard = [
        Warn(Code.VERSION_UNHEARD, f"Release-As: {version} ({sha}) touches no package")
        for sha, version in facts.unheard.items()
    ]
    excluded = exclusions(candidates)
    told = (
        *warnings,
        *unreleased_need_warnings(scene, statuses, released),
        *old_pin_warnings([each for each in excluded if statuses[each.by.name] is Status.SKIPPED], settings),
        *untagged_warnings(rows, baselines, offline=facts.published is None),
        *unheard,
    )
    return Plan(
        commit=facts.commit,
        release=release_id(facts.commit, rows),
        tags=_umbrella(workspace, rows, settings, facts, schemes),
        warnings=tuple(map(str, told)),
        obstacles=(
            *(Obstacle.from_error(refusal) for refusal in _taken_tags(rows, facts)),
            *find_obstacles(scene, siblings, candidates),
        ),
        unread=tuple((each.name, each.version) for those in candidates.values() for each in those if each.assumed),
        packages=tuple(rows),
        versions=siblings.versions,
        limits=siblings.limits if any(step.pins == "compatible" for step in rows) else {},
        raises=tuple(each for member in workspace for each in siblings.raised(member)),
        together=keeps_all_installable(settings, siblings) and all(each.extra for each in excluded),
        date=facts.date,
    )


def _choose(scene: PlanningContext, decisions: Decisions) -> tuple[Decisions, dict[str, Status], Siblings]:
    """Return what becomes of each package, with those that come along because of others, as `propagate` says."""
    pulled: dict[str, str] = {}
    while True:
        decided_now = decisions.pulling(pulled) if pulled else decisions
        targets = next_versions(decided_now)
        graph, _ = graph_of(scene.workspace, offers_of(scene.workspace, scene.current, targets))
        statuses = package_statuses(scene.workspace, decided_now, graph, scene.selection, scene.settings, scene.facts)
        released = released_names(statuses)
        siblings = scene.siblings({name: targets[name] for name in released})
        waiting = [name for name, status in statuses.items() if status is Status.SKIPPED and name not in pulled]
        fresh = {} if scene.settings.propagate == "none" else packages_to_add(scene, graph, siblings, waiting)
        if not fresh:
            return decided_now, statuses, siblings
        pulled |= fresh


def _rows(
    scene: PlanningContext,
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
