"""What `init` detects and proposes, as values: its table, its JSON output, and the questions that it asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.migration.foreign_setup import ForeignTool, LeftOut
from releasekit.core.version_numbers import PyVersion

BaselineSource = Literal["tag", "index", "manifest", "first", "unasked", "home"]


class AdoptedPackage(BaseModel):
    """The last release of one package, as `init` detects it.

    *baseline*: "tag", "index" (released, no tag), "manifest" (another tool names this release, no tag), "first" (never
    released), "unasked" (no tag, no index was queried) or "home" (the package is not published). *commit* is empty if
    the commit of the release is unknown. *evidence* says why the tag counts. *next* is the version that the plan would
    release now, None if it would release none. *published* says whether the index has the package, None if no index was
    asked. *missing_tag* is the tag that the last release lacks and that `--tag-baselines` makes.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    path: str
    declared: PyVersion | None
    baseline: BaselineSource
    version: PyVersion | None = None
    tag: str = ""
    commit: str = ""
    evidence: str = ""
    next: PyVersion | None = None
    published: bool | None = None
    note: str = ""
    missing_tag: str = ""

    @property
    def lacks_tag(self) -> bool:
        """Whether the package has a last release that no tag names."""
        return self.baseline in ("index", "manifest")


class FormFinding(BaseModel):
    """A form of tags and its evidence: of the *recent* newest tags, *matching* have a declared version.

    *packages* are those that declared the version of each of these tags. *is_read* says whether the configuration that
    `init` proposes reads the form.
    """

    model_config = ConfigDict(frozen=True)

    form: str
    tags: int
    recent: int
    matching: int
    newest: str
    packages: tuple[str, ...]
    is_read: bool


class UnreadTags(BaseModel):
    """Tags that look like versions and that are not read: their *form*, the *reason*, and how to read them."""

    model_config = ConfigDict(frozen=True)

    form: str
    count: int
    newest: str
    tags: tuple[str, ...]
    packages: tuple[str, ...] = ()
    reason: str
    advice: str = ""


class InternalPackage(BaseModel):
    """A package that was never released and that is probably not meant for an index, with the *reason*."""

    model_config = ConfigDict(frozen=True)

    name: str
    path: str
    reason: str


class CommitTypes(BaseModel):
    """How many of the *total* newest commits are *typed*: they have a Conventional Commits type."""

    model_config = ConfigDict(frozen=True)

    total: int = 0
    typed: int = 0

    @property
    def share(self) -> str:
        """The share of commits with a type, in whole percent."""
        return f"{self.typed * 100 // self.total}%" if self.total else "0%"


class SetupStep(BaseModel):
    """A step that you do by hand before CI can release: *what*, *where*, and the exact *values*."""

    model_config = ConfigDict(frozen=True)

    what: str
    where: str
    values: dict[str, str] = {}
    packages: tuple[str, ...] = ()


class Adoption(BaseModel):
    """What `init` detected, and what it does or would do.

    *tag_format* has the formats of the tags, *own_tag_formats* those of single packages. *unexplained* are all tags
    that the formats do not read; *unread* are those of them that look like versions, by form. *missing* maps the tags
    that last releases lack to their commits. *diffs* are the changes to files, by path; *written* is true if they were
    written. *made* are the tags that were created. *setup_steps* are what you set up by hand for `--ci`. *notes* are
    problems of the whole repository. *other_tools* have a configuration here; with `--from`, it is the one that was
    read, *not_taken_over* are the parts that have no effect here, and *removable* are files that are no longer needed.
    """

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.init/1"] = Field(default="releasekit.init/1", alias="schema")
    tag_format: tuple[str, ...]
    label: str
    own_tag_formats: dict[str, tuple[str, ...]] = {}
    packages: tuple[AdoptedPackage, ...]
    forms: tuple[FormFinding, ...] = ()
    unread: tuple[UnreadTags, ...] = ()
    unexplained: tuple[str, ...] = ()
    internal: tuple[InternalPackage, ...] = ()
    commit_types: CommitTypes = CommitTypes()
    missing: dict[str, str] = {}
    diffs: dict[str, str] = {}
    setup_steps: tuple[SetupStep, ...] = ()
    notes: tuple[str, ...] = ()
    written: bool = False
    made: tuple[str, ...] = ()
    other_tools: tuple[ForeignTool, ...] = ()
    not_taken_over: tuple[LeftOut, ...] = ()
    removable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A question that `init` asks on a terminal: its *choices* by answer, the first one is the default."""

    key: str
    text: str
    choices: tuple[str, ...]

    @property
    def default(self) -> str:
        """The answer without a terminal, and with --yes."""
        return self.choices[0]
