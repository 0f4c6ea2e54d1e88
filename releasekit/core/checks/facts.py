"""The input of a check, `WorkspaceFacts`, and its output, `Found` and `Finding`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field, computed_field

from releasekit.core.adoption.internal_packages import SAMPLE_DIRECTORIES
from releasekit.core.artifacts.package_facts import source_facts, wheel_sources
from releasekit.core.checks.fixes import Fix
from releasekit.core.repair.inconsistencies import RepairReport
from releasekit.core.toml_lines import line_of
from releasekit.core.workspace.workspace import Kind, requirement_arrays, requirement_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from packaging.requirements import Requirement

    from releasekit.core.artifacts.archive_facts import Archive
    from releasekit.core.config.settings import Settings
    from releasekit.core.workspace.workspace import Member, Workspace


CRATE = "Cargo.toml"
"""The manifest of a crate in Rust beside a pyproject.toml."""


class Severity(StrEnum):
    """How severe a finding is: ERROR breaks a release or makes it useless, WARNING affects users, NOTE informs."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Written(NamedTuple):
    """A requirement as written: the key *path* of its array, its kind, its text, and the text parsed."""

    path: tuple[str, ...]
    kind: Kind
    text: str
    requirement: Requirement

    @property
    def name(self) -> str:
        """The normalized name."""
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True)
class Package:
    """A workspace member as it is on disk.

    *text* and *document* are its pyproject.toml, as text and parsed. *files* are the files that git tracks or would
    track, *ignored* the paths that git ignores (whole directories end with "/"), *built* the files in `dist/`. All of
    them are relative to the package, and none belongs to another member. *texts* maps paths to the texts that were
    read: the README, the `CRATE`, and the `VERSION_MODULES` of each top-level import package. *rendering* is the error
    of PyPI's README renderer; empty if there is none, None if the renderer did not run. *tree* has those *files* that a
    build packs, with their contents; None if they were not read.
    """

    member: Member
    text: str
    document: Mapping[str, Any]
    files: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    built: frozenset[str] = frozenset()
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    rendering: str | None = ""
    tree: Archive | None = None

    @property
    def name(self) -> str:
        """The normalized name."""
        return self.member.name

    @property
    def project(self) -> Mapping[str, Any]:
        """The table [project]."""
        return self.document.get("project", {})

    @property
    def file(self) -> str:
        """The path of its pyproject.toml, relative to the root of the workspace."""
        return self.at("pyproject.toml")

    @property
    def is_sample(self) -> bool:
        """Whether it is in a directory of samples."""
        *parents, _ = self.member.path.lower().split("/")
        return not SAMPLE_DIRECTORIES.isdisjoint(parents)

    @cached_property
    def sources(self) -> set[str]:
        """Those of its *files* that the settings of the build backend let into a wheel."""
        return wheel_sources(self.files, self.document, self.name.replace("-", "_"))

    @cached_property
    def installed_paths(self) -> Collection[str]:
        """The paths at which its *files* are installed, as far as the settings of the build backend tell."""
        sizes = dict.fromkeys(self.files, 0)
        return source_facts(sizes, self.project, self.document).files

    def at(self, path: str) -> str:
        """Return *path*, which is relative to this package, relative to the root of the workspace."""
        return f"{self.member.path}/{path}".removeprefix("./")

    def says(self, key: str) -> bool:
        """Return whether [project] has *key*, or declares it as dynamic."""
        return self.is_dynamic(key) or bool(self.project.get(key))

    def is_dynamic(self, key: str) -> bool:
        """Return whether [project] leaves *key* to the build backend."""
        return key in self.project.get("dynamic", ())

    def classifiers(self, prefix: str) -> list[str]:
        """Return the trove classifiers that start with *prefix*."""
        return [text for text in self.project.get("classifiers", ()) if text.startswith(prefix)]

    @cached_property
    def written(self) -> tuple[Written, ...]:
        """Its published requirements, and its build requirements."""
        arrays = requirement_arrays(self.document)
        published = (array for array in arrays if array.kind is not Kind.GROUP)
        requirements: list[Written] = []
        for path, kind, texts, _ in published:
            requirements += [Written(path, kind, text, requirement_of(text)) for text in texts]
        return tuple(requirements)

    def found(self, message: str, *path: str, item: str = "", **more: Any) -> Found:  # noqa: ANN401  see Found
        """Return a finding about the key *path* of its pyproject.toml, or about *item* in the array at *path*."""
        key = path or ("project", "name")
        line = line_of(self.text, key, item)
        return Found(
            package=self.name,
            what=message,
            file=self.file,
            line=line,
            **more,
        )

    def project_finding(self, key: str, message: str, **more: Any) -> Found:  # noqa: ANN401  see Found
        """Return a finding about *key* of [project]."""
        return self.found(message, "project", key, **more)

    def requirement_finding(self, need: Written, message: str, **more: Any) -> Found:  # noqa: ANN401  see Found
        """Return a finding about the requirement *need* of its pyproject.toml."""
        return self.found(message, *need.path, item=need.text, **more)


