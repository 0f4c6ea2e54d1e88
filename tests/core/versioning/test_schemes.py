"""The next version by date or by the last number."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from releasekit.core.config.bump_rules import Bump, BumpRules
from releasekit.core.config.settings import settings_of
from releasekit.core.errors import Refusal
from releasekit.core.versioning.schemes import next_by_scheme

NOVEMBER = date(2026, 11, 7)
LAYOUTS = (
    "YYYY",
    "YYYY.MM",
    "YY.0M",
    "YYYY.MM.DD",
    "YYYY.MICRO",
    "YYYY.MM.MICRO",
    "YY.MINOR.MICRO",
    "YYYY.WW",
)


def next_of(current: str, bump: Bump, scheme: str, today: date = NOVEMBER) -> str:
    """Return the next version as text."""
    rules = BumpRules(types={}, scheme=scheme, today=today)
    return str(next_by_scheme(Version(current), bump, rules, major_on_zero=False))


@pytest.mark.parametrize(
    ("current", "bump", "layout", "expected"),
    [
        ("2026.10.3", Bump.PATCH, "YYYY.MM.MICRO", "2026.11.0"),
        ("2026.11.0", Bump.PATCH, "YYYY.MM.MICRO", "2026.11.1"),
        ("2026.11.9", Bump.MAJOR, "YYYY.MM.MICRO", "2026.11.10"),
        ("2025.12.4", Bump.MINOR, "YYYY.0M.MICRO", "2026.11.0"),
        ("1.4.2", Bump.PATCH, "YYYY.MM.MICRO", "2026.11.0"),
        ("25.3", Bump.MINOR, "YY.MINOR.MICRO", "26.0.0"),
        ("26.1", Bump.MINOR, "YY.MINOR.MICRO", "26.2.0"),
        ("26.1.4", Bump.PATCH, "YY.MINOR.MICRO", "26.1.5"),
        ("26.1.4", Bump.PATCH, "0Y.MINOR", "26.2"),
        ("2026.11.6", Bump.PATCH, "YYYY.MM.DD", "2026.11.7"),
        ("2026.11.7", Bump.PATCH, "YYYY.MM.DD", "2026.11.7.1"),
        ("2026.11.7.1", Bump.PATCH, "YYYY.0M.0D", "2026.11.7.2"),
        ("2026.44", Bump.PATCH, "YYYY.WW", "2026.45"),
        ("1!2026.11.7", Bump.PATCH, "YYYY.MM.DD", "1!2026.11.7.1"),
        # The machine of the last release had a later date.
        ("2026.12.0", Bump.PATCH, "YYYY.MM.MICRO", "2026.12.1"),
    ],
)
def test_date_decides_calendar_versions(
    current: str, bump: Bump, layout: str, expected: str
) -> None:
    """A new date begins the counters at 0; on the same date a counter is raised."""
    assert next_of(current, bump, f"calver:{layout}") == expected


@pytest.mark.parametrize(
    ("current", "expected"),
    [("1.2.3", "1.2.4"), ("7", "8"), ("1.2.3.4", "1.2.3.5"), ("2.0rc1", "2.0"), ("1!0.9", "1!0.10")],
)  # fmt: skip
def test_last_number_is_raised(current: str, expected: str) -> None:
    """Every change raises the last number, whatever it asks for."""
    assert {next_of(current, bump, "pep440-last") for bump in (Bump.PATCH, Bump.MAJOR)} == {
        expected
    }


@given(
    layout=st.sampled_from(LAYOUTS),
    days=st.lists(st.dates(date(2001, 1, 1), date(2099, 12, 31)), min_size=1, max_size=8).map(sorted),
    bump=st.sampled_from([Bump.PATCH, Bump.MINOR, Bump.MAJOR]),
)  # fmt: skip
def test_calendar_versions_only_grow(layout: str, days: list[date], bump: Bump) -> None:
    """Whatever the dates are, each version is later than the one before."""
    version = Version("0")
    for day in days:
        later = Version(next_of(str(version), bump, f"calver:{layout}", day))
        assert later > version
        version = later


@pytest.mark.parametrize(
    "scheme", ["calver", "calver:", "calver:MM.YYYY", "calver:YYYY.DD", "calver:YYYY.MICRO.MINOR", "semver2"]
)  # fmt: skip
def test_unknown_schemes_are_refused(scheme: str) -> None:
    """A format whose versions would not grow, or that nobody knows, is refused."""
    with pytest.raises(Refusal, match="versioning_scheme"):
        settings_of({"tool": {"releasekit": {"versioning_scheme": scheme}}})
