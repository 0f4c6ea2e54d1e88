"""What a release and its builds on other machines give each other through the storage."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from packaging.version import Version

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.release.release_manifest import BuiltPackage
from releasekit.integrations.filesystem import describe_file
from releasekit.integrations.git import Repo
from releasekit.integrations.storage import Storage
from releasekit.integrations.whole_checkout import add_whole_worktree
from releasekit.store.record import Record
from releasekit.store.stage_exchange import StageExchange
from tests.support.world import World, empty_world

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Make a repository with a commit and a tag."""
    world = empty_world(tmp_path)
    world.commit("feat: core", {"core.txt": "core\n"})
    world.git("tag", "v1")
    return world


@pytest.fixture
def exchange(tmp_path: Path) -> StageExchange:
    """Return the directory of one release in a storage."""
    return StageExchange(Storage(f"file://{tmp_path}/storage"))


@pytest.fixture
def record(tmp_path: Path, world: World) -> Record:
    """Return the record of a release, with its worktree at the last commit."""
    record = Record(tmp_path / "record")
    record.directory.mkdir()
    add_whole_worktree(Repo(world.root), record.worktree, "HEAD")
    return record


def built_package(record: Record, content: bytes = b"wheel") -> BuiltPackage:
    """Return core as built into *record*."""
    path = record.dist("core") / "core-1.0-py3-none-any.whl"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return BuiltPackage(
        name="core", version=Version("1.0"), tag="core-v1.0", files=(describe_file(path),)
    )


def test_worker_gets_commit_and_tags(world: World, exchange: StageExchange, record: Record) -> None:
    """A worker has commit, history and tags without the remote; the builds of its process share one checkout."""
    exchange.send_commit(Repo(world.root), record)
    head = world.git("rev-parse", "HEAD").strip()

    with exchange.checkout(head) as first, exchange.checkout(head) as second:
        assert first == second != record
        assert (first.worktree / "core.txt").read_text() == "core\n"
        clone = Repo(first.worktree)
        assert clone.git("describe", "--tags", "HEAD", cwd=first.worktree).strip() == "v1"


def test_idle_checkout_is_deleted(
    tmp_path: Path,
    world: World,
    exchange: StageExchange,
    record: Record,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that builds another release deletes the checkout of the one before, and what killed workers left."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left, used, young = (tmp_path / f"releasekit-builds-{name}" for name in ("left", "used", "new"))
    for directory in (left, used, young):
        directory.mkdir()
    os.utime(left, (0, 0))
    os.utime(used, (0, 0))
    exchange.send_commit(Repo(world.root), record)
    head = world.git("rev-parse", "HEAD").strip()
    other = StageExchange(exchange.storage.below("other"))
    other.send_commit(Repo(world.root), record)

    with FileLock(used / "lock"):
        os.utime(used, (0, 0))
        with exchange.checkout(head) as before:
            assert used.exists()
    assert before.worktree.is_dir()
    with other.checkout(head):
        assert not before.worktree.exists()
    assert (left.exists(), young.exists()) == (False, True)


def test_missing_commit_is_named(exchange: StageExchange) -> None:
    """A storage without the commit is an error that says what is missing."""
    with pytest.raises(ReleaseError) as caught, exchange.checkout("c" * 40):
        pass

    assert caught.value.code is ErrorCode.STAGE_STORAGE
    assert caught.value.message == "commits.bundle is not there"


def test_submodules_are_refused(world: World, exchange: StageExchange, record: Record) -> None:
    """A commit with a submodule cannot be built from a storage, which does not have it."""
    submodule = (f"160000,{world.git('rev-parse', 'HEAD').strip()},vendored",)
    world.write({".gitmodules": '[submodule "vendored"]\npath = vendored\nurl = ../vendored\n'})
    world.git("add", ".gitmodules")
    world.git("update-index", "--add", "--cacheinfo", *submodule)
    world.git("commit", "--quiet", "--message", "feat: vendor")
    head = world.git("rev-parse", "HEAD").strip()
    Repo(world.root).git("checkout", "--quiet", "--detach", head, cwd=record.worktree)
    exchange.send_commit(Repo(world.root), record)

    with pytest.raises(Refusal) as caught, exchange.checkout(head):
        pass

    assert caught.value.code is ErrorCode.CHECKOUT_INCOMPLETE
    assert "vendored" in caught.value.message


def test_files_return_with_their_sums(
    tmp_path: Path, exchange: StageExchange, record: Record
) -> None:
    """What a build needs is copied only with a sum that the release named; a changed file is an error."""
    package = built_package(record)
    exchange.send_files(record, package)
    (file,) = package.files
    worker, other = Record(tmp_path / "worker"), Record(tmp_path / "other")

    exchange.fetch_needs(worker, ["core", "absent"], [file.sha256])
    exchange.fetch_needs(other, ["core"], ["0" * 64])

    assert (worker.dist("core") / file.name).read_bytes() == b"wheel"
    assert not list(other.dist("core").iterdir())
    exchange.storage.below("_packages", "core").write_text(file.name, "something else")
    with pytest.raises(ReleaseError) as caught:
        exchange.fetch_files(other, "core", package.files)
    assert caught.value.code is ErrorCode.VERIFY_FAILED
    assert not list(other.dist("core").iterdir())
