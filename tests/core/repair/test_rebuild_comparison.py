"""How published files compare with those that are built again, and with the sums of their release."""

from __future__ import annotations

import pytest

from releasekit.core.artifacts.reproduction import PackedMember
from releasekit.core.repair.rebuild_comparison import (
    FileComparison,
    Verification,
    compare_members,
    compare_sum,
)


def test_members_are_compared_singly() -> None:
    """Each member that differs is named: by content, by packing, or because one file lacks it."""
    published = {
        "a.py": PackedMember("1" * 64, "time 1"),
        "b.py": PackedMember("2" * 64, "time 1"),
        "c.py": PackedMember("3" * 64, "time 1"),
        "same.py": PackedMember("4" * 64, "time 1"),
    }
    rebuilt = {
        "a.py": PackedMember("9" * 64, "time 2"),
        "b.py": PackedMember("2" * 64, "time 2"),
        "d.py": PackedMember("3" * 64, "time 1"),
        "same.py": PackedMember("4" * 64, "time 1"),
    }

    differences = compare_members(published, rebuilt)

    assert [
        (difference.member, difference.kind, difference.text) for difference in differences
    ] == [
        ("a.py", "content", "sha256 111111111111 published, 999999999999 rebuilt"),
        ("b.py", "packing", "time 1 published, time 2 rebuilt"),
        ("c.py", "only_published", "only the published file has it"),
        ("d.py", "only_rebuilt", "only the rebuilt file has it"),
    ]
    (order,) = compare_members(published, published)
    assert (order.kind, order.member) == ("order", "")


def test_sums_confirm_published_files() -> None:
    """A release names the file with this sha256, or with another one; or it does not name it; or nobody asked."""
    sums = {"core-1.tar.gz": "1" * 64}

    assert compare_sum(None, "core-1.tar.gz", "1" * 64) == "unasked"
    assert compare_sum(sums, "core-1.zip", "1" * 64) == "absent"
    assert compare_sum(sums, "core-1.tar.gz", "1" * 64) == "same"
    assert compare_sum(sums, "core-1.tar.gz", "2" * 64) == "differs"


@pytest.mark.parametrize(
    ("given", "state", "headline"),
    [
        ({"rebuilt": "1"}, (False, False), "core 1 is what core-v1 gives: 1 of 1 file"),
        ({"rebuilt": "2"}, (True, False), "core 1 differs from what core-v1 gives: 0 of 1 file"),
        ({}, (False, True), "core 1 is not compared completely: 0 of 1 file"),
        ({"rebuilt": "1", "sums": "differs"}, (True, False), "core 1 differs from what"),
        ({"rebuilt": "1", "attestations": "differs"}, (True, False), "core 1 differs from what"),
        ({"rebuilt": "1", "sums": "absent"}, (False, False), "core 1 is what core-v1 gives"),
    ],
)
def test_any_contradiction_counts(
    given: dict[str, str], state: tuple[bool, bool], headline: str
) -> None:
    """Other bytes, other sums or another attestation contradict; a file that is not built again proves nothing."""
    file = FileComparison.model_validate({"name": "core-1.whl", "published": "1", **given})
    result = Verification(package="core", version="1", tag="core-v1", commit="a", files=(file,))

    assert (result.is_contradicted, result.is_incomplete) == state
    assert result.headline.startswith(headline)
