"""The release pull request: its status, and whether the merged commit is what the pull request showed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from packaging.version import Version
from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.picking import by_name, drop, names_of
from releasekit.core.planning.model import Obstacle, Status
from releasekit.core.version_numbers import next_version_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from releasekit.core.planning.model import Plan, Step

PR_LABEL = "release"


class ReleasePullRequest(BaseModel):
    """The status of a release by pull request.

    *stage* is "none" if there is nothing to release, "open" while the pull request waits to be merged, "merged" until
    the merged commit is tagged, "draft" while the release waits to be published, and "running" while a process
    publishes it. *what* describes the stage in a sentence. *changed* says that this run created or changed something.
    *packages* are "name version". *obstacles* are the reasons why `prepare` cannot make the pull request.
    """

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, populate_by_name=True)

    kind: Literal["releasekit.pull/1"] = Field(default="releasekit.pull/1", alias="schema")
    stage: Literal["none", "open", "merged", "draft", "running"]
    what: str
    title: str = ""
    commit: str = ""
    page: str = ""
    packages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    changed: bool = False
    notes: tuple[str, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()


def release_pr_status(
    stage: Literal["none", "open", "merged", "draft", "running"], message: str, plan: Plan
) -> ReleasePullRequest:
    """Return the status of the release of *plan*; *message* describes the *stage* in a sentence."""
    packages = tuple(f"{step.name} {step.version}" for step in plan.steps)
    title = plan.title if packages else ""
    return ReleasePullRequest(
        stage=stage,
        what=message,
        title=title,
        packages=packages,
        obstacles=plan.obstacles,
    )


def release_pr_ref(branch: str) -> str:
    """Return the git reference with plan and commit of the pull request of *branch*; it is no branch and no tag."""
    return f"refs/releasekit/pull/{branch}"


# ---- changes that were merged next to the pull request --------------------------------------------------------------


def stale_reasons(proposed: Plan, before: Plan, after: Plan) -> Iterator[str]:
    """Yield the reasons why the merged commit differs from the plan *proposed*, which the pull request showed.

    *before* is the plan at the commit of the pull request alone, *after* the plan at the merged commit, with all other
    changes on the branch.
    """
    steps_before = by_name(before.packages)
    steps_after = by_name(after.packages)
    proposed_names = set(names_of(proposed.steps))
    for step in proposed.steps:
        new = steps_after.get(step.name)
        if new is None:
            yield f"{step.name} is no longer a package"
            continue
        # A package that is new on the branch has not changed.
        old = steps_before.get(step.name, new)
        if _has_higher_version(new, old):
            yield f"{step.name} would become {new.next} instead of {step.version}: {new.reason}"
        elif _edges(old, proposed_names) != _edges(new, proposed_names):
            yield f"{step.name} now needs different packages of this release"


def _has_higher_version(new: Step, old: Step) -> bool:
    if new.next is None or old.next is None:
        return False
    return new.next > old.next


def _edges(step: Step, names: set[str]) -> tuple[set[str], ...]:
    """Return what *step* needs among *names*, by kind of need."""
    return (
        names.intersection(step.needs),
        names.intersection(step.build_needs),
        names.intersection(step.after),
        names.intersection(step.batch),
    )


def not_in_release(proposed: Plan, after: Plan) -> tuple[str, ...]:
    """Return the names of packages that are due at the merged commit, but are not in this release."""
    released = by_name(proposed.steps)
    included = [step.name for step in after.steps if step.status is Status.INCLUDED]
    return tuple(drop(included, released))


# ---- afterwards ------------------------------------------------------------------------------------------------------


def next_development_version(version: Version) -> Version | None:
    """Return the development version after a release: 1.2.1.dev0 after 1.2.0, None after a development release.

    It sorts before every version that can be released next, so it does not influence the next version.
    """
    if version.is_devrelease:
        return None
    following = next_version_after(version)
    return Version(f"{following}.dev0")
