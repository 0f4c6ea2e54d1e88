"""What Prefect shows of a run: its name, tags, log lines and artifacts."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

from prefect.artifacts import (
    Artifact,
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.logging.handlers import APILogHandler

from flows.logs import let_through
from tasks.adapters.process import mask
from tasks.core.formats.markdown import plan_markdown, plan_rows, report_markdown
from tasks.core.formats.svg import graph_svg
from tasks.core.plan import counted
from tasks.core.pull import pull_markdown
from tasks.lazy import in_flow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from flows.options import Options
    from tasks.adapters.repo import Repo
    from tasks.core.plan import Plan
    from tasks.core.pull import ReleasePull
    from tasks.core.report import Report
    from tasks.core.target import Target
    from tasks.survey import Project

_PAUSE = 1.0
"""Seconds between two looks at the progress bar: each costs a request."""


def record_our_lines() -> None:
    """Let our log lines go into the run, also where Prefect was started by others, as by a worker."""
    if not in_flow():
        return
    ours = logging.getLogger("releasekit")
    if not any(isinstance(handler, APILogHandler) for handler in ours.handlers):
        ours.addHandler(APILogHandler())
    let_through()


async def name_run(what: str, plan: Plan, *tags: str) -> None:
    """Name the run after what it does, now that it is known: "publish v0.6.0 (12 packages)"."""
    named = f"{what} {plan.title} ({counted(plan.steps)})" if plan.steps else f"{what}: nothing to release"
    await rename_run(named, *tags, *([plan.title] if plan.steps else []))


async def rename_run(name: str, *tags: str) -> None:
    """Give the run a name, and *tags* beside those that it has."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None:
        return
    async with get_client() as client:
        await client.update_flow_run(run.id, name=name, tags=sorted({*run.tags, "releasekit", *tags}))


async def show_plan(plan: Plan, changes: Sequence[str] | None = None) -> None:
    """Leave the plan and its graph as an artifact of the run, if there is one: without any server there is none."""
    if not in_flow():
        return
    text = plan_markdown(plan, changes, _graph(plan))
    await acreate_markdown_artifact(text, key="releasekit-plan", description=plan.headline)


async def last_plan(key: str) -> list[dict[str, str]] | None:
    """Return the rows of the plan that was kept last under *key*; None if there is none."""
    kept = await Artifact.aget(key)
    return None if kept is None else json.loads(str(kept.data))


async def keep_plan(key: str, plan: Plan) -> None:
    """Keep the plan for the next run to be compared with, as a table."""
    await acreate_table_artifact(plan_rows(plan), key=key, description=plan.headline)


def key_of(options: Options, project: Project, repo: Repo) -> str:
    """Return under which key the plans of a workspace are kept: of that place in that repository, asked the same way.

    Prefect allows small letters, digits and dashes.
    """
    address = mask(repo.address(project.settings.remote)) or str(repo.top)
    place = project.root.relative_to(repo.top).as_posix()
    asked = options.model_dump_json(exclude={"workspace"}, exclude_defaults=True)
    named = re.sub(r"[^a-z0-9]+", "-", address.removesuffix(".git").rpartition("/")[2].lower()).strip("-")
    return f"plan-{named}-{sha256(f'{address} {repo.branch} {place} {asked}'.encode()).hexdigest()[:8]}"


async def show_pull(found: ReleasePull) -> None:
    """Leave how a release by pull request stands as an artifact."""
    if in_flow():
        await acreate_markdown_artifact(pull_markdown(found), key="releasekit-pull", description=found.what)


async def show_report(report: Report, plan: Plan, target: Target) -> None:
    """Leave what came of a release as an artifact, with a link to each package that is out."""
    if not in_flow():
        return
    pages = {package.name: target.page(package.name, package.version) for package in report.confirmed}
    text = f"{report_markdown(report, pages)}\n{_graph(plan, report)}\n"
    await acreate_markdown_artifact(text, key="releasekit-report", description=report.summary)


def _graph(plan: Plan, report: Report | None = None) -> str:
    """Return the graph as a picture inside Markdown; with a *report*, in the colours of what came of each package."""
    outcomes = {package.name: package.outcome for package in report.packages} if report else None
    picture = b64encode(graph_svg(plan, outcomes).encode()).decode()
    return f"![who waits for whom](data:image/svg+xml;base64,{picture})"


class ProgressBar:
    """A progress bar among the artifacts of the run: so many of *total* packages are through, or have failed."""

    def __init__(self, total: int, description: str, key: str) -> None:
        self._total, self._description, self._key = total, description, key
        self._done, self._next = 0, 0.0
        self._bar: asyncio.Task[UUID] | None = None

    async def step(self) -> None:
        """Count one more step; show it if the last time is a while ago, or nothing is left."""
        self._done += 1
        if not in_flow():
            return
        now = time.monotonic()
        if self._done < self._total and now < self._next:
            return
        self._next = now + _PAUSE
        if self._bar is None:  # made once, however many steps end together
            making = acreate_progress_artifact(0.0, f"releasekit-{self._key}", self._description)
            self._bar = asyncio.create_task(making)
        bar = await self._bar
        await aupdate_progress_artifact(bar, round(100 * self._done / self._total, 1))
