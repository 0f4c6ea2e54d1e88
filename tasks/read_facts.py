"""Step: read the facts that checks examine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from releasekit.core.errors import ReleaseError
from releasekit.core.history.build_tags import unread_tags
from releasekit.core.text import summarize_causes
from releasekit.integrations.process import mask
from tasks.decorators import flow_task
from tasks.read_declarations import member_directories
from tasks.read_history import find_tagged_releases, umbrella_tags

if TYPE_CHECKING:
    from collections.abc import Collection

    from releasekit.core.checks.facts import WorkspaceFacts
    from releasekit.integrations.git import Repo
    from tasks.project import Project


@flow_task("read-facts", stage="check")
def read_facts(project: Project, repo: Repo, needs: Collection[str]) -> WorkspaceFacts:
    """Read the facts that `check` examines. *needs* names the expensive facts that are wanted; see `Check`.

    Raises Refusal RK-TAG-INVALID.
    """
    from releasekit.core.checks.facts import WorkspaceFacts
    from releasekit.integrations.package_files import (  # imported late: no other command needs them
        read_license,
        read_packages,
    )

    tracked, ignored = repo.list_files(project.root)
    members = [(member, *project.manifests[member.path]) for member in project.workspace]
    documents = {path: document for path, (document, _) in project.manifests.items()}
    lock = project.root / project.uv.lock_name
    license_file, license_text = read_license(project.root)
    return WorkspaceFacts(
        workspace=project.workspace,
        settings=project.settings,
        packages=read_packages(
            project.root,
            members,
            tracked,
            ignored,
            render="rendering" in needs,
            scan="contents" in needs,
        ),
        document=project.document,
        lock=_lock_state(project, repo) if "lock" in needs else "unasked",
        locked=lock.read_text("utf-8", "replace") if lock.is_file() else "",
        tagged=_tagged_packages(project, repo) if "tags" in needs else None,
        license_file=license_file,
        license_text=license_text,
        ignored_changelogs=_ignored_changelogs(project, repo),
        unread_tags=unread_tags(project.workspace, project.schemes, documents)
        if project.settings.tag
        else {},
        prepared=project.prepared_names,
    )


def _ignored_changelogs(project: Project, repo: Repo) -> dict[str, str]:
    """Return the changelogs that git ignores, by package or `WORKSPACE`, whether they exist or not."""
    changelogs = project.changelogs
    ignored = set(repo.find_ignored(list(changelogs.values())))
    return {
        owner: os.path.relpath(path, project.root)
        for owner, path in changelogs.items()
        if path in ignored
    }


def _lock_state(project: Project, repo: Repo) -> str:
    if not repo.is_tracked(project.root / project.uv.lock_name):
        return "none"
    try:
        is_current = project.uv.lock_is_current(project.root)
    except ReleaseError as error:
        return summarize_causes(mask(error.output)) or error.message
    return "current" if is_current else "stale"


def _tagged_packages(project: Project, repo: Repo) -> frozenset[str] | None:
    """Return the packages whose last release has a tag; None in a shallow clone, which lacks tags."""
    if repo.is_shallow():
        return None
    tags = repo.tags()
    umbrellas = umbrella_tags(repo, project, tags)
    baselines, _ = find_tagged_releases(
        repo, project, tags, umbrellas, member_directories(repo, project)
    )
    return frozenset(baselines)
