"""Where a release goes."""

from __future__ import annotations

import pytest

from tasks.core.target import Target


@pytest.mark.parametrize(
    ("target", "install_index", "is_pypi"),
    [
        (Target("default/simple", "", is_default=True), "", True),
        (Target("private/simple", "private/upload"), "private/simple", False),
        (Target("private/simple", "private/upload", "private", is_default=True), "", False),
        (Target("mirror/simple", ""), "mirror/simple", True),
    ],
)
def test_target(target: Target, install_index: str, is_pypi: bool) -> None:
    """An installer is told of an index that it would not look at by itself; without an address, uploads go to PyPI."""
    assert (target.install_index, target.is_pypi) == (install_index, is_pypi)
