"""Raising a requirement on a sibling to its next version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from releasekit.core.version_numbers import next_breaking
from releasekit.core.workspace.pins import Pins, compatible_with, pin_mismatch, pin_requirement
from releasekit.core.workspace.requirements import is_live, raise_requirement, requirement_key
from tests.tables.requirement_table import ROWS, Row

if TYPE_CHECKING:
    from releasekit.core.config.settings import PinMode


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_documented_requirement_table_is_correct(row: Row) -> None:
    """Each row of the documented table is correct, and its version satisfies each result."""
    version = Version(row.next)

    assert raise_requirement(row.written, version) == row.raised
    assert raise_requirement(row.written, version, always=True) == (row.always or row.raised)
    pins = Pins("compatible", {"core": version})
    built = pin_requirement(Requirement(row.raised), pins)
    assert (requirement_key(built), built.extras) == (
        requirement_key(Requirement(row.compatible)),
        Requirement(row.compatible).extras,
    )
    for text in (row.raised, row.always or row.raised, row.compatible):
        assert Requirement(text).specifier.contains(version, prereleases=True)


@pytest.mark.parametrize(
    ("written", "raised"),
    [
        ("core (==1.2.3)", "core (==1.3.0)"),
        (
            "core [a, b]== 1.2.3 ; python_version<'3.12'",
            "core [a, b]== 1.3.0 ; python_version<'3.12'",
        ),
        ("core == 1.2.3 , != 1.0", "core == 1.3.0 , != 1.0"),
        ("core!=1.3.0", "core"),
        ("core=={{ version }}", "core=={{ version }}"),
        ("core @ https://example.invalid/core.whl", "core @ https://example.invalid/core.whl"),
        ("core>=1!1.2", "core>=1.3.0"),  # the next version has no epoch
    ],
)
def test_raising_changes_only_the_version(written: str, raised: str) -> None:
    """Only versions change. Names, extras, spaces, parentheses, markers, URLs and templates stay."""
    assert raise_requirement(written, Version("1.3.0")) == raised


def test_strict_mode_raises_for_candidate() -> None:
    """A release candidate satisfies `>=1.3`, unless *strict* applies PEP 440."""
    candidate = Version("1.3.0rc1")

    assert raise_requirement("core>=1.3", candidate) == "core>=1.3"
    assert raise_requirement("core>=1.3", candidate, strict=True) == "core>=1.3.0rc1"
    assert raise_requirement("core~=1.3.0", candidate, strict=True) == "core~=1.3.0rc1"


@pytest.mark.parametrize(
    ("specifier", "offered", "live"),
    [
        ("==1.0", "1.0 1.1", True),
        (">=1.1", "1.0 1.1", True),
        ("<1.0", "1.0 1.1", False),
        ("==0.9", "1.0", False),
        ("<1", "", True),
    ],
)
def test_live_requirement_allows_offered_version(specifier: str, offered: str, live: bool) -> None:
    """A requirement is live if the declared or next version satisfies it, or if no version is known."""
    assert is_live(SpecifierSet(specifier), tuple(map(Version, offered.split()))) is live


numbers = st.integers(0, 3)
releases = st.lists(numbers.map(str), min_size=1, max_size=3).map(".".join)
suffixes = st.sampled_from(["", "", "", "a1", "rc1", ".dev1", ".post1"])
versions = st.builds("{}{}".format, releases, suffixes).map(Version)
clauses = st.one_of(
    st.builds("{}{}".format, st.sampled_from([">=", ">", "<", "<=", "==", "!=", "==="]), versions),
    st.builds("~={}.{}".format, numbers, releases),
    st.builds("{}{}.*".format, st.sampled_from(["==", "!="]), releases),
)
specifiers = st.lists(clauses, max_size=3).map(",".join)


@given(specifiers, versions, st.booleans(), st.booleans())
def test_next_version_satisfies_raised_requirement(
    specifier: str, version: Version, always: bool, strict: bool
) -> None:
    """The next version satisfies every raised requirement, and no new operator but `>=` appears."""
    before = f"core[x]{specifier} ; os_name == 'nt'"

    after = raise_requirement(before, version, always=always, strict=strict)

    assert after.startswith("core[x]")
    assert after.endswith("; os_name == 'nt'")
    raised = Requirement(after).specifier
    base = Version(version.base_version)
    assert raised.contains(version, prereleases=True) or (
        not strict and version.is_prerelease and raised.contains(base)
    )
    assert raise_requirement(after, version, strict=strict) == after
    if not always and SpecifierSet(specifier).contains(version, prereleases=True):
        assert after == before
    operators = re.compile(r"~=|===?|!=|<=?|>=?")
    kept = set(operators.findall(after.partition(";")[0]))
    assert kept <= set(operators.findall(specifier)) | {">="}


@given(specifiers, versions, st.booleans())
def test_compatible_range_ends_before_limit(
    specifier: str, version: Version, major_on_zero: bool
) -> None:
    """A compatible range starts at the version, ends before the limit, and is no wider than the requirement."""
    limit = next_breaking(version, major_on_zero=major_on_zero)
    wanted = SpecifierSet(specifier)

    made = compatible_with(wanted, version, limit)

    assert made.contains(version, prereleases=True)
    assert not made.contains(limit, prereleases=True)
    assert compatible_with(made, version, limit) == made
    later = Version(f"{version.base_version}.1")
    assume(wanted.contains(version, prereleases=True) and "==" not in specifier)
    assert not made.contains(later) or wanted.contains(later)


@pytest.mark.parametrize(("mode", "built", "expected"), [
    ("exact", "core==1.3.0", ""),
    ("exact", "core>=1.3.0", "==1.3.0"),
    ("compatible", "core<2,>=1.3.0", ""),
    ("compatible", "core==1.3.0", "<2,>=1.3.0"),
    ("keep", "core>=1", ""),
    ("keep", "core<1.3", "core==1.3.0"),
    ("exact", "core<1", ""),
])  # fmt: skip
def test_built_requirement_matches_its_pin(mode: PinMode, built: str, expected: str) -> None:
    """The requirement in a built file is compared with the plan."""
    pins = Pins(mode, {"core": Version("1.3.0")}, older=frozenset({"core<1"}))

    assert pin_mismatch(Requirement(built), pins) == expected
