"""Adopts a repository with earlier releases: which tags are releases, what is missing, what to configure."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import commonpath
from typing import TYPE_CHECKING, Any, Literal

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.config.settings import settings_of
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.tags import TagScheme
from releasekit.core.version_numbers import (
    PyVersion,
    parse_version,
)
from releasekit.core.workspace.toml_edits import edit_toml, line_end, parses_to
from releasekit.core.workspace.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from packaging.requirements import Requirement
    from packaging.version import Version

    from releasekit.core.config.settings import Settings
    from releasekit.core.workspace.workspace import Member, Workspace

DEFAULT_TAG_FORMAT = "{name}-v{version}"
_SEPARATORS = (
    "-v",
    "==",
    "@v",
    "@",
    "/v",
    "/",
    "_v",
    "-",
)  # between name and version; longer ones first
_BARE_VERSION = re.compile(r"(?P<v>v?)(?P<version>\d[^/]*)")
# Directories of packages for people to look at, not to install from an index.
SAMPLE_DIRECTORIES = frozenset(
    ("demo", "demos", "example", "examples", "playground", "sample", "samples", "testapps", "tests")
)


BaselineSource = Literal["tag", "index", "first", "unasked", "home"]


class AdoptedPackage(BaseModel):
    """The last release of one package, as `init` detects it.

    *baseline*: "tag", "index" (released, no tag), "first" (never released), "unasked" (no tag, no index was queried)
    or "home" (the package is not published). *commit* is empty if the commit of the release is unknown.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    path: str
    declared: PyVersion | None
    baseline: BaselineSource
    version: PyVersion | None = None
    tag: str = ""
    commit: str = ""
    note: str = ""


class Adoption(BaseModel):
    """What `init` detected, and what it does or would do.

    *tag_format* has the formats of the tags; *unexplained* are tags that no package's format reads. *missing* maps the
    tags that last releases lack to their commits. *diffs* are the changes to files, by path; *written* is true if they
    were written. *made* are the tags that were created.
    """

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.init/1"] = Field(default="releasekit.init/1", alias="schema")
    tag_format: tuple[str, ...]
    label: str
    packages: tuple[AdoptedPackage, ...]
    unexplained: tuple[str, ...] = ()
    missing: dict[str, str] = {}
    diffs: dict[str, str] = {}
    written: bool = False
    made: tuple[str, ...] = ()


# ---- which tags are releases ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ParsedTag:
    """A tag read as *version* of the package *name* by *pattern*; *name* is empty for a version alone."""

    pattern: str
    label: str
    name: str
    version: Version


def parse_tags(tags: Iterable[str], names: Collection[str], label: str = "") -> dict[str, ParsedTag]:
    """Return the *tags* that are the version of a member, or a version alone, in any known form.

    A repository has one label: *label*, or if that is empty, the label of most tags. Tags with other labels are left
    out.
    """
    form = re.compile(
        rf"(?:(?P<label>\S+?)(?P<sep>[/-]))??(?P<name>{_alternatives(names)})"
        rf"(?P<joint>{'|'.join(map(re.escape, _SEPARATORS))})(?P<version>\d[^/]*)",
        re.IGNORECASE,
    )
    parsed: dict[str, ParsedTag] = {}
    for tag in tags:
        read = _parse_tag(tag, form)
        if read is not None:
            parsed[tag] = read
    used_label = label or _most_common_label(parsed.values())
    accepted = ("", used_label)
    return {tag: read for tag, read in parsed.items() if read.label in accepted}


def _most_common_label(tags: Iterable[ParsedTag]) -> str:
    """Return the label of most *tags*; empty if none has a label."""
    labels = Counter(tag.label for tag in tags if tag.label)
    return max(labels, key=labels.__getitem__, default="")


def unclaimed_tags(tags: Iterable[str], own: Mapping[str, TagScheme]) -> tuple[str, ...]:
    """Return the *tags* that belong to no package in *own*, the schemes of packages by name."""
    return tuple(tag for tag in tags if not _belongs_to_one(tag, own))


