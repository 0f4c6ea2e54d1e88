"""How a requirement on a sibling moves to the sibling's next version, in the form that it is written in."""

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

# PEP 508: a name, its extras, and the specifier in parentheses or bare; what follows ";" is the marker.
_REQUIREMENT = re.compile(
    r"(?P<head>\s*[A-Za-z0-9._-]+\s*(?:\[[^\]]*\])?\s*\(?)(?P<specifier>[^;()]*)(?P<tail>.*)", re.DOTALL
)
_CLAUSE = re.compile(r"(?P<operator>===|~=|==|!=|<=|>=|<|>)(?P<gap>\s*)(?P<version>[^\s,]+)")
_RELEASE = re.compile(r"\s*v?(?:\d+!)?\d+(?:\.\d+)*")
_LOWER = (">=", ">")


def is_live(specifier: SpecifierSet, offered: Collection[Version]) -> bool:
    """Return whether a requirement on a sibling means the sibling in the workspace, and not an older release.

    *offered* are the versions that the workspace has of it: the declared one, and the one that is released next.
    Nothing offered means that nobody knows, so any version will do.
    """
    return not offered or any(fits(specifier, version) for version in offered)


def requirement_key(requirement: Requirement) -> str:
    """Return *requirement* without extras and marker, in one spelling: "core<2,>=1"."""
    return f"{canonicalize_name(requirement.name)}{requirement.specifier}"


def raise_requirement(written: str, version: Version, *, always: bool = False, strict: bool = False) -> str:
    """Return the requirement *written* (PEP 508) so that *version* satisfies it; all but the versions in it stays.

    One that is satisfied stays as it is, unless its lower bound is *always* to follow. With *strict* a prerelease must
    satisfy it by itself (PEP 440); else it is enough that the version does which it announces.
    """
    if is_template(written) or Requirement(written).url:
        return written
    parts = _REQUIREMENT.fullmatch(written)
    assert parts, written  # noqa: S101  packaging has read it
    raised = raise_specifier(parts["specifier"], version, always=always, strict=strict)
    return f"{parts['head']}{raised}{parts['tail']}" if raised != parts["specifier"] else written


def raise_specifier(written: str, version: Version, *, always: bool = False, strict: bool = False) -> str:
    """Return the specifier *written* (PEP 440) so that *version* satisfies it, clause by clause in its own form."""
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
    # What stood before the first clause belongs to the name, and stays even if that clause is dropped.
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
    """Return *version* with as many release parts as *bound* has; a prerelease is named in full."""
    if version.is_prerelease and len(version.release) > 1:
        return str(version)
    parts = len(Version(bound).release)
    suffix = _RELEASE.sub("", str(version), count=1) if version.is_prerelease else ""
    return f"{_join(version.epoch, (*version.release, *(0,) * parts)[:parts])}{suffix}"


def _prefix(bound: str, version: Version) -> str:
    parts = len(Version(bound.removesuffix(".*")).release)
    return f"{_join(version.epoch, (*version.release, *(0,) * parts)[:parts])}.*"


def _next_limit(bound: str, version: Version) -> str:
    """Return the exclusive upper bound that follows *bound* once *version* has reached it: "<2" becomes "<3".

    The last part of *bound* that is not zero counts on; parts and suffix stay as many as they were.
    """
    limit = Version(bound)
    last = max((index for index, number in enumerate(limit.release) if number), default=0)
    head = [*version.release, *(0,) * len(limit.release)][: last + 1]
    head[-1] += 1
    zeros = (0,) * (len(limit.release) - len(head))
    return f"{_join(version.epoch, (*head, *zeros))}{_RELEASE.sub('', bound, count=1)}"


def _join(epoch: int, release: Iterable[int]) -> str:
    return f"{f'{epoch}!' if epoch else ''}{'.'.join(map(str, release))}"
