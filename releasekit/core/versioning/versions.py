"""Decide which version comes next, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from packaging.version import Version

from releasekit.core.config.bump_rules import Bump, BumpRules
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.reverts import IgnoredChange, drop_reverted
from releasekit.core.version_numbers import (
    bump_between,
    implied_bump,
    make_version,
    next_version,
    next_version_after,
    parse_version,
)

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from releasekit.core.history.commits import Change

_TITLE_WIDTH = 72


@dataclass(frozen=True, slots=True)
class PackageHistory:
    """The releases of a package, and its changes since then.

    *last* is its latest release, which may be a prerelease, *stable* its latest stable release; None if there is none.
    *declared* is the version in its files. *changes* are those since *stable*, newest first; *since_last* are the shas
    of those since *last*, None for all of them. *tagged* are all versions that have a tag, on any commit. *consumed*
    are those that the index has and no tag names; they cannot be released again.
    """

    declared: Version | None
    last: Version | None = None
    stable: Version | None = None
    changes: Sequence[Change] = ()
    since_last: Container[str] | None = None
    tagged: Iterable[Version] = ()
    consumed: Container[Version] = ()

    @property
    def current(self) -> Version | None:
        """The version of the last release; without one, the declared version."""
        return self.declared if self.last is None else self.last


@dataclass(frozen=True, slots=True)
class BumpRequest:
    """What the changes of a package request: the *bump* of the largest, the *requested_version* of a Release-As.

    *wants_release*: whether the package needs a release. *refusal*: why the value of Release-As is not a version.
    """

    history: PackageHistory
    rules: BumpRules
    wants_release: bool
    bump: Bump
    reason: str
    requested_version: Version | None = None
    release_as_commit: str = ""
    triggers: tuple[Change, ...] = ()
    ignored: tuple[IgnoredChange, ...] = ()
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The next version of one package, and why; *target* is None if it is not released.

    *label* is the bump for JSON: major, minor, patch, prerelease, none or first. *triggers* are the changes that
    trigger this release, *ignored* all others since the last; both newest first. *refusal*: why it cannot be released.
    """

    bump: Bump
    label: str
    target: Version | None
    reason: str
    triggers: tuple[Change, ...] = ()
    ignored: tuple[IgnoredChange, ...] = ()
    refusal: Refusal | None = None


# ---- the request of one package -------------------------------------------------------------------------------------


def request_bump(
    history: PackageHistory, rules: BumpRules, unreleased: Container[str] = frozenset(), propagation_reason: str = ""
) -> BumpRequest:
    """Return the request of one package. *propagation_reason* says why it is released without changes.

    *unreleased* is as `drop_reverted` has it.
    """
    consumed = _consumed_commits(history)
    new_changes = _changes_since_last(history)
    new_triggers, new_ignored = _split_changes(new_changes, rules.types, unreleased, consumed)
    all_triggers, all_ignored = new_triggers, new_ignored
    if history.since_last is not None:
        all_triggers, all_ignored = _split_changes(history.changes, rules.types, unreleased, consumed)
    # A prerelease lists the changes since the last one; a stable release also those of its prereleases.
    triggers, ignored = new_triggers, new_ignored
    if rules.prerelease == "none":
        triggers, ignored = all_triggers, all_ignored
    release_as = _find_release_as(all_triggers, consumed)
    requested_version, refusal = _parse_release_as(release_as)
    named_triggers: Sequence[Change] = ()
    if new_triggers:
        named_triggers = triggers or new_triggers
    reason = _release_reason(history, rules, named_triggers, propagation_reason)
    wants_release = bool(reason) or history.last is None
    if release_as:
        reason = f"Release-As: {requested_version} ({release_as.short_sha})"
    if history.last is None:
        reason = f"first release, {reason}" if release_as else "first release"
    elif not wants_release:
        reason = _untriggered_reason(len(new_changes))
    return BumpRequest(
        history=history,
        rules=rules,
        wants_release=wants_release,
        bump=_largest_bump([*new_triggers, *all_triggers], rules.types),
        reason=reason,
        requested_version=requested_version,
        release_as_commit=release_as.short_sha if release_as else "",
        triggers=triggers,
        ignored=ignored,
        refusal=refusal,
    )


def _changes_since_last(history: PackageHistory) -> Sequence[Change]:
    """Return the changes since the last release, newest first."""
    since_last = history.since_last
    if since_last is None:
        return history.changes
    return [change for change in history.changes if change.sha in since_last]


def _find_release_as(triggers: Sequence[Change], consumed: Container[str]) -> Change | None:
    """Return the newest of *triggers* with a Release-As that is not *consumed*."""
    for change in triggers:
        if change.release_as is not None and change.sha not in consumed:
            return change
    return None


