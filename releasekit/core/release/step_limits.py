"""How long each step of a package may take at most, so that no run waits without end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from releasekit.core.config.settings import Settings

SLACK = 60.0
"""Seconds beyond the limits of its commands, which end a step before its own limit does."""
COMMAND_LIMIT = 600.0
"""Seconds that uv may take to resolve or install."""
LONGEST_PAUSE = 3600.0
"""Seconds that uploads wait at most because the index asks for it."""
_BUILD_COMMANDS = 5
"""Commands of one package that `build_timeout` limits: two environments, the backend's answer, sdist, and wheels."""
_MOST_FILES = 20
"""Files of a package that is built for many platforms."""


@dataclass(frozen=True, slots=True)
class StepLimits:
    """The time limits of one attempt at each step, in seconds."""

    stage: float
    prove: float
    upload: float
    confirm: float
    smoke_test: float


def step_limits(settings: Settings, packages: int) -> StepLimits:
    """Return the limits of a release of this number of *packages*.

    The commands of a step have limits of their own, which say more about what is slow. An upload or a smoke test may
    wait until all others have had their turn.
    """
    pacing = _MOST_FILES * 60 / settings.rate_limit if settings.rate_limit else 0.0
    turn = settings.upload_timeout + pacing
    return StepLimits(
        stage=_BUILD_COMMANDS * settings.build_timeout + SLACK,
        prove=packages * COMMAND_LIMIT + SLACK,
        upload=packages * turn + LONGEST_PAUSE,
        confirm=settings.confirm_timeout + SLACK,
        smoke_test=packages * 3 * COMMAND_LIMIT + SLACK,
    )
