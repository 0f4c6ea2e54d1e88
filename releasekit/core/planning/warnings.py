"""The warnings of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.config.bump_rules import SEMANTIC, Bump
from releasekit.core.config.settings import matches_package
from releasekit.core.errors import ErrorCode, ReleaseWarning, did_you_mean
from releasekit.core.planning.installable import (
    PUBLIC_KINDS,
    assumption_note,
    forced_release_command,
    summarize_exclusions,
)
from releasekit.core.planning.model import Status, Step
from releasekit.core.text import count_as, count_packages, summarize
from releasekit.core.version_numbers import is_calendar_version, next_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence, Sized

    from releasekit.core.config.settings import Settings
    from releasekit.core.history.tags import Baseline
    from releasekit.core.planning.plan_inputs import PlanBasis
    from releasekit.core.versioning.groups import Decisions
    from releasekit.core.workspace.installation import Exclusion


def low_version_warnings(
    decisions: Decisions, released: Sequence[Step]
) -> Iterator[ReleaseWarning]:
    """Warn about each package whose version, decided by hand, covers less than its commits ask for."""
    for step in released:
        asked = decisions[step.name].changes_target
        if asked is not None:
            message = f"{step.name} {step.version} ({step.reason}): its commits ask for {asked}"
            yield ReleaseWarning(ErrorCode.VERSION_LOW, message, step.path)


def calendar_warnings(steps: Sequence[Step], basis: PlanBasis) -> Iterator[ReleaseWarning]:
    """Warn about each package whose last version looks like a date, and whose next one SemVer's rules have computed."""
    for step in steps:
        current = step.current
        if not step.is_released or current is None or not is_calendar_version(current):
            continue
        own = basis.own_settings(step.name)
        if own.get("versioning_scheme", basis.settings.versioning_scheme) != SEMANTIC:
            continue
        computed = {next_version(current, bump) for bump in (Bump.MINOR, Bump.MAJOR)}
        if step.version in computed:
            message = f"{step.name} {current} -> {step.version} ({step.bump}): {current} looks like a date"
            yield ReleaseWarning(ErrorCode.VERSION_CALENDAR, message)


def waiver_warnings(basis: PlanBasis) -> Iterator[ReleaseWarning]:
    """Warn about each waiver that covers no package of the workspace."""
    names = list(basis.workspace.members)
    patterns = [("verify_ignore", waiver.package) for waiver in basis.settings.verify_ignore]
    patterns += [("api_ignore", waiver.package) for waiver in basis.settings.api_ignore]
    for key, pattern in patterns:
        if not any(matches_package(pattern, name) for name in names):
            similar = did_you_mean(pattern, names)
            message = f"{key} is for {pattern}, and no package has this name{similar}"
            yield ReleaseWarning(ErrorCode.VERIFY_WAIVER, message)


def unreleased_need_warnings(
    basis: PlanBasis, statuses: Mapping[str, Status], released: Sequence[str]
) -> Iterator[ReleaseWarning]:
    """Yield a warning for each need that only another index can satisfy.

    Such a need is a member that is never published, or one that was never released and is not released now.
    """
    workspace = basis.workspace
    for name in released:
        member = workspace[name]
        needs = workspace.required_members(member, *PUBLIC_KINDS)
        for need in sorted(needs):
            reason = _unreleased_reason(basis, statuses, need)
            if reason:
                yield ReleaseWarning(
                    code=ErrorCode.WORKSPACE_REQUIREMENT,
                    message=f"{name} requires {need}, {reason}",
                    location=f"{member.path}/pyproject.toml",
                )


def _unreleased_reason(basis: PlanBasis, statuses: Mapping[str, Status], need: str) -> str:
    """Return why the package *need* is on no index; empty if it is, or will be."""
    if not basis.workspace[need].publishable:
        return "which is never published"
    was_released = need in basis.baselines
    if statuses[need] is Status.EXCLUDED and not was_released:
        return "which was never released and is not in this release"
    return ""


