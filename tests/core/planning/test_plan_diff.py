"""What has changed between two plans of one workspace."""

from __future__ import annotations

import pytest
from packaging.version import Version

from releasekit.core.planning.plan_diff import (
    PlannedRelease,
    PlanSnapshot,
    diff_plans,
    snapshot_from_plan,
    snapshot_from_rows,
    with_difference,
)
from releasekit.formats.markdown import plan_markdown, plan_rows
from tests.support.builders import plan_of

NOW = plan_of("core:", "app:", "web:", changes={"core": "feat: it", "app": "feat!: it"})


def earlier(date: str = "2026.11.21", **due: str) -> PlanSnapshot:
    """Return an earlier plan from words: `earlier(core="1.0.1 patch")`."""
    known = {
        name: PlannedRelease(Version(said.partition(" ")[0]), said.partition(" ")[2])
        for name, said in due.items()
    }
    return PlanSnapshot(known, date, "c0ffee")


def test_plan_diff_names_each_change() -> None:
    """What has come, moved, gone out, and gone: in a headline, in sentences, and as values."""
    found = diff_plans(earlier(app="1.0.1 patch", web="1.0 patch", old="1.0 major"), NOW)

    assert found.headline == (
        "since yesterday: +1 package, app patch -> major because feat!: it (0000000), 1 package released, "
        "1 package no longer planned"
    )
    assert found.sentences == (
        "core 1.1 has been added (minor): feat: it (0000000)",
        "app gets 2.0 instead of 1.0.1: patch -> major because feat!: it (0000000)",
        "web 1.0 has been released",
        "old 1.0 is no longer planned",
    )
    assert found.by_package["app"] == "changed, was 1.0.1"
    assert [each["change"] for each in found.model_dump()["changes"]] == [
        "added",
        "changed",
        "released",
        "dropped",
    ]


def test_equal_plans_have_no_difference() -> None:
    """The same plan again; also by the rows that Prefect keeps of it."""
    assert (
        diff_plans(snapshot_from_plan(NOW), NOW).headline
        == "since an earlier plan from today: nothing has changed"
    )
    assert (
        diff_plans(snapshot_from_rows(plan_rows(NOW), "2026.11.20"), NOW).headline
        == "since 2026-11-20: nothing has changed"
    )
    assert "## Since the last plan\n\nNothing.\n" in plan_markdown(NOW, [])


@pytest.mark.parametrize(
    ("date", "words"), [("", "the earlier plan"), ("2026.11.22", "an earlier plan from today")]
)
def test_plan_diff_names_earlier_day(date: str, words: str) -> None:
    """The day of the earlier plan is told in words, as far as it is known."""
    assert diff_plans(earlier(date), NOW).headline.startswith(f"since {words}: +2 packages")


def test_diff_headline_counts_the_rest() -> None:
    """A headline names a few of those that have moved and counts the rest; one whose bump is the same has versions."""
    names = [f"p{number}" for number in range(6)]
    plan = plan_of(*(f"{name}:" for name in names))

    found = diff_plans(earlier(**dict.fromkeys(names, "1.0.5 minor")), plan)

    assert found.headline.endswith("p2 1.0.5 -> 1.1 because feat: it (0000000), 3 more changed")
    assert found.sentences[0] == "p0 gets 1.1 instead of 1.0.5: because feat: it (0000000)"


def test_plan_json_includes_the_difference() -> None:
    """In JSON the difference is a key of the plan; without an earlier plan it is null."""
    since = diff_plans(earlier(app="1.0.1 patch"), NOW)
    told = with_difference(with_difference(NOW, None), since).model_dump(mode="json")

    assert told["schema"] == "releasekit.plan/1"
    assert told["since"]["changes"][1] == {
        "name": "app",
        "change": "changed",
        "before": "1.0.1",
        "after": "2.0",
        "bump_before": "patch",
        "bump": "major",
        "reason": "feat!: it (0000000)",
    }
    assert with_difference(NOW, None).model_dump()["since"] is None


def test_markdown_escapes_reasons_in_diff() -> None:
    """In Markdown a reason is shown as it is."""
    assert "## Since the last plan\n\n- a \\| b\n" in plan_markdown(NOW, ["a | b"])
