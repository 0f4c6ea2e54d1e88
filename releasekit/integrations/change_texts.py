"""Read the change files of a workspace, and edit or delete those that a release has used up."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from releasekit.core.errors import ErrorCode, Refusal, ReleaseWarning
from releasekit.core.history.change_files import parse_change_file, remove_packages
from releasekit.integrations.filesystem import (
    read_text,
    resolve_inside,
    wrap_os_errors,
    write_atomic,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from releasekit.core.history.change_files import ChangeDirectory, ChangeFile
    from releasekit.core.history.pending_changes import ConsumedFile

log = logging.getLogger("releasekit")


def read_change_files(
    root: Path, directories: Sequence[ChangeDirectory], members: Collection[str]
) -> tuple[ChangeFile, ...]:
    """Return the change files in *directories* of the workspace *root*; *members* are the names of all members.

    Raises Refusal RK-CHANGE-INVALID.
    """
    files: list[ChangeFile] = []
    for directory in directories:
        for path in _paths_in(root, directory):
            text = _read_change_text(root, path)
            files.append(parse_change_file(directory, path, text, members))
    return tuple(files)


def _paths_in(root: Path, directory: ChangeDirectory) -> Iterator[str]:
    """Yield the paths of the change files in *directory*, in order."""
    folder = root / directory.path
    names = (
        sorted(file.name for file in folder.iterdir() if file.is_file()) if folder.is_dir() else []
    )
    paths = [f"{directory.path}/{name}" for name in names]
    for path in filter(directory.has_misnamed, paths):
        message = f"this file is not read, because its name does not end in {directory.suffix}"
        log.warning("warning %s", ReleaseWarning(ErrorCode.CHANGE_INVALID, message, path))
    yield from filter(directory.contains, paths)


def _read_change_text(root: Path, path: str) -> str:
    file = resolve_inside(root, path)
    if file is None:
        raise Refusal(
            ErrorCode.CHANGE_INVALID, "the file is a link that leads out of the workspace", path
        )
    try:
        return read_text(file)
    except UnicodeDecodeError as error:
        message = f"the file is not UTF-8: byte {error.start} cannot be read"
        raise Refusal(ErrorCode.CHANGE_INVALID, message, path) from None


def consume_change_file(root: Path, file: ConsumedFile) -> Path | None:
    """Edit or delete the change file of the workspace *root*, and return it; None if it is not there.

    Raises Refusal RK-RECORD-INVALID for a path outside the workspace: the plan may come from another machine.
    """
    path = root / file.path
    if resolve_inside(root, file.path) is None:
        raise Refusal(
            ErrorCode.RECORD_INVALID,
            "the plan names a change file outside the workspace",
            file.path,
        )
    if not path.is_file():
        return None
    if file.deleted:
        with wrap_os_errors(path):
            path.unlink()
    else:
        write_atomic(path, remove_packages(read_text(path, "surrogateescape"), file.packages))
    return path
