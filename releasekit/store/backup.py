"""Changes to the user's own files that are taken back: however we end, and after a `kill -9` in the next run."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from releasekit.core.errors import Code, ReleaseError
from releasekit.integrations.filesystem import read_text, replace_text, scratch_of
from releasekit.integrations.signals import terminated_is_interrupted, undisturbed

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping


class _Change(BaseModel):
    """One file: where it is, its backup, and the sha256 of its bytes as they were and as they were made."""

    path: str
    backup: str
    before: str
    after: str


class _Journal(BaseModel):
    changes: tuple[_Change, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """Files that were changed for a while; their originals stand in *directory* until they are put back."""

    directory: Path

    @property
    def pending(self) -> bool:
        """Whether there are files to put back."""
        return self._journal.is_file()

    @property
    def _journal(self) -> Path:
        return self.directory / "journal.json"

    def apply(self, texts: Mapping[Path, str]) -> None:
        """Write *texts*. All originals are safe before the first file is touched, and none is ever overwritten."""
        assert not self.pending, "the originals of earlier changes would be lost"  # noqa: S101
        self.directory.mkdir(parents=True, exist_ok=True)
        resolved = {path.resolve(): text for path, text in texts.items()}  # a link must stay one
        changes = [self._back_up(number, path, text) for number, (path, text) in enumerate(resolved.items())]
        replace_text(self._journal, _Journal(changes=tuple(changes)).model_dump_json(indent=1) + "\n")
        for path, text in resolved.items():
            replace_text(path, text)

    def _back_up(self, number: int, path: Path, text: str) -> _Change:
        original = read_text(path, "surrogateescape")
        backup = f"{number:04}-{path.name}"
        replace_text(self.directory / backup, original)
        return _Change(path=str(path), backup=backup, before=_sha256(original), after=_sha256(text))

    def restore(self) -> tuple[Path, ...]:
        """Put all originals back, byte by byte; returns the files that were changed back.

        Raises ReleaseError RK-PIN-RESTORE-FAILED, once all others are restored, for a file that somebody has edited
        meanwhile or whose backup is damaged; the backups are then kept.
        """
        if not self.pending:
            shutil.rmtree(self.directory, ignore_errors=True)  # without a journal no file was touched, or all are back
            return ()
        wrong: list[str] = []
        restored: list[Path] = []
        for change in self._read().changes:
            path, backup = Path(change.path), self.directory / change.backup
            scratch_of(path).unlink(missing_ok=True)
            now = _sha256(read_text(path, "surrogateescape")) if path.is_file() else ""
            original = read_text(backup, "surrogateescape") if backup.is_file() else ""
            if now == change.before:
                continue  # it was not yet changed, or is put back already
            if now not in ("", change.after):
                wrong.append(f"{path} was edited meanwhile; as it was: {backup}")
            elif _sha256(original) != change.before:
                wrong.append(f"{backup}, the original of {path}, is damaged")
            else:
                replace_text(path, original)
                restored.append(path)
        if wrong:
            raise ReleaseError(Code.PIN_RESTORE_FAILED, "; ".join(wrong), str(self.directory))
        self._journal.unlink()
        shutil.rmtree(self.directory)
        return tuple(restored)

    def _read(self) -> _Journal:
        try:
            return _Journal.model_validate_json(read_text(self._journal))
        except (ValidationError, ValueError) as error:
            raise ReleaseError(Code.PIN_RESTORE_FAILED, str(error).splitlines()[0], str(self._journal)) from None

    @contextmanager
    def during(self, texts: Mapping[Path, str]) -> Generator[None]:
        """Have *texts* in place inside the block; on its end, errors, Ctrl-C and SIGTERM included, put all back."""
        with terminated_is_interrupted():
            try:
                self.apply(texts)
                yield
            finally:
                with undisturbed():
                    self.restore()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
