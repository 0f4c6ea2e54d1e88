"""Files in a place that several machines reach: a directory, an S3 bucket, or whatever else fsspec knows."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from releasekit.core.errors import ErrorCode, ReleaseError
from releasekit.integrations.process import mask

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Storage:
    """The directory at the *url*, such as file:///srv/wheels or s3://bucket/wheels.

    Credentials come from the environment, as the library for that kind of URL reads them. Each method raises
    ReleaseError RK-STAGE-STORAGE.
    """

    url: str

    def below(self, *names: str) -> Storage:
        """Return the directory *names* in this one."""
        return Storage("/".join((self.url.rstrip("/"), *names)))

    def write_text(self, name: str, text: str) -> None:
        """Write *text* to the file *name*, in place of an earlier one."""
        self._write(name, text.encode())

    def write_file(self, path: Path) -> None:
        """Write the content of *path* to the file with its name, in place of an earlier one."""
        self._write(path.name, path.read_bytes())

    def read_text(self, name: str) -> str:
        """Return the text of the file *name*; empty if there is none."""
        return self.read(name).decode("utf-8", "replace")

    def read(self, name: str) -> bytes:
        """Return the content of the file *name*; empty if there is none."""
        system, directory = self._open()
        try:
            system.invalidate_cache()
            return system.cat_file(f"{directory}/{name}")
        except FileNotFoundError:
            return b""
        except Exception as error:  # noqa: BLE001  each library raises its own kinds
            raise self._error(error) from None

    def _write(self, name: str, content: bytes) -> None:
        system, directory = self._open()
        try:
            system.makedirs(directory, exist_ok=True)
            system.pipe_file(f"{directory}/{name}", content)
        except Exception as error:  # noqa: BLE001  each library raises its own kinds
            raise self._error(error) from None

    def _open(self) -> tuple[Any, str]:
        """Return the file system of the URL, and the directory in it."""
        # Late: only releases on several machines need it; it has no types.
        library: Any = import_module("fsspec")
        try:
            system, directory = library.core.url_to_fs(self.url)
        except Exception as error:  # noqa: BLE001  each library raises its own kinds
            raise self._error(error) from None
        return system, directory

    def _error(self, error: Exception) -> ReleaseError:
        """Return *error* of a library as ours: each kind of storage raises other ones."""
        reason = mask(str(error)) or type(error).__name__
        return ReleaseError(ErrorCode.STAGE_STORAGE, reason, mask(self.url))
