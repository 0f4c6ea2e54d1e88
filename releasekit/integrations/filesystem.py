"""Files on this machine: hash them in chunks, and write so that a crash damages nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import tomllib
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from releasekit.core.errors import ErrorCode, Refusal, ReleaseError
from releasekit.core.release.release_manifest import BuiltFile
from releasekit.core.toml_lines import parse_error_excerpt

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

_CHUNK_SIZE = 1 << 20
_LARGEST_TEXT = 64 << 20


def read_toml(path: Path, display_path: str) -> tuple[dict[str, Any], str]:
    """Return the parsed TOML file *path* and its text. Raises Refusal RK-WORKSPACE-TOML, with *display_path*."""
    text = ""
    try:
        text = read_text(path)
        if text.startswith("\ufeff"):  # an editor does not show it in the line that tomllib reports
            message = "the file begins with a byte order mark, which uv ignores but other build tools do not"
            hint = "Save the file as UTF-8 without a byte order mark."
            raise Refusal(ErrorCode.WORKSPACE_TOML, message, display_path, hint)
        return tomllib.loads(text), text
    except RecursionError:
        raise Refusal(
            ErrorCode.WORKSPACE_TOML, "the values are nested too deeply", display_path
        ) from None
    except (
        ValueError
    ) as error:  # TOMLDecodeError, UnicodeDecodeError, or a number of thousands of digits
        raise Refusal(
            ErrorCode.WORKSPACE_TOML,
            str(error),
            display_path,
            excerpt=parse_error_excerpt(str(error), display_path, text),
        ) from None


@contextmanager
def wrap_os_errors(path: Path) -> Generator[None]:
    """Turn an OSError inside the block, which works on *path*, into ReleaseError RK-FILE-SYSTEM."""
    try:
        yield
    except OSError as error:
        raise file_error(error, path) from error


def file_error(error: OSError, path: Path | None = None) -> ReleaseError:
    """Return ReleaseError RK-FILE-SYSTEM for *error*; its location is the error's own file, else *path*."""
    return ReleaseError(
        ErrorCode.FILE_SYSTEM, error.strerror or str(error), str(error.filename or path or "")
    )


def scratch_path(path: Path) -> Path:
    """Return the temporary file of `write_atomic`; its name is fixed, so that a file left by a kill is found again."""
    return path.with_name(f".{path.name}.releasekit")


def write_atomic(path: Path, text: str, *, durable: bool = True) -> None:
    """Write *text* to *path* atomically; line ends stay as they are. Raises ReleaseError RK-FILE-SYSTEM.

    Unless it is *durable*, a power failure soon afterwards can lose the text. A disk needs some milliseconds for each
    durable file.
    """
    scratch, content = scratch_path(path), text.encode("utf-8", "surrogateescape")
    with wrap_os_errors(path):
        try:
            with scratch.open("wb") as file:
                file.write(content)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            if path.exists():
                scratch.chmod(path.stat().st_mode & 0o7777)
            scratch.replace(path)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
        if durable:
            _fsync(path.parent)


def append_text(path: Path, text: str) -> None:
    """Append *text* to the file *path*; raises ReleaseError RK-FILE-SYSTEM."""
    with wrap_os_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(text)


def make_directory(path: Path) -> None:
    """Create the directory *path* if it is missing, safe from a power failure; raises ReleaseError RK-FILE-SYSTEM."""
    with wrap_os_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        _fsync(path.parent)


def fsync_files(paths: Iterable[Path]) -> None:
    """Flush *paths* to the disk, whichever program has written them; raises ReleaseError RK-FILE-SYSTEM."""
    for path in paths:
        with wrap_os_errors(path):
            _fsync(path)
            _fsync(path.parent)


def copy_files(sources: Iterable[Path], directory: Path) -> None:
    """Copy *sources* into *directory*, which is made if it is missing; raises ReleaseError RK-FILE-SYSTEM."""
    for source in sources:
        target = directory / source.name
        make_directory(directory)
        with wrap_os_errors(target):
            shutil.copyfile(source, target, follow_symlinks=False)


