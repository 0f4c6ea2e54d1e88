"""The versions that the index will have after a release, and the packages that have to be released too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from releasekit.core.text import summarize
from releasekit.core.workspace.candidates import Candidate, allows, release_requirements
from releasekit.core.workspace.graph import closure
from releasekit.core.workspace.installation import conflicts, exclusions
from releasekit.core.workspace.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.version import Version

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.planning.plan_inputs import PlanBasis, PlanInputs
    from releasekit.core.workspace.graph import Graph
    from releasekit.core.workspace.installation import Exclusion
    from releasekit.core.workspace.siblings import Siblings
    from releasekit.core.workspace.workspace import Workspace


def packages_to_add(basis: PlanBasis, graph: Graph, siblings: Siblings, skipped: Sequence[str]) -> dict[str, str]:
    """Return those of *skipped* that must be released too, each with the reason."""
    targets = siblings.targets
    if basis.settings.propagate == "patch":
        needed = {name: sorted(graph.hard[name] & targets.keys()) for name in skipped}
        added = {
            name: f"needs {', '.join(f'{need} {targets[need]}' for need in needs)}"
            for name, needs in needed.items()
            if needs
        }
    else:
        added = dict(_out_of_range_reasons(basis, siblings, skipped))
    earlier = {name: release for name, release in basis.inputs.raised.items() if name in skipped}
    added = {name: f"its requirements were raised by {release}" for name, release in earlier.items()} | added
    if added or not targets:
        return added
    candidates = candidate_versions(basis, siblings)
    outdated = [exclusion for conflict in conflicts(candidates) for exclusion in conflict.causes]
    if keeps_all_installable(basis.settings, siblings):
        outdated += [exclusion for exclusion in exclusions(candidates) if not exclusion.extra]
    # The last release of these packages excludes a new version; a new release of them solves that.
    return {
        exclusion.dependent.name: f"{exclusion}, and {exclusion.excluded} is released{assumption_note([exclusion])}"
        for exclusion in outdated
        if exclusion.dependent.name in skipped
    }


def assumption_note(excluded: Sequence[Exclusion]) -> str:
    """Return what to add to a sentence about requirements that were assumed, not read."""
    return " (assumed, not read from an index)" if any(exclusion.dependent.assumed for exclusion in excluded) else ""


def _out_of_range_reasons(basis: PlanBasis, siblings: Siblings, waiting: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each package of *waiting* with a published requirement that is raised now, and the reason."""
    for name in waiting:
        raised = [
            requirement
            for requirement in siblings.raised_requirements(basis.workspace[name], needed=True)
            if requirement.kind is not Kind.GROUP
        ]
        if raised:
            targets = summarize(
                [f"{requirement.sibling} {siblings.targets[requirement.sibling]}" for requirement in raised]
            )
            yield name, f"{raised[0].before} is raised for {targets}"


def keeps_all_installable(settings: Settings, siblings: Siblings) -> bool:
    """Return whether the settings promise that the latest versions of all packages can be installed together.

    They do if every dependent is released too; or if built packages keep the requirements of their source, and a
    package is released when its source changes.
    """
    modes = set(siblings.modes.values())
    if settings.source_requirements == "leave" and "keep" in modes:
        return False
    return settings.propagate == "patch" or (settings.propagate == "out-of-range" and modes == {"keep"})


def candidate_versions(basis: PlanBasis, siblings: Siblings) -> dict[str, list[Candidate]]:
    """Return the versions of each publishable member that the index will have after the release, latest first."""
    candidates: dict[str, list[Candidate]] = {}
    for name in siblings.modes:
        versions: list[Candidate] = []
        if name in siblings.targets:
            older = siblings.older_needs(basis.workspace[name])
            findable = (need for need in older if basis.inputs.installable_versions(need.name) is not None)
            versions.append(siblings.planned_candidate(name, findable))
        last, on_index = basis.baselines.get(name), basis.inputs.installable_versions(name)
        if last and (on_index is None or last.version in on_index):
            versions.append(
                siblings.last_candidate(name, last.version, basis.inputs.requires.get(name, {}).get(last.version))
            )
        if versions:
            candidates[name] = versions
    todo = [candidate for group in candidates.values() for candidate in group]
    while todo:  # an older release may satisfy what none of these does
        older_releases = list(_older_releases(todo, candidates, basis.inputs))
        for candidate in older_releases:
            candidates[candidate.name].append(candidate)
        todo = older_releases
    return candidates


def _older_releases(
    dependents: Sequence[Candidate], candidates: Mapping[str, Sequence[Candidate]], inputs: PlanInputs
) -> Iterator[Candidate]:
    """Yield the latest release that an installer finds for each requirement that the *candidates* do not satisfy."""
    seen: set[tuple[str, Version]] = set()
    for requirement in (required.requirement for candidate in dependents for required in candidate.requirements):
        name = canonicalize_name(requirement.name)
        specifier = requirement.specifier
        if not candidates.get(name) or any(allows(specifier, release, candidates) for release in candidates[name]):
            continue
        older = max(specifier.filter(inputs.installable_versions(name) or ()), default=None)
        if older and (name, older) not in seen:
            seen.add((name, older))
            metadata = inputs.requires.get(name, {}).get(older)
            yield Candidate(name, older, release_requirements(metadata or ()), assumed=metadata is None)


def packages_to_query(workspace: Workspace, plan: Plan) -> frozenset[str]:
    """Return the packages to look up on the index: those of *plan*, their requirements, and their dependents.

    For packages that are not released, the index shows whether they can be installed with those that are.
    """
    internal = {member.name: workspace.required_members(member, *PUBLIC_KINDS) for member in workspace}
    released = {step.name for step in plan.steps}
    dependents = {name for name, needs in internal.items() if needs & released and workspace[name].publishable}
    return closure(internal, released) | dependents


PUBLIC_KINDS = (Kind.RUNTIME, Kind.BUILD, Kind.EXTRA)
