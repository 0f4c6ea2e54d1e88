"""Parse version numbers (PEP 440), and compute the next ones."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated

from packaging.version import Version
from pydantic import BeforeValidator, PlainSerializer

from releasekit.core.config.bump_rules import Bump

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.specifiers import SpecifierSet


CODE_VERSION = re.compile(
    r"""^__version__(?: *: *[\w.\[\]]+)? *= *["']([^"']+)["']""", re.MULTILINE
)
"""The assignment of a literal version in a module."""
VERSION_MODULES = ("__init__.py", "_version.py", "version.py", "__version__.py", "__about__.py")
"""Modules of an import package that usually have it."""


def bump_between(current: Version, target: Version) -> Bump:
    """Return which part of the release segment (PEP 440) changes; patch if only a suffix changes."""
    if current.epoch != target.epoch:
        return Bump.MAJOR
    pairs = zip_longest(current.release, target.release, fillvalue=0)
    for index, (old, new) in enumerate(pairs):
        if old != new:
            return _bump_of_segment(index)
    return Bump.PATCH


def semver_text(version: Version) -> str:
    """Return *version* as Semantic Versioning 2.0.0 writes it, which Cargo requires: 1.2b1 is "1.2.0-beta.1".

    maturin and other build backends read it back as the same version (PEP 440). Returns an empty text for versions that
    Semantic Versioning does not have: with an epoch, more than three numbers, a post-release or a local version.
    """
    has_more = len(version.release) > _USUAL_SEGMENTS
    if has_more or version.epoch or version.is_postrelease or version.local:
        return ""
    numbers = [*version.release, 0, 0][:_USUAL_SEGMENTS]
    labels: list[str] = []
    if version.pre:
        label, number = version.pre
        labels += [_SEMVER_LABELS[label], str(number)]
    if version.dev is not None:
        labels += ["dev", str(version.dev)]
    suffix = f"-{'.'.join(labels)}" if labels else ""
    return ".".join(map(str, numbers)) + suffix


_SEMVER_LABELS = {"a": "alpha", "b": "beta", "rc": "rc"}


def _bump_of_segment(index: int) -> Bump:
    """Return the bump that changes this segment of a release (PEP 440), from 0; all after the second are patches."""
    return Bump(max(Bump.MAJOR - index, Bump.PATCH))


def next_version(current: Version, bump: Bump, *, major_on_zero: bool = False) -> Version | None:
    """Return the stable version (PEP 440) that *bump* leads to, always above *current*; None for no bump.

    On 0.x a breaking change is a minor bump (SemVer, item 4), unless *major_on_zero*. A prerelease becomes the
    stable version of the same number, if that is already a large enough bump. The epoch and the number of release
    segments stay the same; missing segments are added where the bump needs them. Zeros after the third segment are
    left out, unless *current* has them too: 0.4.2.2 leads to 0.4.3.
    """
    if bump is Bump.NONE:
        return None
    bump = _on_zero(current, bump, major_on_zero)
    announced = make_version(current.epoch, current.release)
    if announced > current and bump <= implied_bump(current.release):
        return announced
    index = Bump.MAJOR - bump
    release = list(current.release)
    release += [0] * (index + 1 - len(release))
    release[index] += 1
    release[index + 1 :] = [0] * len(release[index + 1 :])
    ends_in_number = any(current.release[_USUAL_SEGMENTS:])
    shown = release[:_USUAL_SEGMENTS] if ends_in_number else release
    return make_version(current.epoch, shown)


_USUAL_SEGMENTS = 3
"""The segments of a release that a bump changes: major, minor and patch."""


def next_breaking(version: Version, *, major_on_zero: bool = False) -> Version:
    """Return the first version after *version* that may break its dependents; see `next_version`."""
    breaking = next_version(Version(version.base_version), Bump.MAJOR, major_on_zero=major_on_zero)
    assert breaking is not None, version  # noqa: S101  a major bump always leads somewhere
    return breaking


def next_version_after(version: Version) -> Version:
    """Return the version to use when *version* cannot be released again: the next of the same kind."""
    text = version.public
    prerelease_number = version.pre[1] if version.pre else None
    # The last number of 1.0rc1, 1.0.post1 and 1.0rc1.dev1 is the one that increases.
    for number in (version.dev, version.post, prerelease_number):
        if number is not None:
            stem = text.removesuffix(str(number))
            return Version(f"{stem}{number + 1}")
    major, minor, micro = (*version.release, 0, 0)[:3]
    return Version(f"{version.epoch}!{major}.{minor}.{micro + 1}")


def allows_from(specifier: SpecifierSet, minimum: Version) -> bool:
    """Return whether *specifier* (PEP 440) allows *minimum* or a later version."""
    texts = [clause.version.removesuffix(".*") for clause in specifier]
    bounds = [minimum, *map(Version, texts)]
    candidates = [*bounds, *map(next_version_after, bounds)]
    allowed = specifier.filter(candidates, prereleases=True)
    return any(filter(minimum.__le__, allowed))


def _on_zero(current: Version, bump: Bump, major_on_zero: bool) -> Bump:  # noqa: FBT001 - a setting that is passed on
    """Return *bump*, where a breaking change on 0.x counts as minor."""
    if current.major or major_on_zero:
        return bump
    return min(bump, Bump.MINOR)


def implied_bump(release: Sequence[int]) -> Bump:
    """Return the bump that leads to *release* from the version before it; no bump leads to 0.0.0."""
    indices = [index for index, number in enumerate(release) if number]
    return _bump_of_segment(indices[-1]) if indices else Bump.NONE


def is_calendar_version(version: Version) -> bool:
    """Return whether *version* looks like a date: its first number is a year with four digits."""
    return version.major in _YEARS


_YEARS = range(1990, 2101)


def parse_version(text: str) -> Version | None:
    """Return *text* as a version (PEP 440), or None if it is not one."""
    try:
        return Version(text)
    except ValueError:  # InvalidVersion, or a number of thousands of digits
        return None


def make_version(epoch: int, release: Sequence[int]) -> Version:
    """Return the version with these numbers, without any suffix."""
    return Version(f"{epoch}!{'.'.join(map(str, release))}")


PyVersion = Annotated[
    Version,
    BeforeValidator(lambda value: Version(str(value))),
    PlainSerializer(str, return_type=str),
]
"""A version (PEP 440) that JSON holds as a string."""
