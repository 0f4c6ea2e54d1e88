"""`releasekit verify`: build a published version again from its tag, and compare it with what is on the index."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from releasekit.core.artifacts.attestations import provenance_evidence
from releasekit.core.errors import ErrorCode, Refusal, as_refusal
from releasekit.core.history.baselines import package_tags
from releasekit.core.picking import by_name
from releasekit.core.planning.plan_inputs import platforms_of
from releasekit.core.release.stage_job import StageJob
from releasekit.core.repair.compared_scope import parse_version_key
from releasekit.core.repair.rebuild_comparison import (
    FileComparison,
    Verification,
    compare_members,
    compare_sum,
)
from releasekit.core.workspace.graph import graph_of, offers_of
from releasekit.core.workspace.requirements import requirement_key
from releasekit.integrations.filesystem import make_directory, remove_tree
from releasekit.integrations.packed_members import read_members
from releasekit.integrations.whole_checkout import add_whole_worktree, remove_whole_worktree
from releasekit.operations.draft import checkout_workspace, open_index, open_project
from releasekit.operations.pinning import declared_siblings
from releasekit.operations.read_releases import (
    open_release_forge,
    read_asset_sums,
    read_index_files,
)
from releasekit.store.record import Record
from tasks import read_history
from tasks.read_workspace import read_workspace, target_of, targets_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from packaging.version import Version

    from releasekit.core.history.tag_evidence import TagReading
    from releasekit.core.repair.rebuild_comparison import Evidence
    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import Forge, Index, IndexFile
    from releasekit.options import VerifyOptions
    from tasks.project import Project


@dataclass(frozen=True, slots=True)
class _TaggedVersion:
    """The *version* of the package *name*, and the tag and commit that released it."""

    name: str
    version: Version
    tag: str
    commit: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


async def verify_version(options: VerifyOptions, name: str, version: str) -> Verification:
    """Compare the files of *version* of the package *name* on the index with those that its tag gives.

    The checkout is not changed: the tag is built in a work tree of its own. Every error is a Refusal, because then
    nothing was compared: RK-RELEASE-UNKNOWN, RK-INDEX-…, RK-FORGE-…, RK-BUILD-FAILED and others.
    """
    with as_refusal():
        async with AsyncExitStack() as stack:
            options = stack.enter_context(checkout_workspace(options))
            project, repo = open_project(options)
            subject = _find_tag(project, repo, name, version)
            index = await stack.enter_async_context(open_index(project, target_of(project)))
            published = await _published_files(index, subject)
            unasked: list[str] = []
            forge = await open_release_forge(project, repo, stack, unasked)
            sums = await _release_sums(forge, project, repo, subject)
            with _scratch_record(repo, subject.commit) as record:
                originals = await _download(index, published, record.directory / "published")
                rebuilt = await _build_again(options, project, repo, subject, record, index)
                elsewhere = await _contradictions(project, subject, published)
                names = dict.fromkeys((*originals, *rebuilt))
                comparisons = [
                    (
                        await _compare_file(file, originals, rebuilt, sums, index, published)
                    ).with_problems(elsewhere.get(file, ()))
                    for file in names
                ]
    return Verification(
        package=subject.name,
        version=str(subject.version),
        tag=subject.tag,
        commit=subject.commit,
        files=tuple(comparisons),
        unasked=tuple(unasked),
    )


# ---- what is published ----------------------------------------------------------------------------------------------


def _find_tag(project: Project, repo: Repo, name: str, text: str) -> _TaggedVersion:
    """Return the version with its tag in this clone; raises Refusal RK-RELEASE-UNKNOWN without one."""
    package, version = parse_version_key(name, text)
    for reading in _release_readings(project, repo, package):
        if reading.version == version:
            return _TaggedVersion(package, version, reading.tag, reading.commit)
    message = f"there is no tag of {package} {version} in this clone"
    hint = "Run `git fetch --tags`. `releasekit repair` says whether the version was released."
    raise Refusal(ErrorCode.RELEASE_UNKNOWN, message, str(repo.top), hint)


def _release_readings(project: Project, repo: Repo, package: str) -> list[TagReading]:
    """Return the tags of *package*, the highest version first."""
    tags = repo.tags()
    umbrellas = read_history.umbrella_tags(repo, project, tags, in_any_format=True)
    declared = read_history.publishable_versions(project)
    if package not in declared:
        message = f"the workspace publishes no package {package}"
        raise Refusal(ErrorCode.WORKSPACE_UNKNOWN_PACKAGE, message, str(project.root))
    own = package_tags(tags, project.schemes, {package: declared[package]}, umbrellas)
    return list(own[package].all())


async def _published_files(index: Index, subject: _TaggedVersion) -> dict[str, IndexFile]:
    """Return the files of the version on the index by name; raises Refusal RK-RELEASE-UNKNOWN without one."""
    listed = await read_index_files(index, [subject.name])
    files = listed[subject.name].get(subject.version)
    if not files:
        raise Refusal(ErrorCode.RELEASE_UNKNOWN, f"the index has no file of {subject}", index.url)
    return by_name(files)


async def _contradictions(
    project: Project, subject: _TaggedVersion, published: Mapping[str, IndexFile]
) -> dict[str, list[str]]:
    """Return in which later indexes each of the *published* files is missing, or has other content."""
    problems: dict[str, list[str]] = {}
    for later in targets_of(project, subject.name)[1:]:
        async with open_index(project, later) as index:
            listed = await read_index_files(index, [subject.name])
        there = by_name(listed[subject.name].get(subject.version, ()))
        for name, file in published.items():
            if name not in there:
                problems.setdefault(name, []).append(f"{later.index_name} does not have it")
            elif len({there[name].sha256, file.sha256} - {""}) > 1:
                problems.setdefault(name, []).append(f"{later.index_name} has other content")
    return problems


async def _release_sums(
    forge: Forge | None, project: Project, repo: Repo, subject: _TaggedVersion
) -> dict[str, str] | None:
    """Return the sha256 that the release on the forge names, by file; None if there is no such release."""
    if forge is None:
        return None
    subjects = repo.subjects([subject.commit])[subject.commit]
    titles = [project.release_commits.title_in(text) for text in subjects]
    for title in filter(None, (*titles, subject.tag)):
        if page := await forge.release(title):
            return await read_asset_sums(forge, page)
    return None


async def _download(
    index: Index, files: Mapping[str, IndexFile], directory: Path
) -> dict[str, Path]:
    """Write *files* into *directory*, and return their paths by name.

    Raises Refusal RK-PUBLISH-CHECKSUM-MISMATCH if the index serves other bytes than it lists.
    """
    make_directory(directory)
    contents = await asyncio.gather(*map(index.content, files.values()))
    paths: dict[str, Path] = {}
    for file, content in zip(files.values(), contents, strict=True):
        digest = sha256(content).hexdigest()
        if file.sha256 not in ("", digest):
            message = f"{file.name} is not the file that the index lists"
            raise Refusal(ErrorCode.PUBLISH_CHECKSUM_MISMATCH, message, index.url)
        paths[file.name] = directory / file.name
        paths[file.name].write_bytes(content)
    return paths


# ---- what the tag gives ---------------------------------------------------------------------------------------------


@contextmanager
def _scratch_record(repo: Repo, commit: str) -> Generator[Record]:
    """Yield a record with the work tree of *commit* inside the block. It is no release, and stays outside of git."""
    from filelock import FileLock

    _remove_abandoned(repo)
    with TemporaryDirectory(prefix=_SCRATCH) as directory:
        record = Record(Path(directory).resolve())
        with FileLock(record.directory / _LOCK, thread_local=False):
            add_whole_worktree(repo, record.worktree, commit)
            try:
                yield record
            finally:
                remove_whole_worktree(repo, record.worktree)


_SCRATCH, _LOCK = "releasekit-verify-", "lock"
"""How the directory of a verification begins, and the file in it that is locked while it runs."""


def _remove_abandoned(repo: Repo) -> None:
    """Remove the work trees of verifications that were killed: git would keep them."""
    from filelock import FileLock, Timeout

    for worktree in repo.worktrees():
        scratch = worktree.parent
        if not scratch.name.startswith(_SCRATCH) or not scratch.exists():
            continue
        with suppress(Timeout, OSError), FileLock(scratch / _LOCK, blocking=False):
            remove_whole_worktree(repo, worktree)
            remove_tree(scratch)


async def _build_again(
    options: VerifyOptions,
    project: Project,
    repo: Repo,
    subject: _TaggedVersion,
    record: Record,
    index: Index,
) -> dict[str, Path]:
    """Build the version as a release does, from the work tree of *record*; return the built files by name."""
    from tasks.build import build_package, pin_package  # late: imports Prefect

    workspace = project.root.relative_to(repo.top).as_posix()
    earlier = read_workspace(record.worktree / workspace, options.overrides())
    if subject.name not in earlier.workspace.members:
        message = f"{subject.tag} has no package {subject.name} in {workspace}"
        raise Refusal(ErrorCode.RELEASE_UNKNOWN, message, subject.commit[:12])
    job = _stage_job(project, earlier, repo, subject, record, workspace)
    for need in job.build_needs:
        needed = _TaggedVersion(need, job.versions[need], "", "")
        files = await _published_files(index, needed)
        await _download(index, files, record.dist(need))
    await asyncio.to_thread(pin_package, job)
    await asyncio.to_thread(build_package, job, earlier.uv)
    built = sorted(record.dist(subject.name).glob("*"))
    return {path.name: path for path in built if path.name.endswith((".whl", ".tar.gz"))}


def _stage_job(
    project: Project,
    earlier: Project,
    repo: Repo,
    subject: _TaggedVersion,
    record: Record,
    workspace: str,
) -> StageJob:
    """Return what a release would have staged: *earlier* is the workspace as it was at the tag."""
    settings, member = earlier.settings, earlier.workspace[subject.name]
    undeclared = [other.name for other in earlier.workspace if other.version is None]
    versions = {name: _version_then(project, repo, subject, name) for name in undeclared}
    known = {name: version for name, version in versions.items() if version is not None}
    siblings = declared_siblings(earlier, {**known, subject.name: subject.version})
    graph, _ = graph_of(earlier.workspace, offers_of(earlier.workspace))
    older = {requirement_key(need.requirement) for need in siblings.older_needs(member)}
    return StageJob(
        release="verify",
        commit=subject.commit,
        epoch=repo.commit_time(subject.commit),
        path=PurePosixPath(workspace, member.path).as_posix(),
        name=subject.name,
        version=subject.version,
        tag=subject.tag,
        pins=siblings.modes[subject.name],
        versions=siblings.versions,
        limits=siblings.limits,
        older=tuple(sorted(older)),
        build_needs=tuple(sorted(graph.dependencies(graph.build.get(subject.name, ())))),
        siblings=tuple(name for name in earlier.workspace.members if name != subject.name),
        verify_ignore=settings.verify_ignore,
        has_platforms=bool(
            platforms_of(
                earlier.workspace,
                settings,
                earlier.member_settings.get(subject.name, {}),
                subject.name,
            )
        ),
        commands=settings.package_commands,
        record=str(record.directory),
        uv=earlier.uv.executable,
        python=earlier.uv.find_python(earlier.root),
        secrets=earlier.uv.secrets.names,
        workspace=workspace,
        build_isolation=settings.build_isolation,
        build_timeout=settings.build_timeout,
    )


def _version_then(
    project: Project, repo: Repo, subject: _TaggedVersion, name: str
) -> Version | None:
    """Return the last version of *name* that was tagged when *subject* was released; None if there is none."""
    if name not in read_history.publishable_versions(project):
        return None
    readings = _release_readings(project, repo, name)
    return next(
        (reading.version for reading in readings if repo.contains(subject.commit, reading.commit)),
        None,
    )


# ---- the comparison -------------------------------------------------------------------------------------------------


async def _compare_file(
    name: str,
    originals: Mapping[str, Path],
    rebuilt: Mapping[str, Path],
    sums: Mapping[str, str] | None,
    index: Index,
    listed: Mapping[str, IndexFile],
) -> FileComparison:
    first, second = originals.get(name), rebuilt.get(name)
    if first is None:
        problems = (f"the tag gives {name}, and the index does not have it",)
        digest = sha256(rebuilt[name].read_bytes()).hexdigest()
        return FileComparison(name=name, rebuilt=digest, problems=problems)
    published = sha256(first.read_bytes()).hexdigest()
    again = sha256(second.read_bytes()).hexdigest() if second else ""
    differs = second is not None and again != published
    publishers, problems = await _read_attestations(index, listed[name], published)
    evidence: Evidence = "absent"
    if publishers or problems:
        evidence = "differs" if problems else "same"
    return FileComparison(
        name=name,
        published=published,
        rebuilt=again,
        members=compare_members(read_members(first), read_members(second))
        if differs and second
        else (),
        sums=compare_sum(sums, name, published),
        attestations=evidence,
        publishers=publishers,
        problems=problems,
    )


async def _read_attestations(
    index: Index, file: IndexFile, digest: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the publishers and the problems of the attestations of *file*; nothing without attestations."""
    if not file.provenance:
        return (), ()
    content = await index.content(replace(file, url=file.provenance))
    return provenance_evidence(content, file.name, digest)
