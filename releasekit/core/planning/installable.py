"""Which versions of all packages the index will have, and which packages have to come along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from releasekit.core.text import some
from releasekit.core.workspace.candidates import Candidate, allows, requires_of
from releasekit.core.workspace.graph import closure
from releasekit.core.workspace.installation import conflicts, exclusions
from releasekit.core.workspace.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.version import Version

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.planning.plan_inputs import Facts, PlanningContext
    from releasekit.core.workspace.graph import Graph
    from releasekit.core.workspace.installation import Exclusion
    from releasekit.core.workspace.siblings import Siblings
    from releasekit.core.workspace.workspace import Workspace


def packages_to_add(scene: PlanningContext, graph: Graph, siblings: Siblings, waiting: Sequence[str]) -> dict[str, str]:
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
    candidates = candidate_versions(scene, siblings)
    outdated = [each for conflict in conflicts(candidates) for each in conflict.because]
    if keeps_all_installable(scene.settings, siblings):
        outdated += [each for each in exclusions(candidates) if not each.extra]
    # The others by their last release: a new one of them makes room.
    return {
        each.by.name: f"{each}, and {each.excluded} is released{assumption_note([each])}"
        for each in outdated
        if each.by.name in waiting
    }


def assumption_note(excluded: Sequence[Exclusion]) -> str:
    """Return what to add to a sentence about requirements that nobody has read."""
    return " (assumed: no index has told)" if any(each.by.assumed for each in excluded) else ""


def _out_of_range(scene: PlanningContext, siblings: Siblings, waiting: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what changes because a published requirement of it is raised now."""
    for name in waiting:
        raised = [each for each in siblings.raised(scene.workspace[name], needed=True) if each.kind is not Kind.GROUP]
        if raised:
            what = some([f"{each.sibling} {siblings.targets[each.sibling]}" for each in raised])
            yield name, f"{raised[0].before} is raised for {what}"


def keeps_all_installable(settings: Settings, siblings: Siblings) -> bool:
    """Return whether the settings promise that the latest versions of all packages can be installed together.

    They do where every dependent follows; or where what is built says what the source says, and that follows.
    """
    modes = set(siblings.modes.values())
    if settings.source_requirements == "leave" and "keep" in modes:
        return False
    return settings.propagate == "patch" or (settings.propagate == "out-of-range" and modes == {"keep"})


def candidate_versions(scene: PlanningContext, siblings: Siblings) -> dict[str, list[Candidate]]:
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


def index_questions(workspace: Workspace, plan: Plan) -> frozenset[str]:
    """Return the packages that the index has to be asked about: what *plan* releases, what that needs, who needs it.

    Of those that are not released, the answers tell whether they can be installed with what is.
    """
    internal = {member.name: workspace.internal(member, *PUBLIC_KINDS) for member in workspace}
    released = {step.name for step in plan.steps}
    dependents = {name for name, needs in internal.items() if needs & released and workspace[name].publishable}
    return closure(internal, released) | dependents


PUBLIC_KINDS = (Kind.RUNTIME, Kind.BUILD, Kind.EXTRA)
