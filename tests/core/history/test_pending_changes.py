"""Which change files count for the next release, and which ones it uses up."""

from __future__ import annotations

from releasekit.core.config.bump_rules import Bump
from releasekit.core.history.change_files import ChangeFile, FileChange
from releasekit.core.history.pending_changes import (
    PendingChanges,
    ReleasedFiles,
    consumed_files,
    pending_changes,
)

NOTHING = ReleasedFiles()


def file_of(
    path: str, *names: str, foreign: tuple[str, ...] = (), shared: bool = False
) -> ChangeFile:
    """Return a file with a minor change of the packages *names*."""
    return ChangeFile(path, dict.fromkeys(names, Bump.MINOR), "Text", "", foreign, not shared)


def paths_of(pending: dict[str, PendingChanges], name: str) -> tuple[list[str], list[str]]:
    """Return the paths of the unreleased and of the new files of a package."""
    changes = pending[name]
    return [change.path for change in changes.unreleased], [change.path for change in changes.new]


def consumed(
    files: list[ChangeFile], pending: dict[str, PendingChanges], *published: str
) -> list[str]:
    """Return what happens to *files* in a release of *published*."""
    return [str(file) for file in consumed_files(files, pending, published)]


def test_released_files_count_no_more() -> None:
    """A file that the last stable release had counts no more; one that only a prerelease had is unreleased, not new."""
    files = [file_of("b", "core", "app"), file_of("a", "core"), file_of("c", "core")]
    released = {
        "core": ReleasedFiles(frozenset("a"), frozenset("ab")),
        "app": NOTHING,
        "web": NOTHING,
    }

    pending = pending_changes(files, {}, released)

    assert paths_of(pending, "core") == (["b", "c"], ["c"])
    assert paths_of(pending, "app") == (["b"], ["b"])
    assert paths_of(pending, "web") == ([], [])


def test_unpublished_members_wait_for_nothing() -> None:
    """A member that is never published has no pending changes, and keeps no file."""
    files = [file_of("a", "core", "tests")]

    pending = pending_changes(files, {}, {"core": NOTHING})

    assert pending.keys() == {"core"}
    assert consumed(files, pending, "core") == ["delete a"]


def test_removed_changes_still_count() -> None:
    """What a release commit removed counts until a tag marks it as published; the file that is there wins."""
    removed = {"core": [FileChange("a", Bump.MAJOR, "old"), FileChange("b", Bump.PATCH, "kept")]}

    pending = pending_changes([file_of("a", "core")], removed, {"core": NOTHING})

    assert [(change.path, change.bump) for change in pending["core"].new] == [
        ("a", Bump.MINOR),
        ("b", Bump.PATCH),
    ]


def test_file_waits_for_every_package() -> None:
    """A release removes its own packages, and deletes the file after the last one."""
    files = [file_of("a", "core", "app"), file_of("b", "app"), file_of("e")]
    pending = pending_changes(files, {}, {"core": NOTHING, "app": NOTHING})

    assert consumed(files, pending, "core") == ["remove core from a", "delete e"]
    assert consumed(files, pending, "core", "app") == ["delete a", "delete b", "delete e"]
    assert consumed(files, pending) == []


def test_foreign_names_keep_the_file() -> None:
    """A file that also names a package of another workspace stays for it."""
    files = [
        file_of("a", "core", foreign=("@acme/button",)),
        file_of("b", foreign=("@acme/button",)),
    ]
    pending = pending_changes(files, {}, {"core": NOTHING})

    assert consumed(files, pending, "core") == ["remove core from a"]


def test_shared_json_goes_last() -> None:
    """A file without names stays until all its packages are released, one after the other."""
    files = [file_of("a", "core", "app", shared=True)]
    before = pending_changes(files, {}, {"core": NOTHING, "app": NOTHING})
    after = pending_changes(
        files, {}, {"core": ReleasedFiles(frozenset("a"), frozenset("a")), "app": NOTHING}
    )

    assert consumed(files, before, "core") == []
    assert consumed(files, after, "app") == ["delete a"]