def written_requirements(packages: Iterable[Package]) -> Iterator[tuple[Package, Written]]:
    """Return the published requirements and the build requirements of *packages*, each with its package."""
    return ((package, need) for package in packages for need in package.written)


@dataclass(frozen=True, slots=True)
class WorkspaceFacts:
    """The input of all checks. *document* is the root's pyproject.toml.

    *lock* is the state of uv.lock: "current", "stale", "none" (not in git), "unasked", or uv's message if uv cannot
    check it; *locked* is its text. *tagged* are the packages whose last release has a tag, None if tags were not read.
    *license_text* is the text of *license_file*, a file at the root; both are empty if there is none.
    *ignored_changelogs* are the changelogs that releases write and git ignores, by package, or "" for that of the
    workspace; they are relative to the root.
    *unread_tags* says by package why its build does not read the tags of its releases. *prepared* are the packages with
    `pre_build` commands, which may write more files before a build.
    """

    workspace: Workspace
    settings: Settings
    packages: Mapping[str, Package]
    document: Mapping[str, Any] = field(default_factory=dict[str, Any])
    lock: str = "unasked"
    locked: str = ""
    tagged: frozenset[str] | None = None
    license_file: str = ""
    license_text: str = ""
    ignored_changelogs: Mapping[str, str] = field(default_factory=dict[str, str])
    unread_tags: Mapping[str, str] = field(default_factory=dict[str, str])
    prepared: frozenset[str] = frozenset()

    def __iter__(self) -> Iterator[Package]:
        return iter(self.packages.values())

    def __getitem__(self, name: str) -> Package:
        return self.packages[name]

    @property
    def published(self) -> Iterator[Package]:
        """The packages that are released."""
        return (package for package in self if package.member.publishable)

    @property
    def presented(self) -> Iterator[Package]:
        """The released packages without those that only look like samples; `private_classifier` reports these."""
        if self.settings.packages:
            return self.published
        return (package for package in self.published if not package.is_sample)


@dataclass(frozen=True, slots=True)
class Found:
    """A problem that a check found: the package (empty: the workspace), the message *what*, and the location.

    *file* is relative to the root of the workspace, *line* counts from 1. *severity* and *hint* replace those of the
    check.
    """

    package: str
    what: str
    file: str
    line: int = 1
    hint: str = ""
    severity: Severity | None = None
    fix: Fix | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A check: its name, the usual severity of its findings, what they mean, and what to do about them.

    *needs* are facts that are slow to read: "lock", "tags", "rendering", "contents". They are read only if a check
    needs them.
    """

    name: str
    severity: Severity
    summary: str
    hint: str
    find: Callable[[WorkspaceFacts], Iterable[Found]]
    needs: frozenset[Literal["lock", "tags", "rendering", "contents"]] = frozenset()


class Finding(BaseModel):
    """One finding as printed; *path* is relative to the root of the workspace, *line* counts from 1."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    check: str
    severity: Severity
    package: str
    what: str
    path: str
    line: int
    hint: str
    fix: Fix | None = Field(default=None, exclude=True)

    @computed_field
    @property
    def fixable(self) -> bool:
        """Whether `--fix` fixes it."""
        return self.fix is not None


class CheckReport(BaseModel):
    """The findings of all checks, the most severe first."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.check/1"] = Field(default="releasekit.check/1", alias="schema")
    checks: tuple[str, ...]
    packages: int
    findings: tuple[Finding, ...]
    releases: RepairReport | None = None

    @property
    def has_errors(self) -> bool:
        """Whether there is an error among the findings, or something to repair about the *releases*."""
        has_open_releases = self.releases is not None and not self.releases.is_clean
        return has_open_releases or self._counts[Severity.ERROR] > 0

    @property
    def summary(self) -> str:
        """The number of findings of each severity, in words."""
        packages = _count(self.packages, "package")
        checks = _count(len(self.checks), "check")
        findings = self._count_severities() or "no findings"
        fixable = sum(finding.fixable for finding in self.findings)
        note = f"; --fix fixes {fixable}" if fixable else ""
        releases = f"; {self.releases.headline}" if self.releases else ""
        return f"{packages}, {checks}: {findings}{note}{releases}"

    def _count_severities(self) -> str:
        counts = self._counts
        severities = [
            _count(counts[severity], severity) for severity in Severity if severity in counts
        ]
        return ", ".join(severities)

    @property
    def _counts(self) -> Counter[Severity]:
        """The number of findings of each severity."""
        return Counter(finding.severity for finding in self.findings)


def _count(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}s"
