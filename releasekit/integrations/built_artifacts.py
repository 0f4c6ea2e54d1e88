"""Everything that verification needs to know about the files that a build has left."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from packaging.version import Version

from releasekit.core.artifacts.archive_facts import NO_PINS, BuiltArtifacts
from releasekit.core.artifacts.attestations import ATTESTATION
from releasekit.core.artifacts.metadata_rules import renders_as_rst
from releasekit.integrations.archives import read_archive
from releasekit.integrations.package_files import rst_problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from releasekit.core.artifacts.archive_facts import Archive
    from releasekit.core.workspace.built_files import BuiltContents
    from releasekit.core.workspace.pins import Pins

ARCHIVE_SUFFIXES = (".whl", ".tar.gz")
_MAX_DESCRIPTION = 1 << 20


def built_paths(directory: Path) -> list[Path]:
    """Return the files that a build has left in *directory*, without attestations and what uv adds for git."""
    return sorted(filter(_is_built, directory.iterdir()))


def _is_built(path: Path) -> bool:
    is_hidden = path.name.startswith(".")
    return not is_hidden and not path.name.endswith(ATTESTATION)


def read_built(
    project: str,
    version: Version,
    paths: Sequence[Path],
    pins: Pins = NO_PINS,
    siblings: Mapping[str, str] | None = None,
    expected: BuiltContents = "all",
) -> BuiltArtifacts:
    """Read the files of *project* at *paths*, which should be the *expected* ones.

    *siblings* has the other packages by their import names.
    Raises ReleaseError RK-FILE-SYSTEM if a file cannot be opened.
    """
    archives = tuple(read_archive(path) for path in paths if path.name.endswith(ARCHIVE_SUFFIXES))
    return BuiltArtifacts(
        project=project,
        version=version,
        names=tuple(path.name for path in paths),
        archives=archives,
        expected=expected,
        pins=pins,
        siblings=siblings or {},
        python=Version(platform.python_version()),
        readmes=_render_readmes(archives),
    )


def _render_readmes(archives: Sequence[Archive]) -> dict[str, str | None]:
    """Return the error of PyPI's renderer for each archive whose description is reStructuredText.

    Wheel and sdist usually have the same description, which is rendered once.
    """
    rendered: dict[str, str | None] = {}
    problems: dict[str, str | None] = {}
    for archive in filter(renders_as_rst, archives):
        text = archive.description
        if text not in rendered:
            is_huge = len(text) > _MAX_DESCRIPTION
            rendered[text] = f"it has {len(text)} characters" if is_huge else rst_problem(text)
        problems[archive.name] = rendered[text]
    return problems
