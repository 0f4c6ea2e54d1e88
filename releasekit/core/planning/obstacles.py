"""What stands in the way of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from releasekit.core.errors import Code
from releasekit.core.text import some
from releasekit.core.workspace.installation import conflicts
from releasekit.core.workspace.pins import pin_requirement
from releasekit.core.workspace.requirements import key_of
from releasekit.core.workspace.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from releasekit.core.planning.plan_inputs import PlanningContext
    from releasekit.core.workspace.candidates import Candidates
    from releasekit.core.workspace.siblings import Siblings
from releasekit.core.planning.installable import assumption_note
from releasekit.core.planning.model import Obstacle


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why a package of the release could not be installed; releasing *remedy* too would help, if anything is there."""

    code: Code
    package: str
    what: str
    where: str
    remedy: tuple[str, ...]


def find_obstacles(scene: PlanningContext, siblings: Siblings, candidates: Candidates) -> Iterator[Obstacle]:
    """Yield what nobody could install, each with the one command that releases all that is needed for all of it."""
    problems = list(_missing(scene, siblings))
    known = {each.package for each in problems}
    problems += [each for each in _unfit(scene, candidates) if each.package not in known]
    names = [*siblings.targets, *(name for each in problems for name in each.remedy)]
    options = " ".join(f"-p {name}" for name in dict.fromkeys(names))
    for each in problems:
        hint = _CHANGE_REQUIREMENT
        if each.remedy:
            hint = f"Release {' and '.join(each.remedy)} too: `releasekit publish --force-unchanged {options}`."
        yield Obstacle(code=each.code, what=each.what, where=each.where, hint=hint)


_CHANGE_REQUIREMENT = "Change the requirement, so that it names a version that the index has; or remove it."


def _missing(scene: PlanningContext, siblings: Siblings) -> Iterator[_Problem]:
    """Yield each requirement on a sibling that is not released now and that no index has."""
    for name, version in siblings.targets.items():
        member, pins, seen = scene.workspace[name], siblings.pins(name), set[str]()
        older = {need.written for need in siblings.older(member)}
        for need in member.needs:
            known = scene.facts.installable(need.name)
            released = need.name in siblings.targets and need.written not in older
            if known is None or released or need.kind is Kind.GROUP or need.name in (name, *seen):
                continue
            wanted = pin_requirement(need.requirement, pins)
            if need.requirement.url or any(wanted.specifier.filter(known)):
                continue
            seen.add(need.name)
            tag = scene.baselines[need.name].tag if need.name in scene.baselines else ""
            state = f"tagged {tag} and" if tag else "required and"
            what = f"{need.name} is {state} not on the index; {name} {version} requires {key_of(wanted)}"
            remedy = (need.name,) if need.name in siblings.modes and need.written not in older else ()
            yield _Problem(Code.SIBLING_MISSING, name, what, f"{member.path}/{need.file}", remedy)


def _unfit(scene: PlanningContext, candidates: Candidates) -> Iterator[_Problem]:
    """Yield each package of the release, or extra, that requires two versions of one package."""
    for conflict in conflicts(candidates):
        name = conflict.candidate.name
        because = some([f"{each}, not {each.excluded.version}" for each in conflict.because])
        where = f"{scene.workspace[name].path}/pyproject.toml"
        what = f"{conflict.name} cannot be installed: {because}{assumption_note(conflict.because)}"
        yield _Problem(Code.PIN_CONFLICT, name, what, where, conflict.outdated)