def _belongs_to_one(tag: str, own: Mapping[str, TagScheme]) -> bool:
    return any(_is_claimed(tag, name, scheme) for name, scheme in own.items())


def _is_claimed(tag: str, name: str, scheme: TagScheme) -> bool:
    """Return whether *scheme*, which only the package *name* has, reads *tag* as a tag of this package."""
    names = {read for read, _ in scheme.readings(tag)}
    return not names.isdisjoint(("", name))


def _alternatives(names: Collection[str]) -> str:
    longest = sorted(names, key=len, reverse=True)
    alternatives = [re.escape(name).replace(r"\-", "[-_.]+") for name in longest]
    return "|".join(alternatives or ["(?!)"])


def _parse_tag(tag: str, form: re.Pattern[str]) -> ParsedTag | None:
    named = form.fullmatch(tag)
    match = named or _BARE_VERSION.fullmatch(tag)
    if match is None:
        return None
    version = parse_version(match["version"])
    if version is None:
        return None
    if named is None:
        return ParsedTag(f"{match['v']}{{version}}", "", "", version)
    groups = named.groupdict(default="")
    label = groups["label"]
    prefix = f"{{label}}{groups['sep']}" if label else ""
    joint = groups["joint"].lower()
    return ParsedTag(
        pattern=f"{prefix}{{name}}{joint}{{version}}",
        label=label,
        name=canonicalize_name(groups["name"]),
        version=version,
    )


def highest_tag(tags: Mapping[str, ParsedTag], name: str, limit: Version | None) -> str:
    """Return the tag of *name* with the highest version not above *limit* (None: no limit); empty if there is none."""
    own = {tag: read.version for tag, read in tags.items() if read.name == name}
    if limit is not None:
        own = {tag: version for tag, version in own.items() if version <= limit}
    return max(own, key=own.__getitem__, default="")


@dataclass(frozen=True, slots=True)
class TagFormats:
    """The tag formats; the first is written. *bare_owner*: the one package whose tags have no name, and its format."""

    patterns: tuple[str, ...]
    label: str = ""
    bare_owner: tuple[str, str] | None = None


def detect_tag_formats(
    tags: Mapping[str, ParsedTag],
    members: Sequence[Member],
    declared_versions: Mapping[str, Version | None],
    settings: Settings,
    *,
    configured: bool,
) -> TagFormats:
    """Return the formats that explain *tags*; if *configured*, the formats in *settings* stay first.

    A tag without a name may be the release of all packages in lockstep, of one package, or of none (a tag of the
    release as a whole). The files decide: *declared_versions* has the version that each package declared at the commit
    of the highest such tag that may be its own, None if it declared none. Packages with tags that name them do not need
    such tags.
    """
    named: dict[str, str] = {}
    bare: dict[str, str] = {}
    for member in members:
        named[member.name] = highest_tag(tags, member.name, member.version)
        bare[member.name] = highest_tag(tags, "", member.version)
    claims = _claim_bare_tags(tags, declared_versions, named, bare)
    only_bare = any(bare.values()) and not any(named.values())
    lockstep = claims.are_shared(len(members), only_bare=only_bare)
    last = named
    if lockstep:
        last = {name: _higher_tag(tags, named[name], bare[name]) for name in named}
    last_releases = [tags[tag] for tag in filter(None, last.values())]
    releases = _release_tags(tags.values(), last_releases, lockstep=lockstep)
    detected = _patterns_by_frequency(releases, last_releases, members)
    label = settings.label or next((read.label for read in tags.values() if read.label), "")
    patterns = detected
    if configured:
        scheme = TagScheme(settings.tag_format, label)
        uncovered = [pattern for pattern in detected if not _is_covered(pattern, scheme, tags)]
        patterns = [*scheme.patterns, *uncovered]
    unique = tuple(dict.fromkeys(patterns)) or (DEFAULT_TAG_FORMAT,)
    owner = None if lockstep else claims.single_owner(members)
    if owner is None:
        return TagFormats(unique, label)
    owned_tag = tags[bare[owner]]
    return TagFormats(unique, label, (owner, owned_tag.pattern))


