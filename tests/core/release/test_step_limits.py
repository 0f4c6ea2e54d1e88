"""How long the steps of a package may take."""

from __future__ import annotations

from releasekit.core.release.step_limits import step_limits
from tests.support.builders import settings_of


def test_commands_end_before_their_step() -> None:
    """A slow command fails by its own limit, which says what is slow, and not by the limit of its step."""
    limits = step_limits(
        settings_of(build_timeout=100, confirm_timeout=200, upload_timeout=300), packages=1
    )

    assert limits.stage > 5 * 100, "environments, sdist and wheels have a build_timeout each"
    assert limits.confirm == 260
    assert limits.upload > 300
    assert limits.smoke_test > 600 * 3
    assert limits.prove > 600


def test_turns_of_others_count() -> None:
    """An upload that waits until all other packages were sent is not too slow."""
    settings = settings_of(rate_limit=10, upload_timeout=60)

    assert step_limits(settings, packages=500).upload > 500 * 60 / 10
