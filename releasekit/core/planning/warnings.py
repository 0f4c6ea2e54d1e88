"""What a plan warns of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.errors import Code, Warn
from releasekit.core.text import counted, some
from releasekit.core.workspace.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from releasekit.core.config.settings import Settings
    from releasekit.core.history.tags import Baseline
    from releasekit.core.planning.plan_inputs import PlanningContext
    from releasekit.core.workspace.installation import Exclusion
from releasekit.core.planning.installable import assumption_note
from releasekit.core.planning.model import Status, Step


def unreleased_need_warnings(
    scene: PlanningContext, statuses: Mapping[str, Status], released: Sequence[str]
) -> Iterator[Warn]:
    """Name the needs that only another index can satisfy: a member that is never published, or not yet and left out."""
    for name in released:
        for need in sorted(scene.workspace.internal(scene.workspace[name], Kind.RUNTIME, Kind.BUILD, Kind.EXTRA)):
            if not scene.workspace[need].publishable:
                why = "which is never published"
            elif statuses[need] is Status.EXCLUDED and need not in scene.baselines:
                why = "which was never released and is left out"
            else:
                continue
            where = f"{scene.workspace[name].path}/pyproject.toml"
            yield Warn(Code.WORKSPACE_REQUIREMENT, f"{name} requires {need}, {why}", where)


def old_pin_warnings(excluded: Sequence[Exclusion], settings: Settings) -> Iterator[Warn]:
    """Say in one line which packages stay behind with requirements that exclude what is released.

    Such a package can be installed still, with older versions. A prerelease is only for those who ask for it.
    """
    behind = [each for each in excluded if each.excluded.planned and not each.by.planned]
    behind = [each for each in behind if not each.excluded.version.is_prerelease]
    if not behind:
        return
    names = list(dict.fromkeys(each.by.name for each in behind))
    what = some([f"{each}, not {each.excluded.version}" for each in behind])
    stay = "stays" if len(names) == 1 else "stay"
    command = f"releasekit publish --force-unchanged {' '.join(f'-p {name}' for name in names)}"
    more = "" if settings.propagate == "patch" else '; propagate = "patch" always does'
    yield Warn(
        Code.PIN_OLD,
        f"{counted(names)} {stay} behind{assumption_note(behind)}: {what}",
        f"`{command}` releases them{more}",
    )


def untagged_warnings(rows: Sequence[Step], baselines: Mapping[str, Baseline], *, offline: bool) -> Iterator[Warn]:
    """Say what is taken for the last release of packages that have no tag."""
    listed = [
        f"{step.name} {baselines[step.name].version} ({baselines[step.name].commit[:7]})"
        for step in rows
        if step.name in baselines and not baselines[step.name].tag
    ]
    if listed:
        so = "the last release is what the index has, made from the commit that set it"
        what = f"without a tag, {so}: {some(listed)}"
        yield Warn(Code.BASELINE_INDEX, what)
    fresh = [step.name for step in rows if step.order >= 0 and step.name not in baselines]
    if fresh and offline:
        what = f"{some(fresh)} {'has' if len(fresh) == 1 else 'have'} no tag, and no index was asked for a release"
        yield Warn(Code.BASELINE_INDEX, what)
