"""The warnings of a plan."""

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
    """Yield a warning for each need that only another index can satisfy.

    Such a need is a member that is never published, or one that was never released and is not released now.
    """
    for name in released:
        for need in sorted(
            basis.workspace.required_members(basis.workspace[name], Kind.RUNTIME, Kind.BUILD, Kind.EXTRA)
        ):
            if not basis.workspace[need].publishable:
                reason = "which is never published"
            elif statuses[need] is Status.EXCLUDED and need not in basis.baselines:
                reason = "which was never released and is not in this release"
            else:
                continue
            location = f"{basis.workspace[name].path}/pyproject.toml"
            yield ReleaseWarning(ErrorCode.WORKSPACE_REQUIREMENT, f"{name} requires {need}, {reason}", location)


def old_pin_warnings(excluded: Sequence[Exclusion], settings: Settings) -> Iterator[ReleaseWarning]:
    """Warn once about the packages that are not released and whose requirements exclude a new version.

    Such a package can still be installed, with older versions. Prereleases do not count: installers ignore them unless
    asked.
    """
    behind = [exclusion for exclusion in excluded if exclusion.excluded.planned and not exclusion.dependent.planned]
    behind = [exclusion for exclusion in behind if not exclusion.excluded.version.is_prerelease]
    if not behind:
        return
    names = list(dict.fromkeys(exclusion.dependent.name for exclusion in behind))
    summary = summarize([f"{exclusion}, not {exclusion.excluded.version}" for exclusion in behind])
    require = "requires" if len(names) == 1 else "require"
    command = f"releasekit publish --force-unchanged {' '.join(f'-p {name}' for name in names)}"
    more = "" if settings.propagate == "patch" else '; `propagate = "patch"` does so in every release'
    yield ReleaseWarning(
        ErrorCode.PIN_OLD,
        f"{count_packages(names)} still {require} old versions{assumption_note(behind)}: {summary}",
        f"`{command}` releases them{more}",
    )


def untagged_warnings(
    steps: Sequence[Step], baselines: Mapping[str, Baseline], *, offline: bool
) -> Iterator[ReleaseWarning]:
    """Warn about packages without a tag, and say which version counts as their last release."""
    listed = [
        f"{step.name} {baselines[step.name].version} ({baselines[step.name].commit[:7]})"
        for step in steps
        if step.name in baselines and not baselines[step.name].tag
    ]
    if listed:
        reason = "the version on the index counts as the last release, from the commit that set it"
        message = f"no tag found, so {reason}: {summarize(listed)}"
        yield ReleaseWarning(ErrorCode.BASELINE_INDEX, message)
    fresh = [step.name for step in steps if step.order >= 0 and step.name not in baselines]
    if fresh and offline:
        have = "has" if len(fresh) == 1 else "have"
        message = f"{summarize(fresh)} {have} no tag, and no index was asked for earlier releases"
        yield ReleaseWarning(ErrorCode.BASELINE_INDEX, message)
