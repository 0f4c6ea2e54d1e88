"""Taking over a repository that has released before: which tags are releases, what is missing, what to configure."""

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
)  # what stands between name and version; the longer ones first
_BARE_VERSION = re.compile(r"(?P<v>v?)(?P<version>\d[^/]*)")
# Directories of packages that people look at, and that nobody installs from an index.
SAMPLE_DIRECTORIES = frozenset(
    ("demo", "demos", "example", "examples", "playground", "sample", "samples", "testapps", "tests")
)


BaselineSource = Literal["tag", "index", "first", "unasked", "home"]


class AdoptedPackage(BaseModel):
    """What is taken for the last release of one package.

    *baseline*: "tag", "index" (released, no tag), "first" (never released), "unasked" (no tag, no index was asked)
    or "home" (it is not to be published). *commit* is empty where nobody knows what the release was made from.
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
    """What `init` has found, and what it would do or has done.

    *tag_format* explains the tags; *unexplained* are tags that no package's format reads. *missing* are the tags that
    the last releases lack, with the commit of each. *diffs* are the changes to files, by path; *written* says whether
    they were made, *made* which tags were.
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
    """A tag as the tag of *name*'s *version*, written as *pattern* says; *name* is empty for a version alone."""

    pattern: str
    label: str
    name: str
    version: Version


def parse_tags(tags: Iterable[str], names: Collection[str], label: str = "") -> dict[str, ParsedTag]:
    """Return those of *tags* that are a member's version, or a version alone, in any form that is known.

    A repository has one label: the given one, or that which most tags have.
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
    """Return those of *tags* that are of no package that has a format of its *own*."""
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
    """Return the tag of *name* with the highest version that is not above *limit*; empty if there is none."""
    mine = (tag for tag, read in tags.items() if read.name == name and (limit is None or read.version <= limit))
    return max(mine, key=lambda tag: tags[tag].version, default="")


@dataclass(frozen=True, slots=True)
class TagFormats:
    """The formats of the tags, that which is written first; *bare_owner* has the one package whose tags name nobody."""

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
    """Return the formats that explain *tags*; those that are *configured* stay in front.

    A version alone may be the release of all packages in lockstep, of one of them, or of none (a tag of the release as
    a whole). The files tell: *declared_versions* has the version that each package declared at the commit of the
    highest such tag that may be its own, None where it declared none. Packages that a tag names need none of these.
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
        by_frequency.insert(0, next(iter(named), DEFAULT_TAG_FORMAT))  # they have begun to go their own ways
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
    """Tell whether the tags without a name are everybody's; else whose they are alone, with their form, if anybody's.

    *last* and *bare* are each package's highest tag with its name, and without one.
    """
    same = [name for name, tag in bare.items() if declared_versions.get(name) == tags[tag].version]
    other = [name for name, tag in bare.items() if declared_versions.get(name) not in (None, tags[tag].version)]
    needed = [name for name in same if _higher_tag(tags, last[name], bare[name]) == bare[name]]
    if bare and not any(last.values()) and (len(members) == 1 or not (same or other)):
        return True, None  # there are no other tags; and there is nobody else, or no file has ever said
    if needed and len(same) > len(other) and (len(same) > 1 or len(members) == 1):
        return True, None
    paths = {member.name: member.path for member in members}
    if len(needed) == 1 and paths[needed[0]] != ".":  # the root has no table of its own beside everybody's
        return False, (needed[0], tags[bare[needed[0]]].pattern)
    return False, None


def _higher_tag(tags: Mapping[str, ParsedTag], one: str, other: str) -> str:
    """Return the tag with the higher version, the first of equals; either may be empty."""
    return max(filter(None, (one, other)), key=lambda tag: tags[tag].version, default="")


def is_lockstep(members: Sequence[Member]) -> bool:
    """Tell whether all of *members* declare one version, or none of them any."""
    return len({member.version for member in members}) == 1


def _is_covered(pattern: str, patterns: Sequence[str], tags: Mapping[str, ParsedTag], label: str) -> bool:
    """Tell whether *patterns* read all tags of the form *pattern* already."""
    if not patterns:
        return False
    scheme = TagScheme(tuple(patterns), label)
    return all(
        (read.name, read.version) in scheme.readings(tag) for tag, read in tags.items() if read.pattern == pattern
    )


