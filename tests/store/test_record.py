"""A release on disk, and the lock that keeps a second one away."""

from __future__ import annotations

import errno
import os
import resource
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.planning.model import Plan, Step
from releasekit.core.release.release_manifest import BuiltFile, BuiltPackage, ReleaseManifest
from releasekit.integrations.filesystem import describe_file
from releasekit.integrations.git import Repo
from releasekit.integrations.process import Command, background
from releasekit.store.record import (
    Record,
    create_record,
    release_lock,
    remove_leftovers,
    unfinished_record,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    from tests.support.git_scene import GitScene

ROOT = Path(__file__).parents[2]
HOLDER = """
    import os, sys, time
    from pathlib import Path
    from releasekit.store.record import release_lock
    with release_lock(Path(sys.argv[1])):
        print(os.getpid(), flush=True)
        {then}
"""


AS_NOBODY = """
    import os, sys
    from pathlib import Path
    from releasekit.store.record import create_record, release_lock
    from releasekit.core.errors import ReleaseError
    from releasekit.core.release.release_manifest import parse_plan
    path = Path(sys.argv[1])
    plan = parse_plan((path / "plan.json").read_text(), "")
    import filelock, socket
    if os.getuid() == 0:
        os.setuid(65534)
    try:
        {call}
    except ReleaseError as error:
        print(error)
"""


def plan_of(release: str, commit: str = "c" * 40) -> Plan:
    """Return a plan with one step."""
    step = Step.model_validate(
        {
            "order": 0, "level": 0, "name": "core", "path": "packages/core", "current": "0.5.0", "next": "0.6.0",
            "bump": "minor", "status": "included", "reason": "feat: x", "tag": "core-v0.6.0",
        }
    )  # fmt: skip
    return Plan.model_validate(
        {
            "commit": commit,
            "release": release,
            "packages": [step],
            "tags": ["v0.6.0"],
            "versions": {"core": "0.6.0"},
        }
    )


def manifest_for(plan: Plan) -> ReleaseManifest:
    """Return the manifest of a release whose commit is made and whose package is built."""
    file = BuiltFile(name="core-0.6.0.tar.gz", sha256="0" * 64, size=1)
    core = BuiltPackage(
        name="core", version=plan.steps[0].version, tag="core-v0.6.0", files=(file,)
    )
    return ReleaseManifest(
        release=plan.release,
        commit=plan.commit,
        release_commit="d" * 40,
        branch="main",
        packages=(core,),
    )


@pytest.fixture
def common_dir(tmp_path: Path) -> Path:
    """Return a directory that stands for a git directory."""
    return tmp_path


class TestRecord:
    """What is written is what is read, by another process too."""

    def test_record_returns_its_plan(self, common_dir: Path) -> None:
        """The recorded plan is the plan."""
        plan = plan_of("r1")

        record = create_record(common_dir, plan)

        assert record.directory == common_dir / "releasekit" / "r1"
        assert record.exists()
        assert Record(record.directory).plan() == plan

    def test_record_returns_its_saved_manifest(self, common_dir: Path) -> None:
        """There is no manifest until it is saved; then it is read as it was."""
        record = create_record(common_dir, plan_of("r1"))
        assert record.manifest() is None
        with pytest.raises(ReleaseError, match="there is no manifest"):
            record.require_manifest()

        record.save_manifest(manifest_for(plan_of("r1")))

        assert Record(record.directory).require_manifest() == manifest_for(plan_of("r1"))

    def test_record_contains_all_its_files(self, common_dir: Path) -> None:
        """Worktree and files of a package stand below the record."""
        record = create_record(common_dir, plan_of("r1"))

        assert record.worktree == record.directory / "tree"
        assert record.dist("core") == record.directory / "dist" / "core"

    @pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"schema": "releasekit.plan/2"}', b"[]"])
    @pytest.mark.parametrize("name", ["plan.json", "manifest.json"])
    def test_damaged_record_names_its_file(self, common_dir: Path, raw: bytes, name: str) -> None:
        """A damaged or newer record is an error that names the file, never an empty release."""
        record = create_record(common_dir, plan_of("r1"))
        (record.directory / name).write_bytes(raw)

        with pytest.raises(ReleaseError) as caught:
            _ = record.plan() if name == "plan.json" else record.require_manifest()

        assert caught.value.code is ErrorCode.RECORD_INVALID
        assert caught.value.location == str(record.directory / name)

    def test_incomplete_record_is_an_error(self, common_dir: Path) -> None:
        """A record without its plan, or with the files of another release, is an error, and never passed over."""
        record = create_record(common_dir, plan_of("r1"))
        record.save_manifest(manifest_for(plan_of("r2")))
        with pytest.raises(ReleaseError, match="it belongs to another release, r2"):
            unfinished_record(common_dir)
        record.save_manifest(manifest_for(plan_of("r1")))
        record.save_plan(plan_of("r2"))
        with pytest.raises(ReleaseError, match="it belongs to another release, r2"):
            record.plan()
        (record.directory / "plan.json").unlink()

        assert unfinished_record(common_dir) == record
        with pytest.raises(ReleaseError, match="RK-RECORD-INVALID: it is missing"):
            record.plan()

    def test_lost_manifest_is_an_error(self, common_dir: Path) -> None:
        """What has built files had a manifest: it is not taken for a release whose commit is still to be made."""
        record = create_record(common_dir, plan_of("r1"))
        assert record.manifest() is None
        record.dist("core").mkdir(parents=True)

        with pytest.raises(
            ReleaseError, match=r"RK-RECORD-INVALID: it is missing .*manifest\.json"
        ):
            unfinished_record(common_dir)

    def test_changed_files_count_as_missing(self, common_dir: Path) -> None:
        """A file that is missing, cut or changed is lost; one with the recorded bytes is not."""
        record = create_record(common_dir, plan_of("r1"))
        record.dist("core").mkdir(parents=True)
        for name, content in (("good", "a"), ("cut", "bb"), ("changed", "c"), ("gone", "d")):
            (record.dist("core") / name).write_text(content)
        files = tuple(describe_file(path) for path in sorted(record.dist("core").iterdir()))
        package = manifest_for(plan_of("r1")).packages[0].model_copy(update={"files": files})
        record.fsync_files([package])
        assert record.missing_files(package) == ()

        (record.dist("core") / "cut").write_text("b")
        (record.dist("core") / "changed").write_text("x")
        (record.dist("core") / "gone").unlink()

        assert record.missing_files(package) == ("changed", "cut", "gone")

    def test_remote_text_omits_local_facts(self) -> None:
        """It is the manifest, but for what changes while the release runs and what only its own clone knows."""
        manifest = manifest_for(plan_of("r1"))
        later = manifest.model_copy(
            update={"tags": ("a",), "held": "b", "undoing": True, "finished": True}
        )

        assert later.lock_text() == manifest.lock_text()
        assert later.model_copy(update={"by": "Zoë"}).lock_text() != manifest.lock_text()


