"""New projects by day."""

from __future__ import annotations

from releasekit.core.release.new_projects import describe_days, project_days


def test_new_projects_fill_days() -> None:
    """Each day has as many new projects as the limit allows, in the order of the plan; none is lost."""
    names = [f"p{number}" for number in range(9)]

    days = project_days(names, 4)

    assert [len(day) for day in days] == [4, 4, 1]
    assert [name for day in days for name in day] == names
    assert project_days([], 4) == []


def test_one_day_needs_no_schedule() -> None:
    """A schedule is told only if it takes more than a day."""
    assert describe_days(["a", "b", "c", "d"]) == ""
    assert describe_days(["e", "d", "c", "b", "a"]) == (
        "5 projects are new to the index; PyPI lets a user create 4 a day, so the release takes 2 days "
        "(day 1: e, d, c, b; day 2: a)"
    )
