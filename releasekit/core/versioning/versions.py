"""Decide which version comes next, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from packaging.version import Version

from releasekit.core.config.bump_rules import Bump, BumpRules
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.pending_changes import PendingChanges
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

    from releasekit.core.history.change_files import FileChange
    from releasekit.core.history.commits import Change

_TITLE_WIDTH = 72


@dataclass(frozen=True, slots=True)
class PackageHistory:
    """The releases of a package, and its changes since then.

    *last* is its latest release, which may be a prerelease, *stable* its latest stable release; None if there is none.
    *declared* is the version in its files. *changes* are those since *stable*, newest first; *since_last* are the shas
    of those since *last*, None for all of them. *tagged* are all versions that have a tag, on any commit. *consumed*
    are those that the index has and no tag names; they cannot be released again. *files* are its change files.
    """

    declared: Version | None
    last: Version | None = None
    stable: Version | None = None
    changes: Sequence[Change] = ()
    since_last: Container[str] | None = None
    tagged: Iterable[Version] = ()
    consumed: Container[Version] = ()
    files: PendingChanges = PendingChanges()  # noqa: RUF009  a frozen value

    def is_new(self, change: Change) -> bool:
        """Return whether *change*, one of the changes, came after the last release."""
        return self.since_last is None or change.sha in self.since_last


@dataclass(frozen=True, slots=True)
class ReleaseAs:
    """The Release-As footer that decides the version of a package: its *version*, its *commit*, the *reason* it gives.

    *refusal*: why its value is not a version. All are empty if there is no such footer.
    """

    version: Version | None = None
    commit: str = ""
    reason: str = ""
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class BumpRequest:
    """What the changes of a package request: the *bump* of the largest, or the version of a *release_as*.

    *wants_release*: whether the package needs a release. *files* are the change files that trigger it.
    """

    history: PackageHistory
    rules: BumpRules
    wants_release: bool
    bump: Bump
    reason: str
    release_as: ReleaseAs
    triggers: tuple[Change, ...] = ()
    ignored: tuple[IgnoredChange, ...] = ()
    files: tuple[FileChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The next version of one package, and why; *target* is None if it is not released.

    *label* is the bump for JSON: major, minor, patch, prerelease, none or first. *triggers* are the changes that
    trigger this release, *ignored* all others since the last; both newest first. *files* are the change files that
    trigger it. *refusal*: why it cannot be released.
    """

    bump: Bump
    label: str
    target: Version | None
    reason: str
    triggers: tuple[Change, ...] = ()
    ignored: tuple[IgnoredChange, ...] = ()
    refusal: Refusal | None = None
    files: tuple[FileChange, ...] = ()


# ---- the request of one package -------------------------------------------------------------------------------------


def request_bump(
    history: PackageHistory, rules: BumpRules, unreleased: Container[str] = frozenset(), propagation_reason: str = ""
) -> BumpRequest:
    """Return the request of one package. *propagation_reason* says why it is released without changes.

    *unreleased* is as `drop_reverted` has it.
    """
    consumed = _consumed_commits(history)
    new_changes = [change for change in history.changes if history.is_new(change)]
    new = _split_changes(new_changes, rules, unreleased, consumed)
    since_stable = new
    if len(new_changes) < len(history.changes):
        since_stable = _split_changes(history.changes, rules, unreleased, consumed)
    new_files = _bumping_files(history.files.new)
    all_files = _bumping_files(history.files.unreleased)
    # A prerelease lists the changes since the last one; a stable release also those of its prereleases.
    listed, files = (since_stable, all_files) if rules.prerelease == "none" else (new, new_files)
    release_as = _read_release_as(since_stable.triggers, consumed)
    cause = ""
    if new.triggers or new_files:
        cause = _strongest_trigger(listed.triggers or new.triggers, files, rules.types)
    cause = cause or _cause_without_changes(history, rules) or propagation_reason
    is_first = history.last is None
    if is_first:
        reason = ", ".join(filter(None, ("first release", release_as.reason)))
    elif cause:
        reason = release_as.reason or cause
    else:
        reason = _untriggered_reason(len(new_changes), rules)
    return BumpRequest(
        history=history,
        rules=rules,
        wants_release=is_first or bool(cause),
        bump=_largest_bump([*new.triggers, *since_stable.triggers], all_files, rules),
        reason=reason,
        release_as=release_as,
        triggers=listed.triggers,
        ignored=listed.ignored,
        files=files,
    )


