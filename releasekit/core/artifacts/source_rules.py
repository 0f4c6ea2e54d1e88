"""Rules of verification that the source of a package can break already, before anything is built.

The source is put into the form of an archive, as far as it tells what a build makes of it. Then the rules are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

from packaging.requirements import InvalidRequirement
from packaging.version import Version

from releasekit.core.artifacts.archive_facts import Archive, ArchiveMember, BuiltArtifacts
from releasekit.core.artifacts.entry_points import SCRIPT_GROUPS
from releasekit.core.artifacts.package_facts import files_to_pack, import_root, source_facts
from releasekit.core.artifacts.verification import RULES, find_problems
from releasekit.core.errors import ErrorCode
from releasekit.core.picking import map_values
from releasekit.core.workspace.dynamic_version import table_at
from releasekit.core.workspace.workspace import Kind, requirement_arrays, requirement_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from releasekit.core.artifacts.problems import ArtifactFinding
    from releasekit.core.config.settings import VerifyWaiver

Table = Mapping[str, Any]

_FILE_RULES = frozenset(
    {
        ErrorCode.VERIFY_LEFTOVER,
        ErrorCode.VERIFY_PATH,
        ErrorCode.VERIFY_POINTER,
        ErrorCode.VERIFY_PORTABLE,
        ErrorCode.VERIFY_PRIVATE,
        ErrorCode.VERIFY_SECRET,
    }
)
_WHEEL_RULES = frozenset(
    {
        ErrorCode.VERIFY_CLASSIFIER,
        ErrorCode.VERIFY_COMMON,
        ErrorCode.VERIFY_ENTRY_POINT,
        ErrorCode.VERIFY_HIDDEN,
        ErrorCode.VERIFY_METADATA,
        ErrorCode.VERIFY_SIBLING,
        ErrorCode.VERIFY_SYNTAX,
        ErrorCode.VERIFY_URL,
    }
)
"""Without the rules about licenses, requirements and READMEs: other checks know more of the source than these."""


def verify_source(
    project: str,
    tree: Archive,
    document: Table,
    siblings: Mapping[str, str],
    waivers: Sequence[VerifyWaiver] = (),
) -> tuple[ArtifactFinding, ...]:
    """Return what rules find in the source of *project*, without what a waiver covers.

    *tree* has the files that git tracks in its directory, or at least those that a build packs; *document* is its
    pyproject.toml. *siblings* has the other packages by the names under which Python imports them.
    """
    packed = files_to_pack(tree.files, document, project)
    members = tuple(member for member in tree.members if member.path in packed)
    files = Archive(tree.name, members=members, contents=tree.contents)
    wheel = _expected_wheel(project, tree, document)
    findings = chain.from_iterable(
        find_problems(
            BuiltArtifacts(project, _ANY_VERSION, (), (archive,), siblings=siblings),
            waivers,
            [rule for rule in RULES if rule.code in codes],
        )
        for archive, codes in ((files, _FILE_RULES), (wheel, _WHEEL_RULES))
    )
    return tuple(finding for finding in findings if not finding.waived)


_ANY_VERSION = Version("0")


def _expected_wheel(project: str, tree: Archive, document: Table) -> Archive:
    """Return the wheel that a build probably makes of *tree*: its modules, METADATA and entry_points.txt."""
    table = table_at(document, "project")
    stem = f"{project.replace('-', '_')}-0"
    sizes = map_values(attrgetter("size"), tree.files)
    root = import_root(sizes, document)
    paths = source_facts(sizes, table, document).files
    contents = {path: tree.contents.get(f"{root}{path}", b"") for path in paths}
    metadata = [*_metadata(project, table), *_requirements(document)]
    contents[f"{stem}.dist-info/METADATA"] = "".join(map(_field_line, metadata)).encode()
    contents[f"{stem}.dist-info/entry_points.txt"] = _entry_points(table).encode()
    members = tuple(ArchiveMember(path) for path in contents)
    return Archive(f"{stem}-py3-none-any.whl", members=members, contents=contents)


def _metadata(project: str, table: Table) -> list[tuple[str, str]]:
    """Return the fields that [project] declares for METADATA; what the build backend adds is not known."""
    fields = [("Metadata-Version", "2.4"), ("Name", project), ("Version", "0")]
    fields += _texts(table)
    fields += _people(table)
    fields += [("Classifier", text) for text in _strings(table.get("classifiers"))]
    fields += [("Project-URL", f"{label}, {url}") for label, url in table_at(table, "urls").items()]
    fields += [("Provides-Extra", name) for name in table_at(table, "optional-dependencies")]
    return fields


def _field_line(field: tuple[str, str]) -> str:
    """Return *field*, a name and its value, as METADATA has it: a longer value goes on in the next line."""
    name, value = field
    folded = value.replace("\n", "\n        ")
    return f"{name}: {folded}\n"


def _texts(table: Table) -> Iterator[tuple[str, str]]:
    for key, field in (("description", "Summary"), ("requires-python", "Requires-Python")):
        if isinstance(table.get(key), str):
            yield field, table[key]
    keywords = _strings(table.get("keywords"))
    if keywords:
        yield "Keywords", ",".join(keywords)


def _people(table: Table) -> Iterator[tuple[str, str]]:
    """Yield the fields of people: each field once, as the specification of `authors` in pyproject.toml has it."""
    for key, field in (("authors", "Author"), ("maintainers", "Maintainer")):
        value: object = table.get(key)
        people = cast("list[Table]", value) if isinstance(value, list) else []
        names = [str(person["name"]) for person in people if _has_only_name(person)]
        addresses = [_address(person) for person in people if person.get("email")]
        if names:
            yield field, ", ".join(names)
        if addresses:
            yield f"{field}-email", ", ".join(addresses)


def _has_only_name(person: Table) -> bool:
    return bool(person.get("name")) and not person.get("email")


def _address(person: Table) -> str:
    name, address = person.get("name"), person["email"]
    return f'"{name}" <{address}>' if name else str(address)


def _requirements(document: Table) -> Iterator[tuple[str, str]]:
    """Yield the valid requirements; a check of its own knows what is wrong with others."""
    arrays = (array for array in requirement_arrays(document) if array.kind is Kind.RUNTIME)
    for text in chain.from_iterable(_strings(array.items) for array in arrays):
        with suppress(InvalidRequirement):
            yield "Requires-Dist", str(requirement_of(text))


def _entry_points(table: Table) -> str:
    keys = zip(SCRIPT_GROUPS, ("scripts", "gui-scripts"), strict=True)
    groups = {group: table_at(table, key) for group, key in keys}
    groups |= {
        str(name): table_at(table, "entry-points", name) for name in table_at(table, "entry-points")
    }
    lines = (
        [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
        for group, entries in groups.items()
        if entries
    )
    return "\n".join(chain.from_iterable(lines))


def _strings(value: object) -> list[str]:
    items: Iterable[object] = cast("list[object]", value) if isinstance(value, list) else ()
    return list(map(str, items))
