"""The plan: which package goes to which version, why, in what order, under which tags. Making one changes nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from packaging.version import Version
from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.changelog.changelog import Section
from releasekit.core.changelog.note_entries import PackageNotes
from releasekit.core.config.settings import PinMode
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.text import count_packages
from releasekit.core.version_numbers import PyVersion
from releasekit.core.workspace.pins import Pins
from releasekit.core.workspace.siblings import RaisedRequirement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sized


RELEASE_COMMIT = "chore(release): "
"""What the message of a release commit begins with; the title of the release follows."""


def title_from_subject(subject: str) -> str:
    """Return the title of the release that a commit with this *subject* made, empty if it made none.

    Merging by squash puts the number of the pull request behind it.
    """
    _, is_release, title = subject.rpartition(RELEASE_COMMIT)
    return re.sub(r" \([#!]\d+\)$", "", title) if is_release else ""


class Status(StrEnum):
    """What becomes of a package in this release; the first two are released."""

    INCLUDED = "included"
    DEPENDENCY_ONLY = "dependency_only"
    SKIPPED = "skipped"
    EXCLUDED = "excluded"
    ALREADY_PUBLISHED = "already_published"


class Step(BaseModel):
    """One package of the plan. *needs* gate it, *after* it merely follows, *batch* are its partners in a cycle.

    All name packages of this release alone; *build_needs* are all that a build of it installs, near and far.
    *order* is -1 for a package that is not released. *smoke_test* is what the package says for itself, if anything.
    *pins* is what its wheel requires of its siblings; *older* are requirements that mean an older release of one, as
    `key_of` spells them.
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
    after: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()

    @property
    def version(self) -> Version:
        """The version that is released."""
        assert self.next is not None, self.name  # noqa: S101  a step of Plan.steps always has one
        return self.next


class Obstacle(BaseModel):
    """Something that keeps `publish` from carrying a plan out: an error as a value, with its remedy in *hint*."""

    model_config = ConfigDict(frozen=True)

    code: ErrorCode
    what: str
    where: str = ""
    hint: str = ""
    output: str = ""

    @classmethod
    def from_error(cls, error: ReleaseError) -> Obstacle:
        """Return *error* as a value."""
        return cls(code=error.code, what=error.message, where=error.location, hint=error.hint, output=error.output)

    def as_refusal(self) -> Refusal:
        """Return the refusal that `publish` raises for it."""
        return Refusal(self.code, self.what, self.where, self.hint, self.output)

    def __str__(self) -> str:
        return str(self.as_refusal())


_REPORTED_ONCE = frozenset({ErrorCode.INDEX_UNREACHABLE, ErrorCode.REMOTE_UNREACHABLE})
"""Several questions go to the same server: when it is down, each of them fails for the same reason."""


def unique_obstacles(obstacles: Iterable[Obstacle]) -> tuple[Obstacle, ...]:
    """Return *obstacles* in their order, each of them once, and a server that does not answer once."""
    first: dict[tuple[str, ...], Obstacle] = {}
    for obstacle in obstacles:
        details = () if obstacle.code in _REPORTED_ONCE else (obstacle.what, obstacle.where)
        first.setdefault((obstacle.code, *details), obstacle)
    return tuple(first.values())


def count_obstacles(obstacles: Sized) -> str:
    """Return how many *obstacles* there are: "1 obstacle", "3 obstacles"."""
    return f"{len(obstacles)} obstacle{'' if len(obstacles) == 1 else 's'}"


class Plan(BaseModel):
    """One decision about a whole workspace. *versions* is what internal pins say: the new version, or the current.

    *date* is "YYYY.MM.DD"; *changelogs* are by package what its changelog gains, *tales* what the release notes tell.
    *obstacles* are what `publish` would refuse. *limits* are by package the first version after the one in *versions*
    that may break its dependents. *raises* are the requirements on siblings that the release commit changes. *unread*
    are releases of which it was assumed what they require. With *together* the latest versions of all packages can be
    installed together after the release.
    *unfinished* is the title of a release that was begun here and has not ended, if somebody looked.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, serialize_by_alias=True, populate_by_name=True)

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
    unread: tuple[tuple[str, PyVersion], ...] = Field(default=(), exclude=True)
    together: bool = False
    date: str = ""
    changelogs: Mapping[str, Section] = Field(default_factory=dict[str, Section])
    tales: Mapping[str, PackageNotes] = Field(default_factory=dict[str, PackageNotes])
    unfinished: str | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The packages that are released, dependencies first."""
        return tuple(step for step in self.packages if step.order >= 0)

    @property
    def all_tags(self) -> tuple[str, ...]:
        """The tags of all packages that are released, and the umbrella last."""
        return tuple(dict.fromkeys([*(step.tag for step in self.steps if step.tag not in self.tags), *self.tags]))

    def pins_of(self, step: Step) -> Pins:
        """Return what the package of *step* requires of its siblings once it is built."""
        return Pins(step.pins, self.versions, self.limits, frozenset(step.older))

    def install_closure(self, name: str) -> tuple[str, ...]:
        """Return *name* and the packages of this release that installing it brings, near and far."""
        needs = {step.name: (*step.needs, *step.batch) for step in self.steps}
        reached = {name: None}
        todo = [name]
        while todo:
            fresh = [need for need in needs[todo.pop()] if need not in reached]
            reached |= dict.fromkeys(fresh)
            todo += fresh
        return tuple(reached)

    @property
    def title(self) -> str:
        """The name of the release: its umbrella tag."""
        return self.tags[0] if self.tags else f"release-{self.release}"

    @property
    def headline(self) -> str:
        """What it comes to: "3 packages to release", "3 packages to release, 2 obstacles"."""
        released = f"{count_packages(self.steps)} to release" if self.steps else "nothing to release"
        return f"{released}, {count_obstacles(self.obstacles)}" if self.obstacles else released

    def matches_approved(self, approved: Plan, without: Collection[str] = ()) -> bool:
        """Tell whether who has said yes to *approved*, but *without* some of its packages, has said yes to this.

        So it is if the same commit gives the rest the same versions and tags, and warns of nothing new.
        """
        rest = {(step.name, step.version, step.tag) for step in approved.steps if step.name not in without}
        return (
            (self.commit, self.tags) == (approved.commit, approved.tags)
            and {(step.name, step.version, step.tag) for step in self.steps} == rest
            and set(self.warnings) <= set(approved.warnings)
        )


class PlanRefusal(Refusal):
    """The refusal to carry out *plan*: the code is that of its first obstacle, and the plan has all of them."""

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
