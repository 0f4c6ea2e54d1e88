"""The texts of the release pull request and of draft releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.planning.model import RELEASE_COMMIT
from releasekit.core.release.release_notes import truncate
from releasekit.formats.markdown import obstacles_markdown, plan_markdown

if TYPE_CHECKING:
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.pr_status import ReleasePullRequest

NEXT_VERSIONS_TITLE = "chore: begin the next development versions"

_INSTRUCTIONS = """
---
Merging this, in whichever way, releases what the table says: `releasekit publish --publish-from=ci` on the merged
commit tags that commit and has it published. New commits on the branch it goes into bring this up to date. Closing it
releases nothing. Its branch is releasekit's own: what others push to it is kept, and stops it from being brought up to
date.
"""

_DRAFT_NOTICE = "> **Not out yet.** This becomes the release when all of its packages are confirmed on the index.\n\n"


def release_pr_markdown(status: ReleasePullRequest) -> str:
    """Return how a release by pull request stands, for people."""
    notes = [f"- {note}" for note in status.notes]
    parts = [status.what, status.page, ", ".join(status.packages), *notes, obstacles_markdown(status.obstacles)]
    return "\n\n".join(filter(None, parts)) + "\n"


def release_pr_title(plan: Plan) -> str:
    """Return the title of the pull request, which merging by squash makes the message of the commit."""
    return f"{RELEASE_COMMIT}{plan.title}"


def release_pr_body(plan: Plan, limit: int) -> str:
    """Return the body of the pull request, in at most *limit* characters."""
    return plan_body(plan, limit - len(_INSTRUCTIONS)) + _INSTRUCTIONS


def plan_body(plan: Plan, limit: int) -> str:
    """Return *plan* in at most *limit* characters: the graph goes first, then rows."""
    text = plan_markdown(plan)
    if len(text) > limit:
        text = plan_markdown(plan, graph="(there are too many to draw)")
    return truncate(text, limit, "")


def draft_release_body(notes: str, limit: int, link: str) -> str:
    """Return what a draft release says: that it is not out yet, and the *notes*; *link* is where all of them stand."""
    return _DRAFT_NOTICE + truncate(notes, limit - len(_DRAFT_NOTICE), link)


def next_versions_body(plan: Plan) -> str:
    """Return the body of the pull request with the next development versions."""
    rows = "".join(f"- {step.name} {step.current} → {step.version}\n" for step in plan.steps)
    remark = "These versions decide nothing: what comes next follows from the commits."
    return f"What was released goes on as:\n\n{rows}\n{remark}\n"
