"""The record of a release below the git directory: plan, manifest, worktree and built files; and the local lock."""

from __future__ import annotations

import re
import secrets
import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError, as_refusal
from releasekit.core.planning.model import Plan
from releasekit.core.release.release_manifest import (
    EMPTY_MANIFEST,
    manifest_text,
    parse_manifest,
    parse_plan,
    plan_text,
)
from releasekit.integrations.filesystem import (
    append_text,
    describe_file,
    file_error,
    fsync_files,
    make_directory,
    read_text,
    remove_tree,
    wrap_os_errors,
    write_atomic,
)
from releasekit.integrations.prefect_server import result_directory
from releasekit.integrations.whole_checkout import remove_whole_worktree

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from releasekit.core.release.release_manifest import BuiltPackage, ReleaseManifest
    from releasekit.integrations.git import Repo


PLAN, MANIFEST = "plan.json", "manifest.json"
_EVENTS = "packages-with-event"
_DISCARDED = ".dropped"
_FLOW_RUN = "flow-run"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NO_PLAN = Plan(commit="", release="")
"""The plan of a release whose files cannot be read."""


@dataclass(frozen=True, slots=True)
class Record:
    """The directory of one release: `<git-common-dir>/releasekit/<release id>/`."""

    directory: Path

    @property
    def release(self) -> str:
        """The id of the release."""
        return self.directory.name

    @property
    def worktree(self) -> Path:
        """The worktree for the release commit and the builds. The checkout of the user stays unchanged."""
        return self.directory / "tree"

    def dist(self, package: str) -> Path:
        """Return the directory of the built files of *package*."""
        return self.directory / "dist" / package

    @property
    def build_environments(self) -> Path:
        """The environments that several builds share; they are deleted once all packages are built."""
        return self.directory / "environments"

    def wheels(self, package: str) -> Path:
        """Return the directory into which the wheels of *package* are built, if its sdist is built apart from them."""
        return self.directory / "wheels" / package

    def exists(self) -> bool:
        """Return whether the release has begun: it has a plan or, if it is imported, a manifest."""
        return any((self.directory / name).is_file() for name in (PLAN, MANIFEST))

    def has_plan(self) -> bool:
        """Return whether the plan exists. An imported release gets its manifest first."""
        return (self.directory / PLAN).is_file()

    def save_plan(self, plan: Plan) -> None:
        """Write the plan, before the release does anything else; raises ReleaseError RK-FILE-SYSTEM."""
        make_directory(self.directory)
        write_atomic(self.directory / PLAN, plan_text(plan))

    def plan(self) -> Plan:
        """Return the recorded plan; raises ReleaseError RK-RECORD-INVALID."""
        path = self.directory / PLAN
        text = self._read_text(path)
        if text is None:
            raise ReleaseError(ErrorCode.RECORD_INVALID, "it is missing", str(path))
        plan = parse_plan(text, str(path))
        if plan.release != self.release:
            raise ReleaseError(
                ErrorCode.RECORD_INVALID,
                f"it belongs to another release, {plan.release}",
                str(path),
            )
        return plan

    def save_manifest(self, manifest: ReleaseManifest) -> None:
        """Write the manifest; raises ReleaseError RK-FILE-SYSTEM."""
        write_atomic(self.directory / MANIFEST, manifest_text(manifest))

    def manifest(self) -> ReleaseManifest | None:
        """Return the manifest, None before the release commit is made; raises ReleaseError RK-RECORD-INVALID."""
        path = self.directory / MANIFEST
        text = self._read_text(path)
        if text is None:
            # Nothing is built before the manifest is written. So it was lost, and files may be public.
            if self.dist("").is_dir():
                raise ReleaseError(ErrorCode.RECORD_INVALID, "it is missing", str(path))
            return None
        manifest = parse_manifest(text, str(path))
        if manifest.release != self.release:
            message = f"it belongs to another release, {manifest.release}"
            raise ReleaseError(ErrorCode.RECORD_INVALID, message, str(path))
        return manifest

    def manifest_or_empty(self) -> ReleaseManifest:
        """Return the manifest, an empty one before it is written; raises ReleaseError RK-RECORD-INVALID."""
        return self.manifest() or EMPTY_MANIFEST

    def require_manifest(self) -> ReleaseManifest:
        """Return the manifest of a release whose commit is made; raises ReleaseError RK-RECORD-INVALID."""
        manifest = self.manifest()
        if manifest is None:
            raise ReleaseError(
                ErrorCode.RECORD_INVALID, "there is no manifest", str(self.directory)
            )
        return manifest

    def is_finished(self) -> bool:
        """Return whether the release has ended; raises ReleaseError RK-RECORD-INVALID."""
        return self.manifest_or_empty().finished

    def flow_run(self) -> str:
        """Return the id of the Prefect flow run that last carried out this release; empty if none is known."""
        path = self.directory / _FLOW_RUN
        text = self._read_text(path) or ""
        return text.strip() if _UUID.fullmatch(text.strip()) else ""

    def save_flow_run(self, flow_run: str) -> None:
        """Write the id of the Prefect flow run that carries out this release; raises ReleaseError RK-FILE-SYSTEM."""
        write_atomic(self.directory / _FLOW_RUN, f"{flow_run}\n")

    def amend(self, **changes: Any) -> ReleaseManifest:  # noqa: ANN401  the fields of a manifest
        """Write the manifest with the fields *changes*, and return it; raises ReleaseError RK-RECORD-INVALID."""
        manifest = self.require_manifest().model_copy(update=changes)
        self.save_manifest(manifest)
        return manifest

    def packages_with_event(self) -> set[str]:
        """Return the names of the packages whose event has been sent; raises ReleaseError RK-FILE-SYSTEM."""
        text = self._read_text(self.directory / _EVENTS) or ""
        return set(text.split())

    def add_package_with_event(self, package: str) -> None:
        """Record that the event of *package* has been sent; raises ReleaseError RK-FILE-SYSTEM."""
        append_text(self.directory / _EVENTS, f"{package}\n")

    def missing_files(self, package: BuiltPackage) -> tuple[str, ...]:
        """Return the names of the files of *package* that are missing or differ from the recorded content."""
        missing: list[str] = []
        for file in package.files:
            path = self.dist(package.name) / file.name
            is_intact = path.is_file() and describe_file(path) == file
            if not is_intact:
                missing.append(file.name)
        return tuple(missing)

    def fsync_files(self, packages: Iterable[BuiltPackage]) -> None:
        """Flush the files of *packages* to the disk, so that they survive a crash of the machine."""
        fsync_files(
            self.dist(package.name) / file.name for package in packages for file in package.files
        )

    def finish(self, repo: Repo) -> None:
        """Mark the release as finished, and free the space that only a running release needs.

        A release without a manifest is discarded: it has made nothing, and the next run must not resume it.
        """
        if self.manifest() is None:
            self.discard(repo)
            return
        self.amend(finished=True)
        remove_whole_worktree(repo, self.worktree)
        remove_tree(result_directory(self.release))
        repo.delete_ref(self.release)

    def discard_unless_public(self, repo: Repo) -> None:
        """Discard the release, unless its files may be public.

        They may be public once all built files are recorded, unless the release is marked as staged.
        """
        manifest = self.manifest_or_empty()
        may_be_public = manifest.packages and not manifest.staged
        if not may_be_public:
            self.discard(repo)

    def discard(self, repo: Repo) -> None:
        """Delete the release. Rename the record first, so that a crash never leaves a partial record to resume."""
        discarded = self.directory.with_name(self.release + _DISCARDED)
        remove_tree(discarded)
        with wrap_os_errors(self.directory):
            self.directory.rename(discarded)
        _remove_discarded(discarded, repo)

    def _read_text(self, path: Path) -> str | None:
        try:
            return read_text(path) if path.exists() else None
        except UnicodeDecodeError as error:
            raise ReleaseError(ErrorCode.RECORD_INVALID, str(error), str(path)) from None
        except OSError as error:
            raise file_error(error, path) from None


