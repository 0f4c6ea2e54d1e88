"""Write and read a release bundle: a directory with a staged release, to be published elsewhere.

`manifest.json` has the commit and the plan of the release, and name, sha256 and size of each file. `SHA256SUMS` has the
same sums for `sha256sum --check`. `dist/PACKAGE/` has the files, SBOMs and attestations next to them.
`commit.bundle` has the release commit, unless the remote has it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from releasekit.core.artifacts.attestations import ATTESTATION, attestation_problem
from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, as_refusal
from releasekit.core.picking import names_of
from releasekit.core.release.release_manifest import manifest_text, parse_staged_manifest
from releasekit.core.release.sboms import sbom_names
from releasekit.core.text import join_lines
from releasekit.integrations.filesystem import (
    copy_files,
    describe_file,
    make_directory,
    read_text,
    read_text_if_exists,
    remove_tree,
    wrap_os_errors,
    write_atomic,
)
from releasekit.store.record import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_manifest import BuiltFile, BuiltPackage, ReleaseManifest
    from releasekit.integrations.git import Repo
    from releasekit.store.record import Record

SUMS, BUNDLE, DIST = "SHA256SUMS", "commit.bundle", "dist"
_SUM_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True, slots=True)
class ReleaseBundle:
    """The release in *directory*, read by `read_bundle`: every file exists and has the recorded content."""

    manifest: ReleaseManifest
    plan: Plan
    directory: Path

    def copy_missing_files(self, record: Record) -> None:
        """Copy the files that the *record* lacks, and all attestations and SBOMs, into the record."""
        for package in self.manifest.packages:
            names = [*record.missing_files(package), *_names_beside(package)]
            sources = _existing_files(self.directory, package.name, names)
            copy_files(sources, record.dist(package.name))

    def ensure_commits(self, repo: Repo, remote: str) -> None:
        """Ensure that *repo* has the commit that the release starts from, and the release commit.

        The start must be in the history of HEAD, or of the release branch on *remote*. The release commit must be there
        too, or be one commit on top of the start; then it may come from the bundle. `prove_commit` checks its content.
        Raises Refusal RK-COMMIT-MISSING, RK-RECORD-INVALID.
        """
        frozen = self.manifest.commit
        release_commit = self.manifest.release_commit
        branch = self.manifest.branch
        if not repo.has_on_branch(frozen, remote, branch):
            self._refuse(
                f"the commit {frozen[:12]} that the release starts from is not in the history of this clone"
            )
        if not repo.has_commit(release_commit):
            self._unbundle(repo)
        if not repo.has_commit(release_commit):
            self._refuse(f"the release commit {release_commit[:12]} is not in this clone")
        is_on_top = repo.parent(release_commit) == frozen
        if not (is_on_top or repo.has_on_branch(release_commit, remote, branch)):
            self._refuse(
                f"the release commit {release_commit[:12]} is neither on top of {frozen[:12]} nor on its branch"
            )

    def _unbundle(self, repo: Repo) -> None:
        bundle = self.directory / BUNDLE
        if _is_file(self.directory, BUNDLE):
            try:
                repo.fetch(str(bundle.resolve()), "HEAD")
            except ReleaseError as error:
                message = "git cannot read this bundle"
                raise Refusal(
                    ErrorCode.RECORD_INVALID, message, str(bundle), output=error.output
                ) from None

    def _refuse(self, message: str) -> None:
        raise Refusal(ErrorCode.COMMIT_MISSING, message, str(self.directory / MANIFEST))


def read_bundle(file: Path) -> ReleaseBundle:
    """Return the release whose manifest is *file*. Only that manifest is trusted.

    Each file must exist with the recorded size and sha256, and must not be a link. If SHA256SUMS exists, it must list
    each file.
    Raises Refusal RK-RECORD-INVALID, RK-FILE-SYSTEM.
    """
    manifest, plan, digest = read_manifest(file)
    with as_refusal():
        _check_files(file.parent, manifest)
        _check_sums(file.parent, manifest, {file.name: digest})
    return ReleaseBundle(manifest, plan, file.parent)


def read_manifest(file: Path) -> tuple[ReleaseManifest, Plan, str]:
    """Return the manifest in *file*, the plan inside, and the sha256 of the file.

    Raises Refusal RK-RECORD-INVALID, RK-FILE-SYSTEM.
    """
    try:
        with as_refusal(), wrap_os_errors(file):
            content = file.read_bytes()
            return *parse_staged_manifest(content.decode(), str(file)), sha256(content).hexdigest()
    except UnicodeDecodeError as error:
        raise Refusal(ErrorCode.RECORD_INVALID, str(error), str(file)) from None


def check_output_directory(directory: Path) -> None:
    """Check that *directory* is missing, empty, or has an earlier bundle; raises Refusal RK-USAGE."""
    existing: set[str] = set()
    with wrap_os_errors(directory), suppress(FileNotFoundError):
        existing = set(names_of(directory.iterdir()))
    if not existing:
        return
    is_bundle_content = existing <= {MANIFEST, SUMS, BUNDLE, DIST, GITIGNORE}
    if is_bundle_content and _is_marked(directory):
        return
    raise Refusal(
        ErrorCode.USAGE,
        "the directory is not empty, and contains no release bundle",
        str(directory),
    )


def write_bundle(
    record: Record, repo: Repo, remote: str, directory: Path, part: ReleaseManifest | None = None
) -> None:
    """Write the release of *record*, whose packages are all built, into *directory*. Replace an earlier bundle there.

    With *part*, write only the files of that manifest: those of one platform. Raises Refusal RK-USAGE, RK-FILE-SYSTEM.
    """
    manifest = (part or record.require_manifest()).with_plan(record.plan())
    _clear(directory)
    _copy_package_files(manifest, record.directory, directory)
    is_own_commit = manifest.release_commit != manifest.commit
    needs_commit = is_own_commit and not part
    if needs_commit and not repo.remote_branch_contains(remote, manifest.release_commit):
        repo.bundle(directory / BUNDLE, record.worktree, since=manifest.commit)
    _write_manifest(manifest, directory)


def write_merged(manifest: ReleaseManifest, sources: Sequence[Path], directory: Path) -> None:
    """Write the release of *manifest*, whose files are in the bundles *sources*, into *directory*.

    Raises Refusal RK-USAGE, RK-FILE-SYSTEM.
    """
    _clear(directory)
    for source in sources:
        _copy_package_files(manifest, source, directory)
        copy_files(_files_below(source, (BUNDLE,)), directory)
    _write_manifest(manifest, directory)


def _clear(directory: Path) -> None:
    """Make *directory* an empty bundle. Its sums are written last, so `read_bundle` detects an incomplete bundle."""
    check_output_directory(directory)
    make_directory(directory)
    # This file comes first: it marks the directory as ours, and keeps a surrounding work tree clean.
    write_atomic(directory / GITIGNORE, _IGNORE_ALL)
    for name in (SUMS, MANIFEST, BUNDLE):
        (directory / name).unlink(missing_ok=True)
    remove_tree(directory / DIST)


def _copy_package_files(manifest: ReleaseManifest, source: Path, directory: Path) -> None:
    for package in manifest.packages:
        names = [*package.file_names, *_names_beside(package)]
        copy_files(_existing_files(source, package.name, names), directory / DIST / package.name)


def _write_manifest(manifest: ReleaseManifest, directory: Path) -> None:
    sums = [f"{file.sha256}  {path}" for path, file in _built_files(manifest).items()]
    sboms = [
        f"{DIST}/{package.name}/{name}"
        for package in manifest.packages
        for name in sbom_names(package)
    ]
    others = _files_below(directory, (BUNDLE, *sboms))
    sums += [
        f"{describe_file(path).sha256}  {path.relative_to(directory).as_posix()}" for path in others
    ]
    text = manifest_text(manifest)
    write_atomic(directory / MANIFEST, text)
    sums.append(f"{sha256(text.encode()).hexdigest()}  {MANIFEST}")
    write_atomic(directory / SUMS, join_lines(sums))


GITIGNORE, _IGNORE_ALL = ".gitignore", "*\n"


def _built_files(manifest: ReleaseManifest) -> dict[str, BuiltFile]:
    """Return the built files by their paths in the bundle."""
    return {
        f"{DIST}/{package.name}/{file.name}": file
        for package in manifest.packages
        for file in package.files
    }


def _check_files(root: Path, manifest: ReleaseManifest) -> None:
    for name, file in _built_files(manifest).items():
        path = root / name
        if not _is_file(root, name):
            raise ReleaseError(
                ErrorCode.RECORD_INVALID, "the file is missing, or is a link", str(path)
            )
        with wrap_os_errors(path):
            actual = describe_file(path)
        if actual != file:
            message = f"the file differs from the recorded one: it has {actual.size} bytes and sha256 {actual.sha256}"
            raise ReleaseError(ErrorCode.RECORD_INVALID, message, str(path))
        check_attestation(path, file)


def check_attestation(path: Path, file: BuiltFile) -> None:
    """Check the attestation next to *path*, if there is one. It must be one of *file*, which is at this path.

    Raises ReleaseError RK-RECORD-INVALID.
    """
    attestation = path.with_name(f"{path.name}{ATTESTATION}")
    if not attestation.is_file():
        return
    with wrap_os_errors(attestation):
        problem = attestation_problem(attestation.read_bytes(), file.name, file.sha256)
    if problem:
        hint = "Delete it, or attest the file again: attest the very files of the bundle."
        raise ReleaseError(ErrorCode.RECORD_INVALID, problem, str(attestation), hint)


def _check_sums(root: Path, manifest: ReleaseManifest, expected: dict[str, str]) -> None:
    """Compare SHA256SUMS with the files: every *expected* file must be listed, and every sum must match."""
    path = root / SUMS
    if not path.exists():
        return
    expected |= {name: file.sha256 for name, file in _built_files(manifest).items()}
    listed = dict(_read_sums(path))
    for name, digest in listed.items():
        if not _is_file(root, name):
            raise ReleaseError(
                ErrorCode.RECORD_INVALID, f"{name} is listed, but is not a file here", str(path)
            )
        actual = expected.get(name) or describe_file(root / name).sha256
        if actual != digest:
            raise ReleaseError(
                ErrorCode.RECORD_INVALID, f"{name} has a different sha256 than listed", str(path)
            )
    missing = sorted(expected.keys() - listed.keys())
    if missing:
        raise ReleaseError(ErrorCode.RECORD_INVALID, f"{missing[0]} is not listed", str(path))


def _read_sums(path: Path) -> Iterator[tuple[str, str]]:
    with wrap_os_errors(path):
        lines = read_text(path, "surrogateescape").splitlines()
    for number, line in enumerate(lines, 1):
        match = _SUM_LINE.fullmatch(line)
        if not match:
            raise ReleaseError(
                ErrorCode.RECORD_INVALID, "not a line of sha256sum", f"{path}:{number}"
            )
        yield match[2], match[1]


def _is_marked(directory: Path) -> bool:
    """Return whether *directory* has a file that only `write_bundle` writes."""
    if (directory / SUMS).is_file():
        return True
    return read_text_if_exists(directory / GITIGNORE) == _IGNORE_ALL


def _names_beside(package: BuiltPackage) -> list[str]:
    """Return the names of the attestations and SBOMs of *package*, which need not exist."""
    return [*(f"{name}{ATTESTATION}" for name in package.file_names), *sbom_names(package)]


def _existing_files(root: Path, package: str, names: Iterable[str]) -> list[Path]:
    """Return the paths of those of *names* that are files of *package* below *root*."""
    return _files_below(root, (f"{DIST}/{package}/{name}" for name in names))


def _files_below(root: Path, names: Iterable[str]) -> list[Path]:
    return [root / name for name in names if _is_file(root, name)]


def _is_file(root: Path, name: str) -> bool:
    """Return whether *name* is a file below *root*, reached without a link."""
    relative = PurePosixPath(name)
    leads_out = relative.is_absolute() or ".." in relative.parts
    if leads_out:
        return False
    *paths, _ = (relative, *relative.parents)  # the last is the root itself, which may be a link
    has_links = any((root / path).is_symlink() for path in paths)
    return not has_links and (root / relative).is_file()
