"""Find the obstacles of a plan: packages that nobody could install."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode
from releasekit.core.planning.installable import (
    assumption_note,
    forced_release_command,
    summarize_exclusions,
)
from releasekit.core.planning.model import Obstacle
from releasekit.core.text import summarize
from releasekit.core.workspace.pins import pin_requirement
from releasekit.core.workspace.requirements import requirement_key
from releasekit.core.workspace.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from packaging.requirements import Requirement

    from releasekit.core.history.tags import Baseline
    from releasekit.core.planning.installable import IndexAfterRelease
    from releasekit.core.planning.plan_inputs import PlanBasis
    from releasekit.core.workspace.installation import Conflict
    from releasekit.core.workspace.pins import Pins
    from releasekit.core.workspace.siblings import Siblings
    from releasekit.core.workspace.workspace import Member, Need


@dataclass(frozen=True, slots=True)
class _InstallProblem:
    """Why a package of the release could not be installed; *remedy* are the packages whose release would solve it."""

    code: ErrorCode
    package: str
    message: str
    location: str
    remedy: tuple[str, ...]


def find_obstacles(index: IndexAfterRelease) -> Iterator[Obstacle]:
    """Yield each package that nobody could install, with the one command that solves all of these problems."""
    basis, siblings = index.basis, index.siblings
    problems = list(_find_missing_siblings(basis, siblings))
    reported = {problem.package for problem in problems}
    conflicting = _find_install_conflicts(basis, index.conflicts)
    problems += [problem for problem in conflicting if problem.package not in reported]
    remedies = list(dict.fromkeys(chain.from_iterable(problem.remedy for problem in problems)))
    command = forced_release_command(dict.fromkeys([*siblings.targets, *remedies]))
    release_too = f"Release {summarize(remedies)} too: `{command}`."
    for problem in problems:
        hint = release_too if problem.remedy else _CHANGE_REQUIREMENT
        yield Obstacle(code=problem.code, what=problem.message, where=problem.location, hint=hint)


_CHANGE_REQUIREMENT = "Change the requirement to a version that the index has, or remove it."


def _find_missing_siblings(basis: PlanBasis, siblings: Siblings) -> Iterator[_InstallProblem]:
    """Yield each requirement on a sibling that this release does not publish and no index has."""
    for name, version in siblings.targets.items():
        member = basis.workspace[name]
        pins = siblings.pins_for(name)
        older = {need.written for need in siblings.older_needs(member)}
        reported = {name}
        for need in _unreleased_needs(member, siblings, older):
            if need.name in reported:
                continue
            wanted = _missing_requirement(basis, need, pins)
            if wanted is None:
                continue
            reported.add(need.name)
            state = _missing_state(basis.baselines.get(need.name))
            requirement = requirement_key(wanted)
            can_release = need.name in siblings.modes and need.written not in older
            yield _InstallProblem(
                code=ErrorCode.SIBLING_MISSING,
                package=name,
                message=f"{need.name} is {state}, but not on the index; {name} {version} requires {requirement}",
                location=f"{member.path}/{need.file}",
                remedy=(need.name,) if can_release else (),
            )


def _unreleased_needs(member: Member, siblings: Siblings, older: Container[str]) -> Iterator[Need]:
    """Yield the published needs of *member* that this release does not satisfy; *older* are texts of `older_needs`."""
    for need in member.needs:
        is_older = need.written in older
        is_released = need.name in siblings.targets and not is_older
        if need.kind is not Kind.GROUP and not is_released:
            yield need


def _missing_requirement(basis: PlanBasis, need: Need, pins: Pins) -> Requirement | None:
    """Return the built form of *need* if the index has no version for it; None if it has one, or was not asked."""
    on_index = basis.inputs.installable_versions(need.name)
    if on_index is None or need.requirement.url:
        return None
    wanted = pin_requirement(need.requirement, pins)
    is_available = any(wanted.specifier.filter(on_index))
    return None if is_available else wanted


def _missing_state(baseline: Baseline | None) -> str:
    if baseline and baseline.tag:
        return f"tagged {baseline.tag}"
    return "required"


def _find_install_conflicts(
    basis: PlanBasis, conflicts: Sequence[Conflict]
) -> Iterator[_InstallProblem]:
    """Yield each package of the release, or extra of it, that requires two versions of one package."""
    for conflict in conflicts:
        name = conflict.candidate.name
        causes = summarize_exclusions(conflict.causes)
        assumption = assumption_note(conflict.causes)
        yield _InstallProblem(
            code=ErrorCode.PIN_CONFLICT,
            package=name,
            message=f"{conflict.name} cannot be installed: {causes}{assumption}",
            location=f"{basis.workspace[name].path}/pyproject.toml",
            remedy=conflict.outdated_packages,
        )
