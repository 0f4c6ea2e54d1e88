"""The texts of the release pull request and of draft releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.core.planning.release_messages import commit_title
from releasekit.core.release.release_notes import truncate
from releasekit.formats.markdown import obstacles_markdown, plan_markdown

if TYPE_CHECKING:
    from releasekit.core.config.settings import Settings
    from releasekit.core.planning.model import Plan
    from releasekit.core.release.pr_status import ReleasePullRequest

NEXT_VERSIONS_TITLE = "chore: begin the next development versions"

_INSTRUCTIONS = """
---
Merge this pull request, with any merge method, to release the packages in the table. After the merge,
`releasekit publish --publish-from=ci` tags the merged commit and starts the workflow that publishes it. New commits on
the target branch update this pull request. If you close it, nothing is released. releasekit manages its branch: commits
that others push to it are kept, but they stop further updates.
"""

_DRAFT_NOTICE = (
    "> **Not published yet.** "
    "This draft becomes the release when all its packages are confirmed on the index.\n\n"
)


def release_pr_markdown(status: ReleasePullRequest) -> str:
    """Return the status of a release by pull request as Markdown."""
    notes = [f"- {note}" for note in status.notes]
    parts = [
        status.what,
        status.page,
        ", ".join(status.packages),
        *notes,
        obstacles_markdown(status.obstacles),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def release_pr_title(plan: Plan, settings: Settings) -> str:
    """Return the title of the pull request. A squash merge makes it the title of the commit."""
    return commit_title(plan, settings.commit_templates[0])


def release_pr_body(plan: Plan, limit: int) -> str:
    """Return the body of the pull request, in at most *limit* characters."""
    return plan_body(plan, limit - len(_INSTRUCTIONS)) + _INSTRUCTIONS


def plan_body(plan: Plan, limit: int) -> str:
    """Return *plan* in at most *limit* characters. A long text loses the graph first, then its end."""
    text = plan_markdown(plan)
    if len(text) > limit:
        text = plan_markdown(plan, graph="(The graph is too large to draw here.)")
    return truncate(text, limit, "")


def plan_comment(plan: Plan, limit: int, job_page: str) -> str:
    """Return *plan* with a link to the page of the CI job that made it, if known, in at most *limit* characters."""
    link = (
        f"\n[This run]({job_page}) made the plan. It may keep it as a page, too.\n"
        if job_page
        else ""
    )
    return plan_body(plan, limit - len(link)) + link


def draft_release_body(notes: str, limit: int, link: str) -> str:
    """Return the body of a draft release in at most *limit* characters; *link* is the URL of the full *notes*."""
    return _DRAFT_NOTICE + truncate(notes, limit - len(_DRAFT_NOTICE), link)


def next_versions_body(plan: Plan) -> str:
    """Return the body of the pull request with the next development versions."""
    rows = "".join(f"- {step.name} {step.current} → {step.version}\n" for step in plan.steps)
    remark = "These versions are placeholders: the commits decide the next released version."
    return f"The next development versions of the released packages:\n\n{rows}\n{remark}\n"
