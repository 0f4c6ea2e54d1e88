"""What Prefect shows of a run: its name, tags, log lines and artifacts."""

from __future__ import annotations

import asyncio
import json
import re
import time
from base64 import b64encode
from typing import TYPE_CHECKING

from prefect.artifacts import (
    Artifact,
    acreate_link_artifact,
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

from releasekit.core.planning.plan_diff import PlanSnapshot, snapshot_from_rows
from releasekit.core.release.run_graph import hidden_arrows_note
from releasekit.core.text import count_packages
from releasekit.formats.markdown import plan_markdown, plan_rows, published_rows, report_markdown
from releasekit.formats.pr_text import release_pr_markdown
from releasekit.formats.svg import graph_svg
from tasks.decorators import in_flow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from prefect.client.schemas.objects import FlowRun

    from releasekit.core.planning.model import Plan
    from releasekit.core.release.pr_status import ReleasePullRequest
    from releasekit.core.release.report import ReleaseReport
    from tasks.context import ReleaseContext

_PAUSE = 1.0
"""Seconds between two updates of a progress bar: each costs a request."""


async def name_run(action: str, plan: Plan, *tags: str) -> None:
    """Name the run after what it does, such as "publish v0.6.0 (12 packages)"."""
    if plan.steps:
        packages = count_packages(plan.steps)
        await rename_run(f"{action} {plan.title} ({packages})", *tags, plan.title)
    else:
        await rename_run(f"{action}: nothing to release", *tags)


async def rename_run(name: str, *tags: str) -> None:
    """Give the run a name, and *tags* in addition to those that it has."""
    run = current_run()
    if run is None:
        return
    all_tags = sorted({*run.tags, "releasekit", *tags})
    async with get_client() as client:
        await client.update_flow_run(run.id, name=name, tags=all_tags)


def current_run() -> FlowRun | None:
    """Return the flow run that this code runs in; None without a server."""
    context = FlowRunContext.get()
    return context.flow_run if context else None


async def show_plan(plan: Plan, changes: Sequence[str] | None = None) -> None:
    """Save the plan and its graph as an artifact of the run. Without a server there is no run, and no artifact."""
    if not in_flow():
        return
    graph = "\n\n".join(filter(None, [hidden_arrows_note(plan.steps), _graph(plan)]))
    text = plan_markdown(plan, changes, graph)
    await acreate_markdown_artifact(text, key="releasekit-plan", description=plan.headline)


async def show_wait(platform: str, text: str) -> None:
    """Save as an artifact of the run that it waits for a worker of *platform*."""
    if in_flow():
        key = f"waiting-for-{re.sub('[^a-z0-9]+', '-', platform.lower())}"
        await acreate_markdown_artifact(text, key=key, description=f"waiting for {platform}")


async def last_plan(key: str) -> PlanSnapshot | None:
    """Return the plan that was saved last under *key*; None if there is none."""
    artifact = await Artifact.aget(key)
    if artifact is None:
        return None
    date = f"{artifact.created:%Y.%m.%d}" if artifact.created else ""
    rows = json.loads(str(artifact.data))
    return snapshot_from_rows(rows, date)


async def save_plan(key: str, plan: Plan) -> None:
    """Save the plan as a table, so that the next run can compare with it."""
    await acreate_table_artifact(plan_rows(plan), key=key, description=plan.headline)


async def show_release_pr(release_pr: ReleasePullRequest) -> None:
    """Save the state of a release by pull request as an artifact."""
    if not in_flow():
        return
    text = release_pr_markdown(release_pr)
    await acreate_markdown_artifact(text, key="releasekit-pull", description=release_pr.what)
    if release_pr.page:
        await acreate_link_artifact(release_pr.page, release_pr.title, "on-the-forge")


async def show_report(report: ReleaseReport, release: ReleaseContext) -> None:
    """Save the report of a release, what of it is on the index, and the link to the release as artifacts."""
    if not in_flow():
        return
    pages: dict[str, str] = {}
    for package in report.confirmed_packages:
        last_target = release.targets_of(package.name)[-1]
        pages[package.name] = last_target.package_url(package.name, package.version)
    text = f"{report_markdown(report, pages)}\n{_graph(release.plan, report)}\n"
    await acreate_markdown_artifact(text, key="releasekit-report", description=report.summary)
    if pages:
        rows = published_rows(release.record.require_manifest().packages, pages)
        await acreate_table_artifact(
            rows, key="on-the-index", description=f"{report.title} on {release.target.title}"
        )
    if report.page:
        await acreate_link_artifact(report.page, report.title, "on-the-forge")


def _graph(plan: Plan, report: ReleaseReport | None = None) -> str:
    """Return the graph as a picture inside Markdown. With a *report*, colours show the outcome of each package."""
    outcomes = {package.name: package.outcome for package in report.packages} if report else None
    picture = b64encode(graph_svg(plan, outcomes).encode()).decode()
    return f"![dependency graph](data:image/svg+xml;base64,{picture})"


class ProgressBar:
    """A progress bar among the artifacts of the run: how many of *total* packages are done, or have failed."""

    def __init__(self, total: int, description: str, key: str) -> None:
        self._total, self._description, self._key = total, description, key
        self._done, self._next = 0, 0.0
        self._bar: UUID | None = None
        self._update = asyncio.Lock()

    async def advance(self) -> None:
        """Count one more package. Update the bar if the last update is a while ago, or if nothing is left."""
        self._done += 1
        if not in_flow():
            return
        now = time.monotonic()
        can_wait = self._done < self._total and now < self._next
        if can_wait:
            return
        self._next = now + _PAUSE
        async with self._update:  # two updates at once could arrive in the other order
            if self._bar is None:
                key = f"releasekit-{self._key}"
                self._bar = await acreate_progress_artifact(0.0, key, self._description)
            percent = round(100 * self._done / self._total, 1)
            await aupdate_progress_artifact(self._bar, percent)
