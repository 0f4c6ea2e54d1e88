"""The one place that knows how tags are written and read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tasks.core.errors import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What git refuses in a reference name (git-check-ref-format), for one below refs/tags/.
# Of its own, `git tag` refuses a leading hyphen besides.
_REFUSED = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-./]|/\.|[./]$|\.lock(/|$)")
_PLACEHOLDER = re.compile(r"\{(name|version|label)\}")


@dataclass(frozen=True)
class TagScheme:
    """How a package's tag is made from its name and version, and how both are found in a tag again.

    Raises Refusal RK-TAG-INVALID for a format that git would refuse, or from which name and version cannot be told.
    """

    pattern: str
    label: str = ""

    def __post_init__(self) -> None:
        held = _PLACEHOLDER.findall(self.pattern)
        if (
            held.count("version") != 1
            or held.count("name") > 1
            or re.search("[{}]", _PLACEHOLDER.sub("", self.pattern))
        ):
            raise Refusal(
                Code.TAG_INVALID, f"{self.pattern!r} must hold {{version}}, and may hold {{name}} and {{label}}"
            )
        name, version = "name" if "name" in held else "", Version("1.0")
        tag = self.tag(name, version)
        if self.read(tag) != (name, version):
            raise Refusal(Code.TAG_INVALID, f"{self.pattern!r} makes {tag!r}, from which nobody can tell the version")

    def tag(self, name: str, version: Version) -> str:
        """Return the tag of *version* of the package *name*."""
        given = {"name": name, "version": str(version), "label": self.label}
        tag = _PLACEHOLDER.sub(lambda found: given[found[1]], self.pattern)
        if _REFUSED.search(tag):
            raise Refusal(Code.TAG_INVALID, f"{self.pattern!r} makes {tag!r}, which git refuses as a tag")
        return tag

    def read(self, tag: str) -> tuple[str, Version] | None:
        """Return the normalised name (empty if the format holds none) and the version in *tag*, if it is one."""
        found = self._regex.fullmatch(tag)
        if not found:
            return None
        try:
            return canonicalize_name(found.groupdict().get("name") or ""), Version(found["version"])
        except InvalidVersion:
            return None

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        parts = re.split(r"(\{\w+\})", self.pattern)
        # A version as packaging writes it has no hyphen, so where a name follows, the first one ends it.
        known = {"{name}": r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)", "{version}": r"(?P<version>v?\d[^/]*?)"}
        known["{label}"] = re.escape(self.label)
        return re.compile("".join(known.get(part, re.escape(part)) for part in parts))


@dataclass(frozen=True, slots=True)
class Baseline:
    """The last release of a package: its tag, its version, and the commit that the tag points to."""

    tag: str
    version: Version
    commit: str


def baselines(
    tags: Mapping[str, str], scheme: TagScheme, declared: Mapping[str, Version | None]
) -> dict[str, Baseline]:
    """Return the last release of each package of *declared* that has a tag among *tags* (name to commit).

    That is the highest version not above the declared one: on a maintenance branch of 1.x, a tag of 2.0 is another
    branch's. A package whose version only the tags know has the highest of them.
    Raises Refusal RK-TAG-INVALID for a scheme without `{name}`: its tags are nobody's.
    """
    if "{name}" not in scheme.pattern:
        raise Refusal(Code.TAG_INVALID, f"{scheme.pattern!r} must hold {{name}}: each package has tags of its own")
    found: dict[str, Baseline] = {}
    for tag, commit in tags.items():
        name, version = scheme.read(tag) or ("", None)
        if version is None or name not in declared:
            continue
        limit = declared[name]
        if limit is not None and version > limit:
            continue
        if name not in found or version > found[name].version:
            found[name] = Baseline(tag, version, commit)
    return found


def umbrella(
    pattern: str, label: str, versions: Iterable[Version], lead: Version | None, date: str, taken: Iterable[str]
) -> str:
    """Return the tag of the release as a whole.

    It holds the version that all released packages share, or that of the lead package; where there is neither, or
    that tag is taken, it is `release-DATE`, numbered from 2 when that is taken too. *date* is "YYYY.MM.DD".
    """
    used = set(taken)
    shared = set(versions)
    version = next(iter(shared)) if len(shared) == 1 else lead
    if version is not None:
        tag = TagScheme(pattern, label).tag("", version)
        if tag not in used:
            return tag
    tag, number = f"release-{date}", 1
    while tag in used:
        number += 1
        tag = f"release-{date}.{number}"
    return tag
