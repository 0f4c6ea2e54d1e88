"""Reads the pyproject.toml files below a directory, whether or not they are members of a workspace."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from releasekit.core.workspace.declarations import parse_document
from releasekit.integrations.filesystem import read_text_if_exists, resolve_inside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from releasekit.integrations.git import Repo


def read_manifests(repo: Repo, directory: Path) -> dict[str, Mapping[str, Any]]:
    """Return each tracked pyproject.toml below *directory*, by its directory relative to that; empty if it is no TOML.

    Links that lead out of *directory* are left out.
    """
    manifests: dict[str, Mapping[str, Any]] = {}
    for path in repo.tracked_paths(directory, ":(glob)**/pyproject.toml"):
        file = resolve_inside(directory, path)
        if file:
            manifests[str(PurePosixPath(path).parent)] = parse_document(read_text_if_exists(file))
    return manifests


def find_subdirectories(directory: Path, path: str) -> list[str]:
    """Return the directories in *path*, as *path* itself relative to *directory*. uv ignores hidden ones."""
    visible = (directory / path).glob("[!.]*/")
    return [child.relative_to(directory).as_posix() for child in visible]
