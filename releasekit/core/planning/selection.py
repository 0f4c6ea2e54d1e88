"""Select the packages that are released."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.planning.model import Status
from releasekit.core.versioning.groups import group_patterns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.version import Version

    from releasekit.core.config.settings import Selection, Settings
    from releasekit.core.planning.plan_inputs import PlanBasis
    from releasekit.core.versioning.groups import Decisions
    from releasekit.core.workspace.graph import Graph
    from releasekit.core.workspace.workspace import Workspace


def undecided_packages(
    workspace: Workspace, decisions: Decisions, statuses: Mapping[str, Status]
) -> Iterator[Refusal]:
    """Yield a refusal for each selected package that has no next version; the others can be planned without it.

    Nobody knows its version, or the `Release-As:` of a commit cannot be released.
    Raises Refusal RK-VERSION-INVALID for a version that an option requests and that cannot be released.
    """
    for name, status in statuses.items():
        refusal = decisions[name].refusal
        if refusal is None or status is Status.EXCLUDED:
            continue
        if refusal.code is ErrorCode.VERSION_UNKNOWN:
            message = f"{name} has a dynamic version and no tag"
            location = f"{workspace[name].path}/pyproject.toml"
            yield Refusal(ErrorCode.VERSION_UNKNOWN, message, location)
        elif _is_requested_by_commit(name, decisions):
            yield refusal
        else:
            raise refusal


def _is_requested_by_commit(name: str, decisions: Decisions) -> bool:
    """Return whether a commit requests the version of the package *name*, or of one that shares it, and no option."""
    requests = [
        request
        for other, request in decisions.requests.items()
        if other == name or decisions.share_version(name, other)
    ]
    by_commit = any(request.release_as.commit for request in requests)
    by_option = any(request.history.requested.kind for request in requests)
    return by_commit and not by_option


def refuse_unused_requests(decisions: Decisions, statuses: Mapping[str, Status]) -> None:
    """Raise Refusal RK-USAGE if a version is requested for a package that this release leaves out."""
    for name, request in decisions.requests.items():
        requested = request.history.requested
        asks_for_release = requested.reason and not requested.is_held_back
        if asks_for_release and statuses[name] is Status.EXCLUDED:
            raise Refusal(
                code=ErrorCode.USAGE,
                message=f"{requested.reason} is for {name}, which is not in this release",
                hint=f"Add -p {name}, or leave the option out.",
            )


def package_statuses(basis: PlanBasis, decisions: Decisions, graph: Graph) -> dict[str, Status]:
    """Return for each publishable package, by name, whether it is released, and if not, why."""
    targets = next_versions(decisions)
    selected, excluded = _select_names(basis.workspace, basis.selection, basis.settings)
    reachable = _reachable_names(decisions, graph, selected, excluded) - excluded
    statuses: dict[str, Status] = {}
    for member in basis.workspace.publishable:
        name = member.name
        if name not in reachable:
            status = Status.EXCLUDED
        elif name not in targets:
            status = Status.SKIPPED
        elif basis.inputs.is_published(name, targets[name]):
            status = Status.ALREADY_PUBLISHED
        elif name in selected:
            status = Status.INCLUDED
        else:
            status = Status.DEPENDENCY_ONLY
        statuses[name] = status
    return statuses


def named_packages(
    workspace: Workspace, selection: Selection, settings: Settings
) -> frozenset[str]:
    """Return the packages that the *selection* names; none if it selects all packages."""
    patterns = [*selection.package, *group_patterns(settings, selection.group)]
    return workspace.matching_names(patterns) - workspace.matching_names(selection.exclude)


def _select_names(
    workspace: Workspace, selection: Selection, settings: Settings
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the packages that the *selection* includes, and those that it excludes."""
    excluded = workspace.matching_names(selection.exclude)
    if selection.package or selection.group:
        return named_packages(workspace, selection, settings), excluded
    return frozenset(workspace.members) - excluded, excluded


def _reachable_names(
    decisions: Decisions, graph: Graph, selected: frozenset[str], excluded: frozenset[str]
) -> frozenset[str]:
    """Return *selected*, what these packages need, and the other members of their fixed groups, transitively."""
    reachable = frozenset[str]()
    wider = graph.dependencies(selected)
    while wider != reachable:
        reachable = wider
        # A fixed group is released as a whole.
        group_members = decisions.fixed_group_members(reachable)
        wider = graph.dependencies(reachable | (group_members - excluded))
    return reachable


def next_versions(decisions: Decisions) -> dict[str, Version]:
    """Return the next version of each package that gets one, by name."""
    return {name: decision.target for name, decision in decisions.items() if decision.target}


def released_names(statuses: Mapping[str, Status]) -> list[str]:
    """Return the names of all packages that are released."""
    released = (Status.INCLUDED, Status.DEPENDENCY_ONLY)
    return [name for name, status in statuses.items() if status in released]
