"""What release notes take from outside: authors, links, the template, and the command that can rewrite them."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.history.web_links import repository_urls
from releasekit.core.picking import map_values
from releasekit.core.release.release_notes import (
    DEFAULT_TEMPLATE,
    ReleaseNotes,
    build_release_notes,
    collapse_blank_lines,
    render,
    truncate,
)
from releasekit.integrations.filesystem import changelog_path, read_text, resolve_inside
from releasekit.integrations.notes_renderer import render_apart
from releasekit.integrations.process import Command, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_notes import PullRequest
    from releasekit.core.release.target import Target
    from releasekit.integrations.git import Repo

LONGEST_REWRITE = 600
"""Seconds that `notes_command` may take."""


def commits_in_notes(plan: Plan) -> tuple[str, ...]:
    """Return the shas of the commits that the notes of *plan* mention, each once."""
    changes = [change for entry in plan.tales.values() for change in entry.changes]
    return tuple(dict.fromkeys(change.sha for change in changes if change.sha))


def gather_notes(
    plan: Plan,
    repo: Repo,
    tree: Path,
    workspace: str,
    target: Target,
    settings: Settings,
    *,
    pulls: Mapping[str, PullRequest],
    commit: str = "",
) -> ReleaseNotes:
    """Return the contents of the notes of *plan*.

    *tree* is the work tree with the changelogs to link to, and *workspace* the path of the workspace in it. *pulls*
    are the pull requests by sha. *commit* is the release commit, once it exists: its tags do not count as earlier
    releases when first-time contributors are found.
    """
    changelogs = {
        step.name: changelog_path(
            (tree / workspace / step.path).resolve(), plan.changelogs[step.name].path
        )
        for step in plan.steps
        if step.name in plan.changelogs
    }
    top = tree.resolve()
    files = map_values(lambda path: path.relative_to(top).as_posix(), changelogs)
    tagged_commits = sorted({sha for sha in repo.tags().values() if sha != commit})
    return build_release_notes(
        plan,
        target,
        repository_urls(repo.address(settings.remote), settings.forge),
        pull_requests=pulls,
        newcomers=repo.newcomers(commits_in_notes(plan), tagged_commits),
        files=files,
    )


def render_notes(notes: ReleaseNotes, root: Path, settings: Settings, limit: int) -> str:
    """Return *notes* rendered with the template, in at most *limit* characters; raises Refusal RK-NOTES-TEMPLATE.

    *root* is the root of the workspace.
    """
    if not settings.notes_template:
        template = files("releasekit") / "templates" / DEFAULT_TEMPLATE
        return render(notes, template.read_text("utf-8"), limit, DEFAULT_TEMPLATE)
    path = resolve_inside(root, settings.notes_template)
    if path is None:
        message = (
            "the template is outside the workspace; a link counts as the file that it leads to"
        )
        raise Refusal(ErrorCode.NOTES_TEMPLATE, message, settings.notes_template)
    try:
        return render_apart(notes, read_text(path), limit, settings.notes_template)
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(
            ErrorCode.NOTES_TEMPLATE, f"cannot be read: {error}", settings.notes_template
        ) from None


def rewrite_notes(text: str, root: Path, command: Sequence[str], limit: int, link: str) -> str:
    """Return the notes *text* as *command* rewrites them, cut to *limit* characters.

    *link* leads to the full notes. Without a *command*, *text* is returned unchanged. Raises ReleaseError
    RK-NOTES-COMMAND if the command fails or prints nothing.
    """
    if not command:
        return text
    try:
        printed = run(
            Command(tuple(command), root, timeout=LONGEST_REWRITE, stdin=text.encode())
        ).stdout
    except ReleaseError as error:
        raise ReleaseError(
            ErrorCode.NOTES_COMMAND, error.message, error.location, output=error.output
        ) from None
    if not printed.strip():
        raise ReleaseError(ErrorCode.NOTES_COMMAND, f"{command[0]} printed nothing", str(root))
    return truncate(collapse_blank_lines(printed), limit, link)
