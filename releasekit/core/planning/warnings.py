"""What a plan warns of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, ReleaseWarning
from releasekit.core.text import count_packages, summarize
from releasekit.core.workspace.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from releasekit.core.config.settings import Settings
    from releasekit.core.history.tags import Baseline
    from releasekit.core.planning.plan_inputs import PlanBasis
    from releasekit.core.workspace.installation import Exclusion
from releasekit.core.planning.installable import assumption_note
from releasekit.core.planning.model import Status, Step


def unreleased_need_warnings(
    basis: PlanBasis, statuses: Mapping[str, Status], released: Sequence[str]
) -> Iterator[ReleaseWarning]:
    """Name the needs that only another index can satisfy: a member that is never published, or not yet and left out."""
    for name in released:
        for need in sorted(
            basis.workspace.required_members(basis.workspace[name], Kind.RUNTIME, Kind.BUILD, Kind.EXTRA)
        ):
            if not basis.workspace[need].publishable:
                reason = "which is never published"
            elif statuses[need] is Status.EXCLUDED and need not in basis.baselines:
                reason = "which was never released and is left out"
            else:
                continue
            location = f"{basis.workspace[name].path}/pyproject.toml"
            yield ReleaseWarning(ErrorCode.WORKSPACE_REQUIREMENT, f"{name} requires {need}, {reason}", location)


def old_pin_warnings(excluded: Sequence[Exclusion], settings: Settings) -> Iterator[ReleaseWarning]:
    """Say in one line which packages stay behind with requirements that exclude what is released.

    Such a package can be installed still, with older versions. A prerelease is only for those who ask for it.
    """
    behind = [exclusion for exclusion in excluded if exclusion.excluded.planned and not exclusion.dependent.planned]
    behind = [exclusion for exclusion in behind if not exclusion.excluded.version.is_prerelease]
    if not behind:
        return
    names = list(dict.fromkeys(exclusion.dependent.name for exclusion in behind))
    summary = summarize([f"{exclusion}, not {exclusion.excluded.version}" for exclusion in behind])
    stay = "stays" if len(names) == 1 else "stay"
    command = f"releasekit publish --force-unchanged {' '.join(f'-p {name}' for name in names)}"
    more = "" if settings.propagate == "patch" else '; propagate = "patch" always does'
    yield ReleaseWarning(
        ErrorCode.PIN_OLD,
        f"{count_packages(names)} {stay} behind{assumption_note(behind)}: {summary}",
        f"`{command}` releases them{more}",
    )


def untagged_warnings(
    steps: Sequence[Step], baselines: Mapping[str, Baseline], *, offline: bool
) -> Iterator[ReleaseWarning]:
    """Say what is taken for the last release of packages that have no tag."""
    listed = [
        f"{step.name} {baselines[step.name].version} ({baselines[step.name].commit[:7]})"
        for step in steps
        if step.name in baselines and not baselines[step.name].tag
    ]
    if listed:
        reason = "the last release is what the index has, made from the commit that set it"
        message = f"without a tag, {reason}: {summarize(listed)}"
        yield ReleaseWarning(ErrorCode.BASELINE_INDEX, message)
    fresh = [step.name for step in steps if step.order >= 0 and step.name not in baselines]
    if fresh and offline:
        message = (
            f"{summarize(fresh)} {'has' if len(fresh) == 1 else 'have'} no tag, and no index was asked for a release"
        )
        yield ReleaseWarning(ErrorCode.BASELINE_INDEX, message)
