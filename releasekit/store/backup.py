"""Changes to the user's own files that are taken back: however we end, and after a `kill -9` in the next run."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.integrations.filesystem import read_text, scratch_path, write_atomic
from releasekit.integrations.signals import defer_signals, termination_as_interrupt

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping


class _FileChange(BaseModel):
    """One file: where it is, its backup, and the sha256 of its bytes as they were and as they were made."""

    path: str
    backup: str
    before: str
    after: str


class _Journal(BaseModel):
    changes: tuple[_FileChange, ...]


@dataclass(frozen=True, slots=True)
class FileBackup:
    """Files that were changed for a while; their originals stand in *directory* until they are put back."""

    directory: Path

    @property
    def needs_restore(self) -> bool:
        """Whether there are files to put back."""
        return self._journal.is_file()

    @property
    def _journal(self) -> Path:
        return self.directory / "journal.json"

    def apply(self, texts: Mapping[Path, str]) -> None:
        """Write *texts*. All originals are safe before the first file is touched, and none is ever overwritten."""
        assert not self.needs_restore, "the originals of earlier changes would be lost"  # noqa: S101
        self.directory.mkdir(parents=True, exist_ok=True)
        resolved = {path.resolve(): text for path, text in texts.items()}  # a link must stay one
        changes = [self._back_up(number, path, text) for number, (path, text) in enumerate(resolved.items())]
        write_atomic(self._journal, _Journal(changes=tuple(changes)).model_dump_json(indent=1) + "\n")
        for path, text in resolved.items():
            write_atomic(path, text)

    def _back_up(self, number: int, path: Path, text: str) -> _FileChange:
        original = read_text(path, "surrogateescape")
        backup = f"{number:04}-{path.name}"
        write_atomic(self.directory / backup, original)
        return _FileChange(path=str(path), backup=backup, before=_sha256(original), after=_sha256(text))

    def restore(self) -> tuple[Path, ...]:
        """Put all originals back, byte by byte; returns the files that were changed back.

        Raises ReleaseError RK-PIN-RESTORE-FAILED, once all others are restored, for a file that somebody has edited
        meanwhile or whose backup is damaged; the backups are then kept.
        """
        if not self.needs_restore:
            shutil.rmtree(self.directory, ignore_errors=True)  # without a journal no file was touched, or all are back
            return ()
        problems: list[str] = []
        restored: list[Path] = []
        for change in self._read().changes:
            path, backup = Path(change.path), self.directory / change.backup
            scratch_path(path).unlink(missing_ok=True)
            current = _sha256(read_text(path, "surrogateescape")) if path.is_file() else ""
            original = read_text(backup, "surrogateescape") if backup.is_file() else ""
            if current == change.before:
                continue  # it was not yet changed, or is put back already
            if current not in ("", change.after):
                problems.append(f"{path} was edited meanwhile; as it was: {backup}")
            elif _sha256(original) != change.before:
                problems.append(f"{backup}, the original of {path}, is damaged")
            else:
                write_atomic(path, original)
                restored.append(path)
        if problems:
            raise ReleaseError(ErrorCode.PIN_RESTORE_FAILED, "; ".join(problems), str(self.directory))
        self._journal.unlink()
        shutil.rmtree(self.directory)
        return tuple(restored)

    def _read(self) -> _Journal:
        try:
            return _Journal.model_validate_json(read_text(self._journal))
        except (ValidationError, ValueError) as error:
            raise ReleaseError(ErrorCode.PIN_RESTORE_FAILED, str(error).splitlines()[0], str(self._journal)) from None

    @contextmanager
    def apply_temporarily(self, texts: Mapping[Path, str]) -> Generator[None]:
        """Have *texts* in place inside the block; on its end, errors, Ctrl-C and SIGTERM included, put all back."""
        with termination_as_interrupt():
            try:
                self.apply(texts)
                yield
            finally:
                with defer_signals():
                    self.restore()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
