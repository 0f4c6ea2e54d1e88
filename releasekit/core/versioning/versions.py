"""Which version comes next, and why."""

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
    """What is out of a package, and what has come since.

    *last* is its latest release, prereleases included, *stable* the latest that is none; None where there is none.
    *declared* is the version that stands in its files. *changes* are those since *stable*, newest first; *since_last*
    are the shas of those since *last*, None for all of them. *tagged* are all versions that have a tag, wherever it is,
    *consumed* those that the index has and no tag names, which cannot be released again.
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
        """The version that it has now."""
        return self.declared if self.last is None else self.last


@dataclass(frozen=True, slots=True)
class BumpRequest:
    """What a package asks for: *bump* of its strongest change, *requested_version* of a Release-As.

    *wants_release*: it asks for a release at all. *refusal*: why that Release-As names no version.
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

    *label* is the bump for JSON: major, minor, patch, prerelease, none or first. *triggers* are the changes that ask
    for this release, *ignored* all others since the last; both newest first. *refusal*: why it cannot be released.
    """

    bump: Bump
    label: str
    target: Version | None
    reason: str
    triggers: tuple[Change, ...] = ()
    ignored: tuple[IgnoredChange, ...] = ()
    refusal: Refusal | None = None


# ---- what one package asks for --------------------------------------------------------------------------------------


def request_bump(
    history: PackageHistory, rules: BumpRules, unreleased: Container[str] = frozenset(), propagation_reason: str = ""
) -> BumpRequest:
    """Return what one package asks for. *propagation_reason* says why it is released without changes."""
    consumed = _consumed_commits(history)
    new_changes = history.changes
    if history.since_last is not None:
        since_last = history.since_last
        new_changes = [change for change in history.changes if change.sha in since_last]
    new = _split_changes(new_changes, rules.types, unreleased, consumed)
    whole = (
        new if new_changes is history.changes else _split_changes(history.changes, rules.types, unreleased, consumed)
    )
    # A prerelease tells what is new since the last one; a stable release all that its prereleases told.
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
        nothing_to_release = f"no commit of {len(new_changes)} asks for a release"
        reason = nothing_to_release if new_changes else "no commits since the last release"
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


def _consumed_commits(history: PackageHistory) -> frozenset[str]:
    """Return the shas of the changes whose Release-As was followed by a prerelease that is out."""
    if history.since_last is None or history.last is None:
        return frozenset()
    old = (
        change for change in history.changes if change.release_as is not None and change.sha not in history.since_last
    )
    versions = {change.sha: parse_version(change.release_as or "") for change in old}
    # What names no version has stopped nobody: a later footer has won.
    return frozenset(sha for sha, version in versions.items() if version is None or version <= history.last)


def _release_reason(
    history: PackageHistory, rules: BumpRules, triggers: Sequence[Change], propagation_reason: str
) -> str:
    """Return why a package is released again, *triggers* if anything is new; empty if it is not."""
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
    """Part *changes* into those that ask for a release and those that do not."""
    reasons = {ignored.change.sha: ignored.reason for ignored in drop_reverted(changes, unreleased=unreleased).ignored}
    triggers: list[Change] = []
    for change in changes:
        if change.sha in reasons:
            continue
        if bump_of(change, types) or (change.release_as is not None and change.sha not in consumed):
            triggers.append(change)
        elif change.release_as is not None:
            reasons[change.sha] = f"Release-As: {change.release_as} is out"
        else:
            reasons[change.sha] = f"type {change.type} asks for no release" if change.type else "no conventional commit"
    return tuple(triggers), tuple(
        IgnoredChange(change, reasons[change.sha]) for change in changes if change.sha in reasons
    )


def _strongest_change(triggers: Sequence[Change], types: Mapping[str, Bump]) -> str:
    """Name the strongest change, the newest of equals, and say how many others there are."""
    strongest = max(triggers, key=lambda change: bump_of(change, types))
    more = f", +{len(triggers) - 1} more" if len(triggers) > 1 else ""
    return f"{_shorten(strongest.title)} ({strongest.short_sha}){more}"


# ---- one version for all that go together ---------------------------------------------------------------------------


def decide_versions(
    requests: Mapping[str, BumpRequest], *, fixed: bool = False, title: str = ""
) -> dict[str, Decision]:
    """Give one version to those of *requests* that want a release; *fixed*: to all of them, as soon as one wants it.

    *title* says in a reason what holds them together.
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
                request, target, f"{request.reason}; as {leader} ({title})" if led else request.reason
            )
        elif fixed and request.history.last != target:
            decided[name] = _release_decision(request, target, f"moves with {leader} ({title})")
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
    """Return the next version of all *releasing*, above every release of *requests*; and whether a file sets it."""
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
    # Somebody wrote a later version by hand: that is a wish, and to release less would be a step back.
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
            ErrorCode.VERSION_INVALID, f"{target} is a local version (PEP 440), which no index takes", location
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
    # What a prerelease has announced is the least. Where nothing stable is out, nothing can be broken.
    announced = [make_version(last.epoch, last.release)] if last.is_prerelease else []
    needed = (
        next_version(stable, max(Bump.PATCH, request.bump), major_on_zero=request.rules.major_on_zero)
        for request in releasing
        if stable is not None
    )
    return max([*announced, *filter(None, needed)])