def _as_tuple(tag_format: str | Sequence[str]) -> tuple[str, ...]:
    return (tag_format,) if isinstance(tag_format, str) else tuple(tag_format)


def _release_tags(tags: Iterable[ParsedTag], last: Iterable[ParsedTag], *, lockstep: bool) -> list[ParsedTag]:
    """Return the *tags* of packages; in *lockstep* also those without a name, up to the *last* releases."""
    if not lockstep:
        return [tag for tag in tags if tag.name]
    newest = max(tag.version for tag in last)
    return [tag for tag in tags if tag.name or tag.version <= newest]


def _patterns_by_frequency(
    releases: Iterable[ParsedTag], last: Iterable[ParsedTag], members: Sequence[Member]
) -> list[str]:
    """Return the patterns of *releases*: those of the *last* ones first, the most frequent first."""
    used = Counter(tag.pattern for tag in last)
    ever = Counter(tag.pattern for tag in releases)
    by_count = [*used.most_common(), *ever.most_common()]
    patterns = list(dict(by_count))
    named = [pattern for pattern in patterns if "{name}" in pattern]
    # New tags already name their package, or there are no tags at all.
    if patterns[:1] == named[:1]:
        return patterns
    still_named = not used.keys().isdisjoint(named)
    if still_named or not is_lockstep(members):
        # The packages have separate versions now, so their new tags must name them.
        patterns.insert(0, next(iter(named), DEFAULT_TAG_FORMAT))
    return patterns


@dataclass(frozen=True, slots=True)
class _BareTagClaims:
    """Which packages may own the tags without a name.

    *same* are those that declared the version of their highest such tag at its commit, *other* those that declared
    another version. *needed* are those of *same* without an equally high tag that names them.
    """

    same: list[str]
    other: list[str]
    needed: list[str]

    def are_shared(self, packages: int, *, only_bare: bool) -> bool:
        """Return whether the tags are for all *packages*, given as their number; *only_bare*: there are no others."""
        if packages == 1:
            return only_bare or bool(self.needed)
        declared = [*self.same, *self.other]
        if only_bare and not declared:
            return True
        is_majority = len(self.same) > max(1, len(self.other))
        return is_majority and bool(self.needed)

    def single_owner(self, members: Iterable[Member]) -> str | None:
        """Return the one package that owns the tags, None if there is no such package."""
        if len(self.needed) != 1:
            return None
        (owner,) = self.needed
        paths = {member.name: member.path for member in members}
        # The root has no own table: its [tool.releasekit] is for the whole workspace.
        is_root = paths[owner] == "."
        return None if is_root else owner


def _claim_bare_tags(
    tags: Mapping[str, ParsedTag],
    declared_versions: Mapping[str, Version | None],
    named: Mapping[str, str],
    bare: Mapping[str, str],
) -> _BareTagClaims:
    """Compare the tags without a name with *declared_versions*.

    *named* and *bare* map each package to its highest tag with its name, and without a name; empty if it has none.
    """
    same: list[str] = []
    other: list[str] = []
    for name in filter(bare.get, bare):
        declared = declared_versions.get(name)
        if declared == tags[bare[name]].version:
            same.append(name)
        elif declared is not None:
            other.append(name)
    needed = [name for name in same if _higher_tag(tags, named[name], bare[name]) == bare[name]]
    return _BareTagClaims(same, other, needed)


def _higher_tag(tags: Mapping[str, ParsedTag], one: str, other: str) -> str:
    """Return the tag with the higher version, or *one* if they are equal; either may be empty."""
    return max(filter(None, (one, other)), key=lambda tag: tags[tag].version, default="")


def is_lockstep(members: Sequence[Member]) -> bool:
    """Return whether all *members* declare the same version, or none declares any."""
    return len({member.version for member in members}) == 1