# ---- what to configure ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MissingKey:
    """A key of [tool.releasekit] that is missing, and the comment that says why."""

    name: str
    value: str | list[str] | dict[str, list[str]]
    comment: str


def suggest_groups(workspace: Workspace, published: Collection[str]) -> dict[str, list[str]]:
    """Return a group for each directory of *published* packages, by its name; none where there is only one."""
    paths = [member.path.split("/") for member in workspace if member.path != "." and member.name in published]
    shared = 0
    while paths and all(len(path) > shared + 1 and path[shared] == paths[0][shared] for path in paths):
        shared += 1
    base = "".join(f"{part}/" for part in (paths[0][:shared] if paths else ()))
    directories = sorted({path[shared] for path in paths if len(path) > shared + 1})
    return {name: [f"{base}{name}/*"] for name in directories} if len(directories) > 1 else {}


def choose_pins(workspace: Workspace, published: Collection[str]) -> str:
    """Return the value of `pins` that suits what the *published* packages require of each other in their sources.

    Ranges mean "compatible"; `==`, or no version at all, means "exact". Most requirements decide, and so does "exact"
    where there are as many of both. Empty if none requires another.
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
    """Return patterns for the directories of samples: of packages that could be published, and never were."""
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
    """Return the keys that [tool.releasekit], as *table* has it, lacks; *pins* is empty where none is needed."""
    keys: list[MissingKey] = []
    patterns = tagging.patterns
    now: Any = table.get("tag_format", DEFAULT_TAG_FORMAT)
    if patterns != ((now,) if isinstance(now, str) else tuple(now)):
        value = patterns[0] if len(patterns) == 1 else list(patterns)
        keys.append(
            MissingKey("tag_format", value, "How releases are tagged; of a list, the first is written, all are read.")
        )
    if tagging.label and "label" not in table and any("{label}" in pattern for pattern in patterns):
        keys.append(MissingKey("label", tagging.label, ""))
    if "{name}" not in patterns[0] and "versioning" not in table and len(members) > 1 and is_lockstep(members):
        keys.append(MissingKey("versioning", "fixed", "One tag and one version for all packages."))
    if pins and "pins" not in table:
        keys.append(MissingKey("pins", pins, _WHY_PINS[pins]))
    if samples:
        keys.append(MissingKey("exclude", samples, "Never released so far; take out what should be published."))
    if groups and "groups" not in table:
        keys.append(MissingKey("groups", groups, 'For --group; `{ packages = [...], versioning = "fixed" }` ties one.'))
    return keys


_WHY_PINS = {
    "exact": "A built package requires exactly the released version of each sibling.",
    "compatible": "A built package requires a compatible range of each sibling, as your sources do.",
}


def configured_text(text: str, keys: Sequence[MissingKey], display_path: str = "pyproject.toml") -> str:
    """Return the pyproject.toml *text* with *keys* in its [tool.releasekit]; all else stays as it is.

    Raises Refusal RK-CONFIG-INVALID-VALUE if the table is written in a way that nobody foresaw.
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
        message = f"[tool.releasekit] is written so that {', '.join(added)} cannot be added to it"
        hint = "Add by hand: " + "; ".join(f"{key.name} = {_toml(key.value)}" for key in keys)
        raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, display_path, hint)
    settings_of(tomllib.loads(after), after)
    return after


def _append_table(text: str, keys: Sequence[MissingKey]) -> str:
    lines = ["[tool.releasekit]"]
    if all(isinstance(key.value, dict) for key in keys):
        lines.append("# The defaults fit. `releasekit plan` shows what would be released, and why.")
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

    item: Any = tomlkit.item  # its types say less than it does
    return item(value).as_string()


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else _toml(name)


def missing_tags(wanted: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the commit of each tag, of *wanted* pairs of both; a tag that would stand for two commits is left out."""
    commits: dict[str, set[str]] = {}
    for tag, commit in wanted:
        commits.setdefault(tag, set()).add(commit)
    return {tag: next(iter(those)) for tag, those in commits.items() if len(those) == 1}
