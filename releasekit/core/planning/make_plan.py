"""Make a plan: from inputs to ordered steps."""

from __future__ import annotations

from hashlib import sha256
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from releasekit.core.artifacts.source_changes import Waivers, rate_source_change
from releasekit.core.config.command_lines import command_texts
from releasekit.core.errors import ErrorCode, Refusal, ReleaseWarning
from releasekit.core.history.pending_changes import consumed_files
from releasekit.core.history.tags import (
    TagScheme,
    blocked_tag_refusal,
    blocked_tags,
    schemes_of,
    umbrella_tag,
)
from releasekit.core.picking import drop, drop_keys, pick, pick_keys
from releasekit.core.planning.first_releases import (
    first_release_warnings,
    first_releases_to_allow,
    packages_new_to_index,
)
from releasekit.core.planning.installable import (
    IndexAfterRelease,
    packages_to_add,
)
from releasekit.core.planning.model import Obstacle, Plan, Status, Step
from releasekit.core.planning.obstacles import find_obstacles
from releasekit.core.planning.plan_inputs import PlanBasis, PlanInputs
from releasekit.core.planning.selection import (
    next_versions,
    package_statuses,
    refuse_unused_requests,
    released_names,
    undecided_packages,
)
from releasekit.core.planning.warnings import (
    ahead_warnings,
    calendar_warnings,
    low_version_warnings,
    old_pin_warnings,
    stray_tag_warnings,
    unreleased_need_warnings,
    untagged_warnings,
    waiver_warnings,
)
from releasekit.core.workspace.graph import graph_of, offers_of, order
from releasekit.core.workspace.requirements import requirement_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from releasekit.core.artifacts.differences import Difference
    from releasekit.core.config.settings import Selection, Settings
    from releasekit.core.history.tags import Baseline, TagSchemes
    from releasekit.core.versioning.groups import Decisions
    from releasekit.core.workspace.candidates import Candidates
    from releasekit.core.workspace.graph import Graph
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
    own: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> Plan:
    """Return the plan that follows from the *inputs*; the same inputs make the same plan.

    *own* are the settings that members set for themselves. Obstacles of the plan are tags that exist, RK-TAG-EXISTS, or
    that git cannot have beside others, RK-TAG-INVALID, and packages whose version nobody knows, RK-VERSION-UNKNOWN.

    Raises Refusal RK-GRAPH-CYCLE, RK-GRAPH-SELF-DEPENDENCY, RK-WORKSPACE-UNKNOWN-PACKAGE, RK-TAG-INVALID; and
    RK-VERSION-INVALID if a requested version cannot be released.
    """
    basis = PlanBasis(workspace, baselines, selection, settings, inputs, own)
    decisions, statuses, index = _choose_packages(basis, decisions)
    siblings = index.siblings
    refuse_unused_requests(decisions, statuses)
    _refuse_cycles(basis, decisions)
    graph, graph_warnings = graph_of(workspace, siblings.offers)
    released_graph = graph.subgraph(released_names(statuses))
    schemes = schemes_of(settings, basis.own)
    steps = _make_steps(basis, decisions, statuses, released_graph, schemes, siblings)
    released = [step for step in steps if step.is_released]
    _refuse_shared_tags(released, schemes, decisions)
    unallowed_new = first_releases_to_allow(basis, released)
    warnings = [*graph_warnings, *low_version_warnings(decisions, released)]
    warnings += _plan_warnings(basis, statuses, steps, index.exclusions)
    warnings += first_release_warnings(unallowed_new)
    release_tags = _release_tags(basis, steps, schemes, decisions)
    undecided = undecided_packages(workspace, decisions, statuses)
    problems = (*undecided, *_tag_problems(released, release_tags, inputs))
    return Plan(
        commit=inputs.commit,
        release=release_id(inputs.commit, released),
        tags=release_tags,
        warnings=tuple(map(str, warnings)),
        obstacles=(*map(Obstacle.from_error, problems), *find_obstacles(index)),
        unread=tuple(_assumed_releases(index.candidates)),
        packages=tuple(steps),
        versions=siblings.versions,
        limits=siblings.limits if "compatible" in siblings.modes.values() else {},
        raises=tuple(chain.from_iterable(map(siblings.raised_requirements, workspace))),
        unallowed_new=unallowed_new,
        new_to_index=tuple(packages_new_to_index(inputs, released)),
        together=index.keeps_all_together,
        date=inputs.date,
        consumes=consumed_files(inputs.change_files, inputs.pending_files, _stable_names(released)),
        requested=selection.versions.recorded,
        pre_release=_commands_to_run(basis, released),
        differences=tuple(_find_differences(basis, released)),
    )


def _commands_to_run(basis: PlanBasis, released: Sequence[Step]) -> tuple[str, ...]:
    """Return the commands that run before the release commit is made, as they are shown."""
    if basis.inputs.is_committed or not released:
        return ()
    return command_texts(basis.settings.pre_release)


