"""What undoing a release means: what goes, what stays, and how to go forward from what is public already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from packaging.version import Version
from pydantic import BaseModel, ConfigDict, Field

from tasks.core.graph import closure, reverse
from tasks.core.plan import PyVersion, counted

if TYPE_CHECKING:
    from collections.abc import Container

    from tasks.core.plan import Plan
    from tasks.core.target import Target


class PublicPackage(BaseModel):
    """A package of the release that the index has files of, which no rollback takes away.

    *page* is where its version can be yanked, *next* the version to go forward with. *dependents* are out as well, and
    need it in exactly this version, near or far: they have to be released again with it.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    version: PyVersion
    files: tuple[str, ...]
    page: str
    next: PyVersion
    dependents: tuple[str, ...] = ()


class Rollback(BaseModel):
    """What is undone of one release. *tags* and *remote_tags* go; *kept* says which stay, and why.

    *held* tells that the remote holds the release for all clones to see, which ends. *draft* is the page of a release
    that is not announced yet, *pull* the branch of a pull request: they go too. *done* is false while it is only looked
    at.
    """

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.rollback/1"] = Field(default="releasekit.rollback/1", alias="schema")
    release: str
    title: str
    commit: str = ""
    finished: bool = False
    tags: tuple[str, ...] = ()
    remote_tags: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    held: bool = False
    draft: str = ""
    pull: str = ""
    public: tuple[PublicPackage, ...] = ()
    notes: tuple[str, ...] = ()
    done: bool = False

    @property
    def forward(self) -> str:
        """How to go on: these versions are spent, whatever tags there are."""
        if not self.public:
            return ""
        first = self.public[0]
        return (
            "These versions are spent. Mend what is broken; then write the next version of each package that is to be "
            f"released again into its pyproject.toml (`uv version --frozen --package {first.name} {first.next}`, then "
            f"`uv lock`), or let a commit that touches it say `Release-As: {first.next}`. What stands under 'with it' "
            "needs exactly the spent version, so it goes out again too."
        )

    @property
    def summary(self) -> str:
        """One line that says how it stands."""
        what = "rolled back" if self.done else "to be rolled back"
        public = (
            f", {counted(self.public)} {'stays' if len(self.public) == 1 else 'stay'} on the index"
            if self.public
            else ""
        )
        return f"{self.title}: {what}{public}"


def following(version: Version) -> Version:
    """Return the version to go on with after *version* was spent: the next of its kind."""
    text = version.public
    # The last number of 1.0rc1, 1.0.post1 and 1.0rc1.dev1 is the one that counts on.
    for number in (version.dev, version.post, version.pre[1] if version.pre else None):
        if number is not None:
            return Version(f"{text.removesuffix(str(number))}{number + 1}")
    major, minor, micro = (*version.release, 0, 0)[:3]
    return Version(f"{version.epoch}!{major}.{minor}.{micro + 1}")


def dependents_of(plan: Plan, public: Container[str]) -> dict[str, tuple[str, ...]]:
    """Return for each package of *plan* those of the *public* ones that need it, near and far, in the plan's order."""
    needed_by = reverse({step.name: frozenset((*step.needs, *step.batch)) for step in plan.steps})
    wanted = [step.name for step in plan.steps if step.name in public]
    found: dict[str, tuple[str, ...]] = {}
    for step in plan.steps:
        dependents = closure(needed_by, [step.name]) - {step.name}
        found[step.name] = tuple(name for name in wanted if name in dependents)
    return found


def yank_page(target: Target, name: str, version: Version) -> str:
    """Return the page on which a maintainer can yank *version*, or the project's page on an index of another kind.

    PyPI and its like have that page beside their simple root.
    """
    if not target.is_like_pypi:
        return target.page(name, version)
    simple = urlsplit(target.check_url)
    return f"{simple.scheme}://{simple.hostname}/manage/project/{name}/release/{version}/"
