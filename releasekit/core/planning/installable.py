"""The versions that the index will have after a release, and the packages that have to be released too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from releasekit.core.picking import drop_empty, names_of
from releasekit.core.text import summarize
from releasekit.core.workspace.candidates import Candidate, allows, release_requirements
from releasekit.core.workspace.graph import closure
from releasekit.core.workspace.installation import conflicts, exclusions
from releasekit.core.workspace.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.requirements import Requirement
    from packaging.version import Version

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.planning.plan_inputs import PlanBasis, PlanInputs
    from releasekit.core.workspace.graph import Graph
    from releasekit.core.workspace.installation import Conflict, Exclusion
    from releasekit.core.workspace.siblings import Siblings
    from releasekit.core.workspace.workspace import Workspace


@dataclass(frozen=True)
class IndexAfterRelease:
    """What installers find on the index after a release with these *siblings*. Each question is answered once."""

    basis: PlanBasis
    siblings: Siblings

    @cached_property
    def candidates(self) -> dict[str, list[Candidate]]:
        """The versions of each publishable member, latest first."""
        return candidate_versions(self.basis, self.siblings)

    @cached_property
    def conflicts(self) -> tuple[Conflict, ...]:
        """The planned releases that cannot be installed."""
        return conflicts(self.candidates)

    @cached_property
    def exclusions(self) -> tuple[Exclusion, ...]:
        """The requirements because of which the latest releases cannot be installed together."""
        return exclusions(self.candidates)

    @property
    def keeps_all_together(self) -> bool:
        """Whether all latest releases, without extras, can be installed together, and the settings promise it."""
        only_extras_conflict = all(exclusion.extra for exclusion in self.exclusions)
        return only_extras_conflict and keeps_all_installable(self.basis.settings, self.siblings)


def packages_to_add(
    index: IndexAfterRelease, graph: Graph, skipped: Sequence[str]
) -> dict[str, str]:
    """Return those of *skipped* that must be released too, each with the reason."""
    basis, siblings = index.basis, index.siblings
    targets = siblings.targets
    raised = basis.inputs.raised
    added = {
        name: f"its requirements were raised by {raised[name]}"
        for name in skipped
        if name in raised
    }
    if basis.settings.propagate == "patch":
        added |= _requirement_reasons(graph, targets, skipped)
    else:
        added |= _out_of_range_reasons(basis, siblings, skipped)
    if added or not targets:
        return added
    # The last release of these packages excludes a new version; a new release of them solves that.
    for exclusion in _outdated_requirements(index):
        name = exclusion.dependent.name
        if name in skipped:
            assumption = assumption_note([exclusion])
            added[name] = f"{exclusion}, and {exclusion.excluded} is released{assumption}"
    return added


def _requirement_reasons(
    graph: Graph, targets: Mapping[str, Version], skipped: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield each package of *skipped* that needs one of *targets*, and the reason."""
    for name in skipped:
        needs = sorted(graph.hard[name] & targets.keys())
        if needs:
            new_versions = ", ".join(_with_versions(needs, targets))
            yield name, f"needs {new_versions}"


def _with_versions(names: Iterable[str], targets: Mapping[str, Version]) -> list[str]:
    return [f"{name} {targets[name]}" for name in names]


def _outdated_requirements(index: IndexAfterRelease) -> list[Exclusion]:
    """Return the requirements that a release of their package must replace, so that all can be installed."""
    outdated: list[Exclusion] = []
    for conflict in index.conflicts:
        outdated += conflict.causes
    if keeps_all_installable(index.basis.settings, index.siblings):
        outdated += [exclusion for exclusion in index.exclusions if not exclusion.extra]
    return outdated


def assumption_note(excluded: Sequence[Exclusion]) -> str:
    """Return what to add to a sentence about requirements that were assumed, not read."""
    is_assumed = any(exclusion.dependent.assumed for exclusion in excluded)
    if not is_assumed:
        return ""
    return " (assumed, not read from an index)"


def summarize_exclusions(excluded: Sequence[Exclusion]) -> str:
    """Return the first requirements of *excluded*, each with the version that it does not allow."""
    return summarize([f"{exclusion}, not {exclusion.excluded.version}" for exclusion in excluded])


def forced_release_command(names: Iterable[str]) -> str:
    """Return the command that releases the packages *names* even if they have not changed."""
    options = " ".join(f"-p {name}" for name in names)
    return f"releasekit publish --force-unchanged {options}"


