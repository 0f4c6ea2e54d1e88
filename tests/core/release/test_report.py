"""What came of a release."""

from __future__ import annotations

import json

import pytest
from packaging.version import Version

from releasekit.core.release.report import PackageOutcome, PackageReport, ReleaseReport


def report(*outcomes: str, problems: tuple[str, ...] = ()) -> ReleaseReport:
    """Return the report of a release with one package for each of *outcomes*."""
    packages = tuple(
        PackageReport(
            name=f"p{number}",
            version=Version("1.0"),
            tag=f"p{number}-v1.0",
            outcome=PackageOutcome(outcome),
        )
        for number, outcome in enumerate(outcomes)
    )
    return ReleaseReport(release="1a2b3c", title="v1.0", packages=packages, problems=problems)


@pytest.mark.parametrize(
    ("outcomes", "problems", "done", "summary"),
    [
        ((), (), True, "v1.0: nothing to release"),
        (("confirmed", "confirmed"), (), True, "v1.0: 2 confirmed"),
        (("confirmed", "failed"), (), False, "v1.0: 1 confirmed, 1 failed"),
        (("blocked", "failed", "blocked"), (), False, "v1.0: 1 failed, 2 blocked"),
        (("built", "failed"), (), False, "v1.0: 1 built, 1 failed"),
        (("built",), (), False, "v1.0: 1 built"),
        (
            ("confirmed",),
            ("not pushed\n! [rejected]",),
            False,
            "v1.0: 1 confirmed, 1 problem; not pushed",
        ),
        ((), ("not pushed", "no notes"), False, "v1.0: 2 problems; not pushed; no notes"),
    ],
)
def test_report_is_successful_if_complete(
    outcomes: tuple[str, ...], problems: tuple[str, ...], done: bool, summary: str
) -> None:
    """A release is done when every package is confirmed and nothing else went wrong."""
    found = report(*outcomes, problems=problems)

    assert (found.is_successful, found.summary) == (done, summary)
    assert found.headline == summary.partition(";")[0], (
        "what follows it in a table is not said twice"
    )


def test_only_confirmed_packages_get_tags() -> None:
    """Those that are out are known apart: only they are tagged."""
    assert [
        package.name
        for package in report("failed", "confirmed", "blocked", "confirmed").confirmed_packages
    ] == [
        "p1",
        "p3",
    ]


def test_report_json_is_read_back() -> None:
    """A report that was written is read as it was."""
    written = report("confirmed", "failed", problems=("not pushed",))

    assert not written.pushed
    assert ReleaseReport.model_validate_json(written.model_dump_json()) == written
    assert json.loads(written.model_dump_json())["schema"] == "releasekit.report/1"