def _read_release_as(triggers: Sequence[Change], consumed: Container[str]) -> ReleaseAs:
    """Return the newest Release-As of *triggers* that is not *consumed*."""
    for change in triggers:
        if change.release_as is None or change.sha in consumed:
            continue
        version = parse_version(change.release_as)
        return ReleaseAs(
            version=version,
            commit=change.short_sha,
            reason=f"Release-As: {version} ({change.short_sha})",
            refusal=_invalid_release_as(change) if version is None else None,
        )
    return ReleaseAs()


def _bumping_files(files: Sequence[FileChange]) -> tuple[FileChange, ...]:
    """Return those of *files* that ask for a release."""
    return tuple(file for file in files if file.bump is not Bump.NONE)


def _largest_bump(changes: Sequence[Change], files: Sequence[FileChange], rules: BumpRules) -> Bump:
    bumps = [file.bump for file in files]
    if rules.commits_count:
        bumps += [bump_of(change, rules.types) for change in changes]
    return max(bumps, default=Bump.NONE)


def _untriggered_reason(commits: int, rules: BumpRules) -> str:
    """Return why a package with this number of new *commits* is not released."""
    if not rules.commits_count:
        uncounted = {0: "", 1: "; 1 commit not counted"}
        remark = uncounted.get(commits, f"; {commits} commits not counted")
        return f"no change file for it{remark}"
    few = {0: "no commits since the last release", 1: "its only commit triggers no release"}
    return few.get(commits, f"none of its {commits} commits triggers a release")


def _consumed_commits(history: PackageHistory) -> frozenset[str]:
    """Return the shas of the changes whose Release-As a published prerelease has already followed."""
    last = history.last
    if last is None:
        return frozenset()
    older_changes = [change for change in history.changes if not history.is_new(change)]
    footers = {change.sha: change.release_as for change in older_changes if change.release_as is not None}
    consumed: set[str] = set()
    for sha, release_as in footers.items():
        version = parse_version(release_as)
        # A Release-As that is not a version did not stop that prerelease, because a later footer replaced it.
        was_followed = version is None or version <= last
        if was_followed:
            consumed.add(sha)
    return frozenset(consumed)


def _cause_without_changes(history: PackageHistory, rules: BumpRules) -> str:
    """Return why a package is released again although nothing in it is new; empty if nothing of its own asks for it."""
    declared, last = history.declared, history.last
    promotes_last = last is not None and _rank_of(last) < _KIND_RANKS[rules.prerelease]
    if promotes_last:
        return f"promotes {last}"
    if _is_set_by_hand(declared, last):
        return f"{declared} is declared"
    return "forced" if rules.force else ""


class _SplitChanges(NamedTuple):
    """The changes that trigger a release, and those that do not; both newest first."""

    triggers: tuple[Change, ...]
    ignored: tuple[IgnoredChange, ...]


def _split_changes(
    changes: Sequence[Change], rules: BumpRules, unreleased: Container[str], consumed: Container[str]
) -> _SplitChanges:
    """Split *changes* into those that trigger a release and those that do not."""
    remaining = drop_reverted(changes, unreleased=unreleased)
    reasons = {ignored.change.sha: ignored.reason for ignored in remaining.ignored}
    triggers: list[Change] = []
    for change in remaining.effective:
        reason = _ignored_reason(change, rules, consumed)
        if reason:
            reasons[change.sha] = reason
        else:
            triggers.append(change)
    ignored = [IgnoredChange(change, reasons[change.sha]) for change in changes if change.sha in reasons]
    return _SplitChanges(tuple(triggers), tuple(ignored))


def _ignored_reason(change: Change, rules: BumpRules, consumed: Container[str]) -> str:
    """Return why *change* triggers no release; empty if it triggers one."""
    if rules.commits_count and bump_of(change, rules.types):
        return ""
    if change.release_as is not None:
        is_consumed = change.sha in consumed
        return f"Release-As: {change.release_as} is already released" if is_consumed else ""
    if not rules.commits_count:
        return "commits do not count"
    if change.type:
        return f"type {change.type} triggers no release"
    return "not a conventional commit"


def _strongest_trigger(triggers: Sequence[Change], files: Sequence[FileChange], types: Mapping[str, Bump]) -> str:
    """Name the change with the largest bump and say how many others there are.

    Of equals it is the first change file, else the newest commit.
    """
    described = [(file.bump, describe_file(file)) for file in files]
    described += [(bump_of(change, types), f"{_shorten(change.title)} ({change.short_sha})") for change in triggers]
    _, description = max(described, key=lambda candidate: candidate[0])
    others = len(described) - 1
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
        refused = {name: _refused_release(decisions[name], error, releasing) for name in releasing}
        return decisions | refused
    leader = max(releasing, key=lambda name: _rank_in_group(releasing[name]))
    release = _GroupRelease(
        target=target,
        by_hand=by_hand,
        fixed=fixed,
        leader=f"{leader} ({title})",
        bump=releasing[leader].bump,
    )
    for name, request in requests.items():
        reason = release.reason_for(request)
        if reason:
            decisions[name] = _release_decision(request, target, reason)
    return decisions


