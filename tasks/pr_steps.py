"""The release pull request: looked for, made, brought up to date, closed, and found again where it was merged."""

from __future__ import annotations

import os
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from releasekit.core.errors import Code, Refusal, nothing_changed
from releasekit.core.release.pr_status import LABEL, pull_ref
from releasekit.formats.pr_text import pull_body, pull_title
from releasekit.integrations.filesystem import make_directory, named
from releasekit.store.record import MANIFEST
from releasekit.store.remote_lock import Held, held_in, wrapped
from tasks.decorators import lazy_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.version import Version

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_manifest import ReleaseManifest
    from releasekit.core.release.release_notes import Pull
    from releasekit.integrations.git import Ref, Repo
    from releasekit.integrations.protocols import Forge, ForgeRelease
    from releasekit.integrations.secrets import Secrets
    from tasks.context import Release

    Declared = Callable[[Sequence[str], str], Mapping[str, Version | None]]
    """What reads the versions that packages declare in their files at a commit; None where there is none."""


@dataclass(frozen=True, slots=True)
class There:
    """What the remote has: all *refs*, and of the branch *base*, which is released, the commit *tip*.

    *held* is the plan of the release pull request, with the commit that it proposes; *branch* is where its branch is
    now, empty if there is none.
    """

    base: str
    tip: str
    refs: Mapping[str, Ref]
    held: Held | None
    branch: str

    @property
    def is_ours(self) -> bool:
        """Whether the branch is where we have left it."""
        return self.held is not None and self.held.manifest.release_commit == self.branch


@dataclass(frozen=True, slots=True)
class Merge:
    """The *commit* that brought the versions to the branch that is released; *wrong* says which are not as planned.

    *head* is the last commit of the pull request's branch, empty if the forge does not know it.
    """

    commit: str
    page: str
    head: str
    wrong: tuple[str, ...]


def base_of(repo: Repo, settings: Settings) -> str:
    """Return the branch that is released: the one that is checked out, or that a CI says that it works on.

    Raises Refusal RK-PREFLIGHT-DETACHED-HEAD, and RK-USAGE on the release pull request's own branch.
    """
    env = dict(os.environ) if os.environ.get("CI") else dict[str, str]()
    of_github = env.get("GITHUB_REF_NAME", "") if env.get("GITHUB_REF_TYPE") == "branch" else ""
    base = repo.branch or env.get("CI_COMMIT_BRANCH", "") or of_github
    if not base:
        hint = "Check out the branch that is to be released."
        raise Refusal(Code.PREFLIGHT_DETACHED_HEAD, f"HEAD is detached at {repo.head[:12]}", str(repo.top), hint)
    if base == settings.release_branch:
        raise Refusal(Code.USAGE, f"{base} is the branch of the release pull request, and none to be released")
    return base


@lazy_task("look-for-pull")
def look(repo: Repo, settings: Settings, base: str) -> There:
    """Return what the remote has of the release pull request into *base*; what is not here yet is fetched.

    Raises Refusal RK-PREFLIGHT-NO-REMOTE, RK-BRANCH-UNPUSHED, RK-RECORD-INVALID, RK-REMOTE-UNREACHABLE.
    """
    remote, name, ref = settings.remote, f"refs/heads/{base}", pull_ref(settings.release_branch)
    if remote not in repo.remotes():
        raise Refusal(Code.PREFLIGHT_NO_REMOTE, f"there is no remote {remote}", str(repo.top))
    with nothing_changed():
        refs = repo.refs_at(remote)
        if name not in refs:
            raise Refusal(Code.BRANCH_UNPUSHED, f"{remote} has no branch {base}", str(repo.top))
        for each in (name, ref):
            if each in refs and not repo.has(refs[each].commit):
                repo.fetch(remote, each)
        held = held_in(repo, refs[ref].commit) if ref in refs else None
    branch = refs.get(f"refs/heads/{settings.release_branch}")
    return There(base, refs[name].commit, refs, held, branch.commit if branch else "")


@lazy_task("find-draft")
async def find_draft(forge: Forge) -> ForgeRelease | None:
    """Return the release that waits on the forge to be published (D-6): a draft that has a manifest."""
    return next((draft for draft in await forge.drafts() if MANIFEST in draft.assets), None)


# ---- phase 1: the pull request --------------------------------------------------------------------------------------


