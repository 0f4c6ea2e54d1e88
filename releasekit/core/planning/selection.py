"""Which packages are released."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.errors import Code, Refusal
from releasekit.core.planning.model import Status
from releasekit.core.versioning.groups import Decisions, patterns_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.version import Version

    from releasekit.core.config.settings import Selection, Settings
    from releasekit.core.planning.plan_inputs import Facts
    from releasekit.core.versioning.groups import Decisions
    from releasekit.core.workspace.graph import Graph
    from releasekit.core.workspace.workspace import Workspace


def refuse_undecided(workspace: Workspace, decisions: Decisions, statuses: Mapping[str, Status]) -> None:
    """Refuse what cannot be decided, where it would be released."""
    for name, status in statuses.items():
        refusal = decisions[name].refusal
        if refusal and status is not Status.EXCLUDED:
            if refusal.code is not Code.VERSION_UNKNOWN:
                raise refusal
            where = f"{workspace[name].path}/pyproject.toml"
            raise Refusal(Code.VERSION_UNKNOWN, f"{name} has a dynamic version and no tag", where)


def package_statuses(
    workspace: Workspace,
    decisions: Decisions,
    graph: Graph,
    selection: Selection,
    settings: Settings,
    facts: Facts,
) -> dict[str, Status]:
    """Return for each publishable package whether it is released, and if not, why."""
    targets = next_versions(decisions)
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


def next_versions(decisions: Decisions) -> dict[str, Version]:
    """Return the next versions of all packages that get one, by name."""
    return {name: decision.target for name, decision in decisions.items() if decision.target}


def released_names(statuses: Mapping[str, Status]) -> list[str]:
    """Return the names of all packages that are released."""
    return [name for name, status in statuses.items() if status in (Status.INCLUDED, Status.DEPENDENCY_ONLY)]
