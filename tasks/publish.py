"""Upload, confirm and smoke-test one package."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.files import describe
from tasks.adapters.process import arun
from tasks.adapters.uv import failure
from tasks.core.errors import Code, Refusal, ReleaseError
from tasks.release import PER_RELEASE, if_transient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.adapters.interface import Index
    from tasks.core.manifest import PackageVersion
    from tasks.core.plan import Step
    from tasks.release import Release

log = logging.getLogger("releasekit.publish")

_REFUSED = re.compile(r"\b(401|403)\b|Unauthorized|Forbidden|[Ii]nvalid (or non-existent )?authentication")
_LONGEST_PAUSE = 10.0


@task(
    name="upload",
    task_run_name="upload-{step.name}-{step.next}",
    cache_policy=PER_RELEASE,
    persist_result=True,
    retries=3,
    retry_delay_seconds=[2, 10, 30],
    retry_condition_fn=if_transient,
)
async def upload(release: Release, step: Step, built: PackageVersion, index: Index) -> None:
    """Send the recorded files, those alone that the index does not have.

    The index is asked first: between its storing a file and our writing down that it did, anything may have died.
    """
    missing = [name for name, there in (await _on_index(built, index)).items() if not there]
    paths = [release.record.dist(step.name) / name for name in missing]
    recorded = {file.name: file for file in built.files}
    for path in paths:
        if describe(path) != recorded[path.name]:
            raise Refusal(Code.VERIFY_FAILED, "the file is not the one that was verified", str(path))
    if not paths:
        return
    command = release.uv.publish_command(paths, release.target.publish_url, release.target.check_url)
    try:
        await arun(command)
    except ReleaseError as error:
        if _REFUSED.search(error.output):
            what = f"the index refuses to take {step.name}"
            raise Refusal(Code.INDEX_CREDENTIALS, what, release.target.publish_url, output=error.output) from None
        raise failure(Code.UPLOAD_FAILED, error, f"{step.name} {step.version} was not taken", str(command)) from None


@task(name="confirm", task_run_name="confirm-{step.name}-{step.next}", cache_policy=NO_CACHE)
async def confirm(release: Release, step: Step, built: PackageVersion, index: Index) -> None:
    """Wait until the index itself lists every file with the sha256 that was built here.

    Never taken from a cache: what a run reports as out, it has seen there itself.
    """
    deadline = time.monotonic() + release.settings.confirm_timeout
    pause = 0.1
    while not all((there := await _on_index(built, index)).values()):
        if time.monotonic() > deadline:
            missing = ", ".join(name for name, listed in there.items() if not listed)
            raise ReleaseError(Code.PUBLISH_TIMEOUT, f"not listed: {missing}", f"{step.name} on {index.url}")
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


@task(
    name="smoke-test",
    task_run_name="smoke-test-{step.name}-{step.next}",
    cache_policy=PER_RELEASE,
    persist_result=True,
    retries=1,
    retry_delay_seconds=5,
)
async def smoke_test(release: Release, step: Step, built: PackageVersion) -> None:
    """Install the package from the index into a fresh environment, as a user would, and import it."""
    root = release.record.worktree / release.workspace
    index, internal = release.target.install_index, release.plan.brought_by(step.name)
    try:
        await release.uv.smoke_test(root, f"{step.name}=={step.version}", built.imports, index, internal)
    except ReleaseError as error:
        what = f"{step.name} {step.version} cannot be installed and imported"
        raise failure(Code.SMOKE_TEST_FAILED, error, what, ", ".join(built.imports)) from None


async def _on_index(built: PackageVersion, index: Index) -> Mapping[str, bool]:
    """Tell of each built file whether the index lists it.

    Raises Refusal RK-PUBLISH-CHECKSUM-MISMATCH if one is listed under its name with other content.
    """
    listed = {file.name: file.sha256 for file in await index.files(built.name) or ()}
    for file in built.files:
        if listed.get(file.name, "") not in ("", file.sha256):
            what = f"{file.name} is on the index with other content"
            raise Refusal(Code.PUBLISH_CHECKSUM_MISMATCH, what, f"{index.url}: sha256 {listed[file.name]}")
    return {file.name: file.name in listed for file in built.files}