@dataclass(frozen=True, slots=True)
class _GroupRelease:
    """The release of a group: its version, whether a file declares it, the package that decides it, and its bump."""

    target: Version
    by_hand: bool
    fixed: bool
    leader: str
    bump: Bump

    def reason_for(self, request: BumpRequest) -> str:
        """Return why the package of *request* is in this release; empty if it is not."""
        history = request.history
        if self.by_hand and history.declared == self.target:
            return f"{self.target} is declared"
        if request.wants_release:
            follows_leader = request.bump < self.bump
            return f"{request.reason}; same version as {self.leader}" if follows_leader else request.reason
        joins_release = self.fixed and history.last != self.target
        return f"released together with {self.leader}" if joins_release else ""


def _rank_in_group(request: BumpRequest) -> tuple[bool, Bump]:
    """Return the sort key that is highest for the package that decides the version of its group."""
    return request.release_as.version is not None, request.bump


def _no_release(request: BumpRequest) -> Decision:
    return Decision(
        bump=Bump.NONE,
        label="none",
        target=None,
        reason=request.reason,
        triggers=request.triggers,
        ignored=request.ignored,
        files=request.files,
    )


def _refused_release(decision: Decision, error: Refusal, releasing: Iterable[str]) -> Decision:
    """Return *decision* with *error* as its refusal, which names all packages that are *releasing*."""
    location = ", ".join(filter(None, (error.location, *releasing)))
    refusal = Refusal(error.code, error.message, location, error.hint)
    return replace(decision, reason=error.message, refusal=refusal)


def _release_decision(request: BumpRequest, target: Version, reason: str) -> Decision:
    bump, label = _released_bump(request.history, target)
    return Decision(
        bump=bump,
        label=label,
        target=target,
        reason=reason,
        triggers=request.triggers,
        ignored=request.ignored,
        files=request.files,
    )


def _released_bump(history: PackageHistory, target: Version) -> tuple[Bump, str]:
    """Return the bump that *target* is after the last stable release, and its label."""
    if history.last is None:
        return Bump.NONE, "first"
    bump = max(Bump.PATCH, implied_bump(target.release))
    if history.stable is not None:
        bump = bump_between(history.stable, target)
    label = "prerelease" if target.is_prerelease else bump.label
    return bump, label


def _target_version(requests: Sequence[BumpRequest], releasing: Sequence[BumpRequest]) -> tuple[Version, bool]:
    """Return the next version of *releasing*, above all releases of *requests*; and whether a file declares it.

    Raises Refusal RK-VERSION-UNKNOWN or RK-VERSION-INVALID.
    """
    _refuse_invalid_release_as(releasing)
    kind = releasing[0].rules.prerelease
    group = _group_history(requests)
    declared, last = group.declared, group.last
    requested = _latest(request.release_as.version for request in releasing)
    if last is not None and requested is None and _joins_existing_version(releasing, last, kind):
        return last, False
    base = requested
    if base is None:
        base = _first_version(declared) if last is None else _base_version(releasing, last, group.stable)
    by_hand = False
    # A later version in the files is intended: a lower release would be a step back.
    if last is not None and declared is not None and _is_set_by_hand(declared, base):
        requested = None
        base = declared
        by_hand = True
    target = base
    if not _is_final(base, kind, requested, last):
        existing = [*group.tagged, *filter(None, (last,))]
        target = next_prerelease(base, kind, existing)
    _refuse_unusable_target(releasing, target, last)
    is_computed = requested is None and not by_hand
    if is_computed:
        target = _skip_consumed(target, releasing)
    return target, by_hand


def _group_history(requests: Sequence[BumpRequest]) -> PackageHistory:
    """Return the releases of all packages of a group as one history."""
    histories = [request.history for request in requests]
    tagged = chain.from_iterable(history.tagged for history in histories)
    return PackageHistory(
        declared=_latest(history.declared for history in histories),
        last=_latest(history.last for history in histories),
        stable=_latest(history.stable for history in histories),
        tagged=tuple(tagged),
    )


