"""Paths in a repository, and which of them belong to packages."""

from __future__ import annotations

import pytest

from releasekit.core.workspace.package_paths import is_member


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
