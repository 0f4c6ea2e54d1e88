"""Pin, build and verify one package; then prove that all fit together. Nothing is uploaded here."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.files import describe, read_text, read_wheel, replace_text
from tasks.adapters.process import arun
from tasks.adapters.uv import failure
from tasks.core.artifacts import import_names, problems
from tasks.core.errors import Code, ReleaseError
from tasks.core.manifest import PackageVersion
from tasks.core.pins import pin as pin_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.core.plan import Step
    from tasks.release import Release


@task(name="pin", task_run_name="pin-{step.name}", cache_policy=NO_CACHE)
async def pin(release: Release, step: Step) -> None:
    """Write exact versions of its siblings into the package's pyproject.toml, in the scratch worktree."""
    path = release.record.worktree / release.workspace / step.path / "pyproject.toml"
    replace_text(path, pin_text(read_text(path), release.plan.versions))


@task(name="build", task_run_name="build-{step.name}", cache_policy=NO_CACHE)
async def build(release: Release, step: Step) -> None:
    """Build sdist and wheel of a pinned package into the release record."""
    out = release.record.dist(step.name)
    shutil.rmtree(out, ignore_errors=True)
    links = [release.record.dist(name) for name in step.build_needs]
    package = release.record.worktree / release.workspace / step.path
    command = release.uv.build_command(package, out, links, _environment(release, step), release.settings.build_timeout)
    try:
        await arun(command)
    except ReleaseError as error:
        raise failure(Code.BUILD_FAILED, error, f"{step.name} {step.version} did not build", str(command)) from None


@task(name="verify", task_run_name="verify-{step.name}", cache_policy=NO_CACHE)
async def verify(release: Release, step: Step) -> PackageVersion:
    """Compare the built files with the plan; returns what will be uploaded, file by file."""
    paths = sorted(path for path in release.record.dist(step.name).iterdir() if path.name.endswith((".whl", ".tar.gz")))
    wheels = [read_wheel(path) for path in paths if path.suffix == ".whl"]
    wrong = problems(step.name, step.version, [path.name for path in paths], wheels, release.plan.versions)
    if wrong:
        raise ReleaseError(Code.VERIFY_FAILED, "; ".join(wrong), f"{step.name} {step.version}")
    imports = sorted({name for wheel in wheels for name in import_names(wheel.hashes)})
    return PackageVersion(
        name=step.name,
        version=step.version,
        tag=step.tag,
        files=tuple(describe(path) for path in paths),
        imports=tuple(imports),
    )


@task(name="prove-resolution", task_run_name="prove-resolution-{release.plan.title}", cache_policy=NO_CACHE)
async def prove_resolution(release: Release, built: Sequence[PackageVersion]) -> None:
    """Refuse a set that cannot be installed together, before the first upload (D-9).

    A package that wants an older sibling on purpose cannot be installed beside the new one: it is proven by itself.
    """
    apart = {step.name for step in release.plan.steps if step.apart}
    requirements = {package.name: f"{package.name}=={package.version}" for package in built}
    together = [requirement for name, requirement in requirements.items() if name not in apart]
    for case in (together, *([requirements[name]] for name in sorted(apart))):
        if case:
            await _resolve(release, case)


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


def _environment(release: Release, step: Step) -> dict[str, str]:
    """Return what a build is told: a fixed clock, and the version, for backends that would ask git for it.

    The worktree is dirty with pins by now, so such a backend would make it a local version. setuptools-scm and
    hatch-vcs read SETUPTOOLS_SCM_PRETEND_VERSION_FOR_…, uv-dynamic-versioning UV_DYNAMIC_VERSIONING_BYPASS.
    """
    name = re.sub(r"[-_.]+", "_", step.name).upper()
    return {
        "SOURCE_DATE_EPOCH": str(release.epoch),
        f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{name}": str(step.version),
        "UV_DYNAMIC_VERSIONING_BYPASS": str(step.version),
    }
