"""Raises requirements on siblings to their next versions and keeps the form in which they are written."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from releasekit.core.workspace.workspace import fits, is_template, requirement_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from packaging.requirements import Requirement

# PEP 508: a name, its extras, and the specifier, in parentheses or not. The marker follows ";".
_REQUIREMENT = re.compile(
    r"(?P<head>\s*[A-Za-z0-9._-]+\s*(?:\[[^\]]*\])?\s*\(?)(?P<specifier>[^;()]*)(?P<tail>.*)",
    re.DOTALL,
)
_CLAUSE = re.compile(r"(?P<operator>===|~=|==|!=|<=|>=|<|>)(?P<gap>\s*)(?P<version>[^\s,]+)")
_RELEASE = re.compile(r"\s*v?(?:\d+!)?\d+(?:\.\d+)*")
_LOWER = (">=", ">")
_FOLLOWING = (*_LOWER, "==", "===")
"""The operators whose version always becomes the new one."""


def is_live(specifier: SpecifierSet, offered: Collection[Version]) -> bool:
    """Return whether a requirement on a sibling is for the sibling in the workspace, not for an older release.

    *offered* are the versions of the sibling in the workspace (see `offers_of`). If it is empty, no version is known,
    and every requirement is live.
    """
    if not offered:
        return True
    return any(fits(specifier, version) for version in offered)


def requirement_key(requirement: Requirement) -> str:
    """Return *requirement* without extras and marker, in a normalised spelling: "core<2,>=1"."""
    return f"{canonicalize_name(requirement.name)}{requirement.specifier}"


def raise_requirement(
    written: str, version: Version, *, always: bool = False, strict: bool = False
) -> str:
    """Return the requirement *written* (PEP 508), raised so that *version* satisfies it. Only its versions change.

    A requirement that *version* already satisfies does not change, unless *always* is set: then its lower bound
    follows *version*. With *strict*, a prerelease must satisfy it under PEP 440. Otherwise it is enough if its final
    version does: 1.3rc1 then satisfies `>=1.3`.
    """
    return _raise_requirement(written, str(version), always=always, strict=strict)


@cache
def _raise_requirement(written: str, new_version: str, *, always: bool, strict: bool) -> str:
    # The version is a text here, because 2.0 and 2.0.0 are equal versions, and would share a result.
    version = Version(new_version)
    if is_template(written) or requirement_of(written).url:
        return written
    parts = _REQUIREMENT.fullmatch(written)
    assert parts, written  # noqa: S101  packaging has parsed it
    raised = raise_specifier(parts["specifier"], version, always=always, strict=strict)
    if raised == parts["specifier"]:
        return written
    return f"{parts['head']}{raised}{parts['tail']}"


def raise_specifier(
    written: str, version: Version, *, always: bool = False, strict: bool = False
) -> str:
    """Return the specifier *written* (PEP 440), raised so that *version* satisfies it; each clause keeps its form."""
    is_satisfied = _is_satisfied(SpecifierSet(written), version, strict=strict)
    if is_satisfied and not always:
        return written
    raised = [_raise_clause(clause, version) for clause in written.split(",")]
    remaining = [clause for clause in raised if clause is not None]
    text = ",".join(remaining)
    # Space before the first clause belongs to the name, so it stays even if that clause is dropped.
    return text if text.strip() else ""


def _is_satisfied(specifier: SpecifierSet, version: Version, *, strict: bool) -> bool:
    if strict:
        return specifier.contains(version, prereleases=True)
    return fits(specifier, version)


def _raise_clause(clause: str, version: Version) -> str | None:
    """Return *clause* with its version raised, or None if it must be dropped because it excludes *version*."""
    match = _CLAUSE.search(clause)
    if not match:
        return clause
    operator = match["operator"]
    bound = match["version"]
    specifier = Specifier(f"{operator}{bound}")
    included = specifier.contains(version, prereleases=True)
    if operator == "!=" and not included:
        return None
    new_operator = ">=" if operator in _LOWER else operator
    new_bound = _raise_bound(operator, bound, version, included=included)
    start = clause[: match.start()]
    end = clause[match.end() :]
    return f"{start}{new_operator}{match['gap']}{new_bound}{end}"


def _raise_bound(operator: str, bound: str, version: Version, *, included: bool) -> str:
    """Return the version that replaces *bound* in a clause. *included* means that the clause allows *version*."""
    is_prefix = operator == "==" and bound.endswith(".*")
    if operator == "~=":
        return _as_many_parts(bound, version)
    if operator in _FOLLOWING and not is_prefix:
        return str(version)
    if included:
        return bound
    if is_prefix:
        return _prefix(bound, version)
    if operator == "<=":
        return str(version)
    return _next_limit(bound, version)


def _as_many_parts(bound: str, version: Version) -> str:
    """Return *version* with as many release numbers as *bound* has; a prerelease keeps all its parts."""
    numbers = _cut(bound, version)
    if not version.is_prerelease:
        return numbers
    if len(version.release) > 1:
        return str(version)
    return f"{numbers}{_suffix(str(version))}"


def _prefix(bound: str, version: Version) -> str:
    number = _cut(bound.removesuffix(".*"), version)
    return f"{number}.*"


def _cut(bound: str, version: Version) -> str:
    """Return the release numbers of *version*, as many as *bound* has, filled up with zeros."""
    count = len(Version(bound).release)
    return _join(version.epoch, _first_numbers(version, count))


def _next_limit(bound: str, version: Version) -> str:
    """Return the next exclusive upper bound after *bound* when *version* has reached it: "<2" becomes "<3".

    The last number of *bound* that is not zero increases. The count of numbers and the suffix stay.
    """
    limit = Version(bound).release
    nonzero_places = (index for index, number in enumerate(limit) if number)
    last = max(nonzero_places, default=0)
    head = _first_numbers(version, last + 1)
    head[-1] += 1
    zeros = [0] * (len(limit) - len(head))
    numbers = _join(version.epoch, head + zeros)
    return f"{numbers}{_suffix(bound)}"


def _suffix(version: str) -> str:
    """Return what follows the release numbers of *version*, such as "rc1"."""
    return _RELEASE.sub("", version, count=1)


def _first_numbers(version: Version, count: int) -> list[int]:
    """Return the first *count* release numbers of *version*, filled up with zeros."""
    zeros = [0] * count
    return [*version.release, *zeros][:count]


def _join(epoch: int, release: Iterable[int]) -> str:
    prefix = f"{epoch}!" if epoch else ""
    numbers = ".".join(map(str, release))
    return f"{prefix}{numbers}"
