"""A rehearsal: the complete release, with a throwaway index and a throwaway clone."""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from releasekit.core.config.settings import variable
from releasekit.core.errors import Refusal
from releasekit.core.planning.first_releases import ALL
from releasekit.core.release.target import Target
from releasekit.core.text import summarize
from releasekit.integrations.archives import read_archive
from releasekit.integrations.git import Repo, clone
from releasekit.integrations.http import client
from releasekit.integrations.peryx import embedded_index
from releasekit.integrations.whole_checkout import copy_submodules, lfs_options
from releasekit.operations.draft import open_index, open_project
from tasks.read_workspace import later_indexes, target_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from httpx import AsyncClient

    from releasekit.core.release.report import ReleaseReport
    from releasekit.integrations.peryx import EmbeddedIndex
    from releasekit.options import PublishOptions
    from tasks.project import Project

log = logging.getLogger("releasekit")


@contextmanager
def rehearsal(options: PublishOptions) -> Generator[PublishOptions]:
    """Yield options for a throwaway index and clone, which exist inside the block; *options* if it is no rehearsal.

    The clone has the user's commit, branch and tags, and its own bare remote. The user's repository is not changed.
    """
    if not options.rehearse:
        yield options
        return
    repo = Repo(options.directory)
    if uncommitted := repo.changed_paths():
        log.warning("uncommitted changes are not rehearsed: %s", summarize(uncommitted, 5))
    with tempfile.TemporaryDirectory(prefix="releasekit-rehearsal-") as scratch:
        directory = Path(scratch).resolve()
        workspace_path = options.directory.resolve().relative_to(repo.top)
        workspace = _throwaway_clone(repo, directory) / workspace_path
        (directory / "index").mkdir()
        changed = {"workspace": str(workspace), "allow_new": (ALL,), "release": False}
        options = options.model_copy(update=changed)
        targets = _targets(options)
        with (
            embedded_index(directory / "index", targets) as index,
            _environment(environment_of(index)),
        ):
            yield _with_indexes(options, index, targets)


def _targets(options: PublishOptions) -> dict[str, Target]:
    """Return the indexes of the release, in its order, by name; none if the address of its only one is not known."""
    project, _ = open_project(options)
    later = {index.name: index.target for index in later_indexes(project)}
    try:
        first = target_of(project)
    except Refusal as error:
        if project.settings.publish_to:
            raise
        log.warning("%s", error)  # a rehearsal does not need it
        return {}
    return {first.index_name: first, **later}


def _with_indexes(
    options: PublishOptions, index: EmbeddedIndex, targets: Mapping[str, Target]
) -> PublishOptions:
    """Return *options* for a release to throwaway indexes in place of the *targets*, which are only read.

    A rehearsal goes to the end without a person, so indexes that need approval are allowed.
    """
    if not targets:
        address = {"publish_url": index.publish_url, "check_url": index.simple_url}
        return options.model_copy(update=address)
    _, *later = targets
    allowed = options.model_copy(update={"allow_index": tuple(later)})
    return allowed.with_throwaway_indexes(
        {
            name: Target(*index.addresses(name), target.name, falls_back_to=target)
            for name, target in targets.items()
        }
    )


def environment_of(index: EmbeddedIndex) -> dict[str, str | None]:
    """Return the variables of a rehearsal: those of its *index*; and any branch may be rehearsed."""
    return {**index.environment, variable("allow_branches"): "*"}


async def list_published_pins(project: Project, report: ReleaseReport) -> list[tuple[str, str]]:
    """Return the name of each released wheel, and the internal requirements in its METADATA as the index serves it."""
    rows: list[tuple[str, str]] = []
    async with open_index(project, target_of(project)) as index, client() as http_client:
        for package in report.confirmed_packages:
            for file in await index.files(package.name) or ():
                if file.name.endswith(".whl"):
                    pins = await _internal_requirements(
                        http_client, file.url, project.workspace.members
                    )
                    rows.append((file.name, pins))
    return rows


async def _internal_requirements(http_client: AsyncClient, url: str, members: Iterable[str]) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "downloaded.whl"
        response = await http_client.get(url)
        path.write_bytes(response.raise_for_status().content)
        requirements = map(Requirement, read_archive(path).values("Requires-Dist"))
    return "\n".join(str(r) for r in requirements if canonicalize_name(r.name) in members)


def _throwaway_clone(repo: Repo, directory: Path) -> Path:
    remote, work = directory / "remote.git", directory / "clone"
    clone(str(repo.top), remote, "--bare")
    branch = ("--branch", repo.branch) if repo.branch else ()
    clone(str(remote), work, *branch, *lfs_options(repo))
    copy = Repo(work)
    if not repo.branch:
        copy.git("switch", "--quiet", "--force-create", "rehearsal", repo.head)
    copy_submodules(repo, repo.top, work)
    name, _, rest = repo.committer().partition(" <")
    copy.git("config", "user.name", name)
    copy.git("config", "user.email", rest.partition(">")[0])
    return work


@contextmanager
def _environment(changes: Mapping[str, str | None]) -> Generator[None]:
    before = {name: os.environ.get(name) for name in changes}
    _apply(changes)
    try:
        yield
    finally:
        _apply(before)


def _apply(changes: Mapping[str, str | None]) -> None:
    for name, value in changes.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