def record_for(common_dir: Path, release: str) -> Record:
    """Return the record of *release*, whether it exists or not."""
    return Record(common_dir / "releasekit" / release)


def create_record(common_dir: Path, plan: Plan) -> Record:
    """Record *plan*. From now on the release follows this plan, and decides nothing again."""
    record = record_for(common_dir, plan.release)
    record.save_plan(plan)
    return record


def load_plan_snapshot(common_dir: Path, key: str) -> Plan | None:
    """Return the last plan that was saved under *key*, None if there is no readable one."""
    path = common_dir / "releasekit" / "plans" / f"{key}.json"
    try:
        return parse_plan(read_text(path), str(path))
    except (FileNotFoundError, UnicodeDecodeError, ReleaseError):
        return None


def save_plan_snapshot(common_dir: Path, key: str, plan: Plan) -> None:
    """Save *plan*, to compare the next plan with it; raises ReleaseError RK-FILE-SYSTEM."""
    directory = common_dir / "releasekit" / "plans"
    make_directory(directory)
    write_atomic(directory / f"{key}.json", plan_text(plan))


def read_plan_file(path: Path) -> Plan:
    """Return the plan in a file that the user names; raises Refusal RK-USAGE without a plan in it, RK-FILE-SYSTEM."""
    with as_refusal(), wrap_os_errors(path):
        text = path.read_bytes().decode("utf-8", "replace")
    try:
        return parse_plan(text, str(path))
    except ReleaseError as error:
        hint = "Name a file that `releasekit plan --format json` wrote."
        raise Refusal(ErrorCode.USAGE, f"not a plan: {error.message}", str(path), hint) from None


