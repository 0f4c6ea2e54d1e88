"""Step: run the commands of `pre_release` before the release commit, and find out what they change."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.core.text import summarize
from releasekit.integrations.filesystem import read_text, read_toml
from releasekit.integrations.process import Command, run
from releasekit.integrations.version_files import declared_version, new_texts
from tasks.decorators import flow_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from releasekit.core.planning.model import Step
    from releasekit.integrations.git import Repo
    from tasks.context import ReleaseContext

log = logging.getLogger("releasekit.prepare")

_KEY = "pyproject.toml, [tool.releasekit], pre_release"


def run_pre_release(release: ReleaseContext, repo: Repo, written: Sequence[str]) -> list[str]:
    """Run the commands that the plan names, in the scratch worktree, after the files *written* there.

    Returns the files that they change, as paths from the top of the repository. What they change is part of the release
    commit; a new file only if a command adds it to git. Raises ReleaseError RK-PRE-RELEASE-COMMAND.
    """
    return _run_commands(release, repo, written) if release.plan.pre_release else []


@flow_task("pre-release", "pre-release-{release.plan.title}", stage="commit")
def _run_commands(release: ReleaseContext, repo: Repo, written: Sequence[str]) -> list[str]:
    tree = release.record.worktree
    snapshot = repo.snapshot(tree, written)
    versions = dict(_declared_versions(release))
    for argv in release.settings.pre_release:
        _run_command(release, argv)
    changed = repo.differing_paths(tree, snapshot)
    _refuse_commits(release, repo)
    _refuse_other_versions(release, versions)
    log.info("pre-release commands changed %s", summarize(changed) or "nothing")
    untracked = repo.untracked_paths(tree)
    if untracked:
        log.warning(
            "git does not track %s, so the release commit does not contain it", summarize(untracked)
        )
    return list(changed)


def _run_command(release: ReleaseContext, argv: tuple[str, ...]) -> None:
    root = release.record.worktree / release.workspace
    timeout = release.settings.build_timeout
    command = Command(argv, root, release.uv.command_environment, timeout, log_output=True)
    try:
        run(command)
    except ReleaseError as error:
        raise ReleaseError(
            ErrorCode.PRE_RELEASE_COMMAND, error.message, _KEY, output=error.output
        ) from None


def _refuse_commits(release: ReleaseContext, repo: Repo) -> None:
    """Refuse commands that commit: releasekit makes one commit, with its own message."""
    if repo.head_of(release.record.worktree) != release.plan.commit:
        message = "a pre-release command has made a commit"
        hint = "Leave its changes in the files: releasekit commits them."
        raise ReleaseError(ErrorCode.PRE_RELEASE_COMMAND, message, _KEY, hint)


def _declared_versions(release: ReleaseContext) -> Iterator[tuple[str, str]]:
    """Yield each package whose files declare a version, with that version."""
    for step in release.plan.packages:
        package = _package_directory(release, step.path)
        document, _ = read_toml(package / "pyproject.toml", f"{step.path}/pyproject.toml")
        dynamic = declared_version(package, document, step.path)
        version = dynamic.version if dynamic else document.get("project", {}).get("version", "")
        if version:
            yield step.name, str(version)


def _refuse_other_versions(release: ReleaseContext, before: dict[str, str]) -> None:
    """Refuse commands that change a version: the plan decides versions, and it is approved already."""
    after = dict(_declared_versions(release))
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    names += [step.name for step in release.plan.steps if _has_stale_files(release, step)]
    if names:
        changed = summarize(list(dict.fromkeys(names)))
        hint = "Take the change of versions out of the commands: the plan decides versions, and releasekit writes them."
        message = f"a pre-release command has changed the version of {changed}"
        raise ReleaseError(ErrorCode.PRE_RELEASE_COMMAND, message, _KEY, hint)


def _has_stale_files(release: ReleaseContext, step: Step) -> bool:
    """Return whether a file of the package of *step* has another version than the plan's."""
    package = _package_directory(release, step.path)
    document, _ = read_toml(package / "pyproject.toml", f"{step.path}/pyproject.toml")
    texts = new_texts(package, document, step.version, step.path)
    return any(read_text(path) != text for path, text in texts.items())


def _package_directory(release: ReleaseContext, path: str) -> Path:
    return release.record.worktree.resolve() / release.workspace / path
