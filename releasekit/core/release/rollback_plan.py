"""What a rollback deletes, what stays, and how to continue from what is already public."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, computed_field

from releasekit.core.addresses import split_address
from releasekit.core.picking import group_by, map_values, names_of, pick
from releasekit.core.release.target import strip_credentials
from releasekit.core.text import count_as
from releasekit.core.version_numbers import PyVersion
from releasekit.core.workspace.graph import closure, reverse

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping, Sized

    from packaging.version import Version

    from releasekit.core.planning.model import Plan
    from releasekit.core.release.target import Target


class PublicPackage(BaseModel):
    """A package of the release that has *files* on the *index*. A rollback cannot remove them.

    It is *complete* if the index lists every built file with the recorded sha256. *page* is the URL where you can yank
    the version, *next* the version of the next fix. *dependents* are published packages of the release that require it,
    directly or transitively. *tag* is the tag that still names this version after the rollback, empty without one.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    version: PyVersion
    files: tuple[str, ...]
    complete: bool = True
    index: str = ""
    page: str
    next: PyVersion
    dependents: tuple[str, ...] = ()
    tag: str = ""

    @property
    def title(self) -> str:
        """The package with its version, and a remark if the index has only a part of it."""
        title = f"{self.name} {self.version}"
        return title if self.complete else f"{title} (in part)"

    @property
    def tag_or_none(self) -> str:
        """The tag for a table; "none" without one."""
        return self.tag or "none"


class KeptTag(BaseModel):
    """A tag of the release that stays in *places* ("here", "on origin"), and the reason."""

    model_config = ConfigDict(frozen=True)

    tag: str
    places: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"{self.tag} {' and '.join(self.places)} stays: {self.reason}"


class Rollback(BaseModel):
    """The rollback of one release. Without a *release* there is nothing to roll back.

    *tags* (local) and *remote_tags* are deleted, *kept_tags* stay; *kept* has these as sentences. *held* says that the
    remote has the lock of the release, which is removed. *draft* is the page of a draft release, *pull* the branch of a
    pull request: both are deleted too. *finished* says that the release had ended. *done* is false for a preview.
    """

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.rollback/1"] = Field(default="releasekit.rollback/1", alias="schema")
    release: str
    title: str
    commit: str = ""
    finished: bool = False
    tags: tuple[str, ...] = ()
    remote_tags: tuple[str, ...] = ()
    kept_tags: tuple[KeptTag, ...] = ()
    held: bool = False
    draft: str = ""
    pull: str = ""
    public: tuple[PublicPackage, ...] = ()
    notes: tuple[str, ...] = ()
    done: bool = False

    @computed_field
    @property
    def kept(self) -> tuple[str, ...]:
        """The tags that stay, each with its reason in one sentence."""
        return tuple(map(str, self.kept_tags))

    @property
    def next_steps(self) -> str:
        """How to continue after the rollback; empty if nothing is public."""
        if not self.public:
            return ""
        return (
            "To continue, commit the fix for the broken package as `fix: …` and run `releasekit publish`. "
            "The versions above are used, so the next release gets new ones. "
            "Yank a broken version if your index supports it. "
            "Published packages without changes stay as they are. "
            "Packages that are not published yet are part of the next release, with new versions. "
            "`releasekit plan` shows which published packages still require an old version."
        )

    @property
    def summary(self) -> str:
        """One line with the state of the rollback, and the counts of what stays."""
        if not self.release:
            return "nothing to roll back: no release is unfinished here"
        state = "rolled back" if self.done else "to be rolled back"
        parts = [f"{self.title}: {state}"]
        names = set(names_of(self.public))
        if names:
            parts.append(f"{_count_that_stay('package', names)} on the index")
        tags = {kept_tag.tag for kept_tag in self.kept_tags}
        if tags:
            parts.append(_count_that_stay("tag", tags))
        return ", ".join(parts)


def _count_that_stay(noun: str, names: Sized) -> str:
    """Return how many *names* stay: "1 tag stays", "3 tags stay"."""
    verb = "stays" if len(names) == 1 else "stay"
    return f"{count_as(noun, names)} {verb}"


class TaggedPackage(Protocol):
    """A package of a release: a step of its plan, or a built package."""

    @property
    def name(self) -> str:
        """The name of the package."""
        ...

    @property
    def tag(self) -> str:
        """The tag of the package."""
        ...


def tag_keep_reasons(
    tags: Iterable[str],
    packages: Collection[TaggedPackage],
    complete: Mapping[str, str],
    umbrella: Container[str],
) -> dict[str, str]:
    """Return those of *tags* that must stay, with the reason: all their packages are on an index.

    *complete* has by package a sentence that says where all its files are. A tag stands for the *packages* that have
    it. A tag of the *umbrella*, or of no package, stands for all of them.
    """
    all_names = names_of(packages)
    by_tag = group_by(packages, lambda package: package.tag)
    names_by_tag = map_values(names_of, by_tag)
    reasons: dict[str, str] = {}
    for tag in tags:
        owners = all_names if tag in umbrella else names_by_tag.get(tag, all_names)
        is_complete = complete.keys() >= set(owners)
        if owners and is_complete:
            several = "all its packages are on the index"
            reasons[tag] = complete[owners[0]] if len(owners) == 1 else several
    return reasons


def public_dependents(plan: Plan, public: Container[str]) -> dict[str, tuple[str, ...]]:
    """Return for each package of *plan* the *public* ones that need it transitively, in the order of the plan."""
    needs = {step.name: frozenset((*step.needs, *step.batch)) for step in plan.steps}
    needed_by = reverse(needs)
    public_names = [step.name for step in plan.steps if step.name in public]
    by_name: dict[str, tuple[str, ...]] = {}
    for step in plan.steps:
        dependents = closure(needed_by, [step.name]) - {step.name}
        by_name[step.name] = tuple(pick(public_names, dependents))
    return by_name


def yank_url(target: Target, name: str, version: Version) -> str:
    """Return the URL where a maintainer can yank *version*, or the simple page of the package if that is unknown."""
    if not target.has_project_pages:
        return target.package_url(name, version)
    root = split_address(strip_credentials(target.check_url))
    return root._replace(path=f"/manage/project/{name}/release/{version}/").geturl()