class Owner(NamedTuple):
    """Who makes a release ("name <mail>"), on which host, and since when (UTC, ISO 8601): fields of its manifest.

    *lock_id* is random, because two clones can have all the others in common.
    """

    by: str
    host: str
    begun: str
    lock_id: str


def current_owner(repo: Repo) -> Owner:
    """Return the owner of a release that begins now: name and time are those that git gives its commit."""
    who, seconds, _ = repo.committer().rsplit(" ", 2)
    begun = datetime.fromtimestamp(int(seconds), UTC).isoformat()
    return Owner(who, socket.gethostname(), begun, secrets.token_hex(8))


def list_records(common_dir: Path) -> tuple[Record, ...]:
    """Return the records of all releases, finished or not, sorted by id."""
    directories = sorted((common_dir / "releasekit").glob("*/"))
    existing = (Record(directory) for directory in directories if directory.suffix != _DISCARDED)
    return tuple(record for record in existing if record.exists())


def releases_with_manifest(common_dir: Path) -> set[str]:
    """Return the ids of the releases whose record has a manifest, readable or not."""
    return {
        record.release
        for record in list_records(common_dir)
        if (record.directory / MANIFEST).is_file()
    }


def unfinished_record(common_dir: Path) -> Record | None:
    """Return the unfinished release of this repository, None if there is none.

    Raises ReleaseError RK-RECORD-INVALID for a record that cannot be read, because it may be unfinished.
    """
    unfinished = (record for record in list_records(common_dir) if not record.is_finished())
    return next(unfinished, None)


def remove_leftovers(repo: Repo) -> None:
    """Remove what a killed process left while it finished or discarded a release, or wrote a file."""
    directory = repo.common_dir / "releasekit"
    for discarded in sorted(directory.glob(f"*{_DISCARDED}/")):
        _remove_discarded(discarded, repo)
    for record in list_records(repo.common_dir):
        for scratch in record.directory.glob(".*.json.*"):  # see `write_atomic`
            scratch.unlink(missing_ok=True)
        if record.worktree.exists() or repo.saved_commit(record.release):
            with suppress(ReleaseError):  # the command that needs a damaged record reports it
                _remove_leftovers_if_finished(record, repo)


