"""Which files `exclude_paths` names."""

from __future__ import annotations

import pytest

from releasekit.core.history.excluded_paths import compile_excluded


@pytest.mark.parametrize(
    ("directory", "pattern", "excluded", "counted"),
    [
        (".", "docs", ("docs", "docs/a.md", "docs/a/b.md"), ("docs.md", "packages/docs/a.md")),
        (".", "*/tests", ("packages/core/tests/a.py",), ("tests/a.py", "packages/core/tests.py")),
        (".", "**/tests", ("tests/a.py", "packages/core/tests/a.py"), ("packages/core/tests.py",)),
        (".", "*.md", ("README.md", "packages/core/a.md"), ("README.md.py",)),
        (".", "a.py", ("a.py",), ("b/a.py", "a.pyc")),
        ("packages/core", "bench", ("packages/core/bench/a.py",), ("bench/a.py", "packages/core/a.py")),
        ("packages/[a]", "b", ("packages/[a]/b",), ("packages/a/b",)),
    ],
    ids=["directory", "below", "any-depth", "suffix", "file", "member", "brackets"],
)  # fmt: skip
def test_patterns_name_files_and_directories(
    directory: str, pattern: str, excluded: tuple[str, ...], counted: tuple[str, ...]
) -> None:
    """A pattern is relative to its directory; a directory stands for all in it, and `*` crosses directories."""
    matches = compile_excluded({directory: [pattern]}).fullmatch

    assert all(map(matches, excluded))
    assert not any(map(matches, counted))


def test_no_pattern_excludes_nothing() -> None:
    """Without the setting, every file counts, also one with an empty name."""
    matches = compile_excluded({".": (), "packages/core": ()}).fullmatch

    assert not any(map(matches, ("", "a", "packages/core/a")))


def test_many_stars_are_quick() -> None:
    """A pattern with many stars does not take forever on a long path."""
    matches = compile_excluded({".": ["*a" * 30 + "b"]}).fullmatch

    assert not matches("a" * 3000)
