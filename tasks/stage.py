"""Pin, build and verify one package; then prove that all fit together. Nothing is uploaded here."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters import exported
from tasks.adapters.files import describe, read_sdist, read_text, read_toml, read_wheel, replace_text
from tasks.adapters.places import rewritten_texts
from tasks.adapters.process import arun
from tasks.adapters.uv import failure
from tasks.core.artifacts import import_names, problems
from tasks.core.dynamic import environment
from tasks.core.errors import Code, ReleaseError
from tasks.core.manifest import PackageVersion
from tasks.core.pins import pin as pin_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tasks.adapters.repo import Repo
    from tasks.core.plan import Step
    from tasks.release import Release


detail = logging.getLogger("releasekit.detail")


@task(name="pin", task_run_name="pin-{step.name}", cache_policy=NO_CACHE)
async def pin(release: Release, step: Step) -> None:
    """Write what the package is to require of its siblings into its files, in the scratch worktree."""
    package = release.record.worktree / release.workspace / step.path
    document, _ = read_toml(package / "pyproject.toml", f"{step.path}/pyproject.toml")
    pins = release.plan.pins_of(step)
    texts = rewritten_texts(package, document, lambda text, file: pin_text(text, pins, file))
    for path, pinned in texts.items():
        before = read_text(path).splitlines()
        replace_text(path, pinned)
        changed = [line.strip() for line in pinned.splitlines() if line not in before]
        detail.info("pinned in %s/%s: %s", step.path, path.name, " ".join(changed))
    if not texts:
        detail.info("pinned in %s: nothing to pin", step.path)


@task(name="build", task_run_name="build-{step.name}", cache_policy=NO_CACHE)
async def build(release: Release, step: Step) -> None:
    """Build sdist and wheel of a pinned package into the release record."""
    out = release.record.dist(step.name)
    shutil.rmtree(out, ignore_errors=True)
    links = [release.record.dist(name) for name in step.build_needs]
    package = release.record.worktree / release.workspace / step.path
    document, _ = read_toml(package / "pyproject.toml", f"{step.path}/pyproject.toml")
    told = {"SOURCE_DATE_EPOCH": str(release.epoch), **environment(document, step.name, str(step.version))}
    command = release.uv.build_command(package, out, links, told, release.settings.build_timeout)
    try:
        await arun(command)
    except ReleaseError as error:
        raise failure(Code.BUILD_FAILED, error, f"{step.name} {step.version} did not build", str(command)) from None


@task(name="verify", task_run_name="verify-{step.name}", cache_policy=NO_CACHE)
async def verify(release: Release, step: Step) -> PackageVersion:
    """Compare the built files with the plan; returns what will be uploaded, file by file."""
    paths = sorted(path for path in release.record.dist(step.name).iterdir() if path.name.endswith((".whl", ".tar.gz")))
    wheels = [read_wheel(path) for path in paths if path.suffix == ".whl"]
    sources = [name for path in paths if path.suffix == ".gz" for name in read_sdist(path)]
    wrong = problems(
        step.name, step.version, [path.name for path in paths], wheels, release.plan.pins_of(step), sources
    )
    if wrong:
        raise ReleaseError(Code.VERIFY_FAILED, "; ".join(wrong), f"{step.name} {step.version}")
    files = tuple(describe(path) for path in paths)
    for file in files:
        detail.info("%s: name, version, metadata, pins and contents are as planned; sha256 %s", file.name, file.sha256)
    imports = sorted({name for wheel in wheels for name in import_names(wheel.hashes)})
    return PackageVersion(
        name=step.name,
        version=step.version,
        tag=step.tag,
        files=files,
        imports=tuple(imports),
    )


@task(name="prove-resolution", task_run_name="prove-resolution-{release.plan.title}", cache_policy=NO_CACHE)
async def prove_resolution(release: Release, built: Sequence[PackageVersion]) -> None:
    """Refuse a set that cannot be installed, before the first upload (D-9)."""
    for package in built:
        await _resolve(release, [f"{package.name}=={package.version}"])


@task(name="hand-over", task_run_name="hand-over-{release.plan.title}", cache_policy=NO_CACHE)
def hand_over(release: Release, repo: Repo, directory: Path) -> None:
    """Write the staged release into *directory*, for `publish --manifest` elsewhere, and keep nothing of it here.

    What may be public already is kept, to be carried on. Raises Refusal RK-USAGE, ReleaseError RK-FILE-SYSTEM.
    """
    exported.write(release.record, repo, release.settings.remote, directory)
    if release.record.require_manifest().staged:
        release.record.drop(repo)


async def _resolve(release: Release, requirements: Sequence[str]) -> None:
    links = [release.record.dist(step.name) for step in release.plan.steps]
    root = release.record.worktree / release.workspace
    internal = tuple(release.plan.versions)
    command = release.uv.resolve_command(root, requirements, links, release.target.install_index, internal)
    try:
        await arun(command)
    except ReleaseError as error:
        shown = ", ".join(requirements[:3]) + (" …" if len(requirements) > 3 else "")  # noqa: PLR2004
        raise failure(Code.RESOLVE_FAILED, error, "what was built cannot be installed together", shown) from None
