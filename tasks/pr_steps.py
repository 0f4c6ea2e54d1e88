"""Steps of the release pull request: find, open, update and close it, and find the commit that merged it."""

from __future__ import annotations

import os
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from releasekit.core.errors import ErrorCode, Refusal, as_refusal
from releasekit.core.picking import drop, names_of
from releasekit.core.planning.release_messages import tag_message
from releasekit.core.release.pr_status import PR_LABEL, release_pr_ref
from releasekit.formats.pr_text import release_pr_body, release_pr_title
from releasekit.integrations.filesystem import make_directory, wrap_os_errors
from releasekit.integrations.git import NO_REF, tags_among
from releasekit.store.record import MANIFEST
from releasekit.store.remote_lock import RemoteLock, read_lock_commit, write_lock_commit
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.version import Version

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_manifest import ReleaseManifest
    from releasekit.core.release.release_notes import PullRequest
    from releasekit.integrations.git import Ref, Repo
    from releasekit.integrations.protocols import Forge, ForgeRelease
    from releasekit.integrations.secrets import Secrets
    from tasks.context import ReleaseContext

    VersionReader = Callable[[Sequence[str], str], Mapping[str, Version | None]]
    """A function that reads the versions that packages declare in their files at a commit; None if there is none."""


@dataclass(frozen=True, slots=True)
class RemoteState:
    """The state of the remote: all *refs*, and the last commit *tip* of *base*, the branch that is released.

    *proposal* is the plan of the release pull request, with the commit that it proposes. *branch_commit* is the last
    commit of its branch, empty if there is no such branch.
    """

    base: str
    tip: str
    refs: Mapping[str, Ref]
    proposal: RemoteLock | None
    branch_commit: str

    @property
    def is_ours(self) -> bool:
        """Whether the branch is still at the commit that releasekit has pushed."""
        return (
            self.proposal is not None
            and self.proposal.manifest.release_commit == self.branch_commit
        )

    @property
    def has_foreign_commits(self) -> bool:
        """Whether there is a branch with commits that releasekit has not pushed."""
        return self.branch_commit != "" and not self.is_ours


@dataclass(frozen=True, slots=True)
class Merge:
    """The *commit* that brought the versions to the branch. *version_mismatches* are the versions unlike the plan's.

    *head* is the last commit of the pull request's branch, empty if the forge does not know it.
    """

    commit: str
    page: str
    head: str
    version_mismatches: tuple[str, ...]


def base_of(repo: Repo, settings: Settings) -> str:
    """Return the branch that is released: the one that is checked out, or else the one that CI variables name.

    Raises Refusal RK-PREFLIGHT-DETACHED-HEAD, and RK-USAGE on the release pull request's own branch.
    """
    base = repo.branch or _ci_branch()
    if not base:
        hint = "Check out the branch to release."
        raise Refusal(
            ErrorCode.PREFLIGHT_DETACHED_HEAD,
            f"HEAD is detached at {repo.head[:12]}",
            str(repo.top),
            hint,
        )
    if base == settings.release_branch:
        message = f"{base} is the branch of the release pull request and cannot be released"
        raise Refusal(ErrorCode.USAGE, message)
    return base


def _ci_branch() -> str:
    """Return the branch that the variables of GitLab or GitHub name; empty outside CI, or for a tag."""
    if not os.environ.get("CI"):
        return ""
    gitlab_branch = os.environ.get("CI_COMMIT_BRANCH", "")
    if gitlab_branch:
        return gitlab_branch
    is_github_branch = os.environ.get("GITHUB_REF_TYPE") == "branch"
    return os.environ.get("GITHUB_REF_NAME", "") if is_github_branch else ""


