"""The texts of the release pull request and of draft releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.planning.model import RELEASE_COMMIT
from releasekit.core.release.release_notes import cut
from releasekit.formats.markdown import obstacles_markdown, plan_markdown

if TYPE_CHECKING:
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.pr_status import ReleasePull

NEXT_TITLE = "chore: begin the next development versions"

_HOW = """
---
Merging this, in whichever way, releases what the table says: `releasekit publish --publish-from=ci` on the merged
commit tags that commit and has it published. New commits on the branch it goes into bring this up to date. Closing it
releases nothing. Its branch is releasekit's own: what others push to it is kept, and stops it from being brought up to
date.
"""

_NOT_OUT = "> **Not out yet.** This becomes the release when all of its packages are confirmed on the index.\n\n"


def pull_markdown(found: ReleasePull) -> str:
    """Return how a release by pull request stands, for people."""
    notes = [f"- {note}" for note in found.notes]
    parts = [found.what, found.page, ", ".join(found.packages), *notes, obstacles_markdown(found.obstacles)]
    return "\n\n".join(filter(None, parts)) + "\n"


def pull_title(plan: Plan) -> str:
    """Return the title of the pull request, which merging by squash makes the message of the commit."""
    return f"{RELEASE_COMMIT}{plan.title}"


def pull_body(plan: Plan, limit: int) -> str:
    """Return the body of the pull request, in at most *limit* characters."""
    return plan_body(plan, limit - len(_HOW)) + _HOW


def plan_body(plan: Plan, limit: int) -> str:
    """Return *plan* in at most *limit* characters: the graph goes first, then rows."""
    text = plan_markdown(plan)
    if len(text) > limit:
        text = plan_markdown(plan, graph="(there are too many to draw)")
    return cut(text, limit, "")


def draft_body(notes: str, limit: int, link: str) -> str:
    """Return what a draft release says: that it is not out yet, and the *notes*; *link* is where all of them stand."""
    return _NOT_OUT + cut(notes, limit - len(_NOT_OUT), link)


def next_body(plan: Plan) -> str:
    """Return the body of the pull request with the next development versions."""
    rows = "".join(f"- {step.name} {step.current} → {step.version}\n" for step in plan.steps)
    so = "These versions decide nothing: what comes next follows from the commits."
    return f"What was released goes on as:\n\n{rows}\n{so}\n"