class TestFileSystem:
    """What the system refuses has a name."""

    def test_full_disk_keeps_old_record(self, common_dir: Path) -> None:
        """A disk that is full leaves the old record, no scratch file, and an error that says so."""
        record = create_record(common_dir, plan_of("r1"))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        # Python ignores the signal that goes with it.
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
        try:
            with pytest.raises(ReleaseError) as caught:
                record.save_manifest(manifest_for(plan_of("r1")))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

        assert (caught.value.code, caught.value.message) == (
            ErrorCode.FILE_SYSTEM,
            "File too large",
        )
        assert [path.name for path in record.directory.iterdir()] == ["plan.json"]

    @pytest.mark.parametrize("what", ["begin", "lock"])
    def test_read_only_directory_is_refused(self, tmp_path: Path, what: str) -> None:
        """Where nothing may be written the release is refused by name; seen by a process without root's powers."""
        common_dir = tmp_path / "readonly"
        common_dir.mkdir()
        (common_dir / "plan.json").write_text(plan_of("r1").model_dump_json())
        common_dir.chmod(0o555)
        tmp_path.chmod(0o755)
        script = textwrap.dedent(
            AS_NOBODY.format(
                call="release_lock(path).__enter__()"
                if what == "lock"
                else "create_record(path, plan)"
            )
        )
        child = subprocess.run(
            (sys.executable, "-c", script, str(common_dir)),
            check=False,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )

        assert child.stdout.startswith("RK-FILE-SYSTEM: Permission denied"), child.stderr


