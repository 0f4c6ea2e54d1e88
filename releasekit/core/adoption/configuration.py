"""The missing keys of [tool.releasekit], and the text of pyproject.toml with them."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from releasekit.core.adoption.internal_packages import describe_internal, exclude_patterns
from releasekit.core.adoption.tagging import uses_label
from releasekit.core.config.settings import parse_member_settings, settings_of
from releasekit.core.errors import ErrorCode, Refusal
from releasekit.core.history.tags import DEFAULT_TAG_FORMAT
from releasekit.core.picking import drop_keys, names_of
from releasekit.core.workspace.graph import graph_of, offers_of, order
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

    @property
    def is_table(self) -> bool:
        """Whether its value is a table, which gets a heading."""
        return isinstance(self.value, dict)


@dataclass(frozen=True, slots=True)
class Proposals:
    """What the keys are made of. *scheme*, *pins*, *publish_from* and *index* are empty if the key is not needed.

    *scheme* is how versions are computed. *cycles* are the packages that require each other, and can be released
    together. *excluded* are packages that are not published. With *counts_untyped*, a commit without a type asks for a
    patch. *workspace_changelog* is the changelog at the root, if all packages share one version and it lists that;
    *keeps_changelogs*: packages have their own, too.
    """

    tagging: Tagging
    scheme: str = ""
    pins: str = ""
    cycles: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[InternalPackage, ...] = ()
    commits: CommitTypes | None = None
    counts_untyped: bool = False
    publish_from: str = ""
    index: str = ""
    workspace_changelog: str = ""
    keeps_changelogs: bool = True


def root_keys(
    table: Mapping[str, Any], proposals: Proposals, workspace: Workspace
) -> list[MissingKey]:
    """Return the keys that *table*, [tool.releasekit] of the root, lacks. No key that is there changes."""
    tagging = proposals.tagging
    versioning = "fixed" if tagging.is_fixed else ""
    unconventional = "patch" if proposals.counts_untyped else ""
    excluded = names_of(proposals.excluded)
    keys = [
        *_tag_keys(tagging, workspace, table),
        MissingKey(
            "versioning", versioning, f"One version for all packages. {tagging.why_lockstep}"
        ),
        MissingKey(
            "versioning_scheme",
            proposals.scheme,
            "The versions of the newest releases are the dates of their commits.",
        ),
        MissingKey("pins", proposals.pins, _WHY_PINS.get(proposals.pins, "")),
        MissingKey(
            "cycles", "batch" if proposals.cycles else "", _describe_cycles(proposals.cycles)
        ),
        MissingKey(
            "exclude",
            exclude_patterns(workspace, excluded),
            _describe_exclusion(proposals.excluded),
        ),
        *_changelog_keys(proposals),
        MissingKey("unconventional", unconventional, _describe_types(proposals.commits)),
        MissingKey(
            "publish_from",
            proposals.publish_from,
            "Who uploads: `ci`, after the release pull request is merged.",
        ),
        MissingKey("index", proposals.index, "The [[tool.uv.index]] to publish to."),
        MissingKey(
            "groups",
            _lockstep_group(tagging, table),
            f"These packages share one version. {tagging.why_lockstep}",
        ),
    ]
    return [key for key in keys if key.value not in ("", (), [], {}) and key.name not in table]


def _changelog_keys(proposals: Proposals) -> Iterator[MissingKey]:
    """Yield the keys for a changelog of the whole workspace."""
    if proposals.workspace_changelog:
        yield MissingKey(
            "workspace_changelog",
            proposals.workspace_changelog,
            "The changelog at the root goes on, with the changes of all packages.",
        )
        if not proposals.keeps_changelogs:
            yield MissingKey(
                "changelog", value=False, comment="No package has a current changelog of its own."
            )


def _tag_keys(
    tagging: Tagging, workspace: Workspace, table: Mapping[str, Any]
) -> Iterator[MissingKey]:
    patterns = tagging.patterns
    if patterns != (DEFAULT_TAG_FORMAT,):
        comment = (
            "How releases are tagged. In a list, the first format is for new tags; all are read."
        )
        yield MissingKey("tag_format", as_value(patterns), comment)
    own = _formats_of_members(tagging, table)
    at_root = [formats for name, formats in own.items() if workspace[name].path == "."]
    for formats in at_root:
        yield MissingKey(
            "root_tag_format",
            as_value(formats),
            "How releases of the package at the root are tagged.",
        )
    if uses_label(patterns):
        yield MissingKey("label", tagging.label)


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


def find_batches(workspace: Workspace, published: Collection[str]) -> tuple[tuple[str, ...], ...]:
    """Return the cycles between *published* packages, each as a path that ends where it begins; see `cycles` = "batch".

    Empty also if one of them cannot be released at all, because a build requirement is in it.
    """
    with suppress(Refusal):
        graph, _ = graph_of(workspace, offers_of(workspace))
        released = graph.subgraph(published)
        order(released, "batch")
        return released.cycles()
    return ()


def _describe_cycles(cycles: Sequence[Sequence[str]]) -> str:
    paths = "; ".join(map(" -> ".join, cycles))
    return f"Packages that require each other are released together: {paths}."


def _lockstep_group(tagging: Tagging, table: Mapping[str, Any]) -> dict[str, object]:
    """Return the value of `groups` for packages that share one version; empty if there are none."""
    if not tagging.lockstep:
        return {}
    group: dict[str, object] = {"packages": list(tagging.lockstep), "versioning": "fixed"}
    formats = _lockstep_formats(tagging, table)
    return {"lockstep": group | ({"tag_format": as_value(formats)} if formats else {})}


def _lockstep_formats(tagging: Tagging, table: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the tag formats of the group of packages that share one version.

    Empty if its packages make new tags in different formats, or if *table*, [tool.releasekit] of the root, has groups
    already: these do not change.
    """
    formats = list(map(tagging.own_formats, tagging.lockstep))
    of_new_tags = {own[:1] for own in formats}
    if "groups" in table or len(of_new_tags) != 1:
        return ()
    return tuple(dict.fromkeys(chain.from_iterable(formats)))