@flow_task("look-for-pull", stage="pull-request")
def read_remote_state(repo: Repo, settings: Settings, base: str) -> RemoteState:
    """Return what the remote has of the release pull request into *base*. Commits that are missing here are fetched.

    Raises Refusal RK-PREFLIGHT-NO-REMOTE, RK-BRANCH-UNPUSHED, RK-RECORD-INVALID, RK-REMOTE-UNREACHABLE.
    """
    remote = settings.remote
    base_ref = f"refs/heads/{base}"
    if remote not in repo.remotes():
        raise Refusal(ErrorCode.PREFLIGHT_NO_REMOTE, f"there is no remote {remote}", str(repo.top))
    with as_refusal():
        refs = repo.ls_remote(remote)
        if base_ref not in refs:
            raise Refusal(
                ErrorCode.BRANCH_UNPUSHED, f"{remote} has no branch {base}", str(repo.top)
            )
        tip = refs[base_ref].commit
        repo.fetch_missing(remote, base_ref, tip)
        proposal = _read_proposal(repo, settings, refs)
    branch = refs.get(f"refs/heads/{settings.release_branch}", NO_REF)
    return RemoteState(
        base=base,
        tip=tip,
        refs=refs,
        proposal=proposal,
        branch_commit=branch.commit,
    )


def _read_proposal(repo: Repo, settings: Settings, refs: Mapping[str, Ref]) -> RemoteLock | None:
    """Return the plan of the release pull request, None if the remote has none."""
    name = release_pr_ref(settings.release_branch)
    if name not in refs:
        return None
    commit = refs[name].commit
    repo.fetch_missing(settings.remote, name, commit)
    return read_lock_commit(repo, commit)


@flow_task("find-draft", stage="pull-request")
async def find_draft(forge: Forge) -> ForgeRelease | None:
    """Return the release on the forge that waits to be published (D-6): a draft with a manifest; None if none waits."""
    return next((draft for draft in await forge.drafts() if MANIFEST in draft.assets), None)


# ---- phase 1: the pull request --------------------------------------------------------------------------------------


def pull_request_obstacles(
    repo: Repo, settings: Settings, remote_state: RemoteState
) -> Iterator[Refusal]:
    """Find obstacles to a pull request: the commit is not on the remote, or commits of others would be lost.

    Obstacles: RK-BRANCH-UNPUSHED, RK-PULL-MOVED.
    """
    if not repo.contains(remote_state.tip, repo.head):
        message = f"{repo.head[:12]} is not part of {remote_state.base} on {settings.remote}"
        yield Refusal(ErrorCode.BRANCH_UNPUSHED, message, str(repo.top))
    refuse_moved(repo, settings, remote_state)


def refuse_moved(repo: Repo, settings: Settings, remote_state: RemoteState) -> None:
    """Refuse to replace a branch with commits of others, unless all are merged; raises Refusal RK-PULL-MOVED."""
    if not remote_state.has_foreign_commits:
        return
    commit = remote_state.branch_commit
    repo.fetch_missing(settings.remote, f"refs/heads/{settings.release_branch}", commit)
    if not repo.contains(remote_state.tip, commit):
        message = f"somebody has pushed {commit[:12]} to {settings.release_branch}"
        raise Refusal(ErrorCode.PULL_MOVED, message, settings.remote)


def find_foreign_tags(
    plan: Plan, settings: Settings, remote_state: RemoteState, local_tags: Mapping[str, str]
) -> Iterator[Refusal]:
    """Find a tag of *plan* that the remote has and *local_tags* lack. Obstacle: RK-RELEASE-ELSEWHERE."""
    taken = drop(remote_tags(remote_state, plan), local_tags)
    if taken:
        message = f"{settings.remote} already has the tag {taken[0]}, but this clone does not"
        yield Refusal(
            ErrorCode.RELEASE_ELSEWHERE,
            message,
            settings.remote,
            "`git fetch --tags`, then run again.",
        )


