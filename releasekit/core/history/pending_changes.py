"""Which change files count for the next release of a package, and which of them a release uses up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from releasekit.core.history.change_files import FileChange  # noqa: TC001  pydantic reads the types of the fields
from releasekit.core.picking import pick

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Mapping, Sequence

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

    @property
    def is_edited(self) -> bool:
        """Whether anything happens to the file."""
        return self.deleted or bool(self.packages)

    def __str__(self) -> str:
        """Say what happens to the file."""
        if self.deleted:
            return f"delete {self.path}"
        return f"remove {', '.join(self.packages)} from {self.path}"


def pending_changes(
    files: Sequence[ChangeFile],
    removed: Mapping[str, Sequence[FileChange]],
    released: Mapping[str, ReleasedFiles],
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


def _changes_of(
    name: str, files: Sequence[ChangeFile], removed: Sequence[FileChange]
) -> list[FileChange]:
    """Return what *files* say about the package *name*, and what was *removed*; a file that is there wins."""
    by_path = {change.path: change for change in removed}
    by_path |= {file.path: file.change_of(name) for file in files if name in file.bumps}
    return list(map(by_path.__getitem__, sorted(by_path)))


def consumed_files(
    files: Sequence[ChangeFile], pending: Mapping[str, PendingChanges], published: Collection[str]
) -> tuple[ConsumedFile, ...]:
    """Return the files that the release commit edits if it releases the packages *published* as stable versions.

    A file stays as long as it waits for another package, or names one outside the workspace. A file that names none
    at all goes with the next stable release.
    """
    if not published:
        return ()
    pending_paths = {name: changes.paths for name, changes in pending.items()}
    consumed = (_consume(file, pending_paths, published) for file in files)
    return tuple(file for file in consumed if file.is_edited)


def _consume(
    file: ChangeFile, pending_paths: Mapping[str, Container[str]], published: Collection[str]
) -> ConsumedFile:
    """Return what happens to *file*; *pending_paths* are by package the files that no stable release has."""
    released = tuple(pick(file.bumps, published))
    others = file.bumps.keys() - released
    waiting = [name for name in others if file.path in pending_paths.get(name, ())]
    is_of_others = bool(file.bumps) and not released
    is_needed = bool(waiting or file.foreign_names or is_of_others)
    if not is_needed:
        return ConsumedFile(path=file.path, packages=released, deleted=True)
    if not file.names_packages:
        return ConsumedFile(path=file.path)
    return ConsumedFile(path=file.path, packages=released)
