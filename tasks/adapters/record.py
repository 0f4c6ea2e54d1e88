"""A release on disk: plan, manifest, scratch worktree and built files, below the git directory."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from tasks.adapters.files import read_text, replace_text
from tasks.core.errors import Code, Refusal, ReleaseError
from tasks.core.manifest import ReleaseManifest, manifest_of
from tasks.core.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tasks.adapters.repo import Repo


@dataclass(frozen=True, slots=True)
class Record:
    """The directory of one release: `<git-common-dir>/releasekit/<release id>/`."""

    directory: Path

    @property
    def worktree(self) -> Path:
        """Where the release commit is made and packages are built; the user's own checkout is left alone."""
        return self.directory / "tree"

    def dist(self, package: str) -> Path:
        """Return where the files of *package* are built."""
        return self.directory / "dist" / package

    def exists(self) -> bool:
        """Tell whether the release was begun: its plan is the first thing that is written."""
        return (self.directory / "plan.json").is_file()

    def save_plan(self, plan: Plan) -> None:
        """Write the plan, before anything is done for it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        replace_text(self.directory / "plan.json", plan.model_dump_json(indent=1) + "\n")

    def plan(self) -> Plan:
        """Return the recorded plan; raises ReleaseError RK-RECORD-INVALID."""
        path = self.directory / "plan.json"
        try:
            return Plan.model_validate_json(read_text(path))
        except (ValidationError, ValueError, OSError) as error:
            raise ReleaseError(Code.RECORD_INVALID, str(error).splitlines()[0], str(path)) from None

    def save(self, manifest: ReleaseManifest) -> None:
        """Write the manifest."""
        replace_text(self.directory / "manifest.json", manifest.model_dump_json(indent=1) + "\n")

    def manifest(self) -> ReleaseManifest | None:
        """Return the manifest, None if the release commit was not made yet; raises ReleaseError RK-RECORD-INVALID."""
        path = self.directory / "manifest.json"
        try:
            return manifest_of(read_text(path), str(path)) if path.is_file() else None
        except UnicodeDecodeError as error:
            raise ReleaseError(Code.RECORD_INVALID, str(error), str(path)) from None

    def require_manifest(self) -> ReleaseManifest:
        """Return the manifest of a release whose commit is made; raises ReleaseError RK-RECORD-INVALID."""
        manifest = self.manifest()
        if manifest is None:
            raise ReleaseError(Code.RECORD_INVALID, "there is no manifest", str(self.directory))
        return manifest

    def finish(self, repo: Repo) -> None:
        """End a release: mark it finished, and give back the room that only a running one needs.

        One that has made nothing is dropped: there is nothing to mark, and it must not be carried on for ever.
        """
        manifest = self.manifest()
        if manifest is None:
            self.drop(repo)
            return
        self.save(manifest.model_copy(update={"finished": True}))
        repo.remove_worktree(self.worktree)
        repo.release(self.directory.name)

    def drop_if_private(self, repo: Repo) -> None:
        """Drop the release, unless its files may be public: they may be from the moment that all are on record."""
        manifest = self.manifest()
        if manifest is None or not manifest.packages:
            self.drop(repo)

    def drop(self, repo: Repo) -> None:
        """Forget a release of which nothing is public."""
        repo.remove_worktree(self.worktree)
        repo.release(self.directory.name)
        shutil.rmtree(self.directory)


def begin(common_dir: Path, plan: Plan) -> Record:
    """Put *plan* on record: from here on it is carried out, and nothing is decided again."""
    record = Record(common_dir / "releasekit" / plan.release)
    record.save_plan(plan)
    return record


def unfinished(common_dir: Path) -> Record | None:
    """Return the release that was begun in this repository and not ended, if there is one."""
    for directory in sorted((common_dir / "releasekit").glob("*/")):
        record = Record(directory)
        if record.exists():
            manifest = record.manifest()
            if manifest is None or not manifest.finished:
                return record
    return None


@contextmanager
def only_release(common_dir: Path) -> Generator[None]:
    """Hold the repository's release lock inside the block; the kernel frees it when this process dies.

    Raises Refusal RK-LOCK-ACQUISITION-FAILED, naming the process that holds it.
    """
    import os
    import socket
    from datetime import UTC, datetime

    from filelock import FileLock, Timeout

    directory = common_dir / "releasekit"
    directory.mkdir(exist_ok=True)
    holder = directory / "lock.holder"
    # A singleton, so that a story within a story of the same process may hold it too.
    lock = FileLock(directory / "lock", is_singleton=True, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        who = read_text(holder).strip() if holder.is_file() else "another process"
        raise Refusal(Code.LOCK_ACQUISITION_FAILED, f"held by {who}", str(common_dir)) from None
    if lock.lock_counter > 1:
        try:
            yield
        finally:
            lock.release()
        return
    try:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        replace_text(holder, f"process {os.getpid()} on {socket.gethostname()} since {started}\n")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
