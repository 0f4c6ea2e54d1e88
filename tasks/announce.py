"""Tags, push and fast-forward: the release becomes visible, so far as it is out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.core.errors import Code, ReleaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.adapters.repo import Repo
    from tasks.release import Release


@task(name="tag", task_run_name="tag-{release.plan.title}", cache_policy=NO_CACHE)
def tag(release: Release, repo: Repo, tags: Sequence[str]) -> None:
    """Make annotated *tags* on the release commit.

    Made only now, for packages that are confirmed: a tag that is there means that the package is out, so that
    neither a crash nor somebody's `git push --tags` can make it a lie.
    """
    for name in tags:
        repo.make_tag(name, release.commit)


@task(name="push", task_run_name="push-{release.plan.title}", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=3)
def push(release: Release, repo: Repo, tags: Sequence[str]) -> None:
    """Push the release commit and *tags* by name, and read them back; raises ReleaseError RK-PUSH-REJECTED."""
    wanted = {f"refs/tags/{name}": f"refs/tags/{name}" for name in tags}
    if release.branch:
        wanted[f"refs/heads/{release.branch}"] = release.commit
    remote = release.settings.remote
    repo.push(remote, [f"{source}:{name}" for name, source in wanted.items()])
    there = repo.remote_refs(remote)
    astray = [name for name in wanted if there.get(name) != release.commit]
    if astray:
        raise ReleaseError(Code.PUSH_REJECTED, f"pushed, but not found there: {', '.join(astray)}", remote)


@task(name="fast-forward", task_run_name="fast-forward-{release.branch}", cache_policy=NO_CACHE)
def fast_forward(release: Release, repo: Repo) -> bool:
    """Bring the user's branch to the release commit if it has not moved since; tells whether it is there."""
    return repo.branch == release.branch and repo.fast_forward(release.commit)