def unfit(repo: Repo, settings: Settings, there: There) -> Iterator[Refusal]:
    """Find what no pull request can be made of, or what would throw the commits of others away.

    Obstacles: RK-BRANCH-UNPUSHED, RK-PULL-MOVED.
    """
    if not repo.contains(there.tip, repo.head):
        what = f"{repo.head[:12]} is not part of {there.base} on {settings.remote}"
        yield Refusal(Code.BRANCH_UNPUSHED, what, str(repo.top))
    refuse_moved(repo, settings, there)


def refuse_moved(repo: Repo, settings: Settings, there: There) -> None:
    """Refuse to replace a branch that others have pushed to, unless all of it was merged; raises RK-PULL-MOVED."""
    if there.branch and not there.is_ours:
        if not repo.has(there.branch):
            repo.fetch(settings.remote, f"refs/heads/{settings.release_branch}")
        if not repo.contains(there.tip, there.branch):
            what = f"somebody has pushed {there.branch[:12]} to {settings.release_branch}"
            raise Refusal(Code.PULL_MOVED, what, settings.remote)


def released_elsewhere(plan: Plan, settings: Settings, there: There, mine: Mapping[str, str]) -> Iterator[Refusal]:
    """Find a tag of *plan* that the remote has, and this clone (*mine*) has not. Obstacle: RK-RELEASE-ELSEWHERE."""
    taken = [tag for tag in plan.all_tags if f"refs/tags/{tag}" in there.refs and tag not in mine]
    if taken:
        what = f"{settings.remote} has {taken[0]} already, and this clone has not"
        yield Refusal(Code.RELEASE_ELSEWHERE, what, settings.remote, "`git fetch --tags`, then run again.")


@lazy_task("push-branch", "push-branch-{release.plan.title}")
def push_branch(release: Release, repo: Repo, there: There) -> None:
    """Push the release commit as the pull request's branch, and beside it the plan; both or none.

    The branch is releasekit's own. It is one commit on top of the branch that it goes into, so that it can be merged in
    any way, and is replaced only on condition that it is at the very commit that we put there.

    Raises Refusal RK-PULL-EMPTY, ReleaseError RK-PUSH-REJECTED.
    """
    if release.commit == release.plan.commit:
        raise Refusal(Code.PULL_EMPTY, f"{release.plan.title} changes no file", str(repo.top))
    mine = wrapped(repo, release.plan, release.record.require_manifest())
    sources = {f"refs/heads/{release.settings.release_branch}": release.commit}
    sources[pull_ref(release.settings.release_branch)] = mine
    leases = {name: there.refs[name].object if name in there.refs else "" for name in sources}
    repo.push(release.settings.remote, [f"{sha}:{name}" for name, sha in sources.items()], leases=leases)


@lazy_task("open-pull")
async def open_pull(forge: Forge, plan: Plan, settings: Settings, base: str) -> Pull:
    """Return the open pull request of *plan*, made or brought up to date; what is as it should be is left alone."""
    body = pull_body(plan, forge.pull_limit)
    return await forge.open_pull(settings.release_branch, base, pull_title(plan), body, [LABEL])


@lazy_task("close-pull")
async def close_pull(forge: Forge, repo: Repo, settings: Settings, there: There) -> Pull | None:
    """Close the open pull request, which has nothing left to release, and delete its branch; returns what was closed.

    One whose branch others have pushed to is left alone.
    """
    if there.branch and not there.is_ours:
        return None
    pull = await forge.find_pull(settings.release_branch, there.base)
    if pull:
        await forge.close_pull(pull, f"Nothing is left to release: {there.base} has moved on, or it is released.\n")
    let_go(repo, settings, there, there.branch)
    return pull


@lazy_task("let-go-of-pull")
def let_go(repo: Repo, settings: Settings, there: There, *ours: str) -> None:
    """Delete the pull request's branch, if it is at one of the commits *ours*, and what is kept of its plan."""
    branch, ref = f"refs/heads/{settings.release_branch}", pull_ref(settings.release_branch)
    now = repo.refs_at(settings.remote, branch, ref)  # a forge may have deleted the merged branch by itself
    leases = {ref: there.refs[ref].object} if ref in now and ref in there.refs else {}
    if branch in now and now[branch].commit in ours:
        leases[branch] = now[branch].object
    if leases:
        repo.push(settings.remote, [f":{name}" for name in leases], leases=leases)


# ---- phase 2: the merge ---------------------------------------------------------------------------------------------


