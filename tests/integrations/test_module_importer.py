"""Which extras the error of an import names."""

from __future__ import annotations

import pytest

from releasekit.integrations.module_importer import named_extras

NONE: set[tuple[str, str]] = set()


@pytest.mark.parametrize(
    ("text", "extras"),
    [
        ("No module named 'pyspark'", NONE),
        ("Install it with `pip install Core_Spark[Fast-IO]`.", {("core-spark", "fast-io")}),
        (
            "run: pip install 'core[a, b,c]' or other[d]",
            {("core", "a"), ("core", "b"), ("core", "c"), ("other", "d")},
        ),
        ("names[0] is missing", {("names", "0")}),
        ("[core] is missing", NONE),
    ],
)
def test_error_names_extras(text: str, extras: set[tuple[str, str]]) -> None:
    """A project with extras in brackets, in any spelling."""
    assert named_extras(text) == extras
