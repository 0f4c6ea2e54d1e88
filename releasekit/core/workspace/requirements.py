"""Raises requirements on siblings to their next versions and keeps the form in which they are written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from releasekit.core.workspace.workspace import fits, is_template

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# PEP 508: a name, its extras, and the specifier, in parentheses or not. The marker follows ";".
_REQUIREMENT = re.compile(
    r"(?P<head>\s*[A-Za-z0-9._-]+\s*(?:\[[^\]]*\])?\s*\(?)(?P<specifier>[^;()]*)(?P<tail>.*)", re.DOTALL
)
_CLAUSE = re.compile(r"(?P<operator>===|~=|==|!=|<=|>=|<|>)(?P<gap>\s*)(?P<version>[^\s,]+)")
_RELEASE = re.compile(r"\s*v?(?:\d+!)?\d+(?:\.\d+)*")
_LOWER = (">=", ">")


def is_live(specifier: SpecifierSet, offered: Collection[Version]) -> bool:
    """Return whether a requirement on a sibling is for the sibling in the workspace, not for an older release.

    *offered* are the versions of the sibling in the workspace (see `offers_of`). If it is empty, no version is known,
    and every requirement is live.
    """
    return not offered or any(fits(specifier, version) for version in offered)


def requirement_key(requirement: Requirement) -> str:
    """Return *requirement* without extras and marker, in a normalised spelling: "core<2,>=1"."""
    return f"{canonicalize_name(requirement.name)}{requirement.specifier}"


def raise_requirement(written: str, version: Version, *, always: bool = False, strict: bool = False) -> str:
    """Return the requirement *written* (PEP 508), raised so that *version* satisfies it. Only its versions change.

    A requirement that *version* already satisfies does not change, unless *always* is set: then its lower bound
    follows *version*. With *strict*, a prerelease must satisfy it under PEP 440. Otherwise it is enough if its final
    version does: 1.3rc1 then satisfies `>=1.3`.
    """
    if is_template(written) or Requirement(written).url:
        return written
    parts = _REQUIREMENT.fullmatch(written)
    assert parts, written  # noqa: S101  packaging has parsed it
    raised = raise_specifier(parts["specifier"], version, always=always, strict=strict)
    return f"{parts['head']}{raised}{parts['tail']}" if raised != parts["specifier"] else written


def raise_specifier(written: str, version: Version, *, always: bool = False, strict: bool = False) -> str:
    """Return the specifier *written* (PEP 440), raised so that *version* satisfies it; each clause keeps its form."""
    specifier = SpecifierSet(written)
    satisfied = specifier.contains(version, prereleases=True) if strict else fits(specifier, version)
    if satisfied and not always:
        return written
    raised: list[str] = []
    for clause in written.split(","):
        match = _CLAUSE.search(clause)
        if not match:
            raised.append(clause)
            continue
        operator, bound = match["operator"], match["version"]
        included = Specifier(f"{operator}{bound}").contains(version, prereleases=True)
        if operator == "!=" and not included:
            continue
        start, end = clause[: match.start()], clause[match.end() :]
        raised.append(f"{start}{_raise_clause(operator, match['gap'], bound, version, included=included)}{end}")
    text = ",".join(raised)
    # Space before the first clause belongs to the name, so it stays even if that clause is dropped.
    return text if text.strip() else text.strip()


def _raise_clause(operator: str, gap: str, bound: str, version: Version, *, included: bool) -> str:
    if operator in _LOWER:
        return f">={gap}{version}"
    if operator == "~=":
        return f"{operator}{gap}{_as_many_parts(bound, version)}"
    if operator == "==" and bound.endswith(".*"):
        return f"{operator}{gap}{bound if included else _prefix(bound, version)}"
    if operator in ("==", "==="):
        return f"{operator}{gap}{version}"
    if included:
        return f"{operator}{gap}{bound}"
    return f"{operator}{gap}{version if operator == '<=' else _next_limit(bound, version)}"


def _as_many_parts(bound: str, version: Version) -> str:
    """Return *version* with as many release numbers as *bound* has; a prerelease keeps all its parts."""
    if version.is_prerelease and len(version.release) > 1:
        return str(version)
    parts = len(Version(bound).release)
    suffix = _RELEASE.sub("", str(version), count=1) if version.is_prerelease else ""
    return f"{_join(version.epoch, (*version.release, *(0,) * parts)[:parts])}{suffix}"


def _prefix(bound: str, version: Version) -> str:
    parts = len(Version(bound.removesuffix(".*")).release)
    return f"{_join(version.epoch, (*version.release, *(0,) * parts)[:parts])}.*"


def _next_limit(bound: str, version: Version) -> str:
    """Return the next exclusive upper bound after *bound* when *version* has reached it: "<2" becomes "<3".

    The last number of *bound* that is not zero increases. The count of numbers and the suffix stay.
    """
    limit = Version(bound)
    last = max((index for index, number in enumerate(limit.release) if number), default=0)
    head = [*version.release, *(0,) * len(limit.release)][: last + 1]
    head[-1] += 1
    zeros = (0,) * (len(limit.release) - len(head))
    return f"{_join(version.epoch, (*head, *zeros))}{_RELEASE.sub('', bound, count=1)}"


def _join(epoch: int, release: Iterable[int]) -> str:
    return f"{f'{epoch}!' if epoch else ''}{'.'.join(map(str, release))}"
