"""Release notes and the outside: who and what they tell of, the template, and the command that may rewrite them."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from releasekit.core.errors import Code, Refusal, ReleaseError
from releasekit.core.history.web_links import web_of
from releasekit.core.release.release_notes import OUR_TEMPLATE, Notes, cut, notes_of, render, tidy
from releasekit.integrations.filesystem import changelog_path, read_text
from releasekit.integrations.process import Command, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.release_notes import Pull
    from releasekit.core.release.target import Target
    from releasekit.integrations.git import Repo

LONGEST_REWRITE = 600
"""Seconds that `notes_command` may take."""


def commits_told(plan: Plan) -> tuple[str, ...]:
    """Return the commits that the notes of *plan* tell of, each once."""
    return tuple(dict.fromkeys(told.sha for tale in plan.tales.values() for told in tale.changes))


def gather(
    plan: Plan,
    repo: Repo,
    tree: Path,
    workspace: str,
    target: Target,
    settings: Settings,
    *,
    pulls: Mapping[str, Pull],
    commit: str = "",
) -> Notes:
    """Return what the notes of *plan* tell.

    *tree* is the work tree whose changelogs are linked to, *workspace* the workspace's place in it, *pulls* are by
    sha, *commit* is the release commit, once it is made: its tags say nothing of who was there before.
    """
    changelogs = {
        step.name: changelog_path((tree / workspace / step.path).resolve()).relative_to(tree.resolve()).as_posix()
        for step in plan.steps
        if step.name in plan.changelogs
    }
    known = sorted({sha for sha in repo.tags().values() if sha != commit})
    return notes_of(
        plan,
        target,
        web_of(repo.address(settings.remote), settings.forge),
        pulls=pulls,
        newcomers=repo.newcomers(commits_told(plan), known),
        files=changelogs,
    )


def rendered(notes: Notes, root: Path, settings: Settings, limit: int) -> str:
    """Return *notes* as the template has them, in at most *limit* characters; raises Refusal RK-NOTES-TEMPLATE.

    *root* is that of the workspace.
    """
    if not settings.notes_template:
        ours = files("releasekit") / "templates" / OUR_TEMPLATE
        return render(notes, ours.read_text("utf-8"), limit, OUR_TEMPLATE)
    path = root / settings.notes_template
    try:
        return render(notes, read_text(path), limit, settings.notes_template)
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(Code.NOTES_TEMPLATE, f"cannot be read: {error}", settings.notes_template) from None


def rewritten(text: str, root: Path, command: Sequence[str], limit: int, link: str) -> str:
    """Return what *command* makes of the notes *text*, cut where it is longer than *limit*.

    *link* is where all of it stands. Raises ReleaseError RK-NOTES-COMMAND if it fails or prints nothing.
    """
    if not command:
        return text
    try:
        printed = run(Command(tuple(command), root, timeout=LONGEST_REWRITE, stdin=text.encode())).stdout
    except ReleaseError as error:
        raise ReleaseError(Code.NOTES_COMMAND, error.what, error.where, output=error.output) from None
    if not printed.strip():
        raise ReleaseError(Code.NOTES_COMMAND, f"{command[0]} printed nothing", str(root))
    return cut(tidy(printed), limit, link)
