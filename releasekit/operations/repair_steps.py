"""The repairs that need no decision: each completes one thing, and can be repeated."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.version import Version

from releasekit.core.changelog.changelog import Section, insert_section
from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.planning.release_messages import tag_message
from releasekit.integrations.filesystem import (
    make_directory,
    read_text_if_exists,
    write_atomic,
)
from releasekit.integrations.git import TAGS
from releasekit.integrations.whole_checkout import add_whole_worktree, remove_whole_worktree
from releasekit.operations.draft import open_index
from releasekit.operations.start_release import release_context
from releasekit.store.bundle import SUMS
from tasks.project import WORKSPACE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from releasekit.core.repair.inconsistencies import Inconsistency
    from releasekit.core.repair.release_state import TaggedRelease
    from releasekit.integrations.git import Repo
    from releasekit.integrations.protocols import Forge
    from releasekit.operations.read_releases import ComparedReleases, RecordedRelease
    from tasks.context import ReleaseContext
    from tasks.project import Project


@dataclass(frozen=True, slots=True)
class Repair:
    """One *finding* to repair, with what is known about it."""

    finding: Inconsistency
    project: Project
    repo: Repo
    compared: ComparedReleases

    @property
    def key(self) -> tuple[str, Version]:
        """The package and the version that the finding is about."""
        return self.finding.package, Version(self.finding.version)

    @property
    def remote(self) -> str:
        """The remote of the repository."""
        return self.project.settings.remote

    @property
    def recorded(self) -> RecordedRelease | None:
        """The release on record here that the finding is about."""
        if not self.finding.package:
            return self.compared.recorded.get(self.finding.tag)
        match = self.compared.record_of(self.key)
        return match[0] if match else None

    @property
    def release(self) -> TaggedRelease:
        """The release that the finding is about."""
        return next(
            release
            for release in self.compared.state.releases
            if release.tag.name == self.finding.tag
        )


# ---- tags -----------------------------------------------------------------------------------------------------------


async def make_tag(repair: Repair) -> None:
    """Make the tag on the commit that released the package or the whole release, and push it."""
    finding, settings = repair.finding, repair.project.settings
    source = repair.compared.state.by_key[repair.key] if finding.package else repair.release
    recorded = repair.recorded
    message = tag_message(recorded.plan, finding.tag, settings.tag_message) if recorded else ""
    repair.repo.make_tag(finding.tag, source.commit, message)
    if settings.push and repair.remote in repair.repo.remotes():
        await push_tag(repair)


async def push_tag(repair: Repair) -> None:
    """Push the tag that only this clone has."""
    reference = f"{TAGS}{repair.finding.tag}"
    repair.repo.push(repair.remote, [f"{reference}:{reference}"])


async def fetch_tag(repair: Repair) -> None:
    """Fetch the tag that only the remote has."""
    reference = f"{TAGS}{repair.finding.tag}"
    repair.repo.fetch(repair.remote, f"{reference}:{reference}")


# ---- the index ------------------------------------------------------------------------------------------------------


async def upload_files(repair: Repair) -> None:
    """Upload the recorded files that the index lacks, as `publish` does, and wait until the index lists them."""
    from tasks.upload import UploadJob, Uploads, confirm, upload  # late: imports Prefect

    match = repair.compared.record_of(repair.key)
    if match is None:  # a file is only offered for upload if a record has it
        message = f"no record here has {repair.finding.subject}"
        raise ReleaseError(ErrorCode.FILES_LOST, message)
    recorded, built = match
    step = next(step for step in recorded.plan.steps if step.name == built.name)
    async with (
        _context_of(repair, recorded) as context,
        open_index(repair.project, repair.compared.target) as index,
    ):
        later = repair.compared.later_index
        release = context.for_later_index(later) if later else context
        job = UploadJob(release, step, built, index, Uploads(concurrency=1))
        await upload.fn(job)
        await confirm.fn(job)


@asynccontextmanager
async def _context_of(repair: Repair, recorded: RecordedRelease) -> AsyncGenerator[ReleaseContext]:
    """Yield the context of the *recorded* release, with its work tree inside the block."""
    manifest, repo = recorded.manifest, repair.repo
    context = release_context(recorded.plan, recorded.record, repair.project, repo)
    remove_whole_worktree(repo, recorded.record.worktree)
    add_whole_worktree(repo, recorded.record.worktree, manifest.release_commit)
    try:
        yield replace(
            context,
            commit=manifest.release_commit,
            epoch=repo.commit_time(manifest.release_commit),
            branch=manifest.branch,
        )
    finally:
        remove_whole_worktree(repo, recorded.record.worktree)


# ---- changelogs -----------------------------------------------------------------------------------------------------


async def write_entry(repair: Repair) -> None:
    """Write the section of a version or a release into the changelog in the checkout, as the release had it."""
    finding, recorded = repair.finding, repair.recorded
    if finding.package:
        version, commit = repair.key[1], repair.compared.state.by_key[repair.key].tag.commit
    else:
        # Packages with a changelog of the workspace share their versions.
        version, commit = repair.release.versions[0][1], repair.release.commit
    path = repair.project.changelogs[finding.package]
    section = None
    if recorded:
        plan = recorded.plan
        section = {WORKSPACE: plan.workspace_changelog, **plan.changelogs}.get(finding.package)
    if section is None:
        day = repair.repo.git("show", "--no-patch", "--format=%cs", commit).strip()
        section = Section(text=f"## {version} - {day}\n\nReleased as {finding.tag}.\n")
    make_directory(path.parent)
    write_atomic(path, insert_section(read_text_if_exists(path), version, section))


# ---- the forge ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _forge_of(repair: Repair) -> AsyncGenerator[Forge]:
    from releasekit.integrations.forge_factory import connect_forge  # late: httpx is slow to import

    project = repair.project
    address = repair.repo.address(repair.remote)
    async with connect_forge(address, project.settings, project.uv.secrets) as forge:
        yield forge


async def create_page(repair: Repair) -> None:
    """Create the release on the forge: with its notes if it is on record, else with the list of its packages."""
    recorded = repair.recorded
    if recorded:
        from tasks.announce import create_forge_release

        async with _context_of(repair, recorded) as context:
            page, remarks = await create_forge_release(context, repair.repo)
        if not page:
            raise ReleaseError(ErrorCode.FORGE_REFUSED, "; ".join(remarks))
        return
    release = repair.release
    lines = [f"- {name} {version}" for name, version in release.versions]
    async with _forge_of(repair) as forge:
        page = await forge.create_release(
            tag=release.tag.name,
            commit=release.commit,
            title=release.tag.name,
            body="\n".join(lines),
            prerelease=all(version.is_prerelease for _, version in release.versions),
        )
        await forge.upload_asset(page, SUMS, _published_sums(repair))


async def publish_draft(repair: Repair) -> None:
    """Publish the page that is still a draft."""
    async with _forge_of(repair) as forge:
        await forge.promote(repair.compared.pages[repair.finding.tag])


async def attach_sums(repair: Repair) -> None:
    """Attach the sums of the published files."""
    async with _forge_of(repair) as forge:
        page = repair.compared.pages[repair.finding.tag]
        await forge.upload_asset(page, SUMS, _published_sums(repair))


def _published_sums(repair: Repair) -> bytes:
    """Return the sha256 of the release's files as the record and the index have them, for `sha256sum --check`."""
    by_key = repair.compared.state.by_key
    sums: dict[str, str] = {}
    for key in repair.release.versions:
        if key in by_key:
            sums |= {**by_key[key].expected, **by_key[key].files}
    lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items()) if digest]
    return "".join(lines).encode()