def _is_covered(pattern: str, scheme: TagScheme, tags: Mapping[str, ParsedTag]) -> bool:
    """Return whether *scheme* already reads all tags of the form *pattern*."""
    of_pattern = {tag: (read.name, read.version) for tag, read in tags.items() if read.pattern == pattern}
    return all(reading in scheme.readings(tag) for tag, reading in of_pattern.items())


# ---- what to configure ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MissingKey:
    """A missing key of [tool.releasekit], and the comment that explains it."""

    name: str
    value: str | list[str] | dict[str, list[str]]
    comment: str


def suggest_groups(workspace: Workspace, published: Collection[str]) -> dict[str, list[str]]:
    """Return a group of path patterns for each directory of *published* packages, by name; none for one directory."""
    published_members = [workspace[name] for name in published]
    parents = [PurePosixPath(member.path).parent for member in published_members if member.path != "."]
    if not parents:
        return {}
    base = PurePosixPath(commonpath(parents))
    directories = sorted({parent.relative_to(base).parts[0] for parent in parents if parent != base})
    if len(directories) < 2:  # noqa: PLR2004  one directory needs no group
        return {}
    return {name: [str(base / name / "*")] for name in directories}


def choose_pins(workspace: Workspace, published: Collection[str]) -> str:
    """Return the value of `pins` that matches the requirements between *published* packages in their sources.

    Ranges mean "compatible"; `==`, or no version, means "exact". The majority decides; a tie means "exact". Empty if
    no package requires another.
    """
    requirements = list(_sibling_requirements(workspace, published))
    ranges = [requirement for requirement in requirements if _has_range(requirement)]
    if not requirements:
        return ""
    is_majority = len(ranges) * 2 > len(requirements)
    return "compatible" if is_majority else "exact"


def _sibling_requirements(workspace: Workspace, published: Collection[str]) -> Iterator[Requirement]:
    """Yield the requirements of *published* packages on each other in their metadata."""
    for name in published:
        siblings = set(published) - {name}
        for need in workspace[name].needs:
            is_published = need.kind in (Kind.RUNTIME, Kind.EXTRA)
            if is_published and need.name in siblings:
                yield need.requirement


def _has_range(requirement: Requirement) -> bool:
    operators = {clause.operator for clause in requirement.specifier}
    return not operators.isdisjoint(_RANGES)


_RANGES = frozenset((">=", ">", "~=", "<", "<="))


def sample_patterns(workspace: Workspace, released: Collection[str]) -> list[str]:
    """Return path patterns of sample directories whose publishable packages were never released."""
    by_pattern: dict[str, set[str]] = {}
    for member in workspace.publishable:
        pattern = _sample_pattern(member.path)
        if pattern:
            by_pattern.setdefault(pattern, set()).add(member.name)
    return [pattern for pattern, names in by_pattern.items() if names.isdisjoint(released)]


def _sample_pattern(path: str) -> str:
    """Return the pattern of the outermost sample directory around *path*; empty if it is in none."""
    parents = path.split("/")[:-1]
    for depth, part in enumerate(parents, start=1):
        if part.lower() in SAMPLE_DIRECTORIES:
            return "/".join([*parents[:depth], "*"])
    return ""


