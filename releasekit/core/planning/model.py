"""The plan: the version of each package, the reason, the order and the tags. Making a plan changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from packaging.version import Version
from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.artifacts.differences import Difference
from releasekit.core.changelog.changelog import Section
from releasekit.core.changelog.note_entries import PackageNotes
from releasekit.core.config.settings import PinMode
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.history.pending_changes import ConsumedFile
from releasekit.core.history.tags import is_dated
from releasekit.core.picking import drop, drop_named
from releasekit.core.similar_texts import select_texts
from releasekit.core.text import count_as, count_packages
from releasekit.core.version_numbers import PyVersion
from releasekit.core.workspace.pins import Pins
from releasekit.core.workspace.siblings import RaisedRequirement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence, Sized


class Status(StrEnum):
    """Whether a package is released, and if not, why; the first two are released."""

    INCLUDED = "included"
    DEPENDENCY_ONLY = "dependency_only"
    SKIPPED = "skipped"
    EXCLUDED = "excluded"
    ALREADY_PUBLISHED = "already_published"


class Step(BaseModel):
    """One package of the plan.

    It waits for *needs* to succeed and for *after* to end; *batch* are its partners in a cycle; *build_needs* are all
    that its build installs, transitively. These four name only packages of this release. *order* is -1 for a package
    that is not released. *smoke_test* is the package's own setting, None without one. *pins* is what its wheel requires
    of its siblings; *older* are requirements that an older release of a sibling satisfies, in the form of
    `requirement_key`. *platforms* are those on which its wheels are built; without one they are built once, anywhere.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    order: int
    level: int
    name: str
    path: str
    current: PyVersion | None
    next: PyVersion | None
    bump: str
    status: Status
    reason: str
    tag: str
    needs: tuple[str, ...] = ()
    build_needs: tuple[str, ...] = ()
    pins: PinMode = "exact"
    older: tuple[str, ...] = ()
    smoke_test: bool | None = None
    platforms: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()

    @property
    def is_released(self) -> bool:
        """Whether this release publishes the package."""
        return self.order >= 0

    @property
    def version(self) -> Version:
        """The version that is released."""
        assert self.next is not None, self.name  # noqa: S101  a step of Plan.steps always has one
        return self.next

    def is_smoke_tested(self, *, default: bool) -> bool:
        """Return whether the package is installed and imported. Its own setting wins over the *default*."""
        return default if self.smoke_test is None else self.smoke_test


class Obstacle(BaseModel):
    """A reason for which `publish` refuses a plan: an error as a value; *hint* says how to fix it."""

    model_config = ConfigDict(frozen=True)

    code: ErrorCode
    what: str
    where: str = ""
    hint: str = ""
    output: str = ""

    @classmethod
    def from_error(cls, error: ReleaseError) -> Obstacle:
        """Return *error* as a value."""
        return cls(
            code=error.code,
            what=error.message,
            where=error.location,
            hint=error.hint,
            output=error.output,
        )

    def as_refusal(self) -> Refusal:
        """Return the refusal that `publish` raises for it."""
        return Refusal(
            code=self.code,
            message=self.what,
            location=self.where,
            hint=self.hint,
            output=self.output,
        )

    def __str__(self) -> str:
        return str(self.as_refusal())


_REPORTED_ONCE = frozenset({ErrorCode.INDEX_UNREACHABLE, ErrorCode.REMOTE_UNREACHABLE})
"""Errors of a server that is down: each request to it fails for the same reason."""


def unique_obstacles(obstacles: Iterable[Obstacle]) -> tuple[Obstacle, ...]:
    """Return *obstacles* in their order without duplicates; a server that does not answer counts once."""
    first: dict[tuple[str, ...], Obstacle] = {}
    for obstacle in obstacles:
        is_reported_once = obstacle.code in _REPORTED_ONCE
        details = () if is_reported_once else (obstacle.what, obstacle.where)
        first.setdefault((obstacle.code, *details), obstacle)
    return tuple(first.values())


def calm_obstacles(obstacles: Sequence[Obstacle], *, verbose: bool = False) -> tuple[Obstacle, ...]:
    """Return *obstacles*, but of many that differ in one word the first one only, with these words; all if *verbose*.

    Where they are does not count.
    """
    texts = [f"{obstacle.code}: {obstacle.what}\n{obstacle.output}" for obstacle in obstacles]
    codes = [obstacle.code for obstacle in obstacles]
    selected: list[Obstacle] = []
    for group in select_texts(texts, codes, verbose=verbose):
        obstacle = obstacles[group.position]
        if group.is_rest:
            selected.append(Obstacle(code=obstacle.code, what=group.remark, hint=obstacle.hint))
        else:
            selected.append(obstacle.model_copy(update={"what": group.extend(obstacle.what)}))
    return tuple(selected)


def count_obstacles(obstacles: Sized) -> str:
    """Return how many *obstacles* there are: "1 obstacle", "3 obstacles"."""
    return count_as("obstacle", obstacles)