def old_pin_warnings(excluded: Sequence[Exclusion], settings: Settings) -> Iterator[ReleaseWarning]:
    """Warn once about the packages that are not released and whose requirements exclude a new version.

    Such a package can still be installed, with older versions. Prereleases do not count: installers ignore them unless
    asked.
    """
    behind = list(filter(_keeps_old_version, excluded))
    if not behind:
        return
    names = list(dict.fromkeys(exclusion.dependent.name for exclusion in behind))
    require = _verb("requires", "require", names)
    assumption = assumption_note(behind)
    summary = summarize_exclusions(behind)
    message = f"{count_packages(names)} still {require} old versions{assumption}: {summary}"
    hint = f"`{forced_release_command(names)}` releases them"
    if settings.propagate != "patch":
        hint = f'{hint}; `propagate = "patch"` does so in every release'
    yield ReleaseWarning(ErrorCode.PIN_OLD, message, hint)


def _keeps_old_version(exclusion: Exclusion) -> bool:
    """Return whether a package that is not released excludes a new stable version."""
    dependent, excluded = exclusion.dependent, exclusion.excluded
    is_new_stable = excluded.planned and not excluded.version.is_prerelease
    return is_new_stable and not dependent.planned


def _verb(singular: str, plural: str, subjects: Sized) -> str:
    return singular if len(subjects) == 1 else plural


def untagged_warnings(
    steps: Sequence[Step], baselines: Mapping[str, Baseline], *, offline: bool
) -> Iterator[ReleaseWarning]:
    """Warn about packages without a tag, and say which version counts as their last release."""
    last_releases = {step.name: baselines[step.name] for step in steps if step.name in baselines}
    from_index = {name: last for name, last in last_releases.items() if not last.tag}
    from_commit = [
        f"{name} {last.version} ({last.commit[:7]})"
        for name, last in from_index.items()
        if not last.since
    ]
    if from_commit:
        reason = "the version on the index counts as the last release, from the commit that set it"
        message = f"no tag found, so {reason}: {summarize(from_commit)}"
        yield ReleaseWarning(ErrorCode.BASELINE_INDEX, message)
    from_tag = [
        f"{name} {last.version} (since {last.since})"
        for name, last in from_index.items()
        if last.since
    ]
    if from_tag:
        reason = (
            "the index has a later release than the last tag, and no commit here sets its version"
        )
        message = f"{reason}, so the changes count from that tag: {summarize(from_tag)}"
        yield ReleaseWarning(ErrorCode.BASELINE_INDEX, message)
    unknown = [step.name for step in steps if step.is_released and step.name not in baselines]
    if unknown and offline:
        have = _verb("has", "have", unknown)
        message = f"{summarize(unknown)} {have} no tag, and no index was asked for earlier releases"
        yield ReleaseWarning(ErrorCode.BASELINE_INDEX, message)


def ahead_warnings(steps: Sequence[Step], basis: PlanBasis) -> Iterator[ReleaseWarning]:
    """Warn once about packages that declare more than their last known release.

    If an index was asked, and the plan releases what they declare, the plan itself says so.
    """
    ahead = list(filter(None, (_describe_ahead(step, basis) for step in steps)))
    if ahead:
        declare = _verb("declares", "declare", ahead)
        message = f"{count_packages(ahead)} {declare} more than the last known release: {summarize(ahead)}"
        yield ReleaseWarning(ErrorCode.VERSION_AHEAD, message)


def _describe_ahead(step: Step, basis: PlanBasis) -> str:
    """Return what the package of *step* declares, and its last release; empty if that is not more, or only a marker."""
    declared = basis.workspace[step.name].version
    last = basis.baselines.get(step.name)
    if declared is None or last is None or declared <= last.version:
        return ""
    was_asked = basis.inputs.published is not None
    is_planned = was_asked and step.next == declared
    is_marker = declared.is_prerelease or declared.local is not None  # as for the next development
    if is_planned or is_marker:
        return ""
    return f"{step.name} {declared} (after {last.version})"


def stray_tag_warnings(strays: Sequence[str]) -> Iterator[ReleaseWarning]:
    """Warn once about the tags that look like later releases than the last ones, each with the reason against it."""
    if strays:
        look = _verb("looks like a release, but does", "look like releases, but do", strays)
        message = f"{count_as('tag', strays)} {look} not count: {summarize(strays)}"
        yield ReleaseWarning(ErrorCode.TAG_STRAY, message)
