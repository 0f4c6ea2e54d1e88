"""Decide which version comes next, and why."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import chain, filterfalse
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from releasekit.core.config.bump_rules import Bump, BumpRules
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.pending_changes import PendingChanges
from releasekit.core.history.reverts import IgnoredChange, split_by_reason, with_revert_reasons
from releasekit.core.picking import map_values
from releasekit.core.text import join_texts
from releasekit.core.version_numbers import (
    bump_between,
    implied_bump,
    next_version,
    next_version_after,
    parse_version,
)
from releasekit.core.versioning.prereleases import (
    final_of,
    is_later_kind,
    kind_of,
    next_prerelease,
    without_development,
)
from releasekit.core.versioning.schemes import next_by_scheme
from releasekit.core.versioning.version_requests import VersionRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

    from packaging.version import Version

    from releasekit.core.history.change_files import FileChange
    from releasekit.core.history.commits import Change

T = TypeVar("T")

_TITLE_WIDTH = 72


@dataclass(frozen=True, slots=True)
class PackageHistory:
    """The releases of a package, and its changes since then.

    *last* is its latest release, which may be a prerelease, *stable* its latest stable release; None if there is none.
    *declared* is the version in its files. *changes* are those since *stable*, newest first; *since_last* are the shas
    of those since *last*, None for all of them. *tagged* are all versions that have a tag, on any commit. *consumed*
    are those that the index has and no tag names; they cannot be released again. *files* are its change files.
    *proposed* is the version that a release commit since then has written into the files. *documents* are the shas of
    the changes that touch only documentation. *requested* is what the maintainer requests. *api_break* describes the
    changes of the API because of which a release is a breaking one; empty if there are none.
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
    api_break: str = ""

    @property
    def written(self) -> Version | None:
        """The version in the files, if they have a later one than the last release; None if it is only a marker.

        A development release (see `announced`) or a local version there is a marker, and so is a published version.
        """
        declared, last = self.declared, self.last
        if declared is None or last is None or declared <= last:
            return None
        is_published = declared in self.consumed
        is_marker = is_published or declared.is_devrelease or declared.local is not None
        return None if is_marker else declared

    @property
    def announced(self) -> Version | None:
        """The stable version that a development version in the files leads to; None if that is not above the last one.

        It triggers no release. The next release has at least this version.
        """
        declared, last = self.declared, self.last
        if declared is None or last is None or not declared.is_devrelease or declared <= last:
            return None
        return final_of(declared)

    def reaches(self, version: Version) -> bool:
        """Return whether the last release has *version*, or a later one."""
        return self.last is not None and version <= self.last

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

    @property
    def promotes(self) -> bool:
        """Whether it is new and names a stable version: this promotes a package that stays in prereleases."""
        version = self.version
        return version is not None and self.is_new and not version.is_prerelease


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

    @property
    def is_stable(self) -> bool:
        """Whether it leads to a stable release."""
        return _makes_stable_release(self.rules, self.release_as)


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
    history: PackageHistory,
    rules: BumpRules,
    unreleased: Container[str] = frozenset(),
    propagation_reason: str = "",
) -> BumpRequest:
    """Return the request of one package. *propagation_reason* says why it is released without changes.

    *rules* have the kind of its next release, see `with_release_kind`; *unreleased* is as `drop_reverted` has it.
    """
    requested = history.requested
    splitter = _ChangeSplitter(history, rules, unreleased)
    new, since_stable = splitter.split()
    release_as = ReleaseAs()
    if not requested.decides_version:
        release_as = splitter.read_release_as(since_stable.triggers)
    # A prerelease lists the changes since the last one; a stable release also those of its prereleases.
    listed = since_stable if _makes_stable_release(rules, release_as) else new
    trigger = ""
    if new.triggers or new.files:
        trigger = _strongest_trigger(listed.triggers or new.triggers, listed.files, rules.types)
    causes = (requested.reason, trigger, _cause_without_changes(history, rules), propagation_reason)
    cause = next(filter(None, causes), "")
    decided_by = requested.reason or release_as.reason
    is_first = history.last is None
    has_reason = is_first or bool(cause)
    if is_first and not requested.is_held_back:
        reason = join_texts(", ", "first release", decided_by)
    elif cause:
        reason = decided_by or cause
    else:
        reason = _untriggered_reason(new.commit_count, rules)
    changes_bump = _largest_bump([*new.triggers, *since_stable.triggers], since_stable.files, rules)
    if cause and history.api_break and changes_bump < Bump.MAJOR:
        changes_bump = Bump.MAJOR
        reason = decided_by or f"{cause}; {history.api_break}"
    return BumpRequest(
        history=history,
        rules=rules,
        wants_release=has_reason and not requested.is_held_back,
        bump=changes_bump if requested.bump is None else requested.bump,
        changes_bump=changes_bump,
        reason=reason,
        release_as=release_as,
        triggers=listed.triggers,
        ignored=listed.ignored,
        files=listed.files,
    )


