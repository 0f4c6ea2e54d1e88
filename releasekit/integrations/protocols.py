"""What an outside tool must offer; the same conformance tests run on every implementation."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime
    from pathlib import Path
    from typing import Literal

    from packaging.requirements import Requirement
    from packaging.version import Version

    from releasekit.core.release.release_notes import PullRequest
    from releasekit.core.release.upload_response import UploadResponse
    from releasekit.integrations.process import Command, Result
    from releasekit.integrations.secrets import Secrets

NO_CHANGES: Mapping[str, str | None] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file as an index lists it. If the index does not give them, *sha256* is empty and *upload_time* is None.

    *provenance* is the address of its attestations (PEP 740), empty without one.
    """

    name: str
    sha256: str
    url: str
    yanked: bool = False
    upload_time: datetime | None = None
    provenance: str = ""


@dataclass(frozen=True, slots=True)
class ForgeRelease:
    """A release on a forge. *key* is its id in the API, *url* its web page; *assets* are file names.

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

    async def trusted_audience(self, publish_url: str) -> str:
        """Return for whom an identity must be made out, if uploads to *publish_url* rely on trusted publishing.

        Empty if there are other credentials; changes nothing. Raises Refusal RK-INDEX-CREDENTIALS if the index has no
        trusted publishing, RK-INDEX-UNREACHABLE.
        """
        ...

    async def try_trusted_publishing(self, publish_url: str, audience: str) -> str:
        """Get a token for uploads to *publish_url* by trusted publishing, and return it after it has ended.

        On PyPI this creates the project of a pending publisher. Raises Refusal RK-INDEX-NO-PUBLISHER,
        RK-INDEX-UNREACHABLE.
        """
        ...

    def has_credentials(self, publish_url: str) -> bool:
        """Return whether the environment has credentials for uploads to *publish_url*; sends no request."""
        ...

    async def can_yank(self, publish_url: str) -> bool:
        """Return whether the index has an interface to yank a version."""
        ...

    async def yank(self, publish_url: str, project: str, version: Version, reason: str) -> None:
        """Yank all files of *version* of *project*; a version that is yanked already stays so.

        Raises ReleaseError RK-YANK-REFUSED, RK-INDEX-UNREACHABLE.
        """
        ...


class Forge(Protocol):
    """GitHub, GitLab or Gitea, where the releases and pull requests of the repository are.

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
        self,
        tag: str,
        commit: str,
        title: str,
        body: str,
        *,
        draft: bool = False,
        prerelease: bool = False,
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


