"""Decide which version comes next, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from releasekit.core.config.bump_rules import Bump, BumpRules
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.pending_changes import PendingChanges
from releasekit.core.history.reverts import IgnoredChange, drop_reverted
from releasekit.core.version_numbers import (
    bump_between,
    implied_bump,
    next_version,
    next_version_after,
    parse_version,
)
from releasekit.core.versioning.prereleases import final_of, is_later_kind, kind_of, next_prerelease
from releasekit.core.versioning.version_requests import VersionRequest

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from packaging.version import Version

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
    *proposed* is the version that a release commit since then has written into the files. *documents* are the shas of
    the changes that touch only documentation. *requested* is what the maintainer requests.
    """

    declared: Version | None
    last: Version | None = None
    stable: Version | None = None
    changes: Sequence[Change] = ()
    since_last: Container[str] | None = None
    tagged: Iterable[Version] = ()
    consumed: Container[Version] = ()
    files: PendingChanges = PendingChanges()  # noqa: RUF009  a frozen value
    proposed: Version | None = None
    documents: Container[str] = ()
    requested: VersionRequest = VersionRequest()  # noqa: RUF009  a frozen value

    @property
    def written(self) -> Version | None:
        """The version in the files, if they have a later one than the last release; None if it is only a marker.

        A development release or a local version there is a marker, and so is a version that is published already.
        """
        if self.declared is None or self.last is None or self.declared in self.consumed:
            return None
        is_marker = self.declared.is_devrelease or self.declared.local is not None
        return self.declared if self.declared > self.last and not is_marker else None

    def is_new(self, change: Change) -> bool:
        """Return whether *change*, one of the changes, came after the last release."""
        return self.since_last is None or change.sha in self.since_last