def with_release_kind(
    members: Mapping[str, tuple[PackageHistory, BumpRules]], title: str = ""
) -> dict[str, BumpRules]:
    """Return the rules of each of *members*, packages that share a version, with the one kind of their next release.

    A request decides the kind, then the settings. If these say "stay", it is the kind of the version in the files if
    that is later than the last release, else the kind of the last release. A prerelease in the files is never changed
    by settings. *title* names the group in messages. Raises Refusal RK-CONFIG-INVALID-VALUE for several kinds.
    """
    histories = [history for history, _ in members.values()]
    requested = _requested_kinds(histories)
    settings = {
        name: rules.prerelease for name, (_, rules) in members.items() if rules.prerelease != "stay"
    }
    kinds = requested or frozenset(settings.values())
    if len(kinds) > 1:
        raise _several_kinds_refusal(settings, title)
    group = _group_history(histories)
    current_kind = _kind_or_none(group.written or group.last)
    is_prerelease_written = _kind_or_none(group.written) != "none"
    stays = kinds <= {"stay"} or (is_prerelease_written and not requested)
    kind = current_kind if stays else next(iter(kinds))
    return {
        name: replace(rules, prerelease=kind, stays=stays) for name, (_, rules) in members.items()
    }


def _kind_or_none(version: Version | None) -> str:
    """Return the kind of prerelease that *version* is, "none" without a version."""
    return "none" if version is None else kind_of(version)


def _requested_kinds(histories: Sequence[PackageHistory]) -> frozenset[str]:
    """Return the kinds that the maintainer requests: a promotion comes first, then an exact version."""
    by_rank: defaultdict[int, set[str]] = defaultdict(set)
    for history in histories:
        request = history.requested
        by_rank[request.kind_rank].add(request.kind)
    highest = max(by_rank, default=0)
    return frozenset(by_rank[highest] - {""})


def _several_kinds_refusal(kinds: Mapping[str, str], title: str) -> Refusal:
    """Return the refusal of packages that share a version, but not the kind of prerelease; *kinds* are by package."""
    descriptions = ", ".join(f'{name} has "{kind}"' for name, kind in sorted(kinds.items()))
    return Refusal(
        code=ErrorCode.CONFIG_INVALID_VALUE,
        message=f"packages with one version need one kind of prerelease: {descriptions}",
        location=title,
        hint="Set `prerelease` once, in the group, or give these packages the same value.",
    )


def _makes_stable_release(rules: BumpRules, release_as: ReleaseAs) -> bool:
    """Return whether the next release is a stable one, by the *rules* or because a footer promotes the package."""
    is_promoted = rules.stays and release_as.promotes
    return is_promoted or rules.prerelease == "none"


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


def _cause_without_changes(history: PackageHistory, rules: BumpRules) -> str:
    """Return why a package is released again although nothing in it is new; empty if nothing of its own asks for it."""
    last, written = history.last, history.written
    promotes_last = last is not None and is_later_kind(rules.prerelease, last)
    if promotes_last and history.requested.is_promotion:
        return f"promotes {last}"
    if written is not None:
        return f"{written} is declared"
    if rules.force:
        return "forced"
    return ""


class _SplitChanges(NamedTuple):
    """The changes that trigger a release, and those that do not; *files* are the change files that trigger one.

    All are in the order of the history, newest first.
    """

    triggers: tuple[Change, ...]
    ignored: tuple[IgnoredChange, ...]
    files: tuple[FileChange, ...]

    @property
    def commit_count(self) -> int:
        """The number of all changes, without the files."""
        return len(self.triggers) + len(self.ignored)


