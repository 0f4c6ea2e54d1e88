"""The warnings of a plan about releases without a tag."""

from __future__ import annotations

import pytest
from packaging.version import Version

from releasekit.core.history.tags import Baseline
from releasekit.core.planning.warnings import untagged_warnings
from tests.support.builders import plan_of

SHA = "0123456789" * 4


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (
            "",
            "no tag found, so the version on the index counts as the last release, from the commit that set it: ",
        ),
        (
            "core-v1.2",
            (
                "the index has a later release than the last tag, and no commit here sets its version, so the changes "
                "count from that tag: "
            ),
        ),
    ],
    ids=["a commit set it", "the last tag is older"],
)
def test_index_release_names_its_start(since: str, expected: str) -> None:
    """The warning says from where the changes count: from a commit, or from the last tag."""
    baseline = Baseline(tag="", version=Version("1.4"), commit=SHA, since=since)
    start = f"since {since}" if since else SHA[:7]

    (warning,) = untagged_warnings(plan_of("core:").packages, {"core": baseline}, offline=False)

    assert str(warning) == f"RK-BASELINE-INDEX: {expected}core 1.4 ({start})"
