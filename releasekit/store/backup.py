"""Change the user's files temporarily, and restore them at the end. After a `kill -9`, the next run restores them."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.integrations.filesystem import (
    read_text,
    read_text_if_exists,
    scratch_path,
    write_atomic,
)
from releasekit.integrations.signals import defer_signals, termination_as_interrupt

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping


class _FileChange(BaseModel):
    """One file: its path, its backup, and the sha256 of its content *before* and *after* the change."""

    path: str
    backup: str
    before: str
    after: str


class _Journal(BaseModel):
    changes: tuple[_FileChange, ...]


@dataclass(frozen=True, slots=True)
class FileBackup:
    """Files that are changed temporarily. *directory* has their originals until they are restored."""

    directory: Path

    @property
    def needs_restore(self) -> bool:
        """Whether there are files to restore."""
        return self._journal.is_file()

    @property
    def _journal(self) -> Path:
        return self.directory / "journal.json"

    def apply(self, texts: Mapping[Path, str]) -> None:
        """Write *texts*, by path. All originals are saved before the first file is changed, and never overwritten."""
        assert not self.needs_restore, "the originals of earlier changes would be lost"  # noqa: S101
        self.directory.mkdir(parents=True, exist_ok=True)
        resolved = {path.resolve(): text for path, text in texts.items()}  # a link must stay a link
        changes = [
            self._back_up(number, path, text)
            for number, (path, text) in enumerate(resolved.items())
        ]
        write_atomic(
            self._journal, _Journal(changes=tuple(changes)).model_dump_json(indent=1) + "\n"
        )
        for path, text in resolved.items():
            write_atomic(path, text)

    def _back_up(self, number: int, path: Path, text: str) -> _FileChange:
        original = read_text(path, "surrogateescape")
        backup = f"{number:04}-{path.name}"
        write_atomic(self.directory / backup, original)
        return _FileChange(
            path=str(path), backup=backup, before=_sha256(original), after=_sha256(text)
        )

    def restore(self) -> tuple[Path, ...]:
        """Restore all originals, byte by byte, and return the restored files.

        Raises ReleaseError RK-PIN-RESTORE-FAILED if a file was edited since the change, or if its backup is damaged.
        All other files are restored before, and the backups are kept.
        """
        if not self.needs_restore:
            # No file was changed, or all are restored.
            shutil.rmtree(self.directory, ignore_errors=True)
            return ()
        problems: list[str] = []
        restored: list[Path] = []
        for change in self._read().changes:
            path, backup = Path(change.path), self.directory / change.backup
            scratch_path(path).unlink(missing_ok=True)
            current = _sha256(read_text(path, "surrogateescape")) if path.is_file() else ""
            original = read_text_if_exists(backup)
            if current == change.before:
                continue  # it was not changed yet, or is already restored
            if current not in ("", change.after):
                problems.append(
                    f"{path} was edited since releasekit changed it; its original is {backup}"
                )
            elif _sha256(original) != change.before:
                problems.append(f"{backup}, the original of {path}, is damaged")
            else:
                write_atomic(path, original)
                restored.append(path)
        if problems:
            raise ReleaseError(
                ErrorCode.PIN_RESTORE_FAILED, "; ".join(problems), str(self.directory)
            )
        self._journal.unlink()
        shutil.rmtree(self.directory)
        return tuple(restored)

    def _read(self) -> _Journal:
        try:
            return _Journal.model_validate_json(read_text(self._journal))
        except (ValidationError, ValueError) as error:
            raise ReleaseError(
                ErrorCode.PIN_RESTORE_FAILED, str(error).splitlines()[0], str(self._journal)
            ) from None

    @contextmanager
    def apply_temporarily(self, texts: Mapping[Path, str]) -> Generator[None]:
        """Apply *texts* inside the block. Restore the originals when it ends, also by an error, Ctrl-C or SIGTERM."""
        with termination_as_interrupt():
            try:
                self.apply(texts)
                yield
            finally:
                with defer_signals():
                    self.restore()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
