"""What a check is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field, computed_field

from releasekit.core.adoption import SAMPLE_DIRECTORIES
from releasekit.core.checks.fixes import Fix
from releasekit.core.toml_lines import line_of
from releasekit.core.workspace.dynamic_version import table_at
from releasekit.core.workspace.workspace import REQUIREMENTS, Kind, requirement_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from packaging.requirements import Requirement

    from releasekit.core.config.settings import Settings
    from releasekit.core.workspace.workspace import Member, Workspace


class Severity(StrEnum):
    """How bad a finding is: a release would fail or be useless; somebody will be hurt; good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Written(NamedTuple):
    """A requirement as it is written: the key of its array, its kind, its text, and what that means."""

    path: tuple[str, ...]
    kind: Kind
    text: str
    requirement: Requirement

    @property
    def name(self) -> str:
        """The name, normalised."""
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True)
class Package:
    """A member as it stands on the disk.

    *text* and *document* are its pyproject.toml. *files* are those that git has or would have, *ignored* what it is
    told to ignore (whole directories end with "/"), *built* the files in `dist/`; all relative to the package, and
    none of them another member's. *texts* holds what was read: its README, and each `__init__.py` at the top.
    *rendering* is what an index's renderer says against its README; None if it was not asked.
    """

    member: Member
    text: str
    document: Mapping[str, Any]
    files: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    built: frozenset[str] = frozenset()
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    rendering: str | None = ""

    @property
    def name(self) -> str:
        """The name, normalised."""
        return self.member.name

    @property
    def project(self) -> Mapping[str, Any]:
        """The table [project]."""
        return self.document.get("project", {})

    @property
    def file(self) -> str:
        """Its pyproject.toml, from the root of the workspace."""
        return self.at("pyproject.toml")

    @property
    def is_sample(self) -> bool:
        """Whether it stands in a directory of samples."""
        return not SAMPLE_DIRECTORIES.isdisjoint(self.member.path.lower().split("/")[:-1])

    def at(self, path: str) -> str:
        """Return the *path* of one of its files, from the root of the workspace."""
        return path if self.member.path == "." else f"{self.member.path}/{path}"

    def says(self, key: str) -> bool:
        """Tell whether [project] has *key*, or leaves it to the build backend."""
        return bool(self.project.get(key)) or key in self.project.get("dynamic", ())

    @cached_property
    def written(self) -> tuple[Written, ...]:
        """Its published requirements and those to build it."""
        return tuple(Written(path, kind, text, requirement_of(text)) for path, kind, text in self._arrays())

    def found(self, message: str, *path: str, item: str = "", **more: Any) -> Found:  # noqa: ANN401  see Found
        """Return a finding about the key *path* of its pyproject.toml, or about the *item* in that array."""
        return Found(self.name, message, self.file, line_of(self.text, path or ("project", "name"), item), **more)

    def _arrays(self) -> Iterator[tuple[tuple[str, ...], Kind, str]]:
        for path in REQUIREMENTS:
            table = table_at(self.document, *path)
            yield from (((*path, "dependencies"), Kind.RUNTIME, text) for text in table.get("dependencies", ()))
            for extra, texts in table.get("optional-dependencies", {}).items():
                yield from (((*path, "optional-dependencies", extra), Kind.EXTRA, text) for text in texts)
        requires = self.document.get("build-system", {}).get("requires", ())
        yield from ((("build-system", "requires"), Kind.BUILD, text) for text in requires)


@dataclass(frozen=True, slots=True)
class WorkspaceFacts:
    """What all checks are given. *document* is the root's pyproject.toml.

    *lock* is uv.lock: "current", "stale", "none" where git has none, "unasked", or what uv says where it cannot tell;
    *locked* is its text. *tagged* are the packages whose last release has a tag, None if nobody looked.
    *license_text* is that of the file *license_file* at the root, if there is one.
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
        """Those of them that people are meant to find on an index: samples that slipped in are another matter."""
        return (package for package in self.published if not (package.is_sample and not self.settings.packages))


@dataclass(frozen=True, slots=True)
class Found:
    """What a check has found: about which package (empty: the workspace), what, and where.

    *severity* and *hint* are those of the check, unless they are given here.
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
    """A check: its name, how bad its findings usually are, what they mean, and what to do about them.

    *needs* are the facts that cost something to read: "lock", "tags", "rendering". They are read for it alone.
    """

    name: str
    severity: Severity
    summary: str
    hint: str
    find: Callable[[WorkspaceFacts], Iterable[Found]]
    needs: frozenset[Literal["lock", "tags", "rendering"]] = frozenset()


class Finding(BaseModel):
    """One finding, as it is printed; *path* is from the root of the workspace, *line* from 1."""

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
        """Tell whether `--fix` mends it."""
        return self.fix is not None


class CheckReport(BaseModel):
    """What all checks have found, the worst first."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.check/1"] = Field(default="releasekit.check/1", alias="schema")
    checks: tuple[str, ...]
    packages: int
    findings: tuple[Finding, ...]

    @property
    def has_errors(self) -> bool:
        """Whether there is an error among the findings."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def summary(self) -> str:
        """How many findings there are of each severity, in words."""
        counts = [(sum(finding.severity is severity for finding in self.findings), severity) for severity in Severity]
        severities = ", ".join(_count(count, severity) for count, severity in counts if count)
        fixable = sum(finding.fixable for finding in self.findings)
        more = f"; --fix mends {fixable}" if fixable else ""
        scope = f"{_count(self.packages, 'package')}, {_count(len(self.checks), 'check')}"
        return f"{scope}: {severities or 'nothing found'}{more}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
