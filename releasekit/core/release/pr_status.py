"""The release pull request: what it says, how it stands, and whether what was merged is what it showed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from packaging.version import Version
from pydantic import BaseModel, ConfigDict, Field

from releasekit.core.planning.model import Obstacle, Status
from releasekit.core.version_numbers import next_version_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from releasekit.core.planning.model import Plan, Step

PR_LABEL = "release"


class ReleasePullRequest(BaseModel):
    """How a release by pull request stands.

    *stage* is "none" if nothing is due, "open" while the pull request waits to be merged, "merged" until that commit is
    tagged, "draft" while it waits to be published, and "running" while somebody publishes it. *changed* says that this
    run has made something. *packages* are "name version", *obstacles* what keeps `prepare` from making it.
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
    """Return how the release of *plan* stands; *message* says it in words."""
    packages = tuple(f"{step.name} {step.version}" for step in plan.steps)
    title = plan.title if plan.steps else ""
    return ReleasePullRequest(stage=stage, what=message, title=title, packages=packages, obstacles=plan.obstacles)


def release_pr_ref(branch: str) -> str:
    """Return the reference that keeps plan and commit of the pull request of *branch*: neither a branch nor a tag."""
    return f"refs/releasekit/pull/{branch}"


# ---- what landed beside the pull request ----------------------------------------------------------------------------


def stale_reasons(proposed: Plan, before: Plan, after: Plan) -> Iterator[str]:
    """Yield in words why what was merged is not what the pull request of the plan *proposed* showed.

    *before* is planned as its own commit alone would have it, *after* as the merged one, with all that has landed.
    """
    steps_before, steps_after = ({step.name: step for step in plan.packages} for plan in (before, after))
    proposed_names = {step.name for step in proposed.steps}
    for step in proposed.steps:
        old, new = steps_before.get(step.name), steps_after.get(step.name)
        if new is None:
            yield f"{step.name} is no package any more"
        elif old and old.next and new.next and new.next > old.next:
            yield f"{step.name} would go to {new.next}, not to {step.version}: {new.reason}"
        elif old and _edges(old, proposed_names) != _edges(new, proposed_names):
            yield f"{step.name} needs other packages of this release than before"


def _edges(step: Step, among: set[str]) -> tuple[set[str], ...]:
    return tuple(among & {*names} for names in (step.needs, step.build_needs, step.after, step.batch))


def not_in_release(proposed: Plan, after: Plan) -> tuple[str, ...]:
    """Return the packages that have changed as well by then, and are not in this release."""
    released = {step.name for step in proposed.steps}
    return tuple(s.name for s in after.steps if s.name not in released and s.status is Status.INCLUDED)


# ---- afterwards ------------------------------------------------------------------------------------------------------


def next_development_version(version: Version) -> Version | None:
    """Return the development version that follows a release: 1.2.1.dev0 after 1.2.0; None after one of its kind.

    It comes before anything that can be released next, so it decides nothing.
    """
    return None if version.is_devrelease else Version(f"{next_version_after(version)}.dev0")