class _ChangeSplitter:
    """Splits the changes of a package into those that trigger a release and those that do not."""

    def __init__(
        self, history: PackageHistory, rules: BumpRules, unreleased: Container[str]
    ) -> None:
        self._history = history
        self._rules = rules
        self._unreleased = unreleased
        self._consumed = _consumed_commits(history)

    def split(self) -> tuple[_SplitChanges, _SplitChanges]:
        """Return the changes since the last release, and those since the last stable one."""
        history = self._history
        new_files = _bumping_files(history.files.new)
        all_files = _bumping_files(history.files.unreleased)
        new_changes = [change for change in history.changes if history.is_new(change)]
        new = self._split(new_changes, new_files)
        if len(new_changes) == len(history.changes):
            return new, new._replace(files=all_files)
        return new, self._split(history.changes, all_files)

    def read_release_as(self, triggers: Sequence[Change]) -> ReleaseAs:
        """Return the newest Release-As of *triggers* that no published prerelease has followed."""
        for change in triggers:
            if change.release_as is None or change.sha in self._consumed:
                continue
            version = parse_version(change.release_as)
            return ReleaseAs(
                version=version,
                commit=change.short_sha,
                reason=f"Release-As: {version} ({change.short_sha})",
                is_new=self._history.is_new(change),
                refusal=_invalid_release_as(change) if version is None else None,
            )
        return ReleaseAs()

    def _split(self, changes: Sequence[Change], files: tuple[FileChange, ...]) -> _SplitChanges:
        with_reasons = (
            (change, revert_reason or self._ignored_reason(change))
            for change, revert_reason in with_revert_reasons(changes, self._unreleased)
        )
        split = split_by_reason(with_reasons)
        return _SplitChanges(split.effective, split.ignored, files)

    def _ignored_reason(self, change: Change) -> str:
        """Return why *change* triggers no release; empty if it triggers one."""
        commits_count = self._rules.commits_count
        if commits_count and bump_of(change, self._rules.types):
            is_documentation = self._is_only_documentation(change)
            return "only documentation, without a type" if is_documentation else ""
        if change.sha in self._consumed:
            return f"Release-As: {change.release_as} is already released"
        if change.release_as is not None:
            return ""
        if not commits_count:
            return "commits do not count"
        if change.type:
            return f"type {change.type} triggers no release"
        return "not a conventional commit"

    def _is_only_documentation(self, change: Change) -> bool:
        """Return whether *change* has no type, says nothing else that counts, and touches only documentation."""
        if change.sha not in self._history.documents:
            return False
        has_meaning = (
            change.type or change.breaking or change.is_revert or change.release_as is not None
        )
        return not has_meaning


def _consumed_commits(history: PackageHistory) -> frozenset[str]:
    """Return the shas of the changes whose Release-As a published prerelease has already followed."""
    older_changes = filterfalse(history.is_new, history.changes)
    footers = {
        change.sha: change.release_as for change in older_changes if change.release_as is not None
    }
    return frozenset(sha for sha, text in footers.items() if _was_followed(text, history))


def _was_followed(release_as: str, history: PackageHistory) -> bool:
    """Return whether a release of *history* has the version of a Release-As, or one that replaced it."""
    version = parse_version(release_as)
    # A Release-As that is not a version did not stop that prerelease, because a later footer replaced it.
    return version is None or history.reaches(version)


def _strongest_trigger(
    triggers: Sequence[Change], files: Sequence[FileChange], types: Mapping[str, Bump]
) -> str:
    """Name the change with the largest bump and say how many others there are.

    Of equals it is the first change file, else the newest commit.
    """
    described = [(file.bump, describe_file(file)) for file in files]
    described += [
        (bump_of(change, types), f"{_shorten(change.title)} ({change.short_sha})")
        for change in triggers
    ]
    _, description = max(described, key=lambda candidate: candidate[0])
    others = len(described) - 1
    if not others:
        return description
    return f"{description}, +{others} more"


# ---- one version for a group ----------------------------------------------------------------------------------------