@lazy_task("find-merge")
async def find_merge(repo: Repo, forge: Forge, settings: Settings, there: There, declared: Declared) -> Merge | None:
    """Return where the release pull request was merged, None if it was not: the forge knows, else the history.

    A merge commit, a squash or the last of rebased commits: the first commit of the branch that has it all.
    """
    if there.held is None:
        return None
    wanted = _brought(there.held, declared)
    pull = await forge.merged_pull(settings.release_branch, there.base)
    if pull and _is_news(repo, there.held.plan.commit, pull.commit, there.tip):
        commit, page, head = pull.commit, pull.page, pull.head
    else:
        commit, page, head = _in_history(repo, there.held, there.tip, wanted, declared), "", ""
    if not commit:
        return None
    found = declared([*wanted], commit)
    wrong = (f"{name} is at {found[name]}, not at {wanted[name]}" for name in wanted if found[name] != wanted[name])
    return Merge(commit, page, head, tuple(wrong))


def _is_news(repo: Repo, since: str, commit: str, tip: str) -> bool:
    """Tell whether *commit* came to the branch since the pull request was made: its branch had others before."""
    return repo.has(commit) and repo.contains(tip, commit) and not repo.contains(since, commit)


def _in_history(repo: Repo, held: Held, tip: str, wanted: Mapping[str, Version | None], declared: Declared) -> str:
    """Return the first commit of the branch that holds the proposed one, or declares the versions that it does."""
    line = repo.first_parents(held.plan.commit, tip)

    def has_it(commit: str) -> bool:
        if repo.contains(commit, held.manifest.release_commit):
            return True
        return bool(wanted) and declared([*wanted], commit) == wanted

    return line[bisect_left(line, True, key=has_it)] if line and has_it(tip) else ""  # noqa: FBT003  looked for


def _brought(held: Held, declared: Declared) -> dict[str, Version | None]:
    """Return the versions that the proposed commit writes into files; the tag alone holds those of other packages."""
    names = [step.name for step in held.plan.steps]
    before, after = declared(names, held.plan.commit), declared(names, held.manifest.release_commit)
    return {name: after[name] for name in names if after[name] != before[name]}


@lazy_task("tag-merged", "tag-{release.plan.title}")
def tag(release: Release, repo: Repo) -> None:
    """Make the annotated tags of the whole release on the merged commit; raises ReleaseError RK-TAG-EXISTS."""
    for name in release.plan.all_tags:
        repo.make_tag(name, release.commit)


def tags_at(there: There, plan: Plan) -> dict[str, str]:
    """Return those tags of *plan* that the remote has, and the commit of each."""
    names = {tag: f"refs/tags/{tag}" for tag in plan.all_tags}
    return {tag: there.refs[name].commit for tag, name in names.items() if name in there.refs}


def exported(held: Held, commit: str) -> ReleaseManifest:
    """Return the manifest of the release from the merged *commit*, with the plan inside: what is published from it."""
    merged = {"release_commit": commit, "tags": held.plan.all_tags}
    return held.manifest.model_copy(update=merged).exported(held.plan)


# ---- phase 3: `publish --manifest TAG` ------------------------------------------------------------------------------


def is_file(given: Path) -> bool:
    """Tell whether *given* names a file, and no release on the forge."""
    return given.suffix == ".json" or given.is_file()


@lazy_task("fetch-manifest")
async def manifest_at_hand(repo: Repo, settings: Settings, secrets: Secrets, given: Path) -> Path:
    """Return the file *given*; or, for the tag of a release or the word "draft", the manifest that this release has.

    Raises Refusal RK-RELEASE-UNKNOWN, RK-FORGE-….
    """
    from releasekit.integrations.forge_factory import forge_of  # late: httpx is dear, and a file needs none

    if is_file(given):
        return given
    tag = given.as_posix()
    with nothing_changed():
        async with forge_of(repo.address(settings.remote), settings, secrets) as forge:
            found = await (find_draft(forge) if tag == "draft" else forge.release(tag))
            content = await forge.asset(found, MANIFEST) if found else None
    if found is None or content is None:
        what = f"the release {tag} has no {MANIFEST}" if found else f"{forge.name} has no release {tag}"
        hint = "Name the tag of a draft that `publish --publish-from=ci` has made, `draft` for the only one, or a file."
        raise Refusal(Code.RELEASE_UNKNOWN, what, str(given), hint)
    path = repo.common_dir / "releasekit" / "exported" / quote(found.tag, safe="") / MANIFEST
    make_directory(path.parent)
    with named(path):
        path.write_bytes(content)
    return path