def _find_differences(basis: PlanBasis, released: Sequence[Step]) -> Iterator[Difference]:
    """Yield what the source of each package lacks of its last release, each with its severity."""
    settings = basis.settings
    waivers = Waivers(settings.verify_ignore, settings.api_ignore)
    for step in released:
        change = basis.inputs.sources.get(step.name)
        if change is not None:
            mode = basis.own_settings(step.name).get("api_check", settings.api_check)
            yield from rate_source_change(step.name, change, step.version, mode, waivers)


def _stable_names(released: Sequence[Step]) -> frozenset[str]:
    """Return the packages that are *released* as stable versions."""
    return frozenset(step.name for step in released if not step.version.is_prerelease)


def _refuse_cycles(basis: PlanBasis, decisions: Decisions) -> None:
    """Refuse a cycle, even if no member of it is released now."""
    offers = offers_of(basis.workspace, basis.current, next_versions(decisions))
    graph, _ = graph_of(basis.workspace, offers)
    order(graph.subgraph(decisions), basis.settings.cycles)


def _plan_warnings(
    basis: PlanBasis,
    statuses: Mapping[str, Status],
    steps: Sequence[Step],
    excluded: Sequence[Exclusion],
) -> Iterator[ReleaseWarning]:
    yield from unreleased_need_warnings(basis, statuses, released_names(statuses))
    skipped = [
        exclusion for exclusion in excluded if statuses[exclusion.dependent.name] is Status.SKIPPED
    ]
    yield from old_pin_warnings(skipped, basis.settings)
    yield from calendar_warnings(steps, basis)
    yield from untagged_warnings(steps, basis.baselines, offline=basis.inputs.published is None)
    yield from ahead_warnings(steps, basis)
    yield from stray_tag_warnings(basis.inputs.strays)
    yield from waiver_warnings(basis)
    for sha, version in basis.inputs.unheard.items():
        message = f"Release-As: {version} ({sha}) touches no package"
        yield ReleaseWarning(ErrorCode.VERSION_UNHEARD, message)


def _assumed_releases(candidates: Candidates) -> Iterator[tuple[str, Version]]:
    """Yield the releases whose requirements are assumed."""
    every_candidate = chain.from_iterable(candidates.values())
    return ((release.name, release.version) for release in every_candidate if release.assumed)


def _choose_packages(
    basis: PlanBasis, decisions: Decisions
) -> tuple[Decisions, dict[str, Status], IndexAfterRelease]:
    """Return the decision and status of each package, with those that `propagate` adds because of others."""
    propagates = basis.settings.propagate != "none"
    propagated: dict[str, str] = {}
    while True:
        next_decisions = decisions.with_propagated(propagated) if propagated else decisions
        targets = next_versions(next_decisions)
        offers = offers_of(basis.workspace, basis.current, targets)
        graph, _ = graph_of(basis.workspace, offers)
        statuses = package_statuses(basis, next_decisions, graph)
        released = released_names(statuses)
        index = IndexAfterRelease(basis, basis.siblings(pick_keys(targets, released)))
        skipped = [name for name, status in statuses.items() if status is Status.SKIPPED]
        waiting = drop(skipped, propagated)
        added = packages_to_add(index, graph, waiting) if propagates else {}
        if not added:
            return next_decisions, statuses, index
        propagated |= added


def _make_steps(
    basis: PlanBasis,
    decisions: Decisions,
    statuses: Mapping[str, Status],
    graph: Graph,
    schemes: TagSchemes,
    siblings: Siblings,
) -> list[Step]:
    ordered = order(graph, basis.settings.cycles)
    level = ordered.level_of()
    unreleased = drop(statuses, level)
    steps: list[Step] = []
    for number, name in enumerate([*ordered.names, *unreleased]):
        decision, status = decisions[name], statuses[name]
        target = decision.target
        older_needs = siblings.older_needs(basis.workspace[name])
        older = {requirement_key(need.requirement) for need in older_needs}
        build_needs = graph.dependencies(graph.build.get(name, ()))
        cycle_members = ordered.cycle_members.get(name, frozenset())
        step = Step(
            order=number if name in level else -1,
            level=level.get(name, -1),
            name=name,
            path=basis.workspace[name].path,
            current=basis.current[name],
            next=None if status is Status.SKIPPED else target,
            bump=decision.label,
            status=status,
            reason=decision.reason,
            tag=schemes.of(name).tag(name, target) if target else "",
            needs=tuple(sorted(ordered.needs.get(name, ()))),
            build_needs=tuple(sorted(build_needs)),
            pins=siblings.modes[name],
            older=tuple(sorted(older)),
            smoke_test=basis.own_settings(name).get("smoke_test"),
            platforms=basis.platforms_of(name),
            after=tuple(sorted(ordered.soft_needs.get(name, ()))),
            batch=tuple(sorted(cycle_members - {name})),
        )
        steps.append(step)
    return steps