def _first_version(declared: Version | None) -> Version:
    """Return the version of a first release, which the files declare."""
    if declared is None:
        raise Refusal(ErrorCode.VERSION_UNKNOWN, "the version is dynamic, and there is no tag")
    return declared


def _refuse_invalid_release_as(releasing: Sequence[BumpRequest]) -> None:
    for request in releasing:
        if request.release_as.refusal:
            raise request.release_as.refusal


def _refuse_unusable_target(releasing: Sequence[BumpRequest], target: Version, last: Version | None) -> None:
    """Refuse a version that no index accepts, or that is not above the *last* one."""
    if target.local:
        raise _local_version_refusal(releasing, target)
    if last is not None and target <= last:
        raise _step_back_refusal(releasing, last, target)


def _latest(versions: Iterable[Version | None]) -> Version | None:
    """Return the latest of *versions*, None if there is none."""
    return max(filter(None, versions), default=None)


def _is_final(base: Version, kind: str, requested: Version | None, last: Version | None) -> bool:
    """Return whether *base* is released as it is, without the number of a prerelease of *kind*."""
    if kind == "none":
        return True
    if requested is not None:
        has_suffix = requested.public != requested.base_version
        if has_suffix:
            return True
    # A first release can declare the prerelease that it is.
    return last is None and _prerelease_kind(base) == kind


def _skip_consumed(target: Version, releasing: Sequence[BumpRequest]) -> Version:
    """Return the first version from *target* on that none of *releasing* has consumed."""
    while any(target in request.history.consumed for request in releasing):
        target = next_version_after(target)
    return target


def _base_version(releasing: Sequence[BumpRequest], last: Version, stable: Version | None) -> Version:
    """Return the stable version that the changes lead to, from the last *stable* one."""
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
    if _prerelease_kind(last) != prerelease:
        return False
    histories = [request.history for request in releasing]
    return all(history.last is None and history.declared == last for history in histories)


def _local_version_refusal(releasing: Sequence[BumpRequest], target: Version) -> Refusal:
    footers = [request.release_as for request in releasing]
    commits = [f"commit {footer.commit}" for footer in footers if footer.version == target]
    message = f"{target} is a local version (PEP 440), which no index accepts"
    return Refusal(ErrorCode.VERSION_INVALID, message, ", ".join(commits))


def _step_back_refusal(releasing: Sequence[BumpRequest], last: Version, target: Version) -> Refusal:
    for request in releasing:
        footer = request.release_as
        if footer.version is not None:
            message = f"Release-As: {footer.version} is not above the current version, {last}"
            hint = f"Commit with a `Release-As:` footer that names a version above {last}; the newest one wins."
            return Refusal(ErrorCode.VERSION_INVALID, message, f"commit {footer.commit}", hint)
    message = f"{last} is already released, and {target} would be a step back"
    kind = _prerelease_kind(last)
    hint = f"The order is dev, a, b, rc. Make another {kind}, a later kind, or a stable release."
    return Refusal(ErrorCode.VERSION_INVALID, message, hint=hint)


# ---- prereleases ----------------------------------------------------------------------------------------------------

_KIND_RANKS = {"dev": 0, "a": 1, "b": 2, "rc": 3, "none": 4}


def next_prerelease(base: Version, kind: str, existing: Iterable[Version]) -> Version:
    """Return the next prerelease (PEP 440) of *base*; its number follows those in *existing*, and starts at 1."""
    stem = make_version(base.epoch, base.release)
    number = 0
    for version in existing:
        is_same_kind = _prerelease_kind(version) == kind
        if is_same_kind and make_version(version.epoch, version.release) == stem:
            number = max(number, _prerelease_number(version))
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


def _is_set_by_hand(declared: Version | None, last: Version | None) -> bool:
    """Return whether the files declare a later version; a prerelease or local version there is only a marker."""
    if declared is None or last is None:
        return False
    is_marker = declared.is_prerelease or declared.local is not None
    return declared > last and not is_marker


# ---- parts ----------------------------------------------------------------------------------------------------------


def _invalid_release_as(change: Change) -> Refusal:
    message = f"Release-As: {change.release_as!r} is not a PEP 440 version"
    hint = "Commit with a `Release-As:` footer that names one, such as 1.2.3 or 1.2.3rc1; the newest one wins."
    return Refusal(ErrorCode.VERSION_INVALID, message, f"commit {change.short_sha}", hint)


def describe_file(file: FileChange) -> str:
    """Return the path of a change file and the first line of its text, for display."""
    title = _shorten(file.title)
    return f"{file.path}: {title}" if title else file.path


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