def _parse_release_as(change: Change | None) -> tuple[Version | None, Refusal | None]:
    """Return the version in the Release-As of *change*, or the refusal of a value that is not a version."""
    if change is None:
        return None, None
    version = parse_version(change.release_as or "")
    refusal = _invalid_release_as(change) if version is None else None
    return version, refusal


def _largest_bump(changes: Sequence[Change], types: Mapping[str, Bump]) -> Bump:
    bumps = [bump_of(change, types) for change in changes]
    return max(bumps, default=Bump.NONE)


def _untriggered_reason(commits: int) -> str:
    """Return why a package with this number of new *commits* is not released."""
    if commits == 0:
        return "no commits since the last release"
    if commits == 1:
        return "its only commit triggers no release"
    return f"none of its {commits} commits triggers a release"


def _consumed_commits(history: PackageHistory) -> frozenset[str]:
    """Return the shas of the changes whose Release-As a published prerelease has already followed."""
    since_last, last = history.since_last, history.last
    if since_last is None or last is None:
        return frozenset()
    consumed: set[str] = set()
    for change in history.changes:
        if change.release_as is None or change.sha in since_last:
            continue
        version = parse_version(change.release_as)
        # A Release-As that is not a version did not stop that prerelease, because a later footer replaced it.
        if version is None or version <= last:
            consumed.add(change.sha)
    return frozenset(consumed)


def _release_reason(
    history: PackageHistory, rules: BumpRules, triggers: Sequence[Change], propagation_reason: str
) -> str:
    """Return why a package is released again, empty if it is not; *triggers* are empty if nothing is new."""
    if triggers:
        return _strongest_change(triggers, rules.types)
    declared, last = history.declared, history.last
    if last is not None and _rank_of(last) < _KIND_RANKS[rules.prerelease]:
        return f"promotes {last}"
    if last is not None and declared is not None and _is_set_by_hand(declared, last):
        return f"{declared} is declared"
    return "forced" if rules.force else propagation_reason


def _split_changes(
    changes: Sequence[Change], types: Mapping[str, Bump], unreleased: Container[str], consumed: Container[str]
) -> tuple[tuple[Change, ...], tuple[IgnoredChange, ...]]:
    """Split *changes* into those that trigger a release and those that do not."""
    effective = drop_reverted(changes, unreleased=unreleased)
    reasons = {ignored.change.sha: ignored.reason for ignored in effective.ignored}
    triggers: list[Change] = []
    for change in changes:
        if change.sha in reasons:
            continue
        reason = _ignored_reason(change, types, consumed)
        if reason:
            reasons[change.sha] = reason
        else:
            triggers.append(change)
    ignored = [IgnoredChange(change, reasons[change.sha]) for change in changes if change.sha in reasons]
    return tuple(triggers), tuple(ignored)


def _ignored_reason(change: Change, types: Mapping[str, Bump], consumed: Container[str]) -> str:
    """Return why *change* triggers no release; empty if it triggers one."""
    if bump_of(change, types):
        return ""
    if change.release_as is not None:
        is_consumed = change.sha in consumed
        return f"Release-As: {change.release_as} is already released" if is_consumed else ""
    if change.type:
        return f"type {change.type} triggers no release"
    return "not a conventional commit"


def _strongest_change(triggers: Sequence[Change], types: Mapping[str, Bump]) -> str:
    """Name the change with the largest bump, the newest of equals, and say how many others there are."""
    strongest = max(triggers, key=lambda change: bump_of(change, types))
    description = f"{_shorten(strongest.title)} ({strongest.short_sha})"
    others = len(triggers) - 1
    return f"{description}, +{others} more" if others else description


# ---- one version for a group ----------------------------------------------------------------------------------------


def decide_versions(
    requests: Mapping[str, BumpRequest], *, fixed: bool = False, title: str = ""
) -> dict[str, Decision]:
    """Decide one version for those of *requests* that want a release; *fixed*: for all of them if one wants it.

    *title* names their group in the reasons.
    """
    releasing = {name: request for name, request in requests.items() if request.wants_release}
    decisions = {name: _no_release(request) for name, request in requests.items()}
    if not releasing:
        return decisions
    try:
        target, by_hand = _target_version(list(requests.values()), list(releasing.values()))
    except Refusal as error:
        location = ", ".join(filter(None, (error.location, *releasing)))
        refusal = Refusal(error.code, error.message, location, error.hint)
        refused = {name: replace(decisions[name], reason=error.message, refusal=refusal) for name in releasing}
        return decisions | refused
    leader = max(releasing, key=lambda name: (releasing[name].requested_version is not None, releasing[name].bump))
    for name, request in requests.items():
        if by_hand and request.history.declared == target:
            reason = f"{target} is declared"
        elif request.wants_release:
            led = request.bump < releasing[leader].bump and name != leader
            reason = f"{request.reason}; same version as {leader} ({title})" if led else request.reason
        elif fixed and request.history.last != target:
            reason = f"released together with {leader} ({title})"
        else:
            continue
        decisions[name] = _release_decision(request, target, reason)
    return decisions


