"""Which version comes next, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from packaging.version import Version

from releasekit.core.config.bump_rules import Bump, Rules
from releasekit.core.errors import Code, Refusal
from releasekit.core.history.reverts import Ignored, standing
from releasekit.core.version_numbers import difference, following, make_version, next_version, version_of, weight_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from releasekit.core.history.commits import Change

_TITLE_WIDTH = 72


@dataclass(frozen=True, slots=True)
class Past:
    """What is out of a package, and what has come since.

    *last* is its latest release, prereleases included, *stable* the latest that is none; None where there is none.
    *declared* is the version that stands in its files. *changes* are those since *stable*, newest first; *fresh* are
    the shas of those since *last*, None for all of them. *taken* are all versions that have a tag, wherever it is,
    *spent* those that the index has and no tag names, which cannot be released again.
    """

    declared: Version | None
    last: Version | None = None
    stable: Version | None = None
    changes: Sequence[Change] = ()
    fresh: Container[str] | None = None
    taken: Iterable[Version] = ()
    spent: Container[Version] = ()

    @property
    def current(self) -> Version | None:
        """The version that it has now."""
        return self.declared if self.last is None else self.last


@dataclass(frozen=True, slots=True)
class Wish:
    """What a package asks for by itself; *bump* is the strongest of its changes, *told* what a Release-As names.

    *wanted*: it asks for a release at all. *refusal*: why that Release-As names no version.
    """

    past: Past
    rules: Rules
    wanted: bool
    bump: Bump
    reason: str
    told: Version | None = None
    teller: str = ""
    counted: tuple[Change, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The next version of one package, and why; *target* is None if it is not released.

    *label* is the bump for JSON: major, minor, patch, prerelease, none or first. *counted* are the changes that ask
    for this release, *ignored* all others since the last; both newest first. *refusal*: why it cannot be released.
    """

    bump: Bump
    label: str
    target: Version | None
    reason: str
    counted: tuple[Change, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    refusal: Refusal | None = None


# ---- what one package asks for --------------------------------------------------------------------------------------


def wish(past: Past, rules: Rules, unreleased: Container[str] = frozenset(), pulled: str = "") -> Wish:
    """Return what the history of one package asks for; *pulled* is why it goes out though nothing in it changed."""
    spent = _spent(past)
    fresh = past.changes
    if past.fresh is not None:
        since_last = past.fresh
        fresh = [change for change in past.changes if change.sha in since_last]
    new = _weigh(fresh, rules.types, unreleased, spent)
    whole = new if fresh is past.changes else _weigh(past.changes, rules.types, unreleased, spent)
    # A prerelease tells what is new since the last one; a stable release all that its prereleases told.
    counted, ignored = whole if rules.prerelease == "none" else new
    teller = next((change for change in whole[0] if change.release_as is not None and change.sha not in spent), None)
    told = version_of(teller.release_as or "") if teller else None
    refusal = _no_version(teller) if teller and told is None else None
    bump = max((bump_of(change, rules.types) for change in (*new[0], *whole[0])), default=Bump.NONE)
    reason = _why(past, rules, counted or new[0] if new[0] else (), pulled)
    wanted = bool(reason) or past.last is None
    if teller and wanted:
        reason = f"Release-As: {told} ({teller.short_sha})"
    if past.last is None:
        reason = f"first release, {reason}" if teller else "first release"
    elif not wanted:
        asked = f"no commit of {len(fresh)} asks for a release"
        reason = asked if fresh else "no commits since the last release"
    return Wish(past, rules, wanted, bump, reason, told, teller.short_sha if teller else "", counted, ignored, refusal)


def _spent(past: Past) -> frozenset[str]:
    """Return the shas of the changes whose Release-As was followed by a prerelease that is out."""
    if past.fresh is None or past.last is None:
        return frozenset()
    old = (change for change in past.changes if change.release_as is not None and change.sha not in past.fresh)
    told = {change.sha: version_of(change.release_as or "") for change in old}
    # What names no version has stopped nobody: a later footer has won.
    return frozenset(sha for sha, version in told.items() if version is None or version <= past.last)


def _why(past: Past, rules: Rules, counted: Sequence[Change], pulled: str) -> str:
    """Return why a package is released again, *counted* if anything is new; empty if it is not."""
    if counted:
        return _strongest(counted, rules.types)
    if past.last is not None and _ranks(past.last) < _RANK[rules.prerelease]:
        return f"promotes {past.last}"
    if past.declared is not None and past.last is not None and _by_hand(past.declared, past.last):
        return f"{past.declared} is declared"
    return "forced" if rules.force else pulled


def _weigh(
    changes: Sequence[Change], types: Mapping[str, Bump], unreleased: Container[str], spent: Container[str]
) -> tuple[tuple[Change, ...], tuple[Ignored, ...]]:
    """Part *changes* into those that ask for a release and those that do not."""
    why = {ignored.change.sha: ignored.why for ignored in standing(changes, unreleased=unreleased).ignored}
    counted: list[Change] = []
    for change in changes:
        if change.sha in why:
            continue
        if bump_of(change, types) or (change.release_as is not None and change.sha not in spent):
            counted.append(change)
        elif change.release_as is not None:
            why[change.sha] = f"Release-As: {change.release_as} is out"
        else:
            why[change.sha] = f"type {change.type} asks for no release" if change.type else "no conventional commit"
    return tuple(counted), tuple(Ignored(change, why[change.sha]) for change in changes if change.sha in why)


def _strongest(counted: Sequence[Change], types: Mapping[str, Bump]) -> str:
    """Name the strongest change, the newest of equals, and say how many others there are."""
    strongest = max(counted, key=lambda change: bump_of(change, types))
    more = f", +{len(counted) - 1} more" if len(counted) > 1 else ""
    return f"{_shortened(strongest.title)} ({strongest.short_sha}){more}"


# ---- one version for all that go together ---------------------------------------------------------------------------


def settle(wishes: Mapping[str, Wish], *, fixed: bool = False, title: str = "") -> dict[str, Decision]:
    """Give one version to those of *wishes* that want a release; *fixed*: to all of them, as soon as one wants it.

    *title* says in a reason what holds them together.
    """
    wanting = {name: each for name, each in wishes.items() if each.wanted}
    if not wanting:
        return {name: _kept(each) for name, each in wishes.items()}
    try:
        target, by_hand = _target(list(wishes.values()), list(wanting.values()))
    except Refusal as error:
        refusal = Refusal(error.code, error.what, ", ".join(filter(None, (error.where, *wanting))), error.hint)
        return {
            name: replace(_kept(each), reason=error.what, refusal=refusal) if each.wanted else _kept(each)
            for name, each in wishes.items()
        }
    leader = max(wanting, key=lambda name: (wanting[name].told is not None, wanting[name].bump))
    decided: dict[str, Decision] = {}
    for name, each in wishes.items():
        if by_hand and each.past.declared == target:
            decided[name] = _moved(each, target, f"{target} is declared")
        elif each.wanted:
            led = each.bump < wanting[leader].bump and name != leader
            decided[name] = _moved(each, target, f"{each.reason}; as {leader} ({title})" if led else each.reason)
        elif fixed and each.past.last != target:
            decided[name] = _moved(each, target, f"moves with {leader} ({title})")
        else:
            decided[name] = _kept(each)
    return decided


def _kept(each: Wish) -> Decision:
    return Decision(Bump.NONE, "none", None, each.reason, each.counted, each.ignored)


def _moved(each: Wish, target: Version, reason: str) -> Decision:
    if each.past.last is None:
        return Decision(Bump.NONE, "first", target, reason, each.counted, each.ignored)
    stable = each.past.stable
    bump = max(Bump.PATCH, weight_of(target.release)) if stable is None else difference(stable, target)
    label = "prerelease" if target.is_prerelease else bump.label
    return Decision(bump, label, target, reason, each.counted, each.ignored)


def _target(every: Sequence[Wish], wanting: Sequence[Wish]) -> tuple[Version, bool]:
    """Return the version that all of *wanting* go to, above all that *every* has released; and if a file says so."""
    if refusal := next((each.refusal for each in wanting if each.refusal), None):
        raise refusal
    kind = wanting[0].rules.prerelease
    last = max((each.past.last for each in every if each.past.last is not None), default=None)
    declared = max((each.past.declared for each in every if each.past.declared is not None), default=None)
    told = max((each.told for each in wanting if each.told is not None), default=None)
    if last is not None and told is None and _joins(wanting, last, kind):
        return last, False
    base = told or (declared if last is None else _base(every, wanting, last))
    if base is None:
        raise Refusal(Code.VERSION_UNKNOWN, "the version is dynamic, and there is no tag")
    # Somebody wrote a later version by hand: that is a wish, and to release less would be a step back.
    by_hand = last is not None and declared is not None and _by_hand(declared, base)
    if by_hand and declared is not None:
        told, base = None, declared
    exact = told is not None and (told.is_prerelease or told.is_postrelease)
    exact |= last is None and base.is_prerelease and _kind(base) == kind
    if kind == "none" or exact:
        target = base
    else:
        taken = [version for each in every for version in each.past.taken]
        target = prerelease_of(base, kind, taken if last is None else [*taken, last])
    if target.local:
        where = ", ".join(f"commit {each.teller}" for each in wanting if each.told == target)
        raise Refusal(Code.VERSION_INVALID, f"{target} is a local version (PEP 440), which no index takes", where)
    if last is not None and target <= last:
        raise _step_back(wanting, last, target)
    while any(target in each.past.spent for each in wanting) and told is None and not by_hand:
        target = following(target)
    return target, by_hand


def _base(every: Sequence[Wish], wanting: Sequence[Wish], last: Version) -> Version:
    """Return the stable version that the changes lead to, from the last stable one."""
    stable = max((each.past.stable for each in every if each.past.stable is not None), default=None)
    # What a prerelease has announced is the least. Where nothing stable is out, nothing can be broken.
    announced = [make_version(last.epoch, last.release)] if last.is_prerelease else []
    needed = (
        next_version(stable, max(Bump.PATCH, each.bump), major_on_zero=each.rules.major_on_zero)
        for each in wanting
        if stable is not None
    )
    return max([*announced, *filter(None, needed)])


def _joins(wanting: Sequence[Wish], last: Version, prerelease: str) -> bool:
    """Tell whether there is nothing but new packages, whose files name the version that the others have already."""
    new = all(each.past.last is None and each.past.declared == last for each in wanting)
    return new and (_kind(last) == prerelease if last.is_prerelease else prerelease == "none")


def _step_back(wanting: Sequence[Wish], last: Version, target: Version) -> Refusal:
    teller = next((each for each in wanting if each.told is not None), None)
    if teller:
        return Refusal(
            Code.VERSION_INVALID,
            f"Release-As: {teller.told} is not above the current version, {last}",
            f"commit {teller.teller}",
            f"Commit with a `Release-As:` footer that names a version above {last}; the newest one wins.",
        )
    return Refusal(
        Code.VERSION_INVALID,
        f"{last} is out, and {target} would be a step back",
        hint=f"Prereleases go dev, a, b, rc: make another {_kind(last)}, a later kind, or the stable release.",
    )


# ---- prereleases ----------------------------------------------------------------------------------------------------

_RANK = {"dev": 0, "a": 1, "b": 2, "rc": 3, "none": 4}


def prerelease_of(base: Version, kind: str, taken: Iterable[Version]) -> Version:
    """Return the next prerelease of *base*: numbered after those among *taken*, from 1 (PEP 440)."""
    number = 0
    for version in taken:
        if version.is_prerelease and _same_release(version, base) and _kind(version) == kind:
            # Between 1.3rc1 and 1.3rc2 lies 1.3rc2.dev1, as some tools number.
            announced = version.is_devrelease and version.pre is not None and not version.is_postrelease
            number = max(number, (version.pre[1] if version.pre else version.dev or 0) - announced)
    stem = make_version(base.epoch, base.release)
    return Version(f"{stem}.dev{number + 1}" if kind == "dev" else f"{stem}{kind}{number + 1}")


def _kind(version: Version) -> str:
    """Return which kind of prerelease *version* is, or "none"."""
    return version.pre[0] if version.pre else "dev" if version.is_prerelease else "none"


def _ranks(version: Version) -> int:
    return _RANK[_kind(version)]


def _same_release(one: Version, other: Version) -> bool:
    pairs = zip_longest(one.release, other.release, fillvalue=0)
    return one.epoch == other.epoch and all(mine == theirs for mine, theirs in pairs)


def _by_hand(declared: Version, last: Version) -> bool:
    """Tell whether somebody has written a later version into the files; there a prerelease is only a mark, as is +x."""
    return declared > last and not declared.is_prerelease and declared.local is None


# ---- parts ----------------------------------------------------------------------------------------------------------


def _no_version(teller: Change) -> Refusal:
    what = f"Release-As: {teller.release_as!r} is not a PEP 440 version"
    hint = "Commit with a `Release-As:` footer that names one, such as 1.2.3 or 1.2.3rc1; the newest one wins."
    return Refusal(Code.VERSION_INVALID, what, f"commit {teller.short_sha}", hint)


def _shortened(title: str) -> str:
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
