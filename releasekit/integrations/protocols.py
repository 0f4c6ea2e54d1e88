"""What an outside tool must offer; one conformance suite runs on every implementation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from packaging.requirements import Requirement
    from packaging.version import Version

    from releasekit.core.history.commits import Commit
    from releasekit.core.release.release_notes import PullRequest
    from releasekit.core.release.upload_response import UploadResponse
    from releasekit.integrations.git import Ref
    from releasekit.integrations.process import Command, Result


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file as an index lists it: *sha256* is empty, and *upload_time* None, if the index does not tell."""

    name: str
    sha256: str
    url: str
    yanked: bool = False
    upload_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class ForgeRelease:
    """A release on a forge. *key* is what the forge calls it by, *url* where people see it; *assets* are names.

    A *draft* is not announced yet: GitHub shows it to maintainers alone, GitLab as an upcoming release.
    """

    tag: str
    title: str
    body: str
    draft: bool
    prerelease: bool
    url: str
    key: str
    assets: tuple[str, ...] = ()


class PackageManager(Protocol):
    """What builds, locks, uploads and installs; commands are values, so that a dry run can show them."""

    def workspace(self, path: Path) -> tuple[Path, tuple[Path, ...]]:
        """Return the root of the workspace that *path* lies in, and the directories of its members."""
        ...

    def lock_is_current(self, root: Path) -> bool:
        """Tell whether the lock file fits the workspace."""
        ...

    def lock_command(self, root: Path, packages: Sequence[str]) -> Command:
        """Bring the lock file up to date for *packages*."""
        ...

    def build_command(
        self, package: Path, out: Path, links: Sequence[Path], env: Mapping[str, str], timeout: float
    ) -> Command:
        """Build *package* into *out*."""
        ...

    def publish_command(
        self, files: Sequence[Path], publish_url: str, check_url: str, env: Mapping[str, str] | None = None
    ) -> Command:
        """Upload *files*, those alone that are not there yet."""
        ...

    async def publish(
        self, root: Path, files: Sequence[Path], publish_url: str, check_url: str, seconds: float
    ) -> UploadResponse | None:
        """Upload *files*, each at most once; returns what the index said to the one that it did not take."""
        ...

    def resolve_command(
        self, root: Path, requirements: Sequence[str], links: Sequence[Path], index: str, fresh: Sequence[str]
    ) -> Command:
        """Ask whether *requirements* can be installed together."""
        ...

    async def find_conflict(
        self, root: Path, requirements: Sequence[str], links: Sequence[Path], index: str, fresh: Sequence[str]
    ) -> str:
        """Return why *requirements* cannot be installed together; empty if they can."""
        ...

    async def smoke_test(
        self,
        root: Path,
        requirement: str,
        imports: Sequence[str],
        index: str,
        fresh: Sequence[str],
        links: Sequence[Path] = (),
    ) -> Result:
        """Install *requirement* from *links* and the index into a fresh environment and import it."""
        ...


class Vcs(Protocol):
    """A version control system, seen from one work tree."""

    top: Path
    common_dir: Path
    head: str
    branch: str

    def is_shallow(self) -> bool:
        """Tell whether history is cut off."""
        ...

    def changed_paths(self) -> tuple[str, ...]:
        """Return what is not committed."""
        ...

    def tags(self) -> dict[str, str]:
        """Return the commit of each tag."""
        ...

    def history(self, tips: Sequence[str]) -> Iterator[Commit]:
        """Yield all commits reachable from *tips*, children before parents, with the files that each touches."""
        ...

    def add_worktree(self, directory: Path, commit: str) -> None:
        """Check *commit* out into *directory*."""
        ...

    def commit(self, worktree: Path, message: str, paths: Sequence[str], *, hooks: bool) -> str:
        """Commit *paths* of *worktree*; returns the commit."""
        ...

    def make_tag(self, tag: str, commit: str) -> None:
        """Make *tag* on *commit*; tags are never moved."""
        ...

    def push(
        self, remote: str, refspecs: Sequence[str], *, dry_run: bool = False, leases: Mapping[str, str] | None = None
    ) -> None:
        """Push exactly *refspecs*, never by force; those in *leases* only if they still are where it says."""
        ...

    def ls_remote(self, remote: str, *names: str) -> dict[str, Ref]:
        """Return the references of *remote*, or those that are called *names* in full."""
        ...

    def fast_forward(self, commit: str) -> bool:
        """Bring the checked-out branch to *commit*, if that is a pure step forward."""
        ...


