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
        requirers = dict(_requirement_reasons(graph, targets, skipped))
    else:
        requirers = dict(_out_of_range_reasons(basis, siblings, skipped))
    added: dict[str, str] = {}
    for name, release in basis.inputs.raised.items():
        if name in skipped:
            added[name] = f"its requirements were raised by {release}"
    added |= requirers
    if added or not targets:
        return added
    # The last release of these packages excludes a new version; a new release of them solves that.
    for exclusion in _outdated_requirements(basis, siblings):
        name = exclusion.dependent.name
        if name in skipped:
            added[name] = f"{exclusion}, and {exclusion.excluded} is released{assumption_note([exclusion])}"
    return added


def _requirement_reasons(
    graph: Graph, targets: Mapping[str, Version], skipped: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield each package of *skipped* that needs one of *targets*, and the reason."""
    for name in skipped:
        needs = sorted(graph.hard[name] & targets.keys())
        if needs:
            versions = [f"{need} {targets[need]}" for need in needs]
            yield name, f"needs {', '.join(versions)}"


def _outdated_requirements(basis: PlanBasis, siblings: Siblings) -> list[Exclusion]:
    """Return the requirements that a release of their package must replace, so that all can be installed."""
    candidates = candidate_versions(basis, siblings)
    outdated: list[Exclusion] = []
    for conflict in conflicts(candidates):
        outdated += conflict.causes
    if keeps_all_installable(basis.settings, siblings):
        outdated += [exclusion for exclusion in exclusions(candidates) if not exclusion.extra]
    return outdated


def assumption_note(excluded: Sequence[Exclusion]) -> str:
    """Return what to add to a sentence about requirements that were assumed, not read."""
    assumed = any(exclusion.dependent.assumed for exclusion in excluded)
    return " (assumed, not read from an index)" if assumed else ""


def _out_of_range_reasons(basis: PlanBasis, siblings: Siblings, waiting: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each package of *waiting* with a published requirement that is raised now, and the reason."""
    for name in waiting:
        requirements = siblings.raised_requirements(basis.workspace[name], needed=True)
        raised = [requirement for requirement in requirements if requirement.kind is not Kind.GROUP]
        if raised:
            names = [requirement.sibling for requirement in raised]
            targets = summarize([f"{sibling} {siblings.targets[sibling]}" for sibling in names])
            yield name, f"{raised[0].before} is raised for {targets}"


def keeps_all_installable(settings: Settings, siblings: Siblings) -> bool:
    """Return whether the settings promise that the latest versions of all packages can be installed together.

    They do if every dependent is released too; or if built packages keep the requirements of their source, and a
    package is released when its source changes.
    """
    modes = set(siblings.modes.values())
    if settings.source_requirements == "leave" and "keep" in modes:
        return False
    if settings.propagate == "out-of-range":
        return modes == {"keep"}
    return settings.propagate == "patch"


def candidate_versions(basis: PlanBasis, siblings: Siblings) -> dict[str, list[Candidate]]:
    """Return the versions of each publishable member that the index will have after the release, latest first."""
    candidates: dict[str, list[Candidate]] = {}
    for name in siblings.modes:
        versions: list[Candidate] = []
        if name in siblings.targets:
            versions.append(_planned_candidate(basis, siblings, name))
        last = basis.baselines.get(name)
        on_index = basis.inputs.installable_versions(name)
        if last and (on_index is None or last.version in on_index):
            metadata = basis.inputs.requirements_of(name, last.version)
            versions.append(siblings.last_candidate(name, last.version, metadata))
        if versions:
            candidates[name] = versions
    todo = [candidate for versions in candidates.values() for candidate in versions]
    while todo:  # an older release may satisfy what none of these does
        todo = list(_older_releases(todo, candidates, basis.inputs))
        for candidate in todo:
            candidates[candidate.name].append(candidate)
    return candidates


def _planned_candidate(basis: PlanBasis, siblings: Siblings, name: str) -> Candidate:
    """Return the new release of the package *name*, with its needs that the index can answer for."""
    older = siblings.older_needs(basis.workspace[name])
    findable = [need for need in older if basis.inputs.installable_versions(need.name) is not None]
    return siblings.planned_candidate(name, findable)


def _older_releases(
    dependents: Sequence[Candidate], candidates: Mapping[str, Sequence[Candidate]], inputs: PlanInputs
) -> Iterator[Candidate]:
    """Yield the latest release that an installer finds for each requirement that the *candidates* do not satisfy."""
    seen: set[tuple[str, Version]] = set()
    requirements = [required.requirement for candidate in dependents for required in candidate.requirements]
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        specifier = requirement.specifier
        releases = candidates.get(name, ())
        if not releases or any(allows(specifier, release, candidates) for release in releases):
            continue
        on_index = inputs.installable_versions(name) or ()
        older = max(specifier.filter(on_index), default=None)
        if older is None or (name, older) in seen:
            continue
        seen.add((name, older))
        metadata = inputs.requirements_of(name, older)
        yield Candidate(name, older, release_requirements(metadata or ()), assumed=metadata is None)


def packages_to_query(workspace: Workspace, plan: Plan) -> frozenset[str]:
    """Return the packages to look up on the index: those of *plan*, their requirements, and their dependents.

    For packages that are not released, the index shows whether they can be installed with those that are.
    """
    internal = {member.name: workspace.required_members(member, *PUBLIC_KINDS) for member in workspace}
    released = {step.name for step in plan.steps}
    dependents: set[str] = set()
    for name, needs in internal.items():
        if needs & released and workspace[name].publishable:
            dependents.add(name)
    return closure(internal, released) | dependents


PUBLIC_KINDS = (Kind.RUNTIME, Kind.BUILD, Kind.EXTRA)