@dataclass(frozen=True, slots=True)
class ReleaseAs:
    """The Release-As footer that decides the version of a package: its *version*, its *commit*, the *reason* it gives.

    *is_new*: whether the commit is newer than the last release. *refusal*: why its value is not a version. All are
    empty if there is no such footer.
    """

    version: Version | None = None
    commit: str = ""
    reason: str = ""
    is_new: bool = False
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class BumpRequest:
    """What a package requests: the *bump* of its largest change, or the version of a *release_as*.

    If the maintainer requests another bump, *bump* is that one; *changes_bump* is always the one of the changes.
    *wants_release*: whether the package needs a release. *files* are the change files that trigger it.
    """

    history: PackageHistory
    rules: BumpRules
    wants_release: bool
    bump: Bump
    changes_bump: Bump
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
    trigger it. *refusal*: why it cannot be released. *changes_target* is the version that the changes lead to, if
    *target* was decided by hand and is lower.
    """

    bump: Bump
    label: str
    target: Version | None
    reason: str
    triggers: tuple[Change, ...] = ()
    ignored: tuple[IgnoredChange, ...] = ()
    refusal: Refusal | None = None
    files: tuple[FileChange, ...] = ()
    changes_target: Version | None = None


# ---- the request of one package -------------------------------------------------------------------------------------


def request_bump(
    history: PackageHistory, rules: BumpRules, unreleased: Container[str] = frozenset(), propagation_reason: str = ""
) -> BumpRequest:
    """Return the request of one package. *propagation_reason* says why it is released without changes.

    *rules* have the kind of its next release, see `with_release_kind`; *unreleased* is as `drop_reverted` has it.
    """
    consumed = _consumed_commits(history)
    new_changes = [change for change in history.changes if history.is_new(change)]
    new = _split_changes(new_changes, history, rules, unreleased)
    since_stable = new
    if len(new_changes) < len(history.changes):
        since_stable = _split_changes(history.changes, history, rules, unreleased)
    new_files = _bumping_files(history.files.new)
    all_files = _bumping_files(history.files.unreleased)
    requested = history.requested
    release_as = ReleaseAs()
    if not requested.decides_version:
        release_as = _read_release_as(since_stable.triggers, consumed, history)
    # A prerelease lists the changes since the last one; a stable release also those of its prereleases.
    is_stable = rules.prerelease == "none" or (rules.stays and _is_final_footer(release_as))
    listed, files = (since_stable, all_files) if is_stable else (new, new_files)
    cause = requested.reason
    if not cause and (new.triggers or new_files):
        cause = _strongest_trigger(listed.triggers or new.triggers, files, rules.types)
    cause = cause or _cause_without_changes(history, rules) or propagation_reason
    is_first = history.last is None
    if is_first:
        reason = ", ".join(filter(None, ("first release", requested.reason or release_as.reason)))
    elif cause:
        reason = release_as.reason or cause
    else:
        reason = _untriggered_reason(len(new_changes), rules)
    changes_bump = _largest_bump([*new.triggers, *since_stable.triggers], all_files, rules)
    return BumpRequest(
        history=history,
        rules=rules,
        wants_release=not requested.is_held_back and (is_first or bool(cause)),
        bump=changes_bump if requested.bump is None else requested.bump,
        changes_bump=changes_bump,
        reason=requested.reason if requested.is_held_back else reason,
        release_as=release_as,
        triggers=listed.triggers,
        ignored=listed.ignored,
        files=files,
    )


def with_release_kind(members: Mapping[str, tuple[PackageHistory, BumpRules]], title: str = "") -> dict[str, BumpRules]:
    """Return the rules of each of *members*, packages that share a version, with the one kind of their next release.

    A request decides the kind, then the settings. If these say "stay", it is the kind of the version in the files if
    that is later than the last release, else the kind of the last release. A prerelease in the files is never changed
    by settings. *title* names the group in messages. Raises Refusal RK-CONFIG-INVALID-VALUE for several kinds.
    """
    histories = [history for history, _ in members.values()]
    requested = _requested_kinds(histories)
    settings = {name: rules.prerelease for name, (_, rules) in members.items() if rules.prerelease != "stay"}
    kinds = requested or frozenset(settings.values())
    if len(kinds) > 1:
        raise _several_kinds_refusal(settings, title)
    group = _group_history(histories)
    is_written_prerelease = group.written is not None and group.written.is_prerelease
    stays = kinds <= {"stay"} or (is_written_prerelease and not requested)
    origin = group.written or group.last
    kind = "none" if origin is None else kind_of(origin)
    if not stays:
        (kind,) = kinds
    return {name: replace(rules, prerelease=kind, stays=stays) for name, (_, rules) in members.items()}


def _requested_kinds(histories: Sequence[PackageHistory]) -> frozenset[str]:
    """Return the kinds that the maintainer requests; an exact version is more precise than other requests."""
    requests = [history.requested for history in histories if history.requested.kind]
    exact = [request for request in requests if request.version is not None]
    kinds = frozenset(request.kind for request in exact or requests)
    promoted = frozenset(request.kind for request in requests if request.promote)
    return promoted or kinds


def _several_kinds_refusal(kinds: Mapping[str, str], title: str) -> Refusal:
    """Return the refusal of packages that share a version, but not the kind of prerelease; *kinds* are by package."""
    descriptions = [f'{name} has "{kind}"' for name, kind in sorted(kinds.items())]
    message = f"packages with one version need one kind of prerelease: {', '.join(descriptions)}"
    hint = "Set `prerelease` once, in the group, or give these packages the same value."
    return Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, title, hint)


def _is_final_footer(release_as: ReleaseAs) -> bool:
    """Return whether a new Release-As names a stable version: this promotes a package that stays in prereleases."""
    version = release_as.version
    return version is not None and release_as.is_new and not version.is_prerelease


def _read_release_as(triggers: Sequence[Change], consumed: Container[str], history: PackageHistory) -> ReleaseAs:
    """Return the newest Release-As of *triggers* that is not *consumed*."""
    for change in triggers:
        if change.release_as is None or change.sha in consumed:
            continue
        version = parse_version(change.release_as)
        return ReleaseAs(
            version=version,
            commit=change.short_sha,
            reason=f"Release-As: {version} ({change.short_sha})",
            is_new=history.is_new(change),
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
    last = history.last
    promotes_last = last is not None and is_later_kind(rules.prerelease, last)
    if promotes_last and history.requested.is_promotion:
        return f"promotes {last}"
    if history.written is not None:
        return f"{history.written} is declared"
    return "forced" if rules.force else ""


class _SplitChanges(NamedTuple):
    """The changes that trigger a release, and those that do not; both newest first."""

    triggers: tuple[Change, ...]
    ignored: tuple[IgnoredChange, ...]


def _split_changes(
    changes: Sequence[Change], history: PackageHistory, rules: BumpRules, unreleased: Container[str]
) -> _SplitChanges:
    """Split *changes*, some of those in *history*, into those that trigger a release and those that do not."""
    consumed = _consumed_commits(history)
    remaining = drop_reverted(changes, unreleased=unreleased)
    reasons = {ignored.change.sha: ignored.reason for ignored in remaining.ignored}
    triggers: list[Change] = []
    for change in remaining.effective:
        reason = _ignored_reason(change, rules, consumed)
        if not reason and _is_only_documentation(change, history):
            reason = "only documentation, without a type"
        if reason:
            reasons[change.sha] = reason
        else:
            triggers.append(change)
    ignored = [IgnoredChange(change, reasons[change.sha]) for change in changes if change.sha in reasons]
    return _SplitChanges(tuple(triggers), tuple(ignored))


def _is_only_documentation(change: Change, history: PackageHistory) -> bool:
    """Return whether *change* has no type, says nothing else that counts, and touches only documentation."""
    has_meaning = change.type or change.breaking or change.is_revert or change.release_as is not None
    return not has_meaning and change.sha in history.documents


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
        target = _target_version(list(requests.values()), list(releasing.values()), title)
    except Refusal as error:
        refused = {name: _refused_release(decisions[name], error, releasing) for name in releasing}
        return decisions | refused
    leader = max(releasing, key=lambda name: _rank_in_group(releasing[name]))
    release = _GroupRelease(
        target=target,
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
    """The release of a group: its version, the package that decides it, and its bump."""

    target: Version
    fixed: bool
    leader: str
    bump: Bump

    def reason_for(self, request: BumpRequest) -> str:
        """Return why the package of *request* is in this release; empty if it is not."""
        history = request.history
        if history.requested.is_held_back:
            return ""
        is_written = history.written == self.target and history.proposed != self.target
        is_decided_elsewhere = history.requested.decides_version or request.release_as.version == self.target
        if is_written and not is_decided_elsewhere:
            return f"{self.target} is declared"
        if request.wants_release:
            follows_leader = request.bump < self.bump
            return f"{request.reason}; same version as {self.leader}" if follows_leader else request.reason
        joins_release = self.fixed and history.last != self.target
        return f"released together with {self.leader}" if joins_release else ""


def _rank_in_group(request: BumpRequest) -> tuple[bool, bool, Bump]:
    """Return the sort key that is highest for the package that decides the version of its group."""
    has_exact_version = request.history.requested.version is not None
    return has_exact_version, request.release_as.version is not None, request.bump


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
        changes_target=_uncovered_version(request, target),
    )


def _uncovered_version(request: BumpRequest, target: Version) -> Version | None:
    """Return the version that the changes lead to, if *target* was decided by hand and covers less; else None."""
    history = request.history
    is_by_hand = history.written == target or history.requested.decides_version
    if history.stable is None or not is_by_hand:
        return None
    version = next_version(history.stable, request.changes_bump, major_on_zero=request.rules.major_on_zero)
    is_above = version is not None and version > final_of(target)
    return version if is_above else None


def _released_bump(history: PackageHistory, target: Version) -> tuple[Bump, str]:
    """Return the bump that *target* is after the last stable release, and its label."""
    if history.last is None:
        return Bump.NONE, "first"
    bump = max(Bump.PATCH, implied_bump(target.release))
    if history.stable is not None:
        bump = bump_between(history.stable, target)
    label = "prerelease" if target.is_prerelease else bump.label
    return bump, label


def _target_version(requests: Sequence[BumpRequest], releasing: Sequence[BumpRequest], title: str) -> Version:
    """Return the next version of *releasing*, above all releases of *requests*. *title* names their group.

    Raises Refusal RK-VERSION-UNKNOWN, RK-VERSION-INVALID, or RK-USAGE for two versions that the maintainer requests.
    """
    group = _group_history([request.history for request in requests])
    exact = _exact_version(releasing, title)
    if exact is not None:
        _refuse_low_request(releasing, group, exact)
        return exact
    _refuse_invalid_release_as(releasing)
    kind = releasing[0].rules.prerelease
    last, written = group.last, group.written
    footer = _latest(request.release_as.version for request in releasing)
    if last is not None and footer is None and _joins_existing_version(releasing, last, kind):
        return last
    target = _changes_target(releasing, group, footer)
    is_bump_requested = any(request.history.requested.bump for request in releasing)
    if is_bump_requested:
        _refuse_low_request(releasing, group, target)
    elif written is not None:
        written_target = _written_target(written, releasing, group)
        is_footer_later = footer is not None and footer > written
        # A release commit has written what the changes asked for then, and later changes can ask for more.
        is_minimum = group.proposed == written or is_footer_later
        target = max(target, written_target) if is_minimum else written_target
    _refuse_unusable_target(releasing, target, last)
    is_computed = footer is None and target != written
    return _skip_consumed(target, releasing) if is_computed else target


def _exact_version(releasing: Sequence[BumpRequest], title: str) -> Version | None:
    """Return the version that the maintainer requests; None if there is none."""
    versions = {request.history.requested.version for request in releasing} - {None}
    if len(versions) > 1:
        flags = " and ".join(sorted(f"--set-version {version}" for version in versions))
        message = f"packages with one version cannot have two ({title}): {flags}"
        raise Refusal(ErrorCode.USAGE, message, hint="Give all packages of the group the same version.")
    return next(iter(versions), None)


def _changes_target(releasing: Sequence[BumpRequest], group: PackageHistory, footer: Version | None) -> Version:
    """Return the version that the changes lead to, or the Release-As *footer*; without releases, the declared one."""
    rules, last = releasing[0].rules, group.last
    base = footer
    if base is None:
        base = _first_version(group.declared) if last is None else _base_version(releasing, last, group.stable)
    if _is_final(base, releasing, footer, last):
        return base
    return next_prerelease(base, rules.prerelease, group.tagged, _first_number(releasing))


def _written_target(written: Version, releasing: Sequence[BumpRequest], group: PackageHistory) -> Version:
    """Return the version that *written*, the one in the files, leads to: itself, or the kind that is requested."""
    kind = releasing[0].rules.prerelease
    if kind == "none":
        return final_of(written) if written.is_prerelease else written
    if kind_of(written) == kind:
        return written
    target = next_prerelease(written, kind, group.tagged, _first_number(releasing))
    if written.is_prerelease and target < written:
        message = f"{written} is declared, and {target} would be a step back"
        hint = "The order is dev, a, b, rc. Make a later kind, or change the version in the file."
        raise Refusal(ErrorCode.VERSION_INVALID, message, hint=hint)
    return target


def _first_number(releasing: Sequence[BumpRequest]) -> int:
    return max(request.rules.first_number for request in releasing)


def _refuse_low_request(releasing: Sequence[BumpRequest], group: PackageHistory, target: Version) -> None:
    """Refuse the version *target*, which the maintainer requests, if it is below the last release or the files."""
    option = next(filter(None, (request.history.requested.reason for request in releasing)), "")
    last, declared = group.last, group.written
    problem = ""
    if last is None:
        declared = group.declared
    if target.local:
        problem = "a local version (PEP 440), which no index accepts"
    elif last is not None and target <= last:
        problem = f"not above the last release, {last}"
    elif declared is not None and final_of(target) < final_of(declared):
        problem = f"below the version in the files, {declared}"
    if problem:
        leads_to = "" if option.endswith(f" {target}") else f" leads to {target}, which"
        message = f"{option}{leads_to} is {problem}"
        hint = "Request a higher version, or change the version in pyproject.toml first."
        raise Refusal(ErrorCode.VERSION_INVALID, message, hint=hint)


def _group_history(histories: Sequence[PackageHistory]) -> PackageHistory:
    """Return the releases of all packages of a group as one history."""
    last = _latest(history.last for history in histories)
    tagged = chain.from_iterable(history.tagged for history in histories)
    first = _latest(history.declared for history in histories if history.last is None)
    written = _latest(history.written for history in histories)
    return PackageHistory(
        declared=_latest((first, written)),
        last=last,
        stable=_latest(history.stable for history in histories),
        tagged=(*tagged, *filter(None, (last,))),
        proposed=_latest(history.proposed for history in histories),
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


def _is_final(base: Version, releasing: Sequence[BumpRequest], footer: Version | None, last: Version | None) -> bool:
    """Return whether *base* is released as it is, without the number of a prerelease."""
    rules = releasing[0].rules
    if rules.prerelease == "none":
        return True
    if footer is not None:
        has_suffix = footer.public != footer.base_version
        promotes = rules.stays and any(_is_final_footer(request.release_as) for request in releasing)
        return has_suffix or promotes
    # A first release can declare the prerelease that it is.
    return last is None and kind_of(base) == rules.prerelease


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
        final = final_of(last)
        versions.append(final if final > last else next_version(last, Bump.PATCH))
    if stable is not None:
        for request in releasing:
            bump = max(Bump.PATCH, request.bump)
            # Who requests a major bump means it, also on 0.x.
            major_on_zero = request.rules.major_on_zero or request.history.requested.bump is Bump.MAJOR
            versions.append(next_version(stable, bump, major_on_zero=major_on_zero))
    return max(filter(None, versions))


def _joins_existing_version(releasing: Sequence[BumpRequest], last: Version, prerelease: str) -> bool:
    """Return whether all of *releasing* are new packages that declare the *last* version of the others."""
    if kind_of(last) != prerelease:
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
    kind = kind_of(last)
    hint = f"The order is dev, a, b, rc. Make another {kind}, a later kind, or a stable release."
    return Refusal(ErrorCode.VERSION_INVALID, message, hint=hint)


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
    Any other revert is a patch, unless *types* or its own title triggers more. A fixup is at most a patch. *types*
    has the bump of a commit without a type under "".
    """
    if change.breaking:
        return Bump.MAJOR
    bump = types.get(change.type, Bump.NONE)
    if change.fixup and not change.type:
        return Bump.NONE
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
    return f"{change.type or 'a commit without a type'} is {bump}"