@flow_task("push-branch", "push-branch-{release.plan.title}", stage="pull-request")
def push_branch(release: ReleaseContext, repo: Repo, remote_state: RemoteState) -> None:
    """Push the release commit as the pull request's branch, together with the plan: both or none.

    The branch belongs to releasekit. It is one commit on top of its target branch, so that it can be merged in any
    way. It is replaced only if it is still at the commit that releasekit pushed.

    Raises Refusal RK-PULL-EMPTY, ReleaseError RK-PUSH-REJECTED.
    """
    if release.commit == release.plan.commit:
        raise Refusal(ErrorCode.PULL_EMPTY, f"{release.plan.title} changes no file", str(repo.top))
    proposal = write_lock_commit(repo, release.plan, release.record.require_manifest())
    branch = release.settings.release_branch
    sources = {f"refs/heads/{branch}": release.commit, release_pr_ref(branch): proposal}
    refspecs = [f"{sha}:{name}" for name, sha in sources.items()]
    leases = {name: remote_state.refs.get(name, NO_REF).object for name in sources}
    repo.push(release.settings.remote, refspecs, leases=leases)


@flow_task("open-pull", stage="pull-request")
async def open_pull_request(forge: Forge, plan: Plan, settings: Settings, base: str) -> PullRequest:
    """Return the open pull request of *plan*. It is created or updated if necessary."""
    return await forge.open_pull_request(
        branch=settings.release_branch,
        base=base,
        title=release_pr_title(plan, settings),
        body=release_pr_body(plan, forge.pull_request_limit),
        labels=[PR_LABEL],
    )


@flow_task("close-pull", stage="pull-request")
async def close_pull_request(
    forge: Forge, repo: Repo, settings: Settings, remote_state: RemoteState
) -> PullRequest | None:
    """Close the open pull request, which has nothing left to release, and delete its branch; returns it.

    If others have pushed to its branch, it stays open. Returns None if nothing was closed.
    """
    if remote_state.has_foreign_commits:
        return None
    pull_request = await forge.find_pull_request(settings.release_branch, remote_state.base)
    if pull_request:
        comment = (
            f"Nothing is left to release: {remote_state.base} has changed, or it is published.\n"
        )
        await forge.close_pull_request(pull_request, comment)
    delete_pull_request_refs(repo, settings, remote_state, remote_state.branch_commit)
    return pull_request


@flow_task("let-go-of-pull", stage="pull-request")
def delete_pull_request_refs(
    repo: Repo, settings: Settings, remote_state: RemoteState, *ours: str
) -> None:
    """Delete the pull request's branch, if it is at one of the commits *ours*, and the reference to its plan."""
    branch = f"refs/heads/{settings.release_branch}"
    ref = release_pr_ref(settings.release_branch)
    # A forge may have deleted the merged branch by itself.
    current_refs = repo.ls_remote(settings.remote, branch, ref)
    objects: dict[str, str] = {}
    if ref in current_refs and ref in remote_state.refs:
        objects[ref] = remote_state.refs[ref].object
    if branch in current_refs and current_refs[branch].commit in ours:
        objects[branch] = current_refs[branch].object
    repo.delete_remote_refs(settings.remote, objects)


# ---- phase 2: the merge ---------------------------------------------------------------------------------------------


@flow_task("find-merge", stage="pull-request")
async def find_merge(
    repo: Repo,
    forge: Forge,
    settings: Settings,
    remote_state: RemoteState,
    read_versions: VersionReader,
) -> Merge | None:
    """Return how the release pull request was merged, None if it was not. Ask the forge, then search the history.

    The commit is a merge commit, a squash or the last of rebased commits: the first one with the whole release.
    """
    proposal, tip = remote_state.proposal, remote_state.tip
    if proposal is None:
        return None
    wanted = _proposed_versions(proposal, read_versions)
    pull_request = await forge.merged_pull_request(settings.release_branch, remote_state.base)
    if pull_request and _is_new(repo, proposal.plan.commit, pull_request.merge_commit, tip):
        commit, page, head = pull_request.merge_commit, pull_request.page, pull_request.head_commit
    else:
        commit, page, head = _find_in_history(repo, proposal, tip, wanted, read_versions), "", ""
    if not commit:
        return None
    actual = read_versions([*wanted], commit)
    mismatches = tuple(
        f"{name} is at {actual[name]}, not at {version}"
        for name, version in wanted.items()
        if actual[name] != version
    )
    return Merge(commit, page, head, version_mismatches=mismatches)


