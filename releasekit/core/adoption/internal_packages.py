"""Finds packages that are probably not meant for an index, such as tests, examples and tools of the repository."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from packaging.version import Version

from releasekit.core.adoption.findings import InternalPackage
from releasekit.core.picking import drop_named, group_by, map_values, names_of, true_keys
from releasekit.core.workspace.workspace import PUBLISHED, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from releasekit.core.workspace.workspace import Member, Workspace

# Directories of packages for people to look at, not to install from an index.
SAMPLE_DIRECTORIES = frozenset(
    ("demo", "demos", "example", "examples", "playground", "sample", "samples", "testapps", "tests")
)
INTERNAL_WORDS = SAMPLE_DIRECTORIES | frozenset(
    (
        "bench",
        "benchmark",
        "benchmarks",
        "dev",
        "doc",
        "docs",
        "documentation",
        "internal",
        "test",
        "testing",
    )
)
_PLACEHOLDER = Version("0")
_MIN_RELEASES = 2


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """Which packages were *released*, and which may have been, because they declared the versions of *shared* tags.

    *is_index_known* says whether an index was asked. *strange* are packages of which it has only versions that they
    never declared: somebody else may own these projects.

    *releases* is the number of the newest releases of this repository that were looked at, and *present* says at how
    many of them each package was there.
    """

    released: Collection[str] = ()
    shared: Collection[str] = ()
    strange: Collection[str] = ()
    is_index_known: bool = False
    releases: int = 0
    present: Mapping[str, int] = field(default_factory=dict[str, int])


_FIRST_VERSIONS = frozenset((_PLACEHOLDER, Version("0.0.1"), Version("0.1"), Version("1")))
"""Versions that new packages have, so that a strange package of this name may have it by chance."""


def find_released(
    members: Iterable[Member], on_index: Mapping[str, Collection[Version]]
) -> list[str]:
    """Return the names of *members*, which are not published here, whose declared version is on the index."""
    return [
        member.name
        for member in members
        if member.version not in _FIRST_VERSIONS and member.version in on_index.get(member.name, ())
    ]


def find_internal(workspace: Workspace, facts: ReleaseFacts) -> tuple[InternalPackage, ...]:
    """Return the packages that were never released and have a sign that they never will be, each with its reason.

    A package that a published package requires is published too. Without any sign of a release, and without an index,
    nothing is known, so none is returned.
    """
    is_anything_known = bool(facts.released) or facts.is_index_known
    if not is_anything_known:
        return ()
    unreleased = drop_named(workspace.publishable, facts.released)
    reasons = {member.name: _reason(member, facts) for member in unreleased}
    candidates = list(true_keys(reasons))
    internal = _without_required(workspace, candidates)
    if len(internal) == len(workspace.publishable):
        return ()  # the repository has nothing else to publish
    packages: list[InternalPackage] = []
    for name in sorted(internal):
        path = workspace[name].path
        packages.append(InternalPackage(name=name, path=path, reason=reasons[name]))
    return tuple(packages)


def _reason(member: Member, facts: ReleaseFacts) -> str:
    """Return why *member*, which was never released, is probably internal; empty if there is no sign."""
    word = _internal_word(member)
    is_strange = member.name in facts.strange
    is_known_by_tags = member.version is None and bool(facts.released)
    was_always_there = facts.present.get(member.name, 0) == facts.releases
    was_left_out = facts.is_index_known and was_always_there and facts.releases >= _MIN_RELEASES
    signs = {
        "": is_strange and not word,  # then it was probably released from here
        f"its name or path says {word}, and the index has only versions that it never declared": is_strange,
        f"never released, and its name or path says {word}": bool(word),
        f"never released, and its version is {member.version}": member.version == _PLACEHOLDER,
        "its version comes from tags, and no tag is its release": is_known_by_tags
        and member.name not in facts.shared,
        f"never released, although it was there at the last {facts.releases} releases": was_left_out,
    }
    reasons = true_keys(signs)
    return next(reasons, "")


def _internal_word(member: Member) -> str:
    """Return the word in the path or name of *member* that says that it is internal; empty if there is none."""
    words = re.split(r"[/_.-]+", f"{member.path}/{member.name}".lower())
    internal_words = filter(INTERNAL_WORDS.__contains__, words)
    return next(internal_words, "")


def _without_required(workspace: Workspace, candidates: Collection[str]) -> set[str]:
    """Return the *candidates* that no other publishable package requires when it is installed or built."""
    internal = set(candidates)
    required = candidates
    while required:
        published = drop_named(workspace.publishable, internal)
        needs = (workspace.required_members(member, *PUBLISHED, Kind.BUILD) for member in published)
        required = internal.intersection(chain.from_iterable(needs))
        internal -= required
    return internal


def exclude_patterns(workspace: Workspace, names: Iterable[str]) -> list[str]:
    """Return patterns for the key `exclude` that match *names* and no other publishable package.

    A directory of samples is one pattern if all packages in it are among *names*.
    """
    wanted = set(names)
    members = group_by(workspace.publishable, lambda member: _sample_pattern(member.path))
    members.pop("", None)  # packages that are no samples
    by_pattern = map_values(names_of, members)
    patterns = {
        pattern: samples for pattern, samples in by_pattern.items() if wanted.issuperset(samples)
    }
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
    by_reason = group_by(internal, lambda package: package.reason)
    return [f"{', '.join(names_of(group))}: {reason}" for reason, group in by_reason.items()]