def _joins_existing_version(releasing: Sequence[BumpRequest], last: Version, prerelease: str) -> bool:
    """Tell whether there is nothing but new packages, whose files name the version that the others have already."""
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
        f"{last} is out, and {target} would be a step back",
        hint=f"Prereleases go dev, a, b, rc: make another {_prerelease_kind(last)}, a later kind, or a stable release.",
    )


# ---- prereleases ----------------------------------------------------------------------------------------------------

_KIND_RANKS = {"dev": 0, "a": 1, "b": 2, "rc": 3, "none": 4}


def next_prerelease(base: Version, kind: str, existing: Iterable[Version]) -> Version:
    """Return the next prerelease of *base*: numbered after those among *existing*, from 1 (PEP 440)."""
    number = 0
    for version in existing:
        if version.is_prerelease and _is_same_release(version, base) and _prerelease_kind(version) == kind:
            # Between 1.3rc1 and 1.3rc2 lies 1.3rc2.dev1, as some tools number.
            announced = version.is_devrelease and version.pre is not None and not version.is_postrelease
            number = max(number, (version.pre[1] if version.pre else version.dev or 0) - announced)
    stem = make_version(base.epoch, base.release)
    return Version(f"{stem}.dev{number + 1}" if kind == "dev" else f"{stem}{kind}{number + 1}")


def _prerelease_kind(version: Version) -> str:
    """Return which kind of prerelease *version* is, or "none"."""
    return version.pre[0] if version.pre else "dev" if version.is_prerelease else "none"


def _rank_of(version: Version) -> int:
    return _KIND_RANKS[_prerelease_kind(version)]


def _is_same_release(one: Version, other: Version) -> bool:
    pairs = zip_longest(one.release, other.release, fillvalue=0)
    return one.epoch == other.epoch and all(mine == theirs for mine, theirs in pairs)


def _is_set_by_hand(declared: Version, last: Version) -> bool:
    """Tell whether somebody has written a later version into the files; there a prerelease is only a mark, as is +x."""
    return declared > last and not declared.is_prerelease and declared.local is None


# ---- parts ----------------------------------------------------------------------------------------------------------


def _invalid_release_as(change: Change) -> Refusal:
    message = f"Release-As: {change.release_as!r} is not a PEP 440 version"
    hint = "Commit with a `Release-As:` footer that names one, such as 1.2.3 or 1.2.3rc1; the newest one wins."
    return Refusal(ErrorCode.VERSION_INVALID, message, f"commit {change.short_sha}", hint)


def _shorten(title: str) -> str:
    return title if len(title) <= _TITLE_WIDTH else f"{title[: _TITLE_WIDTH - 1].rstrip()}…"


def bump_of(change: Change, types: Mapping[str, Bump]) -> Bump:
    """Return what *change* asks for by itself.

    A breaking change of any type is major (Conventional Commits, item 11 to 13), also one that reverts.
    A revert is otherwise a patch, unless *types* or its own title asks for more, and a fixup is at most a patch.
    """
    if change.breaking:
        return Bump.MAJOR
    bump = types.get(change.type, Bump.NONE)
    if change.is_revert:
        return max(bump, types.get("revert", Bump.PATCH))
    return min(bump, Bump.PATCH) if change.fixup else bump


def rule_of(change: Change, types: Mapping[str, Bump], *, soft: bool = False) -> str:
    """Say by which rule *change* asks for what it asks for; see `bump_of`. *soft*: on 0.x what breaks is minor."""
    if change.release_as is not None:
        return f"Release-As: {change.release_as}"
    bump = bump_of(change, types).label
    if change.breaking:
        sign = "a BREAKING CHANGE footer" if change.notes else "! after the type"
        return f"{sign} is {'minor on 0.x' if soft else bump}"
    if change.is_revert:
        return f"it undoes what is out: {bump}"
    return f"a fixup of {change.type} is {bump}" if change.fixup else f"{change.type} is {bump}"