def _tag_problems(
    released: Sequence[Step], release_tags: Sequence[str], inputs: PlanInputs
) -> Iterator[Refusal]:
    """Yield a refusal for each tag of this release that exists, or that git cannot make beside one that does."""
    owners = {step.tag: step.name for step in reversed(released)}
    package_tags = list(reversed(owners))
    for tag in pick(package_tags, inputs.tags):
        commit = inputs.tags[tag][:12]
        yield Refusal(ErrorCode.TAG_EXISTS, f"{tag} exists already, at {commit}", owners[tag])
    for tag, blocker in blocked_tags((*package_tags, *release_tags), inputs.tags).items():
        yield blocked_tag_refusal(tag, blocker, owners.get(tag, ""))


def _refuse_shared_tags(
    released: Sequence[Step], schemes: TagSchemes, decisions: Decisions
) -> None:
    """Raise Refusal RK-TAG-INVALID for a tag of two packages, unless they share the format of new tags and versions."""
    owner: dict[str, str] = {}
    for step in released:
        other = owner.setdefault(step.tag, step.name)
        has_own_scheme = not schemes.own.keys().isdisjoint((other, step.name))
        shares_format = schemes.of(other).patterns[0] == schemes.of(step.name).patterns[0]
        may_share = shares_format and decisions.share_version(other, step.name)
        if other != step.name and has_own_scheme and not may_share:
            message = f"{other} and {step.name} would both be tagged {step.tag}"
            raise Refusal(
                ErrorCode.TAG_INVALID,
                message,
                hint="Put {name} into the tag_format of one of them.",
            )


def _release_tags(
    basis: PlanBasis, steps: Sequence[Step], schemes: TagSchemes, decisions: Decisions
) -> tuple[str, ...]:
    """Return the tag that names the release, in a tuple; an empty one if nothing is released.

    It is the umbrella tag. If all released packages share one tag, as one package alone does, it is that tag.
    """
    released = {step.name: step.version for step in steps if step.is_released}
    if not released:
        return ()
    sharing = drop_keys(released, schemes.own)
    if sharing and not schemes.common.names_packages:
        return (_shared_tag(sharing, schemes.common),)
    version = _version_of_release(basis, released, decisions)
    released_tags = {step.tag for step in steps if step.is_released}
    if len(released_tags) == 1:
        return tuple(released_tags)
    package_tags = [step.tag for step in steps]
    tag = umbrella_tag(
        pattern=basis.settings.umbrella_tag_format,
        schemes=schemes,
        version=version,
        date=basis.inputs.date,
        taken=[*basis.inputs.tags, *package_tags],
    )
    return (tag,)


def _version_of_release(
    basis: PlanBasis, released: Mapping[str, Version], decisions: Decisions
) -> Version | None:
    """Return the version of the release as a whole: that of all packages, or of the lead package; None without one.

    Packages whose versions are independent can have the same version by chance, so that one does not count.
    """
    leads = basis.workspace.matching_names(filter(None, (basis.settings.lead,)))
    versions = set(released.values())
    if decisions.are_together and len(versions) == 1:
        return versions.pop()
    lead_versions = (
        version
        for name, version in released.items()
        if name in leads and version > _highest_of_others(basis, name)
    )
    return next(lead_versions, None)


def _highest_of_others(basis: PlanBasis, lead: str) -> Version:
    """Return the highest version in the umbrella tags that the package *lead* never had; 0 without one.

    An umbrella tag with a lower version would look like a step back. So it is when the packages had one version before,
    or another lead. A maintenance release is below what the lead itself has on another branch, and counts.
    """
    scheme = TagScheme(basis.settings.umbrella_tag_format, basis.settings.label)
    own = basis.baselines[lead].taken if lead in basis.baselines else frozenset[Version]()
    readings = filter(None, map(scheme.read, basis.inputs.tags))
    return max({version for _, version in readings} - own, default=Version("0.dev0"))


def _shared_tag(released: Mapping[str, Version], scheme: TagScheme) -> str:
    """Return the one tag of a lockstep repository."""
    first, *others = sorted(set(released.values()))
    if others:
        version_list = ", ".join(map(str, (first, *others)))
        message = f"{scheme.patterns[0]!r} names no package, so one tag would stand for the versions {version_list}"
        hint = (
            'Give all packages one version (versioning = "fixed"), or put {name} into tag_format.'
        )
        raise Refusal(ErrorCode.TAG_INVALID, message, hint=hint)
    return scheme.tag("", first)


def release_id(commit: str, steps: Sequence[Step]) -> str:
    """Return the id of the release of *steps*, which are all released, from *commit*."""
    requirements = [f"{step.name}=={step.version}" for step in steps]
    text = "\n".join([commit, *requirements])
    return sha256(text.encode()).hexdigest()[:12]
