"""A uv workspace as plain data: its members, their requirements, and which of them may be published."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from itertools import pairwise
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from releasekit.core.errors import ErrorCode, Excerpt, Refusal, did_you_mean
from releasekit.core.picking import by_name, names_of, pick_named
from releasekit.core.workspace.dynamic_version import is_dynamic, table_at, texts_in
from releasekit.core.workspace.hatch_build import extras_at_build, hatch_build_tables

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from releasekit.core.config.settings import Settings

_HUGE_NUMBER = re.compile(r"\d{4000}")
_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")

PYPROJECT = "pyproject.toml"


class Kind(StrEnum):
    """The kind of a requirement. `runtime` and `build` are hard, `extra` is soft, `group` is never published."""

    RUNTIME = "runtime"
    BUILD = "build"
    EXTRA = "extra"
    GROUP = "group"


PUBLISHED = (Kind.RUNTIME, Kind.EXTRA)
"""The kinds of requirements that the METADATA of a wheel contains."""


@dataclass(frozen=True, slots=True)
class Need:
    """One requirement of a member. If its kind is EXTRA, *extra* is the extra that it belongs to.

    *name* and *extra* are normalised (PEP 503, PEP 685). *written* is its text in *file*, a path below the member.
    """

    name: str
    kind: Kind
    requirement: Requirement
    extra: str = ""
    written: str = ""
    file: str = PYPROJECT


class DeclaredVersion(NamedTuple):
    """A version as text, and the file of the package that declares it."""

    version: str
    file: str


@dataclass(frozen=True, slots=True)
class Member:
    """A workspace member. *path* is relative to the workspace root, "." for the root itself.

    *version_file* is the file below it that declares its dynamic version; empty if there is none. *extras_at_build* are
    the extras whose requirements its build installs too; the empty string stands for its dependencies.
    """

    name: str
    raw_name: str
    path: str
    version: Version | None
    dynamic: bool
    publishable: bool
    needs: tuple[Need, ...]
    version_file: str = ""
    requires_python: str = ""
    extras_at_build: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Workspace:
    """All members by normalised name, sorted by name."""

    members: Mapping[str, Member]

    @classmethod
    def of(cls, members: Iterable[Member]) -> Workspace:
        """Return the workspace of *members*, which are sorted by name."""
        return cls(by_name(members))

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members.values())

    @property
    def publishable(self) -> tuple[Member, ...]:
        """The members that may be published, sorted by name."""
        return tuple(member for member in self if member.publishable)

    @property
    def publishable_names(self) -> tuple[str, ...]:
        """The names of the members that may be published, sorted."""
        return tuple(names_of(self.publishable))

    def with_publishable(self, names: Container[str]) -> Workspace:
        """Return the workspace in which only the members *names* may be published."""
        return Workspace.of(replace(member, publishable=member.name in names) for member in self)

    def __getitem__(self, name: str) -> Member:
        return self.members[name]

    def required_members(self, member: Member, *kinds: Kind) -> frozenset[str]:
        """Return the names of the members that *member* requires, in requirements of these *kinds*."""
        return frozenset(need.name for need in self.internal_needs(member) if need.kind in kinds)

    def internal_needs(self, member: Member) -> list[Need]:
        """Return the requirements of *member* on members of the workspace, itself included."""
        return pick_named(member.needs, self.members)

    def external_requirements(self, member: Member) -> tuple[str, ...]:
        """Return the published requirements of *member* on packages outside the workspace, as written."""
        published = (need for need in member.needs if need.kind in PUBLISHED)
        requirements = {
            str(need.requirement) for need in published if need.name not in self.members
        }
        return tuple(sorted(requirements))

    def matching_names(self, patterns: Iterable[str]) -> frozenset[str]:
        """Return the names of the members that match *patterns*: names, globs or paths.

        Raises Refusal RK-WORKSPACE-UNKNOWN-PACKAGE for a pattern that matches no member.
        """
        names: set[str] = set()
        for pattern in patterns:
            matches = {member.name for member in self if _matches_pattern(pattern, member)}
            if not matches:
                suggestion = did_you_mean(pattern, self.members)
                message = f"no workspace member matches {pattern}{suggestion}"
                raise Refusal(ErrorCode.WORKSPACE_UNKNOWN_PACKAGE, message)
            names |= matches
        return frozenset(names)


def workspace_of(
    documents: Mapping[str, Mapping[str, Any]],
    settings: Settings,
    declared: Mapping[str, DeclaredVersion] = MappingProxyType({}),
    files: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Workspace:
    """Return the workspace of *documents*, with the publishable members that the *settings* choose.

    Arguments and errors are those of `parse_workspace` and `choose_publishable`.
    """
    return choose_publishable(parse_workspace(documents, declared, files), settings)


def parse_workspace(
    documents: Mapping[str, Mapping[str, Any]],
    declared: Mapping[str, DeclaredVersion] = MappingProxyType({}),
    files: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Workspace:
    """Return the workspace of *documents*: the parsed pyproject.toml files of its members, by member path.

    *declared* has the dynamic versions that files declare, by member path. *files* has the texts of the requirement
    files that a build backend reads, by member path and file path (see `requirement_files`).
    Raises Refusal RK-WORKSPACE-DUPLICATE, RK-WORKSPACE-REQUIREMENT, RK-VERSION-INVALID.
    """
    members: list[Member] = []
    for path, document in documents.items():
        member = _parse_member(path, document, declared.get(path), files.get(path, {}))
        members.append(member)
    members.sort(key=attrgetter("name"))
    _refuse_duplicates(members)
    return Workspace.of(members)


def _refuse_duplicates(members: list[Member]) -> None:
    """Raise Refusal RK-WORKSPACE-DUPLICATE if two of *members*, which are sorted by name, have one name."""
    for one, other in pairwise(members):
        if one.name == other.name:
            raise Refusal(
                ErrorCode.WORKSPACE_DUPLICATE,
                f"two members are named {one.name}",
                f"{one.path}, {other.path}",
                excerpt=Excerpt(f"{other.path}/pyproject.toml", 0, other.raw_name),
            )


def choose_publishable(workspace: Workspace, settings: Settings) -> Workspace:
    """Return *workspace* with the members that may be published, according to the *settings* or else to their files.

    Raises Refusal RK-WORKSPACE-UNKNOWN-PACKAGE for a pattern in the settings that matches no member.
    """
    chosen = frozenset(workspace.publishable_names)
    if settings.packages:
        chosen = workspace.matching_names(settings.packages)
    excluded = workspace.matching_names(settings.exclude)
    return workspace.with_publishable(chosen - excluded)


@cache
def requirement_of(written: str) -> Requirement:
    """Parse the requirement *written* (PEP 508). Do not change the result: equal texts share it.

    If a build hook fills in its version (`x=={{ version }}`), the result allows every version.
    Raises InvalidRequirement (of packaging).
    """
    if _HUGE_NUMBER.search(written):  # Python does not convert it, with an error of another kind
        raise InvalidRequirement("a number in it has thousands of digits")
    requirement = Requirement(_TEMPLATE.sub("0.0", written))  # `~=` needs at least two numbers
    if is_template(written):
        requirement.specifier = SpecifierSet()
    return requirement


def is_template(written: str) -> bool:
    """Return whether a build hook fills in the version of the requirement *written*."""
    return bool(_TEMPLATE.search(written))


def fits(specifier: SpecifierSet, version: Version) -> bool:
    """Return whether *version* of a sibling satisfies *specifier* (PEP 440, with prereleases).

    A prerelease also satisfies it if its final version does, although PEP 440 sorts it before that version: 1.3rc1
    satisfies `>=1.3`. If *specifier* names a prerelease itself, only PEP 440 applies.
    """
    if specifier.contains(version, prereleases=True):
        return True
    if not version.is_prerelease or specifier.prereleases:
        return False
    final_version = Version(version.base_version)
    return specifier.contains(final_version)


_TABLES = (("project",), ("tool", "hatch", "metadata", "hooks", "uv-dynamic-versioning"))
"""The tables of pyproject.toml that may have requirements. The second is a build hook that adds to the first."""


class RequirementArray(NamedTuple):
    """An array of requirements in a pyproject.toml: its key *path*, and the kind and the extra of its *items*.

    Items are strings; in a dependency group they may also be tables that include another group.
    """

    path: tuple[str, ...]
    kind: Kind
    items: Sequence[Any]
    extra: str = ""


def requirement_arrays(document: Mapping[str, Any]) -> Iterator[RequirementArray]:
    """Yield the arrays of requirements of a pyproject.toml, those of dependency groups last."""
    for path in _TABLES:
        table = table_at(document, *path)
        yield RequirementArray((*path, "dependencies"), Kind.RUNTIME, table.get("dependencies", ()))
        for name, items in table.get("optional-dependencies", {}).items():
            key = (*path, "optional-dependencies", name)
            yield RequirementArray(key, Kind.EXTRA, items, canonicalize_name(name))
    build_system = table_at(document, "build-system")
    yield RequirementArray(
        ("build-system", "requires"), Kind.BUILD, build_system.get("requires", ())
    )
    for path in hatch_build_tables(document):
        items = table_at(document, *path).get("dependencies")
        if isinstance(items, list):  # uv does not check it
            yield RequirementArray((*path, "dependencies"), Kind.BUILD, items)
    for group, items in table_at(document, "dependency-groups").items():
        yield RequirementArray(("dependency-groups", group), Kind.GROUP, items)


class RequirementFile(NamedTuple):
    """A file with one requirement a line that a build backend reads for `dynamic` dependencies."""

    path: str
    kind: Kind
    extra: str = ""


def requirement_files(document: Mapping[str, Any]) -> Iterator[RequirementFile]:
    """Yield the requirement files of the package with this parsed pyproject.toml.

    `[tool.setuptools.dynamic]` and hatch's hook `requirements_txt` name them.
    """
    dynamic = document.get("project", {}).get("dynamic", ())
    setuptools = table_at(document, "tool", "setuptools", "dynamic")
    hook = table_at(document, "tool", "hatch", "metadata", "hooks", "requirements_txt")
    if "dependencies" in dynamic:
        yield from _files_of(Kind.RUNTIME, "", table_at(setuptools, "dependencies").get("file"))
        yield from _files_of(Kind.RUNTIME, "", hook.get("files"))
    if "optional-dependencies" in dynamic:
        for extra, table in table_at(setuptools, "optional-dependencies").items():
            yield from _files_of(Kind.EXTRA, extra, table_at(table).get("file"))
        for extra, paths in table_at(hook, "optional-dependencies").items():
            yield from _files_of(Kind.EXTRA, extra, paths)


def _files_of(kind: Kind, extra: str, paths: object) -> Iterator[RequirementFile]:
    """Yield the requirement files that *paths* names, which is a string or a list of strings."""
    for path in texts_in(paths):
        yield RequirementFile(path, kind, extra)


def requirement_lines(text: str) -> Iterator[str]:
    """Yield the requirements in the *text* of a requirement file, without comments and options."""
    for line in text.splitlines():
        written = re.sub(r"(^|\s)#.*", "", line).strip()
        if written and not written.startswith("-"):
            yield written


def _matches_pattern(pattern: str, member: Member) -> bool:
    if "/" in pattern:
        return fnmatchcase(member.path, pattern.rstrip("/"))
    glob = re.sub(r"[-_.]+", "-", pattern).lower()  # PEP 503; the characters of globs stay
    return fnmatchcase(member.name, glob)


def _parse_member(
    path: str,
    document: Mapping[str, Any],
    dynamic_version: DeclaredVersion | None,
    files: Mapping[str, str],
) -> Member:
    project: Mapping[str, Any] = document.get("project", {})
    raw_name = str(project.get("name", ""))
    static_version = DeclaredVersion(str(project.get("version", "")), PYPROJECT)
    declared = dynamic_version or static_version
    version = _parse_version(declared, path) if declared.version else None
    return Member(
        name=canonicalize_name(raw_name),
        raw_name=raw_name,
        path=path,
        version=version,
        dynamic=is_dynamic(document),
        publishable=looks_publishable(document),
        needs=tuple(_parse_needs(path, document, files)),
        version_file=dynamic_version.file if dynamic_version else "",
        requires_python=str(project.get("requires-python", "")),
        extras_at_build=extras_at_build(document),
    )


def _parse_version(declared: DeclaredVersion, path: str) -> Version:
    try:
        return Version(declared.version)
    except InvalidVersion:
        message = f"{declared.version!r} is not a PEP 440 version"
        file = f"{path}/{declared.file}"
        excerpt = Excerpt(file, 0, declared.version)
        raise Refusal(ErrorCode.VERSION_INVALID, message, file, excerpt=excerpt) from None


def lacks_only_build_system(document: Mapping[str, Any]) -> bool:
    """Return whether the package with this pyproject.toml would be published if it had a `[build-system]`.

    uv does not build such a package when it syncs, but `uv build` does, with setuptools.
    """
    return "build-system" not in document and looks_publishable({**document, "build-system": {}})


def is_only_virtual(document: Mapping[str, Any]) -> bool:
    """Return whether the package with this pyproject.toml would be published without `tool.uv.package = false`.

    uv does not build such a package when it syncs, but `uv build` and `flit build` do.
    """
    return _is_virtual(document) and looks_publishable({**document, "tool": {}})


def looks_publishable(document: Mapping[str, Any]) -> bool:
    """Return whether the package with this pyproject.toml is built, and no classifier keeps it off an index."""
    if _is_virtual(document) or "build-system" not in document:
        return False
    classifiers = document.get("project", {}).get("classifiers", ())
    return not any(str(classifier).startswith("Private ::") for classifier in classifiers)


def _is_virtual(document: Mapping[str, Any]) -> bool:
    return document.get("tool", {}).get("uv", {}).get("package") is False


def _parse_needs(
    path: str, document: Mapping[str, Any], files: Mapping[str, str]
) -> Iterator[Need]:
    for array in requirement_arrays(document):
        # An included group is read anyway.
        texts = [item for item in array.items if isinstance(item, str)]
        for written in texts:
            yield _parse_need(path, PYPROJECT, array.kind, array.extra, written)
    for file in requirement_files(document):
        extra = canonicalize_name(file.extra)
        for written in requirement_lines(files.get(file.path, "")):
            yield _parse_need(path, file.path, file.kind, extra, written)


def _parse_need(path: str, file: str, kind: Kind, extra: str, written: str) -> Need:
    try:
        requirement = requirement_of(written)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        message = f"{written!r} is not a valid requirement: {reason}"
        location = f"{path}/{file}"
        excerpt = Excerpt(location, 0, written)
        raise Refusal(ErrorCode.WORKSPACE_REQUIREMENT, message, location, excerpt=excerpt) from None
    return Need(
        name=canonicalize_name(requirement.name),
        kind=kind,
        requirement=requirement,
        extra=extra,
        written=written,
        file=file,
    )