def decide_versions(
    requests: Mapping[str, BumpRequest], *, fixed: bool = False, title: str = ""
) -> dict[str, Decision]:
    """Decide one version for those of *requests* that want a release; *fixed*: for all of them if one wants it.

    *title* names their group in the reasons.
    """
    releasing = {name: request for name, request in requests.items() if request.wants_release}
    decisions = map_values(_no_release, requests)
    if not releasing:
        return decisions
    released = requests if fixed else releasing
    try:
        target = _TargetVersion(
            list(requests.values()),
            list(releasing.values()),
            title,
            consumed=[request.history.consumed for request in released.values()],
        ).decide()
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
        if request.history.requested.is_held_back:
            return ""
        if self._is_declared_by(request):
            return f"{self.target} is declared"
        if request.wants_release:
            remark = f"; same version as {self.leader}" if request.bump < self.bump else ""
            if self._is_announced_by(request):
                remark += f"; {request.history.declared} is declared"
            return f"{request.reason}{remark}"
        if self.fixed and request.history.last != self.target:
            return f"released together with {self.leader}"
        return ""

    def _is_announced_by(self, request: BumpRequest) -> bool:
        """Return whether the files announce the version, and the changes alone lead to an earlier one."""
        history, rules = request.history, request.rules
        is_by_hand = history.requested.decides_version or request.release_as.version == self.target
        if is_by_hand or history.stable is None or history.announced != final_of(self.target):
            return False
        version = next_by_scheme(
            history.stable, request.bump, rules, major_on_zero=rules.major_on_zero
        )
        return version != history.announced

    def _is_declared_by(self, request: BumpRequest) -> bool:
        """Return whether a person has written the version into the files, and nothing else asks for it."""
        history = request.history
        if history.requested.decides_version:
            return False
        other_sources = (history.proposed, request.release_as.version)
        return history.written == self.target and self.target not in other_sources


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
    location = join_texts(", ", error.location, *releasing)
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
    rules = request.rules
    version = next_by_scheme(
        history.stable, request.changes_bump, rules, major_on_zero=rules.major_on_zero
    )
    if version is None or version <= final_of(target):
        return None
    return version


def _released_bump(history: PackageHistory, target: Version) -> tuple[Bump, str]:
    """Return the bump that *target* is after the last stable release, and its label."""
    if history.last is None:
        return Bump.NONE, "first"
    bump = max(Bump.PATCH, implied_bump(target.release))
    if history.stable is not None:
        bump = bump_between(history.stable, target)
    label = "prerelease" if target.is_prerelease else bump.label
    return bump, label