class Index(Protocol):
    """A package index, read through its Simple API (PEP 503, PEP 691)."""

    url: str

    async def files(self, project: str) -> tuple[IndexFile, ...] | None:
        """Return the files of *project* (a normalised name), uncached; None if the index does not know it.

        Raises ReleaseError RK-INDEX-UNREACHABLE, RK-INDEX-RESPONSE, Refusal RK-INDEX-CREDENTIALS.
        """
        ...

    async def versions(self, project: str) -> frozenset[Version]:
        """Return the versions that *project* has files of; empty if the index does not know it."""
        ...

    async def requirements(self, project: str, version: Version) -> tuple[Requirement, ...] | None:
        """Return what *version* of *project* requires; empty if the index does not have it, None if it can't tell."""
        ...

    async def content(self, file: IndexFile) -> bytes:
        """Return the bytes of *file*."""
        ...

    async def check_credentials(self, publish_url: str) -> None:
        """Ask *publish_url* for nothing, with the credentials of the environment.

        Raises ReleaseError RK-INDEX-CREDENTIALS if they are refused, RK-INDEX-UNREACHABLE if nobody answers.
        """
        ...

    def has_credentials(self, publish_url: str) -> bool:
        """Return whether the environment has credentials for uploads to *publish_url*; asks nobody."""
        ...


class Forge(Protocol):
    """Where releases and pull requests of the repository live.

    Every method raises ReleaseError RK-FORGE-UNREACHABLE, RK-FORGE-CREDENTIALS, RK-FORGE-READ-ONLY,
    RK-FORGE-RATE-LIMIT or RK-FORGE-REFUSED. What makes something looks first whether it is there, so that all of them
    can be called again.
    """

    name: str
    body_limit: int
    pull_request_limit: int

    async def check_access(self) -> None:
        """Return if the token may make releases here; raises RK-FORGE-READ-ONLY, RK-FORGE-CREDENTIALS."""
        ...

    async def releases(self) -> tuple[ForgeRelease, ...]:
        """Return all releases, drafts too, newest first."""
        ...

    async def drafts(self) -> tuple[ForgeRelease, ...]:
        """Return the drafts among the last hundred releases: what is older is forgotten, not under way."""
        ...

    async def release(self, tag: str) -> ForgeRelease | None:
        """Return the release of *tag*, also one that is still a draft."""
        ...

    async def create_release(
        self, tag: str, commit: str, title: str, body: str, *, draft: bool = False, prerelease: bool = False
    ) -> ForgeRelease:
        """Make the release of *tag*; one that is there already is returned as it is."""
        ...

    async def update_release(
        self, release: ForgeRelease, *, title: str | None = None, body: str | None = None
    ) -> ForgeRelease:
        """Change what *release* says."""
        ...

    async def promote(self, release: ForgeRelease) -> ForgeRelease:
        """Announce a draft."""
        ...

    async def delete_release(self, release: ForgeRelease) -> None:
        """Delete *release*, not its tag; fine if it is gone already."""
        ...

    async def upload_asset(self, release: ForgeRelease, name: str, content: bytes) -> None:
        """Attach the file *name* to *release*, in the place of one of this name."""
        ...

    async def asset(self, release: ForgeRelease, name: str) -> bytes | None:
        """Return the file *name* that is attached to *release*, None if there is none."""
        ...

    async def find_pull_request(self, branch: str, base: str) -> PullRequest | None:
        """Return the open pull request of *branch* into *base*."""
        ...

    async def open_pull_request(
        self, branch: str, base: str, title: str, body: str, labels: Sequence[str] = ()
    ) -> PullRequest:
        """Return the open pull request of *branch* into *base*, made or brought up to date; labels are only added."""
        ...

    async def close_pull_request(self, pull_request: PullRequest, body: str) -> None:
        """Close *pull_request* without merging it; *body* says why, in one request with it."""
        ...

    async def comment(self, number: int, marker: str, body: str) -> str:
        """Make the comment on a pull request that begins with *marker*, or bring it up to date; returns where it is."""
        ...

    async def merged_pull_request(self, branch: str, base: str) -> PullRequest | None:
        """Return the pull request of *branch* that was merged into *base* last."""
        ...

    async def pull_requests_of(self, commits: Sequence[str]) -> dict[str, PullRequest]:
        """Return the merged pull request that each of *commits* came with, in few requests."""
        ...

    async def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Start the workflow (on GitLab a pipeline) on the branch or tag *ref*; never repeated by itself."""
        ...