def _is_new(repo: Repo, since: str, commit: str, tip: str) -> bool:
    """Return whether *commit* came to the branch after the plan: earlier pull requests had the same branch name."""
    return (
        repo.has_commit(commit) and repo.contains(tip, commit) and not repo.contains(since, commit)
    )


def _find_in_history(
    repo: Repo,
    proposal: RemoteLock,
    tip: str,
    wanted: Mapping[str, Version | None],
    read_versions: VersionReader,
) -> str:
    """Return the first commit of the branch that contains the proposed one, or declares the same versions; or ""."""

    def has_it(commit: str) -> bool:
        if repo.contains(commit, proposal.manifest.release_commit):
            return True
        return bool(wanted) and read_versions([*wanted], commit) == wanted

    line = repo.first_parents(proposal.plan.commit, tip)
    if not line or not has_it(tip):
        return ""
    return line[bisect_left(line, True, key=has_it)]  # noqa: FBT003  the value to search for


def _proposed_versions(
    proposal: RemoteLock, read_versions: VersionReader
) -> dict[str, Version | None]:
    """Return the versions that the proposed commit writes into files. Those of other packages exist only in tags."""
    names = names_of(proposal.plan.steps)
    before = read_versions(names, proposal.plan.commit)
    after = read_versions(names, proposal.manifest.release_commit)
    return {name: after[name] for name in names if after[name] != before[name]}


@flow_task("tag-merged", "tag-{release.plan.title}", stage="pull-request")
def tag_merge_commit(release: ReleaseContext, repo: Repo) -> None:
    """Make the annotated tags of the whole release on the merged commit; raises ReleaseError RK-TAG-EXISTS."""
    for name in release.plan.all_tags:
        repo.make_tag(
            name, release.commit, tag_message(release.plan, name, release.settings.tag_message)
        )


def remote_tags(remote_state: RemoteState, plan: Plan) -> dict[str, str]:
    """Return the tags of *plan* that the remote has, with the commit of each."""
    tags = tags_among(remote_state.refs)
    return {tag: tags[tag].commit for tag in plan.all_tags if tag in tags}


def export_manifest(proposal: RemoteLock, commit: str) -> ReleaseManifest:
    """Return the manifest for publishing the merged *commit*, with the plan inside."""
    update = {"release_commit": commit, "tags": proposal.plan.all_tags}
    return proposal.manifest.model_copy(update=update).with_plan(proposal.plan)


# ---- phase 3: `publish --manifest TAG` ------------------------------------------------------------------------------


def is_manifest_file(reference: Path) -> bool:
    """Return whether *reference* names a file, and not a release on the forge."""
    return reference.suffix == ".json" or reference.is_file()


@flow_task("fetch-manifest", stage="pull-request")
async def fetch_manifest(repo: Repo, settings: Settings, secrets: Secrets, reference: Path) -> Path:
    """Return the file *reference*. For the tag of a release, or "draft", return the manifest of that release.

    Raises Refusal RK-RELEASE-UNKNOWN, RK-FORGE-….
    """
    # Imported late: httpx is slow to import.
    from releasekit.integrations.forge_factory import (
        connect_forge,
    )

    if is_manifest_file(reference):
        return reference
    tag = reference.as_posix()
    with as_refusal():
        async with connect_forge(repo.address(settings.remote), settings, secrets) as forge:
            forge_release = await (find_draft(forge) if tag == "draft" else forge.release(tag))
            if forge_release is None:
                raise _unknown_release(f"{forge.name} has no release {tag}", reference)
            content = await forge.asset(forge_release, MANIFEST)
            if content is None:
                raise _unknown_release(f"the release {tag} has no {MANIFEST}", reference)
    directory = repo.common_dir / "releasekit" / "exported" / quote(forge_release.tag, safe="")
    make_directory(directory)
    path = directory / MANIFEST
    with wrap_os_errors(path):
        path.write_bytes(content)
    return path


def _unknown_release(message: str, reference: Path) -> Refusal:
    hint = "Name a file, the tag of a draft that `publish --publish-from=ci` made, or `draft` for the only draft."
    return Refusal(ErrorCode.RELEASE_UNKNOWN, message, str(reference), hint)
