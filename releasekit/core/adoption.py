"""Adopts a repository with earlier releases: which tags are releases, what is missing, what to configure."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
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
    from collections.abc import Collection, Iterable, Mapping, Sequence

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
    parsed = {tag: read for tag in tags if (read := _parse_tag(tag, form))}
    labels = Counter(read.label for read in parsed.values() if read.label)
    used_label = label or next((common_label for common_label, _ in labels.most_common(1)), "")
    return {tag: read for tag, read in parsed.items() if read.label in ("", used_label)}


def unclaimed_tags(tags: Iterable[str], own: Mapping[str, TagScheme]) -> tuple[str, ...]:
    """Return the *tags* that belong to no package in *own*, the schemes of packages by name."""
    return tuple(
        tag
        for tag in tags
        if not any(read in ("", name) for name, scheme in own.items() for read, _ in scheme.readings(tag))
    )


def _alternatives(names: Collection[str]) -> str:
    longest = sorted(names, key=len, reverse=True)
    return "|".join(re.escape(name).replace(r"\-", "[-_.]+") for name in longest) or "(?!)"


def _parse_tag(tag: str, form: re.Pattern[str]) -> ParsedTag | None:
    if named := form.fullmatch(tag):
        version = parse_version(named["version"])
        prefix = f"{{label}}{named['sep']}" if named["label"] else ""
        pattern = f"{prefix}{{name}}{named['joint'].lower()}{{version}}"
        return ParsedTag(pattern, named["label"] or "", canonicalize_name(named["name"]), version) if version else None
    if bare := _BARE_VERSION.fullmatch(tag):
        version = parse_version(bare["version"])
        return ParsedTag(f"{bare['v']}{{version}}", "", "", version) if version else None
    return None


def highest_tag(tags: Mapping[str, ParsedTag], name: str, limit: Version | None) -> str:
    """Return the tag of *name* with the highest version not above *limit* (None: no limit); empty if there is none."""
    mine = (tag for tag, read in tags.items() if read.name == name and (limit is None or read.version <= limit))
    return max(mine, key=lambda tag: tags[tag].version, default="")


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
    last = {member.name: highest_tag(tags, member.name, member.version) for member in members}
    bare = {member.name: tag for member in members if (tag := highest_tag(tags, "", member.version))}
    lockstep, bare_owner = _bare_tag_owner(tags, members, declared_versions, last, bare)
    if lockstep:
        last = {name: _higher_tag(tags, tag, bare.get(name, "")) for name, tag in last.items()}
    used = Counter(tags[tag].pattern for tag in last.values() if tag)
    newest = max((tags[tag].version for tag in last.values() if tag and lockstep), default=None)
    ever = Counter(
        read.pattern for read in tags.values() if read.name or (newest is not None and read.version <= newest)
    )
    by_frequency = list(dict.fromkeys(pattern for counter in (used, ever) for pattern, _ in counter.most_common()))
    named = [pattern for pattern in by_frequency if "{name}" in pattern]
    if (
        by_frequency
        and "{name}" not in by_frequency[0]
        and (not is_lockstep(members) or any(used[pattern] for pattern in named))
    ):
        by_frequency.insert(0, next(iter(named), DEFAULT_TAG_FORMAT))  # the packages have separate versions now
    label = settings.label or next((read.label for read in tags.values() if read.label), "")
    now = settings.tag_format
    patterns = ([now] if isinstance(now, str) else list(now)) if configured else []
    patterns += [pattern for pattern in by_frequency if not _is_covered(pattern, patterns, tags, label)]
    return TagFormats(tuple(dict.fromkeys(patterns)) or (DEFAULT_TAG_FORMAT,), label, bare_owner)


def _bare_tag_owner(
    tags: Mapping[str, ParsedTag],
    members: Sequence[Member],
    declared_versions: Mapping[str, Version | None],
    last: Mapping[str, str],
    bare: Mapping[str, str],
) -> tuple[bool, tuple[str, str] | None]:
    """Return whether tags without a name are for all packages; otherwise the one owner and its pattern, if any.

    *last* and *bare* map each package to its highest tag with its name, and without a name.
    """
    same = [name for name, tag in bare.items() if declared_versions.get(name) == tags[tag].version]
    other = [name for name, tag in bare.items() if declared_versions.get(name) not in (None, tags[tag].version)]
    needed = [name for name in same if _higher_tag(tags, last[name], bare[name]) == bare[name]]
    if bare and not any(last.values()) and (len(members) == 1 or not (same or other)):
        return True, None  # no other tags; and only one package, or no file declares a version
    if needed and len(same) > len(other) and (len(same) > 1 or len(members) == 1):
        return True, None
    paths = {member.name: member.path for member in members}
    # The root has no own table: its [tool.releasekit] is for the whole workspace.
    if len(needed) == 1 and paths[needed[0]] != ".":
        return False, (needed[0], tags[bare[needed[0]]].pattern)
    return False, None


def _higher_tag(tags: Mapping[str, ParsedTag], one: str, other: str) -> str:
    """Return the tag with the higher version, or *one* if they are equal; either may be empty."""
    return max(filter(None, (one, other)), key=lambda tag: tags[tag].version, default="")


def is_lockstep(members: Sequence[Member]) -> bool:
    """Return whether all *members* declare the same version, or none declares any."""
    return len({member.version for member in members}) == 1


def _is_covered(pattern: str, patterns: Sequence[str], tags: Mapping[str, ParsedTag], label: str) -> bool:
    """Return whether *patterns* already read all tags of the form *pattern*."""
    if not patterns:
        return False
    scheme = TagScheme(tuple(patterns), label)
    return all(
        (read.name, read.version) in scheme.readings(tag) for tag, read in tags.items() if read.pattern == pattern
    )


# ---- what to configure ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MissingKey:
    """A missing key of [tool.releasekit], and the comment that explains it."""

    name: str
    value: str | list[str] | dict[str, list[str]]
    comment: str


def suggest_groups(workspace: Workspace, published: Collection[str]) -> dict[str, list[str]]:
    """Return a group of path patterns for each directory of *published* packages, by name; none for one directory."""
    paths = [member.path.split("/") for member in workspace if member.path != "." and member.name in published]
    shared = 0
    while paths and all(len(path) > shared + 1 and path[shared] == paths[0][shared] for path in paths):
        shared += 1
    base = "".join(f"{part}/" for part in (paths[0][:shared] if paths else ()))
    directories = sorted({path[shared] for path in paths if len(path) > shared + 1})
    return {name: [f"{base}{name}/*"] for name in directories} if len(directories) > 1 else {}


def choose_pins(workspace: Workspace, published: Collection[str]) -> str:
    """Return the value of `pins` that matches the requirements between *published* packages in their sources.

    Ranges mean "compatible"; `==`, or no version, means "exact". The majority decides; a tie means "exact". Empty if
    no package requires another.
    """
    specifiers = [
        need.requirement.specifier
        for member in workspace
        if member.name in published
        for need in member.needs
        if need.kind in (Kind.RUNTIME, Kind.EXTRA) and need.name in published and need.name != member.name
    ]
    ranges = sum(any(clause.operator in _RANGES for clause in specifier) for specifier in specifiers)
    if not specifiers:
        return ""
    return "compatible" if ranges * 2 > len(specifiers) else "exact"


_RANGES = frozenset((">=", ">", "~=", "<", "<="))


def sample_patterns(workspace: Workspace, released: Collection[str]) -> list[str]:
    """Return path patterns of sample directories whose publishable packages were never released."""
    never_released: dict[str, bool] = {}
    for member in workspace:
        parts = member.path.split("/")[:-1]
        position = next((number for number, part in enumerate(parts) if part.lower() in SAMPLE_DIRECTORIES), None)
        if position is not None and member.publishable:
            pattern = "/".join([*parts[: position + 1], "*"])
            never_released[pattern] = never_released.get(pattern, True) and member.name not in released
    return [pattern for pattern, never in never_released.items() if never]


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
    now: Any = table.get("tag_format", DEFAULT_TAG_FORMAT)
    if patterns != ((now,) if isinstance(now, str) else tuple(now)):
        value = patterns[0] if len(patterns) == 1 else list(patterns)
        keys.append(
            MissingKey(
                "tag_format",
                value,
                "How releases are tagged. In a list, the first format is for new tags; all are read.",
            )
        )
    if tagging.label and "label" not in table and any("{label}" in pattern for pattern in patterns):
        keys.append(MissingKey("label", tagging.label, ""))
    if "{name}" not in patterns[0] and "versioning" not in table and len(members) > 1 and is_lockstep(members):
        keys.append(MissingKey("versioning", "fixed", "One tag and one version for all packages."))
    if pins and "pins" not in table:
        keys.append(MissingKey("pins", pins, _WHY_PINS[pins]))
    if samples:
        keys.append(MissingKey("exclude", samples, "Never released so far. Remove what you want to publish."))
    if groups and "groups" not in table:
        comment = 'For --group. `{ packages = [...], versioning = "fixed" }` gives a group one version.'
        keys.append(MissingKey("groups", groups, comment))
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
    new = "releasekit" not in before.get("tool", {})
    if not (new or keys):
        return text
    added = {key.name: key.value for key in keys}
    if new:
        appended = _append_table(text, keys)
        expected = {**before, "tool": {**before.get("tool", {}), "releasekit": added}}
        after = appended if parses_to(appended, expected) else None
    else:
        after = edit_toml(text, lambda document: document["tool"]["releasekit"].update(added))
    if after is None:
        message = f"{', '.join(added)} cannot be added to [tool.releasekit] as it is written"
        hint = "Add by hand: " + "; ".join(f"{key.name} = {_toml(key.value)}" for key in keys)
        raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, display_path, hint)
    settings_of(tomllib.loads(after), after)
    return after


def _append_table(text: str, keys: Sequence[MissingKey]) -> str:
    lines = ["[tool.releasekit]"]
    if all(isinstance(key.value, dict) for key in keys):
        lines.append("# The defaults fit this workspace. `releasekit plan` shows what would be released, and why.")
    for key in keys:
        lines += [f"# {key.comment}"] if key.comment else []
        if isinstance(key.value, dict):
            lines[-1:] = ["", lines[-1], f"[tool.releasekit.{key.name}]"]
            lines += [f"{_toml_key(name)} = {_toml(value)}" for name, value in key.value.items()]
        else:
            lines.append(f"{key.name} = {_toml(key.value)}")
    ends = line_end(text)
    gap = "" if not text else ends if text.endswith("\n") else ends * 2
    return text + gap + ends.join([*lines, ""])


def _toml(value: object) -> str:
    import tomlkit

    item: Any = tomlkit.item  # its type hints accept fewer types than it does
    return item(value).as_string()


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else _toml(name)


def missing_tags(wanted: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the commit of each tag in the (tag, commit) pairs *wanted*, without tags for several commits."""
    commits: dict[str, set[str]] = {}
    for tag, commit in wanted:
        commits.setdefault(tag, set()).add(commit)
    return {tag: next(iter(those)) for tag, those in commits.items() if len(those) == 1}