def remove_tree(path: Path) -> None:
    """Remove the directory *path* and its contents, if it exists; raises ReleaseError RK-FILE-SYSTEM."""
    with wrap_os_errors(path):
        if path.exists():
            shutil.rmtree(path)


def read_text(path: Path, errors: Literal["strict", "surrogateescape"] = "strict") -> str:
    """Return the text of *path* with its line ends as they are; raises ReleaseError RK-FILE-SYSTEM if it is too large.

    With "surrogateescape", bytes that are not UTF-8 are preserved, and `write_atomic` writes them back unchanged.
    """
    return read_bounded(path).decode("utf-8", errors)


def read_bounded(path: Path) -> bytes:
    """Return the contents of *path*; raises ReleaseError RK-FILE-SYSTEM if it is larger than any text of a person."""
    with path.open("rb") as file:
        content = file.read(_LARGEST_TEXT + 1)  # a device has no size, and no end
    if len(content) > _LARGEST_TEXT:
        raise ReleaseError(
            ErrorCode.FILE_SYSTEM, f"the file is larger than {_LARGEST_TEXT >> 20} MB", str(path)
        )
    return content


def resolve_inside(root: Path, path: str) -> Path | None:
    """Return *path*, relative to the directory *root*, with its links resolved; None if it leads out of *root*.

    Every path that the files of a workspace name goes through here: who can write them must not read or change other
    files of this machine.
    """
    try:
        resolved = (root / path).resolve()
    except (OSError, RuntimeError, ValueError):  # a circle of links, or a null byte
        return None
    return resolved if resolved.is_relative_to(root.resolve()) else None


def read_text_if_exists(path: Path) -> str:
    """Return what `read_text` returns with "surrogateescape"; empty if *path* is no file."""
    return read_text(path, "surrogateescape") if path.is_file() else ""


def read_text_inside(root: Path, path: str) -> str:
    """Return what `read_text_if_exists` returns for *path*, relative to *root*; empty if it leads out of *root*."""
    file = resolve_inside(root, path)
    return read_text_if_exists(file) if file else ""


def changelog_path(package: Path, path: str) -> Path:
    """Return the changelog *path* in the directory *package*, in any letter case; if there is none, *path* itself."""
    usual = package / path
    if not usual.parent.is_dir():
        return usual
    matches = sorted(
        file for file in usual.parent.iterdir() if file.name.lower() == usual.name.lower()
    )
    return usual if usual in matches or not matches else matches[0]


def find_changelog_problem(package: Path, changelog: Path) -> str:
    """Return why the *changelog* of the directory *package* cannot be written; empty if it can."""
    real_path = package.resolve() / changelog.relative_to(package)
    if changelog.resolve() != real_path:
        return "is a symbolic link, or below one"
    if changelog.is_dir():
        return "is a directory"
    parent = next(parent for parent in real_path.parents if parent.exists())
    if not parent.is_dir():
        return "is below a file"
    return "is in UTF-16 or not text" if "\0" in read_text_if_exists(changelog) else ""


def describe_file(path: Path) -> BuiltFile:
    """Return name, sha256 and size (in bytes) of *path*; the file is read in chunks."""
    with path.open("rb") as file:
        return BuiltFile(name=path.name, sha256=_digest(file).hexdigest(), size=path.stat().st_size)


def _digest(file: BinaryIO | Any) -> Any:  # noqa: ANN401  hashlib's own type is private
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK_SIZE):
        digest.update(chunk)
    return digest


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def has_module(directory: Path, names: Iterable[str]) -> bool:
    """Return whether the package in *directory* has a module of one of the dotted *names*, at a usual place."""
    stems = [name.replace(".", "/") for name in names]
    places = product(("", "src", "lib", "python"), stems, ("", ".py"))
    return any((directory / root / f"{stem}{suffix}").exists() for root, stem, suffix in places)
