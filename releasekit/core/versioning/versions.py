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
    new_changes = history.changes
    if history.since_last is not None:
        since_last = history.since_last
        new_changes = [change for change in history.changes if change.sha in since_last]
    new = _split_changes(new_changes, rules.types, unreleased, consumed)
    whole = (
        new if new_changes is history.changes else _split_changes(history.changes, rules.types, unreleased, consumed)
    )
    # A prerelease lists the changes since the last one; a stable release also those of its prereleases.
    triggers, ignored = whole if rules.prerelease == "none" else new
    release_as_change = next(
        (change for change in whole[0] if change.release_as is not None and change.sha not in consumed), None
    )
    requested_version = parse_version(release_as_change.release_as or "") if release_as_change else None
    refusal = _invalid_release_as(release_as_change) if release_as_change and requested_version is None else None
    bump = max((bump_of(change, rules.types) for change in (*new[0], *whole[0])), default=Bump.NONE)
    reason = _release_reason(history, rules, triggers or new[0] if new[0] else (), propagation_reason)
    wants_release = bool(reason) or history.last is None
    if release_as_change and wants_release:
        reason = f"Release-As: {requested_version} ({release_as_change.short_sha})"
    if history.last is None:
        reason = f"first release, {reason}" if release_as_change else "first release"
    elif not wants_release:
        reason = _untriggered_reason(len(new_changes))
    return BumpRequest(
        history,
        rules,
        wants_release,
        bump,
        reason,
        requested_version,
        release_as_change.short_sha if release_as_change else "",
        triggers,
        ignored,
        refusal,
    )


def _untriggered_reason(commits: int) -> str:
    """Return why a package with this number of new *commits* is not released."""
    if commits == 0:
        return "no commits since the last release"
    return (
        "its only commit triggers no release" if commits == 1 else f"none of its {commits} commits triggers a release"
    )


def _consumed_commits(history: PackageHistory) -> frozenset[str]:
    """Return the shas of the changes whose Release-As a published prerelease has already followed."""
    if history.since_last is None or history.last is None:
        return frozenset()
    old = (
        change for change in history.changes if change.release_as is not None and change.sha not in history.since_last
    )
    versions = {change.sha: parse_version(change.release_as or "") for change in old}
    # A Release-As that is not a version did not stop that prerelease, because a later footer replaced it.
    return frozenset(sha for sha, version in versions.items() if version is None or version <= history.last)


def _release_reason(
    history: PackageHistory, rules: BumpRules, triggers: Sequence[Change], propagation_reason: str
) -> str:
    """Return why a package is released again, empty if it is not; *triggers* are empty if nothing is new."""
    if triggers:
        return _strongest_change(triggers, rules.types)
    if history.last is not None and _rank_of(history.last) < _KIND_RANKS[rules.prerelease]:
        return f"promotes {history.last}"
    if history.declared is not None and history.last is not None and _is_set_by_hand(history.declared, history.last):
        return f"{history.declared} is declared"
    return "forced" if rules.force else propagation_reason


def _split_changes(
    changes: Sequence[Change], types: Mapping[str, Bump], unreleased: Container[str], consumed: Container[str]
) -> tuple[tuple[Change, ...], tuple[IgnoredChange, ...]]:
    """Split *changes* into those that trigger a release and those that do not."""
    reasons = {ignored.change.sha: ignored.reason for ignored in drop_reverted(changes, unreleased=unreleased).ignored}
    triggers: list[Change] = []
    for change in changes:
        if change.sha in reasons:
            continue
        if bump_of(change, types) or (change.release_as is not None and change.sha not in consumed):
            triggers.append(change)
        elif change.release_as is not None:
            reasons[change.sha] = f"Release-As: {change.release_as} is already released"
        else:
            reasons[change.sha] = (
                f"type {change.type} triggers no release" if change.type else "not a conventional commit"
            )
    return tuple(triggers), tuple(
        IgnoredChange(change, reasons[change.sha]) for change in changes if change.sha in reasons
    )