class TestUnfinished:
    """A release that was begun is carried on."""

    def test_new_repository_has_no_record(self, common_dir: Path) -> None:
        """Where no release was begun there is none."""
        assert unfinished_record(common_dir) is None

    def test_recorded_plan_is_unfinished_release(self, common_dir: Path) -> None:
        """A plan on record is an unfinished release, with a manifest or without."""
        record = create_record(common_dir, plan_of("r1"))
        assert unfinished_record(common_dir) == record

        record.save_manifest(manifest_for(plan_of("r1")))
        assert unfinished_record(common_dir) == record

    def test_finished_releases_do_not_count(self, common_dir: Path) -> None:
        """Finished releases, and files and directories that are none, do not count."""
        done = create_record(common_dir, plan_of("a"))
        done.save_manifest(manifest_for(plan_of("a")).model_copy(update={"finished": True}))
        (common_dir / "releasekit" / "b").mkdir()
        (common_dir / "releasekit" / "c").write_text("")
        assert unfinished_record(common_dir) is None

        record = create_record(common_dir, plan_of("d"))
        assert unfinished_record(common_dir) == record


class TestEnding:
    """What is left of a release in the end."""

    def begun(self, scene: GitScene) -> tuple[Repo, Record]:
        """Begin a release that has a worktree and holds a commit."""
        repo = Repo(scene.top)
        plan = plan_of("r1", repo.head)
        record = create_record(repo.common_dir, plan)
        repo.add_worktree(record.worktree, repo.head)
        repo.save_ref("r1", repo.head)
        (record.worktree / "a").write_text("half done")
        record.dist("core").mkdir(parents=True)
        return repo, record

    def test_finished_release_keeps_its_files(self, scene: GitScene) -> None:
        """A finished release keeps plan, manifest and files; worktree and reference are gone."""
        repo, record = self.begun(scene)
        record.save_manifest(manifest_for(record.plan()))

        record.finish(repo)

        assert record.require_manifest().finished
        assert unfinished_record(repo.common_dir) is None
        assert sorted(path.name for path in record.directory.iterdir()) == [
            "dist",
            "manifest.json",
            "plan.json",
        ]
        assert scene.git("for-each-ref", "refs/releasekit") == ""
        assert len(scene.git("worktree", "list").splitlines()) == 1
        record.finish(repo)  # once more changes nothing

    def test_empty_release_is_not_resumed(self, scene: GitScene) -> None:
        """A release that had nothing to do is not carried on by the next run, and the one after it."""
        repo = Repo(scene.top)

        create_record(repo.common_dir, plan_of("r1", repo.head)).finish(repo)

        assert unfinished_record(repo.common_dir) is None

    def test_discarded_release_leaves_nothing(self, scene: GitScene) -> None:
        """Nothing is left of a dropped release, and the user's checkout is as it was."""
        repo, record = self.begun(scene)

        record.discard(repo)

        assert unfinished_record(repo.common_dir) is None
        assert list((repo.common_dir / "releasekit").iterdir()) == []
        assert scene.git("for-each-ref", "refs/releasekit") == ""
        assert scene.git("status", "--porcelain") == ""
        assert scene.git("worktree", "list").count("\n") == 0

    def test_interrupted_discard_is_cleaned_up(
        self, scene: GitScene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A release whose dropping was cut short is not carried on, and the next run clears it away."""
        repo, record = self.begun(scene)
        with monkeypatch.context() as killed:
            killed.setattr(Repo, "delete_ref", _killed)
            with pytest.raises(KeyboardInterrupt):
                record.discard(repo)
        assert unfinished_record(repo.common_dir) is None
        assert scene.git("for-each-ref", "refs/releasekit") != ""

        remove_leftovers(repo)

        assert list((repo.common_dir / "releasekit").iterdir()) == []
        assert scene.git("for-each-ref", "refs/releasekit") == ""
        assert scene.git("worktree", "list").count("\n") == 0

    def test_interrupted_finish_is_cleaned_up(
        self, scene: GitScene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A release that has ended gives back its room on the next run, if it could not; scratch files go too."""
        repo, record = self.begun(scene)
        record.save_manifest(manifest_for(record.plan()))
        (record.directory / ".manifest.json.x1").write_text("{")
        with monkeypatch.context() as killed:
            killed.setattr(Repo, "remove_worktree", _killed)
            with pytest.raises(KeyboardInterrupt):
                record.finish(repo)

        remove_leftovers(repo)

        assert sorted(path.name for path in record.directory.iterdir()) == [
            "dist",
            "manifest.json",
            "plan.json",
        ]
        assert scene.git("for-each-ref", "refs/releasekit") == ""


@pytest.fixture
def another(
    common_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractContextManager[int]]:
    """Return a function that makes a block in which another process, whose id it gives, holds the lock."""
    from contextlib import contextmanager

    @contextmanager
    def block(then: str = "time.sleep(60)") -> Generator[int]:
        log = tmp_path_factory.mktemp("holder") / "log"
        script = textwrap.dedent(HOLDER.format(then=then))
        with background(
            Command((sys.executable, "-c", script, str(common_dir)), ROOT), log
        ) as alive:
            deadline = time.monotonic() + 30
            while not log.read_text().strip().isdigit():
                assert alive(), log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield int(log.read_text())

    return block


class TestLock:
    """One release at a time."""

    def test_second_release_names_lock_holder(
        self, common_dir: Path, another: Callable[..., AbstractContextManager[int]]
    ) -> None:
        """A second release is refused at once, and told which process on which machine holds the lock since when."""
        with another() as pid, pytest.raises(Refusal) as caught, release_lock(common_dir):
            pass

        assert caught.value.code is ErrorCode.LOCK_ACQUISITION_FAILED
        assert f"locked by process {pid} on {socket.gethostname()} since 20" in caught.value.message

    def test_killed_holder_frees_the_lock(
        self, common_dir: Path, another: Callable[..., AbstractContextManager[int]]
    ) -> None:
        """After kill -9 there is nothing to clean up: the next release has the lock."""
        with another():
            pass  # the end of the block kills it

        _acquire(common_dir)

    def test_children_do_not_hold_lock(
        self, common_dir: Path, another: Callable[..., AbstractContextManager[int]]
    ) -> None:
        """A server that outlives the holder does not keep the lock."""
        orphan = "import subprocess; subprocess.Popen(['sleep', '3'], start_new_session=True, stdout=-3); "
        orphan += "time.sleep(60)"

        with another(orphan):
            pass

        _acquire(common_dir)

    def test_second_lock_block_is_refused(
        self, common_dir: Path, another: Callable[..., AbstractContextManager[int]]
    ) -> None:
        """A second block in the same process is refused, and leaves the first one its lock."""
        with release_lock(common_dir):
            with pytest.raises(Refusal) as caught, release_lock(common_dir):
                pass
            with (
                pytest.raises(AssertionError, match=rf"locked by process {os.getpid()} on "),
                another(),
            ):
                pass

        assert caught.value.code is ErrorCode.LOCK_ACQUISITION_FAILED
        assert f"locked by process {os.getpid()} on " in caught.value.message
        with another():
            pass

    @pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EIO])
    def test_file_system_must_support_locks(
        self, common_dir: Path, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        """A file system that has no locks, as NFS without its daemon, is a refusal: no other kind of lock will do."""

        def refuse(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("fcntl.flock", refuse)
        with pytest.raises(Refusal) as caught, release_lock(common_dir):
            pass

        assert (caught.value.code, caught.value.message) == (
            ErrorCode.FILE_SYSTEM,
            os.strerror(number),
        )
        monkeypatch.undo()
        with release_lock(common_dir):
            assert (common_dir / "releasekit" / "lock.holder").exists()

    def test_error_frees_the_lock(
        self, common_dir: Path, another: Callable[..., AbstractContextManager[int]]
    ) -> None:
        """An error inside frees it, and no trace of the holder is left."""
        with pytest.raises(KeyError), release_lock(common_dir):
            raise KeyError
        assert not (common_dir / "releasekit" / "lock.holder").exists()
        with another():
            pass

    def test_each_repository_has_its_lock(self, tmp_path: Path) -> None:
        """A release of another repository is nobody's business."""
        for name in ("a", "b"):
            (tmp_path / name).mkdir()

        with release_lock(tmp_path / "a"), release_lock(tmp_path / "b"):
            pass


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def _acquire(common_dir: Path) -> None:
    """Take the lock; the kernel may need a moment to bury its last holder."""
    for _ in range(500):
        try:
            with release_lock(common_dir):
                return
        except Refusal:
            time.sleep(0.01)
    with release_lock(common_dir):
        pass
