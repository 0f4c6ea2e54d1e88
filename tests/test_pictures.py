"""The picture of a terminal session shows what the program prints today."""

from __future__ import annotations

from deployments import session


def test_session_shows_todays_plan() -> None:
    """The plan in the picture is what `plan` prints; to compare the rehearsal takes a minute."""
    plan = session.compared_lines(session.picture_of((session.PLAN,)))
    shown = session.compared_lines(session.PICTURE.read_text())

    assert plan == shown[: len(plan)], (
        "run `uv run python -m deployments.session`, and look at the picture"
    )
    assert f"$ releasekit {' '.join(session.REHEARSAL)}" in shown