def _no_release(request: BumpRequest) -> Decision:
    return Decision(Bump.NONE, "none", None, request.reason, request.triggers, request.ignored)


def _release_decision(request: BumpRequest, target: Version, reason: str) -> Decision:
    if request.history.last is None:
        return Decision(Bump.NONE, "first", target, reason, request.triggers, request.ignored)
    stable = request.history.stable
    bump = max(Bump.PATCH, implied_bump(target.release))
    if stable is not None:
        bump = bump_between(stable, target)
    label = "prerelease" if target.is_prerelease else bump.label
    return Decision(bump, label, target, reason, request.triggers, request.ignored)


def _target_version(requests: Sequence[BumpRequest], releasing: Sequence[BumpRequest]) -> tuple[Version, bool]:
    """Return the next version of *releasing*, above all releases of *requests*; and whether a file declares it.

    Raises Refusal RK-VERSION-UNKNOWN or RK-VERSION-INVALID.
    """
    _refuse_invalid_release_as(releasing)
    kind = releasing[0].rules.prerelease
    histories = [request.history for request in requests]
    last = _latest(history.last for history in histories)
    declared = _latest(history.declared for history in histories)
    requested_version = _latest(request.requested_version for request in releasing)
    if last is not None and requested_version is None and _joins_existing_version(releasing, last, kind):
        return last, False
    base = requested_version
    if base is None:
        base = declared if last is None else _base_version(requests, releasing, last)
    if base is None:
        raise Refusal(ErrorCode.VERSION_UNKNOWN, "the version is dynamic, and there is no tag")
    by_hand = False
    # A later version in the files is intended: a lower release would be a step back.
    if last is not None and declared is not None and _is_set_by_hand(declared, base):
        requested_version, base, by_hand = None, declared, True
    target = base
    if kind != "none" and not _is_final(base, kind, requested_version, last):
        existing = [version for history in histories for version in history.tagged]
        if last is not None:
            existing.append(last)
        target = next_prerelease(base, kind, existing)
    _refuse_unusable_target(releasing, target, last)
    if requested_version is None and not by_hand:
        target = _skip_consumed(target, releasing)
    return target, by_hand


def _refuse_invalid_release_as(releasing: Sequence[BumpRequest]) -> None:
    for request in releasing:
        if request.refusal:
            raise request.refusal


def _refuse_unusable_target(releasing: Sequence[BumpRequest], target: Version, last: Version | None) -> None:
    """Refuse a version that no index accepts, or that is not above the *last* one."""
    if target.local:
        raise _local_version_refusal(releasing, target)
    if last is not None and target <= last:
        raise _step_back_refusal(releasing, last, target)


def _latest(versions: Iterable[Version | None]) -> Version | None:
    """Return the latest of *versions*, None if there is none."""
    return max(filter(None, versions), default=None)


def _is_final(base: Version, kind: str, requested_version: Version | None, last: Version | None) -> bool:
    """Return whether *base* is released as it is, without the number of a prerelease of *kind*."""
    if requested_version is not None and (requested_version.is_prerelease or requested_version.is_postrelease):
        return True
    # A first release can declare the prerelease that it is.
    return last is None and base.is_prerelease and _prerelease_kind(base) == kind


def _skip_consumed(target: Version, releasing: Sequence[BumpRequest]) -> Version:
    """Return the first version from *target* on that none of *releasing* has consumed."""
    while any(target in request.history.consumed for request in releasing):
        target = next_version_after(target)
    return target


def _base_version(requests: Sequence[BumpRequest], releasing: Sequence[BumpRequest], last: Version) -> Version:
    """Return the stable version that the changes lead to, from the last stable one."""
    stable = _latest(request.history.stable for request in requests)
    # The stable version of the last prerelease is the minimum. Without a stable release, no change can break anything.
    versions: list[Version | None] = []
    if last.is_prerelease:
        versions.append(make_version(last.epoch, last.release))
    if stable is not None:
        for request in releasing:
            bump = max(Bump.PATCH, request.bump)
            versions.append(next_version(stable, bump, major_on_zero=request.rules.major_on_zero))
    return max(filter(None, versions))


def _joins_existing_version(releasing: Sequence[BumpRequest], last: Version, prerelease: str) -> bool:
    """Return whether all of *releasing* are new packages that declare the *last* version of the others."""
    for request in releasing:
        history = request.history
        if history.last is not None or history.declared != last:
            return False
    kind = _prerelease_kind(last) if last.is_prerelease else "none"
    return kind == prerelease


