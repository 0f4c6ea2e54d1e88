"""Step: build each package a second time, in another directory, and compare the files. On request only."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from releasekit.core.artifacts.reproduction import describe_mismatch
from releasekit.core.config.command_lines import wheel_command
from releasekit.core.config.settings import commands_of
from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.picking import by_name
from releasekit.core.workspace.dynamic_version import table_at, version_environment
from releasekit.core.workspace.pins import Pins
from releasekit.integrations.filesystem import read_toml, write_atomic
from releasekit.integrations.packed_members import read_members
from releasekit.integrations.pre_build import pre_build_commands
from releasekit.integrations.process import run_async
from releasekit.integrations.version_files import pinned_texts
from tasks.context import explain_failure
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from releasekit.core.planning.model import Step
    from releasekit.core.release.release_manifest import BuiltPackage
    from releasekit.integrations.git import Repo
    from releasekit.integrations.process import Command
    from tasks.context import ReleaseContext


@flow_task("reproduce", "reproduce-{release.plan.title}", stage="stage", timeout_seconds=None)
async def reproduce(
    release: ReleaseContext, repo: Repo, built: Sequence[BuiltPackage], jobs: int
) -> dict[str, ReleaseError]:
    """Return by package why a second build in another directory does not give the *built* files.

    *jobs* packages are built at the same time.
    """
    slots = asyncio.Semaphore(jobs)
    errors: dict[str, ReleaseError] = {}
    steps = by_name(release.plan.steps)
    with TemporaryDirectory(prefix="releasekit-second-build-") as directory:
        second = Path(directory, "tree")
        # Only what is tracked: the first build may have left files that a second one would find.
        _copy_tracked(repo, release.record.worktree, second)

        async def build_package(package: BuiltPackage) -> None:
            try:
                async with slots:
                    await _build_again(release, steps[package.name], package, second)
            except ReleaseError as error:
                errors[package.name] = error

        await asyncio.gather(*map(build_package, built))
    return errors


def _copy_tracked(repo: Repo, worktree: Path, directory: Path) -> None:
    """Copy the tracked files of *worktree* and of its submodules, as they are now.

    Also copy what makes it a work tree: some backends ask git.
    """
    paths = repo.git("ls-files", "-z", cwd=worktree).split("\0")[:-1]
    for path in (".git", *paths):
        source, target = worktree / path, directory / path
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
        elif (source / ".git").exists():
            _copy_tracked(repo, source, target)


async def _build_again(
    release: ReleaseContext, step: Step, package: BuiltPackage, tree: Path
) -> None:
    """Build the package of *step* in *tree*, and compare the files.

    Raises ReleaseError RK-VERIFY-NOT-REPRODUCIBLE, RK-BUILD-FAILED.
    """
    root = tree / release.workspace
    out = tree.parent / "dist" / step.name
    message = f"{step.name} {step.version} did not build a second time"
    _pin(release, step, root / step.path)
    for command in _build_commands(release, step, root, out):
        with explain_failure(ErrorCode.BUILD_FAILED, message, str(command)):
            await run_async(command)
    mismatches = [
        _mismatch(release.record.dist(step.name) / file.name, out / file.name)
        for file in package.files
    ]
    if any(mismatches):
        text = "; ".join(filter(None, mismatches))
        raise ReleaseError(ErrorCode.VERIFY_NOT_REPRODUCIBLE, text, f"{step.name} {step.version}")


def _pin(release: ReleaseContext, step: Step, directory: Path) -> None:
    """Write the package's requirements on its siblings into its files: a resumed run has none in its worktree."""
    plan = release.plan
    pins = Pins(
        mode=step.pins, versions=plan.versions, limits=plan.limits, older=frozenset(step.older)
    )
    document, _ = read_toml(directory / "pyproject.toml", f"{step.path}/pyproject.toml")
    for path, text in pinned_texts(directory, document, pins).items():
        write_atomic(path, text, durable=False)


def _build_commands(
    release: ReleaseContext, step: Step, root: Path, out: Path
) -> tuple[Command, ...]:
    """Return the commands that build the package in the workspace at *root* into *out*, as the first build did.

    A build in an environment that it shares is repeated in one of its own: so this also finds what sharing has changed.
    """
    directory, location = root / step.path, f"{step.path}/pyproject.toml"
    document, _ = read_toml(directory / "pyproject.toml", location)
    is_root = "workspace" in table_at(document, "tool", "uv")
    commands = commands_of(release.settings.package_commands, document, location, is_root=is_root)
    own_command = commands.build_command
    links = [release.record.dist(name) for name in step.build_needs]
    versions = version_environment(document, step.name, str(step.version))
    env = {"SOURCE_DATE_EPOCH": str(release.epoch), **versions}
    seconds = release.settings.build_timeout
    pre_build = pre_build_commands(
        commands.pre_build, root, directory, {**release.uv.command_environment, **env}, seconds
    )
    only = "sdist" if own_command else ""
    build = release.uv.build_command(directory, out, links, env, seconds, only=only)
    if not own_command:
        return *pre_build, build
    words = wheel_command(own_command, str(out), "")
    own_build = release.uv.own_build_command(words, directory, links, env, seconds)
    return *pre_build, build, own_build


def _mismatch(first: Path, second: Path) -> str:
    """Return in what the *first* and the *second* build of a file differ; empty if they are equal."""
    if not second.is_file():
        return f"{first.name} is not built again"
    if first.read_bytes() == second.read_bytes():
        return ""
    return f"{first.name}: {describe_mismatch(read_members(first), read_members(second))}"