class _TargetVersion:
    """Decides the next version of the packages *releasing*, which share one.

    It is above all releases of *requests*, the packages of their group. *title* names the group. *consumed* has the
    versions that each package with this version cannot have.
    """

    def __init__(
        self,
        requests: Sequence[BumpRequest],
        releasing: Sequence[BumpRequest],
        title: str,
        *,
        consumed: Sequence[Container[Version]],
    ) -> None:
        self._releasing = releasing
        self._title = title
        self._consumed = consumed
        self._group = _group_history([request.history for request in requests])
        self._latest_announced = _latest(requests, lambda request: request.history.announced)
        self._histories = [request.history for request in releasing]
        self._requested = [history.requested for history in self._histories]
        self._footers = [request.release_as for request in releasing]
        self._footer = _latest(self._footers, lambda footer: footer.version)
        self._kind = releasing[0].rules.prerelease

    def decide(self) -> Version:
        """Return the version.

        Raises Refusal RK-VERSION-UNKNOWN, RK-VERSION-INVALID, or RK-USAGE for two versions that the maintainer
        requests.
        """
        exact = self._exact_version()
        if exact is not None:
            self._refuse_low_request(exact)
            return exact
        self._refuse_invalid_release_as()
        last = self._group.last
        if last is not None and self._joins(last):
            return last
        target = self._computed_target()
        self._refuse_unusable(target)
        is_chosen = self._footer is not None or target == self._group.written
        if is_chosen:
            return target
        return self._skip_consumed(target)

    def _exact_version(self) -> Version | None:
        """Return the version that the maintainer requests; None if there is none."""
        versions = {requested.version for requested in self._requested} - {None}
        if len(versions) > 1:
            flags = sorted(f"--set-version {version}" for version in versions)
            raise Refusal(
                code=ErrorCode.USAGE,
                message=f"packages with one version cannot have two ({self._title}): {' and '.join(flags)}",
                hint="Give all packages of the group the same version.",
            )
        return next(iter(versions), None)

    def _joins(self, last: Version) -> bool:
        """Return whether all packages are new and declare the *last* version of the others."""
        if self._footer is not None or kind_of(last) != self._kind:
            return False
        if self._is_consumed(last):
            return False
        return all((history.last, history.declared) == (None, last) for history in self._histories)

    def _computed_target(self) -> Version:
        """Return the version that follows from the changes, a requested bump, footers and the files."""
        target = self._changes_target()
        is_bump_requested = any(requested.bump for requested in self._requested)
        if is_bump_requested:
            self._refuse_low_request(target)
            return target
        written, footer = self._group.written, self._footer
        if written is None:
            return target
        written_target = self._written_target(written)
        is_footer_later = footer is not None and footer > written
        # A release commit has written what the changes asked for then, and later changes can ask for more.
        is_minimum = is_footer_later or self._group.proposed == written
        return max(target, written_target) if is_minimum else written_target

    def _changes_target(self) -> Version:
        """Return the version that the changes lead to, or the Release-As; without releases, the declared one."""
        base = self._footer or self._base_version()
        if self._is_complete(base):
            return base
        return self._next_prerelease(base)

    def _base_version(self) -> Version:
        """Return the stable version that the changes and the files lead to; without releases, the declared version."""
        last, declared = self._group.last, self._group.declared
        if last is not None:
            return max(filter(None, self._minimum_versions(last)))
        if declared is None:
            raise Refusal(ErrorCode.VERSION_UNKNOWN, "the version is dynamic, and there is no tag")
        return declared if self._kind == "dev" else without_development(declared)

    def _find_announced(self) -> Version | None:
        """Return the version that the files of the group announce; None if a bump is requested, or the date decides."""
        is_decided = any(
            request.history.requested.bump or request.rules.follows_date
            for request in self._releasing
        )
        return None if is_decided else self._latest_announced

    def _minimum_versions(self, last: Version) -> Iterator[Version | None]:
        """Yield the stable versions that the next one must reach; *last* is the last release."""
        yield self._find_announced()
        if last.is_prerelease:
            final = final_of(last)
            yield final if final > last else next_version(last, Bump.PATCH)
        stable = self._group.stable
        if stable is None:  # then no change can break anything
            return
        for request in self._releasing:
            bump = max(Bump.PATCH, request.bump)
            # Who requests a major bump means it, also on 0.x.
            is_major_requested = request.history.requested.bump is Bump.MAJOR
            major_on_zero = is_major_requested or request.rules.major_on_zero
            yield next_by_scheme(stable, bump, request.rules, major_on_zero=major_on_zero)

    def _is_complete(self, base: Version) -> bool:
        """Return whether *base* is released as it is, without the number of a prerelease."""
        if any(request.is_stable for request in self._releasing):
            return True
        if self._footer is not None:
            return self._footer.public != self._footer.base_version
        # A first release can declare the prerelease that it is.
        is_first = self._group.last is None
        return is_first and kind_of(base) == self._kind

    def _next_prerelease(self, base: Version) -> Version:
        """Return the next prerelease of *base*."""
        first_number = max(request.rules.first_number for request in self._releasing)
        return next_prerelease(base, self._kind, self._group.tagged, first_number)

    def _written_target(self, written: Version) -> Version:
        """Return the version that *written*, the one in the files, leads to: itself, or the kind that is requested."""
        if kind_of(written) == self._kind:
            return written
        if self._kind == "none":
            return final_of(written)
        target = self._next_prerelease(written)
        if written.is_prerelease and target < written:
            raise Refusal(
                code=ErrorCode.VERSION_INVALID,
                message=f"{written} is declared, and {target} would be a step back",
                hint="The order is dev, a, b, rc. Make a later kind, or change the version in the file.",
            )
        return target

    def _skip_consumed(self, target: Version) -> Version:
        """Return the first version from *target* on that no package has consumed."""
        while self._is_consumed(target):
            target = next_version_after(target)
        return target

    def _is_consumed(self, version: Version) -> bool:
        return any(version in versions for versions in self._consumed)

    # What is refused.

    def _refuse_low_request(self, target: Version) -> None:
        """Refuse the version *target*, which the maintainer requests, if it is below the last release or the files."""
        problem = self._problem_of_request(target)
        if not problem:
            return
        option = next(filter(None, (requested.reason for requested in self._requested)), "")
        if not option.endswith(f" {target}"):
            option = f"{option} leads to {target}, which"
        raise Refusal(
            code=ErrorCode.VERSION_INVALID,
            message=f"{option} is {problem}",
            hint="Request a higher version, or change the version in pyproject.toml first.",
        )

    def _problem_of_request(self, target: Version) -> str:
        group = self._group
        if target.local:
            return "a local version (PEP 440), which no index accepts"
        if group.reaches(target):
            return f"not above the last release, {group.last}"
        declared = group.declared if group.last is None else group.written
        if declared is not None and final_of(target) < final_of(declared):
            return f"below the version in the files, {declared}"
        return ""

    def _refuse_invalid_release_as(self) -> None:
        for footer in self._footers:
            if footer.refusal:
                raise footer.refusal

    def _refuse_unusable(self, target: Version) -> None:
        """Refuse a version that no index accepts, or that is not above the last one."""
        if target.local:
            raise self._local_version_refusal(target)
        if self._group.reaches(target):
            raise self._step_back_refusal(target)

    def _local_version_refusal(self, target: Version) -> Refusal:
        commits = [
            f"commit {footer.commit}" for footer in self._footers if footer.version == target
        ]
        return Refusal(
            code=ErrorCode.VERSION_INVALID,
            message=f"{target} is a local version (PEP 440), which no index accepts",
            location=", ".join(commits),
        )

    def _step_back_refusal(self, target: Version) -> Refusal:
        last = self._group.last
        for footer in self._footers:
            if footer.version is not None:
                return Refusal(
                    code=ErrorCode.VERSION_INVALID,
                    message=f"Release-As: {footer.version} is not above the current version, {last}",
                    location=f"commit {footer.commit}",
                    hint=f"Commit with a `Release-As:` footer that names a version above {last}; the newest one wins.",
                )
        kind = _kind_or_none(last)
        return Refusal(
            code=ErrorCode.VERSION_INVALID,
            message=f"{last} is already released, and {target} would be a step back",
            hint=f"The order is dev, a, b, rc. Make another {kind}, a later kind, or a stable release.",
        )