def _formats_of_members(tagging: Tagging, table: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the tag formats of single packages, without those that the group of the packages sets."""
    in_group = tagging.lockstep if _lockstep_formats(tagging, table) else ()
    return drop_keys(tagging.own, in_group)


def member_keys(
    tagging: Tagging, workspace: Workspace, table: Mapping[str, Any]
) -> dict[str, list[MissingKey]]:
    """Return the keys that members lack in their own pyproject.toml, by its path.

    *table* is [tool.releasekit] of the root.
    """
    keys: dict[str, list[MissingKey]] = {}
    for name, formats in _formats_of_members(tagging, table).items():
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
    if not requirements:
        return ""
    range_count = sum(map(_has_range, requirements))
    is_majority = range_count * 2 > len(requirements)
    return "compatible" if is_majority else "exact"


def _sibling_requirements(
    workspace: Workspace, published: Collection[str]
) -> Iterator[Requirement]:
    """Yield the requirements of *published* packages on each other in their metadata."""
    for name in published:
        siblings = set(published) - {name}
        for need in workspace[name].needs:
            is_in_metadata = need.kind in (Kind.RUNTIME, Kind.EXTRA)
            if is_in_metadata and need.name in siblings:
                yield need.requirement


def _has_range(requirement: Requirement) -> bool:
    operators = {clause.operator for clause in requirement.specifier}
    return not operators.isdisjoint(_RANGES)


_RANGES = frozenset((">=", ">", "~=", "<", "<="))


_WHY_PINS = {
    "exact": "A built package requires exactly the released version of each sibling.",
    "compatible": "A built package requires a compatible range of each sibling, as your sources do.",
}


def configured_text(
    text: str, keys: Sequence[MissingKey], display_path: str = ROOT_FILE, *, fits: bool = True
) -> str:
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
        lines = "; ".join(map(_key_line, keys))
        raise Refusal(
            ErrorCode.CONFIG_INVALID_VALUE, message, display_path, f"Add by hand: {lines}"
        )
    document = tomllib.loads(after)
    if display_path == ROOT_FILE:
        settings_of(document, after)
    else:
        parse_member_settings(document, display_path, after)
    return after


def _append_table(text: str, keys: Sequence[MissingKey], *, fits: bool) -> str:
    """Return *text* with a new table [tool.releasekit], after a blank line."""
    lines = ["[tool.releasekit]"]
    has_own_lines = any(not key.is_table for key in keys)
    if not has_own_lines:
        lines.append(_DEFAULTS_FIT if fits else _DEFAULTS_APPLY)
    for key in keys:
        lines += _key_lines(key)
    ends = line_end(text)
    table = ends.join([*lines, ""])
    if not text:
        return table
    last_line_end = "" if text.endswith("\n") else ends
    return f"{text}{last_line_end}{ends}{table}"


_DEFAULTS_FIT = (
    "# The defaults fit this workspace. `releasekit plan` shows what would be released, and why."
)
_DEFAULTS_APPLY = (
    "# The defaults apply. Some tags that look like versions are not read: see `releasekit init`."
)


def _key_lines(key: MissingKey) -> list[str]:
    """Return the comment of *key* and the key itself; a table gets a heading."""
    comment = [f"# {line}" for line in key.comment.splitlines()]
    if not key.is_table:
        return [*comment, _key_line(key)]
    return ["", *comment, *_table_lines(f"tool.releasekit.{key.name}", _table(key.value))]


def _table_lines(path: str, table: Mapping[str, object]) -> list[str]:
    """Return the lines of the *table* at *path*. If tables in it are too long for a line, each gets a heading."""
    lines = _pairs(table)
    is_long = max(map(len, lines)) > _LINE_WIDTH
    has_only_tables = all(isinstance(value, dict) for value in table.values())
    if is_long and has_only_tables:
        headed = (_table_lines(f"{path}.{_toml_key(name)}", _table(table[name])) for name in table)
        return list(chain.from_iterable(headed))
    return [f"[{path}]", *chain.from_iterable(map(_fold_line, lines, table.values()))]


_LINE_WIDTH = 120
"""Characters in a line; a longer list of texts gets a line for each."""


def _fold_line(line: str, value: object) -> list[str]:
    """Return the *line* of a key with this *value*, or lines if it is a list that is too long for one."""
    if len(line) <= _LINE_WIDTH or not isinstance(value, list):
        return [line]
    key, _, _ = line.partition(" = ")
    items = map(as_toml, cast("list[object]", value))
    return [f"{key} = [", *map("    {},".format, items), "]"]


def _table(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value)


def _key_line(key: MissingKey) -> str:
    return f"{key.name} = {as_toml(key.value)}"


def _pairs(table: Mapping[str, object]) -> list[str]:
    """Return the keys of *table* with their values, as they are written in TOML."""
    return [f"{_toml_key(name)} = {as_toml(value)}" for name, value in table.items()]


def as_toml(value: object) -> str:
    """Return *value*, a text, number, list or table, as it is written in a line of TOML."""
    import tomlkit

    if isinstance(value, dict):
        pairs = ", ".join(_pairs(_table(cast("object", value))))
        return f"{{ {pairs} }}"
    if isinstance(value, list) and any(
        isinstance(entry, dict) for entry in cast("list[object]", value)
    ):
        return f"[{', '.join(map(as_toml, cast('list[object]', value)))}]"
    if isinstance(value, str) and '"' in value and "'" not in value and value.isprintable():
        return tomlkit.string(value, literal=True).as_string()
    item: Any = tomlkit.item  # its type hints accept fewer types than it does
    return item(value).as_string()


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else as_toml(name)


def missing_tags(wanted: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the commit of each tag in the (tag, commit) pairs *wanted*, without tags for several commits."""
    commits_by_tag: defaultdict[str, set[str]] = defaultdict(set)
    for tag, commit in wanted:
        commits_by_tag[tag].add(commit)
    return {
        tag: next(iter(commits)) for tag, commits in commits_by_tag.items() if len(commits) == 1
    }