class PackageManager(Protocol):
    """A package manager: it knows the members of a workspace, and locks, builds, uploads and installs packages.

    A method that ends in `_command` returns what the others run, for the dry run and for runs with other limits.
    """

    @property
    def executable(self) -> str:
        """Its program."""
        ...

    @property
    def python(self) -> str:
        """The interpreter for builds and installs; empty if it has to search."""
        ...

    @property
    def secrets(self) -> Secrets:
        """The credentials that the configuration names."""
        ...

    @property
    def build_env(self) -> tuple[str, ...]:
        """The names or patterns of variables that builds get beside the usual ones."""
        ...

    @property
    def lock_name(self) -> str:
        """The name of its lock file, at the root of a workspace; a repository without one has nothing to lock."""
        ...

    @property
    def import_environment(self) -> Mapping[str, str | None]:
        """The changes to our environment for a process that imports a package: it gets what a build gets."""
        ...

    @property
    def command_environment(self) -> Mapping[str, str | None]:
        """The changes to our environment for a command of the user: no credentials, except those to read indexes."""
        ...

    def with_changes(
        self,
        *,
        python: str | None = None,
        secrets: Secrets | None = None,
        build_env: tuple[str, ...] | None = None,
    ) -> PackageManager:
        """Return it with another interpreter, other credentials, or other variables for builds."""
        ...

    # ---- the workspace ----

    def workspace(self, path: Path) -> tuple[Path, tuple[Path, ...]]:
        """Return the root of the workspace that contains *path*, and all member directories.

        Raises Refusal RK-WORKSPACE-…
        """
        ...

    def find_python(self, root: Path) -> str:
        """Return the interpreter for the project at *root*."""
        ...

    def lock_is_current(self, root: Path) -> bool:
        """Return whether the lock file fits the manifests; raises Refusal RK-WORKSPACE-INVALID."""
        ...

    def lock_versions(self, text: str, versions: Mapping[str, Version]) -> str:
        """Return the *text* of the lock file with new *versions* of members, by name, and no other change."""
        ...

    def lock_command(self, root: Path, packages: Sequence[str]) -> Command:
        """Lock once for all *packages* that have a new version; other entries may change too."""
        ...

    def export_sbom(self, root: Path, package: str) -> str:
        """Return what the lock file has for *package* and its requirements as CycloneDX (JSON)."""
        ...

    def sbom_command(self, root: Path, package: str) -> Command:
        """Print the SBOM of *package*."""
        ...

    def audit(self, root: Path) -> str:
        """Return what is known against the locked requirements, empty if nothing is."""
        ...

    # ---- indexes ----

    def default_index(self, root: Path) -> str:
        """Return the simple root of the default index; raises Refusal RK-INDEX-UNKNOWN."""
        ...

    def default_publish_url(self) -> str:
        """Return the address for uploads to the default index; raises Refusal RK-INDEX-UNKNOWN."""
        ...

    def publish_command(
        self,
        files: Sequence[Path],
        publish_url: str,
        check_url: str,
        env: Mapping[str, str | None] = NO_CHANGES,
        *,
        attestations: bool = True,
    ) -> Command:
        """Upload *files*, except those that the index already has (D-7)."""
        ...

    async def publish(
        self,
        root: Path,
        files: Sequence[Path],
        publish_url: str,
        check_url: str,
        seconds: float,
        *,
        attestations: bool = True,
    ) -> UploadResponse | None:
        """Upload *files*, each at most once; return the index's response to a file that it rejects, else None.

        Raises ReleaseError RK-COMMAND-TIMEOUT, RK-COMMAND-FAILED.
        """
        ...

    # ---- builds ----

    def build_command(
        self,
        package: Path,
        out: Path,
        links: Sequence[Path],
        env: Mapping[str, str],
        timeout: float,
        shared_python: Path | None = None,
        *,
        only: Literal["", "sdist", "wheel"] = "",
    ) -> Command:
        """Build sdist and wheel of *package*, or *only* one of them, into *out*, as if it stood alone (D-3)."""
        ...

    def build_requirements_command(
        self, root: Path, venv: Path, requirements: Sequence[str], timeout: float
    ) -> Command:
        """Install the build *requirements* into the environment *venv*."""
        ...

    def own_build_command(
        self,
        words: tuple[str, ...],
        package: Path,
        links: Sequence[Path],
        env: Mapping[str, str],
        timeout: float,
    ) -> Command:
        """Build wheels of *package* with the command *words* of the workspace, without credentials for uploads."""
        ...

    # ---- proofs ----

    def resolve_command(
        self,
        root: Path,
        requirements: Sequence[str],
        links: Sequence[Path],
        indexes: tuple[str, ...],
        fresh: Sequence[str],
    ) -> Command:
        """Check whether *requirements* can be installed together, from *links* and the indexes (D-9)."""
        ...

    async def find_conflict(
        self,
        root: Path,
        requirements: Sequence[str],
        links: Sequence[Path],
        indexes: tuple[str, ...],
        fresh: Sequence[str],
    ) -> str:
        """Return why *requirements* cannot be installed together; empty if they can."""
        ...

    def venv_command(self, venv: Path) -> Command:
        """Create the fresh environment *venv*."""
        ...

    def install_command(
        self,
        root: Path,
        venv: Path,
        requirement: str,
        indexes: tuple[str, ...],
        fresh: Sequence[str],
        links: Sequence[Path] = (),
        *,
        options: Sequence[str] = (),
        refresh: bool = True,
    ) -> Command:
        """Install *requirement* into the environment *venv*, as a user would."""
        ...

    async def smoke_test(
        self,
        root: Path,
        requirement: str,
        imports: Sequence[str],
        indexes: tuple[str, ...],
        fresh: Sequence[str],
        links: Sequence[Path] = (),
        *,
        constraints: Sequence[str] = (),
        refresh: bool = True,
    ) -> Result:
        """Install *requirement* from *links* and the index into a fresh environment, and import its *imports*."""
        ...

    def temporary_environment(
        self,
        root: Path,
        requirement: str,
        indexes: tuple[str, ...],
        fresh: Sequence[str],
        links: Sequence[Path] = (),
        *,
        constraints: Sequence[str] = (),
        refresh: bool = True,
    ) -> AbstractAsyncContextManager[Path]:
        """Yield the Python of a fresh environment with *requirement*; it is then deleted.

        *constraints* are lines as pip defines them for a constraints file. A manager that cannot read them may ignore
        them: then it looks on the index for more, and learns less.
        """
        ...

    async def import_modules(self, python: Path, modules: Sequence[str]) -> Result:
        """Import *modules* in a process of *python* without our credentials."""
        ...