def _local_version_refusal(releasing: Sequence[BumpRequest], target: Version) -> Refusal:
    commits = [request.release_as_commit for request in releasing if request.requested_version == target]
    location = ", ".join(f"commit {commit}" for commit in commits)
    message = f"{target} is a local version (PEP 440), which no index accepts"
    return Refusal(ErrorCode.VERSION_INVALID, message, location)


def _step_back_refusal(releasing: Sequence[BumpRequest], last: Version, target: Version) -> Refusal:
    explicit = next((request for request in releasing if request.requested_version is not None), None)
    if explicit:
        return Refusal(
            ErrorCode.VERSION_INVALID,
            f"Release-As: {explicit.requested_version} is not above the current version, {last}",
            f"commit {explicit.release_as_commit}",
            f"Commit with a `Release-As:` footer that names a version above {last}; the newest one wins.",
        )
    return Refusal(
        ErrorCode.VERSION_INVALID,
        f"{last} is already released, and {target} would be a step back",
        hint=f"The order is dev, a, b, rc. Make another {_prerelease_kind(last)}, a later kind, or a stable release.",
    )


# ---- prereleases ----------------------------------------------------------------------------------------------------

_KIND_RANKS = {"dev": 0, "a": 1, "b": 2, "rc": 3, "none": 4}


def next_prerelease(base: Version, kind: str, existing: Iterable[Version]) -> Version:
    """Return the next prerelease (PEP 440) of *base*; its number follows those in *existing*, and starts at 1."""
    number = 0
    for version in existing:
        if version.is_prerelease and _is_same_release(version, base) and _prerelease_kind(version) == kind:
            number = max(number, _prerelease_number(version))
    stem = make_version(base.epoch, base.release)
    separator = "." if kind == "dev" else ""
    return Version(f"{stem}{separator}{kind}{number + 1}")


def _prerelease_number(version: Version) -> int:
    """Return the number of the prerelease *version*."""
    if version.pre is None:
        return version.dev or 0
    number = version.pre[1]
    # 1.3rc2.dev1 comes before 1.3rc2; some tools use such numbers.
    is_before = version.is_devrelease and not version.is_postrelease
    return number - 1 if is_before else number


def _prerelease_kind(version: Version) -> str:
    """Return the kind of prerelease that *version* is: "dev", "a", "b", "rc", or "none"."""
    if version.pre:
        return version.pre[0]
    return "dev" if version.is_prerelease else "none"


def _rank_of(version: Version) -> int:
    return _KIND_RANKS[_prerelease_kind(version)]


def _is_same_release(one: Version, other: Version) -> bool:
    if one.epoch != other.epoch:
        return False
    pairs = zip_longest(one.release, other.release, fillvalue=0)
    return all(number == other_number for number, other_number in pairs)


def _is_set_by_hand(declared: Version, last: Version) -> bool:
    """Return whether the files declare a later version; a prerelease or local version there is only a marker."""
    return declared > last and not declared.is_prerelease and declared.local is None


# ---- parts ----------------------------------------------------------------------------------------------------------


def _invalid_release_as(change: Change) -> Refusal:
    message = f"Release-As: {change.release_as!r} is not a PEP 440 version"
    hint = "Commit with a `Release-As:` footer that names one, such as 1.2.3 or 1.2.3rc1; the newest one wins."
    return Refusal(ErrorCode.VERSION_INVALID, message, f"commit {change.short_sha}", hint)


def _shorten(title: str) -> str:
    if len(title) <= _TITLE_WIDTH:
        return title
    start = title[: _TITLE_WIDTH - 1]
    return f"{start.rstrip()}…"


def bump_of(change: Change, types: Mapping[str, Bump]) -> Bump:
    """Return the bump that *change* triggers by itself.

    A breaking change of any type is major (Conventional Commits, items 11 to 13), even if it is a revert.
    Any other revert is a patch, unless *types* or its own title triggers more. A fixup is at most a patch.
    """
    if change.breaking:
        return Bump.MAJOR
    bump = types.get(change.type, Bump.NONE)
    if change.is_revert:
        return max(bump, types.get("revert", Bump.PATCH))
    return min(bump, Bump.PATCH) if change.fixup else bump


def rule_of(change: Change, types: Mapping[str, Bump], *, soft: bool = False) -> str:
    """Return the rule that gives *change* its bump; see `bump_of`. *soft*: a breaking change on 0.x is minor."""
    if change.release_as is not None:
        return f"Release-As: {change.release_as}"
    bump = bump_of(change, types).label
    if change.breaking:
        sign = "a BREAKING CHANGE footer" if change.notes else "! after the type"
        breaking_bump = "minor on 0.x" if soft else bump
        return f"{sign} is {breaking_bump}"
    if change.is_revert:
        return f"it reverts a released change: {bump}"
    if change.fixup:
        return f"a fixup of {change.type} is {bump}"
    return f"{change.type} is {bump}"
