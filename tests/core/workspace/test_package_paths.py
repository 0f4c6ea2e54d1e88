"""Paths in a repository, and which of them belong to packages."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from releasekit.core.workspace.package_paths import is_in_any, is_member


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("packages/core/src/vendored", True),
        ("packages", True),
        ("packages/core", True),
        ("packages/core-extra/x", False),
        ("docs/theme", False),
    ],
)
def test_path_touches_package(path: str, expected: bool) -> None:
    """A path inside a package counts, and so does a directory that contains the package."""
    assert is_in_any(path, [PurePosixPath("packages/core")]) is expected


def test_root_package_contains_everything() -> None:
    """The package at the root has every path."""
    assert is_in_any("docs/theme", [PurePosixPath()])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("packages/core", True),
        ("packages/core/examples", False),
        ("packages/internal", False),
        ("tools/lint", True),
        ("core", False),
    ],
)
def test_member_matches_patterns(path: str, expected: bool) -> None:
    """A pattern means directories at its own depth, and an excluded one is no member."""
    assert is_member(path, ["packages/*", "tools/lint"], ["packages/int*"]) is expected
