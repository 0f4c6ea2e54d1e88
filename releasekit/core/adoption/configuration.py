"""The missing keys of [tool.releasekit], and the text of pyproject.toml with them."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from releasekit.core.adoption.internal_packages import describe_internal, exclude_patterns
from releasekit.core.adoption.tagging import DEFAULT_TAG_FORMAT
from releasekit.core.config.settings import parse_member_settings, settings_of
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.workspace.toml_edits import edit_toml, line_end, parses_to
from releasekit.core.workspace.workspace import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from packaging.requirements import Requirement

    from releasekit.core.adoption.findings import CommitTypes, InternalPackage
    from releasekit.core.adoption.tagging import Tagging
    from releasekit.core.workspace.workspace import Workspace

ROOT_FILE = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class MissingKey:
    """A missing key of [tool.releasekit], and the comment that explains it: one or more lines."""

    name: str
    value: object
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Proposals:
    """What the keys are made of. *pins*, *publish_from* and *index* are empty if the key is not needed.

    *excluded* are packages that are not published. With *counts_untyped*, a commit without a type asks for a patch.
    """

    tagging: Tagging
    pins: str = ""
    excluded: tuple[InternalPackage, ...] = ()
    commits: CommitTypes | None = None
    counts_untyped: bool = False
    publish_from: str = ""
    index: str = ""


def root_keys(table: Mapping[str, Any], proposals: Proposals, workspace: Workspace) -> list[MissingKey]:
    """Return the keys that *table*, [tool.releasekit] of the root, lacks. No key that is there changes."""
    tagging = proposals.tagging
    keys = [
        *_tag_keys(tagging, workspace),
        MissingKey(
            "versioning", "fixed" if tagging.is_fixed else "", f"One version for all packages. {tagging.why_lockstep}"
        ),
        MissingKey("pins", proposals.pins, _WHY_PINS.get(proposals.pins, "")),
        MissingKey(
            "exclude",
            exclude_patterns(workspace, [package.name for package in proposals.excluded]),
            _describe_exclusion(proposals.excluded),
        ),
        MissingKey("unconventional", "patch" if proposals.counts_untyped else "", _describe_types(proposals.commits)),
        MissingKey(
            "publish_from", proposals.publish_from, "Who uploads: `ci`, after the release pull request is merged."
        ),
        MissingKey("index", proposals.index, "The [[tool.uv.index]] to publish to."),
        MissingKey("groups", _lockstep_group(tagging), f"These packages share one version. {tagging.why_lockstep}"),
    ]
    return [key for key in keys if key.value and key.name not in table]


def _tag_keys(tagging: Tagging, workspace: Workspace) -> Iterator[MissingKey]:
    patterns = tagging.patterns
    if patterns != (DEFAULT_TAG_FORMAT,):
        comment = "How releases are tagged. In a list, the first format is for new tags; all are read."
        yield MissingKey("tag_format", as_value(patterns), comment)
    at_root = [formats for name, formats in tagging.own.items() if workspace[name].path == "."]
    for formats in at_root:
        yield MissingKey("root_tag_format", as_value(formats), "How releases of the package at the root are tagged.")
    uses_label = any("{label}" in pattern for pattern in patterns)
    yield MissingKey("label", tagging.label if uses_label else "")


def as_value(formats: Sequence[str]) -> str | list[str]:
    """Return *formats* as the value of a key `tag_format`: one text, or a list."""
    return formats[0] if len(formats) == 1 else list(formats)


def _describe_exclusion(excluded: Sequence[InternalPackage]) -> str:
    lines = describe_internal(excluded)
    return "\n".join(["Never released so far. Remove what you want to publish.", *lines])


def _describe_types(commits: CommitTypes | None) -> str:
    if commits is None:
        return ""
    counted = f"{commits.typed} of the {commits.total} newest commits"
    return f"Only {counted} have a Conventional Commits type. With this, each other commit asks for a patch release."


def _lockstep_group(tagging: Tagging) -> dict[str, object]:
    """Return the value of `groups` for packages that share one version; empty if there are none."""
    if not tagging.lockstep:
        return {}
    return {"lockstep": {"packages": list(tagging.lockstep), "versioning": "fixed"}}


def member_keys(tagging: Tagging, workspace: Workspace) -> dict[str, list[MissingKey]]:
    """Return the keys that members lack in their own pyproject.toml, by its path."""
    keys: dict[str, list[MissingKey]] = {}
    for name, formats in tagging.own.items():
        path = workspace[name].path
        if path != ".":
            key = MissingKey("tag_format", as_value(formats), "Its tags have a form of their own.")
            keys[f"{path}/{ROOT_FILE}"] = [key]
    return keys


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
            if need.kind in (Kind.RUNTIME, Kind.EXTRA) and need.name in siblings:
                yield need.requirement


def _has_range(requirement: Requirement) -> bool:
    operators = {clause.operator for clause in requirement.specifier}
    return not operators.isdisjoint(_RANGES)


_RANGES = frozenset((">=", ">", "~=", "<", "<="))


_WHY_PINS = {
    "exact": "A built package requires exactly the released version of each sibling.",
    "compatible": "A built package requires a compatible range of each sibling, as your sources do.",
}


def configured_text(text: str, keys: Sequence[MissingKey], display_path: str = ROOT_FILE, *, fits: bool = True) -> str:
    """Return the pyproject.toml *text* with *keys* in its [tool.releasekit]; everything else stays the same.

    Raises Refusal RK-CONFIG-INVALID-VALUE if the table cannot be edited in the form in which it is written, or if a
    value is invalid. *fits* says that a new table without keys is all that the workspace needs.
    """
    before = tomllib.loads(text)
    tool = before.get("tool", {})
    added = {key.name: key.value for key in keys}
    if "releasekit" not in tool:
        appended = _append_table(text, keys, fits=fits)
        expected = {**before, "tool": {**tool, "releasekit": added}}
        after = appended if parses_to(appended, expected) else None
    elif not keys:
        return text
    else:
        after = edit_toml(text, lambda document: document["tool"]["releasekit"].update(added))
    if after is None:
        message = f"{', '.join(added)} cannot be added to [tool.releasekit] as it is written"
        hint = "Add by hand: " + "; ".join(f"{key.name} = {_toml(key.value)}" for key in keys)
        raise Refusal(ErrorCode.CONFIG_INVALID_VALUE, message, display_path, hint)
    document = tomllib.loads(after)
    if display_path == ROOT_FILE:
        settings_of(document, after)
    else:
        parse_member_settings(document, display_path, after)
    return after


def _append_table(text: str, keys: Sequence[MissingKey], *, fits: bool) -> str:
    """Return *text* with a new table [tool.releasekit], after a blank line."""
    lines = ["[tool.releasekit]"]
    if all(isinstance(key.value, dict) for key in keys):
        lines.append(_DEFAULTS_FIT if fits else _DEFAULTS_APPLY)
    for key in keys:
        lines += _key_lines(key)
    ends = line_end(text)
    table = ends.join([*lines, ""])
    if not text:
        return table
    last_line_end = "" if text.endswith("\n") else ends
    return f"{text}{last_line_end}{ends}{table}"


_DEFAULTS_FIT = "# The defaults fit this workspace. `releasekit plan` shows what would be released, and why."
_DEFAULTS_APPLY = "# The defaults apply. Some tags that look like versions are not read: see `releasekit init`."


def _key_lines(key: MissingKey) -> list[str]:
    comment = [f"# {line}" for line in key.comment.splitlines()]
    pairs = _items(key.value)
    if pairs is None:
        return [*comment, f"{key.name} = {_toml(key.value)}"]
    items = [f"{_toml_key(name)} = {_toml(value)}" for name, value in pairs]
    return ["", *comment, f"[tool.releasekit.{key.name}]", *items]


def _items(value: object) -> Iterable[tuple[str, object]] | None:
    """Return the items of *value* if it is a table, else None."""
    return cast("Mapping[str, object]", value).items() if isinstance(value, dict) else None


def _toml(value: object) -> str:
    import tomlkit

    pairs = _items(value)
    if pairs is not None:
        written = [f"{_toml_key(name)} = {_toml(inner)}" for name, inner in pairs]
        return f"{{ {', '.join(written)} }}"
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
