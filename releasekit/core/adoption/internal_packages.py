"""Finds packages that are probably not meant for an index, such as tests, examples and tools of the repository."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.version import Version

from releasekit.core.adoption.findings import InternalPackage
from releasekit.core.workspace.workspace import PUBLISHED, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from releasekit.core.workspace.workspace import Member, Workspace

# Directories of packages for people to look at, not to install from an index.
SAMPLE_DIRECTORIES = frozenset(
    ("demo", "demos", "example", "examples", "playground", "sample", "samples", "testapps", "tests")
)
_INTERNAL_WORDS = SAMPLE_DIRECTORIES | frozenset(
    ("bench", "benchmark", "benchmarks", "dev", "doc", "docs", "documentation", "internal", "test", "testing")
)
_PLACEHOLDER = Version("0")
_MIN_RELEASES = 2


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """Which packages were *released*, and which may have been, because they declared the versions of *shared* tags.

    *is_index_known* says whether an index was asked.

    *releases* is the number of the newest releases of this repository that were looked at, and *present* says at how
    many of them each package was there.
    """

    released: Collection[str] = ()
    shared: Collection[str] = ()
    is_index_known: bool = False
    releases: int = 0
    present: Mapping[str, int] = field(default_factory=dict[str, int])


def find_internal(workspace: Workspace, facts: ReleaseFacts) -> tuple[InternalPackage, ...]:
    """Return the packages that were never released and have a sign that they never will be, each with its reason.

    A package that a published package requires is published too. Without any sign of a release, and without an index,
    nothing is known, so none is returned.
    """
    if not (facts.released or facts.is_index_known):
        return ()
    reasons: dict[str, str] = {}
    for member in workspace.publishable:
        if member.name not in facts.released and (reason := _reason(member, facts)):
            reasons[member.name] = reason
    internal = _without_required(workspace, reasons)
    if len(internal) == len(workspace.publishable):
        return ()  # the repository has nothing else to publish
    return tuple(
        InternalPackage(name=name, path=workspace[name].path, reason=reasons[name]) for name in sorted(internal)
    )


def _reason(member: Member, facts: ReleaseFacts) -> str:
    """Return why *member*, which was never released, is probably internal; empty if there is no sign."""
    word = _internal_word(member)
    if word:
        return f"never released, and its name or path says {word}"
    if member.version == _PLACEHOLDER:
        return f"never released, and its version is {member.version}"
    if member.version is None and facts.released and member.name not in facts.shared:
        return "its version comes from tags, and no tag is its release"
    was_left_out = facts.releases >= _MIN_RELEASES and facts.present.get(member.name, 0) == facts.releases
    if was_left_out and facts.is_index_known:
        return f"never released, although it was there at the last {facts.releases} releases"
    return ""


def _internal_word(member: Member) -> str:
    """Return the word in the path or name of *member* that says that it is internal; empty if there is none."""
    words = re.split(r"[/_.-]+", f"{member.path}/{member.name}".lower())
    return next((word for word in words if word in _INTERNAL_WORDS), "")


def _without_required(workspace: Workspace, candidates: Collection[str]) -> set[str]:
    """Return the *candidates* that no other publishable package requires when it is installed or built."""
    internal = set(candidates)
    while True:
        needed: set[str] = set()
        for member in workspace.publishable:
            if member.name not in internal:
                needed |= workspace.required_members(member, *PUBLISHED, Kind.BUILD)
        if internal.isdisjoint(needed):
            return internal
        internal -= needed


def exclude_patterns(workspace: Workspace, names: Iterable[str]) -> list[str]:
    """Return patterns for the key `exclude` that match *names* and no other publishable package.

    A directory of samples is one pattern if all packages in it are among *names*.
    """
    wanted = set(names)
    by_pattern: dict[str, set[str]] = {}
    for member in workspace.publishable:
        if pattern := _sample_pattern(member.path):
            by_pattern.setdefault(pattern, set()).add(member.name)
    patterns = {pattern: of_pattern for pattern, of_pattern in by_pattern.items() if of_pattern <= wanted}
    others = wanted.difference(*patterns.values())
    return [*sorted(patterns), *sorted(others)]


def _sample_pattern(path: str) -> str:
    """Return the pattern of the outermost sample directory around *path*; empty if it is in none."""
    parents = path.split("/")[:-1]
    for depth, part in enumerate(parents, start=1):
        if part.lower() in SAMPLE_DIRECTORIES:
            return "/".join([*parents[:depth], "*"])
    return ""


def describe_internal(internal: Sequence[InternalPackage]) -> list[str]:
    """Return one line for each reason: the packages that have it."""
    by_reason: dict[str, list[str]] = {}
    for package in internal:
        by_reason.setdefault(package.reason, []).append(package.name)
    return [f"{', '.join(names)}: {reason}" for reason, names in by_reason.items()]
