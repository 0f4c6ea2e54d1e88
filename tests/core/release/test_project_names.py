"""Names that warehouse refuses for new projects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releasekit.core.release.project_names import (
    fold_name,
    is_of_standard_library,
    similar_pairs,
    spellings,
)


@pytest.mark.parametrize(
    ("name", "is_refused"),
    [("types", True), ("Type.s", True), ("jso-n", True), ("asynci0", True), ("shop-types", False)],
)
def test_standard_modules_keep_their_names(name: str, is_refused: bool) -> None:
    """A name of the standard library is refused, however it is spelt."""
    assert is_of_standard_library(name) is is_refused


def test_similar_names_are_paired() -> None:
    """Separators, and letters that look like digits, make no difference."""
    others = ["shopcore", "l0ad", "other"]

    assert list(similar_pairs(["shop-core", "load", "other", "new"], others)) == [
        ("shop-core", "shopcore"),
        ("load", "l0ad"),
    ]


@given(st.from_regex(r"[a-z0-9]+(-[a-z0-9]+){0,3}", fullmatch=True))
def test_spellings_are_as_similar(name: str) -> None:
    """Each other spelling is a different name, and counts as the same one."""
    for other in spellings(name):
        assert other != name
        assert fold_name(other) == fold_name(name)