class Plan(BaseModel):
    """One decision about a whole workspace.

    *tags* is the tag that names the release: the umbrella tag, or the only tag of its packages; empty if nothing is
    released. *versions* are the versions that internal pins name, by package: the new version, or the current one.
    *limits* are by package the first version after that which may break its dependents. *date* is "YYYY.MM.DD".
    *changelogs* are the new changelog sections by package, *workspace_changelog* is the one with the changes of all
    packages, and *tales* are the contents of the release notes. *obstacles* are the reasons for which `publish` would
    refuse the plan. *raises* are the requirements on siblings that the release commit changes. *unallowed_new* are the
    packages that are released for the first time, without the ones that `allow_new` names. *unread* are releases whose
    requirements are assumed. *new_to_index* are the released packages of which the index has no version. *together*:
    whether the latest versions of all packages can be installed together after the release. *unfinished* is the title
    of the unfinished release in this clone; None if there is none, or nobody looked. *consumes* are the change files
    that the release commit edits or deletes. *requested* are the options that requested versions, such as "--bump
    core=minor". *pre_release* are the commands that run before the release commit. *differences* are what the source
    lacks of the last releases.
    """

    model_config = ConfigDict(
        frozen=True, arbitrary_types_allowed=True, serialize_by_alias=True, populate_by_name=True
    )

    kind: Literal["releasekit.plan/1"] = Field(default="releasekit.plan/1", alias="schema")
    commit: str
    release: str
    tags: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    packages: tuple[Step, ...] = ()
    versions: Mapping[str, PyVersion] = Field(default_factory=dict[str, Version])
    limits: Mapping[str, PyVersion] = Field(default_factory=dict[str, Version])
    raises: tuple[RaisedRequirement, ...] = ()
    unallowed_new: tuple[str, ...] = ()
    unread: tuple[tuple[str, PyVersion], ...] = Field(default=(), exclude=True)
    new_to_index: tuple[str, ...] = Field(default=(), exclude=True)
    together: bool = False
    date: str = ""
    changelogs: Mapping[str, Section] = Field(default_factory=dict[str, Section])
    workspace_changelog: Section | None = None
    tales: Mapping[str, PackageNotes] = Field(default_factory=dict[str, PackageNotes])
    unfinished: str | None = None
    consumes: tuple[ConsumedFile, ...] = ()
    requested: tuple[str, ...] = ()
    pre_release: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """The packages that are released, dependencies first."""
        return tuple(step for step in self.packages if step.is_released)

    @property
    def sections(self) -> tuple[tuple[str, Version, Section], ...]:
        """Each changelog section: the directory of its package, "." for the workspace, the version, and the section."""
        sections = [
            (step.path, step.version, self.changelogs[step.name])
            for step in self.steps
            if step.name in self.changelogs
        ]
        if self.workspace_changelog:
            sections.append((".", self.steps[0].version, self.workspace_changelog))
        return tuple(sections)

    @property
    def all_tags(self) -> tuple[str, ...]:
        """The tags of all packages that are released, and the umbrella tag last, if there is one."""
        package_tags = [step.tag for step in self.steps if step.tag not in self.tags]
        return tuple(dict.fromkeys([*package_tags, *self.tags]))

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms on which wheels of this release are built."""
        names = (name for step in self.steps for name in step.platforms)
        return tuple(dict.fromkeys(names))

    def pins_of(self, step: Step) -> Pins:
        """Return what the package of *step* requires of its siblings once it is built."""
        return Pins(
            mode=step.pins,
            versions=self.versions,
            limits=self.limits,
            older=frozenset(step.older),
        )

    def install_closure(self, name: str) -> tuple[str, ...]:
        """Return *name* and the packages of this release that its installation brings, transitively."""
        needs = {step.name: (*step.needs, *step.batch) for step in self.steps}
        reached = {name: None}
        todo = [name]
        while todo:
            fresh = drop(needs[todo.pop()], reached)
            reached |= dict.fromkeys(fresh)
            todo += fresh
        return tuple(reached)

    @property
    def title(self) -> str:
        """The name of the release: its umbrella tag, or the only tag of its packages."""
        return self.tags[0] if self.tags else f"release-{self.release}"

    @property
    def headline(self) -> str:
        """The summary: "3 packages to release", "3 packages to release, 2 obstacles"."""
        summary = "nothing to release"
        if self.steps:
            summary = f"{count_packages(self.steps)} to release"
        if self.obstacles:
            summary = f"{summary}, {count_obstacles(self.obstacles)}"
        return summary

    @property
    def pre_release_line(self) -> str:
        """The commands that run before the release commit: "2 pre-release commands: make docs; npm run build"."""
        if not self.pre_release:
            return ""
        return f"{count_as('pre-release command', self.pre_release)}: {'; '.join(self.pre_release)}"

    def matches_approved(self, approved: Plan, without: Collection[str] = ()) -> bool:
        """Return whether the approval of *approved*, *without* some of its packages, also covers this plan.

        It does if the commit, the tags and the versions of the other packages are the same, and no warning is new. The
        date in an umbrella tag does not count: a release may begin on the day after its approval.
        """
        new_tags = set(self.all_tags).difference(approved.all_tags)
        if self.commit != approved.commit or not all(map(is_dated, new_tags)):
            return False
        new_warnings = set(self.warnings).difference(approved.warnings)
        if new_warnings:
            return False
        remaining = drop_named(approved.steps, without)
        return set(map(_identity, self.steps)) == set(map(_identity, remaining))


def _identity(step: Step) -> tuple[str, Version, str]:
    """Return what a release is approved by: two steps that share it publish the same."""
    return step.name, step.version, step.tag


class PlanRefusal(Refusal):
    """The refusal of *plan*: the code and text are those of its first obstacle; the plan has all obstacles."""

    def __init__(self, plan: Plan) -> None:
        first = plan.obstacles[0]
        super().__init__(first.code, first.what, first.where, first.hint, first.output)
        self.plan = plan

    def __reduce__(self) -> tuple[type[PlanRefusal], tuple[Plan]]:
        return type(self), (self.plan,)

    @property
    def full_text(self) -> str:
        """All obstacles, each with what to do next."""
        return "\n".join(f"{obstacle}\n{obstacle.hint}" for obstacle in self.plan.obstacles)
