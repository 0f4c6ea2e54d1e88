"""Which version comes next, and why."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from types import MappingProxyType
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from tasks.core.commits import Bump, Change, Ignored, standing
from tasks.core.errors import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

# Conventional Commits names feat and fix (items 2 and 3); perf is common practice.
DEFAULT_TYPES: Mapping[str, Bump] = MappingProxyType({"feat": Bump.MINOR, "fix": Bump.PATCH, "perf": Bump.PATCH})

_TITLE_WIDTH = 72


@dataclass(frozen=True, slots=True)
class Decision:
    """The next version of one package, and why; *target* is None if it is not released.

    *label* is the bump for JSON: major, minor, patch, none or first. *counted* are the changes that ask for a
    release, *ignored* all others; both newest first.
    """

    bump: Bump
    label: str
    target: Version | None
    reason: str
    counted: tuple[Change, ...] = ()
    ignored: tuple[Ignored, ...] = ()


def decide(
    current: Version,
    changes: Sequence[Change],
    *,
    tagged: bool,
    types: Mapping[str, Bump] = DEFAULT_TYPES,
    major_on_zero: bool = False,
    force: bool = False,
    unreleased: Container[str] = frozenset(),
) -> Decision:
    """Decide the next version from the unreleased *changes*, newest first; *tagged*: *current* is released.

    *types* has lower-case keys. *force* releases a patch where nothing asks for a release. *unreleased*: as for
    `standing`. Raises Refusal RK-VERSION-INVALID if a Release-As footer names no version above *current*.
    """
    counted, ignored = _weigh(changes, types, unreleased)
    told = next((change for change in counted if change.release_as is not None), None)
    if told:
        bump, label, target, reason = _as_told(told, current, tagged=tagged)
    elif not tagged:
        bump, label, target, reason = Bump.NONE, "first", current, "first release"
    else:
        bump = _on_zero(current, max((bump_of(change, types) for change in counted), default=Bump.NONE), major_on_zero)
        reason = _reason(changes, counted, types)
        if force and bump is Bump.NONE:
            bump, reason = Bump.PATCH, "forced"
        label, target = bump.label, next_version(current, bump, major_on_zero=major_on_zero)
    return Decision(bump, label, target, reason, counted, ignored)


def _weigh(
    changes: Sequence[Change], types: Mapping[str, Bump], unreleased: Container[str]
) -> tuple[tuple[Change, ...], tuple[Ignored, ...]]:
    """Part *changes* into those that ask for a release and those that do not."""
    why = {ignored.change.sha: ignored.why for ignored in standing(changes, unreleased=unreleased).ignored}
    counted: list[Change] = []
    for change in changes:
        if change.sha in why:
            continue
        if change.release_as is not None or bump_of(change, types):
            counted.append(change)
        else:
            why[change.sha] = f"type {change.type} asks for no release" if change.type else "no conventional commit"
    return tuple(counted), tuple(Ignored(change, why[change.sha]) for change in changes if change.sha in why)


def _as_told(told: Change, current: Version, *, tagged: bool) -> tuple[Bump, str, Version, str]:
    """Return bump, label, version and reason as a Release-As footer wants them."""
    target = _release_as(told)
    reason = f"Release-As: {target} ({told.short_sha})"
    if not tagged:
        return Bump.NONE, "first", target, f"first release, {reason}"
    if target <= current:
        raise Refusal(
            Code.VERSION_INVALID,
            f"Release-As: {target} is not above the current version, {current}",
            f"commit {told.short_sha}",
            f"Commit with a `Release-As:` footer that names a version above {current}; the newest one wins.",
        )
    bump = difference(current, target)
    return bump, bump.label, target, reason


def _release_as(told: Change) -> Version:
    text = told.release_as or ""
    try:
        return Version(text)
    except InvalidVersion:
        raise Refusal(
            Code.VERSION_INVALID, f"Release-As: {text!r} is not a PEP 440 version", f"commit {told.short_sha}"
        ) from None


def _reason(changes: Sequence[Change], counted: Sequence[Change], types: Mapping[str, Bump]) -> str:
    """Name the strongest change, the newest of equals, and say how many others there are."""
    if not counted:
        return f"no commit of {len(changes)} asks for a release" if changes else "no commits since the last release"
    strongest = max(counted, key=lambda change: bump_of(change, types))
    more = f", +{len(counted) - 1} more" if len(counted) > 1 else ""
    return f"{_shortened(strongest.title)} ({strongest.short_sha}){more}"


def _shortened(title: str) -> str:
    return title if len(title) <= _TITLE_WIDTH else f"{title[: _TITLE_WIDTH - 1].rstrip()}…"


def bump_of(change: Change, types: Mapping[str, Bump] = DEFAULT_TYPES) -> Bump:
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


def difference(current: Version, target: Version) -> Bump:
    """Return which part of the release segment (PEP 440) changes; patch where only what follows it does."""
    if current.epoch != target.epoch:
        return Bump.MAJOR
    pairs = zip_longest(current.release, target.release, fillvalue=0)
    changed = next((index for index, (old, new) in enumerate(pairs) if old != new), 2)
    return Bump(max(Bump.MAJOR - changed, Bump.PATCH))


def next_version(current: Version, bump: Bump, *, major_on_zero: bool = False) -> Version | None:
    """Return the stable version (PEP 440) that *bump* leads to, always above *current*; None for no bump.

    On 0.x a breaking change is a minor bump (SemVer, item 4), unless *major_on_zero*. A prerelease becomes the
    version that it announces if that is bump enough. Epoch and number of release segments are kept; missing
    segments are added where they are needed.
    """
    if bump is Bump.NONE:
        return None
    bump = _on_zero(current, bump, major_on_zero)
    announced = _version(current.epoch, current.release)
    if announced > current and bump <= _weight(current.release):
        return announced
    index = Bump.MAJOR - bump
    padded = (*current.release, 0, 0)[: max(len(current.release), index + 1)]
    return _version(current.epoch, (*padded[:index], padded[index] + 1, *(0 for _ in padded[index + 1 :])))


def _on_zero(current: Version, bump: Bump, major_on_zero: bool) -> Bump:  # noqa: FBT001 - a setting handed on
    """Soften a breaking change on 0.x."""
    return bump if current.major or major_on_zero else min(bump, Bump.MINOR)


def _weight(release: Sequence[int]) -> Bump:
    """Return the bump that leads to *release* from what came before it; 0.0.0 is led to by none."""
    last = max((index for index, number in enumerate(release) if number), default=None)
    return Bump.NONE if last is None else Bump(max(Bump.MAJOR - last, Bump.PATCH))


def _version(epoch: int, release: Sequence[int]) -> Version:
    return Version(f"{epoch}!{'.'.join(map(str, release))}")