def _out_of_range_reasons(
    basis: PlanBasis, siblings: Siblings, waiting: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield each package of *waiting* with a published requirement that is raised now, and the reason."""
    for name in waiting:
        requirements = siblings.raised_requirements(basis.workspace[name], needed=True)
        raised = [requirement for requirement in requirements if requirement.kind is not Kind.GROUP]
        if not raised:
            continue
        names = [requirement.sibling for requirement in raised]
        new_versions = summarize(_with_versions(names, siblings.targets))
        yield name, f"{raised[0].before} is raised for {new_versions}"


def keeps_all_installable(settings: Settings, siblings: Siblings) -> bool:
    """Return whether the settings promise that the latest versions of all packages can be installed together.

    They do if every dependent is released too; or if built packages keep the requirements of their source, and a
    package is released when its source changes.
    """
    modes = set(siblings.modes.values())
    keeps_outdated = settings.source_requirements == "leave" and "keep" in modes
    if keeps_outdated:
        return False
    if settings.propagate == "out-of-range":
        return modes == {"keep"}
    return settings.propagate == "patch"


def candidate_versions(basis: PlanBasis, siblings: Siblings) -> dict[str, list[Candidate]]:
    """Return the versions of each publishable member that the index will have after the release, latest first."""
    latest = {name: list(_latest_candidates(basis, siblings, name)) for name in siblings.modes}
    candidates = drop_empty(latest)
    todo = list(chain.from_iterable(candidates.values()))
    while todo:  # an older release may satisfy what none of these does
        todo = list(_older_releases(todo, candidates, basis.inputs))
        for candidate in todo:
            candidates[candidate.name].append(candidate)
    return candidates


def _latest_candidates(basis: PlanBasis, siblings: Siblings, name: str) -> Iterator[Candidate]:
    """Yield the new release of the package *name*, and its last one if installers find it."""
    if name in siblings.targets:
        yield _planned_candidate(basis, siblings, name)
    last = basis.baselines.get(name)
    if last is None:
        return
    on_index = basis.inputs.installable_versions(name)
    is_gone = on_index is not None and last.version not in on_index
    if is_gone:
        return
    metadata = basis.inputs.requirements_of(name, last.version)
    yield siblings.last_candidate(name, last.version, metadata)


def _planned_candidate(basis: PlanBasis, siblings: Siblings, name: str) -> Candidate:
    """Return the new release of the package *name*, with its needs that the index can answer for."""
    older = siblings.older_needs(basis.workspace[name])
    findable = [need for need in older if basis.inputs.installable_versions(need.name) is not None]
    return siblings.planned_candidate(name, findable)


def _older_releases(
    dependents: Sequence[Candidate],
    candidates: Mapping[str, Sequence[Candidate]],
    inputs: PlanInputs,
) -> Iterator[Candidate]:
    """Yield the latest release that an installer finds for each requirement that the *candidates* do not satisfy."""
    requirements = chain.from_iterable(candidate.requirements for candidate in dependents)
    older_releases: dict[tuple[str, Version], None] = {}
    for requirement, _ in requirements:
        if _is_satisfied(requirement, candidates):
            continue
        name = canonicalize_name(requirement.name)
        on_index = inputs.installable_versions(name) or ()
        older = max(requirement.specifier.filter(on_index), default=None)
        if older is not None:
            older_releases[name, older] = None
    for name, version in older_releases:
        metadata = inputs.requirements_of(name, version)
        yield Candidate(
            name=name,
            version=version,
            requirements=release_requirements(metadata or ()),
            assumed=metadata is None,
        )


def _is_satisfied(requirement: Requirement, candidates: Mapping[str, Sequence[Candidate]]) -> bool:
    """Return whether one of the *candidates* satisfies *requirement*, or no package of the workspace is meant."""
    name = canonicalize_name(requirement.name)
    if name not in candidates:
        return True
    return any(allows(requirement.specifier, release, candidates) for release in candidates[name])


def packages_to_query(workspace: Workspace, plan: Plan) -> frozenset[str]:
    """Return the packages to look up on the index: those of *plan*, their requirements, and their dependents.

    For packages that are not released, the index shows whether they can be installed with those that are.
    """
    internal = {
        member.name: workspace.required_members(member, *PUBLIC_KINDS) for member in workspace
    }
    released = set(names_of(plan.steps))
    dependents = {
        member.name for member in workspace.publishable if internal[member.name] & released
    }
    dependencies = closure(internal, released)
    return dependencies | dependents


PUBLIC_KINDS = (Kind.RUNTIME, Kind.BUILD, Kind.EXTRA)