def _strongest_change(triggers: Sequence[Change], types: Mapping[str, Bump]) -> str:
    """Name the change with the largest bump, the newest of equals, and say how many others there are."""
    strongest = max(triggers, key=lambda change: bump_of(change, types))
    more = f", +{len(triggers) - 1} more" if len(triggers) > 1 else ""
    return f"{_shorten(strongest.title)} ({strongest.short_sha}){more}"


# ---- one version for a group ----------------------------------------------------------------------------------------


def decide_versions(
    requests: Mapping[str, BumpRequest], *, fixed: bool = False, title: str = ""
) -> dict[str, Decision]:
    """Decide one version for those of *requests* that want a release; *fixed*: for all of them if one wants it.

    *title* names their group in the reasons.
    """
    releasing = {name: request for name, request in requests.items() if request.wants_release}
    if not releasing:
        return {name: _no_release(request) for name, request in requests.items()}
    try:
        target, by_hand = _target_version(list(requests.values()), list(releasing.values()))
    except Refusal as error:
        refusal = Refusal(error.code, error.message, ", ".join(filter(None, (error.location, *releasing))), error.hint)
        return {
            name: replace(_no_release(request), reason=error.message, refusal=refusal)
            if request.wants_release
            else _no_release(request)
            for name, request in requests.items()
        }
    leader = max(releasing, key=lambda name: (releasing[name].requested_version is not None, releasing[name].bump))
    decided: dict[str, Decision] = {}
    for name, request in requests.items():
        if by_hand and request.history.declared == target:
            decided[name] = _release_decision(request, target, f"{target} is declared")
        elif request.wants_release:
            led = request.bump < releasing[leader].bump and name != leader
            decided[name] = _release_decision(
                request, target, f"{request.reason}; same version as {leader} ({title})" if led else request.reason
            )
        elif fixed and request.history.last != target:
            decided[name] = _release_decision(request, target, f"released together with {leader} ({title})")
        else:
            decided[name] = _no_release(request)
    return decided


def _no_release(request: BumpRequest) -> Decision:
    return Decision(Bump.NONE, "none", None, request.reason, request.triggers, request.ignored)


def _release_decision(request: BumpRequest, target: Version, reason: str) -> Decision:
    if request.history.last is None:
        return Decision(Bump.NONE, "first", target, reason, request.triggers, request.ignored)
    stable = request.history.stable
    bump = max(Bump.PATCH, implied_bump(target.release)) if stable is None else bump_between(stable, target)
    label = "prerelease" if target.is_prerelease else bump.label
    return Decision(bump, label, target, reason, request.triggers, request.ignored)


def _target_version(requests: Sequence[BumpRequest], releasing: Sequence[BumpRequest]) -> tuple[Version, bool]:
    """Return the next version of *releasing*, above all releases of *requests*; and whether a file declares it.

    Raises Refusal RK-VERSION-UNKNOWN or RK-VERSION-INVALID.
    """
    if refusal := next((request.refusal for request in releasing if request.refusal), None):
        raise refusal
    kind = releasing[0].rules.prerelease
    last = max((request.history.last for request in requests if request.history.last is not None), default=None)
    declared = max(
        (request.history.declared for request in requests if request.history.declared is not None), default=None
    )
    requested_version = max(
        (request.requested_version for request in releasing if request.requested_version is not None), default=None
    )
    if last is not None and requested_version is None and _joins_existing_version(releasing, last, kind):
        return last, False
    base = requested_version or (declared if last is None else _base_version(requests, releasing, last))
    if base is None:
        raise Refusal(ErrorCode.VERSION_UNKNOWN, "the version is dynamic, and there is no tag")
    # A later version in the files is intended: a lower release would be a step back.
    by_hand = last is not None and declared is not None and _is_set_by_hand(declared, base)
    if by_hand and declared is not None:
        requested_version, base = None, declared
    exact = requested_version is not None and (requested_version.is_prerelease or requested_version.is_postrelease)
    exact |= last is None and base.is_prerelease and _prerelease_kind(base) == kind
    if kind == "none" or exact:
        target = base
    else:
        tagged = [version for request in requests for version in request.history.tagged]
        target = next_prerelease(base, kind, tagged if last is None else [*tagged, last])
    if target.local:
        location = ", ".join(
            f"commit {request.release_as_commit}" for request in releasing if request.requested_version == target
        )
        raise Refusal(
            ErrorCode.VERSION_INVALID, f"{target} is a local version (PEP 440), which no index accepts", location
        )
    if last is not None and target <= last:
        raise _step_back_refusal(releasing, last, target)
    while (
        any(target in request.history.consumed for request in releasing) and requested_version is None and not by_hand
    ):
        target = next_version_after(target)
    return target, by_hand


