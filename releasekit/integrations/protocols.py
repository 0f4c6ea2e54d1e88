"""What an outside tool must offer; the same conformance tests run on every implementation."""

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
    """A file as an index lists it. If the index does not give them, *sha256* is empty and *upload_time* is None."""

    name: str
    sha256: str
    url: str
    yanked: bool = False
    upload_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class ForgeRelease:
    """A release on GitHub or GitLab. *key* is its id in the API, *url* its web page; *assets* are file names.

    A *draft* is not announced yet: GitHub shows it only to maintainers, GitLab as an upcoming release.
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
    """A tool that builds, locks, uploads and installs; commands are values, so that a dry run can show them."""

    def workspace(self, path: Path) -> tuple[Path, tuple[Path, ...]]:
        """Return the root of the workspace that contains *path*, and the directories of its members."""
        ...

    def lock_is_current(self, root: Path) -> bool:
        """Return whether the lock file is up to date with the workspace."""
        ...

    def lock_command(self, root: Path, packages: Sequence[str]) -> Command:
        """Update the lock file for *packages*."""
        ...

    def build_command(
        self, package: Path, out: Path, links: Sequence[Path], env: Mapping[str, str], timeout: float
    ) -> Command:
        """Build *package* into *out*."""
        ...

    def publish_command(
        self, files: Sequence[Path], publish_url: str, check_url: str, env: Mapping[str, str] | None = None
    ) -> Command:
        """Upload the *files* that the index does not have yet."""
        ...

    async def publish(
        self, root: Path, files: Sequence[Path], publish_url: str, check_url: str, seconds: float
    ) -> UploadResponse | None:
        """Upload *files*, each at most once; returns the index's response to a file that it rejects, else None."""
        ...

    def resolve_command(
        self, root: Path, requirements: Sequence[str], links: Sequence[Path], index: str, fresh: Sequence[str]
    ) -> Command:
        """Check whether *requirements* can be installed together."""
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
        """Install *requirement* from *links* and the index into a fresh environment, and import it."""
        ...


class Vcs(Protocol):
    """A version control system, seen from one work tree."""

    top: Path
    common_dir: Path
    head: str
    branch: str

    def is_shallow(self) -> bool:
        """Return whether the history is incomplete."""
        ...

    def changed_paths(self) -> tuple[str, ...]:
        """Return the paths with changes that are not committed."""
        ...

    def tags(self) -> dict[str, str]:
        """Return the commit of each tag by its name."""
        ...

    def history(self, tips: Sequence[str]) -> Iterator[Commit]:
        """Yield all commits reachable from *tips*, children before parents, with the files that each one changes."""
        ...

    def add_worktree(self, directory: Path, commit: str) -> None:
        """Check *commit* out into *directory*."""
        ...

    def commit(self, worktree: Path, message: str, paths: Sequence[str], *, hooks: bool) -> str:
        """Commit *paths* of *worktree*; returns the commit."""
        ...

    def make_tag(self, tag: str, commit: str) -> None:
        """Create *tag* on *commit*; tags are never moved."""
        ...

    def push(
        self, remote: str, refspecs: Sequence[str], *, dry_run: bool = False, leases: Mapping[str, str] | None = None
    ) -> None:
        """Push exactly *refspecs*, never by force; those in *leases* only if they still name the object it gives."""
        ...

    def ls_remote(self, remote: str, *names: str) -> dict[str, Ref]:
        """Return the references of *remote* by full name, or only those with the full *names*."""
        ...

    def fast_forward(self, commit: str) -> bool:
        """Fast-forward the checked-out branch to *commit* if possible; returns whether HEAD then contains *commit*."""
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
        """Return the versions for which *project* has files; empty if the index does not know it."""
        ...

    async def requirements(self, project: str, version: Version) -> tuple[Requirement, ...] | None:
        """Return what *version* of *project* requires; empty if the index does not have it, None if unknown."""
        ...

    async def content(self, file: IndexFile) -> bytes:
        """Return the bytes of *file*."""
        ...

    async def check_credentials(self, publish_url: str) -> None:
        """Send an empty upload to *publish_url*, with the credentials of the environment.

        Raises ReleaseError RK-INDEX-CREDENTIALS if they are rejected, RK-INDEX-UNREACHABLE if no server answers.
        """
        ...

    def has_credentials(self, publish_url: str) -> bool:
        """Return whether the environment has credentials for uploads to *publish_url*; sends no request."""
        ...


class Forge(Protocol):
    """GitHub or GitLab, where the releases and pull requests of the repository are.

    Every method raises ReleaseError RK-FORGE-UNREACHABLE, RK-FORGE-CREDENTIALS, RK-FORGE-READ-ONLY,
    RK-FORGE-RATE-LIMIT or RK-FORGE-REFUSED. A method that creates something first looks whether it exists, so you can
    call it again.
    """

    name: str
    body_limit: int
    pull_request_limit: int

    async def check_access(self) -> None:
        """Return if the token may create releases here; raises RK-FORGE-READ-ONLY, RK-FORGE-CREDENTIALS."""
        ...

    async def releases(self) -> tuple[ForgeRelease, ...]:
        """Return all releases and drafts, newest first."""
        ...

    async def drafts(self) -> tuple[ForgeRelease, ...]:
        """Return the drafts among the last hundred releases; an older draft belongs to no running release."""
        ...

    async def release(self, tag: str) -> ForgeRelease | None:
        """Return the release of *tag*, also a draft, None if there is none."""
        ...

    async def create_release(
        self, tag: str, commit: str, title: str, body: str, *, draft: bool = False, prerelease: bool = False
    ) -> ForgeRelease:
        """Create the release of *tag*; an existing one is returned unchanged."""
        ...

    async def update_release(
        self, release: ForgeRelease, *, title: str | None = None, body: str | None = None
    ) -> ForgeRelease:
        """Change title and body of *release*; None keeps them."""
        ...

    async def promote(self, release: ForgeRelease) -> ForgeRelease:
        """Publish a draft; a release that is no draft is returned unchanged."""
        ...

    async def delete_release(self, release: ForgeRelease) -> None:
        """Delete *release* but not its tag; do nothing if it no longer exists."""
        ...

    async def upload_asset(self, release: ForgeRelease, name: str, content: bytes) -> None:
        """Attach the file *name* to *release*, and replace a file of this name."""
        ...

    async def asset(self, release: ForgeRelease, name: str) -> bytes | None:
        """Return the file *name* that is attached to *release*, None if there is none."""
        ...

    async def find_pull_request(self, branch: str, base: str) -> PullRequest | None:
        """Return the open pull request of *branch* into *base*, None if there is none."""
        ...

    async def open_pull_request(
        self, branch: str, base: str, title: str, body: str, labels: Sequence[str] = ()
    ) -> PullRequest:
        """Create or update the pull request of *branch* into *base*, and return it; labels are only added."""
        ...

    async def close_pull_request(self, pull_request: PullRequest, body: str) -> None:
        """Close *pull_request* without merging it; *body* says why, and is sent in the same request."""
        ...

    async def comment(self, number: int, marker: str, body: str) -> str:
        """Create or update the comment that begins with *marker* on a pull request; returns its URL."""
        ...

    async def merged_pull_request(self, branch: str, base: str) -> PullRequest | None:
        """Return the pull request of *branch* that was merged into *base* last, None if there is none."""
        ...

    async def pull_requests_of(self, commits: Sequence[str]) -> dict[str, PullRequest]:
        """Return the merged pull request of each of *commits* by sha, in few requests."""
        ...

    async def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Start the workflow (on GitLab a pipeline) on the branch or tag *ref*; the request is never retried."""
        ...
