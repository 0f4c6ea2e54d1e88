"""Reads the pyproject.toml files below a directory, whether or not they are members of a workspace."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.integrations.git import Repo


def read_manifests(repo: Repo, directory: Path) -> dict[str, dict[str, Any]]:
    """Return each tracked pyproject.toml below *directory* that is valid TOML, by its directory relative to that."""
    manifests: dict[str, dict[str, Any]] = {}
    for path in repo.tracked_paths(directory, ":(glob)**/pyproject.toml"):
        with suppress(OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
            text = (directory / path).read_text("utf-8")
            manifests[str(PurePosixPath(path).parent)] = tomllib.loads(text)
    return manifests


def find_subdirectories(directory: Path, path: str) -> list[str]:
    """Return the directories in *path*, as *path* itself relative to *directory*. uv ignores hidden ones."""
    visible = (directory / path).glob("[!.]*/")
    return [child.relative_to(directory).as_posix() for child in visible]
