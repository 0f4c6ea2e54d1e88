"""What a release and its builds on other machines give each other through the storage: the commit, the built files."""

from __future__ import annotations

import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.release.release_manifest import parse_built_package
from releasekit.core.text import summarize
from releasekit.integrations.filesystem import (
    describe_file,
    make_directory,
    remove_tree,
    wrap_os_errors,
)
from releasekit.integrations.git import Repo, clone
from releasekit.integrations.whole_checkout import add_whole_worktree, missing_files
from releasekit.store.record import Record

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable

    from releasekit.core.release.release_manifest import BuiltFile, BuiltPackage
    from releasekit.integrations.storage import Storage

_PREFIX, _LOCK = "releasekit-builds-", "lock"
_SECONDS_TO_LOCK = 60.0
_COMMITS = "commits.bundle"
_PACKAGE_FILE = "package.json"
_PACKAGES = "_packages"  # no platform has such a name


@dataclass(frozen=True, slots=True)
class StageExchange:
    """The directory *storage* of one release commit. Each method raises ReleaseError RK-STAGE-STORAGE."""

    storage: Storage

    def send_commit(self, repo: Repo, record: Record) -> None:
        """Leave the release commit with its history, so that a worker needs no access to a repository."""
        with tempfile.TemporaryDirectory(prefix="releasekit-commits-") as directory:
            file = Path(directory, _COMMITS)
            repo.bundle(file, record.worktree)
            self.storage.write_file(file)

    @contextmanager
    def checkout(self, commit: str) -> Generator[Record]:
        """Yield a record whose worktree is at *commit*; the builds of this process share it.

        Raises Refusal RK-CHECKOUT-INCOMPLETE, and ReleaseError as git does.
        """
        place = _checkouts.enter(self, commit)
        try:
            yield place.record
        finally:
            _checkouts.leave(place)

    def send_files(self, record: Record, package: BuiltPackage) -> None:
        """Leave the files of *package*, which are in *record*. Their list comes last, so that it lists whole files."""
        directory = self.storage.below(_PACKAGES, package.name)
        for file in package.files:
            directory.write_file(record.dist(package.name) / file.name)
        directory.write_text(_PACKAGE_FILE, package.model_dump_json())

    def fetch_needs(self, record: Record, names: Iterable[str], sums: Collection[str]) -> None:
        """Copy the files of the packages *names* into *record*; only those whose sha256 is one of *sums*."""
        for name in names:
            directory = self.storage.below(_PACKAGES, name)
            text = directory.read_text(_PACKAGE_FILE)
            listed = parse_built_package(text, directory.url).files if text else ()
            self.fetch_files(record, name, [file for file in listed if file.sha256 in sums])

    def fetch_files(self, record: Record, package: str, files: Iterable[BuiltFile]) -> None:
        """Copy those *files* of *package* that the storage has into *record*; raises ReleaseError RK-VERIFY-FAILED.

        The storage is not trusted: a file with another sha256 is an error.
        """
        directory, out = self.storage.below(_PACKAGES, package), record.dist(package)
        make_directory(out)
        for file in files:
            path = out / file.name
            content = directory.read(file.name)
            if not content or _is_intact(path, file):
                continue
            with wrap_os_errors(path):
                path.write_bytes(content)
            if not _is_intact(path, file):
                path.unlink()
                message = f"{file.name} in the storage has another sha256 than its worker recorded"
                raise ReleaseError(ErrorCode.VERIFY_FAILED, message, directory.url)


def _is_intact(path: Path, file: BuiltFile) -> bool:
    return path.is_file() and describe_file(path) == file


@dataclass(slots=True)
class _Checkout:
    """A clone of the history in the storage, with a record whose worktree is at the release commit.

    Its *lock* is free once this process has ended, however it did.
    """

    key: tuple[str, str]
    directory: tempfile.TemporaryDirectory[str]
    lock: FileLock
    record: Record
    builds: int = 0

    def delete(self) -> None:
        """Delete the files."""
        self.lock.release()
        self.directory.cleanup()


class _Checkouts:
    """The checkouts of this process. One without a build stays until another release needs one, or the process ends."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[str, str], _Checkout] = {}
        self._lock = threading.Lock()

    def enter(self, exchange: StageExchange, commit: str) -> _Checkout:
        """Return the checkout of *commit* for one more build."""
        key = exchange.storage.url, commit
        with self._lock:
            idle = [other for other in self._by_key.values() if not other.builds]
            for other in idle:
                if other.key != key:
                    del self._by_key[other.key]
                    other.delete()
            checkout = self._by_key.get(key) or _check_out(exchange.storage, key, commit)
            self._by_key[key] = checkout
            checkout.builds += 1
            return checkout

    def leave(self, checkout: _Checkout) -> None:
        """Count a build in *checkout* as ended."""
        with self._lock:
            checkout.builds -= 1


_checkouts = _Checkouts()


def _check_out(storage: Storage, key: tuple[str, str], commit: str) -> _Checkout:
    content = storage.read(_COMMITS)
    if not content:
        raise ReleaseError(ErrorCode.STAGE_STORAGE, f"{_COMMITS} is not there", storage.url)
    _delete_left_checkouts()
    directory = tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)
    home = Path(directory.name).resolve()
    lock = _lock(home / _LOCK)
    with wrap_os_errors(home):
        lock.acquire()
    file = home / _COMMITS
    with wrap_os_errors(file):
        file.write_bytes(content)
    clone(str(file), home / "clone", "--no-checkout")
    file.unlink()
    repo, record = Repo(home / "clone"), Record(home / "record")
    make_directory(record.directory)
    add_whole_worktree(repo, record.worktree, commit)
    missing = missing_files(repo, record.worktree)
    if missing:
        message = f"the storage has no submodules and no files of Git LFS: {summarize(missing)}"
        hint = "Let the workers share the directory of the clone, and unset `stage_storage`."
        raise Refusal(ErrorCode.CHECKOUT_INCOMPLETE, message, storage.url, hint)
    return _Checkout(key, directory, lock, record)


def _delete_left_checkouts() -> None:
    """Delete what killed worker processes have left: a cluster seldom lets its processes end by themselves."""
    for home in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError, ReleaseError):  # another worker deletes it, or it is not ours
            is_old = time.time() - home.stat().st_mtime > _SECONDS_TO_LOCK
            if is_old and _is_free(home / _LOCK):
                remove_tree(home)


def _is_free(path: Path) -> bool:
    """Return whether no process holds the lock *path*."""
    try:
        with _lock(path).acquire(blocking=False):
            return True
    except Timeout:
        return False


def _lock(path: Path) -> FileLock:
    # Without locks in the file system, filelock would use a soft lock, which a killed process would keep for ever.
    return FileLock(path, thread_local=False, fallback_to_soft=False)