def _group_history(histories: Sequence[PackageHistory]) -> PackageHistory:
    """Return the releases of all packages of a group as one history."""
    last = _latest(histories, lambda history: history.last)
    tagged = chain.from_iterable(history.tagged for history in histories)
    unreleased = [history for history in histories if history.last is None]
    first = _latest(unreleased, lambda history: history.declared)
    written = _latest(histories, lambda history: history.written)
    return PackageHistory(
        declared=max(filter(None, (first, written)), default=None),
        last=last,
        stable=_latest(histories, lambda history: history.stable),
        tagged=(*tagged, *filter(None, (last,))),
        proposed=_latest(histories, lambda history: history.proposed),
    )


def _latest(values: Iterable[T], version_of: Callable[[T], Version | None]) -> Version | None:
    """Return the latest version of *values*, None if none of them has a version."""
    return max(filter(None, map(version_of, values)), default=None)


# ---- parts ----------------------------------------------------------------------------------------------------------


def _invalid_release_as(change: Change) -> Refusal:
    return Refusal(
        code=ErrorCode.VERSION_INVALID,
        message=f"Release-As: {change.release_as!r} is not a PEP 440 version",
        location=f"commit {change.short_sha}",
        hint="Commit with a `Release-As:` footer that names one, such as 1.2.3 or 1.2.3rc1; the newest one wins.",
    )


def describe_file(file: FileChange) -> str:
    """Return the path of a change file and the first line of its text, for display."""
    return join_texts(": ", file.path, _shorten(file.title))


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
    if change.fixup:
        return min(bump, Bump.PATCH) if change.type else Bump.NONE
    if change.is_revert:
        return max(bump, types.get("revert", Bump.PATCH))
    return bump


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