def _remove_leftovers_if_finished(record: Record, repo: Repo) -> None:
    if record.is_finished():
        remove_whole_worktree(repo, record.worktree)
        remove_tree(result_directory(record.release))
        repo.delete_ref(record.release)


def _remove_discarded(discarded: Path, repo: Repo) -> None:
    """Delete everything of the discarded release in *discarded*, the directory itself last."""
    release = discarded.name.removesuffix(_DISCARDED)
    repo.delete_ref(release)
    remove_tree(result_directory(release))
    remove_whole_worktree(repo, discarded / "tree")
    remove_tree(discarded)
    repo.git("worktree", "prune")


@contextmanager
def scratch_record(repo: Repo, release: str) -> Generator[Record]:
    """Yield a temporary record for *release*, which is deleted when the block ends.

    If the process is killed, the record counts as discarded, and `remove_leftovers` deletes it.
    """
    record = Record(repo.common_dir / "releasekit" / f"scratch{_DISCARDED}" / release)

    def clear() -> None:
        repo.delete_ref(release)
        remove_whole_worktree(repo, record.worktree)
        remove_tree(record.directory.parent)

    if record.directory.parent.exists():
        clear()
    make_directory(record.directory)
    try:
        yield record
    finally:
        clear()


class LockHolder(NamedTuple):
    """The holder of the release lock, as text. *is_known* is false if it is a process of another machine."""

    who: str
    is_known: bool


def lock_holder(common_dir: Path) -> LockHolder | None:
    """Return the holder of the release lock of the repository, None if it is free. This takes no lock.

    A process that was killed leaves its note. So a process of this machine counts only if it still runs.
    """
    holder = common_dir / "releasekit" / "lock.holder"
    with suppress(OSError, UnicodeDecodeError):
        who = read_text(holder).strip()
        match = _HOLDER.fullmatch(who)
        if match is None:
            return None
        if match["host"] != socket.gethostname():
            return LockHolder(who, is_known=False)
        if _is_alive(int(match["pid"]), datetime.fromisoformat(match["since"])):
            return LockHolder(who, is_known=True)
    return None


_HOLDER = re.compile(r"process (?P<pid>\d+) on (?P<host>\S+) since (?P<since>\S+)")


def _is_alive(pid: int, since: datetime) -> bool:
    """Return whether the process *pid* runs, and is not a later process with the same number."""
    import os

    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:  # only systems with /proc
        ticks = int(read_text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()[19])
        boot = next(
            line for line in read_text(Path("/proc/stat")).splitlines() if line.startswith("btime ")
        )
    except (OSError, UnicodeDecodeError, ValueError, IndexError, StopIteration):
        return True
    started = int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    return started <= since.timestamp() + _CLOCK_TOLERANCE


_CLOCK_TOLERANCE = 5


@contextmanager
def release_lock(common_dir: Path) -> Generator[None]:
    """Lock releases of the repository inside the block. The kernel frees the lock when this process dies.

    A second block fails, in this process too. Raises Refusal RK-LOCK-ACQUISITION-FAILED, which names the process that
    has the lock, and RK-FILE-SYSTEM if the file system supports no locks.
    """
    import os

    from filelock import FileLock, Timeout

    directory = common_dir / "releasekit"
    holder = directory / "lock.holder"
    # Without locks in the file system, filelock would use a soft lock, which a killed process would keep for ever.
    lock = FileLock(directory / "lock", thread_local=False, fallback_to_soft=False)
    with as_refusal():
        make_directory(directory)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        who = read_text(holder).strip() if holder.is_file() else "another process"
        raise Refusal(
            ErrorCode.LOCK_ACQUISITION_FAILED, f"locked by {who}", str(common_dir)
        ) from None
    except OSError as error:
        raise Refusal(*file_error(error, directory).args) from None
    try:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        with as_refusal():
            write_atomic(
                holder, f"process {os.getpid()} on {socket.gethostname()} since {started}\n"
            )
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