def missing_keys(
    table: Mapping[str, Any],
    tagging: TagFormats,
    members: Sequence[Member],
    groups: dict[str, list[str]],
    samples: list[str],
    pins: str = "",
) -> list[MissingKey]:
    """Return the keys that *table*, [tool.releasekit], lacks; *pins* is empty if the key is not needed."""
    keys: list[MissingKey] = []
    patterns = tagging.patterns
    if patterns != _as_tuple(table.get("tag_format", DEFAULT_TAG_FORMAT)):
        tag_format = MissingKey(
            name="tag_format",
            value=patterns[0] if len(patterns) == 1 else list(patterns),
            comment="How releases are tagged. In a list, the first format is for new tags; all are read.",
        )
        keys.append(tag_format)
    uses_label = any("{label}" in pattern for pattern in patterns)
    shares_version = len(members) > 1 and is_lockstep(members)
    shares_tag = "{name}" not in patterns[0]
    optional_keys = (
        MissingKey(
            name="label",
            value=tagging.label if uses_label else "",
            comment="",
        ),
        MissingKey(
            name="versioning",
            value="fixed" if shares_tag and shares_version else "",
            comment="One tag and one version for all packages.",
        ),
        MissingKey(
            name="pins",
            value=pins,
            comment=_WHY_PINS.get(pins, ""),
        ),
        MissingKey(
            name="exclude",
            value=samples,
            comment="Never released so far. Remove what you want to publish.",
        ),
        MissingKey(
            name="groups",
            value=groups,
            comment='For --group. `{ packages = [...], versioning = "fixed" }` gives a group one version.',
        ),
    )
    keys += [key for key in optional_keys if key.value and key.name not in table]
    return keys


_WHY_PINS = {
    "exact": "A built package requires exactly the released version of each sibling.",
    "compatible": "A built package requires a compatible range of each sibling, as your sources do.",
}


def configured_text(text: str, keys: Sequence[MissingKey], display_path: str = "pyproject.toml") -> str:
    """Return the pyproject.toml *text* with *keys* in its [tool.releasekit]; everything else stays the same.

    Raises Refusal RK-CONFIG-INVALID-VALUE if the table cannot be edited in the form in which it is written, or if a
    value is invalid.
    """
    before = tomllib.loads(text)
    tool = before.get("tool", {})
    added = {key.name: key.value for key in keys}
    if "releasekit" not in tool:
        appended = _append_table(text, keys)
        expected = {**before, "tool": {**tool, "releasekit": added}}
        after = appended if parses_to(appended, expected) else None
    elif not keys:
        return text
    else:
        after = edit_toml(text, lambda document: document["tool"]["releasekit"].update(added))
    if after is None:
        names = ", ".join(added)
        assignments = "; ".join(f"{name} = {_toml(value)}" for name, value in added.items())
        raise Refusal(
            code=ErrorCode.CONFIG_INVALID_VALUE,
            message=f"{names} cannot be added to [tool.releasekit] as it is written",
            location=display_path,
            hint=f"Add by hand: {assignments}",
        )
    settings_of(tomllib.loads(after), after)
    return after


def _append_table(text: str, keys: Sequence[MissingKey]) -> str:
    """Return *text* with a new table [tool.releasekit], after a blank line."""
    lines = ["[tool.releasekit]"]
    if all(isinstance(key.value, dict) for key in keys):
        lines.append("# The defaults fit this workspace. `releasekit plan` shows what would be released, and why.")
    for key in keys:
        lines += _key_lines(key)
    ends = line_end(text)
    table = ends.join([*lines, ""])
    if not text:
        return table
    last_line_end = "" if text.endswith("\n") else ends
    return f"{text}{last_line_end}{ends}{table}"


def _key_lines(key: MissingKey) -> list[str]:
    import tomlkit

    comment = [f"# {key.comment}"] if key.comment else []
    if not isinstance(key.value, dict):
        return [*comment, f"{key.name} = {_toml(key.value)}"]
    items = [f"{tomlkit.key(name).as_string()} = {_toml(value)}" for name, value in key.value.items()]
    return ["", *comment, f"[tool.releasekit.{key.name}]", *items]


def _toml(value: object) -> str:
    import tomlkit

    item: Any = tomlkit.item  # its type hints accept fewer types than it does
    return item(value).as_string()


def missing_tags(wanted: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the commit of each tag in the (tag, commit) pairs *wanted*, without tags for several commits."""
    commits: dict[str, set[str]] = {}
    for tag, commit in wanted:
        commits.setdefault(tag, set()).add(commit)
    return {tag: next(iter(those)) for tag, those in commits.items() if len(those) == 1}