def _base_version(requests: Sequence[BumpRequest], releasing: Sequence[BumpRequest], last: Version) -> Version:
    """Return the stable version that the changes lead to, from the last stable one."""
    stable = max((request.history.stable for request in requests if request.history.stable is not None), default=None)
    # The stable version of the last prerelease is the minimum. Without a stable release, no change can break anything.
    announced = [make_version(last.epoch, last.release)] if last.is_prerelease else []
    needed = (
        next_version(stable, max(Bump.PATCH, request.bump), major_on_zero=request.rules.major_on_zero)
        for request in releasing
        if stable is not None
    )
    return max([*announced, *filter(None, needed)])


def _joins_existing_version(releasing: Sequence[BumpRequest], last: Version, prerelease: str) -> bool:
    """Return whether all of *releasing* are new packages that declare the *last* version of the others."""
    new = all(request.history.last is None and request.history.declared == last for request in releasing)
    return new and (_prerelease_kind(last) == prerelease if last.is_prerelease else prerelease == "none")


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
            # 1.3rc2.dev1 comes before 1.3rc2; some tools use such numbers.
            announced = version.is_devrelease and version.pre is not None and not version.is_postrelease
            number = max(number, (version.pre[1] if version.pre else version.dev or 0) - announced)
    stem = make_version(base.epoch, base.release)
    return Version(f"{stem}.dev{number + 1}" if kind == "dev" else f"{stem}{kind}{number + 1}")


def _prerelease_kind(version: Version) -> str:
    """Return the kind of prerelease that *version* is: "dev", "a", "b", "rc", or "none"."""
    return version.pre[0] if version.pre else "dev" if version.is_prerelease else "none"


def _rank_of(version: Version) -> int:
    return _KIND_RANKS[_prerelease_kind(version)]


def _is_same_release(one: Version, other: Version) -> bool:
    pairs = zip_longest(one.release, other.release, fillvalue=0)
    return one.epoch == other.epoch and all(mine == theirs for mine, theirs in pairs)


def _is_set_by_hand(declared: Version, last: Version) -> bool:
    """Return whether the files declare a later version; a prerelease or local version there is only a marker."""
    return declared > last and not declared.is_prerelease and declared.local is None


# ---- parts ----------------------------------------------------------------------------------------------------------


def _invalid_release_as(change: Change) -> Refusal:
    message = f"Release-As: {change.release_as!r} is not a PEP 440 version"
    hint = "Commit with a `Release-As:` footer that names one, such as 1.2.3 or 1.2.3rc1; the newest one wins."
    return Refusal(ErrorCode.VERSION_INVALID, message, f"commit {change.short_sha}", hint)


def _shorten(title: str) -> str:
    return title if len(title) <= _TITLE_WIDTH else f"{title[: _TITLE_WIDTH - 1].rstrip()}…"


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
        return f"{sign} is {'minor on 0.x' if soft else bump}"
    if change.is_revert:
        return f"it reverts a released change: {bump}"
    return f"a fixup of {change.type} is {bump}" if change.fixup else f"{change.type} is {bump}"
