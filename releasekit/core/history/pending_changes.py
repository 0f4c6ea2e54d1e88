"""Which change files count for the next release of a package, and which of them a release uses up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from releasekit.core.history.change_files import FileChange  # noqa: TC001  pydantic reads the types of the fields

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from releasekit.core.history.change_files import ChangeFile


@dataclass(frozen=True, slots=True)
class PendingChanges:
    """The change files of one package: *unreleased*, those that no stable release has; *new*, no prerelease either."""

    unreleased: tuple[FileChange, ...] = ()
    new: tuple[FileChange, ...] = ()

    @property
    def paths(self) -> frozenset[str]:
        """The files that no stable release has."""
        return frozenset(change.path for change in self.unreleased)


@dataclass(frozen=True, slots=True)
class ReleasedFiles:
    """The change files that name a package in the tree of its last *stable* release, and of its *last* release."""

    stable: frozenset[str] = frozenset()
    last: frozenset[str] = frozenset()


class ConsumedFile(BaseModel):
    """A change file that the release commit edits: it removes *packages* from it, or deletes it with none left.

    *path* is relative to the workspace.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    packages: tuple[str, ...] = ()
    deleted: bool = False

    def __str__(self) -> str:
        """Say what happens to the file."""
        return f"delete {self.path}" if self.deleted else f"remove {', '.join(self.packages)} from {self.path}"


def pending_changes(
    files: Sequence[ChangeFile], removed: Mapping[str, Sequence[FileChange]], released: Mapping[str, ReleasedFiles]
) -> dict[str, PendingChanges]:
    """Return the pending changes of each package in *released*, in the order of the paths.

    *removed* has by package what release commits have removed that no tag marks as published: the release may have
    failed, or it is a pull request that was merged. *released* has each published package, with the files that were
    there at its last releases: they are released, whether or not that release removed them.
    """
    pending: dict[str, PendingChanges] = {}
    for name, earlier in released.items():
        changes = _changes_of(name, files, removed.get(name, ()))
        unreleased = [change for change in changes if change.path not in earlier.stable]
        new = [change for change in unreleased if change.path not in earlier.last]
        pending[name] = PendingChanges(tuple(unreleased), tuple(new))
    return pending


def _changes_of(name: str, files: Sequence[ChangeFile], removed: Sequence[FileChange]) -> list[FileChange]:
    """Return what *files* say about the package *name*, and what was *removed*; a file that is there wins."""
    by_path = {change.path: change for change in removed}
    own_files = [file for file in files if name in file.bumps]
    for file in own_files:
        by_path[file.path] = file.change_of(name)
    return [by_path[path] for path in sorted(by_path)]


def consumed_files(
    files: Sequence[ChangeFile], pending: Mapping[str, PendingChanges], published: Collection[str]
) -> list[ConsumedFile]:
    """Return the files that the release commit edits if it releases the packages *published* as stable versions.

    A file stays as long as it waits for another package, or names one outside the workspace. A file that names none
    at all goes with the next stable release.
    """
    if not published:
        return []
    consumed = [_consume(file, pending, published) for file in files]
    return [file for file in consumed if file.deleted or file.packages]


def _consume(file: ChangeFile, pending: Mapping[str, PendingChanges], published: Collection[str]) -> ConsumedFile:
    """Return what happens to *file*: without packages and not deleted, it stays as it is."""
    done = tuple(name for name in file.bumps if name in published)
    others = file.bumps.keys() - done
    waiting = [name for name in others if file.path in pending.get(name, PendingChanges()).paths]
    is_unused = not done and bool(file.bumps)
    deleted = not (waiting or file.foreign_names or is_unused)
    packages = done if deleted or file.names_packages else ()
    return ConsumedFile(path=file.path, packages=packages, deleted=deleted)
