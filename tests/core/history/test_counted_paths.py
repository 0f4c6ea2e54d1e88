"""Which files `exclude_paths` and `include_paths` name."""

from __future__ import annotations

import pytest

from releasekit.core.history.counted_paths import (
    IncludedPaths,
    compile_excluded,
    compile_included,
)


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


@pytest.mark.parametrize(
    ("directory", "pattern", "included", "others"),
    [
        ("packages/core", "../../crates", ("crates/a.rs", "crates"), ("crate", "packages/crates/a.rs")),
        ("packages/core", "../app/*.json", ("packages/app/a/b.json",), ("packages/app/a.py", "app/a.json")),
        ("packages/core", "../..", ("a", "packages/core/a.py"), ()),
        ("python/core", "..", ("python/a", "python/app/b"), ("a", "pythons/a")),
        ("", "LICENSE", ("LICENSE",), ("packages/LICENSE",)),
        (".", "proto/**/a", ("proto/b/a/c",), ("a",)),
        ("[a]/b", "../c", ("[a]/c/d",), ("a/c/d",)),
    ],
    ids=["elsewhere", "suffix", "all", "parent", "top", "any-depth", "brackets"],
)  # fmt: skip
def test_included_paths_begin_at_their_file(
    directory: str, pattern: str, included: tuple[str, ...], others: tuple[str, ...]
) -> None:
    """A pattern may leave its directory; it matches paths from the top of the repository."""
    compiled = compile_included(directory, pattern)

    assert compiled is not None
    assert all(map(compiled.fullmatch, included))
    assert not any(map(compiled.fullmatch, others))


def test_path_above_repository_is_nowhere() -> None:
    """No file of the repository is above its top."""
    assert compile_included("packages", "../../other") is None
    assert compile_included(".", "../other") is None


def test_packages_share_included_files() -> None:
    """Each file has the packages that include it; what releases write for the whole workspace has none."""
    crates = compile_included("", "crates")
    everything = compile_included("", "*")
    assert crates
    assert everything
    included = IncludedPaths({"core": [crates, everything], "app": [crates]}, {"uv.lock"})

    assert included.packages_of("crates/a.rs") == {"core", "app"}
    assert included.packages_of("a") == {"core"}
    assert not included.packages_of("uv.lock")
    assert not IncludedPaths({}, ()).packages_of("a")
