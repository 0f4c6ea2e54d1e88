"""Make a plan: from inputs to ordered steps."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from releasekit.core.errors import ErrorCode, Refusal, ReleaseWarning
from releasekit.core.history.tags import schemes_of, umbrella_tag
from releasekit.core.planning.installable import candidate_versions, keeps_all_installable, packages_to_add
from releasekit.core.planning.model import Obstacle, Plan, Status, Step
from releasekit.core.planning.obstacles import find_obstacles
from releasekit.core.planning.plan_inputs import PlanBasis, PlanInputs
from releasekit.core.planning.selection import next_versions, package_statuses, refuse_undecided, released_names
from releasekit.core.planning.warnings import old_pin_warnings, unreleased_need_warnings, untagged_warnings
from releasekit.core.workspace.graph import graph_of, offers_of, order
from releasekit.core.workspace.installation import exclusions
from releasekit.core.workspace.requirements import requirement_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.version import Version

    from releasekit.core.config.settings import Selection, Settings
    from releasekit.core.history.tags import Baseline, TagScheme, TagSchemes
    from releasekit.core.versioning.groups import Decisions
    from releasekit.core.workspace.candidates import Candidates
    from releasekit.core.workspace.graph import Graph, Order
    from releasekit.core.workspace.installation import Exclusion
    from releasekit.core.workspace.siblings import Siblings
    from releasekit.core.workspace.workspace import Workspace


def make_plan(
    workspace: Workspace,
    decisions: Decisions,
    baselines: Mapping[str, Baseline],
    selection: Selection,
    settings: Settings,
    inputs: PlanInputs,
    own: Mapping[str, Mapping[str, Any]] | None = None,
) -> Plan:
    """Return the plan that follows from the *inputs*; the same inputs make the same plan.

    *own* are the settings that members set for themselves. A tag that exists already, RK-TAG-EXISTS, is an obstacle of
    the plan.

    Raises Refusal RK-GRAPH-CYCLE, RK-GRAPH-SELF-DEPENDENCY, RK-WORKSPACE-UNKNOWN-PACKAGE, RK-TAG-INVALID; and
    RK-VERSION-INVALID or RK-VERSION-UNKNOWN if a version cannot be decided.
    """
    basis = PlanBasis(workspace, baselines, selection, settings, inputs, own or {})
    decisions, statuses, siblings = _choose_packages(basis, decisions)
    refuse_undecided(workspace, decisions, statuses)
    _refuse_cycles(basis, decisions)
    graph, graph_warnings = graph_of(workspace, siblings.offers)
    released_graph = graph.subgraph(released_names(statuses))
    ordered = order(released_graph, settings.cycles)
    schemes = schemes_of(settings, basis.own)
    steps = _make_steps(basis, decisions, statuses, ordered, released_graph, schemes, siblings)
    _refuse_shared_tags(steps, schemes)
    candidates = candidate_versions(basis, siblings)
    excluded = exclusions(candidates)
    warnings = [*graph_warnings, *_plan_warnings(basis, statuses, steps, excluded)]
    tag_obstacles = [Obstacle.from_error(refusal) for refusal in _taken_tags(steps, inputs)]
    return Plan(
        commit=inputs.commit,
        release=release_id(inputs.commit, steps),
        tags=_umbrella_tags(workspace, steps, settings, inputs, schemes),
        warnings=tuple(map(str, warnings)),
        obstacles=(*tag_obstacles, *find_obstacles(basis, siblings, candidates)),
        unread=tuple(_assumed_releases(candidates)),
        packages=tuple(steps),
        versions=siblings.versions,
        limits=siblings.limits if any(step.pins == "compatible" for step in steps) else {},
        raises=tuple(requirement for member in workspace for requirement in siblings.raised_requirements(member)),
        together=keeps_all_installable(settings, siblings) and all(exclusion.extra for exclusion in excluded),
        date=inputs.date,
    )


def _refuse_cycles(basis: PlanBasis, decisions: Decisions) -> None:
    """Refuse a cycle, even if no member of it is released now."""
    offers = offers_of(basis.workspace, basis.current, next_versions(decisions))
    graph, _ = graph_of(basis.workspace, offers)
    order(graph.subgraph(decisions), basis.settings.cycles)


def _plan_warnings(
    basis: PlanBasis, statuses: Mapping[str, Status], steps: Sequence[Step], excluded: Sequence[Exclusion]
) -> Iterator[ReleaseWarning]:
    yield from unreleased_need_warnings(basis, statuses, released_names(statuses))
    skipped = [exclusion for exclusion in excluded if statuses[exclusion.dependent.name] is Status.SKIPPED]
    yield from old_pin_warnings(skipped, basis.settings)
    yield from untagged_warnings(steps, basis.baselines, offline=basis.inputs.published is None)
    for sha, version in basis.inputs.unheard.items():
        yield ReleaseWarning(ErrorCode.VERSION_UNHEARD, f"Release-As: {version} ({sha}) touches no package")


def _assumed_releases(candidates: Candidates) -> Iterator[tuple[str, Version]]:
    """Yield the releases whose requirements are assumed."""
    for releases in candidates.values():
        for candidate in releases:
            if candidate.assumed:
                yield candidate.name, candidate.version


def _choose_packages(basis: PlanBasis, decisions: Decisions) -> tuple[Decisions, dict[str, Status], Siblings]:
    """Return the decision and status of each package, with those that `propagate` adds because of others."""
    propagated: dict[str, str] = {}
    while True:
        next_decisions = decisions.with_propagated(propagated) if propagated else decisions
        targets = next_versions(next_decisions)
        graph, _ = graph_of(basis.workspace, offers_of(basis.workspace, basis.current, targets))
        statuses = package_statuses(
            basis.workspace, next_decisions, graph, basis.selection, basis.settings, basis.inputs
        )
        released = released_names(statuses)
        siblings = basis.siblings({name: targets[name] for name in released})
        skipped = [name for name, status in statuses.items() if status is Status.SKIPPED and name not in propagated]
        added = {} if basis.settings.propagate == "none" else packages_to_add(basis, graph, siblings, skipped)
        if not added:
            return next_decisions, statuses, siblings
        propagated |= added


def _make_steps(
    basis: PlanBasis,
    decisions: Decisions,
    statuses: Mapping[str, Status],
    ordered: Order,
    graph: Graph,
    schemes: TagSchemes,
    siblings: Siblings,
) -> list[Step]:
    level = ordered.level_of()
    unreleased = [name for name in statuses if name not in level]
    steps: list[Step] = []
    for number, name in enumerate([*ordered.names, *unreleased]):
        target = decisions[name].target
        older_needs = siblings.older_needs(basis.workspace[name])
        older = {requirement_key(need.requirement) for need in older_needs}
        steps.append(
            Step(
                order=number if name in level else -1,
                level=level.get(name, -1),
                name=name,
                path=basis.workspace[name].path,
                current=basis.current[name],
                next=target if statuses[name] is not Status.SKIPPED else None,
                bump=decisions[name].label,
                status=statuses[name],
                reason=decisions[name].reason,
                tag=schemes.of(name).tag(name, target) if target else "",
                needs=tuple(sorted(ordered.needs.get(name, ()))),
                build_needs=tuple(sorted(graph.dependencies(graph.build.get(name, ())))),
                pins=siblings.modes[name],
                older=tuple(sorted(older)),
                smoke_test=basis.own.get(name, {}).get("smoke_test"),
                after=tuple(sorted(ordered.soft_needs.get(name, ()))),
                batch=tuple(sorted(ordered.cycle_members.get(name, frozenset()) - {name})),
            )
        )
    return steps


def _taken_tags(steps: Sequence[Step], inputs: PlanInputs) -> Iterator[Refusal]:
    taken = {step.tag: step.name for step in reversed(steps) if step.order >= 0 and step.tag in inputs.tags}
    for tag, name in reversed(taken.items()):
        yield Refusal(ErrorCode.TAG_EXISTS, f"{tag} exists already, at {inputs.tags[tag][:12]}", name)


def _refuse_shared_tags(steps: Sequence[Step], schemes: TagSchemes) -> None:
    owner: dict[str, str] = {}
    for step in steps:
        if step.order < 0:
            continue
        other = owner.setdefault(step.tag, step.name)
        if other != step.name and (other in schemes.own or step.name in schemes.own):
            message = f"{other} and {step.name} would both be tagged {step.tag}"
            raise Refusal(ErrorCode.TAG_INVALID, message, hint="Put {name} into the tag_format of one of them.")


def _umbrella_tags(
    workspace: Workspace, steps: Sequence[Step], settings: Settings, inputs: PlanInputs, schemes: TagSchemes
) -> tuple[str, ...]:
    released = {step.name: step.version for step in steps if step.order >= 0}
    if not released:
        return ()
    sharing = {name: version for name, version in released.items() if name not in schemes.own}
    if sharing and not schemes.common.names_packages:
        return (_shared_tag(sharing, schemes.common),)
    taken = {*inputs.tags, *(step.tag for step in steps)}
    leads = workspace.matching_names([settings.lead] if settings.lead else ())
    lead = next((version for name, version in released.items() if name in leads), None)
    return (umbrella_tag(settings.umbrella_tag_format, schemes, released.values(), lead, inputs.date, taken),)


def _shared_tag(released: Mapping[str, Version], scheme: TagScheme) -> str:
    """Return the one tag of a lockstep repository."""
    versions = sorted(set(released.values()))
    if len(versions) > 1:
        version_list = ", ".join(map(str, versions))
        message = f"{scheme.patterns[0]!r} names no package, so one tag would stand for the versions {version_list}"
        hint = 'Give all packages one version (versioning = "fixed"), or put {name} into tag_format.'
        raise Refusal(ErrorCode.TAG_INVALID, message, hint=hint)
    return scheme.tag("", versions[0])


def release_id(commit: str, steps: Sequence[Step]) -> str:
    """Return the id of the release of *steps* from *commit*."""
    parts = [commit, *(f"{step.name}=={step.version}" for step in steps if step.order >= 0)]
    return sha256("\n".join(parts).encode()).hexdigest()[:12]
